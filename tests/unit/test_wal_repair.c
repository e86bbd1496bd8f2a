/* What repair gets out of a damaged log, and a copy of a log that is written to meanwhile. */
#include "tests/support/wal_tour.h"
#include "tests/support/wal_wounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MESSAGES 60
#define LOG_MOST (512 * 1024) /* of a repaired log, whose segment is a large file */

struct fixture {
    struct disk *disk;
    struct wal_world w;
    struct wounds x;
    char directory[32];
    char said[4096]; /* what repair reports */
    struct wal_error error;
};

static void begin(struct fixture *f, enum wal_level level, uint64_t seed)
{
    *f = (struct fixture){.disk = disk_new(seed)};
    world_init(&f->w, f->disk, level, seed);
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

static void on_line(void *user, const char *line)
{
    struct fixture *f = user;
    assert_null(strchr(line, '\n'));
    const size_t had = strlen(f->said);
    snprintf(f->said + had, sizeof f->said - had, "%s\n", line);
}

/* ---- repair ------------------------------------------------------------------------------------------------------ */

static void remove_directory(struct fixture *f)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", f->directory);
    assert_int_equal(system(command), 0);
}

/* What a repair has written, on a disk for the world. */
static struct disk *take_in(struct fixture *f)
{
    struct disk *disk = disk_new(1);
    char path[64];
    uint8_t *data = calloc(1, LOG_MOST);
    assert_non_null(data);
    snprintf(path, sizeof path, "%s/0000000000000001.seg", f->directory);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t bytes = fread(data, 1, LOG_MOST, file);
    (void)fclose(file);
    disk_put_file(disk, "0000000000000001.seg", data, bytes);
    free(data);
    return disk;
}

/* Repairs what is on the disk, and opens the new log as the world. */
static void repair(struct fixture *f, struct disk *from)
{
    struct files to;
    f->said[0] = 0;
    snprintf(f->directory, sizeof f->directory, "/tmp/ringmq-repair-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    assert_int_equal(files_open(&to, f->directory, 1), 0);
    if (!wal_repair(disk_files(from), &to, on_line, f, &f->error))
        fail_msg("%s", f->error.text);
    files_close(&to);
    f->w.disk = take_in(f);
    remove_directory(f);
    if (!world_open(&f->w))
        fail_msg("%s", f->w.error.text);
}

static void repaired(struct fixture *f)
{
    struct disk *disk = f->w.disk;
    world_die(&f->w);
    disk_free(disk);
    f->w.disk = f->disk;
}

static void test_repair_of_a_good_log_is_the_same_state(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct fixture f;
        begin(&f, WAL_FSYNC, seed);
        world_tour(&f.w);
        world_run(&f.w, 50);
        const struct wal_world_state last = f.w.history[f.w.history_count - 1];
        world_die(&f.w);
        disk_crash(f.disk, DISK_KILL);
        repair(&f, f.disk);
        assert_int_equal(broker_digest(&f.w.b, last.at_ms), last.digest);
        assert_non_null(strstr(f.said, " 0 are damaged or missing, 0 files have a damaged header"));
        repaired(&f);
        end(&f);
    }
}

static void publish(struct fixture *f, uint64_t number)
{
    struct queue *q = broker_queue_find(&f->w.b, "plain", 5);
    const struct publication p = {.body = {&number, sizeof number}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &p, .count = 1};
    const struct publish_options options = {0};
    struct publish_result result;
    assert_int_equal(broker_publish(&f->w.b, f->w.now_ms, q, &all, &options, &result), ERR_NONE);
    assert_int_equal(result.first_id, number);
    world_turn(&f->w);
    world_jobs(&f->w, 2);
}

/* Messages 1 .. MESSAGES, a batch each, and nothing behind them. */
static void numbered_log(struct fixture *f)
{
    begin(f, WAL_OS, 1); /* one segment */
    f->w.b.watcher = &f->w.watcher;
    for (uint64_t i = 1; i <= MESSAGES; i++)
        publish(f, i);
    world_die(&f->w);
    wounds_begin(&f->x, &f->w);
    assert_int_equal(f->x.batch_count, MESSAGES); /* the first has the definitions, too */
}

static void assert_all_but(struct fixture *f, uint64_t lost)
{
    struct queue *q = broker_queue_find(&f->w.b, "plain", 5);
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        enum message_state state;
        const struct message *m = restore_find(q, i, &state);
        assert_int_equal(m != NULL, i != lost);
        assert_true(!m || (state == MESSAGE_READY && message_body(m).bytes == sizeof i &&
                           memcmp(message_body(m).data, &i, sizeof i) == 0));
    }
}

static void test_repair_loses_what_is_damaged_and_nothing_else(void **state)
{
    struct fixture f;
    (void)state;
    numbered_log(&f);
    uint8_t *copy = malloc(WAL_SEGMENT_MIN);
    assert_non_null(copy);
    for (size_t i = 2; i < MESSAGES; i += 7) {
        const struct wound_batch *b = &f.x.batches[i - 1];
        const struct wound_file *file = &f.x.files[b->file];
        memcpy(copy, file->data, file->bytes);
        copy[i % 2 ? b->offset + 9 : b->end - 2] ^= 4; /* its header, its record */
        struct disk *disk = wounds_disk(&f.x, b->file, copy, file->bytes);
        repair(&f, disk);
        assert_all_but(&f, i);
        assert_non_null(strstr(f.said, i % 2 ? "1 batches are missing before offset" : "is damaged\n"));
        assert_non_null(strstr(f.said, " 1 are damaged or missing"));
        repaired(&f);
        disk_free(disk);
    }
    free(copy);
    wounds_end(&f.x);
    end(&f);
}

static void test_repair_of_anything_gives_a_log_that_opens(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, WAL_FSYNC, 7);
    world_run(&f.w, 50);
    world_tour(&f.w);
    world_die(&f.w);
    wounds_begin(&f.x, &f.w);
    for (int n = 0; n < 60; n++) {
        const uint32_t i = (uint32_t)random_below(&f.w.random, f.x.file_count);
        const size_t bytes = f.x.files[i].bytes, at = random_below(&f.w.random, bytes - 512);
        uint8_t *copy = malloc(bytes);
        assert_non_null(copy);
        memcpy(copy, f.x.files[i].data, bytes);
        memmove(copy + at, copy + random_below(&f.w.random, bytes - 512), 512);
        struct disk *disk = wounds_disk(&f.x, i, copy, bytes);
        repair(&f, disk);
        for (int turns = 0; turns < 5; turns++)
            world_turn(&f.w);
        repaired(&f);
        disk_free(disk);
        free(copy);
    }
    wounds_end(&f.x);
    end(&f);
}

static void test_a_target_that_holds_a_log_is_refused(void **state)
{
    struct fixture f;
    struct wal_error error;
    (void)state;
    begin(&f, WAL_FSYNC, 1);
    struct disk *other = disk_clone(f.disk, 1);
    const uint64_t used = disk_used(f.disk);
    world_die(&f.w);
    assert_false(wal_repair(disk_files(other), disk_files(f.disk), on_line, &f, &error));
    assert_string_equal(error.text, "the target directory holds a log already");
    assert_false(wal_copy(disk_files(other), disk_files(f.disk), on_line, &f, &error));
    assert_string_equal(error.text, "the target directory holds a log already");
    assert_int_equal(disk_used(f.disk), used);
    assert_string_equal(f.said, "");
    disk_free(other);
    end(&f);
}

static void test_a_log_in_use_is_not_repaired(void **state)
{
    struct fixture f;
    struct wal_error error;
    (void)state;
    begin(&f, WAL_FSYNC, 1);
    struct disk *to = disk_new(1);
    assert_false(wal_repair(disk_files(f.disk), disk_files(to), on_line, &f, &error));
    assert_string_equal(error.text, "a server is using the directory");
    assert_int_equal(disk_list(to, NULL, 0), 0);
    disk_free(to);
    end(&f);
}

/* ---- copy -------------------------------------------------------------------------------------------------------- */

struct busy {
    struct files files; /* of the disk in use */
    struct wal_world *w;
    uint32_t turns; /* of the server: after each operation of the copy, or */
    size_t large;   /* > 0: after each read of so many bytes of the tail */
    int tail;
};

static int busy_list(void *user, int (*name_cb)(void *arg, const char *name), void *arg)
{
    struct busy *busy = user;
    return busy->files.list(busy->files.user, name_cb, arg);
}

static int busy_open(void *user, const char *name, int writable)
{
    struct busy *busy = user;
    if (busy->large == 0)
        world_run(busy->w, busy->turns);
    const int handle = busy->files.open(busy->files.user, name, writable);
    if (strcmp(name, wal_tail(busy->w->wal)->name) == 0)
        busy->tail = handle;
    return handle;
}

static int busy_close(void *user, int handle)
{
    struct busy *busy = user;
    return busy->files.close(busy->files.user, handle);
}

static int64_t busy_size(void *user, int handle)
{
    struct busy *busy = user;
    return busy->files.size(busy->files.user, handle);
}

static int64_t busy_read(void *user, int handle, void *data, size_t bytes, uint64_t offset)
{
    struct busy *busy = user;
    const int64_t result = busy->files.read(busy->files.user, handle, data, bytes, offset);
    if (busy->large == 0 || (bytes >= busy->large && handle == busy->tail))
        world_run(busy->w, busy->turns);
    return result;
}

/* Copies while the world goes on, and opens the copy. */
static void copy_in_use(struct fixture *f, uint32_t turns, size_t large)
{
    struct busy busy = {*disk_files(f->disk), &f->w, turns, large, -1};
    const struct files from = {
        .user = &busy, .list = busy_list, .open = busy_open, .close = busy_close, .size = busy_size, .read = busy_read};
    struct disk *to = disk_new(1);
    const uint64_t batch = world_batch(&f->w);
    if (!wal_copy(&from, disk_files(to), on_line, f, &f->error))
        fail_msg("%s", f->error.text);
    struct wal_world copy = f->w;
    disk_crash(to, DISK_LOSE);
    copy.disk = to;
    if (!world_open(&copy))
        fail_msg("%s", copy.error.text);
    assert_int_equal(copy.wal->info.cut_batches, 0);
    assert_true(world_batch(&copy) >= batch);
    assert_true(world_is_as_it_was(&copy));
    world_die(&copy);
    disk_free(to);
}

static void test_a_copy_of_a_log_in_use_is_the_log_of_one_moment(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct fixture f;
        begin(&f, WAL_FSYNC, seed);
        for (int i = 0; i < 10; i++) {
            world_run(&f.w, 20);
            copy_in_use(&f, 1, 0);
        }
        end(&f);
    }
}

static void test_what_is_appended_while_a_large_file_is_copied_leaves_no_gap(void **state)
{
    struct fixture f = {.disk = disk_new(1)};
    (void)state;
    world_init(&f.w, f.disk, WAL_FSYNC, 1);
    f.w.options.segment_bytes = 4 * 1024 * 1024;
    f.w.large = 1;
    assert_true(world_open(&f.w));
    world_prepare(&f.w);
    while (wal_tail(f.w.wal)->used < (1 << 20) - 150000)
        world_run(&f.w, 1);
    copy_in_use(&f, 60, 1 << 20); /* the first MiB is read, the file grows beyond it, and is read on */
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repair_of_a_good_log_is_the_same_state),
        cmocka_unit_test(test_repair_loses_what_is_damaged_and_nothing_else),
        cmocka_unit_test(test_repair_of_anything_gives_a_log_that_opens),
        cmocka_unit_test(test_a_target_that_holds_a_log_is_refused),
        cmocka_unit_test(test_a_log_in_use_is_not_repaired),
        cmocka_unit_test(test_a_copy_of_a_log_in_use_is_the_log_of_one_moment),
        cmocka_unit_test(test_what_is_appended_while_a_large_file_is_copied_leaves_no_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
