/* Messages in: broker_publish(). First everything that can fail, then everything that can't. */
#include "server/broker/life.h"

#include <assert.h>
#include <string.h>

/* A message made but not yet in the queue, or why it will not be. */
struct staged {
    struct message *message;
    enum error_code code;
    const char *which;
    int64_t due_ms; /* end of its delay; 0: none */
};

static uint64_t body_limit(const struct broker *b, const struct queue *q)
{
    int64_t own = q->attributes.max_message_bytes;
    return own != 0 ? (uint64_t)own : b->limits.max_message_bytes;
}

/* What no other moment could change about this message. */
static enum error_code check_item(const struct broker *b, const struct queue *q, const struct publication *p,
                                  const char **which)
{
    if (p->body.bytes > body_limit(b, q)) {
        *which = "max_message_bytes";
        return ERR_TOO_LARGE;
    }
    if (q->attributes.max_bytes != 0 && p->body.bytes > (uint64_t)q->attributes.max_bytes) {
        *which = "max_bytes";
        return ERR_TOO_LARGE;
    }
    return ERR_NONE;
}

/* The earlier of the ends that ttl and retention set; 0 = never. */
static int64_t expiry(const struct queue *q, int64_t now_ms, int64_t ttl_ms)
{
    int64_t retention_ms = q->attributes.retention;
    int64_t life_ms = ttl_ms != 0 && (retention_ms == 0 || ttl_ms < retention_ms) ? ttl_ms : retention_ms;
    return life_ms != 0 ? now_ms + life_ms : 0;
}

/* Sets times and flags. Messages with the queue's own ttl and retention expire in the order of their ids, unless those have been
   shortened meanwhile: then, and with a ttl of its own, a message has a timer. */
static void date(struct queue *q, int64_t now_ms, const struct publication *p, struct staged *s)
{
    struct message *m = s->message;
    int64_t delay_ms = p->delay_ms >= 0 ? p->delay_ms : q->attributes.delay;
    m->published_ms = now_ms;
    m->slot = MESSAGE_NO_SLOT;
    m->expires_ms = expiry(q, now_ms, p->ttl_ms >= 0 ? p->ttl_ms : q->attributes.ttl);
    s->due_ms = delay_ms > 0 ? now_ms + delay_ms : 0;
    if (m->expires_ms == 0)
        return;
    if (p->ttl_ms >= 0 || m->expires_ms < q->swept_ms)
        m->flags |= MESSAGE_TIMED;
    else
        q->swept_ms = m->expires_ms;
}

static bool needs_slot(const struct staged *s)
{
    return s->due_ms != 0 || s->message->flags & MESSAGE_TIMED;
}

/* ---- room in the queue ------------------------------------------------------------------------------------------- */

static bool fits(const struct queue *q, uint64_t messages, uint64_t bytes)
{
    const struct attributes *a = &q->attributes;
    return (a->max_messages == 0 || messages <= (uint64_t)a->max_messages) &&
           (a->max_bytes == 0 || bytes <= (uint64_t)a->max_bytes);
}

/* True if `count` more messages can be in the queue together, after dropping what may be dropped. */
static bool fits_together(const struct queue *q, uint32_t count, uint64_t bytes)
{
    uint64_t messages = queue_total(q), held = queue_body_bytes(q);
    if (q->attributes.overflow == OVERFLOW_DROP_OLDEST) {
        messages -= queue_count(q, MESSAGE_READY) + queue_count(q, MESSAGE_DELAYED);
        held -= q->state_bytes[MESSAGE_READY] + q->state_bytes[MESSAGE_DELAYED];
    }
    return fits(q, messages + count, held + bytes);
}

/* Makes room for one message as the queue's overflow rule says. */
static bool make_room(struct broker *b, struct queue *q, uint32_t body_bytes)
{
    while (!fits(q, queue_total(q) + 1, queue_body_bytes(q) + body_bytes)) {
        if (q->attributes.overflow != OVERFLOW_DROP_OLDEST)
            return false;
        enum message_state state = MESSAGE_READY;
        struct ring_cursor at = ring_first(q->messages, MESSAGE_READY, 0);
        if (!at.page) {
            state = MESSAGE_DELAYED;
            at = ring_first(q->messages, MESSAGE_DELAYED, 0);
        }
        if (!at.page)
            return false;
        COUNT(b, q, dropped, 1);
        life_gone(b, q, at, state);
    }
    return true;
}

/* ---- staging ----------------------------------------------------------------------------------------------------- */

static void unstage(struct broker *b, struct staged *staged, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (staged[i].message)
            message_free(&b->pool, staged[i].message);
}

/* The memory that the batch will take, indexes included. */
static uint64_t batch_cost(const struct publication *items, uint32_t count)
{
    uint64_t cost = 0;
    for (uint32_t i = 0; i < count; i++)
        cost += message_cost(&items[i]) + (items[i].delay_ms > 0 || items[i].ttl_ms > 0 ? sizeof(struct slot) : 0);
    return cost + ((uint64_t)count / RING_FANOUT + 1) * sizeof(struct ring_page);
}

/* Makes the messages. On failure nothing is left. */
static enum error_code stage(struct broker *b, int64_t now_ms, struct queue *q, const struct publication *items,
                             uint32_t count, const enum error_code *refused, const char *const *which,
                             struct staged *staged)
{
    for (uint32_t i = 0; i < count; i++) {
        struct staged *s = &staged[i];
        *s = (struct staged){.code = refused ? refused[i] : ERR_NONE, .which = which ? which[i] : NULL};
        if (s->code == ERR_NONE)
            s->code = check_item(b, q, &items[i], &s->which);
        if (s->code != ERR_NONE)
            continue;
        s->message = message_new(&b->pool, &items[i]);
        if (!s->message) {
            unstage(b, staged, i);
            return ERR_MEMORY_LIMIT;
        }
        date(q, now_ms, &items[i], s);
    }
    return ERR_NONE;
}

/* All or none: the first refusal is the call's. */
static enum error_code check_atomic(struct broker *b, const struct queue *q, const struct staged *staged,
                                    uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (staged[i].code != ERR_NONE) {
            broker_outcome(b, i, staged[i].code, staged[i].which);
            return broker_refuse(b, staged[i].code, staged[i].which);
        }
        bytes += staged[i].message->body_bytes;
    }
    return fits_together(q, count, bytes) ? ERR_NONE : ERR_QUEUE_FULL;
}

static bool reserve(struct broker *b, struct queue *q, const struct staged *staged, uint32_t count, uint32_t *messages)
{
    uint32_t slots = 0;
    *messages = 0;
    for (uint32_t i = 0; i < count; i++) {
        *messages += staged[i].message ? 1 : 0;
        slots += staged[i].message && needs_slot(&staged[i]) ? 1 : 0;
    }
    return slots_reserve(&b->slots, slots) && ring_reserve(q->messages, q->next_id, *messages);
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

static void commit_one(struct broker *b, struct queue *q, const struct staged *s)
{
    struct message *m = s->message;
    enum message_state state = s->due_ms != 0 ? MESSAGE_DELAYED : MESSAGE_READY;
    m->id = q->next_id++;
    struct ring_cursor at = ring_put(q->messages, m->id, m, state);
    q->state_bytes[state] += m->body_bytes;
    if (needs_slot(s)) {
        m->slot = slots_take(&b->slots);
        struct slot *slot = slots_at(&b->slots, m->slot);
        slot->at = at;
        slot->since_ms = s->due_ms;
        slot->timer.kind = TIMER_SLOT;
        bool expires_first = s->due_ms == 0 || (m->expires_ms != 0 && m->expires_ms < s->due_ms);
        timer_arm(&b->timers, &slot->timer, expires_first ? m->expires_ms : s->due_ms);
    } else {
        life_cover(b, q, m);
    }
}

static void commit(struct broker *b, struct queue *q, struct staged *staged, uint32_t count,
                   struct publish_result *result)
{
    for (uint32_t i = 0; i < count; i++) {
        struct staged *s = &staged[i];
        if (s->message && !make_room(b, q, s->message->body_bytes)) {
            message_free(&b->pool, s->message);
            s->message = NULL;
            s->code = ERR_QUEUE_FULL;
        }
        if (!s->message) {
            broker_outcome(b, i, s->code, s->which);
            continue;
        }
        commit_one(b, q, s);
        if (result->stored++ == 0)
            result->first_id = s->message->id;
    }
}

enum error_code broker_refuse_batch(struct broker *b, struct queue *q, enum error_code code, uint32_t count)
{
    COUNT(b, q, refused, count);
    return code;
}

enum error_code broker_publish(struct broker *b, int64_t now_ms, struct queue *q, const struct publication *items,
                               uint32_t count, bool atomic, const enum error_code *refused, const char *const *which,
                               struct publish_result *result)
{
    b->which = NULL;
    b->outcome_count = 0;
    if (count == 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "messages");
    if (count > b->limits.max_batch)
        return broker_refuse(b, ERR_LIMIT, "max_batch");
    uint64_t scratch_bytes = count * sizeof(struct staged);
    if (b->draining || b->stopping)
        return broker_refuse_batch(b, q, ERR_DRAINING, count);
    if (broker_memory(b) + batch_cost(items, count) + scratch_bytes > b->limits.max_memory_bytes)
        return broker_refuse_batch(b, q, ERR_MEMORY_LIMIT, count);
    struct staged *staged = pool_take(&b->pool, scratch_bytes);
    if (!staged || !broker_outcomes(b, count)) {
        pool_give(&b->pool, staged, scratch_bytes);
        return broker_refuse_batch(b, q, ERR_MEMORY_LIMIT, count);
    }
    int64_t swept_ms = q->swept_ms;
    uint32_t messages = 0;
    enum error_code code = stage(b, now_ms, q, items, count, refused, which, staged);
    if (code == ERR_NONE) {
        code = atomic ? check_atomic(b, q, staged, count) : ERR_NONE;
        if (code == ERR_NONE && !reserve(b, q, staged, count, &messages))
            code = ERR_MEMORY_LIMIT;
        if (code != ERR_NONE)
            unstage(b, staged, count);
    }
    if (code == ERR_NONE) {
        *result = (struct publish_result){0, 0};
        commit(b, q, staged, count, result);
        ring_unreserve(q->messages, q->next_id, messages - result->stored);
        COUNT(b, q, published, result->stored);
        COUNT(b, q, refused, count - result->stored);
        meter_add(&q->publish_meter, now_ms, result->stored);
        line_wake(b, q);
    } else {
        q->swept_ms = swept_ms;
        COUNT(b, q, refused, count);
    }
    pool_give(&b->pool, staged, scratch_bytes);
    return code;
}
