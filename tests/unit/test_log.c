/*
 * Log lines: their form, escaping, levels, one write each, and the limit for lines that repeat.
 */
#include "server/ops/log.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct lines {
    unsigned count;
    char before_last[LOG_LINE_BYTES];
    char last[LOG_LINE_BYTES];
};

static void take_line(void *user, const char *line, size_t bytes)
{
    struct lines *lines = user;

    assert_int_equal(strlen(line), bytes);
    assert_in_range(bytes, 1, LOG_LINE_BYTES - 1);
    memcpy(lines->before_last, lines->last, sizeof lines->last);
    memcpy(lines->last, line, bytes + 1);
    lines->count++;
}

static int setup(void **state)
{
    static struct lines lines;

    memset(&lines, 0, sizeof lines);
    log_set_level(LOG_LEVEL_INFO);
    log_set_line_cb(take_line, &lines);
    *state = &lines;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_line_cb(NULL, NULL);
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

/* The text behind time, level and module. */
static const char *message_of(const struct lines *lines)
{
    const char *colon = strstr(lines->last, "net: ");
    assert_non_null(colon);
    return colon + 5;
}

/* A line has the time in UTC with milliseconds, the level in five columns, the module and the message. */
static void a_line_has_time_level_module_and_message(void **state)
{
    struct lines *lines = *state;
    regex_t form;

    assert_int_equal(regcomp(&form,
                             "^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "
                             "(info |error) net: connection opened id=7\n$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    log_info("net", "connection opened id=%d", 7);
    assert_int_equal(regexec(&form, lines->last, 0, NULL, 0), 0);
    log_error("net", "connection opened id=%d", 7);
    assert_int_equal(regexec(&form, lines->last, 0, NULL, 0), 0);
    regfree(&form);
}

/* Lines below the level are not written, lines at it and above are. */
static void the_level_decides_what_is_written(void **state)
{
    struct lines *lines = *state;

    for (unsigned level = 0; level < LOG_LEVEL_COUNT; level++) {
        log_set_level((enum log_level)level);
        lines->count = 0;
        log_debug("net", "x");
        log_info("net", "x");
        log_warn("net", "x");
        log_error("net", "x");
        assert_int_equal(lines->count, LOG_LEVEL_COUNT - level);
        assert_true(log_enabled((enum log_level)level));
        assert_true(level == 0 || !log_enabled((enum log_level)(level - 1)));
    }
}

/* Names of levels are read back as they are written, and nothing else is. */
static void levels_have_names(void **state)
{
    (void)state;
    for (unsigned level = 0; level < LOG_LEVEL_COUNT; level++) {
        const char *name = log_level_name((enum log_level)level);
        assert_int_equal(log_level_from_name(name, strlen(name)), level);
        assert_int_equal(log_level_from_name(name, strlen(name) - 1), LOG_LEVEL_COUNT);
    }
    assert_int_equal(log_level_from_name("", 0), LOG_LEVEL_COUNT);
}

/* Nothing in a text can start a new line or steer a terminal; other text, also UTF-8, comes out as it is. */
static void control_characters_are_escaped(void **state)
{
    struct lines *lines = *state;

    log_info("net", "client %s", "a\nb\r\tc\x1b[2J\x7f\x01");
    assert_string_equal(message_of(lines), "client a\\nb\\r\\tc\\x1b[2J\\x7f\\x01\n");
    log_info("net", "%s", "M\xc3\xbcller \xe2\x82\xac \\");
    assert_string_equal(message_of(lines), "M\xc3\xbcller \xe2\x82\xac \\\n");
    log_info("net", "%s",
             "\xc2\x9b"
             "2J \xc2\xa9 \xc2");
    assert_string_equal(message_of(lines), "\\xc2\\x9b"
                                           "2J \xc2\xa9 \xc2\n");
}

/* A text of any length gives one line that fits, marked where it was cut. */
static void long_lines_are_cut(void **state)
{
    struct lines *lines = *state;
    char text[3 * LOG_LINE_BYTES];

    for (size_t bytes = LOG_LINE_BYTES - 100; bytes < LOG_LINE_BYTES + 100; bytes++) {
        memset(text, bytes % 2 == 0 ? 'x' : '\x01', bytes);
        text[bytes] = '\0';
        log_info("net", "%s", text);
        const size_t length = strlen(lines->last);
        assert_int_equal(lines->last[length - 1], '\n');
        const bool cut = strcmp(lines->last + length - 4, "...\n") == 0;
        assert_true(cut || strlen(message_of(lines)) == bytes + 1);
        assert_true(cut || bytes % 2 == 0);
    }
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("net", "%s", text);
    assert_string_equal(lines->last + strlen(lines->last) - 5, "x...\n");
    assert_int_equal(lines->count, 201);
}

/* A line goes to the descriptor in one write: packets arrive whole. errno is kept. */
static void a_line_is_one_write(void **state)
{
    char packet[2 * LOG_LINE_BYTES];
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    log_set_line_cb(NULL, NULL);
    log_set_fd(pair[0]);
    errno = ENOENT;
    log_info("net", "first %d", 1);
    log_warn("net", "second %d", 2);
    assert_int_equal(errno, ENOENT);
    close(pair[0]);
    log_info("net", "a closed descriptor does no harm");
    assert_int_equal(errno, ENOENT);
    log_set_fd(STDERR_FILENO);

    ssize_t n = recv(pair[1], packet, sizeof packet, 0);
    assert_in_range(n, 1, LOG_LINE_BYTES);
    assert_memory_equal(packet + n - 13, "net: first 1\n", 13);
    n = recv(pair[1], packet, sizeof packet, 0);
    assert_in_range(n, 1, LOG_LINE_BYTES);
    assert_memory_equal(packet + n - 14, "net: second 2\n", 14);
    assert_int_equal(recv(pair[1], packet, sizeof packet, 0), 0);
    close(pair[1]);
}

/* So many lines a second pass; the first one of a later second tells how many did not. */
static void a_limit_passes_so_many_lines_a_second(void **state)
{
    struct log_limit limit = {.lines_per_second = 2};
    uint64_t suppressed = 99;

    (void)state;
    assert_true(log_limit_pass(&limit, 5000, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_true(log_limit_pass(&limit, 5400, &suppressed));
    for (uint64_t at = 5400; at < 6000; at += 100)
        assert_false(log_limit_pass(&limit, at, &suppressed));
    assert_true(log_limit_pass(&limit, 6000, &suppressed));
    assert_int_equal(suppressed, 6);
    assert_true(log_limit_pass(&limit, 6001, &suppressed));
    assert_int_equal(suppressed, 0);
    assert_false(log_limit_pass(&limit, 6999, &suppressed));
    assert_true(log_limit_pass(&limit, 60000, &suppressed));
    assert_int_equal(suppressed, 1);
}

/* The limited form writes what passes, and before the next line says what was left out. */
static void a_limited_line_tells_what_was_left_out(void **state)
{
    struct lines *lines = *state;
    struct log_limit limit = {.lines_per_second = 1};

    log_write_limited(&limit, LOG_LEVEL_DEBUG, "net", "below the level");
    assert_int_equal(limit.line_count, 0);
    log_write_limited(&limit, LOG_LEVEL_WARN, "net", "refused id=%d", 1);
    assert_string_equal(message_of(lines), "refused id=1\n");
    assert_int_equal(lines->count, 1);

    /* A second that began long ago stands for waiting. */
    limit.suppressed_count = 41;
    limit.second_at_ms -= 1000;
    log_write_limited(&limit, LOG_LEVEL_WARN, "net", "refused id=%d", 2);
    assert_string_equal(message_of(lines), "refused id=2\n");
    assert_int_equal(lines->count, 3);
    assert_non_null(strstr(lines->before_last, " warn  net: lines like the next were left out count=41\n"));
    assert_int_equal(limit.suppressed_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_level_module_and_message, setup, teardown),
        cmocka_unit_test_setup_teardown(the_level_decides_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(levels_have_names, setup, teardown),
        cmocka_unit_test_setup_teardown(control_characters_are_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line_is_one_write, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_passes_so_many_lines_a_second, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limited_line_tells_what_was_left_out, setup, teardown),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
