/*
 * session: one connection as the native door sees it, and what the sessions of a door share. Internal to the door;
 * the calls are in server/doors/native.h.
 */
#ifndef SERVER_DOORS_NATIVE_SESSION_H
#define SERVER_DOORS_NATIVE_SESSION_H

#include "protocol/commands.h"
#include "protocol/decoder.h"
#include "server/doors/native.h"
#include "server/doors/native/arena.h"
#include "server/doors/native/arguments.h"
#include "server/doors/native/owed.h"
#include "server/doors/native/waiting.h"

#define SPARE_DECODERS 4

struct session {
    struct peer peer; /* peer.user is the session */
    struct native *door;
    struct session *previous, *next; /* in door->sessions */
    struct buffer *out;              /* NULL: it has ended, and is there for its answers that wait */
    void *user;
    uint64_t id;
    struct decoder *decoder; /* only while it holds part of a request */
    struct queue *queue;     /* the last one named, if names_version is still the broker's */
    uint64_t names_version;
    uint64_t written_bytes; /* of the out stream, since the session was opened */
    struct owed owed;
    size_t waiting_bytes, waiting_count; /* answers that wait for the log */
    uint64_t request_count;
    int64_t opened_ms;
    char *client_name, *client_version; /* from hello, or NULL */
    bool ending;
    char address[];
};

/* What serves one request at a time, whosever it is. */
struct native_scratch {
    struct signature commands[COMMAND_COUNT];
    struct signature message; /* MESSAGE_OPTIONS */
    struct signature backoff; /* BACKOFF_PARTS */
    struct decoder *spare_decoders[SPARE_DECODERS];
    uint32_t spare_decoder_count;
    struct owed_store owed;
    struct waiting waiting;
    struct buffer sink; /* takes the answers that notifications do not get */
    struct arena arena; /* headers and filters on their way to the broker */
    struct publication *publications;
    enum error_code *refused;
    const char **which;
    struct view *bodies;      /* of messages that are nothing else */
    uint32_t publication_cap; /* of the four arrays above */
    uint64_t *numbers;        /* receipts or ids */
    uint32_t number_cap;
    struct commit_part *parts;
    uint32_t part_cap;
};

/* Length of the out stream up to now, written or not. */
static inline uint64_t session_stream_bytes(const struct session *session)
{
    return session->written_bytes + buffer_pending(session->out);
}

/* Frees a session that has ended, once none of its answers waits any more. */
void session_forget(struct session *session);

/* Bytes that make no sense: BAD_REQUEST with that text ends the session. */
void session_break(struct session *session, const char *text);

/* The queue of that name, or NULL. The last one is remembered. */
struct queue *session_queue(struct session *session, struct view name);

/* The name of that last one, of session->queue; empty if there is none. */
static inline struct view session_last_name(const struct session *session)
{
    const struct queue *q = session->queue;

    if (q == NULL || session->names_version != session->door->broker->names_version)
        return (struct view){NULL, 0};
    return (struct view){q->name, q->name_bytes};
}

/*
 * A decoder for a session that has input: its own if it holds part of a request, else a spare one. NULL when out of
 * memory. Given back it becomes the session's if it holds part of a request, else a spare again.
 */
struct decoder *native_lend_decoder(struct native *door, struct session *session);
void native_return_decoder(struct native *door, struct session *session, struct decoder *d);

/* Room in the arrays of the scratch; false when out of memory. */
bool native_numbers(struct native_scratch *scratch, uint32_t count);
bool native_publications_grow(struct native_scratch *scratch, uint32_t count);
static inline bool native_publications(struct native_scratch *scratch, uint32_t count)
{
    return count <= scratch->publication_cap || native_publications_grow(scratch, count);
}
bool native_parts(struct native_scratch *scratch, uint32_t count);

/* The signature of the options of one message. */
#define MESSAGE_OPTIONS "{headers:map group:text dedup_id:text priority:count delay:ms ttl:ms}"

/* The parts of an attribute that says how what comes back is delayed. */
#define BACKOFF_PARTS "{base:ms factor:any cap:ms jitter:any}"

/* The hooks of the decoders: where the bytes of a large str or bin go, and what becomes of them if unwanted. */
enum error_code body_stream_begin(void *user, const struct decoder *d, uint32_t bytes, struct stream *out);
void body_stream_release(void *user, void *owner);

#endif
