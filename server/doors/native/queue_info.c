/*
 * queue_info: what queues are and how they do.
 */
#include "server/doors/native/attributes.h"

static void encode_number(struct buffer *out, const char *key, uint64_t number)
{
    encode_text(out, key);
    encode_uint(out, number);
}

static void encode_rate(struct buffer *out, const char *key, double rate)
{
    encode_text(out, key);
    encode_double(out, rate);
}

/* What queue.list shows of a queue, too. */
#define SUMMARY_PAIRS 11

static void encode_summary(struct buffer *out, const struct queue *q)
{
    encode_text(out, "name");
    encode_str(out, q->name, q->name_bytes);
    encode_text(out, "type");
    encode_attribute(out, ATTRIBUTE_type, &q->attributes);
    for (unsigned state = MESSAGE_DELAYED; state <= MESSAGE_PARKED; state++)
        encode_number(out, message_state_text((enum message_state)state), queue_count(q, (enum message_state)state));
    encode_number(out, "total", queue_total(q));
    encode_number(out, "bytes", queue_body_bytes(q));
    encode_number(out, "consumers", q->consumer_count);
    encode_number(out, "waiters", q->waiter_count);
    encode_text(out, "paused");
    encode_bool(out, q->paused);
}

/* ---- queue.info -------------------------------------------------------------------------------------------------- */

#define X(field, help) +1
enum { COUNTER_PAIRS = 0 QUEUE_COUNTER_LIST(X) };
#undef X

void handle_queue_info(struct request *r)
{
    const struct queue *q = request_queue(r);
    struct buffer *out = r->out;

    if (q == NULL)
        return;
    answer_begin(r);
    /* `type` is an attribute that the summary has shown. */
    encode_map(out, SUMMARY_PAIRS + 8 + COUNTER_PAIRS + ATTRIBUTE_TOTAL - 1);
    encode_summary(out, q);
    encode_number(out, "next_id", q->next_id);
    encode_number(out, "oldest_ms", (uint64_t)queue_oldest_ms(q, r->now_ms));
    encode_number(out, "groups", queue_group_count(q));
    encode_number(out, "dedup_ids", queue_dedup_count(q));
    encode_number(out, "held_publishes", q->held_count);
    encode_rate(out, "publish_rate", meter_rate(&q->publish_meter, r->now_ms));
    encode_rate(out, "deliver_rate", meter_rate(&q->deliver_meter, r->now_ms));
    encode_rate(out, "ack_rate", meter_rate(&q->ack_meter, r->now_ms));
#define X(field, help) encode_number(out, #field, q->counters.field);
    QUEUE_COUNTER_LIST(X)
#undef X
    for (unsigned a = ATTRIBUTE_type + 1; a < ATTRIBUTE_TOTAL; a++) {
        encode_text(out, attribute_row((enum attribute)a)->name);
        encode_attribute(out, (enum attribute)a, &q->attributes);
    }
}

/* ---- queue.list -------------------------------------------------------------------------------------------------- */

void handle_queue_list(struct request *r)
{
    const struct broker *b = r->broker;
    struct page page;

    if (!request_page(r, &page))
        return;
    const uint32_t first = broker_queue_lower(b, page.from.data, page.from.bytes);
    uint32_t end = first;
    while (end < b->queue_count && end - first < page.max &&
           page_has(&page, b->queues[end]->name, b->queues[end]->name_bytes))
        end++;
    answer_begin(r);
    encode_map(r->out, 2);
    encode_text(r->out, "queues");
    encode_array(r->out, end - first);
    for (uint32_t i = first; i < end; i++) {
        encode_map(r->out, SUMMARY_PAIRS);
        encode_summary(r->out, b->queues[i]);
    }
    encode_text(r->out, "next");
    if (end < b->queue_count && page_has(&page, b->queues[end]->name, b->queues[end]->name_bytes))
        encode_str(r->out, b->queues[end]->name, b->queues[end]->name_bytes);
    else
        encode_nil(r->out);
}
