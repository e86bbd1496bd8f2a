/*
 * Configuration of a running server: setting an option, and showing options by pattern.
 */
#include "server/ops/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool all_equal(const struct options *a, const struct options *b)
{
    bool equal = true;
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        equal = equal && option_equal(a, b, (enum option_id)id);
    return equal;
}

static int set(struct options *o, const char *key, const char *text, struct option_error *error)
{
    return config_set(o, key, strlen(key), text, strlen(text), error);
}

/* Setting tells apart what can go wrong, by result and by text, and leaves everything as it was then. */
static void set_at_run_time_tells_errors_apart(void **state)
{
    static const struct {
        const char *key, *text;
        int result;
        const char *message;
    } cases[] = {
        {"max_wiat", "1s", OPTION_UNKNOWN_KEY, "unknown option 'max_wiat'; did you mean 'max_wait'?"},
        {"port", "1", OPTION_NEEDS_RESTART,
         "port cannot be set to '1' while the server runs: set it in the file and restart"},
        {"max_wait", "soon", OPTION_BAD_VALUE, "max_wait: 'soon' is not a time: a number with ms, s, m, h or d"},
        {"max_wait", "61m", OPTION_OUT_OF_RANGE, "max_wait: '61m' is out of range, allowed is 0 to 1h"},
        {"max_message_bytes", "16mb", OPTION_CONFLICT,
         "max_request_bytes 16mb is too small for max_message_bytes 16mb: it must be at least 16448kb (64kb more)"},
    };
    struct options o, before;
    struct option_error error;

    (void)state;
    options_init(&o);
    before = o;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(set(&o, cases[i].key, cases[i].text, &error), cases[i].result);
        assert_string_equal(error.text, cases[i].message);
        assert_true(all_equal(&o, &before));
    }
    assert_int_equal(set(&o, "max_wait", "61s", &error), OPTION_OK);
    assert_int_equal(o.max_wait, 61000);
    assert_int_equal(config_set(&o, "max_batch=", 9, "123", 2, &error), OPTION_OK);
    assert_int_equal(o.max_batch, 12);
}

static void note_value(void *user, const struct option *row, const char *text)
{
    char *all = user;
    snprintf(all + strlen(all), 256 - strlen(all), "%s=%s ", row->key, text);
}

static void check_get(const struct options *o, const char *pattern, const char *expected)
{
    char all[256] = "";

    config_get(o, pattern, strlen(pattern), note_value, all);
    assert_string_equal(all, expected);
}

/* Getting by pattern shows canonical values in the order of the list. */
static void get_shows_what_matches(void **state)
{
    struct options o;
    struct option_error error;

    (void)state;
    options_init(&o);
    assert_int_equal(set(&o, "max_wait", "60000", &error), OPTION_OK);
    check_get(&o, "max_wait", "max_wait=1m ");
    check_get(&o, "socket*", "socket= socket_mode=0660 ");
    check_get(&o, "*_bytes",
              "max_message_bytes=1mb max_request_bytes=16mb max_response_bytes=16mb log_segment_bytes=64mb ");
    check_get(&o, "p???", "port=7464 ");
    check_get(&o, "zebra", "");
    check_get(&o, "", "");
}

/* * stands for any text, also none; ? for exactly one character. */
static void patterns_match_as_documented(void **state)
{
    static const struct {
        const char *pattern, *key;
        bool match;
    } cases[] = {
        {"*", "port", true},      {"port", "port", true}, {"por", "port", false},
        {"ports", "port", false}, {"po*t", "port", true}, {"port*", "port", true},
        {"*port", "port", true},  {"*t*", "port", true},  {"p?rt", "port", true},
        {"?", "port", false},     {"????", "port", true}, {"?????", "port", false},
        {"*x*", "port", false},   {"", "", true},         {"*", "", true},
        {"?", "", false},         {"*ab", "aab", true},   {"a*b*c", "abbbc", true},
        {"a*b*c", "abbb", false}, {"**", "port", true},   {"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (config_match(cases[i].pattern, strlen(cases[i].pattern), cases[i].key) != cases[i].match)
            fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_at_run_time_tells_errors_apart),
        cmocka_unit_test(get_shows_what_matches),
        cmocka_unit_test(patterns_match_as_documented),
    };

    return cmocka_run_group_tests_name("config_live", tests, NULL, NULL);
}
