/* Messages in: duplicates, limits, and publishes that wait for room. */
#include "tests/model/world.h"

/* ---- duplicates -------------------------------------------------------------------------------------------------- */

static bool is_known(const struct q *q, const struct step_message *p)
{
    return q->a.dedup_window > 0 && (p->dedup || q->a.content_dedup);
}

static struct d key_of(const struct q *q, const struct step_message *p)
{
    struct d d = {.content = !p->dedup, .by_group = q->a.dedup_scope == DEDUP_GROUP};
    d.id = p->dedup ? p->dedup : p->body;
    d.bytes = p->dedup ? 0 : p->bytes;
    d.group = d.by_group ? p->group : 0;
    return d;
}

static bool same_key(const struct d *a, const struct d *b)
{
    return a->content == b->content && a->by_group == b->by_group && a->id == b->id && a->bytes == b->bytes &&
           a->group == b->group;
}

uint64_t model_duplicate_of(const struct model *w, const struct q *q, const struct step_message *p)
{
    if (!is_known(q, p))
        return 0;
    struct d key = key_of(q, p);
    for (int i = 0; i < q->dedup_count; i++)
        if (q->dedups[i].until > w->now && same_key(&q->dedups[i], &key))
            return q->dedups[i].first_id;
    return 0;
}

static void remember_key(const struct model *w, struct q *q, const struct step_message *p, uint64_t id)
{
    if (!is_known(q, p))
        return;
    int kept = 0;
    for (int i = 0; i < q->dedup_count; i++)
        if (q->dedups[i].until > w->now)
            q->dedups[kept++] = q->dedups[i];
    q->dedup_count = kept;
    assert(q->dedup_count < MAX_DEDUPS);
    struct d *d = &q->dedups[q->dedup_count++];
    *d = key_of(q, p);
    d->first_id = id;
    d->until = w->now + q->a.dedup_window;
}

/* ---- one message ------------------------------------------------------------------------------------------------- */

const char *model_wrong_with(const struct q *q, const struct step_message *p, bool by_topic)
{
    if (p->wrong)
        return "BAD_REQUEST wrong";
    if (model_is_fifo(q) && !p->group)
        return "GROUP_REQUIRED";
    if (model_is_fifo(q) && p->priority && !by_topic)
        return "BAD_REQUEST priority";
    return NULL;
}

static bool too_large(const struct q *q, const struct step_message *p)
{
    return q->a.max_bytes && p->bytes > q->a.max_bytes;
}

bool model_line_stands(const struct model *w, const struct q *q)
{
    for (int i = 0; i < w->held_count; i++)
        if (&w->queues[w->held[i].waits_for] == q)
            return true;
    return false;
}

/* True if somebody who came before waits for room in that queue. */
static bool others_wait(const struct model *w, const struct q *q)
{
    int count = w->trying ? w->waiting_before : w->held_count;
    for (int i = 0; i < count; i++)
        if (&w->queues[w->held[i].waits_for] == q)
            return true;
    return false;
}

/* It would be removed before it is ever ready. */
static bool outlasts_retention(const struct q *q, const struct step_message *p)
{
    int64_t delay = p->delay >= 0 ? p->delay : q->a.delay;
    return q->a.retention && delay >= q->a.retention;
}

/* What a limit forbids whatever room there is; a duplicate is not asked for it. */
static const char *forbidden(const struct q *q, const struct step_message *p)
{
    return too_large(q, p) ? "TOO_LARGE max_bytes" : outlasts_retention(q, p) ? "LIMIT retention" : NULL;
}

struct fate model_publish_one(struct model *w, struct q *q, const struct step_message *p, bool by_topic)
{
    struct fate fate = {.refusal = model_wrong_with(q, p, by_topic)};
    if (fate.refusal)
        return fate;
    fate.duplicate = model_duplicate_of(w, q, p);
    if (fate.duplicate) {
        q->n.duplicates++;
        return fate;
    }
    fate.refusal = forbidden(q, p);
    if (fate.refusal)
        return fate;
    if (!w->endless_room && others_wait(w, q))
        fate.refusal = "QUEUE_FULL";
    else if (!w->endless_room && !model_make_room(w, q, p->bytes))
        fate.refusal = "QUEUE_FULL";
    if (fate.refusal)
        return fate;
    struct m m = {.body = p->body, .bytes = p->bytes, .group = p->group, .dedup = p->dedup, .header = p->header};
    m.priority = model_is_fifo(q) ? 0 : p->priority;
    fate.id = model_put_in(w, q, &m, p->delay >= 0 ? p->delay : q->a.delay, p->ttl >= 0 ? p->ttl : q->a.ttl)->id;
    q->n.published++;
    remember_key(w, q, p, fate.id);
    return fate;
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

struct batch {
    const char *wrong[STEP_MESSAGES]; /* known from when it came */
    struct fate fates[STEP_MESSAGES];
    int stored;
    uint64_t first;
};

static void add_up(const struct step *s, struct batch *b)
{
    b->stored = 0;
    for (int i = 0; i < s->message_count; i++)
        if (b->fates[i].id)
            b->first = b->stored++ ? b->first : b->fates[i].id;
}

/* What was wrong with a message when it came stays wrong, but what a limit forbade then can be a duplicate now. */
static struct fate publish_item(struct model *w, struct q *q, const struct step *s, const struct batch *b, int i)
{
    const char *wrong = b->wrong[i];
    bool always = model_wrong_with(q, &s->messages[i], false) != NULL;
    if (wrong && (always || !model_duplicate_of(w, q, &s->messages[i])))
        return (struct fate){.refusal = wrong};
    return model_publish_one(w, q, &s->messages[i], false);
}

/* Each message for itself. */
static void publish_each(struct model *w, struct q *q, const struct step *s, struct batch *b)
{
    for (int i = 0; i < s->message_count; i++) {
        model_begin_call(w);
        b->fates[i] = publish_item(w, q, s, b, i);
        q->n.refused += b->fates[i].refusal != NULL;
    }
    add_up(s, b);
}

/* All that can be stored, or nothing is changed. With `strict` also what is wrong for ever stops it. */
static const char *publish_round(struct model *w, struct q *q, const struct step *s, bool strict, struct batch *b)
{
    struct model *before = model_remember_world(w);
    model_begin_call(w);
    for (int i = 0; i < s->message_count; i++) {
        b->fates[i] = publish_item(w, q, s, b, i);
        const char *why = b->fates[i].refusal;
        if (why && (strict || strcmp(why, "QUEUE_FULL") == 0)) {
            model_restore_world(w, before);
            return why;
        }
        q->n.refused += why != NULL;
    }
    model_forget_world(before);
    add_up(s, b);
    return NULL;
}

/* What is wrong with a message itself comes before all questions of room. */
static const char *publish_all(struct model *w, struct q *q, const struct step *s, bool strict, struct batch *b)
{
    struct model *before = model_remember_world(w);
    w->endless_room = true;
    const char *why = publish_round(w, q, s, strict, b);
    model_restore_world(w, before);
    return why ? why : publish_round(w, q, s, strict, b);
}

static void add_result(char *text, const struct step *s, const struct batch *b, const char *none, const char *indent)
{
    if (b->stored > 1)
        model_add(text, "ids %" PRIu64 "..%" PRIu64 "\n", b->first, b->first + (uint64_t)b->stored - 1);
    else if (b->stored == 1)
        model_add(text, "id %" PRIu64 "\n", b->first);
    else
        model_add(text, "%s", none);
    for (int i = 0; i < s->message_count; i++) {
        if (b->fates[i].duplicate)
            model_add(text, "%s[%d] duplicate of %" PRIu64 "\n", indent, i, b->fates[i].duplicate);
        if (b->fates[i].refusal)
            model_add(text, "%s[%d] %s\n", indent, i, b->fates[i].refusal);
    }
}

static void say_result(struct model *w, const struct step *s, const struct batch *b)
{
    char text[sizeof((struct said *)0)->text] = "";
    add_result(text, s, b, "", "  ");
    model_say(w, "%s%s", b->stored ? "  " : "", text);
}

/* What each message would come to if there were room without end. */
static void judge(struct model *w, struct q *q, const struct step *s, struct batch *b)
{
    struct model *before = model_remember_world(w);
    w->endless_room = true;
    (void)publish_round(w, q, s, false, b);
    model_restore_world(w, before);
}

/* True if those messages that could be stored one day would fit into the queue together, were it empty. */
static bool could_fit(const struct q *q, const struct step *s, const struct batch *judged)
{
    int64_t bytes = 0;
    for (int i = 0; i < s->message_count; i++)
        bytes += judged->fates[i].id ? s->messages[i].bytes : 0;
    return model_fits(q, judged->stored, bytes);
}

/* The batch waits, unless it could not go in one day either. */
static bool held_back(struct model *w, struct q *q, const struct step *s)
{
    struct batch judged = {.stored = 0};
    judge(w, q, s, &judged);
    if (!could_fit(q, s, &judged))
        return false;
    model_hold(w, s, model_queue_number(w, q));
    for (int i = 0; i < s->message_count; i++) {
        const char *wrong = model_wrong_with(q, &s->messages[i], false);
        w->held[w->held_count - 1].wrong[i] = wrong ? wrong : forbidden(q, &s->messages[i]);
    }
    model_say(w, "  p%" PRIu64 " is held\n", w->next_publish);
    return true;
}

void model_publish(struct model *w, struct q *q, const struct step *s)
{
    struct batch b = {.stored = 0};
    bool waits = s->peer && s->number > 0;
    w->next_publish += waits;
    const char *why = NULL;
    if (waits || s->flag)
        why = publish_all(w, q, s, s->flag, &b);
    else
        publish_each(w, q, s, &b);
    if (why && strcmp(why, "QUEUE_FULL") == 0 && waits && held_back(w, q, s))
        return;
    if (why && s->flag) {
        q->n.refused += (uint64_t)s->message_count;
        model_say(w, "  %s\n", why);
        return;
    }
    if (why)
        publish_each(w, q, s, &b);
    say_result(w, s, &b);
}

/* ---- publishes that wait ----------------------------------------------------------------------------------------- */

void model_room(struct model *w, struct q *q)
{
    w->room = w->held_count > 0;
    q->roomy = model_line_stands(w, q);
}

/* The queue's line, into which somebody is about to come, may be a new one. */
static void open_line(struct model *w, struct q *q)
{
    if (model_line_stands(w, q))
        return;
    q->line = ++w->next_place;
    q->roomy = false;
}

void model_hold(struct model *w, const struct step *s, int waits_for)
{
    assert(w->held_count < MAX_HELD);
    open_line(w, &w->queues[waits_for]);
    w->held[w->held_count++] = (struct h){
        .peer = s->peer,
        .token = w->next_publish,
        .step = *s,
        .waits_for = waits_for,
        .deadline = w->now + s->number,
        .armed = model_arm(w),
    };
}

void model_drop_held(struct model *w, int index)
{
    struct h *h = &w->held[index];
    struct q *q = &w->queues[h->waits_for];
    memmove(h, h + 1, (size_t)(w->held + w->held_count - (h + 1)) * sizeof *h);
    w->held_count--;
    if (model_line_stands(w, q))
        model_room(w, q); /* the next one may need less */
}

/* Tells how it ended, and takes it out of the line. */
static char *ended(struct model *w, int index)
{
    char *text = model_said_for(w, w->held[index].peer, w->held[index].token, 4)->text;
    model_drop_held(w, index);
    return text;
}

/* It stands in another queue's line from now on, behind those who came earlier. */
static void change_line(struct model *w, int index, int queue)
{
    struct q *q = &w->queues[w->held[index].waits_for];
    open_line(w, &w->queues[queue]);
    w->held[index].waits_for = queue;
    if (model_line_stands(w, q))
        model_room(w, q);
}

/* True if it has gone in as one step, or is refused for ever. When its wait is over it asks for nobody who came
   before. */
static bool try_held(struct model *w, int index, bool over)
{
    const struct step s = w->held[index].step;
    struct q *q = &w->queues[s.queue];
    struct batch b = {.stored = 0};
    struct topic_result r = {.copies = 0};
    memcpy(b.wrong, w->held[index].wrong, sizeof b.wrong);
    w->trying = true;
    w->waiting_before = over ? 0 : index;
    const char *why = s.op == STEP_PUBLISH ? publish_all(w, q, &s, s.flag, &b)
                                           : model_topic_publish(w, &s, &w->held[index].route, &r);
    w->trying = false;
    if (why && strcmp(why, "QUEUE_FULL") == 0) {
        w->held[index].full = s.op == STEP_PUBLISH ? s.queue : r.where;
        return false;
    }
    if (why && s.op == STEP_PUBLISH)
        q->n.refused += (uint64_t)s.message_count;
    else if (why)
        model_count_refused(w, &w->held[index].route);
    char *text = ended(w, index);
    if (why)
        model_add(text, "%s\n", why);
    else if (s.op == STEP_PUBLISH)
        add_result(text, &s, &b, "nothing\n", "    ");
    else
        model_add(text, "copies %" PRId64 "\n", r.copies);
    return true;
}

/* The first in that line, or -1. */
static int head_of(const struct model *w, int queue)
{
    for (int i = 0; i < w->held_count; i++)
        if (w->held[i].waits_for == queue)
            return i;
    return -1;
}

static void retry_line(struct model *w, int queue)
{
    struct q *q = &w->queues[queue];
    if (!q->roomy && q->a.overflow != OVERFLOW_DEAD_LETTER_OLDEST)
        return;
    q->roomy = false;
    for (int head; (head = head_of(w, queue)) >= 0;) {
        if (try_held(w, head, false))
            continue;
        if (w->held[head].full == queue)
            return;
        change_line(w, head, w->held[head].full);
    }
}

/* The lines that stand now, the newest first. */
void model_retry_held(struct model *w)
{
    uint64_t newest = w->next_place + 1;
    if (!w->room)
        return;
    w->room = false;
    for (;;) {
        int next = -1;
        for (int queue = 0; queue < MODEL_QUEUES; queue++)
            if (head_of(w, queue) >= 0 && w->queues[queue].line < newest &&
                (next < 0 || w->queues[queue].line > w->queues[next].line))
                next = queue;
        if (next < 0)
            return;
        newest = w->queues[next].line;
        retry_line(w, next);
    }
}

void model_held_over(struct model *w, int index)
{
    const struct step s = w->held[index].step;
    struct q *q = &w->queues[s.queue];
    struct batch b = {.stored = 0};
    struct route route = w->held[index].route;
    memcpy(b.wrong, w->held[index].wrong, sizeof b.wrong);
    if (try_held(w, index, true))
        return;
    char *text = ended(w, index);
    if (s.op == STEP_PUBLISH && !s.flag) {
        w->trying = true;
        w->waiting_before = 0;
        publish_each(w, q, &s, &b);
        w->trying = false;
        add_result(text, &s, &b, "nothing\n", "    ");
    } else {
        if (s.op == STEP_PUBLISH)
            q->n.refused += (uint64_t)s.message_count;
        else
            model_count_refused(w, &route);
        model_add(text, "QUEUE_FULL\n");
    }
}

/* The first queue that is still to get something, in the order of messages; -1: none. */
static int first_target(const struct route *route)
{
    for (int i = 0; i < route->count; i++)
        for (int queue = 0; queue < MODEL_QUEUES; queue++)
            if (route->to[i][queue])
                return queue;
    return -1;
}

static void line_is_gone(struct model *w, int index)
{
    struct h *h = &w->held[index];
    int other = first_target(&h->route);
    if (h->step.op == STEP_PUBLISH) {
        model_add(ended(w, index), "QUEUE_NOT_FOUND\n");
    } else if (other >= 0) {
        change_line(w, index, other);
        model_room(w, &w->queues[other]);
    } else if (h->step.flag) {
        model_add(ended(w, index), "UNROUTABLE\n");
    } else {
        w->topics[h->step.topic].published += (uint64_t)h->step.message_count;
        model_add(ended(w, index), "copies 0\n");
    }
}

void model_end_held_of_queue(struct model *w, int queue)
{
    for (int i = 0; i < w->held_count; i++)
        for (int n = 0; n < STEP_MESSAGES; n++)
            w->held[i].route.to[n][queue] = false;
    for (int i = 0; i < w->held_count;) {
        if (w->held[i].waits_for == queue) {
            line_is_gone(w, i);
            i = 0; /* it stands somewhere else now, or nowhere */
        } else {
            i++;
        }
    }
    for (int i = 0; i < MODEL_QUEUES; i++)
        if (head_of(w, i) >= 0)
            model_room(w, &w->queues[i]); /* what is left may fit */
}

void model_end_held_of_topic(struct model *w, int topic)
{
    for (int i = w->held_count - 1; i >= 0; i--)
        if (w->held[i].step.op == STEP_PUBLISH_TOPIC && w->held[i].step.topic == topic)
            model_add(ended(w, i), "TOPIC_NOT_FOUND\n");
}
