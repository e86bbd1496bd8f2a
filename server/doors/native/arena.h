/*
 * arena: memory for what one request needs while it is handled. Pieces are taken and never given back one by one;
 * arena_reset() forgets them all. A piece never moves.
 */
#ifndef SERVER_DOORS_NATIVE_ARENA_H
#define SERVER_DOORS_NATIVE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena_block {
    struct arena_block *next;
    size_t bytes, cap;
    uint8_t data[];
};

/* All zero: empty. */
struct arena {
    struct arena_block *block; /* the one in use; full ones follow */
};

/* Room for `bytes` bytes, not aligned; NULL when out of memory. */
void *arena_take(struct arena *arena, size_t bytes);

/* Forgets everything; one block of the usual size is kept for the next request. */
void arena_reset(struct arena *arena);

void arena_close(struct arena *arena);

#endif
