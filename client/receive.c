/*
 * receive: taking messages one call at a time, and the deliveries that receive and consume have in common. Deliveries
 * are checked once, when they come in, so that going through them can't fail.
 */
#include "client/connection.h"

#include "protocol/encoder.h"

#include <stdlib.h>

/* Fields of a delivery: receipt, id, attempts, body, and a map if there is something in it. */
enum { DELIVERY_FIELDS = 4 };

static bool delivery_ok(const struct node *node)
{
    if (node[0].type != NODE_ARRAY || (node[0].count != DELIVERY_FIELDS && node[0].count != DELIVERY_FIELDS + 1))
        return false;
    /* None of the first four contains another, so they stand next to each other. */
    if (node[1].type != NODE_UINT || node[2].type != NODE_UINT || node[3].type != NODE_UINT)
        return false;
    if (node[4].type != NODE_BIN && node[4].type != NODE_STR)
        return false;
    return node[0].count == DELIVERY_FIELDS || node[5].type == NODE_MAP;
}

bool deliveries_read(struct ringmq_value value, struct ringmq_deliveries *deliveries)
{
    if (ringmq_value_type(value) != RINGMQ_ARRAY)
        return false;
    struct ringmq_iterator it = ringmq_iterate(value);
    deliveries->count = it.left;
    deliveries->iterator = it;
    struct ringmq_value delivery;
    while (ringmq_next(&it, NULL, &delivery)) {
        if (!delivery_ok(value_node(delivery)))
            return false;
    }
    return true;
}

bool ringmq_next_delivery(struct ringmq_deliveries *deliveries, struct ringmq_delivery *delivery)
{
    struct ringmq_value value;
    if (!ringmq_next(&deliveries->iterator, NULL, &value))
        return false;
    const struct node *node = value_node(value);
    *delivery = (struct ringmq_delivery){
        .receipt = node[1].value.uint,
        .id = node[2].value.uint,
        .attempts = node[3].value.uint,
        .body = node[4].count == 0 ? (const void *)"" : tree_bytes(value.tree, &node[4]),
        .body_bytes = node[4].count,
    };
    if (node[0].count > DELIVERY_FIELDS) {
        struct ringmq_value rest = {value.tree, value.index + 1 + DELIVERY_FIELDS};
        delivery->headers = ringmq_value_get(rest, "headers");
        delivery->group = ringmq_value_bytes(ringmq_value_get(rest, "group"));
        delivery->dedup_id = ringmq_value_bytes(ringmq_value_get(rest, "dedup_id"));
        delivery->priority = (uint8_t)ringmq_value_uint(ringmq_value_get(rest, "priority"), 0);
    }
    return true;
}

int ringmq_answer_deliveries(const struct ringmq_answer *answer, struct ringmq_deliveries *deliveries)
{
    if (answer->status != RINGMQ_OK)
        return answer->status;
    struct ringmq_deliveries read;
    if (!deliveries_read(answer->result, &read))
        return RINGMQ_ERR_PROTOCOL;
    *deliveries = read;
    return RINGMQ_OK;
}

void deliveries_give_back(struct ringmq *conn, struct ringmq_value result)
{
    struct ringmq_deliveries deliveries;
    struct ringmq_delivery delivery;
    struct request request;
    if (!deliveries_read(result, &deliveries) || deliveries.count == 0)
        return;
    /* If it can't be sent the messages come back when their visibility is over. */
    if (request_notify(&request, conn, "nack") != RINGMQ_OK)
        return;
    encode_array(request_output(&request), 1);
    encode_array(request_output(&request), deliveries.count);
    while (ringmq_next_delivery(&deliveries, &delivery))
        encode_uint(request_output(&request), delivery.receipt);
    request_end(&request);
}

int64_t ringmq_send_receive(struct ringmq *conn, const char *queue, const struct ringmq_receive_options *options,
                            ringmq_answer_cb *answer_cb, void *arg)
{
    static const struct ringmq_receive_options defaults;
    struct request request;
    if (queue == NULL)
        return call_argument(conn, "no queue");
    if (options == NULL)
        options = &defaults;
    int status = request_begin(&request, conn, CALL_RECEIVE, "receive", answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    int pairs = (options->max != 0) + (options->wait_ms != 0) + (options->visibility_ms != 0);
    encode_array(out, pairs > 0 ? 2 : 1);
    encode_text(out, queue);
    if (pairs > 0)
        encode_map(out, (uint32_t)pairs);
    if (options->max != 0) {
        encode_text(out, "max");
        encode_uint(out, options->max);
    }
    if (options->wait_ms != 0) {
        encode_text(out, "wait");
        encode_int(out, options->wait_ms);
    }
    if (options->visibility_ms != 0) {
        encode_text(out, "visibility");
        encode_int(out, options->visibility_ms);
    }
    return request_end(&request);
}

/* Keeps the deliveries beyond the next blocking call, an ack for instance. */
static int received_keep(struct ringmq *conn, struct ringmq_answer *answer, struct ringmq_deliveries *deliveries)
{
    struct ringmq_copy *copy = ringmq_copy_new(answer->result);
    if (copy == NULL) {
        deliveries_give_back(conn, answer->result);
        return call_failed(conn, RINGMQ_ERR_NO_MEMORY);
    }
    struct ringmq_deliveries read;
    if (!deliveries_read(ringmq_copy_value(copy), &read)) {
        ringmq_copy_free(copy);
        return call_odd_answer(conn);
    }
    conn->received = copy;
    if (deliveries != NULL)
        *deliveries = read;
    return RINGMQ_OK;
}

int ringmq_receive(struct ringmq *conn, const char *queue, const struct ringmq_receive_options *options,
                   struct ringmq_deliveries *deliveries, int timeout_ms)
{
    struct ringmq_answer answer;
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    ringmq_copy_free(conn->received);
    conn->received = NULL;
    deadline_ms = deadline_later(deadline_ms, options == NULL ? 0 : options->wait_ms);
    status = call_end(conn, ringmq_send_receive(conn, queue, options, NULL, NULL), deadline_ms, &answer);
    return status == RINGMQ_OK ? received_keep(conn, &answer, deliveries) : status;
}
