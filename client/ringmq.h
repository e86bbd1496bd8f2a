/*
 * ringmq.h: the C client of the ringmq message queue server.
 *
 * Three ways to use it, which may be mixed on one connection:
 *
 *   blocking    ringmq_publish(), ringmq_receive(), ringmq_ack() ...: send, wait for the answer, return it.
 *   pipelined   ringmq_send_publish(), ringmq_send_ack() ...: append to the output and return a token at once. The
 *               answer comes to a callback, or is fetched with ringmq_wait(token). Any number may be in flight.
 *   event loop  ringmq_fd(), ringmq_wants_write(), ringmq_next_timeout_ms() and ringmq_process(), which never blocks.
 *
 * A first program
 *     struct ringmq_options options = {.url = "ringmq://127.0.0.1"};
 *     struct ringmq *conn = ringmq_new(&options);
 *     if (conn == NULL || ringmq_connect(conn, 0) != 0 ||
 *         ringmq_publish_one(conn, "orders", "hello", 5, NULL, 0) != 0)
 *         fprintf(stderr, "%s\n", conn == NULL ? "out of memory" : ringmq_error_text(conn));
 *     ringmq_free(conn);
 *
 * Errors are values: 0, or a negative enum ringmq_status; what is behind it is told by ringmq_error_text() and its
 * neighbours. The library has no global state, prints nothing, never exits and raises no SIGPIPE. One connection
 * belongs to one thread at a time; different connections do not know each other.
 *
 * Views. A struct ringmq_value, ringmq_bytes, ringmq_error, ringmq_deliveries or ringmq_delivery points into memory
 * of the library. In a callback it lives until the callback returns. As the result of a blocking call it lives until
 * the next blocking call, ringmq_wait(), ringmq_poll(), ringmq_process(), ringmq_close() or ringmq_free() on that
 * connection; the deliveries of ringmq_receive() live until the next ringmq_receive(). Send functions invalidate
 * nothing. ringmq_copy_new() keeps a value for longer.
 *
 * Callbacks are called by blocking calls, ringmq_wait(), ringmq_poll(), ringmq_flush(), ringmq_process(),
 * ringmq_close() and ringmq_free() only. A callback may use everything that does not wait: send functions,
 * ringmq_notify(), value readers, and ringmq_close(), which then takes effect when the callback returns. Whatever
 * waits or processes answers RINGMQ_ERR_BUSY in a callback; ringmq_free() there is a mistake that stops the program.
 */
#ifndef RINGMQ_H
#define RINGMQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RINGMQ_VERSION      "0.1.0"
#define RINGMQ_DEFAULT_PORT 7464

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- status ---------------------------------------------------------------------------------------------------- */

/* name, value, text */
#define RINGMQ_STATUS_LIST(X)                                            \
    X(ARGUMENT, -1, "an argument is not valid")                          \
    X(NO_MEMORY, -2, "out of memory")                                    \
    X(TIMEOUT, -3, "the time is over")                                   \
    X(INTERRUPTED, -4, "the wait was interrupted")                       \
    X(BUSY, -5, "not allowed inside a callback")                         \
    X(CONNECT, -6, "the connection could not be made")                   \
    X(CLOSED, -7, "the connection is closed")                            \
    X(IO, -8, "reading or writing failed")                               \
    X(PROTOCOL, -9, "the server's bytes are not what the protocol says") \
    X(SERVER, -10, "the server answered with an error")                  \
    X(LIMIT, -11, "larger than the server takes, or too many calls in flight")

enum ringmq_status {
    RINGMQ_OK = 0,
#define X(name, value, text) RINGMQ_ERR_##name = value,
    RINGMQ_STATUS_LIST(X)
#undef X
};

/* One English sentence without a full stop, e.g. "the time is over". Never NULL. */
const char *ringmq_status_text(int status);

/* The version of the library, e.g. "0.1.0". */
const char *ringmq_version(void);

/* ---- values: what the server answers --------------------------------------------------------------------------- */

enum ringmq_type {
    RINGMQ_NONE, /* no value at all, e.g. a key that is not in the map */
    RINGMQ_NIL,
    RINGMQ_BOOL,
    RINGMQ_UINT, /* an integer from 0 up */
    RINGMQ_INT,  /* an integer below 0 */
    RINGMQ_DOUBLE,
    RINGMQ_STR,
    RINGMQ_BIN,
    RINGMQ_ARRAY,
    RINGMQ_MAP,
    RINGMQ_EXT, /* an extension type of MessagePack; a ringmq server sends none */
};

/* Text or bytes; not terminated. */
struct ringmq_bytes {
    const char *data; /* NULL: there are none */
    size_t bytes;
};

/* A view of one value and everything in it. All zero is RINGMQ_NONE. The fields are private. */
struct ringmq_value {
    const struct ringmq_tree *tree;
    uint32_t index;
};

/* The elements of an array, or the pairs of a map. The fields are private. */
struct ringmq_iterator {
    const struct ringmq_tree *tree;
    uint32_t index;
    uint32_t left;
    bool map;
};

enum ringmq_type ringmq_value_type(struct ringmq_value value);

/* Readers with a value to use otherwise: if the type is another, or the number does not fit. */
bool ringmq_value_bool(struct ringmq_value value, bool otherwise);
uint64_t ringmq_value_uint(struct ringmq_value value, uint64_t otherwise);
int64_t ringmq_value_int(struct ringmq_value value, int64_t otherwise);
double ringmq_value_double(struct ringmq_value value, double otherwise); /* takes integers too */

/* The bytes of a str or bin; data is NULL for any other type, and never for an empty str or bin. */
struct ringmq_bytes ringmq_value_bytes(struct ringmq_value value);

/* True if it is a str or bin with exactly this (terminated) text. */
bool ringmq_value_equals(struct ringmq_value value, const char *text);

/* Elements of an array or pairs of a map; 0 for any other type. */
uint32_t ringmq_value_count(struct ringmq_value value);

/* The element at `index` of an array, or RINGMQ_NONE. Walks from the start: to visit all, use an iterator. */
struct ringmq_value ringmq_value_item(struct ringmq_value array, uint32_t index);

/* The value of a key (str or bin) in a map, or RINGMQ_NONE. */
struct ringmq_value ringmq_value_get(struct ringmq_value map, const char *key);

/* An iterator over an array or map; over any other type it is empty. */
struct ringmq_iterator ringmq_iterate(struct ringmq_value container);

/* The next element, or pair with its key (`key` may be NULL; RINGMQ_NONE in arrays). False at the end. */
bool ringmq_next(struct ringmq_iterator *iterator, struct ringmq_value *key, struct ringmq_value *value);

/* A copy of a value, owned by the caller. NULL when out of memory. */
struct ringmq_copy;
struct ringmq_copy *ringmq_copy_new(struct ringmq_value value);
struct ringmq_value ringmq_copy_value(const struct ringmq_copy *copy);
void ringmq_copy_free(struct ringmq_copy *copy); /* NULL is allowed */

/* ---- arguments: what is sent ----------------------------------------------------------------------------------- */

/*
 * Writes the positional arguments of a call, one after the other. A container is a header with its count, and then
 * its elements (of a map: key, value, key, value). Memory that runs out, nesting too deep, more than 4 GiB of text:
 * the writer remembers, and the call it is used in returns the error. A container whose elements are not all there:
 * RINGMQ_ERR_ARGUMENT. The same writer can be used for any number of calls.
 */
struct ringmq_args;
struct ringmq_args *ringmq_args_new(void);       /* NULL when out of memory */
void ringmq_args_free(struct ringmq_args *args); /* NULL is allowed */
void ringmq_args_reset(struct ringmq_args *args);

void ringmq_args_nil(struct ringmq_args *args);
void ringmq_args_bool(struct ringmq_args *args, bool value);
void ringmq_args_uint(struct ringmq_args *args, uint64_t value);
void ringmq_args_int(struct ringmq_args *args, int64_t value);
void ringmq_args_double(struct ringmq_args *args, double value);
void ringmq_args_text(struct ringmq_args *args, const char *text); /* terminated; sent as str */
void ringmq_args_str(struct ringmq_args *args, const void *text, size_t bytes);
void ringmq_args_bin(struct ringmq_args *args, const void *data, size_t bytes);
void ringmq_args_array(struct ringmq_args *args, uint32_t elements);
void ringmq_args_map(struct ringmq_args *args, uint32_t pairs);
void ringmq_args_value(struct ringmq_args *args, struct ringmq_value value); /* with everything in it */

/* Whole values that are MessagePack already, one after the other. What is none: RINGMQ_ERR_ARGUMENT. */
void ringmq_args_packed(struct ringmq_args *args, const void *msgpack, size_t bytes);

/*
 * The value of a queue's attribute `backoff`: what comes back for the nth time waits base_ms * factor^(n-1), at most
 * cap_ms, times a random number from (1 - jitter) to 1.
 */
struct ringmq_backoff {
    int64_t base_ms; /* 1 to 10 years */
    double factor;   /* 1 to 1000; 0: 2 */
    int64_t cap_ms;  /* 0: none */
    double jitter;   /* 0 to 1 */
};
void ringmq_args_backoff(struct ringmq_args *args, const struct ringmq_backoff *backoff); /* NULL: nil, no backoff */

/* ---- the connection -------------------------------------------------------------------------------------------- */

struct ringmq;
struct ringmq_unconfirmed;

enum ringmq_state {
    RINGMQ_CLOSED,     /* not connected, and nothing is being done about it */
    RINGMQ_CONNECTING, /* until the server has answered hello; calls may be sent already */
    RINGMQ_READY,
    RINGMQ_WAITING, /* lost; the next attempt comes after a pause. Sending is RINGMQ_ERR_CLOSED */
};

/* The state has changed. */
typedef void ringmq_state_cb(struct ringmq *conn, enum ringmq_state state, void *arg);

/*
 * For event loops: `fd` is a new descriptor to watch; or -1: the present one (still what ringmq_fd() says) is about
 * to be closed and must not be watched any longer.
 */
typedef void ringmq_socket_cb(struct ringmq *conn, int fd, void *arg);

/*
 * The connection was lost before this publish (to a queue or topic) or commit was answered: whether the server has
 * carried it out is *unknown*. The callee owns it now: see ringmq_resend(). Called in the order of sending; its answer
 * callback gets RINGMQ_ERR_CLOSED right after.
 */
typedef void ringmq_unconfirmed_cb(struct ringmq *conn, struct ringmq_unconfirmed *publish, void *arg);

/* All zero is a valid choice of everything. Texts are copied. */
struct ringmq_options {
    /* ringmq://[user[:password]@]host[:port] or ringmq+unix://[user[:password]@]/path; wins over the next five */
    const char *url;
    /* default 127.0.0.1. A name is looked up, which may block, in ringmq_connect() and ringmq_start() only */
    const char *host;
    uint16_t port;           /* default RINGMQ_DEFAULT_PORT */
    const char *socket_path; /* a Unix socket, instead of host and port */
    const char *user;        /* default: none is sent */
    const char *password;
    const char *client_name;  /* what client.list shows; default "libringmq" */
    int connect_timeout_ms;   /* for one attempt, hello included; default 5000; or RINGMQ_FOREVER */
    int call_timeout_ms;      /* of blocking calls that say 0; default 30000; or RINGMQ_FOREVER */
    uint64_t max_value_bytes; /* a larger answer or notification ends the connection; default 320 MiB */
    size_t read_bytes;        /* input buffer; default 256 KiB */
    bool reconnect;           /* a connection that was READY and is lost is made anew, see ringmq_start() */
    int reconnect_min_ms;     /* first pause, then doubled each time, with some randomness; default 100 */
    int reconnect_max_ms;     /* longest pause; default 10000 */
    ringmq_state_cb *state_cb;
    ringmq_socket_cb *socket_cb;
    ringmq_unconfirmed_cb *unconfirmed_cb; /* set: of each publish and commit sent a copy is kept until its answer */
    void *arg;                             /* for these three callbacks */
};

/* As a timeout: wait without end. A timeout of 0 means the connection's default (the fields above). */
#define RINGMQ_FOREVER (-1)

/* An unconnected connection. NULL when out of memory; what is wrong with the options is told when connecting. */
struct ringmq *ringmq_new(const struct ringmq_options *options);

/* Closes and frees. NULL is allowed. Not inside a callback of this connection. */
void ringmq_free(struct ringmq *conn);

/*
 * Connects, says hello and waits for its answer. A connection that is READY already stays as it is.
 * Errors: ARGUMENT (options), CONNECT, TIMEOUT, INTERRUPTED, IO, PROTOCOL, SERVER (hello refused), NO_MEMORY, BUSY.
 */
int ringmq_connect(struct ringmq *conn, int timeout_ms);

/*
 * Begins to connect and returns at once: RINGMQ_CONNECTING, and ringmq_process() or ringmq_poll() does the rest.
 * Calls may be sent already; they leave after hello. With `reconnect`, a loss after RINGMQ_READY is followed by
 * RINGMQ_WAITING and then RINGMQ_CONNECTING by itself; pending calls complete with RINGMQ_ERR_CLOSED and nothing is
 * sent twice; consumers are subscribed again and keep the numbers they have here. What they held was given back by
 * the server: its receipts are dead.
 */
int ringmq_start(struct ringmq *conn);

/*
 * Ends the connection at once; what is still in the output is not sent (see ringmq_flush()). Pending calls complete
 * with RINGMQ_ERR_CLOSED, consumers are forgotten. The connection can be used again with ringmq_connect() or
 * ringmq_start().
 */
void ringmq_close(struct ringmq *conn);

enum ringmq_state ringmq_state(const struct ringmq *conn);

/* Where the server is: "127.0.0.1:7464", "[::1]:7464" or "/run/ringmq.sock". Never NULL. */
const char *ringmq_endpoint(const struct ringmq *conn);

/* The answer to hello {server, version, limits, ...}; RINGMQ_NONE before. Valid until the connection ends. */
struct ringmq_value ringmq_hello(const struct ringmq *conn);

/*
 * A descriptor (such as a self-pipe written to by a signal handler) that ends every wait with RINGMQ_ERR_INTERRUPTED
 * while it is readable; the library does not read from it. -1: none. A call that is interrupted goes on in the
 * server.
 */
void ringmq_set_interrupt_fd(struct ringmq *conn, int fd);

/* ---- errors ---------------------------------------------------------------------------------------------------- */

/* An error that the server answered. */
struct ringmq_error {
    struct ringmq_bytes code; /* e.g. QUEUE_NOT_FOUND */
    struct ringmq_bytes text;
    bool retry;                  /* the same call may succeed later unchanged */
    struct ringmq_value details; /* a map, or RINGMQ_NONE */
};

/*
 * About the last call on this connection that returned an error, or the end of the connection. Both texts are
 * terminated, never NULL, and live as long as views do.
 */
int ringmq_error_status(const struct ringmq *conn);       /* RINGMQ_OK: there was none */
const char *ringmq_error_text(const struct ringmq *conn); /* "no such queue", "127.0.0.1:7464: Connection refused" */
const char *ringmq_error_code(const struct ringmq *conn); /* the server's code; "" if the error is not the server's */
bool ringmq_error_retry(const struct ringmq *conn);
struct ringmq_value ringmq_error_details(const struct ringmq *conn);

/* ---- answers of pipelined calls -------------------------------------------------------------------------------- */

struct ringmq_answer {
    int64_t token;
    int status;                 /* RINGMQ_OK, _ERR_SERVER, or _ERR_CLOSED: the connection ended before it came */
    struct ringmq_value result; /* with RINGMQ_OK */
    struct ringmq_error error;  /* with RINGMQ_ERR_SERVER */
};

/* The answer to a pipelined call, exactly once for each. */
typedef void ringmq_answer_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg);

/*
 * Waits for the answer of a call that was sent without a callback; each can be fetched once. Returns answer->status,
 * with the views of a blocking call. TIMEOUT and INTERRUPTED: it can still be fetched later. ARGUMENT: no such token.
 */
int ringmq_wait(struct ringmq *conn, int64_t token, int timeout_ms, struct ringmq_answer *answer);

/*
 * The answer of a call that was sent without a callback is not wanted any more. The deliveries of a receive are given
 * back (nack) when it comes. A blocking call that times out does the same with its own answer.
 */
void ringmq_forget(struct ringmq *conn, int64_t token);

/* Calls that are not answered yet. */
size_t ringmq_in_flight(const struct ringmq *conn);

/* Bytes that have not been written to the socket yet. */
size_t ringmq_output_bytes(const struct ringmq *conn);

/* ---- any method ------------------------------------------------------------------------------------------------ */

/*
 * Calls any method of the protocol. `args` may be NULL for none. The result is a view. To be used for everything that
 * has no function of its own, such as server.info or config.get; not for consume and cancel, whose consumers it does
 * not know.
 *
 * Blocking calls return, besides what is said with each: ARGUMENT, NO_MEMORY, TIMEOUT, INTERRUPTED, BUSY, CLOSED (not
 * connected, or lost while waiting: whether it was done is unknown), PROTOCOL, SERVER. After TIMEOUT and INTERRUPTED
 * too, whether it is done is unknown, and the connection can be used on; LIMIT as below. While a lost connection is
 * being made anew they wait for it. Outputs may be NULL and are untouched on failure.
 */
int ringmq_call(struct ringmq *conn, const char *method, const struct ringmq_args *args, int timeout_ms,
                struct ringmq_value *result);

/*
 * The same, pipelined. Returns a token (above 0) or a negative status: ARGUMENT, NO_MEMORY, CLOSED, LIMIT (larger
 * than the server's max_request_bytes, which would end the connection; or 2^24 calls in flight). Nothing is written
 * to the socket here; the next wait, flush or process does it. So do all send functions. `answer_cb` NULL: the answer
 * is kept for ringmq_wait().
 */
int64_t ringmq_send(struct ringmq *conn, const char *method, const struct ringmq_args *args,
                    ringmq_answer_cb *answer_cb, void *arg);

/* The same without an answer, not even an error: returns RINGMQ_OK, ARGUMENT, NO_MEMORY or CLOSED. */
int ringmq_notify(struct ringmq *conn, const char *method, const struct ringmq_args *args);

/* pong. */
int ringmq_ping(struct ringmq *conn, int timeout_ms);

/* ---- publish --------------------------------------------------------------------------------------------------- */

struct ringmq_header {
    const char *name;
    enum ringmq_type type; /* NIL, BOOL, UINT, INT, DOUBLE, STR or BIN; RINGMQ_NONE: STR from `text` */
    union {
        const char *text; /* terminated */
        bool boolean;
        uint64_t uint;
        int64_t sint;
        double real;
        struct ringmq_bytes bytes; /* STR and BIN */
    } value;
};

/* Only body and body_bytes are needed; all else may be zero. */
struct ringmq_message {
    const void *body;
    size_t body_bytes;
    const struct ringmq_header *headers;
    uint32_t header_count;
    bool has_delay;       /* else the queue's */
    bool has_ttl;         /* else the queue's */
    uint8_t priority;     /* 0 to 9, 9 is delivered first; a message of a fifo queue has none */
    const char *group;    /* terminated, 1 to 128 bytes; a fifo queue keeps the order within each, and needs one */
    const char *dedup_id; /* terminated, 1 to 128 bytes; within the queue's dedup_window only the first is stored */
    int64_t delay_ms;     /* 0 to 10 years */
    int64_t ttl_ms;       /* 0: no end */
};

/* What became of a batch. */
struct ringmq_published {
    uint64_t first_id;              /* the stored ones have consecutive ids from here, in order; 0 if there are none */
    uint32_t count;                 /* stored ones */
    struct ringmq_value exceptions; /* for ringmq_iterate_refusals() and ringmq_iterate_duplicates() */
};

struct ringmq_publish_options {
    bool atomic;     /* all or none: the first refusal is the call's error; to a topic it is always so */
    bool mandatory;  /* to a topic: an error, UNROUTABLE, if not one copy results */
    int64_t wait_ms; /* how long the server may hold messages for which there is no room, instead of refusing them */
};

/*
 * Publishes a batch. RINGMQ_OK also if some, or all, of the messages were refused or duplicates: look at
 * result->count. `options` may be NULL. The timeout counts from the end of wait_ms.
 */
int ringmq_publish(struct ringmq *conn, const char *queue, const struct ringmq_message *messages, uint32_t count,
                   const struct ringmq_publish_options *options, struct ringmq_published *result, int timeout_ms);

/* Publishes one message; a refusal of it is RINGMQ_ERR_SERVER too. */
int ringmq_publish_one(struct ringmq *conn, const char *queue, const void *body, size_t body_bytes, uint64_t *id,
                       int timeout_ms);

/* Pipelined: messages are encoded straight into the output and not needed afterwards; no memory is taken for each. */
int64_t ringmq_send_publish(struct ringmq *conn, const char *queue, const struct ringmq_message *messages,
                            uint32_t count, const struct ringmq_publish_options *options, ringmq_answer_cb *answer_cb,
                            void *arg);

/* Reads the answer to a publish. Returns answer->status, or PROTOCOL. */
int ringmq_answer_published(const struct ringmq_answer *answer, struct ringmq_published *result);

/* One message or receipt that was refused while the rest of its batch was carried out. */
struct ringmq_refusal {
    uint32_t index; /* in the batch, from 0 */
    struct ringmq_error error;
};

/* The refusals in `exceptions`: ringmq_iterate_refusals(), and then ringmq_next_refusal() until it is false. */
struct ringmq_iterator ringmq_iterate_refusals(struct ringmq_value exceptions);
bool ringmq_next_refusal(struct ringmq_iterator *iterator, struct ringmq_refusal *refusal);

/* One message that was not stored because its like had been before. */
struct ringmq_duplicate {
    uint32_t index; /* in the batch, from 0 */
    uint64_t id;    /* of the first one, which may be gone by now */
};

/* The duplicates in the `exceptions` of a publish, in the same way. */
struct ringmq_iterator ringmq_iterate_duplicates(struct ringmq_value exceptions);
bool ringmq_next_duplicate(struct ringmq_iterator *iterator, struct ringmq_duplicate *duplicate);

/* The id of the message at `index` of the batch, of a duplicate that of the first one; 0 if it was refused. */
uint64_t ringmq_published_id(const struct ringmq_published *result, uint32_t index);

/*
 * Publishes to a topic: every queue with a subscription whose pattern fits the key ("orders.new"; "" has no words) and
 * whose filter fits the headers gets a copy; all or none. *copies: how many, duplicates included. As ringmq_publish()
 * otherwise; a refusal is the call's error, its details name the message.
 */
int ringmq_topic_publish(struct ringmq *conn, const char *topic, const char *key, const struct ringmq_message *messages,
                         uint32_t count, const struct ringmq_publish_options *options, uint64_t *copies,
                         int timeout_ms);
int64_t ringmq_send_topic_publish(struct ringmq *conn, const char *topic, const char *key,
                                  const struct ringmq_message *messages, uint32_t count,
                                  const struct ringmq_publish_options *options, ringmq_answer_cb *answer_cb, void *arg);

/* Reads the answer to a publish to a topic. Returns answer->status, or PROTOCOL. */
int ringmq_answer_copies(const struct ringmq_answer *answer, uint64_t *copies);

/* ---- commit: publishes and acks, all or nothing ---------------------------------------------------------------- */

/*
 * Collects what a commit is to do. Nothing that is named in a call is needed after it. Memory that runs out and
 * messages that can't be sent are remembered, and ringmq_commit() returns the error. The same transaction can be
 * committed any number of times, and used for another after ringmq_transaction_reset(). It belongs to no connection.
 */
struct ringmq_transaction;
struct ringmq_transaction *ringmq_transaction_new(void);              /* NULL when out of memory */
void ringmq_transaction_free(struct ringmq_transaction *transaction); /* NULL is allowed */
void ringmq_transaction_reset(struct ringmq_transaction *transaction);

/* Messages for a queue, or with a key for a topic. Up to max_batch messages (see hello) in all, 1000 parts. */
void ringmq_transaction_publish(struct ringmq_transaction *transaction, const char *queue,
                                const struct ringmq_message *messages, uint32_t count);
void ringmq_transaction_topic(struct ringmq_transaction *transaction, const char *topic, const char *key,
                              const struct ringmq_message *messages, uint32_t count);

/* Receipts to ack; those of all calls together, up to max_batch. */
void ringmq_transaction_ack(struct ringmq_transaction *transaction, const uint64_t *receipts, uint32_t count);

/* What a commit has done. All but `acked` is private. */
struct ringmq_committed {
    uint64_t acked;
    struct ringmq_value publishes;
    struct ringmq_value topics;
};

/*
 * Does all of it in one step, or, on any error, nothing. A duplicate is no error; a receipt that is stale, or named
 * twice, is. When the connection is lost before the answer, whether it was done is unknown; if something is acked in
 * it, sending it again tells, and does no harm: RECEIPT_STALE, it was done (or the message has gone to somebody else).
 */
int ringmq_commit(struct ringmq *conn, const struct ringmq_transaction *transaction, struct ringmq_committed *result,
                  int timeout_ms);
int64_t ringmq_send_commit(struct ringmq *conn, const struct ringmq_transaction *transaction,
                           ringmq_answer_cb *answer_cb, void *arg);

/* Reads the answer to a commit. Returns answer->status, or PROTOCOL. */
int ringmq_answer_committed(const struct ringmq_answer *answer, struct ringmq_committed *result);

/* What became of the nth ringmq_transaction_publish(), n from 0. False: there is none. */
bool ringmq_committed_publish(const struct ringmq_committed *committed, uint32_t part, struct ringmq_published *result);

/* The copies that the nth ringmq_transaction_topic() made, n from 0. */
uint64_t ringmq_committed_copies(const struct ringmq_committed *committed, uint32_t part);

enum ringmq_part { RINGMQ_PART_PUBLISH, RINGMQ_PART_TOPIC, RINGMQ_PART_ACK };

/* What a commit failed on. */
struct ringmq_culprit {
    enum ringmq_part part;
    uint32_t index;   /* which call for that kind of part, from 0; ACK: which receipt of all of them */
    bool has_message; /* else the part as a whole, such as one whose queue does not exist */
    uint32_t message; /* of the part, from 0 */
    uint64_t receipt; /* ACK: the receipt */
};

/* Reads it from the details of a commit's error. False: it was the commit as a whole, MEMORY_LIMIT for instance. */
bool ringmq_error_culprit(struct ringmq_value details, struct ringmq_culprit *culprit);

/* -- a publish that was lost with its connection -- */

/* The token that the send function returned, and the arg of its answer callback. */
int64_t ringmq_unconfirmed_token(const struct ringmq_unconfirmed *publish);
void *ringmq_unconfirmed_arg(const struct ringmq_unconfirmed *publish);

/* False: it never left whole, so it is certain that nothing was stored. */
bool ringmq_unconfirmed_sent(const struct ringmq_unconfirmed *publish);

/* "publish", "topic.publish" or "commit", and its params as on the wire (see the protocol). */
const char *ringmq_unconfirmed_method(const struct ringmq_unconfirmed *publish);
struct ringmq_value ringmq_unconfirmed_params(const struct ringmq_unconfirmed *publish);

/* Of a publish to a queue: its name (str), and the messages, an array of body, or [body, {headers, group, ...}]. */
struct ringmq_value ringmq_unconfirmed_queue(const struct ringmq_unconfirmed *publish);
struct ringmq_value ringmq_unconfirmed_messages(const struct ringmq_unconfirmed *publish);

/*
 * Sends it once more, as it was. Unless _sent() is false it may store messages twice, if they have no dedup_id and it is
 * no commit that acks something. It stays the caller's.
 */
int64_t ringmq_resend(struct ringmq *conn, const struct ringmq_unconfirmed *publish, ringmq_answer_cb *answer_cb,
                      void *arg);

void ringmq_unconfirmed_free(struct ringmq_unconfirmed *publish); /* NULL is allowed */

/* ---- receive and consume --------------------------------------------------------------------------------------- */

struct ringmq_delivery {
    uint64_t receipt; /* for ack, nack, extend and park, from any connection */
    uint64_t id;
    uint64_t attempts; /* this one included */
    const void *body;
    size_t body_bytes;
    struct ringmq_value headers;  /* a map, or RINGMQ_NONE */
    struct ringmq_bytes group;    /* data NULL: none */
    struct ringmq_bytes dedup_id; /* data NULL: none was named */
    uint8_t priority;
};

/* Some deliveries, each handed out once. All but `count` is private. */
struct ringmq_deliveries {
    uint32_t count; /* in all */
    struct ringmq_iterator iterator;
};

/* The next delivery; false at the end. */
bool ringmq_next_delivery(struct ringmq_deliveries *deliveries, struct ringmq_delivery *delivery);

struct ringmq_receive_options {
    uint32_t max;          /* 0: 1 */
    int64_t wait_ms;       /* how long the server waits for the first message */
    int64_t visibility_ms; /* 0: the queue's */
};

/* Takes messages; none: OK with count 0. `options` may be NULL. The timeout counts from the end of wait_ms. */
int ringmq_receive(struct ringmq *conn, const char *queue, const struct ringmq_receive_options *options,
                   struct ringmq_deliveries *deliveries, int timeout_ms);

int64_t ringmq_send_receive(struct ringmq *conn, const char *queue, const struct ringmq_receive_options *options,
                            ringmq_answer_cb *answer_cb, void *arg);

/* Reads the answer to a receive. Returns answer->status, or PROTOCOL. */
int ringmq_answer_deliveries(const struct ringmq_answer *answer, struct ringmq_deliveries *deliveries);

/*
 * Messages for a consumer, as many as came in one notification: up to its prefetch, which may be more than one ack
 * takes (max_batch in the limits of hello). RINGMQ_MULTIPLE with the receipt of the last one acks them all.
 */
typedef void ringmq_deliver_cb(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg);

/*
 * The consumer is gone without having been cancelled here. Reason (terminated): queue_deleted; draining, unless
 * `reconnect` is set: then it waits for the next connection; or, after a reconnect, the code of the error that its
 * new subscription was answered with, such as QUEUE_NOT_FOUND. A connection that is CLOSED has no consumers, and
 * tells none.
 */
typedef void ringmq_cancelled_cb(struct ringmq *conn, uint64_t consumer, const char *reason, void *arg);

struct ringmq_consume_options {
    uint32_t prefetch;       /* at most so many unacked; 0: the server's default */
    bool auto_ack;           /* a message is gone once it is written to the socket */
    bool exclusive;          /* QUEUE_IN_USE if the queue has another consumer or waiter, and for any that comes */
    bool single_active;      /* one of those that ask for this is served; the others stand by and take over */
    uint8_t priority;        /* 0 to 9: 9 is served first */
    uint32_t group_prefetch; /* of a fifo queue: at most so many unacked of one group; 0: the queue's */
    int64_t visibility_ms;   /* 0: the queue's */
    ringmq_deliver_cb *deliver_cb; /* must be set */
    ringmq_cancelled_cb *cancelled_cb;
    void *arg; /* for both */
};

/*
 * Subscribes. Deliveries then come to deliver_cb whenever the connection processes input: in ringmq_poll() or
 * ringmq_process(), and while other calls wait. *consumer is this library's number for it and survives reconnects.
 * On any error, TIMEOUT included, there is no consumer.
 */
int ringmq_consume(struct ringmq *conn, const char *queue, const struct ringmq_consume_options *options,
                   uint64_t *consumer, int timeout_ms);

/* *consumer is set at once. If the answer is not RINGMQ_OK, the consumer is gone with it. */
int64_t ringmq_send_consume(struct ringmq *conn, const char *queue, const struct ringmq_consume_options *options,
                            uint64_t *consumer, ringmq_answer_cb *answer_cb, void *arg);

/*
 * Ends a consumer: from the answer on it gets nothing, and what it holds goes back. ARGUMENT: no such consumer.
 * CLOSED: it was not subscribed at that moment; it is forgotten all the same, and will not be subscribed again.
 */
int ringmq_cancel(struct ringmq *conn, uint64_t consumer, int timeout_ms);
int64_t ringmq_send_cancel(struct ringmq *conn, uint64_t consumer, ringmq_answer_cb *answer_cb, void *arg);

/*
 * Changes a consumer's prefetch, also for later reconnects; 0 pauses it. ARGUMENT: no such consumer. CLOSED: it was
 * not subscribed at that moment; the new prefetch is used once it is.
 */
int ringmq_credit(struct ringmq *conn, uint64_t consumer, uint32_t prefetch, int timeout_ms);
int64_t ringmq_send_credit(struct ringmq *conn, uint64_t consumer, uint32_t prefetch, ringmq_answer_cb *answer_cb,
                           void *arg);

/* ---- settle deliveries ----------------------------------------------------------------------------------------- */

struct ringmq_settled {
    uint32_t count;                 /* receipts that took effect */
    struct ringmq_value exceptions; /* for ringmq_iterate_refusals() */
};

/* Also everything that was delivered before it to the same consumer, or in the same receive. */
enum ringmq_ack_flag { RINGMQ_MULTIPLE = 1 };

struct ringmq_nack_options {
    bool has_delay; /* else the queue's backoff, or at once */
    bool dead;      /* not again: it goes to the queue's dead_letter, or is parked */
    int64_t delay_ms;
    const char *note; /* terminated; why, kept with the message; NULL: none */
};

/* Done: the messages are gone. OK also if some, or all, were refused: see result->count. The next three do the same. */
int ringmq_ack(struct ringmq *conn, const uint64_t *receipts, uint32_t count, unsigned flags,
               struct ringmq_settled *result, int timeout_ms);
int64_t ringmq_send_ack(struct ringmq *conn, const uint64_t *receipts, uint32_t count, unsigned flags,
                        ringmq_answer_cb *answer_cb, void *arg);

/* Not done: given back. `options` may be NULL. */
int ringmq_nack(struct ringmq *conn, const uint64_t *receipts, uint32_t count,
                const struct ringmq_nack_options *options, struct ringmq_settled *result, int timeout_ms);
int64_t ringmq_send_nack(struct ringmq *conn, const uint64_t *receipts, uint32_t count,
                         const struct ringmq_nack_options *options, ringmq_answer_cb *answer_cb, void *arg);

/* More time: visibility_ms from now; 0 gives them back. */
int ringmq_extend(struct ringmq *conn, const uint64_t *receipts, uint32_t count, int64_t visibility_ms,
                  struct ringmq_settled *result, int timeout_ms);
int64_t ringmq_send_extend(struct ringmq *conn, const uint64_t *receipts, uint32_t count, int64_t visibility_ms,
                           ringmq_answer_cb *answer_cb, void *arg);

/* Set aside until kicked. `note` may be NULL. */
int ringmq_park(struct ringmq *conn, const uint64_t *receipts, uint32_t count, const char *note,
                struct ringmq_settled *result, int timeout_ms);
int64_t ringmq_send_park(struct ringmq *conn, const uint64_t *receipts, uint32_t count, const char *note,
                         ringmq_answer_cb *answer_cb, void *arg);

/* Reads the answer to ack, nack, extend or park. Returns answer->status, or PROTOCOL. */
int ringmq_answer_settled(const struct ringmq_answer *answer, struct ringmq_settled *result);

/* ---- messages and queues, administration ----------------------------------------------------------------------- */

/* Makes parked messages ready again: up to `max`, lowest ids first; or those named. *kicked: how many. */
int ringmq_kick(struct ringmq *conn, const char *queue, uint32_t max, uint64_t *kicked, int timeout_ms);
int ringmq_kick_ids(struct ringmq *conn, const char *queue, const uint64_t *ids, uint32_t count, uint64_t *kicked,
                    int timeout_ms);

/* Removes ready, delayed or parked messages by id. *removed: how many. */
int ringmq_discard(struct ringmq *conn, const char *queue, const uint64_t *ids, uint32_t count, uint64_t *removed,
                   int timeout_ms);

struct ringmq_peek_options {
    const char *state; /* ready, delayed, inflight, parked; NULL: any */
    uint64_t from;     /* first id; 0: the lowest */
    uint64_t to;       /* last id; 0: the highest */
    const char *group; /* NULL: any */
    uint32_t max;      /* 0: 100 */
};

/* Looks without changing anything: {messages: [{id, state, attempts, body, ...}, ...], next: id or nil}. */
int ringmq_peek(struct ringmq *conn, const char *queue, const struct ringmq_peek_options *options,
                struct ringmq_value *result, int timeout_ms);

struct ringmq_move_options {
    const char *to; /* NULL: each back to the queue that it came from as a dead letter; others stay */
    uint32_t rate;  /* messages a second; 0: no limit */
    uint64_t max;   /* messages in all; 0: no limit */
};

/*
 * Begins to move the ready and parked messages of a queue that are there now, in the order of their ids, to queues of
 * the same type. *move: the number of the move, which goes on by itself. `options` may be NULL.
 */
int ringmq_move(struct ringmq *conn, const char *source, const struct ringmq_move_options *options, uint64_t *move,
                int timeout_ms);

/* {tasks: [{id, source, to, moved, state}, ...]}: those that run, and those that ended in the last 10 minutes. */
int ringmq_move_list(struct ringmq *conn, struct ringmq_value *result, int timeout_ms);

/* Ends a move; what it has moved stays. */
int ringmq_move_cancel(struct ringmq *conn, uint64_t move, int timeout_ms);

/*
 * `attributes`: a writer that holds one map, e.g. {visibility: 60000}, or NULL. Their values are integers (times in ms),
 * text (type, overflow, dedup_scope), bool, the name of a queue or nil (dead_letter), and ringmq_args_backoff(). *created
 * is false if it was there; one that was there with another value is an error, QUEUE_EXISTS.
 */
int ringmq_queue_create(struct ringmq *conn, const char *queue, const struct ringmq_args *attributes, bool *created,
                        int timeout_ms);
int ringmq_queue_update(struct ringmq *conn, const char *queue, const struct ringmq_args *attributes, int timeout_ms);

enum ringmq_delete_flag { RINGMQ_IF_EMPTY = 1, RINGMQ_IF_UNUSED = 2 };

/* Deletes a queue and the messages in it. *removed: how many. */
int ringmq_queue_delete(struct ringmq *conn, const char *queue, unsigned flags, uint64_t *removed, int timeout_ms);

/* Removes the messages in one state, or all of them if `state` is NULL. */
int ringmq_queue_purge(struct ringmq *conn, const char *queue, const char *state, uint64_t *removed, int timeout_ms);

/* A map of counts, rates and attributes. */
int ringmq_queue_info(struct ringmq *conn, const char *queue, struct ringmq_value *result, int timeout_ms);

struct ringmq_list_options {
    const char *prefix; /* NULL: all */
    const char *cursor; /* the `next` of the page before; NULL: from the start */
    uint32_t max;       /* 0: 100 */
};

/* One page: {queues: [{name, type, total, ...}, ...], next}. `options` may be NULL. */
int ringmq_queue_list(struct ringmq *conn, const struct ringmq_list_options *options, struct ringmq_value *result,
                      int timeout_ms);

int ringmq_queue_pause(struct ringmq *conn, const char *queue, int timeout_ms);
int ringmq_queue_resume(struct ringmq *conn, const char *queue, int timeout_ms);

/* ---- topics, administration ------------------------------------------------------------------------------------ */

/* *created is false if it was there. */
int ringmq_topic_create(struct ringmq *conn, const char *topic, bool *created, int timeout_ms);

/* Deletes a topic and its subscriptions; what has been routed stays in its queues. */
int ringmq_topic_delete(struct ringmq *conn, const char *topic, int timeout_ms);

/* {name, published, routed, subscriptions: [{queue, pattern, filter: map or nil}, ...]}. */
int ringmq_topic_info(struct ringmq *conn, const char *topic, struct ringmq_value *result, int timeout_ms);

/* One page: {topics: [{name, ...}, ...], next}. `options` may be NULL. */
int ringmq_topic_list(struct ringmq *conn, const struct ringmq_list_options *options, struct ringmq_value *result,
                      int timeout_ms);

/*
 * Has a queue get what is published to a topic from now on. `pattern`: words separated by dots, * is any one word and #
 * any number of them; NULL: "#". `filter`: a writer that holds one map from header to condition, or NULL. A queue gets one
 * copy of a message however many of its subscriptions match.
 */
int ringmq_topic_subscribe(struct ringmq *conn, const char *topic, const char *queue, const char *pattern,
                           const struct ringmq_args *filter, int timeout_ms);

/* Ends the subscription with that pattern, or with NULL all of that queue. SERVER with NOT_FOUND: there is none. */
int ringmq_topic_unsubscribe(struct ringmq *conn, const char *topic, const char *queue, const char *pattern,
                             int timeout_ms);

/* ---- doing the work: wait here, or in somebody's event loop ---------------------------------------------------- */

/*
 * Waits at most timeout_ms (0 is 0 here) until there is something to do and does it: writes, reads, calls callbacks.
 * RINGMQ_OK: something was done; TIMEOUT: nothing; INTERRUPTED; BUSY; otherwise why the connection is over for good.
 */
int ringmq_poll(struct ringmq *conn, int timeout_ms);

/* Writes all output, processing input meanwhile. */
int ringmq_flush(struct ringmq *conn, int timeout_ms);

/*
 * The descriptor to watch, always for reading, or -1. It changes when connecting and reconnecting: see socket_cb.
 * Watch it level-triggered; call ringmq_process() with what is possible on it.
 */
int ringmq_fd(const struct ringmq *conn);

/* Whether to watch it for writing too. Changes with every send and process. */
bool ringmq_wants_write(const struct ringmq *conn);

/* In how many ms ringmq_process() is to be called even if the descriptor is silent; 0: at once; -1: never. */
int ringmq_next_timeout_ms(const struct ringmq *conn);

/*
 * Does what can be done without waiting: writes output, reads at most once, calls callbacks. Call it when the
 * descriptor is ready, and when ringmq_next_timeout_ms() is over (with false, false). RINGMQ_OK also if there was
 * nothing to do and while a lost connection is being made anew; BUSY; otherwise why the connection is over for good.
 */
int ringmq_process(struct ringmq *conn, bool readable, bool writable);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
