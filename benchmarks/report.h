/*
 * report: what the runs of one combination have found out together, and its forms: a table for people, CSV, JSON.
 */
#ifndef BENCHMARKS_REPORT_H
#define BENCHMARKS_REPORT_H

#include "benchmarks/bench.h"

/* One figure of several runs. */
struct series {
    double values[BENCH_RUNS_MAX];
    uint32_t count;
};

/* The runs of one combination. Histograms and counts of errors are summed up in `sum`. */
struct report {
    const struct bench_options *o;
    struct series msgs_per_s, server_cpu_ns, bytes_per_message, log_bytes_per_s, messages, seconds;
    struct bench_result sum, last;
    bool verified;
};

/* Adds a run. */
void report_add(struct report *report, const struct bench_result *r);

/* Prints it in the form that is asked for; `first`: nothing has been printed before. */
void report_print(const struct report *report, bool first);

/* Writes its latencies as HdrHistogram's text. Returns 0, or -1 after a line on stderr. */
int report_percentiles(const struct report *report, FILE *out);

#endif
