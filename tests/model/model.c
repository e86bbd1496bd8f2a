/* The turn, time, and the steps. */
#include "tests/model/world.h"

/*
 * Within a millisecond things happen in the order in which their deadlines were set. Two things are not said: when
 * ready messages that expire have their turn, those of one queue beside another's too, as a queue may look for them
 * itself instead of giving each a deadline of its own; and which queue comes first in a match. So other orders are tried, and where that makes a difference the
 * story is not told any further.
 */
enum policy { AS_ARMED, READY_FIRST, READY_BACKWARD, READY_LAST, QUEUES_BACKWARD, POLICIES };

/* ---- what is due ------------------------------------------------------------------------------------------------- */

enum event_kind { NOTHING, MESSAGE, WAITER, HELD, MOVE };

/* The next thing that happens by itself. */
struct event {
    enum event_kind kind;
    int64_t at;
    uint64_t order, then; /* within the millisecond */
    int queue, index;
};

static bool comes_before(const struct event *a, const struct event *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->order != b->order ? a->order < b->order : a->then < b->then;
}

static void consider(struct event *best, struct event other)
{
    if (best->kind == NOTHING || comes_before(&other, best))
        *best = other;
}

static int64_t deadline_of(const struct m *m)
{
    if (m->state == MESSAGE_INFLIGHT)
        return m->due;
    int64_t expires = m->expires ? m->expires : INT64_MAX;
    return m->state == MESSAGE_DELAYED && m->due < expires ? m->due : expires;
}

static struct event event_of(const struct m *m, int queue, int index, enum policy policy)
{
    struct event e = {.kind = MESSAGE, .at = deadline_of(m), .order = m->armed, .queue = queue, .index = index};
    if (m->state == MESSAGE_READY && (policy == READY_FIRST || policy == READY_BACKWARD))
        e.order = 0;
    if (m->state == MESSAGE_READY && policy == READY_BACKWARD)
        e.then = (uint64_t)(MODEL_QUEUES - queue);
    if (m->state == MESSAGE_READY && policy == READY_LAST)
        e.order = UINT64_MAX;
    if (m->state == MESSAGE_INFLIGHT && m->match && policy == QUEUES_BACKWARD) {
        e.order = m->match;
        e.then = (uint64_t)(MODEL_QUEUES - queue) << 32 | m->armed;
    }
    return e;
}

static struct event next_event(const struct model *w, enum policy policy)
{
    struct event next = {.kind = NOTHING, .at = INT64_MAX};
    for (int i = 0; i < MODEL_QUEUES; i++)
        for (int j = 0; w->queues[i].exists && j < w->queues[i].count; j++) {
            const struct m *m = &w->queues[i].list[j];
            if (deadline_of(m) < INT64_MAX)
                consider(&next, event_of(m, i, j, policy));
        }
    for (int i = 0; i < w->taker_count; i++)
        if (w->takers[i].waiter && !w->takers[i].over)
            consider(&next, (struct event){WAITER, w->takers[i].deadline, w->takers[i].armed, 0, 0, i});
    for (int i = 0; i < w->held_count; i++)
        consider(&next, (struct event){HELD, w->held[i].deadline, w->held[i].armed, 0, 0, i});
    for (int i = 0; i < w->move_count; i++)
        consider(&next, (struct event){MOVE, w->moves[i].deadline, w->moves[i].armed, 0, 0, i});
    return next;
}

static void message_due(struct model *w, struct q *q, struct m *m)
{
    if (m->state == MESSAGE_INFLIGHT) {
        q->n.timed_out++;
        model_give_back(w, q, m, -1, NULL);
    } else if (m->state == MESSAGE_DELAYED) {
        model_to_ready(w, q, m);
    } else {
        model_to_expired(w, q, m);
    }
}

static void happen(struct model *w, const struct event *e)
{
    if (e->kind == MESSAGE)
        message_due(w, &w->queues[e->queue], &w->queues[e->queue].list[e->index]);
    else if (e->kind == WAITER)
        w->takers[e->index].over = true;
    else if (e->kind == HELD)
        model_held_over(w, e->index);
    else
        model_move_due(w, e->index);
}

static void happen_all(struct model *w, enum policy policy)
{
    for (struct event e; (e = next_event(w, policy)).at <= w->now;)
        happen(w, &e);
}

/* What everything looks like afterwards, malloc'ed. The world stays as it is. */
static char *look_ahead(struct model *w, enum policy policy)
{
    struct model *before = model_remember_world(w);
    size_t bytes = w->bytes;
    static const struct step peek = {.op = STEP_PEEK, .second = MAX_MESSAGES};
    happen_all(w, policy);
    model_state(w);
    for (int i = 0; i < MODEL_QUEUES; i++) {
        model_peek(w, &w->queues[i], &peek);
        model_counters(w, &w->queues[i]);
    }
    model_moves(w);
    char *text = strdup(w->out + bytes);
    assert(text);
    w->bytes = bytes;
    w->out[bytes] = '\0';
    model_restore_world(w, before);
    return text;
}

/* True if more than one thing is due, and of one of them it is not said when it has its turn. */
static bool order_is_open(const struct model *w)
{
    int due = w->held_count + w->move_count, ready = 0;
    uint64_t match = 0;
    int from = 0;
    bool queues = false;
    for (int i = 0; i < MODEL_QUEUES; i++)
        for (int j = 0; w->queues[i].exists && j < w->queues[i].count; j++) {
            const struct m *m = &w->queues[i].list[j];
            if (deadline_of(m) > w->now)
                continue;
            due++;
            ready += m->state == MESSAGE_READY;
            bool matched = m->state == MESSAGE_INFLIGHT && m->match;
            queues = queues || (matched && m->match == match && from != i);
            match = matched ? m->match : match;
            from = matched ? i : from;
        }
    return (ready > 0 && due > 1) || queues;
}

/* True if it makes no difference. */
static bool order_is_clear(struct model *w)
{
    if (!order_is_open(w))
        return true;
    char *usual = look_ahead(w, AS_ARMED);
    bool clear = true;
    for (int policy = AS_ARMED + 1; policy < POLICIES && clear; policy++) {
        char *other = look_ahead(w, (enum policy)policy);
        clear = strcmp(usual, other) == 0;
        free(other);
    }
    free(usual);
    return clear;
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static int compare_said(const void *a, const void *b)
{
    const struct said *x = a, *y = b;
    if (x->peer != y->peer)
        return x->peer - y->peer;
    return x->id != y->id ? (x->id < y->id ? -1 : 1) : x->kind - y->kind;
}

static void tell_all(struct model *w)
{
    qsort(w->said, (size_t)w->said_count, sizeof *w->said, compare_said);
    for (int i = 0; i < w->said_count; i++) {
        const struct said *s = &w->said[i];
        static const char *const words[] = {"/", ".r", ".r", "/", ".p"};
        model_say(w, "  %c%s%" PRIu64 " ", s->peer, words[s->kind], s->id);
        if (s->kind < 2)
            model_say(w, "gets%s\n", s->text[0] ? s->text : " nothing");
        else if (s->kind == 4)
            model_say(w, "%s", s->text);
        else
            model_say(w, "%s\n", s->kind == 2 ? "QUEUE_NOT_FOUND" : "cancelled queue_deleted");
    }
    w->said_count = 0;
}

static void turn_once(struct model *w)
{
    w->unclear = w->unclear || !order_is_clear(w);
    happen_all(w, AS_ARMED);
    model_retry_held(w);
    w->match = model_arm(w);
    for (int q = 0; q < MODEL_QUEUES; q++)
        if (w->queues[q].exists)
            model_match(w, q);
    w->match = 0;
    model_answer_waiters(w);
    tell_all(w);
}

/* Turns until nothing is left to do. */
static void turn(struct model *w)
{
    do
        turn_once(w);
    while (w->room);
}

static void do_at(struct model *w, int64_t until)
{
    for (int64_t next; (next = next_event(w, AS_ARMED).at) <= until && !w->unclear;) {
        w->now = next > w->now ? next : w->now;
        size_t before = w->bytes;
        model_say(w, "  -- %" PRId64 "\n", w->now);
        size_t after = w->bytes;
        turn(w);
        if (w->bytes == after || w->now == until) {
            memmove(w->out + before, w->out + after, w->bytes - after);
            w->bytes -= after - before;
        }
        w->out[w->bytes] = '\0';
    }
    w->now = until;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void open_peer(struct model *w, char peer)
{
    int i = peer - 'A';
    if (!w->open[i]) {
        w->open[i] = true;
        w->full[i] = false;
        w->next_consumer[i] = 1;
    }
}

static void do_info(struct model *w, const struct q *q)
{
    model_say(w, "  delayed %d ready %d inflight %d parked %d bytes %" PRId64 "\n", model_count_in(q, MESSAGE_DELAYED),
              model_count_in(q, MESSAGE_READY), model_count_in(q, MESSAGE_INFLIGHT), model_count_in(q, MESSAGE_PARKED),
              model_bytes_of(q));
}

static void do_queue_step(struct model *w, const struct step *s)
{
    struct q *q = &w->queues[s->queue];
    if (!q->exists) {
        model_say(w, "  QUEUE_NOT_FOUND\n");
        return;
    }
    switch (s->op) {
    case STEP_UPDATE:
        model_update(w, q, s);
        break;
    case STEP_DELETE:
        model_delete(w, s->queue);
        break;
    case STEP_PURGE:
        model_purge(w, q, s->number);
        break;
    case STEP_PAUSE:
    case STEP_RESUME:
        q->paused = s->op == STEP_PAUSE;
        break;
    case STEP_INFO:
        do_info(w, q);
        break;
    case STEP_PUBLISH:
        model_publish(w, q, s);
        break;
    case STEP_CONSUME:
        model_consume(w, q, s);
        break;
    case STEP_RECEIVE:
        model_receive(w, q, s);
        break;
    case STEP_KICK:
        model_kick(w, q, s->number);
        break;
    case STEP_DISCARD:
        model_discard(w, q, s);
        break;
    case STEP_PEEK:
        model_peek(w, q, s);
        break;
    case STEP_COUNTERS:
        model_counters(w, q);
        break;
    case STEP_MOVE:
        model_move(w, q, s);
        break;
    default:
        assert(false);
    }
}

static void do_consumer_step(struct model *w, const struct step *s)
{
    struct t *t = model_consumer(w, s);
    if (t && s->op == STEP_CREDIT)
        t->limit = (uint32_t)s->number;
    else if (t)
        model_end_consumer(w, t);
}

static void do_step(struct model *w, const struct step *s)
{
    if (s->peer)
        open_peer(w, s->peer);
    switch (s->op) {
    case STEP_CREATE:
        model_create(w, s);
        break;
    case STEP_ACK:
    case STEP_NACK:
    case STEP_EXTEND:
    case STEP_PARK:
        model_settle(w, &w->queues[s->queue], s);
        break;
    case STEP_WRITTEN:
    case STEP_UNWRITTEN:
        model_written(w, &w->queues[s->queue], s);
        break;
    case STEP_CREDIT:
    case STEP_CANCEL:
        do_consumer_step(w, s);
        break;
    case STEP_CLOSE:
        model_end_peer(w, s->peer);
        break;
    case STEP_FULL:
    case STEP_DRAINED:
        w->full[s->peer - 'A'] = s->op == STEP_FULL;
        break;
    case STEP_AT:
        do_at(w, s->number);
        break;
    case STEP_STATE:
        model_state(w);
        break;
    case STEP_TOPIC_CREATE:
    case STEP_TOPIC_DELETE:
    case STEP_TOPIC_INFO:
    case STEP_SUBSCRIBE:
    case STEP_UNSUBSCRIBE:
    case STEP_PUBLISH_TOPIC:
        model_topic_step(w, s);
        break;
    case STEP_COMMIT:
        model_commit(w, s);
        break;
    case STEP_MOVES:
        model_moves(w);
        break;
    case STEP_MOVE_CANCEL:
        model_move_cancel(w, s);
        break;
    default:
        do_queue_step(w, s);
    }
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

struct model *model_open(void)
{
    struct model *w = calloc(1, sizeof *w);
    assert(w);
    model_say(w, "%s", "");
    return w;
}

bool model_tell(struct model *w, const struct step *s)
{
    char line[STEP_LINE];
    size_t before = w->bytes;
    (void)step_print(s, line, sizeof line);
    model_say(w, "%s", line);
    do_step(w, s);
    if (!s->together)
        turn(w);
    if (!w->unclear)
        return true;
    w->bytes = before;
    w->out[before] = '\0';
    return false;
}

const char *model_said(const struct model *w)
{
    return w->out;
}

char *model_close(struct model *w)
{
    char *out = w->out;
    free(w->seen);
    free(w);
    return out;
}

char *model_run(const struct step *steps, size_t *count)
{
    struct model *w = model_open();
    for (size_t i = 0; i < *count; i++)
        if (!model_tell(w, &steps[i]))
            *count = i;
    return model_close(w);
}
