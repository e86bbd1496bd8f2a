/*
 * decoded: what comes out of a decoder, as bytes that can be compared. Two decoders that were given the same value, cut
 * differently, must leave the same bytes: whether a text was streamed or lies in the input makes no difference.
 */
#ifndef TESTS_SUPPORT_DECODED_H
#define TESTS_SUPPORT_DECODED_H

#include "protocol/buffer.h"
#include "protocol/decoder.h"

#include <stdbool.h>
#include <stdint.h>

/* Appends the value that is ready in `d`. Of a text above `text_max` bytes only its length is put. */
void decoded_put(struct buffer *out, const struct decoder *d, uint32_t text_max);

/* True if each container's end is where its counted elements end, and the root's is node_count. */
bool decoded_well_formed(const struct decoder *d);

/*
 * Feeds bytes in pieces that end at each of `cuts` (ascending, below `bytes`) and at `bytes`, until a value is ready or
 * refused. Each piece lies in memory of its own, which is overwritten and freed as soon as it was taken in whole; the
 * last one is kept in *piece for the views into it, and freed by the caller. *used counts all pieces.
 */
enum decoder_result decoded_feed(struct decoder *d, const uint8_t *input, size_t bytes, const size_t *cuts,
                                 size_t cut_count, size_t *used, uint8_t **piece);

#endif
