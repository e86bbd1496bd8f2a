/*
 * How a ready message becomes somebody's: it gets a slot with a deadline and a receipt, stands at the end of its taker's list, and is
 * noted as one of this turn's deliveries. What can fail is taking a slot, and comes first.
 *
 * life_deliver() does that for any message and any taker. life_deliver_run() does it for as many plain ones of a page as go to the
 * same consumer, and does once what is the same for all of them: their deadline, their bits in the page, sums and counters.
 */
#include "server/broker/life.h"

#include "server/broker/watch.h"

/* How many places ahead of a delivery messages are asked for. */
#define PREFETCH_AHEAD 8

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
        life_drop_slot(b, m);
    return index;
}

/* A consumer's own visibility holds within the max_hold of the moment. */
static int64_t visibility_of(const struct queue *q, const struct taker *taker)
{
    if (taker->visibility_ms < 0)
        return q->attributes.visibility;
    return taker->visibility_ms < q->attributes.max_hold ? taker->visibility_ms : q->attributes.max_hold;
}

/*
 * A slot becomes that of a message which is the taker's from now on, behind `last`, the slot of its newest delivery or NULL, and
 * entry n of this turn's deliveries is about it. The taker's own record is the caller's to bring up to date.
 */
static inline void hand_over(struct broker *b, int64_t now_ms, struct ring_cursor at, struct slot *slot,
                             struct slot *last, struct taker *taker, uint32_t n)
{
    struct message *m = life_message(at);
    m->slot = slot_index(slot);
    message_delivered(m, now_ms);
    slot->at = at;
    slot_set_since(slot, now_ms);
    slot->holder = taker->kind == TAKER_CONSUMER ? taker : NULL;
    slot->next = NULL;
    slot->prev = last;
    if (last)
        last->next = slot;
    b->deliveries[n] = (struct delivery){m, slot_stamp(slot), n + 1};
}

/* `count` deliveries, from the turn's next one on, are the taker's: the last one's slot is `last`. */
static inline void hold(struct broker *b, struct taker *taker, struct slot *last, uint32_t count)
{
    const uint32_t first = b->delivery_count;
    if (!taker->oldest_held)
        taker->oldest_held = life_slot(b, b->deliveries[first].message);
    taker->newest_held = last;
    taker->held += count;
    if (taker->batch_count == 0)
        taker->batch_first = first;
    else
        b->deliveries[taker->batch_last].next = first;
    taker->batch_count += count;
    taker->batch_last = first + count - 1;
    b->delivery_count += count;
    b->deliveries[taker->batch_last].next = SLOT_NONE;
    b->inflight_count += count;
}

bool life_deliver(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, struct taker *taker)
{
    struct message *m = life_message(at);
    uint32_t index = slot_for_delivery(b, m);
    if (index == SLOT_NONE)
        return false;
    struct slot *slot = slots_at(&b->slots, index);
    hand_over(b, now_ms, at, slot, taker->newest_held, taker, b->delivery_count);
    hold(b, taker, slot, 1);
    life_arm(b, slot, now_ms + visibility_of(q, taker));
    life_move(q, at, MESSAGE_READY, MESSAGE_INFLIGHT);
    if (watched(b, q))
        b->watcher->delivered_cb(b->watcher->user, q, m->id, 1, now_ms);
    if (m->flags & MESSAGE_LINKED && message_links(m)->group)
        group_hold(message_links(m)->group, taker);
    life_settle(b, q, m);
    COUNT(b, q, delivered, 1);
    if (m->attempts > 1)
        COUNT(b, q, redelivered, 1);
    return true;
}

/* The watcher hears of the page's messages in the order in which they were delivered, run by run of ids. */
static void tell_delivered(struct broker *b, struct queue *q, int64_t now_ms, struct ring_page *page, uint64_t dealt)
{
    uint32_t count;
    while (dealt != 0) {
        const uint32_t lane = ring_take_run(&dealt, &count);
        b->watcher->delivered_cb(b->watcher->user, q, page->first_key + lane, count, now_ms);
    }
}

/*
 * In a long backlog a message has left the processor's caches when its turn comes. So the one that is some places further on is
 * asked for already: its header, and what it has of a body in the lines behind. A place without an item may say anything, so
 * that is a number rather than a pointer to reckon with, and no more than a hint in vain.
 */
static inline void prefetch(const struct ring_page *page, uint32_t lane)
{
    const uintptr_t later = (uintptr_t)page->child[(lane + PREFETCH_AHEAD) % RING_FANOUT];
    __builtin_prefetch((const void *)later);
    __builtin_prefetch((const void *)(later + 64));
    __builtin_prefetch((const void *)(later + 128));
}

uint32_t life_deliver_run(struct broker *b, int64_t now_ms, struct queue *q, struct ring_page *page,
                          struct taker *consumer, uint32_t most)
{
    const int64_t deadline_ms = now_ms + visibility_of(q, consumer), passed_ms = now_ms - (int64_t)b->clock_slack_ms;
    struct slot *last = consumer->newest_held, *before = NULL;
    const int64_t before_bytes = consumer->peer->room_bytes;
    int64_t room_bytes = before_bytes;
    uint64_t ready = page->bits[MESSAGE_READY], dealt = 0;
    uint32_t count = 0, again = 0;
    for (; count < most && ready != 0 && room_bytes > 0; ready &= ready - 1, count++) {
        const struct ring_cursor at = {page, (uint32_t)__builtin_ctzll(ready)};
        const struct message *m = life_message(at);
        prefetch(page, at.lane);
        if (m->slot != MESSAGE_NO_SLOT || (m->expires_ms != 0 && m->expires_ms <= passed_ms))
            break;
        struct slot *slot = slots_take_one(&b->slots);
        if (!slot)
            break;
        hand_over(b, now_ms, at, slot, last, consumer, b->delivery_count + count);
        slot->timer.kind = TIMER_SLOT;
        if (before)
            timer_arm_behind(&b->timers, &slot->timer, &before->timer);
        else
            timer_arm(&b->timers, &slot->timer, deadline_ms);
        last = before = slot;
        dealt |= ready & -ready;
        room_bytes -= (int64_t)m->body_bytes + LIFE_DELIVERY_BYTES;
        again += m->attempts > 1;
    }
    if (count == 0)
        return 0;
    hold(b, consumer, last, count);
    consumer->peer->room_bytes = room_bytes;
    ring_leave(page, dealt, count, MESSAGE_READY);
    ring_enter(page, dealt, count, MESSAGE_INFLIGHT);
    const uint64_t bytes = (uint64_t)(before_bytes - room_bytes) - (uint64_t)count * LIFE_DELIVERY_BYTES;
    q->state_bytes[MESSAGE_READY] -= bytes;
    q->state_bytes[MESSAGE_INFLIGHT] += bytes;
    COUNT(b, q, delivered, count);
    COUNT(b, q, redelivered, again);
    if (watched(b, q))
        tell_delivered(b, q, now_ms, page, dealt);
    return count;
}
