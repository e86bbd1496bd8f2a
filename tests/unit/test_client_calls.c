/* The slab of calls: every token finds its call, in any order of answering. */
#include "client/calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
static uint32_t add(struct calls *calls)
{
    int status = RINGMQ_OK;
    struct call *call = calls_add(calls, &status);
    assert_non_null(call);
    return call->token;
}

static void calls_are_found_by_token_and_complete_in_any_order(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct calls calls;
    uint32_t tokens[COUNT];
    calls_init(&calls);
    for (uint32_t i = 0; i < COUNT; i++) {
        tokens[i] = add(&calls);
        assert_true(tokens[i] > 0);
    }
    assert_int_equal(calls.unanswered, COUNT);
    /* 7 and 1000 have no common factor: every index once. */
    for (uint32_t i = 0; i < COUNT; i++) {
        struct call *call = calls_find(&calls, tokens[i * 7 % COUNT]);
        assert_non_null(call);
        assert_int_equal(call->token, tokens[i * 7 % COUNT]);
        calls_remove(&calls, call);
        assert_null(calls_find(&calls, tokens[i * 7 % COUNT]));
    }
    assert_int_equal(calls.unanswered, 0);
    assert_null(calls_oldest(&calls));
    calls_close(&calls);
}

static void a_token_is_not_that_of_the_next_call_in_its_slot(void **state)
{
    (void)state;
    struct calls calls;
    calls_init(&calls);
    uint32_t first = add(&calls);
    calls_remove(&calls, calls_find(&calls, first));
    uint32_t second = add(&calls);
    assert_int_not_equal(first, second);
    assert_int_equal(first >> CALL_GENERATION_BITS, second >> CALL_GENERATION_BITS);
    assert_null(calls_find(&calls, first));
    assert_non_null(calls_find(&calls, second));
    calls_close(&calls);
}

static void the_oldest_unanswered_call_comes_first(void **state)
{
    (void)state;
    struct calls calls;
    calls_init(&calls);
    uint32_t a = add(&calls);
    uint32_t b = add(&calls);
    uint32_t c = add(&calls);
    calls_remove(&calls, calls_find(&calls, b));
    uint32_t d = add(&calls); /* in the slot of b, and yet behind c */
    calls_keep(&calls, calls_find(&calls, a));
    assert_int_equal(calls_oldest(&calls)->token, c);
    calls_remove(&calls, calls_oldest(&calls));
    assert_int_equal(calls_oldest(&calls)->token, d);
    calls_remove(&calls, calls_oldest(&calls));
    assert_null(calls_oldest(&calls));
    assert_int_equal(calls_find(&calls, a)->stage, CALL_KEPT);
    calls_remove(&calls, calls_find(&calls, a));
    assert_null(calls_find(&calls, a));
    calls_close(&calls);
}

static void tokens_that_never_were_are_not_found(void **state)
{
    (void)state;
    struct calls calls;
    calls_init(&calls);
    assert_null(calls_find(&calls, 0));
    assert_null(calls_find(&calls, 256));
    uint32_t token = add(&calls);
    assert_null(calls_find(&calls, 0));
    assert_null(calls_find(&calls, 1));
    assert_null(calls_find(&calls, token + 1));
    assert_null(calls_find(&calls, token + 256));
    assert_null(calls_find(&calls, UINT32_MAX));
    assert_null(calls_find(&calls, UINT64_MAX));
    assert_null(calls_find(&calls, (1ULL << 32) + token));
    calls_close(&calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_found_by_token_and_complete_in_any_order),
        cmocka_unit_test(a_token_is_not_that_of_the_next_call_in_its_slot),
        cmocka_unit_test(the_oldest_unanswered_call_comes_first),
        cmocka_unit_test(tokens_that_never_were_are_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
