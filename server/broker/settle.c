/* What consumers say about deliveries: ack, nack, extend, park; and what a connection says about bytes it has written. */
#include "server/broker/life.h"
#include "server/broker/watch.h"

/* The checks that all settling calls share; afterwards there is room for an outcome per receipt. */
static enum error_code begin(struct broker *b, uint32_t count)
{
    b->which = NULL;
    if (count == 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "receipts");
    if (count > b->limits.max_batch)
        return broker_refuse(b, ERR_LIMIT, "max_batch");
    /* The vector has been made for a full batch when the broker started: only a raised max_batch needs memory here. */
    return broker_outcomes(b, count) ? ERR_NONE : ERR_MEMORY_LIMIT;
}

/* Finds the next receipt's slot, or notes that it is stale. */
static inline struct slot *find(struct broker *b, uint32_t index, uint64_t receipt)
{
    struct slot *slot = life_find(b, receipt);
    if (!slot)
        broker_outcome(b, index, ERR_RECEIPT_STALE, NULL);
    return slot;
}

/* Acks often follow each other in a page of a queue's ring: they leave it together, and are counted together. */
struct acked {
    struct ring_page *page;
    uint64_t items; /* of the page, by their bits */
};

static void acked_end(struct broker *b, int64_t now_ms, struct acked *run)
{
    if (run->items == 0)
        return;
    struct queue *q = run->page->ring->owner;
    const uint32_t count = (uint32_t)__builtin_popcountll(run->items);
    COUNT(b, q, acked, count);
    meter_add(&q->ack_meter, now_ms, count);
    life_acked_end(b, q, run->page, run->items, count);
    *run = (struct acked){0};
}

static inline void ack(struct broker *b, int64_t now_ms, struct slot *slot, struct acked *run)
{
    const struct ring_cursor at = slot->at;
    if (at.page != run->page) {
        acked_end(b, now_ms, run);
        run->page = at.page;
    }
    run->items |= (uint64_t)1 << at.lane;
    life_acked(b, life_queue(at), slot);
}

void settle_ack(struct broker *b, int64_t now_ms, struct slot *slot)
{
    struct acked run = {0};
    ack(b, now_ms, slot, &run);
    acked_end(b, now_ms, &run);
}

/* Acks everything handed over before this delivery to the same consumer, or in the same receive, oldest first. */
static uint32_t ack_before(struct broker *b, int64_t now_ms, struct slot *slot, struct acked *run)
{
    uint32_t acked = 0;
    struct slot *next = slot;
    while (next->prev)
        next = next->prev;
    while (next != slot) {
        struct slot *before = next;
        next = before->next;
        if (life_queue(before->at) && ring_is(before->at, MESSAGE_INFLIGHT)) {
            ack(b, now_ms, before, run);
            acked++;
        } else {
            life_release(b, before); /* purged, and not yet freed */
        }
    }
    return acked;
}

enum error_code broker_ack(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count, bool multiple,
                           uint32_t *applied)
{
    enum error_code code = begin(b, count);
    if (code != ERR_NONE)
        return code;
    struct acked run = {0};
    uint32_t acked = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = find(b, i, receipts[i]);
        if (!slot)
            continue;
        if (multiple)
            acked += ack_before(b, now_ms, slot, &run);
        ack(b, now_ms, slot, &run);
        acked++;
    }
    acked_end(b, now_ms, &run);
    *applied = acked;
    return ERR_NONE;
}

enum error_code broker_nack(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count,
                            const struct nack_options *options, uint32_t *applied)
{
    if (options->dead && options->delay_ms >= 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "dead");
    enum error_code code = begin(b, count);
    if (code != ERR_NONE)
        return code;
    *applied = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = find(b, i, receipts[i]);
        if (!slot)
            continue;
        struct queue *q = life_queue(slot->at);
        COUNT(b, q, nacked, 1);
        if (options->dead)
            life_dead(b, now_ms, q, slot->at, MESSAGE_INFLIGHT, PARK_REJECTED, options->note);
        else
            life_return(b, now_ms, slot, options->delay_ms, options->note);
        ++*applied;
    }
    return ERR_NONE;
}

enum error_code broker_extend(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count,
                              int64_t visibility_ms, uint32_t *applied)
{
    enum error_code code = begin(b, count);
    if (code != ERR_NONE)
        return code;
    *applied = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = find(b, i, receipts[i]);
        if (!slot)
            continue;
        struct queue *q = life_queue(slot->at);
        if (visibility_ms == 0) {
            COUNT(b, q, nacked, 1);
            life_return(b, now_ms, slot, -1, (struct view){NULL, 0});
        } else if (now_ms + visibility_ms > slot->since_ms + q->attributes.max_hold) {
            broker_outcome(b, i, ERR_LIMIT, "max_hold");
            continue;
        } else {
            timer_arm(&b->timers, &slot->timer, now_ms + visibility_ms);
        }
        ++*applied;
    }
    return ERR_NONE;
}

enum error_code broker_park(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count,
                            struct view note, uint32_t *applied)
{
    enum error_code code = begin(b, count);
    if (code != ERR_NONE)
        return code;
    *applied = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = find(b, i, receipts[i]);
        if (!slot)
            continue;
        life_park(b, now_ms, life_queue(slot->at), slot->at, MESSAGE_INFLIGHT, PARK_REQUESTED, note);
        ++*applied;
    }
    return ERR_NONE;
}

void broker_unwritten(struct broker *b, int64_t now_ms, uint64_t receipt)
{
    struct slot *slot = life_find(b, receipt);
    if (!slot)
        return;
    struct queue *q = life_queue(slot->at);
    message_undelivered(life_message(slot->at));
    if (watched(b, q))
        b->watcher->undelivered_cb(b->watcher->user, q, life_message(slot->at));
    COUNT(b, q, returned, 1);
    life_ready(b, now_ms, q, slot->at, MESSAGE_INFLIGHT);
}

void broker_written(struct broker *b, int64_t now_ms, uint64_t receipt)
{
    struct slot *slot = life_find(b, receipt);
    if (slot)
        settle_ack(b, now_ms, slot);
}
