/*
 * append: what the broker tells becomes records of the batch at hand, and batches become bytes in the tail.
 *
 * A batch is opened by the first record, which also decides in which segment it will lie, so that whatever it brings can be
 * marked at once. It ends at the end of the turn, or between two events when much has come together. One event that is larger
 * than the buffer is written in pieces behind the place of the batch's header, and the header last: without it the pieces are
 * nothing. So no memory is taken here, and nothing but the write itself can fail.
 */
#include "server/log/inside.h"

#include <string.h>

/* ---- bytes ------------------------------------------------------------------------------------------------------- */

static void put(struct wal *wal, const void *data, size_t bytes, uint64_t offset)
{
    if (wal->state == WAL_FAILED)
        return;
    const int64_t begun_ns = wal_clock_ns();
    const int result = wal->files.write(wal->files.user, wal_tail(wal)->handle, data, bytes, offset);
    const uint64_t us = (uint64_t)(wal_clock_ns() - begun_ns) / 1000;
    wal->pauses += us >= WAL_PAUSE_US;
    if (us > wal->info.longest_write_us)
        wal->info.longest_write_us = us;
    if (result < 0)
        wal_fail(wal, "write", result);
}

/* The buffer has been filled by one event. */
static void drain(void *user, const void *data, size_t bytes)
{
    struct wal *wal = user;
    const struct segment *tail = wal_tail(wal);
    if (wal->piece_bytes == 0)
        XXH3_64bits_reset_withSeed(wal->checksum, segment_salt(wal->log, tail->number));
    XXH3_64bits_update(wal->checksum, data, bytes);
    if (tail->used + BATCH_HEADER_BYTES + wal->piece_bytes + bytes > UINT32_MAX)
        wal_fail(wal, "one call changed more than a segment can hold", 0);
    put(wal, data, bytes, tail->used + BATCH_HEADER_BYTES + wal->piece_bytes);
    wal->piece_bytes += bytes;
}

static void write_batch(struct wal *wal)
{
    struct segment *tail = wal_tail(wal);
    const uint64_t salt = segment_salt(wal->log, tail->number);
    struct batch_header header = {
        .number = wal->batch + 1,
        .at_ms = wal->now_ms + wal->broker->wall_offset_ms,
        .synced_segment = wal->synced.segment,
        .synced_offset = wal->synced.offset,
        .receipts = wal->broker->slots.run,
        .oldest = wal->oldest,
    };
    uint64_t bytes;

    record_close(&wal->writer);
    if (wal->piece_bytes > 0) {
        if (wal->writer.used > 0)
            drain(wal, wal->writer.data, wal->writer.used);
        bytes = wal->piece_bytes;
        header.bytes = (uint32_t)bytes;
        header.checksum = XXH3_64bits_digest(wal->checksum);
        batch_header_put(wal->buffer, &header, salt);
        put(wal, wal->buffer, BATCH_HEADER_BYTES, tail->used);
    } else {
        bytes = wal->writer.used;
        header.bytes = (uint32_t)bytes;
        header.checksum = XXH3_64bits_withSeed(wal->writer.data, bytes, salt);
        batch_header_put(wal->buffer, &header, salt);
        put(wal, wal->buffer, BATCH_HEADER_BYTES + bytes, tail->used);
    }
    wal->writer.used = 0;
    wal->piece_bytes = 0;
    wal->open = false;
    if (wal->state == WAL_FAILED)
        return;
    wal->batch++;
    wal->written_place = wal->place;
    tail->used += BATCH_HEADER_BYTES + bytes;
    if (tail->file_bytes < tail->used)
        tail->file_bytes = tail->used;
    tail->dirty = true;
    tail->end_place = wal->place;
    tail->end_batch = wal->batch;
    wal->unsynced_bytes += BATCH_HEADER_BYTES + bytes;
    wal->info.written_bytes += BATCH_HEADER_BYTES + bytes;
    wal->info.batches++;
}

void append_finish(struct wal *wal)
{
    if (wal->open)
        write_batch(wal);
    wal->compact.last_body = NULL; /* copies refer to a message of the same batch */
}

void append_empty(struct wal *wal)
{
    append_finish(wal);
    if (wal->state != WAL_FAILED)
        write_batch(wal);
}

/* A batch begins, in the segment in which it will lie. */
static void open_batch(struct wal *wal)
{
    if (segments_room(wal) < wal->options.segment_bytes / 4 && segments_room_ahead(wal) < wal->options.segment_bytes)
        segments_make_room(wal);
    if (segments_room(wal) < segments_margin(wal) || wal->rotate_soon)
        wal->rotate_soon = !segments_rotate(wal) && wal->rotate_soon;
    wal->writer.wall_offset_ms = wal->broker->wall_offset_ms;
    wal->open = true;
}

/* Before each record: a batch is open, and the record belongs to the tail. False if nothing is written any more. */
static inline bool begin(struct wal *wal)
{
    if (!wal->open && wal->state != WAL_FAILED)
        open_batch(wal);
    wal->place++; /* not before: what opening a batch may write has nothing of this record */
    wal->info.records++;
    return wal->state != WAL_FAILED;
}

static inline uint16_t mark(const struct wal *wal)
{
    return segment_mark(wal_tail(wal)->number);
}

void append_event(struct wal *wal)
{
    const uint64_t bytes = wal->piece_bytes + wal->writer.used;
    if (wal->open &&
        (bytes > WAL_BUFFER_BYTES / 2 || bytes + BATCH_HEADER_BYTES + segments_margin(wal) > segments_room(wal)))
        append_finish(wal);
}

void wal_event(struct wal *wal)
{
    append_event(wal);
    if (!wal->open || wal->options.level != WAL_FSYNC || wal->piece_bytes + wal->writer.used < WAL_EAGER_BYTES ||
        !worker_is_idle(wal->worker))
        return;
    append_finish(wal);
    segments_collect(wal);
    segments_work(wal);
}

/* ---- what is written --------------------------------------------------------------------------------------------- */

void append_message(struct wal *wal, struct queue *q, struct message *m, enum message_state state, int64_t at_ms,
                    const struct slot *slot, bool above, bool alone)
{
    if (!begin(wal))
        return;
    record_message(&wal->writer, q, m, state, at_ms, slot, above, alone);
    account_message(wal, m, above, mark(wal));
}

void append_queue(struct wal *wal, struct queue *q)
{
    if (!begin(wal))
        return;
    record_queue(&wal->writer, q);
    account_queue(wal, q, mark(wal));
}

void append_topic(struct wal *wal, struct topic *t)
{
    if (!begin(wal))
        return;
    record_topic(&wal->writer, t);
    account_topic(wal, t, mark(wal));
}

void append_subscription(struct wal *wal, struct topic *t, struct subscription *s)
{
    if (!begin(wal))
        return;
    record_subscription(&wal->writer, t, s);
    account_subscription(wal, t, s, mark(wal));
}

void append_dedup(struct wal *wal, struct queue *q, struct dedup *entry)
{
    if (!begin(wal))
        return;
    record_dedup(&wal->writer, q, entry);
    account_dedup(wal, entry, mark(wal));
}

/* ---- what the watcher is told ------------------------------------------------------------------------------------ */

static void on_queue(void *user, struct queue *q)
{
    append_queue(user, q);
}

static void on_queue_gone(void *user, struct queue *q)
{
    struct wal *wal = user;
    if (begin(wal))
        record_queue_gone(&wal->writer, q);
    account_queue_gone(wal, q);
}

static void on_topic(void *user, struct topic *t)
{
    append_topic(user, t);
}

static void on_topic_gone(void *user, struct topic *t)
{
    struct wal *wal = user;
    if (begin(wal))
        record_topic_gone(&wal->writer, t);
    for (uint32_t i = 0; i < t->subscription_count; i++)
        account_subscription_gone(wal, t, t->subscriptions[i]);
    account_topic_gone(wal, t);
}

static void on_subscribed(void *user, struct topic *t, struct subscription *s)
{
    append_subscription(user, t, s);
}

static void on_unsubscribed(void *user, struct topic *t, struct subscription *s)
{
    struct wal *wal = user;
    if (begin(wal))
        record_subscription_gone(&wal->writer, t, s);
    account_subscription_gone(wal, t, s);
}

static void on_stored(void *user, struct queue *q, struct message *m, enum message_state state, int64_t due_ms,
                      bool copies_follow)
{
    struct wal *wal = user;
    const bool above = wal->copies;
    wal->copies = copies_follow;
    append_message(wal, q, m, state, due_ms, NULL, above, copies_follow);
}

static void on_stored_run(void *user, struct queue *q, void *const *messages, uint32_t count)
{
    struct wal *wal = user;
    if (!begin(wal))
        return;
    record_run(&wal->writer, q, messages, count);
    account_run(wal, messages, count, mark(wal));
}

static void on_gone(void *user, struct queue *q, uint64_t id, uint32_t count)
{
    struct wal *wal = user;
    if (begin(wal))
        record_ids(&wal->writer, RECORD_GONE, q, id, count, 0);
}

static void on_delivered(void *user, struct queue *q, uint64_t id, uint32_t count, int64_t now_ms)
{
    struct wal *wal = user;
    if (begin(wal))
        record_ids(&wal->writer, RECORD_DELIVERED, q, id, count, now_ms);
}

static void on_undelivered(void *user, struct queue *q, struct message *m)
{
    struct wal *wal = user;
    if (begin(wal))
        record_id(&wal->writer, RECORD_UNDELIVERED, q, m->id, 0);
}

static void on_ready(void *user, struct queue *q, struct message *m)
{
    struct wal *wal = user;
    if (begin(wal))
        record_id(&wal->writer, RECORD_READY, q, m->id, 0);
}

static void on_kicked(void *user, struct queue *q, struct message *m)
{
    struct wal *wal = user;
    if (begin(wal))
        record_id(&wal->writer, RECORD_KICKED, q, m->id, 0);
}

static void on_delayed(void *user, struct queue *q, struct message *m, int64_t until_ms)
{
    struct wal *wal = user;
    if (begin(wal))
        record_id(&wal->writer, RECORD_DELAYED, q, m->id, until_ms);
}

static void on_parked(void *user, struct queue *q, struct message *m, const struct slot *slot)
{
    struct wal *wal = user;
    if (begin(wal))
        record_parked(&wal->writer, q, m, slot);
}

static void on_purged(void *user, struct queue *q, unsigned states)
{
    struct wal *wal = user;
    if (begin(wal))
        record_purged(&wal->writer, q, states);
}

static void on_cleared(void *user, struct message *m)
{
    account_message_gone(user, m);
}

static void on_dedup(void *user, struct queue *q, struct dedup *entry)
{
    append_dedup(user, q, entry);
}

static void on_dedup_gone(void *user, struct dedup *entry)
{
    account_dedup_gone(user, entry);
}

static void on_event(void *user)
{
    wal_event(user);
}

void append_watch(struct wal *wal)
{
    wal->watcher = (struct watcher){
        .user = wal,
        .queue_cb = on_queue,
        .queue_gone_cb = on_queue_gone,
        .topic_cb = on_topic,
        .topic_gone_cb = on_topic_gone,
        .subscribed_cb = on_subscribed,
        .unsubscribed_cb = on_unsubscribed,
        .stored_cb = on_stored,
        .stored_run_cb = on_stored_run,
        .gone_cb = on_gone,
        .delivered_cb = on_delivered,
        .undelivered_cb = on_undelivered,
        .ready_cb = on_ready,
        .kicked_cb = on_kicked,
        .delayed_cb = on_delayed,
        .parked_cb = on_parked,
        .purged_cb = on_purged,
        .cleared_cb = on_cleared,
        .dedup_cb = on_dedup,
        .dedup_gone_cb = on_dedup_gone,
        .event_cb = on_event,
    };
    record_writer_init(&wal->writer, wal->buffer + BATCH_HEADER_BYTES, WAL_BUFFER_BYTES, drain, wal);
    wal->broker->watcher = &wal->watcher;
}
