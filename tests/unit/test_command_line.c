/* Commands as words: how a line is cut, numbers and JSON are read, and words become the params of a method. */
#include "protocol/command_line.h"
#include "protocol/definitions.h"
#include "protocol/json.h"
#include "protocol/nearest.h"
#include "protocol/numbers.h"
#include "protocol/utf8.h"
#include "tests/support/decoded.h"
#include "tests/support/wire_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is in a buffer, value after value with a blank between them. Valid until the next call. */
static const char *printed(const struct buffer *b)
{
    static char out[4096];
    struct wire_names names = {.receipt_count = 0};
    struct buffer text;
    size_t used;

    buffer_init(&text, NULL);
    for (size_t at = 0; at < b->bytes; at += used) {
        struct decoder *d = decoder_new(UINT32_MAX, NULL);
        assert_int_equal(decoder_feed(d, b->data + at, b->bytes - at, &used), DECODER_READY);
        if (at > 0)
            buffer_append(&text, " ", 1);
        wire_print(&text, d, 0, &names);
        decoder_free(d);
    }
    assert_true(text.bytes < sizeof out);
    if (text.bytes > 0)
        memcpy(out, text.data, text.bytes);
    out[text.bytes] = '\0';
    buffer_close(&text);
    return out;
}

/* ---- words ---- */

static void lines_are_cut_at_blanks_outside_quotes(void **state)
{
    (void)state;
    static const char line[] = " a  b'c d'\"\\x00e\\n\" '' \"-\"-\t\xff\r\n";
    struct words words;
    assert_null(words_split(&words, line, sizeof line - 1));
    assert_int_equal(words.count, 5);
    assert_true(word_is(&words.list[0], "a"));
    assert_int_equal(words.list[1].bytes, 7);
    assert_memory_equal(words.list[1].text, "bc d\0e\n", 8);
    assert_true(!words.list[0].quoted && words.list[0].quoted_from == SIZE_MAX);
    assert_true(!words.list[1].quoted && words.list[1].quoted_from == 1);
    assert_true(word_is(&words.list[2], "") && words.list[2].quoted);
    assert_true(word_is(&words.list[3], "--"));
    assert_true(word_is(&words.list[4], "\xff"));
    words_close(&words);
    static const char *wrong[] = {"a 'b", "a \"b", "\"\\q\"", "\"\\x1\"", "\"\\x1", "\"\\"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_non_null(words_split(&words, wrong[i], strlen(wrong[i])));
        words_close(&words);
    }
    assert_null(words_split(&words, "", 0));
    assert_int_equal(words.count, 0);
    words_close(&words);
}

/* ---- numbers ---- */

static void numbers_times_and_sizes_are_read_and_printed(void **state)
{
    (void)state;
    uint64_t n = 7;
    double r = 7;
    char text[NUMBER_PRINT_BYTES];
    assert_true(number_parse("18446744073709551615", &n) && n == UINT64_MAX);
    assert_false(number_parse("18446744073709551616", &n) || number_parse("", &n) || number_parse("-1", &n));
    assert_true(time_parse("1.5s", 1, &n) && n == 1500);
    assert_true(time_parse("2", 1000, &n) && n == 2000);
    assert_true(time_parse("1d", 1, &n) && n == 86400000);
    assert_true(time_parse("0.0001s", 1, &n) && n == 1);
    assert_false(time_parse("5x", 1, &n) || time_parse("s", 1, &n) || time_parse("1e3", 1, &n));
    assert_true(size_parse("64kb", &n) && n == 65536);
    assert_false(size_parse("64", &n) || size_parse("20000000000gb", &n));
    assert_true(real_parse("-0.25", &r) && r == -0.25);
    assert_false(real_parse("inf", &r) || real_parse("0x1", &r) || real_parse(" 1", &r) || real_parse("1e999", &r) ||
                 real_parse("", &r) || real_parse("1-", &r));
    static const uint64_t times[] = {0, 1, 999, 1000, 60000, 90000, 3600000, 86400000, 345600001};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        time_print(times[i], text);
        assert_true(time_parse(text, 1, &n) && n == times[i]);
    }
    time_print(345600000, text);
    assert_string_equal(text, "4d");
    size_print(3 << 20, text);
    assert_string_equal(text, "3mb");
    real_print(0.1, text);
    assert_string_equal(text, "0.1");
}

/* ---- JSON ---- */

static void json_becomes_the_same_value(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {" {} ", "{}"},
        {"[]", "[]"},
        {"{\"a\": [1, -2, 2.5, true, false, null, {\"b\": \"c\"}]}",
         "{'a': [1, -2, 2.5, true, false, nil, {'b': 'c'}]}"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"[1.0,1e2,-0]", "[1, 100, 0]"},
        {"\"\\u00e4\\ud83d\\ude00\\/\\b\"", NULL},
        {"[\"\\\"\", \"\"]", NULL},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct buffer out;
        struct json_error error;
        buffer_init(&out, NULL);
        assert_true(json_read(pairs[i][0], strlen(pairs[i][0]), &out, &error));
        if (pairs[i][1] != NULL)
            assert_string_equal(printed(&out), pairs[i][1]);
        buffer_close(&out);
    }
    /* What the printer shows alike, or not at all. */
    struct buffer out;
    struct json_error error;
    buffer_init(&out, NULL);
    assert_true(json_read("[18446744073709551615, 1.0, 1]", 30, &out, &error));
    assert_memory_equal(out.data, "\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xcb\x3f\xf0\0\0\0\0\0\0\x01", 20);
    buffer_reset(&out);
    assert_true(json_read("\"\\u00e4\\ud83d\\ude00\\/\\b\"", 24, &out, &error));
    assert_memory_equal(out.data, "\xa8\xc3\xa4\xf0\x9f\x98\x80/\b", out.bytes);
    buffer_close(&out);
}

/* Sixteen elements and more need a longer header than was room for while they were written. */
static void json_containers_of_any_length_get_their_header(void **state)
{
    (void)state;
    for (unsigned count = 14; count < 70000; count = count < 20 ? count + 1 : count * 16) {
        char *text = malloc(count * 2 + 2);
        struct buffer out;
        struct json_error error;
        size_t used;
        for (unsigned i = 0; i < count; i++)
            memcpy(text + 2 * i, i == 0 ? "[1" : ",1", 2);
        memcpy(text + 2 * count, "]", 1);
        buffer_init(&out, NULL);
        const size_t bytes = count * 2 + 1;
        if (bytes <= JSON_BYTES) {
            assert_true(json_read(text, bytes, &out, &error));
            struct decoder *d = decoder_new(UINT32_MAX, NULL);
            assert_int_equal(decoder_feed(d, out.data, out.bytes, &used), DECODER_READY);
            assert_int_equal(used, out.bytes);
            assert_int_equal(d->nodes[0].count, count);
            decoder_free(d);
        } else {
            assert_false(json_read(text, bytes, &out, &error));
        }
        buffer_close(&out);
        free(text);
    }
}

static void what_is_no_json_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "[1,]",
        "[1 2]",
        "01",
        "-",
        "1.",
        "1e",
        "+1",
        "nul",
        "truex",
        "1 2",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "18446744073709551616",
        "-9223372036854775809",
        "1e999",
        "'a'",
        "{1:2}",
        "// c\n1",
        "[[[[[[[[[[[[[1]]]]]]]]]]]]]",
        "\"\xed\xa0\x80\"",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buffer out;
        struct json_error error = {0, NULL};
        buffer_init(&out, NULL);
        buffer_append(&out, "x", 1);
        if (json_read(wrong[i], strlen(wrong[i]), &out, &error))
            fail_msg("taken: %s", wrong[i]);
        assert_non_null(error.text);
        assert_true(error.at <= strlen(wrong[i]));
        assert_int_equal(out.bytes, 1);
        buffer_close(&out);
    }
}

/* ---- nearest ---- */

static const char *nearest_to(const char *given)
{
    static const char *const words[] = {"visibility", "ttl", "max_messages", "max_bytes"};
    static char found[64];
    struct nearest n;
    nearest_init(&n, given, strlen(given));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        nearest_offer(&n, words[i], strlen(words[i]));
    snprintf(found, sizeof found, "%.*s", (int)n.found_bytes, n.found == NULL ? "" : n.found);
    return found;
}

static void the_nearest_word_is_offered_if_it_is_near(void **state)
{
    (void)state;
    assert_string_equal(nearest_to("visibilty"), "visibility");
    assert_string_equal(nearest_to("Max-Byte"), "max_bytes");
    assert_string_equal(nearest_to("tll"), "ttl");
    assert_string_equal(nearest_to("xyz"), "");
    assert_string_equal(nearest_to("something_else_altogether"), "");
    assert_string_equal(nearest_to("visibilityvisibilityvisibilityvisibilityvisibilityvisibility"), "");
}

/* ---- commands ---- */

/* The params of a command, or `!` and what is wrong. */
static const char *spoken(const char *args, const char *extra, const char *text)
{
    static char out[4096];
    const struct command_form form = {"do", args, extra, "json:bool"};
    struct words words;
    struct command_line line;
    struct buffer b;
    uint32_t params = 0;

    buffer_init(&b, NULL);
    assert_null(words_split(&words, text, strlen(text)));
    const bool good = command_line_read(&line, &form, words.list, words.count) &&
                      command_line_write(&line, NULL, NULL, &b, &params);
    if (good)
        snprintf(out, sizeof out, "%u: %s", params, printed(&b));
    else
        snprintf(out, sizeof out, "!%s", line.wrong);
    command_line_close(&line);
    words_close(&words);
    buffer_close(&b);
    return out;
}

static void words_become_params_by_their_types(void **state)
{
    (void)state;
    static const char args[] = "queue:name times:count what:any? {max:count wait:ms all:bool filter:map group_max:id}";
    assert_string_equal(spoken(args, "", "q 5"), "2: 'q' 5");
    assert_string_equal(spoken(args, "", "q 5 x --max 3 --wait=2s --all"),
                        "4: 'q' 5 'x' {'max': 3, 'wait': 2000, 'all': true}");
    assert_string_equal(spoken(args, "", "--all=no q 5 7,8 max=3"), "4: 'q' 5 [7, 8] {'all': false, 'max': 3}");
    assert_string_equal(spoken(args, "", "q 5 [7] --group-max 9"), "4: 'q' 5 [7] {'group_max': 9}");
    assert_string_equal(spoken(args, "", "q 5 --filter '{\"a\":[1]}' --json"), "3: 'q' 5 {'filter': {'a': [1]}}");
    assert_string_equal(spoken(args, "own:text y:bool", "q 5 -y --own z"), "2: 'q' 5");
    assert_string_equal(spoken(args, "", "q 5 -- --max"), "3: 'q' 5 '--max'");
    assert_string_equal(spoken(args, "", "q 5 '--max'"), "3: 'q' 5 '--max'");

    assert_string_equal(spoken(args, "", "q"), "!do: times is missing");
    assert_string_equal(spoken(args, "", "q x"), "!do: times is not a number: x");
    assert_string_equal(spoken(args, "", "q 5 x y"), "!do: one word too many: y");
    assert_string_equal(spoken(args, "", "q 5 --mux 3"), "!do: no option --mux; did you mean --max?");
    assert_string_equal(spoken(args, "", "q 5 --max"), "!do: --max needs a value");
    assert_string_equal(spoken(args, "", "q 5 --wait 5x"), "!do: wait is not a time (such as 500ms, 5s, 2m): 5x");
    assert_string_equal(spoken(args, "", "q 5 --all=maybe"), "!do: all is neither true nor false: maybe");
    assert_string_equal(spoken(args, "", "q 5 --filter [1]"), "!do: filter must be a map such as {\"key\": \"value\"}");
    assert_string_equal(spoken(args, "", "q 5 --filter {1}"),
                        "!do: filter: the name of a member in \"...\" is missing, at byte 2: 1}");
}

static void lists_of_numbers_take_all_words_but_those_behind_them(void **state)
{
    (void)state;
    static const char args[] = "receipts:list visibility:ms {multiple:bool}";
    assert_string_equal(spoken(args, "", "1 2 3s"), "2: [1, 2] 3000");
    assert_string_equal(spoken(args, "", "1,2 3 4s --multiple"), "3: [1, 2, 3] 4000 {'multiple': true}");
    assert_string_equal(spoken(args, "", "3s"), "!do: receipts is missing");
    assert_string_equal(spoken(args, "", "1,x 3s"), "!do: not a number: 1,x");
}

static void attributes_are_written_by_their_kind(void **state)
{
    (void)state;
    static const char args[] = "queue:name attributes:map?";
    assert_string_equal(spoken(args, "", "q"), "1: 'q'");
    assert_string_equal(spoken(args, "", "q type=fifo visibility=1m max_bytes=2mb max_attempts=3"),
                        "2: 'q' {'type': 'fifo', 'visibility': 60000, 'max_bytes': 2097152, 'max_attempts': 3}");
    assert_string_equal(spoken(args, "", "q --max-messages 5 --content_dedup=yes dead_letter=d"),
                        "2: 'q' {'max_messages': 5, 'content_dedup': true, 'dead_letter': 'd'}");
    assert_string_equal(spoken(args, "", "q dead_letter= backoff=nil"), "2: 'q' {'dead_letter': nil, 'backoff': nil}");
    assert_string_equal(spoken(args, "", "q dead_letter='nil'"), "2: 'q' {'dead_letter': 'nil'}");
    assert_string_equal(spoken(args, "", "q backoff=1s,2,1m,0.1"),
                        "2: 'q' {'backoff': {'base': 1000, 'factor': 2, 'cap': 60000, 'jitter': 0.1}}");
    assert_string_equal(spoken(args, "", "q backoff=5s"), "2: 'q' {'backoff': {'base': 5000}}");
    assert_string_equal(spoken(args, "", "q backoff=5s,,1m"), "2: 'q' {'backoff': {'base': 5000, 'cap': 60000}}");
    assert_string_equal(spoken(args, "", "q of_a_newer_server=5s other=x"),
                        "2: 'q' {'of_a_newer_server': 5000, 'other': 'x'}");

    assert_string_equal(spoken(args, "", "q visibilty=5"), "!do: no attribute visibilty; did you mean visibility?");
    assert_string_equal(spoken(args, "", "q visibility=x"), "!do: visibility is not a time such as 500ms, 5s or 2m: x");
    assert_string_equal(spoken(args, "", "q overflow=x"),
                        "!do: overflow is not one of reject|drop_oldest|dead_letter_oldest: x");
    assert_string_equal(spoken(args, "", "q durable=x"), "!do: durable is not true or false: x");
    static const char *const backoffs[] = {",2", "x", "1s,x", "1s,2,x", "1s,2,3s,x", "1s,2,3s,0,5", "1s,inf"};
    for (size_t i = 0; i < sizeof backoffs / sizeof backoffs[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "q backoff=%s", backoffs[i]);
        assert_non_null(strstr(spoken(args, "", text), "!do: backoff is not a backoff: base,factor,cap,jitter"));
    }
    assert_string_equal(spoken("queue:name attributes:map", "", "q"), "!do: KEY=VALUE is missing");
}

/* ---- definitions ---- */

/* A file's definitions as `line method params`, `;` between them; it ends with `!line wrong` if something is. */
static const char *defined(const char *text, size_t bytes)
{
    static char out[4096];
    struct definitions d;
    enum definitions_result result;
    size_t at = 0;

    out[0] = '\0';
    definitions_init(&d, text, bytes);
    while ((result = definitions_next(&d)) == DEFINITIONS_READ)
        at += (size_t)snprintf(out + at, sizeof out - at, "%u %s %s;", d.line, command_row(d.command)->method,
                               printed(&d.params));
    if (result == DEFINITIONS_WRONG)
        snprintf(out + at, sizeof out - at, "!%u %s", d.line, d.wrong);
    definitions_close(&d);
    return out;
}

static void a_file_of_definitions_is_read_line_by_line(void **state)
{
    (void)state;
    static const char text[] = "# first\r\n\n  # more\nqueue create a type=fifo\r\n\tqueue.create b\n"
                               "topic create t\ntopic subscribe t a --pattern '#' --filter '{\"x\": null}'";
    assert_string_equal(defined(text, sizeof text - 1),
                        "4 queue.create 'a' {'type': 'fifo'};5 queue.create 'b';6 topic.create 't';"
                        "7 topic.subscribe 't' 'a' {'pattern': '#', 'filter': {'x': nil}};");
    assert_string_equal(defined("", 0), "");
}

static void wrong_definitions_name_their_line(void **state)
{
    (void)state;
    static const char none[] = "not a definition: these are queue create, topic create and topic subscribe";
    char expected[256];
    snprintf(expected, sizeof expected, "2 queue.create 'a';!3 %s", none);
    assert_string_equal(defined("\nqueue create a\nqueue delete a\n", 32), expected);
    snprintf(expected, sizeof expected, "!1 %s", none);
    assert_string_equal(defined("publish a b", 11), expected);
    assert_string_equal(defined("queue", 5), expected);
    assert_string_equal(defined("queue create", 12), "!1 queue.create: queue is missing");
    assert_string_equal(defined("queue create 'a", 15), "!1 a quote is not closed");
    assert_string_equal(defined("topic subscribe t q --nonsense x", 32), "!1 topic.subscribe: no option --nonsense");
    char *line = malloc(DEFINITIONS_LINE_BYTES + 1);
    memset(line, 'x', DEFINITIONS_LINE_BYTES + 1);
    assert_string_equal(defined(line, DEFINITIONS_LINE_BYTES + 1), "!1 the line is too long");
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_at_blanks_outside_quotes),
        cmocka_unit_test(numbers_times_and_sizes_are_read_and_printed),
        cmocka_unit_test(json_becomes_the_same_value),
        cmocka_unit_test(json_containers_of_any_length_get_their_header),
        cmocka_unit_test(what_is_no_json_is_refused_and_leaves_nothing),
        cmocka_unit_test(the_nearest_word_is_offered_if_it_is_near),
        cmocka_unit_test(words_become_params_by_their_types),
        cmocka_unit_test(lists_of_numbers_take_all_words_but_those_behind_them),
        cmocka_unit_test(attributes_are_written_by_their_kind),
        cmocka_unit_test(a_file_of_definitions_is_read_line_by_line),
        cmocka_unit_test(wrong_definitions_name_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
