#include "server/doors/native/owed.h"

#include <stdlib.h>

/* Empty blocks that are kept: a quarter of a million deliveries. */
#define SPARE_BLOCKS 1024

_Static_assert(sizeof(struct owed_block) == OWED_BLOCK_BYTES, "entries fill the block");

void owed_store_close(struct owed_store *store)
{
    while (store->spare != NULL) {
        struct owed_block *block = store->spare;
        store->spare = block->next;
        free(block);
    }
    store->spare_count = 0;
}

bool owed_grow(struct owed *owed, struct owed_store *store)
{
    struct owed_block *block = store->spare;

    if (block != NULL) {
        store->spare = block->next;
        store->spare_count--;
    } else {
        block = malloc(sizeof *block);
        if (block == NULL)
            return false;
    }
    block->next = NULL;
    block->first = block->count = 0;
    if (owed->last != NULL)
        owed->last->next = block;
    else
        owed->first = block;
    owed->last = block;
    owed->block_count++;
    return true;
}

static void first_block_give(struct owed *owed, struct owed_store *store)
{
    struct owed_block *block = owed->first;

    owed->first = block->next;
    owed->block_count--;
    if (owed->first == NULL)
        owed->last = NULL;
    if (store->spare_count == SPARE_BLOCKS) {
        free(block);
        return;
    }
    block->next = store->spare;
    store->spare = block;
    store->spare_count++;
}

bool owed_take(struct owed *owed, struct owed_store *store, uint64_t written_bytes, uint64_t *receipt, bool *auto_ack)
{
    struct owed_block *block = owed->first;

    if (block == NULL || block->entries[block->first].end_bytes > written_bytes)
        return false;
    const struct owed_entry *entry = &block->entries[block->first++];
    *receipt = entry->receipt_auto >> 1;
    *auto_ack = entry->receipt_auto & 1;
    owed->auto_count -= *auto_ack;
    if (block->first == block->count)
        first_block_give(owed, store);
    return true;
}

void owed_clear(struct owed *owed, struct owed_store *store)
{
    while (owed->first != NULL)
        first_block_give(owed, store);
    owed->auto_count = 0;
}
