/*
 * consumers: subscriptions, and the deliveries that come for them.
 *
 * A consumer is known here from the moment its consume is sent, gets its deliveries once that is answered, and is
 * gone when its cancel is answered, the server ends it, or the connection ends for good. When a lost connection is
 * made anew it is subscribed again, with the prefetch it last had, under another id on the wire.
 *
 * Deliveries for an id that nobody here has are passed over: they were on their way when the consumer ended, and the
 * server has taken them back. A consume that is answered after its consumer is gone is undone by a cancel.
 */
#include "client/connection.h"
#include "client/options.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 4 };

/* ---- the list ---- */

static struct consumer *consumer_find(struct consumers *consumers, uint64_t number)
{
    for (uint32_t i = 0; i < consumers->count; i++) {
        if (consumers->list[i].number == number)
            return &consumers->list[i];
    }
    return NULL;
}

/* Looks first at the one that had the last delivery: usually it has the next one too. */
static struct consumer *consumer_find_subscribed(struct consumers *consumers, uint64_t server_id)
{
    for (uint32_t i = 0; i < consumers->count; i++) {
        uint32_t at = (consumers->recent + i) % consumers->count;
        struct consumer *consumer = &consumers->list[at];
        if (consumer->subscribed && consumer->server_id == server_id) {
            consumers->recent = at;
            return consumer;
        }
    }
    return NULL;
}

static struct consumer *consumer_add(struct consumers *consumers, const char *queue,
                                     const struct ringmq_consume_options *options)
{
    if (consumers->count == consumers->cap) {
        uint32_t cap = consumers->cap == 0 ? FIRST_CAP : consumers->cap * 2;
        struct consumer *list = realloc(consumers->list, cap * sizeof(*list));
        if (list == NULL)
            return NULL;
        consumers->list = list;
        consumers->cap = cap;
    }
    char *name = strdup(queue);
    if (name == NULL)
        return NULL;
    struct consumer *consumer = &consumers->list[consumers->count++];
    *consumer = (struct consumer){
        .number = ++consumers->next_number,
        .has_prefetch = options->prefetch != 0,
        .prefetch = options->prefetch,
        .queue = name,
        .options = *options,
    };
    return consumer;
}

static void consumer_remove(struct consumers *consumers, struct consumer *consumer)
{
    free(consumer->queue);
    uint32_t index = (uint32_t)(consumer - consumers->list);
    uint32_t behind = consumers->count - index - 1;
    memmove(consumer, consumer + 1, behind * sizeof(*consumer));
    consumers->count--;
    consumers->recent = 0;
}

void consumers_clear(struct consumers *consumers)
{
    for (uint32_t i = 0; i < consumers->count; i++)
        free(consumers->list[i].queue);
    free(consumers->list);
    /* Numbers are not used again: a number kept for too long must not mean another consumer. */
    *consumers = (struct consumers){.next_number = consumers->next_number};
}

/* Removes a consumer and tells its owner why. */
static void consumer_end(struct ringmq *conn, struct consumer *consumer, struct ringmq_bytes why)
{
    char reason[64];
    size_t bytes = why.bytes < sizeof(reason) ? why.bytes : sizeof(reason) - 1;
    memcpy(reason, why.data, bytes);
    reason[bytes] = '\0';

    struct consumer ended = *consumer;
    consumer_remove(&conn->consumers, consumer);
    if (ended.options.cancelled_cb == NULL)
        return;
    callback_enter(conn);
    ended.options.cancelled_cb(conn, ended.number, reason, ended.options.arg);
    callback_leave(conn);
}

/* ---- subscribing ---- */

static void consume_params(struct buffer *out, const struct consumer *consumer)
{
    const struct ringmq_consume_options *options = &consumer->options;
    int pairs = consumer->has_prefetch + options->auto_ack + (options->visibility_ms != 0) + options->exclusive +
                options->single_active + (options->priority != 0) + (options->group_prefetch != 0);
    encode_array(out, pairs > 0 ? 2 : 1);
    encode_text(out, consumer->queue);
    if (pairs > 0)
        encode_map(out, (uint32_t)pairs);
    if (consumer->has_prefetch)
        option_int(out, "prefetch", consumer->prefetch);
    option_text(out, "ack", options->auto_ack ? "auto" : NULL);
    if (options->visibility_ms != 0)
        option_int(out, "visibility", options->visibility_ms);
    option_flag(out, "exclusive", options->exclusive);
    option_flag(out, "single_active", options->single_active);
    option_uint(out, "priority", options->priority);
    option_uint(out, "group_prefetch", options->group_prefetch);
}

static int64_t consume_send(struct ringmq *conn, struct consumer *consumer, enum call_kind kind,
                            ringmq_answer_cb *answer_cb, void *arg)
{
    struct request request;
    int status = request_begin(&request, conn, kind, "consume", answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    calls_find(&conn->calls, request.token)->payload.consumer = consumer->number;
    struct buffer *out = request_output(&request);
    consume_params(out, consumer);
    int64_t token = request_end(&request);
    if (token > 0) {
        consumer->requested = true;
        consumer->sent_prefetch = consumer->prefetch;
    }
    return token;
}

int64_t ringmq_send_consume(struct ringmq *conn, const char *queue, const struct ringmq_consume_options *options,
                            uint64_t *consumer, ringmq_answer_cb *answer_cb, void *arg)
{
    if (queue == NULL || options == NULL || options->deliver_cb == NULL)
        return call_argument(conn, "no queue or no deliver_cb");
    struct consumer *added = consumer_add(&conn->consumers, queue, options);
    if (added == NULL)
        return call_failed(conn, RINGMQ_ERR_NO_MEMORY);
    int64_t token = consume_send(conn, added, CALL_CONSUME, answer_cb, arg);
    if (token < 0)
        consumer_remove(&conn->consumers, added);
    else if (consumer != NULL)
        *consumer = added->number;
    return token;
}

int ringmq_consume(struct ringmq *conn, const char *queue, const struct ringmq_consume_options *options,
                   uint64_t *consumer, int timeout_ms)
{
    struct ringmq_answer answer;
    int64_t deadline_ms;
    uint64_t number = 0;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    status = call_end(conn, ringmq_send_consume(conn, queue, options, &number, NULL, NULL), deadline_ms, &answer);
    if (status != RINGMQ_OK) {
        struct consumer *left = consumer_find(&conn->consumers, number);
        if (left != NULL)
            consumer_remove(&conn->consumers, left);
        return status;
    }
    if (consumer != NULL)
        *consumer = number;
    return RINGMQ_OK;
}

bool consumers_subscribe(struct ringmq *conn)
{
    for (uint32_t i = 0; i < conn->consumers.count; i++) {
        struct consumer *consumer = &conn->consumers.list[i];
        if (!consumer->requested && consume_send(conn, consumer, CALL_RESUBSCRIBE, NULL, NULL) < 0)
            return false;
    }
    return true;
}

void consumers_lost(struct ringmq *conn)
{
    for (uint32_t i = 0; i < conn->consumers.count; i++) {
        struct consumer *consumer = &conn->consumers.list[i];
        consumer->requested = false;
        consumer->subscribed = false;
        consumer->cancelling = false;
    }
}

/* ---- answers ---- */

/* Says something about a consumer that nobody waits for an answer to. */
static void consumer_notify(struct ringmq *conn, const char *method, uint64_t server_id, const uint32_t *prefetch)
{
    struct request request;
    if (request_notify(&request, conn, method) != RINGMQ_OK)
        return;
    encode_array(request_output(&request), prefetch == NULL ? 1 : 2);
    encode_uint(request_output(&request), server_id);
    if (prefetch != NULL)
        encode_uint(request_output(&request), *prefetch);
    if (request_end(&request) < 0)
        conn->no_memory = true;
}

static void consume_answered(struct ringmq *conn, const struct call *call, const struct ringmq_answer *answer)
{
    struct consumer *consumer = consumer_find(&conn->consumers, call->payload.consumer);
    uint64_t server_id = ringmq_value_uint(answer->result, 0);
    bool again = call->kind == CALL_RESUBSCRIBE;
    if (answer->status == RINGMQ_OK && consumer == NULL) {
        consumer_notify(conn, "cancel", server_id, NULL);
    } else if (answer->status == RINGMQ_OK) {
        consumer->subscribed = true;
        consumer->server_id = server_id;
        if (consumer->prefetch != consumer->sent_prefetch)
            consumer_notify(conn, "credit", server_id, &consumer->prefetch);
    } else if (consumer != NULL && !again) {
        consumer_remove(&conn->consumers, consumer);
    } else if (consumer != NULL && answer->status == RINGMQ_ERR_SERVER) {
        struct ringmq_bytes code = answer->error.code;
        /* A server that is about to stop: the next connection will do. */
        if (code.bytes != strlen("DRAINING") || memcmp(code.data, "DRAINING", code.bytes) != 0)
            consumer_end(conn, consumer, code);
    }
}

void consumers_answered(struct ringmq *conn, const struct call *call, const struct ringmq_answer *answer)
{
    if (call->kind != CALL_CANCEL) {
        consume_answered(conn, call, answer);
        return;
    }
    /* Whatever the answer, and also if none came: the caller wanted it gone. */
    struct consumer *consumer = consumer_find(&conn->consumers, call->payload.consumer);
    if (consumer != NULL)
        consumer_remove(&conn->consumers, consumer);
}

/* ---- notifications ---- */

bool consumers_deliver(struct ringmq *conn, struct ringmq_value params)
{
    struct ringmq_iterator it = ringmq_iterate(params);
    struct ringmq_value id;
    struct ringmq_value list;
    struct ringmq_deliveries deliveries;
    uint64_t server_id;
    if (it.left != 2 || !ringmq_next(&it, NULL, &id) || !ringmq_next(&it, NULL, &list))
        return false;
    if (!value_uint(id, &server_id) || !deliveries_read(list, &deliveries))
        return false;
    struct consumer *consumer = consumer_find_subscribed(&conn->consumers, server_id);
    if (consumer == NULL)
        return true;
    callback_enter(conn);
    consumer->options.deliver_cb(conn, consumer->number, &deliveries, consumer->options.arg);
    callback_leave(conn);
    return true;
}

bool consumers_cancelled(struct ringmq *conn, struct ringmq_value params)
{
    struct ringmq_value id = ringmq_value_item(params, 0);
    struct ringmq_value why = ringmq_value_item(params, 1);
    struct ringmq_bytes reason = ringmq_value_bytes(why);
    uint64_t server_id;
    if (ringmq_value_count(params) != 2 || !value_uint(id, &server_id) || reason.data == NULL)
        return false;
    struct consumer *consumer = consumer_find_subscribed(&conn->consumers, server_id);
    if (consumer == NULL)
        return true;
    if (conn->settings.reconnect && !consumer->cancelling && ringmq_value_equals(why, "draining"))
        consumer->subscribed = false; /* stays `requested`: only the next connection subscribes it */
    else
        consumer_end(conn, consumer, reason);
    return true;
}

/* ---- cancel and credit ---- */

int64_t ringmq_send_cancel(struct ringmq *conn, uint64_t consumer, ringmq_answer_cb *answer_cb, void *arg)
{
    struct consumer *found = consumer_find(&conn->consumers, consumer);
    if (found == NULL || found->cancelling)
        return call_argument(conn, "no such consumer");
    if (!found->subscribed) {
        consumer_remove(&conn->consumers, found);
        return call_failed(conn, RINGMQ_ERR_CLOSED);
    }
    struct request request;
    int status = request_begin(&request, conn, CALL_CANCEL, "cancel", answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    calls_find(&conn->calls, request.token)->payload.consumer = consumer;
    encode_array(request_output(&request), 1);
    encode_uint(request_output(&request), found->server_id);
    int64_t token = request_end(&request);
    found->cancelling = token > 0;
    return token;
}

int ringmq_cancel(struct ringmq *conn, uint64_t consumer, int timeout_ms)
{
    struct ringmq_answer answer;
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    return call_end(conn, ringmq_send_cancel(conn, consumer, NULL, NULL), deadline_ms, &answer);
}

int64_t ringmq_send_credit(struct ringmq *conn, uint64_t consumer, uint32_t prefetch, ringmq_answer_cb *answer_cb,
                           void *arg)
{
    struct consumer *found = consumer_find(&conn->consumers, consumer);
    if (found == NULL || found->cancelling)
        return call_argument(conn, "no such consumer");
    found->has_prefetch = true;
    found->prefetch = prefetch;
    if (!found->subscribed)
        return call_failed(conn, RINGMQ_ERR_CLOSED);
    struct request request;
    int status = request_begin(&request, conn, CALL_PLAIN, "credit", answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    encode_array(request_output(&request), 2);
    encode_uint(request_output(&request), found->server_id);
    encode_uint(request_output(&request), prefetch);
    return request_end(&request);
}

int ringmq_credit(struct ringmq *conn, uint64_t consumer, uint32_t prefetch, int timeout_ms)
{
    struct ringmq_answer answer;
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    return call_end(conn, ringmq_send_credit(conn, consumer, prefetch, NULL, NULL), deadline_ms, &answer);
}
