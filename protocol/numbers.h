/*
 * numbers: numbers, times and sizes as people write them in commands, and back. Texts are terminated.
 *
 *   number   decimal digits
 *   time     500ms 5s 2m 1h 1d, a fraction is allowed; the value is in milliseconds, rounded up
 *   size     100b 64kb 2mb 1gb, 1024-based; the value is in bytes
 *
 * Printing takes the largest unit that divides the value, so that reading the text gives the value again.
 */
#ifndef PROTOCOL_NUMBERS_H
#define PROTOCOL_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* A number in decimal digits, nothing else, below 2^64. *value stays untouched if it is none. */
bool number_parse(const char *text, uint64_t *value);

/* A time; without a unit `plain_ms` each. *ms stays untouched if it is none or beyond 285,000 years. */
bool time_parse(const char *text, uint64_t plain_ms, uint64_t *ms);

/* A whole number with b, kb, mb or gb; a plain number is no size. *bytes stays untouched if it is none. */
bool size_parse(const char *text, uint64_t *bytes);

/* A finite number with an optional sign, fraction and exponent, in decimal. *value stays untouched if it is none. */
bool real_parse(const char *text, double *value);

/* Room for each of the texts below, with the terminator. */
#define NUMBER_PRINT_BYTES 32

void time_print(uint64_t ms, char out[NUMBER_PRINT_BYTES]);
void size_print(uint64_t bytes, char out[NUMBER_PRINT_BYTES]);

/* The shortest text that reads back as the same number. */
void real_print(double value, char out[NUMBER_PRINT_BYTES]);

#endif
