#include "server/broker/topics.h"

#include "server/broker/filter.h"
#include "server/broker/held.h"

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

enum error_code broker_topic_create(struct broker *b, const char *name, size_t bytes, bool *created)
{
    b->which = NULL;
    assert(queue_name_valid(name, bytes));
    *created = false;
    if (broker_topic_find(b, name, bytes))
        return ERR_NONE;
    if (b->topic_count >= LIMIT_TOPICS)
        return broker_refuse(b, ERR_LIMIT, "max_topics");
    if (broker_memory(b) + sizeof(struct topic) > b->limits.max_memory_bytes || !topics_reserve(b))
        return ERR_MEMORY_LIMIT;
    struct topic *t = pool_take(&b->pool, sizeof *t);
    if (!t)
        return ERR_MEMORY_LIMIT;
    memset(t, 0, sizeof *t);
    t->name_bytes = (uint8_t)bytes;
    memcpy(t->name, name, bytes);
    uint32_t i = broker_topic_lower(b, name, bytes);
    memmove(&b->topics[i + 1], &b->topics[i], (b->topic_count - i) * sizeof(struct topic *));
    b->topics[i] = t;
    b->topic_count++;
    *created = true;
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

enum error_code broker_subscribe(struct broker *b, struct topic *topic, struct queue *q, struct view pattern,
                                 struct view filter, bool *created)
{
    b->which = NULL;
    assert(pattern.bytes <= LIMIT_KEY_BYTES);
    uint32_t i = subscription_lower(topic, q, pattern);
    *created = i == topic->subscription_count || subscription_order(topic->subscriptions[i], q, pattern) != 0;
    const struct subscription *replaced = *created ? NULL : topic->subscriptions[i];
    if ((*created && topic->subscription_count >= LIMIT_SUBSCRIPTIONS) || !can_show(topic, filter, replaced))
        return broker_refuse(b, ERR_LIMIT, "max_subscriptions");
    size_t bytes = subscription_size(pattern.bytes, filter.bytes);
    if (broker_memory(b) + bytes > b->limits.max_memory_bytes || !subscriptions_reserve(b, topic))
        return ERR_MEMORY_LIMIT;
    struct subscription *s = pool_take(&b->pool, bytes);
    if (!s)
        return ERR_MEMORY_LIMIT;
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
    struct subscription **place = &topic->subscriptions[i];
    if (*created)
        memmove(place + 1, place, (topic->subscription_count++ - i) * sizeof(struct subscription *));
    else
        subscription_free(b, topic, *place);
    *place = s;
    return ERR_NONE;
}

/* Ends the subscriptions of the queue to the topic, or the one with that pattern. Returns how many. */
static uint32_t unsubscribe(struct broker *b, struct topic *topic, const struct queue *q, const struct view *pattern)
{
    uint32_t first = subscription_lower(topic, q, pattern ? *pattern : (struct view){"", 0}), last = first;
    while (last < topic->subscription_count && topic->subscriptions[last]->queue == q &&
           (!pattern || subscription_order(topic->subscriptions[last], q, *pattern) == 0))
        subscription_free(b, topic, topic->subscriptions[last++]);
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
    return unsubscribe(b, topic, q, pattern.data ? &pattern : NULL) > 0 ? ERR_NONE : ERR_NOT_FOUND;
}

void topics_forget(struct broker *b, struct queue *q)
{
    for (uint32_t i = 0; i < b->topic_count && q->subscription_count > 0; i++)
        if (b->topics[i]->subscription_count > 0)
            (void)unsubscribe(b, b->topics[i], q, NULL);
}
