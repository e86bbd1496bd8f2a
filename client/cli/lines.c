/*
 * lines: `publish QUEUE --lines FILE`: every line of a file is a message, at full speed.
 *
 *     an empty line        a message with an empty body; --skip-empty leaves it out
 *     CRLF                 the CR does not belong to the line; --keep-cr keeps it
 *     no newline at the end: what stands there is a line all the same
 *     a line longer than max_message_bytes ends the reading, with its number: what was read before it is published;
 *                          --long skip leaves it out, --long truncate sends what fits
 *
 * Lines go out in batches, several at a time, and are kept until they are confirmed. What the server refuses for now (the
 * queue or the memory is full) is sent again after a pause, in the order of the file and one batch at a time, until
 * nothing is left of it; then new lines follow. Nothing is lost, and the order is that of the file, except that batches
 * which were under way at a refusal may be stored before the refused lines (with --window 1 there are none). What the
 * server refuses for good ends the run, and it is said how many lines are confirmed.
 */
#include "client/cli/memory.h"
#include "client/cli/messages.h"
#include "client/cli/work.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES     ((size_t)256 * 1024)
#define BATCH_BYTES    ((size_t)256 * 1024)
#define DEFAULT_WINDOW 16
#define PROGRESS_MS    200
#define PAUSE_MIN_MS   20
#define PAUSE_MAX_MS   1000

enum long_lines { LONG_STOP, LONG_SKIP, LONG_TRUNCATE };

/* Lines on their way; kept until they are confirmed. */
struct batch {
    struct batch *next;
    struct publisher *publisher;
    char *bytes; /* the lines, one after the other */
    size_t used, room;
    struct ringmq_message *messages; /* body holds an offset into `bytes` until the batch is sent */
    uint64_t *numbers;               /* of the lines in the file */
    uint32_t count;
};

struct publisher {
    struct cli *cli;
    const char *queue;
    struct message_options options;
    struct ringmq_publish_options publish;
    int fd;
    const char *path;
    bool skip_empty, keep_cr;
    enum long_lines long_lines;
    uint64_t max_bytes;
    size_t option_bytes; /* what group, headers and the like add to each message */
    uint32_t max_batch;
    uint64_t window;

    char *input;
    size_t at, end;
    bool at_eof, line_begun;
    bool starved;      /* nothing can be read at the moment */
    size_t line_bytes; /* of the present line, as far as it has been read; more than max_bytes: too long */
    uint64_t line, skipped;

    struct batch *filling, *retry;
    uint64_t in_flight, confirmed, confirmed_bytes;
    int64_t started_ms, progress_ms, pause_ms, pause_until_ms;
    bool told;     /* that it waits for room */
    bool over;     /* nothing more is read or sent */
    char why[256]; /* what ended it, "" if nothing */
    int code;
};

__attribute__((format(printf, 3, 4))) static void stop(struct publisher *p, int code, const char *format, ...)
{
    va_list args;

    if (p->why[0] == '\0') {
        va_start(args, format);
        vsnprintf(p->why, sizeof p->why, format, args);
        va_end(args);
        p->code = code;
    }
    p->over = true;
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static struct batch *batch_new(struct publisher *p)
{
    struct batch *b = memory_new(sizeof *b);

    *b = (struct batch){.publisher = p};
    b->messages = memory_new(p->max_batch * sizeof *b->messages);
    b->numbers = memory_new(p->max_batch * sizeof *b->numbers);
    return b;
}

static void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    free(b->bytes);
    free(b->messages);
    free(b->numbers);
    free(b);
}

static void batch_room(struct batch *b, size_t bytes)
{
    if (b->room - b->used >= bytes)
        return;
    b->room = b->used + bytes > BATCH_BYTES ? b->used + bytes : BATCH_BYTES;
    b->bytes = memory_resize(b->bytes, b->room);
}

/* Ends the line that has been collected at the end of the bytes. */
static void batch_add(struct batch *b, size_t bytes, uint64_t number)
{
    struct ringmq_message *m = &b->messages[b->count];

    *m = b->publisher->options.message;
    m->body_bytes = bytes;
    b->numbers[b->count++] = number;
    b->used += bytes;
}

static bool batch_full(const struct batch *b)
{
    const struct publisher *p = b->publisher;

    return b->count == p->max_batch || b->used + b->count * p->option_bytes >= BATCH_BYTES;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool refill(struct publisher *p)
{
    ssize_t n;

    do {
        n = read(p->fd, p->input, READ_BYTES);
    } while (n < 0 && errno == EINTR && signals_count() == 0);
    if (n < 0 && errno != EINTR)
        stop(p, EXIT_ERROR, "%s: %s", p->path, strerror(errno));
    p->at = 0;
    p->end = n > 0 ? (size_t)n : 0;
    p->at_eof = n <= 0;
    return n > 0;
}

/* The line is whole: it goes into the batch, or not. */
static void line_end(struct publisher *p, struct batch *b)
{
    size_t bytes = p->line_bytes;
    bool too_long = bytes > p->max_bytes;

    p->line++;
    p->line_begun = false;
    p->line_bytes = 0;
    if (too_long && p->long_lines == LONG_TRUNCATE)
        bytes = (size_t)p->max_bytes;
    if (too_long && p->long_lines == LONG_STOP)
        stop(p, EXIT_ERROR, "%s: line %" PRIu64 " is longer than %" PRIu64 " bytes", p->path, p->line, p->max_bytes);
    else if ((too_long && p->long_lines == LONG_SKIP) || (bytes == 0 && p->skip_empty))
        p->skipped++;
    else
        batch_add(b, bytes, p->line);
}

/* Takes bytes of the present line; beyond the longest line, and the CR that may follow it, they are only counted. */
static void line_take(struct publisher *p, struct batch *b, const char *bytes, size_t count)
{
    size_t kept = p->line_bytes < p->max_bytes + 1 ? p->line_bytes : (size_t)p->max_bytes + 1;
    size_t room = (size_t)p->max_bytes + 1 - kept;
    size_t n = count < room ? count : room;

    batch_room(b, kept + n + 1);
    if (n > 0)
        memcpy(b->bytes + b->used + kept, bytes, n);
    p->line_bytes += count;
    p->line_begun = true;
}

/* A newline has come: the CR before it does not belong to the line, and is not what makes it too long. */
static void drop_cr(struct publisher *p, const struct batch *b)
{
    if (!p->keep_cr && p->line_bytes > 0 && p->line_bytes <= p->max_bytes + 1 &&
        b->bytes[b->used + p->line_bytes - 1] == '\r')
        p->line_bytes--;
}

static bool input_ready(const struct publisher *p)
{
    struct pollfd fd = {p->fd, POLLIN, 0};

    return poll(&fd, 1, 0) != 0;
}

/* Reads lines into the batch until it is full, the file ends, or a pipe has nothing more for now. */
static void fill(struct publisher *p, struct batch *b)
{
    p->starved = false;
    while (!p->over && !batch_full(b)) {
        if (p->at == p->end) {
            p->starved = !input_ready(p);
            if (p->starved)
                return;
            if (!refill(p)) {
                if (p->line_begun && !p->over)
                    line_end(p, b);
                return;
            }
        }
        char *from = p->input + p->at;
        char *newline = memchr(from, '\n', p->end - p->at);
        size_t count = newline != NULL ? (size_t)(newline - from) : p->end - p->at;
        line_take(p, b, from, count);
        p->at += count + (newline != NULL);
        if (newline != NULL) {
            drop_cr(p, b);
            line_end(p, b);
        }
    }
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void send_batch(struct publisher *p, struct batch *b);

/* Keeps a batch that is to be sent again, in the order of the file. */
static void retry_add(struct publisher *p, struct batch *b)
{
    struct batch **link = &p->retry;

    while (*link != NULL && (*link)->numbers[0] < b->numbers[0])
        link = &(*link)->next;
    b->next = *link;
    *link = b;
}

/* Copies the refused lines that may be sent again into one batch; anything else ends the run. */
static void refusals(struct publisher *p, struct batch *b, const struct ringmq_published *result)
{
    struct ringmq_iterator iterator = ringmq_iterate_refusals(result->exceptions);
    struct ringmq_refusal refusal;
    struct batch *again = NULL;

    while (ringmq_next_refusal(&iterator, &refusal)) {
        uint32_t i = refusal.index;
        if (i >= b->count)
            continue;
        if (!refusal.error.retry) {
            stop(p, EXIT_ERROR, "line %" PRIu64 ": %.*s %.*s", b->numbers[i], (int)refusal.error.code.bytes,
                 refusal.error.code.data, (int)refusal.error.text.bytes, refusal.error.text.data);
            continue;
        }
        again = again != NULL ? again : batch_new(p);
        batch_room(again, b->messages[i].body_bytes + 1);
        if (b->messages[i].body_bytes > 0)
            memcpy(again->bytes + again->used, b->messages[i].body, b->messages[i].body_bytes);
        batch_add(again, b->messages[i].body_bytes, b->numbers[i]);
    }
    if (again != NULL)
        retry_add(p, again);
}

/* Several answers may come to what was sent before the pause: they make it no longer. */
static void pause_a_while(struct publisher *p)
{
    if (!p->told)
        cli_complain(p->cli, "publish: the queue or the server's memory is full: waiting for room");
    p->told = true;
    if (now_ms() < p->pause_until_ms)
        return;
    p->pause_ms = p->pause_ms == 0 ? PAUSE_MIN_MS : p->pause_ms * 2 < PAUSE_MAX_MS ? p->pause_ms * 2 : PAUSE_MAX_MS;
    p->pause_until_ms = now_ms() + p->pause_ms;
}

static void on_published(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct batch *b = arg;
    struct publisher *p = b->publisher;
    struct ringmq_published result;
    int status = ringmq_answer_published(answer, &result);

    (void)conn;
    p->in_flight--;
    if (status == RINGMQ_OK) {
        p->confirmed += result.count;
        p->confirmed_bytes += b->used;
        if (result.count < b->count)
            refusals(p, b, &result);
        if (result.count > 0)
            p->pause_ms = 0;
        if (result.count < b->count)
            pause_a_while(p);
    } else if (status == RINGMQ_ERR_SERVER && answer->error.retry) {
        retry_add(p, b);
        pause_a_while(p);
        return;
    } else if (status == RINGMQ_ERR_SERVER) {
        stop(p, EXIT_ERROR, "%.*s %.*s", (int)answer->error.code.bytes, answer->error.code.data,
             (int)answer->error.text.bytes, answer->error.text.data);
    }
    batch_free(b);
}

static void send_batch(struct publisher *p, struct batch *b)
{
    size_t at = 0;

    for (uint32_t i = 0; i < b->count; i++) {
        b->messages[i].body = b->bytes != NULL ? b->bytes + at : "";
        at += b->messages[i].body_bytes;
    }
    int64_t token = ringmq_send_publish(p->cli->conn, p->queue, b->messages, b->count, &p->publish, on_published, b);
    if (token < 0) {
        stop(p, token == RINGMQ_ERR_LIMIT ? EXIT_ERROR : EXIT_CONNECTION, "%s", ringmq_error_text(p->cli->conn));
        batch_free(b);
        return;
    }
    p->in_flight++;
}

/* A new batch that begins with the line whose beginning stands behind the last whole one. */
static struct batch *carry_on(struct publisher *p, const struct batch *from)
{
    struct batch *b = batch_new(p);
    size_t kept = p->line_bytes < p->max_bytes + 1 ? p->line_bytes : (size_t)p->max_bytes + 1;

    batch_room(b, kept + 1);
    if (kept > 0)
        memcpy(b->bytes, from->bytes + from->used, kept);
    return b;
}

/* Sends what there is room for: first what was refused, then new lines. */
static void send_more(struct publisher *p)
{
    while (!p->over && p->in_flight < p->window && now_ms() >= p->pause_until_ms) {
        struct batch *b = p->retry;
        if (b != NULL && p->in_flight > 0)
            return; /* more of what was sent may be refused, and comes before it in the file */
        if (b != NULL) {
            p->retry = b->next;
        } else {
            b = p->filling != NULL ? p->filling : batch_new(p);
            p->filling = b;
            if (!p->at_eof)
                fill(p, b);
            if (b->count == 0)
                return;
            p->filling = p->line_begun ? carry_on(p, b) : NULL;
        }
        send_batch(p, b);
    }
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void progress(struct publisher *p, bool last)
{
    const int64_t now = now_ms();
    const double seconds = (double)(now - p->started_ms) / 1000 + 0.0005;

    if (!isatty(STDERR_FILENO) || (!last && now - p->progress_ms < PROGRESS_MS))
        return;
    p->progress_ms = now;
    fprintf(stderr, last ? "\r\033[K" : "\r%" PRIu64 " messages, %.0f a second, %.1f MB/s\033[K", p->confirmed,
            (double)p->confirmed / seconds, (double)p->confirmed_bytes / seconds / 1e6);
}

static bool finished(const struct publisher *p)
{
    bool nothing_left = p->at_eof && !p->line_begun && p->retry == NULL &&
                        (p->filling == NULL || p->filling->count == 0);

    return p->in_flight == 0 && (p->over || nothing_left);
}

/* Until there is something to read, from the file or the server, or a signal. */
static void await_input(struct publisher *p)
{
    short events = (short)(POLLIN | (ringmq_wants_write(p->cli->conn) ? POLLOUT : 0));
    struct pollfd fds[3] = {
        {p->fd, POLLIN, 0}, {ringmq_fd(p->cli->conn), events, 0}, {signals_interrupt_fd(), POLLIN, 0}};

    (void)poll(fds, 3, PROGRESS_MS);
}

static void loop(struct publisher *p)
{
    for (;;) {
        send_more(p);
        if (finished(p))
            return;
        p->starved = p->starved && !p->over && p->in_flight < p->window && now_ms() >= p->pause_until_ms;
        if (p->starved)
            await_input(p);
        int64_t pause = p->pause_until_ms - now_ms();
        int wait_ms = p->starved ? 0 : pause > 0 && pause < PROGRESS_MS ? (int)pause : PROGRESS_MS;
        int status = ringmq_poll(p->cli->conn, wait_ms);
        progress(p, false);
        if (status == RINGMQ_ERR_INTERRUPTED) {
            if (p->over) { /* once more: the answers are not waited for */
                ringmq_close(p->cli->conn);
                return;
            }
            stop(p, signals_exit_code(), "interrupted");
            signals_clear();
        } else if (status != RINGMQ_OK && status != RINGMQ_ERR_TIMEOUT) {
            stop(p, EXIT_CONNECTION, "%s", ringmq_error_text(p->cli->conn));
            return;
        }
    }
}

static bool settings_read(struct publisher *p, struct arguments *arguments)
{
    const char *words = command_line_option(&arguments->line, "long");
    uint64_t wait_ms = 0;

    p->path = command_line_option(&arguments->line, "lines");
    p->window = DEFAULT_WINDOW;
    if (words != NULL && strcmp(words, "skip") == 0)
        p->long_lines = LONG_SKIP;
    else if (words != NULL && strcmp(words, "truncate") == 0)
        p->long_lines = LONG_TRUNCATE;
    else if (words != NULL && strcmp(words, "stop") != 0)
        return arguments_wrong(arguments, "--long takes stop, skip or truncate");
    if (!command_line_flag(&arguments->line, "skip-empty", &p->skip_empty) ||
        !command_line_flag(&arguments->line, "keep-cr", &p->keep_cr) ||
        !command_line_count(&arguments->line, "window", &p->window) ||
        !command_line_time(&arguments->line, "wait", 1, &wait_ms) ||
        !message_options_read(&p->options, &arguments->line))
        return false;
    p->publish.wait_ms = (int64_t)wait_ms;
    if (p->options.message.dedup_id != NULL)
        return arguments_wrong(arguments, "--dedup-id does not go with --lines: only the first line would be stored");
    return p->window > 0 || arguments_wrong(arguments, "--window takes 1 or more");
}

static void report(struct publisher *p)
{
    progress(p, true);
    if (p->why[0] != '\0')
        cli_complain(p->cli, "publish: %s", p->why);
    fprintf(stderr, "%" PRIu64 " messages published in %.1f s", p->confirmed,
            (double)(now_ms() - p->started_ms) / 1000);
    if (p->skipped > 0)
        fprintf(stderr, ", %" PRIu64 " lines skipped", p->skipped);
    fputs("\n", stderr);
}

/* About what the options take in each message on the wire. */
static size_t option_bytes(const struct ringmq_message *m)
{
    size_t bytes = 64 + (m->group != NULL ? strlen(m->group) : 0);

    for (uint32_t i = 0; i < m->header_count; i++) {
        const struct ringmq_header *h = &m->headers[i];
        bytes += strlen(h->name) + (h->type == RINGMQ_NONE && h->value.text != NULL ? strlen(h->value.text) : 16) + 8;
    }
    return bytes;
}

int lines_publish(struct cli *cli, struct arguments *arguments, const char *queue)
{
    struct publisher p = {.cli = cli, .queue = queue, .started_ms = now_ms(), .code = EXIT_DONE};
    int code = settings_read(&p, arguments) ? cli_connect(cli) : EXIT_USAGE;

    if (code != EXIT_DONE) {
        message_options_close(&p.options);
        return code;
    }
    p.option_bytes = option_bytes(&p.options.message);
    p.max_bytes = cli_limit(cli, "max_message_bytes", 1 << 20);
    p.max_batch = (uint32_t)cli_limit(cli, "max_batch", 1000);
    p.max_batch = p.max_batch < 1000 ? p.max_batch : 1000;
    p.fd = strcmp(p.path, "-") == 0 ? STDIN_FILENO : open(p.path, O_RDONLY | O_CLOEXEC);
    if (p.fd < 0) {
        cli_complain(cli, "%s: %s", p.path, strerror(errno));
        message_options_close(&p.options);
        return EXIT_USAGE;
    }
    p.input = memory_new(READ_BYTES);
    loop(&p);
    report(&p);
    if (p.fd != STDIN_FILENO)
        close(p.fd);
    free(p.input);
    batch_free(p.filling);
    while (p.retry != NULL) {
        struct batch *b = p.retry;
        p.retry = b->next;
        batch_free(b);
    }
    message_options_close(&p.options);
    return p.code;
}
