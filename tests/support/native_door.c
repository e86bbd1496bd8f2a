#include "tests/support/native_door.h"

#include "protocol/encoder.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what the door asks of a server ------------------------------------------------------------------------------ */

static void set_limits(struct fixture *f)
{
    const struct options *o = &f->options;

    f->broker.limits = (struct broker_limits){
        .max_memory_bytes = o->max_memory,
        .max_message_bytes = o->max_message_bytes,
        .max_body_bytes = o->max_request_bytes - LIMIT_REQUEST_SLACK,
        .max_response_bytes = o->max_response_bytes,
        .max_batch = o->max_batch,
        .max_wait_ms = o->max_wait,
        .max_queues = o->max_queues,
    };
}

static void kill_session(void *user, struct session *session, const char *reason)
{
    struct fixture *f = user;

    snprintf(f->killed, sizeof f->killed, "%" PRIu64 " %s", session_id(session), reason);
}

static void options_changed(void *user)
{
    struct fixture *f = user;

    f->changed_count++;
    set_limits(f);
}

static void fill_status(void *user, struct server_status *out)
{
    (void)user;
    out->pid = 77;
    out->bytes_in = 5;
}

/* ---- setup ------------------------------------------------------------------------------------------------------- */

void door_connect(struct fixture *f, int client)
{
    struct client *c = &f->clients[client];
    char address[32];

    buffer_init(&c->out, native_release);
    buffer_init(&c->pushed, NULL);
    buffer_init(&c->answers, NULL);
    c->written_bytes = 0;
    c->stuck = false;
    c->reader = decoder_new(UINT32_MAX, NULL);
    snprintf(address, sizeof address, "10.0.0.%d:99", client + 1);
    c->session = session_open(&f->door, &c->out, address, c, f->now_ms);
    assert_non_null(c->session);
    assert_ptr_equal(session_user(c->session), c);
}

void door_close(struct fixture *f, int client)
{
    struct client *c = &f->clients[client];

    if (c->session == NULL)
        return;
    session_close(c->session, f->now_ms);
    c->session = NULL;
    buffer_close(&c->out);
    buffer_close(&c->pushed);
    buffer_close(&c->answers);
    decoder_free(c->reader);
}

int door_setup(void **state)
{
    const struct native_host host = {NULL, kill_session, options_changed, fill_status};
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->now_ms = 1000000;
    log_set_level(LOG_LEVEL_WARN);
    options_init(&f->options);
    f->options.max_memory = 256 * OPTION_MB;
    set_limits(f);
    const struct broker_limits limits = f->broker.limits;
    broker_init(&f->broker, &limits, f->now_ms, 5);
    f->broker.random = 5;
    f->broker.wall_offset_ms = WALL_OFFSET_MS;
    assert_true(native_init(&f->door, &f->broker, &f->options, &host));
    f->door.host.user = f;
    for (int client = 0; client < CLIENTS; client++)
        door_connect(f, client);
    *state = f;
    return 0;
}

int door_teardown(void **state)
{
    struct fixture *f = *state;

    for (int client = 0; client < CLIENTS; client++)
        door_close(f, client);
    native_close(&f->door);
    broker_close(&f->broker);
    free(f);
    return 0;
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static uint64_t place(void *user)
{
    const struct fixture *f = user;

    return f->place;
}

static void event_over(void *user)
{
    struct fixture *f = user;

    f->event_count++;
}

/* X(call, parameters): every call of a watcher that becomes one record. */
#define TOLD(X)                                                                                                      \
    X(queue_cb, (void *user, struct queue *q))                                                                       \
    X(queue_gone_cb, (void *user, struct queue *q))                                                                  \
    X(topic_cb, (void *user, struct topic *t))                                                                       \
    X(topic_gone_cb, (void *user, struct topic *t))                                                                  \
    X(subscribed_cb, (void *user, struct topic *t, struct subscription *s))                                          \
    X(unsubscribed_cb, (void *user, struct topic *t, struct subscription *s))                                        \
    X(stored_cb,                                                                                                     \
      (void *user, struct queue *q, struct message *m, enum message_state state, int64_t at_ms, bool copies_follow)) \
    X(undelivered_cb, (void *user, struct queue *q, struct message *m))                                              \
    X(ready_cb, (void *user, struct queue *q, struct message *m))                                                    \
    X(kicked_cb, (void *user, struct queue *q, struct message *m))                                                   \
    X(delayed_cb, (void *user, struct queue *q, struct message *m, int64_t at_ms))                                   \
    X(parked_cb, (void *user, struct queue *q, struct message *m, const struct slot *slot))                          \
    X(purged_cb, (void *user, struct queue *q, unsigned states))                                                     \
    X(dedup_cb, (void *user, struct queue *q, struct dedup *entry))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define X(call, parameters)            \
    static void told_##call parameters \
    {                                  \
        struct fixture *f = user;      \
        f->place++;                    \
    }
TOLD(X)
#undef X

/* Of what is told about several messages at once each counts. */
static void told_stored_run(void *user, struct queue *q, void *const *messages, uint32_t count)
{
    struct fixture *f = user;
    f->place += count;
}

static void told_gone(void *user, struct queue *q, uint64_t id, uint32_t count)
{
    struct fixture *f = user;
    f->place += count;
}

static void told_delivered(void *user, struct queue *q, uint64_t id, uint32_t count, int64_t at_ms)
{
    struct fixture *f = user;
    f->place += count;
}

static void on_cleared(void *user, struct message *m)
{
}

static void on_dedup_gone(void *user, struct dedup *entry)
{
}

static void on_event(void *user)
{
}
#pragma GCC diagnostic pop

void door_keep(struct fixture *f)
{
    f->watcher = (struct watcher){
        .user = f,
#define X(call, parameters) .call = told_##call,
        TOLD(X)
#undef X
            .stored_run_cb = told_stored_run,
        .gone_cb = told_gone,
        .delivered_cb = told_delivered,
        .cleared_cb = on_cleared,
        .dedup_gone_cb = on_dedup_gone,
        .event_cb = on_event,
    };
    f->broker.watcher = &f->watcher;
    f->log = (struct native_log){.user = f, .place_cb = place, .event_cb = event_over};
    native_keep(&f->door, &f->log);
}

/* ---- bytes in and out -------------------------------------------------------------------------------------------- */

size_t door_input(struct fixture *f, int client, const void *bytes, size_t count)
{
    uint32_t budget = 1000;

    return session_input(f->clients[client].session, f->now_ms, bytes, count, &budget);
}

static void print_line(struct buffer *out, const struct decoder *d, uint32_t node, struct wire_names *names)
{
    wire_print(out, d, node, names);
    buffer_append(out, "\n", 1);
}

/* [1, msgid, error, result] becomes "msgid result" or "msgid ! error"; [2, method, params] "method params". */
static void read_value(struct fixture *f, struct client *c)
{
    const struct decoder *d = c->reader;
    char head[64];

    assert_int_equal(d->nodes[0].type, NODE_ARRAY);
    if (d->nodes[1].value.uint == 1) {
        assert_int_equal(d->nodes[0].count, 4);
        const bool good = d->nodes[3].type == NODE_NIL;
        const uint32_t result = decoder_skip(d, 3);
        snprintf(head, sizeof head, "%" PRIu64 " %s", d->nodes[2].value.uint, good ? "" : "! ");
        buffer_append(&c->answers, head, strlen(head));
        if (!good)
            assert_int_equal(d->nodes[result].type, NODE_NIL);
        print_line(&c->answers, d, good ? result : 3, &f->names);
    } else {
        assert_int_equal(d->nodes[0].count, 3);
        snprintf(head, sizeof head, "%.*s ", (int)d->nodes[2].count, (const char *)decoder_bytes(d, &d->nodes[2]));
        buffer_append(&c->pushed, head, strlen(head));
        print_line(&c->pushed, d, 3, &f->names);
    }
}

static void read_bytes(struct fixture *f, struct client *c, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        size_t used;
        const enum decoder_result result = decoder_feed(c->reader, bytes, count, &used);
        assert_int_not_equal(result, DECODER_REFUSED);
        bytes += used;
        count -= used;
        if (result == DECODER_READY) {
            read_value(f, c);
            decoder_next(c->reader);
        }
    }
}

void door_write(struct fixture *f, int client, size_t bytes)
{
    struct client *c = &f->clients[client];
    struct iovec iov[64];
    size_t left = bytes < buffer_pending(&c->out) ? bytes : buffer_pending(&c->out);

    assert_false(c->out.failed);
    while (left > 0) {
        const int count = buffer_iovec(&c->out, iov, 64);
        size_t sent = 0;
        for (int i = 0; i < count && sent < left; i++) {
            const size_t part = iov[i].iov_len < left - sent ? iov[i].iov_len : left - sent;
            read_bytes(f, c, iov[i].iov_base, part);
            sent += part;
        }
        buffer_consume(&c->out, sent);
        c->written_bytes += sent;
        left -= sent;
    }
    session_written(c->session, f->now_ms, c->written_bytes);
}

static void touched(void *user, struct session *session)
{
    struct client *c = session_user(session);

    (void)user;
    c->touched_count++;
}

void door_turn(struct fixture *f)
{
    bool more = true;

    for (int turns = 0; more; turns++) {
        assert_true(turns < 10000);
        more = broker_turn(&f->broker, f->now_ms);
        native_effects(&f->door, f->now_ms, touched, f);
        broker_effects_done(&f->broker);
        native_safe(&f->door, f->safe, f->log_failed, touched, f);
        for (int client = 0; client < CLIENTS; client++) {
            if (f->clients[client].session != NULL && !f->clients[client].stuck)
                door_write(f, client, SIZE_MAX);
        }
        more = more || broker_next_ms(&f->broker) <= f->now_ms;
    }
}

void door_wait_ms(struct fixture *f, int64_t ms)
{
    f->now_ms += ms;
    door_turn(f);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void offer(struct fixture *f, int client, const struct buffer *request)
{
    assert_false(request->failed);
    assert_int_equal(door_input(f, client, request->data, request->bytes), request->bytes);
}

uint32_t door_ask(struct fixture *f, int client, const char *method, const char *params)
{
    struct buffer request;

    buffer_init(&request, NULL);
    encode_array(&request, 4);
    encode_uint(&request, 0);
    encode_uint(&request, ++f->last_msgid);
    encode_text(&request, method);
    wire_encode(&request, params, &f->names);
    offer(f, client, &request);
    buffer_close(&request);
    return f->last_msgid;
}

void door_notify(struct fixture *f, int client, const char *method, const char *params)
{
    struct buffer request;

    buffer_init(&request, NULL);
    encode_array(&request, 3);
    encode_uint(&request, 2);
    encode_text(&request, method);
    wire_encode(&request, params, &f->names);
    offer(f, client, &request);
    buffer_close(&request);
}

/* Copies the buffer's text out, terminated. */
static const char *text_of(struct fixture *f, const uint8_t *text, size_t bytes)
{
    assert_true(bytes < sizeof f->text);
    if (bytes > 0)
        memcpy(f->text, text, bytes);
    f->text[bytes] = '\0';
    return f->text;
}

const char *door_answer(struct fixture *f, int client, uint32_t msgid)
{
    struct buffer *answers = &f->clients[client].answers;
    char head[16];
    size_t at = 0;

    snprintf(head, sizeof head, "%" PRIu32 " ", msgid);
    while (at < answers->bytes) {
        const uint8_t *line = answers->data + at;
        const uint8_t *end = memchr(line, '\n', answers->bytes - at);
        const size_t bytes = (size_t)(end - line);
        if (bytes >= strlen(head) && memcmp(line, head, strlen(head)) == 0) {
            (void)text_of(f, line + strlen(head), bytes - strlen(head));
            memmove(answers->data + at, end + 1, answers->bytes - at - bytes - 1);
            answers->bytes -= bytes + 1;
            return f->text;
        }
        at += bytes + 1;
    }
    return "";
}

const char *door_call(struct fixture *f, int client, const char *method, const char *params)
{
    const uint32_t msgid = door_ask(f, client, method, params);

    door_turn(f);
    return door_answer(f, client, msgid);
}

const char *door_pushed(struct fixture *f, int client)
{
    struct buffer *text = &f->clients[client].pushed;

    (void)text_of(f, text->data, text->bytes);
    buffer_reset(text);
    return f->text;
}
