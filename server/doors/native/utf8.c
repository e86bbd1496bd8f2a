#include "server/doors/native/utf8.h"

#include <string.h>

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

/* Bytes of the sequence that begins with `lead` and the range of its second byte, by RFC 3629, section 4; 0: none. */
static unsigned sequence_bytes(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

bool utf8_valid(struct view text)
{
    const uint8_t *at = text.data;
    size_t left = text.bytes;

    while (left > 0) {
        uint8_t low, high;
        unsigned bytes = 1;

        const size_t ascii = ascii_bytes(at, left);
        at += ascii;
        left -= ascii;
        if (left == 0)
            break;
        if (*at >= 0x80) {
            bytes = sequence_bytes(*at, &low, &high);
            if (bytes == 0 || left < bytes || at[1] < low || at[1] > high)
                return false;
            for (unsigned i = 2; i < bytes; i++) {
                if ((at[i] & 0xc0) != 0x80)
                    return false;
            }
        }
        at += bytes;
        left -= bytes;
    }
    return true;
}
