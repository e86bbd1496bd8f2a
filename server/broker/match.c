/*
 * match: the dealing of ready messages to whoever stands in line.
 *
 * A match deals one message at a time to the next who is able, going around, until messages or takers run out. Everybody who
 * got something then gets one effect with all of it; receives whose wait is over then go empty-handed.
 *
 * Work is bounded: LINE_TURN deliveries in one turn, QUEUE_TURN of them from one queue before the next queue has its go.
 * Nothing is allocated but slots.
 */
#include "server/broker/line.h"

#include "server/broker/tree.h"
#include "server/broker/watch.h"

#include <assert.h>

/* The first taker with that key or a higher one, able or keen as the mask says. */
static struct ring_cursor first_taker(struct queue *q, unsigned states, uint64_t key)
{
    struct ring_cursor best = {NULL, 0};
    for (unsigned state = TAKER_ABLE; state <= TAKER_KEEN; state++) {
        if (!(states >> state & 1) || q->takers.count[state] == 0)
            continue;
        struct ring_cursor at = ring_first(&q->takers, state, key);
        if (at.page && (!best.page || ring_key(at) < ring_key(best)))
            best = at;
    }
    return best;
}

static inline uint64_t level_of(uint64_t key)
{
    return key >> LINE_PLACE_BITS;
}

/* Of those of the highest priority the one behind whom was served last. */
static struct taker *next_taker(struct queue *q)
{
    const uint64_t able = q->takers.count[TAKER_ABLE], keen = q->takers.count[TAKER_KEEN];
    if (able + keen == 1) /* and there is something for it, or there would be no match */
        return ring_item(ring_first(&q->takers, keen > 0 ? TAKER_KEEN : TAKER_ABLE, 0));
    unsigned states = 1u << TAKER_KEEN;
    if (q->attributes.type == QUEUE_STANDARD || q->groups.deliverable.first)
        states |= 1u << TAKER_ABLE;
    struct ring_cursor first = first_taker(q, states, 0);
    if (!first.page)
        return NULL;
    uint64_t level = level_of(ring_key(first));
    struct ring_cursor at = first_taker(q, states, q->turn_key[level] + 1);
    return ring_item(at.page && level_of(ring_key(at)) == level ? at : first);
}

/* The group of a fifo queue whose turn it is. A receive takes on where it is before it begins with another group, as much as
   there is; a consumer begins with others first, or one endless group could keep it from them. */
static const struct group *next_group(const struct queue *q, const struct taker *t)
{
    const struct group *own = t->own.first, *other = q->groups.deliverable.first;
    if (t->kind == TAKER_WAITER)
        return own ? own : other;
    return other ? other : own;
}

/* What is to go out lies near the first ready message, as a rule. */
static inline struct ring_cursor place_of(struct ring *ring, const struct message *m)
{
    struct ring_page *front = ring_first(ring, MESSAGE_READY, 0).page;
    if (ring_covers(front, m->id))
        return (struct ring_cursor){front, (uint32_t)(m->id % RING_FANOUT)};
    return ring_find(ring, m->id);
}

static struct ring_cursor first_message(struct queue *q, const struct taker *t)
{
    const struct message *m;
    if (q->attributes.type == QUEUE_STANDARD && q->urgent_levels == 0)
        return ring_first(q->messages, MESSAGE_READY, 0);
    if (q->attributes.type == QUEUE_FIFO) {
        const struct group *g = next_group(q, t);
        if (!g)
            return (struct ring_cursor){NULL, 0};
        m = tree_first(g->ready);
    } else {
        m = tree_first(q->urgent[31 - __builtin_clz(q->urgent_levels)]);
    }
    return place_of(q->messages, m);
}

struct ring_cursor line_next_message(struct broker *b, int64_t now_ms, struct queue *q, const struct taker *t,
                                     uint32_t *budget)
{
    for (; *budget > 0; --*budget) {
        struct ring_cursor at = first_message(q, t);
        if (!at.page || !life_passed(b, life_message(at)->expires_ms, now_ms))
            return at;
        life_expire(b, now_ms, q, at, MESSAGE_READY);
    }
    return (struct ring_cursor){NULL, 0};
}

/* An answer ends before it would pass the largest response, but never empty-handed. */
bool line_fits(const struct broker *b, const struct taker *t, const struct message *m)
{
    return t->kind == TAKER_CONSUMER || t->held == 0 || t->held_bytes + m->body_bytes <= b->limits.max_response_bytes;
}

/* Hands one message over; false if memory ran out. */
bool line_deal(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, struct taker *t)
{
    uint32_t body_bytes = life_message(at)->body_bytes;
    if (!life_deliver(b, now_ms, q, at, t))
        return false;
    t->held_bytes += body_bytes;
    t->peer->room_bytes -= (int64_t)body_bytes + LIFE_DELIVERY_BYTES;
    return true;
}

/* How many messages the next one in turn may be dealt in one go: more than one only if nobody else stands in line. */
static uint32_t run_length(const struct broker *b, const struct queue *q, const struct taker *t, uint32_t budget)
{
    if (q->attributes.type == QUEUE_FIFO || q->urgent_levels != 0 || t->kind != TAKER_CONSUMER)
        return 0;
    uint32_t most = q->takers.count[TAKER_ABLE] == 1 ? t->limit - t->held : 1;
    most = most < budget ? most : budget;
    return most < LINE_TURN - b->delivery_count ? most : LINE_TURN - b->delivery_count;
}

/*
 * Deals ready messages of a standard queue that need no care, from the first on and as far as its page goes, to a consumer.
 * Returns how many; 0: see line_deal().
 */
static uint32_t deal_run(struct broker *b, int64_t now_ms, struct queue *q, struct taker *t, uint32_t budget)
{
    uint32_t most = run_length(b, q, t, budget);
    if (most == 0)
        return 0;
    return life_deliver_run(b, now_ms, q, ring_first(q->messages, MESSAGE_READY, 0).page, t, most);
}

/* The taker has been dealt something: for the first time in this match? */
static void note_batch(struct broker *b, struct taker *t)
{
    t->batch_next = NULL;
    if (b->batch_tail)
        b->batch_tail->batch_next = t;
    else
        b->batch = t;
    b->batch_tail = t;
}

/* Deals to one taker; returns how many, 0 if there is nothing for it any more or it can take no more. */
static uint32_t deal(struct broker *b, int64_t now_ms, struct queue *q, struct taker *t, uint32_t *budget)
{
    uint32_t dealt = deal_run(b, now_ms, q, t, *budget);
    if (dealt > 0) {
        *budget -= dealt;
        return dealt;
    }
    struct ring_cursor at = line_next_message(b, now_ms, q, t, budget);
    if (!at.page)
        return 0; /* what there was for it had expired */
    if (!line_fits(b, t, life_message(at))) {
        t->full = true;
        line_update(b, t);
        return 0;
    }
    if (!line_deal(b, now_ms, q, at, t)) {
        b->starved = true;
        *budget = 0;
        return 0;
    }
    --*budget;
    return 1;
}

/* Up to QUEUE_TURN messages of one queue around its ring. */
static void match_queue(struct broker *b, int64_t now_ms, struct queue *q)
{
    uint32_t dealt = 0, budget = QUEUE_TURN;
    q->dirty = true; /* it has its turn now: nobody need list it for what happens meanwhile */
    while (budget > 0 && b->delivery_count < LINE_TURN && line_wants_match(b, q)) {
        struct taker *t = next_taker(q);
        bool first = t->batch_count == 0;
        uint32_t count = deal(b, now_ms, q, t, &budget);
        if (count == 0)
            continue;
        dealt += count;
        q->turn_key[level_of(ring_key(t->at))] = ring_key(t->at);
        if (first)
            note_batch(b, t);
        if (t->peer->room_bytes <= 0)
            line_block(b, t->peer, true);
        else if (t->held == t->limit)
            line_update(b, t);
    }
    if (dealt > 0)
        meter_add(&q->deliver_meter, now_ms, dealt);
    q->dirty = false;
    line_wake(b, q);
}

/* Everybody who got something is told; a waiter is done with that. */
static void emit_batches(struct broker *b)
{
    for (struct taker **link = &b->over; *link;) {
        if ((*link)->batch_count == 0) {
            link = &(*link)->over_next;
            continue;
        }
        (*link)->over = false; /* taken out here, all in one go: one by one each would be searched for */
        *link = (*link)->over_next;
    }
    while (b->batch) {
        struct taker *t = b->batch;
        b->batch = t->batch_next;
        line_emit(b, (struct effect){
                         .kind = t->kind == TAKER_CONSUMER ? EFFECT_DELIVER : EFFECT_ANSWER,
                         .peer = t->peer,
                         .id = t->id,
                         .first = t->batch_first,
                         .count = t->batch_count,
                         .auto_ack = t->auto_ack,
                     });
        t->batch_count = 0;
        if (t->kind == TAKER_WAITER)
            line_leave(b, t);
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
        if (t->queue->dirty && t->state != TAKER_IDLE && !b->starved) {
            t->over_next = later;
            later = t;
            continue;
        }
        t->over = false;
        line_emit(b, (struct effect){.kind = EFFECT_ANSWER, .peer = t->peer, .id = t->id});
        line_leave(b, t);
    }
    b->over = later;
}

void line_match(struct broker *b, int64_t now_ms)
{
    struct queue *last = b->dirty_tail;
    for (struct queue *q; b->delivery_count < LINE_TURN && (q = line_next_dirty(b));) {
        match_queue(b, now_ms, q);
        watch_event(b);
        if (q == last)
            break; /* each queue has had its go */
    }
    emit_batches(b);
    answer_over(b);
}
