#include "server/ops/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum log_level level;
    int fd;
    log_line_cb line_cb;
    void *user;
} out = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static const char *const level_names[LOG_LEVEL_COUNT] = {
#define X(id, name) [LOG_LEVEL_##id] = name,
    LOG_LEVEL_LIST(X)
#undef X
};

void log_set_level(enum log_level level)
{
    assert(level < LOG_LEVEL_COUNT);
    out.level = level;
}

bool log_enabled(enum log_level level)
{
    return level >= out.level;
}

const char *log_level_name(enum log_level level)
{
    assert(level < LOG_LEVEL_COUNT);
    return level_names[level];
}

enum log_level log_level_from_name(const char *name, size_t bytes)
{
    unsigned i = 0;

    while (i < LOG_LEVEL_COUNT && (strlen(level_names[i]) != bytes || memcmp(level_names[i], name, bytes) != 0))
        i++;
    return (enum log_level)i;
}

void log_set_fd(int fd)
{
    out.fd = fd;
}

void log_set_line_cb(log_line_cb line_cb, void *user)
{
    out.line_cb = line_cb;
    out.user = user;
}

/*
 * The control characters of ASCII, and those of Unicode (U+0080 to U+009F, c2 80 to c2 9f), which terminals obey too.
 */
static bool is_control(const unsigned char *at, unsigned char before)
{
    if (*at < 0x20 || *at == 0x7f)
        return true;
    if (*at == 0xc2)
        return at[1] >= 0x80 && at[1] <= 0x9f;
    return before == 0xc2 && *at >= 0x80 && *at <= 0x9f;
}

/* Stores one character of a message, escaped if need be; returns how many bytes that took (at most 4). */
static size_t escape(const unsigned char *at, unsigned char before, char *to)
{
    static const char hex[] = "0123456789abcdef";

    if (!is_control(at, before)) {
        to[0] = (char)*at;
        return 1;
    }
    to[0] = '\\';
    if (*at == '\n' || *at == '\r' || *at == '\t') {
        to[1] = *at == '\n' ? 'n' : *at == '\r' ? 'r' : 't';
        return 2;
    }
    to[1] = 'x';
    to[2] = hex[*at >> 4];
    to[3] = hex[*at & 15];
    return 4;
}

/* Stores time, level and module; returns their bytes. */
static size_t write_head(char line[LOG_LINE_BYTES], enum log_level level, const char *module)
{
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &utc) == NULL)
        memset(&utc, 0, sizeof utc);
    size_t used = strftime(line, LOG_LINE_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    const int n = snprintf(line + used, LOG_LINE_BYTES - used, ".%03ldZ %-5s %.32s: ", now.tv_nsec / 1000000,
                           log_level_name(level), module);
    return used + (size_t)n;
}

static void write_line(const char *line, size_t bytes)
{
    if (out.line_cb != NULL) {
        out.line_cb(out.user, line, bytes);
        return;
    }
    ssize_t n;
    do {
        n = write(out.fd, line, bytes);
    } while (n < 0 && errno == EINTR);
    /* Nothing to be done about a stderr that takes no more: there is nowhere to say so. */
}

static void write_message(enum log_level level, const char *module, const char *message)
{
    static const char cut[] = "...";
    char line[LOG_LINE_BYTES];
    const size_t end = sizeof line - sizeof cut - 1; /* room for the mark, the newline and the terminator */
    const unsigned char *at = (const unsigned char *)message;
    unsigned char before = 0;
    size_t used = write_head(line, level, module);

    for (; *at != '\0' && used + 4 <= end; before = *at++)
        used += escape(at, before, line + used);
    if (*at != '\0') {
        memcpy(line + used, cut, sizeof cut - 1);
        used += sizeof cut - 1;
    }
    line[used++] = '\n';
    line[used] = '\0';
    write_line(line, used);
}

static void write_formatted(enum log_level level, const char *module, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void write_formatted(enum log_level level, const char *module, const char *format, va_list args)
{
    char message[LOG_LINE_BYTES];

    if (vsnprintf(message, sizeof message, format, args) < 0)
        snprintf(message, sizeof message, "a line that could not be formatted");
    write_message(level, module, message);
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    const int saved = errno;
    va_list args;
    va_start(args, format);
    write_formatted(level, module, format, args);
    va_end(args);
    errno = saved;
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed)
{
    if (limit->line_count == 0 || now_ms - limit->second_at_ms >= 1000) {
        limit->second_at_ms = now_ms;
        limit->line_count = 0;
    }
    if (limit->line_count >= limit->lines_per_second) {
        limit->suppressed_count++;
        return false;
    }
    limit->line_count++;
    *suppressed = limit->suppressed_count;
    limit->suppressed_count = 0;
    return true;
}

void log_write_limited(struct log_limit *limit, enum log_level level, const char *module, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    const int saved = errno;
    struct timespec now;
    uint64_t suppressed;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (log_limit_pass(limit, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, &suppressed)) {
        va_list args;
        if (suppressed > 0)
            log_write(level, module, "lines like the next were left out count=%" PRIu64, suppressed);
        va_start(args, format);
        write_formatted(level, module, format, args);
        va_end(args);
    }
    errno = saved;
}
