/* Connections: what is written arrives whole and in order, work is bounded, and every way to end gives everything back. */
#include "tests/unit/net_fixture.h"

/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NET_EMPTY_BYTES NET_READ_BYTES

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    fixture_open(f);
    fixture_connect(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    free(f);
    return 0;
}

/* Sends so many requests of one kind. */
static void request(struct fixture *f, char kind, size_t count)
{
    char *requests = malloc(count);

    assert_non_null(requests);
    memset(requests, kind, count);
    fixture_send(f, requests, count);
    free(requests);
}

/* The bytes are those that the K requests of a connection were answered with, from byte first_byte on. */
static void check_blocks(const uint8_t *data, size_t bytes, uint64_t first_byte)
{
    char block[1025];

    for (size_t i = 0; i < bytes; i++) {
        const uint64_t at = first_byte + i;
        if (at % 1024 == 0 || i == 0)
            snprintf(block, sizeof block, "%01024llu", (unsigned long long)(at / 1024));
        assert_int_equal(data[i], block[at % 1024]);
    }
}

/* Output that the socket takes only in pieces arrives whole, in order, and the door hears how far it has got. */
static void output_goes_out_in_pieces_as_the_peer_reads(void **state)
{
    struct fixture *f = *state;
    enum { BLOCKS = 2000 };
    static uint8_t data[30000];
    uint64_t total = 0;
    bool eof;

    request(f, 'K', BLOCKS);
    for (int i = 0; i < 100000 && total < BLOCKS * 1024; i++) {
        fixture_turns(f, 1);
        const size_t n = fixture_read(f, data, sizeof data, &eof);
        assert_false(eof);
        check_blocks(data, n, total);
        total += n;
    }
    assert_int_equal(total, BLOCKS * 1024);
    fixture_turns(f, 2);
    assert_int_equal(f->session->written_bytes, BLOCKS * 1024);
    assert_true(fixture_at_rest(f));
}

/* Blocks that are referenced instead of copied are given back when they have been written. */
static void spliced_blocks_are_released_once_they_are_written(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[100000];
    bool eof;
    size_t total = 0;

    request(f, 'S', 5);
    fixture_turns(f, 1);
    assert_int_equal(f->session->request_count, 5);
    for (int i = 0; i < 10; i++) {
        fixture_turns(f, 1);
        total += fixture_read(f, data, sizeof data, &eof);
    }
    assert_int_equal(total, 5 * FIXTURE_SPLICE_BYTES);
    assert_int_equal(fixture_splices, 0);
}

/* A connection that is closed with blocks still to be written gives them back too (checked when the fixture closes). */
static void spliced_blocks_are_released_when_the_peer_vanishes(void **state)
{
    struct fixture *f = *state;

    request(f, 'S', 100);
    fixture_turns(f, 3);
    assert_true(fixture_splices > 0);
    close(f->fd);
    f->fd = -1;
    fixture_turns(f, 3);
    assert_int_equal(f->closed_count, 1);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(fixture_splices, 0);
}

/* However much one connection sends at once, a turn handles a bounded part, and the loop does not sleep over the rest. */
static void a_turn_handles_a_bounded_number_of_requests(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = net_memory(f->net);

    request(f, '.', 2 * NET_TURN_REQUESTS + 500);
    fixture_turns(f, 1);
    assert_int_equal(f->session->request_count, NET_TURN_REQUESTS);
    fixture_turns(f, 1);
    assert_true(ev_is_active(&f->net->restless));
    assert_int_equal(f->session->request_count, 2 * NET_TURN_REQUESTS);
    assert_int_equal(net_memory(f->net), before + NET_TURN_REQUESTS + 500);
    fixture_turns(f, 2);
    assert_int_equal(f->session->request_count, 2 * NET_TURN_REQUESTS + 500);
    assert_int_equal(f->most_requests, NET_TURN_REQUESTS);
    assert_int_equal(net_memory(f->net), before);
    assert_true(fixture_at_rest(f));
}

/* What arrives after a part that was left over is handled after it. */
static void input_left_over_comes_before_new_input(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[4096];
    bool eof;

    request(f, '.', NET_TURN_REQUESTS);
    request(f, 'K', 1);
    fixture_turns(f, 1);
    request(f, 'a', 1);
    fixture_turns(f, 4);
    assert_int_equal(fixture_read(f, data, sizeof data, &eof), 1025);
    assert_int_equal(data[1024], 'a');
}

/* A peer that does not read is no longer read either; when it takes its output, its requests go on where they stopped. */
static void requests_wait_while_their_answers_are_not_read(void **state)
{
    struct fixture *f = *state;
    enum { REQUESTS = 900 };
    static uint8_t data[REQUESTS * 1024];
    bool eof;
    size_t total = 0;

    request(f, 'K', REQUESTS);
    fixture_turns(f, 20);
    const uint64_t handled = f->session->request_count;
    assert_true(handled < REQUESTS);
    assert_true(net_output_pending(f->net));
    assert_false(ev_is_active(&f->net->restless));
    assert_true(ev_is_active(&f->net->wake));
    fixture_turns(f, 20);
    assert_int_equal(f->session->request_count, handled);
    for (int i = 0; i < 1000 && total < sizeof data; i++) {
        total += fixture_read(f, data + total, sizeof data - total, &eof);
        fixture_turns(f, 1);
    }
    assert_int_equal(total, sizeof data);
    check_blocks(data, total, 0);
    fixture_turns(f, 2);
    assert_true(fixture_at_rest(f));
}

/* The last words reach a peer whose own input was never read, and its side ends in a clean end of input. */
static void an_ending_connection_delivers_its_last_bytes(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[64];
    bool eof;

    request(f, 'E', 1);
    request(f, 'x', 100000);
    fixture_turns(f, 2);
    assert_int_equal(f->closed_count, 1);
    request(f, 'x', 1000);
    assert_int_equal(fixture_read(f, data, sizeof data, &eof), 3);
    assert_memory_equal(data, "bye", 3);
    assert_true(eof);
    fixture_turns(f, 2);
    assert_int_equal(net_connections(f->net), 1);
    close(f->fd);
    f->fd = -1;
    fixture_turns(f, 2);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(net_memory(f->net), NET_EMPTY_BYTES);
}

/* A peer that does not hang up after the last words is hung up on when its time is over. */
static void a_peer_that_never_hangs_up_is_closed_in_the_end(void **state)
{
    struct fixture *f = *state;

    request(f, 'E', 1);
    fixture_turns(f, 3);
    assert_true(ev_is_active(&f->net->wake));
    f->net->now_ms += 5000;
    connections_expire(f->net);
    assert_int_equal(net_connections(f->net), 1);
    f->net->now_ms += 1000;
    connections_expire(f->net);
    assert_int_equal(net_connections(f->net), 0);
}

/* Half-closing is going: the session ends at once, the answers to what was sent before still arrive. */
static void a_half_closed_connection_gets_its_answers(void **state)
{
    struct fixture *f = *state;
    enum { BLOCKS = 300 };
    static uint8_t data[BLOCKS * 1024];
    bool eof = false;
    size_t total = 0;

    request(f, 'K', BLOCKS);
    assert_int_equal(shutdown(f->fd, SHUT_WR), 0);
    for (int i = 0; i < 1000 && !eof; i++) {
        fixture_turns(f, 1);
        total += fixture_read(f, data + total, sizeof data - total + 1, &eof);
    }
    assert_int_equal(total, BLOCKS * 1024);
    check_blocks(data, total, 0);
    fixture_turns(f, 1);
    assert_int_equal(f->closed_count, 1);
    assert_int_equal(net_connections(f->net), 0);
}

/* A killed connection writes what it has, ends its session, and takes no further request. */
static void a_killed_connection_writes_what_it_has(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[64];
    bool eof;

    request(f, 'a', 10);
    fixture_turns(f, 1);
    connection_kill(f->session->connection);
    request(f, 'a', 10);
    fixture_turns(f, 3);
    assert_int_equal(f->closed_count, 1);
    assert_int_equal(fixture_read(f, data, sizeof data, &eof), 10);
    assert_true(eof);
}

/* Who takes nothing of the output that waits for it is disconnected after slow_client_ms, not before, and counted. */
static void a_peer_that_reads_nothing_is_disconnected(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[1];
    bool eof;

    request(f, 'K', 900);
    fixture_turns(f, 20);
    assert_true(net_output_pending(f->net));
    log_set_level(LOG_LEVEL_ERROR);
    f->net->now_ms += 60000;
    connections_expire(f->net);
    assert_int_equal(net_connections(f->net), 1);
    assert_int_equal(fixture_read(f, data, 1, &eof), 1);
    f->net->now_ms += 1;
    connections_expire(f->net);
    log_set_level(LOG_LEVEL_INFO);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(net_counters(f->net)->slow, 1);
    assert_int_equal(net_memory(f->net), NET_EMPTY_BYTES);
}

/* Half an answer is never sent: when the output buffer has failed the connection is gone, with nothing written. */
static void a_failed_buffer_closes_the_connection(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[64];
    bool eof;

    fixture_send(f, "aaaF", 4);
    fixture_turns(f, 2);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(fixture_read(f, data, sizeof data, &eof), 0);
    assert_true(eof);
}

/* Connections that have been busy and are so no more cost less than 1 KiB each, and nothing once they are gone. */
static void idle_connections_are_small(void **state)
{
    struct fixture *f = *state;
    enum { CONNECTIONS = 300 };
    static uint8_t data[64 * 1024];
    const uint64_t before = net_memory(f->net);
    int fds[CONNECTIONS];
    bool eof;

    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = f->fd;
        f->fd = -1;
        fixture_connect(f);
        request(f, 'K', 50);
        fixture_turns(f, 3);
        assert_int_equal(fixture_read(f, data, sizeof data, &eof), 50 * 1024);
    }
    fixture_turns(f, 2);
    /* The few warm areas are a constant, whatever the number of connections. */
    assert_true(net_memory(f->net) - before - f->net->warm_bytes < CONNECTIONS * 1024);
    assert_true(f->net->warm_bytes <= 4 * 1024 * 1024 + 1);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    close(f->fd);
    f->fd = -1;
    fixture_turns(f, 20);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(net_memory(f->net), NET_EMPTY_BYTES);
    assert_int_equal(f->net->warm_bytes, 0);
}

/* A connection whose warm area is given to others in the very turn in which it has new output loses none of that output. */
static void output_survives_the_hunt_for_warm_areas(void **state)
{
    struct fixture *f = *state;
    enum { CONNECTIONS = 70 };
    static uint8_t data[2048];
    int fds[CONNECTIONS];
    bool eof;

    for (int i = 0; i < CONNECTIONS; i++) {
        fixture_connect(f);
        fds[i] = f->fd;
        f->fd = -1;
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CONNECTIONS; i++)
            assert_int_equal(write(fds[i], "K", 1), 1);
        fixture_turns(f, 4);
        for (int i = 0; i < CONNECTIONS; i++) {
            f->fd = fds[i];
            assert_int_equal(fixture_read(f, data, sizeof data, &eof), 1024);
            check_blocks(data, 1024, (uint64_t)round * 1024);
        }
        f->fd = -1;
    }
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
}

/* A deadline of the program wakes the loop, not before it and once. */
static void the_loop_sleeps_until_the_time_it_was_told(void **state)
{
    struct fixture *f = *state;

    f->next_ms = net_now_ms(f->net) + 20;
    const int64_t due_ms = f->next_ms;
    fixture_turns(f, 1);
    const uint64_t before = net_counters(f->net)->turns;
    ev_run(f->net->loop, EVRUN_ONCE);
    assert_true(net_now_ms(f->net) > due_ms);
    assert_int_equal(net_counters(f->net)->turns, before + 1);
    f->next_ms = NET_NEVER;
    fixture_turns(f, 1);
    assert_true(fixture_at_rest(f));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(output_goes_out_in_pieces_as_the_peer_reads),
        TEST(spliced_blocks_are_released_once_they_are_written),
        TEST(spliced_blocks_are_released_when_the_peer_vanishes),
        TEST(a_turn_handles_a_bounded_number_of_requests),
        TEST(input_left_over_comes_before_new_input),
        TEST(requests_wait_while_their_answers_are_not_read),
        TEST(an_ending_connection_delivers_its_last_bytes),
        TEST(a_peer_that_never_hangs_up_is_closed_in_the_end),
        TEST(a_half_closed_connection_gets_its_answers),
        TEST(a_killed_connection_writes_what_it_has),
        TEST(a_peer_that_reads_nothing_is_disconnected),
        TEST(a_failed_buffer_closes_the_connection),
        TEST(idle_connections_are_small),
        TEST(output_survives_the_hunt_for_warm_areas),
        TEST(the_loop_sleeps_until_the_time_it_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
