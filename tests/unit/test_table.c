/*
 * table: held against an array of things that says which of them are in. Hashes are chosen so that some are equal, some differ
 * only in high bits, and some are anything.
 */
#include "server/broker/table.h"
#include "tests/support/random.h"
#include "tests/support/starve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct thing {
    struct table_link link;
    bool in, seen;
};

struct stage {
    struct pool pool;
    struct table table;
    struct thing *things;
    uint32_t count;
};

static void stage_open(struct stage *s, uint32_t count)
{
    pool_init(&s->pool);
    table_init(&s->table, &s->pool);
    s->things = calloc(count, sizeof *s->things);
    s->count = count;
    assert_non_null(s->things);
}

static void stage_close(struct stage *s)
{
    table_close(&s->table);
    assert_int_equal(s->pool.used_bytes, 0);
    pool_close(&s->pool);
    free(s->things);
}

static void put(struct stage *s, struct thing *t, uint64_t hash)
{
    table_insert(&s->table, &t->link, hash);
    t->in = true;
}

static void take(struct stage *s, struct thing *t)
{
    table_remove(&s->table, &t->link);
    t->in = false;
}

/* True if exactly the things with that hash that are in are found by it. */
static bool finds_all(struct stage *s, uint64_t hash)
{
    uint32_t expected = 0, found = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        s->things[i].seen = false;
        expected += s->things[i].in && s->things[i].link.hash == hash;
    }
    for (struct table_link *link = table_find(&s->table, hash); link; link = table_next(link), found++) {
        struct thing *t = (struct thing *)(void *)link;
        if (link->hash != hash || !t->in || t->seen)
            return false;
        t->seen = true;
    }
    return found == expected;
}

static bool finds(const struct stage *s, const struct thing *t)
{
    struct table_link *link = table_find(&s->table, t->link.hash);
    while (link && link != &t->link)
        link = table_next(link);
    return link != NULL;
}

/* The longest chain of a bucket. */
static uint32_t longest_chain(const struct table *table)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < table->bucket_count; i++) {
        uint32_t length = 0;
        for (struct table_link *l = table->segments[i / TABLE_SEGMENT]->bucket[i % TABLE_SEGMENT]; l; l = l->next)
            length++;
        if (length > longest)
            longest = length;
    }
    return longest;
}

/* A story of coming and going with few different hashes: by each hash exactly the things that have it are found. */
static void test_things_with_equal_hashes_are_all_found(void **state)
{
    (void)state;
    enum { THINGS = 600, HASHES = 90 };
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, THINGS);
    uint64_t hash[HASHES];
    for (uint32_t i = 0; i < HASHES; i++) /* many that are alike in the bits that count */
        hash[i] = i % 3 == 0 ? (uint64_t)i << 40 : i % 3 == 1 ? random_below(&r, 16) << 32 | 7 : random_next(&r);
    assert_null(table_find(&s.table, hash[0]));
    assert_true(table_reserve(&s.table));
    for (uint32_t step = 0; step < 20000; step++) {
        struct thing *t = &s.things[random_below(&r, THINGS)];
        bool growing = (step / 2000) % 2 == 0;
        if (t->in == (growing || random_below(&r, 5) == 0))
            continue;
        if (t->in)
            take(&s, t);
        else
            put(&s, t, hash[random_below(&r, HASHES)]);
        assert_true(finds_all(&s, t->link.hash));
        assert_true(finds_all(&s, hash[random_below(&r, HASHES)]));
    }
    stage_close(&s);
}

/* The table has about as many buckets as things, however many come and go, and gives the memory back. */
static void test_the_table_grows_and_shrinks_with_its_things(void **state)
{
    (void)state;
    enum { THINGS = 100000 };
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, THINGS);
    assert_true(table_reserve(&s.table));
    uint64_t empty_bytes = s.pool.used_bytes;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < THINGS; i++) {
            put(&s, &s.things[i], random_next(&r));
            assert_true(s.table.bucket_count >= s.table.count);
        }
        assert_in_range(s.table.bucket_count, THINGS, THINGS + 16);
        assert_in_range(longest_chain(&s.table), 2, 20);
        for (uint32_t i = 0; i < THINGS; i++)
            assert_true(finds(&s, &s.things[i]));
        for (uint32_t i = 0; i < THINGS; i++) {
            take(&s, &s.things[i]);
            assert_false(finds(&s, &s.things[i]));
            assert_true(s.table.bucket_count <= 2 * s.table.count + 16);
        }
        /* Two segments at the most, and the list of them. */
        assert_in_range(s.pool.used_bytes, empty_bytes,
                        empty_bytes + sizeof(struct table_segment) + THINGS / TABLE_SEGMENT * 2 * sizeof(void *));
    }
    stage_close(&s);
}

/* Where no memory is to be had for more buckets things still go in and are found; later the table makes up for it. */
static void test_insertion_needs_no_memory(void **state)
{
    (void)state;
    enum { THINGS = 5000 };
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, THINGS);
    assert_true(table_reserve(&s.table));
    struct starved nothing = starve(&s.pool, sizeof(struct table_segment), 0);
    for (uint32_t i = 0; i < THINGS / 2; i++)
        put(&s, &s.things[i], random_next(&r));
    assert_int_equal(s.table.bucket_count, TABLE_SEGMENT);
    assert_int_equal(s.pool.used_bytes, nothing.used_bytes);
    for (uint32_t i = 0; i < THINGS / 2; i++)
        assert_true(finds(&s, &s.things[i]));
    starve_end(&nothing);
    for (uint32_t i = THINGS / 2; i < THINGS; i++)
        put(&s, &s.things[i], random_next(&r));
    assert_in_range(s.table.bucket_count, THINGS / 2, THINGS);
    for (uint32_t i = 0; i < THINGS; i++)
        assert_true(finds(&s, &s.things[i]));
    stage_close(&s);
}

/* The list of segments may be what there is no memory for: nothing changes but the length of chains. */
static void test_the_list_of_segments_may_find_no_memory(void **state)
{
    (void)state;
    enum { THINGS = 2000, FOUR = 4 * TABLE_SEGMENT };
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, THINGS);
    assert_true(table_reserve(&s.table));
    for (uint32_t i = 0; i < FOUR; i++)
        put(&s, &s.things[i], random_next(&r));
    assert_int_equal(s.table.segment_count, s.table.segment_cap);
    struct starved nothing = starve(&s.pool, 2 * s.table.segment_cap * sizeof(void *), 0);
    for (uint32_t i = FOUR; i < THINGS; i++)
        put(&s, &s.things[i], random_next(&r));
    assert_int_equal(s.table.bucket_count, FOUR);
    starve_end(&nothing);
    for (uint32_t i = 0; i < THINGS; i++)
        assert_true(finds(&s, &s.things[i]));
    stage_close(&s);
}

/* A table without memory for its first buckets says so, and has them once there is some. */
static void test_the_first_buckets_may_find_no_memory(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, 1);
    struct starved nothing = starve(&s.pool, sizeof(struct table_segment), 0);
    assert_false(table_reserve(&s.table));
    assert_null(table_find(&s.table, 0));
    assert_null(table_any(&s.table));
    starve_end(&nothing);
    assert_true(table_reserve(&s.table));
    put(&s, &s.things[0], 5);
    assert_true(finds(&s, &s.things[0]));
    stage_close(&s);
}

/* Taking out any one, again and again, takes out each once; an empty table has none. */
static void test_any_one_until_it_is_empty(void **state)
{
    (void)state;
    enum { THINGS = 20000 };
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, THINGS);
    assert_true(table_reserve(&s.table));
    for (uint32_t i = 0; i < THINGS; i++)
        put(&s, &s.things[i], i % 10 == 0 ? i / 100 : random_next(&r));
    uint32_t out = 0;
    for (struct table_link *link; (link = table_any(&s.table)); out++) {
        struct thing *t = (struct thing *)(void *)link;
        assert_true(t->in);
        take(&s, t);
    }
    assert_int_equal(out, THINGS);
    assert_int_equal(s.table.count, 0);
    put(&s, &s.things[7], 7);
    assert_ptr_equal(table_any(&s.table), &s.things[7].link);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_things_with_equal_hashes_are_all_found),
        cmocka_unit_test(test_the_table_grows_and_shrinks_with_its_things),
        cmocka_unit_test(test_insertion_needs_no_memory),
        cmocka_unit_test(test_the_list_of_segments_may_find_no_memory),
        cmocka_unit_test(test_the_first_buckets_may_find_no_memory),
        cmocka_unit_test(test_any_one_until_it_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
