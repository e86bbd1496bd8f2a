#include "benchmarks/histogram.h"

#define STEP_BITS 6

/* Below 64 each value has a bucket; above, the highest bit chooses 64 buckets and the next 6 bits one of them. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS)
        return (unsigned)ns;
    unsigned high = 63 - (unsigned)__builtin_clzll(ns);
    unsigned bucket = (high - STEP_BITS + 1) * HISTOGRAM_STEPS +
                      (unsigned)(ns >> (high - STEP_BITS) & (HISTOGRAM_STEPS - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The highest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned high = bucket / HISTOGRAM_STEPS + STEP_BITS - 1;
    uint64_t step = (uint64_t)1 << (high - STEP_BITS);
    return ((uint64_t)1 << high) + (bucket % HISTOGRAM_STEPS + 1) * step - 1;
}

void histogram_add(struct histogram *h, uint64_t ns, uint64_t times)
{
    h->buckets[bucket_of(ns)] += times;
    h->count += times;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    uint64_t rank = (uint64_t)(share * (double)h->count + 0.5), below = 0;
    if (rank == 0)
        rank = 1;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        below += h->buckets[b];
        if (below >= rank && h->count > 0) {
            uint64_t end = bucket_end(b);
            return end < h->max_ns ? end : h->max_ns;
        }
    }
    return 0;
}
