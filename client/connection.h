/*
 * connection: the inside of struct ringmq, and what the parts of the library ask of each other. From the wire
 * upwards:
 *
 *     handle.c        making one out of options, and freeing it
 *     connection.c    life: connecting, hello, loss, pauses, closing
 *     io.c            bytes: reading, writing, one step of the event loop
 *     answers.c       a value that has come -> the call or consumer it is for
 *     requests.c      a call -> bytes in the output and a slot in `calls`
 *     wait.c          the blocking calls' loop
 *     publish.c transaction.c unconfirmed.c receive.c consumers.c settle.c admin.c topics.c      the methods
 *
 * Two rules keep callbacks safe. They are called from answers.c and connection.c only, between callback_enter() and
 * callback_leave(), and at moments when nothing of the connection is held in local variables that a send function
 * could move. And nothing is torn down beneath them: ringmq_close() in a callback sets `close_asked`, which is obeyed
 * once the callback has returned.
 */
#ifndef CLIENT_CONNECTION_H
#define CLIENT_CONNECTION_H

#include "client/calls.h"
#include "client/consumers.h"
#include "client/dial.h"
#include "client/endpoint.h"
#include "client/ringmq.h"
#include "client/tree.h"
#include "protocol/buffer.h"
#include "protocol/decoder.h"

/* What went wrong, in words. */
struct failure {
    int status;
    bool retry;
    char code[48];
    char text[256];
    struct ringmq_value details; /* a view, or RINGMQ_NONE */
};

/* A time that is never over, and can be added to now. */
#define TIME_FOREVER_MS (INT64_MAX / 2)

/* The options that stay, with their defaults filled in. */
struct settings {
    char *client_name;
    int64_t connect_timeout_ms;
    int64_t call_timeout_ms;
    uint64_t max_value_bytes;
    size_t read_bytes;
    bool reconnect;
    int64_t reconnect_min_ms;
    int64_t reconnect_max_ms;
    ringmq_state_cb *state_cb;
    ringmq_socket_cb *socket_cb;
    ringmq_unconfirmed_cb *unconfirmed_cb;
    void *arg;
};

struct ringmq {
    struct settings settings;
    struct endpoint endpoint;
    const char *bad_option; /* why it can't be connected, or NULL */

    enum ringmq_state state;
    bool was_ready; /* a loss is followed by WAITING, if reconnecting is asked for */
    bool in_callback;
    bool close_asked;    /* ringmq_close() was called in a callback */
    struct failure end;  /* why the last connection ended */
    struct failure last; /* of the last call that returned an error */

    int fd;             /* -1: none */
    bool dialling;      /* the socket is not connected yet */
    bool write_blocked; /* the socket took less than was offered */
    int write_error;    /* an errno: it takes no more; what is still to be read may say why */
    struct dial_list addresses;
    size_t next_address;
    int64_t deadline_ms; /* CONNECTING: of this attempt; WAITING: the next attempt */
    int64_t pause_ms;    /* before the next attempt, without its randomness */
    uint64_t random;
    int interrupt_fd; /* -1: none */

    struct buffer output;
    uint64_t written_bytes;     /* on this connection */
    uint64_t max_request_bytes; /* as hello told; UINT64_MAX before */

    uint8_t *input; /* settings.read_bytes; what lies in [input_at, input_end) has not been decoded */
    size_t input_at;
    size_t input_end;
    struct decoder *decoder; /* NULL: not connected */
    struct ringmq_tree tree; /* of the value that the decoder has just read */
    bool value_held;         /* a blocking call's result is a view of that value */
    bool no_memory;          /* something that the connection can't do without could not be had: it ends */

    struct calls calls;
    struct consumers consumers;
    uint32_t waited;                    /* token that a blocking call waits for, or 0 */
    struct ringmq_answer waited_answer; /* valid once `waited` is 0 again */
    struct ringmq_copy *held;           /* an answer that had been kept, fetched by ringmq_wait() */
    struct ringmq_copy *received;       /* deliveries of the last ringmq_receive() */
    struct ringmq_copy *hello;
};

/* Now, on the monotonic clock. */
int64_t clock_ms(void);

/* ---- connection.c ---- */

/*
 * The connection has ended: the socket is closed, calls are completed, and it becomes WAITING or CLOSED. `final`: it
 * is not made anew whatever the options say. The reason is in conn->end already: see failure_set().
 */
void connection_lost(struct ringmq *conn, bool final);

/* The server has answered hello: RINGMQ_READY, or lost if it is no server that can be talked to. */
void connection_greeted(struct ringmq *conn, const struct ringmq_answer *answer);

/*
 * CONNECTING or WAITING: goes on if the time of the attempt or pause is over, or the socket of the attempt is
 * `ready`.
 */
void connection_advance(struct ringmq *conn, bool ready);

/* The connection is CLOSED: returns why, which becomes the last error. */
int connection_over(struct ringmq *conn);

/* Obeys a ringmq_close() that was called in a callback. */
void connection_close_if_asked(struct ringmq *conn);

void callback_enter(struct ringmq *conn);
void callback_leave(struct ringmq *conn);

/* ---- error.c ---- */

/* Fills a failure that has no code. Returns status. */
int failure_set(struct failure *failure, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Fills a failure from an error answer. */
int failure_set_server(struct failure *failure, const struct ringmq_error *error);

/* The present call fails with this status, its standard text or conn->end's. Returns status. */
int call_failed(struct ringmq *conn, int status);

/* The present call fails because of an argument. Returns RINGMQ_ERR_ARGUMENT. */
int call_argument(struct ringmq *conn, const char *text);

/* Reads [code, text] or [code, text, details]. False if it is not that. */
bool error_read(struct ringmq_value value, struct ringmq_error *error);

/* ---- io.c ---- */

/* Handles what is in the input, until it is used up, the answer that is waited for has come, or the connection ends. */
void input_handle(struct ringmq *conn);

/* Writes what the socket takes. */
void output_write(struct ringmq *conn);

/* One step without waiting: see ringmq_process(). */
void connection_step(struct ringmq *conn, bool readable, bool writable);

/* Invalidates the views of the last blocking call. */
void views_release(struct ringmq *conn);

/* Milliseconds until the connection has something to do by itself: 0 or above, or TIME_FOREVER_MS. */
int64_t connection_due_ms(const struct ringmq *conn);

/* ---- answers.c ---- */

/* Handles the value that the decoder has just read. */
void answers_handle(struct ringmq *conn);

/* Completes all calls with RINGMQ_ERR_CLOSED, the oldest first. */
void answers_lost(struct ringmq *conn);

/* Frees the answers that nobody has fetched. */
void answers_drop_kept(struct ringmq *conn);

/* Reads a response [1, msgid, error, result]. False if it is not that. */
bool response_read(struct ringmq_value root, struct ringmq_answer *answer);

/* ---- requests.c ---- */

/* A request that is being written. */
struct request {
    struct ringmq *conn;
    size_t pending_before; /* bytes in the output before it */
    uint32_t token;        /* 0: a notification */
};

/*
 * Begins a request (or, with request_notify(), a notification): what follows in conn->output is its params. Returns
 * RINGMQ_OK, ARGUMENT, CLOSED, NO_MEMORY or LIMIT, and then nothing has happened.
 */
int request_begin(struct request *request, struct ringmq *conn, enum call_kind kind, const char *method,
                  ringmq_answer_cb *answer_cb, void *arg);
int request_notify(struct request *request, struct ringmq *conn, const char *method);

/*
 * Ends it. Returns its token (0 for a notification), or NO_MEMORY, or LIMIT if the server would not take it: then it
 * has been taken out again.
 */
int64_t request_end(struct request *request);

/* Takes a begun request out again. */
void request_abandon(struct request *request);

/* Where a request's params are written. */
static inline struct buffer *request_output(struct request *request)
{
    return &request->conn->output;
}

/* ---- wait.c ---- */

/*
 * A blocking call: call_begin(), a send function without a callback, call_end(). call_begin() checks that waiting is
 * allowed and waits for a connection that is being made anew.
 */
int call_begin(struct ringmq *conn, int timeout_ms, int64_t *deadline_ms);

/* A deadline that is `more_ms` later: the server may take that long. */
int64_t deadline_later(int64_t deadline_ms, int64_t more_ms);

/*
 * Waits for the answer to `token` (a status below 0 is passed on). Returns the status; details are in conn->last. A
 * call that is given up is forgotten.
 */
int call_end(struct ringmq *conn, int64_t token, int64_t deadline_ms, struct ringmq_answer *answer);

/* The answer to a blocking call is not what the method answers. Returns RINGMQ_ERR_PROTOCOL. */
int call_odd_answer(struct ringmq *conn);

/* ---- refusals.c ---- */

/* True if it is an array of refusals or, where these are allowed, duplicates. */
bool exceptions_ok(struct ringmq_value exceptions, bool duplicates);

/* ---- publish.c ---- */

/*
 * Ends a publish, of whatever method, whose params take all of the output from `params_at` pending bytes on. `keep`: a
 * copy is kept until its answer. `method` must live on.
 */
int64_t publish_end(struct request *request, const char *method, size_t params_at, bool keep);

/* Reads [first_id, count] or [first_id, count, exceptions]. False if it is not that. */
bool published_read(struct ringmq_value answer, struct ringmq_published *result);

/* ---- receive.c ---- */

/* Checks an array of deliveries. False if it is not that. */
bool deliveries_read(struct ringmq_value value, struct ringmq_deliveries *deliveries);

/* Gives back what a receive has brought that nobody wants any more. */
void deliveries_give_back(struct ringmq *conn, struct ringmq_value result);

/* ---- unconfirmed.c ---- */

/* Keeps a copy of the params that end the output now. NULL when out of memory. */
struct ringmq_unconfirmed *unconfirmed_new(struct ringmq *conn, const char *method, uint32_t token, void *arg,
                                           size_t params_bytes);

/* The params as they were encoded. */
struct ringmq_bytes unconfirmed_params(const struct ringmq_unconfirmed *publish);

/* Hands a lost publish to the caller, who owns it then. */
void unconfirmed_hand_back(struct ringmq *conn, struct ringmq_unconfirmed *publish);

#endif
