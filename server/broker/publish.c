/* Messages into one queue, and what all calls that store messages have in common. */
#include "server/broker/publish.h"

#include "server/broker/plain.h"
#include "server/broker/watch.h"

#include <assert.h>
#include <string.h>

enum error_code broker_refuse_batch(struct broker *b, struct queue *q, enum error_code code, uint32_t count)
{
    COUNT(b, q, refused, count);
    return code;
}

/* ---- what all calls have in common ------------------------------------------------------------------------------- */

enum error_code publish_check(struct broker *b, uint32_t count, const struct publish_options *options)
{
    b->which = NULL;
    b->outcome_count = 0;
    if (count == 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "messages");
    if (count > b->limits.max_batch)
        return broker_refuse(b, ERR_LIMIT, "max_batch");
    if (options->wait_ms < 0 || (uint64_t)options->wait_ms > b->limits.max_wait_ms)
        return broker_refuse(b, ERR_LIMIT, "max_wait");
    return ERR_NONE;
}

bool publish_is_starved(const struct broker *b, uint64_t cost)
{
    return broker_memory(b) + cost > b->limits.max_memory_bytes;
}

uint64_t publish_shared_bytes(const struct publications *messages)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < messages->count && messages->items; i++)
        bytes += messages->items[i].shared ? messages->items[i].shared->bytes : 0;
    return bytes;
}

enum error_code publish_check_memory(const struct broker *b, uint64_t cost, const struct publish_options *options)
{
    if (!publish_is_starved(b, cost) || (options->wait_ms > 0 && held_allowed(b, cost)))
        return ERR_NONE;
    return ERR_MEMORY_LIMIT;
}

static bool is_worth_waiting(enum error_code code, const struct publish_options *options)
{
    return options->wait_ms > 0 && (code == ERR_QUEUE_FULL || code == ERR_MEMORY_LIMIT);
}

enum error_code publish_refuse_whole(struct broker *b, const struct batch *batch, enum error_code code,
                                     uint32_t culprit)
{
    batch_count_refused(b, batch);
    if (culprit == batch->count)
        return code;
    const struct staged *s = &batch->staged[culprit];
    broker_outcome(b, s->index, code, s->which);
    return broker_refuse(b, code, s->which);
}

enum error_code publish_or_wait(struct broker *b, int64_t now_ms, struct batch *batch, struct topic *topic,
                                uint32_t messages, bool starved, const struct publish_options *options,
                                uint32_t *culprit, bool *held)
{
    enum error_code code;
    *culprit = batch->count;
    plan_begin(b);
    if (starved) {
        code = batch_wrong(b, now_ms, batch, culprit); /* that would not go in with all the memory in the world */
        code = code != ERR_NONE ? code : ERR_MEMORY_LIMIT;
    } else {
        code = batch_plan(b, now_ms, batch, culprit);
    }
    if (code == ERR_NONE) {
        batch_apply(b, now_ms, batch);
    } else if (is_worth_waiting(code, options) && batch_could_fit(b, now_ms, batch)) {
        struct queue *line = batch->staged[*culprit < batch->count ? *culprit : 0].queue;
        enum error_code refused = held_wait(b, now_ms, batch, line, topic, messages, options, code);
        *held = refused == ERR_NONE;
        if (!*held)
            *culprit = batch->count;
        return refused;
    }
    return code;
}

/* ---- to a queue -------------------------------------------------------------------------------------------------- */

static struct batch *stage(struct broker *b, struct queue *q, const struct publications *p, bool atomic)
{
    struct batch *batch = batch_new(b, p->count, atomic);
    struct publication room;
    for (uint32_t i = 0; batch && i < p->count; i++) {
        enum error_code refused = p->refused ? p->refused[i] : ERR_NONE;
        if (!batch_add(b, batch, q, publication_at(p, i, &room), i, refused, p->which ? p->which[i] : NULL, false)) {
            batch_free(b, batch);
            return NULL;
        }
    }
    return batch;
}

/* All that are not wrong, if they fit together, or they wait; else each for itself, unless the call is atomic. */
static enum error_code publish_whole(struct broker *b, int64_t now_ms, struct batch *batch, bool starved,
                                     const struct publish_options *options, bool *held)
{
    uint32_t culprit;
    enum error_code code = publish_or_wait(b, now_ms, batch, NULL, batch->count, starved, options, &culprit, held);
    if (code == ERR_NONE)
        return ERR_NONE;
    if (!batch->atomic && code == ERR_QUEUE_FULL)
        return batch_run(b, now_ms, batch);
    if (code == ERR_QUEUE_FULL || code == ERR_MEMORY_LIMIT)
        culprit = batch->count; /* the batch as a whole does not fit */
    return publish_refuse_whole(b, batch, code, culprit);
}

/* Whatever the messages and the queue are. */
static enum error_code publish_staged(struct broker *b, int64_t now_ms, struct queue *q,
                                      const struct publications *messages, const struct publish_options *options,
                                      struct publish_result *result)
{
    struct publication room;
    uint32_t count = messages->count;
    uint64_t cost = batch_size(count);
    for (uint32_t i = 0; i < count; i++)
        cost += batch_cost_of(q, publication_at(messages, i, &room));
    enum error_code code = publish_check_memory(b, cost, options);
    if (code == ERR_NONE && q->held && options->wait_ms == 0 && held_reason(q) == ERR_MEMORY_LIMIT)
        code = ERR_MEMORY_LIMIT;
    bool starved = publish_is_starved(b, cost);
    struct batch *batch = code == ERR_NONE ? stage(b, q, messages, options->atomic) : NULL;
    if (!batch || !broker_outcomes(b, count)) {
        if (batch)
            batch_free(b, batch);
        return broker_refuse_batch(b, q, ERR_MEMORY_LIMIT, count);
    }
    *result = (struct publish_result){0, 0, false};
    if (options->atomic || options->wait_ms > 0) {
        batch->cost = cost + publish_shared_bytes(messages);
        code = publish_whole(b, now_ms, batch, starved, options, &result->held);
    } else {
        code = batch_run(b, now_ms, batch);
        if (code != ERR_NONE)
            batch_count_refused(b, batch);
    }
    if (result->held)
        return ERR_NONE;
    if (code == ERR_NONE) {
        batch_report(b, batch, 0, count);
        result->stored = batch_stored(batch, 0, count, &result->first_id);
    }
    batch_free(b, batch);
    return code;
}

enum error_code broker_publish(struct broker *b, int64_t now_ms, struct queue *q, const struct publications *messages,
                               const struct publish_options *options, struct publish_result *result)
{
    enum error_code code = publish_check(b, messages->count, options);
    if (code != ERR_NONE)
        return code;
    if (b->draining || b->stopping)
        return broker_refuse_batch(b, q, ERR_DRAINING, messages->count);
    if (refuses(b, q))
        return broker_refuse_batch(b, q, b->refusing, messages->count);
    if (plain_publish(b, now_ms, q, messages, result))
        return ERR_NONE;
    return publish_staged(b, now_ms, q, messages, options, result);
}
