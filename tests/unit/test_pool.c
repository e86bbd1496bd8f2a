/* pool: sizes, counting, reuse, and what goes back to the system. */
#include "server/broker/pool.h"
#include "tests/support/random.h"
#include "tests/support/starve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#endif

/*
 * A size is rounded up by less than an eighth (or to the next 8 bytes), and never differently for a size that occupies
 * as much.
 */
static void test_sizes_are_rounded_up_by_less_than_an_eighth(void **state)
{
    (void)state;
    size_t before = 0;
    for (size_t bytes = 0; bytes <= 2 * POOL_OBJECT_MAX; bytes++) {
        size_t size = pool_size(bytes);
        assert_true(size >= bytes && size >= 8 && size % 8 == 0);
        assert_true(size >= before);
        assert_true(bytes == 0 || size - bytes < 8 || (size - bytes) * 8 < bytes);
        assert_int_equal(pool_size(size), size);
        before = size;
    }
}

/* Every size that occurs is counted as pool_size() says while its object lives. */
static void test_used_bytes_are_the_sizes_of_live_objects(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    for (size_t bytes = 0; bytes <= POOL_OBJECT_MAX + 100; bytes += bytes < 600 ? 1 : 97) {
        void *object = pool_take(&pool, bytes);
        assert_non_null(object);
        assert_int_equal((uintptr_t)object % 8, 0);
        memset(object, 0xee, bytes);
        assert_int_equal(pool.used_bytes, pool_size(bytes));
        assert_true(pool.held_bytes >= pool.used_bytes);
        pool_give(&pool, object, bytes);
        assert_int_equal(pool.used_bytes, 0);
    }
    pool_give(&pool, NULL, 100);
    pool_close(&pool);
    assert_int_equal(pool.held_bytes, 0);
}

struct object {
    uint8_t *data;
    size_t bytes;
    uint8_t fill;
};

static void object_check(const struct object *o)
{
    for (size_t i = 0; i < o->bytes; i += i < 16 || i + 16 > o->bytes ? 1 : 13)
        assert_int_equal(o->data[i], o->fill);
}

/* Under random takes and gives no two objects overlap, and the counts are right at every step. */
static void test_random_objects_keep_their_contents(void **state)
{
    (void)state;
    enum { OBJECTS = 3000, STEPS = 200000 };
    static struct object objects[OBJECTS];
    struct random r = test_seed(__func__);
    struct pool pool;
    pool_init(&pool);
    uint64_t used_bytes = 0;
    for (int step = 0; step < STEPS; step++) {
        struct object *o = &objects[random_below(&r, OBJECTS)];
        if (o->data != NULL) {
            object_check(o);
            pool_give(&pool, o->data, o->bytes);
            used_bytes -= pool_size(o->bytes);
            o->data = NULL;
        } else {
            o->bytes = (size_t)random_bits(&r, 15);
            o->fill = (uint8_t)random_next(&r);
            o->data = pool_take(&pool, o->bytes);
            assert_non_null(o->data);
            memset(o->data, o->fill, o->bytes);
            used_bytes += pool_size(o->bytes);
        }
        assert_int_equal(pool.used_bytes, used_bytes);
        assert_true(pool.held_bytes >= pool.used_bytes);
    }
    for (int i = 0; i < OBJECTS; i++) {
        if (objects[i].data != NULL)
            object_check(&objects[i]);
        pool_give(&pool, objects[i].data, objects[i].bytes);
        objects[i].data = NULL;
    }
    assert_int_equal(pool.used_bytes, 0);
    assert_true(pool.held_bytes <= (POOL_CLASSES + POOL_SPARE_CHUNKS) * POOL_CHUNK_BYTES);
    pool_close(&pool);
}

/* Takes objects until the pool holds `chunks` chunks more, and returns them as a list through their first words. */
static void **fill_chunks(struct pool *pool, size_t bytes, unsigned chunks)
{
    void **first = NULL;
    uint64_t enough = pool->held_bytes + chunks * POOL_CHUNK_BYTES;
    while (pool->held_bytes < enough) {
        void **object = pool_take(pool, bytes);
        assert_non_null(object);
        *object = first;
        first = object;
    }
    return first;
}

static void give_all(struct pool *pool, void **first, size_t bytes)
{
    while (first != NULL) {
        void **next = *first;
        pool_give(pool, first, bytes);
        first = next;
    }
}

/* When all objects of many chunks are given back, all but one chunk of the class and the spare ones leave the pool. */
static void test_empty_chunks_go_back_to_the_system(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    void **objects = fill_chunks(&pool, 200, 20);
    assert_int_equal(pool.held_bytes, 20 * POOL_CHUNK_BYTES);
    give_all(&pool, objects, 200);
    assert_int_equal(pool.held_bytes, (1 + POOL_SPARE_CHUNKS) * POOL_CHUNK_BYTES);
    pool_close(&pool);
    assert_int_equal(pool.held_bytes, 0);
}

/* A chunk that one class no longer needs serves another without anything being taken from the system. */
static void test_spare_chunks_serve_any_class(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    give_all(&pool, fill_chunks(&pool, 200, 1 + POOL_SPARE_CHUNKS), 200);
    uint64_t held_bytes = pool.held_bytes;
    void **objects = NULL;
    for (unsigned i = 0; i < POOL_SPARE_CHUNKS * (POOL_CHUNK_BYTES / 9000); i++) {
        void **object = pool_take(&pool, 8192);
        *object = objects;
        objects = object;
    }
    assert_int_equal(pool.held_bytes, held_bytes);
    give_all(&pool, objects, 8192);
    pool_close(&pool);
}

/* As long as returned objects are there, no new chunk is taken, wherever in full chunks they lie. */
static void test_returned_objects_are_used_before_new_chunks(void **state)
{
    (void)state;
    enum { BYTES = 4096, COUNT = 600 };
    struct random r = test_seed(__func__);
    struct pool pool;
    void *objects[COUNT];
    pool_init(&pool);
    for (int i = 0; i < COUNT; i++)
        objects[i] = pool_take(&pool, BYTES);
    uint64_t held_bytes = pool.held_bytes;
    for (int round = 0; round < 200; round++) {
        int given = 1 + (int)random_below(&r, 50);
        int first = (int)random_below(&r, COUNT - 50);
        for (int i = first; i < first + given; i++)
            pool_give(&pool, objects[i], BYTES);
        for (int i = first; i < first + given; i++)
            objects[i] = pool_take(&pool, BYTES);
        assert_true(pool.held_bytes <= held_bytes + POOL_CHUNK_BYTES);
    }
    for (int i = 0; i < COUNT; i++)
        pool_give(&pool, objects[i], BYTES);
    pool_close(&pool);
}

/* A single object that comes and goes always finds the same memory: nothing is taken from the system or given to it. */
static void test_coming_and_going_moves_no_chunk(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    void *first = pool_take(&pool, 168);
    pool_give(&pool, first, 168);
    for (int i = 0; i < 10000; i++) {
        void *object = pool_take(&pool, 168);
        assert_ptr_equal(object, first);
        pool_give(&pool, object, 168);
    }
    assert_int_equal(pool.held_bytes, POOL_CHUNK_BYTES);
    pool_close(&pool);
}

/* Beyond held_limit both kinds of object are refused, and a refusal changes nothing. */
static void test_nothing_is_held_beyond_the_limit(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    pool.held_limit = 2 * POOL_CHUNK_BYTES - 1;
    void **objects = NULL;
    for (void **object; (object = pool_take(&pool, 1000)) != NULL; objects = object)
        *object = objects;
    struct pool before = pool;
    assert_int_equal(pool.held_bytes, POOL_CHUNK_BYTES);
    assert_null(pool_take(&pool, 1000));
    assert_null(pool_take(&pool, 50));
    assert_null(pool_take(&pool, POOL_CHUNK_BYTES));
    assert_int_equal(pool.used_bytes, before.used_bytes);
    assert_int_equal(pool.held_bytes, before.held_bytes);
    void *large = pool_take(&pool, POOL_CHUNK_BYTES - 16);
    assert_non_null(large);
    pool_give(&pool, large, POOL_CHUNK_BYTES - 16);
    give_all(&pool, objects, 1000);
    pool_close(&pool);
}

/* A starved pool gives exactly as many objects as were left to it: the other tests of refusals rest on that. */
static void test_a_starved_pool_gives_what_is_left(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool);
    for (unsigned left = 0; left < 4; left++) {
        void *objects[4];
        struct starved s = starve(&pool, 600, left);
        for (unsigned i = 0; i < left; i++)
            assert_non_null(objects[i] = pool_take(&pool, 600));
        assert_null(pool_take(&pool, 600));
        for (unsigned i = 0; i < left; i++)
            pool_give(&pool, objects[i], 600);
        starve_end(&s);
    }
    assert_int_equal(pool.used_bytes, 0);
    pool_close(&pool);
}

/* A new chunk's memory does not become resident before it is used. */
static void test_untouched_memory_is_not_resident(void **state)
{
    (void)state;
#ifdef SANITIZED
    skip();
#else
    long page = sysconf(_SC_PAGESIZE);
    size_t pages = POOL_CHUNK_BYTES / (size_t)page;
    unsigned char resident[POOL_CHUNK_BYTES / 4096];
    struct pool pool;
    pool_init(&pool);
    void *object = pool_take(&pool, 100);
    memset(object, 1, 100);
    void *chunk = (void *)((uintptr_t)object & ~(uintptr_t)(POOL_CHUNK_BYTES - 1));
    assert_int_equal(mincore(chunk, POOL_CHUNK_BYTES, resident), 0);
    size_t count = 0;
    for (size_t i = 0; i < pages; i++)
        count += resident[i] & 1;
    pool_give(&pool, object, 100);
    pool_close(&pool);
    if (count == pages)
        skip(); /* the system hands out huge pages */
    assert_true(count <= 2);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untouched_memory_is_not_resident),
        cmocka_unit_test(test_sizes_are_rounded_up_by_less_than_an_eighth),
        cmocka_unit_test(test_used_bytes_are_the_sizes_of_live_objects),
        cmocka_unit_test(test_random_objects_keep_their_contents),
        cmocka_unit_test(test_empty_chunks_go_back_to_the_system),
        cmocka_unit_test(test_spare_chunks_serve_any_class),
        cmocka_unit_test(test_returned_objects_are_used_before_new_chunks),
        cmocka_unit_test(test_coming_and_going_moves_no_chunk),
        cmocka_unit_test(test_nothing_is_held_beyond_the_limit),
        cmocka_unit_test(test_a_starved_pool_gives_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
