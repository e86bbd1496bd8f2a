/* What goes takes other things with it: each of them is told to the hooks first. */
#include "server/log/fold_inside.h"

static void messages_gone(struct fold *f, struct queue *q, unsigned states)
{
    for (unsigned state = 0; state <= MESSAGE_PARKED && f->message_gone_cb; state++) {
        uint64_t from = 0;
        while (states >> state & 1) {
            const struct ring_cursor at = ring_first(q->messages, state, from);
            if (!at.page)
                break;
            f->message_gone_cb(f->user, q, ring_item(at));
            from = ring_key(at) + 1;
        }
    }
}

static void dedups_gone(struct fold *f, const struct queue *q)
{
    _Static_assert(offsetof(struct dedup, link) == 0, "a link is the beginning of its entry");
    const uint32_t buckets = q->dedups && f->dedup_gone_cb ? q->dedups->table.bucket_count : 0;
    for (uint32_t i = 0; i < buckets; i++) {
        struct table_link *link = q->dedups->table.segments[i / TABLE_SEGMENT]->bucket[i % TABLE_SEGMENT];
        for (; link; link = link->next)
            f->dedup_gone_cb(f->user, (struct dedup *)(void *)link);
    }
}

/* Those of the queue; q NULL: all. */
static void subscriptions_gone(struct fold *f, struct topic *t, const struct queue *q)
{
    for (uint32_t i = 0; i < t->subscription_count && f->subscription_gone_cb; i++)
        if (!q || t->subscriptions[i]->queue == q)
            f->subscription_gone_cb(f->user, t, t->subscriptions[i]);
}

enum fold_result fold_queue_goes(struct fold *f, struct queue *q)
{
    messages_gone(f, q, UINT32_MAX);
    dedups_gone(f, q);
    for (uint32_t i = 0; i < f->broker->topic_count && q->subscription_count > 0; i++)
        subscriptions_gone(f, f->broker->topics[i], q);
    if (f->queue_gone_cb)
        f->queue_gone_cb(f->user, q);
    return fold_told(f, restore_queue_gone(f->broker, q));
}

enum fold_result fold_queue_gone(struct fold *f, const struct record *r)
{
    struct queue *q = restore_queue_find(f->broker, r->queue);
    return q ? fold_queue_goes(f, q) : fold_told(f, RESTORE_UNKNOWN);
}

enum fold_result fold_topic_gone(struct fold *f, const struct record *r)
{
    struct topic *t = broker_topic_find(f->broker, r->name.data, r->name.bytes);
    if (t) {
        subscriptions_gone(f, t, NULL);
        if (f->topic_gone_cb)
            f->topic_gone_cb(f->user, t);
    }
    return fold_told(f, restore_topic_gone(f->broker, r->name));
}

enum fold_result fold_subscription_gone(struct fold *f, const struct record *r)
{
    struct topic *t = broker_topic_find(f->broker, r->name.data, r->name.bytes);
    struct queue *q = restore_queue_find(f->broker, r->queue);
    if (!t || !q)
        return fold_told(f, RESTORE_UNKNOWN);
    for (uint32_t i = 0; i < t->subscription_count && f->subscription_gone_cb; i++) {
        struct subscription *s = t->subscriptions[i];
        if (s->queue == q && name_order(s->text, s->pattern_bytes, r->pattern.data, r->pattern.bytes) == 0)
            f->subscription_gone_cb(f->user, t, s);
    }
    return fold_told(f, restore_subscription_gone(f->broker, r->name, q, r->pattern));
}

enum fold_result fold_purged(struct fold *f, const struct record *r)
{
    struct queue *q = restore_queue_find(f->broker, r->queue);
    if (!q)
        return fold_told(f, RESTORE_UNKNOWN);
    messages_gone(f, q, r->states);
    return fold_told(f, restore_purged(f->broker, q, r->states));
}
