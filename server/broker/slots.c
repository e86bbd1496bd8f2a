#include "server/broker/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define GENERATION_MAX (((uint32_t)1 << SLOTS_GENERATION_BITS) - 1)
#define RUN_MASK       (((uint32_t)1 << SLOTS_RUN_BITS) - 1)

/* Blocks are freed while more free slots than this, and more than are in use, remain. */
#define FREE_SLOTS_KEPT (4 * SLOTS_BLOCK)

/* How many blocks are looked at, whenever one becomes empty, for another to free. */
#define BLOCKS_LOOKED_AT 64

static inline uint64_t receipt_of(uint32_t run, uint32_t generation, uint32_t index)
{
    return (uint64_t)run << (SLOTS_GENERATION_BITS + SLOTS_INDEX_BITS) | (uint64_t)generation << SLOTS_INDEX_BITS |
           index;
}

static inline uint32_t generation_of(uint64_t receipt)
{
    return (uint32_t)(receipt >> SLOTS_INDEX_BITS) & GENERATION_MAX;
}

/* Runs are 1 to 511: so a receipt is never small, and never 0. */
static inline uint32_t run_number(uint32_t n)
{
    return (n & RUN_MASK) ? n & RUN_MASK : 1;
}

void slots_init(struct slots *slots, struct pool *pool, uint32_t run, uint32_t index_limit)
{
    memset(slots, 0, sizeof *slots);
    assert(index_limit % SLOTS_BLOCK == 0 && index_limit <= 1u << SLOTS_INDEX_BITS);
    slots->pool = pool;
    slots->run = run_number(run);
    slots->index_limit = index_limit ? index_limit : 1u << SLOTS_INDEX_BITS;
    slots->oldest_free = slots->newest_free = NULL;
}

void slots_close(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->table_count; i++)
        pool_give(slots->pool, slots->table[i].block, sizeof(struct slots_block));
    pool_give(slots->pool, slots->table, slots->table_cap * sizeof *slots->table);
}

static void free_list_remove(struct slots *slots, struct slot *slot)
{
    if (slot->prev)
        slot->prev->next = slot->next;
    else
        slots->oldest_free = slot->next;
    if (slot->next)
        slot->next->prev = slot->prev;
    else
        slots->newest_free = slot->prev;
    slots->free_count--;
}

static bool table_grow(struct slots *slots)
{
    uint32_t cap = slots->table_cap ? slots->table_cap * 2 : 16;
    struct slots_entry *table = pool_take(slots->pool, cap * sizeof *table);
    if (!table)
        return false;
    memset(table, 0, cap * sizeof *table);
    if (slots->table_count > 0)
        memcpy(table, slots->table, slots->table_count * sizeof *table);
    pool_give(slots->pool, slots->table, slots->table_cap * sizeof *table);
    slots->table = table;
    slots->table_cap = cap;
    return true;
}

/* A block number that is not in memory and has generations left, or table_count. */
static uint32_t vacant_block(const struct slots *slots)
{
    uint32_t number = 0;
    while (number < slots->table_count &&
           (slots->table[number].block || slots->table[number].generation >= GENERATION_MAX))
        number++;
    return number;
}

/*
 * All indexes are retired or in use: go on with the next run number, under which those not in memory are fresh again.
 * False if there are none, and then the number is not used up.
 */
static bool next_run(struct slots *slots)
{
    bool fresh = false;
    for (uint32_t i = 0; i < slots->table_count; i++) {
        if (!slots->table[i].block) {
            slots->table[i].generation = 0;
            fresh = true;
        }
    }
    if (fresh)
        slots->run = run_number(slots->run + 1);
    return fresh;
}

bool slots_grow(struct slots *slots)
{
    uint32_t number = vacant_block(slots);
    if (number == slots->index_limit / SLOTS_BLOCK) {
        if (!next_run(slots))
            return false;
        number = vacant_block(slots);
    }
    if (number == slots->table_cap && !table_grow(slots))
        return false;
    struct slots_block *block = pool_take(slots->pool, sizeof *block);
    if (!block)
        return false;
    memset(block, 0, sizeof *block);
    if (number == slots->table_count)
        slots->table_count++;
    slots->table[number].block = block;
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++) {
        uint32_t index = number * SLOTS_BLOCK + i;
        block->slots[i].receipt = receipt_of(slots->run, slots->table[number].generation, index);
        slots_free_append(slots, &block->slots[i]);
    }
    return true;
}

/* Frees a block without slots in use, and remembers how far its generations had got. */
static void block_free(struct slots *slots, uint32_t number)
{
    struct slots_block *block = slots->table[number].block;
    uint32_t highest = 0;
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++) {
        uint32_t generation = generation_of(block->slots[i].receipt);
        if (generation > highest)
            highest = generation;
        if (generation < GENERATION_MAX)
            free_list_remove(slots, &block->slots[i]);
    }
    slots->table[number].generation = highest;
    slots->table[number].block = NULL;
    pool_give(slots->pool, block, sizeof *block);
}

/* True if more slots are free than are worth keeping, by a whole block. */
static bool surplus(const struct slots *slots)
{
    return slots->free_count > FREE_SLOTS_KEPT && slots->free_count > slots->used_count &&
           slots->free_count - SLOTS_BLOCK >= slots->reserved;
}

/* Frees a block that became empty when it was not yet one too many; looks at a few only. */
static void free_another(struct slots *slots)
{
    for (unsigned looked = 0; looked < BLOCKS_LOOKED_AT && surplus(slots); looked++) {
        uint32_t number = slots->search_next < slots->table_count ? slots->search_next : 0;
        struct slots_block *block = slots->table[number].block;
        slots->search_next = number + 1;
        if (block && block->used == 0 && block->retired == 0) {
            block_free(slots, number);
            return;
        }
    }
}

bool slots_reserve(struct slots *slots, uint32_t count)
{
    while (slots->free_count < count)
        if (!slots_grow(slots))
            return false;
    slots->reserved = count;
    return true;
}

void slots_emptied(struct slots *slots, uint32_t number)
{
    struct slots_block *block = slots->table[number].block;
    bool spent = block->retired == SLOTS_BLOCK;
    if (spent || (block->retired == 0 && surplus(slots)))
        block_free(slots, number);
    free_another(slots);
}
