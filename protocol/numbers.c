#include "protocol/numbers.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first. */
static const struct unit time_units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                         {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit size_units[] = {{"gb", 1 << 30}, {"mb", 1 << 20}, {"kb", 1 << 10}, {"b", 1}, {NULL, 0}};

static bool unit_find(const struct unit *units, const char *name, uint64_t *factor)
{
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, name) == 0) {
            *factor = units->factor;
            return true;
        }
    }
    return false;
}

bool number_parse(const char *text, uint64_t *value)
{
    uint64_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        const unsigned digit = (unsigned)(*text - '0');
        if (*text < '0' || *text > '9' || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *value = n;
    return true;
}

bool time_parse(const char *text, uint64_t plain_ms, uint64_t *ms)
{
    uint64_t factor = plain_ms;
    char *end;

    if (plain_ms == 1 && number_parse(text, ms))
        return true;
    const size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || (text[digits] != '\0' && !unit_find(time_units, text + digits, &factor)))
        return false;
    const double value = strtod(text, &end) * (double)factor;
    if (end != text + digits || !(value < 9e15))
        return false;
    const uint64_t whole = (uint64_t)value;
    *ms = whole + ((double)whole < value); /* a part of a millisecond is one: nothing ends early */
    return true;
}

bool size_parse(const char *text, uint64_t *bytes)
{
    const size_t digits = strspn(text, "0123456789");
    char digits_text[24];
    uint64_t factor, number;

    if (digits == 0 || digits >= sizeof digits_text || !unit_find(size_units, text + digits, &factor))
        return false;
    memcpy(digits_text, text, digits);
    digits_text[digits] = '\0';
    if (!number_parse(digits_text, &number) || number > UINT64_MAX / factor)
        return false;
    *bytes = number * factor;
    return true;
}

bool real_parse(const char *text, double *value)
{
    char *end;

    /* strtod() alone would take blanks, hexadecimal digits and "inf", too. */
    if (*text == '\0' || text[strspn(text, "0123456789.eE+-")] != '\0')
        return false;
    const double number = strtod(text, &end);
    if (*end != '\0' || end == text || !isfinite(number))
        return false;
    *value = number;
    return true;
}

static void unit_print(const struct unit *units, uint64_t value, char out[NUMBER_PRINT_BYTES])
{
    while (value % units->factor != 0)
        units++;
    /* Zero needs no unit. */
    snprintf(out, NUMBER_PRINT_BYTES, "%" PRIu64 "%s", value / units->factor, value == 0 ? "" : units->name);
}

void time_print(uint64_t ms, char out[NUMBER_PRINT_BYTES])
{
    unit_print(time_units, ms, out);
}

void size_print(uint64_t bytes, char out[NUMBER_PRINT_BYTES])
{
    unit_print(size_units, bytes, out);
}

void real_print(double value, char out[NUMBER_PRINT_BYTES])
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, NUMBER_PRINT_BYTES, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}
