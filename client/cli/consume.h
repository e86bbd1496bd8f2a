/*
 * consume: `consume QUEUE`: prints each message, or runs a command for each.
 *
 * A message is acked only after what was printed of it has been flushed, or its command has ended with 0: whatever kills
 * this program, nothing is lost. What it holds then comes back to its place in the queue.
 */
#ifndef CLIENT_CLI_CONSUME_H
#define CLIENT_CLI_CONSUME_H

#include "client/cli/work.h"

/* What `consume` was asked to do. */
struct consume_plan {
    const char *queue;
    uint64_t prefetch;      /* 0: not named */
    uint64_t visibility_ms; /* 0: the queue's */
    uint64_t max;           /* messages to take; 0: no end */
    uint64_t idle_ms;       /* ends when nothing has come for so long; 0: never */
    const char *command;    /* NULL: print */
    uint64_t jobs;          /* commands at once */
    bool delay_named;
    uint64_t nack_delay_ms;
    bool automatic; /* --ack auto */
    bool exclusive, single_active;
    uint64_t priority;       /* 0 to 9 */
    uint64_t group_prefetch; /* 0: the queue's */
};

/* The two ways; the connection is there. Until interrupted, idle, done, or failed. Return an exit code. */
int consume_print(struct cli *cli, const struct consume_plan *plan, enum output_form form);
int consume_exec(struct cli *cli, const struct consume_plan *plan);

/* What the plan says about the consumer, its prefetch aside. */
void consume_plan_options(const struct consume_plan *plan, struct ringmq_consume_options *options);

/* Sends acks in parts that the server takes; what is refused is counted in *stale. Returns a status. */
int consume_ack(struct cli *cli, const uint64_t *receipts, uint32_t count, uint64_t *stale);

/* Waits until everything that was sent is answered. Returns a status. */
int consume_settle(struct cli *cli);

#endif
