/*
 * begin: a run gets a segment of its own, behind what recovery has read: nothing of that is changed before all of it is synced.
 */
#include "server/log/inside.h"
#include "server/log/scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct beginning {
    struct wal *wal;
    const struct scan *scan;
    struct position end; /* of the last batch */
    uint64_t batch;      /* its number */
    struct wal_error *error;
};

static bool refuse(struct beginning *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(struct beginning *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->error->text, sizeof r->error->text, format, arguments);
    va_end(arguments);
    return false;
}

/* What was read may only be in the system's memory, after a kill: now it is confirmed for good. */
static bool sync_old(struct beginning *r)
{
    struct wal *wal = r->wal;
    const struct files *files = &wal->files;
    for (uint32_t i = 0; i < wal->segment_count; i++) {
        int handle = files->open(files->user, wal->segments[i]->name, 1);
        int error = handle < 0 ? handle : files->sync(files->user, handle);
        const int closed = handle < 0 ? 0 : files->close(files->user, handle);
        if (error == 0)
            error = closed;
        if (error != 0)
            return refuse(r, "%s: %s", wal->segments[i]->name, strerror(-error));
    }
    return true;
}

/* Files that were being made, or made ready for another life, when an earlier run ended. */
static bool remove_headless(struct beginning *r)
{
    const struct files *files = &r->wal->files;
    for (uint32_t i = 0; i < r->scan->headless_count; i++) {
        const char *name = r->scan->headless[i].name;
        const int error = files->unlink(files->user, name);
        if (error != 0)
            return refuse(r, "%s: %s", name, strerror(-error));
    }
    return true;
}

/* Segments that an earlier run had prepared and never used. If something had to be cut off they stay until compaction. */
static bool remove_unused(struct beginning *r)
{
    struct wal *wal = r->wal;
    const struct files *files = &wal->files;
    while (wal->info.cut_batches == 0 && wal->segment_count > 1) {
        struct segment *s = wal->segments[wal->segment_count - 1];
        if (s->number <= r->end.segment || s->end_batch != 0)
            return true;
        const int error = files->unlink(files->user, s->name);
        if (error != 0)
            return refuse(r, "%s: %s", s->name, strerror(-error));
        wal->by_mark[segment_mark(s->number)] = NULL;
        wal->segment_count--;
        wal->next_segment = s->number;
        segments_free(s);
    }
    return true;
}

static int make_first(struct wal *wal, struct segment *s)
{
    const struct files *files = &wal->files;
    uint8_t header[SEGMENT_START];
    int error = files->create(files->user, s->name);
    if (error < 0)
        return error;
    s->handle = error;
    segment_fill_header(wal, s->number, header);
    error = files->allocate(files->user, s->handle, s->file_bytes);
    if (error == 0)
        error = files->write(files->user, s->handle, header, sizeof header, 0);
    if (error == 0)
        error = files->sync(files->user, s->handle);
    if (error == 0)
        error = files->sync_directory(files->user);
    if (error != 0) {
        (void)files->close(files->user, s->handle);
        (void)files->unlink(files->user, s->name);
    }
    return error;
}

/* What the last old segment was given and has not used. */
static int give_up_rest(struct beginning *r)
{
    struct wal *wal = r->wal;
    const struct files *files = &wal->files;
    if (wal->segment_count == 0)
        return 0;
    struct segment *last = wal->segments[wal->segment_count - 1];
    const int handle = files->open(files->user, last->name, 1);
    int error = handle < 0 ? handle : files->truncate(files->user, handle, last->used);
    if (error == 0)
        error = files->sync(files->user, handle);
    if (handle >= 0)
        (void)files->close(files->user, handle);
    if (error == 0)
        last->file_bytes = last->used;
    return error;
}

/* On a full disk a smaller one has to do, so that at least acks can be taken. */
static int make_first_or_less(struct beginning *r, struct segment *s)
{
    struct wal *wal = r->wal;
    int error = make_first(wal, s);
    if (!is_disk_full(error))
        return error;
    wal->full = true;
    wal->retry_ms = wal->now_ms + WAL_RETRY_MS;
    const uint64_t before = segments_disk_bytes(wal);
    error = give_up_rest(r);
    const uint64_t rest = before - segments_disk_bytes(wal);
    if (error == 0 && rest > 4 * SEGMENT_START && rest < s->file_bytes)
        s->file_bytes = rest - SEGMENT_START;
    if (error == 0)
        error = make_first(wal, s);
    while (is_disk_full(error) && s->file_bytes >= 4 * SEGMENT_START) {
        s->file_bytes /= 2;
        error = make_first(wal, s);
    }
    return error;
}

static bool begin(struct beginning *r)
{
    struct wal *wal = r->wal;
    if (!sync_old(r) || !remove_headless(r) || !remove_unused(r))
        return false;
    struct segment *s = segments_reserve(wal) ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return refuse(r, "out of memory");
    s->number = wal_next_number(wal);
    segment_name(s->number, s->name);
    s->file_bytes = wal->options.segment_bytes;
    s->used = SEGMENT_START;
    wal->batch = wal->synced_batch = r->batch;
    wal->first_of_run = r->batch + 1;
    wal->oldest = wal->oldest_safe = wal->segment_count > 0 ? wal->segments[0]->number : s->number;
    wal->synced = wal->before = r->end;
    const int error = make_first_or_less(r, s);
    if (error != 0) {
        refuse(r, "%s: %s", s->name, strerror(-error));
        segments_free(s);
        return false;
    }
    for (uint32_t i = 0; i < wal->segment_count; i++)
        wal->old_bytes += wal->segments[i]->used - SEGMENT_START;
    segments_add(wal, s);
    wal->tail = wal->segment_count - 1;
    /* There was no time to write this one ahead. */
    wal->rotate_soon = wal->options.level == WAL_FSYNC;
    return true;
}

bool begin_run(struct wal *wal, const struct scan *scan, struct position end, uint64_t batch, struct wal_error *error)
{
    struct beginning r = {wal, scan, end, batch, error};
    return begin(&r);
}
