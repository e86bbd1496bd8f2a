#include "protocol/utf8.h"

#include <string.h>

size_t utf8_character(const void *data, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *at = data;
    const size_t bytes = at[0] < 0x80 ? 1 : (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : 4;

    if (bytes == 1)
        return 1;
    if (bytes > left || (bytes == 4 && (at[0] & 0xf8) != 0xf0))
        return 0;
    uint32_t code = at[0] & (0x7fU >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fU);
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least[bytes] || code > 0x10ffff || surrogate ? 0 : bytes;
}

/* How many of the bytes from `at` on are surely ASCII: as many as eight at a time tell. */
static size_t ascii_bytes(const uint8_t *at, size_t bytes)
{
    size_t ascii = 0;

    for (; bytes - ascii >= 8; ascii += 8) {
        uint64_t eight;
        memcpy(&eight, at + ascii, sizeof eight);
        if (eight & 0x8080808080808080)
            break;
    }
    return ascii;
}

bool utf8_is_text(const void *data, size_t bytes)
{
    const uint8_t *text = data;

    for (size_t at = 0, step; at < bytes; at += step) {
        step = ascii_bytes(text + at, bytes - at);
        if (step == 0)
            step = utf8_character(text + at, bytes - at);
        if (step == 0)
            return false;
    }
    return true;
}

size_t utf8_store(uint32_t code, char out[4])
{
    const size_t bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (bytes == 1) {
        out[0] = (char)code;
        return 1;
    }
    for (size_t i = bytes - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00U >> bytes & 0xff) | code);
    return bytes;
}
