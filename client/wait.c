/*
 * wait: the blocking side. A blocking call is a pipelined one whose answer is waited for, in a loop of poll(2) and
 * the same step that an event loop takes. While it waits, everything else on the connection goes on: callbacks run,
 * output is written, a lost connection is made anew.
 *
 * The answer that is waited for stops the decoding of input right behind it, so that the result is a view and nothing
 * has to be copied. Answers to other calls without a callback are copied and kept.
 */
#include "client/connection.h"

#include <errno.h>
#include <poll.h>

static int64_t deadline_after(int timeout_ms, int64_t otherwise_ms)
{
    if (timeout_ms < 0)
        return TIME_FOREVER_MS;
    return clock_ms() + (timeout_ms == 0 ? otherwise_ms : timeout_ms);
}

int64_t deadline_later(int64_t deadline_ms, int64_t more_ms)
{
    if (more_ms <= 0)
        return deadline_ms;
    return more_ms < TIME_FOREVER_MS - deadline_ms ? deadline_ms + more_ms : TIME_FOREVER_MS;
}

/*
 * Waits until something can be done, at most until the deadline, and does it. Returns RINGMQ_OK, TIMEOUT or
 * INTERRUPTED (nothing was done), or IO.
 */
static int wait_step(struct ringmq *conn, int64_t deadline_ms)
{
    output_write(conn);
    int64_t due = connection_due_ms(conn);
    int64_t left = deadline_ms - clock_ms();
    int64_t wait = due < left ? due : left;
    if (wait < 0)
        wait = 0;

    short events = ringmq_wants_write(conn) ? POLLIN | POLLOUT : POLLIN;
    struct pollfd fds[2] = {{.fd = conn->fd, .events = events}, {.fd = conn->interrupt_fd, .events = POLLIN}};
    int timeout = wait >= TIME_FOREVER_MS / 2 ? -1 : wait > INT32_MAX ? INT32_MAX : (int)wait;
    int n = poll(fds, 2, timeout);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? RINGMQ_OK : RINGMQ_ERR_IO;
    if (fds[1].revents != 0)
        return RINGMQ_ERR_INTERRUPTED;
    if (n == 0 && connection_due_ms(conn) > 0)
        return clock_ms() >= deadline_ms ? RINGMQ_ERR_TIMEOUT : RINGMQ_OK;
    connection_step(conn, (fds[0].revents & ~POLLOUT) != 0, (fds[0].revents & ~POLLIN) != 0);
    return RINGMQ_OK;
}

int call_begin(struct ringmq *conn, int timeout_ms, int64_t *deadline_ms)
{
    if (conn->in_callback)
        return call_failed(conn, RINGMQ_ERR_BUSY);
    views_release(conn);
    *deadline_ms = deadline_after(timeout_ms, conn->settings.call_timeout_ms);
    while (conn->state == RINGMQ_WAITING || (conn->state == RINGMQ_CONNECTING && conn->was_ready)) {
        int status = wait_step(conn, *deadline_ms);
        if (status != RINGMQ_OK)
            return call_failed(conn, status);
    }
    return RINGMQ_OK;
}

/* An answer that came before anybody waited for it. */
static void answer_fetch(struct ringmq *conn, struct call *call, struct ringmq_answer *answer)
{
    conn->held = call->payload.answer;
    *answer = (struct ringmq_answer){.token = call->token, .status = RINGMQ_ERR_CLOSED};
    if (conn->held != NULL)
        response_read(ringmq_copy_value(conn->held), answer);
    calls_remove(&conn->calls, call);
}

/* Returns RINGMQ_OK once *answer is there, or TIMEOUT, INTERRUPTED, IO, ARGUMENT. */
static int answer_wait(struct ringmq *conn, uint64_t token, int64_t deadline_ms, struct ringmq_answer *answer)
{
    struct call *call = calls_find(&conn->calls, token);
    if (call == NULL || call->answer_cb != NULL || call->stage == CALL_FORGOTTEN)
        return call_argument(conn, "no call without a callback has this token");
    if (call->stage == CALL_KEPT) {
        answer_fetch(conn, call, answer);
        return RINGMQ_OK;
    }
    conn->waited = (uint32_t)token;
    while (conn->waited != 0) {
        int status = wait_step(conn, deadline_ms);
        if (status != RINGMQ_OK && conn->waited != 0) {
            conn->waited = 0;
            return call_failed(conn, status);
        }
    }
    *answer = conn->waited_answer;
    return RINGMQ_OK;
}

/* The status of a call that has been answered. */
static int answer_status(struct ringmq *conn, const struct ringmq_answer *answer)
{
    if (answer->status == RINGMQ_ERR_SERVER)
        return failure_set_server(&conn->last, &answer->error);
    return answer->status == RINGMQ_OK ? RINGMQ_OK : call_failed(conn, answer->status);
}

int call_end(struct ringmq *conn, int64_t token, int64_t deadline_ms, struct ringmq_answer *answer)
{
    if (token < 0)
        return (int)token;
    int status = answer_wait(conn, (uint64_t)token, deadline_ms, answer);
    if (status != RINGMQ_OK) {
        ringmq_forget(conn, token);
        return status;
    }
    return answer_status(conn, answer);
}

int call_odd_answer(struct ringmq *conn)
{
    return failure_set(&conn->last, RINGMQ_ERR_PROTOCOL, "%s: an answer that is not what the method answers",
                       conn->endpoint.text);
}

int ringmq_wait(struct ringmq *conn, int64_t token, int timeout_ms, struct ringmq_answer *answer)
{
    struct ringmq_answer unused;
    if (conn->in_callback)
        return call_failed(conn, RINGMQ_ERR_BUSY);
    if (token <= 0)
        return call_argument(conn, "no call without a callback has this token");
    views_release(conn);
    if (answer == NULL)
        answer = &unused;
    int64_t deadline_ms = deadline_after(timeout_ms, conn->settings.call_timeout_ms);
    int status = answer_wait(conn, (uint64_t)token, deadline_ms, answer);
    return status == RINGMQ_OK ? answer_status(conn, answer) : status;
}

int ringmq_call(struct ringmq *conn, const char *method, const struct ringmq_args *args, int timeout_ms,
                struct ringmq_value *result)
{
    struct ringmq_answer answer;
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status == RINGMQ_OK)
        status = call_end(conn, ringmq_send(conn, method, args, NULL, NULL), deadline_ms, &answer);
    if (status == RINGMQ_OK && result != NULL)
        *result = answer.result;
    return status;
}

int ringmq_ping(struct ringmq *conn, int timeout_ms)
{
    return ringmq_call(conn, "ping", NULL, timeout_ms, NULL);
}

int ringmq_connect(struct ringmq *conn, int timeout_ms)
{
    if (conn->in_callback)
        return call_failed(conn, RINGMQ_ERR_BUSY);
    views_release(conn);
    int64_t deadline_ms = deadline_after(timeout_ms, conn->settings.connect_timeout_ms);
    bool begun_here = conn->state == RINGMQ_CLOSED;
    int status = ringmq_start(conn);
    while (status == RINGMQ_OK && conn->state != RINGMQ_READY) {
        status = conn->state == RINGMQ_CLOSED ? connection_over(conn) : wait_step(conn, deadline_ms);
        if (status == RINGMQ_ERR_TIMEOUT && conn->state != RINGMQ_CLOSED)
            failure_set(&conn->last, status, "%s: no answer in time", conn->endpoint.text);
        else if (status == RINGMQ_ERR_INTERRUPTED)
            call_failed(conn, status);
    }
    if (status != RINGMQ_OK && begun_here)
        ringmq_close(conn);
    return status;
}

int ringmq_poll(struct ringmq *conn, int timeout_ms)
{
    if (conn->in_callback)
        return call_failed(conn, RINGMQ_ERR_BUSY);
    views_release(conn);
    if (conn->state == RINGMQ_CLOSED)
        return connection_over(conn);
    int status = wait_step(conn, timeout_ms < 0 ? TIME_FOREVER_MS : clock_ms() + timeout_ms);
    if (status != RINGMQ_OK)
        return call_failed(conn, status);
    return conn->state == RINGMQ_CLOSED ? connection_over(conn) : RINGMQ_OK;
}

int ringmq_flush(struct ringmq *conn, int timeout_ms)
{
    if (conn->in_callback)
        return call_failed(conn, RINGMQ_ERR_BUSY);
    views_release(conn);
    int64_t deadline_ms = deadline_after(timeout_ms, conn->settings.call_timeout_ms);
    output_write(conn);
    while (conn->state != RINGMQ_CLOSED && buffer_pending(&conn->output) > 0) {
        int status = wait_step(conn, deadline_ms);
        if (status != RINGMQ_OK)
            return call_failed(conn, status);
    }
    return conn->state == RINGMQ_CLOSED ? connection_over(conn) : RINGMQ_OK;
}
