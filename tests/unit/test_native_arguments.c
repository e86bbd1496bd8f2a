/* Arguments: the signatures of the command list, and every argument of every method being checked. */
#include "tests/support/native_door.h"

#include "protocol/commands.h"
#include "server/doors/native/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- signatures -------------------------------------------------------------------------------------------------- */

static void check_parameter(const struct parameter *p, const char *name, enum argument_type type, bool optional)
{
    assert_int_equal(p->name_bytes, strlen(name));
    assert_memory_equal(p->name, name, p->name_bytes);
    assert_int_equal(p->type, type);
    assert_int_equal(p->optional, optional);
}

/* Positional arguments come first, then options; ? marks what may be missing. */
static void test_signatures_are_parsed(void **state)
{
    struct signature s;

    (void)state;
    signature_parse(&s, "queue:name what:any? {max:count note:text}");
    assert_int_equal(s.positional_count, 2);
    assert_int_equal(s.parameter_count, 4);
    check_parameter(&s.parameters[0], "queue", ARGUMENT_NAME, false);
    check_parameter(&s.parameters[1], "what", ARGUMENT_ANY, true);
    check_parameter(&s.parameters[2], "max", ARGUMENT_COUNT, true);
    check_parameter(&s.parameters[3], "note", ARGUMENT_TEXT, true);
    signature_parse(&s, "{a:ms}");
    assert_int_equal(s.positional_count, 0);
    check_parameter(&s.parameters[0], "a", ARGUMENT_MS, true);
    signature_parse(&s, "");
    assert_int_equal(s.parameter_count, 0);
}

/* ---- every argument of every method ------------------------------------------------------------------------------ */

#define WRONG_MAX 10

/* By type: a value that is right, and values that are not. */
static const struct {
    const char *right;
    const char *wrong[WRONG_MAX];
} samples[ARGUMENT_TYPE_COUNT] = {
    [ARGUMENT_NAME] = {"'q'", {"5", "nil", "''", "'a b'", "'\xc3\xa4'", "'x'*256", "['q']", "{}", "ext"}},
    [ARGUMENT_TEXT] = {"'text'", {"5", "nil", "true", "['a']", "{}", "ext", "1.5"}},
    [ARGUMENT_ID] = {"1", {"-1", "9007199254740992", "1.0", "'1'", "nil", "[1]"}},
    [ARGUMENT_COUNT] = {"1", {"-1", "4294967296", "1.5", "'1'", "nil", "true"}},
    [ARGUMENT_MS] = {"1", {"-1", "315360000001", "1.5", "'1s'", "nil", "{}"}},
    [ARGUMENT_BOOL] = {"true", {"0", "1", "'true'", "nil"}},
    [ARGUMENT_LIST] = {"[1]", {"'x'", "5", "{}", "nil"}},
    [ARGUMENT_MAP] = {"{}", {"'x'", "5", "[]", "nil"}},
    [ARGUMENT_ANY] = {"1", {NULL}},
};

/* The text of params: right values for the first `count` positional arguments, and then `last` if it is not NULL. */
static void write_params(char *out, size_t room, const struct signature *s, uint32_t count, const char *last)
{
    size_t used = (size_t)snprintf(out, room, "[");

    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i > 0 ? ", " : "",
                                 samples[s->parameters[i].type].right);
    snprintf(out + used, room - used, "%s%s]", last != NULL && count > 0 ? ", " : "", last != NULL ? last : "");
}

static void check_refused(struct fixture *f, const char *method, const char *params, const char *key)
{
    char expected[128];

    snprintf(expected, sizeof expected, "! ['BAD_REQUEST', ..., {'key': '%s'}]", key);
    check(f, A, method, params, expected);
}

/* Checks one argument with all values that are wrong for it. Returns how many there were. */
static unsigned check_argument(struct fixture *f, const struct command *row, const struct signature *s, uint32_t place)
{
    const struct parameter *p = &s->parameters[place];
    unsigned checked = 0;
    char key[64], last[512], params[1024];

    snprintf(key, sizeof key, "%.*s", (int)p->name_bytes, p->name);
    for (; samples[p->type].wrong[checked] != NULL; checked++) {
        const char *wrong = samples[p->type].wrong[checked];
        if (place < s->positional_count) {
            write_params(params, sizeof params, s, place, wrong);
        } else {
            snprintf(last, sizeof last, "{'%s': %s}", key, wrong);
            write_params(params, sizeof params, s, s->positional_count, last);
        }
        check_refused(f, row->method, params, key);
    }
    return checked;
}

/* Whatever method, whatever argument: a value of a wrong type is BAD_REQUEST with the argument's name as key. */
static void test_every_argument_of_a_wrong_type_is_refused(void **state)
{
    struct fixture *f = *state;
    unsigned checked = 0;

    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        const struct command *row = command_row((enum command_id)id);
        struct signature s;
        signature_parse(&s, row->args);
        for (uint32_t i = 0; i < s.parameter_count; i++)
            checked += check_argument(f, row, &s, i);
    }
    assert_true(checked > 250);
    assert_int_equal(f->door.counters.error_answers, checked);
}

/* So is one that is missing, unless the row lets it, and one too many. */
static void test_missing_and_superfluous_arguments_are_refused(void **state)
{
    struct fixture *f = *state;
    char key[64], params[1024];

    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        const struct command *row = command_row((enum command_id)id);
        struct signature s;
        signature_parse(&s, row->args);
        for (uint32_t i = 0; i < s.positional_count && !s.parameters[i].optional; i++) {
            write_params(params, sizeof params, &s, i, NULL);
            snprintf(key, sizeof key, "%.*s", (int)s.parameters[i].name_bytes, s.parameters[i].name);
            check_refused(f, row->method, params, key);
        }
        write_params(params, sizeof params, &s, s.positional_count,
                     s.parameter_count > s.positional_count ? "{}, 5" : "5");
        check_refused(f, row->method, params, "params");
    }
}

/* Options must be a map with text keys, each known and given once; values of any shape are passed over on the way. */
static void test_wrong_options_are_refused(void **state)
{
    struct fixture *f = *state;
    unsigned checked = 0;
    char last[256], params[1024], key[64];

    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        const struct command *row = command_row((enum command_id)id);
        struct signature s;
        signature_parse(&s, row->args);
        if (s.parameter_count == s.positional_count)
            continue;
        static const char *const rows[][2] = {
            {"5", "options"},          {"[]", "options"},     {"nil", "options"},
            {"'x'", "options"},        {"{5: 1}", "options"}, {"{nil: 1}", "options"},
            {"{'wiat': 1}", "wiat"},   {"{'': 1}", ""},       {"{b'group_prefetch': [1]}", "group_prefetch"},
            {"{'\xff\x01': 1}", "??"},
        };
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++, checked++) {
            write_params(params, sizeof params, &s, s.positional_count, rows[i][0]);
            check_refused(f, row->method, params, rows[i][1]);
        }
        const struct parameter *p = &s.parameters[s.positional_count];
        snprintf(key, sizeof key, "%.*s", (int)p->name_bytes, p->name);
        snprintf(last, sizeof last, "{'%s': %s, '%s': %s}", key, samples[p->type].right, key, samples[p->type].right);
        write_params(params, sizeof params, &s, s.positional_count, last);
        check_refused(f, row->method, params, key);
    }
    assert_true(checked >= 100);
}

/* No method changes anything when its arguments are wrong. */
static void test_refused_calls_change_nothing(void **state)
{
    struct fixture *f = *state;

    check(f, A, "queue.create", "['q']", "{'created': true}");
    test_every_argument_of_a_wrong_type_is_refused(state);
    test_missing_and_superfluous_arguments_are_refused(state);
    test_wrong_options_are_refused(state);
    assert_int_equal(f->broker.queue_count, 1);
    assert_int_equal(f->broker.taker_count, 0);
    assert_int_equal(f->broker.counters.published, 0);
    assert_int_equal(f->changed_count, 0);
    assert_string_equal(f->killed, "");
}

/* An unknown option's name is shown cut and printable, so that the error can be read by anybody. */
static void test_keys_in_errors_can_be_shown(void **state)
{
    struct fixture *f = *state;
    char text[8];

    check(f, A, "receive", "['q', {'x'*200: 1}]", "! ['BAD_REQUEST', ..., {'key': 'x'*63}]");
    text_show(text, sizeof text, (struct view){"a\xc3\xa4\n\0b~", 7});
    assert_string_equal(text, "a????b~");
    text_show(text, sizeof text, (struct view){"123456789", 9});
    assert_string_equal(text, "1234567");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, door_setup, door_teardown)
        cmocka_unit_test(test_signatures_are_parsed),
        TEST(test_every_argument_of_a_wrong_type_is_refused),
        TEST(test_missing_and_superfluous_arguments_are_refused),
        TEST(test_wrong_options_are_refused),
        TEST(test_refused_calls_change_nothing),
        TEST(test_keys_in_errors_can_be_shown),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
