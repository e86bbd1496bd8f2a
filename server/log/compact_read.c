/*
 * compact_read: the chunks of the segment that is compacted, read and checked by the helper thread.
 *
 * What lies there is only looked at for ids: the messages themselves are in memory. But an id that is not read is a message that is
 * not written anew, and the segment could never go. So every batch up to the end of each chunk is summed up, also what compaction
 * passes over, and one that is not what was written is the end of the log: at once, with a line that says where. The check may
 * come after the look, since a look at something wrong changes nothing.
 */
#include "server/log/inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void compact_fail(struct wal *wal, uint64_t offset)
{
    char text[FILES_NAME_BYTES + 80];
    snprintf(text, sizeof text, "%s, offset %" PRIu64 ": the batch cannot be read back as it was written",
             wal->segments[0]->name, offset);
    wal_fail(wal, text, 0);
}

/* Goes on with bytes that follow those before. False: the batch at check->batch is not what was written. */
static bool check_bytes(struct segment_check *check, XXH3_state_t *sum, uint64_t salt, const uint8_t *data,
                        size_t bytes)
{
    while (bytes > 0) {
        const bool in_header = check->have < BATCH_HEADER_BYTES;
        const uint64_t wanted = in_header ? BATCH_HEADER_BYTES - check->have : check->left;
        const size_t n = wanted < bytes ? (size_t)wanted : bytes;
        if (in_header) {
            memcpy(check->header + check->have, data, n);
            check->have += (uint32_t)n;
        } else {
            XXH3_64bits_update(sum, data, n);
            check->left -= n;
        }
        data += n;
        bytes -= n;
        check->at += n;
        struct batch_header header;
        if (check->have < BATCH_HEADER_BYTES)
            return true;
        if (!batch_header_read(check->header, salt, &header))
            return false;
        if (in_header) {
            check->left = header.bytes;
            XXH3_64bits_reset_withSeed(sum, salt);
        }
        if (check->left > 0)
            continue;
        if (XXH3_64bits_digest(sum) != header.checksum)
            return false;
        check->have = 0;
        check->batch = check->at;
    }
    return true;
}

static void run_read(struct job *job)
{
    struct read_job *read = (struct read_job *)(void *)job;
    struct wal *wal = read->wal;
    struct compaction *c = &wal->compact;
    const struct files *files = &wal->files;
    struct segment *s = read->segment;
    int64_t result = 0;
    if (s->handle < 0) {
        s->handle = files->open(files->user, s->name, 1);
        result = s->handle < 0 ? s->handle : 0;
    }
    if (result == 0)
        result = files->read(files->user, s->handle, c->chunk, read->bytes, read->offset);
    job->result = (int)result;
    if (result != (int64_t)read->bytes)
        return;
    /* A chunk begins with a record that did not fit into the one before. */
    const uint64_t known = c->check.at - read->offset;
    if (known < read->bytes)
        read->bad = !check_bytes(&c->check, c->checksum, segment_salt(wal->log, s->number), c->chunk + known,
                                 read->bytes - (size_t)known);
}

/* Has the chunk read that begins at c->offset; or, before it, one of what is passed over. */
static void begin_read(struct wal *wal)
{
    struct compaction *c = &wal->compact;
    struct segment *s = wal->segments[0];
    const uint64_t offset = c->check.at < c->offset ? c->check.at : c->offset;
    const uint64_t left = s->used - offset;
    s->busy++;
    wal->read = (struct read_job){.job.run_cb = run_read, .wal = wal, .segment = s, .offset = offset};
    wal->read.bytes = left < WAL_CHUNK_BYTES ? (size_t)left : WAL_CHUNK_BYTES;
    wal->reading = true;
    worker_submit(wal->worker, &wal->read.job);
}

void compact_read(struct wal *wal, uint64_t offset)
{
    struct compaction *c = &wal->compact;
    c->offset = offset;
    c->chunk_used = c->chunk_bytes = 0;
    c->step = COMPACT_READING;
    begin_read(wal);
}

void compact_read_done(struct wal *wal, int64_t bytes)
{
    struct compaction *c = &wal->compact;
    wal->segments[0]->busy--;
    if (bytes < 0) {
        wal_fail(wal, "read", (int)bytes);
    } else if (bytes != (int64_t)wal->read.bytes || wal->read.bad) {
        compact_fail(wal, c->check.batch);
    } else if (wal->read.offset != c->offset) {
        begin_read(wal);
    } else {
        c->chunk_bytes = (size_t)bytes;
        c->step = COMPACT_READY;
    }
}
