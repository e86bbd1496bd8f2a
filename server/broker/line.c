/*
 * line: who stands in line at a queue.
 *
 * Consumers and waiting receives stand in one ring in the order in which they came; a consumer keeps its place while it has
 * no credit. A taker is *able* if it could take a message now; a queue with something ready and somebody able is dirty, and the
 * next match looks at it (match.c).
 *
 * Room for effects is held ready for every taker there is: each ends in, or is told of its batch by, at most one effect a
 * turn. So ending a taker never allocates.
 */
#include "server/broker/line.h"

#include <assert.h>
#include <string.h>

bool line_wants_match(const struct broker *b, const struct queue *q)
{
    if (line_is_closed(b, q) || b->stopping || !q->messages) /* without messages it is being deleted */
        return false;
    if (q->attributes.type == QUEUE_STANDARD)
        return q->messages->count[MESSAGE_READY] > 0 && q->takers.count[TAKER_ABLE] > 0;
    return q->takers.count[TAKER_KEEN] > 0 || (q->groups.deliverable.first && q->takers.count[TAKER_ABLE] > 0);
}

void line_wake(struct broker *b, struct queue *q)
{
    if (q->dirty || !line_wants_match(b, q))
        return;
    q->dirty = true;
    q->dirty_next = NULL;
    if (b->dirty_tail)
        b->dirty_tail->dirty_next = q;
    else
        b->dirty = q;
    b->dirty_tail = q;
}

struct queue *line_next_dirty(struct broker *b)
{
    struct queue *q = b->dirty;
    if (!q)
        return NULL;
    b->dirty = q->dirty_next;
    if (!b->dirty)
        b->dirty_tail = NULL;
    q->dirty = false;
    return q;
}

static void forget_dirty(struct broker *b, struct queue *gone)
{
    struct queue *list = b->dirty;
    b->dirty = b->dirty_tail = NULL;
    while (list) {
        struct queue *q = list;
        list = q->dirty_next;
        q->dirty = false;
        if (q != gone)
            line_wake(b, q);
    }
}

static bool is_able(const struct taker *t)
{
    return t->held < t->limit && !t->peer->blocked && !t->full && (!t->queue->active || t->queue->active == t);
}

void line_update(struct broker *b, struct taker *taker)
{
    if (!taker->at.page)
        return; /* a receive that is served on the spot stands in no line */
    unsigned state = TAKER_IDLE;
    if (is_able(taker))
        state = taker->own.first ? TAKER_KEEN : TAKER_ABLE;
    if (state == taker->state)
        return;
    ring_set(taker->at, taker->state, state);
    taker->state = (uint8_t)state;
    if (state != TAKER_IDLE)
        line_wake(b, taker->queue);
}

/* Everybody at the queue may be able to take something now, or no longer. */
static void update_all(struct broker *b, struct queue *q)
{
    for (unsigned state = TAKER_IDLE; state <= TAKER_KEEN; state++) {
        struct ring_cursor at = ring_first(&q->takers, state, 0);
        while (at.page) {
            uint64_t next = ring_key(at) + 1;
            line_update(b, ring_item(at));
            at = ring_first(&q->takers, state, next);
        }
    }
}

void line_block(struct broker *b, struct peer *peer, bool blocked)
{
    if (peer->blocked == blocked)
        return;
    peer->blocked = blocked;
    for (struct taker *t = peer->takers; t; t = t->peer_next)
        line_update(b, t);
}

void broker_peer_room(struct broker *b, struct peer *peer, int64_t room_bytes)
{
    peer->room_bytes = room_bytes;
    line_block(b, peer, room_bytes <= 0);
}

void broker_peer_open(struct peer *peer, void *user, int64_t room_bytes)
{
    memset(peer, 0, sizeof *peer);
    peer->user = user;
    peer->room_bytes = room_bytes;
    peer->blocked = room_bytes <= 0;
    peer->next_consumer_id = 1;
}

/* ---- joining and leaving ----------------------------------------------------------------------------------------- */

static bool effects_reserve(struct broker *b, uint64_t more)
{
    uint64_t need = b->effect_count + b->taker_count + more;
    if (need <= b->effect_cap)
        return true;
    uint64_t cap = need < 64 ? 64 : need * 2;
    if (cap > UINT32_MAX)
        return false;
    struct effect *effects = pool_take(&b->pool, cap * sizeof *effects);
    if (!effects)
        return false;
    if (b->effect_count > 0)
        memcpy(effects, b->effects, b->effect_count * sizeof *effects);
    pool_give(&b->pool, b->effects, b->effect_cap * sizeof *effects);
    b->effects = effects;
    b->effect_cap = (uint32_t)cap;
    return true;
}

bool line_reserve(struct broker *b, uint32_t count)
{
    if (count <= b->delivery_cap)
        return true;
    struct delivery *deliveries = pool_take(&b->pool, count * sizeof *deliveries);
    if (!deliveries)
        return false;
    pool_give(&b->pool, b->deliveries, b->delivery_cap * sizeof *deliveries);
    b->deliveries = deliveries;
    b->delivery_cap = count;
    return true;
}

void line_emit(struct broker *b, struct effect effect)
{
    assert(b->effect_count < b->effect_cap);
    b->effects[b->effect_count++] = effect;
}

bool line_effect_reserve(struct broker *b)
{
    return effects_reserve(b, 1);
}

/* Takers of a higher priority stand before all others. */
static uint64_t place_key(uint32_t priority, uint64_t place)
{
    return (uint64_t)(LIMIT_PRIORITIES - 1 - priority) << LINE_PLACE_BITS | place;
}

struct taker *line_join(struct broker *b, struct queue *q, struct peer *peer, enum taker_kind kind, uint32_t limit,
                        uint32_t priority)
{
    uint64_t key = place_key(priority, q->next_place);
    if (!effects_reserve(b, 1) || !line_reserve(b, LINE_TURN))
        return NULL;
    struct taker *t = pool_take(&b->pool, sizeof *t);
    if (!t)
        return NULL;
    if (!ring_reserve(&q->takers, key, 1)) {
        pool_give(&b->pool, t, sizeof *t);
        return NULL;
    }
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->peer = peer;
    t->queue = q;
    t->limit = limit;
    t->priority = (uint8_t)priority;
    t->state = is_able(t) ? TAKER_ABLE : TAKER_IDLE;
    t->at = ring_put(&q->takers, key, t, t->state);
    q->next_place++;
    t->peer_next = peer->takers;
    if (peer->takers)
        peer->takers->peer_prev = t;
    peer->takers = t;
    b->taker_count++;
    if (kind == TAKER_CONSUMER) {
        q->consumer_count++;
        peer->consumer_count++;
    } else {
        q->waiter_count++;
        peer->waiter_count++;
    }
    line_wake(b, q);
    return t;
}

static void forget_over(struct broker *b, struct taker *waiter)
{
    struct taker **link = &b->over;
    while (*link && *link != waiter)
        link = &(*link)->over_next;
    if (*link)
        *link = waiter->over_next;
}

/* ---- one at a time ----------------------------------------------------------------------------------------------- */

/* Who takes over: of those who ask to be served alone the first in line, those of the highest priority standing before. */
static struct taker *next_active(struct queue *q)
{
    struct taker *next = NULL;
    for (unsigned state = TAKER_IDLE; state <= TAKER_KEEN; state++) {
        struct ring_cursor at = ring_first(&q->takers, state, 0);
        while (at.page) {
            struct taker *t = ring_item(at);
            if (t->single_active && (!next || ring_key(at) < ring_key(next->at)))
                next = t;
            at = ring_first(&q->takers, state, ring_key(at) + 1);
        }
    }
    return next;
}

static void activate(struct broker *b, struct queue *q, struct taker *t)
{
    q->active = t;
    update_all(b, q);
    if (q->attributes.sticky_groups)
        order_review(b, q); /* those who stand by keep no group */
}

void line_ask_single(struct broker *b, struct taker *t)
{
    t->single_active = true;
    if (t->queue->single_active_count++ == 0)
        activate(b, t->queue, t);
}

/* ---- leaving ----------------------------------------------------------------------------------------------------- */

void line_leave(struct broker *b, struct taker *t)
{
    struct peer *peer = t->peer;
    struct queue *q = t->queue;
    assert(t->kind == TAKER_WAITER || t->held == 0);
    timer_cancel(&b->timers, &t->timer);
    if (t->over)
        forget_over(b, t);
    group_release_all(b, q, t);
    ring_remove(t->at, t->state);
    t->at.page = NULL;
    if (t->single_active)
        q->single_active_count--;
    if (t == q->active)
        activate(b, q, next_active(q));
    if (t->peer_prev)
        t->peer_prev->peer_next = t->peer_next;
    else
        peer->takers = t->peer_next;
    if (t->peer_next)
        t->peer_next->peer_prev = t->peer_prev;
    b->taker_count--;
    if (t->kind == TAKER_CONSUMER) {
        t->queue->consumer_count--;
        peer->consumer_count--;
        q->exclusive = false; /* if it was, this was the only one */
    } else {
        t->queue->waiter_count--;
        peer->waiter_count--;
    }
    pool_give(&b->pool, t, sizeof *t);
}

/* What a consumer holds goes back, oldest first, charged; then it leaves. */
void line_end_consumer(struct broker *b, int64_t now_ms, struct taker *t)
{
    t->limit = 0; /* what comes back now is not for it */
    line_update(b, t);
    while (t->oldest_held) {
        struct slot *slot = t->oldest_held;
        struct queue *q = life_queue(slot->at);
        if (!q || ring_is(slot->at, RING_DOOMED)) {
            life_release(b, slot);
            continue;
        }
        COUNT(b, q, returned, 1);
        life_return(b, now_ms, slot, -1, (struct view){NULL, 0});
    }
    line_leave(b, t);
}

void line_refuse(struct broker *b, struct queue *q, enum error_code code)
{
    for (unsigned state = TAKER_IDLE; state <= TAKER_KEEN; state++) {
        struct ring_cursor at = ring_first(&q->takers, state, 0);
        while (at.page) {
            struct taker *t = ring_item(at);
            uint64_t next = ring_key(at) + 1;
            if (t->kind == TAKER_WAITER) {
                struct effect effect = {.kind = EFFECT_REFUSE, .peer = t->peer, .id = t->id, .code = code};
                line_leave(b, t);
                line_emit(b, effect);
            }
            at = ring_first(&q->takers, state, next);
        }
    }
}

void line_dismiss(struct broker *b, int64_t now_ms, struct queue *q, enum error_code code, const char *reason)
{
    for (;;) {
        struct ring_cursor at = {NULL, 0};
        for (unsigned state = TAKER_IDLE; state <= TAKER_KEEN && !at.page; state++)
            at = ring_first(&q->takers, state, 0);
        if (!at.page)
            break;
        struct taker *t = ring_item(at);
        struct effect effect = {.peer = t->peer, .id = t->id, .code = code, .reason = reason};
        effect.kind = t->kind == TAKER_CONSUMER ? EFFECT_CANCELLED : EFFECT_REFUSE;
        if (t->kind == TAKER_CONSUMER)
            line_end_consumer(b, now_ms, t);
        else
            line_leave(b, t);
        line_emit(b, effect);
    }
    forget_dirty(b, q);
}
