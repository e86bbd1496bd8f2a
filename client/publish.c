/*
 * publish: messages on their way to a queue. They are encoded one after the other straight into the output; nothing
 * is allocated for a message. Only if the caller wants lost publishes back is a copy of the request's params kept
 * (one allocation for the batch), until its answer is there.
 */
#include "client/connection.h"

#include "protocol/encoder.h"

#include <string.h>

static bool header_ok(const struct ringmq_header *header)
{
    if (header->name == NULL)
        return false;
    switch (header->type) {
    case RINGMQ_NONE:
        return header->value.text != NULL;
    case RINGMQ_NIL:
    case RINGMQ_BOOL:
    case RINGMQ_UINT:
    case RINGMQ_INT:
    case RINGMQ_DOUBLE:
        return true;
    case RINGMQ_STR:
    case RINGMQ_BIN:
        return header->value.bytes.bytes <= UINT32_MAX &&
               (header->value.bytes.data != NULL || header->value.bytes.bytes == 0);
    case RINGMQ_ARRAY:
    case RINGMQ_MAP:
    case RINGMQ_EXT:
        break;
    }
    return false;
}

static bool message_ok(const struct ringmq_message *message)
{
    if (message->body_bytes > UINT32_MAX || (message->body == NULL && message->body_bytes > 0))
        return false;
    if (message->headers == NULL && message->header_count > 0)
        return false;
    for (uint32_t i = 0; i < message->header_count; i++) {
        if (!header_ok(&message->headers[i]))
            return false;
    }
    return true;
}

static void header_encode(struct buffer *out, const struct ringmq_header *header)
{
    struct ringmq_bytes bytes = {"", 0};
    if ((header->type == RINGMQ_STR || header->type == RINGMQ_BIN) && header->value.bytes.bytes > 0)
        bytes = header->value.bytes;
    encode_text(out, header->name);
    switch (header->type) {
    case RINGMQ_NONE:
        encode_text(out, header->value.text);
        break;
    case RINGMQ_BOOL:
        encode_bool(out, header->value.boolean);
        break;
    case RINGMQ_UINT:
        encode_uint(out, header->value.uint);
        break;
    case RINGMQ_INT:
        encode_int(out, header->value.sint);
        break;
    case RINGMQ_DOUBLE:
        encode_double(out, header->value.real);
        break;
    case RINGMQ_STR:
        encode_str(out, bytes.data, bytes.bytes);
        break;
    case RINGMQ_BIN:
        encode_bin(out, bytes.data, bytes.bytes);
        break;
    default:
        encode_nil(out);
        break;
    }
}

static void message_encode(struct buffer *out, const struct ringmq_message *message)
{
    int options = (message->header_count > 0) + (message->group != NULL) + message->has_delay + message->has_ttl;
    if (options > 0)
        encode_array(out, 2);
    encode_bin(out, message->body, message->body_bytes);
    if (options == 0)
        return;
    encode_map(out, (uint32_t)options);
    if (message->header_count > 0) {
        encode_text(out, "headers");
        encode_map(out, message->header_count);
        for (uint32_t i = 0; i < message->header_count; i++)
            header_encode(out, &message->headers[i]);
    }
    if (message->group != NULL) {
        encode_text(out, "group");
        encode_text(out, message->group);
    }
    if (message->has_delay) {
        encode_text(out, "delay");
        encode_int(out, message->delay_ms);
    }
    if (message->has_ttl) {
        encode_text(out, "ttl");
        encode_int(out, message->ttl_ms);
    }
}

/* Ends a publish whose params take all of the output from `params_at` pending bytes on. */
static int64_t publish_end(struct request *request, size_t params_at, bool keep)
{
    struct ringmq *conn = request->conn;
    struct call *call = calls_find(&conn->calls, request->token);
    if (keep && !conn->output.failed) {
        size_t params_bytes = buffer_pending(&conn->output) - params_at;
        call->payload.publish = unconfirmed_new(conn, call->token, call->arg, params_bytes);
        if (call->payload.publish == NULL) {
            request_abandon(request);
            return call_failed(conn, RINGMQ_ERR_NO_MEMORY);
        }
    }
    return request_end(request);
}

static int64_t publish_send(struct ringmq *conn, const char *queue, const struct ringmq_message *messages,
                            uint32_t count, unsigned flags, bool keep, ringmq_answer_cb *answer_cb, void *arg)
{
    if (queue == NULL || (messages == NULL && count > 0))
        return call_argument(conn, "no queue or no messages");
    struct request request;
    int status = request_begin(&request, conn, CALL_PUBLISH, "publish", answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    size_t params_at = buffer_pending(out);
    encode_array(out, flags & RINGMQ_ATOMIC ? 3 : 2);
    encode_text(out, queue);
    encode_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        if (!message_ok(&messages[i])) {
            request_abandon(&request);
            return call_argument(conn, "a message without its body, above 4 GiB, or with a header that can't be sent");
        }
        message_encode(out, &messages[i]);
    }
    if (flags & RINGMQ_ATOMIC) {
        encode_map(out, 1);
        encode_text(out, "atomic");
        encode_bool(out, true);
    }
    return publish_end(&request, params_at, keep);
}

int64_t ringmq_send_publish(struct ringmq *conn, const char *queue, const struct ringmq_message *messages,
                            uint32_t count, unsigned flags, ringmq_answer_cb *answer_cb, void *arg)
{
    bool keep = conn->settings.unconfirmed_cb != NULL;
    return publish_send(conn, queue, messages, count, flags, keep, answer_cb, arg);
}

int64_t ringmq_resend(struct ringmq *conn, const struct ringmq_unconfirmed *publish, ringmq_answer_cb *answer_cb,
                      void *arg)
{
    struct request request;
    int status = request_begin(&request, conn, CALL_PUBLISH, "publish", answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    size_t params_at = buffer_pending(out);
    struct ringmq_bytes params = unconfirmed_params(publish);
    buffer_append(out, params.data, params.bytes);
    return publish_end(&request, params_at, conn->settings.unconfirmed_cb != NULL);
}

int ringmq_publish(struct ringmq *conn, const char *queue, const struct ringmq_message *messages, uint32_t count,
                   unsigned flags, struct ringmq_published *result, int timeout_ms)
{
    struct ringmq_published published;
    struct ringmq_answer answer;
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    int64_t token = publish_send(conn, queue, messages, count, flags, false, NULL, NULL);
    status = call_end(conn, token, deadline_ms, &answer);
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
    int status = ringmq_publish(conn, queue, &message, 1, 0, &published, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct ringmq_refusal refusal;
    struct ringmq_iterator refusals = ringmq_iterate_refusals(published.exceptions);
    if (ringmq_next_refusal(&refusals, &refusal))
        return failure_set_server(&conn->last, &refusal.error);
    if (published.count != 1)
        return call_odd_answer(conn);
    if (id != NULL)
        *id = published.first_id;
    return RINGMQ_OK;
}

int ringmq_answer_published(const struct ringmq_answer *answer, struct ringmq_published *result)
{
    if (answer->status != RINGMQ_OK)
        return answer->status;
    struct ringmq_iterator it = ringmq_iterate(answer->result);
    struct ringmq_value first;
    struct ringmq_value count;
    struct ringmq_value exceptions = {NULL, 0};
    uint64_t first_id = 0;
    uint64_t stored;
    if (it.map || it.left < 2 || it.left > 3)
        return RINGMQ_ERR_PROTOCOL;
    ringmq_next(&it, NULL, &first);
    ringmq_next(&it, NULL, &count);
    if (!value_uint(count, &stored) || stored > UINT32_MAX)
        return RINGMQ_ERR_PROTOCOL;
    if (!value_uint(first, &first_id) && (stored > 0 || ringmq_value_type(first) != RINGMQ_NIL))
        return RINGMQ_ERR_PROTOCOL;
    if (ringmq_next(&it, NULL, &exceptions) && !refusals_ok(exceptions))
        return RINGMQ_ERR_PROTOCOL;
    *result = (struct ringmq_published){first_id, (uint32_t)stored, exceptions};
    return RINGMQ_OK;
}

uint64_t ringmq_published_id(const struct ringmq_published *result, uint32_t index)
{
    struct ringmq_iterator refusals = ringmq_iterate_refusals(result->exceptions);
    struct ringmq_refusal refusal;
    uint32_t refused_before = 0;
    while (ringmq_next_refusal(&refusals, &refusal) && refusal.index <= index) {
        if (refusal.index == index)
            return 0;
        refused_before++;
    }
    return index - refused_before < result->count ? result->first_id + index - refused_before : 0;
}
