/*
 * error: what is behind a status. Texts are copied, so that they outlive what they came in; details are a view.
 */
#include "client/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ringmq_status_text(int status)
{
    switch (status) {
    case RINGMQ_OK:
        return "no error";
#define X(name, value, text) \
    case RINGMQ_ERR_##name:  \
        return text;
        RINGMQ_STATUS_LIST(X)
#undef X
    default:
        return "an unknown status";
    }
}

const char *ringmq_version(void)
{
    return RINGMQ_VERSION;
}

int failure_set(struct failure *failure, int status, const char *format, ...)
{
    *failure = (struct failure){.status = status};
    va_list args;
    va_start(args, format);
    vsnprintf(failure->text, sizeof(failure->text), format, args);
    va_end(args);
    return status;
}

static void text_store(char *to, size_t cap, struct ringmq_bytes from)
{
    size_t bytes = from.bytes < cap ? from.bytes : cap - 1;
    memcpy(to, from.data, bytes);
    to[bytes] = '\0';
}

int failure_set_server(struct failure *failure, const struct ringmq_error *error)
{
    *failure = (struct failure){.status = RINGMQ_ERR_SERVER, .retry = error->retry, .details = error->details};
    text_store(failure->code, sizeof(failure->code), error->code);
    text_store(failure->text, sizeof(failure->text), error->text);
    return failure->status;
}

int call_failed(struct ringmq *conn, int status)
{
    if (status == RINGMQ_ERR_CLOSED && conn->end.status != RINGMQ_OK) {
        conn->last = conn->end;
        conn->last.status = status;
        return status;
    }
    return failure_set(&conn->last, status, "%s", ringmq_status_text(status));
}

int call_argument(struct ringmq *conn, const char *text)
{
    return failure_set(&conn->last, RINGMQ_ERR_ARGUMENT, "%s", text);
}

bool error_read(struct ringmq_value value, struct ringmq_error *error)
{
    uint32_t count = ringmq_value_count(value);
    if (ringmq_value_type(value) != RINGMQ_ARRAY || count < 2 || count > 3)
        return false;
    struct ringmq_error read = {
        .code = ringmq_value_bytes(ringmq_value_item(value, 0)),
        .text = ringmq_value_bytes(ringmq_value_item(value, 1)),
        .details = ringmq_value_item(value, 2),
    };
    if (read.code.data == NULL || read.text.data == NULL ||
        (count == 3 && ringmq_value_type(read.details) != RINGMQ_MAP))
        return false;
    read.retry = ringmq_value_bool(ringmq_value_get(read.details, "retry"), false);
    *error = read;
    return true;
}

int ringmq_error_status(const struct ringmq *conn)
{
    return conn->last.status;
}

const char *ringmq_error_text(const struct ringmq *conn)
{
    return conn->last.text;
}

const char *ringmq_error_code(const struct ringmq *conn)
{
    return conn->last.code;
}

bool ringmq_error_retry(const struct ringmq *conn)
{
    return conn->last.retry;
}

struct ringmq_value ringmq_error_details(const struct ringmq *conn)
{
    return conn->last.details;
}
