#include "server/ops/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: printing takes the first that divides. A name of NULL ends a table. */
static const struct unit bytes_units[] = {
    {"gb", 1024ULL * 1024 * 1024}, {"mb", 1024ULL * 1024}, {"kb", 1024}, {"b", 1}, {NULL, 0},
};
static const struct unit ms_units[] = {
    {"d", 24ULL * 3600 * 1000}, {"h", 3600ULL * 1000}, {"m", 60ULL * 1000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit no_units[] = {{NULL, 0}};

static const struct unit *units_of(enum units_kind kind)
{
    switch (kind) {
    case UNITS_BYTES:
        return bytes_units;
    case UNITS_MS:
        return ms_units;
    case UNITS_COUNT:
    case UNITS_OCTAL:
    case UNITS_BOOL:
        break;
    }
    return no_units;
}

/* The factor of a unit's name, 1 for no name, 0 for an unknown one. */
static uint64_t unit_factor(const struct unit *units, const char *name, size_t bytes)
{
    if (bytes == 0)
        return 1;
    for (; units->name != NULL; units++) {
        if (strlen(units->name) == bytes && strncasecmp(units->name, name, bytes) == 0)
            return units->factor;
    }
    return 0;
}

static enum units_result parse_bool(const char *text, size_t bytes, uint64_t *value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == bytes && strncasecmp(words[i], text, bytes) == 0) {
            *value = i % 2;
            return UNITS_OK;
        }
    }
    return UNITS_MALFORMED;
}

enum units_result units_parse(enum units_kind kind, const char *text, size_t bytes, uint64_t *value)
{
    const unsigned base = kind == UNITS_OCTAL ? 8 : 10;
    uint64_t number = 0;
    bool overflow = false;
    size_t digits = 0;

    if (kind == UNITS_BOOL)
        return parse_bool(text, bytes, value);
    for (; digits < bytes && text[digits] >= '0' && text[digits] < (char)('0' + base); digits++) {
        const unsigned digit = (unsigned)(text[digits] - '0');
        overflow = overflow || number > (UINT64_MAX - digit) / base;
        number = number * base + digit;
    }
    if (digits == 0)
        return UNITS_MALFORMED;

    const uint64_t factor = unit_factor(units_of(kind), text + digits, bytes - digits);
    if (factor == 0)
        return UNITS_MALFORMED;
    if (overflow || number > UINT64_MAX / factor)
        return UNITS_OVERFLOW;
    *value = number * factor;
    return UNITS_OK;
}

void units_print(enum units_kind kind, uint64_t value, char out[UNITS_PRINT_BYTES])
{
    if (kind == UNITS_OCTAL) {
        snprintf(out, UNITS_PRINT_BYTES, "%04" PRIo64, value);
        return;
    }
    if (kind == UNITS_BOOL) {
        snprintf(out, UNITS_PRINT_BYTES, "%s", value != 0 ? "yes" : "no");
        return;
    }
    const struct unit *unit = units_of(kind);
    while (unit->name != NULL && value % unit->factor != 0)
        unit++;
    /* Zero needs no unit. */
    if (unit->name == NULL || value == 0)
        snprintf(out, UNITS_PRINT_BYTES, "%" PRIu64, value);
    else
        snprintf(out, UNITS_PRINT_BYTES, "%" PRIu64 "%s", value / unit->factor, unit->name);
}
