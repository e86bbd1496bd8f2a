/*
 * topics: they are created, deleted and subscribed to. What is published to one is in publish.c.
 */
#include "server/doors/native/topics.h"
#include "protocol/utf8.h"

#include "server/broker/pattern.h"
#include "server/doors/native/filters.h"

/* Subscriptions that are looked at in the time of one request. */
#define SUBSCRIPTIONS_PER_REQUEST 64

/* ---- what others need -------------------------------------------------------------------------------------------- */

struct topic *request_topic(struct request *r)
{
    const struct view name = r->arguments[0].text;
    struct topic *topic = broker_topic_find(r->broker, name.data, name.bytes);

    if (topic == NULL)
        answer_error(r, ERR_TOPIC_NOT_FOUND, NULL);
    return topic;
}

bool topic_key_valid(struct view key)
{
    return key_valid(key.data, key.bytes) && utf8_is_text(key.data, key.bytes);
}

uint32_t topic_work(const struct topic *topic, uint32_t message_count)
{
    return (uint32_t)((uint64_t)topic->subscription_count * message_count / SUBSCRIPTIONS_PER_REQUEST);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void answer_created(struct request *r, enum error_code code, bool created)
{
    if (code != ERR_NONE) {
        answer_error(r, code, r->broker->which);
        return;
    }
    answer_begin(r);
    encode_map(r->out, 1);
    encode_text(r->out, "created");
    encode_bool(r->out, created);
}

void handle_topic_create(struct request *r)
{
    enum { TOPIC };
    const struct view name = r->arguments[TOPIC].text;
    bool created = false;
    const enum error_code code = broker_topic_create(r->broker, name.data, name.bytes, &created);

    answer_created(r, code, created);
}

void handle_topic_delete(struct request *r)
{
    struct topic *topic = request_topic(r);

    if (topic == NULL)
        return;
    broker_topic_delete(r->broker, topic);
    answer_true(r);
}

/* ---- subscriptions ----------------------------------------------------------------------------------------------- */

/* The queue that argument 1 names; NULL: QUEUE_NOT_FOUND has been answered. */
static struct queue *subscribed_queue(struct request *r)
{
    struct queue *q = session_queue(r->session, r->arguments[1].text);

    if (q == NULL)
        answer_error(r, ERR_QUEUE_NOT_FOUND, NULL);
    return q;
}

/* The pattern, `otherwise` if none is given. False: BAD_REQUEST has been answered. */
static bool read_pattern(struct request *r, unsigned argument, struct view otherwise, struct view *pattern)
{
    *pattern = request_has(r, argument) ? r->arguments[argument].text : otherwise;
    if (!request_has(r, argument) ||
        (utf8_is_text(pattern->data, pattern->bytes) && pattern_valid(pattern->data, pattern->bytes)))
        return true;
    answer_bad_request(r, "pattern", "a pattern is at most 255 bytes of UTF-8, with * and # as words of their own");
    return false;
}

/* False: the error has been answered. */
static bool read_filter(struct request *r, unsigned argument, struct view *filter)
{
    struct argument_error error;

    *filter = (struct view){NULL, 0};
    if (!request_has(r, argument))
        return true;
    const enum error_code code = filters_read(r->decoder, r->arguments[argument].node, &r->scratch->arena, filter,
                                              &error);
    if (code == ERR_BAD_REQUEST)
        answer_bad_request(r, error.key, error.text);
    else if (code != ERR_NONE)
        answer_error(r, code, NULL);
    return code == ERR_NONE;
}

void handle_topic_subscribe(struct request *r)
{
    enum { TOPIC, QUEUE, PATTERN, FILTER };
    struct topic *topic = request_topic(r);
    struct queue *q = topic != NULL ? subscribed_queue(r) : NULL;
    struct view pattern, filter;
    bool created = false;

    if (q == NULL || !read_pattern(r, PATTERN, (struct view){"#", 1}, &pattern))
        return;
    if (read_filter(r, FILTER, &filter)) {
        const enum error_code code = broker_subscribe(r->broker, topic, q, pattern, filter, &created);
        answer_created(r, code, created);
    }
    arena_reset(&r->scratch->arena);
}

void handle_topic_unsubscribe(struct request *r)
{
    enum { TOPIC, QUEUE, PATTERN };
    struct topic *topic = request_topic(r);
    struct queue *q = topic != NULL ? subscribed_queue(r) : NULL;
    struct view pattern;

    if (q == NULL || !read_pattern(r, PATTERN, (struct view){NULL, 0}, &pattern))
        return;
    /* To the broker no data means every pattern; the empty pattern is one that wants messages without a key. */
    if (request_has(r, PATTERN) && pattern.bytes == 0)
        pattern.data = "";
    const enum error_code code = broker_unsubscribe(r->broker, topic, q, pattern);
    if (code != ERR_NONE)
        answer_error(r, code, NULL);
    else
        answer_true(r);
}
