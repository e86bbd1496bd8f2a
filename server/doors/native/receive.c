/*
 * receive: messages out, asked for or subscribed to.
 */
#include "server/doors/native/deliveries.h"
#include "server/doors/native/request.h"

void handle_receive(struct request *r)
{
    enum { QUEUE, MAX, WAIT, VISIBILITY };
    struct broker *b = r->broker;
    struct queue *q = request_queue(r);
    const struct receive_options options = {
        .max = (uint32_t)request_number(r, MAX, 1),
        .wait_ms = (int64_t)request_number(r, WAIT, 0),
        .visibility_ms = request_ms(r, VISIBILITY),
        .token = r->msgid,
    };
    bool served = false;

    if (q == NULL)
        return;
    const enum error_code code = broker_receive(b, r->now_ms, q, &r->session->peer, &options, &served);
    if (code != ERR_NONE) {
        answer_error(r, code, b->which);
    } else if (served) {
        answer_begin(r);
        session_deliver(r->session, 0, b->delivery_count, false);
    } else {
        answer_later(r);
    }
}

void handle_consume(struct request *r)
{
    enum { QUEUE, PREFETCH, ACK, VISIBILITY, EXCLUSIVE, SINGLE_ACTIVE, PRIORITY, GROUP_PREFETCH };
    struct queue *q = request_queue(r);
    const bool auto_ack = request_has(r, ACK) && request_says(r, ACK, "auto");
    const struct consume_options options = {
        .prefetch = (uint32_t)request_number(r, PREFETCH, r->door->options->prefetch),
        .auto_ack = auto_ack,
        .exclusive = request_number(r, EXCLUSIVE, false),
        .single_active = request_number(r, SINGLE_ACTIVE, false),
        .priority = (uint32_t)request_number(r, PRIORITY, 0),
        .group_prefetch = (uint32_t)request_number(r, GROUP_PREFETCH, 0),
        .visibility_ms = request_ms(r, VISIBILITY),
    };
    uint64_t id;

    if (q == NULL)
        return;
    if (request_has(r, ACK) && !auto_ack && !request_says(r, ACK, "manual")) {
        answer_bad_request(r, "ack", "ack must be manual or auto");
        return;
    }
    /* To the broker 0 means that the queue's own applies. */
    if (request_has(r, GROUP_PREFETCH) && options.group_prefetch == 0) {
        answer_bad_request(r, "group_prefetch", "group_prefetch must be at least 1");
        return;
    }
    const enum error_code code = broker_consume(r->broker, q, &r->session->peer, &options, &id);
    if (code != ERR_NONE)
        answer_error(r, code, r->broker->which);
    else
        answer_number(r, id);
}

void handle_credit(struct request *r)
{
    enum { CONSUMER, PREFETCH };
    const enum error_code code = broker_credit(r->broker, &r->session->peer, r->arguments[CONSUMER].number,
                                               (uint32_t)r->arguments[PREFETCH].number);

    if (code != ERR_NONE)
        answer_error(r, code, r->broker->which);
    else
        answer_true(r);
}

void handle_cancel(struct request *r)
{
    enum { CONSUMER };
    const enum error_code code = broker_cancel(r->broker, r->now_ms, &r->session->peer, r->arguments[CONSUMER].number);

    if (code != ERR_NONE)
        answer_error(r, code, NULL);
    else
        answer_true(r);
}
