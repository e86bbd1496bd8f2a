/*
 * queues: their administration.
 */
#include "server/doors/native/attributes.h"

/* ---- create, update ---------------------------------------------------------------------------------------------- */

static void answer_exists(struct request *r, const struct queue *q, const struct attribute_set *set, uint32_t differing)
{
    uint32_t count = 0;

    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
        count += differing >> a & 1;
    answer_error_begin(r, ERR_QUEUE_EXISTS, NULL, 1);
    encode_text(r->out, "differences");
    encode_map(r->out, count);
    for (unsigned i = 0; i < ATTRIBUTE_TOTAL; i++) {
        const enum attribute a = (enum attribute)i;
        if (!(differing >> i & 1))
            continue;
        encode_text(r->out, attribute_row(a)->name);
        encode_array(r->out, 2);
        encode_attribute(r->out, a, &q->attributes);
        encode_attribute(r->out, a, &set->values);
    }
    answer_error_end(r);
}

/*
 * What queues there are and what they are is confirmed in order, also of those that are not durable: another queue may have had the
 * name, and its end may not be safe yet. Once the log has failed nothing else comes back, and who asked for that has been told.
 */
static void confirm_in_order(struct request *r)
{
    r->fleeting = r->fleeting && r->broker->refusing == ERR_LOG_FAILED;
}

void handle_queue_create(struct request *r)
{
    enum { QUEUE, ATTRIBUTES };
    const struct view name = r->arguments[QUEUE].text;
    struct attribute_set set = {.named = 0};
    bool created;
    uint32_t differing;

    attributes_init(&set.values);
    if (request_has(r, ATTRIBUTES) && !attributes_read(r, r->arguments[ATTRIBUTES].node, &set))
        return;
    r->fleeting = !set.values.durable;
    confirm_in_order(r);
    const enum error_code code = broker_queue_create(r->broker, r->now_ms, name.data, name.bytes, &set, &created,
                                                     &differing);
    if (code == ERR_QUEUE_EXISTS) {
        answer_exists(r, session_queue(r->session, name), &set, differing);
    } else if (code != ERR_NONE) {
        answer_error(r, code, r->broker->which);
    } else {
        answer_begin(r);
        encode_map(r->out, 1);
        encode_text(r->out, "created");
        encode_bool(r->out, created);
    }
}

void handle_queue_update(struct request *r)
{
    enum { QUEUE, ATTRIBUTES };
    struct queue *q = request_queue(r);
    struct attribute_set set = {.named = 0};

    if (q == NULL || !attributes_read(r, r->arguments[ATTRIBUTES].node, &set))
        return;
    confirm_in_order(r);
    const enum error_code code = broker_queue_update(r->broker, q, &set);
    if (code != ERR_NONE)
        answer_error(r, code, r->broker->which);
    else
        answer_true(r);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

void handle_queue_delete(struct request *r)
{
    enum { QUEUE, IF_EMPTY, IF_UNUSED };
    struct queue *q = request_queue(r);
    uint64_t count;

    if (q == NULL)
        return;
    confirm_in_order(r);
    const enum error_code code = broker_queue_delete(r->broker, r->now_ms, q, request_number(r, IF_EMPTY, false),
                                                     request_number(r, IF_UNUSED, false), &count);
    if (code != ERR_NONE)
        answer_error(r, code, NULL);
    else
        answer_number(r, count);
}

void handle_queue_purge(struct request *r)
{
    enum { QUEUE, STATE };
    struct queue *q = request_queue(r);
    unsigned states;

    if (q == NULL || !request_states(r, STATE, &states))
        return;
    confirm_in_order(r);
    answer_number(r, broker_queue_purge(r->broker, q, states));
}

static void set_paused(struct request *r, bool paused)
{
    struct queue *q = request_queue(r);

    if (q == NULL)
        return;
    broker_queue_pause(r->broker, q, paused);
    answer_true(r);
}

void handle_queue_pause(struct request *r)
{
    set_paused(r, true);
}

void handle_queue_resume(struct request *r)
{
    set_paused(r, false);
}
