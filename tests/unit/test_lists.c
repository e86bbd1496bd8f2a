/*
 * The lists of errors and of commands: every row is found by its name, nothing else is, and rows keep to their form.
 */
#include "protocol/commands.h"
#include "protocol/errors.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LONGEST_NAME 64

static int find_error(const char *name, size_t bytes)
{
    return (int)error_from_name(name, bytes);
}

static int find_command(const char *name, size_t bytes)
{
    return (int)command_find(name, bytes);
}

/* `name` is found as `expected`; cut short, made longer or with any byte changed it is not `expected`. */
static void check_found_exactly(int (*find)(const char *, size_t), const char *name, int expected)
{
    char other[LONGEST_NAME + 2];
    size_t bytes = strlen(name);

    assert_in_range(bytes, 1, LONGEST_NAME);
    assert_int_equal(find(name, bytes), expected);
    for (size_t shorter = 0; shorter < bytes; shorter++)
        assert_int_not_equal(find(name, shorter), expected);

    memcpy(other, name, bytes + 1);
    other[bytes] = 'x';
    assert_int_not_equal(find(other, bytes + 1), expected);
    for (size_t i = 0; i < bytes; i++) {
        for (int c = 0; c < 256; c++) {
            other[i] = (char)c;
            if (other[i] != name[i])
                assert_int_not_equal(find(other, bytes), expected);
        }
        other[i] = name[i];
    }
}

/* Each error is found by its name and by nothing near it. */
static void test_an_error_is_found_by_its_name_alone(void **state)
{
    (void)state;
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++)
        check_found_exactly(find_error, error_name((enum error_code)code), code);
}

/* A name that no error has is ERR_NONE, and so is no name at all. */
static void test_an_unknown_error_is_none(void **state)
{
    (void)state;
    assert_int_equal(error_from_name("", 0), ERR_NONE);
    assert_int_equal(error_from_name("NONE", 4), ERR_NONE);
    assert_int_equal(error_from_name("queue_not_found", 15), ERR_NONE);
    assert_int_equal(error_from_name("QUEUE_NOT_FOUND", 16), ERR_NONE);
}

/* No two errors have the same name; names are A-Z and _, sentences begin small and end without a full stop. */
static void test_errors_keep_to_their_form(void **state)
{
    (void)state;
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        const char *name = error_name((enum error_code)code);
        const char *text = error_text((enum error_code)code);
        assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(name));
        assert_true(strlen(text) > 0 && islower(text[0]) && text[strlen(text) - 1] != '.');
        for (int other = ERR_NONE + 1; other < code; other++)
            assert_string_not_equal(name, error_name((enum error_code)other));
    }
}

/* What a limit or a state of the server refuses may succeed later; what the call itself got wrong never does. */
static void test_an_error_says_whether_a_retry_can_help(void **state)
{
    (void)state;
    assert_true(error_retry(ERR_QUEUE_FULL));
    assert_true(error_retry(ERR_MEMORY_LIMIT));
    assert_true(error_retry(ERR_DRAINING));
    assert_false(error_retry(ERR_BAD_REQUEST));
    assert_false(error_retry(ERR_QUEUE_NOT_FOUND));
}

/* Each command is found by its method and by nothing near it. */
static void test_a_command_is_found_by_its_method_alone(void **state)
{
    (void)state;
    for (int id = 0; id < COMMAND_COUNT; id++)
        check_found_exactly(find_command, command_row((enum command_id)id)->method, id);
}

/* A method that is not in the list is COMMAND_COUNT, whatever its length. */
static void test_an_unknown_method_is_not_found(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'a', sizeof name);
    for (size_t bytes = 0; bytes <= sizeof name; bytes++)
        assert_int_equal(command_find(name, bytes), COMMAND_COUNT);
    assert_int_equal(command_find("", 0), COMMAND_COUNT);
    assert_int_equal(command_find("PUBLISH", 7), COMMAND_COUNT);
    assert_int_equal(command_find("queue.", 6), COMMAND_COUNT);
    assert_int_equal(command_find("publish", 8), COMMAND_COUNT);
}

/* A row of each id holds what was written for it; methods are unique. */
static void test_rows_stand_at_their_ids(void **state)
{
    (void)state;
    assert_string_equal(command_row(COMMAND_publish)->method, "publish");
    assert_string_equal(command_row(COMMAND_queue_create)->method, "queue.create");
    assert_string_equal(command_row(COMMAND_queue_create)->group, "queues");
    assert_int_equal(command_row(COMMAND_receive)->flags, COMMAND_ANSWERS);
    assert_int_equal(command_row(COMMAND_ack)->flags, COMMAND_CHANGES);
    for (int id = 0; id < COMMAND_COUNT; id++)
        for (int other = 0; other < id; other++)
            assert_string_not_equal(command_row((enum command_id)id)->method,
                                    command_row((enum command_id)other)->method);
}

static bool known_type(const char *type, size_t bytes)
{
    static const char *const types[] = {"name", "text", "id", "count", "ms", "bool", "list", "map", "any"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i]) == bytes && memcmp(types[i], type, bytes) == 0)
            return true;
    return false;
}

/* One `name:type` or `name:type?`; returns what follows it. */
static const char *check_argument(const char *at, bool *optional)
{
    size_t name = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    assert_true(name > 0 && at[name] == ':');
    at += name + 1;
    size_t type = strspn(at, "abcdefghijklmnopqrstuvwxyz");
    assert_true(known_type(at, type));
    at += type;
    *optional = *at == '?';
    return at + *optional;
}

/* Arguments are positional ones, the optional ones last, and then options in braces: all of known types. */
static void test_arguments_keep_to_their_form(void **state)
{
    (void)state;
    for (int id = 0; id < COMMAND_COUNT; id++) {
        const char *at = command_row((enum command_id)id)->args;
        bool optional = false;
        bool option_was_optional;
        while (*at && *at != '{') {
            bool was_optional = optional;
            at = check_argument(at, &optional);
            assert_true(optional || !was_optional);
            at += *at == ' ';
        }
        if (*at == '{') {
            do {
                at = check_argument(at + 1, &option_was_optional);
                assert_false(option_was_optional);
            } while (*at == ' ');
            assert_int_equal(*at++, '}');
        }
        assert_int_equal(*at, '\0');
    }
}

/* Each row has a group and a help line that begins small and ends without a full stop. */
static void test_each_command_has_help(void **state)
{
    (void)state;
    for (int id = 0; id < COMMAND_COUNT; id++) {
        const struct command *row = command_row((enum command_id)id);
        assert_true(strlen(row->group) > 0);
        assert_true(strlen(row->help) > 0 && islower(row->help[0]) && row->help[strlen(row->help) - 1] != '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_is_found_by_its_name_alone),
        cmocka_unit_test(test_an_unknown_error_is_none),
        cmocka_unit_test(test_errors_keep_to_their_form),
        cmocka_unit_test(test_an_error_says_whether_a_retry_can_help),
        cmocka_unit_test(test_a_command_is_found_by_its_method_alone),
        cmocka_unit_test(test_an_unknown_method_is_not_found),
        cmocka_unit_test(test_rows_stand_at_their_ids),
        cmocka_unit_test(test_arguments_keep_to_their_form),
        cmocka_unit_test(test_each_command_has_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
