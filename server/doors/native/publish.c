/*
 * publish: messages into a queue, or through a topic into many.
 *
 * With the option `wait` a publish for which there is no room stays with the broker, which keeps what it needs of it;
 * an effect answers it later (effects.c). The request and its memory are gone by then.
 */
#include "server/doors/native/messages.h"
#include "server/doors/native/topics.h"

static void answer_unstored(struct request *r, enum error_code code)
{
    const struct broker *b = r->broker;

    answer_failure_begin(r);
    encode_unstored(r->out, code, b->which, b->outcomes, b->outcome_count);
    answer_error_end(r);
}

/* ---- to a queue -------------------------------------------------------------------------------------------------- */

static void publish(struct request *r, struct queue *q, const struct publications *list,
                    const struct publish_options *options)
{
    const struct broker *b = r->broker;
    struct publish_result result = {0};
    const enum error_code code = broker_publish(r->broker, r->now_ms, q, list, options, &result);

    if (code != ERR_NONE) {
        answer_unstored(r, code);
    } else if (result.held) {
        answer_later(r);
    } else {
        answer_stored(r, result.first_id, result.stored, b->outcomes, b->outcome_count);
    }
}

void handle_publish(struct request *r)
{
    enum { QUEUE, MESSAGES, ATOMIC, WAIT, MANDATORY };
    struct queue *q = request_queue(r);
    const uint32_t node = r->arguments[MESSAGES].node;
    const uint32_t count = r->decoder->nodes[node].count;
    const struct publish_options options = {
        .atomic = request_number(r, ATOMIC, false),
        .mandatory = request_number(r, MANDATORY, false),
        .wait_ms = (int64_t)request_number(r, WAIT, 0),
        .peer = &r->session->peer,
        .token = request_token(r),
    };
    struct messages messages;
    struct publications list;

    if (q == NULL || !request_batch(r, "messages", count) || !messages_begin(&messages, r, count))
        return;
    messages_read(&messages, node, &list);
    if (messages.code != ERR_NONE)
        answer_error(r, broker_refuse_batch(r->broker, q, messages.code, count), NULL);
    else
        publish(r, q, &list, &options);
    messages_end(&messages);
    if (list.bodies != NULL)
        twin_note(r, q, &options, node);
}

void publish_twin(struct request *r)
{
    const struct twin *twin = &r->twin;
    const struct publications list = {.bodies = r->scratch->bodies, .count = twin->count};
    struct publish_options options = twin->options;

    options.token = r->msgid;
    r->fleeting = !twin->queue->attributes.durable;
    publish(r, twin->queue, &list, &options);
}

/* ---- to a topic -------------------------------------------------------------------------------------------------- */

/* False: BAD_REQUEST has been answered. */
static bool check_key(struct request *r, struct view key)
{
    if (topic_key_valid(key))
        return true;
    answer_bad_request(r, "key", "a key is at most 255 bytes of UTF-8");
    return false;
}

static void publish_to_topic(struct request *r, struct topic *topic, struct view key, const struct publications *list,
                             const struct publish_options *options)
{
    uint64_t copies = 0;
    bool held = false;
    const enum error_code code = broker_topic_publish(r->broker, r->now_ms, topic, key, list, options, &copies, &held);

    if (code != ERR_NONE)
        answer_unstored(r, code);
    else if (held)
        answer_later(r);
    else
        answer_number(r, copies);
}

void handle_topic_publish(struct request *r)
{
    enum { TOPIC, KEY, MESSAGES, MANDATORY, WAIT };
    struct topic *topic = request_topic(r);
    const struct view key = r->arguments[KEY].text;
    const uint32_t node = r->arguments[MESSAGES].node;
    const uint32_t count = r->decoder->nodes[node].count;
    const struct publish_options options = {
        .atomic = true,
        .mandatory = request_number(r, MANDATORY, false),
        .wait_ms = (int64_t)request_number(r, WAIT, 0),
        .peer = &r->session->peer,
        .token = request_token(r),
    };
    struct messages messages;
    struct publications list;

    if (topic == NULL || !request_batch(r, "messages", count) || !check_key(r, key) ||
        !messages_begin(&messages, r, count))
        return;
    r->door->extra_work += topic_work(topic, count);
    messages_read(&messages, node, &list);
    if (messages.code != ERR_NONE)
        answer_error(r, messages.code, NULL);
    else
        publish_to_topic(r, topic, key, &list, &options);
    messages_end(&messages);
}
