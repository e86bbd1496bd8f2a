#include "server/broker/restore.h"

#include "server/broker/life.h"
#include "server/broker/queues.h"
#include "server/broker/topics.h"
#include "server/broker/watch.h"

/* ---- definitions ------------------------------------------------------------------------------------------------- */

struct queue *restore_queue_find(struct broker *b, uint64_t number)
{
    struct table_link *link = table_find(&b->numbers, number);
    return link ? (struct queue *)(void *)((char *)link - offsetof(struct queue, by_number)) : NULL;
}

/* A name that no client can give. */
#define AWAITED       '\x01'
#define AWAITED_BYTES 17

static bool is_awaited(const struct queue *q)
{
    return q->name[0] == AWAITED;
}

enum restore_result restore_queue_awaited(struct broker *b, uint64_t number, bool fifo, struct queue **out)
{
    char name[AWAITED_BYTES] = {AWAITED};
    struct attributes attributes;
    *out = restore_queue_find(b, number);
    if (*out) { /* its first message says more than the id or subscription before */
        if (fifo && is_awaited(*out) && queue_total(*out) == 0)
            (*out)->attributes.type = QUEUE_FIFO;
        return RESTORE_DONE;
    }
    for (unsigned i = 0; i < AWAITED_BYTES - 1; i++)
        name[1 + i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    attributes_init(&attributes);
    attributes.type = fifo ? QUEUE_FIFO : QUEUE_STANDARD;
    *out = queues_add(b, b->timers.now_ms, (struct view){name, sizeof name}, &attributes, number);
    return *out ? RESTORE_DONE : RESTORE_NO_MEMORY;
}

struct queue *restore_next_awaited(struct broker *b)
{
    return b->queue_count > 0 && is_awaited(b->queues[0]) ? b->queues[0] : NULL;
}

enum restore_result restore_queue(struct broker *b, uint64_t number, struct view name,
                                  const struct attributes *attributes, uint64_t next_id, int64_t created_ms,
                                  bool paused, struct queue **out)
{
    struct queue *q = restore_queue_find(b, number);
    if (!q || is_awaited(q)) {
        struct queue *before = broker_queue_find(b, name.data, name.bytes);
        if (before)
            (void)restore_queue_gone(b, before);
    }
    if (q && is_awaited(q)) {
        queues_rename(b, q, name);
    } else if (!q) {
        q = queues_add(b, created_ms, name, attributes, number);
        if (!q)
            return RESTORE_NO_MEMORY;
    }
    q->attributes = *attributes;
    q->created_ms = created_ms;
    q->paused = paused;
    if (q->next_id < next_id)
        q->next_id = next_id;
    *out = q;
    return RESTORE_DONE;
}

enum restore_result restore_queue_gone(struct broker *b, struct queue *q)
{
    queues_remove(b, b->timers.now_ms, q);
    broker_trash_all(b); /* or it would pile up until the broker runs */
    return RESTORE_DONE;
}

enum restore_result restore_topic(struct broker *b, struct view name, struct topic **out)
{
    *out = broker_topic_find(b, name.data, name.bytes);
    if (!*out)
        *out = topics_add(b, name);
    return *out ? RESTORE_DONE : RESTORE_NO_MEMORY;
}

enum restore_result restore_topic_gone(struct broker *b, struct view name)
{
    struct topic *t = broker_topic_find(b, name.data, name.bytes);
    if (!t)
        return RESTORE_UNKNOWN;
    broker_topic_delete(b, t);
    return RESTORE_DONE;
}

enum restore_result restore_subscription(struct broker *b, struct view topic, struct queue *q, struct view pattern,
                                         struct view filter, struct subscription **out)
{
    struct topic *t = broker_topic_find(b, topic.data, topic.bytes);
    if (!t && !(t = topics_add(b, topic))) /* its own record stands further behind */
        return RESTORE_NO_MEMORY;
    *out = topics_subscribe(b, t, q, pattern, filter);
    return *out ? RESTORE_DONE : RESTORE_NO_MEMORY;
}

enum restore_result restore_subscription_gone(struct broker *b, struct view topic, struct queue *q, struct view pattern)
{
    struct topic *t = broker_topic_find(b, topic.data, topic.bytes);
    return t && topics_unsubscribe(b, t, q, &pattern) > 0 ? RESTORE_DONE : RESTORE_UNKNOWN;
}

enum restore_result restore_dedup(struct broker *b, struct queue *q, struct view key, uint64_t first_id,
                                  int64_t until_ms, struct dedup **out)
{
    *out = dedup_restore(b, q, key, first_id, until_ms);
    return *out ? RESTORE_DONE : RESTORE_NO_MEMORY;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static struct ring_cursor find(struct queue *q, uint64_t id, enum message_state *state)
{
    struct ring_cursor at = ring_find(q->messages, id);
    for (unsigned s = MESSAGE_DELAYED; at.page && s <= MESSAGE_PARKED; s++) {
        *state = (enum message_state)s;
        if (ring_is(at, s))
            return at;
    }
    return (struct ring_cursor){NULL, 0};
}

struct message *restore_find(struct queue *q, uint64_t id, enum message_state *state)
{
    struct ring_cursor at = find(q, id, state);
    return at.page ? life_message(at) : NULL;
}

static void count(struct broker *b, struct queue *q, const struct message *m, enum message_state to)
{
    q->state_bytes[to] += m->body_bytes;
    b->inflight_count += to == MESSAGE_INFLIGHT;
}

static void uncount(struct broker *b, struct queue *q, const struct message *m, enum message_state from)
{
    q->state_bytes[from] -= m->body_bytes;
    b->inflight_count -= from == MESSAGE_INFLIGHT;
}

static void change(struct broker *b, struct queue *q, struct ring_cursor at, enum message_state from,
                   enum message_state to)
{
    struct message *m = life_message(at);
    uncount(b, q, m, from);
    count(b, q, m, to);
    ring_set(at, from, to);
    m->flags &= (uint8_t)~MESSAGE_HELD;
}

static void take_out(struct broker *b, struct queue *q, struct ring_cursor at, enum message_state from)
{
    struct message *m = life_message(at);
    uncount(b, q, m, from);
    life_drop_slot(b, m);
    ring_remove(at, from);
    message_free(&b->pool, m);
}

/* The message's slot; NULL if memory ran out. */
static struct slot *slot_for(struct broker *b, struct ring_cursor at)
{
    struct message *m = life_message(at);
    if (m->slot == MESSAGE_NO_SLOT)
        m->slot = slots_take(&b->slots); /* SLOT_NONE means the same in a message */
    if (m->slot == MESSAGE_NO_SLOT)
        return NULL;
    struct slot *slot = slots_at(&b->slots, m->slot);
    slot->at = at;
    return slot;
}

static enum restore_result delay(struct broker *b, struct ring_cursor at, int64_t until_ms, bool held)
{
    struct slot *slot = slot_for(b, at);
    if (!slot)
        return RESTORE_NO_MEMORY;
    slot_set_since(slot, until_ms);
    if (held)
        life_message(at)->flags |= MESSAGE_HELD;
    return RESTORE_DONE;
}

static enum restore_result park(struct broker *b, struct ring_cursor at, enum park_reason reason, struct view note,
                                int64_t since_ms)
{
    struct slot *slot = slot_for(b, at);
    if (!slot)
        return RESTORE_NO_MEMORY;
    slot_set_since(slot, since_ms);
    slot->reason = (uint8_t)reason;
    slot->note = life_note(b, note);
    return slot->note || note.bytes == 0 ? RESTORE_DONE : RESTORE_NO_MEMORY;
}

/* False if no broker could hold it. */
static bool is_sound(const struct restored_message *r)
{
    bool grouped = r->parts.group.bytes > 0 && r->parts.group.bytes <= LIMIT_GROUP_BYTES;
    return r->id > 0 && r->parts.priority < LIMIT_PRIORITIES &&
           (r->queue->attributes.type != QUEUE_FIFO || (grouped && r->parts.priority == 0));
}

static struct message *message_of(struct broker *b, const struct restored_message *r)
{
    bool linked = r->queue->attributes.type == QUEUE_FIFO || r->parts.priority > 0;
    struct message *m = message_new(&b->pool, &r->parts, linked);
    if (!m)
        return NULL;
    m->id = r->id;
    m->expires_ms = r->expires_ms;
    if (r->by_ttl)
        m->flags |= MESSAGE_TTL;
    message_set_published(m, r->published_ms);
    message_set_deliveries(m, r->attempts, r->first_ms, r->last_ms);
    return m;
}

enum restore_result restore_message(struct broker *b, const struct restored_message *r, struct message **out)
{
    struct queue *q = r->queue;
    if (!is_sound(r))
        return RESTORE_UNKNOWN;
    enum message_state before;
    struct ring_cursor at = find(q, r->id, &before);
    if (at.page)
        take_out(b, q, at, before);
    if (!ring_reserve(q->messages, r->id, 1))
        return RESTORE_NO_MEMORY;
    struct message *m = message_of(b, r);
    if (!m) {
        ring_unreserve(q->messages, r->id, 1);
        return RESTORE_NO_MEMORY;
    }
    at = ring_put(q->messages, r->id, m, r->state);
    count(b, q, m, r->state);
    if (q->next_id <= r->id)
        q->next_id = r->id + 1;
    *out = m;
    if (r->state == MESSAGE_DELAYED)
        return delay(b, at, r->at_ms, r->held);
    return r->state == MESSAGE_PARKED ? park(b, at, r->reason, r->note, r->at_ms) : RESTORE_DONE;
}

enum restore_result restore_gone(struct broker *b, struct queue *q, uint64_t id)
{
    enum message_state state;
    struct ring_cursor at = find(q, id, &state);
    if (!at.page)
        return RESTORE_UNKNOWN;
    take_out(b, q, at, state);
    return RESTORE_DONE;
}

enum restore_result restore_delivered(struct broker *b, struct queue *q, uint64_t id, int64_t now_ms)
{
    enum message_state state;
    struct ring_cursor at = find(q, id, &state);
    if (!at.page || state != MESSAGE_READY)
        return RESTORE_UNKNOWN;
    struct message *m = life_message(at);
    message_delivered(m, now_ms < m->published_ms ? m->published_ms : now_ms);
    change(b, q, at, MESSAGE_READY, MESSAGE_INFLIGHT);
    return RESTORE_DONE;
}

enum restore_result restore_undelivered(struct broker *b, struct queue *q, uint64_t id)
{
    enum message_state state;
    struct message *m = restore_find(q, id, &state);
    (void)b;
    if (!m || state != MESSAGE_INFLIGHT || m->attempts == 0)
        return RESTORE_UNKNOWN;
    message_undelivered(m);
    return RESTORE_DONE;
}

enum restore_result restore_ready(struct broker *b, struct queue *q, uint64_t id)
{
    enum message_state state;
    struct ring_cursor at = find(q, id, &state);
    if (!at.page || (state != MESSAGE_INFLIGHT && state != MESSAGE_DELAYED))
        return RESTORE_UNKNOWN;
    life_drop_slot(b, life_message(at));
    change(b, q, at, state, MESSAGE_READY);
    return RESTORE_DONE;
}

enum restore_result restore_kicked(struct broker *b, struct queue *q, uint64_t id)
{
    enum message_state state;
    struct ring_cursor at = find(q, id, &state);
    if (!at.page || state != MESSAGE_PARKED)
        return RESTORE_UNKNOWN;
    life_drop_slot(b, life_message(at));
    life_message(at)->attempts = 0;
    change(b, q, at, MESSAGE_PARKED, MESSAGE_READY);
    return RESTORE_DONE;
}

enum restore_result restore_delayed(struct broker *b, struct queue *q, uint64_t id, int64_t until_ms)
{
    enum message_state state;
    struct ring_cursor at = find(q, id, &state);
    if (!at.page || state != MESSAGE_INFLIGHT)
        return RESTORE_UNKNOWN;
    change(b, q, at, MESSAGE_INFLIGHT, MESSAGE_DELAYED);
    return delay(b, at, until_ms, true);
}

enum restore_result restore_parked(struct broker *b, struct queue *q, uint64_t id, enum park_reason reason,
                                   struct view note, int64_t since_ms, int64_t expires_ms)
{
    enum message_state state;
    struct ring_cursor at = find(q, id, &state);
    if (!at.page || state == MESSAGE_PARKED)
        return RESTORE_UNKNOWN;
    struct message *m = life_message(at);
    m->expires_ms = expires_ms;
    m->flags &= (uint8_t)~MESSAGE_TTL;
    change(b, q, at, state, MESSAGE_PARKED);
    return park(b, at, reason, note, since_ms);
}

enum restore_result restore_purged(struct broker *b, struct queue *q, unsigned states)
{
    for (unsigned s = MESSAGE_DELAYED; s <= MESSAGE_PARKED; s++)
        for (struct ring_cursor at; states >> s & 1 && (at = ring_first(q->messages, s, 0)).page;)
            take_out(b, q, at, (enum message_state)s);
    return RESTORE_DONE;
}
