/*
 * nearest: which of some known words somebody may have meant who wrote another.
 *
 *     nearest_init(&n, given, bytes);   nearest_offer(&n, word, word_bytes) for each known word;   n.found or NULL
 *
 * The measure is Levenshtein's distance, without regard to capitals and with - and _ alike. A third of the word may be
 * wrong: enough for "visibilty", too little to offer "ttl" for anything short.
 */
#ifndef PROTOCOL_NEAREST_H
#define PROTOCOL_NEAREST_H

#include <stddef.h>

/* A longer word is near to none. */
#define NEAREST_BYTES 48

struct nearest {
    const char *given;
    size_t given_bytes;
    const char *found; /* not terminated; NULL: none is near */
    size_t found_bytes;
    size_t least; /* its distance; at first what is too far */
};

void nearest_init(struct nearest *nearest, const char *given, size_t bytes);

/* `word` is not copied. Of two that are equally near the first stays. */
void nearest_offer(struct nearest *nearest, const char *word, size_t bytes);

#endif
