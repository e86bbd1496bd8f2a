/*
 * histogram: counts of durations in log-linear buckets: 128 linear steps in each power of two, so that a value is known to
 * within 0.8 %, from 1 ns to 2^40 ns (18 minutes; longer ones count as that). The idea is HdrHistogram's (G. Tene).
 */
#ifndef BENCHMARKS_HISTOGRAM_H
#define BENCHMARKS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS   128
#define HISTOGRAM_BUCKETS (34 * HISTOGRAM_STEPS)

struct histogram {
    uint64_t count;
    uint64_t max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Adds `times` durations of `ns`. */
void histogram_add(struct histogram *h, uint64_t ns, uint64_t times);

/* Adds what another one has counted. */
void histogram_merge(struct histogram *h, const struct histogram *other);

/* The duration that `share` (0 to 1) of all are at most; 0 if there are none. */
uint64_t histogram_quantile(const struct histogram *h, double share);

/* How many durations `share` of all are, one at least. */
uint64_t histogram_rank(const struct histogram *h, double share);

/* What stands for the durations of a bucket: the longest that it can hold, and that there has been. */
uint64_t histogram_bucket_ns(const struct histogram *h, unsigned bucket);

#endif
