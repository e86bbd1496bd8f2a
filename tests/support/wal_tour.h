/* wal_tour: a short load that makes the log write every type of record there is, a batch each, in a few kilobytes. */
#ifndef TESTS_SUPPORT_WAL_TOUR_H
#define TESTS_SUPPORT_WAL_TOUR_H

#include "tests/support/wal_world.h"

/* On an open world without queues of these names: "tour", "lane". The log is synced now and then, as its level says. */
void world_tour(struct wal_world *w);

#endif
