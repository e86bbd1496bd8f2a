/*
 * starve: makes memory run out at a chosen allocation. After starve(pool, bytes, n) the pool has exactly n objects of
 * that size class left, and no chunk or large object can be taken from the system. starve_end() undoes it.
 */
#ifndef TESTS_SUPPORT_STARVE_H
#define TESTS_SUPPORT_STARVE_H

#include "server/broker/pool.h"

struct starved {
    struct pool *pool;
    size_t bytes;
    void **first; /* objects taken out of the way, a list through their first word */
    uint64_t used_bytes;
};

static inline struct starved starve(struct pool *pool, size_t bytes, unsigned left)
{
    struct starved s = {.pool = pool, .bytes = bytes};
    pool->held_limit = pool->held_bytes;
    for (void **object; (object = pool_take(pool, bytes)) != NULL;) {
        *object = s.first;
        s.first = object;
    }
    if (left > 0 && s.first == NULL)
        pool->held_limit += POOL_CHUNK_BYTES;
    for (void **object; left > 0 && (object = pool_take(pool, bytes)) != NULL;) {
        *object = s.first;
        s.first = object;
    }
    pool->held_limit = pool->held_bytes;
    for (; left > 0; left--) {
        void **object = s.first;
        s.first = *object;
        pool_give(pool, object, bytes);
    }
    s.used_bytes = pool->used_bytes;
    return s;
}

static inline void starve_end(struct starved *s)
{
    while (s->first != NULL) {
        void **object = s->first;
        s->first = *object;
        pool_give(s->pool, object, s->bytes);
    }
    s->pool->held_limit = UINT64_MAX;
}

#endif
