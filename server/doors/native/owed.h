/*
 * owed: what a session still has to write. For each delivery that lies in its out buffer: where in the stream its
 * last byte is, its receipt, and whether it is acked by being written. First in, first out, in blocks that sessions
 * take from a common store and give back as soon as they are empty, so that a session without unwritten deliveries
 * holds none.
 *
 * The usual case is that everything has been written and nothing is acked by it: then settling costs nothing per
 * delivery, the blocks just go back.
 */
#ifndef SERVER_DOORS_NATIVE_OWED_H
#define SERVER_DOORS_NATIVE_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWED_BLOCK_BYTES 4096
#define OWED_PER_BLOCK   (OWED_BLOCK_BYTES / 16 - 1)

/* An end in the stream that is never reached: the delivery will not be written. */
#define OWED_NEVER UINT64_MAX

struct owed_entry {
    uint64_t end_bytes;    /* the stream's length with the delivery's last byte */
    uint64_t receipt_auto; /* receipt * 2, and 1 if it is acked by being written */
};

struct owed_block {
    struct owed_block *next;
    uint32_t first, count; /* entries [first, count) are there */
    struct owed_entry entries[OWED_PER_BLOCK];
};

/* Empty blocks, for all sessions of a door. */
struct owed_store {
    struct owed_block *spare;
    uint32_t spare_count;
};

/* All zero: empty. */
struct owed {
    struct owed_block *first, *last;
    uint32_t block_count;
    uint64_t auto_count; /* entries that are acked by being written */
    uint64_t end_bytes;  /* of the last entry */
};

void owed_store_close(struct owed_store *store);

/* A new last block. False when out of memory. */
bool owed_grow(struct owed *owed, struct owed_store *store);

/* Appends an entry; false when out of memory. `end_bytes` never goes back. */
static inline bool owed_push(struct owed *owed, struct owed_store *store, uint64_t end_bytes, uint64_t receipt,
                             bool auto_ack)
{
    if ((owed->last == NULL || owed->last->count == OWED_PER_BLOCK) && !owed_grow(owed, store))
        return false;
    owed->last->entries[owed->last->count++] = (struct owed_entry){end_bytes, receipt << 1 | auto_ack};
    owed->auto_count += auto_ack;
    owed->end_bytes = end_bytes;
    return true;
}

/* Takes the first entry out if it ends at `written_bytes` or before. */
bool owed_take(struct owed *owed, struct owed_store *store, uint64_t written_bytes, uint64_t *receipt, bool *auto_ack);

/* Forgets all entries. */
void owed_clear(struct owed *owed, struct owed_store *store);

#endif
