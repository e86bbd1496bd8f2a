/*
 * The log on a disk that loses what was not synced: the process stops at every file operation there is, of opening, appending,
 * rotating, compacting and recovering, the power goes or it is only killed, and the server starts again. What it then has must
 * be what the broker was at one of its batches: the last that was written if only the process died, and one that is not
 * older than what was synced otherwise. WAL_CRASH_SEEDS: how many different loads; default 3.
 */
#include "tests/support/wal_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TURNS 45

static const char *const crash_names[] = {"kill", "lose", "keep", "random", "torn"};

static unsigned seeds(void)
{
    const char *given = getenv("WAL_CRASH_SEEDS");
    return given ? (unsigned)strtoul(given, NULL, 10) : 3;
}

/* One life: from opening until the load is over or the disk has stopped. False: it could not be opened. */
static bool live(struct wal_world *w, uint32_t turns, bool first)
{
    if (!world_open(w))
        return false;
    if (first)
        world_prepare(w);
    else
        broker_restarted(&w->b, w->now_ms);
    world_run(w, turns);
    return true;
}

struct trial {
    uint64_t seed, stop;
    enum wal_level level;
    enum disk_crash crash;
};

static void fail_trial(const struct trial *t, struct wal_world *w, const char *what)
{
    fprintf(stderr, "seed %llu, level %d, stop %llu, crash %s: %s\n%s\n", (unsigned long long)t->seed, (int)t->level,
            (unsigned long long)t->stop, crash_names[t->crash], what, disk_trace(w->disk));
    fail();
}

/* The process is gone, the disk is what it is; opens again and compares. */
static void check_restart(const struct trial *t, struct wal_world *w, uint64_t written)
{
    if (!world_open(w))
        fail_trial(t, w, w->error.text);
    if (!world_is_as_it_was(w))
        fail_trial(t, w, "the state is none that there was");
    if (t->crash == DISK_KILL && world_batch(w) < written)
        fail_trial(t, w, "a batch is lost that had been written");
    if (world_batch(w) < w->safe_batch)
        fail_trial(t, w, "a batch is lost that had been synced");
}

/* The operations of the whole story, so that one knows where it can stop. */
static uint64_t story_operations(const struct trial *t)
{
    struct disk *disk = disk_new(t->seed);
    struct wal_world w;
    world_init(&w, disk, t->level, t->seed);
    assert_true(live(&w, TURNS, true));
    const uint64_t operations = disk_operations(disk);
    world_die(&w);
    world_free(&w);
    disk_free(disk);
    return operations;
}

static void run_trial(const struct trial *t)
{
    struct disk *disk = disk_new(t->seed);
    struct wal_world w;
    uint64_t written = 0;
    world_init(&w, disk, t->level, t->seed);
    disk_stop_at(disk, t->stop);
    if (live(&w, TURNS, true)) {
        written = world_batch(&w);
        world_die(&w);
    }
    disk_crash(disk, t->crash);
    check_restart(t, &w, written);
    /* And a second life on what the first has left, which ends in the same way somewhere. */
    broker_restarted(&w.b, w.now_ms);
    disk_stop_at(disk, 1 + random_below(&w.random, 60));
    world_run(&w, 12);
    written = world_batch(&w);
    world_die(&w);
    disk_crash(disk, t->crash);
    check_restart(t, &w, written);
    world_die(&w);
    world_free(&w);
    disk_free(disk);
}

static void at_every_operation(enum wal_level level)
{
    uint64_t trials = 0;
    for (unsigned seed = 1; seed <= seeds(); seed++) {
        struct trial t = {.seed = seed, .level = level};
        const uint64_t operations = story_operations(&t);
        for (t.stop = 1; t.stop <= operations; t.stop++)
            for (t.crash = DISK_KILL; t.crash < DISK_CRASHES; t.crash++, trials++)
                run_trial(&t);
    }
    fprintf(stderr, "%llu crashes at every file operation, level %d\n", (unsigned long long)trials, (int)level);
}

static void test_a_stop_at_every_file_operation_at_level_os(void **state)
{
    (void)state;
    at_every_operation(WAL_OS);
}

static void test_a_stop_at_every_file_operation_at_level_interval(void **state)
{
    (void)state;
    at_every_operation(WAL_INTERVAL);
}

static void test_a_stop_at_every_file_operation_at_level_fsync(void **state)
{
    (void)state;
    at_every_operation(WAL_FSYNC);
}

/* A crash, and then recovery itself is stopped at its every operation, and crashes too. */
static void test_a_stop_at_every_file_operation_of_recovery(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= seeds(); seed++) {
        struct disk *disk = disk_new(seed);
        struct wal_world w;
        struct trial t = {.seed = seed, .level = WAL_FSYNC};
        world_init(&w, disk, WAL_FSYNC, seed);
        assert_true(live(&w, TURNS, true));
        world_die(&w);
        for (t.crash = DISK_KILL; t.crash < DISK_CRASHES; t.crash++) {
            struct disk *crashed = disk_clone(disk, seed);
            disk_crash(crashed, t.crash);
            bool finished = false;
            for (t.stop = 0; !finished; t.stop++) {
                struct disk *again = disk_clone(crashed, t.stop);
                w.disk = again;
                disk_stop_at(again, t.stop);
                if (world_open(&w)) {
                    finished = !disk_stopped(again);
                    world_die(&w);
                }
                disk_crash(again, t.crash);
                check_restart(&t, &w, 0);
                world_die(&w);
                disk_free(again);
            }
            disk_free(crashed);
        }
        world_free(&w);
        disk_free(disk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stop_at_every_file_operation_at_level_os),
        cmocka_unit_test(test_a_stop_at_every_file_operation_at_level_interval),
        cmocka_unit_test(test_a_stop_at_every_file_operation_at_level_fsync),
        cmocka_unit_test(test_a_stop_at_every_file_operation_of_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
