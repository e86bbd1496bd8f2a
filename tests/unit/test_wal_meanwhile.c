/*
 * The log while the server goes on during its syncs: a batch that does not wait for the end of its turn, and a load that does
 * everything, where the power may go at any moment: what was safe is there afterwards. Something happens in the middle of a
 * sync because the disk's sync is wrapped: `meanwhile` runs when the disk has done it and before the log hears of it.
 */
#include "tests/support/wal_world.h"

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

static uint64_t unsynced_bytes(void)
{
    struct wal_info info;
    wal_info(f.w.wal, &info);
    return info.unsynced_bytes;
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

static void step(void)
{
    assert_true(wal_step(f.w.wal));
}

static void collect(void)
{
    wal_collect(f.w.wal, f.w.now_ms);
}

/* ---- in the middle of a turn ------------------------------------------------------------------------------------- */

static void test_a_sync_begins_in_the_middle_of_a_turn_if_the_disk_has_nothing_to_do(void **state)
{
    (void)state;
    begin(WAL_FSYNC, 1);
    const uint64_t batch = f.w.wal->batch;
    publish(WAL_EAGER_BYTES - 1000);
    assert_int_equal(f.w.wal->batch, batch);
    publish(1000);
    const uint64_t first = wal_place(f.w.wal);
    assert_int_equal(f.w.wal->batch, batch + 1);
    assert_int_equal(f.w.wal->syncing, 1);
    publish(WAL_EAGER_BYTES); /* while the disk is busy it is the turn that ends the batch */
    assert_int_equal(f.w.wal->batch, batch + 1);
    step();
    publish(10); /* this one finds what has been done */
    assert_int_equal(f.w.wal->batch, batch + 2);
    assert_int_equal(wal_safe(f.w.wal), first);
    assert_int_equal(f.w.wal->syncing, 1);
    wal_write(f.w.wal, f.w.now_ms);
    step();
    collect();
    assert_int_equal(wal_safe(f.w.wal), wal_place(f.w.wal));
    end();
}

static void test_at_other_levels_it_is_the_turn_that_ends_the_batch(void **state)
{
    (void)state;
    for (int level = WAL_OS; level <= WAL_INTERVAL; level++) {
        begin((enum wal_level)level, 1);
        const uint64_t batch = f.w.wal->batch;
        f.w.now_ms += 1000;
        for (int i = 0; i < 3; i++)
            publish(WAL_EAGER_BYTES / 2);
        assert_int_equal(f.w.wal->batch, batch);
        assert_int_equal(f.w.wal->syncing, 0);
        end();
    }
}

/* ---- by chance --------------------------------------------------------------------------------------------------- */

/* The power goes now: what comes back is what there was at a batch, and nothing that was safe is missing. */
static void check_power_loss(enum disk_crash how)
{
    struct wal_world other = f.w;
    const uint64_t synced = f.w.wal->synced_batch, confirmed = world_confirmed(&f.w);
    other.disk = disk_clone(f.disk, random_next(&f.w.random));
    other.history = malloc((f.w.history_count + 1) * sizeof *other.history);
    assert_non_null(other.history);
    memcpy(other.history, f.w.history, f.w.history_count * sizeof *other.history);
    other.history_cap = f.w.history_count + 1;
    disk_crash(other.disk, how);
    if (!world_open(&other))
        fail_msg("%s", other.error.text);
    assert_true(world_is_as_it_was(&other));
    assert_true(world_batch(&other) >= synced);
    assert_true(f.w.options.level != WAL_FSYNC || world_batch(&other) >= confirmed);
    world_die(&other);
    world_free(&other);
    disk_free(other.disk);
}

/* As long as there is room: this thread cannot wait for what it is doing. */
static void live_meanwhile(struct fixture *fixture)
{
    struct wal_world *w = &fixture->w;
    for (uint64_t turns = random_below(&w->random, 3); turns > 0; turns--) {
        for (uint64_t steps = random_below(&w->random, 4); steps > 0 && wal_is_prepared(w->wal); steps--)
            world_step(w);
        if (wal_is_prepared(w->wal))
            world_turn(w);
    }
    if (random_below(&w->random, 8) == 0)
        check_power_loss((enum disk_crash)(DISK_LOSE + random_below(&w->random, DISK_CRASHES - 1)));
}

static void change_level(struct wal_world *w)
{
    w->options.level = (enum wal_level)random_below(&w->random, 3);
    wal_set_level(w->wal, w->options.level, 50);
}

static void test_whatever_happens_while_it_syncs_nothing_is_safe_that_can_be_lost(void **state)
{
    (void)state;
    uint64_t both = 0, rotated = 0, voided = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        begin(WAL_FSYNC, seed);
        struct wal_world *w = &f.w;
        const bool changes = seed % 3 == 0;
        w->large = seed % 2;
        for (int i = 0; i < 150; i++) {
            for (uint64_t steps = random_below(&w->random, 7); steps > 0; steps--)
                world_step(w);
            world_turn(w);
            both += w->wal->syncing == 2;
            voided += w->wal->voided_count;
            f.meanwhile = random_below(&w->random, 2) ? live_meanwhile : NULL;
            for (uint64_t jobs = random_below(&w->random, 4); jobs > 0; jobs--)
                (void)wal_step(w->wal); /* not heard of yet */
            world_jobs(w, (uint32_t)random_below(&w->random, 4));
            assert_in_range(unsynced_bytes(), 0, w->wal->info.written_bytes);
            if (changes && random_below(&w->random, 10) == 0)
                change_level(w);
            if (random_below(&w->random, 4) == 0)
                check_power_loss((enum disk_crash)(DISK_LOSE + random_below(&w->random, DISK_CRASHES - 1)));
            w->now_ms += (int64_t)random_below(&w->random, 30);
        }
        rotated += w->wal->tail + w->wal->segments[0]->number;
        assert_int_equal(wal_state(w->wal), WAL_GOOD);
        f.meanwhile = NULL;
        wal_set_level(w->wal, WAL_FSYNC, 0);
        wal_write(w->wal, w->now_ms);
        drain_jobs();
        assert_int_equal(unsynced_bytes(), 0);
        assert_int_equal(wal_safe(w->wal), wal_place(w->wal));
        end();
    }
    assert_true(both > 100 && rotated > 20 && voided > 0); /* or nothing was tried */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sync_begins_in_the_middle_of_a_turn_if_the_disk_has_nothing_to_do),
        cmocka_unit_test(test_at_other_levels_it_is_the_turn_that_ends_the_batch),
        cmocka_unit_test(test_whatever_happens_while_it_syncs_nothing_is_safe_that_can_be_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
