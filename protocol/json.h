/*
 * json: JSON text (RFC 8259) to a MessagePack value, for arguments that are maps.
 *
 *     {"kind": ["a", {"prefix": "b"}], "n": {"numeric": [">=", 1, "<", 2.5]}}
 *
 * Strict: UTF-8, one value, no comments, no trailing commas, no leading zeros. An integer becomes an integer and must
 * fit into 64 bits; a number with a fraction or an exponent becomes a double. Bounded: JSON_DEPTH containers inside each
 * other, JSON_BYTES of text; so the recursion is bounded too.
 */
#ifndef PROTOCOL_JSON_H
#define PROTOCOL_JSON_H

#include "protocol/buffer.h"

#include <stdbool.h>
#include <stddef.h>

/* A request, its params and the options are three levels more. */
#define JSON_DEPTH 12
#define JSON_BYTES 65536

struct json_error {
    size_t at; /* offset of the byte that is wrong */
    const char *text;
};

/*
 * Appends the value that `text` (not terminated) is. False with *error, and then `out` is as it was. That memory ran
 * out shows in out->failed.
 */
bool json_read(const char *text, size_t bytes, struct buffer *out, struct json_error *error);

#endif
