/*
 * slots: no receipt is ever given twice, none that is over finds anything, and neither retiring nor freeing blocks
 * changes that. Generations are advanced by hand where a test would have to make millions of deliveries.
 */
#include "server/broker/slots.h"
#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GENERATION_MAX ((1u << SLOTS_GENERATION_BITS) - 1)
#define RECEIPT_END    ((uint64_t)1 << 53)

/* Where messages of these tests lie: a slot in use needs some place. */
static struct ring_page somewhere;

struct stage {
    struct pool pool;
    struct slots slots;
};

static void stage_open(struct stage *s, uint32_t run, uint32_t index_limit)
{
    pool_init(&s->pool);
    slots_init(&s->slots, &s->pool, run, index_limit);
}

static void stage_close(struct stage *s)
{
    slots_close(&s->slots);
    assert_int_equal(s->pool.used_bytes, 0);
    pool_close(&s->pool);
}

static uint32_t generation_of(uint64_t receipt)
{
    return (uint32_t)(receipt >> SLOTS_INDEX_BITS) & GENERATION_MAX;
}

static uint32_t run_of(uint64_t receipt)
{
    return (uint32_t)(receipt >> (SLOTS_INDEX_BITS + SLOTS_GENERATION_BITS));
}

/* A slot for a message that lies somewhere. */
static uint32_t take(struct stage *s)
{
    uint32_t index = slots_take(&s->slots);
    assert_true(index != SLOT_NONE);
    struct slot *slot = slots_at(&s->slots, index);
    assert_int_equal(slot_index(slot), index);
    assert_null(slot->prev);
    assert_null(slot->next);
    assert_null(slot->holder);
    assert_null(slot->note);
    assert_int_equal(slot->reason, PARK_NONE);
    assert_false(timer_armed(&slot->timer));
    slot->at = (struct ring_cursor){&somewhere, 0};
    return index;
}

/* As if the slot had been used for that many deliveries more. */
static void age(struct stage *s, uint32_t index, uint32_t deliveries)
{
    slots_at(&s->slots, index)->receipt += (uint64_t)deliveries << SLOTS_INDEX_BITS;
}

static void age_to(struct stage *s, uint32_t index, uint32_t generation)
{
    age(s, index, generation - generation_of(slots_at(&s->slots, index)->receipt));
}

/* A receipt finds its slot from its delivery until the next one, and not after the slot was given back. */
static void test_a_receipt_names_one_delivery(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, 5, 0);
    uint32_t index = take(&s);
    uint64_t first = slots_stamp(&s.slots, index);
    assert_int_equal(run_of(first), 5);
    assert_ptr_equal(slots_find(&s.slots, first), slots_at(&s.slots, index));
    uint64_t second = slots_stamp(&s.slots, index);
    assert_true(second != first && second < RECEIPT_END);
    assert_null(slots_find(&s.slots, first));
    assert_ptr_equal(slots_find(&s.slots, second), slots_at(&s.slots, index));
    slots_give(&s.slots, index);
    assert_null(slots_find(&s.slots, second));
    stage_close(&s);
}

/* Numbers that were never a receipt find nothing, whatever bits are set in them. */
static void test_made_up_receipts_find_nothing(void **state)
{
    (void)state;
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, 1, 0);
    assert_null(slots_find(&s.slots, 0));
    assert_null(slots_find(&s.slots, UINT64_MAX));
    uint32_t index = take(&s);
    uint64_t receipt = slots_stamp(&s.slots, index);
    for (unsigned bit = 0; bit < 64; bit++)
        assert_null(slots_find(&s.slots, receipt ^ (uint64_t)1 << bit));
    for (int i = 0; i < 100000; i++) {
        uint64_t made_up = random_bits(&r, 64);
        assert_int_equal(slots_find(&s.slots, made_up) != NULL, made_up == receipt);
    }
    slots_give(&s.slots, index);
    stage_close(&s);
}

/* Of the run only the low bits count, and another run's receipts are refused. */
static void test_receipts_of_another_run_are_refused(void **state)
{
    (void)state;
    struct stage one, two;
    stage_open(&one, 511 + 512 * 7, 0);
    stage_open(&two, 3, 0);
    uint64_t receipt = slots_stamp(&one.slots, take(&one));
    uint64_t other = slots_stamp(&two.slots, take(&two));
    assert_int_equal(run_of(receipt), 511);
    assert_true(receipt < RECEIPT_END);
    assert_null(slots_find(&two.slots, receipt));
    assert_null(slots_find(&one.slots, other));
    slots_give(&one.slots, slot_index(slots_find(&one.slots, receipt)));
    slots_give(&two.slots, slot_index(slots_find(&two.slots, other)));
    stage_close(&one);
    stage_close(&two);
}

/* The slot that has been free longest is taken first. */
static void test_free_slots_are_reused_oldest_first(void **state)
{
    (void)state;
    enum { COUNT = SLOTS_BLOCK };
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, 0, 0);
    uint32_t given[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        given[i] = take(&s);
    for (uint32_t i = COUNT - 1; i > 0; i--) {
        uint32_t other = (uint32_t)random_below(&r, i + 1), index = given[i];
        given[i] = given[other];
        given[other] = index;
    }
    for (uint32_t i = 0; i < COUNT; i++)
        slots_give(&s.slots, given[i]);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(take(&s), given[i]);
    for (uint32_t i = 0; i < COUNT; i++)
        slots_give(&s.slots, given[i]);
    stage_close(&s);
}

/* Receipts ever given, in a table of open addressing. */
struct receipts {
    uint64_t *table;
    size_t cap, count;
};

/* False if the receipt was there before. */
static bool receipts_add(struct receipts *set, uint64_t receipt)
{
    assert_true(receipt != 0 && set->count < set->cap / 2);
    size_t i = (size_t)(receipt * 0x9e3779b97f4a7c15u >> 20) % set->cap;
    while (set->table[i] != 0) {
        if (set->table[i] == receipt)
            return false;
        i = (i + 1) % set->cap;
    }
    set->table[i] = receipt;
    set->count++;
    return true;
}

struct live {
    uint32_t index;
    uint64_t receipt;
};

/* How a story goes. */
struct plot {
    uint32_t blocks; /* how many there are indexes for */
    uint32_t steps;
    uint32_t turns_every; /* steps, about, until it changes between growing and shrinking */
    bool fast; /* slots age until they retire; else hardly at all, so that blocks are freed for not being needed */
};

/*
 * A long random story in which slots retire and blocks are freed and come back, under one run after another: no receipt
 * is given twice; live ones are found, and of all others none.
 */
static void story(struct random *r, const struct plot *plot)
{
    enum { OVER = 1000 };
    static uint64_t over[OVER];
    struct stage s;
    stage_open(&s, (uint32_t)random_next(r), plot->blocks * SLOTS_BLOCK);
    struct receipts set = {.cap = (size_t)1 << 21, .table = calloc((size_t)1 << 21, sizeof *set.table)};
    struct live *live = calloc(plot->blocks * SLOTS_BLOCK, sizeof *live);
    uint32_t count = 0, over_count = 0, first_run = s.slots.run;
    bool growing = true;
    for (uint32_t step = 0; step < plot->steps; step++) {
        if (random_below(r, plot->turns_every) == 0)
            growing = !growing;
        if (count == 0 || (growing ? random_below(r, 10) < 8 : random_below(r, 10) < 2)) {
            uint32_t index = count < (plot->blocks - 1) * SLOTS_BLOCK ? slots_take(&s.slots) : SLOT_NONE;
            if (index == SLOT_NONE) {
                growing = false;
                continue;
            }
            assert_false(slots_exhausted(&s.slots, index));
            slots_at(&s.slots, index)->at = (struct ring_cursor){&somewhere, 0};
            uint32_t left = GENERATION_MAX - generation_of(slots_at(&s.slots, index)->receipt) - 1;
            if (plot->fast)
                age(&s, index, random_below(r, 3) == 0 ? left : (uint32_t)random_below(r, left + 1));
            else
                age(&s, index, (uint32_t)random_below(r, 5));
            live[count++] = (struct live){index, slots_stamp(&s.slots, index)};
            assert_true(receipts_add(&set, live[count - 1].receipt));
        } else {
            uint32_t i = (uint32_t)random_below(r, count);
            assert_ptr_equal(slots_find(&s.slots, live[i].receipt), slots_at(&s.slots, live[i].index));
            slots_give(&s.slots, live[i].index);
            over[over_count++ % OVER] = live[i].receipt;
            live[i] = live[--count];
        }
        assert_int_equal(s.slots.used_count, count);
        if (over_count > 0) {
            uint32_t known = over_count < OVER ? over_count : OVER;
            assert_null(slots_find(&s.slots, over[random_below(r, known)]));
        }
    }
    assert_int_equal(s.slots.run != first_run, plot->fast);
    while (count > 0)
        slots_give(&s.slots, live[--count].index);
    free(live);
    free(set.table);
    stage_close(&s);
}

static void test_no_receipt_is_given_twice(void **state)
{
    (void)state;
    struct random r = test_seed(__func__);
    story(&r, &(struct plot){.blocks = 2, .steps = 150000, .turns_every = 3000, .fast = true});
    story(&r, &(struct plot){.blocks = 16, .steps = 300000, .turns_every = 6000, .fast = true});
    story(&r, &(struct plot){.blocks = 60, .steps = 500000, .turns_every = 40000, .fast = false});
}

/* A slot whose last generation is in use says so, serves its delivery to the end, and is not taken again. */
static void test_a_slot_without_generations_retires(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, 9, SLOTS_BLOCK);
    uint32_t index = take(&s);
    age_to(&s, index, GENERATION_MAX - 1);
    assert_false(slots_exhausted(&s.slots, index));
    uint64_t last = slots_stamp(&s.slots, index);
    assert_true(slots_exhausted(&s.slots, index));
    assert_int_equal(generation_of(last), GENERATION_MAX);
    assert_ptr_equal(slots_find(&s.slots, last), slots_at(&s.slots, index));
    slots_give(&s.slots, index);
    assert_null(slots_find(&s.slots, last));
    uint32_t taken[SLOTS_BLOCK];
    for (uint32_t i = 0; i < SLOTS_BLOCK - 1; i++) {
        taken[i] = take(&s);
        assert_int_not_equal(taken[i], index);
    }
    assert_int_equal(slots_take(&s.slots), SLOT_NONE);
    for (uint32_t i = 0; i < SLOTS_BLOCK - 1; i++)
        slots_give(&s.slots, taken[i]);
    stage_close(&s);
}

/* Takes every slot of a block and gives it back with its generations used up. */
static void spend_block(struct stage *s, uint64_t *last_receipt)
{
    uint32_t taken[SLOTS_BLOCK];
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++) {
        taken[i] = take(s);
        age_to(s, taken[i], GENERATION_MAX - 1);
        *last_receipt = slots_stamp(&s->slots, taken[i]);
    }
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++)
        slots_give(&s->slots, taken[i]);
}

/* When all indexes are retired the next run begins, under which they all are fresh; after the last run comes run 1. */
static void test_the_next_run_begins_when_all_indexes_are_retired(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, 510, 2 * SLOTS_BLOCK);
    static const uint32_t runs[] = {510, 510, 511, 511, 1, 1, 2};
    uint64_t receipt = 0;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        spend_block(&s, &receipt);
        assert_int_equal(run_of(receipt), runs[i]);
        assert_null(slots_find(&s.slots, receipt));
    }
    stage_close(&s);
}

/* With all indexes in use no slot is to be had; asking again and again uses up no run numbers. */
static void test_asking_in_vain_changes_nothing(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, 7, SLOTS_BLOCK);
    uint32_t taken[SLOTS_BLOCK];
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++)
        taken[i] = take(&s);
    for (int i = 0; i < 100; i++)
        assert_int_equal(slots_take(&s.slots), SLOT_NONE);
    assert_false(slots_reserve(&s.slots, 1));
    assert_int_equal(s.slots.run, 7);
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++)
        slots_give(&s.slots, taken[i]);
    assert_int_equal(take(&s), taken[0]);
    slots_give(&s.slots, taken[0]);
    stage_close(&s);
}

/* When blocks that were freed come back, their receipts go on behind those given before, whichever slot was ahead. */
static void test_blocks_come_back_with_later_generations(void **state)
{
    (void)state;
    enum { COUNT = 40 * SLOTS_BLOCK };
    struct stage s;
    stage_open(&s, 100, 0);
    uint32_t *taken = calloc(COUNT, sizeof *taken);
    uint32_t *generations = calloc(COUNT, sizeof *generations);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            taken[i] = take(&s);
            assert_true(taken[i] < COUNT);
            age(&s, taken[i], 50 - i % 50);
            uint32_t generation = generation_of(slots_stamp(&s.slots, taken[i]));
            assert_true(generation > generations[taken[i]]);
            generations[taken[i]] = generation;
        }
        uint64_t full_bytes = s.pool.used_bytes;
        for (uint32_t i = 0; i < COUNT; i++)
            slots_give(&s.slots, taken[i]);
        assert_true(s.pool.used_bytes < full_bytes);
    }
    free(taken);
    free(generations);
    stage_close(&s);
}

/* After a peak nearly all of its memory goes back, whether the slots come back in order or in any order. */
static void test_the_memory_of_a_peak_goes_back(void **state)
{
    (void)state;
    enum { COUNT = 40 * SLOTS_BLOCK };
    struct random r = test_seed(__func__);
    struct stage s;
    stage_open(&s, 100, 0);
    uint32_t *taken = calloc(COUNT, sizeof *taken);
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < COUNT; i++)
            taken[i] = take(&s);
        uint64_t full_bytes = s.pool.used_bytes;
        for (uint32_t count = COUNT; count > 0; count--) {
            uint32_t i = round % 2 == 0 ? COUNT - count : (uint32_t)random_below(&r, count);
            slots_give(&s.slots, taken[i]);
            if (round % 2 != 0)
                taken[i] = taken[count - 1];
        }
        assert_true(s.pool.used_bytes < full_bytes / 4);
    }
    free(taken);
    stage_close(&s);
}

/* What was reserved is there to be taken without memory. */
static void test_reserved_slots_need_no_memory(void **state)
{
    (void)state;
    enum { COUNT = 3 * SLOTS_BLOCK + 17 };
    struct stage s;
    stage_open(&s, 0, 0);
    assert_true(slots_reserve(&s.slots, COUNT));
    s.pool.held_limit = s.pool.held_bytes;
    static uint32_t taken[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        taken[i] = take(&s);
    for (uint32_t i = 0; i < COUNT; i++)
        slots_give(&s.slots, taken[i]);
    stage_close(&s);
}

/* Giving a slot back between reserving and taking does not use up what was reserved, though its block is then empty. */
static void test_giving_back_does_not_spend_a_reservation(void **state)
{
    (void)state;
    enum { COUNT = 10 * SLOTS_BLOCK - 1 };
    struct stage s;
    stage_open(&s, 0, 0);
    static uint32_t taken[COUNT];
    uint32_t held = take(&s);
    assert_true(slots_reserve(&s.slots, COUNT));
    slots_give(&s.slots, held);
    s.pool.held_limit = s.pool.held_bytes;
    for (uint32_t i = 0; i < COUNT; i++)
        taken[i] = take(&s);
    for (uint32_t i = 0; i < COUNT; i++)
        slots_give(&s.slots, taken[i]);
    stage_close(&s);
}

/* Without memory there is no slot, and later, with memory, there is. */
static void test_without_memory_there_is_no_slot(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, 0, 0);
    s.pool.held_limit = 0;
    assert_int_equal(slots_take(&s.slots), SLOT_NONE);
    assert_false(slots_reserve(&s.slots, 1));
    assert_int_equal(s.slots.used_count, 0);
    s.pool.held_limit = UINT64_MAX;
    uint32_t taken[SLOTS_BLOCK];
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++)
        taken[i] = take(&s);
    s.pool.held_limit = s.pool.held_bytes;
    assert_int_equal(slots_take(&s.slots), SLOT_NONE);
    for (uint32_t i = 0; i < SLOTS_BLOCK; i++)
        slots_give(&s.slots, taken[i]);
    assert_int_equal(take(&s), taken[0]);
    slots_give(&s.slots, taken[0]);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_receipt_names_one_delivery),
        cmocka_unit_test(test_made_up_receipts_find_nothing),
        cmocka_unit_test(test_receipts_of_another_run_are_refused),
        cmocka_unit_test(test_free_slots_are_reused_oldest_first),
        cmocka_unit_test(test_no_receipt_is_given_twice),
        cmocka_unit_test(test_a_slot_without_generations_retires),
        cmocka_unit_test(test_the_next_run_begins_when_all_indexes_are_retired),
        cmocka_unit_test(test_asking_in_vain_changes_nothing),
        cmocka_unit_test(test_blocks_come_back_with_later_generations),
        cmocka_unit_test(test_the_memory_of_a_peak_goes_back),
        cmocka_unit_test(test_reserved_slots_need_no_memory),
        cmocka_unit_test(test_giving_back_does_not_spend_a_reservation),
        cmocka_unit_test(test_without_memory_there_is_no_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
