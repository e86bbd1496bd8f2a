/*
 * scenes: what bench-broker measures. Each scene builds its state anew, checks that the broker does what it promises (the
 * program ends if not), and returns what one event of it costs.
 */
#ifndef BENCHMARKS_BROKER_SCENES_H
#define BENCHMARKS_BROKER_SCENES_H

#include "benchmarks/broker/count.h"

#include <stddef.h>

/* Arming one of `count` timers of a bare wheel, and its coming out. None comes out early or out of order. */
struct timer_costs {
    struct cost arming, ending;
};
struct timer_costs scene_wheel(struct counter *counter, uint32_t count);

/*
 * The end of one of `count` pending deadlines of a broker, half of them delays and half of them visibilities, all of mixed
 * length: the message becomes ready. At every moment exactly those are ready whose time has come. *bytes: what one pending
 * message takes in all.
 */
struct cost scene_deadlines(struct counter *counter, uint32_t count, double *bytes);

/*
 * A message of a group that has no other is published, received and acked, in a queue with `backlog` messages of one other
 * group, which is locked by a delivery, or free and in line before it.
 */
struct cost scene_fresh_group(struct counter *counter, uint32_t backlog, bool locked);

/* What things take in memory, each measured with `count` of them. */
struct size {
    const char *what;
    double bytes;
};

#define SIZES 8

void scene_sizes(uint32_t count, struct size out[SIZES]);

#endif
