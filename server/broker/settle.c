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
static struct slot *find(struct broker *b, uint32_t index, uint64_t receipt)
{
    struct slot *slot = life_find(b, receipt);
    if (!slot)
        broker_outcome(b, index, ERR_RECEIPT_STALE, NULL);
    return slot;
}

void settle_ack(struct broker *b, int64_t now_ms, struct slot *slot)
{
    struct queue *q = life_queue(slot->at);
    COUNT(b, q, acked, 1);
    meter_add(&q->ack_meter, now_ms, 1);
    life_gone(b, q, slot->at, MESSAGE_INFLIGHT);
}

/* Acks everything handed over before this delivery to the same consumer, or in the same receive, oldest first. */
static uint32_t ack_before(struct broker *b, int64_t now_ms, struct slot *slot)
{
    uint32_t acked = 0, last = slot_index(slot), index = last;
    while (slots_at(&b->slots, index)->prev != SLOT_NONE)
        index = slots_at(&b->slots, index)->prev;
    while (index != last) {
        struct slot *before = slots_at(&b->slots, index);
        index = before->next;
        if (life_queue(before->at) && ring_is(before->at, MESSAGE_INFLIGHT)) {
            settle_ack(b, now_ms, before);
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
    *applied = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = find(b, i, receipts[i]);
        if (!slot)
            continue;
        if (multiple)
            *applied += ack_before(b, now_ms, slot);
        settle_ack(b, now_ms, slot);
        ++*applied;
    }
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
