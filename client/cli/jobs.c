/*
 * jobs: `consume QUEUE --exec CMD`: a command for each message, up to --jobs at once.
 *
 * A job is a message on its way: waiting, running (its body is being written to the command's standard input), ended. All
 * that is held is extended at half of its visibility, so that a long command keeps its message. Ctrl-C stops the taking: what
 * waits is given back at once, what runs is waited for. A second Ctrl-C ends the commands; their messages are given back.
 */
#include "client/cli/consume.h"
#include "client/cli/memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXTEND_MIN_MS 10

struct job {
    struct job *next;
    uint64_t receipt;
    char *body;
    size_t bytes, written;
    char **variables; /* NAME=value for the command, ended by NULL */
    size_t variable_count;
    pid_t pid; /* 0: waits */
    int input; /* -1: closed */
};

struct crew {
    struct cli *cli;
    const struct consume_plan *plan;
    struct job *jobs; /* in the order in which they came */
    uint64_t taken, running, failed, stale;
    uint64_t consumer;
    int64_t visibility_ms, extend_at_ms, last_ms;
    bool closing; /* takes nothing more */
    const char *reason;
    char reason_text[64];
};

/* ---- a job ------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void variable_add(struct job *job, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (text == NULL)
        return;
    job->variables = memory_resize(job->variables, (job->variable_count + 2) * sizeof *job->variables);
    job->variables[job->variable_count++] = text;
    job->variables[job->variable_count] = NULL;
}

/* RINGMQ_HEADER_<NAME>: letters in upper case, whatever else as _. */
static void variable_add_header(struct job *job, struct ringmq_value key, struct ringmq_value value)
{
    struct ringmq_bytes name = ringmq_value_bytes(key), text = ringmq_value_bytes(value);
    char upper[128];
    size_t n = 0;

    for (; n < name.bytes && n < sizeof upper - 1; n++)
        upper[n] = isalnum((unsigned char)name.data[n]) ? (char)toupper((unsigned char)name.data[n]) : '_';
    upper[n] = '\0';
    switch (ringmq_value_type(value)) {
    case RINGMQ_STR:
    case RINGMQ_BIN:
        variable_add(job, "RINGMQ_HEADER_%s=%.*s", upper, (int)text.bytes, text.data);
        break;
    case RINGMQ_BOOL:
        variable_add(job, "RINGMQ_HEADER_%s=%s", upper, ringmq_value_bool(value, false) ? "true" : "false");
        break;
    case RINGMQ_UINT:
        variable_add(job, "RINGMQ_HEADER_%s=%" PRIu64, upper, ringmq_value_uint(value, 0));
        break;
    case RINGMQ_INT:
        variable_add(job, "RINGMQ_HEADER_%s=%" PRId64, upper, ringmq_value_int(value, 0));
        break;
    case RINGMQ_DOUBLE:
        variable_add(job, "RINGMQ_HEADER_%s=%.17g", upper, ringmq_value_double(value, 0));
        break;
    default:
        variable_add(job, "RINGMQ_HEADER_%s=", upper);
    }
}

static struct job *job_new(const struct crew *crew, const struct ringmq_delivery *d)
{
    struct job *job = memory_new(sizeof *job);
    struct ringmq_iterator headers = ringmq_iterate(d->headers);
    struct ringmq_value key, value;

    memset(job, 0, sizeof *job);
    job->receipt = d->receipt;
    job->body = text_copy(d->body, d->body_bytes);
    job->bytes = d->body_bytes;
    job->input = -1;
    variable_add(job, "RINGMQ_QUEUE=%s", crew->plan->queue);
    variable_add(job, "RINGMQ_ID=%" PRIu64, d->id);
    variable_add(job, "RINGMQ_ATTEMPTS=%" PRIu64, d->attempts);
    variable_add(job, "RINGMQ_RECEIPT=%" PRIu64, d->receipt);
    variable_add(job, "RINGMQ_GROUP=%.*s", (int)d->group.bytes, d->group.data != NULL ? d->group.data : "");
    variable_add(job, "RINGMQ_PRIORITY=%u", d->priority);
    variable_add(job, "RINGMQ_DEDUP_ID=%.*s", (int)d->dedup_id.bytes, d->dedup_id.data != NULL ? d->dedup_id.data : "");
    while (ringmq_next(&headers, &key, &value))
        variable_add_header(job, key, value);
    return job;
}

static void job_free(struct job *job)
{
    for (size_t i = 0; i < job->variable_count; i++)
        free(job->variables[i]);
    free(job->variables);
    free(job->body);
    if (job->input >= 0)
        close(job->input);
    free(job);
}

static void job_remove(struct crew *crew, struct job *job)
{
    struct job **link = &crew->jobs;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    job_free(job);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static void become_command(const struct crew *crew, const struct job *job, int input)
{
    setpgid(0, 0); /* Ctrl-C is for us */
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    dup2(input, STDIN_FILENO);
    for (size_t i = 0; i < job->variable_count; i++)
        putenv(job->variables[i]);
    execl("/bin/sh", "sh", "-c", crew->plan->command, (char *)NULL);
    _exit(127);
}

static bool job_start(struct crew *crew, struct job *job)
{
    int ends[2];

    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    job->pid = fork();
    if (job->pid == 0)
        become_command(crew, job, ends[0]);
    close(ends[0]);
    if (job->pid < 0) {
        job->pid = 0;
        close(ends[1]);
        return false;
    }
    setpgid(job->pid, job->pid); /* as the child does: whoever of the two is first */
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    job->input = ends[1];
    crew->running++;
    return true;
}

/* Writes what the command takes; at the end, or if it does not read, closes. */
static void job_feed(struct job *job)
{
    while (job->input >= 0) {
        ssize_t n = job->written < job->bytes ? write(job->input, job->body + job->written, job->bytes - job->written)
                                              : 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        job->written += n > 0 ? (size_t)n : 0;
        if (n < 0 || job->written == job->bytes) {
            close(job->input);
            job->input = -1;
        }
    }
}

static int give_back(struct crew *crew, uint64_t receipt, bool failed)
{
    struct ringmq_nack_options options = {
        .has_delay = failed && crew->plan->delay_named,
        .delay_ms = (int64_t)crew->plan->nack_delay_ms,
    };
    int64_t token = ringmq_send_nack(crew->cli->conn, &receipt, 1, &options, NULL, NULL);

    if (token < 0)
        return (int)token;
    ringmq_forget(crew->cli->conn, token);
    return RINGMQ_OK;
}

/* A command has ended: 0 is an ack, anything else a nack. */
static int job_end(struct crew *crew, struct job *job, int wait_status)
{
    bool done = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
    int status = done ? consume_ack(crew->cli, &job->receipt, 1, &crew->stale) : give_back(crew, job->receipt, true);

    crew->failed += !done;
    crew->running--;
    crew->last_ms = now_ms();
    job_remove(crew, job);
    return status;
}

static int reap(struct crew *crew)
{
    int wait_status, status = RINGMQ_OK;

    signals_child_clear();
    for (pid_t pid; status == RINGMQ_OK && (pid = waitpid(-1, &wait_status, WNOHANG)) > 0;) {
        struct job *job = crew->jobs;
        while (job != NULL && job->pid != pid)
            job = job->next;
        if (job != NULL)
            status = job_end(crew, job, wait_status);
    }
    return status;
}

/* Starts what waits while there is room; once closing, gives it back instead. */
static int start_waiting(struct crew *crew)
{
    int status = RINGMQ_OK;

    for (struct job *job = crew->jobs, *next; job != NULL && status == RINGMQ_OK; job = next) {
        next = job->next;
        if (job->pid != 0)
            continue;
        if (crew->closing) {
            status = give_back(crew, job->receipt, false);
            job_remove(crew, job);
        } else if (crew->running < crew->plan->jobs) {
            if (!job_start(crew, job))
                break; /* no process to be had now: tried again with the next event */
            crew->taken++;
            crew->closing = crew->taken == crew->plan->max;
        }
    }
    return status;
}

/* ---- the server's side ------------------------------------------------------------------------------------------- */

static void on_deliver(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg)
{
    struct crew *crew = arg;
    struct ringmq_delivery delivery;
    struct job **tail = &crew->jobs;

    (void)conn;
    (void)consumer;
    crew->last_ms = now_ms();
    while (*tail != NULL)
        tail = &(*tail)->next;
    while (ringmq_next_delivery(deliveries, &delivery)) {
        *tail = job_new(crew, &delivery);
        tail = &(*tail)->next;
    }
}

static void on_cancelled(struct ringmq *conn, uint64_t consumer, const char *reason, void *arg)
{
    struct crew *crew = arg;

    (void)conn;
    (void)consumer;
    snprintf(crew->reason_text, sizeof crew->reason_text, "%s", reason);
    crew->reason = crew->reason_text;
    crew->closing = true;
}

/* At half of the visibility, and not more often than is useful. */
static int64_t extend_every_ms(const struct crew *crew)
{
    return crew->visibility_ms > 2 * EXTEND_MIN_MS ? crew->visibility_ms / 2 : EXTEND_MIN_MS;
}

/* All that is held gets more time. */
static int extend_all(struct crew *crew)
{
    const uint32_t most = (uint32_t)cli_limit(crew->cli, "max_batch", 1000);
    uint64_t *receipts = memory_new(most * sizeof *receipts);
    struct job *job = crew->jobs;
    int64_t token = 0;

    crew->extend_at_ms = now_ms() + extend_every_ms(crew);
    while (job != NULL && token >= 0) {
        uint32_t count = 0;
        for (; job != NULL && count < most; job = job->next)
            receipts[count++] = job->receipt;
        token = ringmq_send_extend(crew->cli->conn, receipts, count, crew->visibility_ms, NULL, NULL);
        if (token > 0)
            ringmq_forget(crew->cli->conn, token);
    }
    free(receipts);
    return token < 0 ? (int)token : RINGMQ_OK;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void kill_all(const struct crew *crew)
{
    for (const struct job *job = crew->jobs; job != NULL; job = job->next)
        if (job->pid > 0)
            kill(-job->pid, SIGTERM);
}

static int wait_ms(const struct crew *crew)
{
    const int64_t now = now_ms();
    int64_t wait = crew->jobs != NULL ? crew->extend_at_ms - now : 1000;
    int library = ringmq_next_timeout_ms(crew->cli->conn);

    if (crew->plan->idle_ms > 0 && crew->jobs == NULL && crew->last_ms + (int64_t)crew->plan->idle_ms - now < wait)
        wait = crew->last_ms + (int64_t)crew->plan->idle_ms - now;
    if (library >= 0 && library < wait)
        wait = library;
    return (int)(wait < 0 ? 0 : wait > 1000 ? 1000 : wait);
}

/* Waits for the server, for commands that take input or end, and for signals. Returns a status. */
static int wait_and_do(struct crew *crew)
{
    struct ringmq *conn = crew->cli->conn;
    struct pollfd *fds = memory_new((crew->running + 3) * sizeof *fds);
    nfds_t count = 3;

    fds[0] = (struct pollfd){ringmq_fd(conn), (short)(POLLIN | (ringmq_wants_write(conn) ? POLLOUT : 0)), 0};
    fds[1] = (struct pollfd){signals_child_fd(), POLLIN, 0};
    fds[2] = (struct pollfd){crew->closing ? -1 : signals_interrupt_fd(), POLLIN, 0};
    for (struct job *job = crew->jobs; job != NULL; job = job->next)
        if (job->input >= 0)
            fds[count++] = (struct pollfd){job->input, POLLOUT, 0};
    int ready = poll(fds, count, wait_ms(crew));
    int status = ready < 0 ? RINGMQ_OK : ringmq_process(conn, fds[0].revents & ~POLLOUT, fds[0].revents & POLLOUT);
    free(fds);
    for (struct job *job = crew->jobs; job != NULL; job = job->next)
        job_feed(job);
    if (status == RINGMQ_OK)
        status = reap(crew);
    return status;
}

static bool idle_over(const struct crew *crew)
{
    return crew->plan->idle_ms > 0 && crew->jobs == NULL && now_ms() >= crew->last_ms + (int64_t)crew->plan->idle_ms;
}

/* No new deliveries; cancelling would give back what still runs. */
static int stop_taking(struct crew *crew)
{
    int64_t token = ringmq_send_credit(crew->cli->conn, crew->consumer, 0, NULL, NULL);

    crew->closing = true;
    if (token > 0)
        ringmq_forget(crew->cli->conn, token);
    return token < 0 ? (int)token : RINGMQ_OK;
}

static int work(struct crew *crew, int *code)
{
    int status = RINGMQ_OK;
    bool stopped = false, killed = false;

    while (status == RINGMQ_OK && !(crew->closing && crew->jobs == NULL)) {
        status = wait_and_do(crew);
        if (signals_count() > 0 || idle_over(crew)) {
            *code = signals_count() > 0 ? signals_exit_code() : EXIT_DONE;
            crew->closing = true;
        }
        if (status == RINGMQ_OK)
            status = start_waiting(crew);
        if (status == RINGMQ_OK && crew->closing && !stopped && crew->reason == NULL) {
            stopped = true;
            status = stop_taking(crew);
        }
        if (signals_count() > 1 && !killed) {
            killed = true;
            kill_all(crew);
        }
        if (status == RINGMQ_OK && crew->jobs != NULL && now_ms() >= crew->extend_at_ms)
            status = extend_all(crew);
    }
    return status;
}

/* The visibility in force: the one named, or the queue's. */
static int find_visibility(struct crew *crew)
{
    struct ringmq_value info;

    crew->visibility_ms = (int64_t)crew->plan->visibility_ms;
    if (crew->visibility_ms > 0)
        return RINGMQ_OK;
    int status = ringmq_queue_info(crew->cli->conn, crew->plan->queue, &info, crew->cli->timeout_ms);
    if (status == RINGMQ_OK)
        crew->visibility_ms = ringmq_value_int(ringmq_value_get(info, "visibility"), 30000);
    return status;
}

int consume_exec(struct cli *cli, const struct consume_plan *plan)
{
    struct crew crew = {.cli = cli, .plan = plan, .last_ms = now_ms()};
    struct ringmq_consume_options options = {
        .prefetch = (uint32_t)(plan->prefetch > 0 ? plan->prefetch : plan->jobs),
        .deliver_cb = on_deliver,
        .cancelled_cb = on_cancelled,
        .arg = &crew,
    };
    int code = EXIT_DONE;
    int status = find_visibility(&crew);

    consume_plan_options(plan, &options);
    if (plan->max > 0 && plan->max < options.prefetch)
        options.prefetch = (uint32_t)plan->max;

    crew.extend_at_ms = now_ms() + extend_every_ms(&crew);
    if (status == RINGMQ_OK)
        status = ringmq_consume(cli->conn, plan->queue, &options, &crew.consumer, cli->timeout_ms);
    if (status == RINGMQ_OK)
        status = work(&crew, &code);
    if (status == RINGMQ_OK)
        status = consume_settle(cli);
    if (status == RINGMQ_OK && crew.reason == NULL)
        status = ringmq_cancel(cli->conn, crew.consumer, cli->timeout_ms);
    if (status != RINGMQ_OK) {
        code = cli_failed(cli, status);
        kill_all(&crew); /* their messages come back to the queue: nobody should be at work on them twice */
        ringmq_close(cli->conn);
    }
    while (crew.jobs != NULL)
        job_remove(&crew, crew.jobs);
    if (crew.failed > 0)
        cli_complain(cli, "%" PRIu64 " commands failed; their messages were given back", crew.failed);
    if (crew.stale > 0)
        cli_complain(cli, "%" PRIu64 " messages had been given back before their commands ended", crew.stale);
    if (crew.reason != NULL) {
        cli_complain(cli, "the server has ended the consumer: %s", crew.reason);
        code = EXIT_ERROR;
    }
    return code;
}
