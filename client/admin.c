/*
 * admin: the blocking calls that look at queues and messages or change them from outside. Each is a row of the same
 * four steps: begin, write the params, wait, read an integer, a map or nothing out of the answer.
 */
#include "client/args.h"
#include "client/connection.h"

#include "protocol/encoder.h"

/* A blocking call that is being written. */
struct call_writer {
    struct request request;
    int64_t deadline_ms;
};

/* Begins a call; `params` params follow. */
static int admin_begin(struct call_writer *call, struct ringmq *conn, const char *method, uint32_t params,
                       int timeout_ms)
{
    int status = call_begin(conn, timeout_ms, &call->deadline_ms);
    if (status == RINGMQ_OK)
        status = request_begin(&call->request, conn, CALL_PLAIN, method, NULL, NULL);
    if (status == RINGMQ_OK)
        encode_array(request_output(&call->request), params);
    return status;
}

/* Begins a call whose first param is a queue; `more` params follow it. */
static int queue_begin(struct call_writer *call, struct ringmq *conn, const char *method, const char *queue,
                       uint32_t more, int timeout_ms)
{
    if (queue == NULL)
        return call_argument(conn, "no queue");
    int status = admin_begin(call, conn, method, 1 + more, timeout_ms);
    if (status == RINGMQ_OK)
        encode_text(request_output(&call->request), queue);
    return status;
}

static int admin_end(struct call_writer *call, struct ringmq_value *result)
{
    struct ringmq_answer answer;
    int status = call_end(call->request.conn, request_end(&call->request), call->deadline_ms, &answer);
    if (status == RINGMQ_OK && result != NULL)
        *result = answer.result;
    return status;
}

/* Ends a call that is answered with a map. */
static int admin_end_map(struct call_writer *call, struct ringmq_value *result)
{
    struct ringmq_value value;
    int status = admin_end(call, &value);
    if (status != RINGMQ_OK)
        return status;
    if (ringmq_value_type(value) != RINGMQ_MAP)
        return call_odd_answer(call->request.conn);
    if (result != NULL)
        *result = value;
    return RINGMQ_OK;
}

/* Ends a call that is answered with a count. */
static int admin_end_count(struct call_writer *call, uint64_t *result)
{
    struct ringmq_value value;
    uint64_t count;
    int status = admin_end(call, &value);
    if (status != RINGMQ_OK)
        return status;
    if (!value_uint(value, &count))
        return call_odd_answer(call->request.conn);
    if (result != NULL)
        *result = count;
    return RINGMQ_OK;
}

static void option_text(struct buffer *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    encode_text(out, name);
    encode_text(out, value);
}

static void option_uint(struct buffer *out, const char *name, uint64_t value)
{
    if (value == 0)
        return;
    encode_text(out, name);
    encode_uint(out, value);
}

static void option_flag(struct buffer *out, const char *name, bool set)
{
    if (!set)
        return;
    encode_text(out, name);
    encode_bool(out, true);
}

static void ids_encode(struct buffer *out, const uint64_t *ids, uint32_t count)
{
    encode_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        encode_uint(out, ids[i]);
}

/* ---- messages ---- */

int ringmq_kick(struct ringmq *conn, const char *queue, uint32_t max, uint64_t *kicked, int timeout_ms)
{
    struct call_writer call;
    int status = queue_begin(&call, conn, "kick", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    encode_uint(request_output(&call.request), max);
    return admin_end_count(&call, kicked);
}

/* kick and discard by id. */
static int ids_call(struct ringmq *conn, const char *method, const char *queue, const uint64_t *ids, uint32_t count,
                    uint64_t *result, int timeout_ms)
{
    struct call_writer call;
    if (ids == NULL && count > 0)
        return call_argument(conn, "no ids");
    int status = queue_begin(&call, conn, method, queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    ids_encode(request_output(&call.request), ids, count);
    return admin_end_count(&call, result);
}

int ringmq_kick_ids(struct ringmq *conn, const char *queue, const uint64_t *ids, uint32_t count, uint64_t *kicked,
                    int timeout_ms)
{
    return ids_call(conn, "kick", queue, ids, count, kicked, timeout_ms);
}

int ringmq_discard(struct ringmq *conn, const char *queue, const uint64_t *ids, uint32_t count, uint64_t *removed,
                   int timeout_ms)
{
    return ids_call(conn, "discard", queue, ids, count, removed, timeout_ms);
}

int ringmq_peek(struct ringmq *conn, const char *queue, const struct ringmq_peek_options *options,
                struct ringmq_value *result, int timeout_ms)
{
    static const struct ringmq_peek_options defaults;
    struct call_writer call;
    if (options == NULL)
        options = &defaults;
    int status = queue_begin(&call, conn, "peek", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&call.request);
    int pairs = (options->state != NULL) + (options->from != 0) + (options->to != 0) + (options->group != NULL) +
                (options->max != 0);
    encode_map(out, (uint32_t)pairs);
    option_text(out, "state", options->state);
    option_uint(out, "from", options->from);
    option_uint(out, "to", options->to);
    option_text(out, "group", options->group);
    option_uint(out, "max", options->max);
    return admin_end_map(&call, result);
}

/* ---- queues ---- */

/* create and update. */
static int attributes_call(struct ringmq *conn, const char *method, const char *queue,
                           const struct ringmq_args *attributes, struct ringmq_value *result, int timeout_ms)
{
    struct call_writer call;
    int status = args_status(attributes);
    if (status == RINGMQ_ERR_ARGUMENT || (attributes != NULL && attributes->count != 1))
        return call_argument(conn, "the attributes are not one complete map");
    if (status != RINGMQ_OK)
        return call_failed(conn, status);
    status = queue_begin(&call, conn, method, queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&call.request);
    if (attributes == NULL)
        encode_map(out, 0);
    else
        buffer_append(out, attributes->bytes.data, attributes->bytes.bytes);
    return admin_end(&call, result);
}

int ringmq_queue_create(struct ringmq *conn, const char *queue, const struct ringmq_args *attributes, bool *created,
                        int timeout_ms)
{
    struct ringmq_value result;
    int status = attributes_call(conn, "queue.create", queue, attributes, &result, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct ringmq_value value = ringmq_value_get(result, "created");
    if (ringmq_value_type(value) != RINGMQ_BOOL)
        return call_odd_answer(conn);
    if (created != NULL)
        *created = ringmq_value_bool(value, false);
    return RINGMQ_OK;
}

int ringmq_queue_update(struct ringmq *conn, const char *queue, const struct ringmq_args *attributes, int timeout_ms)
{
    return attributes_call(conn, "queue.update", queue, attributes, NULL, timeout_ms);
}

int ringmq_queue_delete(struct ringmq *conn, const char *queue, unsigned flags, uint64_t *removed, int timeout_ms)
{
    struct call_writer call;
    bool if_empty = (flags & RINGMQ_IF_EMPTY) != 0;
    bool if_unused = (flags & RINGMQ_IF_UNUSED) != 0;
    int status = queue_begin(&call, conn, "queue.delete", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&call.request);
    encode_map(out, (uint32_t)if_empty + (uint32_t)if_unused);
    option_flag(out, "if_empty", if_empty);
    option_flag(out, "if_unused", if_unused);
    return admin_end_count(&call, removed);
}

int ringmq_queue_purge(struct ringmq *conn, const char *queue, const char *state, uint64_t *removed, int timeout_ms)
{
    struct call_writer call;
    int status = queue_begin(&call, conn, "queue.purge", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    encode_map(request_output(&call.request), state != NULL ? 1 : 0);
    option_text(request_output(&call.request), "state", state);
    return admin_end_count(&call, removed);
}

int ringmq_queue_info(struct ringmq *conn, const char *queue, struct ringmq_value *result, int timeout_ms)
{
    struct call_writer call;
    int status = queue_begin(&call, conn, "queue.info", queue, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end_map(&call, result) : status;
}

int ringmq_queue_list(struct ringmq *conn, const struct ringmq_list_options *options, struct ringmq_value *result,
                      int timeout_ms)
{
    static const struct ringmq_list_options defaults;
    struct call_writer call;
    if (options == NULL)
        options = &defaults;
    int status = admin_begin(&call, conn, "queue.list", 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&call.request);
    int pairs = (options->prefix != NULL) + (options->cursor != NULL) + (options->max != 0);
    encode_map(out, (uint32_t)pairs);
    option_text(out, "prefix", options->prefix);
    option_text(out, "cursor", options->cursor);
    option_uint(out, "max", options->max);
    return admin_end_map(&call, result);
}

int ringmq_queue_pause(struct ringmq *conn, const char *queue, int timeout_ms)
{
    struct call_writer call;
    int status = queue_begin(&call, conn, "queue.pause", queue, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end(&call, NULL) : status;
}

int ringmq_queue_resume(struct ringmq *conn, const char *queue, int timeout_ms)
{
    struct call_writer call;
    int status = queue_begin(&call, conn, "queue.resume", queue, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end(&call, NULL) : status;
}
