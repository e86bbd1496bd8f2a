#include "server/broker/batch.h"

#include "server/broker/held.h"
#include "server/broker/watch.h"

#include <assert.h>
#include <string.h>

/* ---- staging ----------------------------------------------------------------------------------------------------- */

size_t batch_size(uint32_t cap)
{
    return sizeof(struct batch) + (size_t)cap * sizeof(struct staged);
}

struct batch *batch_new(struct broker *b, uint32_t cap, bool atomic)
{
    struct batch *batch = pool_take(&b->pool, batch_size(cap));
    if (batch)
        *batch = (struct batch){.cap = cap, .atomic = atomic};
    return batch;
}

static void staged_free(struct broker *b, struct staged *s)
{
    if (s->message)
        message_free(&b->pool, s->message);
    if (s->spare)
        group_free(&b->pool, s->spare);
    dedup_free(b, s->entry);
    assert(!s->displaced);
    s->message = NULL;
    s->spare = NULL;
    s->entry = NULL;
}

void batch_free(struct broker *b, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count && !batch->spent; i++)
        staged_free(b, &batch->staged[i]);
    pool_give(&b->pool, batch, batch_size(batch->cap));
}

static bool is_fifo(const struct queue *q)
{
    return q->attributes.type == QUEUE_FIFO;
}

static bool is_linked(const struct queue *q, const struct publication *p)
{
    return is_fifo(q) || p->priority > 0;
}

uint64_t batch_cost_of(const struct queue *q, const struct publication *p)
{
    uint64_t cost = message_cost(p, is_linked(q, p)) + dedup_cost(q, p) + (is_fifo(q) ? sizeof(struct group) : 0);
    if (p->delay_ms > 0 || p->ttl_ms > 0)
        cost += sizeof(struct slot);
    return cost + sizeof(struct ring_page) / RING_FANOUT + 1;
}

uint64_t batch_body_limit(const struct broker *b, const struct queue *q)
{
    int64_t own = q->attributes.max_message_bytes;
    return own != 0 ? (uint64_t)own : b->limits.max_message_bytes;
}

/* What is wrong with the message whatever the queue's limits are. */
static enum error_code check_form(const struct queue *q, const struct publication *p, bool by_topic, const char **which)
{
    if (is_fifo(q) && p->group.bytes == 0)
        return ERR_GROUP_REQUIRED;
    if (p->priority >= LIMIT_PRIORITIES || (p->priority > 0 && is_fifo(q) && !by_topic)) {
        *which = "priority";
        return ERR_BAD_REQUEST;
    }
    return ERR_NONE;
}

/* Whether the queue's limits allow it ever. */
static enum error_code check_limits(const struct broker *b, const struct queue *q, const struct publication *p,
                                    const char **which)
{
    if (p->body.bytes > batch_body_limit(b, q)) {
        *which = "max_message_bytes";
        return ERR_TOO_LARGE;
    }
    if (q->attributes.max_bytes != 0 && p->body.bytes > (uint64_t)q->attributes.max_bytes) {
        *which = "max_bytes";
        return ERR_TOO_LARGE;
    }
    int64_t delay_ms = p->delay_ms >= 0 ? p->delay_ms : q->attributes.delay;
    if (q->attributes.retention != 0 && delay_ms >= q->attributes.retention) {
        *which = "retention"; /* it would be removed before it was ever ready */
        return ERR_LIMIT;
    }
    return ERR_NONE;
}

/* All of it, in order. The door may have skipped a body as too large: then it has none, but its form is judged first. */
static enum error_code check(const struct broker *b, const struct queue *q, const struct publication *p, bool by_topic,
                             enum error_code refused, const char **which)
{
    if (refused != ERR_NONE && refused != ERR_TOO_LARGE)
        return refused;
    const char *wrong = NULL;
    enum error_code code = check_form(q, p, by_topic, &wrong);
    if (code == ERR_NONE && refused != ERR_NONE)
        return refused;
    if (code == ERR_NONE)
        code = check_limits(b, q, p, &wrong);
    *which = wrong;
    return code;
}

bool batch_add(struct broker *b, struct batch *batch, struct queue *q, const struct publication *p, uint32_t index,
               enum error_code refused, const char *which, bool by_topic)
{
    assert(batch->count < batch->cap);
    struct staged *s = &batch->staged[batch->count++];
    *s = (struct staged){.queue = q, .index = index, .code = refused, .which = which, .updates = q->updates};
    s->code = check(b, q, p, by_topic, refused, &s->which);
    /* One that a limit forbids now may have been stored before: then it is a duplicate, and that comes before every limit. */
    bool limit = s->code == ERR_TOO_LARGE || s->code == ERR_LIMIT;
    bool known = refused == ERR_NONE || p->dedup_id.bytes > 0; /* the content of a body that was skipped is not */
    if ((s->code == ERR_NONE || limit) && known && dedup_wanted(q, p)) {
        s->entry = dedup_new(b, q, p);
        if (!s->entry)
            return false;
    }
    if (s->code != ERR_NONE) {
        batch->wrong++;
        return true;
    }
    struct publication plain;
    if (is_fifo(q) && p->priority > 0) {
        plain = *p;
        plain.priority = 0;
        p = &plain;
    }
    s->delay_ms = p->delay_ms;
    s->ttl_ms = p->ttl_ms;
    s->message = message_new(&b->pool, p, is_linked(q, p));
    if (!s->message)
        return false;
    if (is_fifo(q)) {
        s->spare = group_new(b, q, p->group);
        if (!s->spare)
            return false;
    }
    return true;
}

void batch_add_wrong(struct batch *batch, uint32_t index, enum error_code refused, const char *which)
{
    assert(batch->count < batch->cap && refused != ERR_NONE);
    batch->staged[batch->count++] = (struct staged){.index = index, .code = refused, .which = which};
    batch->wrong++;
}

static bool review(struct broker *b, struct batch *batch, struct staged *s)
{
    struct queue *q = s->queue;
    const struct publication p = {
        .body = message_body(s->message),
        .group = message_group(s->message),
        .dedup_id = message_dedup_id(s->message),
        .delay_ms = s->delay_ms,
        .ttl_ms = s->ttl_ms,
    };
    dedup_free(b, s->entry);
    s->entry = dedup_wanted(q, &p) ? dedup_new(b, q, &p) : NULL;
    if (dedup_wanted(q, &p) && !s->entry)
        return false;
    batch->wrong -= s->code != ERR_NONE;
    s->which = NULL;
    s->code = check(b, q, &p, true, ERR_NONE, &s->which);
    batch->wrong += s->code != ERR_NONE;
    s->updates = q->updates;
    return true;
}

bool batch_review(struct broker *b, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct staged *s = &batch->staged[i];
        if (s->message && s->updates != s->queue->updates && !review(b, batch, s))
            return false;
    }
    return true;
}

/* ---- duplicates -------------------------------------------------------------------------------------------------- */

static bool remembers(const struct staged *s)
{
    return s->entry && s->queue->attributes.dedup_window != 0;
}

/* True if it could be stored, if there were room. Others have no message, or none that their queue takes now. */
static bool is_storable(const struct staged *s)
{
    return s->message && s->code == ERR_NONE;
}

/* True if the queue has seen it; then its id is the first one's. */
static bool is_duplicate(const struct broker *b, int64_t now_ms, struct staged *s)
{
    const struct dedup *seen = remembers(s) ? dedup_find(b, now_ms, s->queue, s->entry) : NULL;
    s->duplicate = seen != NULL;
    if (seen)
        s->id = seen->first_id;
    return s->duplicate;
}

static bool others_wait(const struct batch *batch, const struct queue *q)
{
    return !batch->over && held_before(q, batch->line);
}

/* ---- each for itself --------------------------------------------------------------------------------------------- */

/* Memory for all that may go in; *slots may be too many. */
static bool run_reserve(struct broker *b, int64_t now_ms, struct queue *q, const struct batch *batch, uint32_t *slots)
{
    bool all = life_needs_slot(q, now_ms, -1, -1);
    *slots = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        *slots += all || batch->staged[i].delay_ms > 0 || batch->staged[i].ttl_ms >= 0;
    return slots_reserve(&b->slots, *slots) && ring_reserve(q->messages, q->next_id, batch->count - batch->wrong);
}

/* Room for a message whose id is reserved already; `slots`: how many the batch may need. */
static bool make_room(struct broker *b, int64_t now_ms, struct queue *q, const struct staged *s, uint32_t slots)
{
    struct displaced *displaced;
    uint64_t bytes = s->message->body_bytes;
    if (plan_fits(q, queue_total(q) + 1, queue_body_bytes(q) + bytes))
        return true;
    if (q->attributes.overflow == OVERFLOW_REJECT)
        return false;
    plan_begin(b);
    enum error_code code = plan_room(b, now_ms, q, bytes, &displaced);
    if (code == ERR_NONE && !plan_slots(b, slots))
        code = ERR_MEMORY_LIMIT;
    if (code != ERR_NONE) {
        plan_drop(b);
        displaced_free(b, &displaced);
        return false;
    }
    ring_unreserve(q->messages, q->next_id, 1);
    displaced_apply(b, now_ms, &displaced);
    return true;
}

static void enter(struct broker *b, int64_t now_ms, struct staged *s, bool copies_follow)
{
    life_enter(b, now_ms, s->queue, s->message, s->delay_ms, s->ttl_ms, &s->spare, copies_follow);
    s->id = s->message->id;
    s->message = NULL;
    s->in = true;
}

/* The queue's table has the id for good. */
static void keep_id(struct broker *b, struct staged *s)
{
    if (watched(b, s->queue))
        b->watcher->dedup_cb(b->watcher->user, s->queue, s->entry);
    s->entry = NULL;
}

enum error_code batch_run(struct broker *b, int64_t now_ms, struct batch *batch)
{
    struct queue *q = batch->staged[0].queue;
    uint32_t slots, stored = 0, refused = 0, duplicates = 0;
    bool left = false;
    if (!run_reserve(b, now_ms, q, batch, &slots))
        return ERR_MEMORY_LIMIT;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct staged *s = &batch->staged[i];
        if (s->entry && is_duplicate(b, now_ms, s)) {
            duplicates++;
        } else if (!is_storable(s)) {
            refused++;
        } else if (others_wait(batch, q) || !make_room(b, now_ms, q, s, slots)) {
            s->code = ERR_QUEUE_FULL;
            refused++;
        } else {
            enter(b, now_ms, s, false);
            stored++;
            if (remembers(s)) {
                dedup_put(b, now_ms, q, s->entry, s->id);
                keep_id(b, s);
            }
            left = left || s->entry || s->spare;
        }
    }
    ring_unreserve(q->messages, q->next_id, batch->count - batch->wrong - stored);
    COUNT(b, q, published, stored);
    COUNT(b, q, refused, refused);
    COUNT(b, q, duplicates, duplicates);
    meter_add(&q->publish_meter, now_ms, stored);
    line_wake(b, q);
    batch->stored = stored;
    batch->spent = stored == batch->count && !left;
    return ERR_NONE;
}

/* ---- all or none ------------------------------------------------------------------------------------------------- */

static void unplan(struct broker *b, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct staged *s = &batch->staged[i];
        if (s->entry && s->entry->owner)
            dedup_withdraw(b, s->entry);
        displaced_free(b, &s->displaced);
        s->duplicate = false;
    }
    plan_drop(b);
}

static enum error_code plan_one(struct broker *b, int64_t now_ms, const struct batch *batch, struct staged *s)
{
    if (is_duplicate(b, now_ms, s))
        return ERR_NONE;
    if (!is_storable(s))
        return batch->atomic ? s->code : ERR_NONE;
    if (others_wait(batch, s->queue))
        return held_reason(s->queue);
    enum error_code code = plan_room(b, now_ms, s->queue, s->message->body_bytes, &s->displaced);
    if (code != ERR_NONE)
        return code;
    s->id = s->queue->forecast.next_id - 1;
    if (remembers(s))
        dedup_put(b, now_ms, s->queue, s->entry, s->id);
    return ERR_NONE;
}

/* What is wrong with the first message from there on that can never be stored, if the batch is atomic; else ERR_NONE. Ids
   are noted as if there were room for everything, so that duplicates within the batch are known. */
static enum error_code first_wrong(struct broker *b, int64_t now_ms, struct batch *batch, uint32_t from,
                                   uint32_t *culprit)
{
    for (uint32_t i = from; i < batch->count && batch->atomic && batch->wrong > 0; i++) {
        struct staged *s = &batch->staged[i];
        if (is_duplicate(b, now_ms, s))
            continue;
        if (s->code != ERR_NONE) {
            *culprit = i;
            return s->code;
        }
        if (remembers(s))
            dedup_put(b, now_ms, s->queue, s->entry, 0);
    }
    return ERR_NONE;
}

enum error_code batch_wrong(struct broker *b, int64_t now_ms, struct batch *batch, uint32_t *culprit)
{
    *culprit = batch->count;
    enum error_code code = first_wrong(b, now_ms, batch, 0, culprit);
    unplan(b, batch);
    return code;
}

/* The plan ended at message `full`. If it only lacks room, one behind it that can never be stored is a better reason. */
static enum error_code worst(struct broker *b, int64_t now_ms, struct batch *batch, uint32_t full, enum error_code code,
                             uint32_t *culprit)
{
    *culprit = full;
    if (code != ERR_QUEUE_FULL && code != ERR_MEMORY_LIMIT)
        return code;
    enum error_code wrong = first_wrong(b, now_ms, batch, full, culprit);
    return wrong != ERR_NONE ? wrong : code;
}

enum error_code batch_plan(struct broker *b, int64_t now_ms, struct batch *batch, uint32_t *culprit)
{
    uint32_t slots = 0, i = 0;
    enum error_code code = ERR_NONE;
    for (; i < batch->count && code == ERR_NONE; i++) {
        struct staged *s = &batch->staged[i];
        code = plan_one(b, now_ms, batch, s);
        slots += is_storable(s) && life_needs_slot(s->queue, now_ms, s->delay_ms, s->ttl_ms);
    }
    *culprit = batch->count;
    if (code != ERR_NONE)
        code = worst(b, now_ms, batch, i - 1, code, culprit);
    else if (!plan_slots(b, slots))
        code = ERR_MEMORY_LIMIT;
    if (code != ERR_NONE)
        unplan(b, batch);
    return code;
}

static bool same_view(struct view x, struct view y)
{
    return x.bytes == y.bytes && (x.bytes == 0 || memcmp(x.data, y.data, x.bytes) == 0);
}

/* True if they are copies of one message that share one body. */
static bool is_copy(const struct message *x, const struct message *y)
{
    return message_shared(x) && message_shared(x) == message_shared(y) &&
           same_view(message_headers(x), message_headers(y)) && same_view(message_group(x), message_group(y)) &&
           same_view(message_dedup_id(x), message_dedup_id(y));
}

/* True if what the watcher is told next, after the i-th message, is another copy of it. */
static bool copies_follow(const struct broker *b, const struct batch *batch, uint32_t i)
{
    const struct staged *first = &batch->staged[i];
    if (!watched(b, first->queue))
        return false;
    for (i++; i < batch->count && !batch->staged[i].displaced; i++) {
        const struct staged *s = &batch->staged[i];
        if (!s->duplicate && is_storable(s) && watched(b, s->queue))
            return is_copy(first->message, s->message);
    }
    return false;
}

/* The ids that went in with the plan stay: told last, so that they do not stand between copies of one message. */
static void keep_ids(struct broker *b, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->staged[i].entry && batch->staged[i].entry->owner)
            keep_id(b, &batch->staged[i]);
}

void batch_apply(struct broker *b, int64_t now_ms, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct staged *s = &batch->staged[i];
        if (s->duplicate) {
            COUNT(b, s->queue, duplicates, 1);
        } else if (is_storable(s)) {
            displaced_apply(b, now_ms, &s->displaced);
            assert(s->queue->next_id == s->id);
            enter(b, now_ms, s, copies_follow(b, batch, i));
            line_wake(b, s->queue);
            batch->stored++;
            COUNT(b, s->queue, published, 1);
            meter_add(&s->queue->publish_meter, now_ms, 1);
        } else if (s->queue) {
            COUNT(b, s->queue, refused, 1);
        }
    }
    keep_ids(b, batch);
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

void batch_report(struct broker *b, const struct batch *batch, uint32_t first, uint32_t count)
{
    if (batch->stored == batch->count)
        return;
    for (uint32_t i = first; i < first + count; i++) {
        const struct staged *s = &batch->staged[i];
        if (s->in)
            continue;
        broker_outcome(b, s->index, s->duplicate ? ERR_NONE : s->code, s->which);
        if (s->duplicate)
            b->outcomes[b->outcome_count - 1].id = s->id;
    }
}

uint32_t batch_stored(const struct batch *batch, uint32_t first, uint32_t count, uint64_t *first_id)
{
    uint32_t stored = 0;
    *first_id = count > 0 && batch->stored == batch->count ? batch->staged[first].id : 0;
    if (*first_id != 0)
        return count;
    for (uint32_t i = first; i < first + count; i++)
        if (batch->staged[i].in && stored++ == 0)
            *first_id = batch->staged[i].id;
    return stored;
}

bool batch_could_fit(struct broker *b, int64_t now_ms, struct batch *batch)
{
    bool fits = true;
    plan_begin(b);
    for (uint32_t i = 0; i < batch->count && fits; i++) {
        struct staged *s = &batch->staged[i];
        if (is_duplicate(b, now_ms, s) || !is_storable(s))
            continue;
        if (remembers(s))
            dedup_put(b, now_ms, s->queue, s->entry, 0);
        struct forecast *f = plan_queue(b, s->queue);
        f->messages++;
        f->bytes += s->message->body_bytes;
        fits = plan_fits(s->queue, f->messages - queue_total(s->queue), f->bytes - queue_body_bytes(s->queue));
    }
    unplan(b, batch);
    return fits;
}

void batch_count_refused(struct broker *b, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->staged[i].queue)
            COUNT(b, batch->staged[i].queue, refused, 1);
}
