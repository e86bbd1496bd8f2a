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
    return !q->paused && !b->stopping && q->messages->count[MESSAGE_READY] > 0 && q->takers.count[TAKER_ABLE] > 0;
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

void line_update(struct broker *b, struct taker *taker)
{
    bool able = taker->held < taker->limit && !taker->peer->blocked && !taker->full;
    if (able == taker->able)
        return;
    taker->able = able;
    ring_set(taker->at, able ? TAKER_IDLE : TAKER_ABLE, able ? TAKER_ABLE : TAKER_IDLE);
    if (able)
        line_wake(b, taker->queue);
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

/* A taker at the end of the queue's line; NULL when out of memory. */
struct taker *line_join(struct broker *b, struct queue *q, struct peer *peer, enum taker_kind kind, uint32_t limit)
{
    if (!effects_reserve(b, 1) || !line_reserve(b, LINE_TURN))
        return NULL;
    struct taker *t = pool_take(&b->pool, sizeof *t);
    if (!t)
        return NULL;
    if (!ring_reserve(&q->takers, q->next_place, 1)) {
        pool_give(&b->pool, t, sizeof *t);
        return NULL;
    }
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->peer = peer;
    t->queue = q;
    t->limit = limit;
    t->oldest_held = t->newest_held = SLOT_NONE;
    t->able = limit > 0 && !peer->blocked;
    t->at = ring_put(&q->takers, q->next_place++, t, t->able ? TAKER_ABLE : TAKER_IDLE);
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

/* Takes a taker that holds nothing (a consumer) or whose deliveries stand on their own (a waiter) out of everything. */
void line_leave(struct broker *b, struct taker *t)
{
    struct peer *peer = t->peer;
    assert(t->kind == TAKER_WAITER || t->held == 0);
    timer_cancel(&b->timers, &t->timer);
    if (t->over)
        forget_over(b, t);
    ring_remove(t->at, t->able ? TAKER_ABLE : TAKER_IDLE);
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
    while (t->oldest_held != SLOT_NONE) {
        struct slot *slot = slots_at(&b->slots, t->oldest_held);
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
    for (unsigned state = TAKER_IDLE; state <= TAKER_ABLE; state++) {
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
        struct ring_cursor at = ring_first(&q->takers, TAKER_ABLE, 0);
        if (!at.page)
            at = ring_first(&q->takers, TAKER_IDLE, 0);
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
