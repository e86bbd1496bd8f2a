#include "server/broker/fanout.h"

#include "server/broker/filter.h"
#include "server/broker/pattern.h"
#include "server/broker/plain.h"

#include <string.h>

/* The subscriptions whose pattern matches the key of a call; those of one queue stand together. */
struct routes {
    struct subscription **list;
    uint32_t count, cap;
};

static bool routes_open(struct broker *b, struct routes *routes, const struct topic *topic, struct view key)
{
    *routes = (struct routes){.cap = topic->subscription_count};
    if (routes->cap == 0)
        return true;
    routes->list = pool_take(&b->pool, routes->cap * sizeof(struct subscription *));
    for (uint32_t i = 0; routes->list && i < routes->cap; i++) {
        struct view pattern = subscription_pattern(topic->subscriptions[i]);
        if (pattern_matches(pattern.data, pattern.bytes, key.data, key.bytes))
            routes->list[routes->count++] = topic->subscriptions[i];
    }
    return routes->list != NULL;
}

static void routes_close(struct broker *b, struct routes *routes)
{
    pool_give(&b->pool, routes->list, routes->cap * sizeof(struct subscription *));
}

/* The next queue that gets a copy of the message; *at: where the search goes on, 0 at first. NULL at the end. */
static struct queue *route_next(const struct routes *routes, const struct publication *p, uint32_t *at)
{
    const struct queue *last = *at > 0 ? routes->list[*at - 1]->queue : NULL;
    while (*at < routes->count) {
        const struct subscription *s = routes->list[(*at)++];
        if (s->queue != last && filter_matches(subscription_filter(s), p->headers))
            return s->queue;
    }
    return NULL;
}

static bool is_wrong(const struct publications *messages, uint32_t i)
{
    return messages->refused && messages->refused[i] != ERR_NONE;
}

bool fanout_tally(struct tally *tally, struct queue *q, const struct publication *p)
{
    tally->copies++;
    tally->durable = tally->durable || q->attributes.durable;
    tally->cost += batch_cost_of(q, p);
    return tally->copies <= LIMIT_COPIES;
}

/* Of a body that goes to several queues there is only one. */
static bool tally_message(struct tally *tally, const struct routes *routes, const struct publication *p)
{
    uint32_t at = 0;
    uint64_t again = 0;
    for (struct queue *q; (q = route_next(routes, p, &at));) {
        if (!fanout_tally(tally, q, p))
            return false;
        tally->cost -= again;
        again = p->shared ? 0 : p->body.bytes;
    }
    return true;
}

enum error_code fanout_count(struct broker *b, const struct topic *topic, struct view key,
                             const struct publications *messages, struct tally *tally)
{
    struct routes routes;
    uint64_t filters = topic->subscription_count + topic->filter_bytes / LIMIT_ROUTING_BYTES;
    tally->steps += topic->pattern_steps + messages->count * filters;
    if (tally->steps > LIMIT_ROUTING)
        return broker_refuse(b, ERR_LIMIT, "max_routing");
    if (!routes_open(b, &routes, topic, key))
        return ERR_MEMORY_LIMIT;
    struct publication room;
    bool few = true;
    for (uint32_t i = 0; i < messages->count && few; i++) {
        if (is_wrong(messages, i))
            tally->wrong++;
        else
            few = tally_message(tally, &routes, publication_at(messages, i, &room));
    }
    routes_close(b, &routes);
    return few ? ERR_NONE : broker_refuse(b, ERR_LIMIT, "max_copies");
}

/* The publication's body in a struct body, for all copies; NULL if memory ran out. */
static struct body *body_for_all(struct broker *b, const struct publication *p)
{
    struct body *body = body_new(&b->pool, (uint32_t)p->body.bytes);
    if (body && p->body.bytes > 0)
        memcpy(body->data, p->body.data, p->body.bytes);
    return body;
}

/* Stages the copies of one message; of a body that goes to several queues there is only one. */
static bool stage_copies(struct broker *b, struct batch *batch, const struct routes *routes,
                         const struct publication *p, uint32_t index)
{
    struct publication copy = *p;
    struct body *body = NULL;
    uint32_t at = 0, further = 0;
    struct queue *q = route_next(routes, p, &at);
    further = at;
    if (q && route_next(routes, p, &further) && !p->shared) {
        body = body_for_all(b, p);
        if (!body)
            return false;
        copy.shared = body;
        copy.body.data = body->data;
    }
    bool staged = true;
    for (; q && staged; q = route_next(routes, p, &at))
        staged = batch_add(b, batch, q, &copy, index, ERR_NONE, NULL, true);
    if (body)
        body_unref(body);
    return staged;
}

bool fanout_stage(struct broker *b, struct batch *batch, const struct topic *topic, struct view key,
                  const struct publications *messages)
{
    struct publication room;
    struct routes routes;
    bool staged = routes_open(b, &routes, topic, key);
    for (uint32_t i = 0; i < messages->count && staged; i++) {
        if (is_wrong(messages, i))
            batch_add_wrong(batch, i, messages->refused[i], messages->which ? messages->which[i] : NULL);
        else
            staged = stage_copies(b, batch, &routes, publication_at(messages, i, &room), i);
    }
    routes_close(b, &routes);
    return staged;
}

enum error_code broker_topic_publish(struct broker *b, int64_t now_ms, struct topic *topic, struct view key,
                                     const struct publications *messages, const struct publish_options *options,
                                     uint64_t *copies, bool *held)
{
    struct tally tally = {0};
    *held = false;
    *copies = 0;
    enum error_code code = publish_check(b, messages->count, options);
    if (code == ERR_NONE && (b->draining || b->stopping))
        code = ERR_DRAINING;
    if (code == ERR_NONE && plain_topic_publish(b, now_ms, topic, key, messages, copies))
        return ERR_NONE;
    if (code == ERR_NONE)
        code = fanout_count(b, topic, key, messages, &tally);
    if (code == ERR_NONE && tally.durable)
        code = b->refusing;
    if (code != ERR_NONE)
        return code;
    uint32_t staged = (uint32_t)tally.copies + tally.wrong;
    if (staged == 0 && options->mandatory)
        return ERR_UNROUTABLE;
    if (staged == 0) {
        topic->published += messages->count;
        return ERR_NONE;
    }
    tally.cost += batch_size(staged);
    if (publish_check_memory(b, tally.cost, options) != ERR_NONE)
        return ERR_MEMORY_LIMIT;
    bool starved = publish_is_starved(b, tally.cost);
    struct batch *batch = batch_new(b, staged, true);
    if (!batch || !fanout_stage(b, batch, topic, key, messages)) {
        if (batch)
            batch_free(b, batch);
        return ERR_MEMORY_LIMIT;
    }
    batch->cost = tally.cost + publish_shared_bytes(messages);
    uint32_t culprit;
    code = publish_or_wait(b, now_ms, batch, topic, messages->count, starved, options, &culprit, held);
    if (*held)
        return ERR_NONE;
    if (code != ERR_NONE)
        code = publish_refuse_whole(b, batch, code, culprit);
    batch_free(b, batch);
    if (code == ERR_NONE) {
        *copies = tally.copies;
        topic->published += messages->count;
        topic->routed += tally.copies;
    }
    return code;
}
