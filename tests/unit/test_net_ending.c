/* How connections end: whoever is to get last bytes gets them, and everything is given back. */
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

/* The last words reach a peer whose own input was never read, and its side ends in a clean end of input. */
static void an_ending_connection_delivers_its_last_bytes(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[64];
    bool eof;

    fixture_request(f, 'E', 1);
    fixture_request(f, 'x', 100000);
    fixture_turns(f, 2);
    assert_int_equal(f->closed_count, 1);
    fixture_request(f, 'x', 1000);
    assert_int_equal(fixture_read(f, data, sizeof data, &eof), 3);
    assert_memory_equal(data, "bye", 3);
    assert_true(eof);
    fixture_turns(f, 2);
    assert_int_equal(net_connections(f->net), 1);
    close(f->fd);
    f->fd = -1;
    fixture_turns(f, 2);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(net_memory(f->net), FIXTURE_EMPTY_BYTES);
}

/* A peer that does not hang up after the last words is hung up on when its time is over. */
static void a_peer_that_never_hangs_up_is_closed_in_the_end(void **state)
{
    struct fixture *f = *state;

    fixture_request(f, 'E', 1);
    fixture_turns(f, 3);
    assert_true(ev_is_active(&f->net->wake));
    f->net->now_ms = connections_next_ms(f->net);
    connections_expire(f->net);
    assert_int_equal(net_connections(f->net), 1);
    f->net->now_ms += 1;
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

    fixture_request(f, 'K', BLOCKS);
    assert_int_equal(shutdown(f->fd, SHUT_WR), 0);
    for (int i = 0; i < 1000 && !eof; i++) {
        fixture_turns(f, 1);
        total += fixture_read(f, data + total, sizeof data - total + 1, &eof);
    }
    assert_int_equal(total, BLOCKS * 1024);
    fixture_check_blocks(data, total, 0);
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

    fixture_request(f, 'a', 10);
    fixture_turns(f, 1);
    connection_kill(f->session->connection);
    fixture_request(f, 'a', 10);
    fixture_turns(f, 3);
    assert_int_equal(f->closed_count, 1);
    assert_int_equal(fixture_read(f, data, sizeof data, &eof), 10);
    assert_true(eof);
}

/* A killed connection whose peer takes none of its last output is closed when its time is over. */
static void a_killed_connection_that_is_not_read_is_closed_in_the_end(void **state)
{
    struct fixture *f = *state;

    fixture_request(f, 'K', 900);
    fixture_turns(f, 20);
    connection_kill(f->session->connection);
    fixture_turns(f, 2);
    assert_int_equal(f->closed_count, 1);
    assert_true(net_output_pending(f->net));
    assert_true(ev_is_active(&f->net->wake));
    f->net->now_ms = connections_next_ms(f->net) + 1;
    connections_expire(f->net);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(net_memory(f->net), FIXTURE_EMPTY_BYTES);
}

/* Who takes nothing of the output that waits for it is disconnected after slow_client_ms, not before, and counted. */
static void a_peer_that_reads_nothing_is_disconnected(void **state)
{
    struct fixture *f = *state;
    static uint8_t data[1];
    bool eof;

    fixture_request(f, 'K', 900);
    fixture_turns(f, 20);
    assert_true(net_output_pending(f->net));
    log_set_level(LOG_LEVEL_ERROR);
    f->net->now_ms = connections_next_ms(f->net);
    connections_expire(f->net);
    assert_int_equal(net_connections(f->net), 1);
    assert_int_equal(fixture_read(f, data, 1, &eof), 1);
    f->net->now_ms += 1;
    connections_expire(f->net);
    log_set_level(LOG_LEVEL_INFO);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(net_counters(f->net)->slow, 1);
    assert_int_equal(net_memory(f->net), FIXTURE_EMPTY_BYTES);
}

/* A connection that is closed with blocks still to be written gives them back too (checked when the fixture closes). */
static void spliced_blocks_are_released_when_the_peer_vanishes(void **state)
{
    struct fixture *f = *state;

    fixture_request(f, 'S', 100);
    fixture_turns(f, 3);
    assert_true(fixture_splices > 0);
    close(f->fd);
    f->fd = -1;
    fixture_turns(f, 3);
    assert_int_equal(f->closed_count, 1);
    assert_int_equal(net_connections(f->net), 0);
    assert_int_equal(fixture_splices, 0);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ending_connection_delivers_its_last_bytes),
        TEST(a_peer_that_never_hangs_up_is_closed_in_the_end),
        TEST(a_half_closed_connection_gets_its_answers),
        TEST(a_killed_connection_writes_what_it_has),
        TEST(a_killed_connection_that_is_not_read_is_closed_in_the_end),
        TEST(a_peer_that_reads_nothing_is_disconnected),
        TEST(spliced_blocks_are_released_when_the_peer_vanishes),
        TEST(a_failed_buffer_closes_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
