#include "server/broker/table.h"

#include <assert.h>
#include <string.h>

/* Buckets of a table that holds next to nothing. */
#define BUCKETS_MIN 16

static inline struct table_link **bucket_at(const struct table *table, uint64_t index)
{
    return &table->segments[index / TABLE_SEGMENT]->bucket[index % TABLE_SEGMENT];
}

/* The largest power of two that is <= n, n > 0. */
static inline uint64_t floor_power(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n));
}

/* With n buckets, 2^k <= n < 2^(k+1), the last k+1 bits of the hash say which, or the last k if that one is not there yet. */
static uint64_t index_of(const struct table *table, uint64_t hash)
{
    uint64_t low = floor_power(table->bucket_count);
    uint64_t index = hash & (2 * low - 1);
    return index < table->bucket_count ? index : index - low;
}

void table_init(struct table *table, struct pool *pool)
{
    memset(table, 0, sizeof *table);
    table->pool = pool;
}

void table_close(struct table *table)
{
    for (uint32_t i = 0; i < table->segment_count; i++)
        pool_give(table->pool, table->segments[i], sizeof *table->segments[i]);
    pool_give(table->pool, table->segments, table->segment_cap * sizeof(struct table_segment *));
    table_init(table, table->pool);
}

void table_clear(struct table *table)
{
    if (table->bucket_count == 0)
        return;
    while (table->segment_count > 1)
        pool_give(table->pool, table->segments[--table->segment_count], sizeof(struct table_segment));
    memset(table->segments[0], 0, sizeof *table->segments[0]);
    table->bucket_count = BUCKETS_MIN;
    table->count = 0;
}

static bool segments_grow(struct table *table)
{
    uint32_t cap = table->segment_cap ? table->segment_cap * 2 : 4;
    struct table_segment **segments = pool_take(table->pool, cap * sizeof(struct table_segment *));
    if (!segments)
        return false;
    if (table->segment_count > 0)
        memcpy(segments, table->segments, table->segment_count * sizeof(struct table_segment *));
    pool_give(table->pool, table->segments, table->segment_cap * sizeof(struct table_segment *));
    table->segments = segments;
    table->segment_cap = cap;
    return true;
}

static bool segment_add(struct table *table)
{
    if (table->segment_count == table->segment_cap && !segments_grow(table))
        return false;
    struct table_segment *segment = pool_take(table->pool, sizeof *segment);
    if (!segment)
        return false;
    memset(segment, 0, sizeof *segment);
    table->segments[table->segment_count++] = segment;
    return true;
}

bool table_reserve(struct table *table)
{
    if (table->bucket_count > 0)
        return true;
    if (!segment_add(table))
        return false;
    table->bucket_count = BUCKETS_MIN;
    return true;
}

/* One more bucket: it takes its share of the one whose hashes it had. */
static void grow(struct table *table)
{
    uint64_t fresh = table->bucket_count;
    if (fresh == UINT32_MAX || (fresh / TABLE_SEGMENT == table->segment_count && !segment_add(table)))
        return;
    uint64_t old = fresh - floor_power(fresh);
    table->bucket_count++;
    struct table_link **from = bucket_at(table, old), **to = bucket_at(table, fresh);
    while (*from) {
        struct table_link *link = *from;
        if (index_of(table, link->hash) == old) {
            from = &link->next;
            continue;
        }
        *from = link->next;
        link->next = *to;
        *to = link;
    }
}

/* One bucket less: its chain goes back to where it came from. */
static void shrink(struct table *table)
{
    uint64_t last = table->bucket_count - 1;
    struct table_link *chain = *bucket_at(table, last);
    *bucket_at(table, last) = NULL;
    table->bucket_count--;
    struct table_link **end = bucket_at(table, last - floor_power(last));
    while (*end)
        end = &(*end)->next;
    *end = chain;
    /* One segment more than needed is kept, so that a table whose size goes up and down does not take and give all the time. */
    if (last / TABLE_SEGMENT + 2 < table->segment_count)
        pool_give(table->pool, table->segments[--table->segment_count], sizeof(struct table_segment));
}

void table_insert(struct table *table, struct table_link *link, uint64_t hash)
{
    assert(table->bucket_count > 0);
    struct table_link **bucket = bucket_at(table, index_of(table, hash));
    link->hash = hash;
    link->next = *bucket;
    *bucket = link;
    if (++table->count > table->bucket_count)
        grow(table);
}

void table_remove(struct table *table, struct table_link *link)
{
    struct table_link **place = bucket_at(table, index_of(table, link->hash));
    while (*place != link) {
        assert(*place);
        place = &(*place)->next;
    }
    *place = link->next;
    table->count--;
    /* Two at a time keep up with things that leave one at a time. */
    for (unsigned i = 0; i < 2 && table->count < table->bucket_count / 2 && table->bucket_count > BUCKETS_MIN; i++)
        shrink(table);
}

struct table_link *table_find(const struct table *table, uint64_t hash)
{
    if (table->bucket_count == 0)
        return NULL;
    struct table_link *link = *bucket_at(table, index_of(table, hash));
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct table_link *table_next(const struct table_link *link)
{
    uint64_t hash = link->hash;
    struct table_link *next = link->next;
    while (next && next->hash != hash)
        next = next->next;
    return next;
}

struct table_link *table_walk(const struct table *table, const struct table_link *link, uint32_t *bucket)
{
    struct table_link *next = link ? link->next : NULL;
    while (!next && *bucket < table->bucket_count)
        next = *bucket_at(table, (*bucket)++);
    return next;
}

struct table_link *table_any(struct table *table)
{
    while (table->count > 0) {
        struct table_link *last = *bucket_at(table, table->bucket_count - 1);
        if (last)
            return last;
        if (table->bucket_count > BUCKETS_MIN)
            shrink(table);
        else
            for (uint32_t i = 0; i < BUCKETS_MIN; i++)
                if (*bucket_at(table, i))
                    return *bucket_at(table, i);
    }
    return NULL;
}
