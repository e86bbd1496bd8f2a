/*
 * Receipts through the broker: a message that is delivered and given back more often than a slot has generations never brings
 * a receipt that was there before, and no receipt that is over is good for anything, not even under a later run number.
 */
#include "tests/unit/bare_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GENERATION_MAX ((1u << SLOTS_GENERATION_BITS) - 1)
#define ASKED_AT_ONCE  1000

static uint32_t index_of(uint64_t receipt)
{
    return (uint32_t)receipt & ((1u << SLOTS_INDEX_BITS) - 1);
}

static uint32_t generation_of(uint64_t receipt)
{
    return (uint32_t)(receipt >> SLOTS_INDEX_BITS) & GENERATION_MAX;
}

static uint32_t run_of(uint64_t receipt)
{
    return (uint32_t)(receipt >> (SLOTS_INDEX_BITS + SLOTS_GENERATION_BITS));
}

static int compare(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;
    return *a < *b ? -1 : *a > *b;
}

/* Sorts the receipts; true if no two are equal. */
static bool all_differ(uint64_t *receipts, size_t count)
{
    qsort(receipts, count, sizeof *receipts, compare);
    for (size_t i = 1; i < count; i++)
        if (receipts[i] == receipts[i - 1])
            return false;
    return true;
}

/* None of them is good for an ack. */
static void refused(struct bare *s, const uint64_t *receipts, size_t count)
{
    for (size_t i = 0; i < count; i += ASKED_AT_ONCE) {
        uint32_t asked = count - i < ASKED_AT_ONCE ? (uint32_t)(count - i) : ASKED_AT_ONCE;
        assert_int_equal(bare_ack(s, &receipts[i], asked), 0);
        assert_int_equal(s->b.outcome_count, asked);
    }
}

/* More than 2^20 deliveries of one slot: a message with a ttl of its own keeps its slot while it is ready. */
static void test_more_reuses_of_one_slot_than_it_has_generations(void **state)
{
    (void)state;
    enum { REUSES = (1 << SLOTS_GENERATION_BITS) + 5000 };
    static struct bare s;
    bare_open(&s, 77);
    struct queue *q = bare_queue(&s, "jobs", NULL);
    struct publication p = bare_message(NULL);
    p.ttl_ms = 3600000;
    assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
    uint64_t *receipts = malloc(REUSES * sizeof *receipts);
    assert_non_null(receipts);
    uint32_t slots = 1, in_first = 0;
    for (uint32_t i = 0; i < REUSES; i++) {
        receipts[i] = bare_receive(&s, q);
        if (i > 0 && index_of(receipts[i]) != index_of(receipts[i - 1])) {
            assert_int_equal(generation_of(receipts[i - 1]), GENERATION_MAX);
            slots++;
        }
        in_first += index_of(receipts[i]) == index_of(receipts[0]);
        if (i > 0)
            assert_int_equal(bare_nack(&s, receipts[i - 1], 0), 0);
        assert_int_equal(bare_nack(&s, receipts[i], 0), 1);
    }
    assert_int_equal(slots, 2);
    assert_true(in_first > REUSES - 5010);
    uint64_t last = bare_receive(&s, q);
    refused(&s, receipts, REUSES);
    assert_true(all_differ(receipts, REUSES));
    assert_null(bsearch(&last, receipts, REUSES, sizeof last, compare));
    assert_int_equal(bare_ack(&s, &last, 1), 1);
    free(receipts);
    bare_close(&s);
}

/* As if every free slot had been used until it is good for `left` deliveries more. */
static void age(struct broker *b, uint32_t left)
{
    for (struct slot *slot = b->slots.oldest_free; slot; slot = slot->next)
        slot->receipt += (uint64_t)(GENERATION_MAX - left - generation_of(slot->receipt)) << SLOTS_INDEX_BITS;
}

/* With 1024 indexes, whose generations are used up again and again: run follows run, and of the same slot and the same
   generation only the receipt of the latest run is good. */
static void test_run_after_run_without_a_receipt_that_fits_twice(void **state)
{
    (void)state;
    enum { RUNS = 6, LEFT = 3, DELIVERIES = RUNS * LEFT * SLOTS_BLOCK };
    static struct bare s;
    bare_open(&s, 509);
    s.b.slots.index_limit = SLOTS_BLOCK;
    struct queue *q = bare_queue(&s, "jobs", NULL);
    struct publication p = bare_message(NULL);
    assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
    static uint64_t receipts[DELIVERIES];
    uint32_t runs = 0;
    for (uint32_t i = 0; i < DELIVERIES; i++) {
        receipts[i] = bare_receive(&s, q);
        assert_int_equal(bare_nack(&s, receipts[i], 0), 1);
        assert_int_equal(bare_nack(&s, receipts[i], 0), 0);
        if (i == 0 || run_of(receipts[i]) != run_of(receipts[i - 1])) {
            runs++;
            age(&s.b, LEFT);
        }
        if (i > 0)
            assert_int_equal(bare_nack(&s, receipts[i - 1], 0), 0);
    }
    assert_true(runs >= RUNS - 1);
    assert_true(run_of(receipts[DELIVERIES - 1]) < 509); /* behind 511 comes 1 */
    uint64_t last = bare_receive(&s, q);
    refused(&s, receipts, DELIVERIES);
    for (uint32_t run = 1; run < 512; run++) {
        uint64_t other = (last & ((UINT64_C(1) << 44) - 1)) | (uint64_t)run << 44;
        if (other != last)
            assert_int_equal(bare_ack(&s, &other, 1), 0);
    }
    assert_true(all_differ(receipts, DELIVERIES));
    assert_int_equal(bare_ack(&s, &last, 1), 1);
    bare_close(&s);
}

/* A delivery whose slot has no generation left is acked with its last receipt like any other. */
static void test_the_last_generation_is_as_good_as_any(void **state)
{
    (void)state;
    static struct bare s;
    bare_open(&s, 3);
    struct queue *q = bare_queue(&s, "jobs", NULL);
    struct publication p = bare_message(NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(bare_publish(&s, q, &p), ERR_NONE);
    uint64_t first = bare_receive(&s, q); /* the slots come into memory */
    age(&s.b, 1);
    uint64_t last = bare_receive(&s, q);
    assert_int_equal(generation_of(last), GENERATION_MAX);
    assert_int_equal(bare_ack(&s, &last, 1), 1);
    assert_int_equal(bare_ack(&s, &last, 1), 0);
    assert_int_equal(bare_ack(&s, &first, 1), 1);
    bare_close(&s);
}

/* One call acks receipts of three queues, one of them fifo, over several pages of their rings, in the worst order. */
static void test_acks_of_several_queues_in_one_call(void **state)
{
    (void)state;
    enum { QUEUES = 3, EACH = 150 };
    static struct bare s;
    uint64_t receipts[QUEUES * EACH + 1];
    struct queue *queues[QUEUES];
    bare_open(&s, 1);
    for (uint32_t i = 0; i < QUEUES; i++)
        queues[i] = i == 2 ? bare_fifo(&s, "orders") : bare_queue(&s, i == 0 ? "jobs" : "mails", NULL);
    for (uint32_t n = 0; n < EACH; n++)
        for (uint32_t i = 0; i < QUEUES; i++) {
            char group[8];
            snprintf(group, sizeof group, "g%u", n);
            const struct publication p = bare_message(i == 2 ? group : NULL);
            assert_int_equal(bare_publish(&s, queues[i], &p), ERR_NONE);
            receipts[n * 97 % EACH * QUEUES + i] = bare_receive(&s, queues[i]);
        }
    receipts[QUEUES * EACH] = receipts[0]; /* stale by then */
    assert_int_equal(bare_ack(&s, receipts, 100), 100);
    for (uint32_t i = 0; i < QUEUES; i++) {
        const uint64_t acked = 33 + (i == 0);
        assert_int_equal(queue_count(queues[i], MESSAGE_INFLIGHT), EACH - acked);
        assert_int_equal(queue_total(queues[i]), EACH - acked);
        assert_int_equal(queues[i]->counters.acked, acked);
    }
    assert_int_equal(bare_ack(&s, receipts + 100, QUEUES * EACH - 99), QUEUES * EACH - 100);
    assert_int_equal(s.b.outcome_count, 1);
    assert_int_equal(s.b.counters.acked, QUEUES * EACH);
    assert_int_equal(s.b.inflight_count, 0);
    for (uint32_t i = 0; i < QUEUES; i++) {
        assert_int_equal(queue_total(queues[i]), 0);
        assert_int_equal(queue_body_bytes(queues[i]), 0);
        assert_null(queues[i]->messages->root);
    }
    bare_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acks_of_several_queues_in_one_call),
        cmocka_unit_test(test_more_reuses_of_one_slot_than_it_has_generations),
        cmocka_unit_test(test_run_after_run_without_a_receipt_that_fits_twice),
        cmocka_unit_test(test_the_last_generation_is_as_good_as_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
