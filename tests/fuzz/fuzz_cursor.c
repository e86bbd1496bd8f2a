/*
 * fuzz_cursor: the decoder against itself without its cursor.
 *
 * The first bytes of the input choose the largest value, whether long texts are stored, and the cuts; the rest is the
 * wire. Each piece goes to both decoders in memory of exactly its size. After each, both must have taken the same
 * bytes and hold the same nodes, and an unfinished value must go on in the same way. Inputs have the form of
 * fuzz_decoder's.
 *
 * The decoder is compiled here with limits that short inputs can reach.
 */
#include "protocol/limits.h"
#undef LIMIT_INLINE_BYTES
#undef LIMIT_NODES
#define LIMIT_INLINE_BYTES 24
#define LIMIT_NODES        100

#include "tests/support/parser_alone.h"
#include "tests/support/random.h"

#include <stdio.h>

#define require(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static enum error_code on_stream(void *user, const struct decoder *d, uint32_t bytes, struct stream *out)
{
    (void)user;
    require(bytes > LIMIT_INLINE_BYTES && d->node_count < LIMIT_NODES);
    if (bytes > 4096)
        return ERR_TOO_LARGE;
    out->owner = out->data = malloc(bytes);
    require(out->owner);
    return ERR_NONE;
}

static void on_release(void *user, void *owner)
{
    (void)user;
    free(owner);
}

/* Feeds one piece to both until it is taken. False: refused. */
static bool feed_both(struct decoder *with, struct decoder *alone, const uint8_t *piece, size_t bytes)
{
    enum decoder_result result = DECODER_READY;

    for (size_t at = 0, used; at < bytes && result == DECODER_READY; at += used) {
        size_t used_alone;
        result = decoder_feed(with, piece + at, bytes - at, &used);
        require(parser_alone_feed(alone, piece + at, bytes - at, &used_alone) == result);
        require(used == used_alone);
        require(parser_alone_same(with, alone));
        if (result == DECODER_READY) {
            decoder_next(with);
            decoder_next(alone);
        }
    }
    return result != DECODER_REFUSED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint64_t largest[] = {1, 30, 200, 1000, 4096, 65536, 1 << 20, UINT32_MAX};
    static const struct decoder_hooks hooks = {on_stream, on_release, NULL};

    if (bytes < 3)
        return 0;
    const uint64_t max_value_bytes = largest[data[0] % 8];
    const bool whole = data[0] & 8;
    struct random r = {(uint64_t)data[1] << 8 | data[2]};
    struct decoder *with = decoder_new(max_value_bytes, data[0] & 16 ? &hooks : NULL);
    struct decoder *alone = decoder_new(max_value_bytes, data[0] & 16 ? &hooks : NULL);
    require(with && alone);

    bool on = true;
    for (size_t at = 3, piece; at < bytes && on; at += piece) {
        piece = whole ? bytes - at : 1 + (size_t)random_bits(&r, 8);
        if (piece > bytes - at)
            piece = bytes - at;
        uint8_t *copy = malloc(piece);
        require(copy);
        memcpy(copy, data + at, piece);
        on = feed_both(with, alone, copy, piece);
        free(copy);
    }
    decoder_free(with);
    decoder_free(alone);
    return 0;
}
