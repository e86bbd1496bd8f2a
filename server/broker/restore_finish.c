/*
 * The end of a restoration: what has only been lying in the rings gets all that it has in a broker that runs. Every message is
 * looked at once, in the order of the ids.
 *
 * A ready message expires by the sweep of its queue if it stands in the order of expiries: not earlier than the ones before
 * it, and not later than the next. Else, like all that are delayed or parked, it has a timer of its own. (One with a long ttl
 * among many with a shorter one is out of order; the many are not.)
 */
#include "server/broker/life.h"
#include "server/broker/restore.h"
#include "server/broker/watch.h"

/* When a message expires that is published now: INT64_MAX: never. */
static int64_t fresh_expiry(const struct queue *q, int64_t now_ms)
{
    int64_t ttl_ms = q->attributes.ttl, retention_ms = q->attributes.retention;
    int64_t life_ms = ttl_ms != 0 && (retention_ms == 0 || ttl_ms < retention_ms) ? ttl_ms : retention_ms;
    return life_ms != 0 ? now_ms + life_ms : INT64_MAX;
}

static int64_t expiry_at(struct ring_cursor next, int64_t otherwise_ms)
{
    int64_t expires_ms = next.page ? life_message(next)->expires_ms : otherwise_ms;
    return expires_ms != 0 ? expires_ms : INT64_MAX;
}

/* A slot for a ready message; false if memory ran out. */
static bool give_slot(struct broker *b, struct ring_cursor at)
{
    struct message *m = life_message(at);
    if (m->slot != MESSAGE_NO_SLOT)
        return true;
    m->slot = slots_take(&b->slots); /* SLOT_NONE means the same in a message */
    if (m->slot == MESSAGE_NO_SLOT)
        return false;
    slots_at(&b->slots, m->slot)->at = at;
    return true;
}

/* What was inflight is ready. Those that must die keep a slot, so that they can be parked whatever happens. */
static bool give_back(struct broker *b, struct queue *q)
{
    int64_t max_attempts = q->attributes.max_attempts;
    for (struct ring_cursor at; (at = ring_first(q->messages, MESSAGE_INFLIGHT, 0)).page;) {
        struct message *m = life_message(at);
        if (max_attempts != 0 && m->attempts >= max_attempts) {
            if (!give_slot(b, at))
                return false;
            m->flags |= MESSAGE_SPENT;
            b->spent_count++;
        }
        ring_set(at, MESSAGE_INFLIGHT, MESSAGE_READY);
        b->inflight_count--;
    }
    q->state_bytes[MESSAGE_READY] += q->state_bytes[MESSAGE_INFLIGHT];
    q->state_bytes[MESSAGE_INFLIGHT] = 0;
    return true;
}

/* Beside the ring: its group, or the tree of its priority. */
static bool link_up(struct broker *b, struct queue *q, struct message *m, enum message_state state)
{
    if (q->attributes.type == QUEUE_FIFO) {
        struct group *spare = NULL;
        if (!group_find(b, q, message_group(m)) && !(spare = group_new(b, q, message_group(m))))
            return false;
        group_join(b, q, m, &spare);
    }
    order_enter(q, m, state);
    return true;
}

/* The timer of its own, or the sweep. */
static bool set_end(struct broker *b, struct queue *q, struct ring_cursor at, enum message_state state,
                    int64_t next_expires_ms)
{
    struct message *m = life_message(at);
    bool in_order = m->expires_ms >= q->swept_ms && m->expires_ms <= next_expires_ms;
    if (state == MESSAGE_READY && (m->expires_ms == 0 || in_order)) {
        if (m->expires_ms != 0)
            q->swept_ms = m->expires_ms;
        life_cover(b, q, m);
        return true;
    }
    if (!give_slot(b, at))
        return false;
    struct slot *slot = slots_at(&b->slots, m->slot);
    int64_t end_ms = m->expires_ms;
    if (end_ms != 0)
        m->flags |= MESSAGE_TIMED;
    if (state == MESSAGE_DELAYED && (end_ms == 0 || slot->since_ms < end_ms))
        end_ms = slot->since_ms;
    if (end_ms != 0)
        life_arm(b, slot, end_ms);
    return true;
}

static bool queue_finish(struct broker *b, int64_t now_ms, struct queue *q)
{
    struct ring_walk walk;
    struct ring_cursor at;
    unsigned state;
    int64_t fresh_ms = fresh_expiry(q, now_ms);
    if (!give_back(b, q))
        return false;
    ring_walk_begin(&walk, q->messages);
    while (ring_walk_next(&walk, &at, &state)) {
        struct message *m = life_message(at);
        if (m->flags & MESSAGE_LINKED && !link_up(b, q, m, (enum message_state)state))
            return false;
        if (!set_end(b, q, at, (enum message_state)state, expiry_at(walk.next[MESSAGE_READY], fresh_ms)))
            return false;
    }
    order_review(b, q);
    dedup_restored(b, q);
    q->restored = queue_total(q);
    return true;
}

void restore_run_ended(struct broker *b)
{
    for (uint32_t i = 0; i < b->queue_count; i++) {
        struct queue *q = b->queues[i];
        ring_set_all(q->messages, MESSAGE_INFLIGHT, MESSAGE_READY);
        q->state_bytes[MESSAGE_READY] += q->state_bytes[MESSAGE_INFLIGHT];
        q->state_bytes[MESSAGE_INFLIGHT] = 0;
    }
    b->inflight_count = 0;
}

enum restore_result restore_finish(struct broker *b, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->queue_count; i++)
        if (!queue_finish(b, now_ms, b->queues[i]))
            return RESTORE_NO_MEMORY;
    return RESTORE_DONE;
}

void broker_restarted(struct broker *b, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->queue_count && b->spent_count > 0; i++) {
        struct queue *q = b->queues[i];
        struct ring_cursor at = ring_first(q->messages, MESSAGE_READY, 0);
        while (at.page) {
            uint64_t next = ring_key(at) + 1;
            struct message *m = life_message(at);
            if (m->flags & MESSAGE_SPENT) {
                m->flags &= (uint8_t)~MESSAGE_SPENT;
                b->spent_count--;
                life_dead(b, now_ms, q, at, MESSAGE_READY, PARK_MAX_ATTEMPTS, (struct view){NULL, 0});
                watch_event(b);
            }
            at = ring_first(q->messages, MESSAGE_READY, next);
        }
    }
    b->spent_count = 0;
}
