#include "tests/unit/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void collect(void *user, const void *data, size_t bytes)
{
    struct records *r = user;
    if (r->room < r->bytes + bytes) {
        r->room = 2 * (r->bytes + bytes);
        r->out = realloc(r->out, r->room);
        assert_non_null(r->out);
    }
    memcpy(r->out + r->bytes, data, bytes);
    r->bytes += bytes;
    r->drains++;
    r->last = data;
}

void records_open(struct records *r)
{
    memset(r, 0, sizeof *r);
    pool_init(&r->pool);
    uint8_t *data = malloc(RECORDS_CAP);
    assert_non_null(data);
    record_writer_init(&r->w, data, RECORDS_CAP, collect, r);
    r->w.wall_offset_ms = 100000;
    r->queue.number = 3;
    r->queue.next_id = 1;
    r->queue.name_bytes = 1;
    r->queue.name[0] = 'q';
    attributes_init(&r->queue.attributes);
}

void records_close(struct records *r)
{
    assert_int_equal(r->pool.used_bytes, 0);
    pool_close(&r->pool);
    free(r->w.data);
    free(r->out);
}

struct view records_take(struct records *r)
{
    record_close(&r->w);
    if (r->w.used > 0)
        collect(r, r->w.data, r->w.used);
    const struct view all = {r->out, r->bytes};
    r->w.used = 0;
    r->bytes = 0;
    r->drains = 0;
    return all;
}

size_t records_from_hex(const char *hex, uint8_t *out, size_t room)
{
    size_t bytes = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        const char digits[3] = {hex[0], hex[1], '\0'};
        assert_in_range(bytes, 0, room - 1);
        out[bytes++] = (uint8_t)strtoul(digits, NULL, 16);
        hex++;
    }
    return bytes;
}

void records_expect(struct records *r, const char *hex)
{
    static uint8_t expected[4096];
    static char got[2 * sizeof expected + 1];
    const struct view all = records_take(r);
    const size_t bytes = records_from_hex(hex, expected, sizeof expected);
    assert_in_range(all.bytes, 0, sizeof expected);
    for (size_t i = 0; i < all.bytes; i++)
        (void)snprintf(got + 2 * i, 3, "%02x", ((const uint8_t *)all.data)[i]);
    if (all.bytes != bytes || memcmp(all.data, expected, bytes) != 0)
        fail_msg("written was %s", got);
}

struct message *records_message_of(struct records *r, uint64_t id, const struct publication *p)
{
    struct message *m = message_new(&r->pool, p, false);
    assert_non_null(m);
    m->id = id;
    message_set_published(m, 1000);
    return m;
}

struct message *records_message(struct records *r, uint64_t id, const void *body, size_t bytes)
{
    return records_message_of(r, id, &(struct publication){.body = {body, bytes}});
}

void records_free(struct records *r, struct message *m)
{
    message_free(&r->pool, m);
}

struct record records_next(struct view *rest)
{
    struct record record;
    enum record_type type;
    uint64_t bytes;
    assert_true(rest->bytes >= RECORD_HEAD_BYTES);
    assert_true(record_head(*rest, &type, &bytes));
    assert_in_range(bytes, RECORD_HEAD_BYTES, rest->bytes);
    assert_true(type == RECORD_MESSAGE || bytes <= RECORD_LONG);
    assert_true(record_read(*rest, &record));
    assert_int_equal(record.type, type);
    rest->data = (const uint8_t *)rest->data + bytes;
    rest->bytes -= (size_t)bytes;
    return record;
}
