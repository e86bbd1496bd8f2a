#include "server/broker/plan.h"

#include "server/broker/dead.h"

#include <assert.h>

bool plan_fits(const struct queue *q, uint64_t messages, uint64_t bytes)
{
    const struct attributes *a = &q->attributes;
    return (a->max_messages == 0 || messages <= (uint64_t)a->max_messages) &&
           (a->max_bytes == 0 || bytes <= (uint64_t)a->max_bytes);
}

void plan_begin(struct broker *b)
{
    b->call++;
    b->planned = NULL;
    b->planned_copies = 0;
}

struct forecast *plan_queue(struct broker *b, struct queue *q)
{
    struct forecast *f = &q->forecast;
    if (f->call != b->call) {
        *f = (struct forecast){
            .call = b->call,
            .messages = queue_total(q),
            .bytes = queue_body_bytes(q),
            .next_id = q->next_id,
            .oldest_state = MESSAGE_READY,
            .next = b->planned,
        };
        b->planned = q;
    }
    return f;
}

void plan_leave(struct broker *b, struct ring_cursor at)
{
    struct forecast *f = plan_queue(b, life_queue(at));
    f->messages--;
    f->bytes -= life_message(at)->body_bytes;
    f->departing = ring_key(at);
}

void plan_drop(struct broker *b)
{
    for (struct queue *q = b->planned; q; q = q->forecast.next)
        if (q->forecast.reserved > 0)
            ring_unreserve(q->messages, q->next_id, q->forecast.reserved);
    b->planned = NULL;
}

bool plan_slots(struct broker *b, uint32_t count)
{
    return slots_reserve(&b->slots, count + b->planned_copies);
}

/* The next message that goes if room is needed; NULL if there is none. */
static struct message *oldest(struct queue *q)
{
    struct forecast *f = &q->forecast;
    for (;;) {
        struct ring_cursor at = ring_first(q->messages, f->oldest_state, f->oldest_from);
        if (at.page) {
            f->oldest_from = ring_key(at) + 1;
            if (ring_key(at) == f->departing)
                continue;
            return life_message(at);
        }
        if (f->oldest_state == MESSAGE_DELAYED)
            return NULL;
        f->oldest_state = MESSAGE_DELAYED;
        f->oldest_from = 0;
    }
}

/* False if there would be no room even after everything that may go has gone: then nobody needs to look for it. */
static bool could_fit(const struct queue *q, uint64_t body_bytes)
{
    const struct forecast *f = &q->forecast;
    uint64_t movable = queue_count(q, MESSAGE_READY) + queue_count(q, MESSAGE_DELAYED);
    uint64_t movable_bytes = q->state_bytes[MESSAGE_READY] + q->state_bytes[MESSAGE_DELAYED];
    uint64_t messages = f->messages > movable ? f->messages - movable : 0;
    uint64_t bytes = f->bytes > movable_bytes ? f->bytes - movable_bytes : 0;
    return plan_fits(q, messages + 1, bytes + body_bytes);
}

static enum error_code room(struct broker *b, int64_t now_ms, struct queue *q, uint64_t body_bytes,
                            struct displaced ***end, unsigned depth);

/* A copy of the message for the dead-letter queue, and room for it there. */
static enum error_code displace_to(struct broker *b, int64_t now_ms, struct displaced *d, struct displaced ***end,
                                   unsigned depth)
{
    d->to = dead_target(b, d->from);
    if (!d->to || depth == PLAN_DEPTH)
        return ERR_QUEUE_FULL;
    if (broker_memory(b) > b->limits.max_memory_bytes)
        return ERR_MEMORY_LIMIT;
    enum error_code code = room(b, now_ms, d->to, d->message->body_bytes, end, depth + 1);
    if (code != ERR_NONE)
        return code;
    d->copy = dead_copy(b, d->from, d->message, d->to, PARK_OVERFLOW, (struct view){NULL, 0});
    bool grouped = d->to->attributes.type == QUEUE_FIFO;
    if (d->copy && grouped)
        d->spare = group_new(b, d->to, message_group(d->copy));
    b->planned_copies++;
    return d->copy && (!grouped || d->spare) ? ERR_NONE : ERR_MEMORY_LIMIT;
}

/* The oldest message of the queue makes room. *end: where the list goes on. */
static enum error_code displace(struct broker *b, int64_t now_ms, struct queue *q, struct displaced ***end,
                                unsigned depth)
{
    struct message *m = oldest(q);
    if (!m)
        return ERR_QUEUE_FULL;
    struct displaced *d = pool_take(&b->pool, sizeof *d);
    if (!d)
        return ERR_MEMORY_LIMIT;
    *d = (struct displaced){.from = q, .message = m};
    enum error_code code = ERR_NONE;
    if (q->attributes.overflow == OVERFLOW_DEAD_LETTER_OLDEST)
        code = displace_to(b, now_ms, d, end, depth);
    if (code != ERR_NONE) {
        displaced_free(b, &d);
        return code;
    }
    **end = d; /* behind what its own coming displaces */
    *end = &d->next;
    q->forecast.messages--;
    q->forecast.bytes -= m->body_bytes;
    return ERR_NONE;
}

static enum error_code room(struct broker *b, int64_t now_ms, struct queue *q, uint64_t body_bytes,
                            struct displaced ***end, unsigned depth)
{
    struct forecast *f = plan_queue(b, q);
    if (!plan_fits(q, f->messages + 1, f->bytes + body_bytes)) {
        if (q->attributes.overflow == OVERFLOW_REJECT || !could_fit(q, body_bytes))
            return ERR_QUEUE_FULL;
        do {
            enum error_code code = displace(b, now_ms, q, end, depth);
            if (code != ERR_NONE)
                return code;
        } while (!plan_fits(q, f->messages + 1, f->bytes + body_bytes));
    }
    if (!ring_reserve(q->messages, q->next_id + f->reserved, 1))
        return ERR_MEMORY_LIMIT;
    f->reserved++;
    f->next_id++;
    f->messages++;
    f->bytes += body_bytes;
    return ERR_NONE;
}

enum error_code plan_room(struct broker *b, int64_t now_ms, struct queue *q, uint64_t body_bytes,
                          struct displaced **list)
{
    struct displaced **end = list;
    *list = NULL;
    enum error_code code = room(b, now_ms, q, body_bytes, &end, 0);
    if (code != ERR_NONE)
        displaced_free(b, list);
    return code;
}

void displaced_apply(struct broker *b, int64_t now_ms, struct displaced **list)
{
    while (*list) {
        struct displaced *d = *list;
        *list = d->next;
        struct ring_cursor at = ring_find(d->from->messages, d->message->id);
        enum message_state state = ring_is(at, MESSAGE_READY) ? MESSAGE_READY : MESSAGE_DELAYED;
        life_gone(b, d->from, at, state);
        if (d->to) {
            COUNT(b, d->from, dead_lettered, 1);
            COUNT(b, d->to, arrived, 1);
            life_enter(b, now_ms, d->to, d->copy, 0, 0, &d->spare, false);
            line_wake(b, d->to);
            d->copy = NULL;
        } else {
            COUNT(b, d->from, dropped, 1);
        }
        d->next = NULL;
        displaced_free(b, &d);
    }
}

void displaced_free(struct broker *b, struct displaced **list)
{
    while (*list) {
        struct displaced *d = *list;
        *list = d->next;
        if (d->copy)
            message_free(&b->pool, d->copy);
        if (d->spare)
            group_free(&b->pool, d->spare);
        pool_give(&b->pool, d, sizeof *d);
    }
}
