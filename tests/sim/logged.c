#include "tests/sim/logged.h"

#include "server/broker/digest.h"
#include "server/log/wal.h"
#include "tests/sim/story_parts.h"
#include "tests/support/disk.h"
#include "tests/support/tee.h"

/* The recovered broker's clock is so far ahead, at the same moment: in a story the clock begins at 0, before which is nothing. */
#define AHEAD_MS (INT64_C(1) << 40)

struct logged {
    struct broker *original;
    struct disk *disk;
    struct wal *wal;
    struct tee tee;
    struct wal_options options;
};

struct logged *logged_open(struct broker *original, int64_t now_ms)
{
    struct logged *l = calloc(1, sizeof *l);
    struct watcher *other = original->watcher;
    struct wal_error error;
    assert_non_null(l);
    l->original = original;
    l->disk = disk_new(1);
    l->options = (struct wal_options){.level = WAL_OS, .segment_bytes = WAL_SEGMENT_MIN};
    l->wal = wal_open(&l->options, disk_files(l->disk), original, now_ms, &error);
    if (!l->wal)
        fail_msg("%s", error.text);
    /* The log first: what the other one is told must no longer carry its marks. */
    tee_init(&l->tee, original->watcher, other);
    original->watcher = &l->tee.watcher;
    return l;
}

void logged_turn(struct logged *l, int64_t now_ms)
{
    /* A story may say itself why nothing new is taken. */
    const enum error_code refusing = l->original->refusing;
    wal_write(l->wal, now_ms);
    while (wal_step(l->wal))
        wal_collect(l->wal, now_ms);
    l->original->refusing = refusing;
}

static void print_line(void *user, const char *line)
{
    fprintf(stderr, "%s%s\n", (const char *)user, line);
}

static void compare(const struct logged *l, const struct broker *recovered, int64_t now_ms)
{
    if (broker_digest(l->original, now_ms) == broker_digest(recovered, now_ms + AHEAD_MS))
        return;
    broker_describe(l->original, now_ms, print_line, (char *)(uintptr_t) "is        ");
    broker_describe(recovered, now_ms + AHEAD_MS, print_line, (char *)(uintptr_t) "recovered ");
    fail_msg("what was logged is not what is");
}

void logged_close(struct logged *l, int64_t now_ms)
{
    struct wal_error error;
    struct broker recovered;
    logged_turn(l, now_ms);
    assert_int_equal(wal_state(l->wal), WAL_GOOD);
    l->original->watcher = l->tee.second;
    wal_abandon(l->wal);
    disk_crash(l->disk, DISK_KILL);
    broker_init(&recovered, &l->original->limits, now_ms + AHEAD_MS, 1);
    recovered.wall_offset_ms = l->original->wall_offset_ms - AHEAD_MS;
    recovered.hash_seed = l->original->hash_seed;
    l->wal = wal_open(&l->options, disk_files(l->disk), &recovered, now_ms + AHEAD_MS, &error);
    if (!l->wal)
        fail_msg("%s", error.text);
    compare(l, &recovered, now_ms);
    recovered.watcher = NULL;
    broker_close(&recovered);
    wal_abandon(l->wal);
    disk_free(l->disk);
    free(l);
}
