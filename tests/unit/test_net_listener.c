/* Listeners: which addresses they take, what they leave alone, and how they bear a lack of descriptors. */
#include "tests/unit/net_fixture.h"

/* cmocka.h needs the headers before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct test {
    struct fixture fixture;
    char folder[64];
    char path[96]; /* of a socket in it */
};

static int setup(void **state)
{
    struct test *t = calloc(1, sizeof *t);

    assert_non_null(t);
    log_set_level(LOG_LEVEL_ERROR);
    snprintf(t->folder, sizeof t->folder, "/tmp/ringmq-test-XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    snprintf(t->path, sizeof t->path, "%s/socket", t->folder);
    fixture_open(&t->fixture);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    fixture_close(&t->fixture);
    unlink(t->path);
    assert_int_equal(rmdir(t->folder), 0);
    free(t);
    return 0;
}

/* A socket that is connected to the listener, or -1 with errno. */
static int dial(const struct address *to)
{
    const int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&to->storage, to->bytes) == 0)
        return fd;
    const int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int dial_path(const char *path)
{
    struct address to;

    assert_true(address_from_path(&to, path));
    return dial(&to);
}

/* Port 0 finds one port that is free on all the addresses. */
static void any_port_is_the_same_for_all_addresses(void **state)
{
    struct test *t = *state;
    const struct net *net = t->fixture.net;
    const char *const addresses[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
    struct net_error error;

    assert_true(net_listen(t->fixture.net, addresses, 3, 0, &error));
    assert_int_equal(net->listener_count, 3);
    const uint16_t port = address_port(&net->listeners[0].address);
    assert_int_not_equal(port, 0);
    assert_int_equal(address_port(&net->listeners[1].address), port);
    assert_int_equal(address_port(&net->listeners[2].address), port);
    const int fd = dial(&net->listeners[2].address);
    assert_true(fd >= 0);
    fixture_turns(&t->fixture, 1);
    assert_int_equal(net_connections(net), 1);
    close(fd);
}

/* If one address can't be had there is one clear sentence, and no listener is left behind. */
static void a_taken_port_is_an_error_with_the_address(void **state)
{
    struct test *t = *state;
    const char *const first[] = {"127.0.0.2"};
    const char *const both[] = {"127.0.0.1", "127.0.0.2"};
    struct net_error error;
    char expected[128];

    assert_true(net_listen(t->fixture.net, first, 1, 0, &error));
    const uint16_t port = address_port(&t->fixture.net->listeners[0].address);
    assert_false(net_listen(t->fixture.net, both, 2, port, &error));
    snprintf(expected, sizeof expected, "cannot listen on 127.0.0.2:%u: Address already in use", (unsigned)port);
    assert_string_equal(error.text, expected);
    assert_int_equal(t->fixture.net->listener_count, 1);
}

/* The socket file has the permissions asked for, and goes with its listener. */
static void a_unix_socket_has_its_mode_and_is_removed(void **state)
{
    struct test *t = *state;
    struct net_error error;
    struct stat there;

    assert_true(net_listen_unix(t->fixture.net, t->path, 0620, &error));
    assert_int_equal(lstat(t->path, &there), 0);
    assert_true(S_ISSOCK(there.st_mode));
    assert_int_equal(there.st_mode & 0777, 0620);
    const int fd = dial_path(t->path);
    assert_true(fd >= 0);
    fixture_turns(&t->fixture, 1);
    assert_int_equal(net_connections(t->fixture.net), 1);
    close(fd);
    net_listen_stop(t->fixture.net);
    assert_int_equal(lstat(t->path, &there), -1);
    assert_int_equal(errno, ENOENT);
}

/* A socket file that a dead server left is replaced. */
static void a_socket_file_without_a_listener_is_replaced(void **state)
{
    struct test *t = *state;
    struct address address;
    struct net_error error;

    assert_true(address_from_path(&address, t->path));
    const int left = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(left, (struct sockaddr *)&address.storage, address.bytes), 0);
    close(left);
    assert_true(net_listen_unix(t->fixture.net, t->path, 0600, &error));
    const int fd = dial_path(t->path);
    assert_true(fd >= 0);
    close(fd);
}

/* A socket on which somebody listens is left to him. */
static void a_socket_that_is_listened_on_is_not_taken(void **state)
{
    struct test *t = *state;
    struct fixture other;
    struct net_error error;

    fixture_open(&other);
    assert_true(net_listen_unix(other.net, t->path, 0600, &error));
    assert_false(net_listen_unix(t->fixture.net, t->path, 0600, &error));
    assert_non_null(strstr(error.text, t->path));
    assert_non_null(strstr(error.text, "Address already in use"));
    const int fd = dial_path(t->path);
    assert_true(fd >= 0);
    close(fd);
    fixture_close(&other);
}

/* A file that is no socket is never removed. */
static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct test *t = *state;
    struct net_error error;
    struct stat there;

    const int file = open(t->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    close(file);
    assert_false(net_listen_unix(t->fixture.net, t->path, 0600, &error));
    assert_non_null(strstr(error.text, "no socket"));
    assert_int_equal(lstat(t->path, &there), 0);
    assert_true(S_ISREG(there.st_mode));
}

/* Who has lost his socket file to another server does not remove the other's when he stops. */
static void the_socket_file_of_another_server_is_not_removed(void **state)
{
    struct test *t = *state;
    struct fixture other;
    struct net_error error;
    struct stat there;

    fixture_open(&other);
    assert_true(net_listen_unix(other.net, t->path, 0600, &error));
    assert_int_equal(unlink(t->path), 0);
    assert_true(net_listen_unix(t->fixture.net, t->path, 0600, &error));
    fixture_close(&other);
    assert_int_equal(lstat(t->path, &there), 0);
}

/* One connection too many is told so and closed; the others stay. */
static void a_connection_too_many_is_told_so(void **state)
{
    struct test *t = *state;
    struct net *net = t->fixture.net;
    struct net_limits limits = net->limits;
    struct net_error error;
    char text[8];

    limits.max_connections = 1;
    net_set_limits(net, &limits);
    assert_true(net_listen_unix(net, t->path, 0600, &error));
    const int first = dial_path(t->path);
    const int second = dial_path(t->path);
    assert_true(first >= 0 && second >= 0);
    fixture_turns(&t->fixture, 2);
    assert_int_equal(read(second, text, sizeof text), 3);
    assert_memory_equal(text, "bye", 3);
    assert_int_equal(read(second, text, sizeof text), 0);
    close(second);
    fixture_turns(&t->fixture, 2);
    assert_int_equal(net_connections(net), 1);
    assert_int_equal(net_counters(net)->refused, 1);
    assert_int_equal(write(first, "a", 1), 1);
    fixture_turns(&t->fixture, 2);
    assert_int_equal(read(first, text, sizeof text), 1);
    close(first);
}

/* Without descriptors accepting rests and the loop sleeps; the peer is served when there are some again. */
static void a_lack_of_descriptors_pauses_accepting(void **state)
{
    struct test *t = *state;
    struct net *net = t->fixture.net;
    struct rlimit limit;
    struct net_error error;

    assert_true(net_listen_unix(net, t->path, 0600, &error));
    const int peer = dial_path(t->path);
    assert_true(peer >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    fixture_turns(&t->fixture, 3);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(net_connections(net), 0);
    assert_true(net->accept_again_ms > net->now_ms);
    assert_false(ev_is_active(&net->listeners[0].io));
    assert_false(ev_is_active(&net->restless));
    assert_true(ev_is_active(&net->wake));
    net->accept_again_ms = net->now_ms - 1;
    fixture_turns(&t->fixture, 2);
    assert_int_equal(net_connections(net), 1);
    assert_int_equal(net->accept_again_ms, 0);
    close(peer);
}

/* Addresses are written in digits; their text is what a listening line shows. */
static void addresses_are_read_and_printed(void **state)
{
    static const struct {
        const char *text;
        const char *printed; /* NULL: refused */
    } rows[] = {
        {"127.0.0.1", "127.0.0.1:7464"},
        {"0.0.0.0", "0.0.0.0:7464"},
        {"::1", "[::1]:7464"},
        {"[::1]", "[::1]:7464"},
        {"2001:db8::7", "[2001:db8::7]:7464"},
        {"", NULL},
        {"localhost", NULL},
        {"127.1", NULL},
        {"1", NULL},
        {"[127.0.0.1]", NULL},
        {"127.0.0.1:80", NULL},
        {"[]", NULL},
        {"::1]", NULL},
    };
    struct address address;
    char text[ADDRESS_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool valid = address_parse(&address, rows[i].text, 7464);
        assert_int_equal(valid, rows[i].printed != NULL);
        assert_int_equal(net_address_valid(rows[i].text), valid);
        if (!valid)
            continue;
        address_print(&address, text);
        assert_string_equal(text, rows[i].printed);
        assert_int_equal(address_port(&address), 7464);
    }
    assert_true(net_address_valid("*"));
    assert_true(address_from_path(&address, "/run/ringmq.sock"));
    address_print(&address, text);
    assert_string_equal(text, "unix:/run/ringmq.sock");
    assert_int_equal(address_port(&address), 0);
    assert_false(address_from_path(&address, ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_port_is_the_same_for_all_addresses),           TEST(a_taken_port_is_an_error_with_the_address),
        TEST(a_unix_socket_has_its_mode_and_is_removed),        TEST(a_socket_file_without_a_listener_is_replaced),
        TEST(a_socket_that_is_listened_on_is_not_taken),        TEST(a_file_that_is_no_socket_is_left_alone),
        TEST(the_socket_file_of_another_server_is_not_removed), TEST(a_connection_too_many_is_told_so),
        TEST(a_lack_of_descriptors_pauses_accepting),           cmocka_unit_test(addresses_are_read_and_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
