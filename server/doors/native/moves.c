/*
 * moves: messages taken from one queue to others, as a task that goes on by itself. What it does is in the broker;
 * here it is begun, looked at and ended.
 */
#include "server/doors/native/request.h"

/* The number of an option that must not be 0; 0 says that it is not given. False: BAD_REQUEST has been answered. */
static bool read_positive(struct request *r, unsigned argument, const char *key, uint64_t *out)
{
    *out = request_number(r, argument, 0);
    if (*out > 0 || !request_has(r, argument))
        return true;
    answer_bad_request(r, key, "rate and max must be at least 1");
    return false;
}

void handle_move(struct request *r)
{
    enum { SOURCE, TO, RATE, MAX };
    struct queue *source = request_queue(r);
    struct queue *to = NULL;
    uint64_t rate, max, id = 0;

    if (source == NULL || !read_positive(r, RATE, "rate", &rate) || !read_positive(r, MAX, "max", &max))
        return;
    if (request_has(r, TO)) {
        to = session_queue(r->session, r->arguments[TO].text);
        if (to == NULL) {
            answer_error(r, ERR_QUEUE_NOT_FOUND, NULL);
            return;
        }
    }
    const enum error_code code = broker_move(r->broker, r->now_ms, source, to, rate, max, &id);
    if (code != ERR_NONE)
        answer_error(r, code, r->broker->which);
    else
        answer_number(r, id);
}

static void encode_name(struct buffer *out, const struct queue_name *name)
{
    if (name->bytes > 0)
        encode_str(out, name->text, name->bytes);
    else
        encode_nil(out);
}

void handle_move_list(struct request *r)
{
    const struct broker *b = r->broker;

    r->door->extra_work += b->move_count / 64;
    answer_begin(r);
    encode_map(r->out, 1);
    encode_text(r->out, "tasks");
    encode_array(r->out, b->move_count);
    for (const struct move *move = b->moves; move != NULL; move = move->next) {
        encode_map(r->out, 5);
        encode_text(r->out, "id");
        encode_uint(r->out, move->id);
        encode_text(r->out, "source");
        encode_name(r->out, &move->source);
        encode_text(r->out, "to");
        encode_name(r->out, &move->to);
        encode_text(r->out, "moved");
        encode_uint(r->out, move->moved);
        encode_text(r->out, "state");
        encode_text(r->out, move_state_text(move->state));
    }
}

void handle_move_cancel(struct request *r)
{
    enum { MOVE };
    struct move *move = broker_move_find(r->broker, r->arguments[MOVE].number);

    if (move == NULL) {
        answer_error(r, ERR_NOT_FOUND, NULL);
        return;
    }
    broker_move_cancel(r->broker, r->now_ms, move);
    answer_true(r);
}
