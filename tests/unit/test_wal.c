/* The log as a whole, on a disk in memory: what a confirm means at each level, restart, compaction, and what is refused. */
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
};

static void begin(struct fixture *f, enum wal_level level, uint64_t seed)
{
    f->disk = disk_new(seed);
    world_init(&f->w, f->disk, level, seed);
    if (!world_open(&f->w))
        fail_msg("%s", f->w.error.text);
    world_prepare(&f->w);
}

static void reopen(struct fixture *f)
{
    if (!world_open(&f->w))
        fail_msg("%s", f->w.error.text);
}

static void end(struct fixture *f)
{
    if (f->w.wal)
        world_die(&f->w);
    world_free(&f->w);
    disk_free(f->disk);
}

static void drain_jobs(struct fixture *f)
{
    for (int i = 0; i < 1000; i++) {
        world_jobs(&f->w, 1);
        wal_write(f->w.wal, f->w.now_ms);
    }
}

static void publish(struct fixture *f, const char *queue, size_t bytes)
{
    static char body[64 * 1024];
    struct queue *q = broker_queue_find(&f->w.b, queue, strlen(queue));
    const struct publication p = {.body = {body, bytes}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &p, .count = 1};
    const struct publish_options options = {0};
    struct publish_result result;
    assert_int_equal(broker_publish(&f->w.b, f->w.now_ms, q, &all, &options, &result), ERR_NONE);
    assert_int_equal(result.stored, 1);
    wal_event(f->w.wal);
}

/* Takes the next message and acks it, or leaves it. */
static uint64_t receive(struct fixture *f, const char *queue)
{
    struct queue *q = broker_queue_find(&f->w.b, queue, strlen(queue));
    const struct receive_options options = {.max = 1, .visibility_ms = -1};
    bool served;
    assert_int_equal(broker_receive(&f->w.b, f->w.now_ms, q, &f->w.peer, &options, &served), ERR_NONE);
    assert_true(served && f->w.b.delivery_count == 1);
    return f->w.b.deliveries[0].receipt;
}

static void ack(struct fixture *f, uint64_t receipt)
{
    uint32_t applied;
    assert_int_equal(broker_ack(&f->w.b, f->w.now_ms, &receipt, 1, false, &applied), ERR_NONE);
    assert_int_equal(applied, 1);
    wal_event(f->w.wal);
}

static void test_at_level_os_a_confirm_waits_for_the_write(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_OS, 1);
    wal_write(f.w.wal, f.w.now_ms);
    const uint64_t before = wal_place(f.w.wal);
    assert_int_equal(wal_safe(f.w.wal), before);
    publish(&f, "plain", 10);
    assert_true(wal_place(f.w.wal) > before);
    assert_int_equal(wal_safe(f.w.wal), before);
    wal_write(f.w.wal, f.w.now_ms);
    assert_int_equal(wal_safe(f.w.wal), wal_place(f.w.wal));
    end(&f);
}

static void test_at_level_fsync_a_confirm_waits_for_the_sync_and_one_sync_serves_all(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_FSYNC, 1);
    drain_jobs(&f);
    const uint64_t before = wal_safe(f.w.wal);
    assert_int_equal(before, wal_place(f.w.wal));
    publish(&f, "plain", 10);
    wal_write(f.w.wal, f.w.now_ms);
    const uint64_t first = wal_place(f.w.wal);
    publish(&f, "plain", 10);
    wal_write(f.w.wal, f.w.now_ms);
    publish(&f, "plain", 10);
    wal_write(f.w.wal, f.w.now_ms);
    assert_int_equal(wal_safe(f.w.wal), before);
    assert_true(wal_step(f.w.wal));
    wal_collect(f.w.wal, f.w.now_ms);
    assert_int_equal(wal_safe(f.w.wal), first); /* the others came while it was under way */
    assert_true(wal_step(f.w.wal));
    wal_collect(f.w.wal, f.w.now_ms);
    assert_int_equal(wal_safe(f.w.wal), wal_place(f.w.wal));
    end(&f);
}

static void test_at_level_interval_a_sync_comes_when_its_time_has_come(void **state)
{
    struct fixture f;
    struct wal_info before, after;
    (void)state;
    begin(&f, WAL_INTERVAL, 1);
    drain_jobs(&f);
    f.w.now_ms += 1000;
    publish(&f, "plain", 10);
    wal_write(f.w.wal, f.w.now_ms);
    drain_jobs(&f);
    wal_info(f.w.wal, &before);
    publish(&f, "plain", 10);
    wal_write(f.w.wal, f.w.now_ms);
    assert_int_equal(wal_next_ms(f.w.wal), f.w.now_ms + f.w.options.interval_ms);
    drain_jobs(&f);
    wal_info(f.w.wal, &after);
    assert_int_equal(after.syncs, before.syncs);
    assert_true(after.unsynced_bytes > 0);
    f.w.now_ms += f.w.options.interval_ms;
    wal_write(f.w.wal, f.w.now_ms);
    drain_jobs(&f);
    wal_info(f.w.wal, &after);
    assert_int_equal(after.syncs, before.syncs + 1);
    assert_int_equal(after.unsynced_bytes, 0);
    end(&f);
}

static void test_what_was_closed_well_comes_back_whole(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct fixture f;
        begin(&f, WAL_OS, seed);
        world_run(&f.w, 60);
        assert_true(world_close(&f.w));
        disk_crash(f.disk, DISK_LOSE);
        reopen(&f);
        const uint64_t batch = f.w.history[f.w.history_count - 1].batch;
        assert_int_equal(world_batch(&f.w), batch + 1); /* the last word has no records */
        f.w.wal->batch--;
        assert_true(world_is_as_it_was(&f.w));
        f.w.wal->batch++;
        assert_int_equal(f.w.wal->info.cut_batches, 0);
        end(&f);
    }
}

static void test_live_bytes_are_none_when_nothing_is_left(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture f;
        uint64_t count;
        begin(&f, WAL_OS, seed);
        f.w.large = 1;
        world_run(&f.w, 80);
        while (f.w.b.topic_count > 0)
            broker_topic_delete(&f.w.b, f.w.b.topics[0]);
        while (f.w.b.queue_count > 0)
            (void)broker_queue_delete(&f.w.b, f.w.now_ms, f.w.b.queues[0], false, false, &count);
        for (int i = 0; i < 20; i++)
            world_turn(&f.w);
        drain_jobs(&f);
        assert_int_equal(f.w.wal->live_bytes, 0);
        for (uint32_t i = 0; i < f.w.wal->segment_count; i++) {
            assert_int_equal(f.w.wal->segments[i]->items, 0);
            assert_int_equal(f.w.wal->segments[i]->definitions, 0);
        }
        assert_true(f.w.wal->segment_count + f.w.wal->voided_count <= 2);
        end(&f);
    }
}

static void test_live_bytes_are_the_same_after_a_restart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture f;
        begin(&f, WAL_OS, seed);
        world_run(&f.w, 60);
        for (int i = 0; i < 20; i++)
            world_turn(&f.w);
        const uint64_t live_bytes = f.w.wal->live_bytes;
        world_die(&f.w);
        disk_crash(f.disk, DISK_KILL);
        reopen(&f);
        /* Copies of one message may share a body before and not after, or the other way round. */
        assert_in_range(f.w.wal->live_bytes, live_bytes * 9 / 10, live_bytes * 11 / 10);
        end(&f);
    }
}

/* The files of the log, in bytes. */
static uint64_t on_disk(struct fixture *f)
{
    return disk_used(f->disk);
}

static void assert_bound(struct fixture *f)
{
    const uint64_t bound = 2 * f->w.wal->live_bytes + 2 * f->w.options.segment_bytes;
    if (on_disk(f) > bound)
        fail_msg("%llu bytes on disk, %llu live", (unsigned long long)on_disk(f),
                 (unsigned long long)f->w.wal->live_bytes);
}

static void turn(struct fixture *f)
{
    world_turn(&f->w);
    world_jobs(&f->w, 10);
    f->w.now_ms++;
}

static void test_a_few_old_messages_do_not_keep_the_segments_of_all_that_came_after_them(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_OS, 1);
    for (int i = 0; i < 20; i++)
        publish(&f, "dead", 100);
    for (int i = 0; i < 3000; i++) {
        publish(&f, "plain", 1000);
        ack(&f, receive(&f, "plain"));
        turn(&f);
        assert_bound(&f);
    }
    assert_true(f.w.wal->info.rewritten_bytes > 0);
    end(&f);
}

static void test_the_same_jobs_nacked_with_a_delay_again_and_again_do_not_make_the_log_grow(void **state)
{
    struct fixture f;
    const struct nack_options nack = {.delay_ms = 5};
    (void)state;
    begin(&f, WAL_OS, 1);
    for (int i = 0; i < 1000; i++) {
        publish(&f, "plain", 100);
        turn(&f);
    }
    for (int i = 0; i < 100000; i++) {
        uint32_t applied;
        const uint64_t receipt = receive(&f, "plain");
        assert_int_equal(broker_nack(&f.w.b, f.w.now_ms, &receipt, 1, &nack, &applied), ERR_NONE);
        wal_event(f.w.wal);
        if (i % 20 == 0) {
            turn(&f);
            assert_bound(&f);
        }
    }
    assert_true(f.w.wal->info.written_bytes > 20 * on_disk(&f));
    end(&f);
}

static void test_a_backlog_of_everything_is_compacted_within_the_bound(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct fixture f;
        begin(&f, WAL_OS, seed);
        for (int i = 0; i < 600; i++) {
            world_run(&f.w, 1);
            world_jobs(&f.w, 10);
            assert_true(on_disk(&f) <= 2 * f.w.wal->live_bytes + 3 * f.w.options.segment_bytes);
        }
        for (int i = 0; i < 50; i++)
            turn(&f);
        assert_bound(&f);
        end(&f);
    }
}

static void test_compaction_by_hand_leaves_nothing_dead_but_the_tail(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_OS, 3);
    world_run(&f.w, 100);
    wal_compact(f.w.wal);
    for (int i = 0; i < 100; i++)
        turn(&f);
    assert_true(on_disk(&f) <= f.w.wal->live_bytes + f.w.wal->live_bytes / 4 + 2 * f.w.options.segment_bytes);
    world_die(&f.w);
    disk_crash(f.disk, DISK_KILL);
    reopen(&f);
    assert_true(world_is_as_it_was(&f.w));
    end(&f);
}

static void test_an_event_larger_than_the_buffer_and_the_segment_is_one_batch(void **state)
{
    struct fixture f;
    static uint8_t body[3 * 1024 * 1024];
    (void)state;
    begin(&f, WAL_OS, 1);
    f.w.b.limits.max_message_bytes = sizeof body;
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7);
    struct queue *q = broker_queue_find(&f.w.b, "plain", 5);
    const struct publication items[2] = {{.body = {body, sizeof body}, .delay_ms = -1, .ttl_ms = -1},
                                         {.body = {body, 5}, .delay_ms = -1, .ttl_ms = -1}};
    const struct publications all = {.items = items, .count = 2};
    const struct publish_options options = {0};
    struct publish_result result;
    append_finish(f.w.wal);
    const uint64_t batch = world_batch(&f.w);
    assert_int_equal(broker_publish(&f.w.b, f.w.now_ms, q, &all, &options, &result), ERR_NONE);
    world_turn(&f.w);
    assert_int_equal(world_batch(&f.w), batch + 1);
    world_die(&f.w);
    disk_crash(f.disk, DISK_KILL);
    reopen(&f);
    assert_true(world_is_as_it_was(&f.w));
    end(&f);
}

static void test_a_directory_in_use_is_refused(void **state)
{
    struct fixture f;
    struct wal_world other;
    (void)state;
    begin(&f, WAL_OS, 1);
    world_init(&other, f.disk, WAL_OS, 2);
    assert_false(world_open(&other));
    assert_string_equal(other.error.text, "another server is using the directory");
    end(&f);
}

/* Writes the header of the first segment anew. */
static void change_header(struct fixture *f, void (*change)(struct segment_header *h))
{
    char names[8][FILES_NAME_BYTES];
    struct segment_header header;
    size_t bytes;
    const size_t count = disk_list(f->disk, names, 8);
    for (size_t i = 0; i < count; i++) {
        if (!strstr(names[i], ".seg"))
            continue;
        uint8_t *copy = malloc(8 * WAL_SEGMENT_MIN);
        const uint8_t *data = disk_file_bytes(f->disk, names[i], &bytes);
        memcpy(copy, data, bytes);
        assert_int_equal(segment_header_read(copy, &header), SEGMENT_GOOD);
        change(&header);
        segment_header_put(copy, &header);
        disk_put_file(f->disk, names[i], copy, bytes);
        free(copy);
        return;
    }
    fail();
}

static void make_newer(struct segment_header *h)
{
    h->version = SEGMENT_VERSION + 1;
}

static void make_foreign(struct segment_header *h)
{
    h->log++;
}

/* The open is refused with that text in its line, and has changed nothing. */
static void assert_refused(struct fixture *f, const char *text)
{
    const uint64_t operations = disk_operations(f->disk), used = disk_used(f->disk);
    assert_false(world_open(&f->w));
    if (!strstr(f->w.error.text, text))
        fail_msg("'%s' does not say '%s'", f->w.error.text, text);
    assert_null(strchr(f->w.error.text, '\n'));
    assert_int_equal(disk_used(f->disk), used);
    assert_int_equal(disk_open_handles(f->disk), 0);
    (void)operations;
}

static void test_a_newer_format_is_refused_before_a_byte_is_touched(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_OS, 1);
    world_run(&f.w, 20);
    world_die(&f.w);
    disk_crash(f.disk, DISK_KEEP);
    change_header(&f, make_newer);
    assert_refused(&f, "written by a newer ringmq: log format 2, this one knows 1");
    end(&f);
}

static void test_a_segment_of_another_log_is_refused(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_OS, 1);
    world_run(&f.w, 100);
    assert_true(f.w.wal->segment_count > 1);
    world_die(&f.w);
    disk_crash(f.disk, DISK_KEEP);
    change_header(&f, make_foreign);
    assert_refused(&f, "belongs to another log");
    end(&f);
}

static void test_a_segment_that_is_missing_is_noticed(void **state)
{
    (void)state;
    for (uint32_t which = 0; which < 2; which++) {
        struct fixture f;
        begin(&f, WAL_OS, 1);
        world_run(&f.w, 200);
        while (f.w.wal->tail < 2)
            world_run(&f.w, 20);
        char name[FILES_NAME_BYTES];
        memcpy(name, f.w.wal->segments[which]->name, sizeof name);
        world_die(&f.w);
        disk_crash(f.disk, DISK_KEEP);
        const struct files *files = disk_files(f.disk);
        assert_int_equal(files->unlink(files->user, name), 0);
        assert_refused(&f, "is missing");
        end(&f);
    }
}

static void test_receipts_of_an_earlier_run_fit_nothing(void **state)
{
    struct fixture f;
    uint64_t receipts[40];
    (void)state;
    begin(&f, WAL_OS, 1);
    for (int run = 0; run < 40; run++) {
        publish(&f, "plain", 10);
        receipts[run] = receive(&f, "plain");
        world_turn(&f.w);
        world_die(&f.w);
        disk_crash(f.disk, DISK_KILL);
        reopen(&f);
        f.w.b.watcher = &f.w.watcher;
        for (int earlier = 0; earlier <= run; earlier++) {
            uint32_t applied;
            assert_int_equal(broker_ack(&f.w.b, f.w.now_ms, &receipts[earlier], 1, false, &applied), ERR_NONE);
            assert_int_equal(applied, 0);
        }
    }
    end(&f);
}

static void test_the_first_write_that_fails_is_final(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_OS, 1);
    world_run(&f.w, 5);
    drain_jobs(&f);
    const uint64_t safe = wal_safe(f.w.wal);
    publish(&f, "plain", 10);
    disk_fail_kinds(f.disk, DISK_WRITE);
    disk_fail_at(f.disk, 1, 5 /* EIO */, false);
    wal_write(f.w.wal, f.w.now_ms);
    assert_int_equal(wal_state(f.w.wal), WAL_FAILED);
    assert_int_equal(f.w.b.refusing, ERR_LOG_FAILED);
    const uint64_t operations = disk_operations(f.disk);
    world_run(&f.w, 20);
    assert_int_equal(wal_safe(f.w.wal), safe);
    assert_int_equal(disk_operations(f.disk), operations);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_level_os_a_confirm_waits_for_the_write),
        cmocka_unit_test(test_at_level_fsync_a_confirm_waits_for_the_sync_and_one_sync_serves_all),
        cmocka_unit_test(test_at_level_interval_a_sync_comes_when_its_time_has_come),
        cmocka_unit_test(test_what_was_closed_well_comes_back_whole),
        cmocka_unit_test(test_live_bytes_are_none_when_nothing_is_left),
        cmocka_unit_test(test_live_bytes_are_the_same_after_a_restart),
        cmocka_unit_test(test_a_few_old_messages_do_not_keep_the_segments_of_all_that_came_after_them),
        cmocka_unit_test(test_the_same_jobs_nacked_with_a_delay_again_and_again_do_not_make_the_log_grow),
        cmocka_unit_test(test_a_backlog_of_everything_is_compacted_within_the_bound),
        cmocka_unit_test(test_compaction_by_hand_leaves_nothing_dead_but_the_tail),
        cmocka_unit_test(test_an_event_larger_than_the_buffer_and_the_segment_is_one_batch),
        cmocka_unit_test(test_a_directory_in_use_is_refused),
        cmocka_unit_test(test_a_newer_format_is_refused_before_a_byte_is_touched),
        cmocka_unit_test(test_a_segment_of_another_log_is_refused),
        cmocka_unit_test(test_a_segment_that_is_missing_is_noticed),
        cmocka_unit_test(test_receipts_of_an_earlier_run_fit_nothing),
        cmocka_unit_test(test_the_first_write_that_fails_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
