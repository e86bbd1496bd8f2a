/* What a hostile look at the log has found. */
#include "tests/support/wal_world.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct disk *disk;
    struct wal_world w;
};

static void begin_with(struct fixture *f, enum wal_level level, uint64_t segment_bytes)
{
    f->disk = disk_new(1);
    world_init(&f->w, f->disk, level, 1);
    f->w.options.segment_bytes = segment_bytes;
    if (!world_open(&f->w))
        fail_msg("%s", f->w.error.text);
    world_prepare(&f->w);
}

static void begin(struct fixture *f, enum wal_level level)
{
    begin_with(f, level, WAL_SEGMENT_MIN);
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

/*
 * At level fsync an idle disk ends a turn's batch early, but not one of compaction: in the next batch a copy of a body would be
 * on its own.
 */
static void test_a_slice_of_compaction_is_one_batch_although_the_disk_is_idle(void **state)
{
    (void)state;
    struct fixture f;
    struct wal_info before, after;
    begin_with(&f, WAL_FSYNC, 1024 * 1024);
    for (int i = 0; i < 100; i++) {
        publish_copies(&f, 4096);
        turn(&f);
    }
    wal_info(f.w.wal, &before);
    wal_compact(f.w.wal);
    for (int i = 0; i < 100; i++) {
        const uint64_t batch = f.w.wal->batch;
        turn(&f);
        assert_in_range(f.w.wal->batch, batch, batch + 1);
    }
    wal_info(f.w.wal, &after);
    assert_true(after.rewritten_bytes >= before.live_bytes);
    end(&f);
}

/* ---- what compaction reads back ---------------------------------------------------------------------------------- */

/* A log of several segments, of small messages or of one that is longer than what is read at a time. */
static void fill(struct fixture *f, bool large)
{
    static uint8_t body[3 * WAL_CHUNK_BYTES];
    const struct publication p = {.body = {body, sizeof body}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &p, .count = 1};
    struct publish_result result;
    for (int i = 0; i < 40; i++) {
        if (i == 2 && large)
            assert_int_equal(
                broker_publish(&f->w.b, f->w.now_ms, broker_queue_find(&f->w.b, "plain", 5), &all, &plainly, &result),
                ERR_NONE);
        publish(f, "plain", 4000);
        turn(f);
    }
    assert_true(f->w.wal->tail >= 2);
}

static void test_a_rotten_batch_that_compaction_meets_is_the_end_of_the_log_at_once(void **state)
{
    (void)state;
    for (int large = 0; large < 2; large++)
        for (uint64_t n = 0; n < 64; n++) {
            struct fixture f;
            begin(&f, WAL_OS);
            fill(&f, large);
            const struct segment *s = f.w.wal->segments[0];
            const uint64_t at = SEGMENT_START + (s->used - SEGMENT_START) * n / 64;
            char name[FILES_NAME_BYTES];
            memcpy(name, s->name, sizeof name);
            disk_flip_bit(f.disk, name, at * 8 + n % 8);
            wal_compact(f.w.wal);
            for (int i = 0; i < 200 && wal_state(f.w.wal) == WAL_GOOD; i++)
                turn(&f);
            struct wal_info info;
            uint64_t offset;
            wal_info(f.w.wal, &info);
            assert_int_equal(info.state, WAL_FAILED);
            assert_memory_equal(info.why, name, strlen(name));
            assert_int_equal(sscanf(info.why + strlen(name), ", offset %" SCNu64 ": the batch cannot be read", &offset),
                             1);
            assert_true(offset >= SEGMENT_START && offset <= at);
            end(&f);
        }
}

static void test_a_large_message_is_checked_and_compacted_like_others(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_OS);
    fill(&f, true);
    const uint64_t first = f.w.wal->segments[0]->number, end_number = wal_tail(f.w.wal)->number;
    wal_compact(f.w.wal);
    for (int i = 0; i < 400 && f.w.wal->segments[0]->number <= end_number; i++)
        turn(&f);
    assert_int_equal(wal_state(f.w.wal), WAL_GOOD);
    assert_true(f.w.wal->segments[0]->number > first && f.w.wal->segments[0]->number > end_number);
    end(&f);
}

/* ---- headers that were not written wholly ------------------------------------------------------------------------ */

static void copy_file(const struct fixture *f, const char *name, uint8_t *copy, size_t *bytes)
{
    const uint8_t *data = disk_file_bytes(f->disk, name, bytes);
    assert_non_null(data);
    assert_true(*bytes <= WAL_SEGMENT_MIN);
    memcpy(copy, data, *bytes);
}

/* Opens what a crash has left with that file in it: true if it opens, and then with what was there. */
static bool opens_with(const struct fixture *f, const char *name, const uint8_t *data, size_t bytes)
{
    struct wal_world w = f->w;
    w.disk = disk_clone(f->disk, 1);
    disk_put_file(w.disk, name, data, bytes);
    const bool opened = world_open(&w);
    if (opened) {
        const uint8_t *left = disk_file_bytes(w.disk, name, &bytes);
        assert_true(world_is_as_it_was(&w));
        assert_true(!left || memcmp(left, "ringmq", 6) == 0); /* it is gone; or made anew under that name */
        world_die(&w);
    } else if (!strstr(w.error.text, name) || !strstr(w.error.text, "the header is damaged")) {
        fail_msg("%s", w.error.text);
    }
    disk_free(w.disk);
    return opened;
}

/* The next turns without the helper thread: what is void stays where it is. */
static void turns_without_jobs(struct fixture *f)
{
    for (int i = 0; i < 10; i++) {
        f->w.now_ms++;
        broker_turn(&f->w.b, f->w.now_ms);
        broker_effects_done(&f->w.b);
        wal_write(f->w.wal, f->w.now_ms);
    }
}

static void test_a_header_torn_on_the_way_to_another_life_belongs_to_a_void_file(void **state)
{
    struct fixture f;
    uint8_t header[SEGMENT_START], copy[WAL_SEGMENT_MIN];
    char void_name[FILES_NAME_BYTES], oldest_name[FILES_NAME_BYTES];
    size_t bytes;
    (void)state;
    begin(&f, WAL_OS);
    for (int i = 0; i < 40; i++) {
        publish(&f, "plain", 4000);
        turn(&f);
    }
    (void)broker_queue_purge(&f.w.b, broker_queue_find(&f.w.b, "plain", 5), 1u << MESSAGE_READY);
    wal_event(f.w.wal);
    turns_without_jobs(&f);
    assert_true(f.w.wal->voided_count > 0);
    memcpy(void_name, f.w.wal->voided[0].segment->name, sizeof void_name);
    memcpy(oldest_name, f.w.wal->segments[0]->name, sizeof oldest_name);
    segment_fill_header(f.w.wal, f.w.wal->next_segment, header);
    world_die(&f.w);
    for (size_t torn = 0; torn < SEGMENT_HEADER_BYTES; torn++) {
        copy_file(&f, void_name, copy, &bytes);
        memcpy(copy, header, torn);
        assert_true(opens_with(&f, void_name, copy, bytes));
    }
    /* The same of a file that is needed is damage. */
    copy_file(&f, oldest_name, copy, &bytes);
    memcpy(copy, header, 40);
    disk_put_file(f.disk, void_name, header, 0);
    assert_false(opens_with(&f, oldest_name, copy, bytes));
    end(&f);
}

static void test_a_header_torn_in_the_making_belongs_to_a_file_that_was_never_used(void **state)
{
    struct fixture f;
    uint8_t copy[WAL_SEGMENT_MIN];
    char name[FILES_NAME_BYTES];
    size_t bytes;
    (void)state;
    begin(&f, WAL_OS);
    while (f.w.wal->segment_count == f.w.wal->tail + 1) {
        publish(&f, "plain", 400);
        turn(&f);
    }
    memcpy(name, f.w.wal->segments[f.w.wal->tail + 1]->name, sizeof name);
    world_die(&f.w);
    for (size_t torn = 0; torn < SEGMENT_HEADER_BYTES; torn++) {
        copy_file(&f, name, copy, &bytes);
        memset(copy + torn, 0, SEGMENT_HEADER_BYTES - torn);
        assert_true(opens_with(&f, name, copy, bytes));
        if (torn == 0)
            continue;
        copy[bytes - 1] = 1;
        assert_false(opens_with(&f, name, copy, bytes));
        assert_false(opens_with(&f, name, copy, torn));
    }
    end(&f);
}

static void test_a_header_torn_in_the_making_of_the_first_file_of_all_is_no_log_yet(void **state)
{
    static const uint8_t header[SEGMENT_START] = "ringmq";
    struct fixture f;
    (void)state;
    f.disk = disk_new(1);
    disk_put_file(f.disk, "0000000000000001.seg", header, sizeof header);
    world_init(&f.w, f.disk, WAL_OS, 1);
    assert_true(world_open(&f.w));
    assert_int_equal(f.w.wal->segment_count, 1);
    end(&f);
}

/* The first segment of a log may have been left before anything was written to it. */
static void test_a_log_that_begins_with_an_empty_segment_is_read(void **state)
{
    (void)state;
    for (enum disk_crash crash = DISK_KILL; crash < DISK_CRASHES; crash++) {
        struct fixture f;
        f.disk = disk_new(1);
        world_init(&f.w, f.disk, WAL_FSYNC, 1);
        assert_true(world_open(&f.w));
        segments_work(f.w.wal);
        world_jobs(&f.w, 100);
        assert_int_equal(f.w.wal->tail, 1);
        world_prepare(&f.w);
        publish(&f, "plain", 10);
        append_finish(f.w.wal);
        segments_work(f.w.wal);
        world_jobs(&f.w, 100);
        assert_int_equal(wal_safe(f.w.wal), wal_place(f.w.wal));
        assert_int_equal(f.w.wal->oldest, 1);
        world_die(&f.w);
        disk_crash(f.disk, crash);
        assert_true(world_open(&f.w));
        const struct queue *q = broker_queue_find(&f.w.b, "plain", 5);
        assert_true(q && queue_total(q) == 1);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_backlog_of_many_segments_does_not_keep_their_files_open),
        cmocka_unit_test(test_a_log_that_fails_while_copies_are_written_anew_still_lets_them_go),
        cmocka_unit_test(test_a_slice_of_compaction_is_one_batch_although_the_disk_is_idle),
        cmocka_unit_test(test_a_rotten_batch_that_compaction_meets_is_the_end_of_the_log_at_once),
        cmocka_unit_test(test_a_large_message_is_checked_and_compacted_like_others),
        cmocka_unit_test(test_a_header_torn_on_the_way_to_another_life_belongs_to_a_void_file),
        cmocka_unit_test(test_a_header_torn_in_the_making_belongs_to_a_file_that_was_never_used),
        cmocka_unit_test(test_a_header_torn_in_the_making_of_the_first_file_of_all_is_no_log_yet),
        cmocka_unit_test(test_a_log_that_begins_with_an_empty_segment_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
