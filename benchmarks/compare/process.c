#include "benchmarks/compare/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The text of /proc/PID/NAME after its first closing bracket: a process may have any name in front of that. */
static const char *read_file(long pid, const char *name, char *text, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(text, 1, size - 1, file) : 0;
    if (file)
        fclose(file);
    text[bytes] = '\0';
    const char *bracket = strrchr(text, ')');
    return bracket ? bracket + 1 : text;
}

static uint64_t ticks_of(long pid)
{
    char text[1024];
    uint64_t user, system, user_of_children, system_of_children;
    const char *fields = read_file(pid, "stat", text, sizeof text);
    if (sscanf(fields, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
               &user, &system, &user_of_children, &system_of_children) != 4)
        return 0;
    return user + system + user_of_children + system_of_children;
}

static uint64_t pages_of(long pid)
{
    char text[256];
    uint64_t resident;
    return sscanf(read_file(pid, "statm", text, sizeof text), "%*u %" SCNu64, &resident) == 1 ? resident : 0;
}

static uint64_t sum(const char *pids, uint64_t (*of)(long pid))
{
    uint64_t all = 0;
    for (char *end; *pids != '\0'; pids = *end == ',' ? end + 1 : end) {
        long pid = strtol(pids, &end, 10);
        if (end == pids)
            break;
        all += of(pid);
    }
    return all;
}

double process_cpu_ns(const char *pids)
{
    return (double)sum(pids, ticks_of) * 1e9 / (double)sysconf(_SC_CLK_TCK);
}

uint64_t process_rss_bytes(const char *pids)
{
    return sum(pids, pages_of) * (uint64_t)sysconf(_SC_PAGESIZE);
}
