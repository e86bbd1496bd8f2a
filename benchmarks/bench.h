/*
 * bench: what the parts of ringmq-bench share. One process, one thread, poll(2): producers publish batches with a window of
 * unconfirmed messages, consumers are pushed messages and ack them; every message is checked on its way.
 */
#ifndef BENCHMARKS_BENCH_H
#define BENCHMARKS_BENCH_H

#include "benchmarks/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_options {
    const char *host, *port, *socket_path;
    const char *queue;
    uint32_t producers, consumers;
    uint32_t size;    /* bytes of a body, at least BENCH_STAMP_BYTES */
    uint32_t batch;   /* messages a publish */
    uint32_t window;  /* unconfirmed messages of one producer */
    uint32_t backlog; /* messages of one producer that have not been received yet */
    uint32_t prefetch;
    uint32_t ack;  /* receipts an ack */
    bool multiple; /* one receipt an ack, with `multiple` */
    double seconds;
    double rate; /* messages a second of all producers; 0: as fast as they go */
    bool floor, json;
};

/* Each body begins with this: who sent it, and its number in the order of sending. */
#define BENCH_STAMP_BYTES 16

/* What has been checked about the messages of one producer. */
struct ledger {
    uint64_t sent, confirmed;
    uint64_t received, duplicates;
    uint8_t *seen; /* a bit a message */
    uint64_t seen_cap;
    uint64_t *sent_at_ns; /* by batch, the last LEDGER_TIMES of them */
};

#define LEDGER_TIMES 65536

struct bench_result {
    uint64_t sent, confirmed, received, acked;
    uint64_t lost, duplicates, disordered, corrupt;
    double seconds;       /* from the first publish to the last ack */
    double server_cpu_ns; /* user and system, in all */
    struct histogram end_to_end, confirm;
};

bool ledger_open(struct ledger *ledger);
void ledger_close(struct ledger *ledger);
/* Notes that a message has come; false if memory ran out. */
bool ledger_receive(struct ledger *ledger, uint64_t number);

/* Runs the load against a server. Returns 0, or -1 with a line on stderr. */
int bench_run(const struct bench_options *options, struct bench_result *result);

/* Runs the same bytes through a bare relay: the floor of what moving them costs. */
int bench_floor(const struct bench_options *options, struct bench_result *result);

uint64_t bench_now_ns(void);

#endif
