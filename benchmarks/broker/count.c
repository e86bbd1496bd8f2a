#include "benchmarks/broker/count.h"

#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sanitizers and valgrind exclude each other. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

#if !defined SANITIZED && __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define HAS_CALLGRIND true
#else
#define HAS_CALLGRIND false
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS
#endif

bool counter_has_callgrind(void)
{
    return HAS_CALLGRIND && system("valgrind --version >/dev/null 2>&1") == 0;
}

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int open_processor(void)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof attr,
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t read_processor(const struct counter *counter)
{
    uint64_t count = 0;
    if (read(counter->fd, &count, sizeof count) != (ssize_t)sizeof count) {
        perror("reading the processor's counter");
        exit(1);
    }
    return count;
}

void counter_open(struct counter *counter, const char *dump_path)
{
    *counter = (struct counter){.fd = -1, .dump_path = dump_path};
    if (dump_path) {
        counter->kind = COUNTER_CALLGRIND;
        return;
    }
    counter->fd = open_processor();
    if (counter->fd >= 0)
        counter->kind = COUNTER_PROCESSOR;
}

void counter_close(struct counter *counter)
{
    if (counter->fd >= 0)
        close(counter->fd);
}

void counter_begin(struct counter *counter)
{
    counter->sum = (struct cost){0, 0};
    if (counter->kind == COUNTER_CALLGRIND) {
        CALLGRIND_START_INSTRUMENTATION;
    }
}

void counter_on(struct counter *counter)
{
    if (counter->kind == COUNTER_PROCESSOR)
        counter->started = read_processor(counter);
    counter->started_ns = clock_ns();
    if (counter->kind == COUNTER_CALLGRIND) {
        CALLGRIND_TOGGLE_COLLECT;
    }
}

void counter_off(struct counter *counter)
{
    if (counter->kind == COUNTER_CALLGRIND) {
        CALLGRIND_TOGGLE_COLLECT;
    }
    counter->sum.ns += (double)(clock_ns() - counter->started_ns);
    if (counter->kind == COUNTER_PROCESSOR)
        counter->sum.instructions += (double)(read_processor(counter) - counter->started);
}

/* The sum that stands in the dump just written, which is then removed. */
static double read_dump(struct counter *counter)
{
    char path[4096], line[256];
    double total = -1;
    snprintf(path, sizeof path, "%s.%u", counter->dump_path, ++counter->dumps);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "totals: ", 8) == 0)
            total = strtod(line + 8, NULL);
    if (f)
        fclose(f);
    unlink(path);
    if (total < 0) {
        fprintf(stderr, "callgrind has written no sum to %s\n", path);
        exit(1);
    }
    return total;
}

struct cost counter_end(struct counter *counter, uint64_t events)
{
    if (counter->kind == COUNTER_CALLGRIND) {
        CALLGRIND_DUMP_STATS;
        CALLGRIND_STOP_INSTRUMENTATION;
        counter->sum.instructions = read_dump(counter);
    }
    return (struct cost){counter->sum.instructions / (double)events, counter->sum.ns / (double)events};
}

/* ---- this program under callgrind -------------------------------------------------------------------------------- */

bool counter_run_open(struct counter_run *run, const char *arguments)
{
    char self[2048], command[8192];
    const ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);
    strcpy(run->folder, "/tmp/ringmq-count-XXXXXX");
    if (bytes < 0 || !mkdtemp(run->folder))
        return false;
    self[bytes] = '\0';
    snprintf(command, sizeof command,
             "valgrind --quiet --tool=callgrind --instr-atstart=no --collect-atstart=no "
             "--callgrind-out-file='%s/out' '%s' %s '%s/out'",
             run->folder, self, arguments, run->folder);
    run->out = popen(command, "r");
    if (!run->out)
        rmdir(run->folder);
    return run->out != NULL;
}

bool counter_run_close(struct counter_run *run)
{
    const bool done = pclose(run->out) == 0;
    char last[64];
    snprintf(last, sizeof last, "%s/out", run->folder);
    unlink(last);
    rmdir(run->folder);
    return done;
}
