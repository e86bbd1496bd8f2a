/* scan_read: the batches in the segments, where they begin, and what lies behind their end. */
#include "server/log/checksum.h"
#include "server/log/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES ((size_t)1024 * 1024)

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
    /* As long as not even the first batch of the run before has been met. */
    if (index == start || (*expected != 0 && *expected != scan->files[index - 1].first_of_run))
        return true;
    const bool nothing_before = f->before_segment < first ||
                                (f->before_segment == first && f->before_offset <= SEGMENT_START);
    if (nothing_before)
        *expected = f->first_of_run;
    return *expected != 0;
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

/*
 * The highest `oldest` of any batch that a walk over a file finds, or 0. Within a run it never goes down, so of each run the last
 * file that has batches tells it.
 */
static int highest_oldest(const struct scan *scan, uint64_t *highest)
{
    uint64_t run = 0; /* that has told it; there is no run 0 */
    *highest = 0;
    for (uint32_t i = scan->count; i-- > 0;) {
        struct summary summary;
        if (scan->files[i].run == run)
            continue;
        const int error = summarize(scan, &scan->files[i], &summary);
        if (error != 0)
            return error;
        if (summary.first != 0)
            run = scan->files[i].run;
        if (summary.oldest > *highest)
            *highest = summary.oldest;
    }
    return 0;
}

/* scan_start(), with all there is read. */
static int find_start(const struct scan *scan, uint32_t *start)
{
    struct summary *summaries = calloc(scan->count, sizeof *summaries);
    uint64_t furthest = 0, oldest;
    int error = 0;
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

int scan_start(const struct scan *scan, uint32_t *start)
{
    uint64_t highest;
    *start = 0;
    if (scan->count <= 1)
        return 0;
    const int error = highest_oldest(scan, &highest);
    /* If no batch says that the first file is void, that is where the log begins: no need to read it all. */
    if (error != 0 || highest <= scan->files[0].number)
        return error;
    return find_start(scan, start);
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
