/*
 * log: the program's own log lines.
 *
 *     2026-11-21T04:10:09.123Z info  net: connection opened id=7
 *
 * Time in UTC, a level, the part of the program that speaks, a message, then key=value pairs. A line goes to stderr in
 * one write(2), so lines of several processes on one pipe do not mix. Control characters are escaped (\n, \t, \x1b): no
 * name that a client chooses can forge a line or play with a terminal. A line that is too long ends in "...". Bodies of
 * messages are never logged.
 *
 * Nothing here fails towards its caller: what stderr does not take is lost. errno is preserved.
 *
 * The level and the place where lines go are global. That is deliberate and the only such state.
 */
#ifndef SERVER_OPS_LOG_H
#define SERVER_OPS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LEVEL_LIST(X) \
    X(DEBUG, "debug")     \
    X(INFO, "info")       \
    X(WARN, "warn")       \
    X(ERROR, "error")

enum log_level {
#define X(id, name) LOG_LEVEL_##id,
    LOG_LEVEL_LIST(X)
#undef X
        LOG_LEVEL_COUNT
};

/* Longest line with its newline and a terminator. */
#define LOG_LINE_BYTES 2048

/* Lines below `level` are dropped; info at the start of the program. */
void log_set_level(enum log_level level);

/* True if a line of that level is written: to spare the work for one that is not. */
bool log_enabled(enum log_level level);

const char *log_level_name(enum log_level level);

/* The level with that name (not terminated), or LOG_LEVEL_COUNT. */
enum log_level log_level_from_name(const char *name, size_t bytes);

/*
 * Writes one line. `module` names the speaker: "net", "server", "config". The message has no full stop and no newline.
 */
void log_write(enum log_level level, const char *module, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

/*
 * For lines that a misbehaving peer can cause again and again: at most `lines_per_second` of them, then one line that
 * says how many were left out, written before the next one that passes. One limit per place in the code, initialized as
 *     struct log_limit limit = {.lines_per_second = 5};
 */
struct log_limit {
    uint32_t lines_per_second;
    uint32_t line_count;       /* passed in this second */
    uint64_t suppressed_count; /* not passed and not told yet */
    uint64_t second_at_ms;     /* when this second began */
};

/*
 * True if a line may be written at now_ms (a monotonic clock). *suppressed is then how many were left out since the
 * last one that passed; the caller tells.
 */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *suppressed);

/* log_write() under a limit; reads the clock itself and tells what was left out. */
void log_write_limited(struct log_limit *limit, enum log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For tests: lines go to another descriptor; 2 is the usual one. */
void log_set_fd(int fd);

/* For tests: lines go to a callback instead, terminated and with their newline. NULL: back to the descriptor. */
typedef void (*log_line_cb)(void *user, const char *line, size_t bytes);
void log_set_line_cb(log_line_cb line_cb, void *user);

#endif
