/*
 * inside: what the files of the log share.
 *
 *     wal.c        opening, closing, what the log says of itself
 *     append.c     what the watcher is told becomes records, batches, bytes in the tail
 *     segments.c   the list of files: rotated, synced; the jobs of the helper thread
 *     room.c       files made ahead, used again and given back; a full disk
 *     account.c    which segment holds what still counts
 *     scan.c       what files there are
 *     scan_read.c  the batches in them
 *     recover.c    the start: scan, check, fold, cut
 *     begin.c      and a segment for this run
 *     compact.c    what counts in the oldest segment is written anew, in slices
 *     compact_read.c  its file is read for that, and checked
 *     repair.c     reading past damage, and copying a log in use
 *
 * Segments stand in wal->segments in the order of their numbers: old ones, the *tail*, to which batches are appended, and
 * perhaps one *prepared* for later. Compaction takes the oldest, so that a record never outlives what it refers to. A
 * segment that holds nothing more is *void* from the moment when a batch that says so (its `oldest`) has been synced; then its
 * file is used again or removed.
 *
 * A mark is a segment's number modulo 65536, and no number has the mark 0. A message, definition or dedup id carries the mark of
 * the segment in which its record lies. There are never as many segments at a time as there are marks.
 */
#ifndef SERVER_LOG_INSIDE_H
#define SERVER_LOG_INSIDE_H

#include "server/broker/dedup.h"
#include "server/broker/topic.h"
#include "server/broker/watcher.h"
#include "server/log/checksum.h"
#include "server/log/record.h"
#include "server/log/wal.h"
#include "server/log/worker.h"

#include <errno.h>

#define WAL_BUFFER_BYTES  ((size_t)1024 * 1024) /* of records; a longer batch is written in pieces */
#define WAL_CHUNK_BYTES   ((size_t)1024 * 1024) /* that compaction reads at a time */
#define WAL_SYNC_SEGMENTS 16                    /* that one sync covers at most */
#define WAL_EAGER_BYTES   ((size_t)4 * 1024)    /* with so much a disk that has nothing to do is not kept waiting */
#define WAL_SEGMENTS_MAX  60000
#define WAL_RETRY_MS      1000                      /* after the disk was found full */
#define WAL_SLICE_NS      1000000                   /* of compaction in one turn */
#define WAL_PAUSE_US      200                       /* of a write that holds up the loop */
#define WAL_FILL_BYTES    ((size_t)2 * 1024 * 1024) /* written ahead at a time */

/* Where a batch stands. */
struct position {
    uint64_t segment;
    uint32_t offset;
};

static inline bool position_before(struct position a, struct position b)
{
    return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

struct segment {
    uint64_t number;
    char name[FILES_NAME_BYTES];
    int handle;          /* -1: not open */
    uint64_t file_bytes; /* allocated */
    uint64_t filled;     /* its blocks have been written before up to here */
    uint64_t used;       /* end of its last batch */
    uint64_t live_bytes;
    uint64_t items;       /* messages and dedup ids that count */
    uint64_t definitions; /* queues, topics, subscriptions */
    uint64_t end_place;   /* the place at its end */
    uint64_t end_batch;   /* number of its last batch; 0: none */
    bool dirty;           /* written to since a sync that was begun */
    uint8_t busy;         /* how many jobs have its handle */
};

struct sync_job {
    struct job job;
    struct wal *wal;
    uint32_t count;
    struct segment *segments[WAL_SYNC_SEGMENTS];
    bool close[WAL_SYNC_SEGMENTS]; /* nothing more will be written to it */
    int handles[WAL_SYNC_SEGMENTS];
    uint64_t place, batch, bytes;
    struct position end;
};

enum room_kind { ROOM_NEW, ROOM_AGAIN, ROOM_FILL, ROOM_REMOVE };

/* Making a segment ready, from nothing or from a void one, and writing it ahead, step by step; or removing a void one. */
struct room_job {
    struct job job;
    struct wal *wal;
    enum room_kind kind;
    struct segment *segment; /* not in wal->segments while the job runs */
    char new_name[FILES_NAME_BYTES];
    uint8_t header[SEGMENT_START];
    const char *failed; /* which operation */
};

struct read_job {
    struct job job;
    struct wal *wal;
    struct segment *segment;
    uint64_t offset;
    size_t bytes;
    bool bad; /* what was read is not what was written */
};

/* How far the segment that is compacted has been summed up. */
struct segment_check {
    uint64_t at, batch; /* offsets: up to here; where the batch at hand begins */
    uint8_t header[BATCH_HEADER_BYTES];
    uint32_t have; /* of the header */
    uint64_t left; /* of the records */
};

/* A segment that holds nothing more, until a batch that says so is safe. */
struct voided {
    struct segment *segment;
    uint64_t batch;
};

enum compact_step { COMPACT_IDLE, COMPACT_READING, COMPACT_READY, COMPACT_DEFINITIONS };

struct compaction {
    enum compact_step step;
    uint64_t until;         /* segments below this number are compacted whatever they hold; 0: none */
    uint64_t pass_end;      /* the tail's number when this pass over the log began; 0: no pass */
    uint64_t pass_bytes;    /* what had been appended then */
    uint64_t written_bytes; /* what compaction has written in all */
    uint8_t *chunk;         /* WAL_CHUNK_BYTES, while it is needed */
    size_t chunk_used, chunk_bytes;
    struct segment_check check; /* the helper thread's while it reads */
    XXH3_state_t *checksum;
    uint64_t offset;     /* in the segment, of the chunk */
    uint64_t batch_left; /* bytes of records of the batch at hand that are not yet looked at */
    uint64_t skip;       /* bytes to pass over: the rest of a large record */
    struct record run;   /* a run in the middle of which the last slice ended; .rest NULL: none */
    uint64_t run_id;
    const void *last_body; /* of the MESSAGE that this batch wrote last, for copies of it */
    struct view last_extras[3];
    uint32_t definition; /* how far the walk over the definitions has got */
    int64_t read_ms;     /* when the file had been read */
    bool definition_found;
};

struct wal {
    struct wal_options options;
    struct files files;
    struct broker *broker;
    struct watcher watcher;
    struct worker *worker;
    enum wal_state state;
    char why[160];

    uint64_t log, run, first_of_run;
    struct position before;    /* where the last batch before this run ends */
    struct segment **segments; /* old ones, the tail, perhaps a prepared one */
    uint32_t segment_count, segment_cap;
    uint32_t tail;            /* its index; a prepared one stands behind it */
    struct segment **by_mark; /* 65536 */
    struct voided *voided;    /* oldest first; room for as many as there are segments */
    uint32_t voided_count;
    uint64_t next_segment; /* the number that the next one gets */
    uint64_t oldest;       /* what batches say */
    uint64_t oldest_safe;  /* what the disk is known to have of it */
    uint64_t live_bytes;
    uint64_t old_bytes; /* used in the segments before the tail */
    uint64_t pauses;
    bool rotate_soon;

    struct record_writer writer;
    uint8_t *buffer; /* room for a batch header, then what the writer writes */
    XXH3_state_t *checksum;
    bool open;            /* a batch is being filled; it will lie in the tail */
    bool copies;          /* the next message stored is a copy of the one before */
    uint64_t piece_bytes; /* of it, already written */
    uint32_t pieces;
    uint64_t open_records;

    uint64_t batch; /* number of the last one written */
    uint64_t place, written_place, synced_place, synced_batch;
    struct position synced;
    uint64_t unsynced_bytes;
    uint64_t want_batch; /* a sync that covers this one is wanted, whatever the level */
    int64_t now_ms, sync_due_ms, retry_ms;
    bool making, reading;
    struct sync_job sync[2]; /* one that is being done, and the next */
    unsigned syncing;        /* how many of them have been submitted, from .. */
    unsigned oldest_sync;    /* .. this one on */
    struct room_job room;
    struct read_job read;
    bool full; /* the last attempt to get room found none */
    struct compaction compact;
    struct wal_info info; /* the counters in it */
};

/* ---- append.c ---- */

void append_watch(struct wal *wal);
/* The batch at hand, if there is one, ends and is written. */
void append_finish(struct wal *wal);
/* What has been appended is complete: if much has come together, the batch ends. For compaction; others call wal_event(). */
void append_event(struct wal *wal);
/* A batch without records, which says how things stand. */
void append_empty(struct wal *wal);
/* For compaction: a message as it stands. above: record.h. */
void append_message(struct wal *wal, struct queue *q, struct message *m, enum message_state state, int64_t at_ms,
                    const struct slot *slot, bool above, bool alone);
void append_queue(struct wal *wal, struct queue *q);
void append_topic(struct wal *wal, struct topic *t);
void append_subscription(struct wal *wal, struct topic *t, struct subscription *s);
void append_dedup(struct wal *wal, struct queue *q, struct dedup *entry);

/* ---- segments.c ---- */

void segment_name(uint64_t number, char out[FILES_NAME_BYTES]);
bool segments_reserve(struct wal *wal);
/* At the end of the list; there is room. */
void segments_add(struct wal *wal, struct segment *segment);
static inline struct segment *wal_tail(const struct wal *wal)
{
    return wal->segments[wal->tail];
}
/* Numbers have no gaps, but for those whose mark would be 0. */
uint64_t segment_number_after(uint64_t number);
uint64_t wal_next_number(struct wal *wal);
/* The header of a segment of this run as it will stand in the file. */
void segment_fill_header(const struct wal *wal, uint64_t number, uint8_t out[SEGMENT_START]);
/* Room in the tail; below that a batch should begin in the next segment. */
uint64_t segments_room(const struct wal *wal);
uint64_t segments_margin(const struct wal *wal);
static inline bool wal_is_prepared(const struct wal *wal)
{
    return wal->segment_count > wal->tail + 1;
}
/* With a prepared segment. */
uint64_t segments_room_ahead(const struct wal *wal);
/* Little room is left, and no segment prepared: has one made, and waits for it if there is hardly any room. */
void segments_make_room(struct wal *wal);
/* The tail is full: the prepared segment becomes the tail. False if none is prepared. */
bool segments_rotate(struct wal *wal);
/* Begins whatever jobs are due. */
void segments_work(struct wal *wal);
/* The oldest segment holds nothing more. */
void segments_void_oldest(struct wal *wal);
void segments_free(struct segment *segment);
uint64_t segments_disk_bytes(const struct wal *wal);
void segments_collect(struct wal *wal);
void wal_fail(struct wal *wal, const char *operation, int error);

/* ---- room.c ---- */

static inline bool is_disk_full(int result)
{
    return result == -ENOSPC || result == -EDQUOT;
}
/* Begins to make or to remove a segment if that is due. */
void room_work(struct wal *wal);
void room_done(struct wal *wal);
/* Says whether the disk is full, and what goes on then. */
void room_judge(struct wal *wal);

/* ---- account.c ---- */

static inline uint16_t segment_mark(uint64_t number)
{
    return (uint16_t)number;
}
void account_message(struct wal *wal, struct message *m, bool above, uint16_t mark);
/* The same for messages that are new and nobody's copies. */
void account_run(struct wal *wal, void *const *messages, uint32_t count, uint16_t mark);
void account_message_gone(struct wal *wal, struct message *m);
/* The body that several messages share will be where the next of them is written, which must come at once. */
void account_body_moves(struct wal *wal, struct body *shared);
void account_queue(struct wal *wal, struct queue *q, uint16_t mark);
void account_queue_gone(struct wal *wal, struct queue *q);
void account_topic(struct wal *wal, struct topic *t, uint16_t mark);
void account_topic_gone(struct wal *wal, struct topic *t);
void account_subscription(struct wal *wal, struct topic *t, struct subscription *s, uint16_t mark);
void account_subscription_gone(struct wal *wal, struct topic *t, struct subscription *s);
void account_dedup(struct wal *wal, struct dedup *entry, uint16_t mark);
void account_dedup_gone(struct wal *wal, struct dedup *entry);

/* ---- wal.c ---- */

/* wal_open() for a broker that may hold something already, on a directory without a log. */
struct wal *wal_begin(const struct wal_options *options, const struct files *files, struct broker *b, int64_t now_ms,
                      struct wal_error *error);

/* ---- recover.c ---- */

/* Everything up to the segment of this run. False with a line. */
bool recover(struct wal *wal, struct wal_error *error);

/* ---- begin.c ---- */

struct scan;
/* Batch `batch`, which ends there, is the last that counts. False with a line. */
bool begin_run(struct wal *wal, const struct scan *scan, struct position end, uint64_t batch, struct wal_error *error);

/* ---- compact.c ---- */

/* Goes on for a slice; what it writes is in the batch at hand. */
void compact_slice(struct wal *wal);
bool compact_is_due(const struct wal *wal);
/* The room that it takes to write the oldest segment anew. */
uint64_t compact_bytes(const struct wal *wal);

/* ---- compact_read.c ---- */

/* Has the chunk read that begins at that offset of the oldest segment: then the step is COMPACT_READY. */
void compact_read(struct wal *wal, uint64_t offset);
void compact_read_done(struct wal *wal, int64_t bytes);
/* The oldest segment is damaged there. */
void compact_fail(struct wal *wal, uint64_t offset);

/* ---- the clock of counters ---- */

int64_t wal_clock_ns(void);

#endif
