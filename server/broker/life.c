#include "server/broker/life.h"

#include "server/broker/dead.h"
#include "server/broker/line.h"
#include "server/broker/watch.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void drop_note(struct broker *b, struct slot *slot)
{
    if (slot->note)
        pool_give(&b->pool, slot->note, sizeof *slot->note + slot->note->bytes);
    slot->note = NULL;
    slot->reason = PARK_NONE;
}

static inline void drop_slot(struct broker *b, struct message *m)
{
    struct slot *slot = life_slot(b, m);
    if (!slot)
        return;
    timer_cancel(&b->timers, &slot->timer);
    drop_note(b, slot);
    slots_give(&b->slots, m->slot);
    m->slot = MESSAGE_NO_SLOT;
}

void life_drop_slot(struct broker *b, struct message *m)
{
    drop_slot(b, m);
}

/* The delivery ends: its receipt is dead from here on. */
static inline void end_delivery(struct broker *b, struct slot *slot)
{
    life_release(b, slot);
    timer_cancel(&b->timers, &slot->timer);
    b->inflight_count--;
}

/* The message has no slot any more and leaves its queue for good, but for its place in the ring. */
static inline void leave(struct broker *b, struct queue *q, struct message *m, enum message_state from)
{
    q->state_bytes[from] -= m->body_bytes;
    if (m->flags & MESSAGE_LINKED) {
        order_leave(q, m, from);
        order_settle(b, q, message_links(m)->group);
    }
    if (watched(b, q))
        b->watcher->cleared_cb(b->watcher->user, m);
    message_free(&b->pool, m);
}

void life_gone(struct broker *b, struct queue *q, struct ring_cursor at, enum message_state from)
{
    struct message *m = life_message(at);
    const uint64_t id = m->id;
    if (from == MESSAGE_INFLIGHT)
        end_delivery(b, life_slot(b, m));
    drop_slot(b, m);
    ring_remove(at, from);
    leave(b, q, m, from);
    if (watched(b, q))
        b->watcher->gone_cb(b->watcher->user, q, id, 1);
    if (b->lines)
        held_room(b, q);
}

void life_acked(struct broker *b, struct queue *q, struct slot *slot)
{
    struct message *m = life_message(slot->at);
    assert(!slot->note);
    end_delivery(b, slot);
    slots_give_one(&b->slots, slot);
    leave(b, q, m, MESSAGE_INFLIGHT);
}

static void tell_gone(struct broker *b, struct queue *q, const struct ring_page *page, uint64_t items)
{
    uint32_t count;
    while (items != 0) {
        const uint32_t lane = ring_take_run(&items, &count);
        b->watcher->gone_cb(b->watcher->user, q, page->first_key + lane, count);
    }
}

void life_acked_end(struct broker *b, struct queue *q, struct ring_page *page, uint64_t items, uint32_t count)
{
    if (watched(b, q))
        tell_gone(b, q, page, items);
    ring_leave(page, items, count, MESSAGE_INFLIGHT);
    if (ring_items(page) == 0)
        ring_prune(page);
    if (b->lines)
        held_room(b, q);
}

void life_clear(struct broker *b, struct ring_cursor at, unsigned from)
{
    struct message *m = life_message(at);
    struct slot *slot = life_slot(b, m);
    if (slot) {
        life_release(b, slot);
        drop_slot(b, m);
    }
    ring_remove(at, from);
    if (b->watcher)
        b->watcher->cleared_cb(b->watcher->user, m);
    message_free(&b->pool, m);
}

/* ---- the steps of a life ----------------------------------------------------------------------------------------- */

void life_expire(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from)
{
    if (life_message(at)->flags & MESSAGE_TTL && q->attributes.dead_letter_expired) {
        life_dead(b, now_ms, q, at, from, PARK_EXPIRED, (struct view){NULL, 0});
        return;
    }
    COUNT(b, q, expired, 1);
    life_gone(b, q, at, from);
}

static void tell_ready(struct broker *b, struct queue *q, struct message *m, enum message_state from)
{
    if (from == MESSAGE_PARKED)
        b->watcher->kicked_cb(b->watcher->user, q, m);
    else
        b->watcher->ready_cb(b->watcher->user, q, m);
}

void life_ready(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from)
{
    struct message *m = life_message(at);
    if (life_passed(b, m->expires_ms, now_ms)) {
        life_expire(b, now_ms, q, at, from);
        return;
    }
    if (from == MESSAGE_INFLIGHT)
        end_delivery(b, life_slot(b, m));
    life_move(q, at, from, MESSAGE_READY);
    if (m->flags & MESSAGE_TIMED) {
        life_arm(b, life_slot(b, m), m->expires_ms);
    } else {
        drop_slot(b, m);
        life_cover(b, q, m);
    }
    if (watched(b, q))
        tell_ready(b, q, m, from);
    life_settle(b, q, m);
    line_wake(b, q);
    if (b->lines)
        held_room(b, q); /* now it can be displaced */
}

void life_delay(struct broker *b, struct queue *q, struct ring_cursor at, int64_t until_ms)
{
    struct message *m = life_message(at);
    struct slot *slot = life_slot(b, m);
    end_delivery(b, slot);
    slot_set_since(slot, until_ms);
    life_arm(b, slot, m->expires_ms != 0 && m->expires_ms < until_ms ? m->expires_ms : until_ms);
    m->flags |= MESSAGE_HELD;
    life_move(q, at, MESSAGE_INFLIGHT, MESSAGE_DELAYED);
    if (watched(b, q))
        b->watcher->delayed_cb(b->watcher->user, q, m, until_ms);
    life_settle(b, q, m);
    if (b->lines)
        held_room(b, q);
}

struct note *life_note(struct broker *b, struct view text)
{
    if (text.bytes == 0)
        return NULL;
    struct note *note = pool_take(&b->pool, sizeof *note + text.bytes);
    if (note) {
        note->bytes = (uint32_t)text.bytes;
        memcpy(note->text, text.data, text.bytes);
    }
    return note;
}

/* The slot in which a message is parked; NULL if memory ran out. */
static struct slot *slot_to_park(struct broker *b, struct ring_cursor at, enum message_state from)
{
    struct message *m = life_message(at);
    if (m->slot == MESSAGE_NO_SLOT) {
        m->slot = slots_take(&b->slots); /* SLOT_NONE means the same in a message */
        if (m->slot == MESSAGE_NO_SLOT)
            return NULL;
        life_slot(b, m)->at = at;
    }
    struct slot *slot = life_slot(b, m);
    if (from == MESSAGE_INFLIGHT)
        end_delivery(b, slot);
    else
        timer_cancel(&b->timers, &slot->timer);
    return slot;
}

void life_park(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from,
               enum park_reason reason, struct view note)
{
    struct message *m = life_message(at);
    struct slot *slot = slot_to_park(b, at, from);
    if (!slot) {
        COUNT(b, q, expired, 1);
        life_gone(b, q, at, from);
        return;
    }
    slot->reason = (uint8_t)reason;
    slot->note = life_note(b, note);
    slot_set_since(slot, now_ms);
    /* Parking ends the ttl, and retention is counted anew. */
    m->expires_ms = q->attributes.retention != 0 ? now_ms + q->attributes.retention : 0;
    m->flags &= (uint8_t) ~(MESSAGE_TIMED | MESSAGE_TTL);
    if (m->expires_ms != 0) {
        m->flags |= MESSAGE_TIMED;
        life_arm(b, slot, m->expires_ms);
    }
    life_move(q, at, from, MESSAGE_PARKED);
    if (watched(b, q))
        b->watcher->parked_cb(b->watcher->user, q, m, slot);
    COUNT(b, q, parks, 1);
    life_settle(b, q, m);
}

void life_dead(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from,
               enum park_reason reason, struct view note)
{
    if (q->attributes.dead_letter.bytes > 0) {
        if (dead_letter(b, now_ms, q, at, from, reason, note))
            return;
        COUNT(b, q, dead_letter_failed, 1);
    }
    life_park(b, now_ms, q, at, from, reason, note);
}

void life_kick(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at)
{
    struct message *m = life_message(at);
    m->attempts = 0;
    drop_note(b, life_slot(b, m));
    COUNT(b, q, kicks, 1);
    life_ready(b, now_ms, q, at, MESSAGE_PARKED);
}

/* From 0 to just below 1. */
static double random_part(struct broker *b)
{
    /* xorshift64* (S. Vigna: "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016) */
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return (double)((b->random * 0x2545f4914f6cdd1du) >> 11) * 0x1p-53;
}

/* How long a message that comes back after its n-th attempt waits. */
static int64_t backoff_ms(struct broker *b, const struct backoff *backoff, uint32_t attempts)
{
    if (backoff->base_ms == 0)
        return 0;
    double cap = (double)(backoff->cap_ms != 0 ? backoff->cap_ms : LIMIT_TIME_MS);
    double delay = (double)backoff->base_ms * pow(backoff->factor, attempts - 1);
    if (delay > cap)
        delay = cap;
    if (backoff->jitter > 0)
        delay *= 1 - backoff->jitter * random_part(b);
    return delay < 1 ? 1 : (int64_t)delay;
}

void life_return(struct broker *b, int64_t now_ms, struct slot *slot, int64_t delay_ms, struct view note)
{
    struct ring_cursor at = slot->at;
    struct queue *q = life_queue(at);
    struct message *m = life_message(at);
    int64_t max_attempts = q->attributes.max_attempts;
    if (max_attempts != 0 && m->attempts >= max_attempts) {
        life_dead(b, now_ms, q, at, MESSAGE_INFLIGHT, PARK_MAX_ATTEMPTS, note);
        return;
    }
    if (delay_ms < 0)
        delay_ms = backoff_ms(b, &q->attributes.backoff, m->attempts);
    if (delay_ms > 0 && !life_passed(b, m->expires_ms, now_ms))
        life_delay(b, q, at, now_ms + delay_ms);
    else
        life_ready(b, now_ms, q, at, MESSAGE_INFLIGHT);
}

void life_due(struct broker *b, int64_t now_ms, struct slot *slot)
{
    struct ring_cursor at = slot->at;
    struct queue *q = life_queue(at);
    if (!q || ring_is(at, RING_DOOMED))
        return; /* already gone for everybody: the trash will give the slot back */
    if (ring_is(at, MESSAGE_INFLIGHT)) {
        COUNT(b, q, timed_out, 1);
        life_return(b, now_ms, slot, -1, (struct view){NULL, 0});
    } else if (ring_is(at, MESSAGE_DELAYED)) {
        life_ready(b, now_ms, q, at, MESSAGE_DELAYED);
    } else {
        assert(life_passed(b, life_message(at)->expires_ms, now_ms));
        life_expire(b, now_ms, q, at, ring_is(at, MESSAGE_READY) ? MESSAGE_READY : MESSAGE_PARKED);
    }
}
