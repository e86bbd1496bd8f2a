#include "tests/support/wire_text.h"

#include "protocol/encoder.h"
#include "protocol/errors.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- text to bytes ----------------------------------------------------------------------------------------------- */

struct reader {
    const char *at;
    const char *text;
    struct buffer *out;
    const struct wire_names *names;
};

static void read_value(struct reader *r);

static char next(struct reader *r)
{
    r->at += strspn(r->at, " \n");
    return *r->at;
}

static void want(struct reader *r, const char *word)
{
    (void)next(r);
    if (strncmp(r->at, word, strlen(word)) != 0)
        fail_msg("'%s' expected at '%s' of '%s'", word, r->at, r->text);
    r->at += strlen(word);
}

static bool take(struct reader *r, const char *word)
{
    (void)next(r);
    if (strncmp(r->at, word, strlen(word)) != 0)
        return false;
    r->at += strlen(word);
    return true;
}

/* 'text' or 'text'*times. */
static void read_text(struct reader *r, bool bin)
{
    want(r, "'");
    const char *begin = r->at;
    const size_t bytes = strcspn(begin, "'");
    r->at += bytes;
    want(r, "'");
    const size_t times = take(r, "*") ? strtoul(r->at, (char **)&r->at, 10) : 1;

    uint8_t *copy = malloc(bytes * times + 1);
    assert_non_null(copy);
    for (size_t i = 0; i < times; i++)
        memcpy(copy + i * bytes, begin, bytes);
    if (bin)
        encode_bin(r->out, copy, bytes * times);
    else
        encode_str(r->out, copy, bytes * times);
    free(copy);
}

/*
 * The elements up to `end`; a map's are separated by : and , in turn. Their head needs the count, so they come
 * first.
 */
static uint32_t read_elements(struct reader *r, const char *end, bool pairs)
{
    uint32_t count = 0;

    while (!take(r, end)) {
        if (count > 0)
            want(r, ",");
        read_value(r);
        if (pairs) {
            want(r, ":");
            read_value(r);
        }
        count++;
    }
    return count;
}

static void read_container(struct reader *r, bool map)
{
    struct buffer elements, *out = r->out;

    buffer_init(&elements, NULL);
    r->out = &elements;
    const uint32_t count = read_elements(r, map ? "}" : "]", map);
    r->out = out;
    if (map)
        encode_map(out, count);
    else
        encode_array(out, count);
    buffer_append(out, elements.data, elements.bytes);
    buffer_close(&elements);
}

static void read_number(struct reader *r)
{
    char *end;
    const char *begin = r->at;
    const long long whole = strtoll(begin, &end, 10);

    if (end == begin)
        fail_msg("a value expected at '%s' of '%s'", begin, r->text);
    if (*end == '.')
        encode_double(r->out, strtod(begin, &end));
    else if (*begin == '-')
        encode_int(r->out, whole);
    else
        encode_uint(r->out, strtoull(begin, &end, 10));
    r->at = end;
}

static void read_value(struct reader *r)
{
    static const uint8_t ext[] = {0xd4, 5, 0};

    if (take(r, "nil")) {
        encode_nil(r->out);
    } else if (take(r, "true")) {
        encode_bool(r->out, true);
    } else if (take(r, "false")) {
        encode_bool(r->out, false);
    } else if (take(r, "ext")) {
        buffer_append(r->out, ext, sizeof ext);
    } else if (take(r, "R")) {
        const size_t number = strtoul(r->at, (char **)&r->at, 10);
        assert_true(number > 0 && number <= r->names->receipt_count);
        encode_uint(r->out, r->names->receipts[number - 1]);
    } else if (take(r, "[")) {
        read_container(r, false);
    } else if (take(r, "{")) {
        read_container(r, true);
    } else if (*r->at == '\'' || strncmp(r->at, "b'", 2) == 0) {
        read_text(r, take(r, "b"));
    } else {
        read_number(r);
    }
}

void wire_encode(struct buffer *out, const char *text, const struct wire_names *names)
{
    struct reader r = {.at = text, .text = text, .out = out, .names = names};

    read_value(&r);
    if (next(&r) != '\0')
        fail_msg("too much: '%s' of '%s'", r.at, text);
}

/* ---- bytes to text ----------------------------------------------------------------------------------------------- */

static void put(struct buffer *out, const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    const int bytes = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_in_range(bytes, 0, (int)sizeof text - 1);
    buffer_append(out, text, (size_t)bytes);
}

static void print_number(struct buffer *out, uint64_t number, struct wire_names *names)
{
    uint32_t i = 0;

    if (number < (uint64_t)1 << 40) {
        put(out, "%" PRIu64, number);
        return;
    }
    while (i < names->receipt_count && names->receipts[i] != number)
        i++;
    if (i == names->receipt_count) {
        assert_true(i < WIRE_RECEIPTS);
        names->receipts[names->receipt_count++] = number;
    }
    put(out, "R%" PRIu32, i + 1);
}

static void print_text(struct buffer *out, const struct decoder *d, const struct node *n)
{
    uint32_t same = 0;

    if (n->type == NODE_BIN)
        put(out, "b");
    if (n->flags & NODE_SKIPPED) {
        put(out, "<%" PRIu32 " bytes>", n->count);
        return;
    }
    const char *text = (const char *)decoder_bytes(d, n);
    while (same < n->count && text[same] == text[0])
        same++;
    if (same == n->count && same > 16) {
        put(out, "'%c'*%" PRIu32, text[0], same);
        return;
    }
    put(out, "'");
    for (uint32_t i = 0; i < n->count; i++)
        put(out, text[i] >= 0x20 && text[i] < 0x7f ? "%c" : "\\x%02x", text[i] & 0xff);
    put(out, "'");
}

static bool is_error(const struct decoder *d, uint32_t node)
{
    const struct node *n = &d->nodes[node];

    if (n[0].count < 2 || n[0].count > 3 || n[1].type != NODE_STR || n[2].type != NODE_STR)
        return false;
    return error_from_name((const char *)decoder_bytes(d, &n[1]), n[1].count) != ERR_NONE;
}

static void print_container(struct buffer *out, const struct decoder *d, uint32_t node, struct wire_names *names)
{
    const struct node *n = &d->nodes[node];
    const bool map = n->type == NODE_MAP;
    const bool error = !map && is_error(d, node);
    const uint32_t count = map ? n->count * 2 : n->count;

    put(out, map ? "{" : "[");
    node++;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            put(out, map && i % 2 == 1 ? ": " : ", ");
        if (error && i == 1)
            put(out, "...");
        else
            wire_print(out, d, node, names);
        node = decoder_skip(d, node);
    }
    put(out, map ? "}" : "]");
}

void wire_print(struct buffer *out, const struct decoder *d, uint32_t node, struct wire_names *names)
{
    const struct node *n = &d->nodes[node];

    switch ((enum node_type)n->type) {
    case NODE_NIL:
        put(out, "nil");
        break;
    case NODE_BOOL:
        put(out, n->value.uint ? "true" : "false");
        break;
    case NODE_UINT:
        print_number(out, n->value.uint, names);
        break;
    case NODE_INT:
        put(out, "%" PRId64, n->value.sint);
        break;
    case NODE_FLOAT:
        put(out, n->flags & NODE_FLOAT32 ? "%gf" : "%g", n->value.real);
        break;
    case NODE_STR:
    case NODE_BIN:
        print_text(out, d, n);
        break;
    case NODE_EXT:
        put(out, "ext");
        break;
    case NODE_ARRAY:
    case NODE_MAP:
        print_container(out, d, node, names);
        break;
    }
}
