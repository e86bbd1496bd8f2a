/*
 * request: one request while it is handled. Every handler answers it exactly once, or leaves the answer to an effect.
 *
 * A notification is handled like a request; its answer goes into a buffer that nobody reads.
 *
 * Internal to the native door.
 */
#ifndef SERVER_DOORS_NATIVE_REQUEST_H
#define SERVER_DOORS_NATIVE_REQUEST_H

#include "protocol/encoder.h"
#include "server/doors/native/session.h"
#include "server/doors/native/twin.h"

struct request {
    struct native *door;
    struct session *session;
    struct broker *broker;
    struct native_scratch *scratch;
    struct decoder *decoder;
    struct buffer *out; /* the session's, or the sink */
    int64_t now_ms;
    uint32_t msgid;
    bool notification;
    bool answered;                    /* or left to an effect */
    bool failed;                      /* answered with an error */
    bool fleeting;                    /* what the log has not heard of during it, it never needs to */
    const struct argument *arguments; /* by their place in the row's `args` */
    const uint8_t *input;             /* what the decoder was given when it came to its end */
    struct twin twin;                 /* the request before, if it was a publish that may come again */
};

/* For those of a session that one decoder brings at one time: what they have in common. */
static inline struct request request_of(struct session *session, struct decoder *d, int64_t now_ms)
{
    struct native *door = session->door;

    return (struct request){.door = door,
                            .session = session,
                            .broker = door->broker,
                            .scratch = door->scratch,
                            .decoder = d,
                            .now_ms = now_ms};
}

/*
 * Handles the value that the decoder holds, which ended in `input`: a request, a notification, a response, or the end of the
 * session. Whatever of *r request_of() does not set is set anew.
 */
void request_handle(struct request *r, const uint8_t *input);

/* Handles a request that repeats the one before, without a decoder; *used: its bytes. False: there is none at `input`. */
bool request_repeat(struct request *r, const uint8_t *input, size_t bytes, size_t *used);

/* The twin of the publish before, r->twin; its bodies lie in scratch->bodies. */
void publish_twin(struct request *r);

/* handle_<id>() for each row of the command list. */
#define X(id, method, group, args, flags, help) void handle_##id(struct request *r);
COMMAND_LIST(X)
#undef X

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* The head of a good answer; exactly one value must follow in r->out. */
void answer_begin(struct request *r);

/*
 * The same with room for `bytes` behind it: stores the head and returns where its one value is to be stored, at most that
 * long; encoder_commit() with the end then counts both. NULL if memory ran out, which r->out knows.
 */
uint8_t *answer_reserve(struct request *r, size_t bytes);

void answer_true(struct request *r);
void answer_number(struct request *r, uint64_t number);

/* An effect will answer. */
static inline void answer_later(struct request *r)
{
    r->answered = true;
}

/* An error. `which` is the key of a BAD_REQUEST or the limit of a LIMIT, or NULL. */
void answer_error(struct request *r, enum error_code code, const char *which);

/* BAD_REQUEST with a text of its own. */
void answer_bad_request(struct request *r, const char *key, const char *text);

/* An error whose details have `extra` more pairs: the caller puts them into r->out in between. */
void answer_error_begin(struct request *r, enum error_code code, const char *which, uint32_t extra);
void answer_error_end(struct request *r);

/* The head of an error answer; the caller puts encode_error() or the like behind it, then calls answer_error_end(). */
void answer_failure_begin(struct request *r);

/*
 * [code, text], or [code, text, details] if there are any. text NULL: the code's own, with `which` behind it. The
 * caller puts `extra` more pairs of details behind it.
 */
void encode_error(struct buffer *out, enum error_code code, const char *text, const char *which, uint32_t extra);

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static inline bool request_has(const struct request *r, unsigned argument)
{
    return r->arguments[argument].given;
}

/* The number of an argument, or what applies if it was not given. */
static inline uint64_t request_number(const struct request *r, unsigned argument, uint64_t otherwise)
{
    return r->arguments[argument].given ? r->arguments[argument].number : otherwise;
}

/* The same for a time that the broker takes as -1 if it was not given. */
static inline int64_t request_ms(const struct request *r, unsigned argument)
{
    return r->arguments[argument].given ? (int64_t)r->arguments[argument].number : -1;
}

/* True if the argument is this word. */
bool request_says(const struct request *r, unsigned argument, const char *word);

/* What an effect that answers the request later is known by: its msgid, or NO_ANSWER of a notification. */
#define NO_ANSWER UINT64_MAX

static inline uint64_t request_token(const struct request *r)
{
    return r->notification ? NO_ANSWER : r->msgid;
}

/* The queue that argument 0 names; NULL: QUEUE_NOT_FOUND has been answered. */
struct queue *request_queue(struct request *r);

/* True if `count` elements make a batch; otherwise BAD_REQUEST or LIMIT has been answered. */
bool request_batch(struct request *r, const char *key, uint64_t count);

/* Room for `count` in scratch->numbers; false: MEMORY_LIMIT has been answered. */
bool request_numbers(struct request *r, uint32_t count);

/* Reads the array of ids at `node` into scratch->numbers. False: the error has been answered. */
bool request_ids(struct request *r, const char *key, uint32_t node, uint32_t *count);

/* A `max` option: 1 to max_batch, default 100. False: the error has been answered. */
bool request_max(struct request *r, unsigned argument, uint32_t *max);

/* What a list by name is asked for with {prefix, cursor, max}. */
struct page {
    struct view prefix;
    struct view from; /* the first name that may be shown */
    uint32_t max;
};

/* Reads arguments 0 to 2. False: the error has been answered. */
bool request_page(struct request *r, struct page *page);

/* True if the name has the prefix. */
bool page_has(const struct page *page, const char *name, size_t bytes);

/* The mask of states that a `state` option asks for, all if it is not given. False: BAD_REQUEST has been answered. */
bool request_states(struct request *r, unsigned argument, unsigned *states);

/* good, full or failed. */
const char *log_state_text(enum wal_state state);

/* delayed, ready, inflight or parked. */
const char *message_state_text(enum message_state state);

#endif
