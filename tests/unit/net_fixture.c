#include "tests/unit/net_fixture.h"

/* cmocka.h needs the headers before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fixture_splices;

static void release_splice(void *owner)
{
    (void)owner;
    fixture_splices--;
}

static struct session *open_session(void *user, struct connection *connection, struct buffer *out, const char *address,
                                    int64_t now_ms)
{
    struct fixture *f = user;
    struct session *session = calloc(1, sizeof *session);

    (void)address;
    (void)now_ms;
    assert_non_null(session);
    *session = (struct session){.fixture = f, .connection = connection, .out = out};
    f->session = session;
    f->opened_count++;
    return session;
}

static void handle(struct session *session, uint8_t request)
{
    static const uint8_t splice[FIXTURE_SPLICE_BYTES];
    char block[1025];

    session->request_count++;
    switch (request) {
    case 'a':
        buffer_append(session->out, "a", 1);
        break;
    case 'K':
        snprintf(block, sizeof block, "%01024llu", (unsigned long long)session->block_count++);
        buffer_append(session->out, block, 1024);
        break;
    case 'S':
        fixture_splices++;
        buffer_splice(session->out, splice, sizeof splice, session);
        break;
    case 'E':
        buffer_append(session->out, "bye", 3);
        session->ending = true;
        break;
    case 'F':
        session->out->failed = true;
        break;
    default:
        break;
    }
}

static size_t input(struct session *session, int64_t now_ms, const void *from, size_t bytes, uint32_t *budget)
{
    const uint8_t *requests = from;
    size_t used = 0;

    (void)now_ms;
    while (used<bytes && * budget> 0 && !session->ending && buffer_pending(session->out) <= FIXTURE_MAX_OUTPUT) {
        handle(session, requests[used++]);
        --*budget;
    }
    if (used > session->fixture->most_requests)
        session->fixture->most_requests = used;
    return used;
}

static bool ending(const struct session *session)
{
    return session->ending;
}

static void written(struct session *session, int64_t now_ms, uint64_t total_bytes)
{
    (void)now_ms;
    assert_true(total_bytes > session->written_bytes);
    session->written_bytes = total_bytes;
}

static void refuse(struct session *session)
{
    handle(session, 'E');
}

static void close_session(struct session *session, int64_t now_ms)
{
    (void)now_ms;
    session->fixture->closed_count++;
    if (session->fixture->session == session)
        session->fixture->session = NULL;
    free(session);
}

static size_t memory(const struct session *session)
{
    return sizeof *session;
}

static int64_t end_turn(void *user, int64_t now_ms)
{
    struct fixture *f = user;

    (void)now_ms;
    net_flush(f->net);
    return f->next_ms;
}

void fixture_open(struct fixture *f)
{
    const struct net_door door = {
        .user = f,
        .open_cb = open_session,
        .input_cb = input,
        .ending_cb = ending,
        .written_cb = written,
        .refuse_cb = refuse,
        .close_cb = close_session,
        .memory_cb = memory,
        .release_cb = release_splice,
        .turn_cb = end_turn,
    };
    const struct net_limits limits = {
        .max_connections = 100, .max_output_bytes = FIXTURE_MAX_OUTPUT, .slow_client_ms = 60000, .keepalive_ms = 60000};

    *f = (struct fixture){.next_ms = NET_NEVER, .fd = -1};
    f->net = net_open(&door, &limits);
    assert_non_null(f->net);
}

void fixture_close(struct fixture *f)
{
    if (f->fd >= 0)
        close(f->fd);
    net_close(f->net);
    assert_int_equal(f->opened_count, f->closed_count);
    assert_int_equal(fixture_splices, 0);
}

void fixture_connect(struct fixture *f)
{
    const struct address nobody = {.storage = {.ss_family = AF_UNIX}};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    connection_open(f->net, pair[0], &nobody, false);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = pair[1];
    fixture_turns(f, 1);
}

void fixture_turns(struct fixture *f, int count)
{
    while (count-- > 0)
        ev_run(f->net->loop, EVRUN_NOWAIT);
}

void fixture_send(const struct fixture *f, const void *data, size_t bytes)
{
    assert_int_equal(write(f->fd, data, bytes), bytes);
}

size_t fixture_read(const struct fixture *f, uint8_t *to, size_t max, bool *eof)
{
    size_t total = 0;

    *eof = false;
    while (total < max) {
        const ssize_t n = read(f->fd, to + total, max - total);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            break;
        }
        if (n == 0) {
            *eof = true;
            break;
        }
        total += (size_t)n;
    }
    return total;
}

bool fixture_at_rest(const struct fixture *f)
{
    return !ev_is_active(&f->net->restless) && !ev_is_active(&f->net->wake);
}

void fixture_request(const struct fixture *f, char kind, size_t count)
{
    char *requests = malloc(count);

    assert_non_null(requests);
    memset(requests, kind, count);
    fixture_send(f, requests, count);
    free(requests);
}

void fixture_check_blocks(const uint8_t *data, size_t bytes, uint64_t first_byte)
{
    char block[1025];

    for (size_t i = 0; i < bytes; i++) {
        const uint64_t at = first_byte + i;
        if (at % 1024 == 0 || i == 0)
            snprintf(block, sizeof block, "%01024llu", (unsigned long long)(at / 1024));
        assert_int_equal(data[i], block[at % 1024]);
    }
}
