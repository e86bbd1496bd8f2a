/* The queues of the broker: creating, changing, emptying and deleting them. */
#include "server/broker/queues.h"

#include "server/broker/dead.h"
#include "server/broker/dedup.h"
#include "server/broker/held.h"
#include "server/broker/line.h"
#include "server/broker/topics.h"
#include "server/broker/watch.h"

#include <assert.h>
#include <string.h>

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
    if (!table_reserve(&b->numbers))
        return false;
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

static struct queue *queue_new(struct broker *b, int64_t now_ms, struct view name, const struct attributes *attributes)
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
    q->name_bytes = (uint8_t)name.bytes;
    memcpy(q->name, name.data, name.bytes);
    return q;
}

struct queue *queues_add(struct broker *b, int64_t now_ms, struct view name, const struct attributes *attributes,
                         uint64_t number)
{
    struct queue *q = queues_reserve(b) ? queue_new(b, now_ms, name, attributes) : NULL;
    if (!q)
        return NULL;
    q->number = number;
    if (number > b->last_queue_number)
        b->last_queue_number = number;
    table_insert(&b->numbers, &q->by_number, number);
    uint32_t i = broker_queue_lower(b, q->name, q->name_bytes);
    memmove(&b->queues[i + 1], &b->queues[i], (b->queue_count - i) * sizeof(struct queue *));
    b->queues[i] = q;
    b->queue_count++;
    return q;
}

void queues_rename(struct broker *b, struct queue *q, struct view name)
{
    uint32_t i = broker_queue_lower(b, q->name, q->name_bytes);
    memmove(&b->queues[i], &b->queues[i + 1], (b->queue_count - i - 1) * sizeof(struct queue *));
    q->name_bytes = (uint8_t)name.bytes;
    memcpy(q->name, name.data, name.bytes);
    q->name[name.bytes] = '\0';
    b->queue_count--;
    i = broker_queue_lower(b, q->name, q->name_bytes);
    memmove(&b->queues[i + 1], &b->queues[i], (b->queue_count - i) * sizeof(struct queue *));
    b->queues[i] = q;
    b->queue_count++;
    b->names_version++;
    topics_queue_renamed(b, q);
}

static void tell_queue(struct broker *b, struct queue *q)
{
    if (watched(b, q))
        b->watcher->queue_cb(b->watcher->user, q);
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
    if (code == ERR_NONE && attributes.durable)
        code = b->refusing;
    if (code != ERR_NONE)
        return code;
    if (b->queue_count >= b->limits.max_queues)
        return broker_refuse(b, ERR_LIMIT, "max_queues");
    if (broker_memory(b) + sizeof *q > b->limits.max_memory_bytes)
        return ERR_MEMORY_LIMIT;
    q = queues_add(b, now_ms, (struct view){name, bytes}, &attributes, b->last_queue_number + 1);
    if (!q)
        return ERR_MEMORY_LIMIT;
    if (b->lines)
        held_room(b, q); /* it may be the dead-letter queue that another one misses */
    *created = true;
    *differing = 0;
    tell_queue(b, q);
    return ERR_NONE;
}

enum error_code broker_queue_update(struct broker *b, struct queue *q, const struct attribute_set *set)
{
    b->which = NULL;
    if (set->named >> ATTRIBUTE_type & 1)
        return broker_refuse(b, ERR_BAD_REQUEST, "type");
    if (!attributes_check(b, set))
        return ERR_BAD_REQUEST;
    struct attributes merged = q->attributes;
    enum error_code code = attributes_merge(b, (struct view){q->name, q->name_bytes}, set, &merged);
    bool turns = code == ERR_NONE && merged.durable != q->attributes.durable;
    if (code == ERR_NONE && (merged.durable || turns))
        code = b->refusing;
    if (code == ERR_NONE && turns && queue_total(q) > 0)
        code = ERR_QUEUE_NOT_EMPTY;
    if (code != ERR_NONE)
        return code;
    if (turns && watched(b, q)) {
        topics_tell(b, q, b->watcher->unsubscribed_cb);
        b->watcher->queue_gone_cb(b->watcher->user, q);
    }
    q->attributes = merged;
    q->updates++;
    tell_queue(b, q);
    if (turns && watched(b, q))
        topics_tell(b, q, b->watcher->subscribed_cb);
    if (b->lines)
        held_room(b, q);
    if (set->named & (1u << ATTRIBUTE_group_prefetch | 1u << ATTRIBUTE_sticky_groups))
        order_review(b, q);
    return ERR_NONE;
}

void broker_withhold(struct broker *b, bool withhold)
{
    if (b->withholding == withhold)
        return;
    b->withholding = withhold;
    for (uint32_t i = 0; i < b->queue_count; i++)
        line_wake(b, b->queues[i]);
}

void broker_queue_pause(struct broker *b, struct queue *q, bool paused)
{
    q->paused = paused;
    tell_queue(b, q);
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
    if (watched(b, q))
        b->watcher->purged_cb(b->watcher->user, q, states);
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

void queues_remove(struct broker *b, int64_t now_ms, struct queue *q)
{
    moves_queue_gone(b, now_ms, q);
    topics_forget(b, q);
    if (watched(b, q))
        b->watcher->queue_gone_cb(b->watcher->user, q);
    held_queue_gone(b, q);
    detach_messages(b, q);
    dedup_detach(b, q);
    line_dismiss(b, now_ms, q, ERR_QUEUE_NOT_FOUND, "queue_deleted");
    uint32_t i = broker_queue_lower(b, q->name, q->name_bytes);
    memmove(&b->queues[i], &b->queues[i + 1], (b->queue_count - i - 1) * sizeof(struct queue *));
    b->queue_count--;
    table_remove(&b->numbers, &q->by_number);
    b->names_version++;
    table_close(&q->groups.table);
    pool_give(&b->pool, q, sizeof *q);
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
    queues_remove(b, now_ms, q);
    return ERR_NONE;
}
