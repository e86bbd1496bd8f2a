#include "benchmarks/histogram.h"

#define STEP_BITS 7

_Static_assert(1 << STEP_BITS == HISTOGRAM_STEPS, "the steps of a power of two");

/* Below 128 each value has a bucket; above, the highest bit chooses 128 buckets and the next 7 bits one of them. */
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

uint64_t histogram_bucket_ns(const struct histogram *h, unsigned bucket)
{
    uint64_t end = bucket_end(bucket);
    return end < h->max_ns && bucket + 1 < HISTOGRAM_BUCKETS ? end : h->max_ns;
}

void histogram_add(struct histogram *h, uint64_t ns, uint64_t times)
{
    h->buckets[bucket_of(ns)] += times;
    h->count += times;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++)
        h->buckets[b] += other->buckets[b];
    h->count += other->count;
    if (other->max_ns > h->max_ns)
        h->max_ns = other->max_ns;
}

uint64_t histogram_rank(const struct histogram *h, double share)
{
    double rank = share * (double)h->count;
    uint64_t whole = (uint64_t)rank;
    /* Rounded up, but not because of what a double can't say exactly. */
    whole += rank - (double)whole > 1e-6;
    return whole > 0 ? whole : 1;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    uint64_t rank = histogram_rank(h, share), below = 0;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS && h->count > 0; b++) {
        below += h->buckets[b];
        if (below >= rank)
            return histogram_bucket_ns(h, b);
    }
    return 0;
}
