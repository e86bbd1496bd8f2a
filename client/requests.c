/*
 * requests: calls on their way into the output. A request is written in place: its head by request_begin(), its
 * params by the caller, and request_end() decides whether it stays. If memory ran out on the way, or the server would
 * end the connection because of its size, it is taken out again, and the output is as it was.
 */
#include "client/args.h"
#include "client/connection.h"

#include "protocol/encoder.h"

#include <string.h>

static bool connection_sends(const struct ringmq *conn)
{
    return (conn->state == RINGMQ_READY || conn->state == RINGMQ_CONNECTING) && !conn->close_asked;
}

int request_begin(struct request *request, struct ringmq *conn, enum call_kind kind, const char *method,
                  ringmq_answer_cb *answer_cb, void *arg)
{
    if (!connection_sends(conn))
        return call_failed(conn, RINGMQ_ERR_CLOSED);
    int status = RINGMQ_OK;
    struct call *call = calls_add(&conn->calls, &status);
    if (call == NULL)
        return call_failed(conn, status);
    call->kind = (uint8_t)kind;
    call->answer_cb = answer_cb;
    call->arg = arg;
    *request = (struct request){conn, buffer_pending(&conn->output), call->token};
    encode_array(&conn->output, 4);
    encode_uint(&conn->output, 0);
    encode_uint(&conn->output, call->token);
    encode_text(&conn->output, method);
    return RINGMQ_OK;
}

int request_notify(struct request *request, struct ringmq *conn, const char *method)
{
    if (!connection_sends(conn))
        return call_failed(conn, RINGMQ_ERR_CLOSED);
    *request = (struct request){conn, buffer_pending(&conn->output), 0};
    encode_array(&conn->output, 3);
    encode_uint(&conn->output, 2);
    encode_text(&conn->output, method);
    return RINGMQ_OK;
}

void request_abandon(struct request *request)
{
    struct ringmq *conn = request->conn;
    conn->output.bytes -= buffer_pending(&conn->output) - request->pending_before;
    conn->output.failed = false;
    struct call *call = calls_find(&conn->calls, request->token);
    if (call == NULL)
        return;
    if (call->kind == CALL_PUBLISH)
        ringmq_unconfirmed_free(call->payload.publish);
    calls_remove(&conn->calls, call);
}

int64_t request_end(struct request *request)
{
    struct ringmq *conn = request->conn;
    if (conn->output.failed) {
        request_abandon(request);
        return call_failed(conn, RINGMQ_ERR_NO_MEMORY);
    }
    if (buffer_pending(&conn->output) - request->pending_before > conn->max_request_bytes) {
        request_abandon(request);
        return failure_set(&conn->last, RINGMQ_ERR_LIMIT, "the request is larger than the server's max_request_bytes");
    }
    return request->token;
}

/* The params of a call whose arguments have been written by the caller. */
static void args_write(struct request *request, const struct ringmq_args *args)
{
    struct buffer *out = request_output(request);
    encode_array(out, args == NULL ? 0 : args->count);
    if (args != NULL && args->bytes.bytes > 0)
        buffer_append(out, args->bytes.data, args->bytes.bytes);
}

static int args_check(struct ringmq *conn, const char *method, const struct ringmq_args *args)
{
    if (method == NULL)
        return call_argument(conn, "no method is named");
    int status = args_status(args);
    if (status == RINGMQ_ERR_ARGUMENT)
        return call_argument(conn, "the arguments are not complete, too deep or too large");
    return status == RINGMQ_OK ? status : call_failed(conn, status);
}

int64_t ringmq_send(struct ringmq *conn, const char *method, const struct ringmq_args *args,
                    ringmq_answer_cb *answer_cb, void *arg)
{
    struct request request;
    int status = args_check(conn, method, args);
    if (status != RINGMQ_OK)
        return status;
    enum call_kind kind = strcmp(method, "receive") == 0 ? CALL_RECEIVE : CALL_PLAIN;
    status = request_begin(&request, conn, kind, method, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    args_write(&request, args);
    return request_end(&request);
}

int ringmq_notify(struct ringmq *conn, const char *method, const struct ringmq_args *args)
{
    struct request request;
    int status = args_check(conn, method, args);
    if (status == RINGMQ_OK)
        status = request_notify(&request, conn, method);
    if (status != RINGMQ_OK)
        return status;
    args_write(&request, args);
    return (int)request_end(&request);
}
