/*
 * A filter is a list of headers. For each key it has
 *
 *     key = alternatives (UINT)          and for each test    the operator's code, one byte = value
 *
 * where the value of NUMERIC and ANYTHING_BUT is the number of tests that follow (UINT). Numbers of tests stand before
 * the tests, so what a header of the list means is known from those before it. The builder makes sure that these
 * numbers are right; readers rely on it.
 *
 * Matching looks for each key through the message's headers: at most keys x headers + tests steps, no memory.
 */
#include "server/broker/filter.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(LIMIT_FILTER_BYTES <= UINT16_MAX, "places in the draft are 16 bits");

static bool view_begins(struct view view, struct view prefix)
{
    return view.bytes >= prefix.bytes && (prefix.bytes == 0 || memcmp(view.data, prefix.data, prefix.bytes) == 0);
}

static bool view_equals(struct view a, struct view b)
{
    return a.bytes == b.bytes && view_begins(a, b);
}

/* Below, at or above 0, as memcmp(): in the order of bytes, what is shorter first. */
static int view_compare(struct view a, struct view b)
{
    const size_t common = a.bytes < b.bytes ? a.bytes : b.bytes;
    const int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static const char *const words[FILTER_OP_COUNT] = {
#define X(id, word) [FILTER_##id] = word,
    FILTER_OP_LIST(X)
#undef X
};

const char *filter_op_word(enum filter_op op)
{
    assert(op < FILTER_OP_COUNT);
    return words[op];
}

bool filter_op_from_word(struct view word, enum filter_op *out)
{
    for (unsigned i = 0; i < FILTER_OP_COUNT; i++) {
        if (view_equals(word, (struct view){words[i], strlen(words[i])})) {
            *out = (enum filter_op)i;
            return true;
        }
    }
    return false;
}

const char *filter_refusal_text(enum filter_refusal refusal)
{
    /* The numbers in the sentences come from filter.h. */
#define TEXT(number)          #number
#define AT_MOST(what, number) what TEXT(number)
#define ONE_TO(number, what)  "1 to " TEXT(number) what
    switch (refusal) {
    case FILTER_FINE:
        return "nothing was refused";
    case FILTER_TOO_LONG:
        return AT_MOST("the bytes of a filter must not be more than ", LIMIT_FILTER_BYTES);
    case FILTER_TOO_MANY_KEYS:
        return AT_MOST("the keys of a filter must not be more than ", LIMIT_FILTER_KEYS);
    case FILTER_KEY_TWICE:
        return "the key is there twice";
    case FILTER_BAD_ALTERNATIVES:
        return "a list must have " ONE_TO(LIMIT_FILTER_ALTERNATIVES, " alternatives");
    case FILTER_BAD_PREFIX:
        return "prefix must be text or bytes";
    case FILTER_BAD_NUMERIC:
        return "numeric must be one or two comparisons, each an operator (= != < <= > >=) and a number";
    case FILTER_BAD_EXISTS:
        return "exists must be true or false";
    case FILTER_BAD_ANYTHING_BUT:
        return "anything-but must be a scalar or a list of " ONE_TO(LIMIT_FILTER_ALTERNATIVES, " scalars");
    }
#undef TEXT
#undef AT_MOST
#undef ONE_TO
    assert(false); /* the switch knows them all */
    return "";
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

enum order { BELOW, EQUAL, ABOVE, UNORDERED };

static bool is_number(const struct header *h)
{
    return h->kind >= HEADER_UINT && h->kind <= HEADER_DOUBLE;
}

static bool is_real(const struct header *h)
{
    return h->kind == HEADER_FLOAT || h->kind == HEADER_DOUBLE;
}

static bool is_string(const struct header *h)
{
    return h->kind == HEADER_TEXT || h->kind == HEADER_BYTES;
}

static bool is_negative_integer(const struct header *h)
{
    return h->kind == HEADER_INT && h->number >> 63;
}

static double real_value(const struct header *h)
{
    double real;
    memcpy(&real, &h->number, sizeof real);
    return real;
}

static enum order order_of(bool below, bool above)
{
    return below ? BELOW : above ? ABOVE : EQUAL;
}

static enum order order_integers(const struct header *a, const struct header *b)
{
    const bool a_negative = is_negative_integer(a), b_negative = is_negative_integer(b);
    if (a_negative != b_negative)
        return a_negative ? BELOW : ABOVE;
    /* Two's complements of the same sign are in the order of what they stand for. */
    return order_of(a->number<b->number, a->number> b->number);
}

/*
 * Exact where the integer has no double of its own: the double is cut to an integer, which changes nothing but its
 * fraction, and only a double that has room for a fraction loses one.
 */
static enum order order_integer_and_real(const struct header *a, double real)
{
    if (isnan(real))
        return UNORDERED;
    if (is_negative_integer(a)) {
        const int64_t whole = (int64_t)a->number;
        if (real >= 0 || real < -0x1p63)
            return real >= 0 ? BELOW : ABOVE;
        const int64_t cut = (int64_t)real;
        return order_of(whole<cut, whole> cut || (double)cut > real);
    }
    if (real < 0 || real >= 0x1p64)
        return real < 0 ? ABOVE : BELOW;
    const uint64_t cut = (uint64_t)real;
    return order_of(a->number < cut || (a->number == cut && (double)cut < real), a->number > cut);
}

static enum order order_reals(double a, double b)
{
    if (isnan(a) || isnan(b))
        return UNORDERED;
    return order_of(a<b, a> b);
}

/* Where number `a` stands, seen from number `b`. */
static enum order order_numbers(const struct header *a, const struct header *b)
{
    if (is_real(a) && is_real(b))
        return order_reals(real_value(a), real_value(b));
    if (is_real(b))
        return order_integer_and_real(a, real_value(b));
    if (!is_real(a))
        return order_integers(a, b);
    const enum order order = order_integer_and_real(b, real_value(a));
    return order == BELOW ? ABOVE : order == ABOVE ? BELOW : order;
}

static bool scalar_equals(const struct header *a, const struct header *b)
{
    if (is_number(a) && is_number(b))
        return order_numbers(a, b) == EQUAL;
    if (is_string(a) && is_string(b))
        return view_equals(a->bytes, b->bytes);
    return a->kind == b->kind;
}

static bool comparison_holds(enum filter_op op, const struct header *a, const struct header *b)
{
    if (!is_number(a))
        return false;
    const enum order order = order_numbers(a, b);
    switch (op) {
    case FILTER_EQUAL:
        return order == EQUAL;
    case FILTER_UNEQUAL:
        return order != EQUAL;
    case FILTER_LESS:
        return order == BELOW;
    case FILTER_LESS_EQUAL:
        return order == BELOW || order == EQUAL;
    case FILTER_GREATER:
        return order == ABOVE;
    case FILTER_GREATER_EQUAL:
        return order == ABOVE || order == EQUAL;
    default:
        assert(false); /* the builder lets comparisons through only */
        return false;
    }
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static bool op_counts(enum filter_op op)
{
    return op == FILTER_NUMERIC || op == FILTER_ANYTHING_BUT;
}

bool filter_next_key(struct view *rest, struct view *key, uint32_t *alternatives)
{
    struct header h;
    if (!header_next(rest, &h))
        return false;
    assert(h.kind == HEADER_UINT && h.number > 0);
    *key = h.key;
    *alternatives = (uint32_t)h.number;
    return true;
}

void filter_next_test(struct view *rest, struct filter_test *out)
{
    struct header h;
    const bool more = header_next(rest, &h);
    assert(more && h.key.bytes == 1);
    const uint8_t code = *(const uint8_t *)h.key.data;
    assert(code < FILTER_OP_COUNT);
    *out = (struct filter_test){.op = (enum filter_op)code};
    if (op_counts(out->op))
        out->count = (uint32_t)h.number;
    else
        out->value = h;
    out->value.key = (struct view){NULL, 0};
}

/* A value that must be equal is itself; any other test has the operator's map and word, an array, and its values. */
static uint32_t test_elements(struct view *rest)
{
    struct filter_test test, inner;

    filter_next_test(rest, &test);
    for (uint32_t i = 0; i < test.count; i++)
        filter_next_test(rest, &inner);
    return test.op == FILTER_EQUAL ? 1 : 4 + 2 * test.count;
}

uint32_t filter_elements(struct view filter)
{
    struct view key;
    uint32_t elements = 1, alternatives;

    while (filter_next_key(&filter, &key, &alternatives)) {
        elements += 2; /* the key, and an array around its tests */
        for (uint32_t i = 0; i < alternatives; i++)
            elements += test_elements(&filter);
    }
    return elements;
}

uint32_t filter_key_count(struct view filter)
{
    struct view key;
    struct filter_test test;
    uint32_t count = 0, left;

    for (; filter_next_key(&filter, &key, &left); count++) {
        for (; left > 0; left--) {
            filter_next_test(&filter, &test);
            left += test.count;
        }
    }
    return count;
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

static bool header_find(struct view headers, struct view key, struct header *out)
{
    while (header_next(&headers, out)) {
        if (view_equals(out->key, key))
            return true;
    }
    return false;
}

/* Takes the tests of a NUMERIC or ANYTHING_BUT off `rest`, all of them. `h` is NULL if the header is not there. */
static bool inner_tests_hold(struct view *rest, const struct filter_test *outer, const struct header *h)
{
    bool hold = h != NULL;

    for (uint32_t i = 0; i < outer->count; i++) {
        struct filter_test test;
        filter_next_test(rest, &test);
        if (hold && outer->op == FILTER_NUMERIC)
            hold = comparison_holds(test.op, h, &test.value);
        else if (hold)
            hold = !scalar_equals(h, &test.value);
    }
    return hold;
}

/* Takes one alternative off `rest`. */
static bool alternative_holds(struct view *rest, const struct header *h)
{
    struct filter_test test;

    filter_next_test(rest, &test);
    switch (test.op) {
    case FILTER_EQUAL:
        return h != NULL && scalar_equals(h, &test.value);
    case FILTER_PREFIX:
        return h != NULL && is_string(h) && view_begins(h->bytes, test.value.bytes);
    case FILTER_EXISTS:
        return (h != NULL) == (test.value.kind == HEADER_TRUE);
    case FILTER_NUMERIC:
    case FILTER_ANYTHING_BUT:
        return inner_tests_hold(rest, &test, h);
    default:
        assert(false); /* other comparisons stand inside of NUMERIC only */
        return false;
    }
}

bool filter_matches(struct view filter, struct view headers)
{
    struct view key;
    uint32_t alternatives;

    while (filter_next_key(&filter, &key, &alternatives)) {
        struct header header;
        const struct header *h = header_find(headers, key, &header) ? &header : NULL;
        bool holds = false;
        /* All alternatives are taken: the next key stands behind them. */
        for (uint32_t i = 0; i < alternatives; i++)
            holds = alternative_holds(&filter, h) || holds;
        if (!holds)
            return false;
    }
    return true;
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

static bool refuse(struct filter_builder *b, enum filter_refusal refusal)
{
    b->refusal = refusal;
    return false;
}

/* Adds to the current entry. */
static bool append(struct filter_builder *b, const struct header *h)
{
    const size_t bytes = header_bytes(h);
    if (bytes > LIMIT_FILTER_BYTES - b->bytes)
        return refuse(b, FILTER_TOO_LONG);
    header_put(b->draft + b->bytes, h);
    b->bytes += bytes;
    b->entries[b->current].bytes = (uint16_t)(b->entries[b->current].bytes + bytes);
    return true;
}

void filter_begin(struct filter_builder *b)
{
    b->bytes = 0;
    b->refusal = FILTER_FINE;
    b->entry_count = b->alternatives_left = b->inner_left = 0;
}

bool filter_add_key(struct filter_builder *b, struct view key, uint32_t alternatives)
{
    if (b->refusal != FILTER_FINE)
        return false;
    assert(b->alternatives_left == 0 && b->inner_left == 0);
    if (b->entry_count == LIMIT_FILTER_KEYS)
        return refuse(b, FILTER_TOO_MANY_KEYS);
    if (alternatives == 0 || alternatives > LIMIT_FILTER_ALTERNATIVES)
        return refuse(b, FILTER_BAD_ALTERNATIVES);
    uint32_t place = b->entry_count;
    while (place > 0 && view_compare(key, b->entries[place - 1].key) < 0)
        place--;
    if (place > 0 && view_equals(key, b->entries[place - 1].key))
        return refuse(b, FILTER_KEY_TWICE);
    memmove(&b->entries[place + 1], &b->entries[place], (b->entry_count - place) * sizeof b->entries[0]);
    b->entries[place] = (struct filter_entry){.key = key, .at = (uint16_t)b->bytes};
    b->entry_count++;
    b->current = place;
    b->alternatives_left = alternatives;
    return append(b, &(struct header){.kind = HEADER_UINT, .key = key, .number = alternatives});
}

static enum filter_refusal check_inner(const struct filter_builder *b, const struct filter_test *test)
{
    if (b->inner == FILTER_NUMERIC)
        return test->op <= FILTER_GREATER_EQUAL && is_number(&test->value) ? FILTER_FINE : FILTER_BAD_NUMERIC;
    assert(test->op == FILTER_EQUAL);
    return FILTER_FINE;
}

static enum filter_refusal check_alternative(const struct filter_test *test)
{
    const enum header_kind kind = test->value.kind;

    switch (test->op) {
    case FILTER_EQUAL:
        return FILTER_FINE;
    case FILTER_PREFIX:
        return is_string(&test->value) ? FILTER_FINE : FILTER_BAD_PREFIX;
    case FILTER_EXISTS:
        return kind == HEADER_TRUE || kind == HEADER_FALSE ? FILTER_FINE : FILTER_BAD_EXISTS;
    case FILTER_NUMERIC:
        return test->count == 1 || test->count == 2 ? FILTER_FINE : FILTER_BAD_NUMERIC;
    case FILTER_ANYTHING_BUT:
        return test->count > 0 && test->count <= LIMIT_FILTER_ALTERNATIVES ? FILTER_FINE : FILTER_BAD_ANYTHING_BUT;
    default:
        assert(false); /* a comparison outside of NUMERIC */
        return FILTER_BAD_NUMERIC;
    }
}

bool filter_add_test(struct filter_builder *b, const struct filter_test *test)
{
    if (b->refusal != FILTER_FINE)
        return false;
    assert(b->inner_left > 0 || b->alternatives_left > 0);
    const enum filter_refusal refusal = b->inner_left > 0 ? check_inner(b, test) : check_alternative(test);
    if (refusal != FILTER_FINE)
        return refuse(b, refusal);
    const bool counts = op_counts(test->op);
    const uint8_t code = (uint8_t)test->op;
    struct header h = counts ? (struct header){.kind = HEADER_UINT, .number = test->count} : test->value;
    h.key = (struct view){&code, 1};
    if (b->inner_left > 0)
        b->inner_left--;
    else
        b->alternatives_left--;
    if (counts) {
        b->inner = test->op;
        b->inner_left = test->count;
    }
    return append(b, &h);
}

void filter_store(const struct filter_builder *b, uint8_t *out)
{
    assert(b->refusal == FILTER_FINE && b->alternatives_left == 0 && b->inner_left == 0);
    for (uint32_t i = 0; i < b->entry_count; i++) {
        memcpy(out, b->draft + b->entries[i].at, b->entries[i].bytes);
        out += b->entries[i].bytes;
    }
}
