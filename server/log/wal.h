/*
 * wal: the write-ahead log. It listens to the broker (server/broker/watcher.h), writes what changes as batches of records
 * (record.h) once a turn, has them synced by one helper thread as the level asks, gives room back by compaction, and builds
 * the broker again at the next start.
 *
 * A turn of the server's loop
 *     requests are handled, broker_turn(): the watcher's calls put records into one buffer of fixed size
 *     wal_write(): the records go out in one write; a sync is begun if the level asks for it and none is under way
 *     answers whose place is <= wal_safe() may be sent; the others wait
 *     the helper thread is done: it wakes the loop, wal_collect() takes the result, wal_safe() grows, the next sync begins
 *
 * Places: wal_place() is a number that grows with each record; "everything up to here". An answer to a call that changed
 * something carries the place after the call.
 *
 * The loop waits for the helper thread in one case: the tail is nearly full and the next segment is not ready yet. That slows
 * down whoever publishes faster than the disk and compaction can follow, and keeps the files within their bound. It is counted.
 *
 * Failure. The first write or sync that fails is final: state WAL_FAILED. Nothing is written any more, wal_safe() stays
 * where it is for ever, the broker lives on in memory. A disk that is full is no failure: segments are allocated before they
 * are needed, and when no more can be had the state is WAL_FULL while there is still room for acks; it ends by itself when
 * there is room. In both states b->refusing is set, so that the broker takes nothing new into durable queues.
 */
#ifndef SERVER_LOG_WAL_H
#define SERVER_LOG_WAL_H

#include "server/broker/broker.h"
#include "server/log/files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wal_level { WAL_OS, WAL_INTERVAL, WAL_FSYNC };
enum wal_state { WAL_GOOD, WAL_FULL, WAL_FAILED };

#define WAL_SEGMENT_MIN (64 * 1024)
#define WAL_NEVER       INT64_MAX

struct wal_options {
    enum wal_level level;
    int64_t interval_ms;         /* of WAL_INTERVAL */
    uint64_t segment_bytes;      /* >= WAL_SEGMENT_MIN */
    bool threaded;               /* false: the test runs the jobs itself, wal_step() */
    void (*wake_cb)(void *user); /* from the helper thread: call wal_collect() soon */
    void (*progress_cb)(void *user, uint64_t done_bytes,
                        uint64_t all_bytes); /* now and then during a long recovery; or NULL */
    void *user;
};

struct wal_error {
    char text[512]; /* one line, without a full stop at its end */
};

/* What the log is and has done. Histograms: bucket n counts what is below 2^n (sync: microseconds; batches: messages). */
#define WAL_BUCKETS 32
struct wal_info {
    enum wal_state state;
    enum wal_level level;
    const char *why; /* of WAL_FAILED: the operation and the error; else NULL */
    uint64_t segment_bytes;
    uint64_t segments;   /* files, those prepared for later included */
    uint64_t disk_bytes; /* what these take */
    uint64_t live_bytes; /* what everything that counts would take if it were written anew */
    uint64_t unsynced_bytes;
    uint64_t written_bytes, batches, records;
    uint64_t rewritten_bytes; /* by compaction */
    uint64_t syncs, sync_us_total, sync_us_max;
    uint64_t sync_us[WAL_BUCKETS];
    uint64_t sync_bytes[WAL_BUCKETS];  /* bytes that one sync covered */
    uint64_t longest_write_us;         /* of write(2) in the loop */
    uint64_t stalls, longest_stall_us; /* the loop had to wait until there was a segment to write to */
    uint64_t longest_slice_us;         /* of compaction in the loop */
    uint64_t recovered_bytes, recovered_records, recovered_messages, recovery_ms;
    uint64_t cut_bytes, cut_batches; /* at the end of the log, at the last start */
    bool compacting;
};

enum wal_segment_use { WAL_SEGMENT_OLD, WAL_SEGMENT_TAIL, WAL_SEGMENT_PREPARED, WAL_SEGMENT_COMPACTING };
struct wal_segment_info {
    uint64_t number;
    enum wal_segment_use use;
    uint64_t file_bytes, used_bytes, live_bytes;
};

struct wal;

/*
 * Locks the directory, recovers what is there into `b` (initialised, without queues; its wall_offset_ms and hash_seed set;
 * its receipts' run is set above every earlier one), and begins a segment of its own. From then on it listens: b->watcher is
 * set. NULL with one line if it can't: locked, no permission, a newer format, damage (with file, offset and the command that
 * repairs), no memory, no room. Nothing has been written then, unless it says so. Blocks.
 */
struct wal *wal_open(const struct wal_options *options, const struct files *files, struct broker *b, int64_t now_ms,
                     struct wal_error *error);

/* Writes and syncs everything and marks the log as ended well, unless it has failed. False if not all is safe. Blocks. */
bool wal_close(struct wal *wal);
/* Frees it as it is, without a word to the files; for tests. */
void wal_abandon(struct wal *wal);

/* Everything recorded so far, and how much of it may be confirmed. wal_written(): how much is with the system. */
uint64_t wal_place(const struct wal *wal);
uint64_t wal_written(const struct wal *wal);
uint64_t wal_safe(const struct wal *wal);

/* The end of an event that the caller knows of (after each request): if much has been recorded, it is written now. */
void wal_event(struct wal *wal);

/* How often the loop has been held up for a part of a millisecond or more, by a write or a wait: the clock should be read anew. */
uint64_t wal_pauses(const struct wal *wal);

/* The end of a turn: writes, begins a sync if one is due, compacts a slice. */
void wal_write(struct wal *wal, int64_t now_ms);

/* Takes what the helper thread has finished. */
void wal_collect(struct wal *wal, int64_t now_ms);

/* When wal_write() has something to do at the latest without any change of the broker: WAL_NEVER; a past time: at once. */
int64_t wal_next_ms(const struct wal *wal);

/* Compacts everything that holds dead bytes now. */
void wal_compact(struct wal *wal);

/* An operator's change of level and interval while it runs. */
void wal_set_level(struct wal *wal, enum wal_level level, int64_t interval_ms);

enum wal_state wal_state(const struct wal *wal);
uint64_t wal_memory(const struct wal *wal);
void wal_info(const struct wal *wal, struct wal_info *out);
/* Of segment i < info.segments, oldest first. */
void wal_segment(const struct wal *wal, uint64_t i, struct wal_segment_info *out);

/* Without a thread: runs one job of the helper; false if there is none. */
bool wal_step(struct wal *wal);

/*
 * Reads the log of `from` as far as it goes, past damage, and writes what can be had to the directory `to`, which must be empty
 * or not be there. `report_cb` gets lines for people. Returns false with one line if nothing could be done.
 */
bool wal_repair(const struct files *from, const struct files *to, void (*report_cb)(void *user, const char *line),
                void *user, struct wal_error *error);

/*
 * Copies the log of a directory to another one, also while a server is using it: what is copied is the log as it was at one
 * moment during the copy. Checks that no segment was used again meanwhile and starts over if one was.
 */
bool wal_copy(const struct files *from, const struct files *to, void (*report_cb)(void *user, const char *line),
              void *user, struct wal_error *error);

#endif
