/*
 * count: what a stretch of code costs, in time and in instructions of the program. Instructions are the steadier figure: the
 * same code over the same data needs the same number of them on any day, whatever else the machine does.
 *
 * They come from the processor's own counter (perf_event_open) where the system lets a program read it. Virtual machines
 * often don't; there the program runs itself once more under valgrind's callgrind, which counts every instruction that it
 * carries out, and takes the figures of that run. Time is always that of the run without valgrind.
 *
 *     counter_begin()  { counter_on()  ...  counter_off() } ..  counter_end()      only what lies between on and off counts
 */
#ifndef BENCHMARKS_BROKER_COUNT_H
#define BENCHMARKS_BROKER_COUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum counter_kind { COUNTER_NONE, COUNTER_PROCESSOR, COUNTER_CALLGRIND };

struct cost {
    double instructions; /* 0: not counted */
    double ns;
};

struct counter {
    enum counter_kind kind;
    int fd;                /* of the processor's counter */
    const char *dump_path; /* callgrind's files are this, a dot and a number from 1 */
    unsigned dumps;
    uint64_t started;
    int64_t started_ns;
    struct cost sum;
};

/* Finds out what there is to count with; dump_path NULL: this process does not run under callgrind. */
void counter_open(struct counter *counter, const char *dump_path);
void counter_close(struct counter *counter);

void counter_begin(struct counter *counter);
void counter_on(struct counter *counter);
void counter_off(struct counter *counter);

/* What has been counted since counter_begin(), for each of `events`. */
struct cost counter_end(struct counter *counter, uint64_t events);

/* True if this program can count under valgrind: it is installed, and was there when the program was compiled. */
bool counter_has_callgrind(void);

/* This program once more, under callgrind. */
struct counter_run {
    FILE *out; /* what it prints */
    char folder[32];
};

/* Starts it with these arguments (for the shell), and one more behind them: the dump_path of its counter. */
bool counter_run_open(struct counter_run *run, const char *arguments);

/* Waits for its end. False if it has not gone well. */
bool counter_run_close(struct counter_run *run);

#endif
