/*
 * units: numbers as people write them, "64mb", "30s", "100", "0660", and back. Pure; no option is known here.
 *
 *   bytes   b kb mb gb        1024-based, a plain number is bytes
 *   ms      ms s m h d        a plain number is milliseconds
 *   count   no unit
 *   octal   octal digits, no unit
 *   bool    yes or no, also true, false, on, off; the value is 1 or 0
 *
 * Units and words may be in capitals. There is no sign, no fraction and no blank. Printing chooses the largest unit
 * that divides the value, so every value has one canonical text, and parsing that text gives the value again.
 */
#ifndef SERVER_OPS_UNITS_H
#define SERVER_OPS_UNITS_H

#include <stddef.h>
#include <stdint.h>

enum units_kind { UNITS_BYTES, UNITS_MS, UNITS_COUNT, UNITS_OCTAL, UNITS_BOOL };

enum units_result {
    UNITS_OK = 0,
    UNITS_MALFORMED = -1, /* not a number of this kind */
    UNITS_OVERFLOW = -2,  /* a number, but 2^64 or more */
};

/* Room for the longest canonical text and its terminator. */
#define UNITS_PRINT_BYTES 32

/* Reads all of `text` (not terminated) as a number of that kind. *value stays untouched on an error. */
enum units_result units_parse(enum units_kind kind, const char *text, size_t bytes, uint64_t *value);

/* Stores the canonical text of `value`, terminated. */
void units_print(enum units_kind kind, uint64_t value, char out[UNITS_PRINT_BYTES]);

#endif
