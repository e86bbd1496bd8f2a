/*
 * session: one connection, from its first byte to its last.
 *
 * The happy path: input goes through a decoder, borrowed for the call unless it holds part of a request; each request
 * is handled and its answer stands in the out buffer before the next one is looked at. Deliveries follow at the end
 * of the turn. What has been written is told, and settles what it settles.
 *
 * The end: bytes that make no sense, or whoever runs the door, end a session with one last notification; from then on
 * it takes nothing in and is given nothing. session_close() hands back what was never written, and the broker sees to
 * the rest.
 *
 * Invariant: a delivery that has been put into the out buffer is in `owed` until it has been written or the session
 * is closed, so that it is settled, charged or given back exactly once.
 */
#include "server/doors/native/session.h"

#include "protocol/encoder.h"
#include "server/doors/native/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What an unfinished request may always hold; and how far beyond the memory limit all of them together may go. */
#define HOARD_BYTES ((size_t)256 * 1024)
#define HOARD_SHARE 8

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void link_last(struct native *door, struct session *session)
{
    session->previous = door->sessions_tail;
    if (door->sessions_tail != NULL)
        door->sessions_tail->next = session;
    else
        door->sessions = session;
    door->sessions_tail = session;
}

static void unlink_session(struct native *door, struct session *session)
{
    if (session->previous != NULL)
        session->previous->next = session->next;
    else
        door->sessions = session->next;
    if (session->next != NULL)
        session->next->previous = session->previous;
    else
        door->sessions_tail = session->previous;
}

struct session *session_open(struct native *door, struct buffer *out, const char *address, void *user, int64_t now_ms)
{
    const size_t address_bytes = strlen(address) + 1;
    struct session *session = calloc(1, sizeof *session + address_bytes);

    assert(out->release_cb == native_release);
    if (session == NULL)
        return NULL;
    session->door = door;
    session->out = out;
    session->user = user;
    session->id = door->next_session_id++;
    session->opened_ms = now_ms;
    memcpy(session->address, address, address_bytes);
    broker_peer_open(&session->peer, session, (int64_t)door->options->max_output);
    link_last(door, session);
    return session;
}

void session_close(struct session *session, int64_t now_ms)
{
    struct native *door = session->door;
    uint64_t receipt;
    bool auto_ack;

    while (owed_take(&session->owed, &door->scratch->owed, OWED_NEVER, &receipt, &auto_ack))
        broker_unwritten(door->broker, now_ms, receipt);
    broker_peer_close(door->broker, now_ms, &session->peer);
    unlink_session(door, session);
    decoder_free(session->decoder);
    free(session->client_name);
    free(session->client_version);
    session->out = NULL;
    session_forget(session);
}

void session_forget(struct session *session)
{
    if (session->out == NULL && session->waiting_count == 0)
        free(session);
}

void *session_user(const struct session *session)
{
    return session->user;
}

uint64_t session_id(const struct session *session)
{
    return session->id;
}

bool session_ending(const struct session *session)
{
    return session->ending || session->out->failed;
}

size_t session_waiting_bytes(const struct session *session)
{
    return session->waiting_bytes;
}

size_t session_memory(const struct session *session)
{
    size_t bytes = sizeof *session + strlen(session->address) + 1 +
                   session->owed.block_count * sizeof(struct owed_block);

    if (session->decoder != NULL)
        bytes += decoder_memory(session->decoder);
    if (session->client_name != NULL)
        bytes += strlen(session->client_name) + 1;
    if (session->client_version != NULL)
        bytes += strlen(session->client_version) + 1;
    return bytes;
}

struct queue *session_queue(struct session *session, struct view name)
{
    const struct broker *b = session->door->broker;
    const struct view last = session_last_name(session);

    if (last.bytes > 0 && last.bytes == name.bytes && memcmp(last.data, name.data, name.bytes) == 0)
        return session->queue;
    session->queue = broker_queue_find(b, name.data, name.bytes);
    session->names_version = b->names_version;
    return session->queue;
}

/* ---- input ------------------------------------------------------------------------------------------------------- */

/* The session's answers and deliveries fill its out buffer: what more may the broker hand to it? */
static void update_room(struct session *session)
{
    const int64_t room = (int64_t)session->door->options->max_output -
                         (int64_t)(buffer_pending(session->out) + session->waiting_bytes);

    broker_peer_room(session->door->broker, &session->peer, session_ending(session) ? 0 : room);
}

/* All that the buffer holds, sent or not, is a bound of what is pending that costs no call. */
static bool output_full(const struct session *session)
{
    const uint64_t max = session->door->options->max_output;
    const size_t waiting = session->waiting_bytes;

    return session->out->bytes + session->out->spliced_bytes + waiting > max &&
           buffer_pending(session->out) + waiting > max;
}

static void refuse(struct session *session, enum error_code code, const char *text, const char *which)
{
    if (session->ending)
        return;
    encode_array(session->out, 3);
    encode_uint(session->out, 2);
    encode_text(session->out, "error");
    encode_error(session->out, code, text, which, 0);
    session->ending = true;
    update_room(session);
}

void session_refuse(struct session *session, enum error_code code, const char *text)
{
    refuse(session, code, text, NULL);
}

void session_refuse_limit(struct session *session, const char *which)
{
    refuse(session, ERR_LIMIT, NULL, which);
}

void session_break(struct session *session, const char *text)
{
    session->door->counters.protocol_errors++;
    refuse(session, ERR_BAD_REQUEST, text, NULL);
}

/* The stream can't be read on. */
static void refuse_stream(struct session *session, const struct decoder *d)
{
    if (d->refusal == DECODER_NO_MEMORY) {
        refuse(session, ERR_MEMORY_LIMIT, NULL, NULL);
    } else if (d->refusal == DECODER_VALUE_TOO_LARGE || d->refusal == DECODER_TOO_MANY) {
        session->door->counters.protocol_errors++;
        refuse(session, ERR_LIMIT, decoder_refusal_text(d->refusal), "max_request_bytes");
    } else {
        session_break(session, decoder_refusal_text(d->refusal));
    }
}

/* A request costs one, and more if its handler has looked at much. */
static void charge(struct native *door, uint32_t *budget)
{
    const uint32_t cost = 1 + door->extra_work;

    door->extra_work = 0;
    *budget -= cost < *budget ? cost : *budget;
}

/*
 * True if an unfinished request may not grow on. At the limit a publish is read to its end and refused; only when
 * requests that do not end have taken an eighth more than all there is are those cut that hold much. What settles
 * deliveries is far smaller.
 */
static bool hoards(const struct session *session, const struct decoder *d)
{
    const struct broker *b = session->door->broker;
    const uint64_t most = b->limits.max_memory_bytes + b->limits.max_memory_bytes / HOARD_SHARE;

    return broker_memory(b) > most && decoder_memory(d) > HOARD_BYTES;
}

/* Reads one request more, and handles it. */
static inline enum decoder_result next_request(struct request *r, const uint8_t *input, size_t bytes, size_t *used)
{
    if (__builtin_expect(r->twin.count > 0 && request_repeat(r, input, bytes, used), 1))
        return DECODER_READY;
    const enum decoder_result result = decoder_feed(r->decoder, input, bytes, used);
    if (result == DECODER_READY) {
        request_handle(r, input);
        decoder_next(r->decoder);
    }
    return result;
}

size_t session_input(struct session *session, int64_t now_ms, const void *input, size_t bytes, uint32_t *budget)
{
    const uint8_t *from = input;
    size_t taken = 0;

    if (bytes == 0 || *budget == 0 || session_ending(session) || output_full(session))
        return 0;
    struct decoder *d = native_lend_decoder(session->door, session);
    if (d == NULL) {
        session_refuse(session, ERR_MEMORY_LIMIT, NULL);
        return 0;
    }
    struct request r = request_of(session, d, now_ms);
    while (*budget > 0 && taken < bytes && !session_ending(session) && !output_full(session)) {
        size_t used;
        const enum decoder_result result = next_request(&r, from + taken, bytes - taken, &used);

        taken += used;
        if (result == DECODER_READY) {
            if (session->door->log != NULL)
                session->door->log->event_cb(session->door->log->user);
            charge(session->door, budget);
        } else if (result == DECODER_REFUSED) {
            refuse_stream(session, d);
        } else if (hoards(session, d)) {
            session_refuse(session, ERR_MEMORY_LIMIT, "the server's memory limit is reached, and the request is large");
        }
    }
    native_return_decoder(session->door, session, d);
    update_room(session);
    return taken;
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

void session_written(struct session *session, int64_t now_ms, uint64_t total_bytes)
{
    struct native *door = session->door;
    struct owed *owed = &session->owed;
    uint64_t receipt;
    bool auto_ack;

    session->written_bytes = total_bytes;
    if (owed->auto_count == 0 && owed->end_bytes <= total_bytes) {
        owed_clear(owed, &door->scratch->owed);
    } else {
        while (owed_take(owed, &door->scratch->owed, total_bytes, &receipt, &auto_ack)) {
            if (auto_ack)
                broker_written(door->broker, now_ms, receipt);
        }
    }
    update_room(session);
}
