/*
 * mirror: watches a broker and does with a second one what restore.h says that each change means. In the end the second one,
 * restored, must be the same as the first, as far as durable queues go (digest.h), and everything in it must add up.
 */
#ifndef TESTS_SIM_MIRROR_H
#define TESTS_SIM_MIRROR_H

#include "server/broker/broker.h"

struct mirror;

/* Begins to watch a broker in which nothing is yet. */
struct mirror *mirror_open(struct broker *original);

/* Compares (with cmocka's assertions) and is gone. Afterwards nobody watches. */
void mirror_close(struct mirror *mirror, int64_t now_ms);

#endif
