/*
 * slots: what a message has beyond lying in its queue: a deadline, a holder, a receipt. Every inflight, delayed and parked
 * message has a slot, and a ready one whose expiry has a timer of its own. So giving a message back, with or without a
 * delay, and parking it never allocate.
 *
 * A receipt is three numbers in 53 bits, and names one delivery for ever:
 *
 *     run (9 bits) | generation (20 bits) | slot index (24 bits)
 *
 * Looking one up is an array access and a comparison. Each delivery gives the slot its next generation. A slot whose
 * generations are used up retires; when all indexes are retired or in use, the next run number is begun. The run number of
 * a server's start is the caller's to choose, so that receipts of an earlier run are refused. Free slots are reused oldest
 * first.
 *
 * Slots lie in blocks of SLOTS_BLOCK. Blocks that are not needed are freed; the table remembers how far their generations
 * had got.
 */
#ifndef SERVER_BROKER_SLOTS_H
#define SERVER_BROKER_SLOTS_H

#include "server/broker/pool.h"
#include "server/broker/ring.h"
#include "server/broker/timers.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOTS_INDEX_BITS      24
#define SLOTS_GENERATION_BITS 20
#define SLOTS_RUN_BITS        9
#define SLOTS_BLOCK           1024
#define SLOT_NONE             UINT32_MAX

struct taker;

/* Why a message is parked. */
enum park_reason { PARK_NONE, PARK_REQUESTED, PARK_REJECTED, PARK_MAX_ATTEMPTS, PARK_EXPIRED, PARK_OVERFLOW };

struct note {
    uint32_t bytes;
    char text[];
};

struct slot {
    struct timer timer;       /* visibility, end of delay, or expiry, by the message's state */
    uint64_t receipt;         /* of the delivery if inflight; always carries the slot's index and generation */
    struct ring_cursor at;    /* where the message lies */
    struct taker *holder;     /* the consumer that holds it; NULL: a receive, or not inflight */
    struct note *note;        /* of a parked message, or NULL */
    struct slot *prev, *next; /* deliveries of one consumer or one receive, in order; free slots likewise */
    int64_t since_ms : 56;    /* inflight: handed over; delayed: end of the delay; parked: parked; slot_set_since() */
    uint64_t reason : 8;      /* enum park_reason */
};

struct slots_block {
    uint32_t used;    /* slots in use */
    uint32_t retired; /* slots without a generation left */
    struct slot slots[SLOTS_BLOCK];
};

struct slots_entry {
    struct slots_block *block; /* NULL: not in memory */
    uint32_t generation;       /* where a block of this number starts when it comes (back) into memory */
};

struct slots {
    struct pool *pool;
    struct slots_entry *table; /* by block number */
    uint32_t table_count, table_cap;
    struct slot *oldest_free, *newest_free; /* free slots, a list through prev and next */
    uint32_t free_count, used_count;
    uint32_t reserved;    /* slots of the latest reservation not yet taken: no block is freed at their expense */
    uint32_t search_next; /* block number at which the search for one more to free goes on */
    uint32_t index_limit; /* number of indexes; below 2^24 only in tests */
    uint32_t run;
};

/* `run`: any number, its low 9 bits count (0 counts as 1). index_limit: a multiple of SLOTS_BLOCK; 0 means 2^24. */
void slots_init(struct slots *slots, struct pool *pool, uint32_t run, uint32_t index_limit);
void slots_close(struct slots *slots);

/* Makes sure that the next `count` slots_take() succeed, whatever is given back meanwhile. Replaces the last reservation. */
bool slots_reserve(struct slots *slots, uint32_t count);

/* Another block of free slots; false when out of memory or of indexes. For slots_take() alone. */
bool slots_grow(struct slots *slots);
/* The last slot of a block has been given back. For slots_give() alone. */
void slots_emptied(struct slots *slots, uint32_t number);

static inline uint32_t slot_index(const struct slot *slot)
{
    return (uint32_t)(slot->receipt & ((1u << SLOTS_INDEX_BITS) - 1));
}

/* Times are 0 .. 2^47 - 1. */
static inline void slot_set_since(struct slot *slot, int64_t ms)
{
    slot->since_ms = ms & 0x7fffffffffff;
}

static inline bool slot_is_exhausted(const struct slot *slot)
{
    const uint32_t last = (1u << SLOTS_GENERATION_BITS) - 1;
    return (uint32_t)(slot->receipt >> SLOTS_INDEX_BITS & last) == last;
}

/* The slot with that index, which must be in use. */
static inline struct slot *slots_at(const struct slots *slots, uint32_t index)
{
    return &slots->table[index / SLOTS_BLOCK].block->slots[index % SLOTS_BLOCK];
}

/* The slot whose present receipt is this one, or NULL. Says nothing about the message's state. */
static inline struct slot *slots_find(const struct slots *slots, uint64_t receipt)
{
    const uint64_t number = (receipt & ((1u << SLOTS_INDEX_BITS) - 1)) / SLOTS_BLOCK;
    if (number >= slots->table_count || !slots->table[number].block)
        return NULL;
    struct slot *slot = &slots->table[number].block->slots[receipt % SLOTS_BLOCK];
    return slot->receipt == receipt && slot->at.page ? slot : NULL;
}

/* A slot that belongs to nothing yet, or NULL when out of memory or of indexes. */
static inline struct slot *slots_take_one(struct slots *slots)
{
    if (slots->free_count == 0 && !slots_grow(slots))
        return NULL;
    struct slot *slot = slots->oldest_free, *next = slot->next;
    slots->oldest_free = next;
    if (next)
        next->prev = NULL;
    else
        slots->newest_free = NULL;
    slots->free_count--;
    slots->used_count++;
    slots->reserved -= slots->reserved > 0;
    slots->table[slot_index(slot) / SLOTS_BLOCK].block->used++;
    slot->prev = slot->next = NULL;
    return slot;
}

/* The same, by its index; SLOT_NONE for NULL. */
static inline uint32_t slots_take(struct slots *slots)
{
    const struct slot *slot = slots_take_one(slots);
    return slot ? slot_index(slot) : SLOT_NONE;
}

/* Puts a slot at the end of the list of free ones. For slots_*() alone. */
static inline void slots_free_append(struct slots *slots, struct slot *slot)
{
    slot->next = NULL;
    slot->prev = slots->newest_free;
    if (slot->prev)
        slot->prev->next = slot;
    else
        slots->oldest_free = slot;
    slots->newest_free = slot;
    slots->free_count++;
}

/* Gives a slot back. Its timer must not be armed. Its receipt is dead. */
static inline void slots_give_one(struct slots *slots, struct slot *slot)
{
    const uint32_t index = slot_index(slot);
    struct slots_block *block = slots->table[index / SLOTS_BLOCK].block;
    assert(!timer_armed(&slot->timer) && block->used > 0);
    slot->at.page = NULL;
    slot->holder = NULL;
    slot->reason = PARK_NONE;
    slots->used_count--;
    block->used--;
    if (slot_is_exhausted(slot))
        block->retired++;
    else
        slots_free_append(slots, slot);
    if (block->used == 0)
        slots_emptied(slots, index / SLOTS_BLOCK);
}

static inline void slots_give(struct slots *slots, uint32_t index)
{
    slots_give_one(slots, slots_at(slots, index));
}

/* True if the slot has no generation left: its owner must move to another slot before the next delivery. */
static inline bool slots_exhausted(const struct slots *slots, uint32_t index)
{
    return slot_is_exhausted(slots_at(slots, index));
}

/* A new receipt for a delivery of this slot, which is not exhausted; the previous one is dead. */
static inline uint64_t slot_stamp(struct slot *slot)
{
    assert(!slot_is_exhausted(slot));
    slot->receipt += (uint64_t)1 << SLOTS_INDEX_BITS;
    return slot->receipt;
}

static inline uint64_t slots_stamp(struct slots *slots, uint32_t index)
{
    return slot_stamp(slots_at(slots, index));
}

#endif
