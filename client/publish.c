/*
 * publish: messages on their way to a queue or a topic. They are encoded one after the other straight into the output;
 * nothing is allocated for a message. Only if the caller wants lost publishes back is a copy of the request's params
 * kept (one allocation for the batch), until its answer is there.
 */
#include "client/connection.h"
#include "client/messages.h"
#include "client/options.h"

#include <string.h>

int64_t publish_end(struct request *request, const char *method, size_t params_at, bool keep)
{
    struct ringmq *conn = request->conn;
    struct call *call = calls_find(&conn->calls, request->token);
    if (keep && !conn->output.failed) {
        size_t params_bytes = buffer_pending(&conn->output) - params_at;
        call->payload.publish = unconfirmed_new(conn, method, call->token, call->arg, params_bytes);
        if (call->payload.publish == NULL) {
            request_abandon(request);
            return call_failed(conn, RINGMQ_ERR_NO_MEMORY);
        }
    }
    return request_end(request);
}

/* Where a publish goes: to a queue, or with a key to a topic. */
struct destination {
    const char *name;
    bool topic;
    const char *key;
};

static int64_t publish_send(struct ringmq *conn, const struct destination *to, const struct ringmq_message *messages,
                            uint32_t count, const struct ringmq_publish_options *options, bool keep,
                            ringmq_answer_cb *answer_cb, void *arg)
{
    static const struct ringmq_publish_options defaults;
    const char *method = to->topic ? "topic.publish" : "publish";
    if (to->name == NULL || (to->topic && to->key == NULL) || (messages == NULL && count > 0))
        return call_argument(conn, to->topic ? "no topic, no key or no messages" : "no queue or no messages");
    if (!messages_ok(messages, count))
        return call_argument(conn, MESSAGES_WRONG);
    if (options == NULL)
        options = &defaults;
    struct request request;
    int status = request_begin(&request, conn, CALL_PUBLISH, method, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    size_t params_at = buffer_pending(out);
    bool atomic = options->atomic && !to->topic;
    uint32_t pairs = (uint32_t)atomic + (uint32_t)options->mandatory + (options->wait_ms != 0);
    encode_array(out, 2 + (uint32_t)to->topic + (pairs > 0));
    encode_text(out, to->name);
    if (to->topic)
        encode_text(out, to->key);
    messages_encode(out, messages, count);
    if (pairs > 0)
        encode_map(out, pairs);
    option_flag(out, "atomic", atomic);
    option_flag(out, "mandatory", options->mandatory);
    if (options->wait_ms != 0)
        option_int(out, "wait", options->wait_ms);
    return publish_end(&request, method, params_at, keep);
}

/* Sends and waits. The time that the server may hold the messages comes on top. */
static int publish_call(struct ringmq *conn, const struct destination *to, const struct ringmq_message *messages,
                        uint32_t count, const struct ringmq_publish_options *options, int timeout_ms,
                        struct ringmq_answer *answer)
{
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    int64_t token = publish_send(conn, to, messages, count, options, false, NULL, NULL);
    return call_end(conn, token, deadline_later(deadline_ms, options == NULL ? 0 : options->wait_ms), answer);
}

/* ---- to a queue ---- */

int64_t ringmq_send_publish(struct ringmq *conn, const char *queue, const struct ringmq_message *messages,
                            uint32_t count, const struct ringmq_publish_options *options, ringmq_answer_cb *answer_cb,
                            void *arg)
{
    const struct destination to = {.name = queue};
    bool keep = conn->settings.unconfirmed_cb != NULL;
    return publish_send(conn, &to, messages, count, options, keep, answer_cb, arg);
}

int ringmq_publish(struct ringmq *conn, const char *queue, const struct ringmq_message *messages, uint32_t count,
                   const struct ringmq_publish_options *options, struct ringmq_published *result, int timeout_ms)
{
    const struct destination to = {.name = queue};
    struct ringmq_published published;
    struct ringmq_answer answer;
    int status = publish_call(conn, &to, messages, count, options, timeout_ms, &answer);
    if (status != RINGMQ_OK)
        return status;
    if (ringmq_answer_published(&answer, &published) != RINGMQ_OK)
        return call_odd_answer(conn);
    if (result != NULL)
        *result = published;
    return RINGMQ_OK;
}

int ringmq_publish_one(struct ringmq *conn, const char *queue, const void *body, size_t body_bytes, uint64_t *id,
                       int timeout_ms)
{
    struct ringmq_message message = {.body = body, .body_bytes = body_bytes};
    struct ringmq_published published;
    int status = ringmq_publish(conn, queue, &message, 1, NULL, &published, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct ringmq_refusal refusal;
    struct ringmq_iterator refusals = ringmq_iterate_refusals(published.exceptions);
    if (ringmq_next_refusal(&refusals, &refusal))
        return failure_set_server(&conn->last, &refusal.error);
    uint64_t stored = ringmq_published_id(&published, 0);
    if (stored == 0)
        return call_odd_answer(conn);
    if (id != NULL)
        *id = stored;
    return RINGMQ_OK;
}

bool published_read(struct ringmq_value answer, struct ringmq_published *result)
{
    struct ringmq_iterator it = ringmq_iterate(answer);
    struct ringmq_value first;
    struct ringmq_value count;
    struct ringmq_value exceptions = {NULL, 0};
    uint64_t first_id = 0;
    uint64_t stored;
    if (it.map || it.left < 2 || it.left > 3)
        return false;
    ringmq_next(&it, NULL, &first);
    ringmq_next(&it, NULL, &count);
    if (!value_uint(count, &stored) || stored > UINT32_MAX)
        return false;
    if (!value_uint(first, &first_id) && (stored > 0 || ringmq_value_type(first) != RINGMQ_NIL))
        return false;
    if (ringmq_next(&it, NULL, &exceptions) && !exceptions_ok(exceptions, true))
        return false;
    *result = (struct ringmq_published){first_id, (uint32_t)stored, exceptions};
    return true;
}

int ringmq_answer_published(const struct ringmq_answer *answer, struct ringmq_published *result)
{
    if (answer->status != RINGMQ_OK)
        return answer->status;
    return published_read(answer->result, result) ? RINGMQ_OK : RINGMQ_ERR_PROTOCOL;
}

uint64_t ringmq_published_id(const struct ringmq_published *result, uint32_t index)
{
    struct ringmq_iterator it = ringmq_iterate(result->exceptions);
    struct ringmq_value entry;
    uint32_t before = 0;
    while (ringmq_next(&it, NULL, &entry)) {
        uint64_t at = ringmq_value_uint(ringmq_value_item(entry, 0), 0);
        if (at == index)
            return ringmq_value_uint(ringmq_value_item(entry, 1), 0);
        before += at < index;
    }
    return index - before < result->count ? result->first_id + index - before : 0;
}

/* ---- to a topic ---- */

int64_t ringmq_send_topic_publish(struct ringmq *conn, const char *topic, const char *key,
                                  const struct ringmq_message *messages, uint32_t count,
                                  const struct ringmq_publish_options *options, ringmq_answer_cb *answer_cb, void *arg)
{
    const struct destination to = {.name = topic, .topic = true, .key = key};
    bool keep = conn->settings.unconfirmed_cb != NULL;
    return publish_send(conn, &to, messages, count, options, keep, answer_cb, arg);
}

int ringmq_topic_publish(struct ringmq *conn, const char *topic, const char *key, const struct ringmq_message *messages,
                         uint32_t count, const struct ringmq_publish_options *options, uint64_t *copies, int timeout_ms)
{
    const struct destination to = {.name = topic, .topic = true, .key = key};
    struct ringmq_answer answer;
    uint64_t routed;
    int status = publish_call(conn, &to, messages, count, options, timeout_ms, &answer);
    if (status != RINGMQ_OK)
        return status;
    if (ringmq_answer_copies(&answer, &routed) != RINGMQ_OK)
        return call_odd_answer(conn);
    if (copies != NULL)
        *copies = routed;
    return RINGMQ_OK;
}

int ringmq_answer_copies(const struct ringmq_answer *answer, uint64_t *copies)
{
    if (answer->status != RINGMQ_OK)
        return answer->status;
    return value_uint(answer->result, copies) ? RINGMQ_OK : RINGMQ_ERR_PROTOCOL;
}

/* ---- once more ---- */

int64_t ringmq_resend(struct ringmq *conn, const struct ringmq_unconfirmed *publish, ringmq_answer_cb *answer_cb,
                      void *arg)
{
    const char *method = ringmq_unconfirmed_method(publish);
    struct request request;
    int status = request_begin(&request, conn, CALL_PUBLISH, method, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    size_t params_at = buffer_pending(out);
    struct ringmq_bytes params = unconfirmed_params(publish);
    buffer_append(out, params.data, params.bytes);
    return publish_end(&request, method, params_at, conn->settings.unconfirmed_cb != NULL);
}
