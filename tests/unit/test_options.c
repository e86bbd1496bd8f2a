/*
 * Options: every row is sound, texts and values are each other's inverse, a refusal says what, where and why, and
 * conf/ringmq.conf lists exactly the options that exist.
 *
 * The sample file is derived from the rows. After a change of them this writes it anew:
 *     RINGMQ_UPDATE=1 build/tests/unit/test_options
 */
#include "server/ops/config.h"
#include "server/ops/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set(struct options *o, const char *key, const char *text, struct option_error *error)
{
    const enum option_id id = option_find(key, strlen(key));
    assert_int_not_equal(id, OPTION_COUNT);
    return option_set(o, id, text, strlen(text), error);
}

/* ---- rows ---- */

/* Every default parses, lies in its range, is written canonically, and all of them fit each other. */
static void defaults_are_sound(void **state)
{
    struct options defaults;
    struct option_error error;
    char text[OPTION_PRINT_BYTES];

    (void)state;
    options_init(&defaults);
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const struct option *row = option_row((enum option_id)id);
        struct options o = defaults;
        assert_int_equal(set(&o, row->key, row->default_text, &error), OPTION_OK);
        option_print(&o, (enum option_id)id, text);
        assert_string_equal(text, row->default_text);
        assert_int_equal(option_find(row->key, strlen(row->key)), id);
    }
    assert_int_equal(options_check(&defaults, &error), OPTION_OK);
    assert_int_equal(defaults.port, PROTOCOL_PORT);
    assert_int_equal(defaults.max_message_bytes, 1 << 20);
    assert_int_equal(defaults.socket_mode, 0660);
    assert_int_equal(defaults.log_level, LOG_LEVEL_INFO);
    assert_int_equal(defaults.bind.count, 1);
    assert_string_equal(defaults.bind.words[0], "127.0.0.1");
    assert_string_equal(defaults.socket.text, "");
}

static void check_identity(const char *key, const char *text)
{
    struct options a, b;
    struct option_error error;
    char printed[OPTION_PRINT_BYTES];
    const enum option_id id = option_find(key, strlen(key));

    options_init(&a);
    options_init(&b);
    assert_int_equal(set(&a, key, text, &error), OPTION_OK);
    option_print(&a, id, printed);
    assert_int_equal(set(&b, key, printed, &error), OPTION_OK);
    assert_true(option_equal(&a, &b, id));
}

/* Printing a value and parsing the text gives the value back, at both ends of each range and in between. */
static void printing_and_parsing_is_identity(void **state)
{
    char text[UNITS_PRINT_BYTES];

    (void)state;
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const struct option *row = option_row((enum option_id)id);
        if (row->type != OPTION_TYPE_BYTES && row->type != OPTION_TYPE_MS && row->type != OPTION_TYPE_COUNT)
            continue;
        const uint64_t values[] = {row->min, row->min + 1, row->min + (row->max - row->min) / 3, row->max - 1,
                                   row->max};
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            units_print(UNITS_COUNT, values[i], text);
            check_identity(row->key, text);
        }
    }
    check_identity("bind", "127.0.0.1 ::1");
    check_identity("bind", "*");
    check_identity("socket", "");
    check_identity("socket", "/run/a path with blanks # and more");
    check_identity("socket_mode", "0");
    check_identity("socket_mode", "777");
    for (unsigned level = 0; level < LOG_LEVEL_COUNT; level++)
        check_identity("log_level", log_level_name((enum log_level)level));
    for (unsigned durability = 0; durability < DURABILITY_COUNT; durability++)
        check_identity("durability", durability_name((enum durability)durability));
    check_identity("log_failure", "stay");
    check_identity("log_failure", "exit");
}

/* Just outside its range a number is refused; at its ends it is taken. */
static void ranges_are_exact(void **state)
{
    struct options o;
    struct option_error error;
    char text[UNITS_PRINT_BYTES];

    (void)state;
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const struct option *row = option_row((enum option_id)id);
        if (row->type != OPTION_TYPE_BYTES && row->type != OPTION_TYPE_MS && row->type != OPTION_TYPE_COUNT)
            continue;
        options_init(&o);
        units_print(UNITS_COUNT, row->max + 1, text);
        assert_int_equal(set(&o, row->key, text, &error), OPTION_OUT_OF_RANGE);
        units_print(UNITS_COUNT, row->max, text);
        assert_int_equal(set(&o, row->key, text, &error), OPTION_OK);
        units_print(UNITS_COUNT, row->min, text);
        assert_int_equal(set(&o, row->key, text, &error), OPTION_OK);
        if (row->min == 0)
            continue;
        units_print(UNITS_COUNT, row->min - 1, text);
        assert_int_equal(set(&o, row->key, text, &error), OPTION_OUT_OF_RANGE);
    }
}

/* The longest values fit, one byte more is refused. */
static void texts_and_lists_end_at_their_limits(void **state)
{
    struct options o;
    struct option_error error;
    char text[OPTION_PRINT_BYTES + 1];
    char printed[OPTION_PRINT_BYTES];

    (void)state;
    options_init(&o);
    memset(text, 'x', 108);
    assert_int_equal(option_set(&o, OPTION_socket, text, 107, &error), OPTION_OK);
    assert_int_equal(strlen(o.socket.text), 107);
    assert_int_equal(option_set(&o, OPTION_socket, text, 108, &error), OPTION_OUT_OF_RANGE);
    assert_int_equal(strlen(o.socket.text), 107);

    memset(text, 'x', sizeof text);
    for (size_t i = 1; i < OPTION_LIST_WORDS; i++)
        text[i * OPTION_WORD_BYTES - 1] = i % 2 == 0 ? ' ' : '\t';
    const size_t all = OPTION_LIST_WORDS * OPTION_WORD_BYTES - 1;
    assert_int_equal(option_set(&o, OPTION_bind, text, all, &error), OPTION_OK);
    assert_int_equal(o.bind.count, OPTION_LIST_WORDS);
    option_print(&o, OPTION_bind, printed);
    assert_int_equal(strlen(printed), all);
    assert_int_equal(option_set(&o, OPTION_bind, text, all + 1, &error), OPTION_OUT_OF_RANGE);
    assert_int_equal(option_add(&o, OPTION_bind, "::1", 3, &error), OPTION_OUT_OF_RANGE);
    assert_int_equal(option_set(&o, OPTION_bind, "  ", 2, &error), OPTION_OUT_OF_RANGE);
    assert_int_equal(o.bind.count, OPTION_LIST_WORDS);
}

/* ---- refusals ---- */

static void check_refusal(const char *key, const char *text, int result, const char *message)
{
    struct options o, before;
    struct option_error error;

    options_init(&o);
    before = o;
    assert_int_equal(set(&o, key, text, &error), result);
    assert_string_equal(error.text, message);
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        assert_true(option_equal(&o, &before, (enum option_id)id));
}

/* A refused value is named with its key and with what would be right, and changes nothing. */
static void refusals_name_key_value_and_what_is_allowed(void **state)
{
    (void)state;
    check_refusal("max_memory", "64mib", OPTION_BAD_VALUE,
                  "max_memory: '64mib' is not a size: a number with b, kb, mb or gb");
    check_refusal("max_wait", "20sec", OPTION_BAD_VALUE,
                  "max_wait: '20sec' is not a time: a number with ms, s, m, h or d");
    check_refusal("port", "http", OPTION_BAD_VALUE, "port: 'http' is not a whole number");
    check_refusal("port", "65536", OPTION_OUT_OF_RANGE, "port: '65536' is out of range, allowed is 0 to 65535");
    check_refusal("max_wait", "2h", OPTION_OUT_OF_RANGE, "max_wait: '2h' is out of range, allowed is 0 to 1h");
    check_refusal("max_batch", "99999999999999999999", OPTION_OUT_OF_RANGE,
                  "max_batch: '99999999999999999999' is out of range, allowed is 1 to 100000");
    check_refusal("socket_mode", "0888", OPTION_BAD_VALUE, "socket_mode: '0888' is not a mode in octal digits");
    check_refusal("socket_mode", "1777", OPTION_OUT_OF_RANGE,
                  "socket_mode: '1777' is out of range, allowed is 0000 to 0777");
    check_refusal("durability", "sync", OPTION_BAD_VALUE,
                  "durability: 'sync' is not auto, none, os, interval or fsync");
    check_refusal("log_failure", "", OPTION_BAD_VALUE, "log_failure: '' is not stay or exit");
    check_refusal("log_level", "loud", OPTION_BAD_VALUE, "log_level: 'loud' is not debug, info, warn or error");
    check_refusal("socket", "/run/\x1b[2J", OPTION_BAD_VALUE,
                  "socket: '/run/?[2J' is not text without control characters");
    check_refusal("bind", "::1\n", OPTION_BAD_VALUE, "bind: '::1?' is not text without control characters");
}

/* A long value is cut in the message, and no byte of it can be anything but printable ASCII there. */
static void refusals_are_short_and_printable(void **state)
{
    struct options o;
    struct option_error error;
    char text[5000];

    (void)state;
    options_init(&o);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 127 % 256);
    assert_int_equal(option_set(&o, OPTION_port, text, sizeof text, &error), OPTION_BAD_VALUE);
    assert_true(strlen(error.text) < 120);
    assert_non_null(strstr(error.text, "...' is not a whole number"));
    for (const char *at = error.text; *at != '\0'; at++)
        assert_in_range(*at, 0x20, 0x7e);
}

static void check_nearest(const char *key, const char *message)
{
    struct option_error error;

    assert_int_equal(option_fail_unknown(&error, "", key, strlen(key)), OPTION_UNKNOWN_KEY);
    assert_string_equal(error.text, message);
}

/* An unknown key comes with the one that was probably meant, and with none if nothing is near. */
static void unknown_keys_get_a_suggestion(void **state)
{
    struct option_error error;
    char long_key[200];

    (void)state;
    check_nearest("max_mem", "unknown option 'max_mem'; did you mean 'max_memory'?");
    check_nearest("max-memory", "unknown option 'max-memory'; did you mean 'max_memory'?");
    check_nearest("Prot", "unknown option 'Prot'; did you mean 'port'?");
    check_nearest("bnid", "unknown option 'bnid'; did you mean 'bind'?");
    check_nearest("drain_timout", "unknown option 'drain_timout'; did you mean 'drain_timeout'?");
    check_nearest("zebra", "unknown option 'zebra'");
    check_nearest("", "unknown option ''");
    memset(long_key, 'k', sizeof long_key);
    assert_int_equal(option_fail_unknown(&error, "--", long_key, sizeof long_key), OPTION_UNKNOWN_KEY);
    assert_true(strlen(error.text) < 100);
}

/* A request must have room for the largest body and 64kb: one byte less is a conflict that says what would do. */
static void sizes_must_fit_each_other(void **state)
{
    struct options o;
    struct option_error error;

    (void)state;
    options_init(&o);
    assert_int_equal(set(&o, "max_message_bytes", "1mb", &error), OPTION_OK);
    assert_int_equal(set(&o, "max_request_bytes", "1088kb", &error), OPTION_OK);
    assert_int_equal(options_check(&o, &error), OPTION_OK);
    assert_int_equal(set(&o, "max_request_bytes", "1114111b", &error), OPTION_OK);
    assert_int_equal(options_check(&o, &error), OPTION_CONFLICT);
    assert_string_equal(error.text, "max_request_bytes 1114111b is too small for max_message_bytes 1mb: it must be at "
                                    "least 1088kb (64kb more)");
}

static void check_durability(const char *dir, const char *durability, const char *in_force, const char *conflict)
{
    struct options o;
    struct option_error error = {""};

    options_init(&o);
    assert_int_equal(set(&o, "dir", dir, &error), OPTION_OK);
    assert_int_equal(set(&o, "durability", durability, &error), OPTION_OK);
    assert_int_equal(options_check(&o, &error), conflict != NULL ? OPTION_CONFLICT : OPTION_OK);
    if (conflict != NULL)
        assert_string_equal(error.text, conflict);
    else
        assert_string_equal(durability_name(options_durability(&o)), in_force);
}

/* With a directory the default is fsync, without one none; what does not go together is refused. */
static void durability_goes_with_a_directory(void **state)
{
    (void)state;
    check_durability("", "auto", "none", NULL);
    check_durability("", "none", "none", NULL);
    check_durability("/d", "auto", "fsync", NULL);
    check_durability("/d", "os", "os", NULL);
    check_durability("/d", "interval", "interval", NULL);
    check_durability("/d", "fsync", "fsync", NULL);
    check_durability("", "os", NULL, "durability os needs a dir in which the log can lie");
    check_durability("", "fsync", NULL, "durability fsync needs a dir in which the log can lie");
    check_durability("/d", "none", NULL, "durability none and dir exclude each other: leave out dir to keep nothing");
}

/* ---- texts ---- */

static FILE *open_sample(const char *mode)
{
    const char *source = getenv("RINGMQ_SOURCE");
    char path[4096];

    snprintf(path, sizeof path, "%s/conf/ringmq.conf", source != NULL ? source : ".");
    FILE *file = fopen(path, mode);
    if (file == NULL)
        fail_msg("cannot open %s: set RINGMQ_SOURCE to the folder of the project", path);
    return file;
}

static char *read_sample(size_t *bytes)
{
    char *text = NULL;
    char chunk[4096];
    size_t n;

    FILE *in = open_sample("r");
    FILE *out = open_memstream(&text, bytes);
    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0)
        fwrite(chunk, 1, n, out);
    fclose(in);
    fclose(out);
    return text;
}

/* Each option stands in conf/ringmq.conf once, as "# key default"; no other line has that form. */
static void sample_file_lists_every_option_once_with_its_default(void **state)
{
    unsigned found[OPTION_COUNT] = {0};
    char line[1024], key[128], value[512];

    (void)state;
    FILE *file = open_sample("r");
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '\n' || strncmp(line, "##", 2) == 0)
            continue;
        assert_int_equal(sscanf(line, "# %127s %511[^\n]", key, value), 2);
        const enum option_id id = option_find(key, strlen(key));
        if (id == OPTION_COUNT)
            fail_msg("conf/ringmq.conf lists '%s', which is no option", key);
        found[id]++;
        const char *expected = option_row(id)->default_text;
        assert_string_equal(value, expected[0] == '\0' ? "\"\"" : expected);
    }
    fclose(file);
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        if (found[id] != 1)
            fail_msg("conf/ringmq.conf lists '%s' %u times", option_row((enum option_id)id)->key, found[id]);
    }
}

/* conf/ringmq.conf is what the rows say, word for word. */
static void sample_file_is_up_to_date(void **state)
{
    char *expected = NULL;
    size_t expected_bytes, bytes;

    (void)state;
    FILE *out = open_memstream(&expected, &expected_bytes);
    options_print_sample(out);
    fclose(out);
    char *text = read_sample(&bytes);
    assert_string_equal(text, expected);
    free(text);
    free(expected);
}

/* The sample as it is changes nothing; with every default uncommented it still says the defaults. */
static void sample_file_parses_with_and_without_comments(void **state)
{
    struct options o, defaults;
    struct option_error error;
    size_t bytes;

    (void)state;
    char *text = read_sample(&bytes);
    options_init(&defaults);
    for (int round = 0; round < 2; round++) {
        options_init(&o);
        o.port = 1;
        assert_int_equal(config_parse(&o, "sample", text, bytes, &error), OPTION_OK);
        assert_int_equal(o.port, round == 0 ? 1 : PROTOCOL_PORT);
        o.port = defaults.port;
        for (unsigned id = 0; id < OPTION_COUNT; id++)
            assert_true(option_equal(&o, &defaults, (enum option_id)id));
        for (char *at = text; (at = strstr(at, "\n# ")) != NULL;)
            memcpy(at, "\n  ", 3);
    }
    free(text);
}

/* --help shows a line for every option. */
static void help_shows_every_option(void **state)
{
    char *text = NULL;
    char flag[128];
    size_t bytes;

    (void)state;
    FILE *out = open_memstream(&text, &bytes);
    config_print_help(out);
    fclose(out);
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        snprintf(flag, sizeof flag, "\n  --%s ", option_row((enum option_id)id)->key);
        assert_non_null(strstr(text, flag));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_sound),
        cmocka_unit_test(printing_and_parsing_is_identity),
        cmocka_unit_test(ranges_are_exact),
        cmocka_unit_test(texts_and_lists_end_at_their_limits),
        cmocka_unit_test(refusals_name_key_value_and_what_is_allowed),
        cmocka_unit_test(refusals_are_short_and_printable),
        cmocka_unit_test(unknown_keys_get_a_suggestion),
        cmocka_unit_test(sizes_must_fit_each_other),
        cmocka_unit_test(durability_goes_with_a_directory),
        cmocka_unit_test(sample_file_lists_every_option_once_with_its_default),
        cmocka_unit_test(sample_file_is_up_to_date),
        cmocka_unit_test(sample_file_parses_with_and_without_comments),
        cmocka_unit_test(help_shows_every_option),
    };

    if (getenv("RINGMQ_UPDATE") != NULL) {
        FILE *out = open_sample("w");
        options_print_sample(out);
        fclose(out);
    }
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
