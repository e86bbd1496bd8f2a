/*
 * wire: one connection of the benchmark, on the protocol's own encoder and decoder. Blocking while it is set up, afterwards
 * driven by the load's loop.
 */
#ifndef BENCHMARKS_WIRE_H
#define BENCHMARKS_WIRE_H

#include "benchmarks/bench.h"
#include "protocol/buffer.h"
#include "protocol/decoder.h"

#include <poll.h>

/* A connection with more than this unsent gets no new requests. */
#define WIRE_OUT_BYTES ((size_t)1 << 20)
#define WIRE_IN_BYTES  ((size_t)1 << 18)

struct wire {
    int fd;
    struct buffer out;
    struct decoder *decoder;
    uint8_t *in; /* WIRE_IN_BYTES */
};

/* All return 0, or -1 after a line on stderr. */
int wire_open(struct wire *w, const struct bench_options *o);
void wire_close(struct wire *w);
int wire_create_queue(struct wire *w, const char *queue);
int wire_delete_queue(struct wire *w, const char *queue);
int wire_consume(struct wire *w, const char *queue, uint32_t prefetch);

/* User and system time of the server so far. */
int wire_server_cpu(struct wire *w, double *ns);

/* Connects only; for the floor, which speaks no protocol. */
int wire_connect(const struct bench_options *o);

struct pollfd wire_poll(const struct wire *w);

/* Writes what can be written. */
int wire_write(struct wire *w);

/* Reads what is there, and calls `handle` for each value; it returns 0 or -1. */
int wire_read(struct wire *w, int (*handle)(void *user, struct wire *w), void *user);

bool wire_is_response(const struct decoder *d);
/* The unsigned integer at a node; false if it is something else. */
bool wire_uint(const struct decoder *d, uint32_t node, uint64_t *out);
/* Says on stderr that an answer was not as expected; returns -1. */
int wire_complain(const struct decoder *d, const char *what);

#endif
