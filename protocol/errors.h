/*
 * errors: every error code that travels, listed once. A code is text, stable for ever; the sentence may change. The third
 * column says whether the same call can succeed later without being changed (the wire's `retry: true`).
 *
 * The broker, the doors, the client library and the documentation check all read this list.
 */
#ifndef PROTOCOL_ERRORS_H
#define PROTOCOL_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

/*  code               text                                                    retry */
#define ERROR_LIST(X)                                                   \
    X(BAD_REQUEST, "the request is not valid", false)                   \
    X(UNKNOWN_METHOD, "no such method", false)                          \
    X(TOO_LARGE, "the body is larger than allowed", false)              \
    X(LIMIT, "a configured limit forbids this", false)                  \
    X(NOT_FOUND, "no such thing", false)                                \
    X(QUEUE_NOT_FOUND, "no such queue", false)                          \
    X(QUEUE_EXISTS, "the queue exists with other attributes", false)    \
    X(QUEUE_NOT_EMPTY, "the queue holds messages", false)               \
    X(QUEUE_IN_USE, "the queue is in use", true)                        \
    X(QUEUE_FULL, "the queue is full", true)                            \
    X(TOPIC_NOT_FOUND, "no such topic", false)                          \
    X(UNROUTABLE, "no subscription matches", false)                     \
    X(GROUP_REQUIRED, "a message of a fifo queue needs a group", false) \
    X(RECEIPT_STALE, "the receipt is no longer valid", false)           \
    X(CONSUMER_NOT_FOUND, "no such consumer on this connection", false) \
    X(MEMORY_LIMIT, "the server's memory limit is reached", true)       \
    X(DISK_FULL, "the disk is full", true)                              \
    X(LOG_FAILED, "the log has failed", false)                          \
    X(DRAINING, "the server is draining and accepts nothing new", true) \
    X(INTERNAL, "an error inside the server", false)

enum error_code {
    ERR_NONE = 0,
#define X(code, text, retry) ERR_##code,
    ERROR_LIST(X)
#undef X
        ERR_COUNT
};

/* The code as it travels, e.g. "QUEUE_NOT_FOUND". `code` must be a member of the list. */
const char *error_name(enum error_code code);

/* One English sentence without a full stop. */
const char *error_text(enum error_code code);

/* True if the same call may succeed later unchanged. */
bool error_retry(enum error_code code);

/* The code with that name, or ERR_NONE. `name` need not be terminated. */
enum error_code error_from_name(const char *name, size_t bytes);

#endif
