#include "server/broker/topics.h"

#include "server/broker/filter.h"
#include "server/broker/held.h"
#include "server/broker/watch.h"

#include <assert.h>
#include <string.h>

/* ---- topics ------------------------------------------------------------------------------------------------------ */

uint32_t broker_topic_lower(const struct broker *b, const char *name, size_t bytes)
{
    uint32_t low = 0, high = b->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct topic *t = b->topics[middle];
        if (name_order(t->name, t->name_bytes, name, bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct topic *broker_topic_find(const struct broker *b, const char *name, size_t bytes)
{
    uint32_t i = broker_topic_lower(b, name, bytes);
    if (i == b->topic_count || name_order(b->topics[i]->name, b->topics[i]->name_bytes, name, bytes) != 0)
        return NULL;
    return b->topics[i];
}

static bool topics_reserve(struct broker *b)
{
    if (b->topic_count < b->topic_cap)
        return true;
    uint32_t cap = b->topic_cap ? b->topic_cap * 2 : 16;
    struct topic **topics = pool_take(&b->pool, cap * sizeof(struct topic *));
    if (!topics)
        return false;
    if (b->topic_count > 0)
        memcpy(topics, b->topics, b->topic_count * sizeof(struct topic *));
    pool_give(&b->pool, b->topics, b->topic_cap * sizeof(struct topic *));
    b->topics = topics;
    b->topic_cap = cap;
    return true;
}

struct topic *topics_add(struct broker *b, struct view name)
{
    struct topic *t = topics_reserve(b) ? pool_take(&b->pool, sizeof *t) : NULL;
    if (!t)
        return NULL;
    memset(t, 0, sizeof *t);
    t->name_bytes = (uint8_t)name.bytes;
    memcpy(t->name, name.data, name.bytes);
    uint32_t i = broker_topic_lower(b, t->name, t->name_bytes);
    memmove(&b->topics[i + 1], &b->topics[i], (b->topic_count - i) * sizeof(struct topic *));
    b->topics[i] = t;
    b->topic_count++;
    return t;
}

enum error_code broker_topic_create(struct broker *b, const char *name, size_t bytes, bool *created)
{
    b->which = NULL;
    assert(queue_name_valid(name, bytes));
    *created = false;
    if (broker_topic_find(b, name, bytes))
        return ERR_NONE;
    if (b->refusing != ERR_NONE)
        return b->refusing;
    if (b->topic_count >= LIMIT_TOPICS)
        return broker_refuse(b, ERR_LIMIT, "max_topics");
    if (broker_memory(b) + sizeof(struct topic) > b->limits.max_memory_bytes)
        return ERR_MEMORY_LIMIT;
    struct topic *t = topics_add(b, (struct view){name, bytes});
    if (!t)
        return ERR_MEMORY_LIMIT;
    *created = true;
    if (b->watcher)
        b->watcher->topic_cb(b->watcher->user, t);
    return ERR_NONE;
}

/* ---- subscriptions ----------------------------------------------------------------------------------------------- */

/* What it takes to match it, in steps: more if words follow a #, since these are looked for at every place. */
static uint32_t pattern_steps(struct view pattern)
{
    const char *hash = pattern.bytes > 1 ? memchr(pattern.data, '#', pattern.bytes - 1) : NULL;
    return hash ? LIMIT_ROUTING_HASH : 1;
}

static inline size_t subscription_size(size_t pattern_bytes, size_t filter_bytes)
{
    return sizeof(struct subscription) + pattern_bytes + filter_bytes;
}

static void subscription_free(struct broker *b, struct topic *topic, struct subscription *s)
{
    s->queue->subscription_count--;
    topic->pattern_steps -= pattern_steps(subscription_pattern(s));
    topic->filter_bytes -= s->filter_bytes;
    topic->filter_elements -= filter_elements(subscription_filter(s));
    pool_give(&b->pool, s, subscription_size(s->pattern_bytes, s->filter_bytes));
}

void broker_topic_delete(struct broker *b, struct topic *topic)
{
    held_topic_gone(b, topic);
    if (b->watcher)
        b->watcher->topic_gone_cb(b->watcher->user, topic);
    for (uint32_t i = 0; i < topic->subscription_count; i++)
        subscription_free(b, topic, topic->subscriptions[i]);
    pool_give(&b->pool, topic->subscriptions, topic->subscription_cap * sizeof(struct subscription *));
    uint32_t i = broker_topic_lower(b, topic->name, topic->name_bytes);
    memmove(&b->topics[i], &b->topics[i + 1], (b->topic_count - i - 1) * sizeof(struct topic *));
    b->topic_count--;
    b->names_version++;
    pool_give(&b->pool, topic, sizeof *topic);
}

/* By the queue's name, then by pattern. */
static int subscription_order(const struct subscription *s, const struct queue *q, struct view pattern)
{
    int order = name_order(s->queue->name, s->queue->name_bytes, q->name, q->name_bytes);
    return order != 0 ? order : name_order(s->text, s->pattern_bytes, pattern.data, pattern.bytes);
}

/* Where the first subscription stands that does not come before this one. */
static uint32_t subscription_lower(const struct topic *topic, const struct queue *q, struct view pattern)
{
    uint32_t low = 0, high = topic->subscription_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (subscription_order(topic->subscriptions[middle], q, pattern) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool subscriptions_reserve(struct broker *b, struct topic *topic)
{
    if (topic->subscription_count < topic->subscription_cap)
        return true;
    uint32_t cap = topic->subscription_cap ? topic->subscription_cap * 2 : 8;
    struct subscription **list = pool_take(&b->pool, cap * sizeof(struct subscription *));
    if (!list)
        return false;
    if (topic->subscription_count > 0)
        memcpy(list, topic->subscriptions, topic->subscription_count * sizeof(struct subscription *));
    pool_give(&b->pool, topic->subscriptions, topic->subscription_cap * sizeof(struct subscription *));
    topic->subscriptions = list;
    topic->subscription_cap = cap;
    return true;
}

/* Elements of a subscription in topic.info besides its filter; and of all the rest there. */
#define SUBSCRIPTION_ELEMENTS 8
#define TOPIC_ELEMENTS        64

/* True if one more subscription with that filter leaves an answer with all of them that a client takes. */
static bool can_show(const struct topic *topic, struct view filter, const struct subscription *replaced)
{
    uint64_t bytes = topic->filter_bytes + filter.bytes;
    uint64_t elements = topic->filter_elements + filter_elements(filter);
    if (replaced) {
        bytes -= replaced->filter_bytes;
        elements -= filter_elements(subscription_filter(replaced));
    }
    elements += ((uint64_t)topic->subscription_count + 1) * SUBSCRIPTION_ELEMENTS;
    return bytes <= LIMIT_TOPIC_FILTER_BYTES && elements + TOPIC_ELEMENTS <= LIMIT_NODES;
}

static struct subscription *subscription_find(const struct topic *topic, const struct queue *q, struct view pattern)
{
    uint32_t i = subscription_lower(topic, q, pattern);
    if (i == topic->subscription_count || subscription_order(topic->subscriptions[i], q, pattern) != 0)
        return NULL;
    return topic->subscriptions[i];
}

struct subscription *topics_subscribe(struct broker *b, struct topic *topic, struct queue *q, struct view pattern,
                                      struct view filter)
{
    size_t bytes = subscription_size(pattern.bytes, filter.bytes);
    struct subscription *s = subscriptions_reserve(b, topic) ? pool_take(&b->pool, bytes) : NULL;
    if (!s)
        return NULL;
    struct subscription *replaced = subscription_find(topic, q, pattern);
    *s = (struct subscription){
        .queue = q, .filter_bytes = (uint32_t)filter.bytes, .pattern_bytes = (uint8_t)pattern.bytes};
    if (pattern.bytes > 0)
        memcpy(s->text, pattern.data, pattern.bytes);
    if (filter.bytes > 0)
        memcpy(s->text + pattern.bytes, filter.data, filter.bytes);
    q->subscription_count++;
    topic->pattern_steps += pattern_steps(pattern);
    topic->filter_bytes += filter.bytes;
    topic->filter_elements += filter_elements(filter);
    uint32_t i = subscription_lower(topic, q, pattern);
    struct subscription **place = &topic->subscriptions[i];
    if (replaced) {
        s->mark = replaced->mark;
        subscription_free(b, topic, replaced);
    } else {
        memmove(place + 1, place, (topic->subscription_count++ - i) * sizeof(struct subscription *));
    }
    *place = s;
    return s;
}

enum error_code broker_subscribe(struct broker *b, struct topic *topic, struct queue *q, struct view pattern,
                                 struct view filter, bool *created)
{
    b->which = NULL;
    assert(pattern.bytes <= LIMIT_KEY_BYTES);
    const struct subscription *replaced = subscription_find(topic, q, pattern);
    *created = replaced == NULL;
    if (refuses(b, q))
        return b->refusing;
    if ((*created && topic->subscription_count >= LIMIT_SUBSCRIPTIONS) || !can_show(topic, filter, replaced))
        return broker_refuse(b, ERR_LIMIT, "max_subscriptions");
    if (broker_memory(b) + subscription_size(pattern.bytes, filter.bytes) > b->limits.max_memory_bytes)
        return ERR_MEMORY_LIMIT;
    struct subscription *s = topics_subscribe(b, topic, q, pattern, filter);
    if (!s)
        return ERR_MEMORY_LIMIT;
    if (watched(b, q))
        b->watcher->subscribed_cb(b->watcher->user, topic, s);
    return ERR_NONE;
}

uint32_t topics_unsubscribe(struct broker *b, struct topic *topic, const struct queue *q, const struct view *pattern)
{
    uint32_t first = subscription_lower(topic, q, pattern ? *pattern : (struct view){"", 0}), last = first;
    while (last < topic->subscription_count && topic->subscriptions[last]->queue == q &&
           (!pattern || subscription_order(topic->subscriptions[last], q, *pattern) == 0)) {
        struct subscription *s = topic->subscriptions[last++];
        if (watched(b, q))
            b->watcher->unsubscribed_cb(b->watcher->user, topic, s);
        subscription_free(b, topic, s);
    }
    if (last == first)
        return 0;
    memmove(&topic->subscriptions[first], &topic->subscriptions[last],
            (topic->subscription_count - last) * sizeof(struct subscription *));
    topic->subscription_count -= last - first;
    return last - first;
}

enum error_code broker_unsubscribe(struct broker *b, struct topic *topic, struct queue *q, struct view pattern)
{
    b->which = NULL;
    return topics_unsubscribe(b, topic, q, pattern.data ? &pattern : NULL) > 0 ? ERR_NONE : ERR_NOT_FOUND;
}

void topics_forget(struct broker *b, struct queue *q)
{
    for (uint32_t i = 0; i < b->topic_count && q->subscription_count > 0; i++)
        if (b->topics[i]->subscription_count > 0)
            (void)topics_unsubscribe(b, b->topics[i], q, NULL);
}

void topics_queue_renamed(struct broker *b, const struct queue *q)
{
    for (uint32_t i = 0; i < b->topic_count && q->subscription_count > 0; i++) {
        struct subscription **list = b->topics[i]->subscriptions;
        for (uint32_t j = 1; j < b->topics[i]->subscription_count; j++) {
            struct subscription *s = list[j];
            uint32_t to = j;
            for (; to > 0 && subscription_order(list[to - 1], s->queue, subscription_pattern(s)) > 0; to--)
                list[to] = list[to - 1];
            list[to] = s;
        }
    }
}

void topics_tell(struct broker *b, struct queue *q, subscription_fn *tell)
{
    uint32_t left = q->subscription_count;
    for (uint32_t i = 0; i < b->topic_count && left > 0; i++) {
        struct topic *t = b->topics[i];
        uint32_t at = subscription_lower(t, q, (struct view){"", 0});
        for (; at < t->subscription_count && t->subscriptions[at]->queue == q; at++, left--)
            tell(b->watcher->user, t, t->subscriptions[at]);
    }
}
