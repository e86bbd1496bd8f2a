/*
 * dedup: the dedup ids that a queue has seen within its window. An entry is made when a message is stored and lives for the
 * window that was in force then, whatever becomes of the message; a duplicate does not prolong it. Each entry is counted
 * memory: DEDUP_ENTRY_BYTES and the id (with scope `group` the group's name as well), rounded up by the pool.
 *
 * An id that a client named and the SHA-256 of a body are different kinds and never the same.
 */
#ifndef SERVER_BROKER_DEDUP_H
#define SERVER_BROKER_DEDUP_H

#include "server/broker/message.h"
#include "server/broker/table.h"
#include "server/broker/timers.h"

struct broker;
struct queue;

struct dedup {
    struct table_link link;
    struct timer timer;   /* end of the window */
    struct dedups *owner; /* NULL: not in a table */
    uint64_t first_id;
    uint16_t key_bytes;
    uint16_t mark; /* the watcher's */
    uint8_t key[];
};

#define DEDUP_ENTRY_BYTES sizeof(struct dedup)

struct dedups {
    struct table table;
    struct dedups *next; /* list of those that wait to be freed */
};

/* An entry for a publication to that queue, in no table yet; NULL when out of memory. The queue's window is not 0, and the
   publication has an id or the queue asks for its content. Makes the queue's table if it has none. */
struct dedup *dedup_new(struct broker *b, struct queue *q, const struct publication *p);
void dedup_free(struct broker *b, struct dedup *entry);

/* True if the queue wants to know whether it has seen this publication. */
bool dedup_wanted(const struct queue *q, const struct publication *p);

/* The entry with the same key whose window is not over, or NULL. */
struct dedup *dedup_find(const struct broker *b, int64_t now_ms, const struct queue *q, const struct dedup *entry);

/* The entry with those bytes as key and that first id, whether its window is over or not, or NULL. */
struct dedup *dedup_seek(const struct broker *b, const struct queue *q, struct view key, uint64_t first_id);

/* Notes that the message with this key has that id; the window begins. And forgets it. */
void dedup_put(struct broker *b, int64_t now_ms, struct queue *q, struct dedup *entry, uint64_t first_id);
void dedup_forget(struct broker *b, struct dedup *entry);

/* The entry with that key as it is restored (restore.h), new or there already; its timer is armed later. NULL when out of memory. */
struct dedup *dedup_restore(struct broker *b, struct queue *q, struct view key, uint64_t first_id, int64_t until_ms);
/* All has been restored: the windows run. */
void dedup_restored(struct broker *b, struct queue *q);

/* Takes an entry out of its table again: the message did not go in after all. */
void dedup_withdraw(struct broker *b, struct dedup *entry);

/* Bytes that an entry for the publication takes. */
size_t dedup_cost(const struct queue *q, const struct publication *p);

/* The queue's entries are handed over to be freed in slices. */
void dedup_detach(struct broker *b, struct queue *q);

/* Frees up to *budget of those; true if none is left. */
bool dedup_trash(struct broker *b, uint32_t *budget);

#endif
