#include "server/broker/life.h"

#include <assert.h>
#include <string.h>

static inline struct slot *slot_of(const struct broker *b, const struct message *m)
{
    return m->slot == MESSAGE_NO_SLOT ? NULL : slots_at(&b->slots, m->slot);
}

static void arm(struct broker *b, struct slot *slot, int64_t deadline_ms)
{
    slot->timer.kind = TIMER_SLOT;
    timer_arm(&b->timers, &slot->timer, deadline_ms);
}

static void drop_note(struct broker *b, struct slot *slot)
{
    if (slot->note)
        pool_give(&b->pool, slot->note, sizeof *slot->note + slot->note->bytes);
    slot->note = NULL;
    slot->reason = PARK_NONE;
}

static void drop_slot(struct broker *b, struct message *m)
{
    struct slot *slot = slot_of(b, m);
    if (!slot)
        return;
    timer_cancel(&b->timers, &slot->timer);
    drop_note(b, slot);
    slots_give(&b->slots, m->slot);
    m->slot = MESSAGE_NO_SLOT;
}

/* From one state to another, with its bytes. */
static inline void move(struct queue *q, struct ring_cursor at, enum message_state from, enum message_state to)
{
    uint32_t bytes = life_message(at)->body_bytes;
    q->state_bytes[from] -= bytes;
    q->state_bytes[to] += bytes;
    ring_set(at, from, to);
}

struct slot *life_find(const struct broker *b, uint64_t receipt)
{
    struct slot *slot = slots_find(&b->slots, receipt);
    if (!slot || !ring_is(slot->at, MESSAGE_INFLIGHT) || !life_queue(slot->at))
        return NULL;
    return slot;
}

void life_release(struct broker *b, struct slot *slot)
{
    struct taker *holder = slot->holder;
    if (slot->prev != SLOT_NONE)
        slots_at(&b->slots, slot->prev)->next = slot->next;
    else if (holder)
        holder->oldest_held = slot->next;
    if (slot->next != SLOT_NONE)
        slots_at(&b->slots, slot->next)->prev = slot->prev;
    else if (holder)
        holder->newest_held = slot->prev;
    slot->prev = slot->next = SLOT_NONE;
    slot->holder = NULL;
    if (holder) {
        assert(holder->held > 0);
        holder->held--;
        if (!holder->able)
            line_update(b, holder);
    }
}

/* The delivery ends: its receipt is dead from here on. */
static void end_delivery(struct broker *b, struct slot *slot)
{
    life_release(b, slot);
    timer_cancel(&b->timers, &slot->timer);
    b->inflight_count--;
}

void life_gone(struct broker *b, struct queue *q, struct ring_cursor at, enum message_state from)
{
    struct message *m = life_message(at);
    if (from == MESSAGE_INFLIGHT)
        end_delivery(b, slot_of(b, m));
    drop_slot(b, m);
    q->state_bytes[from] -= m->body_bytes;
    ring_remove(at, from);
    message_free(&b->pool, m);
}

void life_clear(struct broker *b, struct ring_cursor at, unsigned from)
{
    struct message *m = life_message(at);
    struct slot *slot = slot_of(b, m);
    if (slot) {
        life_release(b, slot);
        drop_slot(b, m);
    }
    ring_remove(at, from);
    message_free(&b->pool, m);
}

void life_cover(struct broker *b, struct queue *q, const struct message *m)
{
    if (m->expires_ms == 0)
        return;
    if (m->id < q->sweep_from)
        q->sweep_from = m->id;
    if (!timer_armed(&q->sweep) || m->expires_ms < q->sweep.deadline_ms) {
        q->sweep.kind = TIMER_SWEEP;
        timer_arm(&b->timers, &q->sweep, m->expires_ms);
    }
}

void life_ready(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from)
{
    struct message *m = life_message(at);
    if (life_passed(b, m->expires_ms, now_ms)) {
        COUNT(b, q, expired, 1);
        life_gone(b, q, at, from);
        return;
    }
    if (from == MESSAGE_INFLIGHT)
        end_delivery(b, slot_of(b, m));
    move(q, at, from, MESSAGE_READY);
    if (m->flags & MESSAGE_TIMED) {
        arm(b, slot_of(b, m), m->expires_ms);
    } else {
        drop_slot(b, m);
        life_cover(b, q, m);
    }
    line_wake(b, q);
}

void life_delay(struct broker *b, struct queue *q, struct ring_cursor at, int64_t until_ms)
{
    struct message *m = life_message(at);
    struct slot *slot = slot_of(b, m);
    end_delivery(b, slot);
    slot->since_ms = until_ms;
    arm(b, slot, m->expires_ms != 0 && m->expires_ms < until_ms ? m->expires_ms : until_ms);
    move(q, at, MESSAGE_INFLIGHT, MESSAGE_DELAYED);
}

static struct note *note_new(struct broker *b, struct view text)
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

void life_park(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum park_reason reason,
               struct view note)
{
    struct message *m = life_message(at);
    struct slot *slot = slot_of(b, m);
    end_delivery(b, slot);
    slot->reason = (uint8_t)reason;
    slot->note = note_new(b, note);
    slot->since_ms = now_ms;
    /* Parking ends the ttl, and retention is counted anew. */
    m->expires_ms = q->attributes.retention != 0 ? now_ms + q->attributes.retention : 0;
    m->flags &= ~(uint32_t)MESSAGE_TIMED;
    if (m->expires_ms != 0) {
        m->flags |= MESSAGE_TIMED;
        arm(b, slot, m->expires_ms);
    }
    move(q, at, MESSAGE_INFLIGHT, MESSAGE_PARKED);
    COUNT(b, q, parks, 1);
}

void life_kick(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at)
{
    struct message *m = life_message(at);
    m->attempts = 0;
    drop_note(b, slot_of(b, m));
    COUNT(b, q, kicks, 1);
    life_ready(b, now_ms, q, at, MESSAGE_PARKED);
}

void life_return(struct broker *b, int64_t now_ms, struct slot *slot, int64_t delay_ms, struct view note)
{
    struct ring_cursor at = slot->at;
    struct queue *q = life_queue(at);
    struct message *m = life_message(at);
    int64_t max_attempts = q->attributes.max_attempts;
    if (max_attempts != 0 && m->attempts >= max_attempts)
        life_park(b, now_ms, q, at, PARK_MAX_ATTEMPTS, note);
    else if (delay_ms > 0 && !life_passed(b, m->expires_ms, now_ms))
        life_delay(b, q, at, now_ms + delay_ms);
    else
        life_ready(b, now_ms, q, at, MESSAGE_INFLIGHT);
}

/* The slot that the delivery will use; SLOT_NONE if memory ran out. */
static uint32_t slot_for_delivery(struct broker *b, struct message *m)
{
    if (m->slot == MESSAGE_NO_SLOT)
        return slots_take(&b->slots);
    if (!slots_exhausted(&b->slots, m->slot)) {
        timer_cancel(&b->timers, &slots_at(&b->slots, m->slot)->timer);
        return m->slot;
    }
    uint32_t index = slots_take(&b->slots);
    if (index != SLOT_NONE)
        drop_slot(b, m);
    return index;
}

/* A consumer's own visibility holds within the max_hold of the moment. */
static int64_t visibility_of(const struct queue *q, const struct taker *taker)
{
    if (taker->visibility_ms < 0)
        return q->attributes.visibility;
    return taker->visibility_ms < q->attributes.max_hold ? taker->visibility_ms : q->attributes.max_hold;
}

bool life_deliver(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, struct taker *taker)
{
    struct message *m = life_message(at);
    uint32_t index = slot_for_delivery(b, m);
    if (index == SLOT_NONE)
        return false;
    struct slot *slot = slots_at(&b->slots, index);
    m->slot = index;
    m->attempts++;
    slot->at = at;
    slot->since_ms = now_ms;
    slot->holder = taker->kind == TAKER_CONSUMER ? taker : NULL;
    slot->prev = taker->newest_held;
    slot->next = SLOT_NONE;
    if (slot->prev != SLOT_NONE)
        slots_at(&b->slots, slot->prev)->next = index;
    else
        taker->oldest_held = index;
    taker->newest_held = index;
    taker->held++;
    arm(b, slot, now_ms + visibility_of(q, taker));
    move(q, at, MESSAGE_READY, MESSAGE_INFLIGHT);
    b->inflight_count++;
    COUNT(b, q, delivered, 1);
    if (m->attempts > 1)
        COUNT(b, q, redelivered, 1);

    uint32_t n = b->delivery_count++;
    b->deliveries[n] = (struct delivery){m, slots_stamp(&b->slots, index), SLOT_NONE};
    if (taker->batch_count++ == 0)
        taker->batch_first = n;
    else
        b->deliveries[taker->batch_last].next = n;
    taker->batch_last = n;
    return true;
}

void life_due(struct broker *b, int64_t now_ms, struct slot *slot)
{
    struct ring_cursor at = slot->at;
    struct queue *q = life_queue(at);
    if (!q || ring_is(at, RING_DOOMED))
        return; /* already gone for everybody: the trash will give the slot back */
    struct message *m = life_message(at);
    if (ring_is(at, MESSAGE_INFLIGHT)) {
        COUNT(b, q, timed_out, 1);
        life_return(b, now_ms, slot, -1, (struct view){NULL, 0});
    } else if (ring_is(at, MESSAGE_DELAYED)) {
        life_ready(b, now_ms, q, at, MESSAGE_DELAYED);
    } else {
        assert(life_passed(b, m->expires_ms, now_ms));
        COUNT(b, q, expired, 1);
        life_gone(b, q, at, ring_is(at, MESSAGE_READY) ? MESSAGE_READY : MESSAGE_PARKED);
    }
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
        COUNT(b, q, expired, 1);
        life_gone(b, q, at, MESSAGE_READY);
    }
    timer_arm(&b->timers, &q->sweep, now_ms - (int64_t)b->clock_slack_ms);
}
