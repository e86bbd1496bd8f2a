/*
 * The log on a disk that fills up. Until it is full everything goes on; then nothing new is taken, and what is there can still be
 * acked, given back and parked, and all of that is in the log. It ends by itself: when enough has been acked, and when the disk
 * has become larger. The log never fails of it, the files never take more than the disk has, and no batch is lost.
 * WAL_FULL_SEEDS: how many different loads; default 4.
 */
#include "tests/support/wal_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENT      ((uint64_t)WAL_SEGMENT_MIN)
#define BODY         400
#define MANY         5000
#define HEALING_MS   (3 * WAL_RETRY_MS)
#define CAPACITY_MIN 3
#define CAPACITY_MAX 9

static unsigned seeds(void)
{
    const char *given = getenv("WAL_FULL_SEEDS");
    return given ? (unsigned)strtoul(given, NULL, 10) : 4;
}

struct trial {
    struct wal_world w;
    uint64_t seed, capacity;
};

static void fail_trial(struct trial *t, const char *what)
{
    fprintf(stderr, "seed %llu, capacity %llu: %s\n%s\n", (unsigned long long)t->seed, (unsigned long long)t->capacity,
            what, disk_trace(t->w.disk));
    fail();
}

/* The end of a turn, and all jobs; time goes on a little. */
static void turn(struct trial *t)
{
    struct wal_world *w = &t->w;
    world_turn(w);
    world_jobs(w, 1000);
    w->now_ms += 5;
    if (wal_state(w->wal) == WAL_FAILED)
        fail_trial(t, w->wal->why);
    if (w->b.refusing != (wal_state(w->wal) == WAL_FULL ? ERR_DISK_FULL : ERR_NONE))
        fail_trial(t, "what is refused is not what the state says");
    if (disk_used(w->disk) > t->capacity)
        fail_trial(t, "the files take more than there is");
}

static struct queue *plain(struct trial *t)
{
    struct queue *q = broker_queue_find(&t->w.b, "plain", 5);
    assert_non_null(q);
    return q;
}

static enum error_code publish(struct trial *t)
{
    static const uint8_t body[BODY];
    const struct publication item = {.body = {body, sizeof body}, .delay_ms = -1, .ttl_ms = -1};
    const struct publications all = {.items = &item, .count = 1};
    const struct publish_options options = {0};
    struct publish_result result;
    return broker_publish(&t->w.b, t->w.now_ms, plain(t), &all, &options, &result);
}

static void fill(struct trial *t)
{
    for (uint32_t i = 0; i < MANY; i++) {
        const enum error_code code = publish(t);
        if (code == ERR_DISK_FULL)
            return;
        if (code != ERR_NONE)
            fail_trial(t, "a publish is refused for another reason");
        turn(t);
    }
    fail_trial(t, "the disk never gets full");
}

/* Takes a message and settles it, as far as there are any; most are acked. False: there is none. */
static bool settle_one(struct trial *t, bool only_ack)
{
    struct wal_world *w = &t->w;
    const struct receive_options options = {.max = 1, .visibility_ms = -1};
    const struct nack_options back = {.delay_ms = -1};
    const uint64_t dice = only_ack ? 9 : random_below(&w->random, 10);
    bool served = false;
    uint32_t applied = 0;
    enum error_code code;
    if (broker_receive(&w->b, w->now_ms, plain(t), &w->peer, &options, &served) != ERR_NONE)
        fail_trial(t, "nothing can be received");
    if (!served || w->b.delivery_count == 0)
        return false;
    const uint64_t receipt = w->b.deliveries[0].receipt;
    if (dice == 0)
        code = broker_nack(&w->b, w->now_ms, &receipt, 1, &back, &applied);
    else if (dice == 1)
        code = broker_park(&w->b, w->now_ms, &receipt, 1, (struct view){"why", 3}, &applied);
    else
        code = broker_ack(&w->b, w->now_ms, &receipt, 1, false, &applied);
    if (code != ERR_NONE || applied != 1)
        fail_trial(t, "what is there cannot be settled");
    turn(t);
    if (wal_safe(w->wal) != wal_place(w->wal))
        fail_trial(t, "what was settled is not confirmed");
    return true;
}

/* Time goes by with nothing to do. */
static void wait_until_good(struct trial *t)
{
    for (const int64_t until_ms = t->w.now_ms + HEALING_MS; t->w.now_ms < until_ms; t->w.now_ms += 50)
        turn(t);
    if (wal_state(t->w.wal) != WAL_GOOD)
        fail_trial(t, "it does not heal");
    if (publish(t) != ERR_NONE)
        fail_trial(t, "it takes nothing although it is good again");
    turn(t);
}

/* Everything that was confirmed is there after a power loss. The disk is larger then: a start needs a segment. */
static void check_restart(struct trial *t)
{
    struct wal_world *w = &t->w;
    const uint64_t confirmed = world_confirmed(w);
    world_die(w);
    disk_crash(w->disk, DISK_LOSE);
    disk_set_capacity(w->disk, t->capacity + 4 * SEGMENT);
    if (!world_open(w))
        fail_trial(t, w->error.text);
    if (!world_is_as_it_was(w) || world_batch(w) < confirmed)
        fail_trial(t, "the state is none that there was, or an old one");
    broker_restarted(&w->b, w->now_ms);
}

static void with_every_capacity(void (*story)(struct trial *t))
{
    for (uint64_t seed = 1; seed <= seeds(); seed++)
        for (uint64_t segments = CAPACITY_MIN; segments <= CAPACITY_MAX; segments++) {
            struct trial t = {.seed = seed};
            t.capacity = segments * SEGMENT + seed * 12345 % SEGMENT;
            world_init(&t.w, disk_new(seed), WAL_FSYNC, seed);
            disk_set_capacity(t.w.disk, t.capacity);
            assert_true(world_open(&t.w));
            world_prepare(&t.w);
            turn(&t);
            story(&t);
            check_restart(&t);
            world_die(&t.w);
            disk_free(t.w.disk);
            world_free(&t.w);
        }
}

static void acks_heal(struct trial *t)
{
    for (int round = 0; round < 3; round++) {
        fill(t);
        while (settle_one(t, false))
            continue;
        (void)broker_queue_purge(&t->w.b, plain(t), 15); /* those that were parked */
        wait_until_good(t);
    }
}

static void test_a_full_disk_takes_acks_until_there_is_room_again(void **state)
{
    (void)state;
    with_every_capacity(acks_heal);
}

static void room_heals(struct trial *t)
{
    for (int round = 0; round < 3; round++) {
        fill(t);
        for (int i = 0; i < 10; i++)
            (void)settle_one(t, true);
        t->capacity += 2 * SEGMENT;
        disk_set_capacity(t->w.disk, t->capacity);
        wait_until_good(t);
    }
}

static void test_a_full_disk_that_becomes_larger_heals(void **state)
{
    (void)state;
    with_every_capacity(room_heals);
}

/* Everything that a broker can do, for a while on a disk that is full most of the time. */
static void any_load(struct trial *t)
{
    for (int i = 0; i < 300; i++) {
        for (uint64_t steps = random_below(&t->w.random, 7); steps > 0; steps--)
            world_step(&t->w);
        turn(t);
    }
}

static void test_no_load_makes_a_full_disk_a_failure(void **state)
{
    (void)state;
    with_every_capacity(any_load);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_disk_takes_acks_until_there_is_room_again),
        cmocka_unit_test(test_a_full_disk_that_becomes_larger_heals),
        cmocka_unit_test(test_no_load_makes_a_full_disk_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
