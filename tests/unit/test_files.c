/*
 * The files of the system, in a directory of their own. The calls that a disk answers oddly only now and then are this program's:
 * they pass on to the kernel, unless a test says otherwise.
 */
#include "server/log/files.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the system's calls -------------------------------------------------------------------------------------------- */

static struct {
    int interrupted;    /* so many calls are -EINTR first */
    size_t most;        /* what one call reads or writes at most; 0: all */
    int write_error;    /* of a write after a short one */
    int allocate_error; /* of each fallocate */
    int sync_error;     /* of each fdatasync */
    unsigned reads, writes, syncs;
} trouble;

static int interrupted(void)
{
    if (trouble.interrupted == 0)
        return 0;
    trouble.interrupted--;
    errno = EINTR;
    return 1;
}

static size_t at_most(size_t bytes)
{
    return trouble.most > 0 && bytes > trouble.most ? trouble.most : bytes;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    if (interrupted())
        return -1;
    if (trouble.writes++ > 0 && trouble.write_error != 0) {
        errno = trouble.write_error;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, at_most(bytes), offset);
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
    trouble.reads++;
    return interrupted() ? -1 : syscall(SYS_pread64, fd, data, at_most(bytes), offset);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    if (interrupted())
        return -1;
    errno = trouble.allocate_error;
    return errno != 0 ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

int fdatasync(int fd)
{
    trouble.syncs++;
    errno = trouble.sync_error;
    return errno != 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* ---- the fixture --------------------------------------------------------------------------------------------------- */

struct fixture {
    char root[64];
    char directory[80]; /* root/log */
    struct files files;
};

static char *path(const struct fixture *f, const char *name)
{
    static char text[256];
    snprintf(text, sizeof text, "%s/%s", f->directory, name);
    return text;
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.root = "/tmp/ringmq-files-XXXXXX"};
    memset(&trouble, 0, sizeof trouble);
    if (mkdtemp(f.root) == NULL)
        return -1;
    snprintf(f.directory, sizeof f.directory, "%s/log", f.root);
    *state = &f;
    return files_open(&f.files, f.directory, 1);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    files_close(&f->files);
    snprintf(command, sizeof command, "rm -r '%s'", f->root);
    return system(command);
}

static int create(const struct fixture *f, const char *name)
{
    int handle = f->files.create(f->files.user, name);
    assert_true(handle >= 0);
    return handle;
}

static void assert_holds(const struct fixture *f, int handle, const char *expected)
{
    char data[256] = "";
    int64_t bytes = (int64_t)strlen(expected);
    assert_int_equal(f->files.size(f->files.user, handle), bytes);
    assert_int_equal(f->files.read(f->files.user, handle, data, sizeof data - 1, 0), bytes);
    assert_string_equal(data, expected);
}

static mode_t mode_of(const char *name)
{
    struct stat status;
    assert_int_equal(stat(name, &status), 0);
    return status.st_mode & 07777;
}

/* ---- the directory ------------------------------------------------------------------------------------------------ */

static void test_the_directory_is_made_for_its_owner_only(void **state)
{
    const struct fixture *f = *state;
    struct files again;
    assert_int_equal(mode_of(f->directory), 0700);
    assert_int_equal(files_open(&again, f->directory, 1), 0);
    files_close(&again);
}

static void test_a_directory_that_cannot_be_had_is_an_error(void **state)
{
    const struct fixture *f = *state;
    struct files files;
    assert_int_equal(files_open(&files, path(f, "missing"), 0), -ENOENT);
    assert_int_equal(files_open(&files, path(f, "missing/below"), 1), -ENOENT);
    close(create(f, "file"));
    assert_int_equal(files_open(&files, path(f, "file"), 1), -ENOTDIR);
}

static void test_files_are_for_their_owner_only_and_not_inherited(void **state)
{
    const struct fixture *f = *state;
    mode_t before = umask(0);
    int made = create(f, "a"), opened = f->files.open(f->files.user, "a", 1);
    assert_int_equal(f->files.lock(f->files.user), 0);
    umask(before);
    assert_int_equal(mode_of(path(f, "a")), 0600);
    assert_int_equal(mode_of(path(f, "lock")), 0600);
    assert_true(fcntl(made, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(opened, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(f->files.close(f->files.user, made), 0);
    assert_int_equal(f->files.close(f->files.user, opened), 0);
}

static void test_a_locked_directory_is_refused_to_others_until_it_is_closed(void **state)
{
    const struct fixture *f = *state;
    struct files other, third;
    assert_int_equal(files_open(&other, f->directory, 0), 0);
    assert_int_equal(files_open(&third, f->directory, 0), 0);
    assert_int_equal(other.lock(other.user), 0);
    assert_int_equal(third.lock(third.user), -EWOULDBLOCK);
    assert_int_equal(third.lock(third.user), -EWOULDBLOCK);
    files_close(&other);
    assert_int_equal(third.lock(third.user), 0);
    files_close(&third);
}

struct names {
    char all[64];
    int stop;
};

static int add_name(void *arg, const char *name)
{
    struct names *names = arg;
    strcat(names->all, name);
    return names->stop;
}

static void test_only_regular_files_are_listed(void **state)
{
    const struct fixture *f = *state;
    struct names names = {0};
    char long_name[FILES_NAME_BYTES + 1];
    memset(long_name, 'x', FILES_NAME_BYTES);
    long_name[FILES_NAME_BYTES] = '\0';
    close(create(f, long_name));
    close(create(f, "a"));
    close(create(f, ".b"));
    assert_int_equal(mkdir(path(f, "directory"), 0700), 0);
    assert_int_equal(mkfifo(path(f, "fifo"), 0600), 0);
    assert_int_equal(symlink("a", path(f, "link")), 0);
    for (int twice = 0; twice < 2; twice++) {
        names.all[0] = '\0';
        assert_int_equal(f->files.list(f->files.user, add_name, &names), 0);
        assert_true(strcmp(names.all, "a.b") == 0 || strcmp(names.all, ".ba") == 0);
    }
    names = (struct names){.stop = 7};
    assert_int_equal(f->files.list(f->files.user, add_name, &names), 7);
    assert_true(strcmp(names.all, "a") == 0 || strcmp(names.all, ".b") == 0);
}

static void test_names_are_changed_and_taken_away(void **state)
{
    const struct fixture *f = *state;
    close(create(f, "a"));
    assert_int_equal(f->files.create(f->files.user, "a"), -EEXIST);
    assert_int_equal(f->files.rename(f->files.user, "a", "b"), 0);
    assert_int_equal(f->files.rename(f->files.user, "a", "b"), -ENOENT);
    assert_int_equal(f->files.open(f->files.user, "a", 0), -ENOENT);
    assert_int_equal(f->files.unlink(f->files.user, "b"), 0);
    assert_int_equal(f->files.unlink(f->files.user, "b"), -ENOENT);
    assert_int_equal(f->files.sync_directory(f->files.user), 0);
}

static void test_a_moved_directory_is_still_the_same(void **state)
{
    struct fixture *f = *state;
    char moved[sizeof f->directory];
    snprintf(moved, sizeof moved, "%s/moved", f->root);
    assert_int_equal(rename(f->directory, moved), 0);
    strcpy(f->directory, moved);
    close(create(f, "a"));
    assert_int_equal(mode_of(path(f, "a")), 0600);
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static void test_what_was_written_is_read_and_short_only_at_the_end(void **state)
{
    const struct fixture *f = *state;
    char data[8];
    int handle = create(f, "a");
    assert_int_equal(f->files.write(f->files.user, handle, "world", 5, 6), 0);
    assert_int_equal(f->files.write(f->files.user, handle, "hello ", 6, 0), 0);
    assert_int_equal(f->files.sync(f->files.user, handle), 0);
    assert_int_equal(f->files.want(f->files.user, handle, 11), 0);
    assert_holds(f, handle, "hello world");
    assert_int_equal(f->files.read(f->files.user, handle, data, 8, 8), 3);
    assert_memory_equal(data, "rld", 3);
    assert_int_equal(f->files.read(f->files.user, handle, data, 8, 11), 0);
    assert_int_equal(f->files.read(f->files.user, handle, data, 8, 100), 0);
    assert_int_equal(f->files.truncate(f->files.user, handle, 5), 0);
    assert_holds(f, handle, "hello");
    assert_int_equal(f->files.close(f->files.user, handle), 0);
    assert_int_equal(f->files.close(f->files.user, handle), -EBADF);
}

static void test_a_file_opened_for_reading_is_not_written(void **state)
{
    const struct fixture *f = *state;
    close(create(f, "a"));
    int handle = f->files.open(f->files.user, "a", 0);
    assert_true(handle >= 0);
    assert_int_equal(f->files.write(f->files.user, handle, "x", 1, 0), -EBADF);
    assert_int_equal(f->files.close(f->files.user, handle), 0);
}

static void test_interrupted_and_short_calls_are_continued(void **state)
{
    const struct fixture *f = *state;
    char data[9] = "";
    int handle = create(f, "a");
    trouble.interrupted = 2;
    trouble.most = 3;
    assert_int_equal(f->files.write(f->files.user, handle, "12345678", 8, 0), 0);
    assert_int_equal(trouble.writes, 3);
    trouble.interrupted = 1;
    assert_int_equal(f->files.read(f->files.user, handle, data, 8, 0), 8);
    assert_string_equal(data, "12345678");
    assert_int_equal(trouble.reads, 4);
    trouble.interrupted = 1;
    assert_int_equal(f->files.allocate(f->files.user, handle, 100), 0);
    assert_int_equal(f->files.close(f->files.user, handle), 0);
}

static void test_an_error_after_a_part_was_written_is_an_error(void **state)
{
    const struct fixture *f = *state;
    int handle = create(f, "a");
    trouble.most = 3;
    trouble.write_error = ENOSPC;
    assert_int_equal(f->files.write(f->files.user, handle, "12345678", 8, 0), -ENOSPC);
    assert_int_equal(f->files.close(f->files.user, handle), 0);
}

static void test_a_failed_sync_is_not_tried_again(void **state)
{
    const struct fixture *f = *state;
    int handle = create(f, "a");
    trouble.sync_error = EINTR;
    assert_int_equal(f->files.sync(f->files.user, handle), -EINTR);
    assert_int_equal(trouble.syncs, 1);
    assert_int_equal(f->files.close(f->files.user, handle), 0);
}

static void test_allocating_gives_blocks_and_keeps_what_is_there(void **state)
{
    const struct fixture *f = *state;
    const int errors[] = {0, EOPNOTSUPP, ENOSYS};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        const uint64_t bytes = 600 * 1024;
        struct stat status;
        static char data[600 * 1024], zeros[600 * 1024];
        int handle = create(f, "a");
        trouble.allocate_error = errors[i];
        trouble.writes = 0;
        assert_int_equal(f->files.write(f->files.user, handle, "abc", 3, 0), 0);
        assert_int_equal(f->files.allocate(f->files.user, handle, bytes), 0);
        assert_int_equal(f->files.allocate(f->files.user, handle, 10), 0);
        assert_int_equal(f->files.allocate(f->files.user, handle, 0), 0);
        assert_int_equal(trouble.writes, errors[i] == 0 ? 1 : 4);
        assert_int_equal(f->files.sync(f->files.user, handle), 0);
        assert_int_equal(fstat(handle, &status), 0);
        assert_int_equal(status.st_size, bytes);
        assert_true((uint64_t)status.st_blocks * 512 >= bytes);
        assert_int_equal(f->files.read(f->files.user, handle, data, bytes, 0), bytes);
        assert_memory_equal(data, "abc", 3);
        assert_memory_equal(data + 3, zeros, bytes - 3);
        assert_int_equal(f->files.close(f->files.user, handle), 0);
        assert_int_equal(f->files.unlink(f->files.user, "a"), 0);
    }
}

static void test_allocating_without_room_is_an_error(void **state)
{
    const struct fixture *f = *state;
    int handle = create(f, "a");
    trouble.allocate_error = ENOSPC;
    assert_int_equal(f->files.allocate(f->files.user, handle, 4096), -ENOSPC);
    assert_int_equal(f->files.size(f->files.user, handle), 0);
    assert_int_equal(f->files.close(f->files.user, handle), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_directory_is_made_for_its_owner_only),
        TEST(test_a_directory_that_cannot_be_had_is_an_error),
        TEST(test_files_are_for_their_owner_only_and_not_inherited),
        TEST(test_a_locked_directory_is_refused_to_others_until_it_is_closed),
        TEST(test_only_regular_files_are_listed),
        TEST(test_names_are_changed_and_taken_away),
        TEST(test_a_moved_directory_is_still_the_same),
        TEST(test_what_was_written_is_read_and_short_only_at_the_end),
        TEST(test_a_file_opened_for_reading_is_not_written),
        TEST(test_interrupted_and_short_calls_are_continued),
        TEST(test_an_error_after_a_part_was_written_is_an_error),
        TEST(test_a_failed_sync_is_not_tried_again),
        TEST(test_allocating_gives_blocks_and_keeps_what_is_there),
        TEST(test_allocating_without_room_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
