#include "server/log/inside.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void wake_nobody(void *user)
{
    (void)user;
}

static struct wal *allocate(const struct wal_options *options, const struct files *files, struct broker *b,
                            int64_t now_ms)
{
    struct wal *wal = calloc(1, sizeof *wal);
    if (!wal)
        return NULL;
    wal->options = *options;
    wal->files = *files;
    wal->broker = b;
    wal->now_ms = now_ms;
    wal->next_segment = 1;
    wal->by_mark = calloc(UINT16_MAX + 1, sizeof *wal->by_mark);
    wal->buffer = malloc(BATCH_HEADER_BYTES + WAL_BUFFER_BYTES);
    wal->checksum = XXH3_createState();
    wal->compact.checksum = XXH3_createState();
    wal->worker = worker_open(options->threaded, options->wake_cb ? options->wake_cb : wake_nobody, options->user);
    if (wal->by_mark && wal->buffer && wal->checksum && wal->compact.checksum && wal->worker && segments_reserve(wal))
        return wal;
    wal_abandon(wal);
    return NULL;
}

void wal_abandon(struct wal *wal)
{
    if (!wal)
        return;
    worker_close(wal->worker);
    if (wal->broker->watcher == &wal->watcher)
        wal->broker->watcher = NULL;
    if (wal->making)
        segments_free(wal->room.segment);
    for (uint32_t i = 0; i < wal->segment_count; i++)
        segments_free(wal->segments[i]);
    for (uint32_t i = 0; i < wal->voided_count; i++)
        segments_free(wal->voided[i].segment);
    XXH3_freeState(wal->checksum);
    XXH3_freeState(wal->compact.checksum);
    free(wal->compact.chunk);
    free(wal->buffer);
    free(wal->by_mark);
    free(wal->voided);
    free(wal->segments);
    free(wal);
}

struct wal *wal_open(const struct wal_options *options, const struct files *files, struct broker *b, int64_t now_ms,
                     struct wal_error *error)
{
    assert(b->queue_count == 0 && b->topic_count == 0);
    return wal_begin(options, files, b, now_ms, error);
}

struct wal *wal_begin(const struct wal_options *options, const struct files *files, struct broker *b, int64_t now_ms,
                      struct wal_error *error)
{
    assert(options->segment_bytes >= WAL_SEGMENT_MIN);
    snprintf(error->text, sizeof error->text, "out of memory");
    struct wal *wal = allocate(options, files, b, now_ms);
    if (!wal)
        return NULL;
    const int64_t begun_ns = wal_clock_ns();
    if (!recover(wal, error)) {
        wal_abandon(wal);
        return NULL;
    }
    wal->info.recovery_ms = (uint64_t)(wal_clock_ns() - begun_ns) / 1000000;
    append_watch(wal);
    if (wal->full)
        segments_work(wal);
    return wal;
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

void wal_write(struct wal *wal, int64_t now_ms)
{
    wal->now_ms = now_ms;
    append_finish(wal);
    segments_work(wal);
    if (wal->state == WAL_FAILED || !compact_is_due(wal))
        return;
    const uint64_t before = wal->info.written_bytes;
    compact_slice(wal);
    append_finish(wal);
    wal->compact.written_bytes += wal->info.written_bytes - before;
    segments_work(wal);
}

void wal_collect(struct wal *wal, int64_t now_ms)
{
    wal->now_ms = now_ms;
    segments_collect(wal);
    /* A sync has ended: those who have come meanwhile share the next, which begins at once. */
    segments_work(wal);
}

static bool close_segment(struct wal *wal, const struct segment *s)
{
    return s->handle < 0 || wal->files.close(wal->files.user, s->handle) == 0;
}

bool wal_close(struct wal *wal)
{
    append_finish(wal);
    while (wal->state != WAL_FAILED && (wal->synced_batch < wal->batch || wal->syncing)) {
        wal->want_batch = wal->batch;
        segments_work(wal);
        if (!wal_step(wal) && !worker_wait(wal->worker))
            break;
        segments_collect(wal);
    }
    bool safe = wal->state != WAL_FAILED;
    if (safe) {
        /* The last word: all before it is on the disk. */
        append_empty(wal);
        safe = wal->state != WAL_FAILED && wal->files.sync(wal->files.user, wal_tail(wal)->handle) == 0;
    }
    while (worker_wait(wal->worker) || wal_step(wal))
        segments_collect(wal);
    for (uint32_t i = 0; i < wal->segment_count; i++)
        safe = close_segment(wal, wal->segments[i]) && safe;
    for (uint32_t i = 0; i < wal->voided_count; i++)
        safe = close_segment(wal, wal->voided[i].segment) && safe;
    wal_abandon(wal);
    return safe;
}

bool wal_step(struct wal *wal)
{
    return !wal->options.threaded && worker_step(wal->worker);
}

void wal_set_level(struct wal *wal, enum wal_level level, int64_t interval_ms)
{
    wal->options.level = level;
    wal->options.interval_ms = interval_ms;
    wal->sync_due_ms = wal->now_ms + interval_ms;
}

/* ---- what it says of itself -------------------------------------------------------------------------------------- */

uint64_t wal_place(const struct wal *wal)
{
    return wal->place;
}

uint64_t wal_written(const struct wal *wal)
{
    return wal->written_place;
}

uint64_t wal_safe(const struct wal *wal)
{
    return wal->options.level == WAL_FSYNC ? wal->synced_place : wal->written_place;
}

enum wal_state wal_state(const struct wal *wal)
{
    return wal->state;
}

uint64_t wal_pauses(const struct wal *wal)
{
    return wal->pauses;
}

uint64_t wal_memory(const struct wal *wal)
{
    return sizeof *wal + BATCH_HEADER_BYTES + WAL_BUFFER_BYTES + (wal->compact.chunk ? WAL_CHUNK_BYTES : 0) +
           (wal->segment_count + wal->voided_count) * sizeof(struct segment) +
           wal->segment_cap * (sizeof(struct segment *) + sizeof(struct voided));
}

void wal_info(const struct wal *wal, struct wal_info *out)
{
    *out = wal->info;
    out->state = wal->state;
    out->level = wal->options.level;
    out->why = wal->state == WAL_FAILED ? wal->why : NULL;
    out->segment_bytes = wal->options.segment_bytes;
    out->segments = wal->segment_count;
    out->disk_bytes = segments_disk_bytes(wal);
    out->live_bytes = wal->live_bytes;
    out->unsynced_bytes = wal->unsynced_bytes;
    out->compacting = wal->compact.step != COMPACT_IDLE;
}

void wal_segment(const struct wal *wal, uint64_t i, struct wal_segment_info *out)
{
    assert(i < wal->segment_count);
    const struct segment *s = wal->segments[i];
    *out = (struct wal_segment_info){
        .number = s->number,
        .use = i == wal->tail                                ? WAL_SEGMENT_TAIL
               : i > wal->tail                               ? WAL_SEGMENT_PREPARED
               : i == 0 && wal->compact.step != COMPACT_IDLE ? WAL_SEGMENT_COMPACTING
                                                             : WAL_SEGMENT_OLD,
        .file_bytes = s->file_bytes,
        .used_bytes = s->used,
        .live_bytes = s->live_bytes,
    };
}
