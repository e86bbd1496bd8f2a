#include "tests/support/wal_wounds.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the undamaged log ------------------------------------------------------------------------------------------- */

static void add_batches(struct wounds *x, uint32_t file)
{
    struct wound_file *f = &x->files[file];
    const uint64_t salt = segment_salt(f->header.log, f->header.number);
    struct batch_header h;
    f->used = SEGMENT_START;
    while (f->used + BATCH_HEADER_BYTES <= f->bytes && batch_header_read(f->data + f->used, salt, &h)) {
        const size_t end = f->used + BATCH_HEADER_BYTES + h.bytes;
        x->batches = realloc(x->batches, (x->batch_count + 1) * sizeof *x->batches);
        assert(x->batches);
        x->batches[x->batch_count++] = (struct wound_batch){file, f->used, end, h};
        f->used = end;
    }
}

static int by_number(const void *a, const void *b)
{
    const struct wound_file *x = a, *y = b;
    return (x->header.number > y->header.number) - (x->header.number < y->header.number);
}

static void drop_void(struct wounds *x)
{
    const uint64_t oldest = x->batch_count > 0 ? x->batches[x->batch_count - 1].header.oldest : 0;
    uint32_t count = 0;
    while (count < x->file_count && x->files[count].header.number < oldest) {
        assert_int_equal(disk_files(x->disk)->unlink(disk_files(x->disk)->user, x->files[count].name), 0);
        free(x->files[count++].data);
    }
    x->file_count -= count;
    memmove(x->files, x->files + count, x->file_count * sizeof *x->files);
    x->batch_count = 0;
    for (uint32_t i = 0; i < x->file_count; i++)
        add_batches(x, i);
    disk_crash(x->disk, DISK_KEEP);
}

void wounds_begin(struct wounds *x, struct wal_world *w)
{
    char names[WOUNDS_FILES + 1][FILES_NAME_BYTES];
    *x = (struct wounds){.w = w, .disk = w->disk};
    disk_crash(x->disk, DISK_KEEP);
    const size_t count = disk_list(x->disk, names, WOUNDS_FILES + 1);
    assert(count <= WOUNDS_FILES);
    for (size_t i = 0; i < count; i++) {
        struct wound_file *f = &x->files[x->file_count];
        if (!strstr(names[i], ".seg"))
            continue;
        const uint8_t *data = disk_file_bytes(x->disk, names[i], &f->bytes);
        memcpy(f->name, names[i], sizeof f->name);
        f->data = malloc(f->bytes);
        assert(f->data);
        memcpy(f->data, data, f->bytes);
        assert_int_equal(segment_header_read(f->data, &f->header), SEGMENT_GOOD);
        x->file_count++;
    }
    qsort(x->files, x->file_count, sizeof *x->files, by_number);
    for (uint32_t i = 0; i < x->file_count; i++)
        add_batches(x, i);
    drop_void(x);
}

void wounds_end(struct wounds *x)
{
    for (uint32_t i = 0; i < x->file_count; i++)
        free(x->files[i].data);
    free(x->batches);
}

/* ---- what must come of it ---------------------------------------------------------------------------------------- */

static bool is_left(const struct wounds *x, const struct wound_batch *b, uint32_t file, const uint8_t *data,
                    size_t bytes, size_t end)
{
    if (b->file != file)
        return true;
    return end <= bytes && memcmp(x->files[file].data + b->offset, data + b->offset, end - b->offset) == 0;
}

size_t wounds_left(const struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes)
{
    size_t count = 0;
    while (count < x->batch_count && is_left(x, &x->batches[count], file, data, bytes, x->batches[count].end))
        count++;
    return count;
}

static struct position end_of(const struct wounds *x, size_t batches)
{
    if (batches == 0)
        return (struct position){x->files[0].header.number, SEGMENT_START};
    const struct wound_batch *b = &x->batches[batches - 1];
    return (struct position){x->files[b->file].header.number, (uint32_t)b->end};
}

/* The header of that batch can be read: where it stood, or where a block was put that had it. */
static bool header_is_left(const struct wounds *x, const struct wound_batch *b, uint32_t file, const uint8_t *data,
                           size_t bytes)
{
    return is_left(x, b, file, data, bytes, b->offset + BATCH_HEADER_BYTES) ||
           memmem(data + SEGMENT_START, bytes > SEGMENT_START ? bytes - SEGMENT_START : 0,
                  x->files[file].data + b->offset, BATCH_HEADER_BYTES);
}

static bool is_zero(const uint8_t *data, size_t bytes)
{
    return bytes == 0 || (data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0);
}

static bool header_differs(const struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes)
{
    return bytes < SEGMENT_HEADER_BYTES || memcmp(data, x->files[file].data, SEGMENT_HEADER_BYTES) != 0;
}

/* Like a file that was being made when the power went: zeros, or part of a header (that is of no later version) and zeros. */
static bool is_blank(const struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes)
{
    if (is_zero(data, bytes))
        return true;
    if (bytes < SEGMENT_START || file < x->file_count - 1 || !header_differs(x, file, data, bytes))
        return false;
    const bool newer = memcmp(data, x->files[file].data, 8) == 0 &&
                       (data[8] > SEGMENT_VERSION || !is_zero(data + 9, 3));
    return !newer && is_zero(data + SEGMENT_HEADER_BYTES, bytes - SEGMENT_HEADER_BYTES);
}

/* True if something that is left says that more than the first `left` batches had been safe. */
static bool is_known(const struct wounds *x, size_t left, uint32_t file, const uint8_t *data, size_t bytes)
{
    const bool blank = is_blank(x, file, data, bytes);
    const struct position end = end_of(x, left);
    const uint64_t oldest = left > 0 ? x->batches[left - 1].header.oldest : x->files[0].header.oldest;
    for (size_t i = 0; i < x->batch_count; i++) {
        const struct position synced = {x->batches[i].header.synced_segment, x->batches[i].header.synced_offset};
        if (position_before(end, synced) && header_is_left(x, &x->batches[i], file, data, bytes))
            return true;
    }
    for (uint32_t i = 0; i < x->file_count; i++)
        if (x->files[i].header.oldest > oldest && !(i == file && blank))
            return true;
    if (blank && file < x->file_count - 1)
        return true; /* missing */
    /* What was given back, was so only when a batch that said so was safe. */
    return oldest < x->files[0].header.number;
}

static bool header_is_hurt(const struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes)
{
    return header_differs(x, file, data, bytes) && !is_blank(x, file, data, bytes);
}

/* ---- trials ------------------------------------------------------------------------------------------------------ */

struct disk *wounds_disk(const struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes)
{
    struct disk *disk = disk_clone(x->disk, 1);
    disk_put_file(disk, x->files[file].name, data, bytes);
    return disk;
}

static void check_refusal(struct wounds *x, const struct wal_world *w, uint32_t file, size_t left, bool hurt)
{
    char offset[40];
    const struct wound_file *f = &x->files[hurt || left == 0 ? (hurt ? file : 0) : x->batches[left - 1].file];
    const char *text = w->error.text;
    snprintf(offset, sizeof offset, "offset %" PRIu32 ": ", end_of(x, left).offset);
    const bool cure = strstr(text, "--repair-log DIR --to NEWDIR") || strstr(text, "newer ringmq");
    if (strstr(text, "is missing, and held what had been stored safely") && !hurt) {
        x->missing++;
        return;
    }
    if (!strstr(text, f->name) || (!hurt && !strstr(text, offset)) || !cure || strchr(text, '\n'))
        fail_msg("'%s' does not say %s, %s", text, f->name, offset);
}

void wounds_try(struct wounds *x, uint32_t file, const uint8_t *data, size_t bytes, const char *what, uint64_t at)
{
    struct disk *disk = wounds_disk(x, file, data, bytes);
    struct wal_world w = *x->w;
    const size_t left = wounds_left(x, file, data, bytes);
    const uint64_t last = left > 0 ? x->batches[left - 1].header.number : x->files[0].header.first_of_run - 1;
    const bool hurt = header_is_hurt(x, file, data, bytes);
    const bool refused = hurt || is_known(x, left, file, data, bytes);
    w.disk = disk;
    const bool opened = world_open(&w);
    size_t same =
        left; /* a batch without records changes nothing, and may have been written in the middle of an event */
    if (opened == refused)
        fail_msg("%s, %s, %" PRIu64 ": %zu of %zu batches left, %s", x->files[file].name, what, at, left,
                 x->batch_count, opened ? "but it opens" : w.error.text);
    if (!opened) {
        check_refusal(x, &w, file, left, hurt);
        assert_int_equal(disk_open_handles(disk), 0);
        x->refused++;
    } else {
        if (world_batch(&w) != last)
            fail_msg("%s, %s, %" PRIu64 ": batch %" PRIu64 " instead of %" PRIu64, x->files[file].name, what, at,
                     world_batch(&w), last);
        for (; same > 0 && x->batches[same - 1].header.bytes == 0; same--)
            w.wal->batch--;
        if (!world_is_as_it_was(&w))
            fail_msg("%s, %s, %" PRIu64 ": the state is not that of batch %" PRIu64, x->files[file].name, what, at,
                     last);
        x->whole += left == x->batch_count;
        x->cut += left < x->batch_count;
        x->cut_batches += w.wal->info.cut_batches;
        x->cut_bytes += w.wal->info.cut_bytes;
        world_die(&w);
    }
    disk_free(disk);
}
