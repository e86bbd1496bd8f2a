/*
 * scan: the segments of a directory, and the valid batches in them, for whoever reads a log: recovery, repair, copying.
 * Reads only.
 */
#ifndef SERVER_LOG_SCAN_H
#define SERVER_LOG_SCAN_H

#include "server/log/files.h"
#include "server/log/record.h"
#include "server/log/wal.h"

#include <stdbool.h>
#include <stdint.h>

/* A file without a header that can be read. */
struct scan_headless {
    char name[FILES_NAME_BYTES];
    bool unused;     /* nothing has ever been appended to it; else it stands before all others, */
    uint64_t number; /* and is void if the log needs no segment up to this one */
};

struct scan_file {
    char name[FILES_NAME_BYTES];
    uint64_t number, run, first_of_run;
    uint64_t oldest;         /* what was safely known to be void when the file was begun: what is below */
    uint64_t before_segment; /* the end of the log when that run began */
    uint32_t before_offset;
    uint64_t void_from; /* batches with this number or a higher one were cut off by a later run */
    uint64_t file_bytes;
    uint32_t receipts;
};

struct scan {
    const struct files *table;
    struct scan_file *files; /* in the order of their numbers */
    uint32_t count, cap;
    struct scan_headless *headless;
    uint32_t headless_count, headless_cap;
    uint32_t bad_count; /* headers that make no sense */
    uint64_t log;       /* 0: there is no segment */
    uint64_t run;       /* the latest */
    uint32_t receipts;  /* of the newest segment */
};

/*
 * Lists the segments. False with one line: the directory cannot be read, a segment has a newer format, a damaged header, or
 * belongs to another log. `lenient`: damaged headers are passed over.
 *
 * A header that could not be written wholly is no damage: that of a file behind all others with nothing but zeros behind it, which
 * was being made; and that of a file before all others, whose last life is over, if the log needs it no more. That is for the
 * caller to say, who knows its last batch.
 */
bool scan_all(struct scan *scan, const struct files *table, bool lenient, struct wal_error *error);
void scan_free(struct scan *scan);

/* The line about a file with a damaged header. Returns false. */
bool scan_refuse_header(struct wal_error *error, const char *name);

struct scan_reader {
    const struct files *table;
    const struct scan_file *file;
    uint64_t salt;
    int handle;
    uint8_t *data;
    uint64_t from; /* offset of data[0] */
    size_t have, cap;
    int error; /* -errno, or 0 */
};

/* False: reader->error says why; then there is nothing to close. */
bool scan_open(const struct scan *scan, const struct scan_file *file, struct scan_reader *reader);
void scan_close(struct scan_reader *reader);

enum scan_result {
    SCAN_GOOD,
    SCAN_TORN, /* the header is valid (and read), its records are not */
    SCAN_NONE, /* no valid header stands there */
    SCAN_ERROR
};

/* The batch at that offset. `records` is valid until the next call. */
enum scan_result scan_batch(struct scan_reader *reader, uint64_t offset, struct batch_header *header,
                            struct view *records);

/* The offset of the next valid header at or after *offset, which becomes that. False if there is none (or an error). */
bool scan_seek(struct scan_reader *reader, uint64_t *offset);

/*
 * Which batch file `index` must begin with, if the log begins with file `start` and *expected is the next batch (0: none has been
 * found yet): any, in the first file; the first of its run, if nothing of what came before it is left. False: it can't be
 * told, and what is missing has begun already.
 */
bool scan_expect(const struct scan *scan, uint32_t start, uint32_t index, uint64_t *expected);

/*
 * The file with which the log begins: the first, unless void ones before it are not whole, and from a later one on the batches
 * follow each other without a gap further than from the first, and say themselves that nothing before it is needed. 0, or -errno.
 */
int scan_start(const struct scan *scan, uint32_t *start);

/* What lies behind a place at which the next batch should stand and does not. */
struct scan_rest {
    uint64_t batches, bytes; /* valid ones with that number or a higher one, that are not void anyhow */
    uint64_t synced_segment; /* the furthest place that any of them knows to have been synced */
    uint32_t synced_offset;
    uint64_t oldest;      /* the highest that any of them says */
    uint64_t oldest_safe; /* a batch with that one had been synced, as the headers of files of the same run say; or 0 */
    bool later_run;       /* a later run had read beyond that place */
};

/* 0, or -errno. */
int scan_behind(const struct scan *scan, uint32_t index, uint64_t offset, uint64_t expected, struct scan_rest *rest);

#endif
