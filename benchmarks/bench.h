/*
 * bench: what the parts of ringmq-bench share: what is asked for, and what has been found out.
 *
 *     main       the workloads, one run or many, all combinations of sizes and batches
 *     options    the command line; workloads: named sets of options
 *     load       one run against a server: its connections, its phases; with
 *                producer, consumer   who publish, who consume and check
 *                wire, piece         a connection, and the values in its bytes
 *                server               what the server says of itself, or the system of it
 *     idle       connections that do nothing
 *     floor      the same bytes through a bare relay
 *     report     tables, CSV, JSON
 */
#ifndef BENCHMARKS_BENCH_H
#define BENCHMARKS_BENCH_H

#include "benchmarks/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define BENCH_LIST_MAX 16
#define BENCH_RUNS_MAX 1000

/* Each body begins with this: the producer and its batch (4 bytes each), and its message's number (8). */
#define BENCH_STAMP_BYTES 16

enum bench_shape {
    BENCH_STEADY, /* publish and consume for some time */
    BENCH_FILL,   /* publish so many messages */
    BENCH_DRAIN,  /* consume what has been published before */
    BENCH_IDLE,   /* connections only */
};

/* A named set of options, one row of the list in workloads.c. */
struct workload {
    const char *name;
    const char *options; /* what it stands for; the user's own come after it */
    const char *help;
    enum bench_shape shape;
    bool beside_floor; /* the bare relay is measured in the same run */
};

enum bench_format { BENCH_TABLE, BENCH_CSV, BENCH_JSON };

struct bench_options {
    const char *host, *port, *socket_path;
    const char *queue; /* its name, or what the names of several begin with */
    const struct workload *workload;
    uint32_t producers, consumers, connections;
    uint32_t queues;   /* above 1: a topic in front of so many */
    uint32_t groups;   /* above 0: a fifo queue */
    uint32_t size;     /* bytes of a body, at least BENCH_STAMP_BYTES */
    uint32_t batch;    /* messages a publish */
    uint32_t window;   /* unconfirmed messages of one producer */
    uint32_t backlog;  /* messages of one producer that have not been received yet */
    uint32_t messages; /* of a fill or drain, all producers together */
    uint32_t prefetch;
    uint32_t ack;      /* receipts an ack */
    uint32_t delay_ms; /* the longest delay of a message; 0: none */
    bool multiple;     /* one receipt an ack, with `multiple` */
    bool verify, durable, spin, floor;
    double seconds, warmup;
    double rate; /* messages a second of all producers; 0: as fast as they go */
    uint32_t sizes[BENCH_LIST_MAX], batches[BENCH_LIST_MAX];
    uint32_t size_count, batch_count, runs;
    enum bench_format format;
    const char *percentiles; /* a file, or NULL */
};

/* What connections that do nothing cost. */
struct idle_result {
    double bytes_per_connection; /* that the server counts */
    double rss_per_connection;
    uint64_t rss_bytes, switches, turns;
};

/* One run. */
struct bench_result {
    uint64_t sent, confirmed, received, acked; /* of the whole run, for the check; received and acked are copies */
    uint64_t lost, duplicates, disordered, corrupt, early;
    uint64_t messages; /* in the time that counts */
    double seconds;    /* that counts */
    double server_cpu_ns;
    double log_bytes;
    double bytes_per_message; /* of the server's memory; a fill */
    bool cpu_from_proc;
    char durability[16];
    struct histogram end_to_end, confirm, lateness, floor;
    struct idle_result idle;
};

/* Runs the load against a server. Returns 0, or -1 with a line on stderr. */
int bench_run(const struct bench_options *options, struct bench_result *result);

/* Opens connections and leaves them alone. Returns 0, or -1 with a line on stderr. */
int bench_idle(const struct bench_options *options, struct bench_result *result);

/* Runs the same bytes through a bare relay: the floor of what moving them costs. Returns 0, or -1 with a line on stderr. */
int bench_floor(const struct bench_options *options, struct bench_result *result);

/* How many copies of a message are delivered. */
static inline uint32_t bench_copies(const struct bench_options *o)
{
    return o->queues;
}

/* True if nothing was lost, repeated, early, out of order or changed on the way. */
bool bench_verified(const struct bench_options *o, const struct bench_result *r);

/* Adds one stretch of a run, or one run, to another. */
void bench_add(struct bench_result *sum, const struct bench_result *r);

static inline uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A line on a terminal that goes on over itself; `share` (0 to 1) of a phase is over. Nothing elsewhere. */
void bench_progress(const char *phase, double share);

#endif
