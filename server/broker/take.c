/* Messages out: receive, consume and its credit, cancel, and the end of a connection. */
#include "server/broker/held.h"
#include "server/broker/line.h"

static enum error_code check_visibility(struct broker *b, const struct queue *q, int64_t visibility_ms)
{
    if (visibility_ms == 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "visibility");
    if (visibility_ms > q->attributes.max_hold)
        return broker_refuse(b, ERR_LIMIT, "max_hold");
    return ERR_NONE;
}

static enum error_code check_receive(struct broker *b, const struct queue *q, const struct peer *peer,
                                     const struct receive_options *o)
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
    if (q->exclusive || q->active)
        return ERR_QUEUE_IN_USE;
    return check_visibility(b, q, o->visibility_ms);
}

/* Serves a receive at once: nobody who could take the messages stands before it. False if so much had expired that the rest is
   for the next match. */
static bool serve(struct broker *b, int64_t now_ms, struct queue *q, struct peer *peer, const struct receive_options *o)
{
    uint32_t budget = QUEUE_TURN;
    struct taker t = {
        .kind = TAKER_WAITER, .peer = peer, .queue = q, .limit = o->max, .visibility_ms = o->visibility_ms};
    while (t.held < t.limit) {
        struct ring_cursor at = line_next_message(b, now_ms, q, &t, &budget);
        if (!at.page || !line_fits(b, &t, life_message(at)) || !line_deal(b, now_ms, q, at, &t))
            break;
    }
    group_release_all(b, q, &t);
    if (t.held > 0)
        meter_add(&q->deliver_meter, now_ms, t.held);
    line_block(b, peer, peer->room_bytes <= 0);
    return budget > 0 || t.held > 0;
}

enum error_code broker_receive(struct broker *b, int64_t now_ms, struct queue *q, struct peer *peer,
                               const struct receive_options *options, bool *served)
{
    b->which = NULL;
    enum error_code code = check_receive(b, q, peer, options);
    if (code != ERR_NONE)
        return code;
    b->delivery_count = 0;
    bool some = q->attributes.type == QUEUE_FIFO ? q->groups.deliverable.first != NULL
                                                 : q->messages->count[MESSAGE_READY] > 0;
    bool open = !line_is_closed(b, q) && some;
    if (open && q->takers.count[TAKER_ABLE] + q->takers.count[TAKER_KEEN] == 0) {
        uint64_t ready = q->messages->count[MESSAGE_READY];
        if (!line_reserve(b, ready < options->max ? (uint32_t)ready : options->max))
            return ERR_MEMORY_LIMIT;
        bool done = serve(b, now_ms, q, peer, options);
        if (b->delivery_count > 0 || (options->wait_ms == 0 && done)) {
            *served = true;
            return ERR_NONE;
        }
    } else if (!open && options->wait_ms == 0) {
        *served = true;
        return ERR_NONE;
    }
    struct taker *t = line_join(b, q, peer, TAKER_WAITER, options->max, 0);
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

enum error_code broker_consume(struct broker *b, struct queue *q, struct peer *peer,
                               const struct consume_options *options, uint64_t *id)
{
    b->which = NULL;
    if (b->draining || b->stopping)
        return ERR_DRAINING;
    if (options->prefetch > LIMIT_PREFETCH)
        return broker_refuse(b, ERR_LIMIT, "max_prefetch");
    if (peer->consumer_count >= LIMIT_CONSUMERS)
        return broker_refuse(b, ERR_LIMIT, "max_consumers");
    if (options->priority >= LIMIT_PRIORITIES)
        return broker_refuse(b, ERR_BAD_REQUEST, "priority");
    if (options->group_prefetch > LIMIT_PREFETCH)
        return broker_refuse(b, ERR_BAD_REQUEST, "group_prefetch");
    enum error_code code = check_visibility(b, q, options->visibility_ms);
    if (code != ERR_NONE)
        return code;
    if (q->exclusive || (options->exclusive && q->consumer_count + q->waiter_count > 0))
        return ERR_QUEUE_IN_USE;
    struct taker *t = line_join(b, q, peer, TAKER_CONSUMER, options->prefetch, options->priority);
    if (!t)
        return ERR_MEMORY_LIMIT;
    q->exclusive = options->exclusive;
    t->group_prefetch = options->group_prefetch;
    t->id = peer->next_consumer_id++;
    t->auto_ack = options->auto_ack;
    t->visibility_ms = options->visibility_ms;
    if (options->single_active)
        line_ask_single(b, t);
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
    line_end_consumer(b, now_ms, t);
    return ERR_NONE;
}

void broker_peer_close(struct broker *b, int64_t now_ms, struct peer *peer)
{
    broker_peer_room(b, peer, 0); /* nothing that comes back goes to another consumer of the same connection */
    while (peer->takers) {
        if (peer->takers->kind == TAKER_CONSUMER)
            line_end_consumer(b, now_ms, peer->takers);
        else
            line_leave(b, peer->takers);
    }
    held_peer_gone(b, peer);
    for (uint32_t i = 0; i < b->effect_count; i++)
        if (b->effects[i].peer == peer)
            b->effects[i].peer = NULL;
}
