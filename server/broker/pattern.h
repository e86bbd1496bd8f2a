/*
 * pattern: which keys of a topic a subscription wants.
 *
 * Keys and patterns are words separated by dots. An empty text has no words at all; otherwise there is one word more
 * than there are dots, and a word may be empty: "a." has two. In a pattern the word `*` stands for exactly one word of
 * the key, an empty one included, and the word `#` for any number of them, none included. Every other word stands for
 * itself, byte by byte. In a key nothing is special.
 *
 *     pattern        matches                            does not match
 *     ""             ""                                 "a"
 *     "a.*"          "a.b", "a."                        "a", "a.b.c"
 *     "a.#"          "a", "a.b", "a.b.c"                "b", ""
 *     "#.z"          "z", "a.z", "z.z"                  "z.a"
 *
 * A word with `*` or `#` among other bytes ("a*") would look like a wildcard and be none: such a pattern is not valid.
 *
 * Matching takes no memory, and at most as many steps as pattern and key have words, multiplied, whatever they are.
 */
#ifndef SERVER_BROKER_PATTERN_H
#define SERVER_BROKER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* True if the text is a key: at most LIMIT_KEY_BYTES and LIMIT_KEY_WORDS. */
bool key_valid(const char *text, size_t bytes);

/* True if the text is a pattern: no longer than a key, and no wildcard is a part of a longer word. */
bool pattern_valid(const char *text, size_t bytes);

/* True if a valid pattern matches the key. */
bool pattern_matches(const char *pattern, size_t pattern_bytes, const char *key, size_t key_bytes);

#endif
