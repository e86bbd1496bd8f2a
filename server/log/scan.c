#include "server/log/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static bool refuse(struct wal_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(struct wal_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

struct listing {
    struct scan *scan;
    struct wal_error *error;
};

static bool is_segment_name(const char *name)
{
    return strlen(name) == 20 && strspn(name, "0123456789abcdef") == 16 && strcmp(name + 16, ".seg") == 0;
}

static bool is_zero(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != 0)
            return false;
    return true;
}

static int add_headless(struct scan *scan, const char *name, bool unused)
{
    if (scan->headless_count == scan->headless_cap) {
        const uint32_t cap = scan->headless_cap ? scan->headless_cap * 2 : 4;
        struct scan_headless *headless = realloc(scan->headless, cap * sizeof *headless);
        if (!headless)
            return -ENOMEM;
        scan->headless = headless;
        scan->headless_cap = cap;
    }
    struct scan_headless *h = &scan->headless[scan->headless_count++];
    *h = (struct scan_headless){.unused = unused, .number = strtoull(name, NULL, 16)};
    snprintf(h->name, sizeof h->name, "%s", name);
    return 0;
}

static int add_file(struct scan *scan, const char *name, const struct segment_header *h, uint64_t bytes)
{
    if (scan->count == scan->cap) {
        const uint32_t cap = scan->cap ? scan->cap * 2 : 16;
        struct scan_file *files = realloc(scan->files, cap * sizeof *files);
        if (!files)
            return -ENOMEM;
        scan->files = files;
        scan->cap = cap;
    }
    struct scan_file *f = &scan->files[scan->count++];
    *f = (struct scan_file){.number = h->number,
                            .run = h->run,
                            .first_of_run = h->first_of_run,
                            .oldest = h->oldest,
                            .before_segment = h->before_segment,
                            .before_offset = h->before_offset,
                            .file_bytes = bytes,
                            .receipts = (uint32_t)h->receipts};
    snprintf(f->name, sizeof f->name, "%s", name);
    return 0;
}

/* The first bytes of a file decide what it is, if there are any. */
static int judge(struct listing *listing, const char *name, const uint8_t *data, size_t have, uint64_t bytes)
{
    struct scan *scan = listing->scan;
    struct segment_header header;
    enum segment_result result = SEGMENT_BAD;
    if (have >= SEGMENT_HEADER_BYTES)
        result = segment_header_read(data, &header);
    if (result == SEGMENT_NEWER) {
        refuse(listing->error, "%s was written by a newer ringmq: log format %" PRIu32 ", this one knows %d", name,
               header.version, SEGMENT_VERSION);
        return -EPROTO;
    }
    if (result != SEGMENT_GOOD) {
        scan->bad_count++;
        return add_headless(scan, name, false);
    }
    if (scan->log != 0 && scan->log != header.log) {
        refuse(listing->error, "%s belongs to another log than the other files", name);
        return -EPROTO;
    }
    scan->log = header.log;
    if (header.run > scan->run)
        scan->run = header.run;
    return add_file(scan, name, &header, bytes);
}

/* True if there are only zeros from there to the end of the file; or -errno. */
static int is_zero_from(const struct files *table, int handle, uint64_t offset)
{
    uint8_t data[SEGMENT_START];
    int64_t have;
    do {
        have = table->read(table->user, handle, data, sizeof data, offset);
        if (have < 0)
            return (int)have;
        if (!is_zero(data, (size_t)have))
            return false;
        offset += (uint64_t)have;
    } while (have == sizeof data);
    return true;
}

static int look_at(void *arg, const char *name)
{
    struct listing *listing = arg;
    const struct files *table = listing->scan->table;
    uint8_t data[SEGMENT_HEADER_BYTES];
    if (!is_segment_name(name))
        return 0;
    const int handle = table->open(table->user, name, 0);
    if (handle == -ENOENT)
        return 0; /* a log that is being copied while it is used: it has got another name or is gone */
    if (handle < 0) {
        refuse(listing->error, "%s: %s", name, strerror(-handle));
        return -EPROTO;
    }
    const int64_t have = table->read(table->user, handle, data, sizeof data, 0);
    const int blank = have >= 0 && is_zero(data, (size_t)have) ? is_zero_from(table, handle, (uint64_t)have) : 0;
    const int64_t bytes = blank < 0 ? blank : table->size(table->user, handle);
    (void)table->close(table->user, handle);
    if (have < 0 || bytes < 0) {
        refuse(listing->error, "%s: %s", name, strerror((int)-(have < 0 ? have : bytes)));
        return -EPROTO;
    }
    return blank ? add_headless(listing->scan, name, true) : judge(listing, name, data, (size_t)have, (uint64_t)bytes);
}

static int by_number(const void *x, const void *y)
{
    const struct scan_file *a = x, *b = y;
    return (a->number > b->number) - (a->number < b->number);
}

bool scan_refuse_header(struct wal_error *error, const char *name)
{
    return refuse(
        error, "%s: the header is damaged; copy what is good with: ringmq-server --repair-log DIR --to NEWDIR", name);
}

/* True if nothing has ever been appended to a file; or -errno. */
static int is_unused(const struct files *table, const char *name)
{
    const int handle = table->open(table->user, name, 0);
    if (handle < 0)
        return handle;
    const int64_t bytes = table->size(table->user, handle);
    int result = bytes < 0 ? (int)bytes : bytes >= SEGMENT_START;
    if (result > 0)
        result = is_zero_from(table, handle, SEGMENT_HEADER_BYTES);
    (void)table->close(table->user, handle);
    return result;
}

/* Damaged headers where none can be that was being written. */
static bool judge_headless(struct scan *scan, struct wal_error *error)
{
    for (uint32_t i = 0; i < scan->headless_count; i++) {
        struct scan_headless *h = &scan->headless[i];
        if (h->unused || (scan->count > 0 && h->number < scan->files[0].number))
            continue;
        const bool last = scan->count == 0 || h->number > scan->files[scan->count - 1].number;
        const int unused = last ? is_unused(scan->table, h->name) : 0;
        if (unused < 0)
            return refuse(error, "%s: %s", h->name, strerror(-unused));
        if (!unused)
            return scan_refuse_header(error, h->name);
        h->unused = true;
    }
    return true;
}

bool scan_all(struct scan *scan, const struct files *table, bool lenient, struct wal_error *error)
{
    struct listing listing = {scan, error};
    *scan = (struct scan){.table = table};
    const int result = table->list(table->user, look_at, &listing);
    if (result == -ENOMEM)
        return refuse(error, "out of memory");
    if (result != 0 && result != -EPROTO)
        return refuse(error, "the directory cannot be read: %s", strerror(-result));
    if (result != 0)
        return false;
    if (scan->count > 0)
        qsort(scan->files, scan->count, sizeof *scan->files, by_number);
    uint64_t void_from = UINT64_MAX, run = UINT64_MAX, first = UINT64_MAX;
    for (uint32_t i = scan->count; i-- > 0;) {
        struct scan_file *f = &scan->files[i];
        if (i > 0 && f->number == scan->files[i - 1].number)
            return refuse(error, "%s and %s are the same segment", scan->files[i - 1].name, f->name);
        if (f->run < run && first < void_from)
            void_from = first; /* where the run behind this one began */
        f->void_from = void_from;
        run = f->run;
        first = f->first_of_run;
    }
    if (scan->count > 0)
        scan->receipts = scan->files[scan->count - 1].receipts;
    return lenient || judge_headless(scan, error);
}

void scan_free(struct scan *scan)
{
    free(scan->files);
    free(scan->headless);
    *scan = (struct scan){0};
}
