#include "benchmarks/options.h"

const struct workload workloads[] = {
    {"throughput", "", "as much as goes, within windows", BENCH_STEADY, false},
    {"latency", "--rate 20000 --batch 1 --ack 1 --spin", "at a fixed rate, beside the bare relay", BENCH_STEADY, true},
    {"confirm", "--batch 1 --window 1 --consumers 0 --spin", "one publish at a time, beside the bare relay",
     BENCH_STEADY, true},
    {"fill", "--messages 1000000 --consumers 0", "a backlog grows: what a message takes", BENCH_FILL, false},
    {"drain", "--messages 1000000", "a backlog, grown before, goes", BENCH_DRAIN, false},
    {"connections", "--producers 1000 --consumers 1000 --batch 1 --window 10 --backlog 20 --prefetch 100 --ack 10",
     "many of both", BENCH_STEADY, false},
    {"fanout", "--queues 10 --consumers 10 --batch 10 --window 1000 --backlog 1000",
     "a topic in front of queues; figures are of copies", BENCH_STEADY, false},
    {"fifo", "--groups 1000 --batch 10 --window 1000 --backlog 2000", "a fifo queue with groups, each in order",
     BENCH_STEADY, false},
    {"delays", "--delay 1000 --rate 20000 --batch 10", "delayed messages: none early, and how late", BENCH_STEADY,
     false},
    {"idle", "--connections 1000", "connections that do nothing", BENCH_IDLE, false},
    {NULL, NULL, NULL, BENCH_STEADY, false},
};
