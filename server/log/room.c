/*
 * room: segments made ready, used again and removed, by the helper thread; and what goes on when the disk has no more.
 *
 * The life of a segment: made ready (created and allocated, or a void one given a new header; synced, its name too) ->
 * prepared -> tail -> old, synced one last time and closed -> compacted -> void, once that is synced -> made ready again, or
 * removed. A segment that was written before syncs several times faster than a new one, so a void one is used again if one
 * is needed.
 */
#include "server/log/inside.h"

#include <stdlib.h>
#include <string.h>

/* Kept for acks on a full disk, beside a 64th of a segment. */
#define LAST_BYTES 4096

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

static int make_new(struct room_job *room)
{
    const struct files *files = &room->wal->files;
    struct segment *s = room->segment;
    int result = files->create(files->user, s->name);
    room->failed = "create";
    if (result < 0)
        return result;
    s->handle = result;
    room->failed = "allocate";
    result = files->allocate(files->user, s->handle, s->file_bytes);
    if (result == 0) {
        room->failed = "write";
        result = files->write(files->user, s->handle, room->header, sizeof room->header, 0);
    }
    if (result == 0) {
        room->failed = "sync";
        result = files->sync(files->user, s->handle);
    }
    if (result == -ENOSPC || result == -EDQUOT) {
        /* Nobody has heard of the file yet. */
        (void)files->close(files->user, s->handle);
        (void)files->unlink(files->user, s->name);
        s->handle = -1;
    }
    return result;
}

/* The header first: as long as it is the old one, all that the segment held is still there for a recovery to read. */
static int make_again(struct room_job *room)
{
    const struct files *files = &room->wal->files;
    const uint64_t bytes = room->wal->options.segment_bytes;
    struct segment *s = room->segment;
    int result = 0;
    if (s->handle < 0) {
        room->failed = "open";
        result = s->handle = files->open(files->user, s->name, 1);
    }
    if (result >= 0) {
        room->failed = "write";
        result = files->write(files->user, s->handle, room->header, sizeof room->header, 0);
    }
    if (result == 0) {
        room->failed = "sync";
        result = files->sync(files->user, s->handle);
    }
    if (result == 0 && s->file_bytes > bytes) {
        room->failed = "truncate";
        result = files->truncate(files->user, s->handle, bytes);
    }
    if (result == 0 && s->file_bytes > bytes) {
        room->failed = "sync";
        result = files->sync(files->user, s->handle);
    }
    if (result == 0) {
        room->failed = "rename";
        result = files->rename(files->user, s->name, room->new_name);
    }
    /* What lies there now will be overwritten in parts of blocks: they had better be in memory. */
    if (result == 0)
        (void)files->want(files->user, s->handle, bytes);
    return result;
}

/* The next step of writing it ahead: a block that has been written before is synced with less ado. */
static int fill(struct room_job *room)
{
    static const uint8_t zeros[WAL_FILL_BYTES];
    const struct files *files = &room->wal->files;
    struct segment *s = room->segment;
    const uint64_t left = s->file_bytes - s->filled;
    const size_t bytes = left < WAL_FILL_BYTES ? (size_t)left : WAL_FILL_BYTES;
    room->failed = "write";
    int result = files->write(files->user, s->handle, zeros, bytes, s->filled);
    if (result == 0) {
        room->failed = "sync";
        result = files->sync(files->user, s->handle);
    }
    s->filled += bytes;
    return result;
}

static int remove_one(struct room_job *room)
{
    const struct files *files = &room->wal->files;
    struct segment *s = room->segment;
    int result = 0;
    room->failed = "close";
    if (s->handle >= 0)
        result = files->close(files->user, s->handle);
    if (result == 0) {
        room->failed = "unlink";
        result = files->unlink(files->user, s->name);
    }
    return result;
}

static void run_room(struct job *job)
{
    struct room_job *room = (struct room_job *)(void *)job;
    const struct files *files = &room->wal->files;
    switch (room->kind) {
    case ROOM_NEW:
        job->result = make_new(room);
        break;
    case ROOM_AGAIN:
        job->result = make_again(room);
        break;
    case ROOM_FILL:
        job->result = fill(room);
        return;
    case ROOM_REMOVE:
        job->result = remove_one(room);
        break;
    }
    if (job->result == 0) {
        room->failed = "sync of the directory";
        job->result = files->sync_directory(files->user);
    }
}

static void begin_room(struct wal *wal, enum room_kind kind, struct segment *segment)
{
    struct room_job *room = &wal->room;
    room->job = (struct job){.run_cb = run_room};
    room->wal = wal;
    room->kind = kind;
    room->segment = segment;
    if (kind == ROOM_NEW || kind == ROOM_AGAIN) {
        const uint64_t number = wal_next_number(wal);
        segment_name(number, room->new_name);
        segment_fill_header(wal, number, room->header);
        segment->number = number;
        if (segment->filled < SEGMENT_START)
            segment->filled = SEGMENT_START;
        if (segment->filled > wal->options.segment_bytes)
            segment->filled = wal->options.segment_bytes;
    }
    if (kind == ROOM_NEW)
        memcpy(segment->name, room->new_name, sizeof segment->name);
    wal->making = true;
    worker_submit(wal->worker, &room->job);
}

/* Where every batch is synced it is worth the while to write all blocks ahead, unless the segment is needed at once. */
static bool wants_fill(const struct wal *wal, const struct segment *s)
{
    return wal->options.level == WAL_FSYNC && s->filled < s->file_bytes &&
           segments_room(wal) >= wal->options.segment_bytes / 8;
}

void room_done(struct wal *wal)
{
    struct room_job *room = &wal->room;
    struct segment *s = room->segment;
    const int result = room->job.result;
    wal->making = false;
    if (room->kind == ROOM_NEW && is_disk_full(result) && s->handle < 0) {
        wal->full = true;
        wal->next_segment = s->number; /* numbers have no gaps */
        wal->retry_ms = wal->now_ms + WAL_RETRY_MS;
        segments_free(s);
        return;
    }
    if (result != 0 && !(room->kind == ROOM_FILL && is_disk_full(result))) {
        wal_fail(wal, room->failed, result);
        if (s->handle >= 0 && room->kind != ROOM_REMOVE)
            (void)wal->files.close(wal->files.user, s->handle);
        segments_free(s);
        return;
    }
    wal->full = false;
    if (room->kind == ROOM_REMOVE) {
        segments_free(s);
        return;
    }
    memcpy(s->name, room->new_name, sizeof s->name);
    s->file_bytes = wal->options.segment_bytes;
    if (result == 0 && wants_fill(wal, s)) {
        begin_room(wal, ROOM_FILL, s);
        return;
    }
    s->used = SEGMENT_START;
    s->end_place = s->end_batch = 0;
    s->dirty = false;
    segments_add(wal, s);
}

/* A void segment whose successor is known to the disk, or NULL. */
static struct segment *take_void(struct wal *wal)
{
    if (wal->voided_count == 0 || wal->voided[0].batch > wal->synced_batch || wal->voided[0].segment->busy)
        return NULL;
    struct segment *s = wal->voided[0].segment;
    wal->oldest_safe = s->number + 1;
    if (s->filled < s->used)
        s->filled = s->used;
    memmove(wal->voided, wal->voided + 1, --wal->voided_count * sizeof *wal->voided);
    return s;
}

uint64_t segments_room_ahead(const struct wal *wal)
{
    return segments_room(wal) + (wal_is_prepared(wal) ? wal->options.segment_bytes : 0);
}

/*
 * A new segment: when the tail has not much room left and no void one is about to become free; and earlier, as long as the
 * files stay within what is promised, when there would not be room to compact the oldest if the disk were full.
 */
static bool wants_new(const struct wal *wal)
{
    const uint64_t segment = wal->options.segment_bytes, room = segments_room(wal);
    /* Writing it ahead takes its time. */
    const uint64_t ahead = wal->options.level == WAL_FSYNC ? segment / 2 : segment / 4;
    if (wal_is_prepared(wal) || wal->voided_count > 0 || wal->segment_count >= WAL_SEGMENTS_MAX)
        return false;
    if (wal->full)
        return wal->now_ms >= wal->retry_ms;
    if (!wal->rotate_soon && room >= ahead + compact_bytes(wal))
        return false;
    const bool within = segments_disk_bytes(wal) + segment <= 2 * (wal->live_bytes + segment);
    if (within)
        return true;
    /* Compaction is about to give one back: to make another would take more of the disk than promised. */
    const bool compacting = wal->compact.step != COMPACT_IDLE || compact_is_due(wal);
    if (!within && compacting && room > 2 * segments_margin(wal))
        return false;
    return wal->rotate_soon || room < ahead;
}

void room_work(struct wal *wal)
{
    if (wal->making)
        return;
    struct segment *s = take_void(wal);
    if (s) {
        const bool useless = wal_is_prepared(wal) || s->file_bytes < wal->options.segment_bytes;
        begin_room(wal, useless ? ROOM_REMOVE : ROOM_AGAIN, s);
    } else if (wants_new(wal) && segments_reserve(wal) && (s = calloc(1, sizeof *s)) != NULL) {
        s->handle = -1;
        s->file_bytes = wal->options.segment_bytes;
        begin_room(wal, ROOM_NEW, s);
    }
}

/*
 * On a full disk. What is left is first for whatever is done with messages that are there, then for compaction, which alone can
 * win room back, and the last bit for acks: what is delivered and comes back could go on for ever.
 */
void room_judge(struct wal *wal)
{
    if (wal->state == WAL_FAILED)
        return;
    const uint64_t segment = wal->options.segment_bytes, last = segment / 64 + LAST_BYTES;
    const uint64_t room = segments_room_ahead(wal), need = compact_bytes(wal);
    const bool low = wal->full && room < segment / 8 + need + last;
    wal->state = low ? WAL_FULL : WAL_GOOD;
    wal->broker->refusing = low ? ERR_DISK_FULL : ERR_NONE;
    broker_withhold(wal->broker, low && (room < last || (room >= need && room < need + last)));
}
