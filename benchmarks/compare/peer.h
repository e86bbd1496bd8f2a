/*
 * peer: what a client of another broker is made of. Each file of a peer becomes a program of its own with the same load around
 * it: one thread publishes and waits for confirms, another receives and acks. Each function here is called from one of these
 * threads only, so a peer keeps a connection for each.
 *
 * What fails says so on stderr and returns -1; the run is over then.
 */
#ifndef BENCHMARKS_COMPARE_PEER_H
#define BENCHMARKS_COMPARE_PEER_H

#include <stdbool.h>
#include <stdint.h>

#define PEER_HOST    "127.0.0.1"
#define PEER_QUEUE   "compare"
#define PEER_WAIT_MS 100 /* no call waits longer for something to come */

struct peer_options {
    uint16_t port;
    uint32_t size;     /* bytes of a body, at least BENCH_STAMP_BYTES */
    uint32_t batch;    /* messages a request */
    uint32_t window;   /* messages sent and not confirmed */
    uint32_t backlog;  /* messages sent and not received */
    uint32_t prefetch; /* messages received and not acked */
    uint32_t ack;      /* messages an ack */
    double seconds;
    double rate;         /* messages a second; 0: as fast as it goes */
    uint64_t fill;       /* so many messages are published and not received; 0: a load */
    const char *servers; /* process ids, separated by commas */
};

/* The name in the report, and whether a message that was confirmed is kept until it is acked. */
extern const char peer_name[];
extern const bool peer_at_least_once;

/* Opens both connections and makes an empty queue. Nothing is delivered before the first receive if this is a fill. */
int peer_open(const struct peer_options *options);
void peer_close(void);

/* Publishes a batch: `count` bodies of the agreed size, one after the other. It may lie in a buffer until the flush. */
int peer_publish(const uint8_t *bodies, uint32_t count);
int peer_flush(void);

/* How many messages have been confirmed since the last call. With `wait` it waits up to PEER_WAIT_MS for the first. */
int64_t peer_confirmed(bool wait);

/* Waits up to PEER_WAIT_MS for messages, hands each to load_message, and acks: what is acked goes to load_acked. */
int peer_receive(void);

/* What a peer tells the load: a message has come; so many have been acked, and the server has said so if it ever does. */
int load_message(const void *body, uint64_t bytes);
void load_acked(uint64_t count);

#endif
