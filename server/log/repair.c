/*
 * repair: what can still be had of a damaged log becomes a new one; and a log that is in use is copied.
 *
 * Repair folds every valid batch in the order of numbers, past whatever is damaged, and writes the state that comes out. What
 * was lost with a damaged batch is lost: messages that it stored are missing, and messages whose end it recorded are there
 * again. So it is for an operator to ask for, never done by itself.
 *
 * Copying reads files while a server may be writing to them. A segment only ever grows, until it is used again under another
 * number; the copy is good if no segment that was copied has changed its number meanwhile, and then is the log as it was
 * when its last segment was read. Else the copy begins anew. Where a file grows while it is read the copy could get what was
 * written later and not what was written before it: so of the segment at the end only those batches are copied that were
 * whole when it was looked at.
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
#include <time.h>

#define COPY_BYTES ((size_t)1024 * 1024)
#define COPY_TRIES 200

struct report {
    void (*line_cb)(void *user, const char *line);
    void *user;
    struct wal_error *error;
};

static bool refuse(const struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(const struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(const struct report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report->error->text, sizeof report->error->text, format, arguments);
    va_end(arguments);
    return false;
}

static void tell(const struct report *report, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    report->line_cb(report->user, line);
}

static int is_segment(void *arg, const char *name)
{
    (void)arg;
    const size_t bytes = strlen(name);
    return bytes > 4 && strcmp(name + bytes - 4, ".seg") == 0 ? -EEXIST : 0;
}

static bool check_target(const struct files *to, const struct report *report)
{
    const int result = to->list(to->user, is_segment, NULL);
    if (result == -EEXIST)
        return refuse(report, "the target directory holds a log already");
    return result == 0 || refuse(report, "the target directory: %s", strerror(-result));
}

/* ---- repair: reading --------------------------------------------------------------------------------------------- */

struct salvage {
    struct scan scan;
    struct fold fold;
    uint64_t expected; /* 0: any */
    uint64_t run;      /* of the last batch; 0: none yet */
    uint64_t batches, lost, torn;
};

static bool salvage_batch(struct salvage *v, const struct scan_file *f, uint64_t offset,
                          const struct batch_header *header, struct view records, const struct report *report)
{
    size_t at = 0;
    if (v->expected != 0 && header->number < v->expected)
        return true; /* seen already */
    if (v->expected != 0 && header->number > v->expected) {
        tell(report, "%s: %" PRIu64 " batches are missing before offset %" PRIu64, f->name,
             header->number - v->expected, offset);
        v->lost += header->number - v->expected;
    }
    if (v->run != f->run && v->run != 0)
        restore_run_ended(v->fold.broker);
    v->run = f->run;
    v->expected = header->number + 1;
    v->batches++;
    const enum fold_result result = fold_batch(&v->fold, records, &at);
    if (result == FOLD_BAD)
        tell(report, "%s: a record at offset %" PRIu64 " makes no sense, the rest of its batch is lost", f->name,
             offset + BATCH_HEADER_BYTES + at);
    return result != FOLD_NO_MEMORY || refuse(report, "out of memory");
}

static bool salvage_segment(struct salvage *v, const struct scan_file *f, const struct report *report)
{
    struct scan_reader reader;
    uint64_t offset = SEGMENT_START;
    bool good = true;
    if (!scan_open(&v->scan, f, &reader))
        return refuse(report, "%s: %s", f->name, strerror(-reader.error));
    while (good && scan_seek(&reader, &offset)) {
        struct batch_header header;
        struct view records;
        const enum scan_result result = scan_batch(&reader, offset, &header, &records);
        if (result == SCAN_ERROR)
            break;
        if (result == SCAN_GOOD && header.number < f->void_from)
            good = salvage_batch(v, f, offset, &header, records, report);
        if (result == SCAN_TORN) {
            v->torn++;
            tell(report, "%s: the batch at offset %" PRIu64 " is damaged", f->name, offset);
        }
        offset += result == SCAN_GOOD ? BATCH_HEADER_BYTES + header.bytes : 1;
    }
    if (reader.error != 0)
        tell(report, "%s: %s; what lies behind offset %" PRIu64 " is lost", f->name, strerror(-reader.error), offset);
    scan_close(&reader);
    return good;
}

static bool salvage_all(struct salvage *v, const struct report *report)
{
    for (uint32_t i = 0; i < v->scan.count; i++)
        if (!salvage_segment(v, &v->scan.files[i], report))
            return false;
    return fold_end(&v->fold) == FOLD_DONE || refuse(report, "out of memory");
}

/* ---- repair: writing --------------------------------------------------------------------------------------------- */

/* Between two things: what has come together is written now and then, and segments are made. */
static void go_on(struct wal *wal)
{
    wal_event(wal);
    if (!wal->open) {
        wal_collect(wal, wal->now_ms);
        wal_write(wal, wal->now_ms);
    }
}

static void write_messages(struct wal *wal, struct queue *q)
{
    for (unsigned state = MESSAGE_DELAYED; state <= MESSAGE_PARKED; state++) {
        struct ring_cursor at;
        for (uint64_t id = 0; (at = ring_first(q->messages, state, id)).page; id = ring_key(at) + 1) {
            struct message *m = ring_item(at);
            const struct slot *slot = m->slot != MESSAGE_NO_SLOT ? slots_at(&wal->broker->slots, m->slot) : NULL;
            append_message(wal, q, m, (enum message_state)state, slot ? slot->since_ms : 0, slot, false,
                           message_shared(m) != NULL);
            go_on(wal);
        }
    }
}

static void write_ids(struct wal *wal, struct queue *q)
{
    const struct table *table = q->dedups ? &q->dedups->table : NULL;
    for (uint32_t i = 0; table && i < table->bucket_count; i++) {
        struct table_link *link = table->segments[i / TABLE_SEGMENT]->bucket[i % TABLE_SEGMENT];
        for (; link; link = link->next)
            append_dedup(wal, q, (struct dedup *)(void *)link);
        go_on(wal);
    }
}

static void write_all(struct wal *wal)
{
    struct broker *b = wal->broker;
    for (uint32_t i = 0; i < b->queue_count; i++) {
        append_queue(wal, b->queues[i]);
        write_ids(wal, b->queues[i]);
        write_messages(wal, b->queues[i]);
    }
    for (uint32_t i = 0; i < b->topic_count; i++) {
        append_topic(wal, b->topics[i]);
        for (uint32_t k = 0; k < b->topics[i]->subscription_count; k++)
            append_subscription(wal, b->topics[i], b->topics[i]->subscriptions[k]);
        go_on(wal);
    }
}

static bool write_log(struct broker *b, const struct files *to, const struct report *report)
{
    const struct wal_options options = {.level = WAL_OS, .segment_bytes = 64 * 1024 * 1024, .threaded = true};
    struct wal *wal = wal_begin(&options, to, b, b->timers.now_ms, report->error);
    if (!wal)
        return false;
    write_all(wal);
    return wal_close(wal) || refuse(report, "the new log could not be written");
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static uint64_t message_count(const struct broker *b)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < b->queue_count; i++)
        count += queue_total(b->queues[i]);
    return count;
}

bool wal_repair(const struct files *from, const struct files *to, void (*report_cb)(void *user, const char *line),
                void *user, struct wal_error *error)
{
    const struct report report = {report_cb, user, error};
    const struct broker_limits limits = {.max_memory_bytes = UINT64_MAX, .max_batch = 1, .max_queues = UINT64_MAX};
    /* The broker's clock stands far from 0, so that what lies long ago has a time that is not negative. */
    const int64_t now_ms = INT64_C(1) << 40;
    struct salvage v = {0};
    struct broker b;
    if (from->lock(from->user) == -EWOULDBLOCK)
        return refuse(&report, "a server is using the directory");
    if (!check_target(to, &report))
        return false;
    broker_init(&b, &limits, now_ms, 1);
    b.wall_offset_ms = wall_ms() - now_ms;
    b.random = (uint64_t)wall_ms();
    v.fold = (struct fold){.broker = &b, .wall_offset_ms = b.wall_offset_ms};
    bool done = scan_all(&v.scan, from, true, error) && salvage_all(&v, &report);
    if (done && restore_finish(&b, now_ms) != RESTORE_DONE)
        done = refuse(&report, "out of memory");
    if (done)
        done = write_log(&b, to, &report);
    if (done)
        tell(&report,
             "%" PRIu64 " batches were read, %" PRIu64 " are damaged or missing, %" PRIu32
             " files have a damaged header; the new log has %" PRIu32 " queues and %" PRIu64 " messages",
             v.batches, v.lost > v.torn ? v.lost : v.torn, v.scan.bad_count, b.queue_count, message_count(&b));
    scan_free(&v.scan);
    broker_close(&b);
    return done;
}

/* ---- copying ----------------------------------------------------------------------------------------------------- */

/* Where the valid batches of a file end, so far; SEGMENT_START: there is none. Or -errno. *oldest: what the last of them says. */
static int64_t batches_end(const struct scan *scan, const struct scan_file *f, uint64_t *oldest)
{
    struct scan_reader reader;
    struct batch_header header;
    struct view records;
    uint64_t end = SEGMENT_START;
    if (!scan_open(scan, f, &reader))
        return reader.error == -ENOENT ? -EAGAIN : reader.error;
    while (scan_batch(&reader, end, &header, &records) == SCAN_GOOD) {
        end += BATCH_HEADER_BYTES + header.bytes;
        *oldest = header.oldest;
    }
    const int error = reader.error;
    scan_close(&reader);
    return error != 0 ? error : (int64_t)end;
}

/* Its bytes up to `end`. -EAGAIN: it was used again under another number meanwhile. */
static int copy_segment(const struct scan *scan, const struct scan_file *f, uint64_t end, const struct files *to,
                        uint8_t *buffer)
{
    const struct files *from = scan->table;
    struct segment_header header;
    uint64_t offset = 0;
    int64_t have = 1;
    const int in = from->open(from->user, f->name, 0);
    if (in < 0)
        return in == -ENOENT ? -EAGAIN : in;
    const int out = to->create(to->user, f->name);
    int error = out < 0 ? out : 0;
    while (error == 0 && offset < end) {
        const uint64_t bytes = end - offset < COPY_BYTES ? end - offset : COPY_BYTES;
        if ((have = from->read(from->user, in, buffer, (size_t)bytes, offset)) <= 0)
            break;
        error = to->write(to->user, out, buffer, (size_t)have, offset);
        offset += (uint64_t)have;
    }
    if (error == 0 && have < 0)
        error = (int)have;
    if (error == 0)
        error = to->sync(to->user, out);
    have = from->read(from->user, in, buffer, SEGMENT_HEADER_BYTES, 0);
    if (error == 0 && (have < (int64_t)SEGMENT_HEADER_BYTES || segment_header_read(buffer, &header) != SEGMENT_GOOD ||
                       header.number != f->number))
        error = -EAGAIN;
    (void)from->close(from->user, in);
    if (out >= 0 && to->close(to->user, out) < 0 && error == 0)
        error = -EIO;
    return error;
}

static int remove_copied(void *arg, const char *name)
{
    const struct files *to = arg;
    return is_segment(NULL, name) != 0 ? to->unlink(to->user, name) : 0;
}

/*
 * The newest first, and of it what is there: whatever is appended meanwhile is not copied. Those before the first that has batches
 * do not grow any more.
 */
static int copy_all(const struct scan *scan, const struct files *to, uint8_t *buffer)
{
    bool grows = true;
    uint64_t oldest = UINT64_MAX;
    int error = 0;
    for (uint32_t i = scan->count; i-- > 0 && error == 0;) {
        const int64_t end = grows ? batches_end(scan, &scan->files[i], &oldest) : INT64_MAX;
        if (oldest < scan->files[0].number)
            return -EAGAIN; /* what it needs was void already when the names were read, because of newer files */
        error = end < 0 ? (int)end : copy_segment(scan, &scan->files[i], (uint64_t)end, to, buffer);
        grows = grows && end <= SEGMENT_START;
    }
    return error != 0 ? error : to->sync_directory(to->user);
}

/* What is not copied is not needed; what is void by the last batch only is not worth the search. */
static bool has_all_headers(const struct scan *scan, struct wal_error *error)
{
    for (uint32_t i = 0; i < scan->headless_count; i++)
        if (!scan->headless[i].unused)
            return scan_refuse_header(error, scan->headless[i].name);
    return true;
}

bool wal_copy(const struct files *from, const struct files *to, void (*report_cb)(void *user, const char *line),
              void *user, struct wal_error *error)
{
    const struct report report = {report_cb, user, error};
    uint8_t *buffer = malloc(COPY_BYTES);
    int result = -EAGAIN;
    if (!buffer)
        return refuse(&report, "out of memory");
    if (!check_target(to, &report)) {
        free(buffer);
        return false;
    }
    for (int tries = 0; tries < COPY_TRIES && result == -EAGAIN; tries++) {
        struct scan scan;
        bool good = scan_all(&scan, from, false, error) && has_all_headers(&scan, error);
        result = good ? copy_all(&scan, to, buffer) : -EIO;
        if (good && result == 0)
            tell(&report, "%" PRIu32 " segments were copied", scan.count);
        scan_free(&scan);
        if (!good) {
            free(buffer);
            return false;
        }
        if (result == -EAGAIN)
            (void)to->list(to->user, remove_copied, (void *)(uintptr_t)to);
    }
    free(buffer);
    if (result == -EAGAIN)
        return refuse(&report, "the log changes faster than it can be copied");
    return result == 0 || refuse(&report, "%s", strerror(-result));
}
