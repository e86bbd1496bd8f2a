/*
 * wire_text: MessagePack values as text that a person reads and writes, in both directions.
 *
 *     nil true false 5 -3 1.5     'str'   b'bin'   'x'*1000 (the str repeated)   ext   [1, 2]   {'key': value}
 *
 * Receipts are different in each run: in text they are R1, R2, ... in the order in which they were first seen. Any
 * integer of 2^40 or more is taken for one when it is printed. Errors, [code, text] and [code, text, details], are
 * printed without their sentence: ['LIMIT', ..., {'which': 'max_batch'}]. A text or bin above 64 KiB that came in
 * pieces is printed as its size.
 */
#ifndef TESTS_SUPPORT_WIRE_TEXT_H
#define TESTS_SUPPORT_WIRE_TEXT_H

#include "protocol/buffer.h"
#include "protocol/decoder.h"

#include <stdint.h>

#define WIRE_RECEIPTS 4096

struct wire_names {
    uint64_t receipts[WIRE_RECEIPTS]; /* R1 is receipts[0] */
    uint32_t receipt_count;
};

/* Encodes the value that `text` is. Fails the test if it is none. */
void wire_encode(struct buffer *out, const char *text, const struct wire_names *names);

/* Appends the text of the value at `node` to `out`, which the caller terminates. */
void wire_print(struct buffer *out, const struct decoder *d, uint32_t node, struct wire_names *names);

#endif
