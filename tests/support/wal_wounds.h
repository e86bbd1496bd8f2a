/*
 * wal_wounds: a log is damaged on purpose, one file at a time, and recovery must say exactly what a reading of the undamaged log
 * says that it must: what is left of it without a gap, if nothing that is left says that more had been safe; a refusal that
 * names file, offset and cure otherwise. It compares bytes with what they were and knows nothing of checksums.
 */
#ifndef TESTS_SUPPORT_WAL_WOUNDS_H
#define TESTS_SUPPORT_WAL_WOUNDS_H

#include "tests/support/wal_world.h"

#define WOUNDS_FILES 16

struct wound_file {
    char name[FILES_NAME_BYTES];
    struct segment_header header;
    uint8_t *data;
    size_t bytes, used; /* used: the end of its last batch, SEGMENT_START if it has none */
};

struct wound_batch {
    uint32_t file;
    size_t offset, end;
    struct batch_header header;
};

struct wounds {
    struct wal_world *w; /* has died; its history tells the states */
    struct disk *disk;   /* as it was without damage */
    struct wound_file files[WOUNDS_FILES];
    uint32_t file_count;
    struct wound_batch *batches; /* in the order of their numbers */
    size_t batch_count;
    uint64_t whole, cut, refused; /* what became of the trials */
    uint64_t missing; /* of those refused: with nothing left that tells damage from files that were removed */
    uint64_t cut_batches, cut_bytes;
};

/* Reads the log on the world's disk, of which all is safe now. Its void files, which nobody needs, are removed. */
void wounds_begin(struct wounds *x, struct wal_world *w);
void wounds_end(struct wounds *x);

/* The file `file` has that content now: opens, and compares. `what` and `at` are printed if it is not as it must be. */
void wounds_try(struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes, const char *what, uint64_t at);

/* A disk with that log, one file of which is damaged. */
struct disk *wounds_disk(const struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes);

/* How many batches are left without a gap. */
size_t wounds_left(const struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes);

#endif
