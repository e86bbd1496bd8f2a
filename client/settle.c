/*
 * settle: ack, nack, extend and park. Four methods of one shape: an array of receipts, what to do with them, and an
 * answer that says how many took effect and which did not.
 */
#include "client/connection.h"

#include "protocol/encoder.h"

/* Begins a call whose first param is the array of receipts; `params` of them in all. */
static int settle_begin(struct request *request, struct ringmq *conn, const char *method, const uint64_t *receipts,
                        uint32_t count, uint32_t params, ringmq_answer_cb *answer_cb, void *arg)
{
    if (receipts == NULL && count > 0)
        return call_argument(conn, "no receipts");
    int status = request_begin(request, conn, CALL_PLAIN, method, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(request);
    encode_array(out, params);
    encode_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        encode_uint(out, receipts[i]);
    return RINGMQ_OK;
}

/* Waits for the answer to a blocking one. */
static int settle_end(struct ringmq *conn, int64_t token, int64_t deadline_ms, struct ringmq_settled *result)
{
    struct ringmq_answer answer;
    struct ringmq_settled settled;
    int status = call_end(conn, token, deadline_ms, &answer);
    if (status != RINGMQ_OK)
        return status;
    if (ringmq_answer_settled(&answer, &settled) != RINGMQ_OK)
        return call_odd_answer(conn);
    if (result != NULL)
        *result = settled;
    return RINGMQ_OK;
}

int ringmq_answer_settled(const struct ringmq_answer *answer, struct ringmq_settled *result)
{
    if (answer->status != RINGMQ_OK)
        return answer->status;
    struct ringmq_value count = answer->result;
    struct ringmq_value exceptions = {NULL, 0};
    if (ringmq_value_type(count) == RINGMQ_ARRAY && ringmq_value_count(count) == 2) {
        exceptions = ringmq_value_item(count, 1);
        count = ringmq_value_item(count, 0);
        if (!exceptions_ok(exceptions, false))
            return RINGMQ_ERR_PROTOCOL;
    }
    uint64_t settled;
    if (!value_uint(count, &settled) || settled > UINT32_MAX)
        return RINGMQ_ERR_PROTOCOL;
    *result = (struct ringmq_settled){(uint32_t)settled, exceptions};
    return RINGMQ_OK;
}

int64_t ringmq_send_ack(struct ringmq *conn, const uint64_t *receipts, uint32_t count, unsigned flags,
                        ringmq_answer_cb *answer_cb, void *arg)
{
    struct request request;
    bool multiple = (flags & RINGMQ_MULTIPLE) != 0;
    int status = settle_begin(&request, conn, "ack", receipts, count, multiple ? 2 : 1, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    if (multiple) {
        encode_map(request_output(&request), 1);
        encode_text(request_output(&request), "multiple");
        encode_bool(request_output(&request), true);
    }
    return request_end(&request);
}

int ringmq_ack(struct ringmq *conn, const uint64_t *receipts, uint32_t count, unsigned flags,
               struct ringmq_settled *result, int timeout_ms)
{
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    return settle_end(conn, ringmq_send_ack(conn, receipts, count, flags, NULL, NULL), deadline_ms, result);
}

int64_t ringmq_send_nack(struct ringmq *conn, const uint64_t *receipts, uint32_t count,
                         const struct ringmq_nack_options *options, ringmq_answer_cb *answer_cb, void *arg)
{
    static const struct ringmq_nack_options defaults;
    struct request request;
    if (options == NULL)
        options = &defaults;
    uint32_t pairs = (uint32_t)options->has_delay + (uint32_t)options->dead + (options->note != NULL);
    int status = settle_begin(&request, conn, "nack", receipts, count, pairs > 0 ? 2 : 1, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    if (pairs > 0)
        encode_map(out, pairs);
    if (options->has_delay) {
        encode_text(out, "delay");
        encode_int(out, options->delay_ms);
    }
    if (options->dead) {
        encode_text(out, "dead");
        encode_bool(out, true);
    }
    if (options->note != NULL) {
        encode_text(out, "note");
        encode_text(out, options->note);
    }
    return request_end(&request);
}

int ringmq_nack(struct ringmq *conn, const uint64_t *receipts, uint32_t count,
                const struct ringmq_nack_options *options, struct ringmq_settled *result, int timeout_ms)
{
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    return settle_end(conn, ringmq_send_nack(conn, receipts, count, options, NULL, NULL), deadline_ms, result);
}

int64_t ringmq_send_extend(struct ringmq *conn, const uint64_t *receipts, uint32_t count, int64_t visibility_ms,
                           ringmq_answer_cb *answer_cb, void *arg)
{
    struct request request;
    int status = settle_begin(&request, conn, "extend", receipts, count, 2, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    encode_int(request_output(&request), visibility_ms);
    return request_end(&request);
}

int ringmq_extend(struct ringmq *conn, const uint64_t *receipts, uint32_t count, int64_t visibility_ms,
                  struct ringmq_settled *result, int timeout_ms)
{
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    int64_t token = ringmq_send_extend(conn, receipts, count, visibility_ms, NULL, NULL);
    return settle_end(conn, token, deadline_ms, result);
}

int64_t ringmq_send_park(struct ringmq *conn, const uint64_t *receipts, uint32_t count, const char *note,
                         ringmq_answer_cb *answer_cb, void *arg)
{
    struct request request;
    int status = settle_begin(&request, conn, "park", receipts, count, note != NULL ? 2 : 1, answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    if (note != NULL) {
        encode_map(request_output(&request), 1);
        encode_text(request_output(&request), "note");
        encode_text(request_output(&request), note);
    }
    return request_end(&request);
}

int ringmq_park(struct ringmq *conn, const uint64_t *receipts, uint32_t count, const char *note,
                struct ringmq_settled *result, int timeout_ms)
{
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    return settle_end(conn, ringmq_send_park(conn, receipts, count, note, NULL, NULL), deadline_ms, result);
}
