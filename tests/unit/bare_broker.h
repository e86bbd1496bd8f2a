/*
 * bare_broker: a broker with nothing around it but one connection, in virtual time, for tests that look into its memory or
 * count its receipts. What is done here must succeed (asserted), unless it returns a code.
 */
#ifndef TESTS_UNIT_BARE_BROKER_H
#define TESTS_UNIT_BARE_BROKER_H

#include "server/broker/broker.h"

struct bare {
    struct broker b;
    struct peer peer;
    int64_t now_ms;
};

void bare_open(struct bare *s, uint32_t run);

/* Ends with an empty pool (asserted). */
void bare_close(struct bare *s);

/* A new queue; attributes as in `set` or the defaults. */
struct queue *bare_queue(struct bare *s, const char *name, const struct attribute_set *set);
struct queue *bare_fifo(struct bare *s, const char *name);

/* The message "body", and its group or NULL, as a publication. */
struct publication bare_message(const char *group);

/* One message; ERR_NONE: stored. */
enum error_code bare_publish(struct bare *s, struct queue *q, const struct publication *p);

/* `count` messages, all or none. */
enum error_code bare_publish_all(struct bare *s, struct queue *q, const struct publication *p, uint32_t count);

/* The receipt of the next message. */
uint64_t bare_receive(struct bare *s, struct queue *q);

/* How many of the receipts were good. */
uint32_t bare_ack(struct bare *s, const uint64_t *receipts, uint32_t count);
uint32_t bare_nack(struct bare *s, uint64_t receipt, int64_t delay_ms);

/* Turns at this time until nothing is left to do; returns how many. */
unsigned bare_turn(struct bare *s, int64_t now_ms);

#endif
