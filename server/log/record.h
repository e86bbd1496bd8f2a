/*
 * record: the format of the write-ahead log, version 1, byte by byte. Pure: bytes to meaning and back; no file, no clock.
 * From this comment alone one could write another reader.
 *
 * The log of a directory is a sequence of *batches*, numbered from 1 without a gap. It lies in *segments*, files that are
 * named after their number, 16 hex digits and ".seg". A segment is a header and then batches, one behind the other, up to
 * the first place where no valid batch stands: zeros, or what is left of the file's earlier life. A batch is what a crash
 * cannot part: it counts wholly or not at all, and changes that belong together lie in one batch. Inside it are *records*,
 * one a change of what the broker keeps, or a run of like changes.
 *
 * All numbers of fixed size are little-endian. "varint" is an unsigned number, 7 bits a byte, the lowest first, the top bit
 * says that more follow, at most 10 bytes. "zigzag" is a signed number n as the varint 2n, or -2n - 1 if n < 0. "bytes" is a
 * varint length and as many bytes. Checksums are XXH3, 64 bits, with a seed. Times are milliseconds of the wall clock since
 * 1970, so that they mean the same after a restart.
 *
 * Segment header, at offset 0; batches begin at offset 4096. The bytes between are zero.
 *
 *     offset  bytes
 *          0      8  "ringmq\0\1"                   what it is
 *          8      4  version of the format         1. A reader refuses a higher one before it touches anything.
 *         12      4  bytes of this header          96
 *         16      8  log                           a random number, the same in all segments of a directory
 *         24      8  number                        of the segment, from 1; a file that is used again gets a new one
 *         32      8  run                           counts the starts of the server on this log, from 1
 *         40      8  first of run                  the number of the first batch of that run. What earlier runs wrote with
 *                                                  this number or a higher one was cut off, and is void.
 *         48      8  oldest                        segments with a number below it are void (their content lives on
 *                                                  elsewhere); batches may say a higher one
 *         56      8  made at                       time
 *         64      8  receipts                      the highest run number of receipts that was in use
 *         72      8  segment } where the last batch before this run ends; 0 and 0: there was none. So it is
 *         80      4  offset  } known that nothing of it is missing.
 *         84      4  zero
 *         88      8  checksum of bytes 0 .. 87     seed 0
 *
 * Batch header, 72 bytes, at any offset:
 *
 *          0      4  "RQB1"
 *          4      4  bytes of records that follow
 *          8      8  number of the batch
 *         16      8  term                          0; for logs that several machines agree on
 *         24      8  time of the turn
 *         32      8  segment } up to here the log was known to be on the disk when the batch was written;
 *         40      4  offset  } damage below it is not a torn end
 *         44      4  receipts                      the run number of receipts in use
 *         48      8  oldest                        as in the segment's header
 *         56      8  checksum of the records       seed = salt
 *         64      8  checksum of bytes 0 .. 63     seed = salt
 *
 * The salt is log + number of the segment * 0x9e3779b97f4a7c15 (modulo 2^64): what is left of a segment's earlier life
 * has another, and so is no valid batch, like zeros.
 *
 * Record: 1 byte type, 4 bytes length of what follows, then the fields of the type. A reader that does not know a type
 * refuses the log.
 *
 *     type                fields
 *      1 QUEUE            varint number; varint flags (1: paused); varint next id; zigzag created at; bytes name; then for
 *                         each attribute: bytes name, then by its kind a zigzag (numbers, choices, yes/no as 0 and 1), or
 *                         bytes (a queue's name), or zigzag base, zigzag cap, 8 bytes factor, 8 bytes jitter (doubles).
 *                         The kinds are those of protocol/attributes.h; every attribute is written.
 *      2 QUEUE_GONE       varint number
 *      3 TOPIC            bytes name
 *      4 TOPIC_GONE       bytes name
 *      5 SUBSCRIPTION     varint queue; bytes topic; bytes pattern; bytes filter (server/broker/filter.h)
 *      6 SUBSCRIPTION_GONE  varint queue; bytes topic; bytes pattern
 *      7 RUN              varint queue; varint id of the first; zigzag published at; varint 0 or 1 + ms from there to the
 *                         expiry; 1 byte (1: by ttl); then for each message, with consecutive ids: bytes body. In a
 *                         standard queue, ready, never delivered, and nothing else to be said of them.
 *      8 MESSAGE          varint queue; varint id; varint flags; zigzag published at; then, as the flags say:
 *                             bits 0-1: state 0 delayed, 1 ready, 2 inflight, 3 parked
 *                             1<<2   zigzag ms from published to the expiry
 *                             1<<3   (nothing) the expiry is that of its ttl
 *                             1<<4   (nothing) it holds its group (state 0)
 *                             state 0 or 3: zigzag ms from published to the end of the delay, or to the parking
 *                             1<<5   varint attempts; varint 0 or 1 + ms from published to the first delivery; the last
 *                             1<<6   1 byte priority
 *                             1<<7   bytes group
 *                             1<<8   bytes dedup id
 *                             1<<9   bytes headers (server/broker/message.h)
 *                             state 3: 1 byte reason (enum park_reason)
 *                             1<<10  bytes note (state 3)
 *                             1<<11  (nothing) group, dedup id, headers and body are those of the last MESSAGE above in this
 *                                    batch that has its own; bits 7, 8, 9 are 0 and there is no body
 *                             else: bytes body
 *                             1<<12  (nothing) its queue is a fifo queue; it has a group
 *                         Stored anew under an id that is there, it replaces what was there.
 *      9 GONE             varint queue; ranges
 *     10 DELIVERED        varint queue; zigzag time; ranges       ready -> inflight, attempts + 1
 *     11 UNDELIVERED      varint queue; ranges                    attempts - 1; still inflight
 *     12 READY            varint queue; ranges                    inflight or delayed -> ready
 *     13 KICKED           varint queue; ranges                    parked -> ready, attempts 0
 *     14 DELAYED          varint queue; zigzag until; ranges      inflight -> delayed; holds its group
 *     15 PARKED           varint queue; varint id; zigzag since; varint 0 or 1 + ms from there to the expiry; 1 byte reason;
 *                         bytes note
 *     16 PURGED           varint queue; 1 byte mask of states (bit n: enum message_state n)
 *     17 DEDUP            varint queue; varint first id; zigzag until; bytes key (server/broker/dedup.h)
 *
 * "ranges": pairs until the end of the record: zigzag first id minus the end of the range before (0 at first), varint count;
 * the end of a range is its first id plus its count. Ids come in the order in which things happened.
 *
 * Between the last batch of a run and the first of a later one everything that was inflight becomes ready.
 *
 * Queues are known by a number that is never used again. A change of a message, queue or subscription that is not there is
 * passed over: the log of what went before may have been dropped, because nothing in it counted any more. But RUN, MESSAGE,
 * DEDUP and SUBSCRIPTION may speak of a queue or topic whose definition stands further behind, since a definition is written
 * anew before the segment in which it stood goes. A queue that has got none by the end of the log goes with all it has.
 *
 * Only MESSAGE may be longer than RECORD_LONG bytes, and of it only the body.
 *
 * A server that was not stopped in the middle of it leaves as its last batch one without records, written when everything
 * before had been synced.
 */
#ifndef SERVER_LOG_RECORD_H
#define SERVER_LOG_RECORD_H

#include "server/broker/broker.h"
#include "server/broker/dedup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGMENT_VERSION      1
#define SEGMENT_HEADER_BYTES 96
#define SEGMENT_START        4096 /* offset of the first batch */
#define BATCH_HEADER_BYTES   72
#define RECORD_HEAD_BYTES    5
#define BATCH_MAGIC          "RQB1"
#define RECORD_LONG          (512 * 1024)

struct segment_header {
    uint32_t version;
    uint64_t log, number, run, first_of_run, oldest;
    int64_t made_at_ms;
    uint64_t receipts;
    uint64_t before_segment; /* the end of what earlier runs wrote */
    uint32_t before_offset;
};

enum segment_result { SEGMENT_GOOD, SEGMENT_BLANK /* all zeros */, SEGMENT_BAD, SEGMENT_NEWER /* version: as found */ };

void segment_header_put(uint8_t out[SEGMENT_HEADER_BYTES], const struct segment_header *h);
enum segment_result segment_header_read(const uint8_t in[SEGMENT_HEADER_BYTES], struct segment_header *out);

uint64_t segment_salt(uint64_t log, uint64_t number);

struct batch_header {
    uint32_t bytes; /* of records */
    uint64_t number, term;
    int64_t at_ms;
    uint64_t synced_segment;
    uint32_t synced_offset;
    uint32_t receipts;
    uint64_t oldest;
    uint64_t checksum; /* of the records, with the salt as seed */
};

void batch_header_put(uint8_t out[BATCH_HEADER_BYTES], const struct batch_header *h, uint64_t salt);
/* False if no valid header of that segment stands there. */
bool batch_header_read(const uint8_t in[BATCH_HEADER_BYTES], uint64_t salt, struct batch_header *out);

/* ---- writing ----------------------------------------------------------------------------------------------------- */

enum record_type {
    RECORD_QUEUE = 1,
    RECORD_QUEUE_GONE,
    RECORD_TOPIC,
    RECORD_TOPIC_GONE,
    RECORD_SUBSCRIPTION,
    RECORD_SUBSCRIPTION_GONE,
    RECORD_RUN,
    RECORD_MESSAGE,
    RECORD_GONE,
    RECORD_DELIVERED,
    RECORD_UNDELIVERED,
    RECORD_READY,
    RECORD_KICKED,
    RECORD_DELAYED,
    RECORD_PARKED,
    RECORD_PURGED,
    RECORD_DEDUP,
    RECORD_TYPES
};

/*
 * Puts records into a buffer of fixed size and never allocates. When the buffer is full it is handed to drain_cb, which
 * takes all of `data`; a body that is larger than the buffer is handed over from where it lies. The record at the end may
 * still be open (a run, ranges) so that the next change can join it; record_close() ends it, and a drain does.
 */
struct record_writer {
    uint8_t *data; /* the caller's */
    size_t used, cap;
    void (*drain_cb)(void *user, const void *data, size_t bytes);
    void *user;
    int64_t wall_offset_ms; /* wall = monotonic + this; the caller keeps it up to date, between batches */
    /* the open record; type 0: none */
    uint8_t open_type;
    size_t open_at;
    uint64_t open_queue;
    int64_t open_ms;
    uint64_t open_end;       /* RUN: the next id; ranges: the end of the last range */
    uint64_t open_count;     /* ranges: of ids in the last range, not written yet */
    int64_t open_expires_ms; /* RUN */
    bool open_by_ttl;        /* RUN */
};

/* cap: at least 1 MiB (RECORD_LONG twice). */
void record_writer_init(struct record_writer *w, uint8_t *data, size_t cap,
                        void (*drain_cb)(void *user, const void *data, size_t bytes), void *user);
void record_close(struct record_writer *w);

void record_queue(struct record_writer *w, const struct queue *q);
void record_queue_gone(struct record_writer *w, const struct queue *q);
void record_topic(struct record_writer *w, const struct topic *t);
void record_topic_gone(struct record_writer *w, const struct topic *t);
void record_subscription(struct record_writer *w, const struct topic *t, const struct subscription *s);
void record_subscription_gone(struct record_writer *w, const struct topic *t, const struct subscription *s);
/* at_ms: DELAYED until, PARKED since. slot: of a parked one. above: see 1<<11. Chooses RUN where
   it can: never for a body in a struct body (message_shared()), nor with `alone`, which says that others may refer to it. */
void record_message(struct record_writer *w, const struct queue *q, const struct message *m, enum message_state state,
                    int64_t at_ms, const struct slot *slot, bool above, bool alone);
/* So many messages with consecutive ids, READY, new, and with the same times. */
void record_run(struct record_writer *w, const struct queue *q, void *const *messages, uint32_t count);
/* `count` ids from `id` on. GONE, UNDELIVERED, READY, KICKED: ms is not looked at. DELIVERED, DELAYED: monotonic. */
void record_ids(struct record_writer *w, enum record_type type, const struct queue *q, uint64_t id, uint32_t count,
                int64_t ms);
static inline void record_id(struct record_writer *w, enum record_type type, const struct queue *q, uint64_t id,
                             int64_t ms)
{
    record_ids(w, type, q, id, 1, ms);
}
void record_parked(struct record_writer *w, const struct queue *q, const struct message *m, const struct slot *slot);
void record_purged(struct record_writer *w, const struct queue *q, unsigned states);
void record_dedup(struct record_writer *w, const struct queue *q, const struct dedup *entry);

/* For record_message_overhead() alone. */
size_t record_texts_bytes(const struct message *m);
/* About what the log takes for a message beyond its body, if it is written anew: what "live bytes" counts. */
static inline size_t record_message_overhead(const struct message *m)
{
    return 24 + (m->flags & MESSAGE_EXTRAS ? record_texts_bytes(m) : 0);
}
size_t record_queue_bytes(const struct queue *q);
size_t record_topic_bytes(const struct topic *t);
size_t record_subscription_bytes(const struct topic *t, const struct subscription *s);
size_t record_dedup_bytes(const struct dedup *entry);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A record's fields as they are in the format (wall-clock times, absolute). Views into the bytes that were read. */
struct record {
    enum record_type type;
    uint64_t queue;
    uint64_t id;          /* MESSAGE, PARKED; RUN: of the first; DEDUP: first id */
    int64_t at_ms;        /* DELIVERED, DELAYED, PARKED (since), DEDUP (until); MESSAGE: end of delay, since */
    int64_t published_ms; /* RUN, MESSAGE; QUEUE: created */
    int64_t expires_ms;   /* RUN, MESSAGE, PARKED; meaningful if `expires` */
    bool expires, by_ttl, held, above, paused;
    bool fifo; /* MESSAGE: in a fifo queue */
    enum message_state state;
    uint32_t attempts;
    int64_t first_ms, last_ms; /* wall; INT64_MIN: none */
    uint8_t priority;
    enum park_reason reason;
    uint64_t next_id;             /* QUEUE */
    unsigned states;              /* PURGED */
    struct attributes attributes; /* QUEUE; what the record does not name has its default */
    struct view name;             /* QUEUE, TOPIC*, SUBSCRIPTION* (of the topic) */
    struct view pattern, filter, key, note, group, dedup_id, headers;
    struct view body; /* MESSAGE; data NULL and bytes set if `from` ended before it */
    struct view rest; /* RUN: bodies; GONE .. DELAYED: ranges */
};

/* Type and whole length (with the head) of the record at `from`, which has at least RECORD_HEAD_BYTES. False: no such type. */
bool record_head(struct view from, enum record_type *type, uint64_t *bytes);

/*
 * Reads the record at the beginning of `from`. `from` may end before the body of a MESSAGE does (bytes as record_head() said);
 * every other record must be there wholly. False if it is not as the format says; never reads outside of `from`; every
 * number is checked: ids 1 .. 2^53, lengths, texts of at most their limits, attributes in their ranges, known reasons.
 */
bool record_read(struct view from, struct record *out);

/* The next body of a RUN; the next range of ids, count >= 1. False at the end, or (*bad) if it is not as it should be. */
bool record_next_body(struct view *rest, struct view *body, bool *bad);
bool record_next_range(struct view *rest, uint64_t *end /* state, 0 at first */, uint64_t *first, uint64_t *count,
                       bool *bad);

#endif
