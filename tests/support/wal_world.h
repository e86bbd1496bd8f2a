/*
 * wal_world: a broker with a log on a disk in memory, and a load that does everything that a broker can do, by chance. At each
 * batch that the log writes, the digest of the broker is noted: after a crash the recovered broker must have one of them.
 */
#ifndef TESTS_SUPPORT_WAL_WORLD_H
#define TESTS_SUPPORT_WAL_WORLD_H

#include "server/broker/digest.h"
#include "server/broker/restore.h"
#include "server/log/inside.h"
#include "tests/support/disk.h"
#include "tests/support/random.h"

#define WORLD_RECEIPTS 64

/* What the broker was when a batch was written. */
struct wal_world_state {
    uint64_t batch, digest;
    uint64_t place; /* of the log that wrote it; what is safe up to there includes the batch */
    int64_t at_ms;
};

struct wal_world {
    struct disk *disk;
    struct broker b;
    struct peer peer;
    struct wal *wal;
    struct watcher watcher; /* the log's, with event_cb in between */
    struct wal_options options;
    struct wal_error error;
    struct random random;
    int64_t now_ms;
    uint64_t receipts[WORLD_RECEIPTS];
    uint32_t receipt_count;
    struct wal_world_state *history;
    uint32_t history_count, history_cap;
    uint64_t safe_batch; /* the highest that was ever confirmed as synced */
    uint32_t topics, large;
};

/* A world on a disk; the options are the smallest segments and `level`. Nothing is opened yet. */
void world_init(struct wal_world *w, struct disk *disk, enum wal_level level, uint64_t seed);

/* Opens broker and log. False: w->error. */
bool world_open(struct wal_world *w);

/* The process is gone: broker and log are thrown away as they are. The history stays. */
void world_die(struct wal_world *w);

/* Closes the log well. False if it could not be. */
bool world_close(struct wal_world *w);
void world_free(struct wal_world *w);

/* The queues and topics that the load uses; then random calls; a turn; some jobs of the helper thread. */
void world_prepare(struct wal_world *w);
void world_step(struct wal_world *w);
void world_turn(struct wal_world *w);
void world_jobs(struct wal_world *w, uint32_t most);

/* `turns` turns with up to 6 calls each, and jobs by chance. */
void world_run(struct wal_world *w, uint32_t turns);

/* After world_open() on what a crash left: true if the broker is what it was at the last batch that was recovered. */
bool world_is_as_it_was(struct wal_world *w);

/* The number of that batch. */
uint64_t world_batch(const struct wal_world *w);

/* The last batch whose records wal_safe() says are safe, of those that this log has written; 0: none. */
uint64_t world_confirmed(const struct wal_world *w);

#endif
