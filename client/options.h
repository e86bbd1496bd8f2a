/*
 * options: pairs of a map of options on their way into a buffer. Those that are not given are left out; the caller counts.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "protocol/encoder.h"

static inline void option_int(struct buffer *out, const char *name, int64_t value)
{
    encode_text(out, name);
    encode_int(out, value);
}

/* Left out if it is NULL. */
static inline void option_text(struct buffer *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    encode_text(out, name);
    encode_text(out, value);
}

/* Left out if it is 0. */
static inline void option_uint(struct buffer *out, const char *name, uint64_t value)
{
    if (value == 0)
        return;
    encode_text(out, name);
    encode_uint(out, value);
}

/* Left out if it is false. */
static inline void option_flag(struct buffer *out, const char *name, bool set)
{
    if (!set)
        return;
    encode_text(out, name);
    encode_bool(out, true);
}

#endif
