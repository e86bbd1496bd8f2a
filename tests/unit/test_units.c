/*
 * Units: numbers as people write them, and back.
 */
#include "server/ops/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check_unit(enum units_kind kind, const char *text, uint64_t expected, const char *canonical)
{
    char printed[UNITS_PRINT_BYTES];
    uint64_t value = 0;

    assert_int_equal(units_parse(kind, text, strlen(text), &value), UNITS_OK);
    assert_int_equal(value, expected);
    units_print(kind, value, printed);
    assert_string_equal(printed, canonical);
}

/* Each unit has its factor, a plain number the smallest one, and printing takes the largest unit that divides. */
static void numbers_are_read_and_printed_with_units(void **state)
{
    (void)state;
    check_unit(UNITS_BYTES, "0", 0, "0");
    check_unit(UNITS_BYTES, "0gb", 0, "0");
    check_unit(UNITS_BYTES, "1000", 1000, "1000b");
    check_unit(UNITS_BYTES, "1024", 1024, "1kb");
    check_unit(UNITS_BYTES, "64MB", 64ULL << 20, "64mb");
    check_unit(UNITS_BYTES, "1536kB", 1536ULL << 10, "1536kb");
    check_unit(UNITS_BYTES, "3gb", 3ULL << 30, "3gb");
    check_unit(UNITS_MS, "250", 250, "250ms");
    check_unit(UNITS_MS, "1500ms", 1500, "1500ms");
    check_unit(UNITS_MS, "60s", 60000, "1m");
    check_unit(UNITS_MS, "90S", 90000, "90s");
    check_unit(UNITS_MS, "48h", 48ULL * 3600000, "2d");
    check_unit(UNITS_COUNT, "0100", 100, "100");
    check_unit(UNITS_COUNT, "18446744073709551615", UINT64_MAX, "18446744073709551615");
    check_unit(UNITS_OCTAL, "660", 0660, "0660");
    check_unit(UNITS_BOOL, "ON", 1, "yes");
    check_unit(UNITS_BOOL, "true", 1, "yes");
    check_unit(UNITS_BOOL, "no", 0, "no");
}

/* Whatever is no number of its kind is refused, and the value stays untouched. */
static void wrong_numbers_are_refused(void **state)
{
    static const struct {
        enum units_kind kind;
        const char *text;
        enum units_result result;
    } cases[] = {
        {UNITS_BYTES, "", UNITS_MALFORMED},
        {UNITS_BYTES, "mb", UNITS_MALFORMED},
        {UNITS_BYTES, "-1", UNITS_MALFORMED},
        {UNITS_BYTES, "+1", UNITS_MALFORMED},
        {UNITS_BYTES, "1.5gb", UNITS_MALFORMED},
        {UNITS_BYTES, "64mib", UNITS_MALFORMED},
        {UNITS_BYTES, "64 mb", UNITS_MALFORMED},
        {UNITS_BYTES, "0x10", UNITS_MALFORMED},
        {UNITS_BYTES, "10s", UNITS_MALFORMED},
        {UNITS_MS, "10mb", UNITS_MALFORMED},
        {UNITS_COUNT, "10k", UNITS_MALFORMED},
        {UNITS_OCTAL, "0680", UNITS_MALFORMED},
        {UNITS_BOOL, "1", UNITS_MALFORMED},
        {UNITS_BOOL, "yess", UNITS_MALFORMED},
        {UNITS_COUNT, "18446744073709551616", UNITS_OVERFLOW},
        {UNITS_BYTES, "17179869184gb", UNITS_OVERFLOW},
        {UNITS_MS, "99999999999999999999999999999999d", UNITS_OVERFLOW},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 4711;
        assert_int_equal(units_parse(cases[i].kind, cases[i].text, strlen(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, 4711);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_and_printed_with_units),
        cmocka_unit_test(wrong_numbers_are_refused),
    };

    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
