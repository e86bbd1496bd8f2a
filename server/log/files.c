/*
 * files: the table over the system calls. A handle is a file descriptor; everything is relative to the descriptor of the
 * directory, so that a directory that is moved while it is in use is still the same one.
 *
 * What can fail: everything, and each failure goes up as -errno. A call that a signal interrupted is made again, except
 * fdatasync, fsync and close: after an error of these nobody can say what is on the disk, and a second call that succeeds would
 * only hide that. Linux has freed the descriptor even if close fails.
 *
 * Invariants: no descriptor is inherited by another program. Files are readable by their owner only. A read is short only at
 * the end of the file, and a write never.
 */
#include "server/log/files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME   "lock"
#define ZEROS_BYTES ((size_t)256 * 1024)

struct directory {
    int fd;
    int lock_fd; /* -1: not locked */
};

static int directory_fd(const void *user)
{
    return ((const struct directory *)user)->fd;
}

/* A descriptor, or -errno. */
static int open_at(int directory, const char *name, int flags)
{
    int fd;
    do
        fd = openat(directory, name, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* ---- the directory ------------------------------------------------------------------------------------------------ */

/* 1 or 0, or -errno. */
static int is_regular(int directory, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISREG(status.st_mode);
    return errno == ENOENT ? 0 : -errno;
}

static int directory_list(void *user, int (*name_cb)(void *arg, const char *name), void *arg)
{
    int fd = open_at(directory_fd(user), ".", O_RDONLY | O_DIRECTORY), result = 0;
    if (fd < 0)
        return fd;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        result = -errno;
        close(fd);
        return result;
    }
    while (result == 0) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            result = -errno;
            break;
        }
        if (strlen(entry->d_name) >= FILES_NAME_BYTES)
            continue;
        result = is_regular(fd, entry);
        if (result > 0)
            result = name_cb(arg, entry->d_name);
    }
    closedir(stream);
    return result;
}

static int directory_sync(void *user)
{
    return fsync(directory_fd(user)) == 0 ? 0 : -errno;
}

static int directory_rename(void *user, const char *from, const char *to)
{
    int fd = directory_fd(user);
    return renameat(fd, from, fd, to) == 0 ? 0 : -errno;
}

static int directory_unlink(void *user, const char *name)
{
    return unlinkat(directory_fd(user), name, 0) == 0 ? 0 : -errno;
}

static int directory_lock(void *user)
{
    struct directory *d = user;
    int result;

    assert(d->lock_fd < 0);
    int fd = open_at(d->fd, LOCK_NAME, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    do
        result = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
    while (result == -EINTR);
    if (result == 0)
        d->lock_fd = fd;
    else
        close(fd);
    return result;
}

/* ---- a file ------------------------------------------------------------------------------------------------------- */

static int file_open(void *user, const char *name, int writable)
{
    return open_at(directory_fd(user), name, writable ? O_RDWR : O_RDONLY);
}

static int file_create(void *user, const char *name)
{
    return open_at(directory_fd(user), name, O_RDWR | O_CREAT | O_EXCL);
}

static int file_close(void *user, int handle)
{
    (void)user;
    return close(handle) == 0 ? 0 : -errno;
}

static int64_t file_size(void *user, int handle)
{
    struct stat status;
    (void)user;
    return fstat(handle, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static int64_t file_read(void *user, int handle, void *data, size_t bytes, uint64_t offset)
{
    size_t done = 0;
    (void)user;
    while (done < bytes) {
        ssize_t n = pread(handle, (char *)data + done, bytes - done, (off_t)(offset + done));
        if (n == 0)
            break;
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return (int64_t)done;
}

static int file_write(void *user, int handle, const void *data, size_t bytes, uint64_t offset)
{
    size_t done = 0;
    (void)user;
    while (done < bytes) {
        ssize_t n = pwrite(handle, (const char *)data + done, bytes - done, (off_t)(offset + done));
        if (n == 0)
            return -EIO;
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

/* What lies below the end of the file has its blocks: the log leaves no holes. */
static int fill_with_zeros(void *user, int handle, uint64_t bytes)
{
    static const char zeros[ZEROS_BYTES];
    int64_t size = file_size(user, handle);
    if (size < 0)
        return (int)size;
    for (uint64_t at = (uint64_t)size; at < bytes;) {
        size_t piece = bytes - at < ZEROS_BYTES ? (size_t)(bytes - at) : ZEROS_BYTES;
        int result = file_write(user, handle, zeros, piece, at);
        if (result != 0)
            return result;
        at += piece;
    }
    return 0;
}

static int file_allocate(void *user, int handle, uint64_t bytes)
{
    int result;
    if (bytes == 0)
        return 0;
    do
        result = fallocate(handle, 0, 0, (off_t)bytes) == 0 ? 0 : -errno;
    while (result == -EINTR);
    return result == -EOPNOTSUPP || result == -ENOSYS ? fill_with_zeros(user, handle, bytes) : result;
}

static int file_truncate(void *user, int handle, uint64_t bytes)
{
    int result;
    (void)user;
    do
        result = ftruncate(handle, (off_t)bytes) == 0 ? 0 : -errno;
    while (result == -EINTR);
    return result;
}

static int file_sync(void *user, int handle)
{
    (void)user;
    return fdatasync(handle) == 0 ? 0 : -errno;
}

static int file_want(void *user, int handle, uint64_t bytes)
{
    (void)user;
    return -posix_fadvise(handle, 0, (off_t)bytes, POSIX_FADV_WILLNEED);
}

/* ---- the table ---------------------------------------------------------------------------------------------------- */

/*
 * The directory's own entry must be safe before anything in it can be. It is synced even if it was there: an earlier process may
 * have made it and died. A parent that may be entered but not read belongs to somebody who made the directory for us.
 */
static int sync_parent(int fd)
{
    int parent = open_at(fd, "..", O_RDONLY | O_DIRECTORY);
    if (parent < 0)
        return parent == -EACCES ? 0 : parent;
    int result = fsync(parent) == 0 ? 0 : -errno;
    close(parent);
    return result;
}

int files_open(struct files *files, const char *directory, int make)
{
    if (make && mkdir(directory, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    struct directory *d = malloc(sizeof *d);
    int result = d == NULL ? -ENOMEM : make ? sync_parent(fd) : 0;
    if (result != 0) {
        free(d);
        close(fd);
        return result;
    }
    *d = (struct directory){.fd = fd, .lock_fd = -1};
    *files = (struct files){
        .user = d,
        .list = directory_list,
        .open = file_open,
        .create = file_create,
        .close = file_close,
        .size = file_size,
        .read = file_read,
        .write = file_write,
        .allocate = file_allocate,
        .truncate = file_truncate,
        .sync = file_sync,
        .sync_directory = directory_sync,
        .rename = directory_rename,
        .unlink = directory_unlink,
        .want = file_want,
        .lock = directory_lock,
    };
    return 0;
}

void files_close(struct files *files)
{
    struct directory *d = files->user;
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    close(d->fd);
    free(d);
    *files = (struct files){0};
}
