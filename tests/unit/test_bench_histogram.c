/*
 * The histogram of the benchmark: durations come back within a percent, and its text is HdrHistogram's.
 */
#include "benchmarks/distribution.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct histogram *empty(void)
{
    struct histogram *h = calloc(1, sizeof *h);

    assert_non_null(h);
    return h;
}

/* Neither less than it was, nor more than a percent above. */
static void each_duration_to_a_hundred_seconds_is_known_within_a_percent(void **state)
{
    (void)state;
    struct histogram *h = empty();

    for (uint64_t ns = 1; ns < 100000000000u; ns += 1 + ns / 37) {
        memset(h, 0, sizeof *h);
        histogram_add(h, ns, 1);
        /* Something longer, or the longest of all would be what is answered. */
        histogram_add(h, 200000000000u, 1);
        const uint64_t told = histogram_quantile(h, 0.5);
        assert_true(told >= ns);
        assert_true((double)told <= (double)ns * 1.01);
    }
    free(h);
}

static void quantiles_are_those_of_the_sorted_durations(void **state)
{
    (void)state;
    struct histogram *h = empty();

    for (uint64_t us = 1; us <= 100; us++)
        histogram_add(h, us, 1);
    assert_int_equal(histogram_quantile(h, 0), 1);
    assert_int_equal(histogram_quantile(h, 0.01), 1);
    assert_int_equal(histogram_quantile(h, 0.5), 50);
    assert_int_equal(histogram_quantile(h, 0.99), 99);
    assert_int_equal(histogram_quantile(h, 0.991), 100);
    assert_int_equal(histogram_quantile(h, 1), 100);
    free(h);
}

static void nothing_takes_no_time(void **state)
{
    (void)state;
    struct histogram *h = empty();

    assert_int_equal(histogram_quantile(h, 0.5), 0);
    assert_int_equal(h->max_ns, 0);
    free(h);
}

/* However long it was; and an eternity does not run out of the buckets. */
static void the_longest_duration_is_kept_exactly(void **state)
{
    (void)state;
    struct histogram *h = empty();

    histogram_add(h, 123456789, 3);
    assert_int_equal(histogram_quantile(h, 1), 123456789);
    histogram_add(h, UINT64_MAX, 1);
    assert_int_equal(h->count, 4);
    assert_int_equal(histogram_quantile(h, 1), UINT64_MAX);
    free(h);
}

static void two_histograms_make_one(void **state)
{
    (void)state;
    struct histogram *a = empty(), *b = empty();

    histogram_add(a, 10, 3);
    histogram_add(b, 20, 2);
    histogram_merge(a, b);
    assert_int_equal(a->count, 5);
    assert_int_equal(a->max_ns, 20);
    assert_int_equal(histogram_quantile(a, 0.6), 10);
    assert_int_equal(histogram_quantile(a, 0.7), 20);
    free(a);
    free(b);
}

/* Its lines ascend in all columns and end with the longest duration and the count. */
static void the_text_is_that_of_hdrhistogram(void **state)
{
    (void)state;
    struct histogram *h = empty();
    char line[200], *text = NULL;
    size_t bytes = 0;
    double value = 0, share = 0, last_value = 0, last_share = -1;
    unsigned long count = 0, last_count = 0, lines = 0;

    for (uint64_t us = 1; us <= 1000; us++)
        histogram_add(h, us * 1000, 1);
    FILE *out = open_memstream(&text, &bytes);
    distribution_print(h, out);
    fclose(out);
    FILE *in = fmemopen(text, bytes, "r");
    assert_non_null(fgets(line, sizeof line, in));
    assert_string_equal(line, "       Value     Percentile TotalCount 1/(1-Percentile)\n");
    while (fgets(line, sizeof line, in) && line[0] != '#') {
        if (sscanf(line, "%lf %lf %lu", &value, &share, &count) != 3)
            continue;
        assert_true(value >= last_value && share > last_share && count >= last_count);
        last_value = value, last_share = share, last_count = count;
        lines++;
    }
    assert_true(lines > 20);
    assert_true(value > 999.999 && value < 1000.001 && share > 0.9999999);
    assert_int_equal(count, 1000);
    assert_non_null(strstr(text, "\n#[Mean    = "));
    assert_non_null(strstr(text, "\n#[Max     =     1000.000, Total count    =         1000]\n"));
    fclose(in);
    free(text);
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_duration_to_a_hundred_seconds_is_known_within_a_percent),
        cmocka_unit_test(quantiles_are_those_of_the_sorted_durations),
        cmocka_unit_test(nothing_takes_no_time),
        cmocka_unit_test(the_longest_duration_is_kept_exactly),
        cmocka_unit_test(two_histograms_make_one),
        cmocka_unit_test(the_text_is_that_of_hdrhistogram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
