#include "server/log/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define READ_BYTES ((size_t)1024 * 1024)

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
    bool lenient;
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

static int add_blank(struct scan *scan, const char *name)
{
    if (scan->blank_count == scan->blank_cap) {
        const uint32_t cap = scan->blank_cap ? scan->blank_cap * 2 : 4;
        struct scan_name *blank = realloc(scan->blank, cap * sizeof *blank);
        if (!blank)
            return -ENOMEM;
        scan->blank = blank;
        scan->blank_cap = cap;
    }
    snprintf(scan->blank[scan->blank_count++].text, FILES_NAME_BYTES, "%s", name);
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
        if (listing->lenient)
            return 0;
        refuse(listing->error,
               "%s: the header is damaged; copy what is good with: ringmq-server --repair-log DIR --to NEWDIR", name);
        return -EPROTO;
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

/* The beginning. *blank: there are only zeros, to the end: nothing has ever been appended to it. */
static int64_t read_first(const struct files *table, int handle, uint8_t data[SEGMENT_START], bool *blank)
{
    uint8_t more[SEGMENT_START];
    uint64_t offset = SEGMENT_START;
    const int64_t first = table->read(table->user, handle, data, SEGMENT_START, 0);
    int64_t have = first;
    *blank = first >= 0 && is_zero(data, (size_t)first);
    while (*blank && have == SEGMENT_START) {
        have = table->read(table->user, handle, more, sizeof more, offset);
        if (have < 0)
            return have;
        *blank = is_zero(more, (size_t)have);
        offset += sizeof more;
    }
    return first;
}

static int look_at(void *arg, const char *name)
{
    struct listing *listing = arg;
    const struct files *table = listing->scan->table;
    uint8_t data[SEGMENT_START];
    bool blank;
    if (!is_segment_name(name))
        return 0;
    const int handle = table->open(table->user, name, 0);
    if (handle == -ENOENT)
        return 0; /* a log that is being copied while it is used: it has got another name or is gone */
    if (handle < 0) {
        refuse(listing->error, "%s: %s", name, strerror(-handle));
        return -EPROTO;
    }
    const int64_t have = read_first(table, handle, data, &blank);
    const int64_t bytes = table->size(table->user, handle);
    (void)table->close(table->user, handle);
    if (have < 0 || bytes < 0) {
        refuse(listing->error, "%s: %s", name, strerror((int)-(have < 0 ? have : bytes)));
        return -EPROTO;
    }
    return blank ? add_blank(listing->scan, name) : judge(listing, name, data, (size_t)have, (uint64_t)bytes);
}

static int by_number(const void *x, const void *y)
{
    const struct scan_file *a = x, *b = y;
    return (a->number > b->number) - (a->number < b->number);
}

bool scan_all(struct scan *scan, const struct files *table, bool lenient, struct wal_error *error)
{
    struct listing listing = {scan, lenient, error};
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
    return true;
}

void scan_free(struct scan *scan)
{
    free(scan->files);
    free(scan->blank);
    *scan = (struct scan){0};
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

bool scan_open(const struct scan *scan, const struct scan_file *file, struct scan_reader *reader)
{
    *reader = (struct scan_reader){
        .table = scan->table, .file = file, .salt = segment_salt(scan->log, file->number), .cap = READ_BYTES};
    reader->data = malloc(reader->cap);
    if (!reader->data) {
        reader->error = -ENOMEM;
        return false;
    }
    reader->handle = reader->table->open(reader->table->user, file->name, 0);
    if (reader->handle >= 0)
        return true;
    reader->error = reader->handle;
    free(reader->data);
    return false;
}

void scan_close(struct scan_reader *reader)
{
    (void)reader->table->close(reader->table->user, reader->handle);
    free(reader->data);
}

/* The bytes at offset, at least so many; NULL if the file ends before, or on an error. */
static const uint8_t *want(struct scan_reader *r, uint64_t offset, size_t bytes)
{
    if (offset >= r->from && offset + bytes <= r->from + r->have)
        return r->data + (offset - r->from);
    if (offset + bytes > r->file->file_bytes)
        return NULL;
    if (bytes > r->cap) {
        uint8_t *data = realloc(r->data, bytes);
        if (!data) {
            r->error = -ENOMEM;
            return NULL;
        }
        r->data = data;
        r->cap = bytes;
    }
    const int64_t have = r->table->read(r->table->user, r->handle, r->data, r->cap, offset);
    r->from = offset;
    r->have = have > 0 ? (size_t)have : 0;
    if (have < 0)
        r->error = (int)have;
    return r->have >= bytes ? r->data : NULL;
}

enum scan_result scan_batch(struct scan_reader *reader, uint64_t offset, struct batch_header *header,
                            struct view *records)
{
    const uint8_t *data = want(reader, offset, BATCH_HEADER_BYTES);
    if (reader->error != 0)
        return SCAN_ERROR;
    if (!data || !batch_header_read(data, reader->salt, header))
        return SCAN_NONE;
    const uint8_t *body = want(reader, offset + BATCH_HEADER_BYTES, header->bytes);
    if (reader->error != 0)
        return SCAN_ERROR;
    if (!body || XXH3_64bits_withSeed(body, header->bytes, reader->salt) != header->checksum)
        return SCAN_TORN;
    *records = (struct view){body, header->bytes};
    return SCAN_GOOD;
}

bool scan_seek(struct scan_reader *reader, uint64_t *offset)
{
    struct batch_header header;
    while (*offset + BATCH_HEADER_BYTES <= reader->file->file_bytes) {
        const uint8_t *data = want(reader, *offset, BATCH_HEADER_BYTES);
        if (!data)
            return false;
        const size_t left = reader->have - (size_t)(*offset - reader->from);
        const uint8_t *found = memmem(data, left, BATCH_MAGIC, sizeof BATCH_MAGIC - 1);
        if (!found) {
            *offset += left - (sizeof BATCH_MAGIC - 2); /* it may begin in the last bytes */
            continue;
        }
        *offset += (uint64_t)(found - data);
        data = want(reader, *offset, BATCH_HEADER_BYTES);
        if (data && batch_header_read(data, reader->salt, &header))
            return true;
        if (reader->error != 0)
            return false;
        ++*offset;
    }
    return false;
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

bool scan_expect(const struct scan *scan, uint32_t start, uint32_t index, uint64_t *expected)
{
    const struct scan_file *f = &scan->files[index];
    const uint64_t first = scan->files[start].number;
    if (*expected != 0 || index == start)
        return true;
    const bool nothing_before = f->before_segment < first ||
                                (f->before_segment == first && f->before_offset <= SEGMENT_START);
    if (f->run == scan->files[index - 1].run || !nothing_before)
        return false;
    *expected = f->first_of_run;
    return true;
}

/* The valid batches at the beginning of a file: numbers first .. next - 1; 0 and 0: none. */
struct summary {
    uint64_t first, next;
    uint64_t oldest; /* what the last of them says */
};

static int summarize(const struct scan *scan, const struct scan_file *f, struct summary *out)
{
    struct scan_reader reader;
    struct batch_header header;
    struct view records;
    uint64_t offset = SEGMENT_START;
    *out = (struct summary){0, 0, 0};
    if (!scan_open(scan, f, &reader))
        return reader.error;
    while (scan_batch(&reader, offset, &header, &records) == SCAN_GOOD && header.number < f->void_from &&
           (out->next == 0 || header.number == out->next)) {
        if (out->first == 0)
            out->first = header.number;
        out->next = header.number + 1;
        out->oldest = header.oldest;
        offset += BATCH_HEADER_BYTES + header.bytes;
    }
    const int error = reader.error;
    scan_close(&reader);
    return error;
}

/* How far the batches follow each other from that file on; *oldest: what the last of them says. */
static uint64_t reach(const struct scan *scan, const struct summary *summaries, uint32_t start, uint64_t *oldest)
{
    uint64_t expected = 0;
    *oldest = 0;
    for (uint32_t i = start; i < scan->count && scan_expect(scan, start, i, &expected); i++) {
        if (summaries[i].first == 0 || (expected != 0 && summaries[i].first != expected))
            continue;
        expected = summaries[i].next;
        *oldest = summaries[i].oldest;
    }
    return expected;
}

int scan_start(const struct scan *scan, uint32_t *start)
{
    struct summary *summaries = NULL;
    uint64_t furthest = 0, oldest;
    int error = 0;
    *start = 0;
    if (scan->count <= 1)
        return 0;
    summaries = calloc(scan->count, sizeof *summaries);
    if (!summaries)
        return -ENOMEM;
    for (uint32_t i = 0; i < scan->count && error == 0; i++)
        error = summarize(scan, &scan->files[i], &summaries[i]);
    furthest = reach(scan, summaries, 0, &oldest);
    for (uint32_t i = 1; i < scan->count && error == 0; i++) {
        const uint64_t end = summaries[i].first != 0 ? reach(scan, summaries, i, &oldest) : 0;
        if (end > furthest && oldest >= scan->files[i].number) {
            furthest = end;
            *start = i;
        }
    }
    free(summaries);
    return error;
}

/* ---- behind the end ---------------------------------------------------------------------------------------------- */

static void note(struct scan_rest *rest, const struct batch_header *h)
{
    if (h->oldest > rest->oldest)
        rest->oldest = h->oldest;
    if (h->synced_segment > rest->synced_segment ||
        (h->synced_segment == rest->synced_segment && h->synced_offset > rest->synced_offset)) {
        rest->synced_segment = h->synced_segment;
        rest->synced_offset = h->synced_offset;
    }
}

static int look_behind(const struct scan *scan, const struct scan_file *f, uint64_t offset, uint64_t expected,
                       struct scan_rest *rest)
{
    struct scan_reader reader;
    if (!scan_open(scan, f, &reader))
        return reader.error;
    while (scan_seek(&reader, &offset)) {
        struct batch_header header;
        struct view records;
        const enum scan_result result = scan_batch(&reader, offset, &header, &records);
        const bool counts = header.number >= expected && header.number < f->void_from;
        if (result == SCAN_ERROR)
            break;
        if (counts) {
            note(rest, &header);
            rest->batches++;
            rest->bytes += BATCH_HEADER_BYTES + header.bytes;
        }
        offset += result == SCAN_GOOD ? BATCH_HEADER_BYTES + header.bytes : 1;
    }
    const int error = reader.error;
    scan_close(&reader);
    return error;
}

int scan_behind(const struct scan *scan, uint32_t index, uint64_t offset, uint64_t expected, struct scan_rest *rest)
{
    int error = 0;
    *rest = (struct scan_rest){0};
    for (uint32_t i = index; i < scan->count && error == 0; i++) {
        const struct scan_file *f = &scan->files[i];
        rest->later_run = rest->later_run || (f->run > scan->files[index].run && f->first_of_run > expected);
        if (f->run == scan->files[index].run && f->oldest > scan->files[index].oldest)
            rest->oldest_safe = f->oldest;
        error = look_behind(scan, f, i == index ? offset : SEGMENT_START, expected, rest);
    }
    return error;
}
