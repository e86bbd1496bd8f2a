/* process: what /proc says of a server. Process ids are given as text, separated by commas; one that is gone counts nothing. */
#ifndef BENCHMARKS_COMPARE_PROCESS_H
#define BENCHMARKS_COMPARE_PROCESS_H

#include <stdint.h>

/* User and system time of all threads and of children that have ended, to within a clock tick (10 ms). */
double process_cpu_ns(const char *pids);

/* Resident memory. */
uint64_t process_rss_bytes(const char *pids);

#endif
