/*
 * memory: how much memory the server takes if nobody says. 70 % of what the machine has or what the control groups of
 * this process (version 1 or 2) allow, whichever is lower.
 */
#ifndef SERVER_OPS_MEMORY_H
#define SERVER_OPS_MEMORY_H

#include <stdint.h>

/* Where the system tells. */
struct memory_paths {
    const char *meminfo;     /* /proc/meminfo */
    const char *cgroup;      /* /proc/self/cgroup */
    const char *cgroup_root; /* /sys/fs/cgroup */
};

/*
 * The limit in bytes, above 0. What can't be read sets no limit; if the size of the machine can't be read, sysconf(3)
 * is asked, and if that does not know either, 1 GiB is assumed. `paths` NULL: those of the system.
 */
uint64_t memory_limit_auto(const struct memory_paths *paths);

#endif
