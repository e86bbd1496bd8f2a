/*
 * disk: a disk in memory under the log (server/log/files.h) that loses at a crash what was not synced, fails or stops where it
 * is told to, and fills up. What it does by chance follows from its seed. For one thread.
 *
 *     struct disk *disk = disk_new(1);
 *     disk_stop_at(disk, 17);                     the process dies after its 17th operation from now on
 *     ... the log on disk_files(disk) ...         from then on every call is -EIO and does nothing
 *     disk_crash(disk, DISK_TORN);                the log is thrown away; what is on the disk now is all there is
 *     ... recovery on disk_files(disk) ...
 *
 * It keeps of each file what the processes see, what is safe, and the changes between the two. sync makes all changes of a file
 * safe, its size too; a sync that fails makes some of them safe and forgets the others, which are still seen but which no later
 * sync saves, as with Linux. Creating, renaming and unlinking is safe after sync_directory and not before, whatever was synced of
 * the file itself. That is less than ext4 promises.
 */
#ifndef TESTS_SUPPORT_DISK_H
#define TESTS_SUPPORT_DISK_H

#include "server/log/files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;

struct disk *disk_new(uint64_t seed);
void disk_free(struct disk *disk);

/*
 * A disk like this one, as if the process had been killed there: no open files, no lock, no failures to come, the changes not yet
 * safe. With chances of its own.
 */
struct disk *disk_clone(const struct disk *disk, uint64_t seed);

/* Valid as long as the disk. The lock is free again after a crash; `lock` leaves a file behind, like the real one. */
const struct files *disk_files(struct disk *disk);

/* ---- crashes ------------------------------------------------------------------------------------------------------ */

enum disk_crash {
    DISK_KILL,   /* only the process dies: nothing is lost, and nothing is safer than it was */
    DISK_LOSE,   /* power loss: everything that was not safe is gone */
    DISK_KEEP,   /* power loss: everything had just reached the disk */
    DISK_RANDOM, /* power loss: of each change by chance everything, nothing, or the file's size without the data */
    DISK_TORN, /* power loss: some changes in any order, the last of each file only in part: up to a byte, or some sectors */
    DISK_CRASHES
};

/*
 * The process and its open files are gone, and failures to come are off. After a power loss what is there is safe. With
 * DISK_RANDOM and DISK_TORN, changes of the directory that are not safe survive up to a moment, as in a journal, or each by chance.
 */
void disk_crash(struct disk *disk, enum disk_crash how);

/* ---- failures ----------------------------------------------------------------------------------------------------- */

enum disk_kind {
    DISK_OPEN = 1 << 0,
    DISK_CREATE = 1 << 1,
    DISK_CLOSE = 1 << 2,
    DISK_WRITE = 1 << 3,
    DISK_ALLOCATE = 1 << 4,
    DISK_TRUNCATE = 1 << 5,
    DISK_SYNC = 1 << 6,
    DISK_SYNC_DIRECTORY = 1 << 7,
    DISK_RENAME = 1 << 8,
    DISK_UNLINK = 1 << 9,
    DISK_COUNTED = (1 << 10) - 1, /* all of the above */
    DISK_READ = 1 << 10,
    DISK_LIST = 1 << 11,
    DISK_SIZE = 1 << 12,
    DISK_LOCK = 1 << 13,
    DISK_WANT = 1 << 14,
};

/* How many operations of DISK_COUNTED there have been. */
uint64_t disk_operations(const struct disk *disk);

/*
 * The n-th operation from now on fails with -error, and all later ones too if it is `forever`; n = 0: none does. A write or an
 * allocation that fails may have done a part; a close has closed. Counted are the operations of disk_fail_kinds(), at first
 * DISK_COUNTED.
 */
void disk_fail_at(struct disk *disk, uint64_t n, int error, bool forever);
void disk_fail_kinds(struct disk *disk, unsigned kinds);

/* True if an operation has failed since the last disk_fail_at(). */
bool disk_failed(const struct disk *disk);

/* After n more operations of DISK_COUNTED every call is -EIO and does nothing, until disk_crash(). */
void disk_stop_at(struct disk *disk, uint64_t n);
bool disk_stopped(const struct disk *disk);

/* Writes and allocations beyond so many bytes of all files are -ENOSPC, after doing a part. At first there is no end. */
void disk_set_capacity(struct disk *disk, uint64_t bytes);
uint64_t disk_used(const struct disk *disk);

/* ---- looking and meddling ----------------------------------------------------------------------------------------- */

/* The last operations, a line each, the oldest first. Valid until the next call for this disk. */
const char *disk_trace(struct disk *disk);

unsigned disk_open_handles(const struct disk *disk);

/* The names of the first `max` files, sorted. Returns how many files there are. */
size_t disk_list(const struct disk *disk, char (*names)[FILES_NAME_BYTES], size_t max);

/* What a process sees of a file, valid until the next operation. NULL if there is none of that name. */
const uint8_t *disk_file_bytes(const struct disk *disk, const char *name, size_t *bytes);

/* Makes that the safe content of a file, new or not. `data` may be what disk_file_bytes() gave. */
void disk_put_file(struct disk *disk, const char *name, const void *data, size_t bytes);

/* Flips one bit of a file, safely. */
void disk_flip_bit(struct disk *disk, const char *name, uint64_t bit);

#endif
