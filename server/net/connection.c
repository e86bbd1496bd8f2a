/*
 * connection: what happens to one accepted socket.
 *
 *     SERVING ---- EOF, ending, killed ----> FLUSHING ---- all written ----> LINGERING ---- EOF, time over ----> closed
 *        |                                      |                               (passed over after an EOF)
 *        +--- socket error, does not read ------+--------------------------------------------------------------> closed
 *
 * SERVING    requests in, answers out; has a session
 * FLUSHING   the session has ended; the rest of the output goes out, input is thrown away
 * LINGERING  all is written and the socket shut down for writing; input is thrown away until the peer closes
 *
 * Callbacks of the loop read and hand over; all that follows from it is decided in one place, connection_settle(),
 * at the end of the turn: what is written, whether the state changes, what the loop watches, what is counted.
 *
 * Invariants: a connection is in `connections` as long as it lives; in at most one of `touched` and `runnable`; and
 * in at most one of `blocked`, `flushing`, `lingering` and `warm` (output.c). Input is left over only in SERVING,
 * and then the socket is not read.
 */
#include "server/net/connection.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long, without taking output, and for how much input, a peer may take to notice that the connection has ended. */
#define LINGER_MS    5000
#define LINGER_BYTES (UINT64_C(256) * 1024 * 1024)

struct connection *connection_of_turn(struct link *turn)
{
    return LINK_OF(turn, struct connection, turn);
}

struct connection *connection_of_all(struct link *all)
{
    return LINK_OF(all, struct connection, all);
}

void connection_touch(struct connection *c)
{
    if (!link_in_list(&c->turn))
        list_append(&c->net->touched, &c->turn);
}

void connection_kill(struct connection *c)
{
    c->doomed = true;
    connection_touch(c);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

static void end_session(struct connection *c)
{
    c->net->door.close_cb(c->session, c->net->now_ms);
    c->session = NULL;
    c->state = CONNECTION_FLUSHING;
    free(c->rest);
    c->rest = NULL;
    c->rest_bytes = c->rest_used = 0;
}

void connection_close(struct connection *c)
{
    struct net *net = c->net;

    ev_io_stop(net->loop, &c->io);
    if (c->session != NULL)
        end_session(c);
    connection_leave_place(c);
    link_remove(&c->turn);
    link_remove(&c->all);
    buffer_close(&c->out);
    close(c->io.fd);
    net->memory_bytes -= c->counted_bytes;
    net->connection_count--;
    free(c);
}

/* Closes it so that the system too forgets at once what it still had to send. */
static void abort_connection(struct connection *c)
{
    const struct linger now = {.l_onoff = 1};

    setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    connection_close(c);
}

static void io_cb(struct ev_loop *loop, ev_io *watcher, int events);

void connection_open(struct net *net, int fd, const struct address *peer, bool refuse)
{
    char text[ADDRESS_TEXT_BYTES];
    struct connection *c = calloc(1, sizeof *c);

    if (c == NULL) {
        close(fd);
        return;
    }
    c->net = net;
    buffer_init(&c->out, net->door.release_cb);
    address_print(peer, text);
    c->session = net->door.open_cb(net->door.user, c, &c->out, text, net->now_ms);
    if (c->session == NULL) {
        close(fd);
        free(c);
        return;
    }
    c->writable = true;
    ev_io_init(&c->io, io_cb, fd, 0);
    c->io.data = c;
    list_append(&net->connections, &c->all);
    net->connection_count++;
    if (refuse)
        net->door.refuse_cb(c->session);
    connection_touch(c);
}

/* ---- input ------------------------------------------------------------------------------------------------------- */

static size_t handle_input(struct connection *c, const uint8_t *input, size_t bytes)
{
    uint32_t budget = NET_TURN_REQUESTS;
    const size_t used = c->net->door.input_cb(c->session, c->net->now_ms, input, bytes, &budget);

    assert(used <= bytes);
    return used;
}

/* Keeps what was not handled. False when out of memory. */
static bool keep_rest(struct connection *c, const uint8_t *rest, size_t bytes)
{
    assert(c->rest == NULL);
    c->rest = malloc(bytes);
    if (c->rest == NULL)
        return false;
    memcpy(c->rest, rest, bytes);
    c->rest_bytes = bytes;
    c->rest_used = 0;
    return true;
}

void connection_resume(struct connection *c)
{
    connection_touch(c);
    if (c->doomed || c->rest == NULL)
        return;
    c->rest_used += handle_input(c, c->rest + c->rest_used, c->rest_bytes - c->rest_used);
    if (c->rest_used == c->rest_bytes) {
        free(c->rest);
        c->rest = NULL;
        c->rest_bytes = c->rest_used = 0;
    }
}

/* Reads into the shared buffer. Returns 0 if there is nothing to be done with it; the connection may have gone. */
static size_t read_socket(struct connection *c)
{
    const ssize_t n = read(c->io.fd, c->net->input, NET_READ_BYTES);

    if (n > 0) {
        c->net->counters.bytes_in += (uint64_t)n;
        return (size_t)n;
    }
    if (n == 0) {
        c->eof = true;
        connection_touch(c);
        if (c->session != NULL)
            end_session(c);
    } else if (errno != EAGAIN && errno != EINTR) {
        connection_close(c);
    }
    return 0;
}

static void serve(struct connection *c)
{
    const size_t bytes = read_socket(c);

    if (bytes == 0)
        return;
    connection_touch(c);
    const size_t used = handle_input(c, c->net->input, bytes);
    if (used < bytes && !c->net->door.ending_cb(c->session) && !keep_rest(c, c->net->input + used, bytes - used))
        connection_close(c);
}

static void discard(struct connection *c)
{
    const size_t bytes = read_socket(c);

    if (bytes == 0)
        return;
    c->discarded_bytes += bytes;
    if (c->discarded_bytes > LINGER_BYTES)
        abort_connection(c);
}

static void io_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct connection *c = watcher->data;

    (void)loop;
    if (events & EV_WRITE) {
        c->writable = true;
        connection_touch(c);
    }
    if (!(events & EV_READ) || c->doomed)
        return;
    if (c->state == CONNECTION_SERVING)
        serve(c);
    else
        discard(c);
}

/* ---- the end of the turn ----------------------------------------------------------------------------------------- */

/* Goes on to the state that follows from what has happened. False if the connection has gone. */
static bool advance(struct connection *c)
{
    if (c->state == CONNECTION_SERVING && (c->doomed || c->net->door.ending_cb(c->session)))
        end_session(c);
    c->doomed = false;
    if (c->state == CONNECTION_FLUSHING && buffer_pending(&c->out) == 0) {
        if (c->eof || shutdown(c->io.fd, SHUT_WR) != 0) {
            connection_close(c);
            return false;
        }
        c->state = CONNECTION_LINGERING;
    }
    if (c->state == CONNECTION_LINGERING && c->eof) {
        connection_close(c);
        return false;
    }
    return true;
}

/* Watches for what the connection can use now. */
static void watch(struct connection *c)
{
    const bool serving = c->state == CONNECTION_SERVING;
    int events = 0;

    if (!c->eof && (!serving || (c->rest == NULL && !c->full)))
        events |= EV_READ;
    if (buffer_pending(&c->out) > 0)
        events |= EV_WRITE;
    if ((c->io.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(c->net->loop, &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events != 0)
        ev_io_start(c->net->loop, &c->io);
}

/* Output that the door has for the connection and keeps back. */
static size_t waiting_bytes(const struct connection *c)
{
    const struct net_door *door = &c->net->door;

    return door->waiting_cb != NULL && c->session != NULL ? door->waiting_cb(c->session) : 0;
}

void connection_settle(struct connection *c)
{
    /* A buffer that has failed holds half an answer. */
    const ssize_t written = c->out.failed ? -1 : connection_flush(c);

    if (written < 0) {
        connection_close(c);
        return;
    }
    if (!advance(c))
        return;
    const size_t pending = buffer_pending(&c->out) + waiting_bytes(c);
    if (pending > c->net->limits.max_output_bytes)
        c->full = true;
    else if (pending <= c->net->limits.max_output_bytes / 2)
        c->full = false;
    connection_find_place(c, (size_t)written);
    watch(c);
    if (c->rest != NULL && !c->full)
        list_append(&c->net->runnable, &c->turn);
    connection_count_memory(c);
}

/* ---- deadlines --------------------------------------------------------------------------------------------------- */

static void end_slow(struct connection *c)
{
    struct address peer = {.bytes = sizeof peer.storage};
    char text[ADDRESS_TEXT_BYTES];

    if (getpeername(c->io.fd, (struct sockaddr *)&peer.storage, &peer.bytes) != 0)
        peer.storage.ss_family = AF_UNSPEC;
    address_print(&peer, text);
    log_write_limited(&c->net->slow_lines, LOG_LEVEL_WARN, "net",
                      "client disconnected, it has not read for %" PRId64 " ms address=%s unread_bytes=%zu",
                      c->net->now_ms - c->since_ms, text, buffer_pending(&c->out));
    c->net->counters.slow++;
    abort_connection(c);
}

/* The first connection of a list if it has been there for longer than so many ms, or NULL. */
static struct connection *first_expired(const struct net *net, const struct link *list, int64_t after_ms)
{
    if (list_empty(list))
        return NULL;
    struct connection *c = connection_of_place(list->next);
    return c->since_ms + after_ms < net->now_ms ? c : NULL;
}

void connections_expire(struct net *net)
{
    struct connection *c;

    while ((c = first_expired(net, &net->blocked, net->limits.slow_client_ms)) != NULL)
        end_slow(c);
    while ((c = first_expired(net, &net->flushing, LINGER_MS)) != NULL)
        abort_connection(c);
    while ((c = first_expired(net, &net->lingering, LINGER_MS)) != NULL)
        abort_connection(c);
}

static int64_t first_expiry(const struct link *list, int64_t after_ms, int64_t next_ms)
{
    if (list_empty(list))
        return next_ms;
    const int64_t expiry_ms = connection_of_place(list->next)->since_ms + after_ms;
    return expiry_ms < next_ms ? expiry_ms : next_ms;
}

int64_t connections_next_ms(const struct net *net)
{
    int64_t next_ms = first_expiry(&net->blocked, net->limits.slow_client_ms, NET_NEVER);

    next_ms = first_expiry(&net->flushing, LINGER_MS, next_ms);
    return first_expiry(&net->lingering, LINGER_MS, next_ms);
}
