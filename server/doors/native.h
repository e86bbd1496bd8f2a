/*
 * native: the door that speaks MessagePack-RPC (protocol/PROTOCOL.md). It turns requests into broker calls and
 * effects into bytes. It knows the broker, the protocol and the configuration; of sockets it knows nothing: bytes
 * come in as arguments and go out into a buffer that its caller writes.
 *
 * The happy path
 *     session_input()    bytes -> decoder -> the command's row -> arguments checked -> handler -> answer in the buffer
 *     native_effects()   once per turn, after broker_turn(): deliveries and late answers into the out buffers
 *     native_safe()      with a log: answers that have waited until what they confirm is safe
 *     session_written()  after a write: deliveries whose last byte has left are acked (ack: auto) or stay charged
 *     session_close()    what was never written goes back uncharged, then the peer's consumers and waiters end
 *
 * What can fail: a wrong argument is an error answer. A broken stream gets one last `error` notification and the
 * session turns `ending`: no more input is taken, the caller writes what is pending and closes. A failed out buffer
 * ends it too.
 *
 * Large bodies are not copied into the out buffer but referenced there. So the buffer must have been made with
 * native_release() as its release_cb, and be closed before the broker is.
 */
#ifndef SERVER_DOORS_NATIVE_H
#define SERVER_DOORS_NATIVE_H

#include "protocol/buffer.h"
#include "server/broker/broker.h"
#include "server/log/wal.h"
#include "server/ops/log.h"
#include "server/ops/options.h"
#include "server/ops/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* The door's own counters, shown by server.stats: X(field, help). */
#define NATIVE_COUNTER_LIST(X)                                             \
    X(requests, "requests handled")                                        \
    X(error_answers, "requests answered with an error")                    \
    X(notifications, "requests sent as notifications")                     \
    X(notification_errors, "notifications that failed, without an answer") \
    X(ignored, "unknown notifications, responses and the like, ignored")   \
    X(protocol_errors, "connections ended because their bytes could not be read")

struct native_counters {
#define X(field, help) uint64_t field;
    NATIVE_COUNTER_LIST(X)
#undef X
};

/* What the door asks of the server around it. All are called from within session_input() only. */
struct native_host {
    void *user;
    /* End the connection of a session soon (it may be the caller's own), with this reason in the log. */
    void (*kill_cb)(void *user, struct session *session, const char *reason);
    /* A run-time option has changed (b->limits is to be brought up to date), or draining was set or ended. */
    void (*changed_cb)(void *user);
    /* Numbers that only the server knows: X(field, help) rows in server/ops/status.h. */
    void (*status_cb)(void *user, struct server_status *out);
};

/*
 * The log as the door knows it. Answers to what changes the broker wait until what has been recorded before them is
 * safe; they may thereby come later than those of requests behind them. Nothing else waits.
 */
struct native_log {
    void *user;
    /* Everything recorded so far, as a number that never goes back. */
    uint64_t (*place_cb)(void *user);
    /* After each request. */
    void (*event_cb)(void *user);
    void (*info_cb)(void *user, struct wal_info *out);
    void (*segment_cb)(void *user, uint64_t i, struct wal_segment_info *out);
    void (*compact_cb)(void *user);
};

struct native {
    struct broker *broker;
    struct options *options;
    struct native_host host;
    const struct native_log *log; /* or NULL */
    struct native_counters counters;
    struct session *sessions; /* list, oldest first */
    struct session *sessions_tail;
    uint64_t next_session_id;
    uint64_t streaming_bytes; /* bodies that are arriving: memory that is taken and not yet filled */
    uint32_t extra_work;      /* what the present request costs beyond an ordinary one, in requests */
    struct log_limit set_lines;
    struct native_scratch *scratch; /* spare decoders, arrays for arguments: shared by all sessions */
};

/* `broker`, `options` and `host` must outlive the door; `host` is copied. Returns false when out of memory. */
bool native_init(struct native *door, struct broker *broker, struct options *options, const struct native_host *host);

/* From now on answers wait for that log, which must outlive the door; NULL: they do not. */
void native_keep(struct native *door, const struct native_log *log);

/* Frees everything. All sessions must be closed. */
void native_close(struct native *door);

/* The release_cb of every out buffer. */
void native_release(void *owner);

/*
 * A session whose answers go into `out` (the caller's, living as long as the session). `address` is for client.list,
 * and copied. NULL when out of memory.
 */
struct session *session_open(struct native *door, struct buffer *out, const char *address, void *user, int64_t now_ms);

/* The caller's pointer given to session_open(). */
void *session_user(const struct session *session);
uint64_t session_id(const struct session *session);

/* Ends it: see above. Frees the session; the out buffer is not touched any more. */
void session_close(struct session *session, int64_t now_ms);

/*
 * Handles requests until the input is used up, *budget requests are handled, or the out buffer holds more than
 * max_output. Returns how many bytes were taken: what is left must be offered again (first). session_ending() tells
 * if it is over.
 */
size_t session_input(struct session *session, int64_t now_ms, const void *input, size_t bytes, uint32_t *budget);
bool session_ending(const struct session *session);

/* One last `error` notification, and the session is ending (too many connections, a slow client, shutdown). */
void session_refuse(struct session *session, enum error_code code, const char *text);

/* The same with the code LIMIT, and `which` in the details: "max_connections". */
void session_refuse_limit(struct session *session, const char *which);

/*
 * b->effects become bytes in the sessions' out buffers; the caller then calls broker_effects_done(). `touched_cb` is
 * called for each session that got some, perhaps more than once; it must not call the broker.
 */
void native_effects(struct native *door, int64_t now_ms, void (*touched_cb)(void *user, struct session *session),
                    void *user);

/*
 * What has been recorded up to `safe` is safe: the answers that have waited for it go into the sessions' out buffers. With
 * `failed` none waits any longer: what is not safe becomes LOG_FAILED. touched_cb as above.
 */
void native_safe(struct native *door, uint64_t safe, bool failed,
                 void (*touched_cb)(void *user, struct session *session), void *user);

/* How many answers wait, and the memory of what the sessions share for that. */
uint64_t native_waiting(const struct native *door);
size_t native_memory(const struct native *door);

/*
 * All bytes up to `total_bytes` (counted since session_open) of the out buffer have been written to the socket, and
 * taken off the buffer. To be called after every write, and before anything else is done with the session.
 */
void session_written(struct session *session, int64_t now_ms, uint64_t total_bytes);

/* Of answers that wait: output that is yet to come. */
size_t session_waiting_bytes(const struct session *session);

/* Memory held by the session beyond the broker's pool, its own struct included. */
size_t session_memory(const struct session *session);

#endif
