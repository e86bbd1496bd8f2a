/*
 * words: a line cut into words, and words read as numbers and times.
 *
 *     publish orders hello 'it''s' "tab\t\x00"        blanks separate; '...' is literal; "..." knows \n \r \t \\ \" \xHH
 *
 * Pieces that touch are one word. A word may hold any byte, zero included, and is terminated as well.
 */
#ifndef CLIENT_CLI_WORDS_H
#define CLIENT_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct word {
    char *text; /* terminated, after `bytes` bytes */
    size_t bytes;
    bool quoted; /* some of it stood in quotes: never an option */
};

struct words {
    struct word *list;
    size_t count;
};

/* Cuts a line. Returns NULL, or what is wrong with it. Whatever it returns, words_close() frees the words. */
const char *words_split(struct words *words, const char *line, size_t bytes);

/* Copies the arguments of a program. */
void words_copy(struct words *words, int count, char *const *arguments);

void words_close(struct words *words);

/* True if the word is exactly this text. */
bool word_is(const struct word *word, const char *text);

/* A number in decimal digits, nothing else. */
bool number_parse(const char *text, uint64_t *value);

/* A number with an optional fraction and a unit: ms, s, m, h or d; without one, `plain_ms` each. */
bool time_parse(const char *text, uint64_t plain_ms, uint64_t *ms);

/* A whole number with b, kb, mb or gb. */
bool size_parse(const char *text, uint64_t *bytes);

/* Memory that is there: the program ends with a message if there is none. */
void *memory_new(size_t bytes);
void *memory_resize(void *memory, size_t bytes);
char *text_copy(const char *text, size_t bytes);

#endif
