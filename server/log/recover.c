/*
 * recover: what is in the directory becomes the broker's state again, and this run gets a segment of its own.
 *
 *     list       headers of all segments (scan.h); what is newer, foreign or damaged is refused before anything is touched.
 *                A header that was only written in part may be that of a file which nobody needs: the fold will tell.
 *     fold       batch after batch, each checked, numbers without a gap
 *     end        where no valid batch follows: the end, or a torn one (then what lies behind is cut off), or damage
 *     begin      the old segments are synced, and a new one is made (begin.c)
 *
 * Void segments that a crash has left may be folded like the others: they disappear strictly in their order, so what is left is
 * always an end of the log's history, and folding more of it than is needed changes nothing. But they need not be whole: no
 * sync ever waits for what is void already. Then the log begins behind them, where its own batches say that it may.
 *
 * The end of the log is where the next batch, by its number, is nowhere to be found. What a power loss does to bytes that
 * were not synced looks the same and is cut off, with valid batches that lie behind the gap. But no batch that was written
 * later may say that the gap had been synced, no later run may have begun behind it, and no segment may have been given back
 * because a batch behind it was safe: that is damage, the disk has lost what it promised to keep, and the server does not start.
 *
 * A run never writes into a segment of an earlier run: so what was cut off can't be taken for a continuation, ever.
 */
#include "server/broker/restore.h"
#include "server/log/fold.h"
#include "server/log/inside.h"
#include "server/log/scan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_BYTES (64 * 1024 * 1024)

struct recovery {
    struct wal *wal;
    struct wal_error *error;
    struct scan scan;
    struct fold fold;
    uint32_t start;    /* the file with which the log begins; those before it are void */
    uint16_t mark;     /* of the segment at hand */
    uint64_t run;      /* of the last batch; 0: none yet */
    uint64_t expected; /* number of the next batch; 0: any */
    uint64_t oldest;   /* segment that must be there, as the last batch says */
    uint32_t receipts;
    struct position synced; /* the furthest that any batch knew of */
    struct position end;    /* of the last batch */
    uint64_t bytes_done, bytes_all, bytes_told;
};

static bool refuse(struct recovery *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(struct recovery *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->error->text, sizeof r->error->text, format, arguments);
    va_end(arguments);
    return false;
}

static bool refuse_reading(struct recovery *r, const char *what, int error)
{
    if (error == -ENOMEM)
        return refuse(r, "out of memory while the log is read");
    return refuse(r, "%s: %s", what, strerror(-error));
}

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

static void on_message(void *user, struct queue *q, struct message *m, bool above)
{
    struct recovery *r = user;
    (void)q;
    account_message(r->wal, m, above, r->mark);
}

static void on_message_gone(void *user, struct queue *q, struct message *m)
{
    struct recovery *r = user;
    (void)q;
    account_message_gone(r->wal, m);
}

static void on_queue(void *user, struct queue *q)
{
    struct recovery *r = user;
    account_queue(r->wal, q, r->mark);
}

static void on_queue_gone(void *user, struct queue *q)
{
    struct recovery *r = user;
    account_queue_gone(r->wal, q);
}

static void on_topic(void *user, struct topic *t)
{
    struct recovery *r = user;
    account_topic(r->wal, t, r->mark);
}

static void on_topic_gone(void *user, struct topic *t)
{
    struct recovery *r = user;
    account_topic_gone(r->wal, t);
}

static void on_subscription(void *user, struct topic *t, struct subscription *s)
{
    struct recovery *r = user;
    account_subscription(r->wal, t, s, r->mark);
}

static void on_subscription_gone(void *user, struct topic *t, struct subscription *s)
{
    struct recovery *r = user;
    account_subscription_gone(r->wal, t, s);
}

static void on_dedup(void *user, struct queue *q, struct dedup *entry)
{
    struct recovery *r = user;
    (void)q;
    account_dedup(r->wal, entry, r->mark);
}

static void on_dedup_gone(void *user, struct dedup *entry)
{
    struct recovery *r = user;
    account_dedup_gone(r->wal, entry);
}

static void init_fold(struct recovery *r)
{
    r->fold = (struct fold){
        .broker = r->wal->broker,
        .wall_offset_ms = r->wal->broker->wall_offset_ms,
        .user = r,
        .message_cb = on_message,
        .message_gone_cb = on_message_gone,
        .queue_cb = on_queue,
        .queue_gone_cb = on_queue_gone,
        .topic_cb = on_topic,
        .topic_gone_cb = on_topic_gone,
        .subscription_cb = on_subscription,
        .subscription_gone_cb = on_subscription_gone,
        .dedup_cb = on_dedup,
        .dedup_gone_cb = on_dedup_gone,
    };
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static bool refuse_missing(struct recovery *r, uint64_t number)
{
    char name[FILES_NAME_BYTES];
    segment_name(number, name);
    return refuse(r, "%s is missing, and held what had been stored safely", name);
}

static bool adopt_segments(struct recovery *r)
{
    struct wal *wal = r->wal;
    for (uint32_t i = 0; i < r->scan.count; i++) {
        const struct scan_file *f = &r->scan.files[i];
        if (f->number - r->scan.files[0].number >= WAL_SEGMENTS_MAX)
            return refuse(r, "there are too many segments");
        if (i > r->start && f->number != wal->next_segment)
            return refuse_missing(r, wal->next_segment);
        struct segment *s = segments_reserve(wal) ? calloc(1, sizeof *s) : NULL;
        if (!s)
            return refuse(r, "out of memory");
        wal->next_segment = segment_number_after(f->number);
        s->number = f->number;
        s->handle = -1;
        s->file_bytes = f->file_bytes;
        s->used = SEGMENT_START;
        memcpy(s->name, f->name, sizeof s->name);
        if (i >= r->start)
            segments_add(wal, s);
        else
            wal->voided[wal->voided_count++] = (struct voided){s, 0};
    }
    return true;
}

/* ---- the fold ---------------------------------------------------------------------------------------------------- */

static bool fold_one(struct recovery *r, const struct scan_file *f, uint64_t offset, const struct batch_header *header,
                     struct view records)
{
    size_t at = 0;
    switch (fold_batch(&r->fold, records, &at)) {
    case FOLD_DONE:
        break;
    case FOLD_BAD:
        return refuse(r, "%s, offset %" PRIu64 ": the record is valid by its checksum and makes no sense", f->name,
                      offset + BATCH_HEADER_BYTES + at);
    case FOLD_NO_MEMORY:
        return refuse(r, "out of memory while the log is read");
    }
    const struct position synced = {header->synced_segment, header->synced_offset};
    if (position_before(r->synced, synced))
        r->synced = synced;
    r->expected = header->number + 1;
    r->oldest = header->oldest;
    return true;
}

static void tell_progress(struct recovery *r, uint64_t bytes)
{
    const struct wal_options *o = &r->wal->options;
    r->bytes_done += bytes;
    if (o->progress_cb && r->bytes_done - r->bytes_told >= PROGRESS_BYTES) {
        r->bytes_told = r->bytes_done;
        o->progress_cb(o->user, r->bytes_done, r->bytes_all);
    }
}

/* All valid batches of a segment in their order. *end: where they stop. */
static bool fold_segment(struct recovery *r, struct segment *s, const struct scan_file *f, uint64_t *end)
{
    struct scan_reader reader;
    struct batch_header header;
    struct view records;
    uint64_t offset = SEGMENT_START;
    bool good = true;

    *end = offset;
    if (!scan_open(&r->scan, f, &reader))
        return refuse_reading(r, f->name, reader.error);
    while (good && scan_batch(&reader, offset, &header, &records) == SCAN_GOOD) {
        if (header.number >= f->void_from || (r->expected != 0 && header.number != r->expected))
            break;
        if (r->run != f->run && r->run != 0)
            restore_run_ended(r->wal->broker);
        r->run = f->run;
        good = fold_one(r, f, offset, &header, records);
        s->end_batch = header.number;
        *end = s->used = offset + BATCH_HEADER_BYTES + header.bytes;
        tell_progress(r, BATCH_HEADER_BYTES + header.bytes);
        offset = *end;
    }
    const int error = reader.error;
    scan_close(&reader);
    if (error != 0)
        return refuse_reading(r, f->name, error);
    return good;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static bool damaged(struct recovery *r, const struct scan_file *f, uint64_t offset)
{
    return refuse(r,
                  "%s, offset %" PRIu64 ": damage in the middle of the log, batch %" PRIu64
                  " was safely stored and cannot be read; take a backup, or copy what is good with: ringmq-server "
                  "--repair-log DIR --to NEWDIR",
                  f->name, offset, r->expected);
}

/* Batch r->expected is not where it should be. Looks at what lies behind that place. */
static bool judge_end(struct recovery *r, uint32_t index, uint64_t offset)
{
    struct wal *wal = r->wal;
    const struct scan_file *f = &r->scan.files[index];
    const struct position gap = {f->number, (uint32_t)offset};
    struct scan_rest rest;

    const int error = scan_behind(&r->scan, index, offset, r->expected, &rest);
    if (error != 0)
        return refuse_reading(r, "the log cannot be read", error);
    const struct position synced = {rest.synced_segment, rest.synced_offset};
    const uint64_t first = r->scan.files[r->start].number;
    const bool missing = r->oldest < first;
    if (missing && rest.oldest < first && rest.oldest_safe < first)
        return refuse_missing(r, r->oldest);
    if (missing || position_before(gap, r->synced) || position_before(gap, synced) || rest.later_run ||
        rest.oldest_safe > r->oldest)
        return damaged(r, f, offset);
    wal->info.cut_batches = rest.batches;
    wal->info.cut_bytes = rest.bytes;
    return true;
}

static bool fold_all(struct recovery *r)
{
    struct wal *wal = r->wal;
    uint32_t last = r->start; /* the file in which the last batch lies */
    uint64_t last_end = SEGMENT_START;

    for (uint32_t i = r->start; i < r->scan.count; i++)
        r->bytes_all += r->scan.files[i].file_bytes;
    for (uint32_t i = r->start; i < r->scan.count; i++) {
        const struct scan_file *f = &r->scan.files[i];
        uint64_t end;
        r->mark = segment_mark(f->number);
        if (!scan_expect(&r->scan, r->start, i, &r->expected))
            break;
        if (!fold_segment(r, wal->segments[i - r->start], f, &end))
            return false;
        if (end > SEGMENT_START) {
            last = i;
            last_end = end;
        }
    }
    if (r->expected == 0)
        r->expected = r->scan.count > 0 ? r->scan.files[r->start].first_of_run : 1;
    if (r->scan.count == 0)
        return true;
    if (r->oldest == 0) /* no batch says it; what the file began with was there then */
        r->oldest = r->scan.files[r->start].oldest;
    for (uint32_t i = 0; i < r->scan.headless_count; i++)
        if (!r->scan.headless[i].unused && r->scan.headless[i].number >= r->oldest)
            return scan_refuse_header(r->error, r->scan.headless[i].name);
    r->end = (struct position){r->scan.files[last].number, (uint32_t)last_end};
    return judge_end(r, last, last_end);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static bool recover_all(struct recovery *r)
{
    struct wal *wal = r->wal;
    struct broker *b = wal->broker;
    if (!scan_all(&r->scan, &wal->files, false, r->error))
        return false;
    const int error = scan_start(&r->scan, &r->start);
    if (error != 0)
        return refuse_reading(r, "the log cannot be read", error);
    if (!adopt_segments(r))
        return false;
    wal->log = r->scan.log != 0 ? r->scan.log : b->random;
    wal->run = r->scan.run + 1;
    /* Slots are numbered from here on, those that recovery takes included. One further than the last segment says, because
       the number may have grown by one since that was made. */
    if (r->scan.count > 0)
        b->slots.run = (r->scan.receipts + 1) % ((1u << SLOTS_RUN_BITS) - 1) + 1;
    init_fold(r);
    if (!fold_all(r))
        return false;
    if (fold_end(&r->fold) != FOLD_DONE)
        return refuse(r, "out of memory while the log is read");
    if (r->scan.count > 0 && restore_finish(b, wal->now_ms) != RESTORE_DONE)
        return refuse(r, "out of memory while the log is read");
    for (uint32_t i = 0; i < b->queue_count; i++)
        wal->info.recovered_messages += queue_total(b->queues[i]);
    wal->info.recovered_bytes = r->bytes_done;
    wal->info.recovered_records = r->fold.records;
    return begin_run(wal, &r->scan, r->end, r->expected - 1, r->error);
}

bool recover(struct wal *wal, struct wal_error *error)
{
    struct recovery r = {.wal = wal, .error = error};
    const int locked = wal->files.lock(wal->files.user);
    if (locked != 0)
        return locked == -EWOULDBLOCK ? refuse(&r, "another server is using the directory")
                                      : refuse(&r, "lock: %s", strerror(-locked));
    const bool done = recover_all(&r);
    scan_free(&r.scan);
    return done;
}
