/* Room, dead letters, and messages that go from one queue to another. */
#include "tests/model/world.h"

bool model_fits(const struct q *q, int64_t count, int64_t bytes)
{
    return (!q->a.max_messages || count <= q->a.max_messages) && (!q->a.max_bytes || bytes <= q->a.max_bytes);
}

void model_begin_call(struct model *w)
{
    for (int i = 0; i < MODEL_QUEUES; i++)
        w->queues[i].before = w->queues[i].next_id;
}

/* The queue that takes this one's dead messages, or NULL. */
static struct q *target_of(struct model *w, const struct q *q)
{
    int number = model_dead_letter_of(q);
    if (number < 0 || !w->queues[number].exists || w->queues[number].a.type != q->a.type)
        return NULL;
    return &w->queues[number];
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

/* What would leave, chain by chain, before anything does. */
struct displaced {
    int queue;
    uint64_t id;
};

struct scheme {
    struct displaced list[MODEL_QUEUES * MAX_MESSAGES];
    int count;
    int64_t messages[MODEL_QUEUES], bytes[MODEL_QUEUES]; /* on top of what the queues hold */
    struct displaced
        stays; /* the message for which room is made, if it comes from a queue: it leaves that one anyway */
};

static bool is_displaced(const struct scheme *s, int queue, uint64_t id)
{
    for (int i = 0; i < s->count; i++)
        if (s->list[i].queue == queue && s->list[i].id == id)
            return true;
    return s->stays.queue == queue && s->stays.id == id;
}

static struct m *oldest(struct q *q, int queue, const struct scheme *s)
{
    static const enum message_state states[] = {MESSAGE_READY, MESSAGE_DELAYED};
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < q->count; i++)
            if (q->list[i].state == states[n] && q->list[i].id < q->before && !is_displaced(s, queue, q->list[i].id))
                return &q->list[i];
    return NULL;
}

/* True if there is room for a message, after what the scheme then lists. Depth first: what goes on the list first
   leaves first. */
static bool scheme_room(struct model *w, struct q *q, uint32_t bytes, struct scheme *s)
{
    int n = model_queue_number(w, q);
    while (!model_fits(q, q->count + s->messages[n] + 1, model_bytes_of(q) + s->bytes[n] + bytes)) {
        if (q->a.overflow == OVERFLOW_REJECT)
            return false;
        struct m *m = oldest(q, n, s);
        if (!m)
            return false;
        if (q->a.overflow == OVERFLOW_DEAD_LETTER_OLDEST) {
            struct q *target = target_of(w, q);
            if (!target || !scheme_room(w, target, m->bytes, s))
                return false;
            int to = model_queue_number(w, target);
            s->messages[to]++;
            s->bytes[to] += m->bytes;
        }
        s->list[s->count++] = (struct displaced){n, m->id};
        s->messages[n]--;
        s->bytes[n] -= m->bytes;
    }
    return true;
}

/* ---- from one queue to another ----------------------------------------------------------------------------------- */

/* The message leaves and a new one like it is at the end of the other queue. */
static void carry(struct model *w, struct q *q, struct m *m, struct q *to, const struct death *death)
{
    struct m copy = *m;
    copy.death = *death;
    assert(model_is_fifo(to) == model_is_fifo(q));
    model_to_nowhere(w, q, m);
    to->n.arrived++;
    model_put_in(w, to, &copy, 0, 0);
}

static struct death death_of(const struct model *w, const struct q *q, const struct m *m, const char *reason,
                             const char *note)
{
    return (struct death){
        .dead = true,
        .queue = model_queue_number(w, q),
        .id = m->id,
        .reason = reason,
        .note = note,
        .attempts = m->attempts,
        .first = m->first != NEVER ? m->first + WALL_AHEAD_MS : 0,
        .last = m->last != NEVER ? m->last + WALL_AHEAD_MS : 0,
    };
}

static void displace(struct model *w, const struct scheme *s)
{
    for (int i = 0; i < s->count; i++) {
        struct q *q = &w->queues[s->list[i].queue];
        struct m *m = model_find(q, s->list[i].id);
        if (q->a.overflow == OVERFLOW_DROP_OLDEST) {
            q->n.dropped++;
            model_to_nowhere(w, q, m);
        } else {
            struct death death = death_of(w, q, m, "overflow", NULL);
            q->n.dead_lettered++;
            carry(w, q, m, target_of(w, q), &death);
        }
    }
}

static bool room_for(struct model *w, struct q *q, uint32_t bytes, struct displaced stays)
{
    static struct scheme s;
    s.count = 0;
    s.stays = stays;
    memset(s.messages, 0, sizeof s.messages);
    memset(s.bytes, 0, sizeof s.bytes);
    if (stays.queue >= 0) {
        s.messages[stays.queue] = -1;
        s.bytes[stays.queue] = -(int64_t)bytes;
    }
    if (!scheme_room(w, q, bytes, &s))
        return false;
    displace(w, &s);
    return true;
}

bool model_make_room(struct model *w, struct q *q, uint32_t bytes)
{
    return room_for(w, q, bytes, (struct displaced){-1, 0});
}

void model_to_dead(struct model *w, struct q *q, struct m *m, const char *reason, const char *note)
{
    if (model_dead_letter_of(q) < 0) {
        model_to_parked(w, q, m, reason, note);
        return;
    }
    struct q *target = target_of(w, q);
    uint64_t id = m->id;
    model_begin_call(w);
    if (!target || !room_for(w, target, m->bytes, (struct displaced){model_queue_number(w, q), id})) {
        q->n.dead_letter_failed++;
        model_to_parked(w, q, m, reason, note);
        return;
    }
    m = model_find(q, id);
    struct death death = death_of(w, q, m, reason, note);
    q->n.dead_lettered++;
    carry(w, q, m, target, &death);
}

bool model_move_over(struct model *w, struct q *q, struct m *m, struct q *to)
{
    uint64_t id = m->id;
    model_begin_call(w);
    if (!room_for(w, to, m->bytes, (struct displaced){model_queue_number(w, q), id}))
        return false;
    static const struct death none;
    m = model_find(q, id);
    q->n.moved++;
    carry(w, q, m, to, &none);
    return true;
}
