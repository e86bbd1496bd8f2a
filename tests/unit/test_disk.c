/*
 * The disk in memory does what it says: a test that passes on it means something.
 */
#include "tests/support/disk.h"
#include "tests/support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TRIES 400

struct fixture {
    struct disk *disk;
    const struct files *files;
};

static int setup(void **state)
{
    static struct fixture f;
    f.disk = disk_new(1);
    f.files = disk_files(f.disk);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    disk_free(((struct fixture *)*state)->disk);
    return 0;
}

static int create(const struct fixture *f, const char *name)
{
    int handle = f->files->create(f->files->user, name);
    assert_true(handle >= 0);
    return handle;
}

static int put(const struct fixture *f, int handle, const char *text, uint64_t offset)
{
    return f->files->write(f->files->user, handle, text, strlen(text), offset);
}

static int save(const struct fixture *f, int handle)
{
    return f->files->sync(f->files->user, handle);
}

static int save_directory(const struct fixture *f)
{
    return f->files->sync_directory(f->files->user);
}

/* A file that is there after any crash; open. */
static int create_safe(const struct fixture *f, const char *name, const char *text)
{
    int handle = create(f, name);
    assert_int_equal(put(f, handle, text, 0), 0);
    assert_int_equal(save(f, handle), 0);
    assert_int_equal(save_directory(f), 0);
    return handle;
}

static bool holds(const struct disk *disk, const char *name, const void *expected, size_t count)
{
    size_t bytes;
    const uint8_t *data = disk_file_bytes(disk, name, &bytes);
    return data != NULL && bytes == count && memcmp(data, expected, bytes) == 0;
}

static bool there(const struct disk *disk, const char *name)
{
    size_t bytes;
    return disk_file_bytes(disk, name, &bytes) != NULL;
}

#define assert_holds(disk, name, text) assert_true(holds(disk, name, text, sizeof text - 1))

/* What a crash of a clone leaves. */
static struct disk *crashed(const struct disk *disk, enum disk_crash how, uint64_t seed)
{
    struct disk *copy = disk_clone(disk, seed);
    disk_crash(copy, how);
    return copy;
}

static void test_what_is_synced_survives_every_crash(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "12345");
    assert_int_equal(f->files->truncate(f->files->user, handle, 3), 0);
    assert_int_equal(f->files->allocate(f->files->user, handle, 6), 0);
    assert_int_equal(put(f, handle, "x", 1), 0);
    assert_int_equal(save(f, handle), 0);
    for (int how = 0; how < DISK_CRASHES; how++)
        for (uint64_t seed = 0; seed < TRIES; seed++) {
            struct disk *copy = crashed(f->disk, (enum disk_crash)how, seed);
            assert_holds(copy, "a", "1x3\0\0\0");
            disk_free(copy);
        }
}

static void test_what_is_not_synced_is_lost_or_kept_as_the_crash_says(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "old");
    assert_int_equal(put(f, handle, "new and longer", 0), 0);
    struct disk *copy = crashed(f->disk, DISK_LOSE, 1);
    assert_holds(copy, "a", "old");
    disk_free(copy);
    copy = crashed(f->disk, DISK_KEEP, 1);
    assert_holds(copy, "a", "new and longer");
    disk_free(copy);
}

static void test_a_killed_process_loses_nothing_and_saves_nothing(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "old");
    assert_int_equal(put(f, handle, "new", 0), 0);
    disk_crash(f->disk, DISK_KILL);
    assert_holds(f->disk, "a", "new");
    assert_int_equal(disk_open_handles(f->disk), 0);
    disk_crash(f->disk, DISK_LOSE);
    assert_holds(f->disk, "a", "old");
}

static void test_after_a_power_loss_what_is_there_is_safe(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "old");
    assert_int_equal(put(f, handle, "new", 0), 0);
    disk_crash(f->disk, DISK_KEEP);
    disk_crash(f->disk, DISK_LOSE);
    assert_holds(f->disk, "a", "new");
}

static void test_random_crashes_keep_any_choice_of_writes(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "....");
    assert_int_equal(put(f, handle, "1", 0), 0);
    assert_int_equal(put(f, handle, "2", 1), 0);
    assert_int_equal(put(f, handle, "3", 5), 0);
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        size_t bytes;
        struct disk *copy = crashed(f->disk, DISK_RANDOM, seed);
        const uint8_t *data = disk_file_bytes(copy, "a", &bytes);
        unsigned size_only = bytes == 6 && data[5] == 0, all = bytes == 6 && data[5] == '3';
        assert_true(bytes == 4 || (data[4] == 0 && size_only + all == 1));
        seen |= 1u << ((data[0] == '1') + 2u * (data[1] == '2') + 4 * size_only + 8 * all);
        disk_free(copy);
    }
    assert_int_equal(seen, 0xfff);
}

static void test_torn_crashes_cut_a_write_at_a_byte_or_mix_its_sectors(void **state)
{
    const struct fixture *f = *state;
    static char new[4 * 512 + 100];
    bool cut = false, mixed = false, short_file = false;
    int handle = create_safe(f, "a", "o");
    assert_int_equal(f->files->allocate(f->files->user, handle, 100), 0);
    assert_int_equal(save(f, handle), 0);
    memset(new, 'n', sizeof new);
    assert_int_equal(f->files->write(f->files->user, handle, new, sizeof new, 10), 0);
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        size_t bytes, end = 10;
        struct disk *copy = crashed(f->disk, DISK_TORN, seed);
        const uint8_t *data = disk_file_bytes(copy, "a", &bytes);
        assert_true(data[0] == 'o' && bytes >= 100 && bytes <= sizeof new + 10);
        while (end < bytes && data[end] == 'n')
            end++;
        cut |= end % 512 != 10 && end % 512 != 0;
        short_file |= bytes == 100;
        for (size_t i = end; i < bytes; i++)
            mixed |= data[i] == 'n';
        for (size_t i = 512; mixed && i + 1 < bytes; i++)
            assert_true(i % 512 == 511 || data[i] == data[i + 1] || (i + 1 == end && end % 512 != 0));
        disk_free(copy);
    }
    assert_true(cut && mixed && short_file);
}

static void test_a_sync_of_a_file_does_not_save_its_name(void **state)
{
    const struct fixture *f = *state;
    int handle = create(f, "a");
    assert_int_equal(put(f, handle, "x", 0), 0);
    assert_int_equal(save(f, handle), 0);
    struct disk *copy = crashed(f->disk, DISK_LOSE, 1);
    assert_false(there(copy, "a"));
    disk_free(copy);
    copy = crashed(f->disk, DISK_KEEP, 1);
    assert_holds(copy, "a", "x");
    disk_free(copy);
}

/* "create new", "rename old older", "unlink gone": which of them happened, as bits. */
static unsigned happened(const struct disk *disk)
{
    assert_true(there(disk, "old") != there(disk, "older"));
    return there(disk, "new") + 2u * there(disk, "older") + 4u * !there(disk, "gone");
}

static void test_changes_of_the_directory_are_undone_or_kept(void **state)
{
    const struct fixture *f = *state;
    unsigned seen = 0;
    (void)create_safe(f, "old", "");
    (void)create_safe(f, "gone", "");
    (void)create(f, "new");
    assert_int_equal(f->files->rename(f->files->user, "old", "older"), 0);
    assert_int_equal(f->files->unlink(f->files->user, "gone"), 0);
    assert_int_equal(happened(f->disk), 7);
    for (uint64_t seed = 0; seed < TRIES; seed++) {
        struct disk *copy = crashed(f->disk, DISK_RANDOM, seed);
        seen |= 1u << happened(copy);
        disk_free(copy);
        copy = crashed(f->disk, DISK_LOSE, seed);
        assert_int_equal(happened(copy), 0);
        disk_free(copy);
    }
    assert_int_equal(seen, 0xff);
    assert_int_equal(save_directory(f), 0);
    disk_crash(f->disk, DISK_LOSE);
    assert_int_equal(happened(f->disk), 7);
}

static void test_renaming_onto_a_file_replaces_it(void **state)
{
    const struct fixture *f = *state;
    char names[2][FILES_NAME_BYTES];
    (void)create_safe(f, "a", "1");
    (void)create_safe(f, "b", "2");
    assert_int_equal(f->files->rename(f->files->user, "a", "b"), 0);
    assert_int_equal(disk_list(f->disk, names, 2), 1);
    assert_string_equal(names[0], "b");
    assert_holds(f->disk, "b", "1");
    disk_crash(f->disk, DISK_LOSE);
    assert_holds(f->disk, "a", "1");
    assert_holds(f->disk, "b", "2");
}

static void test_an_unlinked_file_lives_as_long_as_it_is_open(void **state)
{
    const struct fixture *f = *state;
    char byte;
    int handle = create_safe(f, "a", "x");
    assert_int_equal(f->files->unlink(f->files->user, "a"), 0);
    assert_int_equal(save_directory(f), 0);
    assert_int_equal(f->files->read(f->files->user, handle, &byte, 1, 0), 1);
    assert_int_equal(disk_used(f->disk), 1);
    assert_int_equal(f->files->close(f->files->user, handle), 0);
    assert_int_equal(disk_used(f->disk), 0);
}

static void test_a_failed_sync_loses_for_good(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "");
    char text[] = "0123456789abcdef";
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(f->files->write(f->files->user, handle, text + i, 1, i), 0);
    disk_fail_at(f->disk, 1, EIO, false);
    assert_int_equal(save(f, handle), -EIO);
    assert_true(disk_failed(f->disk));
    assert_int_equal(save(f, handle), 0);
    assert_holds(f->disk, "a", "0123456789abcdef");
    disk_crash(f->disk, DISK_KEEP);
    assert_false(holds(f->disk, "a", text, 16));
}

static void test_the_nth_operation_fails_once_or_for_ever(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "");
    disk_fail_at(f->disk, 2, EIO, false);
    assert_int_equal(put(f, handle, "1", 0), 0);
    assert_int_equal(f->files->size(f->files->user, handle), 1); /* not counted */
    assert_false(disk_failed(f->disk));
    assert_int_equal(put(f, handle, "2", 1), -EIO);
    assert_int_equal(put(f, handle, "2", 1), 0);
    disk_fail_kinds(f->disk, DISK_SYNC | DISK_READ);
    disk_fail_at(f->disk, 2, ENOMEM, true);
    assert_int_equal(put(f, handle, "3", 2), 0);
    assert_int_equal(save(f, handle), 0);
    assert_int_equal(f->files->read(f->files->user, handle, (char[1]){0}, 1, 0), -ENOMEM);
    assert_int_equal(put(f, handle, "4", 3), 0);
    assert_int_equal(save(f, handle), -ENOMEM);
    disk_fail_at(f->disk, 0, 0, false);
    assert_int_equal(save(f, handle), 0);
}

static void test_a_failing_write_may_have_written_a_part(void **state)
{
    const struct fixture *f = *state;
    bool nothing = false, part = false;
    for (int i = 0; i < TRIES; i++) {
        size_t bytes;
        int handle = create(f, "a");
        disk_fail_at(f->disk, 1, EIO, false);
        assert_int_equal(put(f, handle, "1234", 0), -EIO);
        const uint8_t *data = disk_file_bytes(f->disk, "a", &bytes);
        assert_true(bytes < 4 && memcmp(data, "1234", bytes) == 0);
        nothing |= bytes == 0;
        part |= bytes > 0;
        assert_int_equal(f->files->close(f->files->user, handle), 0);
        assert_int_equal(f->files->unlink(f->files->user, "a"), 0);
    }
    assert_true(nothing && part);
}

static void test_a_failing_close_closes(void **state)
{
    const struct fixture *f = *state;
    int handle = create(f, "a");
    disk_fail_at(f->disk, 1, EIO, false);
    assert_int_equal(f->files->close(f->files->user, handle), -EIO);
    assert_int_equal(disk_open_handles(f->disk), 0);
}

static void test_a_stopped_disk_does_nothing_until_the_crash(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "1");
    uint64_t before = disk_operations(f->disk);
    disk_stop_at(f->disk, 2);
    assert_int_equal(put(f, handle, "2", 1), 0);
    assert_int_equal(f->files->size(f->files->user, handle), 2);
    assert_false(disk_stopped(f->disk));
    assert_int_equal(put(f, handle, "3", 2), 0);
    assert_true(disk_stopped(f->disk));
    assert_int_equal(disk_operations(f->disk) - before, 2);
    assert_int_equal(put(f, handle, "4", 3), -EIO);
    assert_int_equal(save(f, handle), -EIO);
    assert_int_equal(save_directory(f), -EIO);
    assert_int_equal(f->files->read(f->files->user, handle, (char[1]){0}, 1, 0), -EIO);
    assert_int_equal(f->files->create(f->files->user, "b"), -EIO);
    assert_int_equal(f->files->rename(f->files->user, "a", "b"), -EIO);
    assert_int_equal(f->files->unlink(f->files->user, "a"), -EIO);
    assert_int_equal(f->files->truncate(f->files->user, handle, 0), -EIO);
    assert_int_equal(f->files->allocate(f->files->user, handle, 9), -EIO);
    assert_int_equal(disk_operations(f->disk) - before, 2);
    struct disk *copy = crashed(f->disk, DISK_LOSE, 1);
    assert_holds(copy, "a", "1");
    disk_free(copy);
    disk_crash(f->disk, DISK_KEEP);
    assert_holds(f->disk, "a", "123");
    assert_int_equal(disk_list(f->disk, NULL, 0), 1);
    assert_true(f->files->open(f->files->user, "a", 1) >= 0);
}

static void test_a_full_disk_takes_what_has_blocks_already(void **state)
{
    const struct fixture *f = *state;
    int a = create(f, "a"), b = create(f, "b");
    disk_set_capacity(f->disk, 10);
    assert_int_equal(f->files->allocate(f->files->user, a, 6), 0);
    assert_int_equal(put(f, b, "12345", 0), -ENOSPC);
    assert_holds(f->disk, "b", "1234");
    assert_int_equal(put(f, a, "123456", 0), 0);
    assert_int_equal(put(f, a, "7", 6), -ENOSPC);
    assert_int_equal(f->files->allocate(f->files->user, a, 7), -ENOSPC);
    assert_int_equal(disk_used(f->disk), 10);
    assert_int_equal(f->files->close(f->files->user, b), 0);
    assert_int_equal(f->files->unlink(f->files->user, "b"), 0);
    assert_int_equal(put(f, a, "7890", 6), 0);
    assert_int_equal(f->files->truncate(f->files->user, a, 2), 0);
    assert_int_equal(disk_used(f->disk), 2);
    assert_int_equal(f->files->allocate(f->files->user, a, 11), -ENOSPC);
    disk_set_capacity(f->disk, 11);
    assert_int_equal(f->files->allocate(f->files->user, a, 11), 0);
    assert_holds(f->disk, "a", "12\0\0\0\0\0\0\0\0\0");
}

static int collect_name(void *arg, const char *name)
{
    strcat(arg, name);
    return name[0] == 'x' ? 7 : 0;
}

static void test_names_are_listed_until_the_callback_stops(void **state)
{
    const struct fixture *f = *state;
    char all[8] = "";
    (void)create(f, "a");
    (void)create(f, "b");
    assert_int_equal(f->files->list(f->files->user, collect_name, all), 0);
    assert_true(strcmp(all, "ab") == 0 || strcmp(all, "ba") == 0);
    (void)create(f, "x");
    assert_int_equal(f->files->list(f->files->user, collect_name, (char[8]){0}), 7);
    assert_int_equal(f->files->create(f->files->user, "a"), -EEXIST);
    assert_int_equal(f->files->open(f->files->user, "c", 0), -ENOENT);
    assert_int_equal(f->files->rename(f->files->user, "c", "d"), -ENOENT);
    assert_int_equal(f->files->unlink(f->files->user, "c"), -ENOENT);
}

static void test_the_lock_is_held_until_the_process_dies(void **state)
{
    const struct fixture *f = *state;
    assert_int_equal(f->files->lock(f->files->user), 0);
    assert_int_equal(f->files->lock(f->files->user), -EWOULDBLOCK);
    disk_crash(f->disk, DISK_KILL);
    assert_int_equal(f->files->lock(f->files->user), 0);
}

static void test_files_can_be_changed_from_outside(void **state)
{
    const struct fixture *f = *state;
    size_t bytes;
    disk_put_file(f->disk, "a", "abcd", 4);
    disk_flip_bit(f->disk, "a", 8);
    disk_crash(f->disk, DISK_LOSE);
    assert_holds(f->disk, "a", "accd");
    disk_put_file(f->disk, "a", disk_file_bytes(f->disk, "a", &bytes), 2);
    disk_crash(f->disk, DISK_LOSE);
    assert_holds(f->disk, "a", "ac");
}

static void test_the_trace_tells_the_operations(void **state)
{
    const struct fixture *f = *state;
    int handle = create(f, "a");
    disk_fail_at(f->disk, 2, EIO, false);
    (void)put(f, handle, "1234", 7);
    (void)save(f, handle);
    (void)f->files->rename(f->files->user, "a", "b");
    (void)f->files->allocate(f->files->user, handle, 100);
    (void)save_directory(f);
    assert_string_equal(disk_trace(f->disk), "create a = 0\n"
                                             "write a 7+4 = 0\n"
                                             "sync a = -5\n"
                                             "rename a b = 0\n"
                                             "allocate b 100 = 0\n"
                                             "sync_directory = 0\n");
}

static void test_a_clone_and_its_original_go_their_own_ways(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "old");
    assert_int_equal(put(f, handle, "1", 0), 0);
    struct disk *copy = disk_clone(f->disk, 1);
    const struct fixture other = {.disk = copy, .files = disk_files(copy)};
    int other_handle = other.files->open(other.files->user, "a", 1);
    assert_int_equal(put(f, handle, "2", 1), 0);
    assert_int_equal(put(&other, other_handle, "3", 2), 0);
    assert_holds(f->disk, "a", "12d");
    assert_holds(copy, "a", "1l3");
    assert_int_equal(save(&other, other_handle), 0);
    (void)create(&other, "b");
    assert_false(there(f->disk, "b"));
    disk_flip_bit(copy, "a", 0);
    assert_holds(copy, "a", "0l3");
    disk_crash(f->disk, DISK_LOSE);
    assert_holds(f->disk, "a", "old");
    disk_free(copy);
    assert_holds(f->disk, "a", "old");
}

static void test_the_same_seed_gives_the_same_crash(void **state)
{
    const struct fixture *f = *state;
    int handle = create_safe(f, "a", "");
    for (uint64_t i = 0; i < 64; i++)
        assert_int_equal(put(f, handle, "x", i), 0);
    for (uint64_t seed = 0; seed < 20; seed++) {
        size_t bytes, other_bytes;
        struct disk *one = crashed(f->disk, DISK_RANDOM, seed), *other = crashed(f->disk, DISK_RANDOM, seed);
        const uint8_t *data = disk_file_bytes(one, "a", &bytes);
        const uint8_t *other_data = disk_file_bytes(other, "a", &other_bytes);
        assert_int_equal(bytes, other_bytes);
        assert_memory_equal(data, other_data, bytes);
        disk_free(one);
        disk_free(other);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_synced_survives_every_crash),
        TEST(test_what_is_not_synced_is_lost_or_kept_as_the_crash_says),
        TEST(test_a_killed_process_loses_nothing_and_saves_nothing),
        TEST(test_after_a_power_loss_what_is_there_is_safe),
        TEST(test_random_crashes_keep_any_choice_of_writes),
        TEST(test_torn_crashes_cut_a_write_at_a_byte_or_mix_its_sectors),
        TEST(test_a_sync_of_a_file_does_not_save_its_name),
        TEST(test_changes_of_the_directory_are_undone_or_kept),
        TEST(test_renaming_onto_a_file_replaces_it),
        TEST(test_an_unlinked_file_lives_as_long_as_it_is_open),
        TEST(test_a_failed_sync_loses_for_good),
        TEST(test_the_nth_operation_fails_once_or_for_ever),
        TEST(test_a_failing_write_may_have_written_a_part),
        TEST(test_a_failing_close_closes),
        TEST(test_a_stopped_disk_does_nothing_until_the_crash),
        TEST(test_a_full_disk_takes_what_has_blocks_already),
        TEST(test_names_are_listed_until_the_callback_stops),
        TEST(test_the_lock_is_held_until_the_process_dies),
        TEST(test_files_can_be_changed_from_outside),
        TEST(test_the_trace_tells_the_operations),
        TEST(test_a_clone_and_its_original_go_their_own_ways),
        TEST(test_the_same_seed_gives_the_same_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
