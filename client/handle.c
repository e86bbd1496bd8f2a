/*
 * handle: a connection as a thing that is made from options, looked at and freed. What is wrong with the options is
 * found here and told when it is to be connected, since ringmq_new() has nothing to tell it with.
 */
#include "client/connection.h"

#include "protocol/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int64_t time_option(int ms, int64_t otherwise)
{
    if (ms == RINGMQ_FOREVER)
        return TIME_FOREVER_MS;
    return ms == 0 ? otherwise : ms;
}

/* Fills the settings. Returns what is wrong with the options, or NULL. */
static const char *settings_fill(struct settings *to, const struct ringmq_options *from)
{
    to->connect_timeout_ms = time_option(from->connect_timeout_ms, 5000);
    to->call_timeout_ms = time_option(from->call_timeout_ms, 30000);
    to->max_value_bytes = from->max_value_bytes == 0 ? 320ULL << 20 : from->max_value_bytes;
    to->read_bytes = from->read_bytes == 0 ? 256U << 10 : from->read_bytes;
    to->reconnect = from->reconnect;
    to->reconnect_min_ms = from->reconnect_min_ms == 0 ? 100 : from->reconnect_min_ms;
    to->reconnect_max_ms = from->reconnect_max_ms == 0 ? 10000 : from->reconnect_max_ms;
    to->state_cb = from->state_cb;
    to->socket_cb = from->socket_cb;
    to->unconfirmed_cb = from->unconfirmed_cb;
    to->arg = from->arg;
    if (to->connect_timeout_ms < 0 || to->call_timeout_ms < 0)
        return "a timeout is below 0 and not RINGMQ_FOREVER";
    if (to->reconnect_min_ms < 0 || to->reconnect_max_ms < to->reconnect_min_ms)
        return "reconnect_min_ms is below 0, or above reconnect_max_ms";
    if (to->max_value_bytes > UINT32_MAX)
        return "max_value_bytes is not below 4 GiB";
    if (from->client_name != NULL && strlen(from->client_name) > LIMIT_CLIENT_BYTES)
        return "client_name is longer than 128 bytes";
    return NULL;
}

struct ringmq *ringmq_new(const struct ringmq_options *options)
{
    static const struct ringmq_options defaults;
    if (options == NULL)
        options = &defaults;
    struct ringmq *conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        return NULL;
    conn->fd = -1;
    conn->interrupt_fd = -1;
    conn->max_request_bytes = UINT64_MAX;
    conn->random = (uint64_t)clock_ms() ^ (uint64_t)(uintptr_t)conn ^ 0x9e3779b97f4a7c15ULL;
    buffer_init(&conn->output, NULL);
    calls_init(&conn->calls);
    conn->bad_option = settings_fill(&conn->settings, options);
    conn->settings.client_name = strdup(options->client_name == NULL ? "libringmq" : options->client_name);
    const char *reason = NULL;
    int status = endpoint_init(&conn->endpoint, options, &reason);
    if (conn->settings.client_name == NULL || status == RINGMQ_ERR_NO_MEMORY) {
        ringmq_free(conn);
        return NULL;
    }
    if (status != RINGMQ_OK)
        conn->bad_option = reason;
    return conn;
}

void ringmq_free(struct ringmq *conn)
{
    if (conn == NULL)
        return;
    assert(!conn->in_callback);
    ringmq_close(conn);
    views_release(conn);
    ringmq_copy_free(conn->received);
    answers_drop_kept(conn);
    consumers_clear(&conn->consumers);
    calls_close(&conn->calls);
    buffer_close(&conn->output);
    endpoint_close(&conn->endpoint);
    free(conn->input);
    free(conn->settings.client_name);
    free(conn);
}

enum ringmq_state ringmq_state(const struct ringmq *conn)
{
    return conn->state;
}

const char *ringmq_endpoint(const struct ringmq *conn)
{
    return conn->endpoint.text == NULL ? "" : conn->endpoint.text;
}

struct ringmq_value ringmq_hello(const struct ringmq *conn)
{
    return ringmq_copy_value(conn->hello);
}

void ringmq_set_interrupt_fd(struct ringmq *conn, int fd)
{
    conn->interrupt_fd = fd;
}
