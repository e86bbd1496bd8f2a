/* Messages in: duplicates, limits, batches. */
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

static void add_up(const struct step *s, struct batch *b)
{
    b->stored = 0;
    for (int i = 0; i < s->message_count; i++)
        if (b->fates[i].id)
            b->first = b->stored++ ? b->first : b->fates[i].id;
}

static struct fate publish_item(struct model *w, struct q *q, const struct step *s, const struct batch *b, int i)
{
    const struct verdict *v = &b->verdicts[i];
    if (v->wrong)
        return (struct fate){.refusal = v->wrong};
    if (v->limited && !model_duplicate_of(w, q, &s->messages[i]))
        return (struct fate){.refusal = v->limited};
    return model_publish_one(w, q, &s->messages[i], false);
}

/* Each message for itself. */
void model_publish_each(struct model *w, struct q *q, const struct step *s, struct batch *b)
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
const char *model_publish_all(struct model *w, struct q *q, const struct step *s, bool strict, struct batch *b)
{
    struct model *before = model_remember_world(w);
    w->endless_room = true;
    const char *why = publish_round(w, q, s, strict, b);
    model_restore_world(w, before);
    return why ? why : publish_round(w, q, s, strict, b);
}

void model_add_result(char *text, const struct step *s, const struct batch *b, const char *none, const char *indent)
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
    model_add_result(text, s, b, "", "  ");
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

/* Where nobody asks for duplicates what is forbidden is so for ever. */
static struct verdict verdict_on(const struct q *q, const struct step_message *p)
{
    const char *wrong = model_wrong_with(q, p, false), *limited = wrong ? NULL : forbidden(q, p);
    return is_known(q, p) ? (struct verdict){wrong, limited} : (struct verdict){wrong ? wrong : limited, NULL};
}

/* The batch waits, unless it could not go in one day either. */
static bool held_back(struct model *w, struct q *q, const struct step *s)
{
    struct batch judged = {.stored = 0};
    judge(w, q, s, &judged);
    if (!could_fit(q, s, &judged))
        return false;
    model_hold(w, s, model_queue_number(w, q));
    for (int i = 0; i < s->message_count; i++)
        w->held[w->held_count - 1].verdicts[i] = verdict_on(q, &s->messages[i]);
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
        why = model_publish_all(w, q, s, s->flag, &b);
    else
        model_publish_each(w, q, s, &b);
    if (why && strcmp(why, "QUEUE_FULL") == 0 && waits && held_back(w, q, s))
        return;
    if (why && s->flag) {
        q->n.refused += (uint64_t)s->message_count;
        model_say(w, "  %s\n", why);
        return;
    }
    if (why)
        model_publish_each(w, q, s, &b);
    say_result(w, s, &b);
}
