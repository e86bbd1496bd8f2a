/*
 * words: a line cut into words.
 *
 *     publish orders hello 'it''s' "tab\t\x00"        blanks separate; '...' is literal; "..." knows \n \r \t \\ \" \xHH
 *
 * Pieces that touch are one word. A word may hold any byte, zero included, and is terminated as well.
 *
 * One area holds the bytes of all words, one the list: memory for a line is at most a small multiple of its length.
 */
#ifndef PROTOCOL_WORDS_H
#define PROTOCOL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct word {
    const char *text; /* terminated, after `bytes` bytes */
    size_t bytes;
    bool quoted;        /* it begins with a quote: never an option */
    size_t quoted_from; /* where in `text` the first piece in quotes begins; SIZE_MAX: there is none */
};

struct words {
    struct word *list;
    size_t count;
    char *text; /* of all of them */
};

/* Cuts a line. Returns NULL, or what is wrong with it, or that memory ran out. Whatever it returns: words_close(). */
const char *words_split(struct words *words, const char *line, size_t bytes);

/* Copies words that are cut already, such as the arguments of a program. False when out of memory. */
bool words_copy(struct words *words, size_t count, char *const *texts);

void words_close(struct words *words);

/* True if the word is exactly this text. */
bool word_is(const struct word *word, const char *text);

#endif
