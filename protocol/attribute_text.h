/*
 * attribute_text: the attributes of a queue as words of a command, `visibility=60s`, and what is known of each.
 *
 *     MS 60s    BYTES 2mb    COUNT 5    CHOICE a word    BOOL true or false (yes, no)    NAME a queue
 *     BACKOFF 1s,2,1m,0.1
 *
 * A backoff is its base, factor, cap and jitter; those from some point on may be left out, and so may one between two
 * commas: the server's default applies then. NAME and BACKOFF are nil if the text is empty or nil; a queue that is
 * called nil stands in quotes.
 */
#ifndef PROTOCOL_ATTRIBUTE_TEXT_H
#define PROTOCOL_ATTRIBUTE_TEXT_H

#include "protocol/attributes.h"
#include "protocol/buffer.h"

#include <stdbool.h>
#include <stddef.h>

struct attribute_facts {
    const char *name;
    enum attribute_kind kind;
    int64_t initial;
    const char *choices;
    const char *help;
};

/* The facts about each attribute in the order of the list; NULL behind the last. */
const struct attribute_facts *attribute_facts(size_t index);

/* Those of the attribute of that name, or NULL. A dash is as good as an underscore. */
const struct attribute_facts *attribute_facts_find(const char *name, size_t bytes);

/* The word (not terminated) of a choice's value, and its length. NULL: there is no such value. */
const char *attribute_facts_word(const struct attribute_facts *facts, size_t value, size_t *bytes);

/* Appends the value that a terminated text means. NULL, or what it should be. `quoted`: never nil. */
const char *attribute_text_write(const struct attribute_facts *facts, const char *text, bool quoted,
                                 struct buffer *out);

/* The text of a backoff. */
#define BACKOFF_PRINT_BYTES 128
void backoff_print(uint64_t base_ms, double factor, uint64_t cap_ms, double jitter, char out[BACKOFF_PRINT_BYTES]);

#endif
