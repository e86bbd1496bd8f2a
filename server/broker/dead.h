/*
 * dead: messages that go from one queue to another. A dead letter leaves its queue and is in the dead-letter queue in one step,
 * with a new id there, its body, own headers, group, priority and dedup id, no attempts, no ttl, and with headers that say where
 * it comes from and why:
 *
 *     dl_queue dl_id dl_reason dl_attempts   its queue and id there, why it is dead, and how often it had been delivered
 *     dl_first dl_last                       wall-clock ms of its first and last delivery, 0 if there was none
 *     dl_note                                the words of the client that rejected it, if any
 *
 * A moved message is the same without these headers. If the other queue has no room that it could make, or memory runs out,
 * nothing happens; a dead message is then parked. Internal to the broker.
 */
#ifndef SERVER_BROKER_DEAD_H
#define SERVER_BROKER_DEAD_H

#include "server/broker/plan.h"

/* The queue that takes the dead messages of `q`: NULL if it names none, or that does not exist or is of another type. */
struct queue *dead_target(const struct broker *b, const struct queue *q);

/* A copy of the message for the queue `to`, as a dead letter; NULL when out of memory. */
struct message *dead_copy(struct broker *b, const struct queue *from, const struct message *m, const struct queue *to,
                          enum park_reason reason, struct view note);

/* The message goes to the dead-letter queue. False if it does not take it: nothing has happened. */
bool dead_letter(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from,
                 enum park_reason reason, struct view note);

/* The message goes to another queue without its dl_ headers. QUEUE_FULL or MEMORY_LIMIT: nothing has happened. */
enum error_code dead_move(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at,
                          enum message_state from, struct queue *to);

/* The value of the message's header dl_queue if that is text, else empty. */
struct view dead_source(const struct message *m);

/* Runs a move as far as it may go now; the budget counts messages looked at. */
void move_due(struct broker *b, int64_t now_ms, struct move *move, uint32_t *budget);

/* Moves from and to a queue that is about to go are cancelled. */
void moves_queue_gone(struct broker *b, int64_t now_ms, const struct queue *q);

/* Takes a move off the list. */
void move_forget(struct broker *b, struct move *move);

#endif
