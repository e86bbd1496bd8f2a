/*
 * distribution: a histogram as the text that HdrHistogram prints, and its plotter and others read.
 */
#ifndef BENCHMARKS_DISTRIBUTION_H
#define BENCHMARKS_DISTRIBUTION_H

#include "benchmarks/histogram.h"

#include <stdio.h>

/* Writes it in microseconds. */
void distribution_print(const struct histogram *h, FILE *out);

#endif
