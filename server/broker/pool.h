/*
 * pool: where the broker's memory comes from. Objects of up to POOL_OBJECT_MAX bytes lie in size classes, carved out
 * of aligned chunks that go back to the system when their last object leaves; larger ones come from malloc directly.
 * Every byte is counted: `used_bytes` is what live objects occupy (rounded up to their class), `held_bytes` what has
 * been taken from the system for them.
 *
 * Classes go in steps of 8 bytes up to 256, then in 8 steps from one power of two to the next: rounding up costs less
 * than an eighth. A chunk's memory is touched only when an object is carved out of it, so a new chunk costs no more
 * resident memory than what lies in it.
 *
 * Invariants: used_bytes <= held_bytes; a pool whose objects are all given back holds at most one spare chunk per class
 * and POOL_SPARE_CHUNKS more. The caller names the size again when it gives an object back, so objects carry no header.
 */
#ifndef SERVER_BROKER_POOL_H
#define SERVER_BROKER_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_CHUNK_BYTES  ((size_t)256 * 1024)
#define POOL_OBJECT_MAX   ((size_t)16 * 1024)
#define POOL_CLASSES      80
#define POOL_SPARE_CHUNKS 16

struct pool_chunk;

struct pool_class {
    struct pool_chunk *current; /* chunks with room, the one in use first; full ones are not listed */
    uint32_t object_bytes;
};

struct pool {
    uint64_t used_bytes;
    uint64_t held_bytes;
    uint64_t held_limit;      /* held_bytes may not grow beyond it; no limit unless the owner sets one */
    struct pool_chunk *spare; /* empty chunks kept for the next need */
    uint32_t spare_count;
    struct pool_class classes[POOL_CLASSES];
};

void pool_init(struct pool *pool);

/* Frees the spare chunks. All objects must have been given back. */
void pool_close(struct pool *pool);

/* What an object of `bytes` bytes really occupies. */
size_t pool_size(size_t bytes);

/* Memory for `bytes` bytes, aligned to 8, or NULL. */
void *pool_take(struct pool *pool, size_t bytes);

/*
 * Gives back what pool_take(pool, bytes) returned, with the same `bytes` (or another of the same pool_size). NULL is
 * allowed.
 */
void pool_give(struct pool *pool, void *object, size_t bytes);

#endif
