/*
 * browse: messages by their ids: kick, discard, peek.
 */
#include "server/doors/native/deliveries.h"
#include "server/doors/native/headers.h"
#include "server/doors/native/request.h"

#include <stdlib.h>

/* A peek for a group may look at thousands of messages that are not of it: so many requests it counts for. */
#define PEEK_GROUP_WORK 64

void handle_kick(struct request *r)
{
    enum { QUEUE, WHAT };
    struct queue *q = request_queue(r);
    const uint32_t what = r->arguments[WHAT].node;
    uint64_t number;
    uint32_t count;

    if (q == NULL)
        return;
    if (r->decoder->nodes[what].type == NODE_ARRAY) {
        if (request_ids(r, "what", what, &count))
            answer_number(r, broker_kick_ids(r->broker, r->now_ms, q, r->scratch->numbers, count));
    } else if (node_number(r->decoder, what, UINT64_MAX, &number) && number > 0) {
        answer_number(r, broker_kick(r->broker, r->now_ms, q, number));
    } else {
        answer_bad_request(r, "what", "what must be a number from 1 up, or an array of ids");
    }
}

void handle_discard(struct request *r)
{
    enum { QUEUE, IDS };
    struct queue *q = request_queue(r);
    uint32_t count;

    if (q == NULL || !request_ids(r, "ids", r->arguments[IDS].node, &count))
        return;
    answer_number(r, broker_discard(r->broker, q, r->scratch->numbers, count));
}

/* ---- peek -------------------------------------------------------------------------------------------------------- */

static void encode_ms(struct buffer *out, const char *key, int64_t ms)
{
    encode_text(out, key);
    encode_uint(out, ms > 0 ? (uint64_t)ms : 0);
}

/* When a delayed message is ready, or an inflight one's visibility is over. */
static int64_t due_ms(const struct peeked *peeked)
{
    return peeked->state == MESSAGE_DELAYED ? peeked->slot->since_ms : peeked->slot->timer.deadline_ms;
}

static void encode_peeked(struct request *r, const struct peeked *peeked)
{
    const struct message *m = peeked->message;
    const struct slot *slot = peeked->slot;
    struct buffer *out = r->out;
    const bool due = peeked->state == MESSAGE_DELAYED || peeked->state == MESSAGE_INFLIGHT;
    const bool expires = m->expires_ms != 0;
    const bool parked = peeked->state == MESSAGE_PARKED;
    const bool note = parked && slot->note != NULL;

    encode_map(out, 5 + extras_count(m) + due + expires + parked + note);
    encode_text(out, "id");
    encode_uint(out, m->id);
    encode_text(out, "state");
    encode_text(out, message_state_text(peeked->state));
    encode_text(out, "attempts");
    encode_uint(out, m->attempts);
    encode_text(out, "body");
    encode_body(out, m);
    encode_extras(out, m);
    encode_ms(out, "age_ms", r->now_ms - m->published_ms);
    if (due)
        encode_ms(out, "due_ms", due_ms(peeked) - r->now_ms);
    if (expires)
        encode_ms(out, "expires_ms", m->expires_ms - r->now_ms);
    if (parked) {
        encode_text(out, "reason");
        encode_text(out, park_reason_text(slot->reason));
    }
    if (note) {
        encode_text(out, "note");
        encode_str(out, slot->note->text, slot->note->bytes);
    }
}

static void peek(struct request *r, struct queue *q, const struct peek_options *options, struct peeked *found)
{
    uint64_t next;
    const uint32_t count = broker_peek(r->broker, q, options, found, &next);

    r->door->extra_work += options->group.bytes > 0 ? PEEK_GROUP_WORK : 0;

    answer_begin(r);
    encode_map(r->out, 2);
    encode_text(r->out, "messages");
    encode_array(r->out, count);
    for (uint32_t i = 0; i < count; i++)
        encode_peeked(r, &found[i]);
    encode_text(r->out, "next");
    if (next != 0)
        encode_uint(r->out, next);
    else
        encode_nil(r->out);
}

void handle_peek(struct request *r)
{
    enum { QUEUE, STATE, FROM, TO, GROUP, MAX };
    struct queue *q = request_queue(r);
    struct peek_options options = {
        .from_id = request_number(r, FROM, 0),
        .to_id = request_number(r, TO, UINT64_MAX),
        .group = request_has(r, GROUP) ? r->arguments[GROUP].text : (struct view){NULL, 0},
    };

    if (q == NULL || !request_states(r, STATE, &options.states) || !request_max(r, MAX, &options.max))
        return;
    if (request_has(r, GROUP) && (options.group.bytes == 0 || options.group.bytes > LIMIT_GROUP_BYTES)) {
        answer_bad_request(r, "group", "a group must have 1 to 128 bytes");
        return;
    }
    struct peeked *found = malloc(options.max * sizeof *found);
    if (found == NULL) {
        answer_error(r, ERR_MEMORY_LIMIT, NULL);
        return;
    }
    peek(r, q, &options, found);
    free(found);
}
