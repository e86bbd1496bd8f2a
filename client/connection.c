/*
 * connection: the life of a connection.
 *
 *                     ringmq_start                   hello answered
 *          CLOSED ------------------> CONNECTING ---------------------> READY
 *             ^                        |  ^  |                            |
 *             |   lost, or never made  |  |  | lost, to be made anew      | lost, to be made anew
 *             +------------------------+  |  +----------> WAITING <-------+
 *             |                           +----------------- |   pause over
 *             +---- ringmq_close, or lost for good ----------+
 *
 * Connecting: the addresses of the endpoint are tried one after the other; hello is the first request in the output,
 * so that what the caller sends meanwhile follows it. One deadline covers the attempt up to the answer to hello.
 *
 * A loss, whatever its reason, goes through connection_lost(): the reason is in conn->end, the socket and everything
 * that belonged to its stream are dropped, every call completes with RINGMQ_ERR_CLOSED in the order of sending,
 * publishes being handed back before, and nothing is kept that could be sent twice. It is made anew only if it has
 * been READY before and the loss is not final (the server refused hello for good, or the caller closed it).
 */
#include "client/connection.h"

#include "protocol/encoder.h"
#include "protocol/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void callback_enter(struct ringmq *conn)
{
    assert(!conn->in_callback);
    conn->in_callback = true;
}

void callback_leave(struct ringmq *conn)
{
    conn->in_callback = false;
}

static void state_tell(struct ringmq *conn)
{
    if (conn->settings.state_cb == NULL)
        return;
    callback_enter(conn);
    conn->settings.state_cb(conn, conn->state, conn->settings.arg);
    callback_leave(conn);
}

static void socket_tell(struct ringmq *conn, int fd)
{
    if (conn->settings.socket_cb == NULL)
        return;
    callback_enter(conn);
    conn->settings.socket_cb(conn, fd, conn->settings.arg);
    callback_leave(conn);
}

static void socket_close(struct ringmq *conn)
{
    if (conn->fd < 0)
        return;
    socket_tell(conn, -1);
    close(conn->fd);
    conn->fd = -1;
}

/* ---- ending ---- */

/* Drops all that belongs to one stream of bytes. */
static void stream_drop(struct ringmq *conn)
{
    socket_close(conn);
    conn->dialling = false;
    conn->write_blocked = false;
    conn->write_error = 0;
    conn->no_memory = false;
    buffer_reset(&conn->output);
    conn->output.failed = false;
    conn->input_at = conn->input_end = 0;
    views_release(conn);
    decoder_free(conn->decoder);
    conn->decoder = NULL;
    conn->end.details = (struct ringmq_value){NULL, 0};
    ringmq_copy_free(conn->hello);
    conn->hello = NULL;
    conn->max_request_bytes = UINT64_MAX;
}

/* Half of the pause, and a random part of the other half: clients that were lost together do not come back together. */
static int64_t pause_take(struct ringmq *conn)
{
    conn->random ^= conn->random << 13;
    conn->random ^= conn->random >> 7;
    conn->random ^= conn->random << 17;
    int64_t half = conn->pause_ms / 2;
    int64_t pause = conn->pause_ms - half + (int64_t)(conn->random % (uint64_t)(half + 1));
    conn->pause_ms = conn->pause_ms * 2;
    if (conn->pause_ms > conn->settings.reconnect_max_ms)
        conn->pause_ms = conn->settings.reconnect_max_ms;
    return pause;
}

void connection_lost(struct ringmq *conn, bool final)
{
    assert(!conn->in_callback);
    if (conn->state == RINGMQ_CLOSED)
        return;
    bool again = conn->settings.reconnect && conn->was_ready && !final;
    conn->state = again ? RINGMQ_WAITING : RINGMQ_CLOSED;
    stream_drop(conn);
    answers_lost(conn);
    if (again && !conn->close_asked) {
        conn->deadline_ms = clock_ms() + pause_take(conn);
        consumers_lost(conn);
    } else {
        conn->state = RINGMQ_CLOSED;
        conn->was_ready = false;
        conn->close_asked = false;
        consumers_clear(&conn->consumers);
        dial_list_close(&conn->addresses);
    }
    state_tell(conn);
    connection_close_if_asked(conn);
}

void connection_close_if_asked(struct ringmq *conn)
{
    if (!conn->close_asked || conn->in_callback)
        return;
    conn->close_asked = false;
    ringmq_close(conn);
}

void ringmq_close(struct ringmq *conn)
{
    if (conn->in_callback) {
        conn->close_asked = true;
        return;
    }
    if (conn->state == RINGMQ_CLOSED)
        return;
    failure_set(&conn->end, RINGMQ_ERR_CLOSED, "the connection was closed here");
    connection_lost(conn, true);
}

/* ---- connecting ---- */

static enum error_code stream_begin_cb(void *user, const struct decoder *decoder, uint32_t bytes, struct stream *out)
{
    struct ringmq *conn = user;
    (void)decoder;
    out->data = malloc(bytes);
    out->owner = out->data;
    if (out->data != NULL)
        return ERR_NONE;
    conn->no_memory = true;
    return ERR_MEMORY_LIMIT;
}

static void stream_release_cb(void *user, void *owner)
{
    (void)user;
    free(owner);
}

/* The first request of every connection. */
static int hello_send(struct ringmq *conn)
{
    struct request request;
    int status = request_begin(&request, conn, CALL_HELLO, "hello", NULL, NULL);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    bool user = conn->endpoint.user != NULL;
    bool password = conn->endpoint.password != NULL;
    encode_array(out, 1);
    encode_map(out, 2 + (uint32_t)user + (uint32_t)password);
    encode_text(out, "client");
    encode_text(out, conn->settings.client_name);
    encode_text(out, "version");
    encode_text(out, RINGMQ_VERSION);
    if (user) {
        encode_text(out, "user");
        encode_text(out, conn->endpoint.user);
    }
    if (password) {
        encode_text(out, "password");
        encode_text(out, conn->endpoint.password);
    }
    int64_t token = request_end(&request);
    return token < 0 ? (int)token : RINGMQ_OK;
}

/* Tries the addresses that are left, until one is connected or on its way. */
static void dial_next(struct ringmq *conn, int error)
{
    while (conn->next_address < conn->addresses.count && !conn->close_asked) {
        conn->fd = dial_open(&conn->addresses.addresses[conn->next_address++]);
        if (conn->fd >= 0) {
            conn->dialling = true;
            socket_tell(conn, conn->fd);
            return;
        }
        error = errno;
    }
    failure_set(&conn->end, RINGMQ_ERR_CONNECT, "%s: %s", conn->endpoint.text, strerror(error));
    connection_lost(conn, false);
}

/* Begins an attempt. */
static void connection_dial(struct ringmq *conn)
{
    struct decoder_hooks hooks = {stream_begin_cb, stream_release_cb, conn};
    conn->state = RINGMQ_CONNECTING;
    conn->deadline_ms = clock_ms() + conn->settings.connect_timeout_ms;
    conn->written_bytes = 0;
    conn->next_address = 0;
    if (conn->input == NULL)
        conn->input = malloc(conn->settings.read_bytes);
    conn->decoder = decoder_new(conn->settings.max_value_bytes, &hooks);
    if (conn->input == NULL || conn->decoder == NULL || hello_send(conn) != RINGMQ_OK) {
        failure_set(&conn->end, RINGMQ_ERR_NO_MEMORY, "%s", ringmq_status_text(RINGMQ_ERR_NO_MEMORY));
        connection_lost(conn, false);
        return;
    }
    conn->tree = (struct ringmq_tree){.decoder = conn->decoder};
    state_tell(conn);
    dial_next(conn, ECONNREFUSED);
}

void connection_advance(struct ringmq *conn, bool ready)
{
    bool due = clock_ms() >= conn->deadline_ms;
    if (conn->state == RINGMQ_WAITING && due) {
        connection_dial(conn);
        return;
    }
    if (conn->state != RINGMQ_CONNECTING)
        return;
    if (conn->dialling && ready) {
        int error = dial_check(conn->fd);
        if (error == 0) {
            conn->dialling = false;
        } else {
            socket_close(conn);
            conn->dialling = false;
            dial_next(conn, error);
        }
    } else if (due) {
        failure_set(&conn->end, RINGMQ_ERR_TIMEOUT, "%s: no answer within %lld ms", conn->endpoint.text,
                    (long long)conn->settings.connect_timeout_ms);
        connection_lost(conn, false);
    }
}

void connection_greeted(struct ringmq *conn, const struct ringmq_answer *answer)
{
    if (answer->status == RINGMQ_ERR_SERVER) {
        failure_set_server(&conn->end, &answer->error);
        connection_lost(conn, !answer->error.retry);
        return;
    }
    uint64_t protocol = ringmq_value_uint(ringmq_value_get(answer->result, "protocol"), 0);
    if (protocol != PROTOCOL_VERSION) {
        failure_set(&conn->end, RINGMQ_ERR_PROTOCOL, "%s: its answer to hello is not that of protocol %d",
                    conn->endpoint.text, PROTOCOL_VERSION);
        connection_lost(conn, true);
        return;
    }
    conn->hello = ringmq_copy_new(answer->result);
    if (conn->hello == NULL) {
        conn->no_memory = true;
        return;
    }
    struct ringmq_value limits = ringmq_value_get(answer->result, "limits");
    conn->max_request_bytes = ringmq_value_uint(ringmq_value_get(limits, "max_request_bytes"), UINT64_MAX);
    conn->state = RINGMQ_READY;
    conn->was_ready = true;
    conn->pause_ms = conn->settings.reconnect_min_ms;
    if (!consumers_subscribe(conn))
        conn->no_memory = true;
    state_tell(conn);
}

int ringmq_start(struct ringmq *conn)
{
    if (conn->in_callback)
        return call_failed(conn, RINGMQ_ERR_BUSY);
    if (conn->bad_option != NULL)
        return call_argument(conn, conn->bad_option);
    if (conn->state != RINGMQ_CLOSED)
        return RINGMQ_OK;
    const char *reason = "";
    int status = dial_resolve(&conn->endpoint, &conn->addresses, &reason);
    if (status == RINGMQ_ERR_CONNECT)
        return failure_set(&conn->last, status, "%s: %s", conn->endpoint.text, reason);
    if (status != RINGMQ_OK)
        return call_failed(conn, status);
    views_release(conn);
    conn->pause_ms = conn->settings.reconnect_min_ms;
    connection_dial(conn);
    connection_close_if_asked(conn);
    return conn->state == RINGMQ_CLOSED ? connection_over(conn) : RINGMQ_OK;
}

int connection_over(struct ringmq *conn)
{
    if (conn->end.status == RINGMQ_OK)
        return call_failed(conn, RINGMQ_ERR_CLOSED);
    conn->last = conn->end;
    return conn->end.status;
}
