/*
 * answers: what the server says, one value at a time: responses go to their calls, notifications to their consumers.
 *
 * Everything is checked before anybody hears of it. What is not one of the protocol's shapes ends the connection with
 * RINGMQ_ERR_PROTOCOL; notifications of a name that this library does not know are passed over, so that servers can
 * learn new ones.
 *
 * A call is taken out of `calls` before its callback runs, since the callback may add calls and move them.
 */
#include "client/connection.h"

#include <string.h>

static struct ringmq_value tree_root(const struct ringmq *conn)
{
    return (struct ringmq_value){&conn->tree, 0};
}

bool response_read(struct ringmq_value root, struct ringmq_answer *answer)
{
    struct ringmq_iterator it = ringmq_iterate(root);
    struct ringmq_value kind;
    struct ringmq_value msgid;
    struct ringmq_value error;
    struct ringmq_value result;
    uint64_t token;
    if (it.left != 4 || it.map)
        return false;
    ringmq_next(&it, NULL, &kind);
    ringmq_next(&it, NULL, &msgid);
    ringmq_next(&it, NULL, &error);
    ringmq_next(&it, NULL, &result);
    if (!value_uint(msgid, &token) || token > UINT32_MAX)
        return false;
    *answer = (struct ringmq_answer){.token = (int64_t)token};
    if (ringmq_value_type(error) == RINGMQ_NIL) {
        answer->status = RINGMQ_OK;
        answer->result = result;
        return true;
    }
    answer->status = RINGMQ_ERR_SERVER;
    return error_read(error, &answer->error);
}

/* The answer is kept until somebody fetches or forgets it. */
static void call_keep(struct ringmq *conn, struct call *call, const struct ringmq_answer *answer,
                      struct ringmq_value root)
{
    calls_keep(&conn->calls, call);
    call->payload.answer = NULL;
    if (answer->status == RINGMQ_ERR_CLOSED)
        return;
    call->payload.answer = ringmq_copy_new(root);
    if (call->payload.answer == NULL)
        conn->no_memory = true;
}

/* What the library itself does with the answer to a call that is no longer in `calls`. */
static void call_attend(struct ringmq *conn, const struct call *call, const struct ringmq_answer *answer)
{
    switch ((enum call_kind)call->kind) {
    case CALL_PLAIN:
        break;
    case CALL_HELLO:
        if (answer->status != RINGMQ_ERR_CLOSED)
            connection_greeted(conn, answer);
        break;
    case CALL_PUBLISH:
        if (call->payload.publish != NULL && answer->status == RINGMQ_ERR_CLOSED)
            unconfirmed_hand_back(conn, call->payload.publish);
        else
            ringmq_unconfirmed_free(call->payload.publish);
        break;
    case CALL_RECEIVE:
        if (call->stage == CALL_FORGOTTEN && answer->status == RINGMQ_OK)
            deliveries_give_back(conn, answer->result);
        break;
    case CALL_CONSUME:
    case CALL_RESUBSCRIBE:
    case CALL_CANCEL:
        consumers_answered(conn, call, answer);
        break;
    }
}

/* Completes a call: answer->status is RINGMQ_OK, _ERR_SERVER or _ERR_CLOSED. `root` is the response, or RINGMQ_NONE. */
static void call_complete(struct ringmq *conn, struct call *call, struct ringmq_answer *answer,
                          struct ringmq_value root)
{
    struct call done = *call;
    bool waited = conn->waited == done.token;
    bool internal = done.kind == CALL_HELLO || done.kind == CALL_RESUBSCRIBE;
    answer->token = done.token;
    if (done.stage == CALL_SENT && done.answer_cb == NULL && !waited && !internal)
        call_keep(conn, call, answer, root);
    else
        calls_remove(&conn->calls, call);

    call_attend(conn, &done, answer);
    if (waited) {
        conn->waited = 0;
        conn->waited_answer = *answer;
        conn->value_held = answer->status != RINGMQ_ERR_CLOSED;
    } else if (done.answer_cb != NULL) {
        callback_enter(conn);
        done.answer_cb(conn, answer, done.arg);
        callback_leave(conn);
    }
}

void answers_lost(struct ringmq *conn)
{
    struct call *call;
    while ((call = calls_oldest(&conn->calls)) != NULL) {
        struct ringmq_answer answer = {.status = RINGMQ_ERR_CLOSED};
        call_complete(conn, call, &answer, (struct ringmq_value){NULL, 0});
    }
}

void answers_drop_kept(struct ringmq *conn)
{
    for (uint32_t i = 1; i < conn->calls.used; i++) {
        struct call *call = &conn->calls.slots[i];
        if (call->stage == CALL_KEPT)
            ringmq_copy_free(call->payload.answer);
    }
}

static void answers_refuse(struct ringmq *conn, const char *what)
{
    failure_set(&conn->end, RINGMQ_ERR_PROTOCOL, "%s: %s", conn->endpoint.text, what);
    connection_lost(conn, false);
}

static void response_handle(struct ringmq *conn)
{
    struct ringmq_answer answer;
    if (!response_read(tree_root(conn), &answer)) {
        answers_refuse(conn, "a response that is not [1, msgid, error, result]");
        return;
    }
    struct call *call = calls_find(&conn->calls, (uint64_t)answer.token);
    if (call == NULL || call->stage == CALL_KEPT) {
        answers_refuse(conn, "a response to no request");
        return;
    }
    bool consume = call->kind == CALL_CONSUME || call->kind == CALL_RESUBSCRIBE;
    if (consume && answer.status == RINGMQ_OK && ringmq_value_type(answer.result) != RINGMQ_UINT) {
        answers_refuse(conn, "an answer to consume that is no integer");
        return;
    }
    call_complete(conn, call, &answer, tree_root(conn));
}

/* The server's last words. */
static void error_handle(struct ringmq *conn, struct ringmq_value params)
{
    struct ringmq_error error;
    if (!error_read(params, &error)) {
        answers_refuse(conn, "an error notification that is not [code, text]");
        return;
    }
    failure_set_server(&conn->end, &error);
    connection_lost(conn, false);
}

static void notification_handle(struct ringmq *conn)
{
    struct ringmq_iterator it = ringmq_iterate(tree_root(conn));
    struct ringmq_value kind;
    struct ringmq_value method;
    struct ringmq_value params;
    ringmq_next(&it, NULL, &kind);
    ringmq_next(&it, NULL, &method);
    ringmq_next(&it, NULL, &params);
    if (ringmq_value_bytes(method).data == NULL || ringmq_value_type(params) != RINGMQ_ARRAY)
        answers_refuse(conn, "a notification that is not [2, method, params]");
    else if (ringmq_value_equals(method, "deliver")) {
        if (!consumers_deliver(conn, params))
            answers_refuse(conn, "a deliver that is not [consumer, [delivery, ...]]");
    } else if (ringmq_value_equals(method, "cancelled")) {
        if (!consumers_cancelled(conn, params))
            answers_refuse(conn, "a cancelled that is not [consumer, reason]");
    } else if (ringmq_value_equals(method, "error"))
        error_handle(conn, params);
}

void answers_handle(struct ringmq *conn)
{
    struct ringmq_value root = tree_root(conn);
    uint32_t count = ringmq_value_type(root) == RINGMQ_ARRAY ? ringmq_value_count(root) : 0;
    uint64_t kind = count == 0 ? UINT64_MAX : ringmq_value_uint(ringmq_value_item(root, 0), UINT64_MAX);
    if (kind == 1 && count == 4)
        response_handle(conn);
    else if (kind == 2 && count == 3)
        notification_handle(conn);
    else
        answers_refuse(conn, "a value that is neither a response nor a notification");
}

size_t ringmq_in_flight(const struct ringmq *conn)
{
    return conn->calls.unanswered;
}

void ringmq_forget(struct ringmq *conn, int64_t token)
{
    struct call *call = token < 0 ? NULL : calls_find(&conn->calls, (uint64_t)token);
    if (call == NULL || call->answer_cb != NULL || call->stage == CALL_FORGOTTEN)
        return;
    if (call->stage == CALL_SENT) {
        call->stage = CALL_FORGOTTEN;
        return;
    }
    struct ringmq_copy *kept = call->payload.answer;
    struct ringmq_answer answer;
    bool receive = call->kind == CALL_RECEIVE;
    calls_remove(&conn->calls, call);
    if (receive && kept != NULL && response_read(ringmq_copy_value(kept), &answer) && answer.status == RINGMQ_OK)
        deliveries_give_back(conn, answer.result);
    ringmq_copy_free(kept);
}
