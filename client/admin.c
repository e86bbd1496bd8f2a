/*
 * admin: the blocking calls that look at queues and messages or change them from outside.
 */
#include "client/admin.h"

#include "client/args.h"
#include "client/options.h"

int admin_begin(struct admin_call *call, struct ringmq *conn, const char *method, uint32_t params, int timeout_ms)
{
    int status = call_begin(conn, timeout_ms, &call->deadline_ms);
    if (status == RINGMQ_OK)
        status = request_begin(&call->request, conn, CALL_PLAIN, method, NULL, NULL);
    if (status == RINGMQ_OK)
        encode_array(request_output(&call->request), params);
    return status;
}

int admin_begin_named(struct admin_call *call, struct ringmq *conn, const char *method, const char *name, uint32_t more,
                      int timeout_ms)
{
    if (name == NULL)
        return call_argument(conn, "no name of a queue or topic");
    int status = admin_begin(call, conn, method, 1 + more, timeout_ms);
    if (status == RINGMQ_OK)
        encode_text(admin_output(call), name);
    return status;
}

int admin_end(struct admin_call *call, struct ringmq_value *result)
{
    struct ringmq_answer answer;
    int status = call_end(call->request.conn, request_end(&call->request), call->deadline_ms, &answer);
    if (status == RINGMQ_OK && result != NULL)
        *result = answer.result;
    return status;
}

int admin_end_map(struct admin_call *call, struct ringmq_value *result)
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

int admin_end_count(struct admin_call *call, uint64_t *result)
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

int admin_end_created(struct admin_call *call, bool *created)
{
    struct ringmq_value result;
    int status = admin_end(call, &result);
    if (status != RINGMQ_OK)
        return status;
    struct ringmq_value value = ringmq_value_get(result, "created");
    if (ringmq_value_type(value) != RINGMQ_BOOL)
        return call_odd_answer(call->request.conn);
    if (created != NULL)
        *created = ringmq_value_bool(value, false);
    return RINGMQ_OK;
}

void list_options_encode(struct buffer *out, const struct ringmq_list_options *options)
{
    static const struct ringmq_list_options defaults;
    if (options == NULL)
        options = &defaults;
    int pairs = (options->prefix != NULL) + (options->cursor != NULL) + (options->max != 0);
    encode_map(out, (uint32_t)pairs);
    option_text(out, "prefix", options->prefix);
    option_text(out, "cursor", options->cursor);
    option_uint(out, "max", options->max);
}

int map_check(struct ringmq *conn, const struct ringmq_args *map, const char *what)
{
    int status = args_status(map);
    if (status == RINGMQ_ERR_ARGUMENT || (map != NULL && map->count != 1))
        return call_argument(conn, what);
    return status == RINGMQ_OK ? RINGMQ_OK : call_failed(conn, status);
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
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "kick", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    encode_uint(admin_output(&call), max);
    return admin_end_count(&call, kicked);
}

/* kick and discard by id. */
static int ids_call(struct ringmq *conn, const char *method, const char *queue, const uint64_t *ids, uint32_t count,
                    uint64_t *result, int timeout_ms)
{
    struct admin_call call;
    if (ids == NULL && count > 0)
        return call_argument(conn, "no ids");
    int status = admin_begin_named(&call, conn, method, queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    ids_encode(admin_output(&call), ids, count);
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
    struct admin_call call;
    if (options == NULL)
        options = &defaults;
    int status = admin_begin_named(&call, conn, "peek", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = admin_output(&call);
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

/* ---- moves ---- */

int ringmq_move(struct ringmq *conn, const char *source, const struct ringmq_move_options *options, uint64_t *move,
                int timeout_ms)
{
    static const struct ringmq_move_options defaults;
    struct admin_call call;
    if (options == NULL)
        options = &defaults;
    int status = admin_begin_named(&call, conn, "move", source, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = admin_output(&call);
    int pairs = (options->to != NULL) + (options->rate != 0) + (options->max != 0);
    encode_map(out, (uint32_t)pairs);
    option_text(out, "to", options->to);
    option_uint(out, "rate", options->rate);
    option_uint(out, "max", options->max);
    return admin_end_count(&call, move);
}

int ringmq_move_list(struct ringmq *conn, struct ringmq_value *result, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin(&call, conn, "move.list", 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end_map(&call, result) : status;
}

int ringmq_move_cancel(struct ringmq *conn, uint64_t move, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin(&call, conn, "move.cancel", 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    encode_uint(admin_output(&call), move);
    return admin_end(&call, NULL);
}

/* ---- queues ---- */

/* Begins create and update. */
static int attributes_begin(struct admin_call *call, struct ringmq *conn, const char *method, const char *queue,
                            const struct ringmq_args *attributes, int timeout_ms)
{
    int status = map_check(conn, attributes, "the attributes are not one complete map");
    if (status == RINGMQ_OK)
        status = admin_begin_named(call, conn, method, queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    if (attributes == NULL)
        encode_map(admin_output(call), 0);
    else
        buffer_append(admin_output(call), attributes->bytes.data, attributes->bytes.bytes);
    return RINGMQ_OK;
}

int ringmq_queue_create(struct ringmq *conn, const char *queue, const struct ringmq_args *attributes, bool *created,
                        int timeout_ms)
{
    struct admin_call call;
    int status = attributes_begin(&call, conn, "queue.create", queue, attributes, timeout_ms);
    return status == RINGMQ_OK ? admin_end_created(&call, created) : status;
}

int ringmq_queue_update(struct ringmq *conn, const char *queue, const struct ringmq_args *attributes, int timeout_ms)
{
    struct admin_call call;
    int status = attributes_begin(&call, conn, "queue.update", queue, attributes, timeout_ms);
    return status == RINGMQ_OK ? admin_end(&call, NULL) : status;
}

int ringmq_queue_delete(struct ringmq *conn, const char *queue, unsigned flags, uint64_t *removed, int timeout_ms)
{
    struct admin_call call;
    bool if_empty = (flags & RINGMQ_IF_EMPTY) != 0;
    bool if_unused = (flags & RINGMQ_IF_UNUSED) != 0;
    int status = admin_begin_named(&call, conn, "queue.delete", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = admin_output(&call);
    encode_map(out, (uint32_t)if_empty + (uint32_t)if_unused);
    option_flag(out, "if_empty", if_empty);
    option_flag(out, "if_unused", if_unused);
    return admin_end_count(&call, removed);
}

int ringmq_queue_purge(struct ringmq *conn, const char *queue, const char *state, uint64_t *removed, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "queue.purge", queue, 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    encode_map(admin_output(&call), state != NULL ? 1 : 0);
    option_text(admin_output(&call), "state", state);
    return admin_end_count(&call, removed);
}

int ringmq_queue_info(struct ringmq *conn, const char *queue, struct ringmq_value *result, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "queue.info", queue, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end_map(&call, result) : status;
}

int ringmq_queue_list(struct ringmq *conn, const struct ringmq_list_options *options, struct ringmq_value *result,
                      int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin(&call, conn, "queue.list", 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    list_options_encode(admin_output(&call), options);
    return admin_end_map(&call, result);
}

int ringmq_queue_pause(struct ringmq *conn, const char *queue, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "queue.pause", queue, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end(&call, NULL) : status;
}

int ringmq_queue_resume(struct ringmq *conn, const char *queue, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "queue.resume", queue, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end(&call, NULL) : status;
}
