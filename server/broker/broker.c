#include "server/broker/broker.h"

#include "server/broker/dead.h"
#include "server/broker/dedup.h"
#include "server/broker/held.h"
#include "server/broker/line.h"
#include "server/broker/topics.h"

#include <assert.h>
#include <string.h>

/* Deadlines handled, and messages of purged queues freed, in one turn. */
#define TURN_TIMERS 8192
#define TURN_TRASH  2048

/* How long a match that found no memory for a delivery waits before it tries again. */
#define STARVED_MS 10

void broker_init(struct broker *b, const struct broker_limits *limits, int64_t now_ms, uint32_t run)
{
    memset(b, 0, sizeof *b);
    pool_init(&b->pool);
    timers_init(&b->timers, now_ms);
    slots_init(&b->slots, &b->pool, run, 0);
    b->limits = *limits;
    b->random = 1;
    (void)broker_outcomes(b, (uint32_t)limits->max_batch);
}

bool broker_outcomes(struct broker *b, uint32_t count)
{
    b->outcome_count = 0;
    if (count <= b->outcome_cap)
        return true;
    struct outcome *outcomes = pool_take(&b->pool, count * sizeof *outcomes);
    if (!outcomes)
        return false;
    pool_give(&b->pool, b->outcomes, b->outcome_cap * sizeof *outcomes);
    b->outcomes = outcomes;
    b->outcome_cap = count;
    return true;
}

/* ---- trash ------------------------------------------------------------------------------------------------------- */

void broker_trash(struct broker *b, struct ring *ring)
{
    if (ring->in_trash)
        return;
    ring->in_trash = true;
    ring->trash_next = b->trash;
    b->trash = ring;
}

/* Frees up to *budget items; true if the ring has no more to free. */
static bool trash_ring(struct broker *b, struct ring *ring, uint32_t *budget)
{
    unsigned first = ring->owner ? RING_DOOMED : 0;
    for (unsigned state = first; state < RING_STATES; state++)
        for (struct ring_cursor at; (at = ring_first(ring, state, 0)).page; --*budget) {
            if (*budget == 0)
                return false;
            life_clear(b, at, state);
        }
    return true;
}

static bool has_trash(const struct broker *b)
{
    return b->trash || b->dead_groups || b->dead_dedups;
}

static void trash_slice(struct broker *b, uint32_t budget)
{
    while (b->trash && trash_ring(b, b->trash, &budget)) {
        struct ring *ring = b->trash;
        b->trash = ring->trash_next;
        ring->in_trash = false;
        if (!ring->owner)
            pool_give(&b->pool, ring, sizeof *ring);
    }
    if (group_trash(b, &budget))
        (void)dedup_trash(b, &budget);
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static void run_timers(struct broker *b, int64_t now_ms, uint32_t *budget)
{
    for (struct timer *t; (t = timers_pop(&b->timers, now_ms - (int64_t)b->clock_slack_ms, budget));) {
        switch ((enum timer_kind)t->kind) {
        case TIMER_SLOT:
            life_due(b, now_ms, (struct slot *)(void *)((char *)t - offsetof(struct slot, timer)));
            break;
        case TIMER_SWEEP:
            life_sweep(b, now_ms, (struct queue *)(void *)((char *)t - offsetof(struct queue, sweep)), budget);
            break;
        case TIMER_WAITER:
            line_over(b, (struct taker *)(void *)((char *)t - offsetof(struct taker, timer)));
            break;
        case TIMER_DEDUP:
            dedup_forget(b, (struct dedup *)(void *)((char *)t - offsetof(struct dedup, timer)));
            break;
        case TIMER_HELD:
            held_over(b, now_ms, (struct publishing *)(void *)((char *)t - offsetof(struct publishing, timer)));
            break;
        case TIMER_MOVE:
            move_due(b, now_ms, (struct move *)(void *)((char *)t - offsetof(struct move, timer)), budget);
            break;
        }
    }
}

bool broker_turn(struct broker *b, int64_t now_ms)
{
    uint32_t budget = TURN_TIMERS;
    b->delivery_count = 0;
    run_timers(b, now_ms, &budget);
    if (has_trash(b))
        trash_slice(b, TURN_TRASH); /* before the rest: it gives memory and credit back */
    held_turn(b, now_ms);
    b->starved = false;
    line_match(b, now_ms);
    return budget == 0 || (b->dirty && !b->starved) || has_trash(b) || b->over || held_ready(b);
}

void broker_effects_done(struct broker *b)
{
    b->effect_count = 0;
    held_done(b);
}

int64_t broker_next_ms(const struct broker *b)
{
    if ((b->dirty && !b->starved) || b->over || has_trash(b) || held_ready(b) || b->effect_count > 0)
        return b->timers.now_ms;
    int64_t due_ms = timers_next_ms(&b->timers), retry_ms = b->timers.now_ms + STARVED_MS;
    return b->starved && retry_ms < due_ms ? retry_ms : due_ms;
}

/* ---- queues ------------------------------------------------------------------------------------------------------ */

uint32_t broker_queue_lower(const struct broker *b, const char *name, size_t bytes)
{
    uint32_t low = 0, high = b->queue_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct queue *q = b->queues[middle];
        if (name_order(q->name, q->name_bytes, name, bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct queue *broker_queue_find(const struct broker *b, const char *name, size_t bytes)
{
    uint32_t i = broker_queue_lower(b, name, bytes);
    if (i == b->queue_count || name_order(b->queues[i]->name, b->queues[i]->name_bytes, name, bytes) != 0)
        return NULL;
    return b->queues[i];
}

static bool queues_reserve(struct broker *b)
{
    if (b->queue_count < b->queue_cap)
        return true;
    uint32_t cap = b->queue_cap ? b->queue_cap * 2 : 64;
    struct queue **queues = pool_take(&b->pool, cap * sizeof(struct queue *));
    if (!queues)
        return false;
    if (b->queue_count > 0)
        memcpy(queues, b->queues, b->queue_count * sizeof(struct queue *));
    pool_give(&b->pool, b->queues, b->queue_cap * sizeof(struct queue *));
    b->queues = queues;
    b->queue_cap = cap;
    return true;
}

static struct ring *messages_new(struct broker *b, struct queue *q)
{
    struct ring *ring = pool_take(&b->pool, sizeof *ring);
    if (ring)
        ring_init(ring, &b->pool, q);
    return ring;
}

static struct queue *queue_new(struct broker *b, int64_t now_ms, const char *name, size_t bytes,
                               const struct attributes *attributes)
{
    struct queue *q = pool_take(&b->pool, sizeof *q);
    if (!q)
        return NULL;
    memset(q, 0, sizeof *q);
    q->messages = messages_new(b, q);
    if (!q->messages) {
        pool_give(&b->pool, q, sizeof *q);
        return NULL;
    }
    ring_init(&q->takers, &b->pool, q);
    table_init(&q->groups.table, &b->pool);
    q->attributes = *attributes;
    q->next_id = 1;
    q->sweep_from = UINT64_MAX;
    q->next_place = 1;
    q->created_ms = now_ms;
    q->name_bytes = (uint8_t)bytes;
    memcpy(q->name, name, bytes);
    return q;
}

enum error_code broker_queue_create(struct broker *b, int64_t now_ms, const char *name, size_t bytes,
                                    const struct attribute_set *set, bool *created, uint32_t *differing)
{
    b->which = NULL;
    assert(queue_name_valid(name, bytes));
    struct attributes attributes;
    attributes_init(&attributes);
    if (!attributes_check(b, set))
        return ERR_BAD_REQUEST;
    struct queue *q = broker_queue_find(b, name, bytes);
    if (q) {
        *created = false;
        *differing = attributes_differing(&q->attributes, set);
        return *differing != 0 ? ERR_QUEUE_EXISTS : ERR_NONE;
    }
    enum error_code code = attributes_merge(b, (struct view){name, bytes}, set, &attributes);
    if (code != ERR_NONE)
        return code;
    if (b->queue_count >= b->limits.max_queues)
        return broker_refuse(b, ERR_LIMIT, "max_queues");
    if (broker_memory(b) + sizeof *q > b->limits.max_memory_bytes || !queues_reserve(b))
        return ERR_MEMORY_LIMIT;
    q = queue_new(b, now_ms, name, bytes, &attributes);
    if (!q)
        return ERR_MEMORY_LIMIT;
    uint32_t i = broker_queue_lower(b, name, bytes);
    memmove(&b->queues[i + 1], &b->queues[i], (b->queue_count - i) * sizeof(struct queue *));
    b->queues[i] = q;
    b->queue_count++;
    if (b->lines)
        held_room(b, q); /* it may be the dead-letter queue that another one misses */
    *created = true;
    *differing = 0;
    return ERR_NONE;
}

enum error_code broker_queue_update(struct broker *b, struct queue *q, const struct attribute_set *set)
{
    b->which = NULL;
    if (set->named >> ATTRIBUTE_type & 1)
        return broker_refuse(b, ERR_BAD_REQUEST, "type");
    if (!attributes_check(b, set))
        return ERR_BAD_REQUEST;
    enum error_code code = attributes_merge(b, (struct view){q->name, q->name_bytes}, set, &q->attributes);
    if (code != ERR_NONE)
        return code;
    q->updates++;
    if (b->lines)
        held_room(b, q);
    if (set->named & (1u << ATTRIBUTE_group_prefetch | 1u << ATTRIBUTE_sticky_groups))
        order_review(b, q);
    return ERR_NONE;
}

void broker_queue_pause(struct broker *b, struct queue *q, bool paused)
{
    q->paused = paused;
    line_wake(b, q);
}

/* The queue's messages are gone for everybody from here on; the trash frees them. */
static void detach_messages(struct broker *b, struct queue *q)
{
    b->inflight_count -= queue_count(q, MESSAGE_INFLIGHT);
    memset(q->state_bytes, 0, sizeof q->state_bytes);
    order_detach(b, q);
    q->messages->owner = NULL;
    broker_trash(b, q->messages);
    q->messages = NULL;
    timer_cancel(&b->timers, &q->sweep);
    q->sweep_from = UINT64_MAX;
}

static void doom(struct broker *b, struct queue *q, enum message_state state)
{
    if (state == MESSAGE_INFLIGHT)
        b->inflight_count -= queue_count(q, state);
    q->state_bytes[state] = 0;
    ring_set_all(q->messages, state, RING_DOOMED);
    broker_trash(b, q->messages);
    order_doom(b, q, state);
}

uint64_t broker_queue_purge(struct broker *b, struct queue *q, unsigned states)
{
    uint64_t count = 0;
    for (unsigned s = MESSAGE_DELAYED; s <= MESSAGE_PARKED; s++)
        count += states >> s & 1 ? queue_count(q, (enum message_state)s) : 0;
    if (count == 0)
        return 0;
    struct ring *fresh = count == queue_total(q) ? messages_new(b, q) : NULL;
    if (fresh) {
        detach_messages(b, q);
        q->messages = fresh;
    } else {
        for (unsigned s = MESSAGE_DELAYED; s <= MESSAGE_PARKED; s++)
            if (states >> s & 1)
                doom(b, q, (enum message_state)s);
    }
    COUNT(b, q, purged, count);
    if (b->lines)
        held_room(b, q);
    return count;
}

enum error_code broker_queue_delete(struct broker *b, int64_t now_ms, struct queue *q, bool if_empty, bool if_unused,
                                    uint64_t *count)
{
    b->which = NULL;
    if (if_empty && queue_total(q) > 0)
        return ERR_QUEUE_NOT_EMPTY;
    if (if_unused && q->consumer_count + q->waiter_count > 0)
        return ERR_QUEUE_IN_USE;
    *count = queue_total(q);
    COUNT(b, q, purged, *count);
    moves_queue_gone(b, now_ms, q);
    topics_forget(b, q);
    held_queue_gone(b, q);
    detach_messages(b, q);
    dedup_detach(b, q);
    line_dismiss(b, now_ms, q, ERR_QUEUE_NOT_FOUND, "queue_deleted");
    uint32_t i = broker_queue_lower(b, q->name, q->name_bytes);
    memmove(&b->queues[i], &b->queues[i + 1], (b->queue_count - i - 1) * sizeof(struct queue *));
    b->queue_count--;
    b->names_version++;
    table_close(&q->groups.table);
    pool_give(&b->pool, q, sizeof *q);
    return ERR_NONE;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

void broker_stop(struct broker *b)
{
    b->stopping = true;
    broker_refuse_held(b, ERR_DRAINING);
    for (uint32_t i = 0; i < b->queue_count; i++)
        line_refuse(b, b->queues[i], ERR_DRAINING);
}

void broker_stop_finish(struct broker *b, int64_t now_ms)
{
    for (uint32_t i = 0; i < b->queue_count; i++)
        line_dismiss(b, now_ms, b->queues[i], ERR_DRAINING, "draining");
}

void broker_close(struct broker *b)
{
    uint64_t count;
    while (b->moves)
        move_forget(b, b->moves);
    while (b->topic_count > 0)
        broker_topic_delete(b, b->topics[b->topic_count - 1]);
    while (b->queue_count > 0)
        (void)broker_queue_delete(b, b->timers.now_ms, b->queues[b->queue_count - 1], false, false, &count);
    broker_effects_done(b);
    while (has_trash(b))
        trash_slice(b, UINT32_MAX);
    pool_give(&b->pool, b->topics, b->topic_cap * sizeof(struct topic *));
    slots_close(&b->slots);
    pool_give(&b->pool, b->queues, b->queue_cap * sizeof(struct queue *));
    pool_give(&b->pool, b->effects, b->effect_cap * sizeof *b->effects);
    pool_give(&b->pool, b->deliveries, b->delivery_cap * sizeof *b->deliveries);
    pool_give(&b->pool, b->outcomes, b->outcome_cap * sizeof *b->outcomes);
    assert(b->pool.used_bytes == 0);
    pool_close(&b->pool);
}
