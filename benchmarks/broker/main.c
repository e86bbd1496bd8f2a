/*
 * bench-broker: measures the broker alone, in this process and in virtual time, and checks it on the way. Prints a table and
 * exits 1 if a bound is broken or something does not hold.
 *
 *     bench-broker          10 million deadlines against 10 thousand, 1 million messages of a backlog against 10; some minutes
 *     bench-broker quick    a tenth or less of that, bounds on instructions only; exits 77 if they cannot be counted
 *
 * With ten million deadlines every step is a walk through gigabytes, and most of its time is the processor's search for pages.
 * GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in the environment makes these large; the bound of time is meant with that.
 *
 * Under callgrind it runs itself as `bench-broker [quick] counting PATH` and reads the figures from there.
 */
#include "benchmarks/broker/scenes.h"
#include "server/broker/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77

struct scale {
    uint32_t timers[2]; /* few and many */
    uint32_t backlog[2];
    uint32_t things;
    bool quick;
};

static const struct scale full = {{10000, 10000000}, {10, 1000000}, 1000000, false};
static const struct scale quick = {{10000, 200000}, {10, 100000}, 0, true};

/* What is measured with few and with many: X(name, what one event is, bound of instructions, bound of time or 0). */
#define MEASURE_LIST(X)                                               \
    X(arming, "a timer is armed", 1.2, 0)                             \
    X(ending, "a timer comes out of the wheel", 1.2, 0)               \
    X(deadline, "a message's delay or visibility ends", 1.2, 4)       \
    X(locked, "a fresh group behind a locked one of so many", 1.1, 0) \
    X(in_line, "a fresh group in line behind one of so many", 1.1, 0)

enum measure {
#define X(name, what, instructions, time) MEASURE_##name,
    MEASURE_LIST(X)
#undef X
        MEASURES
};

static const struct {
    const char *what;
    double instructions, time;
} rows[MEASURES] = {
#define X(name, what, instructions, time) {what, instructions, time},
    MEASURE_LIST(X)
#undef X
};

struct figures {
    struct cost cost[MEASURES][2];
    double pending_bytes; /* of a message with a deadline, with many */
};

/* Time is the best of so many runs: whatever else the machine does only adds to it. */
#define REPEATS 3

static void measure(struct counter *counter, const struct scale *scale, struct figures *f)
{
    for (unsigned many = 0; many < 2; many++) {
        struct timer_costs costs = scene_wheel(counter, scale->timers[many]);
        f->cost[MEASURE_arming][many] = costs.arming;
        f->cost[MEASURE_ending][many] = costs.ending;
        f->cost[MEASURE_deadline][many] = scene_deadlines(counter, scale->timers[many], &f->pending_bytes);
        f->cost[MEASURE_locked][many] = scene_fresh_group(counter, scale->backlog[many], true);
        f->cost[MEASURE_in_line][many] = scene_fresh_group(counter, scale->backlog[many], false);
    }
}

static void measure_again(struct counter *counter, const struct scale *scale, struct figures *f)
{
    struct figures again;
    measure(counter, scale, &again);
    for (unsigned m = 0; m < MEASURES; m++)
        for (unsigned many = 0; many < 2; many++)
            if (again.cost[m][many].ns < f->cost[m][many].ns)
                f->cost[m][many].ns = again.cost[m][many].ns;
}

/* ---- counting under callgrind ------------------------------------------------------------------------------------ */

/* What the program says there: one line for each pair of figures. */
static int count_here(const struct scale *scale, const char *dump_path)
{
    struct counter counter;
    struct figures f;
    counter_open(&counter, dump_path);
    measure(&counter, scale, &f);
    for (unsigned m = 0; m < MEASURES; m++)
        printf("%.17g %.17g\n", f.cost[m][0].instructions, f.cost[m][1].instructions);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Runs this program under callgrind and takes the instructions from there. False if that did not work. */
static bool count_there(const struct scale *scale, struct figures *f)
{
    struct counter_run run;
    unsigned read = 0;
    if (!counter_run_open(&run, scale->quick ? "quick counting" : "full counting"))
        return false;
    while (read < MEASURES &&
           fscanf(run.out, "%lf %lf", &f->cost[read][0].instructions, &f->cost[read][1].instructions) == 2)
        read++;
    return counter_run_close(&run) && read == MEASURES;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static const char *verdict(double ratio, double bound, bool *kept)
{
    static char text[64];
    bool holds = ratio <= bound;
    snprintf(text, sizeof text, "%5.2f x  (at most %.1f)%s", ratio, bound, holds ? "" : "  BROKEN");
    *kept = *kept && holds;
    return text;
}

static bool print_costs(const struct scale *scale, const struct figures *f, bool counted)
{
    bool kept = true;
    for (unsigned m = 0; m < MEASURES; m++) {
        const struct cost *few = &f->cost[m][0], *many = &f->cost[m][1];
        const uint32_t *n = m >= MEASURE_locked ? scale->backlog : scale->timers;
        printf("%-46s %12u %12u\n", rows[m].what, n[0], n[1]);
        if (counted)
            printf("  %-44s %12.1f %12.1f  %s\n", "instructions", few->instructions, many->instructions,
                   verdict(many->instructions / few->instructions, rows[m].instructions, &kept));
        if (rows[m].time > 0 && !scale->quick)
            printf("  %-44s %12.1f %12.1f  %s\n", "ns", few->ns, many->ns,
                   verdict(many->ns / few->ns, rows[m].time, &kept));
        else
            printf("  %-44s %12.1f %12.1f  %5.2f x\n", "ns", few->ns, many->ns, many->ns / few->ns);
    }
    return kept;
}

static void print_sizes(const struct scale *scale, const struct figures *f)
{
    struct size sizes[SIZES];
    scene_sizes(scale->things, sizes);
    printf("bytes, with %u of each\n", scale->things);
    for (unsigned i = 0; i < SIZES; i++)
        printf("  %-57s %14.1f\n", sizes[i].what, sizes[i].bytes);
    printf("  %-57s %14.1f\n", "in all: a pending message of 8 bytes, among the most", f->pending_bytes);
    printf("At most %u messages can be delayed, inflight or parked at a time.\n", 1u << SLOTS_INDEX_BITS);
}

static int run(const struct scale *scale)
{
    struct counter counter;
    struct figures f;
    counter_open(&counter, NULL);
    bool processor = counter.kind == COUNTER_PROCESSOR, callgrind = !processor && counter_has_callgrind();
    if (scale->quick && !processor && !callgrind) {
        printf("instructions cannot be counted: no counter of the processor, no callgrind\n");
        return SKIPPED;
    }
    measure(&counter, scale, &f);
    for (unsigned i = 1; i < REPEATS && !scale->quick; i++)
        measure_again(&counter, scale, &f);
    counter_close(&counter);
    if (callgrind && !count_there(scale, &f)) {
        fprintf(stderr, "bench-broker: counting under callgrind failed\n");
        return 1;
    }
    printf("instructions: %s\n", processor   ? "the processor's counter (perf_event_open)"
                                 : callgrind ? "valgrind --tool=callgrind"
                                             : "not counted (no counter of the processor, no callgrind)");
    const char *tunables = getenv("GLIBC_TUNABLES");
    printf("huge pages: %s\n", tunables && strstr(tunables, "glibc.malloc.hugetlb=1") ? "asked for" : "not asked for");
    bool kept = print_costs(scale, &f, processor || callgrind);
    if (scale->things > 0)
        print_sizes(scale, &f);
    printf("%s\n", kept ? "all bounds are kept" : "a bound is broken");
    return kept ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct scale *scale = argc > 1 && strcmp(argv[1], "quick") == 0 ? &quick : &full;
    if (argc == 4 && strcmp(argv[2], "counting") == 0)
        return count_here(scale, argv[3]);
    if (argc == 1 || (argc == 2 && scale == &quick))
        return run(scale);
    fprintf(stderr, "usage: bench-broker [quick]\n");
    return 2;
}
