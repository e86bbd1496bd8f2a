/* Publishes that wait for room. */
#include "tests/model/world.h"

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
    memcpy(b.verdicts, w->held[index].verdicts, sizeof b.verdicts);
    w->trying = true;
    w->waiting_before = over ? 0 : index;
    const char *why = s.op == STEP_PUBLISH ? model_publish_all(w, q, &s, s.flag, &b)
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
        model_add_result(text, &s, &b, "nothing\n", "    ");
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
    memcpy(b.verdicts, w->held[index].verdicts, sizeof b.verdicts);
    if (try_held(w, index, true))
        return;
    char *text = ended(w, index);
    if (s.op == STEP_PUBLISH && !s.flag) {
        w->trying = true;
        w->waiting_before = 0;
        model_publish_each(w, q, &s, &b);
        w->trying = false;
        model_add_result(text, &s, &b, "nothing\n", "    ");
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
