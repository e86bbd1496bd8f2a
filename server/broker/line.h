/*
 * line: who stands in line at a queue (line.c), and the dealing of messages to them (match.c). Internal to the broker.
 */
#ifndef SERVER_BROKER_LINE_H
#define SERVER_BROKER_LINE_H

#include "server/broker/life.h"

/* Deliveries in one turn. */
#define LINE_TURN 4096

/* Messages of one queue that are dealt, or found to have expired, before the next queue has its go. */
#define QUEUE_TURN 1024

/* True if the queue delivers nothing at present. */
static inline bool line_is_closed(const struct broker *b, const struct queue *q)
{
    return q->paused || (b->withholding && q->attributes.durable);
}

/* True if the queue may deliver, has something ready, and somebody is able to take it. */
bool line_wants_match(const struct broker *b, const struct queue *q);

/* Takes the first queue off the list of dirty ones; NULL if there is none. */
struct queue *line_next_dirty(struct broker *b);

/* Places in one line; above them in a taker's key stands its priority, turned round. */
#define LINE_PLACE_BITS 48

/* A taker at the end of those of its priority; NULL when out of memory. */
struct taker *line_join(struct broker *b, struct queue *q, struct peer *peer, enum taker_kind kind, uint32_t limit,
                        uint32_t priority);

/* The consumer asks to be served alone: it is, or stands by until it is its turn. */
void line_ask_single(struct broker *b, struct taker *t);

/* Room for one more thing that ends in an effect: b->taker_count counts it from then on. False if memory ran out. */
bool line_effect_reserve(struct broker *b);

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

/*
 * The message that this taker would get now. Those that have expired and were not reached by their timers yet go on the way, one
 * of *budget each; none is found when that is used up.
 */
struct ring_cursor line_next_message(struct broker *b, int64_t now_ms, struct queue *q, const struct taker *t,
                                     uint32_t *budget);

/* True if the answer may hold this message too: it ends before it would pass the largest response, never empty-handed. */
bool line_fits(const struct broker *b, const struct taker *t, const struct message *m);

/* Hands one message over; false if memory ran out. */
bool line_deal(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, struct taker *t);

#endif
