/*
 * How a message enters a queue, and the sweep that ends those that nobody has taken in time.
 *
 * Messages with their queue's own ttl and retention expire in the order of their ids: one timer for the queue, the sweep, serves
 * them all and need only look at the first. A ttl of its own, or a ttl or retention that has been shortened since the message
 * before came, breaks that order: then the message has a timer, in a slot.
 */
#include "server/broker/life.h"
#include "server/broker/watch.h"

#include <assert.h>

static inline void cover(struct broker *b, struct queue *q, uint64_t id, int64_t expires_ms)
{
    if (expires_ms == 0)
        return;
    if (id < q->sweep_from)
        q->sweep_from = id;
    if (!timer_armed(&q->sweep) || expires_ms < q->sweep.deadline_ms) {
        q->sweep.kind = TIMER_SWEEP;
        timer_arm(&b->timers, &q->sweep, expires_ms);
    }
}

void life_cover(struct broker *b, struct queue *q, const struct message *m)
{
    cover(b, q, m->id, m->expires_ms);
}

/* The earlier of the ends that ttl and retention set; 0 = never. */
static int64_t expiry(const struct queue *q, int64_t now_ms, int64_t ttl_ms, bool *by_ttl)
{
    int64_t retention_ms = q->attributes.retention;
    *by_ttl = ttl_ms != 0 && (retention_ms == 0 || ttl_ms <= retention_ms);
    int64_t life_ms = *by_ttl ? ttl_ms : retention_ms;
    return life_ms != 0 ? now_ms + life_ms : 0;
}

/* Messages with the queue's own ttl and retention expire in the order of their ids, unless those have been shortened meanwhile:
   then, and with a ttl of its own, a message has a timer. */
static bool is_timed(const struct queue *q, int64_t expires_ms, int64_t ttl_ms)
{
    bool own = ttl_ms >= 0 && ttl_ms != q->attributes.ttl;
    return expires_ms != 0 && (own || expires_ms < q->swept_ms);
}

static inline int64_t own_or(int64_t own_ms, int64_t queue_ms)
{
    return own_ms >= 0 ? own_ms : queue_ms;
}

bool life_needs_slot(const struct queue *q, int64_t now_ms, int64_t delay_ms, int64_t ttl_ms)
{
    bool by_ttl;
    int64_t expires_ms = expiry(q, now_ms, own_or(ttl_ms, q->attributes.ttl), &by_ttl);
    return own_or(delay_ms, q->attributes.delay) > 0 || is_timed(q, expires_ms, ttl_ms);
}

static inline void date(const struct queue *q, int64_t now_ms, struct message *m, int64_t ttl_ms)
{
    bool by_ttl;
    message_set_published(m, now_ms);
    m->expires_ms = expiry(q, now_ms, own_or(ttl_ms, q->attributes.ttl), &by_ttl);
    if (by_ttl)
        m->flags |= MESSAGE_TTL;
    if (is_timed(q, m->expires_ms, ttl_ms))
        m->flags |= MESSAGE_TIMED;
}

/* What comes now must not expire before this one, or it has a timer. */
static inline void note_end(struct queue *q, const struct message *m)
{
    if (m->expires_ms != 0 && !(m->flags & MESSAGE_TIMED))
        q->swept_ms = m->expires_ms;
}

void life_enter(struct broker *b, int64_t now_ms, struct queue *q, struct message *m, int64_t delay_ms, int64_t ttl_ms,
                struct group **spare, bool copies_follow)
{
    delay_ms = own_or(delay_ms, q->attributes.delay);
    int64_t due_ms = delay_ms > 0 ? now_ms + delay_ms : 0;
    enum message_state state = due_ms != 0 ? MESSAGE_DELAYED : MESSAGE_READY;
    date(q, now_ms, m, ttl_ms);
    note_end(q, m);
    m->id = q->next_id++;
    struct ring_cursor at = ring_put(q->messages, m->id, m, state);
    q->state_bytes[state] += m->body_bytes;
    if (m->flags & MESSAGE_LINKED) {
        if (q->attributes.type == QUEUE_FIFO)
            group_join(b, q, m, spare);
        order_enter(q, m, state);
    }
    if (due_ms != 0 || m->flags & MESSAGE_TIMED) {
        m->slot = slots_take(&b->slots);
        struct slot *slot = slots_at(&b->slots, m->slot);
        slot->at = at;
        slot_set_since(slot, due_ms);
        bool expires_first = due_ms == 0 || (m->expires_ms != 0 && m->expires_ms < due_ms);
        life_arm(b, slot, expires_first ? m->expires_ms : due_ms);
    } else {
        life_cover(b, q, m);
    }
    if (watched(b, q))
        b->watcher->stored_cb(b->watcher->user, q, m, state, due_ms, copies_follow);
    if (m->flags & MESSAGE_LINKED)
        order_settle(b, q, message_links(m)->group);
}

bool life_stamp(const struct queue *q, int64_t now_ms, struct message *stamp)
{
    *stamp = (struct message){.id = q->next_id, .slot = MESSAGE_NO_SLOT};
    date(q, now_ms, stamp, -1);
    return q->attributes.delay == 0 && !(stamp->flags & MESSAGE_TIMED);
}

void life_tell_stored(struct broker *b, struct queue *q, uint64_t id, uint32_t count)
{
    for (uint32_t told = 0, part; told < count; told += part) {
        const struct ring_cursor at = ring_find(q->messages, id + told);
        part = RING_FANOUT - at.lane < count - told ? RING_FANOUT - at.lane : count - told;
        b->watcher->stored_run_cb(b->watcher->user, q, ring_lane(at), part);
    }
}

void life_entered(struct broker *b, struct queue *q, uint32_t count, uint64_t bytes, int64_t expires_ms)
{
    cover(b, q, q->next_id, expires_ms); /* the others expire with the first */
    q->next_id += count;
    q->state_bytes[MESSAGE_READY] += bytes;
    if (expires_ms != 0)
        q->swept_ms = expires_ms;
}

void life_sweep(struct broker *b, int64_t now_ms, struct queue *q, uint32_t *budget)
{
    for (; *budget > 0; --*budget) {
        struct ring_cursor at = ring_first(q->messages, MESSAGE_READY, q->sweep_from);
        if (!at.page) {
            q->sweep_from = UINT64_MAX;
            return;
        }
        struct message *m = life_message(at);
        q->sweep_from = m->id;
        if (m->flags & MESSAGE_TIMED || m->expires_ms == 0) {
            q->sweep_from++;
            continue;
        }
        if (!life_passed(b, m->expires_ms, now_ms)) {
            /* What is covered expires in the order of ids: nothing behind this one is earlier. */
            life_cover(b, q, m);
            return;
        }
        life_expire(b, now_ms, q, at, MESSAGE_READY);
        watch_event(b);
    }
    timer_arm(&b->timers, &q->sweep, now_ms - (int64_t)b->clock_slack_ms);
}
