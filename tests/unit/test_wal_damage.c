/*
 * What the log makes of damaged files: cut at every byte, every bit flipped, blocks lost, replaced, doubled and swapped. It opens
 * with exactly the batches that are left without a gap, or refuses if something that is left says that there was more
 * (tests/support/wal_wounds.h): never anything else. WAL_DAMAGE_SEEDS: how many different loads; default 1.
 */
#include "tests/support/wal_tour.h"
#include "tests/support/wal_wounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sanitizers make a trial thirty times slower: only so many of the bytes and bits that are all tried else. */
#ifdef __SANITIZE_ADDRESS__
#define EVERY 17
#else
#define EVERY 1
#endif

struct fixture {
    struct disk *disk;
    struct wal_world w;
    struct wounds x;
    uint8_t *copy; /* of the file at hand */
};

static uint64_t trials, refusals, cuts;

static unsigned seeds(void)
{
    const char *given = getenv("WAL_DAMAGE_SEEDS");
    return given ? (unsigned)strtoul(given, NULL, 10) : 1;
}

static void begin(struct fixture *f, enum wal_level level, uint64_t seed)
{
    f->disk = disk_new(seed);
    world_init(&f->w, f->disk, level, seed);
    if (!world_open(&f->w))
        fail_msg("%s", f->w.error.text);
}

/* The load is over: the log as it is now will be damaged. */
static void wound(struct fixture *f)
{
    size_t most = 0;
    world_die(&f->w);
    wounds_begin(&f->x, &f->w);
    for (uint32_t i = 0; i < f->x.file_count; i++)
        most = f->x.files[i].bytes > most ? f->x.files[i].bytes : most;
    f->copy = malloc(most);
    assert_non_null(f->copy);
}

static void end(struct fixture *f)
{
    trials += f->x.whole + f->x.cut + f->x.refused;
    refusals += f->x.refused;
    cuts += f->x.cut;
    fprintf(stderr, "    %zu batches in %u files: %llu whole, %llu cut, %llu refused\n", f->x.batch_count,
            (unsigned)f->x.file_count, (unsigned long long)f->x.whole, (unsigned long long)f->x.cut,
            (unsigned long long)f->x.refused);
    wounds_end(&f->x);
    free(f->copy);
    world_free(&f->w);
    disk_free(f->disk);
}

/* ---- logs -------------------------------------------------------------------------------------------------------- */

static unsigned types_of(const struct wound_file *f, const struct wound_batch *b)
{
    unsigned types = 0;
    struct view rest = {f->data + b->offset + BATCH_HEADER_BYTES, b->header.bytes};
    while (rest.bytes > 0) {
        enum record_type type;
        uint64_t bytes;
        struct record r;
        assert_true(record_head(rest, &type, &bytes) && record_read(rest, &r));
        types |= 1u << type;
        rest = (struct view){(const uint8_t *)rest.data + bytes, rest.bytes - (size_t)bytes};
    }
    return types;
}

static void assert_every_type(const struct wounds *x)
{
    unsigned types = 0;
    for (size_t i = 0; i < x->batch_count; i++)
        types |= types_of(&x->files[x->batches[i].file], &x->batches[i]);
    assert_int_equal(types, (1u << RECORD_TYPES) - 2);
}

static void small_log(struct fixture *f, enum wal_level level, uint64_t seed)
{
    begin(f, level, seed);
    world_tour(&f->w);
    wound(f);
    assert_every_type(&f->x);
}

static void large_log(struct fixture *f, enum wal_level level, uint64_t seed)
{
    begin(f, level, seed);
    world_prepare(&f->w);
    /* The tour begins in one segment and ends in the next. */
    while (f->w.wal->tail < 1 || segments_room(f->w.wal) > segments_margin(f->w.wal) + 2500)
        world_run(&f->w, 1);
    world_tour(&f->w);
    wound(f);
    assert_true(f->x.file_count > 1);
    assert_every_type(&f->x);
}

/* True if the tail has just been begun and is full of what it held in an earlier life. */
static bool tail_is_used_again(struct fixture *f)
{
    size_t bytes;
    const struct segment *tail = wal_tail(f->w.wal);
    const uint8_t *data = disk_file_bytes(f->disk, tail->name, &bytes);
    return tail->used < SEGMENT_START + 1000 &&
           memmem(data + tail->used, bytes - tail->used, BATCH_MAGIC, sizeof BATCH_MAGIC - 1);
}

static void recycled_log(struct fixture *f, enum wal_level level, uint64_t seed)
{
    uint64_t count;
    begin(f, level, seed);
    world_prepare(&f->w);
    world_run(&f->w, 100);
    while (f->w.b.queue_count > 0)
        (void)broker_queue_delete(&f->w.b, f->w.now_ms, f->w.b.queues[0], false, false, &count);
    for (int i = 0; i < 1000 && !tail_is_used_again(f); i++) {
        if (i % 50 == 0)
            wal_compact(f->w.wal);
        world_turn(&f->w);
        world_jobs(&f->w, 10);
    }
    assert_true(tail_is_used_again(f));
    world_tour(&f->w);
    wound(f);
    assert_every_type(&f->x);
}

static void (*const logs[])(struct fixture *f, enum wal_level level, uint64_t seed) = {small_log, large_log,
                                                                                       recycled_log};
#define LOGS (sizeof logs / sizeof *logs)

/* Does it to each kind of log, synced always and hardly ever. */
static void to_each(void (*damage)(struct fixture *f))
{
    for (unsigned seed = 1; seed <= seeds(); seed++)
        for (size_t i = 0; i < LOGS; i++)
            for (int level = 0; level < 2; level++) {
                struct fixture f;
                logs[i](&f, level ? WAL_FSYNC : WAL_OS, seed);
                damage(&f);
                end(&f);
            }
}

/* ---- cuts -------------------------------------------------------------------------------------------------------- */

static void cut_everywhere(struct fixture *f)
{
    for (uint32_t i = 0; i < f->x.file_count; i++) {
        const struct wound_file *file = &f->x.files[i];
        const size_t step = file->used > 16384 ? 1 + random_below(&f->w.random, 150) : EVERY;
        for (size_t bytes = 1; bytes <= file->used; bytes += bytes < SEGMENT_START ? 97 : step)
            wounds_try(&f->x, i, file->data, bytes, "cut", bytes);
    }
    for (size_t i = 0; i < f->x.batch_count; i++) {
        const struct wound_batch *b = &f->x.batches[i];
        for (size_t bytes = b->end - 1; bytes <= b->end + 1 && bytes <= f->x.files[b->file].bytes; bytes++)
            wounds_try(&f->x, b->file, f->x.files[b->file].data, bytes, "cut", bytes);
    }
}

static void test_a_file_that_ends_at_any_byte_has_the_batches_before_or_is_refused(void **state)
{
    (void)state;
    to_each(cut_everywhere);
}

/* ---- bits -------------------------------------------------------------------------------------------------------- */

static void flip(struct fixture *f, uint32_t file, uint64_t bit)
{
    f->copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    wounds_try(&f->x, file, f->copy, f->x.files[file].bytes, "bit", bit);
    f->copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void flip_everywhere(struct fixture *f)
{
    for (uint32_t i = 0; i < f->x.file_count; i++) {
        const struct wound_file *file = &f->x.files[i];
        const bool all = file->used < 16384 && f->x.file_count < 4;
        uint64_t bit = 0;
        memcpy(f->copy, file->data, file->bytes);
        for (; bit < SEGMENT_HEADER_BYTES * 8; bit += EVERY)
            flip(f, i, bit);
        for (int n = 0; n < 50; n++)
            flip(f, i,
                 SEGMENT_HEADER_BYTES * 8 + random_below(&f->w.random, (SEGMENT_START - SEGMENT_HEADER_BYTES) * 8));
        for (bit = SEGMENT_START * 8; bit < file->used * 8; bit += all ? EVERY : 1 + random_below(&f->w.random, 1000))
            flip(f, i, bit);
        for (int n = 0; n < 100 && file->used < file->bytes; n++)
            flip(f, i, file->used * 8 + random_below(&f->w.random, (file->bytes - file->used) * 8));
    }
}

static void test_a_flipped_bit_is_never_believed(void **state)
{
    (void)state;
    to_each(flip_everywhere);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

enum harm { ZEROS, GARBAGE, DOUBLED, SWAPPED, HARMS };
static const char *const harms[] = {"zeros", "garbage", "doubled", "swapped"};

static void harm_block(struct fixture *f, size_t block, size_t at, size_t bytes, enum harm harm)
{
    const size_t other = random_below(&f->w.random, bytes / block) * block;
    uint8_t kept[4096];
    memcpy(kept, f->copy + at, block);
    switch (harm) {
    case ZEROS:
        memset(f->copy + at, 0, block);
        return;
    case GARBAGE:
        for (size_t i = 0; i < block; i++)
            f->copy[at + i] = (uint8_t)random_next(&f->w.random);
        return;
    case SWAPPED:
        memcpy(f->copy + at, f->copy + other, block);
        memcpy(f->copy + other, kept, block);
        return;
    default:
        memmove(f->copy + at, f->copy + other, block);
    }
}

static void harm_file(struct fixture *f, uint32_t i, size_t block)
{
    const struct wound_file *file = &f->x.files[i];
    const size_t bytes = (file->used / block + 1) * block;
    const size_t all = bytes < file->bytes ? bytes : file->bytes;
    for (size_t at = 0; at + block <= all; at += block)
        for (int harm = 0; harm < HARMS; harm++) {
            memcpy(f->copy, file->data, file->bytes);
            harm_block(f, block, at, all, (enum harm)harm);
            wounds_try(&f->x, i, f->copy, file->bytes, harms[harm], at);
        }
    /* Several of the last blocks, each in its own way. */
    for (size_t n = 2; n <= 12 && n * block <= all; n++) {
        memcpy(f->copy, file->data, file->bytes);
        for (size_t k = 1; k <= n; k++)
            if (all - k * block >= SEGMENT_START)
                harm_block(f, block, all - k * block, all, (enum harm)random_below(&f->w.random, SWAPPED));
        wounds_try(&f->x, i, f->copy, file->bytes, "last blocks", n);
    }
}

static void harm_everywhere(struct fixture *f)
{
    for (uint32_t i = 0; i < f->x.file_count; i++) {
        harm_file(f, i, 512);
        harm_file(f, i, 4096);
    }
}

static void test_blocks_that_are_not_what_was_written_are_never_believed(void **state)
{
    (void)state;
    to_each(harm_everywhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_ends_at_any_byte_has_the_batches_before_or_is_refused),
        cmocka_unit_test(test_a_flipped_bit_is_never_believed),
        cmocka_unit_test(test_blocks_that_are_not_what_was_written_are_never_believed),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%llu damaged logs: %llu refused, %llu cut, %llu whole\n", (unsigned long long)trials,
           (unsigned long long)refusals, (unsigned long long)cuts, (unsigned long long)(trials - refusals - cuts));
    return failed;
}
