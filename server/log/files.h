/*
 * files: every file operation of the log, in one table, so that tests can put a disk under it that loses what was not synced,
 * fills up or dies. Names are within one directory. Results are 0 (or what is said) and negative errno values.
 */
#ifndef SERVER_LOG_FILES_H
#define SERVER_LOG_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FILES_NAME_BYTES 64

struct files {
    void *user;
    /*
     * Calls name_cb for each regular file with a name below FILES_NAME_BYTES; its own result, or what name_cb returned if that
     * was not 0.
     */
    int (*list)(void *user, int (*name_cb)(void *arg, const char *name), void *arg);
    int (*open)(void *user, const char *name, int writable); /* a handle >= 0 */
    int (*create)(void *user, const char *name);             /* for reading and writing; -EEXIST */
    int (*close)(void *user, int handle);
    int64_t (*size)(void *user, int handle);
    /* Both may do less than asked only at the end of the file (read) and never silently (write). */
    int64_t (*read)(void *user, int handle, void *data, size_t bytes, uint64_t offset);
    int (*write)(void *user, int handle, const void *data, size_t bytes, uint64_t offset);
    int (*allocate)(void *user, int handle, uint64_t bytes); /* real blocks up to there, or -ENOSPC */
    int (*truncate)(void *user, int handle, uint64_t bytes);
    int (*sync)(void *user, int handle); /* data, and what is needed to find it: fdatasync(2) */
    int (*sync_directory)(void *user);
    int (*rename)(void *user, const char *from, const char *to);
    int (*unlink)(void *user, const char *name);
    int (*want)(void *user, int handle, uint64_t bytes); /* a hint: will be needed soon */
    /* Takes the directory for this process until the table is closed: -EWOULDBLOCK if another has it. */
    int (*lock)(void *user);
};

/*
 * The files of a directory of the system, made with 0700 if it is not there (`make`). 0, or -errno. The lock is flock(2) on a
 * file "lock". files_close() ends it.
 */
int files_open(struct files *files, const char *directory, int make);
void files_close(struct files *files);

#endif
