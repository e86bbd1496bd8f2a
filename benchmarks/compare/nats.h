/* nats: what the two clients of NATS share. */
#ifndef BENCHMARKS_COMPARE_NATS_H
#define BENCHMARKS_COMPARE_NATS_H

#include "benchmarks/compare/peer.h"

struct __natsConnection;

/* Prints what has failed; always -1. */
int nats_complain(const char *what, unsigned status);

/* Connects. At a fixed rate each message is written at once, otherwise they are collected in a buffer. */
int nats_open(const struct peer_options *o, struct __natsConnection **connection);

#endif
