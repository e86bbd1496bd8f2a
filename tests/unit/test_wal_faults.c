/*
 * The log on a disk whose n-th operation fails, n = 1, 2, 3 ... until none is hit, once or for ever, with EIO, ENOSPC or EDQUOT, while
 * it is opened, used and closed. Whatever fails, and whenever: nothing is confirmed that a crash right then would lose, the log says
 * what its state is, the start says in one line why there is none, no file stays open, a failure is the end of all writing, and
 * the next start has a state that there was. WAL_FAULT_SEEDS: how many different loads; default 1.
 */
#include "tests/support/wal_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TURNS 60
/* A hint may fail: it is not in here. */
#define KINDS (DISK_COUNTED | DISK_READ | DISK_LIST | DISK_SIZE | DISK_LOCK)

static unsigned seeds(void)
{
    const char *given = getenv("WAL_FAULT_SEEDS");
    return given ? (unsigned)strtoul(given, NULL, 10) : 1;
}

struct trial {
    uint64_t seed, n;
    enum wal_level level;
    int error;
    bool forever, used; /* used: there is a log already */
    unsigned kinds;
};

static void fail_trial(const struct trial *t, struct wal_world *w, const char *what)
{
    fprintf(stderr, "seed %llu, level %d, operation %llu of kinds %#x: %s, forever %d, used %d: %s\n%s\n",
            (unsigned long long)t->seed, (int)t->level, (unsigned long long)t->n, t->kinds, strerror(t->error),
            t->forever, t->used, what, disk_trace(w->disk));
    fail();
}

/* ---- what is there before ---------------------------------------------------------------------------------------- */

/* A disk with nothing, or with the log of a server that was killed. */
static void world_before(const struct trial *t, struct wal_world *w)
{
    world_init(w, disk_new(t->seed), t->level, t->seed);
    if (!t->used)
        return;
    assert_true(world_open(w));
    world_prepare(w);
    world_run(w, TURNS);
    world_die(w);
    disk_crash(w->disk, DISK_KILL);
}

static void world_fork(const struct wal_world *from, struct wal_world *w, uint64_t seed)
{
    *w = *from;
    w->disk = disk_clone(from->disk, seed);
    w->history = malloc((from->history_count + 1) * sizeof *w->history);
    assert_non_null(w->history);
    if (from->history_count > 0)
        memcpy(w->history, from->history, from->history_count * sizeof *w->history);
    w->history_cap = from->history_count + 1;
}

static void world_gone(struct wal_world *w)
{
    world_free(w);
    disk_free(w->disk);
}

/* ---- a life with a failure in it --------------------------------------------------------------------------------- */

static bool is_no_room(int error)
{
    return error == ENOSPC || error == EDQUOT;
}

static void check_state(const struct trial *t, struct wal_world *w)
{
    static const enum error_code refusing[] = {ERR_NONE, ERR_DISK_FULL, ERR_LOG_FAILED};
    const enum wal_state state = wal_state(w->wal);
    struct wal_info info;
    wal_info(w->wal, &info);
    if (w->b.refusing != refusing[state] || info.state != state)
        fail_trial(t, w, "what is refused is not what the state says");
    if ((state == WAL_FAILED) != (info.why != NULL && info.why[0] != '\0'))
        fail_trial(t, w, "a failure without a reason, or the other way round");
    if (state != WAL_GOOD && !disk_failed(w->disk))
        fail_trial(t, w, "a failure that the disk knows nothing of");
    if (state == WAL_FULL && !is_no_room(t->error))
        fail_trial(t, w, "full, of a disk that is not");
}

/* What was under way when it failed may end; then nothing is done to the files any more. */
static void check_final(const struct trial *t, struct wal_world *w)
{
    while (wal_step(w->wal))
        wal_collect(w->wal, w->now_ms);
    const uint64_t operations = disk_operations(w->disk), place = wal_safe(w->wal);
    world_run(w, 5);
    while (wal_step(w->wal))
        wal_collect(w->wal, w->now_ms);
    check_state(t, w);
    if (wal_state(w->wal) != WAL_FAILED || disk_operations(w->disk) != operations)
        fail_trial(t, w, "the failure was not the end");
    if (wal_safe(w->wal) != place)
        fail_trial(t, w, "something was confirmed after the failure");
    if (wal_next_ms(w->wal) != WAL_NEVER)
        fail_trial(t, w, "it has something to do after the failure");
}

/* True if it was opened. */
static bool live(const struct trial *t, struct wal_world *w)
{
    if (!world_open(w)) {
        if (!disk_failed(w->disk))
            fail_trial(t, w, w->error.text);
        if (w->error.text[0] == '\0' || strchr(w->error.text, '\n') || !strstr(w->error.text, strerror(t->error)))
            fail_trial(t, w, w->error.text);
        return false;
    }
    /* Closing what was only read. */
    const bool harmless = disk_failed(w->disk);
    if (!t->used)
        world_prepare(w);
    else
        broker_restarted(&w->b, w->now_ms);
    for (uint32_t i = 0; i < TURNS; i++) {
        world_run(w, 1);
        check_state(t, w);
    }
    if (wal_state(w->wal) == WAL_FAILED)
        check_final(t, w);
    else if (disk_failed(w->disk) && !harmless && !is_no_room(t->error))
        fail_trial(t, w, "an error was not noticed");
    return true;
}

/* ---- afterwards -------------------------------------------------------------------------------------------------- */

/* After each way to crash, the next start has a state that there was, with all that was confirmed. */
static void check_restart(const struct trial *t, const struct wal_world *before, uint64_t confirmed, uint64_t synced,
                          enum disk_crash crash)
{
    struct wal_world w;
    world_fork(before, &w, t->n);
    disk_crash(w.disk, crash);
    if (!world_open(&w))
        fail_trial(t, &w, w.error.text);
    if (!world_is_as_it_was(&w))
        fail_trial(t, &w, "the state is none that there was");
    if ((crash == DISK_KILL || t->level == WAL_FSYNC) && world_batch(&w) < confirmed)
        fail_trial(t, &w, "a batch is lost that had been confirmed");
    if (world_batch(&w) < synced)
        fail_trial(t, &w, "a batch is lost that had been synced");
    world_run(&w, 3);
    if (wal_state(w.wal) != WAL_GOOD || !world_close(&w))
        fail_trial(t, &w, "the next life is not a good one");
    if (disk_open_handles(w.disk) != 0)
        fail_trial(t, &w, "the next life leaves files open");
    world_gone(&w);
}

/* False if the story was over before the n-th operation. */
static bool run_trial(const struct trial *t, const struct wal_world *before)
{
    struct wal_world w;
    uint64_t confirmed = 0, synced = 0;
    world_fork(before, &w, t->n);
    disk_fail_kinds(w.disk, t->kinds);
    disk_fail_at(w.disk, t->n, t->error, t->forever);
    if (live(t, &w)) {
        const bool failed = wal_state(w.wal) == WAL_FAILED;
        confirmed = world_confirmed(&w);
        synced = w.wal->synced_batch;
        const bool closed = world_close(&w);
        const uint64_t last = w.history_count > 0 ? w.history[w.history_count - 1].batch : 0;
        if (closed && failed)
            fail_trial(t, &w, "it failed and says that all is safe");
        if (closed)
            confirmed = synced = last;
    }
    const bool hit = disk_failed(w.disk);
    if (disk_open_handles(w.disk) != 0)
        fail_trial(t, &w, "files are still open");
    check_restart(t, &w, confirmed, synced, DISK_KILL);
    check_restart(t, &w, confirmed, synced, DISK_LOSE);
    check_restart(t, &w, confirmed, synced, DISK_TORN);
    world_gone(&w);
    return hit;
}

static uint64_t at_every_operation(struct trial t)
{
    uint64_t trials = 0;
    for (t.seed = 1; t.seed <= seeds(); t.seed++)
        for (int used = 0; used < 2; used++) {
            struct wal_world before;
            t.used = used;
            world_before(&t, &before);
            for (t.n = 1; run_trial(&t, &before); t.n++)
                trials++;
            world_gone(&before);
        }
    return trials;
}

static void at_every_level(int error)
{
    struct trial t = {.error = error, .kinds = KINDS};
    uint64_t trials = 0;
    for (t.level = WAL_OS; t.level <= WAL_FSYNC; t.level++)
        for (int forever = 0; forever < 2; forever++) {
            t.forever = forever;
            trials += at_every_operation(t);
        }
    fprintf(stderr, "%llu failures: %s\n", (unsigned long long)trials, strerror(error));
    assert_true(trials > 1000);
}

static void test_an_error_of_any_operation_confirms_nothing_that_is_lost(void **state)
{
    (void)state;
    at_every_level(EIO);
}

static void test_no_room_for_any_operation_confirms_nothing_that_is_lost(void **state)
{
    (void)state;
    at_every_level(ENOSPC);
}

static void test_a_quota_is_a_disk_that_is_full(void **state)
{
    (void)state;
    assert_true(at_every_operation((struct trial){.level = WAL_FSYNC, .error = EDQUOT, .kinds = KINDS}) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_of_any_operation_confirms_nothing_that_is_lost),
        cmocka_unit_test(test_no_room_for_any_operation_confirms_nothing_that_is_lost),
        cmocka_unit_test(test_a_quota_is_a_disk_that_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
