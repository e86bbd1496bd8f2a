/*
 * random: numbers for tests that make up their own stories. A test takes its seed from test_seed(), which prints it;
 * TEST_SEED in the environment repeats a run.
 */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random {
    uint64_t state;
};

/* The next of 2^64 equally likely numbers (splitmix64). */
static inline uint64_t random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* One of 0 .. limit - 1; `limit` above 0. */
static inline uint64_t random_below(struct random *r, uint64_t limit)
{
    return random_next(r) % limit;
}

/* A number of 0 to `max_bits` bits, each length equally likely. */
static inline uint64_t random_bits(struct random *r, unsigned max_bits)
{
    unsigned bits = (unsigned)random_below(r, max_bits + 1);
    return bits == 0 ? 0 : random_next(r) >> (64 - bits);
}

/* The seed for a test, printed under its name. */
static inline struct random test_seed(const char *test)
{
    const char *given = getenv("TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (given != NULL)
        seed = strtoull(given, NULL, 10);
    fprintf(stderr, "%s: TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return (struct random){seed};
}

#endif
