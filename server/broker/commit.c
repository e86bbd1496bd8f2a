/* Messages in and acks in one step: broker_commit(). */
#include "server/broker/fanout.h"

#include <assert.h>
#include <stdlib.h>

static int compare_receipts(const void *x, const void *y)
{
    const uint64_t *a = *(const uint64_t *const *)x, *b = *(const uint64_t *const *)y;
    if (*a != *b)
        return *a < *b ? -1 : 1;
    return a < b ? -1 : a > b; /* of equal ones the later named is the culprit */
}

/* All receipts are valid, and none is named twice; else *culprit is the first that is not. */
static enum error_code check_receipts(struct broker *b, const uint64_t *receipts, uint32_t count, uint32_t *culprit)
{
    *culprit = count;
    for (uint32_t i = 0; i < count && *culprit == count; i++)
        if (!life_find(b, receipts[i]))
            *culprit = i;
    if (count > 1) {
        const uint64_t **sorted = pool_take(&b->pool, count * sizeof *sorted);
        if (!sorted)
            return ERR_MEMORY_LIMIT;
        for (uint32_t i = 0; i < count; i++)
            sorted[i] = &receipts[i];
        qsort(sorted, count, sizeof *sorted, compare_receipts);
        for (uint32_t i = 1; i < count; i++)
            if (*sorted[i] == *sorted[i - 1] && sorted[i] - receipts < *culprit)
                *culprit = (uint32_t)(sorted[i] - receipts);
        pool_give(&b->pool, sorted, count * sizeof *sorted);
    }
    return *culprit < count ? ERR_RECEIPT_STALE : ERR_NONE;
}

/* How many staged messages the commit will have, and what they cost. */
static enum error_code measure(struct broker *b, const struct commit_part *parts, uint32_t count, struct tally *tally,
                               uint32_t *messages)
{
    struct publication room;
    *messages = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct commit_part *part = &parts[i];
        if (part->messages.count == 0)
            return broker_refuse(b, ERR_BAD_REQUEST, "messages");
        if (part->messages.count > b->limits.max_batch - *messages)
            return broker_refuse(b, ERR_LIMIT, "max_batch");
        *messages += part->messages.count;
        if (part->topic) {
            enum error_code code = fanout_count(b, part->topic, part->key, &part->messages, tally);
            if (code != ERR_NONE)
                return code;
            continue;
        }
        for (uint32_t j = 0; j < part->messages.count; j++)
            (void)fanout_tally(tally, part->queue, publication_at(&part->messages, j, &room));
    }
    return ERR_NONE;
}

/* Stages all parts; outcome_first and outcome_count are for now those of their staged messages. */
static bool stage_parts(struct broker *b, struct batch *batch, struct commit_part *parts, uint32_t count)
{
    struct publication room;
    for (uint32_t i = 0; i < count; i++) {
        struct commit_part *part = &parts[i];
        const struct publications *p = &part->messages;
        part->outcome_first = batch->count;
        if (part->topic && !fanout_stage(b, batch, part->topic, part->key, p))
            return false;
        for (uint32_t j = 0; j < p->count && !part->topic; j++)
            if (!batch_add(b, batch, part->queue, publication_at(p, j, &room), j, p->refused ? p->refused[j] : ERR_NONE,
                           p->which ? p->which[j] : NULL, false))
                return false;
        part->outcome_count = batch->count - part->outcome_first;
    }
    return true;
}

/* What each part answers. */
static void report_parts(struct broker *b, const struct batch *batch, struct commit_part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct commit_part *part = &parts[i];
        uint32_t first = part->outcome_first, staged = part->outcome_count;
        part->outcome_first = b->outcome_count;
        part->stored = batch_stored(batch, first, staged, &part->first_id);
        part->copies = staged;
        if (part->topic) {
            part->topic->published += part->messages.count;
            part->topic->routed += staged;
        } else {
            batch_report(b, batch, first, staged);
        }
        part->outcome_count = b->outcome_count - part->outcome_first;
    }
}

/* The staged message that was in the way is one of this part. */
static void find_part(const struct batch *batch, const struct commit_part *parts, uint32_t count, uint32_t staged,
                      struct commit_culprit *culprit)
{
    if (staged == batch->count)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (staged - parts[i].outcome_first < parts[i].outcome_count)
            culprit->part = i;
    culprit->index = batch->staged[staged].index;
}

static enum error_code commit_batch(struct broker *b, int64_t now_ms, struct batch *batch, struct commit_part *parts,
                                    uint32_t part_count, const uint64_t *receipts, uint32_t receipt_count,
                                    struct commit_culprit *culprit)
{
    uint32_t staged = batch->count;
    plan_begin(b);
    for (uint32_t i = 0; i < receipt_count; i++)
        plan_leave(b, life_find(b, receipts[i])->at);
    enum error_code code = batch_plan(b, now_ms, batch, &staged);
    if (code != ERR_NONE) {
        find_part(batch, parts, part_count, staged, culprit);
        batch_count_refused(b, batch);
        return broker_refuse(b, code, staged < batch->count ? batch->staged[staged].which : NULL);
    }
    for (uint32_t i = 0; i < receipt_count; i++)
        settle_ack(b, now_ms, life_find(b, receipts[i]));
    batch_apply(b, now_ms, batch);
    report_parts(b, batch, parts, part_count);
    return ERR_NONE;
}

enum error_code broker_commit(struct broker *b, int64_t now_ms, struct commit_part *parts, uint32_t part_count,
                              const uint64_t *receipts, uint32_t receipt_count, struct commit_culprit *culprit)
{
    struct tally tally = {0};
    uint32_t messages;
    *culprit = (struct commit_culprit){.part = UINT32_MAX};
    b->which = NULL;
    b->outcome_count = 0;
    if (part_count == 0 && receipt_count == 0)
        return broker_refuse(b, ERR_BAD_REQUEST, "commit");
    if (receipt_count > b->limits.max_batch)
        return broker_refuse(b, ERR_LIMIT, "max_batch");
    if (part_count > 0 && (b->draining || b->stopping))
        return ERR_DRAINING;
    enum error_code code = measure(b, parts, part_count, &tally, &messages);
    if (code == ERR_NONE && tally.durable)
        code = b->refusing;
    if (code != ERR_NONE)
        return code;
    code = check_receipts(b, receipts, receipt_count, &culprit->index);
    if (code != ERR_NONE) {
        culprit->ack = code == ERR_RECEIPT_STALE;
        return code;
    }
    if (tally.copies > LIMIT_COPIES)
        return broker_refuse(b, ERR_LIMIT, "max_copies");
    uint32_t staged = (uint32_t)tally.copies + tally.wrong;
    if (part_count > 0 && publish_is_starved(b, tally.cost + batch_size(staged)))
        return ERR_MEMORY_LIMIT;
    struct batch *batch = batch_new(b, staged, true);
    if (!batch || !stage_parts(b, batch, parts, part_count) || !broker_outcomes(b, batch->count))
        code = ERR_MEMORY_LIMIT;
    else
        code = commit_batch(b, now_ms, batch, parts, part_count, receipts, receipt_count, culprit);
    if (batch)
        batch_free(b, batch);
    return code;
}
