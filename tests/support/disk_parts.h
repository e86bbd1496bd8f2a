/*
 * disk_parts: what the parts of the disk in memory share: its files and directory (disk.c), and what becomes of them at a sync and
 * at a crash (disk_settle.c).
 */
#ifndef TESTS_SUPPORT_DISK_PARTS_H
#define TESTS_SUPPORT_DISK_PARTS_H

#include "tests/support/disk.h"
#include "tests/support/random.h"

/* Beyond `bytes` the memory is not zero. */
struct image {
    uint8_t *data;
    uint64_t bytes, room;
};

/* A change of a file that is not safe yet: what it wrote lies in node->written. */
struct change {
    enum disk_kind kind; /* DISK_WRITE, DISK_ALLOCATE or DISK_TRUNCATE */
    uint64_t offset, bytes;
    size_t data; /* in node->written */
};

/* A file, whatever its name is. */
struct node {
    struct node *next;
    struct node *copy;           /* while a disk is cloned */
    char name[FILES_NAME_BYTES]; /* the last one, for the trace */
    struct image seen, safe;
    struct change *changes;
    size_t change_count, change_room;
    struct image written;
    uint64_t blocks; /* bytes of them */
    unsigned handles;
    bool linked; /* has a name that is seen */
    bool kept;   /* while others are thrown away */
};

struct entry {
    char name[FILES_NAME_BYTES];
    struct node *node;
};

/* In no order. */
struct directory {
    struct entry *entries;
    size_t count, room;
};

/* A change of the directory that is not safe yet. */
struct move {
    enum disk_kind kind; /* DISK_CREATE, DISK_RENAME or DISK_UNLINK */
    char from[FILES_NAME_BYTES], to[FILES_NAME_BYTES];
    struct node *node;
};

struct handle {
    struct node *node; /* NULL: closed */
    bool writable;
};

#define TRACE_LINES 256
struct trace {
    enum disk_kind kind;
    char name[FILES_NAME_BYTES], to[FILES_NAME_BYTES];
    uint64_t offset, bytes;
    int64_t result;
};

struct disk {
    struct files files;
    struct random random;
    struct node *nodes;
    struct directory seen, safe;
    struct move *moves;
    size_t move_count, move_room;
    struct handle *handles; /* never used again before a crash, so that a stale one is noticed */
    size_t handle_count, handle_room;
    bool locked;
    uint64_t capacity, used;
    uint64_t operations;
    unsigned fail_kinds;
    uint64_t fail_in; /* 0: not */
    int fail_error;
    bool fail_forever, failed;
    bool stop_armed;
    uint64_t stop_in;
    uint64_t trace_count;
    struct trace *trace;
    char *trace_text;
};

/* Room for one element more of `size` bytes in an array. */
void *disk_grow(void *array, size_t count, size_t *room, size_t size);

void disk_image_resize(struct image *image, uint64_t bytes);
void disk_image_write(struct image *image, const void *data, uint64_t bytes, uint64_t offset);
/* Costs nothing until one of the two changes. */
void disk_image_copy(struct image *to, const struct image *from);
void disk_image_free(struct image *image);

struct entry *disk_entry(const struct directory *directory, const char *name);
void disk_entry_set(struct directory *directory, const char *name, struct node *node);
void disk_entry_remove(struct directory *directory, struct entry *entry);
/* The directory after a move that starts from what is there now. */
void disk_move_apply(struct directory *directory, const struct move *move);
void disk_directory_copy(struct directory *to, const struct directory *from);

struct node *disk_node_new(struct disk *disk, const char *name);
/* Sets `linked` and counts what is used; files that nothing knows any more are freed. */
void disk_sweep(struct disk *disk);

/* After a sync of a file that went well, and after one that failed. */
void disk_node_save(struct node *node);
void disk_node_forget(struct disk *disk, struct node *node);

#endif
