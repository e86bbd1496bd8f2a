/*
 * log: what an operator asks of the log.
 */
#include "server/doors/native/request.h"

/* Segments that are told one by one; the oldest. */
#define SEGMENTS_SHOWN 1000

/* What is answered as it stands in struct wal_info. */
#define LOG_NUMBER_LIST(X) \
    X(segment_bytes)       \
    X(disk_bytes)          \
    X(live_bytes)          \
    X(unsynced_bytes)      \
    X(written_bytes)       \
    X(batches)             \
    X(records)             \
    X(rewritten_bytes)     \
    X(syncs)               \
    X(sync_us_total)       \
    X(sync_us_max)         \
    X(longest_write_us)    \
    X(longest_slice_us)    \
    X(recovered_bytes)     \
    X(recovered_records)   \
    X(recovered_messages)  \
    X(recovery_ms)         \
    X(cut_bytes)           \
    X(cut_batches)

#define X(field) +1
enum { LOG_NUMBERS = 0 LOG_NUMBER_LIST(X) };
#undef X

const char *log_state_text(enum wal_state state)
{
    static const char *const texts[] = {[WAL_GOOD] = "good", [WAL_FULL] = "full", [WAL_FAILED] = "failed"};

    return texts[state];
}

static const char *segment_use_text(enum wal_segment_use use)
{
    static const char *const texts[] = {
        [WAL_SEGMENT_OLD] = "old",
        [WAL_SEGMENT_TAIL] = "tail",
        [WAL_SEGMENT_PREPARED] = "prepared",
        [WAL_SEGMENT_COMPACTING] = "compacting",
    };

    return texts[use];
}

static void encode_pair(struct buffer *out, const char *key, uint64_t number)
{
    encode_text(out, key);
    encode_uint(out, number);
}

/* Bucket n counts what is below 2^n; those behind the last that counts anything are left out. */
static void encode_buckets(struct buffer *out, const char *key, const uint64_t buckets[WAL_BUCKETS])
{
    uint32_t count = WAL_BUCKETS;

    while (count > 0 && buckets[count - 1] == 0)
        count--;
    encode_text(out, key);
    encode_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        encode_uint(out, buckets[i]);
}

static void encode_segment(struct buffer *out, const struct wal_segment_info *segment)
{
    const uint64_t dead_bytes = segment->used_bytes > segment->live_bytes ? segment->used_bytes - segment->live_bytes
                                                                          : 0;

    encode_map(out, 6);
    encode_pair(out, "number", segment->number);
    encode_text(out, "use");
    encode_text(out, segment_use_text(segment->use));
    encode_pair(out, "file_bytes", segment->file_bytes);
    encode_pair(out, "used_bytes", segment->used_bytes);
    encode_pair(out, "live_bytes", segment->live_bytes);
    encode_pair(out, "dead_bytes", dead_bytes);
}

static void encode_segments(struct buffer *out, const struct native_log *log, uint64_t count)
{
    const uint32_t shown = count < SEGMENTS_SHOWN ? (uint32_t)count : SEGMENTS_SHOWN;

    encode_text(out, "segments");
    encode_array(out, shown);
    for (uint32_t i = 0; i < shown; i++) {
        struct wal_segment_info segment;
        log->segment_cb(log->user, i, &segment);
        encode_segment(out, &segment);
    }
}

static void encode_durability(struct request *r)
{
    encode_text(r->out, "durability");
    encode_text(r->out, durability_name(options_durability(r->door->options)));
}

void handle_log_info(struct request *r)
{
    const struct native_log *log = r->door->log;
    struct wal_info info;

    answer_begin(r);
    if (log == NULL) {
        encode_map(r->out, 1);
        encode_durability(r);
        return;
    }
    log->info_cb(log->user, &info);
    r->door->extra_work += (uint32_t)(info.segments < SEGMENTS_SHOWN ? info.segments : SEGMENTS_SHOWN) / 64;
    encode_map(r->out, LOG_NUMBERS + 9);
    encode_durability(r);
    encode_text(r->out, "dir");
    encode_text(r->out, r->door->options->dir.text);
    encode_text(r->out, "state");
    encode_text(r->out, log_state_text(info.state));
    encode_text(r->out, "why");
    encode_text(r->out, info.why != NULL ? info.why : "");
    encode_text(r->out, "compacting");
    encode_bool(r->out, info.compacting);
#define X(field) encode_pair(r->out, #field, info.field);
    LOG_NUMBER_LIST(X)
#undef X
    encode_buckets(r->out, "sync_us", info.sync_us);
    encode_buckets(r->out, "sync_bytes", info.sync_bytes);
    encode_pair(r->out, "segment_count", info.segments);
    encode_segments(r->out, log, info.segments);
}

void handle_log_compact(struct request *r)
{
    const struct native_log *log = r->door->log;

    if (log == NULL) {
        answer_failure_begin(r);
        encode_error(r->out, ERR_NOT_FOUND, "there is no log: the server runs without a dir", NULL, 0);
        answer_error_end(r);
        return;
    }
    log->compact_cb(log->user);
    answer_true(r);
}
