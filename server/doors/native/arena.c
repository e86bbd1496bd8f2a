#include "server/doors/native/arena.h"

#include <stdlib.h>

#define BLOCK_BYTES ((size_t)64 * 1024)

void *arena_take(struct arena *arena, size_t bytes)
{
    struct arena_block *block = arena->block;

    if (block == NULL || block->cap - block->bytes < bytes) {
        const size_t cap = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = malloc(sizeof *block + cap);
        if (block == NULL)
            return NULL;
        *block = (struct arena_block){arena->block, 0, cap};
        arena->block = block;
    }
    void *piece = block->data + block->bytes;
    block->bytes += bytes;
    return piece;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = NULL;

    while (arena->block != NULL) {
        struct arena_block *block = arena->block;
        arena->block = block->next;
        if (kept == NULL && block->cap == BLOCK_BYTES)
            kept = block;
        else
            free(block);
    }
    if (kept != NULL)
        *kept = (struct arena_block){NULL, 0, BLOCK_BYTES};
    arena->block = kept;
}

void arena_close(struct arena *arena)
{
    arena_reset(arena);
    free(arena->block);
    arena->block = NULL;
}
