/*
 * table: things found by a hash, e.g. groups by name. Linear hashing (W. Litwin: "Linear Hashing: A New Tool for File and
 * Table Addressing", VLDB 1980): the table grows and shrinks by one bucket at a time, so that no insertion stops
 * everything for a rehash. Buckets lie in segments of TABLE_SEGMENT; a list of segments is all that is ever copied.
 *
 * The links are part of the things themselves. Inserting never fails: where memory for another segment is not to be had,
 * chains become longer. The order of things in a table means nothing, and nothing may depend on it.
 */
#ifndef SERVER_BROKER_TABLE_H
#define SERVER_BROKER_TABLE_H

#include "server/broker/pool.h"

#include <stdbool.h>
#include <stdint.h>

#define TABLE_SEGMENT 256

struct table_link {
    struct table_link *next;
    uint64_t hash;
};

struct table_segment {
    struct table_link *bucket[TABLE_SEGMENT];
};

struct table {
    struct pool *pool;
    struct table_segment **segments;
    uint32_t segment_count, segment_cap;
    uint32_t bucket_count; /* 0 until table_reserve() */
    uint64_t count;
};

void table_init(struct table *table, struct pool *pool);

/* Frees what the table itself takes; the things are the caller's. */
void table_close(struct table *table);

/* Forgets all its things. No other reservation is needed afterwards. */
void table_clear(struct table *table);

/* Must have succeeded once before the first insertion. False if memory ran out. */
bool table_reserve(struct table *table);

void table_insert(struct table *table, struct table_link *link, uint64_t hash);
void table_remove(struct table *table, struct table_link *link);

/* The first thing with that hash, and the next with the hash of the one before; NULL if there is none. */
struct table_link *table_find(const struct table *table, uint64_t hash);
struct table_link *table_next(const struct table_link *link);

/* All things, one after the other: the first behind link NULL, *bucket 0; NULL at the end. The table must not change meanwhile. */
struct table_link *table_walk(const struct table *table, const struct table_link *link, uint32_t *bucket);

/* Any one of its things, or NULL if it is empty: to empty it. Costs a constant if called until the table is empty. */
struct table_link *table_any(struct table *table);

#endif
