/*
 * A chunk begins with its header, found from any of its objects by masking the address. Its objects are carved off one
 * after the other as they are needed; those given back form a list, the last one first, and are used before more are
 * carved.
 *
 * A chunk with room stands in its class's list. One that has turned out to be full is taken off when the next object
 * is looked for, and comes back when one of its objects does, behind the chunk in use: so that one is filled first and
 * others get the chance to become empty. An empty chunk stays if its class has no other with room; else it goes to the
 * spare chunks, which any class may use, or to the system.
 *
 * What can fail: taking a chunk or a large object from the system. Nothing has changed then.
 *
 * Under AddressSanitizer memory that nobody has taken is poisoned, so that the use of an object that was given back,
 * or of the bytes behind one, is found here as it would be with malloc.
 */
#include "server/broker/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(memory, bytes)   __asan_poison_memory_region(memory, bytes)
#define UNPOISON(memory, bytes) __asan_unpoison_memory_region(memory, bytes)
#else
#define POISON(memory, bytes)   ((void)(memory), (void)(bytes))
#define UNPOISON(memory, bytes) ((void)(memory), (void)(bytes))
#endif

#define RARE __attribute__((noinline)) /* kept out of the short way through pool_take() and pool_give() */

#define SMALL_MAX     256u /* up to here classes are SMALL_STEP apart */
#define SMALL_STEP    8u
#define SMALL_CLASSES (SMALL_MAX / SMALL_STEP)
#define LARGE_STEP    16u

struct free_object {
    struct free_object *next;
};

struct pool_chunk {
    struct pool_chunk *prev, *next; /* in its class's list; the spare chunks use next */
    struct free_object *returned;   /* objects given back */
    uint8_t *fresh;                 /* where the next object is carved off */
    uint32_t fresh_count;           /* how many can still be carved off */
    uint32_t live;                  /* objects taken */
    uint32_t class_index;
    bool listed; /* stands in its class's list */
    _Alignas(64) uint8_t objects[];
};

static_assert(offsetof(struct pool_chunk, objects) == 64, "a chunk's header is one cache line");
static_assert((POOL_CHUNK_BYTES & (POOL_CHUNK_BYTES - 1)) == 0, "chunks are found by masking");
static_assert(POOL_OBJECT_MAX == (size_t)SMALL_MAX << (POOL_CLASSES - SMALL_CLASSES) / 8, "the classes end there");

/* The place of the highest bit; `bytes` above SMALL_MAX. Classes around it are 2^(that - 3) apart. */
static inline unsigned step_shift(size_t bytes)
{
    return 63 - (unsigned)__builtin_clzll(bytes - 1) - 3;
}

static inline uint32_t class_of(size_t bytes)
{
    if (bytes <= SMALL_MAX)
        return (uint32_t)(bytes + (bytes == 0) - 1) / SMALL_STEP;
    unsigned shift = step_shift(bytes);
    return SMALL_CLASSES + (shift - 5) * 8 + (uint32_t)((bytes - 1) >> shift) - 8;
}

static uint32_t class_object_bytes(uint32_t index)
{
    if (index < SMALL_CLASSES)
        return (index + 1) * SMALL_STEP;
    uint32_t doublings = (index - SMALL_CLASSES) / 8;
    uint32_t step = (index - SMALL_CLASSES) % 8 + 1;
    return (SMALL_MAX + step * (SMALL_MAX / 8)) << doublings;
}

static inline struct pool_chunk *chunk_of(void *object)
{
    return (struct pool_chunk *)((uintptr_t)object & ~(uintptr_t)(POOL_CHUNK_BYTES - 1));
}

static inline bool chunk_has_room(const struct pool_chunk *chunk)
{
    return chunk->returned != NULL || chunk->fresh_count > 0;
}

/* Makes the chunk as good as new for objects of its class. */
static void chunk_reset(struct pool_chunk *chunk, uint32_t object_bytes)
{
    chunk->returned = NULL;
    chunk->fresh = chunk->objects;
    chunk->fresh_count = (uint32_t)((POOL_CHUNK_BYTES - offsetof(struct pool_chunk, objects)) / object_bytes);
}

RARE static void chunk_list(struct pool_class *class, struct pool_chunk *chunk)
{
    struct pool_chunk *first = class->current;
    chunk->prev = first;
    chunk->next = first != NULL ? first->next : NULL;
    if (chunk->next != NULL)
        chunk->next->prev = chunk;
    if (first != NULL)
        first->next = chunk;
    else
        class->current = chunk;
    chunk->listed = true;
}

static void chunk_unlist(struct pool_class *class, struct pool_chunk *chunk)
{
    if (chunk->prev != NULL)
        chunk->prev->next = chunk->next;
    else
        class->current = chunk->next;
    if (chunk->next != NULL)
        chunk->next->prev = chunk->prev;
    chunk->listed = false;
}

static bool may_hold(const struct pool *pool, size_t bytes)
{
    return pool->held_bytes <= pool->held_limit && bytes <= pool->held_limit - pool->held_bytes;
}

static struct pool_chunk *chunk_new(struct pool *pool)
{
    struct pool_chunk *chunk = pool->spare;
    if (chunk != NULL) {
        pool->spare = chunk->next;
        pool->spare_count--;
        return chunk;
    }
    if (!may_hold(pool, POOL_CHUNK_BYTES))
        return NULL;
    chunk = aligned_alloc(POOL_CHUNK_BYTES, POOL_CHUNK_BYTES);
    if (chunk == NULL)
        return NULL;
    POISON(chunk->objects, POOL_CHUNK_BYTES - offsetof(struct pool_chunk, objects));
    pool->held_bytes += POOL_CHUNK_BYTES;
    return chunk;
}

static void chunk_free(struct pool *pool, struct pool_chunk *chunk)
{
    UNPOISON(chunk, POOL_CHUNK_BYTES);
    free(chunk);
    pool->held_bytes -= POOL_CHUNK_BYTES;
}

/* A chunk with room, in front of its class's list; NULL when out of memory. */
static struct pool_chunk *class_refill(struct pool *pool, uint32_t index)
{
    struct pool_class *class = &pool->classes[index];
    while (class->current != NULL) {
        if (chunk_has_room(class->current))
            return class->current;
        chunk_unlist(class, class->current);
    }
    struct pool_chunk *chunk = chunk_new(pool);
    if (chunk == NULL)
        return NULL;
    chunk->live = 0;
    chunk->class_index = index;
    chunk_reset(chunk, class->object_bytes);
    chunk_list(class, chunk);
    return chunk;
}

RARE static void chunk_emptied(struct pool *pool, struct pool_chunk *chunk)
{
    struct pool_class *class = &pool->classes[chunk->class_index];
    if (class->current == chunk && chunk->next == NULL) {
        chunk_reset(chunk, class->object_bytes);
        return;
    }
    chunk_unlist(class, chunk);
    if (pool->spare_count == POOL_SPARE_CHUNKS) {
        chunk_free(pool, chunk);
        return;
    }
    chunk->next = pool->spare;
    pool->spare = chunk;
    pool->spare_count++;
}

void pool_init(struct pool *pool)
{
    *pool = (struct pool){.held_limit = UINT64_MAX};
    for (uint32_t i = 0; i < POOL_CLASSES; i++)
        pool->classes[i].object_bytes = class_object_bytes(i);
}

void pool_close(struct pool *pool)
{
    assert(pool->used_bytes == 0);
    for (uint32_t i = 0; i < POOL_CLASSES; i++) {
        struct pool_chunk *chunk = pool->classes[i].current;
        if (chunk == NULL)
            continue;
        assert(chunk->live == 0 && chunk->next == NULL);
        chunk_unlist(&pool->classes[i], chunk);
        chunk_free(pool, chunk);
    }
    while (pool->spare != NULL) {
        struct pool_chunk *chunk = pool->spare;
        pool->spare = chunk->next;
        chunk_free(pool, chunk);
    }
    pool->spare_count = 0;
    assert(pool->held_bytes == 0);
}

size_t pool_size(size_t bytes)
{
    size_t step = SMALL_STEP;
    if (bytes > POOL_OBJECT_MAX)
        step = LARGE_STEP;
    else if (bytes > SMALL_MAX)
        step = (size_t)1 << step_shift(bytes);
    else if (bytes == 0)
        return SMALL_STEP;
    assert(bytes <= SIZE_MAX - step);
    return (bytes + step - 1) & ~(step - 1);
}

RARE static void *take_large(struct pool *pool, size_t bytes)
{
    size_t size = pool_size(bytes);
    if (!may_hold(pool, size))
        return NULL;
    void *object = malloc(size);
    if (object == NULL)
        return NULL;
    pool->used_bytes += size;
    pool->held_bytes += size;
    return object;
}

RARE static void give_large(struct pool *pool, void *object, size_t bytes)
{
    size_t size = pool_size(bytes);
    assert(pool->used_bytes >= size && pool->held_bytes >= size);
    free(object);
    pool->used_bytes -= size;
    pool->held_bytes -= size;
}

/* An object of a chunk that has room. */
static inline void *chunk_take(struct pool *pool, struct pool_chunk *chunk, uint32_t object_bytes, size_t bytes)
{
    struct free_object *object = chunk->returned;
    if (object != NULL) {
        UNPOISON(object, sizeof *object);
        chunk->returned = object->next;
        POISON(object, sizeof *object);
    } else {
        object = (struct free_object *)(void *)chunk->fresh;
        chunk->fresh += object_bytes;
        chunk->fresh_count--;
    }
    UNPOISON(object, bytes);
    chunk->live++;
    pool->used_bytes += object_bytes;
    return object;
}

RARE static void *refill_take(struct pool *pool, uint32_t index, size_t bytes)
{
    struct pool_chunk *chunk = class_refill(pool, index);
    return chunk != NULL ? chunk_take(pool, chunk, pool->classes[index].object_bytes, bytes) : NULL;
}

void *pool_take(struct pool *pool, size_t bytes)
{
    if (bytes > POOL_OBJECT_MAX)
        return take_large(pool, bytes);
    uint32_t index = class_of(bytes);
    struct pool_chunk *chunk = pool->classes[index].current;
    if (chunk == NULL || !chunk_has_room(chunk))
        return refill_take(pool, index, bytes);
    return chunk_take(pool, chunk, pool->classes[index].object_bytes, bytes);
}

void pool_give(struct pool *pool, void *object, size_t bytes)
{
    if (object == NULL)
        return;
    if (bytes > POOL_OBJECT_MAX) {
        give_large(pool, object, bytes);
        return;
    }
    struct pool_chunk *chunk = chunk_of(object);
    struct pool_class *class = &pool->classes[chunk->class_index];
    assert(bytes <= class->object_bytes && chunk->live > 0);
    struct free_object *returned = object;
    UNPOISON((uint8_t *)object + bytes, class->object_bytes - bytes);
    returned->next = chunk->returned;
    chunk->returned = returned;
    POISON(object, class->object_bytes);
    pool->used_bytes -= class->object_bytes;
    if (!chunk->listed)
        chunk_list(class, chunk);
    if (--chunk->live == 0)
        chunk_emptied(pool, chunk);
}
