/*
 * cursor: the quick way to decode a value that lies whole in one piece of memory; for decoder.c alone.
 *
 * It writes the same nodes as the decoder's parser, but it can't wait: it stops before the first item that it does not
 * know or that the input can't hold together with what must follow it, and says where it stands. Between two items a
 * position is no more than the open containers, so the parser can go on from there and nothing is decoded twice.
 */
#ifndef PROTOCOL_CURSOR_H
#define PROTOCOL_CURSOR_H

#include "protocol/decoder.h"
#include "protocol/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An open container. */
struct cursor_level {
    struct node *node;
    uint32_t left; /* elements of which nothing has been seen yet; a map has two for each pair */
};

struct cursor {
    struct node *nodes; /* filled by the caller: where the nodes go, and how many can */
    uint32_t cap;
    uint32_t count;   /* nodes written */
    uint64_t claimed; /* nodes that the value has for certain; above cap: it stopped because they have no room */
    size_t at;        /* bytes read */
    uint32_t depth;
    struct cursor_level levels[1 + LIMIT_DEPTH]; /* [1] to [depth] are open, outermost first; [0] holds the value */
};

/*
 * Decodes the value that begins at `input`, of at least one byte. True: it is complete, all of its nodes and their ends
 * are right. False: the cursor stands before an item; the ends of open containers are not set.
 */
bool cursor_run(struct cursor *c, const uint8_t *input, size_t bytes);

#endif
