/*
 * options: the command line. Options are rows of one list, workloads rows of another; help is derived from both.
 */
#ifndef BENCHMARKS_OPTIONS_H
#define BENCHMARKS_OPTIONS_H

#include "benchmarks/bench.h"

/* The workloads; the first is what is run unless another is named. The last row has no name. */
extern const struct workload workloads[];

/* What is asked for: defaults, then those of the workload, then the arguments. Ends the program if one is wrong. */
void options_parse(struct bench_options *o, int argc, char **argv);

/* What must agree with each other, once a size and a batch have been chosen. */
void options_agree(struct bench_options *o);

#endif
