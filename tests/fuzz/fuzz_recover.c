/*
 * A start on files that somebody has made up: the input is split into batches, which get valid headers, numbers and checksums and
 * are laid into one or two segments, and then some bytes of the files are changed. The log is opened, the broker runs some turns,
 * the log is closed well and opened once more. Refused or not: one line says why, no byte outside is read, nothing is left open or
 * allocated, and what has been opened and closed well opens again.
 *
 * The first byte says how many changes there are (bits 0-2) and in how many segments the batches lie (bit 3), bit 4 adds an end
 * that says that all is synced; each change is 4 bytes: where (3), and what is put there. Then come the batches: a byte n for n
 * times 4 bytes of records; those of the second segment begin in the middle.
 */
#include "server/broker/restore.h"
#include "server/log/record.h"
#include "server/log/wal.h"
#include "tests/support/disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define FILE_BYTES WAL_SEGMENT_MIN
#define LOG        0x1234567
#define NOW_MS     (INT64_C(1) << 40)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t files[2][FILE_BYTES];

struct input {
    const uint8_t *data;
    size_t bytes;
};

static uint8_t take(struct input *in)
{
    if (in->bytes == 0)
        return 0;
    in->bytes--;
    return *in->data++;
}

static void begin_file(unsigned file)
{
    const struct segment_header h = {
        .version = SEGMENT_VERSION, .log = LOG, .number = file + 1, .run = 1, .first_of_run = 1, .oldest = 1};
    memset(files[file], 0, FILE_BYTES);
    segment_header_put(files[file], &h);
}

/* Lays out the batches of the input. */
static void lay_out(struct input *in, unsigned count, bool synced)
{
    const size_t half = in->bytes / 2;
    uint32_t at = SEGMENT_START, file = 0;
    for (uint64_t number = 1; in->bytes > 0; number++) {
        size_t bytes = take(in) * (size_t)4;
        if (bytes > in->bytes)
            bytes = in->bytes;
        if (count > 1 && file == 0 && in->bytes < half) {
            file = 1;
            at = SEGMENT_START;
        }
        if (at + BATCH_HEADER_BYTES + bytes > FILE_BYTES)
            return;
        const uint64_t salt = segment_salt(LOG, file + 1);
        struct batch_header h = {.bytes = (uint32_t)bytes, .number = number, .receipts = 1, .oldest = 1};
        h.checksum = XXH3_64bits_withSeed(in->data, bytes, salt);
        if (synced && number > 1) {
            h.synced_segment = file + 1;
            h.synced_offset = at;
        }
        batch_header_put(files[file] + at, &h, salt);
        memcpy(files[file] + at + BATCH_HEADER_BYTES, in->data, bytes);
        at += (uint32_t)(BATCH_HEADER_BYTES + bytes);
        in->data += bytes;
        in->bytes -= bytes;
    }
}

static struct disk *make_up(struct input *in)
{
    struct disk *disk = disk_new(1);
    const uint8_t how = take(in);
    const unsigned count = how & 8 ? 2 : 1;
    uint8_t changes[7][4] = {{0}};
    for (unsigned i = 0; i < (how & 7u); i++)
        for (unsigned k = 0; k < 4; k++)
            changes[i][k] = take(in);
    begin_file(0);
    begin_file(1);
    lay_out(in, count, how & 16);
    for (unsigned i = 0; i < (how & 7u); i++)
        files[changes[i][0] % count][(changes[i][1] << 8 | changes[i][2]) % FILE_BYTES] = changes[i][3];
    disk_put_file(disk, "0000000000000001.seg", files[0], FILE_BYTES);
    if (count > 1)
        disk_put_file(disk, "0000000000000002.seg", files[1], FILE_BYTES);
    return disk;
}

static void run(struct broker *b, struct wal *wal)
{
    broker_restarted(b, NOW_MS);
    for (int64_t now_ms = NOW_MS; now_ms < NOW_MS + 3000; now_ms += 1000)
        for (unsigned turns = 0; turns < 30; turns++) {
            (void)broker_turn(b, now_ms);
            broker_effects_done(b);
            wal_write(wal, now_ms);
            while (wal_step(wal))
                wal_collect(wal, now_ms);
        }
    wal_compact(wal);
    for (unsigned turns = 0; turns < 10; turns++) {
        wal_write(wal, NOW_MS + 3000);
        while (wal_step(wal))
            wal_collect(wal, NOW_MS + 3000);
    }
}

/* One life of a server. False: refused. */
static bool live(struct disk *disk)
{
    static const struct broker_limits limits = {
        .max_memory_bytes = 1 << 30,
        .max_message_bytes = 1 << 20,
        .max_body_bytes = 1 << 20,
        .max_response_bytes = 1 << 20,
        .max_batch = 1000,
        .max_queues = 1000,
    };
    const struct wal_options options = {.level = WAL_FSYNC, .segment_bytes = WAL_SEGMENT_MIN};
    struct wal_error error;
    struct broker b;
    broker_init(&b, &limits, NOW_MS, 1);
    b.pool.held_limit = 1 << 28; /* ids far from each other take a page each */
    b.wall_offset_ms = INT64_C(600000000000);
    b.random = 99;
    struct wal *wal = wal_open(&options, disk_files(disk), &b, NOW_MS, &error);
    if (wal) {
        run(&b, wal);
        assert(wal_close(wal));
    } else {
        assert(error.text[0] && !strchr(error.text, '\n') && disk_open_handles(disk) == 0);
    }
    b.watcher = NULL;
    broker_close(&b);
    assert(b.pool.used_bytes == 0);
    return wal != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input in = {data, bytes};
    struct disk *disk = make_up(&in);
    if (live(disk)) {
        disk_crash(disk, DISK_LOSE);
        const bool again = live(disk);
        assert(again);
        (void)again;
    }
    disk_free(disk);
    return 0;
}
