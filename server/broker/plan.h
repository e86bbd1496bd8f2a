/*
 * plan: how a message gets into a queue that has limits. What it displaces is found out before anything is changed, so that it
 * goes in with all its consequences or not at all; and a whole list of messages for several queues can be planned, as if each
 * were in already when the next is looked at, and then be done, or be dropped.
 *
 *     plan_begin()                      forecasts are forgotten
 *     plan_leave(), plan_room() ...     what would leave, what would come; each message's displacements are listed
 *     plan_slots()                      memory for all of it
 *     displaced_apply(), life_enter()   in the same order: none of it can fail
 *  or plan_drop() and displaced_free()  nothing has happened
 *
 * Room is made only from messages that were in their queue when the plan began: the lowest id among the ready ones, then among
 * the delayed ones. A displaced message that is to go to a dead-letter queue meets the limits and the rule there, and so on
 * down a chain of at most PLAN_DEPTH queues. Internal to the broker.
 */
#ifndef SERVER_BROKER_PLAN_H
#define SERVER_BROKER_PLAN_H

#include "server/broker/life.h"

#define PLAN_DEPTH 16

/* A message that makes room: it is dropped, or its copy enters another queue. */
struct displaced {
    struct displaced *next;
    struct queue *from, *to; /* to NULL: dropped */
    struct message *message; /* in `from`, ready or delayed */
    struct message *copy;    /* for `to`, or NULL */
    struct group *spare;     /* for `to`, if that is a fifo queue */
};

void plan_begin(struct broker *b);

/* The forecast of a queue in this plan. */
struct forecast *plan_queue(struct broker *b, struct queue *q);

/* A message will be gone when all is done. Of those of one queue only the last named may be ready or delayed. */
void plan_leave(struct broker *b, struct ring_cursor at);

/*
 * Room for one more message of that size in the queue. Adds to *list what it displaces and reserves its id. QUEUE_FULL or
 * MEMORY_LIMIT: nothing is added to the list, and the plan may only be dropped.
 */
enum error_code plan_room(struct broker *b, int64_t now_ms, struct queue *q, uint64_t body_bytes,
                          struct displaced **list);

/* Slots for `count` messages of the plan besides those of its copies. False if memory ran out. */
bool plan_slots(struct broker *b, uint32_t count);

/* Gives up all reserved ids. */
void plan_drop(struct broker *b);

/* What the list says happens; the list is freed. */
void displaced_apply(struct broker *b, int64_t now_ms, struct displaced **list);
void displaced_free(struct broker *b, struct displaced **list);

/* True if the queue can hold that much as far as its limits go. */
bool plan_fits(const struct queue *q, uint64_t messages, uint64_t bytes);

#endif
