/*
 * line: who stands in line at a queue, and the dealing of its ready messages.
 *
 * Consumers and waiting receives stand in one ring in the order in which they came; a consumer keeps its place while it has
 * no credit. A match deals one message at a time to the next who is able, going around, until messages or takers run out.
 * Everybody who got something then gets one effect with all of it.
 *
 * Work is bounded: LINE_TURN deliveries in one turn, LINE_QUEUE of them from one queue before the next queue has its go.
 *
 * No allocation happens here but for slots: room for effects is held ready for every taker there is (each ends in, or is
 * told of its batch by, at most one effect a turn), and for LINE_TURN deliveries.
 */
#include "server/broker/life.h"

#include <assert.h>
#include <string.h>

#define LINE_TURN 4096
#define LINE_QUEUE 1024

/* What an answer's frame and fields cost around a body. */
#define DELIVERY_OVERHEAD 64

static bool queue_wants_match(const struct broker *b, const struct queue *q)
{
    return !q->paused && !b->stopping && q->messages->count[MESSAGE_READY] > 0 && q->takers.count[TAKER_ABLE] > 0;
}

void line_wake(struct broker *b, struct queue *q)
{
    if (q->dirty || !queue_wants_match(b, q))
        return;
    q->dirty = true;
    q->dirty_next = NULL;
    if (b->dirty_tail)
        b->dirty_tail->dirty_next = q;
    else
        b->dirty = q;
    b->dirty_tail = q;
}

static struct queue *next_dirty(struct broker *b)
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

static void peer_block(struct broker *b, struct peer *peer, bool blocked)
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
    peer_block(b, peer, room_bytes <= 0);
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

static bool deliveries_reserve(struct broker *b, uint32_t count)
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

static void emit(struct broker *b, struct effect effect)
{
    assert(b->effect_count < b->effect_cap);
    b->effects[b->effect_count++] = effect;
}

/* A taker at the end of the queue's line; NULL when out of memory. */
static struct taker *join(struct broker *b, struct queue *q, struct peer *peer, enum taker_kind kind, uint32_t limit)
{
    if (!effects_reserve(b, 1) || !deliveries_reserve(b, LINE_TURN))
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
static void leave(struct broker *b, struct taker *t)
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
static void end_consumer(struct broker *b, int64_t now_ms, struct taker *t)
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
    leave(b, t);
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
                leave(b, t);
                emit(b, effect);
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
            end_consumer(b, now_ms, t);
        else
            leave(b, t);
        emit(b, effect);
    }
    forget_dirty(b, q);
}

/* ---- dealing ----------------------------------------------------------------------------------------------------- */

static struct taker *next_taker(struct queue *q)
{
    struct ring_cursor at = {NULL, 0};
    if (q->takers.count[TAKER_ABLE] > 1)
        at = ring_first(&q->takers, TAKER_ABLE, q->turn_key + 1);
    if (!at.page)
        at = ring_first(&q->takers, TAKER_ABLE, 0);
    return at.page ? ring_item(at) : NULL;
}

/* The first ready message; one that has expired and was not reached by its timer yet goes on the way. */
static struct ring_cursor next_message(struct broker *b, int64_t now_ms, struct queue *q)
{
    for (;;) {
        struct ring_cursor at = ring_first(q->messages, MESSAGE_READY, 0);
        if (!at.page || !life_passed(b, life_message(at)->expires_ms, now_ms))
            return at;
        COUNT(b, q, expired, 1);
        life_gone(b, q, at, MESSAGE_READY);
    }
}

/* An answer ends before it would pass the largest response, but never empty-handed. */
static bool fits(const struct broker *b, const struct taker *t, const struct message *m)
{
    return t->kind == TAKER_CONSUMER || t->held == 0 || t->held_bytes + m->body_bytes <= b->limits.max_response_bytes;
}

/* Hands one message over; false if memory ran out. */
static bool deal(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, struct taker *t)
{
    uint32_t body_bytes = life_message(at)->body_bytes;
    if (!life_deliver(b, now_ms, q, at, t))
        return false;
    t->held_bytes += body_bytes;
    t->peer->room_bytes -= (int64_t)body_bytes + DELIVERY_OVERHEAD;
    return true;
}

/* Up to LINE_QUEUE messages of one queue around its ring. */
static void match_queue(struct broker *b, int64_t now_ms, struct queue *q)
{
    uint32_t dealt = 0;
    while (dealt < LINE_QUEUE && b->delivery_count < LINE_TURN && queue_wants_match(b, q)) {
        struct taker *t = next_taker(q);
        struct ring_cursor at = next_message(b, now_ms, q);
        if (!at.page)
            break;
        if (!fits(b, t, life_message(at))) {
            t->full = true;
            line_update(b, t);
            continue;
        }
        bool first = t->batch_count == 0;
        if (!deal(b, now_ms, q, at, t))
            break;
        dealt++;
        q->turn_key = ring_key(t->at);
        if (first) {
            t->batch_next = NULL;
            if (b->batch_tail)
                b->batch_tail->batch_next = t;
            else
                b->batch = t;
            b->batch_tail = t;
        }
        if (t->peer->room_bytes <= 0)
            peer_block(b, t->peer, true);
        else if (t->held == t->limit)
            line_update(b, t);
    }
    if (dealt > 0)
        meter_add(&q->deliver_meter, now_ms, dealt);
    line_wake(b, q);
}

/* Everybody who got something is told; a waiter is done with that. */
static void emit_batches(struct broker *b)
{
    while (b->batch) {
        struct taker *t = b->batch;
        b->batch = t->batch_next;
        emit(b, (struct effect){
            .kind = t->kind == TAKER_CONSUMER ? EFFECT_DELIVER : EFFECT_ANSWER,
            .peer = t->peer,
            .id = t->id,
            .first = t->batch_first,
            .count = t->batch_count,
            .auto_ack = t->auto_ack,
        });
        t->batch_count = 0;
        if (t->kind == TAKER_WAITER)
            leave(b, t);
    }
    b->batch_tail = NULL;
}

void line_over(struct broker *b, struct taker *waiter)
{
    assert(waiter->kind == TAKER_WAITER && !waiter->over);
    waiter->over = true;
    waiter->over_next = b->over;
    b->over = waiter;
}

/* Waiters whose wait is over go empty-handed, unless their queue's match was cut and may still serve them. */
static void answer_over(struct broker *b)
{
    struct taker *list = b->over, *later = NULL;
    b->over = NULL;
    while (list) {
        struct taker *t = list;
        list = t->over_next;
        if (t->queue->dirty && t->able) {
            t->over_next = later;
            later = t;
            continue;
        }
        t->over = false;
        emit(b, (struct effect){.kind = EFFECT_ANSWER, .peer = t->peer, .id = t->id});
        leave(b, t);
    }
    b->over = later;
}

void line_match(struct broker *b, int64_t now_ms)
{
    struct queue *last = b->dirty_tail;
    for (struct queue *q; b->delivery_count < LINE_TURN && (q = next_dirty(b));) {
        match_queue(b, now_ms, q);
        if (q == last)
            break; /* each queue has had its go */
    }
    emit_batches(b);
    answer_over(b);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static enum error_code check_visibility(struct broker *b, const struct queue *q, int64_t visibility_ms)
{
    if (visibility_ms == 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "visibility");
    if (visibility_ms > q->attributes.max_hold)
        return broker_refuse(b, ERR_LIMIT, "max_hold");
    return ERR_NONE;
}

static enum error_code check_receive(struct broker *b, const struct queue *q, const struct peer *peer, const struct receive_options *o)
{
    if (b->draining || b->stopping)
        return ERR_DRAINING;
    if (o->max == 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "max");
    if (o->max > b->limits.max_batch)
        return broker_refuse(b, ERR_LIMIT, "max_batch");
    if (o->wait_ms < 0 || (uint64_t)o->wait_ms > b->limits.max_wait_ms)
        return broker_refuse(b, ERR_LIMIT, "max_wait");
    if (peer->waiter_count >= LIMIT_WAITERS)
        return broker_refuse(b, ERR_LIMIT, "max_waiters");
    return check_visibility(b, q, o->visibility_ms);
}

/* Serves a receive at once: nobody who could take the messages stands before it. */
static void serve(struct broker *b, int64_t now_ms, struct queue *q, struct peer *peer, const struct receive_options *o)
{
    struct taker t = {.kind = TAKER_WAITER, .peer = peer, .queue = q, .limit = o->max, .visibility_ms = o->visibility_ms};
    t.oldest_held = t.newest_held = SLOT_NONE;
    while (t.held < t.limit) {
        struct ring_cursor at = next_message(b, now_ms, q);
        if (!at.page || !fits(b, &t, life_message(at)) || !deal(b, now_ms, q, at, &t))
            break;
    }
    if (t.held > 0)
        meter_add(&q->deliver_meter, now_ms, t.held);
    peer_block(b, peer, peer->room_bytes <= 0);
}

enum error_code broker_receive(struct broker *b, int64_t now_ms, struct queue *q, struct peer *peer,
    const struct receive_options *options, bool *served)
{
    b->which = NULL;
    enum error_code code = check_receive(b, q, peer, options);
    if (code != ERR_NONE)
        return code;
    b->delivery_count = 0;
    bool open = !q->paused && q->messages->count[MESSAGE_READY] > 0;
    if (open && q->takers.count[TAKER_ABLE] == 0) {
        uint64_t ready = q->messages->count[MESSAGE_READY];
        if (!deliveries_reserve(b, ready < options->max ? (uint32_t)ready : options->max))
            return ERR_MEMORY_LIMIT;
        serve(b, now_ms, q, peer, options);
        if (b->delivery_count > 0 || options->wait_ms == 0) {
            *served = true;
            return ERR_NONE;
        }
    } else if (!open && options->wait_ms == 0) {
        *served = true;
        return ERR_NONE;
    }
    struct taker *t = join(b, q, peer, TAKER_WAITER, options->max);
    if (!t)
        return ERR_MEMORY_LIMIT;
    t->id = options->token;
    t->visibility_ms = options->visibility_ms;
    if (options->wait_ms == 0) {
        line_over(b, t);
    } else {
        t->timer.kind = TIMER_WAITER;
        timer_arm(&b->timers, &t->timer, now_ms + options->wait_ms);
    }
    *served = false;
    return ERR_NONE;
}

enum error_code broker_consume(struct broker *b, struct queue *q, struct peer *peer, const struct consume_options *options, uint64_t *id)
{
    b->which = NULL;
    if (b->draining || b->stopping)
        return ERR_DRAINING;
    if (options->prefetch > LIMIT_PREFETCH)
        return broker_refuse(b, ERR_LIMIT, "max_prefetch");
    if (peer->consumer_count >= LIMIT_CONSUMERS)
        return broker_refuse(b, ERR_LIMIT, "max_consumers");
    enum error_code code = check_visibility(b, q, options->visibility_ms);
    if (code != ERR_NONE)
        return code;
    struct taker *t = join(b, q, peer, TAKER_CONSUMER, options->prefetch);
    if (!t)
        return ERR_MEMORY_LIMIT;
    t->id = peer->next_consumer_id++;
    t->auto_ack = options->auto_ack;
    t->visibility_ms = options->visibility_ms;
    *id = t->id;
    return ERR_NONE;
}

static struct taker *find_consumer(const struct peer *peer, uint64_t consumer_id)
{
    for (struct taker *t = peer->takers; t; t = t->peer_next)
        if (t->kind == TAKER_CONSUMER && t->id == consumer_id)
            return t;
    return NULL;
}

enum error_code broker_credit(struct broker *b, struct peer *peer, uint64_t consumer_id, uint32_t prefetch)
{
    b->which = NULL;
    struct taker *t = find_consumer(peer, consumer_id);
    if (!t)
        return ERR_CONSUMER_NOT_FOUND;
    if (prefetch > LIMIT_PREFETCH)
        return broker_refuse(b, ERR_LIMIT, "max_prefetch");
    t->limit = prefetch;
    line_update(b, t);
    return ERR_NONE;
}

enum error_code broker_cancel(struct broker *b, int64_t now_ms, struct peer *peer, uint64_t consumer_id)
{
    b->which = NULL;
    struct taker *t = find_consumer(peer, consumer_id);
    if (!t)
        return ERR_CONSUMER_NOT_FOUND;
    end_consumer(b, now_ms, t);
    return ERR_NONE;
}

void broker_peer_close(struct broker *b, int64_t now_ms, struct peer *peer)
{
    broker_peer_room(b, peer, 0); /* nothing that comes back goes to another consumer of the same connection */
    while (peer->takers) {
        if (peer->takers->kind == TAKER_CONSUMER)
            end_consumer(b, now_ms, peer->takers);
        else
            leave(b, peer->takers);
    }
    for (uint32_t i = 0; i < b->effect_count; i++)
        if (b->effects[i].peer == peer)
            b->effects[i].peer = NULL;
}
