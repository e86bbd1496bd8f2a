/*
 * memory: see the header. A control group's limit binds all groups below it, so the way from the group of this process
 * up to the root is searched for the lowest. In a container the path in /proc/self/cgroup may be the one outside, which
 * does not exist inside; the walk ends at the root, where the container's own limit then stands.
 */
#include "server/ops/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_LIMIT       UINT64_MAX
#define FALLBACK_BYTES (1024ULL * 1024 * 1024)

static const struct memory_paths system_paths = {"/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup"};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t machine_bytes(const char *path)
{
    char line[256];
    uint64_t kb = 0;

    FILE *file = fopen(path, "re");
    if (file != NULL) {
        while (kb == 0 && fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "MemTotal: %" SCNu64 " kB", &kb) != 1)
                kb = 0;
        }
        fclose(file);
    }
    if (kb > 0 && kb < UINT64_MAX / 1024)
        return kb * 1024;
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : FALLBACK_BYTES;
}

/* The number in a control group's file. "max" (version 2), 0 and a file that isn't there are no limit. */
static uint64_t limit_in(const char *path)
{
    uint64_t bytes = NO_LIMIT;

    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NO_LIMIT;
    if (fscanf(file, "%" SCNu64, &bytes) != 1 || bytes == 0)
        bytes = NO_LIMIT;
    fclose(file);
    return bytes;
}

/* The lowest limit in the group `group` ("/a/b") under `mount` and in those above it. Shortens `group`. */
static uint64_t limit_upwards(const char *mount, char *group, const char *file)
{
    char path[2 * PATH_MAX];
    uint64_t bytes = NO_LIMIT;

    for (;;) {
        const char *inner = strcmp(group, "/") == 0 ? "" : group;
        const int n = snprintf(path, sizeof path, "%s%s/%s", mount, inner, file);
        if (n > 0 && (size_t)n < sizeof path)
            bytes = least(bytes, limit_in(path));
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return bytes;
        *slash = '\0';
    }
}

/* True if a list "cpu,memory" has "memory". */
static bool has_memory(const char *controllers)
{
    while (*controllers != '\0') {
        const size_t bytes = strcspn(controllers, ",");
        if (bytes == strlen("memory") && memcmp(controllers, "memory", bytes) == 0)
            return true;
        controllers += bytes;
        controllers += strspn(controllers, ",");
    }
    return false;
}

/* The limit behind one line of /proc/self/cgroup, "NUMBER:CONTROLLERS:/GROUP"; version 2 names no controllers. */
static uint64_t limit_of_line(char *line, const char *root)
{
    char mount[PATH_MAX];

    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL)
        return NO_LIMIT;
    *controllers++ = '\0';
    *group++ = '\0';
    if (*controllers == '\0')
        return limit_upwards(root, group, "memory.max");
    if (!has_memory(controllers))
        return NO_LIMIT;
    snprintf(mount, sizeof mount, "%s/memory", root);
    return limit_upwards(mount, group, "memory.limit_in_bytes");
}

static uint64_t cgroup_bytes(const char *path, const char *root)
{
    uint64_t bytes = NO_LIMIT;
    char *line = NULL;
    size_t cap = 0;

    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NO_LIMIT;
    while (getline(&line, &cap, file) >= 0)
        bytes = least(bytes, limit_of_line(line, root));
    free(line);
    fclose(file);
    return bytes;
}

uint64_t memory_limit_auto(const struct memory_paths *paths)
{
    if (paths == NULL)
        paths = &system_paths;
    const uint64_t bytes = least(machine_bytes(paths->meminfo), cgroup_bytes(paths->cgroup, paths->cgroup_root));
    /* At least a byte: 0 would be read as no limit. */
    return bytes / 10 * 7 > 0 ? bytes / 10 * 7 : 1;
}
