/*
 * compact: what still counts in the oldest segment is written anew at the end of the log, and the segment is void.
 *
 * Always the oldest: what a record speaks of lies in its own segment or in an older one, so that when the oldest goes nothing
 * else is left hanging, and a record that is no more than a change (an ack, a delivery) never has to be kept. The segment's
 * own file tells what lies in it: it is read in chunks by the helper thread (compact_read.c), and each message of which it tells
 * is looked up; what carries another mark is gone, or has been written anew since. If no message in it counts any more the file
 * is not read at all. Then definitions follow, by a walk over the broker's lists.
 *
 * When: old segments hold more dead bytes than half of what is live, or nearly as many bytes as they may; or the oldest holds
 * nothing any more. How fast: a slice of
 * WAL_SLICE_NS at the end of every turn, busy or not, so that a pass ends long before the files have grown to twice the live
 * bytes and two segments, and no turn is long.
 */
#include "server/broker/restore.h"
#include "server/log/inside.h"

#include <stdlib.h>
#include <string.h>

/* Messages looked at between two looks at the clock. */
#define LOOK_AT_CLOCK 32
/* How long purged messages may take to be freed. */
#define PATIENCE_MS 60000
/* For the batch's header and the like. */
#define NEED_BYTES 512
/* No record's fields, without the body, are longer. */
#define HEAD_BYTES (256 * 1024)

struct slice {
    struct wal *wal;
    int64_t until_ns;
    uint32_t steps;
};

static bool is_over(struct slice *slice)
{
    if (++slice->steps % LOOK_AT_CLOCK != 0)
        return false;
    append_event(slice->wal);
    return wal_clock_ns() >= slice->until_ns;
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

/* What old segments hold that does not count any more. */
static uint64_t dead_bytes(const struct wal *wal)
{
    const uint64_t live = wal->live_bytes - wal_tail(wal)->live_bytes;
    return wal->old_bytes > live ? wal->old_bytes - live : 0;
}

/* What has been appended by others than compaction. */
static uint64_t appended_bytes(const struct wal *wal)
{
    return wal->info.written_bytes - wal->compact.written_bytes;
}

/* True if the oldest segment should be compacted. */
static bool is_worth_it(const struct wal *wal)
{
    const struct segment *oldest = wal->segments[0];
    const uint64_t segment = wal->options.segment_bytes;
    if (wal->tail == 0)
        return false;
    if (oldest->number < wal->compact.until || oldest->live_bytes == 0)
        return true;
    /* On a full disk what is dead in the tail counts as well: it is out of the way when all before it has been written anew. */
    const uint64_t live = wal->live_bytes, dead = dead_bytes(wal);
    const bool full = wal->full && wal->old_bytes + wal_tail(wal)->used > live + segment / 4;
    const bool many = dead > live / 2 || wal->old_bytes + 2 * segment > 2 * live;
    if (!full && (dead <= segment / 8 || !many))
        return false;
    /* If a pass over all of it has just been made, what there is cannot be made smaller. */
    return wal->compact.pass_end == 0 || oldest->number < wal->compact.pass_end ||
           appended_bytes(wal) - wal->compact.pass_bytes > segment / (full ? 16 : 4);
}

uint64_t compact_bytes(const struct wal *wal)
{
    const struct segment *oldest = wal->segments[0];
    const uint64_t live = wal->tail > 0 ? oldest->live_bytes + oldest->live_bytes / 4 : 0;
    return (live < oldest->used ? live : oldest->used) + NEED_BYTES;
}

bool compact_is_due(const struct wal *wal)
{
    if (wal->state == WAL_FAILED || wal->compact.step == COMPACT_READING)
        return false;
    /* The helper thread is about to close its file. */
    if (wal->compact.step == COMPACT_IDLE && wal->segments[0]->busy)
        return false;
    /* What is written anew needs room; on a full disk all of it, before it is begun. */
    const uint64_t need = compact_bytes(wal), margin = segments_margin(wal);
    if (segments_room_ahead(wal) < (wal->full || need < margin ? need : margin))
        return false;
    return wal->compact.step != COMPACT_IDLE || is_worth_it(wal);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static bool same(struct view x, struct view y)
{
    return x.bytes == y.bytes && (x.bytes == 0 || memcmp(x.data, y.data, x.bytes) == 0);
}

/* True if this message is a copy of the one that the batch at hand has just got: same body in memory, and same extras. */
static bool is_copy(const struct wal *wal, const struct message *m)
{
    const struct compaction *c = &wal->compact;
    return wal->open && c->last_body && message_shared(m) == c->last_body &&
           same(message_group(m), c->last_extras[0]) && same(message_dedup_id(m), c->last_extras[1]) &&
           same(message_headers(m), c->last_extras[2]);
}

static void write_anew(struct wal *wal, struct queue *q, struct message *m, enum message_state state)
{
    struct compaction *c = &wal->compact;
    struct body *shared = message_shared(m);
    const struct slot *slot = m->slot != MESSAGE_NO_SLOT ? slots_at(&wal->broker->slots, m->slot) : NULL;
    const int64_t at_ms = slot && (state == MESSAGE_DELAYED || state == MESSAGE_PARKED) ? slot->since_ms : 0;
    const bool above = is_copy(wal, m);
    const uint64_t live_bytes = m->body_bytes + record_message_overhead(m);
    account_message_gone(wal, m);
    if (shared && !above && shared->mark == segment_mark(wal->segments[0]->number))
        account_body_moves(wal, shared); /* the other copies come soon, as such if they come in this batch */
    append_message(wal, q, m, state, at_ms, slot, above, shared != NULL);
    wal->info.rewritten_bytes += live_bytes;
    if (!above) {
        c->last_body = shared;
        c->last_extras[0] = message_group(m);
        c->last_extras[1] = message_dedup_id(m);
        c->last_extras[2] = message_headers(m);
    }
    append_event(wal); /* forgets the last body if it ends the batch */
}

static void look_at_message(struct wal *wal, struct queue *q, uint64_t id)
{
    enum message_state state;
    struct message *m = restore_find(q, id, &state);
    if (m && m->mark == segment_mark(wal->segments[0]->number))
        write_anew(wal, q, m, state);
}

/* One whose window is over is about to be forgotten; written anew it would stand behind a later one with the same key. */
static void look_at_dedup(struct wal *wal, struct queue *q, const struct record *r)
{
    struct dedup *entry = dedup_seek(wal->broker, q, r->key, r->id);
    if (!entry || entry->mark != segment_mark(wal->segments[0]->number))
        return;
    if (entry->timer.deadline_ms > wal->now_ms - (int64_t)wal->broker->clock_slack_ms)
        append_dedup(wal, q, entry);
}

/* Goes on with the run at hand. False if the slice ended before it did. */
static bool go_through_run(struct slice *slice)
{
    struct wal *wal = slice->wal;
    struct compaction *c = &wal->compact;
    struct queue *q = restore_queue_find(wal->broker, c->run.queue);
    struct view body;
    bool bad = false;
    while (q && record_next_body(&c->run.rest, &body, &bad)) {
        look_at_message(wal, q, c->run_id++);
        if (is_over(slice))
            return false;
    }
    c->run.rest = (struct view){NULL, 0};
    return true;
}

/* One record; `from` may end before its body does. */
static void look_at_record(struct wal *wal, const struct record *r)
{
    struct queue *q;
    switch (r->type) {
    case RECORD_RUN:
        wal->compact.run = *r;
        wal->compact.run_id = r->id;
        return;
    case RECORD_MESSAGE:
        q = restore_queue_find(wal->broker, r->queue);
        if (q)
            look_at_message(wal, q, r->id);
        return;
    case RECORD_DEDUP:
        q = restore_queue_find(wal->broker, r->queue);
        if (q)
            look_at_dedup(wal, q, r);
        return;
    default:
        return; /* changes of what lies here or in older segments: they end with it; definitions come later */
    }
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static struct view rest_of_chunk(const struct compaction *c)
{
    return (struct view){c->chunk + c->chunk_used, c->chunk_bytes - c->chunk_used};
}

/* Passes over `bytes`, also beyond the end of the chunk. */
static void pass(struct compaction *c, uint64_t bytes)
{
    const uint64_t here = c->chunk_bytes - c->chunk_used;
    c->chunk_used += (size_t)(bytes < here ? bytes : here);
    c->skip += bytes < here ? 0 : bytes - here;
}

enum progress { MORE, NEED_CHUNK, FILE_END, SLICE_END, DAMAGED };

/* The next record, or batch header, of the chunk. */
static enum progress step(struct slice *slice)
{
    struct wal *wal = slice->wal;
    struct compaction *c = &wal->compact;
    const struct segment *s = wal->segments[0];
    struct view from = rest_of_chunk(c);
    const bool last = c->offset + c->chunk_bytes >= s->used;
    if (c->run.rest.data)
        return go_through_run(slice) ? MORE : SLICE_END;
    if (c->skip > 0 || (from.bytes == 0 && !last))
        return NEED_CHUNK;
    if (from.bytes == 0)
        return FILE_END;
    if (c->batch_left == 0) {
        struct batch_header header;
        if (from.bytes < BATCH_HEADER_BYTES)
            return last ? DAMAGED : NEED_CHUNK;
        if (!batch_header_read(from.data, segment_salt(wal->log, s->number), &header))
            return DAMAGED;
        c->batch_left = header.bytes;
        pass(c, BATCH_HEADER_BYTES);
        return MORE;
    }
    enum record_type type;
    uint64_t bytes;
    if (from.bytes < RECORD_HEAD_BYTES)
        return last ? DAMAGED : NEED_CHUNK;
    if (!record_head(from, &type, &bytes) || bytes > c->batch_left)
        return DAMAGED;
    if (from.bytes < bytes && (type != RECORD_MESSAGE || from.bytes < HEAD_BYTES) && !last)
        return NEED_CHUNK;
    if (from.bytes > bytes)
        from.bytes = (size_t)bytes;
    if (type == RECORD_RUN || type == RECORD_MESSAGE || type == RECORD_DEDUP) {
        struct record record;
        if (!record_read(from, &record))
            return DAMAGED;
        look_at_record(wal, &record);
    }
    pass(c, bytes);
    c->batch_left -= bytes;
    return is_over(slice) ? SLICE_END : MORE;
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* One topic, with its subscriptions. */
static void look_at_topic(struct wal *wal, struct topic *t, uint16_t mark)
{
    if (t->mark == mark) {
        append_topic(wal, t);
        wal->compact.definition_found = true;
    }
    for (uint32_t i = 0; i < t->subscription_count; i++) {
        if (t->subscriptions[i]->mark != mark)
            continue;
        append_subscription(wal, t, t->subscriptions[i]);
        wal->compact.definition_found = true;
    }
}

/* Walks over queues and topics, again and again until nothing is found: the lists may change between slices. */
static bool walk_definitions(struct slice *slice)
{
    struct wal *wal = slice->wal;
    struct compaction *c = &wal->compact;
    struct broker *b = wal->broker;
    const struct segment *s = wal->segments[0];
    const uint16_t mark = segment_mark(s->number);
    while (s->definitions > 0) {
        if (c->definition < b->queue_count) {
            if (b->queues[c->definition]->mark == mark)
                append_queue(wal, b->queues[c->definition]);
        } else if (c->definition - b->queue_count < b->topic_count) {
            look_at_topic(wal, b->topics[c->definition - b->queue_count], mark);
        } else {
            c->definition = 0;
            return false; /* a list changed under the walk: once more in the next slice */
        }
        c->definition++;
        if (is_over(slice))
            return false;
    }
    return true;
}

/* ---- the slice --------------------------------------------------------------------------------------------------- */

static void begin(struct wal *wal)
{
    struct compaction *c = &wal->compact;
    if (c->pass_end == 0 || wal->segments[0]->number >= c->pass_end) {
        c->pass_end = wal_tail(wal)->number;
        c->pass_bytes = appended_bytes(wal);
    }
    c->batch_left = c->skip = 0;
    c->run.rest = (struct view){NULL, 0};
    c->definition = 0;
    c->definition_found = false;
    c->offset = SEGMENT_START;
    c->chunk_used = c->chunk_bytes = 0;
    c->check = (struct segment_check){.at = SEGMENT_START, .batch = SEGMENT_START};
    c->step = COMPACT_READY;
}

static void finish(struct wal *wal)
{
    struct compaction *c = &wal->compact;
    /* Purged messages that are not freed yet still carry the mark; their turn comes soon. */
    if (wal->segments[0]->items > 0) {
        if (wal->now_ms > c->read_ms + PATIENCE_MS)
            wal_fail(wal, "an old segment cannot be read back as it was written", 0);
        return;
    }
    c->step = COMPACT_IDLE;
    segments_void_oldest(wal);
    if (!is_worth_it(wal)) {
        free(c->chunk);
        c->chunk = NULL;
    }
}

/* Goes on reading. True if nothing of the file is needed any more. */
static bool read_through(struct slice *slice)
{
    struct wal *wal = slice->wal;
    struct compaction *c = &wal->compact;
    const struct segment *s = wal->segments[0];
    for (;;) {
        if (s->items == 0)
            return true;
        if (!c->chunk && !(c->chunk = malloc(WAL_CHUNK_BYTES)))
            return false; /* later, when there is memory */
        switch (step(slice)) {
        case MORE:
            break;
        case NEED_CHUNK: {
            const uint64_t next = c->offset + c->chunk_used + c->skip;
            c->skip = 0;
            compact_read(wal, next);
            return false;
        }
        case FILE_END:
            return true;
        case SLICE_END:
            return false;
        case DAMAGED:
            compact_fail(wal, c->offset + c->chunk_used);
            return false;
        }
    }
}

void compact_slice(struct wal *wal)
{
    const int64_t begun_ns = wal_clock_ns();
    struct slice slice = {.wal = wal, .until_ns = begun_ns + WAL_SLICE_NS};
    struct compaction *c = &wal->compact;
    c->last_body = NULL;
    if (c->step == COMPACT_IDLE)
        begin(wal);
    if (c->step == COMPACT_READY && read_through(&slice) && wal->state != WAL_FAILED) {
        c->step = COMPACT_DEFINITIONS;
        c->read_ms = wal->now_ms;
    }
    if (c->step == COMPACT_DEFINITIONS && walk_definitions(&slice))
        finish(wal);
    const uint64_t us = (uint64_t)(wal_clock_ns() - begun_ns) / 1000;
    if (us > wal->info.longest_slice_us)
        wal->info.longest_slice_us = us;
}

void wal_compact(struct wal *wal)
{
    wal->compact.until = wal_tail(wal)->number + 1;
    wal->rotate_soon = wal_tail(wal)->used > SEGMENT_START;
}
