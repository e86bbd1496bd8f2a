/*
 * output: what a connection has to write, and what it keeps when it has nothing.
 *
 * A connection with output that its socket does not take stands in net->blocked, or in net->flushing once its
 * session has ended, in the order of the last progress, so the first one's deadline is the earliest. One without
 * output keeps its area in net->warm: whoever is busy finds it there in the next turn; what has not been used for
 * the longest goes first when there are too many. Everybody else has none.
 */
#include "server/net/connection.h"

#include <errno.h>
#include <sys/socket.h>

/* Pieces of one write, and how often it is called again as long as the socket takes everything. */
#define FLUSH_IOVECS 64
#define FLUSH_CALLS  8

/* Output areas kept without output: how many, how large, and how much together. */
#define WARM_AREAS       64
#define WARM_AREA_BYTES  ((size_t)2048 * 1024)
#define WARM_TOTAL_BYTES ((size_t)8 * 1024 * 1024)

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static size_t output_area_bytes(const struct connection *c)
{
    return c->out.cap + c->out.splice_cap * sizeof(struct splice);
}

void connection_count_memory(struct connection *c)
{
    size_t bytes = sizeof *c + output_area_bytes(c) + c->rest_bytes;

    if (c->session != NULL)
        bytes += c->net->door.memory_cb(c->session);
    c->net->memory_bytes += bytes - c->counted_bytes;
    c->counted_bytes = bytes;
}

/* ---- places ------------------------------------------------------------------------------------------------------ */

void connection_leave_place(struct connection *c)
{
    link_remove(&c->place_link);
    if (c->place == PLACE_WARM) {
        c->net->warm_count--;
        c->net->warm_bytes -= c->warm_bytes;
    }
    c->place = PLACE_NONE;
}

static void enter_place(struct connection *c, enum connection_place place, struct link *list)
{
    connection_leave_place(c);
    c->place = (uint8_t)place;
    list_append(list, &c->place_link);
}

static void release_output(struct connection *c)
{
    connection_leave_place(c);
    buffer_close(&c->out);
    buffer_init(&c->out, c->net->door.release_cb);
    connection_count_memory(c);
}

/* Keeps the area of an empty output buffer for the next output, at the cost of those that have waited longest for
   theirs. */
static void keep_warm(struct connection *c)
{
    struct net *net = c->net;

    if (output_area_bytes(c) > WARM_AREA_BYTES) {
        release_output(c);
        return;
    }
    enter_place(c, PLACE_WARM, &net->warm);
    c->warm_bytes = output_area_bytes(c);
    net->warm_bytes += c->warm_bytes;
    net->warm_count++;
    while (net->warm_count > WARM_AREAS || net->warm_bytes > WARM_TOTAL_BYTES) {
        struct connection *oldest = connection_of_place(net->warm.next);
        /* One that is yet to be settled in this turn may have new output in its area. */
        if (link_in_list(&oldest->turn))
            connection_leave_place(oldest);
        else
            release_output(oldest);
    }
}

void connection_find_place(struct connection *c, size_t written)
{
    const bool serving = c->state == CONNECTION_SERVING;
    const enum connection_place waiting = serving ? PLACE_BLOCKED : PLACE_FLUSHING;

    if (buffer_pending(&c->out) > 0) {
        if (c->place == waiting && written == 0)
            return;
        c->since_ms = c->net->now_ms;
        enter_place(c, waiting, serving ? &c->net->blocked : &c->net->flushing);
    } else if (c->state == CONNECTION_LINGERING) {
        if (c->place == PLACE_LINGERING)
            return;
        release_output(c);
        c->since_ms = c->net->now_ms;
        enter_place(c, PLACE_LINGERING, &c->net->lingering);
    } else if (output_area_bytes(c) > 0) {
        keep_warm(c);
    } else {
        connection_leave_place(c);
    }
}

/* ---- output ------------------------------------------------------------------------------------------------------ */

/* One write. Returns its bytes, 0 if the socket is full, -1 on a socket error. */
static ssize_t write_some(struct connection *c)
{
    struct iovec iov[FLUSH_IOVECS];
    size_t offered = 0;
    const int count = buffer_iovec(&c->out, iov, FLUSH_IOVECS);

    for (int i = 0; i < count; i++)
        offered += iov[i].iov_len;
    /* writev(2) that raises no SIGPIPE. */
    const struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    const ssize_t n = sendmsg(c->io.fd, &message, MSG_NOSIGNAL);
    if (n < 0) {
        c->writable = false;
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    c->writable = (size_t)n == offered;
    buffer_consume(&c->out, (size_t)n);
    c->written_bytes += (uint64_t)n;
    c->net->counters.bytes_out += (uint64_t)n;
    return n;
}

ssize_t connection_flush(struct connection *c)
{
    ssize_t total = 0;

    for (int calls = 0; calls < FLUSH_CALLS && c->writable && buffer_pending(&c->out) > 0; calls++) {
        const ssize_t n = write_some(c);
        if (n < 0)
            return -1;
        total += n;
    }
    if (total > 0 && c->session != NULL)
        c->net->door.written_cb(c->session, c->net->now_ms, c->written_bytes);
    return total;
}
