/* What a hostile look at the log has found. */
#include "tests/support/wal_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct disk *disk;
    struct wal_world w;
};

static void begin(struct fixture *f, enum wal_level level)
{
    f->disk = disk_new(1);
    world_init(&f->w, f->disk, level, 1);
    if (!world_open(&f->w))
        fail_msg("%s", f->w.error.text);
    world_prepare(&f->w);
}

static void end(struct fixture *f)
{
    if (f->w.wal)
        world_die(&f->w);
    world_free(&f->w);
    disk_free(f->disk);
}

/* Without a digest of everything, which world_turn() would take. */
static void turn(struct fixture *f)
{
    broker_turn(&f->w.b, f->w.now_ms);
    broker_effects_done(&f->w.b);
    wal_write(f->w.wal, f->w.now_ms);
    world_jobs(&f->w, 10);
    f->w.now_ms++;
}

static const struct publish_options plainly;

static void publish(struct fixture *f, const char *queue, size_t bytes)
{
    static const char body[4096];
    struct queue *q = broker_queue_find(&f->w.b, queue, strlen(queue));
    const struct publication p = {.body = {body, bytes}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &p, .count = 1};
    struct publish_result result;
    assert_int_equal(broker_publish(&f->w.b, f->w.now_ms, q, &all, &plainly, &result), ERR_NONE);
    wal_event(f->w.wal);
}

/* One message to every standard queue that there is, with one body. */
static void publish_copies(struct fixture *f, size_t bytes)
{
    static const char body[4096];
    struct topic *t = broker_topic_find(&f->w.b, "news", 4);
    const struct publication p = {.body = {body, bytes}, .group = {"g", 1}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &p, .count = 1};
    uint64_t copies;
    bool held;
    const struct view key = {"a.b", 3};
    assert_int_equal(broker_topic_publish(&f->w.b, f->w.now_ms, t, key, &all, &plainly, &copies, &held), ERR_NONE);
    assert_true(copies > 1);
    wal_event(f->w.wal);
}

static void test_a_backlog_of_many_segments_does_not_keep_their_files_open(void **state)
{
    (void)state;
    for (unsigned level = WAL_OS; level <= WAL_FSYNC; level++) {
        struct fixture f;
        begin(&f, (enum wal_level)level);
        for (int i = 0; i < 2000; i++) {
            publish(&f, "plain", 4000);
            turn(&f);
        }
        assert_true(f.w.wal->segment_count > 100);
        assert_true(disk_open_handles(f.disk) <= WAL_SYNC_SEGMENTS + 4);
        end(&f);
    }
}

/* Whatever it is that fails: compaction may have taken a body away from one segment and not yet have given it to another. */
static void test_a_log_that_fails_while_copies_are_written_anew_still_lets_them_go(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 30; n++) {
        struct fixture f;
        uint64_t count;
        begin(&f, WAL_OS);
        for (int i = 0; i < 400; i++) {
            publish_copies(&f, 300);
            turn(&f);
        }
        wal_compact(f.w.wal);
        disk_fail_at(f.disk, n, EIO, true);
        for (int i = 0; i < 100; i++)
            turn(&f);
        while (f.w.b.queue_count > 0)
            (void)broker_queue_delete(&f.w.b, f.w.now_ms, f.w.b.queues[0], false, false, &count);
        for (int i = 0; i < 100; i++)
            turn(&f);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_backlog_of_many_segments_does_not_keep_their_files_open),
        cmocka_unit_test(test_a_log_that_fails_while_copies_are_written_anew_still_lets_them_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
