/*
 * batch: the messages of one call on their way into one queue or several. Staging takes all the memory that each needs; then
 * the batch is either run, each message for itself, or planned as a whole and then applied or dropped. Internal to the broker.
 *
 *     batch_new()  batch_add() ..           memory; what is wrong with a message for ever is noted
 *     batch_run()                           in order: duplicate? no room? else in
 *  or batch_plan()  batch_apply()           all that are not wrong, or none
 *     batch_report()                        outcomes of those that are not simply in
 *     batch_free()
 *
 * A message is a duplicate if its queue has seen its id; that comes before every limit. One that is refused leaves no trace.
 */
#ifndef SERVER_BROKER_BATCH_H
#define SERVER_BROKER_BATCH_H

#include "server/broker/dedup.h"
#include "server/broker/plan.h"

/* One message for one queue. */
struct staged {
    struct queue *queue;     /* NULL: deleted while the batch was held */
    struct message *message; /* until it is in */
    struct group *spare;     /* of a fifo queue: a record for its group */
    struct dedup *entry;     /* until it is in the queue's table for good */
    struct displaced *displaced;
    int64_t delay_ms, ttl_ms; /* -1: the queue's */
    uint64_t id;              /* in the queue; of a duplicate the first one's */
    const char *which;
    enum error_code code; /* why it is refused */
    uint32_t index;       /* in the call, or in its part of a commit */
    uint32_t updates;     /* of its queue when it was judged */
    bool duplicate;
    bool in;
};

struct batch {
    uint32_t count, cap;
    uint32_t wrong;          /* of them refused when they were staged */
    uint32_t stored;         /* that are in */
    uint64_t cost;           /* bytes that it keeps while it is held; the caller's to set */
    bool spent;              /* it holds no memory any more besides itself */
    bool atomic;             /* wrong ones make the whole fail */
    struct publishing *line; /* its place in a line, if it waits: nothing goes in while others have waited longer */
    bool over;               /* its wait is over: it goes in regardless of them */
    struct staged staged[];
};

/* A batch with room for `cap` messages, or NULL. */
struct batch *batch_new(struct broker *b, uint32_t cap, bool atomic);
void batch_free(struct broker *b, struct batch *batch);

/* Bytes that the batch itself takes, and about what one message will. */
size_t batch_size(uint32_t cap);
uint64_t batch_cost_of(const struct queue *q, const struct publication *p);

/* The largest body that the queue takes. */
uint64_t batch_body_limit(const struct broker *b, const struct queue *q);

/*
 * Stages a message; `refused` is what the door knows to be wrong with it. by_topic: a priority is ignored by fifo queues.
 * False if memory ran out; the batch is then only good for batch_free().
 */
bool batch_add(struct broker *b, struct batch *batch, struct queue *q, const struct publication *p, uint32_t index,
               enum error_code refused, const char *which, bool by_topic);

/* Stages a message for no queue at all, that is wrong. */
void batch_add_wrong(struct batch *batch, uint32_t index, enum error_code refused, const char *which);

/*
 * Judges messages anew whose queues have been updated since they were staged: what is too large now is wrong now, and the dedup
 * ids are those that the queue wants now. False if memory ran out; the batch can be judged again later.
 */
bool batch_review(struct broker *b, struct batch *batch);

/* Each message for itself, all of one queue. MEMORY_LIMIT: nothing has happened. */
enum error_code batch_run(struct broker *b, int64_t now_ms, struct batch *batch);

/*
 * After plan_begin(): all that are not wrong (atomic: all). If it fails nothing is planned, and *culprit is the staged message
 * that was the reason, or batch->count.
 */
enum error_code batch_plan(struct broker *b, int64_t now_ms, struct batch *batch, uint32_t *culprit);

/* After plan_begin(): what is wrong with the first message that can never be stored, if the batch is atomic; else ERR_NONE.
   Nothing is planned. */
enum error_code batch_wrong(struct broker *b, int64_t now_ms, struct batch *batch, uint32_t *culprit);

/* Does what was planned; cannot fail. */
void batch_apply(struct broker *b, int64_t now_ms, struct batch *batch);

/* Adds outcomes of staged messages first .. first + count - 1 that are not simply in; there is room. */
void batch_report(struct broker *b, const struct batch *batch, uint32_t first, uint32_t count);

/* How many of them are in, and the id of the first of these or 0. */
uint32_t batch_stored(const struct batch *batch, uint32_t first, uint32_t count, uint64_t *first_id);

/* True if the messages that are not wrong and no duplicates would fit if their queues were empty. Ends a plan. */
bool batch_could_fit(struct broker *b, int64_t now_ms, struct batch *batch);

/* Counts every message as refused by its queue. */
void batch_count_refused(struct broker *b, const struct batch *batch);

#endif
