/*
 * fold: the records of a log, one batch after the other, become a broker again (server/broker/restore.h). It decides nothing;
 * a newer server with other rules folds an old log to the same state.
 *
 * Who counts live bytes is told of every message, definition and id that comes to lie in the batch at hand, and of everything
 * that stops counting, through the hooks; all may be NULL. A queue, topic, subscription or dedup id that is told again, by a
 * newer record, still has the mark that it was given; a message that is replaced says goodbye first.
 */
#ifndef SERVER_LOG_FOLD_H
#define SERVER_LOG_FOLD_H

#include "server/broker/restore.h"
#include "server/log/record.h"

struct fold {
    struct broker *broker;
    int64_t wall_offset_ms; /* monotonic = wall - this */
    void *user;
    /* `above`: its body counts with the message before it. */
    void (*message_cb)(void *user, struct queue *q, struct message *m, bool above);
    void (*message_gone_cb)(void *user, struct queue *q, struct message *m); /* just before; also when it is replaced */
    void (*queue_cb)(void *user, struct queue *q);
    void (*queue_gone_cb)(void *user, struct queue *q);
    void (*topic_cb)(void *user, struct topic *t);
    void (*topic_gone_cb)(void *user, struct topic *t);
    void (*subscription_cb)(void *user, struct topic *t, struct subscription *s);
    void (*subscription_gone_cb)(void *user, struct topic *t, struct subscription *s);
    void (*dedup_cb)(void *user, struct queue *q, struct dedup *entry);
    void (*dedup_gone_cb)(void *user, struct dedup *entry);
    /* counted on the way */
    uint64_t records, unknown; /* unknown: changes of things that are not there, passed over */
};

enum fold_result {
    FOLD_DONE,
    FOLD_BAD, /* not a record as the format says, or one that cannot be true: *at is its offset. What came before it has
                 been folded. */
    FOLD_NO_MEMORY
};

/* Folds the records of one batch. Monotonic times are kept above 0: 1 at the lowest. */
enum fold_result fold_batch(struct fold *fold, struct view records, size_t *at);

/* After the last batch: queues that were never defined go, with all they have (counted in `unknown`). Never FOLD_BAD. */
enum fold_result fold_end(struct fold *fold);

#endif
