/* Connections at work: what is written arrives whole and in order, work is bounded, memory is given back. */
#include "tests/unit/net_fixture.h"

/* cmocka.h needs the headers before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Output that the socket takes only in pieces arrives whole, in order, and the door hears how far it has got. */
static void output_goes_out_in_pieces_as_the_peer_reads(void **state)
{
    struct fixture *f = *state;
    enum { BLOCKS = 2000 };
    static uint8_t data[30000];
    uint64_t total = 0;
    bool eof;

    fixture_request(f, 'K', BLOCKS);
    for (int i = 0; i < 100000 && total < BLOCKS * 1024; i++) {
        fixture_turns(f, 1);
        const size_t n = fixture_read(f, data, sizeof data, &eof);
        assert_false(eof);
        fixture_check_blocks(data, n, total);
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

    fixture_request(f, 'S', 5);
    fixture_turns(f, 1);
    assert_int_equal(f->session->request_count, 5);
    for (int i = 0; i < 10; i++) {
        fixture_turns(f, 1);
        total += fixture_read(f, data, sizeof data, &eof);
    }
    assert_int_equal(total, 5 * FIXTURE_SPLICE_BYTES);
    assert_int_equal(fixture_splices, 0);
}

/* However much one connection sends at once, a turn handles a bounded part, and the loop does not sleep over the
   rest. */
static void a_turn_handles_a_bounded_number_of_requests(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = net_memory(f->net);

    fixture_request(f, '.', 2 * NET_TURN_REQUESTS + 500);
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

    fixture_request(f, '.', NET_TURN_REQUESTS);
    fixture_request(f, 'K', 1);
    fixture_turns(f, 1);
    fixture_request(f, 'a', 1);
    fixture_turns(f, 4);
    assert_int_equal(fixture_read(f, data, sizeof data, &eof), 1025);
    assert_int_equal(data[1024], 'a');
}

/* A peer that does not read is no longer read either; when it takes its output, its requests go on where they
   stopped. */
static void requests_wait_while_their_answers_are_not_read(void **state)
{
    struct fixture *f = *state;
    enum { REQUESTS = 900 };
    static uint8_t data[REQUESTS * 1024];
    bool eof;
    size_t total = 0;

    fixture_request(f, 'K', REQUESTS);
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
    fixture_check_blocks(data, total, 0);
    fixture_turns(f, 2);
    assert_true(fixture_at_rest(f));
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
        fixture_request(f, 'K', 50);
        fixture_turns(f, 3);
        assert_int_equal(fixture_read(f, data, sizeof data, &eof), 50 * 1024);
    }
    fixture_turns(f, 2);
    /* The few warm areas are a constant, whatever the number of connections. */
    assert_true(net_memory(f->net) - before - f->net->warm_bytes < CONNECTIONS * 1024);
    assert_true(f->net->warm_bytes <= 8 * 1024 * 1024 + 1);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    close(f->fd);
    f->fd = -1;
    fixture_turns(f, 20);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(net_memory(f->net), FIXTURE_EMPTY_BYTES);
    assert_int_equal(f->net->warm_bytes, 0);
}

/* A connection whose warm area is given to others in the very turn in which it has new output loses none of that
   output. */
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
            fixture_check_blocks(data, 1024, (uint64_t)round * 1024);
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
        TEST(output_goes_out_in_pieces_as_the_peer_reads),    TEST(spliced_blocks_are_released_once_they_are_written),
        TEST(a_turn_handles_a_bounded_number_of_requests),    TEST(input_left_over_comes_before_new_input),
        TEST(requests_wait_while_their_answers_are_not_read), TEST(idle_connections_are_small),
        TEST(output_survives_the_hunt_for_warm_areas),        TEST(the_loop_sleeps_until_the_time_it_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
