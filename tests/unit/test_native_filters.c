/* The native door's filters: the one form in which they are written back, what is refused, and random ones. */
#include "server/doors/native/filters.h"

#include "tests/support/random.h"
#include "tests/support/wire_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

struct stage {
    struct decoder *decoder;
    struct buffer wire; /* what is read */
    struct arena arena;
    struct view filter; /* what was read */
    struct argument_error error;
    struct wire_names names;
};

static int stage_setup(void **state)
{
    struct stage *s = calloc(1, sizeof *s);

    s->decoder = decoder_new(1 << 20, NULL);
    buffer_init(&s->wire, NULL);
    *state = s;
    return 0;
}

static int stage_teardown(void **state)
{
    struct stage *s = *state;

    decoder_free(s->decoder);
    buffer_close(&s->wire);
    arena_close(&s->arena);
    free(s);
    return 0;
}

/* Decodes s->wire. False if it is not one MessagePack value. */
static bool stage_decode(struct stage *s)
{
    size_t used;

    decoder_free(s->decoder);
    s->decoder = decoder_new(1 << 20, NULL);
    return decoder_feed(s->decoder, s->wire.data, s->wire.bytes, &used) == DECODER_READY;
}

static enum error_code stage_read(struct stage *s)
{
    s->error = (struct argument_error){"", ""};
    return filters_read(s->decoder, 0, &s->arena, &s->filter, &s->error);
}

static enum error_code read_text(struct stage *s, const char *text)
{
    buffer_reset(&s->wire);
    wire_encode(&s->wire, text, &s->names);
    assert_true(stage_decode(s));
    return stage_read(s);
}

/* ---- the form on the wire ---------------------------------------------------------------------------------------- */

/* Each filter is written back in its one form, NULL meaning as it was given. */
static void test_filters_are_written_back_in_one_form(void **state)
{
    static const struct {
        const char *given;
        const char *written;
    } table[] = {
        {"{}", NULL},
        {"{'a': 1}", NULL},
        {"{'a': [1]}", "{'a': 1}"},
        {"{'a': [1, 1.5, -7, 'x', b'x', nil, true, false]}", NULL},
        {"{'b': 1, '': 2, 'a': 3, 'aa': 4}", "{'': 2, 'a': 3, 'aa': 4, 'b': 1}"},
        {"{b'a': b'x'}", "{'a': b'x'}"},
        {"{'a': {'prefix': 'x'}}", NULL},
        {"{'a': [{'prefix': b'x'}]}", "{'a': {'prefix': b'x'}}"},
        {"{'a': [{b'exists': false}, 'x']}", "{'a': [{'exists': false}, 'x']}"},
        {"{'a': {'exists': true}}", NULL},
        {"{'a': {'numeric': ['=', 1]}}", NULL},
        {"{'a': {'numeric': ['>=', -1, '<', 2.5]}, 'b': 'y'}", NULL},
        {"{'a': [{'numeric': [b'!=', 1, '<=', 3]}, {'numeric': ['>', 9]}]}",
         "{'a': [{'numeric': ['!=', 1, '<=', 3]}, {'numeric': ['>', 9]}]}"},
        {"{'a': {'anything-but': 'x'}}", NULL},
        {"{'a': {'anything-but': ['x']}}", "{'a': {'anything-but': 'x'}}"},
        {"{'a': [{'anything-but': ['x', 2, nil]}, {'exists': false}], 'b': nil}", NULL},
    };
    struct stage *s = *state;
    struct buffer out;

    buffer_init(&out, NULL);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (read_text(s, table[i].given) != ERR_NONE)
            fail_msg("%s: %s", table[i].given, s->error.text);
        buffer_reset(&s->wire);
        encode_filter(&s->wire, s->filter);
        assert_true(stage_decode(s));
        buffer_reset(&out);
        wire_print(&out, s->decoder, 0, &s->names);
        buffer_append(&out, "", 1);
        assert_string_equal((const char *)out.data, table[i].written != NULL ? table[i].written : table[i].given);
    }
    buffer_close(&out);
}

/* What does not depend on the order or the list is the same filter, byte by byte; a number's type is not. */
static void test_the_same_filter_is_the_same_bytes(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } table[] = {
        {"{'a': 1, 'b': ['x']}", "{'b': 'x', 'a': [1]}", true},
        {"{'a': {'anything-but': ['x']}}", "{'a': [{'anything-but': 'x'}]}", true},
        {"{'a': 'x'}", "{'a': b'x'}", false},
        {"{'a': 1}", "{'a': 1.0}", false},
        {"{'a': [1, 2]}", "{'a': [2, 1]}", false},
        {"{'a': 1}", "{'a': {'numeric': ['=', 1]}}", false},
    };
    struct stage *s = *state;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_int_equal(read_text(s, table[i].one), ERR_NONE);
        const struct view one = s->filter;
        assert_int_equal(read_text(s, table[i].other), ERR_NONE);
        assert_int_equal(one.bytes == s->filter.bytes && memcmp(one.data, s->filter.data, one.bytes) == 0,
                         table[i].same);
    }
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

static void check_refused(struct stage *s, const char *text, const char *sentence)
{
    assert_int_equal(read_text(s, text), ERR_BAD_REQUEST);
    assert_string_equal(s->error.key, "filter");
    if (strstr(s->error.text, sentence) == NULL)
        fail_msg("%s: '%s' does not say '%s'", text, s->error.text, sentence);
}

/* Whatever is wrong is named, with the header for which it was said. */
static void test_wrong_filters_are_refused_by_name(void **state)
{
    static const struct {
        const char *filter, *sentence;
    } table[] = {
        {"{5: 1}", "a key must be UTF-8 text"},
        {"{[1]: 1}", "a key must be UTF-8 text"},
        {"{'\xff': 1}", "header '?': a key must be UTF-8 text"},
        {"{'a': ext}", "header 'a': an alternative must be a scalar or an operator"},
        {"{'a': [1, [2]]}", "an alternative must be a scalar or an operator"},
        {"{'a': 1, 'b': []}", "header 'b': a list must have 1 to 64 alternatives"},
        {"{'a': 1, 'b': 2, 'a': 3}", "header 'a': the key is there twice"},
        {"{'a': {}}", "an operator must be a map with one key"},
        {"{'a': {'prefix': 'x', 'exists': true}}", "an operator must be a map with one key"},
        {"{'a': {'suffix': 'x'}}", "an operator must be prefix, numeric, exists or anything-but"},
        {"{'a': {'=': 5}}", "an operator must be prefix, numeric, exists or anything-but"},
        {"{'a': {5: 5}}", "an operator must be prefix, numeric, exists or anything-but"},
        {"{'a': {['prefix']: 5}}", "an operator must be prefix, numeric, exists or anything-but"},
        {"{'a': {'prefix': 5}}", "prefix must be text or bytes"},
        {"{'a': {'prefix': ['x']}}", "prefix must be text or bytes"},
        {"{'a': {'exists': 1}}", "exists must be true or false"},
        {"{'a': {'exists': {}}}", "exists must be true or false"},
        {"{'a': {'numeric': 5}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': []}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['<']}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['<', '5']}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['<', [5]]}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': [5, '<']}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['=<', 5]}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['prefix', 5]}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['numeric', 5]}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['<', 5, '>']}}", "numeric must be one or two comparisons"},
        {"{'a': {'numeric': ['<', 5, '>', 1, '!=', 3]}}", "numeric must be one or two comparisons"},
        {"{'a': {'anything-but': []}}", "anything-but must be a scalar or a list of 1 to 64 scalars"},
        {"{'a': {'anything-but': {'prefix': 'x'}}}", "anything-but must be a scalar"},
        {"{'a': {'anything-but': ['x', ['y']]}}", "anything-but must be a scalar"},
        {"{'a': [1, {'anything-but': [{}]}]}", "anything-but must be a scalar"},
        {"{'a': 'x'*70000}", "the bytes of a filter must not be more than 4096"},
        {"{'x'*70000: 1}", "the bytes of a filter must not be more than 4096"},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++)
        check_refused(*state, table[i].filter, table[i].sentence);
}

/* {'k0': <condition>, 'k1': ...} or [<condition>, ...], `count` of them. */
static void write_many(char *out, const char *before, unsigned count, bool keys, const char *each, const char *after)
{
    out += sprintf(out, "%s", before);
    for (unsigned i = 0; i < count; i++) {
        out += keys ? sprintf(out, "%s'k%u': %s", i > 0 ? ", " : "", i, each)
                    : sprintf(out, "%s%s", i > 0 ? ", " : "", each);
    }
    sprintf(out, "%s", after);
}

/* Each limit allows what it names and refuses one more. */
static void test_limits_are_exact(void **state)
{
    struct stage *s = *state;
    char text[4096];

    write_many(text, "{", LIMIT_FILTER_KEYS, true, "[1, 2]", "}");
    assert_int_equal(read_text(s, text), ERR_NONE);
    write_many(text, "{", LIMIT_FILTER_KEYS + 1, true, "1", "}");
    check_refused(s, text, "the keys of a filter must not be more than 32");

    write_many(text, "{'a': [", LIMIT_FILTER_ALTERNATIVES, false, "{'numeric': ['<', 5]}", "]}");
    assert_int_equal(read_text(s, text), ERR_NONE);
    write_many(text, "{'a': [", LIMIT_FILTER_ALTERNATIVES + 1, false, "1", "]}");
    check_refused(s, text, "a list must have 1 to 64 alternatives");
    write_many(text, "{'a': {'anything-but': [", LIMIT_FILTER_ALTERNATIVES, false, "1", "]}}");
    assert_int_equal(read_text(s, text), ERR_NONE);
    write_many(text, "{'a': {'anything-but': [", LIMIT_FILTER_ALTERNATIVES + 1, false, "1", "]}}");
    check_refused(s, text, "anything-but must be a scalar or a list of 1 to 64 scalars");

    assert_int_equal(read_text(s, "{'a': 'x'*4000}"), ERR_NONE);
    const size_t around = s->filter.bytes - 4000;
    snprintf(text, sizeof text, "{'a': 'x'*%zu}", LIMIT_FILTER_BYTES - around);
    assert_int_equal(read_text(s, text), ERR_NONE);
    assert_int_equal(s->filter.bytes, LIMIT_FILTER_BYTES);
    snprintf(text, sizeof text, "{'a': 'x'*%zu}", LIMIT_FILTER_BYTES - around + 1);
    check_refused(s, text, "the bytes of a filter must not be more than 4096");
}

/* ---- random filters ---------------------------------------------------------------------------------------------- */

static void random_string(struct random *r, struct buffer *out, bool ascii)
{
    uint8_t bytes[32];
    const size_t count = (size_t)random_below(r, sizeof bytes);

    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)random_below(r, ascii ? 128 : 256);
    if (random_below(r, 2))
        encode_str(out, bytes, count);
    else
        encode_bin(out, bytes, count);
}

static void random_number(struct random *r, struct buffer *out)
{
    const uint64_t bits = random_bits(r, 64);
    double real;

    memcpy(&real, &bits, sizeof real);
    switch (random_below(r, 4)) {
    case 0:
        encode_uint(out, bits);
        break;
    case 1:
        encode_int(out, -(int64_t)(bits >> 1));
        break;
    case 2:
        encode_double(out, real);
        break;
    default:
        encode_float(out, (float)(bits >> 40) / 3);
        break;
    }
}

static void random_scalar(struct random *r, struct buffer *out)
{
    switch (random_below(r, 4)) {
    case 0:
        encode_nil(out);
        break;
    case 1:
        encode_bool(out, random_below(r, 2));
        break;
    case 2:
        random_number(r, out);
        break;
    default:
        random_string(r, out, false);
        break;
    }
}

/* How many follow: without a list, or with one of 1 to 3. */
static uint32_t random_list(struct random *r, struct buffer *out)
{
    const uint32_t count = (uint32_t)random_below(r, 4);

    if (count > 0)
        encode_array(out, count);
    return count > 0 ? count : 1;
}

static void random_alternative(struct random *r, struct buffer *out)
{
    static const enum filter_op ops[] = {FILTER_EQUAL, FILTER_PREFIX, FILTER_NUMERIC, FILTER_EXISTS,
                                         FILTER_ANYTHING_BUT};
    const enum filter_op op = ops[random_below(r, COUNT_OF(ops))];

    if (op == FILTER_EQUAL) {
        random_scalar(r, out);
        return;
    }
    encode_map(out, 1);
    encode_text(out, filter_op_word(op));
    if (op == FILTER_PREFIX) {
        random_string(r, out, false);
    } else if (op == FILTER_EXISTS) {
        encode_bool(out, random_below(r, 2));
    } else if (op == FILTER_NUMERIC) {
        const uint32_t count = 1 + (uint32_t)random_below(r, 2);
        encode_array(out, count * 2);
        for (uint32_t i = 0; i < count; i++) {
            encode_text(out, filter_op_word((enum filter_op)random_below(r, FILTER_GREATER_EQUAL + 1)));
            random_number(r, out);
        }
    } else {
        for (uint32_t count = random_list(r, out); count > 0; count--)
            random_scalar(r, out);
    }
}

static void random_filter(struct random *r, struct buffer *out)
{
    const uint32_t keys = (uint32_t)random_below(r, 7);

    buffer_reset(out);
    encode_map(out, keys);
    for (uint32_t i = 0; i < keys; i++) {
        random_string(r, out, true);
        for (uint32_t count = random_list(r, out); count > 0; count--)
            random_alternative(r, out);
    }
}

/* The filter that was read is written and read again: the same filter, and then the same on the wire. */
static void check_stable(struct stage *s)
{
    const struct view first = s->filter;
    struct buffer written;

    buffer_init(&written, NULL);
    encode_filter(&written, first);
    buffer_reset(&s->wire);
    buffer_append(&s->wire, written.data, written.bytes);
    assert_true(stage_decode(s));
    assert_int_equal(stage_read(s), ERR_NONE);
    assert_int_equal(s->filter.bytes, first.bytes);
    if (first.bytes > 0)
        assert_memory_equal(s->filter.data, first.data, first.bytes);
    buffer_reset(&s->wire);
    encode_filter(&s->wire, s->filter);
    assert_int_equal(s->wire.bytes, written.bytes);
    assert_memory_equal(s->wire.data, written.data, written.bytes);
    buffer_close(&written);
    arena_reset(&s->arena);
}

/* Writing and reading a filter changes nothing, whatever is in it. */
static void test_random_filters_are_stable(void **state)
{
    struct stage *s = *state;
    struct random r = test_seed(__func__);
    unsigned read = 0;

    for (int round = 0; round < 20000; round++) {
        random_filter(&r, &s->wire);
        assert_true(stage_decode(s));
        if (stage_read(s) == ERR_NONE) {
            read++;
            check_stable(s);
        } else if (strstr(s->error.text, "twice") == NULL) { /* short keys meet now and then */
            fail_msg("%s", s->error.text);
        }
    }
    assert_in_range(read, 15000, 20000);
}

/* Filters with bytes changed are refused with a sentence, or are filters. */
static void test_damaged_filters_are_refused_or_read(void **state)
{
    struct stage *s = *state;
    struct random r = test_seed(__func__);
    unsigned read = 0, refused = 0;

    for (int round = 0; round < 20000; round++) {
        random_filter(&r, &s->wire);
        for (uint64_t changes = 1 + random_below(&r, 3); changes > 0; changes--)
            s->wire.data[random_below(&r, s->wire.bytes)] = (uint8_t)random_next(&r);
        if (!stage_decode(s) || s->decoder->nodes[0].type != NODE_MAP)
            continue;
        if (stage_read(s) == ERR_NONE) {
            read++;
            check_stable(s);
        } else {
            refused++;
            assert_string_equal(s->error.key, "filter");
            assert_in_range(strlen(s->error.text), 20, sizeof s->error.text - 2);
        }
    }
    assert_in_range(read, 500, 20000);
    assert_in_range(refused, 500, 20000);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_filters_are_written_back_in_one_form),
        TEST(test_the_same_filter_is_the_same_bytes),
        TEST(test_wrong_filters_are_refused_by_name),
        TEST(test_limits_are_exact),
        TEST(test_random_filters_are_stable),
        TEST(test_damaged_filters_are_refused_or_read),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
