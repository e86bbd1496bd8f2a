/*
 * filter: which messages a subscription wants, by their headers.
 *
 * A filter names header keys, and for each key one or more *alternatives*. A message matches if for every key at least
 * one alternative holds; a filter without keys matches everything. If a message has several headers of one key, the
 * first one counts. A key that a message does not have fulfils nothing but `exists: false`.
 *
 *     alternative                 holds if the header
 *     a scalar                    is equal to it
 *     prefix: text or bytes       is text or bytes that begin with it
 *     numeric: <, 5 (or two)      is a number for which each comparison is true
 *     exists: true or false       is there, or is not
 *     anything-but: scalars       is there and equal to none of them
 *
 * Numbers are equal by value, whatever their types: 1 and 1.0 are, and 2^53 + 1 is not 2.0^53. NaN is neither equal to
 * anything nor below or above it, so of the comparisons only != is true of it. Text and bytes are equal if their bytes
 * are. nil, true and false are equal to themselves only. A header that is no number fails every comparison, != too.
 *
 * A filter is one immutable string of bytes, in the encoding of a message's headers (message.h), so that it can be
 * copied and compared as it is. Keys stand in the order of their bytes, each once; alternatives stay in the order in
 * which they were given. Two filters with the same bytes match the same; 1 and 1.0, though, are different bytes.
 *
 * The happy path of making one: filter_begin(), then for each key filter_add_key() and its tests, then filter_store()
 * of builder.bytes bytes. What can fail is what the filter says, never memory: the first refusal sticks, everything
 * added after it is ignored, and the caller looks when it likes. Reading one: filter_next_key(), and for each of its
 * alternatives filter_next_test().
 */
#ifndef SERVER_BROKER_FILTER_H
#define SERVER_BROKER_FILTER_H

#include "server/broker/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of an encoded filter, its keys, and for each key its alternatives; also the values of one anything-but. */
#define LIMIT_FILTER_BYTES        4096
#define LIMIT_FILTER_KEYS         32
#define LIMIT_FILTER_ALTERNATIVES 64

/* What is tested, and its word: X(id, word). The order is part of the encoding; comparisons come first. */
#define FILTER_OP_LIST(X)  \
    X(EQUAL, "=")          \
    X(UNEQUAL, "!=")       \
    X(LESS, "<")           \
    X(LESS_EQUAL, "<=")    \
    X(GREATER, ">")        \
    X(GREATER_EQUAL, ">=") \
    X(PREFIX, "prefix")    \
    X(NUMERIC, "numeric")  \
    X(EXISTS, "exists")    \
    X(ANYTHING_BUT, "anything-but")

enum filter_op {
#define X(id, word) FILTER_##id,
    FILTER_OP_LIST(X)
#undef X
        FILTER_OP_COUNT
};

/*
 * One test. A plain scalar is EQUAL. NUMERIC is followed by `count` comparisons of numbers, ANYTHING_BUT by `count`
 * tests for EQUAL; all of them together are one alternative.
 */
struct filter_test {
    enum filter_op op;
    uint32_t count;      /* NUMERIC: 1 or 2; ANYTHING_BUT: at least 1 */
    struct header value; /* all others; its key has no meaning */
};

enum filter_refusal {
    FILTER_FINE,
    FILTER_TOO_LONG,
    FILTER_TOO_MANY_KEYS,
    FILTER_KEY_TWICE,
    FILTER_BAD_ALTERNATIVES, /* none, or too many */
    FILTER_BAD_PREFIX,       /* not of text or bytes */
    FILTER_BAD_NUMERIC,      /* not one or two comparisons of numbers */
    FILTER_BAD_EXISTS,       /* neither true nor false */
    FILTER_BAD_ANYTHING_BUT, /* no values, or too many */
};

struct filter_entry {
    struct view key;
    uint16_t at; /* in the draft */
    uint16_t bytes;
};

/* Public for reading: bytes, refusal. */
struct filter_builder {
    size_t bytes; /* of the filter */
    enum filter_refusal refusal;
    uint32_t entry_count;
    uint32_t current;           /* the entry that was begun last */
    uint32_t alternatives_left; /* that were announced for it */
    uint32_t inner_left;        /* tests that were announced by `inner` */
    enum filter_op inner;
    struct filter_entry entries[LIMIT_FILTER_KEYS]; /* in the order of their keys */
    uint8_t draft[LIMIT_FILTER_BYTES];              /* in the order in which they were added */
};

void filter_begin(struct filter_builder *b);

/* Begins a key, of which `alternatives` will follow; keys come in any order and stay the caller's. False: refused. */
bool filter_add_key(struct filter_builder *b, struct view key, uint32_t alternatives);

/* Adds a test to the last key. To announce other numbers of tests than follow is an error of the program. */
bool filter_add_test(struct filter_builder *b, const struct filter_test *test);

/* Stores the finished filter, which was not refused, in b->bytes bytes at `out`. */
void filter_store(const struct filter_builder *b, uint8_t *out);

/* A short English sentence without a full stop. */
const char *filter_refusal_text(enum filter_refusal refusal);

/* No more elements than this does the filter have on the wire. */
uint32_t filter_elements(struct view filter);

/* True if a message with these headers, encoded by header_put(), is wanted. */
bool filter_matches(struct view filter, struct view headers);

/* How many keys a filter has. */
uint32_t filter_key_count(struct view filter);

/* Takes the next key off `rest`, which must be at one. False at the end. */
bool filter_next_key(struct view *rest, struct view *key, uint32_t *alternatives);

/* Takes the next test off `rest`, which must be at one. */
void filter_next_test(struct view *rest, struct filter_test *out);

/* The operator's word. */
const char *filter_op_word(enum filter_op op);

/* The operator with that word. False: there is none. */
bool filter_op_from_word(struct view word, enum filter_op *out);

#endif
