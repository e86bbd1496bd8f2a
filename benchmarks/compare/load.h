/* load: the load around a peer, and what has been checked of it. */
#ifndef BENCHMARKS_COMPARE_LOAD_H
#define BENCHMARKS_COMPARE_LOAD_H

#include "benchmarks/compare/peer.h"
#include "benchmarks/histogram.h"

struct load_result {
    uint64_t sent, confirmed, received, acked;
    uint64_t lost, duplicates, disordered, corrupt;
    double seconds; /* from the first publish to the last ack */
    double server_cpu_ns;
    uint64_t server_rss_before, server_rss_after;
    struct histogram end_to_end; /* from the intended time of sending */
};

/* Runs a load or a fill through the peer. Returns 0, or -1 with a line on stderr. */
int load_run(const struct peer_options *options, struct load_result *result);

/* Whether nothing was lost, doubled, out of order or damaged, and all was confirmed and acked. */
bool load_verified(const struct peer_options *options, const struct load_result *result);

#endif
