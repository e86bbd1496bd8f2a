/*
 * timers: held against a plain array that is searched from end to end. In the array a deadline that had passed when the
 * timer was armed counts as the wheel's time of that moment, and `order` says who was armed first.
 */
#include "server/broker/timers.h"
#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define END_MS (INT64_C(1) << 48)

struct entry {
    struct timer timer; /* first, so that a timer is its entry */
    int64_t due_ms;
    uint64_t order;
};

struct model {
    struct timers timers;
    struct entry *entries;
    uint32_t count;
    uint64_t next_order;
    int64_t now_ms; /* what the wheel's time must be */
};

static struct entry *entry_of(struct timer *timer)
{
    return (struct entry *)(void *)timer;
}

static void model_init(struct model *m, uint32_t count, int64_t now_ms)
{
    *m = (struct model){.count = count, .now_ms = now_ms, .entries = calloc(count, sizeof *m->entries)};
    assert_non_null(m->entries);
    timers_init(&m->timers, now_ms);
}

static void model_close(struct model *m)
{
    free(m->entries);
}

static void model_arm(struct model *m, uint32_t i, int64_t deadline_ms)
{
    struct entry *e = &m->entries[i];
    timer_arm(&m->timers, &e->timer, deadline_ms);
    e->due_ms = deadline_ms > m->now_ms ? deadline_ms : m->now_ms;
    e->order = m->next_order++;
    assert_true(timer_armed(&e->timer));
    assert_int_equal(e->timer.deadline_ms, deadline_ms);
}

/* The armed entry that must come out next, or NULL. */
static struct entry *model_first(const struct model *m)
{
    struct entry *first = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        struct entry *e = &m->entries[i];
        if (!timer_armed(&e->timer))
            continue;
        if (first == NULL || e->due_ms < first->due_ms || (e->due_ms == first->due_ms && e->order < first->order))
            first = e;
    }
    return first;
}

static uint64_t list_count(const struct timer_link *list)
{
    uint64_t count = 0;
    for (const struct timer_link *link = list->next; link != list; link = link->next) {
        assert_ptr_equal(link->next->prev, link);
        count++;
    }
    return count;
}

static unsigned digit(int64_t time_ms, unsigned level)
{
    return (unsigned)(time_ms >> (6 * level)) & 63;
}

/* A timer in a bucket agrees with the bucket in its digit there and with the wheel's time in all higher ones. */
static void check_bucket(const struct timers *t, unsigned level, unsigned index)
{
    const struct timer_link *bucket = &t->bucket[level][index];
    bool moving = t->moving != 0 && level == t->moving && index == digit(t->now_ms, level);
    if (bucket->next != bucket)
        assert_true(moving || index > digit(t->now_ms, level));
    for (const struct timer_link *link = bucket->next; link != bucket; link = link->next) {
        const struct timer *timer = (const struct timer *)(const void *)link;
        assert_int_equal(timer->bucket, level * 64 + index);
        assert_int_equal(digit(timer->deadline_ms, level), index);
        assert_int_equal(timer->deadline_ms >> (6 * level + 6), t->now_ms >> (6 * level + 6));
    }
}

/* The invariants of the wheel, whatever was done to it. */
static void check_wheel(const struct timers *t)
{
    uint64_t pending = list_count(&t->due);
    for (unsigned level = 0; level < TIMERS_LEVELS; level++) {
        for (unsigned index = 0; index < 64; index++) {
            uint64_t count = list_count(&t->bucket[level][index]);
            assert_int_equal(t->occupied[level] >> index & 1, count > 0);
            check_bucket(t, level, index);
            pending += count;
        }
    }
    assert_int_equal(t->pending, pending);
    if (t->moving != 0)
        assert_true(t->occupied[t->moving] >> digit(t->now_ms, t->moving) & 1);
}

/*
 * timers_next_ms() is never late, exact within the wheel's present 64 ms, and does not ask for a time that has passed.
 */
static void check_next(const struct model *m)
{
    int64_t next_ms = timers_next_ms(&m->timers);
    const struct entry *first = model_first(m);
    if (first == NULL) {
        assert_true(next_ms == TIMERS_NEVER);
        assert_int_equal(m->timers.pending, 0);
        return;
    }
    assert_true(next_ms <= first->due_ms);
    assert_true(next_ms >= m->timers.now_ms);
    if (first->due_ms >> 6 == m->timers.now_ms >> 6 && m->timers.moving == 0)
        assert_true(next_ms == first->due_ms);
}

/* A time from where something may go wrong: now, close, at a boundary of some level, anywhere. */
static int64_t random_deadline(struct random *r, int64_t now_ms)
{
    int64_t deadline_ms = now_ms;
    switch (random_below(r, 6)) {
    case 0:
        deadline_ms -= (int64_t)random_bits(r, 20);
        break;
    case 1:
        break;
    case 2: {
        unsigned shift = (unsigned)random_below(r, 30);
        deadline_ms = ((now_ms >> shift) + (int64_t)random_below(r, 3)) << shift;
        deadline_ms += (int64_t)random_below(r, 3) - 1;
        break;
    }
    case 3:
        deadline_ms += (int64_t)random_below(r, 40);
        break;
    default:
        deadline_ms += (int64_t)random_bits(r, 36);
        break;
    }
    return deadline_ms < END_MS ? deadline_ms : END_MS - 1;
}

/* Pops everything due by now_ms, arming and cancelling meanwhile, and holds each step against the array. */
static void pop_all(struct model *m, struct random *r, int64_t now_ms)
{
    uint32_t budget = UINT32_MAX;
    int rearm = 20;
    int64_t asked_ms = now_ms;
    if (now_ms < m->now_ms)
        now_ms = m->now_ms;
    for (;;) {
        struct entry *expected = model_first(m);
        struct timer *timer = timers_pop(&m->timers, asked_ms, &budget);
        if (expected == NULL || expected->due_ms > now_ms) {
            assert_null(timer);
            break;
        }
        assert_non_null(timer);
        struct entry *e = entry_of(timer);
        assert_false(timer_armed(timer));
        assert_true(e->due_ms <= now_ms && timer->deadline_ms <= now_ms);
        assert_ptr_equal(e, expected);
        if (e->due_ms > m->now_ms)
            m->now_ms = e->due_ms;
        assert_true(m->timers.now_ms == m->now_ms);
        if (rearm > 0 && random_below(r, 4) == 0) {
            rearm--;
            model_arm(m, (uint32_t)random_below(r, m->count), random_deadline(r, m->now_ms));
            timer_cancel(&m->timers, &m->entries[random_below(r, m->count)].timer);
        }
    }
    m->now_ms = now_ms;
    assert_true(m->timers.now_ms == now_ms);
}

/* With enough budget every timer comes out, none early, in the order of deadlines and then of arming. */
static void test_timers_come_out_in_order_and_never_early(void **state)
{
    (void)state;
    struct random r = test_seed(__func__);
    for (int story = 0; story < 40; story++) {
        struct model m;
        model_init(&m, 1 + (uint32_t)random_below(&r, 120), (int64_t)random_bits(&r, 47));
        for (int step = 0; step < 1500; step++) {
            uint32_t i = (uint32_t)random_below(&r, m.count);
            switch (random_below(&r, 8)) {
            case 0:
                timer_cancel(&m.timers, &m.entries[i].timer);
                assert_false(timer_armed(&m.entries[i].timer));
                break;
            case 1: {
                int64_t now_ms = m.now_ms - 5 + (int64_t)random_bits(&r, 30);
                pop_all(&m, &r, now_ms < END_MS ? now_ms : END_MS - 1);
                break;
            }
            case 2: {
                int64_t next_ms = timers_next_ms(&m.timers);
                if (next_ms != TIMERS_NEVER)
                    pop_all(&m, &r, next_ms);
                break;
            }
            default:
                model_arm(&m, i, random_deadline(&r, m.now_ms));
                break;
            }
            check_next(&m);
            if (step % 16 == 0)
                check_wheel(&m.timers);
        }
        pop_all(&m, &r, END_MS - 1);
        model_close(&m);
    }
}

/* The armed entry with the earliest due time, for checks that do not ask who was armed first. */
static int64_t earliest_due_ms(const struct model *m)
{
    const struct entry *first = model_first(m);
    return first != NULL ? first->due_ms : TIMERS_NEVER;
}

/*
 * With budgets of a few timers, arming and cancelling in the middle of moves: none is early, the order of deadlines
 * holds, the budget is kept, and only an empty budget or nothing due ends a round.
 */
static void test_work_resumes_where_the_budget_ended(void **state)
{
    (void)state;
    struct random r = test_seed(__func__);
    uint64_t cut_moves = 0;
    for (int story = 0; story < 40; story++) {
        struct model m;
        model_init(&m, 1 + (uint32_t)random_below(&r, 120), (int64_t)random_bits(&r, 40));
        int64_t now_ms = m.now_ms;
        for (int step = 0; step < 3000; step++) {
            m.now_ms = m.timers.now_ms;
            uint32_t i = (uint32_t)random_below(&r, m.count);
            switch (random_below(&r, 6)) {
            case 0:
                timer_cancel(&m.timers, &m.entries[i].timer);
                break;
            case 1:
                now_ms += (int64_t)random_bits(&r, 28);
                break;
            case 2:
            case 3: {
                uint32_t budget = (uint32_t)random_below(&r, 6);
                uint32_t left = budget;
                int64_t earliest_ms = earliest_due_ms(&m);
                struct timer *timer = timers_pop(&m.timers, now_ms, &left);
                assert_true(left <= budget);
                if (timer == NULL) {
                    assert_true(left == 0 || earliest_ms > now_ms);
                    break;
                }
                assert_true(left < budget);
                assert_false(timer_armed(timer));
                assert_true(timer->deadline_ms <= now_ms);
                assert_true(entry_of(timer)->due_ms == earliest_ms);
                break;
            }
            default:
                /* Far deadlines in few buckets, so that buckets with many timers have to be moved. */
                model_arm(&m, i,
                          random_below(&r, 3) == 0 ? random_deadline(&r, m.now_ms)
                                                   : ((now_ms >> 12) + 1) * 4096 + (int64_t)random_below(&r, 70));
                break;
            }
            cut_moves += m.timers.moving != 0;
            assert_true(timers_next_ms(&m.timers) <= earliest_due_ms(&m));
            assert_true((timers_next_ms(&m.timers) == TIMERS_NEVER) == (m.timers.pending == 0));
            if (step % 16 == 0)
                check_wheel(&m.timers);
        }
        model_close(&m);
    }
    assert_true(cut_moves > 1000);
}

/* Timers with the same deadline come out as they were armed, although they were armed on different levels. */
static void test_equal_deadlines_keep_the_order_of_arming(void **state)
{
    (void)state;
    struct timers timers;
    struct timer timer[6];
    memset(timer, 0, sizeof timer);
    const int64_t deadline_ms = 5000000;
    const int64_t armed_ms[6] = {0, 10, 4700000, 4999680, 4999999, 5000000};
    timers_init(&timers, 0);
    uint32_t budget = 1000;
    for (int i = 0; i < 6; i++) {
        if (armed_ms[i] < deadline_ms)
            assert_null(timers_pop(&timers, armed_ms[i], &budget));
        timer_arm(&timers, &timer[i], deadline_ms);
    }
    for (int i = 0; i < 6; i++)
        assert_ptr_equal(timers_pop(&timers, deadline_ms, &budget), &timer[i]);
    assert_null(timers_pop(&timers, deadline_ms, &budget));
}

/* A timer that is armed again has only its new deadline. */
static void test_arming_again_changes_the_deadline(void **state)
{
    (void)state;
    struct timers timers;
    struct timer timer = {.kind = 7};
    timers_init(&timers, 1000);
    timer_arm(&timers, &timer, 5000);
    timer_arm(&timers, &timer, 900000);
    assert_int_equal(timers.pending, 1);
    uint32_t budget = 100;
    assert_null(timers_pop(&timers, 899999, &budget));
    timer_arm(&timers, &timer, 900001);
    assert_null(timers_pop(&timers, 900000, &budget));
    assert_ptr_equal(timers_pop(&timers, 900001, &budget), &timer);
    assert_int_equal(timer.kind, 7);
    assert_int_equal(timers.pending, 0);
    assert_true(timers_next_ms(&timers) == TIMERS_NEVER);
}

/* A deadline that has passed is due at once, behind what was due before, and can be cancelled like any other. */
static void test_a_deadline_that_has_passed_is_due_at_once(void **state)
{
    (void)state;
    struct timers timers;
    struct timer timer[3];
    memset(timer, 0, sizeof timer);
    timers_init(&timers, 1000);
    timer_arm(&timers, &timer[0], 1000);
    timer_arm(&timers, &timer[1], -5);
    timer_arm(&timers, &timer[2], 3);
    assert_true(timers_next_ms(&timers) == 1000);
    timer_cancel(&timers, &timer[1]);
    timer_cancel(&timers, &timer[1]);
    uint32_t budget = 10;
    assert_ptr_equal(timers_pop(&timers, 0, &budget), &timer[0]);
    assert_ptr_equal(timers_pop(&timers, 0, &budget), &timer[2]);
    assert_null(timers_pop(&timers, 0, &budget));
    assert_int_equal(budget, 8);
}

/* Four timers of one far bucket, which is then half moved down: two are left in it. */
static void half_moved(struct timers *timers, struct timer timer[4])
{
    memset(timer, 0, 4 * sizeof *timer);
    timers_init(timers, 0);
    for (int i = 0; i < 4; i++)
        timer_arm(timers, &timer[i], 4096 + 10 * i);
    uint32_t budget = 2;
    assert_null(timers_pop(timers, 10000, &budget));
    assert_int_equal(budget, 0);
    assert_true(timers_next_ms(timers) == 4096);
}

/* What is armed while a bucket is half moved down comes out in its place among what was there before. */
static void test_arming_in_the_middle_of_a_move(void **state)
{
    (void)state;
    struct timers timers;
    struct timer timer[4], late[4];
    half_moved(&timers, timer);
    memset(late, 0, sizeof late);
    timer_arm(&timers, &late[0], 4111);
    timer_arm(&timers, &late[1], 4090);
    timer_arm(&timers, &late[2], 4127);
    timer_arm(&timers, &late[3], 9000);
    uint32_t budget = 100;
    struct timer *order[] = {&timer[0], &late[1], &timer[1], &late[0], &timer[2], &timer[3], &late[2], &late[3]};
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(timers_pop(&timers, 10000, &budget), order[i]);
    assert_null(timers_pop(&timers, 10000, &budget));
    assert_int_equal(timers.pending, 0);
}

/* Cancelling the rest of a half moved bucket ends the move. */
static void test_cancelling_in_the_middle_of_a_move(void **state)
{
    (void)state;
    struct timers timers;
    struct timer timer[4];
    half_moved(&timers, timer);
    timer_cancel(&timers, &timer[3]);
    timer_cancel(&timers, &timer[2]);
    timer_cancel(&timers, &timer[0]);
    assert_int_equal(timers.moving, 0);
    assert_true(timers_next_ms(&timers) == 4106);
    timer_cancel(&timers, &timer[1]);
    assert_true(timers_next_ms(&timers) == TIMERS_NEVER);
    uint32_t budget = 1;
    assert_null(timers_pop(&timers, 20000, &budget));
    assert_int_equal(budget, 1);
    assert_true(timers.now_ms == 20000);
}

/* Whoever sleeps until timers_next_ms() wakes at most once a level before the deadline comes. */
static void test_few_wakes_lead_to_a_far_deadline(void **state)
{
    (void)state;
    struct random r = test_seed(__func__);
    for (int round = 0; round < 1000; round++) {
        struct timers timers;
        struct timer timer = {.kind = 0};
        int64_t now_ms = (int64_t)random_bits(&r, 47);
        int64_t deadline_ms = now_ms + 1 + (int64_t)random_bits(&r, 46);
        timers_init(&timers, now_ms);
        timer_arm(&timers, &timer, deadline_ms);
        unsigned wakes = 0;
        for (;; wakes++) {
            int64_t next_ms = timers_next_ms(&timers);
            assert_true(next_ms > now_ms && next_ms <= deadline_ms);
            uint32_t budget = TIMERS_LEVELS + 1;
            now_ms = next_ms;
            if (timers_pop(&timers, now_ms, &budget) != NULL)
                break;
        }
        assert_true(now_ms == deadline_ms);
        assert_true(wakes < TIMERS_LEVELS);
    }
}

/* However long the pause, only timers cost budget; the ends of the range of times are usable. */
static void test_a_long_pause_costs_nothing(void **state)
{
    (void)state;
    struct timers timers;
    struct timer timer[3];
    memset(timer, 0, sizeof timer);
    timers_init(&timers, 0);
    timer_arm(&timers, &timer[0], 1);
    timer_arm(&timers, &timer[1], END_MS / 2 + 12345);
    timer_arm(&timers, &timer[2], END_MS - 1);
    uint32_t budget = 3 * TIMERS_LEVELS;
    assert_ptr_equal(timers_pop(&timers, END_MS - 2, &budget), &timer[0]);
    assert_ptr_equal(timers_pop(&timers, END_MS - 2, &budget), &timer[1]);
    assert_null(timers_pop(&timers, END_MS - 2, &budget));
    assert_true(timers.now_ms == END_MS - 2);
    assert_ptr_equal(timers_pop(&timers, END_MS - 1, &budget), &timer[2]);
}

/*
 * A million timers over twelve hours: all that were not cancelled come out, in order, each moved at most once a level.
 */
static void test_a_million_timers(void **state)
{
    (void)state;
    enum { COUNT = 1000000, HOURS_MS = 12 * 3600 * 1000, LEVELS_USED = 5 };
    struct random r = test_seed(__func__);
    struct timers timers;
    struct timer *timer = calloc(COUNT, sizeof *timer);
    assert_non_null(timer);
    timers_init(&timers, 123456789);
    for (uint32_t i = 0; i < COUNT; i++)
        timer_arm(&timers, &timer[i], 123456789 + (int64_t)random_below(&r, HOURS_MS));
    for (uint32_t i = 0; i < COUNT; i += 10)
        timer_cancel(&timers, &timer[i]);
    assert_int_equal(timers.pending, COUNT - COUNT / 10);
    uint64_t popped = 0, spent = 0;
    int64_t last_ms = 0;
    for (int64_t now_ms = 123456789; timers.pending > 0; now_ms += 1 + (int64_t)random_below(&r, 100000)) {
        uint32_t budget = UINT32_MAX;
        for (struct timer *t; (t = timers_pop(&timers, now_ms, &budget)) != NULL; popped++) {
            if (t->deadline_ms > now_ms || t->deadline_ms < last_ms || (t - timer) % 10 == 0)
                fail();
            last_ms = t->deadline_ms;
        }
        spent += UINT32_MAX - budget;
    }
    assert_int_equal(popped, COUNT - COUNT / 10);
    assert_true(spent <= popped * LEVELS_USED);
    free(timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_come_out_in_order_and_never_early),
        cmocka_unit_test(test_work_resumes_where_the_budget_ended),
        cmocka_unit_test(test_equal_deadlines_keep_the_order_of_arming),
        cmocka_unit_test(test_arming_again_changes_the_deadline),
        cmocka_unit_test(test_a_deadline_that_has_passed_is_due_at_once),
        cmocka_unit_test(test_arming_in_the_middle_of_a_move),
        cmocka_unit_test(test_cancelling_in_the_middle_of_a_move),
        cmocka_unit_test(test_few_wakes_lead_to_a_far_deadline),
        cmocka_unit_test(test_a_long_pause_costs_nothing),
        cmocka_unit_test(test_a_million_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
