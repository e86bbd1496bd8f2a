/*
 * topic_info: what topics are and who is subscribed to them.
 */
#include "server/doors/native/filters.h"
#include "server/doors/native/topics.h"

/* Subscriptions that are shown in the time of one request. */
#define SUBSCRIPTIONS_PER_REQUEST 16

/* ---- topic.info -------------------------------------------------------------------------------------------------- */

static void encode_subscription(struct buffer *out, const struct subscription *s)
{
    const struct view pattern = subscription_pattern(s);

    encode_map(out, 3);
    encode_text(out, "queue");
    encode_str(out, s->queue->name, s->queue->name_bytes);
    encode_text(out, "pattern");
    encode_str(out, pattern.data, pattern.bytes);
    encode_text(out, "filter");
    if (s->filter_bytes > 0)
        encode_filter(out, subscription_filter(s));
    else
        encode_nil(out);
}

/* What topic.list shows of a topic, too. */
#define SUMMARY_PAIRS 3

static void encode_summary(struct buffer *out, const struct topic *topic)
{
    encode_text(out, "name");
    encode_str(out, topic->name, topic->name_bytes);
    encode_text(out, "published");
    encode_uint(out, topic->published);
    encode_text(out, "routed");
    encode_uint(out, topic->routed);
}

void handle_topic_info(struct request *r)
{
    const struct topic *topic = request_topic(r);

    if (topic == NULL)
        return;
    r->door->extra_work += topic->subscription_count / SUBSCRIPTIONS_PER_REQUEST;
    answer_begin(r);
    encode_map(r->out, SUMMARY_PAIRS + 1);
    encode_summary(r->out, topic);
    encode_text(r->out, "subscriptions");
    encode_array(r->out, topic->subscription_count);
    for (uint32_t i = 0; i < topic->subscription_count; i++)
        encode_subscription(r->out, topic->subscriptions[i]);
}

/* ---- topic.list -------------------------------------------------------------------------------------------------- */

void handle_topic_list(struct request *r)
{
    const struct broker *b = r->broker;
    struct page page;

    if (!request_page(r, &page))
        return;
    const uint32_t first = broker_topic_lower(b, page.from.data, page.from.bytes);
    uint32_t end = first;
    while (end < b->topic_count && end - first < page.max &&
           page_has(&page, b->topics[end]->name, b->topics[end]->name_bytes))
        end++;
    answer_begin(r);
    encode_map(r->out, 2);
    encode_text(r->out, "topics");
    encode_array(r->out, end - first);
    for (uint32_t i = first; i < end; i++) {
        encode_map(r->out, SUMMARY_PAIRS + 1);
        encode_summary(r->out, b->topics[i]);
        encode_text(r->out, "subscriptions");
        encode_uint(r->out, b->topics[i]->subscription_count);
    }
    encode_text(r->out, "next");
    if (end < b->topic_count && page_has(&page, b->topics[end]->name, b->topics[end]->name_bytes))
        encode_str(r->out, b->topics[end]->name, b->topics[end]->name_bytes);
    else
        encode_nil(r->out);
}
