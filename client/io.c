/*
 * io: the bytes of a connection, in steps that never wait.
 *
 * Input is read into one buffer that is decoded in place: values are views into it, so it is read into again only
 * when all of it has been decoded. Decoding stops early when the answer that a blocking call waits for has come; its
 * value then stays in the decoder, and what is behind it in the buffer, until views_release(). connection_due_ms()
 * says 0 while bytes are left behind like that, so that an event loop comes back for them.
 *
 * Output that the socket does not take stays in the buffer. If writing fails, the reason may still lie in what is to
 * be read (the server's last words), so the connection ends only when reading does.
 */
#include "client/connection.h"

#include "protocol/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { IOV_MAX_USED = 16 };

/* An area that has grown beyond this is given back once all of it is written. */
enum { OUTPUT_KEPT_BYTES = 16 << 20 };

/* Below this it is not worth it to move what is left to the front of the area. */
enum { OUTPUT_MOVED_BYTES = 64 << 10 };

void views_release(struct ringmq *conn)
{
    if (conn->value_held) {
        conn->value_held = false;
        decoder_next(conn->decoder);
    }
    ringmq_copy_free(conn->held);
    conn->held = NULL;
    conn->last.details = (struct ringmq_value){NULL, 0};
}

static void input_refused(struct ringmq *conn)
{
    enum decoder_refusal refusal = conn->decoder->refusal;
    int status = refusal == DECODER_NO_MEMORY ? RINGMQ_ERR_NO_MEMORY : RINGMQ_ERR_PROTOCOL;
    bool large = refusal == DECODER_VALUE_TOO_LARGE || refusal == DECODER_TOO_MANY;
    const char *text = large ? "a value larger than max_value_bytes" : decoder_refusal_text(refusal);
    failure_set(&conn->end, status, "%s: %s", conn->endpoint.text, text);
    connection_lost(conn, false);
}

/* One complete value lies in the decoder. */
static void input_value(struct ringmq *conn)
{
    if (conn->decoder->too_many_nodes) {
        failure_set(&conn->end, RINGMQ_ERR_PROTOCOL, "%s: a value of more than %d elements", conn->endpoint.text,
                    LIMIT_NODES);
        connection_lost(conn, false);
        return;
    }
    conn->tree.nodes = conn->decoder->nodes;
    if (!conn->no_memory)
        answers_handle(conn);
    if (conn->decoder != NULL && conn->no_memory) {
        failure_set(&conn->end, RINGMQ_ERR_NO_MEMORY, "%s", ringmq_status_text(RINGMQ_ERR_NO_MEMORY));
        connection_lost(conn, false);
    }
}

void input_handle(struct ringmq *conn)
{
    while (conn->decoder != NULL && !conn->value_held && conn->input_at < conn->input_end) {
        size_t used = 0;
        enum decoder_result result = decoder_feed(conn->decoder, conn->input + conn->input_at,
                                                  conn->input_end - conn->input_at, &used);
        conn->input_at += used;
        if (result == DECODER_NEED_MORE)
            return;
        if (result == DECODER_REFUSED) {
            input_refused(conn);
            return;
        }
        input_value(conn);
        if (conn->decoder != NULL && !conn->value_held)
            decoder_next(conn->decoder);
        connection_close_if_asked(conn);
    }
}

static void input_read(struct ringmq *conn)
{
    ssize_t n = recv(conn->fd, conn->input, conn->settings.read_bytes, 0);
    if (n > 0) {
        conn->input_at = 0;
        conn->input_end = (size_t)n;
        input_handle(conn);
        return;
    }
    int error = n == 0 ? 0 : errno;
    bool nothing_yet = error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
    if (nothing_yet && conn->write_error == 0)
        return;
    if (nothing_yet)
        error = conn->write_error;
    if (error == 0)
        failure_set(&conn->end, RINGMQ_ERR_CLOSED, "%s: the server closed the connection", conn->endpoint.text);
    else
        failure_set(&conn->end, RINGMQ_ERR_IO, "%s: %s", conn->endpoint.text, strerror(error));
    connection_lost(conn, false);
}

/*
 * Gives back the room of what has been written. A connection that always has something left to write would otherwise
 * never come to use its area from the front again. What is moved is less than what was written since, so the cost is
 * bounded.
 */
static void output_tidy(struct ringmq *conn)
{
    struct buffer *out = &conn->output;
    size_t left = buffer_pending(out);
    if (left == 0 && out->cap > OUTPUT_KEPT_BYTES) {
        buffer_close(out);
    } else if (out->sent_bytes >= OUTPUT_MOVED_BYTES && out->sent_bytes >= left) {
        memmove(out->data, out->data + out->sent_bytes, left);
        out->bytes = left;
        out->sent_bytes = 0;
    }
}

void output_write(struct ringmq *conn)
{
    while (conn->fd >= 0 && !conn->dialling && !conn->write_blocked && conn->write_error == 0) {
        struct iovec iov[IOV_MAX_USED];
        struct msghdr message = {.msg_iov = iov};
        message.msg_iovlen = (size_t)buffer_iovec(&conn->output, iov, IOV_MAX_USED);
        if (message.msg_iovlen == 0)
            break;
        ssize_t n = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (n >= 0) {
            buffer_consume(&conn->output, (size_t)n);
            conn->written_bytes += (uint64_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            conn->write_blocked = true;
        } else if (errno != EINTR) {
            conn->write_error = errno;
        }
    }
    output_tidy(conn);
}

void connection_step(struct ringmq *conn, bool readable, bool writable)
{
    if (conn->state == RINGMQ_WAITING || conn->state == RINGMQ_CONNECTING)
        connection_advance(conn, readable || writable);
    if (conn->fd >= 0 && !conn->dialling) {
        if (writable)
            conn->write_blocked = false;
        input_handle(conn);
        bool free_input = conn->fd >= 0 && conn->input_at == conn->input_end && !conn->value_held;
        if (free_input && (readable || conn->write_error != 0))
            input_read(conn);
        output_write(conn);
    }
    connection_close_if_asked(conn);
}

int64_t connection_due_ms(const struct ringmq *conn)
{
    if (conn->input_at < conn->input_end || conn->write_error != 0)
        return 0;
    if (conn->state != RINGMQ_WAITING && conn->state != RINGMQ_CONNECTING)
        return TIME_FOREVER_MS;
    int64_t left = conn->deadline_ms - clock_ms();
    return left < 0 ? 0 : left;
}

int ringmq_fd(const struct ringmq *conn)
{
    return conn->fd;
}

bool ringmq_wants_write(const struct ringmq *conn)
{
    if (conn->fd < 0 || conn->write_error != 0)
        return false;
    return conn->dialling || buffer_pending(&conn->output) > 0;
}

int ringmq_next_timeout_ms(const struct ringmq *conn)
{
    int64_t due = connection_due_ms(conn);
    if (due >= TIME_FOREVER_MS / 2)
        return -1;
    return due > INT32_MAX ? INT32_MAX : (int)due;
}

int ringmq_process(struct ringmq *conn, bool readable, bool writable)
{
    if (conn->in_callback)
        return call_failed(conn, RINGMQ_ERR_BUSY);
    views_release(conn);
    if (conn->state != RINGMQ_CLOSED)
        connection_step(conn, readable, writable);
    if (conn->state != RINGMQ_CLOSED)
        return RINGMQ_OK;
    return connection_over(conn);
}

size_t ringmq_output_bytes(const struct ringmq *conn)
{
    return buffer_pending(&conn->output);
}
