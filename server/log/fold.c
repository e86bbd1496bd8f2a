/*
 * A batch is folded record by record: read (record.h), its times turned into the broker's, told (restore.h), and the hooks with
 * it. What is said of things that are not there is counted and passed over; messages, dedup ids and subscriptions may come
 * before their queue does.
 *
 * What can fail: memory; a record that is not as the format says; and one that would put the broker into a state in which it
 * can't be, e.g. a message without a group in a fifo queue. The broker relies on what is checked here.
 *
 * A body that several messages share lies in memory once, as before: the first message of those leaves a reference for the
 * copies that follow in the batch.
 */
#include "server/log/fold_inside.h"
#include "server/log/parts.h"

/* The broker's times are 1 .. 2^47 - 1; 0 means "none" in places. */
#define MONOTONIC_MAX ((INT64_C(1) << 47) - 1)

/* The batch at hand. */
struct batch_state {
    struct fold *fold;
    bool has_parts; /* there was a MESSAGE with parts of its own: these, views into the batch */
    struct publication parts;
    struct body *shared; /* a reference to its body, or NULL as long as it lies in no struct body */
};

static int64_t monotonic(const struct fold *f, int64_t wall_ms)
{
    const int64_t ms = wall_ms - f->wall_offset_ms;
    return ms < 1 ? 1 : ms > MONOTONIC_MAX ? MONOTONIC_MAX : ms;
}

static int64_t expiry(const struct fold *f, const struct record *r)
{
    return r->expires ? monotonic(f, r->expires_ms) : 0;
}

static int64_t moment(const struct fold *f, int64_t wall_ms)
{
    return wall_ms == INT64_MIN ? -1 : monotonic(f, wall_ms);
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* No client's queue has such a name. */
static bool is_awaited(const struct queue *q)
{
    return !queue_name_valid(q->name, q->name_bytes);
}

/* A queue keeps its number, its name and its type. */
static bool queue_fits(const struct queue *q, const struct record *r)
{
    const bool renamed = name_order(q->name, q->name_bytes, r->name.data, r->name.bytes) != 0;
    const bool changed = q->attributes.type != r->attributes.type;
    return is_awaited(q) ? !changed || queue_total(q) == 0 : !changed && !renamed;
}

static enum fold_result fold_queue(struct fold *f, const struct record *r)
{
    struct queue *q = restore_queue_find(f->broker, r->queue);
    struct queue *named = broker_queue_find(f->broker, r->name.data, r->name.bytes);
    if (q && !queue_fits(q, r))
        return FOLD_BAD;
    /* The end of an earlier queue of that name was lost with a damaged part of the log. */
    if (named && named != q && fold_queue_goes(f, named) != FOLD_DONE)
        return FOLD_NO_MEMORY;
    const enum restore_result result = restore_queue(f->broker, r->queue, r->name, &r->attributes, r->next_id,
                                                     monotonic(f, r->published_ms), r->paused, &q);
    if (result == RESTORE_DONE && f->queue_cb)
        f->queue_cb(f->user, q);
    return fold_told(f, result);
}

static enum fold_result fold_topic(struct fold *f, const struct record *r)
{
    struct topic *t;
    const enum restore_result result = restore_topic(f->broker, r->name, &t);
    if (result == RESTORE_DONE && f->topic_cb)
        f->topic_cb(f->user, t);
    return fold_told(f, result);
}

/* The queue, which may have to wait for its definition. A fifo queue's first message says that it is one. */
static enum fold_result find_queue(struct fold *f, const struct record *r, struct queue **q)
{
    *q = restore_queue_find(f->broker, r->queue);
    if (*q && (!r->fifo || !is_awaited(*q) || queue_total(*q) > 0))
        return FOLD_DONE;
    return fold_told(f, restore_queue_awaited(f->broker, r->queue, r->fifo, q));
}

static enum fold_result fold_subscription(struct fold *f, const struct record *r)
{
    struct queue *q;
    struct subscription *s;
    if (find_queue(f, r, &q) != FOLD_DONE)
        return FOLD_NO_MEMORY;
    const enum restore_result result = restore_subscription(f->broker, r->name, q, r->pattern, r->filter, &s);
    if (result == RESTORE_DONE && f->subscription_cb)
        f->subscription_cb(f->user, broker_topic_find(f->broker, r->name.data, r->name.bytes), s);
    return fold_told(f, result);
}

static enum fold_result fold_dedup(struct fold *f, const struct record *r)
{
    struct queue *q;
    struct dedup *entry;
    if (find_queue(f, r, &q) != FOLD_DONE)
        return FOLD_NO_MEMORY;
    const enum restore_result result = restore_dedup(f->broker, q, r->key, r->id, monotonic(f, r->at_ms), &entry);
    if (result == RESTORE_DONE && f->dedup_cb)
        f->dedup_cb(f->user, q, entry);
    return fold_told(f, result);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* The message with that id is about to go, or to be replaced. */
static inline void message_gone(struct fold *f, struct queue *q, uint64_t id)
{
    enum message_state state;
    if (!f->message_gone_cb || id >= q->next_id)
        return;
    struct message *m = restore_find(q, id, &state);
    if (m)
        f->message_gone_cb(f->user, q, m);
}

static inline enum fold_result store(struct fold *f, const struct restored_message *m, bool above, struct message **out)
{
    message_gone(f, m->queue, m->id);
    const enum restore_result result = restore_message(f->broker, m, out);
    if (result == RESTORE_DONE && f->message_cb)
        f->message_cb(f->user, m->queue, *out, above);
    if (result != RESTORE_DONE)
        *out = NULL;
    return fold_told(f, result);
}

static enum fold_result fold_run(struct fold *f, const struct record *r)
{
    struct view rest = r->rest;
    struct message *stored;
    bool bad;
    struct restored_message m = {
        .id = r->id,
        .state = MESSAGE_READY,
        .published_ms = monotonic(f, r->published_ms),
        .expires_ms = expiry(f, r),
        .first_ms = -1,
        .last_ms = -1,
        .by_ttl = r->by_ttl,
    };
    if (find_queue(f, r, &m.queue) != FOLD_DONE)
        return FOLD_NO_MEMORY;
    if (m.queue->attributes.type != QUEUE_STANDARD)
        return FOLD_BAD;
    for (; record_next_body(&rest, &m.parts.body, &bad); m.id++) {
        if (m.id > LIMIT_ID)
            return FOLD_BAD;
        if (store(f, &m, false, &stored) != FOLD_DONE)
            return FOLD_NO_MEMORY;
    }
    return bad ? FOLD_BAD : FOLD_DONE;
}

static void forget_shared(struct batch_state *s)
{
    if (s->shared)
        body_unref(s->shared);
    s->shared = NULL;
}

/* The parts of this message are those of the copies that follow. */
static bool keep_parts(struct batch_state *s, const struct record *r, bool copy_follows)
{
    forget_shared(s);
    s->has_parts = true;
    s->parts = (struct publication){.body = r->body, .group = r->group, .dedup_id = r->dedup_id, .headers = r->headers};
    if (!copy_follows)
        return true;
    s->shared = body_new(&s->fold->broker->pool, (uint32_t)r->body.bytes);
    if (s->shared && r->body.bytes > 0)
        memcpy(s->shared->data, r->body.data, r->body.bytes);
    return s->shared != NULL;
}

static struct restored_message restored(const struct batch_state *s, struct queue *q, const struct record *r)
{
    const struct fold *f = s->fold;
    struct restored_message m = {
        .queue = q,
        .id = r->id,
        .state = r->state,
        .parts = s->parts,
        .published_ms = monotonic(f, r->published_ms),
        .expires_ms = expiry(f, r),
        .at_ms = monotonic(f, r->at_ms),
        .attempts = r->attempts,
        .first_ms = moment(f, r->first_ms),
        .last_ms = moment(f, r->last_ms),
        .by_ttl = r->by_ttl,
        .held = r->held,
        .reason = r->reason,
        .note = r->note,
    };
    m.parts.priority = r->priority;
    if (s->shared) {
        m.parts.shared = s->shared;
        m.parts.body.data = s->shared->data;
    }
    return m;
}

static enum fold_result fold_message(struct batch_state *s, const struct record *r, bool copy_follows)
{
    struct queue *q;
    struct message *stored;
    if (r->above && !s->has_parts)
        return FOLD_BAD;
    if (!r->above && !keep_parts(s, r, copy_follows))
        return FOLD_NO_MEMORY;
    if (find_queue(s->fold, r, &q) != FOLD_DONE)
        return FOLD_NO_MEMORY;
    if (r->fifo != (q->attributes.type == QUEUE_FIFO) || (r->fifo && s->parts.group.bytes == 0))
        return FOLD_BAD;
    const struct restored_message m = restored(s, q, r);
    const enum fold_result result = store(s->fold, &m, r->above, &stored);
    if (stored && !s->shared && message_shared(stored))
        s->shared = body_ref(message_shared(stored));
    return result;
}

/* True if the record there is a copy of the MESSAGE before it. */
static bool is_above(struct view at)
{
    uint8_t type;
    const void *length;
    uint64_t queue, id, flags;
    return take_8(&at, &type) && type == RECORD_MESSAGE && take_raw(&at, 4, &length) && take_varint(&at, &queue) &&
           take_varint(&at, &id) && take_varint(&at, &flags) && flags & RECORD_ABOVE;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static inline enum restore_result change(struct fold *f, enum record_type type, struct queue *q, uint64_t id,
                                         int64_t at_ms)
{
    switch (type) {
    case RECORD_GONE:
        message_gone(f, q, id);
        return restore_gone(f->broker, q, id);
    case RECORD_DELIVERED:
        return restore_delivered(f->broker, q, id, at_ms);
    case RECORD_UNDELIVERED:
        return restore_undelivered(f->broker, q, id);
    case RECORD_READY:
        return restore_ready(f->broker, q, id);
    case RECORD_KICKED:
        return restore_kicked(f->broker, q, id);
    default:
        return restore_delayed(f->broker, q, id, at_ms);
    }
}

/* The first id from there on that a message of the queue has, or UINT64_MAX. */
static uint64_t next_there(struct queue *q, uint64_t id)
{
    uint64_t next = UINT64_MAX;
    for (unsigned state = 0; state <= MESSAGE_PARKED; state++) {
        const struct ring_cursor at = ring_first(q->messages, state, id);
        if (at.page && ring_key(at) < next)
            next = ring_key(at);
    }
    return next;
}

/* `count` ids from `id` on. What is not there is passed over in one step, however much that is. */
static enum fold_result fold_range(struct fold *f, const struct record *r, struct queue *q, uint64_t id, uint64_t count)
{
    const int64_t at_ms = monotonic(f, r->at_ms);
    const uint64_t end = id + count;
    while (id < end) {
        const enum restore_result result = change(f, r->type, q, id++, at_ms);
        if (fold_told(f, result) != FOLD_DONE)
            return FOLD_NO_MEMORY;
        if (result != RESTORE_UNKNOWN || id == end)
            continue;
        const uint64_t there = next_there(q, id), next = there < end ? there : end;
        f->unknown += next - id;
        id = next;
    }
    return FOLD_DONE;
}

static enum fold_result fold_ids(struct fold *f, const struct record *r)
{
    struct queue *q = restore_queue_find(f->broker, r->queue);
    struct view rest = r->rest;
    uint64_t end = 0, id, count;
    bool bad;
    if (!q)
        return fold_told(f, RESTORE_UNKNOWN);
    while (record_next_range(&rest, &end, &id, &count, &bad))
        if (fold_range(f, r, q, id, count) != FOLD_DONE)
            return FOLD_NO_MEMORY;
    return bad ? FOLD_BAD : FOLD_DONE;
}

static enum fold_result fold_parked(struct fold *f, const struct record *r)
{
    struct queue *q = restore_queue_find(f->broker, r->queue);
    if (!q)
        return fold_told(f, RESTORE_UNKNOWN);
    return fold_told(f, restore_parked(f->broker, q, r->id, r->reason, r->note, monotonic(f, r->at_ms), expiry(f, r)));
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static enum fold_result fold_record(struct batch_state *s, const struct record *r, struct view behind)
{
    struct fold *f = s->fold;
    switch (r->type) {
    case RECORD_QUEUE:
        return fold_queue(f, r);
    case RECORD_QUEUE_GONE:
        return fold_queue_gone(f, r);
    case RECORD_TOPIC:
        return fold_topic(f, r);
    case RECORD_TOPIC_GONE:
        return fold_topic_gone(f, r);
    case RECORD_SUBSCRIPTION:
        return fold_subscription(f, r);
    case RECORD_SUBSCRIPTION_GONE:
        return fold_subscription_gone(f, r);
    case RECORD_RUN:
        return fold_run(f, r);
    case RECORD_MESSAGE:
        return fold_message(s, r, is_above(behind));
    case RECORD_PARKED:
        return fold_parked(f, r);
    case RECORD_PURGED:
        return fold_purged(f, r);
    case RECORD_DEDUP:
        return fold_dedup(f, r);
    default:
        return fold_ids(f, r);
    }
}

/* Reads the record at the beginning and takes it off; all of it must be there. */
static bool next_record(struct view *rest, struct record *out)
{
    enum record_type type;
    uint64_t bytes;
    const void *data;
    return rest->bytes >= RECORD_HEAD_BYTES && record_head(*rest, &type, &bytes) && bytes <= rest->bytes &&
           record_read(*rest, out) && take_raw(rest, (size_t)bytes, &data);
}

enum fold_result fold_batch(struct fold *fold, struct view records, size_t *at)
{
    struct batch_state s = {.fold = fold};
    struct view rest = records;
    struct record r;
    enum fold_result result = FOLD_DONE;
    *at = 0;
    while (rest.bytes > 0 && result == FOLD_DONE) {
        *at = records.bytes - rest.bytes;
        result = next_record(&rest, &r) ? fold_record(&s, &r, rest) : FOLD_BAD;
        fold->records += result == FOLD_DONE;
    }
    forget_shared(&s);
    return result;
}

enum fold_result fold_end(struct fold *fold)
{
    enum fold_result result = FOLD_DONE;
    for (struct queue *q; result == FOLD_DONE && (q = restore_next_awaited(fold->broker));) {
        fold->unknown++;
        result = fold_queue_goes(fold, q);
    }
    return result;
}
