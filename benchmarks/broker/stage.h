/*
 * stage: a broker with nobody but the benchmark around it, in virtual time. Every call must succeed; if one does not, the
 * program says so and ends.
 */
#ifndef BENCHMARKS_BROKER_STAGE_H
#define BENCHMARKS_BROKER_STAGE_H

#include "server/broker/broker.h"

struct stage {
    struct broker b;
    struct peer peer;
    int64_t now_ms;
};

/* What came out of a receive. */
struct taken {
    const struct message *message;
    uint64_t receipt;
};

/* Ends the program with what did not hold. */
void must(bool holds, const char *what);

void stage_open(struct stage *s);
void stage_close(struct stage *s);

/* A new queue with default attributes, but for these. */
struct queue *stage_queue(struct stage *s, const char *name, enum queue_type type);

void stage_publish(struct stage *s, struct queue *q, const struct publication *p);

/* The next message, which must be there. */
struct taken stage_receive(struct stage *s, struct queue *q, int64_t visibility_ms);

void stage_ack(struct stage *s, uint64_t receipt);

/* Back to its place at once. */
void stage_nack(struct stage *s, uint64_t receipt);

/* Turns at the stage's time until nothing is left to do. */
void stage_turn(struct stage *s);

#endif
