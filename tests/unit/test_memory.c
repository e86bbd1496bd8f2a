/*
 * The automatic memory limit: 70 % of the machine or of the lowest control group above the process, both versions. The
 * system is a folder of files.
 */
#include "server/ops/memory.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MB (1024ULL * 1024)

struct fake {
    char root[64];
    char meminfo[128], cgroup[128], groups[128];
    struct memory_paths paths;
};

/* Writes a file below the folder, making the folders on the way. */
static void put(const struct fake *f, const char *name, const char *text)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", f->root, name);
    for (char *slash = path + strlen(f->root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* A machine with 1000 MB. */
static int setup(void **state)
{
    struct fake *f = calloc(1, sizeof *f);

    strcpy(f->root, "/tmp/ringmq-test-memory-XXXXXX");
    if (mkdtemp(f->root) == NULL)
        return 1;
    snprintf(f->meminfo, sizeof f->meminfo, "%s/meminfo", f->root);
    snprintf(f->cgroup, sizeof f->cgroup, "%s/cgroup", f->root);
    snprintf(f->groups, sizeof f->groups, "%s/groups", f->root);
    f->paths = (struct memory_paths){f->meminfo, f->cgroup, f->groups};
    put(f, "meminfo", "MemTotal:        1024000 kB\nMemFree:          123 kB\n");
    *state = f;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info, (void)type, (void)position;
    return remove(path);
}

static int teardown(void **state)
{
    struct fake *f = *state;
    nftw(f->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* Without control groups the machine's memory counts. */
static void the_machine_is_the_limit(void **state)
{
    struct fake *f = *state;
    assert_int_equal(memory_limit_auto(&f->paths), 700 * MB);
}

/* Version 2: the lowest limit between the group and the root counts; "max" is none. */
static void version_2_takes_the_lowest_on_the_way_up(void **state)
{
    struct fake *f = *state;

    put(f, "cgroup", "0::/system.slice/ringmq.service\n");
    put(f, "groups/system.slice/ringmq.service/memory.max", "max\n");
    assert_int_equal(memory_limit_auto(&f->paths), 700 * MB);
    put(f, "groups/system.slice/memory.max", "209715200\n");
    assert_int_equal(memory_limit_auto(&f->paths), 140 * MB);
    put(f, "groups/system.slice/ringmq.service/memory.max", "104857600\n");
    assert_int_equal(memory_limit_auto(&f->paths), 70 * MB);
}

/* A group that allows more than the machine has changes nothing. */
static void a_limit_above_the_machine_is_none(void **state)
{
    struct fake *f = *state;

    put(f, "cgroup", "0::/a\n");
    put(f, "groups/a/memory.max", "1099511627776\n");
    assert_int_equal(memory_limit_auto(&f->paths), 700 * MB);
}

/* Inside a container the path may be the one outside, and the root carries the limit; or the path is just "/". */
static void a_container_finds_the_limit_at_its_root(void **state)
{
    struct fake *f = *state;

    put(f, "groups/memory.max", "104857600\n");
    put(f, "cgroup", "0::/docker/0123456789abcdef\n");
    assert_int_equal(memory_limit_auto(&f->paths), 70 * MB);
    put(f, "cgroup", "0::/\n");
    assert_int_equal(memory_limit_auto(&f->paths), 70 * MB);
}

/* Version 1: the group of the memory controller counts, not those of others. */
static void version_1_reads_the_memory_controller(void **state)
{
    struct fake *f = *state;

    put(f, "cgroup", "12:cpu,cpuacct:/cpu\n11:memory_other:/other\n10:mem:/other\n9:hugetlb,memory:/jobs/a:b\n0::/\n");
    put(f, "groups/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(f, "groups/memory/cpu/memory.limit_in_bytes", "1\n");
    put(f, "groups/memory/other/memory.limit_in_bytes", "1\n");
    assert_int_equal(memory_limit_auto(&f->paths), 700 * MB);
    put(f, "groups/memory/jobs/a:b/memory.limit_in_bytes", "104857600\n");
    assert_int_equal(memory_limit_auto(&f->paths), 70 * MB);
}

/* Files with nonsense in them, or without anything, set no limit. */
static void nonsense_sets_no_limit(void **state)
{
    struct fake *f = *state;

    put(f, "cgroup", "\n:\n::\nnonsense\n0::\n1:memory\n0::a/b\n");
    put(f, "groups/memory.max", "lots\n");
    assert_int_equal(memory_limit_auto(&f->paths), 700 * MB);
    put(f, "groups/memory.max", "");
    assert_int_equal(memory_limit_auto(&f->paths), 700 * MB);
}

/* If the machine's memory can't be read from the file the system is asked otherwise: never zero. */
static void there_is_always_a_limit(void **state)
{
    struct fake *f = *state;

    put(f, "meminfo", "no such line\n");
    assert_true(memory_limit_auto(&f->paths) > MB);
    remove(f->meminfo);
    assert_true(memory_limit_auto(&f->paths) > MB);
    assert_true(memory_limit_auto(NULL) > MB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_machine_is_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(version_2_takes_the_lowest_on_the_way_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_above_the_machine_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_container_finds_the_limit_at_its_root, setup, teardown),
        cmocka_unit_test_setup_teardown(version_1_reads_the_memory_controller, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_sets_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_always_a_limit, setup, teardown),
    };

    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
