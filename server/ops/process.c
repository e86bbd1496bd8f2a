#include "server/ops/process.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* From this size on memory is mapped, so that freeing it gives it back whatever lies around it. */
#define MMAP_THRESHOLD_BYTES (128 * 1024)
#define TRIM_THRESHOLD_BYTES (1024 * 1024)

#define RUN_CLOCK_BITS 9

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

void process_init(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGPIPE, &ignore, NULL);
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES);
#endif
}

uint64_t process_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = before;
    return limit.rlim_cur;
}

uint64_t process_rss_bytes(void)
{
    uint64_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");

    if (statm == NULL)
        return 0;
    if (fscanf(statm, "%*u %" SCNu64, &pages) != 1)
        pages = 0;
    fclose(statm);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t milliseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_usec / 1000;
}

void process_cpu_ms(uint64_t *user_ms, uint64_t *system_ms)
{
    struct rusage usage = {0};

    getrusage(RUSAGE_SELF, &usage);
    *user_ms = milliseconds(usage.ru_utime);
    *system_ms = milliseconds(usage.ru_stime);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

uint64_t process_random_number(void)
{
    uint64_t random = 0;

    /* Without randomness the clock has to do. */
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random || random == 0)
        random = (uint64_t)clock_ns(CLOCK_REALTIME);
    return random;
}

int64_t process_wall_offset_ms(void)
{
    return (clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC)) / NS_PER_MS;
}

uint32_t process_run_number(void)
{
    const uint32_t clock_mask = (1u << RUN_CLOCK_BITS) - 1;
    const uint32_t random = (uint32_t)process_random_number();
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t tenths = (uint64_t)now.tv_sec * 10 + (uint64_t)now.tv_nsec / 100000000;
    return (random & ~clock_mask) | ((uint32_t)tenths & clock_mask);
}
