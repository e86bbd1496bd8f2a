/*
 * setup: what a run needs before it begins, and its end. All return 0, or -1 after a line on stderr.
 */
#ifndef BENCHMARKS_SETUP_H
#define BENCHMARKS_SETUP_H

#include "benchmarks/load.h"

/* So many connections can be opened. */
int setup_descriptors(uint64_t connections);

/* The queue, or the topic and its queues. */
int setup_queues(struct wire *w, const struct bench_options *o);
int setup_delete_queues(struct wire *w, const struct bench_options *o);

/* Connections and memory. setup_close() also after a failure. */
int setup_load(struct load *l);
void setup_close(struct load *l);

#endif
