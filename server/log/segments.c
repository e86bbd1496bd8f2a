/*
 * segments: the files of the log, as a list, and what the helper thread does to them. At most one job of each kind is under way, of
 * syncs two: a sync, a segment that is made ready or removed (room.c), a chunk that is read (compact_read.c).
 *
 * Where every batch is synced, the next sync is submitted while one is being done, and until its turn comes it takes in
 * whatever is written: so the disk goes from one to the next without waiting for the loop.
 */
#include "server/log/inside.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t wal_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void segment_name(uint64_t number, char out[FILES_NAME_BYTES])
{
    snprintf(out, FILES_NAME_BYTES, "%016" PRIx64 ".seg", number);
}

void wal_fail(struct wal *wal, const char *operation, int error)
{
    if (wal->state == WAL_FAILED)
        return;
    wal->state = WAL_FAILED;
    wal->broker->refusing = ERR_LOG_FAILED;
    if (error != 0)
        snprintf(wal->why, sizeof wal->why, "%s: %s", operation, strerror(-error));
    else
        snprintf(wal->why, sizeof wal->why, "%s", operation);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

bool segments_reserve(struct wal *wal)
{
    if (wal->segment_count + 2 <= wal->segment_cap)
        return true;
    const uint32_t cap = wal->segment_cap ? wal->segment_cap * 2 : 16;
    struct segment **segments = realloc(wal->segments, cap * sizeof *segments);
    if (segments)
        wal->segments = segments;
    struct voided *voided = realloc(wal->voided, cap * sizeof *voided);
    if (voided)
        wal->voided = voided;
    if (!segments || !voided)
        return false;
    wal->segment_cap = cap;
    return true;
}

void segments_add(struct wal *wal, struct segment *segment)
{
    assert(wal->segment_count < wal->segment_cap);
    wal->segments[wal->segment_count++] = segment;
    assert(!wal->by_mark[segment_mark(segment->number)]);
    wal->by_mark[segment_mark(segment->number)] = segment;
}

void segments_free(struct segment *segment)
{
    free(segment);
}

uint64_t segment_number_after(uint64_t number)
{
    return segment_mark(number + 1) == 0 ? number + 2 : number + 1;
}

uint64_t wal_next_number(struct wal *wal)
{
    const uint64_t number = wal->next_segment;
    wal->next_segment = segment_number_after(number);
    return number;
}

void segment_fill_header(const struct wal *wal, uint64_t number, uint8_t out[SEGMENT_START])
{
    const struct segment_header header = {
        .version = SEGMENT_VERSION,
        .log = wal->log,
        .number = number,
        .run = wal->run,
        .first_of_run = wal->first_of_run,
        .oldest = wal->oldest_safe,
        .made_at_ms = wal->now_ms + wal->broker->wall_offset_ms,
        .receipts = wal->broker->slots.run,
        .before_segment = wal->before.segment,
        .before_offset = wal->before.offset,
    };
    memset(out, 0, SEGMENT_START);
    segment_header_put(out, &header);
}

uint64_t segments_room(const struct wal *wal)
{
    const struct segment *tail = wal_tail(wal);
    return tail->used < tail->file_bytes ? tail->file_bytes - tail->used : 0;
}

uint64_t segments_margin(const struct wal *wal)
{
    const uint64_t share = wal->options.segment_bytes / 16;
    return share < WAL_BUFFER_BYTES ? share : WAL_BUFFER_BYTES;
}

uint64_t segments_disk_bytes(const struct wal *wal)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < wal->segment_count; i++)
        bytes += wal->segments[i]->file_bytes;
    for (uint32_t i = 0; i < wal->voided_count; i++)
        bytes += wal->voided[i].segment->file_bytes;
    return bytes + (wal->making ? wal->room.segment->file_bytes : 0);
}

bool segments_rotate(struct wal *wal)
{
    assert(!wal->open);
    if (!wal_is_prepared(wal))
        return false;
    wal->old_bytes += wal_tail(wal)->used - SEGMENT_START;
    wal_tail(wal)->dirty = true; /* even if all of it is synced: the next sync closes it */
    wal->tail++;
    return true;
}

void segments_void_oldest(struct wal *wal)
{
    struct segment *oldest = wal->segments[0];
    assert(wal->tail > 0 && oldest->items == 0 && oldest->definitions == 0 && oldest->live_bytes == 0);
    memmove(wal->segments, wal->segments + 1, --wal->segment_count * sizeof *wal->segments);
    wal->tail--;
    wal->old_bytes -= oldest->used - SEGMENT_START;
    wal->by_mark[segment_mark(oldest->number)] = NULL;
    wal->oldest = wal->segments[0]->number;
    assert(wal->voided_count < wal->segment_cap);
    wal->voided[wal->voided_count++] = (struct voided){oldest, wal->batch + 1};
    wal->want_batch = wal->batch + 1;
}

/* ---- sync -------------------------------------------------------------------------------------------------------- */

static void run_sync(struct job *job)
{
    struct sync_job *sync = (struct sync_job *)(void *)job;
    const struct files *files = &sync->wal->files;
    for (uint32_t i = 0; i < sync->count && job->result == 0; i++) {
        job->result = files->sync(files->user, sync->handles[i]);
        if (job->result != 0 || !sync->close[i])
            continue;
        job->result = files->close(files->user, sync->handles[i]);
        sync->handles[i] = -1;
    }
}

static struct sync_job *newest_sync(struct wal *wal)
{
    return &wal->sync[(wal->oldest_sync + wal->syncing - 1) % 2];
}

/* The last batch of which a sync has been submitted. */
static uint64_t asked_batch(const struct wal *wal)
{
    return wal->syncing > 0 ? wal->sync[(wal->oldest_sync + wal->syncing - 1) % 2].batch : wal->synced_batch;
}

/* The newest sync as if it had not been submitted. False: it is being done. */
static bool recall_sync(struct wal *wal)
{
    struct sync_job *sync = newest_sync(wal);
    if (!worker_recall(wal->worker, &sync->job))
        return false;
    for (uint32_t i = 0; i < sync->count; i++) {
        sync->segments[i]->dirty = true;
        sync->segments[i]->busy--;
    }
    wal->syncing--;
    return true;
}

/* The first segment that is written to since its last sync; all behind it are, but maybe the tail. */
static uint32_t first_dirty(const struct wal *wal)
{
    uint32_t first = wal->tail;
    while (first > 0 && wal->segments[first - 1]->dirty)
        first--;
    return first;
}

static void begin_sync(struct wal *wal)
{
    if (wal->syncing == 2 && !recall_sync(wal))
        return;
    uint64_t later_bytes = wal->syncing > 0 ? newest_sync(wal)->bytes : 0;
    struct sync_job *sync = &wal->sync[(wal->oldest_sync + wal->syncing) % 2];
    const struct segment *last = NULL;
    *sync = (struct sync_job){.job.run_cb = run_sync, .wal = wal};
    for (uint32_t i = first_dirty(wal); i <= wal->tail; i++) {
        struct segment *s = wal->segments[i];
        if (!s->dirty)
            continue;
        if (sync->count == WAL_SYNC_SEGMENTS) {
            later_bytes += s->used - SEGMENT_START;
            continue;
        }
        s->dirty = false;
        s->busy++;
        sync->segments[sync->count] = s;
        sync->handles[sync->count] = s->handle;
        /* Compaction reads from the one that it is at. */
        sync->close[sync->count] = i < wal->tail && (i > 0 || wal->compact.step == COMPACT_IDLE);
        sync->count++;
        last = s;
    }
    assert(last);
    sync->place = last->end_place;
    sync->batch = last->end_batch;
    sync->end = (struct position){last->number, (uint32_t)last->used};
    sync->bytes = wal->unsynced_bytes - later_bytes;
    wal->syncing++;
    worker_submit(wal->worker, &sync->job);
}

static unsigned bucket(uint64_t value)
{
    unsigned n = 0;
    while (n < WAL_BUCKETS - 1 && value >> n != 0)
        n++;
    return n;
}

static void sync_done(struct wal *wal)
{
    struct sync_job *sync = &wal->sync[wal->oldest_sync];
    const uint64_t us = (uint64_t)sync->job.took_ns / 1000;
    wal->oldest_sync = (wal->oldest_sync + 1) % 2;
    wal->syncing--;
    for (uint32_t i = 0; i < sync->count; i++) {
        sync->segments[i]->busy--;
        if (sync->handles[i] < 0)
            sync->segments[i]->handle = -1;
    }
    if (sync->job.result != 0) {
        wal_fail(wal, "sync", sync->job.result);
        return;
    }
    if (wal->state == WAL_FAILED)
        return; /* what a sync after one that failed says is not to be believed */
    wal->info.syncs++;
    wal->info.sync_us_total += us;
    if (us > wal->info.sync_us_max)
        wal->info.sync_us_max = us;
    wal->info.sync_us[bucket(us)]++;
    wal->info.sync_bytes[bucket(sync->bytes)]++;
    wal->synced_place = sync->place;
    wal->synced_batch = sync->batch;
    wal->synced = sync->end;
    wal->unsynced_bytes -= sync->bytes;
}

/* How long the next sync may wait; a past time: it is due. */
static int64_t sync_at_ms(const struct wal *wal)
{
    if (asked_batch(wal) >= wal->batch || wal->state == WAL_FAILED)
        return WAL_NEVER;
    if (wal->options.level == WAL_FSYNC || wal->want_batch > wal->synced_batch)
        return wal->now_ms;
    if (wal_tail(wal)->number - wal->synced.segment > WAL_SYNC_SEGMENTS)
        return wal->now_ms; /* or a log that nothing asks to sync would keep all its files open */
    return wal->options.level == WAL_INTERVAL ? wal->sync_due_ms : WAL_NEVER;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

void segments_make_room(struct wal *wal)
{
    const int64_t begun_ns = wal_clock_ns();
    bool waited = false;
    segments_work(wal);
    while (wal->state != WAL_FAILED && !wal_is_prepared(wal) && segments_room(wal) < wal->options.segment_bytes / 8 &&
           (wal->making || wal->syncing)) {
        waited = true;
        (void)worker_wait(wal->worker);
        segments_collect(wal);
        segments_work(wal);
    }
    const uint64_t us = (uint64_t)(wal_clock_ns() - begun_ns) / 1000;
    wal->info.stalls += waited;
    wal->pauses += waited;
    if (waited && us > wal->info.longest_stall_us)
        wal->info.longest_stall_us = us;
}

void segments_work(struct wal *wal)
{
    if (wal->state == WAL_FAILED)
        return;
    if (wal->rotate_soon && !wal->open)
        wal->rotate_soon = !segments_rotate(wal);
    if (wal->want_batch > wal->batch)
        append_empty(wal); /* nothing else came to say which segments are void */
    if ((wal->syncing == 0 || wal->options.level == WAL_FSYNC) && sync_at_ms(wal) <= wal->now_ms) {
        wal->sync_due_ms = wal->now_ms + wal->options.interval_ms;
        begin_sync(wal);
    }
    room_work(wal);
    room_judge(wal);
}

void segments_collect(struct wal *wal)
{
    for (struct job *job; (job = worker_collect(wal->worker));) {
        if (job == &wal->sync[wal->oldest_sync].job) {
            sync_done(wal);
        } else if (job == &wal->room.job) {
            room_done(wal);
        } else {
            assert(job == &wal->read.job);
            wal->reading = false;
            compact_read_done(wal, wal->read.job.result);
        }
    }
}

int64_t wal_next_ms(const struct wal *wal)
{
    if (wal->state == WAL_FAILED)
        return WAL_NEVER;
    int64_t next_ms = wal->syncing > 0 ? WAL_NEVER : sync_at_ms(wal);
    if (wal->full && !wal->making && wal->retry_ms < next_ms)
        next_ms = wal->retry_ms;
    if (compact_is_due(wal))
        next_ms = wal->now_ms - 1;
    return next_ms;
}
