/*
 * line: who stands in line at a queue (line.c), and the dealing of messages to them (match.c). Internal to the broker.
 */
#ifndef SERVER_BROKER_LINE_H
#define SERVER_BROKER_LINE_H

#include "server/broker/life.h"

/* Deliveries in one turn. */
#define LINE_TURN 4096

/* True if the queue may deliver, has something ready, and somebody is able to take it. */
bool line_wants_match(const struct broker *b, const struct queue *q);

/* Takes the first queue off the list of dirty ones; NULL if there is none. */
struct queue *line_next_dirty(struct broker *b);

/* A taker at the end of the queue's line; NULL when out of memory. */
struct taker *line_join(struct broker *b, struct queue *q, struct peer *peer, enum taker_kind kind, uint32_t limit);

/* Takes a taker that holds nothing (a consumer) or whose deliveries stand on their own (a waiter) out of everything. */
void line_leave(struct broker *b, struct taker *t);

/* What a consumer holds goes back, oldest first, charged; then it leaves. */
void line_end_consumer(struct broker *b, int64_t now_ms, struct taker *t);

/* All waiters of a queue end, with `code`. */
void line_refuse(struct broker *b, struct queue *q, enum error_code code);

/* All takers of a queue end: consumers with `reason`, waiters with `code`. */
void line_dismiss(struct broker *b, int64_t now_ms, struct queue *q, enum error_code code, const char *reason);

/* The peer's takers are passed over, or no longer. */
void line_block(struct broker *b, struct peer *peer, bool blocked);

/* Adds an effect; there is room. */
void line_emit(struct broker *b, struct effect effect);

/* Room for `count` deliveries in b->deliveries, whose contents are lost. False if memory ran out. */
bool line_reserve(struct broker *b, uint32_t count);

/* Deals to whoever stands in line, everywhere, within the turn's budget; effects follow. b->dirty: work is left. */
void line_match(struct broker *b, int64_t now_ms);

/* The wait is over: the waiter is answered after the next match. */
void line_over(struct broker *b, struct taker *waiter);

/* The first ready message; one that has expired and was not reached by its timer yet goes on the way. */
struct ring_cursor line_next_message(struct broker *b, int64_t now_ms, struct queue *q);

/* True if the answer may hold this message too: it ends before it would pass the largest response, never empty-handed. */
bool line_fits(const struct broker *b, const struct taker *t, const struct message *m);

/* Hands one message over; false if memory ran out. */
bool line_deal(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, struct taker *t);

#endif
