#include "server/broker/broker.h"

#include "server/broker/dead.h"
#include "server/broker/dedup.h"
#include "server/broker/held.h"
#include "server/broker/line.h"
#include "server/broker/queues.h"
#include "server/broker/watch.h"

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
    /* A millisecond back: with a clock that is rounded up (clock_slack_ms) a deadline of now_ms has not passed yet. */
    timers_init(&b->timers, now_ms > 0 ? now_ms - 1 : 0);
    slots_init(&b->slots, &b->pool, run, 0);
    table_init(&b->numbers, &b->pool);
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

void broker_trash_all(struct broker *b)
{
    while (has_trash(b))
        trash_slice(b, UINT32_MAX);
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
        watch_event(b);
    }
}

bool broker_turn(struct broker *b, int64_t now_ms)
{
    uint32_t budget = TURN_TIMERS;
    b->delivery_count = 0;
    run_timers(b, now_ms, &budget);
    if (has_trash(b))
        trash_slice(b, TURN_TRASH); /* before the rest: it gives memory and credit back */
    watch_event(b);
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
    b->watcher = NULL; /* the end of everything is no change */
    while (b->moves)
        move_forget(b, b->moves);
    while (b->topic_count > 0)
        broker_topic_delete(b, b->topics[b->topic_count - 1]);
    while (b->queue_count > 0)
        queues_remove(b, b->timers.now_ms, b->queues[b->queue_count - 1]);
    table_close(&b->numbers);
    broker_effects_done(b);
    broker_trash_all(b);
    pool_give(&b->pool, b->topics, b->topic_cap * sizeof(struct topic *));
    slots_close(&b->slots);
    pool_give(&b->pool, b->queues, b->queue_cap * sizeof(struct queue *));
    pool_give(&b->pool, b->effects, b->effect_cap * sizeof *b->effects);
    pool_give(&b->pool, b->deliveries, b->delivery_cap * sizeof *b->deliveries);
    pool_give(&b->pool, b->outcomes, b->outcome_cap * sizeof *b->outcomes);
    assert(b->pool.used_bytes == 0);
    pool_close(&b->pool);
}
