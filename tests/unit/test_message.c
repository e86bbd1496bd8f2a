/* message: what goes in comes out, every byte is counted, and bodies live as long as somebody refers to them. */
#include "server/broker/message.h"
#include "tests/support/random.h"
#include "tests/support/starve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static uint8_t material[200000];

static void fill_material(void)
{
    for (size_t i = 0; i < sizeof material; i++)
        material[i] = (uint8_t)(i * 31 + i / 251);
}

static struct view view(const void *data, size_t bytes)
{
    return (struct view){data, bytes};
}

static void assert_view(struct view got, struct view want)
{
    assert_int_equal(got.bytes, want.bytes);
    if (want.bytes > 0)
        assert_memory_equal(got.data, want.data, want.bytes);
}

/* The message made of `p` has its contents, costs what was announced, and leaves nothing behind. */
static void check_message(struct pool *pool, const struct publication *p)
{
    uint64_t used_before = pool->used_bytes;
    struct message *m = message_new(pool, p, false);
    assert_non_null(m);
    assert_int_equal(pool->used_bytes - used_before, message_cost(p, false));
    assert_int_equal(m->body_bytes, p->body.bytes);
    assert_view(message_body(m), p->body);
    assert_view(message_group(m), p->group);
    assert_view(message_headers(m), p->headers);
    assert_int_equal(message_shared(m) != NULL, p->body.bytes >= MESSAGE_SHARE_BYTES);
    assert_int_equal((m->flags & MESSAGE_EXTRAS) != 0, p->group.bytes + p->headers.bytes > 0);
    assert_int_equal(m->id | (uint64_t)m->published_ms | (uint64_t)m->expires_ms | m->attempts, 0);
    assert_int_equal(m->slot, MESSAGE_NO_SLOT);
    message_free(pool, m);
    assert_int_equal(pool->used_bytes, used_before);
}

/* Every combination of sizes of body, group and headers, on both sides of where bodies begin to be shared. */
static void test_contents_of_every_size_are_kept(void **state)
{
    (void)state;
    static const size_t bodies[] = {
        0, 1, 7, 8, 100, 128, MESSAGE_SHARE_BYTES - 1, MESSAGE_SHARE_BYTES, 16384, sizeof material};
    static const size_t groups[] = {0, 1, 3, 128};
    static const size_t headers[] = {0, 1, 9, 300, 65536};
    struct pool pool;
    pool_init(&pool);
    for (size_t b = 0; b < COUNT_OF(bodies); b++)
        for (size_t g = 0; g < COUNT_OF(groups); g++)
            for (size_t h = 0; h < COUNT_OF(headers); h++) {
                struct publication p = {.body = view(bodies[b] > 0 ? material : NULL, bodies[b]),
                                        .group = view(material + 1000, groups[g]),
                                        .headers = view(material + 2000, headers[h]),
                                        .delay_ms = -1,
                                        .ttl_ms = -1};
                check_message(&pool, &p);
            }
    pool_close(&pool);
}

/* Group and headers are copied: what the caller does with its bytes afterwards does not matter. */
static void test_nothing_of_the_callers_is_borrowed(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    char body[] = "body", group[] = "group", headers[] = "headers";
    struct publication p = {.body = view(body, 4), .group = view(group, 5), .headers = view(headers, 7)};
    struct message *m = message_new(&pool, &p, false);
    memset(body, 0, sizeof body);
    memset(group, 0, sizeof group);
    memset(headers, 0, sizeof headers);
    assert_view(message_body(m), view("body", 4));
    assert_view(message_group(m), view("group", 5));
    assert_view(message_headers(m), view("headers", 7));
    message_free(&pool, m);
    pool_close(&pool);
}

/* A body that is already counted is taken as it is, for as many messages as like, and goes with the last reference. */
static void test_a_shared_body_lives_as_long_as_its_references(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    struct body *body = body_new(&pool, 50000);
    memcpy(body->data, material, 50000);
    struct publication p = {.body = view(body->data, body->bytes), .shared = body, .group = view("g", 1)};
    struct message *first = message_new(&pool, &p, false);
    struct message *second = message_new(&pool, &p, false);
    assert_int_equal(body->refs, 3);
    assert_ptr_equal(message_shared(first), body);
    assert_ptr_equal(message_body(second).data, body->data);
    body_unref(body);
    message_free(&pool, first);
    struct body *sent = body_ref(message_shared(second));
    message_free(&pool, second);
    assert_int_equal(sent->refs, 1);
    assert_memory_equal(sent->data, material, 50000);
    body_unref(sent);
    assert_int_equal(pool.used_bytes, 0);
    pool_close(&pool);
}

/* A short body can be shared as well, if it already is. */
static void test_a_short_shared_body_is_not_copied(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    struct body *body = body_new(&pool, 5);
    memcpy(body->data, "short", 5);
    struct publication p = {.body = view(body->data, 5), .shared = body};
    uint64_t used_before = pool.used_bytes;
    struct message *m = message_new(&pool, &p, false);
    assert_int_equal(pool.used_bytes - used_before, message_cost(&p, false));
    body_unref(body);
    assert_view(message_body(m), view("short", 5));
    message_free(&pool, m);
    pool_close(&pool);
}

/* If memory runs out, at the message or at its body, nothing is held and no reference was taken. */
static void test_without_memory_nothing_is_made(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    struct publication p = {.body = view(material, 20000), .headers = view(material, 50)};
    struct starved s = starve(&pool, sizeof(struct message) + 8 + 56 + sizeof(void *), 0);
    assert_null(message_new(&pool, &p, false));
    assert_int_equal(pool.used_bytes, s.used_bytes);
    starve_end(&s);
    s = starve(&pool, sizeof(struct message) + 8 + 56 + sizeof(void *), 1);
    assert_null(message_new(&pool, &p, false));
    assert_null(body_new(&pool, 20000));
    assert_int_equal(pool.used_bytes, s.used_bytes);
    starve_end(&s);
    struct body *body = body_new(&pool, 20000);
    p.body = view(body->data, 20000);
    p.shared = body;
    s = starve(&pool, sizeof(struct message) + 8 + 56 + sizeof(void *), 0);
    assert_null(message_new(&pool, &p, false));
    assert_int_equal(body->refs, 1);
    starve_end(&s);
    body_unref(body);
    assert_int_equal(pool.used_bytes, 0);
    pool_close(&pool);
}

static uint64_t double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void assert_header(const struct header *got, const struct header *want)
{
    assert_int_equal(got->kind, want->kind);
    assert_view(got->key, want->key);
    assert_true(got->number == want->number);
    assert_view(got->bytes, want->bytes);
}

/* Each kind of header, with the values at the ends of its range, is read as it was stored, in the announced length. */
static void test_headers_of_every_kind_are_read_as_stored(void **state)
{
    (void)state;
    struct header list[] = {
        {.kind = HEADER_NIL, .key = view("nil", 3)},
        {.kind = HEADER_FALSE, .key = view("f", 1)},
        {.kind = HEADER_TRUE, .key = view("", 0)},
        {.kind = HEADER_UINT, .key = view("zero", 4), .number = 0},
        {.kind = HEADER_UINT, .key = view("127", 3), .number = 127},
        {.kind = HEADER_UINT, .key = view("128", 3), .number = 128},
        {.kind = HEADER_UINT, .key = view("max", 3), .number = UINT64_MAX},
        {.kind = HEADER_INT, .key = view("-1", 2), .number = (uint64_t)-1},
        {.kind = HEADER_INT, .key = view("min", 3), .number = (uint64_t)INT64_MIN},
        {.kind = HEADER_INT, .key = view("5", 1), .number = 5},
        {.kind = HEADER_FLOAT, .key = view("float", 5), .number = double_bits(1.5)},
        {.kind = HEADER_DOUBLE, .key = view("-0", 2), .number = double_bits(-0.0)},
        {.kind = HEADER_DOUBLE, .key = view("nan", 3), .number = double_bits(NAN) | 12345},
        {.kind = HEADER_TEXT, .key = view("text", 4), .bytes = view("some text", 9)},
        {.kind = HEADER_TEXT, .key = view("empty", 5), .bytes = view("", 0)},
        {.kind = HEADER_BYTES, .key = view("bytes", 5), .bytes = view(material, 65536)},
        {.kind = HEADER_BYTES, .key = view(material, 200), .bytes = view("\0\xff", 2)},
    };
    static uint8_t stored[70000];
    uint8_t *end = stored;
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        uint8_t *next = header_put(end, &list[i]);
        assert_int_equal(next - end, header_bytes(&list[i]));
        end = next;
    }
    struct view rest = view(stored, (size_t)(end - stored));
    struct header h;
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        assert_true(header_next(&rest, &h));
        assert_header(&h, &list[i]);
    }
    assert_false(header_next(&rest, &h));
}

static struct view random_view(struct random *r, unsigned bits)
{
    size_t bytes = (size_t)random_bits(r, bits);
    return view(material + random_below(r, sizeof material - bytes), bytes);
}

/* Random lists of headers survive the way through a message. */
static void test_random_headers_survive_in_a_message(void **state)
{
    (void)state;
    enum { HEADERS = 64, ROOM = HEADERS * 3000 };
    static uint8_t stored[ROOM];
    struct random r = test_seed(__func__);
    struct pool pool;
    pool_init(&pool);
    for (int round = 0; round < 500; round++) {
        struct header list[HEADERS] = {{.kind = HEADER_NIL}};
        size_t count = (size_t)random_below(&r, HEADERS + 1);
        uint8_t *end = stored;
        for (size_t i = 0; i < count; i++) {
            list[i].kind = (enum header_kind)random_below(&r, HEADER_BYTES + 1);
            list[i].key = random_view(&r, 8);
            if (list[i].kind >= HEADER_UINT && list[i].kind <= HEADER_DOUBLE)
                list[i].number = random_bits(&r, 64);
            else if (list[i].kind >= HEADER_TEXT)
                list[i].bytes = random_view(&r, 11);
            end = header_put(end, &list[i]);
        }
        struct publication p = {.body = view("x", 1), .headers = view(stored, (size_t)(end - stored))};
        struct message *m = message_new(&pool, &p, false);
        struct view rest = message_headers(m);
        struct header h;
        for (size_t i = 0; i < count; i++) {
            assert_true(header_next(&rest, &h));
            assert_header(&h, &list[i]);
        }
        assert_false(header_next(&rest, &h));
        message_free(&pool, m);
    }
    pool_close(&pool);
}

int main(void)
{
    fill_material();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_of_every_size_are_kept),
        cmocka_unit_test(test_nothing_of_the_callers_is_borrowed),
        cmocka_unit_test(test_a_shared_body_lives_as_long_as_its_references),
        cmocka_unit_test(test_a_short_shared_body_is_not_copied),
        cmocka_unit_test(test_without_memory_nothing_is_made),
        cmocka_unit_test(test_headers_of_every_kind_are_read_as_stored),
        cmocka_unit_test(test_random_headers_survive_in_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
