/*
 * The short way from a topic into its queues (plain.h), if all messages of the call go to the same ones and each of those takes them
 * without a decision:
 *
 *     targets     the queues, each with room for all messages
 *     sharing     of a body that goes to several queues there is only one
 *     put         into one queue after the other
 *     entered     each queue's figures; then the watcher is told, message by message, so that copies of one follow each other
 *
 * All that can fail is memory, before anybody has been told anything: what is in leaves again. Every other case is left to
 * fanout.c, which would have stored the same with the same ids, times and counts.
 */
#include "server/broker/filter.h"
#include "server/broker/pattern.h"
#include "server/broker/plain.h"
#include "server/broker/publish.h"
#include "server/broker/watch.h"

#include <string.h>

struct target {
    struct queue *queue;
    struct message stamp;
};

struct fan {
    const struct publications *messages; /* as the caller has them */
    struct plain_load load;
    struct publications sent;    /* as they go into the queues */
    struct publication *sharing; /* of several queues: these, with bodies that are shared; else NULL */
    uint32_t shared_count;       /* how many of them have one */
    struct target *targets;
    uint32_t count, cap;
};

/* ---- where they go ----------------------------------------------------------------------------------------------- */

/* True if the subscription wants all of the messages or none; *wants says which. Their headers are only looked at if they have none. */
static bool is_alike(const struct fan *fan, const struct subscription *s, struct view key, bool *wants)
{
    const struct view pattern = subscription_pattern(s), none = {NULL, 0};
    *wants = pattern_matches(pattern.data, pattern.bytes, key.data, key.bytes);
    if (!*wants || s->filter_bytes == 0)
        return true;
    *wants = filter_matches(subscription_filter(s), none);
    return fan->load.headers == 0;
}

/* The queue gets a copy of each message. False if that is not plain. */
static bool target_add(struct broker *b, int64_t now_ms, struct fan *fan, struct queue *q)
{
    struct target *target = &fan->targets[fan->count++];
    target->queue = q;
    return q->attributes.type == QUEUE_STANDARD && !refuses(b, q) && plain_takes(q, now_ms, &target->stamp) &&
           plain_fits(b, q, &fan->load, fan->messages->count);
}

/* False if it is not plain, or there is no queue. */
static bool find_targets(struct broker *b, int64_t now_ms, struct fan *fan, const struct topic *topic, struct view key)
{
    for (uint32_t i = 0; i < topic->subscription_count; i++) {
        const struct subscription *s = topic->subscriptions[i];
        bool wants;
        if (fan->count > 0 && fan->targets[fan->count - 1].queue == s->queue)
            continue;
        if (!is_alike(fan, s, key, &wants) || (wants && !target_add(b, now_ms, fan, s->queue)))
            return false;
    }
    return fan->count > 0;
}

/* True if there is room in memory and the call is not too large. */
static bool is_affordable(const struct broker *b, const struct fan *fan, const struct topic *topic)
{
    const uint64_t messages = fan->messages->count, copies = messages * fan->count;
    const uint64_t filters = topic->subscription_count + topic->filter_bytes / LIMIT_ROUTING_BYTES;
    struct plain_load load = fan->load;
    load.kept *= fan->count; /* and bodies, which are counted too often */
    return copies <= LIMIT_COPIES && topic->pattern_steps + messages * filters <= LIMIT_ROUTING &&
           plain_affords(b, &load, copies);
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

/* The publication with its body in a struct body, which it holds. False if memory ran out. */
static bool share(struct broker *b, struct publication *copy, const struct publication *p)
{
    *copy = *p;
    if (p->shared) {
        (void)body_ref(p->shared);
        return true;
    }
    struct body *body = body_new(&b->pool, (uint32_t)p->body.bytes);
    if (!body)
        return false;
    if (p->body.bytes > 0)
        memcpy(body->data, p->body.data, p->body.bytes);
    copy->shared = body;
    copy->body.data = body->data;
    return true;
}

static bool share_all(struct broker *b, struct fan *fan)
{
    const uint32_t count = fan->messages->count;
    struct publication room;
    fan->sharing = pool_take(&b->pool, count * sizeof *fan->sharing);
    if (!fan->sharing)
        return false;
    for (; fan->shared_count < count; fan->shared_count++)
        if (!share(b, &fan->sharing[fan->shared_count], publication_at(fan->messages, fan->shared_count, &room)))
            return false;
    fan->sent = (struct publications){.items = fan->sharing, .count = count};
    return true;
}

/* The queues' messages hold what they need. */
static void fan_close(struct broker *b, struct fan *fan)
{
    while (fan->shared_count > 0)
        body_unref(fan->sharing[--fan->shared_count].shared);
    pool_give(&b->pool, fan->sharing, fan->messages->count * sizeof *fan->sharing);
    pool_give(&b->pool, fan->targets, fan->cap * sizeof *fan->targets);
}

/* ---- into the queues --------------------------------------------------------------------------------------------- */

/* Into every queue, or none. */
static bool put_all(struct broker *b, struct fan *fan)
{
    for (uint32_t i = 0; i < fan->count; i++) {
        if (plain_put(b, fan->targets[i].queue, &fan->sent, &fan->load, &fan->targets[i].stamp))
            continue;
        while (i-- > 0)
            plain_take_back(b, fan->targets[i].queue, fan->messages->count);
        return false;
    }
    return true;
}

/* How many of the queues the watcher is told about. */
static uint32_t count_watched(const struct broker *b, const struct fan *fan)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fan->count; i++)
        count += watched(b, fan->targets[i].queue);
    return count;
}

/* The newest messages of all queues, the copies of one after the other. */
static void tell_stored(struct broker *b, const struct fan *fan)
{
    const uint32_t told = count_watched(b, fan);
    for (uint32_t left = told > 0 ? fan->messages->count : 0; left > 0; left--) {
        uint32_t further = told;
        for (uint32_t i = 0; i < fan->count; i++) {
            struct queue *q = fan->targets[i].queue;
            if (!watched(b, q))
                continue;
            const struct ring_cursor at = ring_find(q->messages, q->next_id - left);
            b->watcher->stored_cb(b->watcher->user, q, life_message(at), MESSAGE_READY, 0, --further > 0);
        }
    }
}

bool plain_topic_publish(struct broker *b, int64_t now_ms, struct topic *topic, struct view key,
                         const struct publications *messages, uint64_t *copies)
{
    struct fan fan = {.messages = messages, .sent = *messages, .cap = topic->subscription_count};
    if (fan.cap == 0 || !plain_measure(messages, false, &fan.load))
        return false;
    fan.targets = pool_take(&b->pool, fan.cap * sizeof *fan.targets);
    const bool stored = fan.targets && find_targets(b, now_ms, &fan, topic, key) && is_affordable(b, &fan, topic) &&
                        (fan.count == 1 || share_all(b, &fan)) && put_all(b, &fan);
    if (stored) {
        for (uint32_t i = 0; i < fan.count; i++)
            plain_entered(b, now_ms, fan.targets[i].queue, &fan.load, messages->count, &fan.targets[i].stamp);
        tell_stored(b, &fan);
        *copies = (uint64_t)messages->count * fan.count;
        topic->published += messages->count;
        topic->routed += *copies;
    }
    fan_close(b, &fan);
    return stored;
}
