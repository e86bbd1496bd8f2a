/*
 * Configuration: the file's syntax and its errors with their lines, flags over the file, reload.
 */
#include "server/ops/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A file that goes away with the test. */
struct file {
    char path[64];
};

static void file_write(const struct file *f, const char *text)
{
    FILE *out = fopen(f->path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int file_setup(void **state)
{
    struct file *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/ringmq-test-config-XXXXXX");
    const int fd = mkstemp(f->path);
    close(fd);
    *state = f;
    return fd < 0;
}

static int file_teardown(void **state)
{
    struct file *f = *state;
    unlink(f->path);
    free(f);
    return 0;
}

/* config_load() with these arguments after the program's name, up to a NULL. */
#define ARGS_MAX 16
struct args {
    char *argv[ARGS_MAX];
    int argc;
};

static struct args args_of(const char *first, ...)
{
    struct args a = {.argv = {(char *)"ringmq-server"}, .argc = 1};
    va_list list;

    va_start(list, first);
    for (const char *arg = first; arg != NULL; arg = va_arg(list, const char *)) {
        assert_in_range(a.argc, 1, ARGS_MAX - 1);
        a.argv[a.argc++] = (char *)arg;
    }
    va_end(list);
    return a;
}

static bool all_equal(const struct options *a, const struct options *b)
{
    bool equal = true;
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        equal = equal && option_equal(a, b, (enum option_id)id);
    return equal;
}

/* ---- the file ---- */

static void check_parse(struct options *o, const char *text)
{
    struct option_error error = {""};

    options_init(o);
    if (config_parse(o, "t.conf", text, strlen(text), &error) != OPTION_OK)
        fail_msg("%s", error.text);
}

/* Blank lines, comments, indentation, quotes, CRLF and a missing last newline are all ordinary. */
static void ordinary_files_are_read(void **state)
{
    struct options o, defaults;

    (void)state;
    options_init(&defaults);
    check_parse(&o, "");
    assert_true(all_equal(&o, &defaults));
    check_parse(&o, "\n\n# port 1\n  \t\n#\n");
    assert_true(all_equal(&o, &defaults));
    check_parse(&o, "# header\r\nport 7000\r\n\r\n  max_memory\t64MB   # enough\r\nmax_wait \"30s\"");
    assert_int_equal(o.port, 7000);
    assert_int_equal(o.max_memory, 64 << 20);
    assert_int_equal(o.max_wait, 30000);
    check_parse(&o, "socket \"/run/my queue/#1\"");
    assert_string_equal(o.socket.text, "/run/my queue/#1");
    check_parse(&o, "socket '/run/\"q\"'\nlog_level debug\n");
    assert_string_equal(o.socket.text, "/run/\"q\"");
    assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
    check_parse(&o, "socket /run/q#1 #2\n");
    assert_string_equal(o.socket.text, "/run/q#1");
    check_parse(&o, "socket \"\"\n");
    assert_string_equal(o.socket.text, "");
}

/* The first bind replaces the default, each further one adds, in one line or in several. */
static void repeated_bind_adds(void **state)
{
    struct options o;

    (void)state;
    check_parse(&o, "bind 10.0.0.1\nport 1\nbind ::1 \"fe80::1%eth0\"\n");
    assert_int_equal(o.bind.count, 3);
    assert_string_equal(o.bind.words[0], "10.0.0.1");
    assert_string_equal(o.bind.words[1], "::1");
    assert_string_equal(o.bind.words[2], "fe80::1%eth0");
    check_parse(&o, "bind *");
    assert_int_equal(o.bind.count, 1);
    assert_string_equal(o.bind.words[0], "*");
}

static void check_refused(const char *text, size_t bytes, int result, const char *message)
{
    struct options o, before;
    struct option_error error;

    options_init(&o);
    before = o;
    assert_int_equal(config_parse(&o, "ringmq.conf", text, bytes, &error), result);
    assert_string_equal(error.text, message);
    assert_true(all_equal(&o, &before));
}

/* Each mistake is refused with file, line and reason, and nothing of the file is taken over. */
static void mistakes_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *message;
    } cases[] = {
        {"port 1\n\n\n\n\n\n\n\n\n\n\nmax_mem 64mb\n", OPTION_UNKNOWN_KEY,
         "ringmq.conf:12: unknown option 'max_mem'; did you mean 'max_memory'?"},
        {"port 1\r\nzebra 2\r\n", OPTION_UNKNOWN_KEY, "ringmq.conf:2: unknown option 'zebra'"},
        {"max-memory 1gb", OPTION_UNKNOWN_KEY,
         "ringmq.conf:1: unknown option 'max-memory'; did you mean 'max_memory'?"},
        {"port = 7000", OPTION_BAD_VALUE, "ringmq.conf:1: port: '=' is not a whole number"},
        {"\nport", OPTION_BAD_SYNTAX, "ringmq.conf:2: port needs a value"},
        {"port # 1", OPTION_BAD_SYNTAX, "ringmq.conf:1: port needs a value"},
        {"bind\n", OPTION_BAD_SYNTAX, "ringmq.conf:1: bind needs a value"},
        {"port 1 2", OPTION_BAD_SYNTAX, "ringmq.conf:1: port takes one value; put one with blanks in quotes"},
        {"socket \"/run/q", OPTION_BAD_SYNTAX, "ringmq.conf:1: socket: a quote must end where the value ends"},
        {"socket \"/run\"/q", OPTION_BAD_SYNTAX, "ringmq.conf:1: socket: a quote must end where the value ends"},
        {"\"port", OPTION_BAD_SYNTAX, "ringmq.conf:1: a quote is not closed"},
        {"port 1\nmax_wait 1s\nport 2", OPTION_BAD_SYNTAX, "ringmq.conf:3: port is already set in line 1"},
        {"max_memory 64mib", OPTION_BAD_VALUE,
         "ringmq.conf:1: max_memory: '64mib' is not a size: a number with b, kb, mb or gb"},
        {"max_memory 99999999999999gb", OPTION_OUT_OF_RANGE,
         "ringmq.conf:1: max_memory: '99999999999999gb' is out of range, allowed is 0 to 1048576gb"},
        {"port 70000", OPTION_OUT_OF_RANGE, "ringmq.conf:1: port: '70000' is out of range, allowed is 0 to 65535"},
        {"socket \"\x01\"", OPTION_BAD_VALUE, "ringmq.conf:1: socket: '?' is not text without control characters"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_refused(cases[i].text, strlen(cases[i].text), cases[i].result, cases[i].message);
    check_refused("port\0 1", 7, OPTION_UNKNOWN_KEY, "ringmq.conf:1: unknown option 'port?'; did you mean 'port'?");
}

/* A line of the largest size is read, a longer one is refused, also if it is a comment. */
static void a_line_too_long_is_refused(void **state)
{
    char text[CONFIG_LINE_BYTES + 3];
    struct options o;
    struct option_error error;

    (void)state;
    memset(text, '#', sizeof text);
    options_init(&o);
    memcpy(text + CONFIG_LINE_BYTES, "\r\n", 2);
    assert_int_equal(config_parse(&o, "f", text, CONFIG_LINE_BYTES + 2, &error), OPTION_OK);
    text[CONFIG_LINE_BYTES] = '#';
    check_refused(text, CONFIG_LINE_BYTES + 2, OPTION_BAD_SYNTAX, "ringmq.conf:1: the line is longer than 4096 bytes");
}

/* What cannot be read as a file is refused with its name and the system's reason. */
static void unreadable_files_are_refused(void **state)
{
    struct config c = {.path = "untouched"};
    struct option_error error;
    const struct file *f = *state;

    struct args a = args_of("/nonexistent/ringmq.conf", NULL);
    assert_int_equal(config_load(&c, a.argc, a.argv, &error), OPTION_UNREADABLE);
    assert_string_equal(error.text, "/nonexistent/ringmq.conf: No such file or directory");
    a = args_of("/", NULL);
    assert_int_equal(config_load(&c, a.argc, a.argv, &error), OPTION_UNREADABLE);
    assert_string_equal(error.text, "/: Is a directory");

    FILE *out = fopen(f->path, "w");
    for (int i = 0; i < CONFIG_FILE_BYTES + 1; i++)
        putc('\n', out);
    fclose(out);
    a = args_of(f->path, NULL);
    assert_int_equal(config_load(&c, a.argc, a.argv, &error), OPTION_UNREADABLE);
    assert_non_null(strstr(error.text, ": larger than 1048576 bytes"));
    assert_string_equal(c.path, "untouched");
    assert_int_equal(truncate(f->path, CONFIG_FILE_BYTES), 0);
    assert_int_equal(config_load(&c, a.argc, a.argv, &error), OPTION_OK);
}

/* ---- flags ---- */

static void load(struct config *c, const struct args *a)
{
    struct option_error error = {""};

    if (config_load(c, a->argc, a->argv, &error) != OPTION_OK)
        fail_msg("%s", error.text);
}

/* Flags win over the file, in every way of writing them; of a repeated flag the last one counts. */
static void flags_override_the_file(void **state)
{
    const struct file *f = *state;
    struct config c;

    file_write(f, "port 7000\nmax_wait 5s\nmax_batch 10\nbind 10.0.0.1\nbind 10.0.0.2\n");
    struct args a = args_of(f->path, "--port", "0", "--max-wait=6s", "--max_queues", "7", "--bind", "::1", "--bind",
                            "::2", "--port", "8000", "--socket=", NULL);
    load(&c, &a);
    assert_int_equal(c.action, CONFIG_RUN);
    assert_string_equal(c.path, f->path);
    assert_int_equal(c.options.port, 8000);
    assert_int_equal(c.options.max_wait, 6000);
    assert_int_equal(c.options.max_queues, 7);
    assert_int_equal(c.options.max_batch, 10);
    assert_int_equal(c.options.bind.count, 2);
    assert_string_equal(c.options.bind.words[0], "::1");
    assert_string_equal(c.options.bind.words[1], "::2");

    a = args_of(f->path, NULL);
    load(&c, &a);
    assert_int_equal(c.options.port, 7000);
    assert_int_equal(c.options.bind.count, 2);
    assert_string_equal(c.options.bind.words[0], "10.0.0.1");

    a = args_of(NULL, NULL);
    load(&c, &a);
    assert_null(c.path);
    assert_int_equal(c.options.port, PROTOCOL_PORT);
}

/* A flag may mend what would not fit in the file alone: values are held against each other at the end. */
static void the_cross_check_sees_file_and_flags_together(void **state)
{
    const struct file *f = *state;
    struct option_error error;
    struct config c;

    file_write(f, "max_message_bytes 32mb\n");
    struct args a = args_of(f->path, NULL);
    assert_int_equal(config_load(&c, a.argc, a.argv, &error), OPTION_CONFLICT);
    a = args_of(f->path, "--max_request_bytes", "33mb", NULL);
    load(&c, &a);
    assert_int_equal(c.options.max_message_bytes, 32 << 20);
}

static void check_flags_refused(struct args a, int result, const char *message)
{
    struct config c = {.path = "untouched"};
    struct option_error error;

    assert_int_equal(config_load(&c, a.argc, a.argv, &error), result);
    assert_string_equal(error.text, message);
    assert_string_equal(c.path, "untouched");
}

/* Wrong flags are named with their dashes. */
static void wrong_flags_are_refused(void **state)
{
    (void)state;
    check_flags_refused(args_of("--max-mem", "1gb", NULL), OPTION_UNKNOWN_KEY,
                        "unknown option '--max-mem'; did you mean '--max_memory'?");
    check_flags_refused(args_of("--prot=1", NULL), OPTION_UNKNOWN_KEY,
                        "unknown option '--prot'; did you mean '--port'?");
    check_flags_refused(args_of("--", NULL), OPTION_UNKNOWN_KEY, "unknown option '--'");
    check_flags_refused(args_of("--port", NULL), OPTION_BAD_SYNTAX, "--port needs a value");
    check_flags_refused(args_of("--socket", "--port", "1", NULL), OPTION_BAD_SYNTAX, "--socket needs a value");
    check_flags_refused(args_of("--port", "7x", NULL), OPTION_BAD_VALUE, "--port: '7x' is not a whole number");
    check_flags_refused(args_of("--max-batch=0", NULL), OPTION_OUT_OF_RANGE,
                        "--max_batch: '0' is out of range, allowed is 1 to 100000");
    check_flags_refused(args_of("--port", "1", "late.conf", NULL), OPTION_BAD_SYNTAX,
                        "unexpected 'late.conf': the file stands before all flags, and a flag is --key value");
    check_flags_refused(args_of("-p", "1", NULL), OPTION_BAD_SYNTAX,
                        "unexpected '-p': the file stands before all flags, and a flag is --key value");
    check_flags_refused(args_of("--test-config", "--max_request_bytes", "100kb", NULL), OPTION_CONFLICT,
                        "max_request_bytes 100kb is too small for max_message_bytes 1mb: it must be at least 1088kb "
                        "(64kb more)");
}

static enum config_action action_of(struct args a)
{
    struct config c;
    load(&c, &a);
    return c.action;
}

/* --help and --version are answered whatever else is wrong; --test-config reads everything. */
static void actions_are_recognised(void **state)
{
    struct option_error error;
    struct config c;

    (void)state;
    assert_int_equal(action_of(args_of("--help", NULL)), CONFIG_HELP);
    assert_int_equal(action_of(args_of("--version", NULL)), CONFIG_VERSION);
    assert_int_equal(action_of(args_of("/nonexistent", "--zebra", "--version", "--help", NULL)), CONFIG_HELP);
    assert_int_equal(action_of(args_of("--port", "1", "--test-config", "--max_batch", "5", NULL)), CONFIG_TEST);
    const struct args a = args_of("/nonexistent", "--test-config", NULL);
    assert_int_equal(config_load(&c, a.argc, a.argv, &error), OPTION_UNREADABLE);
}

/* ---- reload ---- */

/* Collects "key " for what was applied and "key! " for what waits for a restart. */
static void note_change(void *user, const struct option *row, bool applied)
{
    char *text = user;
    snprintf(text + strlen(text), 256 - strlen(text), "%s%s ", row->key, applied ? "" : "!");
}

/* A reload applies what can change at run time, keeps the rest, and reports both. */
static void reload_applies_what_it_can_and_reports_the_rest(void **state)
{
    const struct file *f = *state;
    struct option_error error;
    struct config c;
    char changes[256] = "";

    file_write(f, "port 7000\nmax_wait 5s\nlog_level info\n");
    const struct args a = args_of(f->path, "--max_batch", "10", NULL);
    load(&c, &a);
    assert_int_equal(config_reload(&c, note_change, changes, &error), OPTION_OK);
    assert_string_equal(changes, "");

    file_write(f, "port 7001\nbind ::1\nmax_wait 6s\nlog_level warn\nmax_batch 99\n");
    assert_int_equal(config_reload(&c, note_change, changes, &error), OPTION_OK);
    assert_string_equal(changes, "bind! port! max_wait log_level ");
    assert_int_equal(c.options.port, 7000);
    assert_string_equal(c.options.bind.words[0], "127.0.0.1");
    assert_int_equal(c.options.max_wait, 6000);
    assert_int_equal(c.options.log_level, LOG_LEVEL_WARN);
    assert_int_equal(c.options.max_batch, 10);

    /* What still waits is reported again; what was applied is not. */
    changes[0] = '\0';
    assert_int_equal(config_reload(&c, note_change, changes, &error), OPTION_OK);
    assert_string_equal(changes, "bind! port! ");
}

/* A value set at run time goes back to what file and flags say. */
static void reload_forgets_what_was_set_at_run_time(void **state)
{
    const struct file *f = *state;
    struct option_error error;
    struct config c;
    char changes[256] = "";

    file_write(f, "max_wait 5s\n");
    const struct args a = args_of(f->path, NULL);
    load(&c, &a);
    assert_int_equal(config_set(&c.options, "max_wait", 8, "7s", 2, &error), OPTION_OK);
    assert_int_equal(c.options.max_wait, 7000);
    assert_int_equal(config_reload(&c, note_change, changes, &error), OPTION_OK);
    assert_string_equal(changes, "max_wait ");
    assert_int_equal(c.options.max_wait, 5000);
}

/* A file with a mistake anywhere changes nothing and reports no change. */
static void reload_of_a_wrong_file_changes_nothing(void **state)
{
    const struct file *f = *state;
    struct option_error error;
    struct config c;
    char changes[256] = "", expected[128];

    file_write(f, "max_wait 5s\n");
    const struct args a = args_of(f->path, NULL);
    load(&c, &a);
    const struct options before = c.options;

    file_write(f, "max_wait 6s\nmax_batch many\n");
    assert_int_equal(config_reload(&c, note_change, changes, &error), OPTION_BAD_VALUE);
    snprintf(expected, sizeof expected, "%s:2: max_batch: 'many' is not a whole number", f->path);
    assert_string_equal(error.text, expected);
    file_write(f, "max_wait 6s\nmax_request_bytes 65kb\n");
    assert_int_equal(config_reload(&c, note_change, changes, &error), OPTION_CONFLICT);
    unlink(f->path);
    assert_int_equal(config_reload(&c, note_change, changes, &error), OPTION_UNREADABLE);
    assert_string_equal(changes, "");
    assert_true(all_equal(&c.options, &before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_files_are_read),
        cmocka_unit_test(repeated_bind_adds),
        cmocka_unit_test(mistakes_are_refused_with_their_line),
        cmocka_unit_test(a_line_too_long_is_refused),
        cmocka_unit_test_setup_teardown(unreadable_files_are_refused, file_setup, file_teardown),
        cmocka_unit_test_setup_teardown(flags_override_the_file, file_setup, file_teardown),
        cmocka_unit_test_setup_teardown(the_cross_check_sees_file_and_flags_together, file_setup, file_teardown),
        cmocka_unit_test(wrong_flags_are_refused),
        cmocka_unit_test(actions_are_recognised),
        cmocka_unit_test_setup_teardown(reload_applies_what_it_can_and_reports_the_rest, file_setup, file_teardown),
        cmocka_unit_test_setup_teardown(reload_forgets_what_was_set_at_run_time, file_setup, file_teardown),
        cmocka_unit_test_setup_teardown(reload_of_a_wrong_file_changes_nothing, file_setup, file_teardown),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
