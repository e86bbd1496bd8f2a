/*
 * The log while one sync is being done and the next has been submitted: what each of them covers, what is safe when, what a failure
 * of the first means for the second, which files are closed when, and how all this ends. Something happens in the middle of
 * a sync because the disk's sync is wrapped: `meanwhile` runs when the disk has done it and before the log hears of it.
 */
#include "tests/support/wal_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct disk *disk;
    struct wal_world w;
    const struct files *files; /* the disk's */
    void (*meanwhile)(struct fixture *f);
};

static struct fixture f;

static int sync_and_more(void *user, int handle)
{
    const int result = f.files->sync(user, handle);
    void (*meanwhile)(struct fixture *) = f.meanwhile;
    f.meanwhile = NULL;
    if (meanwhile)
        meanwhile(&f);
    return result;
}

static void drain_jobs(void)
{
    for (int i = 0; i < 100; i++) {
        (void)wal_step(f.w.wal);
        wal_collect(f.w.wal, f.w.now_ms);
        wal_write(f.w.wal, f.w.now_ms);
    }
}

static void begin(enum wal_level level, uint64_t seed)
{
    f = (struct fixture){.disk = disk_new(seed)};
    f.files = disk_files(f.disk);
    world_init(&f.w, f.disk, level, seed);
    assert_true(world_open(&f.w));
    f.w.wal->files.sync = sync_and_more;
    world_prepare(&f.w);
    world_turn(&f.w);
    drain_jobs();
}

static void end(void)
{
    if (f.w.wal)
        world_die(&f.w);
    world_free(&f.w);
    disk_free(f.disk);
}

static void publish(size_t bytes)
{
    static char body[64 * 1024];
    struct queue *q = broker_queue_find(&f.w.b, "plain", 5);
    const struct view view = {body, bytes};
    const struct publications all = {.bodies = &view, .count = 1};
    const struct publish_options options = {0};
    struct publish_result result;
    assert_int_equal(broker_publish(&f.w.b, f.w.now_ms, q, &all, &options, &result), ERR_NONE);
    f.w.watcher.event_cb(f.w.wal);
}

/* A publish, and the end of its turn. Returns the place after it. */
static uint64_t publish_turn(void)
{
    publish(10);
    wal_write(f.w.wal, f.w.now_ms);
    return wal_place(f.w.wal);
}

static void step(void)
{
    assert_true(wal_step(f.w.wal));
}

static void collect(void)
{
    wal_collect(f.w.wal, f.w.now_ms);
}

static uint64_t unsynced_bytes(void)
{
    struct wal_info info;
    wal_info(f.w.wal, &info);
    return info.unsynced_bytes;
}

/* ---- what a sync covers ------------------------------------------------------------------------------------------ */

static void test_the_next_sync_takes_in_what_is_written_until_it_is_begun(void **state)
{
    (void)state;
    begin(WAL_FSYNC, 1);
    const uint64_t syncs = f.w.wal->info.syncs, before = wal_safe(f.w.wal), first = publish_turn();
    for (int i = 0; i < 20; i++)
        publish_turn();
    assert_int_equal(f.w.wal->syncing, 2);
    assert_int_equal(wal_safe(f.w.wal), before);
    step();
    assert_int_equal(wal_safe(f.w.wal), before); /* nobody has heard of it yet */
    publish_turn();
    collect();
    assert_int_equal(wal_safe(f.w.wal), first);
    const uint64_t last = wal_place(f.w.wal);
    step();
    collect();
    assert_int_equal(wal_safe(f.w.wal), last);
    assert_int_equal(f.w.wal->info.syncs, syncs + 2);
    assert_int_equal(f.w.wal->syncing, 0);
    assert_int_equal(unsynced_bytes(), 0);
    end();
}

static void publish_meanwhile(struct fixture *fixture)
{
    (void)fixture;
    publish_turn();
}

static void test_what_is_written_while_a_sync_is_being_done_is_safe_with_the_next(void **state)
{
    (void)state;
    begin(WAL_FSYNC, 1);
    const uint64_t first = publish_turn();
    f.meanwhile = publish_meanwhile;
    step();
    const uint64_t second = wal_place(f.w.wal);
    assert_true(second > first);
    collect();
    assert_int_equal(wal_safe(f.w.wal), first);
    step();
    collect();
    assert_int_equal(wal_safe(f.w.wal), second);
    end();
}

static void test_a_sync_that_has_begun_takes_nothing_more_in(void **state)
{
    (void)state;
    begin(WAL_FSYNC, 1);
    publish_turn();
    const uint64_t second = publish_turn();
    step(); /* nobody has heard of the first when the second is done */
    f.meanwhile = publish_meanwhile;
    step();
    assert_int_equal(f.w.wal->syncing, 2);
    publish_turn();
    assert_int_equal(f.w.wal->syncing, 2);
    assert_false(wal_step(f.w.wal));
    collect();
    assert_int_equal(wal_safe(f.w.wal), second);
    assert_int_equal(f.w.wal->syncing, 1);
    assert_true(unsynced_bytes() > 0);
    step();
    collect();
    assert_int_equal(wal_safe(f.w.wal), wal_place(f.w.wal));
    assert_int_equal(unsynced_bytes(), 0);
    end();
}

static void test_at_other_levels_no_sync_is_submitted_while_one_is_being_done(void **state)
{
    (void)state;
    for (int level = WAL_OS; level <= WAL_INTERVAL; level++) {
        begin((enum wal_level)level, 1);
        publish_turn();
        f.w.wal->want_batch = f.w.wal->batch; /* whatever the level */
        wal_write(f.w.wal, f.w.now_ms);
        assert_int_equal(f.w.wal->syncing, 1);
        const uint64_t batch = f.w.wal->batch;
        f.w.now_ms += 1000;
        publish_turn();
        f.w.wal->want_batch = f.w.wal->batch;
        publish_turn();
        assert_int_equal(f.w.wal->syncing, 1);
        step();
        collect();
        assert_int_equal(f.w.wal->synced_batch, batch);
        assert_int_equal(f.w.wal->syncing, 1);
        end();
    }
}

static void test_the_level_may_change_between_two_syncs(void **state)
{
    (void)state;
    begin(WAL_FSYNC, 1);
    publish_turn();
    const uint64_t second = publish_turn();
    wal_set_level(f.w.wal, WAL_OS, 0);
    assert_int_equal(wal_safe(f.w.wal), second);
    const uint64_t third = publish_turn();
    assert_int_equal(f.w.wal->syncing, 2);
    step();
    collect();
    wal_set_level(f.w.wal, WAL_FSYNC, 0);
    assert_true(wal_safe(f.w.wal) < second);
    step(); /* which does not have the third: at level os nobody asked for that */
    collect();
    assert_int_equal(wal_safe(f.w.wal), second);
    step();
    collect();
    assert_int_equal(wal_safe(f.w.wal), third);
    assert_int_equal(unsynced_bytes(), 0);
    end();
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static void test_a_sync_after_one_that_failed_is_not_believed(void **state)
{
    (void)state;
    for (int together = 0; together < 2; together++) {
        begin(WAL_FSYNC, 1);
        const uint64_t safe = wal_safe(f.w.wal), batch = f.w.wal->synced_batch;
        struct wal_info before, after;
        wal_info(f.w.wal, &before);
        publish_turn();
        publish_turn();
        disk_fail_kinds(f.disk, DISK_SYNC);
        disk_fail_at(f.disk, 1, EIO, false);
        step();
        if (!together)
            collect();
        step();
        collect();
        wal_info(f.w.wal, &after);
        assert_int_equal(wal_state(f.w.wal), WAL_FAILED);
        assert_int_equal(wal_safe(f.w.wal), safe);
        assert_int_equal(f.w.wal->synced_batch, batch);
        assert_int_equal(after.syncs, before.syncs);
        assert_false(world_close(&f.w));
        assert_int_equal(disk_open_handles(f.disk), 0);
        end();
    }
}

static void test_a_sync_before_one_that_failed_is_believed(void **state)
{
    (void)state;
    begin(WAL_FSYNC, 1);
    const uint64_t first = publish_turn();
    publish_turn();
    step();
    disk_fail_kinds(f.disk, DISK_SYNC);
    disk_fail_at(f.disk, 1, EIO, false);
    step();
    collect();
    assert_int_equal(wal_state(f.w.wal), WAL_FAILED);
    assert_int_equal(wal_safe(f.w.wal), first);
    end();
}

/* ---- segments ---------------------------------------------------------------------------------------------------- */

static void test_a_segment_that_was_the_tail_is_closed_by_the_second_sync_and_not_before(void **state)
{
    (void)state;
    begin(WAL_FSYNC, 1);
    wal_set_level(f.w.wal, WAL_OS, 0);
    f.w.wal->rotate_soon = true; /* has one prepared */
    wal_write(f.w.wal, f.w.now_ms);
    drain_jobs();
    f.w.wal->rotate_soon = false;
    wal_set_level(f.w.wal, WAL_FSYNC, 0);
    while (!wal_is_prepared(f.w.wal)) {
        publish(1000);
        wal_write(f.w.wal, f.w.now_ms);
        drain_jobs();
    }
    publish_turn();
    struct segment *s = wal_tail(f.w.wal);
    assert_int_equal(s->busy, 1);
    assert_true(segments_rotate(f.w.wal));
    publish_turn();
    const uint64_t last = publish_turn();
    assert_ptr_not_equal(wal_tail(f.w.wal), s);
    assert_int_equal(s->busy, 2);
    assert_int_equal(wal_tail(f.w.wal)->busy, 1);
    while (s->busy == 2) {
        step();
        collect();
    }
    assert_true(s->handle >= 0);
    while (s->busy == 1) {
        step();
        collect();
    }
    assert_int_equal(s->handle, -1);
    assert_int_equal(wal_safe(f.w.wal), last);
    end();
}

static void test_a_void_segment_is_kept_while_a_sync_has_its_handle(void **state)
{
    (void)state;
    begin(WAL_OS, 1);
    while (f.w.wal->tail == 0)
        publish(1000), wal_write(f.w.wal, f.w.now_ms), world_jobs(&f.w, 3);
    struct segment *s = f.w.wal->segments[0];
    assert_true(s->dirty);
    wal_compact(f.w.wal);
    while (f.w.wal->compact.step == COMPACT_IDLE)
        publish_turn();
    wal_set_level(f.w.wal, WAL_FSYNC, 0);
    publish_turn();
    assert_int_equal(f.w.wal->syncing, 1);
    assert_false(f.w.wal->sync[f.w.wal->oldest_sync].close[0]); /* compaction reads from it */
    assert_true(s->busy > 0);
    for (int i = 0; i < 1000 && f.w.wal->voided_count == 0; i++) {
        publish_turn();
        if (f.w.wal->syncing < 2 || f.w.wal->reading)
            world_jobs(&f.w, 1);
    }
    assert_int_equal(f.w.wal->voided_count, 1);
    assert_ptr_equal(f.w.wal->voided[0].segment, s);
    drain_jobs();
    publish_turn();
    drain_jobs();
    assert_int_equal(f.w.wal->voided_count, 0);
    end();
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void test_closing_waits_for_both(void **state)
{
    (void)state;
    for (int done = 0; done <= 2; done++) {
        begin(WAL_FSYNC, 1);
        for (int i = 0; i < 3; i++)
            publish_turn();
        assert_int_equal(f.w.wal->syncing, 2);
        for (int i = 0; i < done; i++)
            step();
        const uint64_t batch = f.w.wal->batch;
        assert_true(world_close(&f.w));
        assert_int_equal(disk_open_handles(f.disk), 0);
        disk_crash(f.disk, DISK_LOSE);
        assert_true(world_open(&f.w));
        assert_true(world_batch(&f.w) > batch);
        assert_int_equal(f.w.wal->info.cut_batches, 0);
        assert_int_equal(queue_total(broker_queue_find(&f.w.b, "plain", 5)), 3);
        end();
    }
}

static void test_closing_is_not_well_if_one_of_both_fails(void **state)
{
    (void)state;
    for (unsigned which = 1; which <= 2; which++) {
        begin(WAL_FSYNC, 1);
        for (int i = 0; i < 3; i++)
            publish_turn();
        disk_fail_kinds(f.disk, DISK_SYNC);
        disk_fail_at(f.disk, which, EIO, false);
        assert_false(world_close(&f.w));
        assert_int_equal(disk_open_handles(f.disk), 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_sync_takes_in_what_is_written_until_it_is_begun),
        cmocka_unit_test(test_what_is_written_while_a_sync_is_being_done_is_safe_with_the_next),
        cmocka_unit_test(test_a_sync_that_has_begun_takes_nothing_more_in),
        cmocka_unit_test(test_at_other_levels_no_sync_is_submitted_while_one_is_being_done),
        cmocka_unit_test(test_the_level_may_change_between_two_syncs),
        cmocka_unit_test(test_a_sync_after_one_that_failed_is_not_believed),
        cmocka_unit_test(test_a_sync_before_one_that_failed_is_believed),
        cmocka_unit_test(test_a_segment_that_was_the_tail_is_closed_by_the_second_sync_and_not_before),
        cmocka_unit_test(test_a_void_segment_is_kept_while_a_sync_has_its_handle),
        cmocka_unit_test(test_closing_waits_for_both),
        cmocka_unit_test(test_closing_is_not_well_if_one_of_both_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
