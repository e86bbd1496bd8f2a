/*
 * arguments: what stands in a request's parameters, checked against the `args` text of the command's row.
 *
 * The text is parsed once into a signature. Checking walks the parameters once: each value is looked at by its type
 * and comes out as a number, a text or a node, so that a handler never looks at the wire. A handler names its
 * arguments by their place in the text, positional ones first, then the options, in an enum of its own.
 *
 * What can fail is the caller's request: an argument that is missing, of another type, given twice, or unknown. All
 * of it ends in a struct argument_error that names the argument.
 */
#ifndef SERVER_DOORS_NATIVE_ARGUMENTS_H
#define SERVER_DOORS_NATIVE_ARGUMENTS_H

#include "protocol/decoder.h"
#include "protocol/limits.h"
#include "server/broker/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGUMENTS_MAX 8

/* Types: X(id, word in a signature, the node types that a value may have, its largest number, what a value must be) */
#define NODE_BIT(type) (1u << NODE_##type)
#define ANY_NUMBER     UINT64_MAX
#define ARGUMENT_TYPE_LIST(X)                                                                 \
    X(NAME, "name", NODE_BIT(STR) | NODE_BIT(BIN), ANY_NUMBER,                                \
      "a name: 1 to 255 characters from A-Z a-z 0-9 . _ - / :")                               \
    X(TEXT, "text", NODE_BIT(STR) | NODE_BIT(BIN), ANY_NUMBER, "text")                        \
    X(ID, "id", NODE_BIT(UINT), LIMIT_ID - 1, "an integer from 0 to 2^53 - 1")                \
    X(COUNT, "count", NODE_BIT(UINT), UINT32_MAX, "an integer from 0 to 2^32 - 1")            \
    X(MS, "ms", NODE_BIT(UINT), LIMIT_TIME_MS, "milliseconds, an integer from 0 to 10 years") \
    X(BOOL, "bool", NODE_BIT(BOOL), ANY_NUMBER, "true or false")                              \
    X(LIST, "list", NODE_BIT(ARRAY), ANY_NUMBER, "an array")                                  \
    X(MAP, "map", NODE_BIT(MAP), ANY_NUMBER, "a map")                                         \
    X(ANY, "any", ~0u, ANY_NUMBER, "a value")

enum argument_type {
#define X(id, word, nodes, max, text) ARGUMENT_##id,
    ARGUMENT_TYPE_LIST(X)
#undef X
        ARGUMENT_TYPE_COUNT
};

/* One argument that a method knows. */
struct parameter {
    const char *name; /* not terminated */
    uint32_t name_bytes;
    uint32_t nodes; /* of the type: the node types that a value may have, a bit each */
    uint64_t max;   /* of the type: its largest number */
    enum argument_type type;
    bool optional;
};

struct signature {
    struct parameter parameters[ARGUMENTS_MAX]; /* positional ones, then options */
    uint32_t required_count;                    /* positional ones that may not be left out */
    uint32_t positional_count;
    uint32_t parameter_count;
};

/* One argument that a request has. */
struct argument {
    bool given;       /* the rest is set only then */
    bool known;       /* of a name: it is the one that was known */
    uint32_t node;    /* index of its node */
    uint64_t number;  /* of an id, count, ms or bool */
    struct view text; /* of a name or text */
};

struct argument_error {
    char key[64]; /* the argument, printable ASCII */
    char text[160];
};

/* Parses the `args` text of a command's row, which must be well formed. The signature points into it. */
void signature_parse(struct signature *signature, const char *args);

/*
 * Reads the array of parameters at node `params` into out[0 .. ARGUMENTS_MAX). A name that is `known`, of which there is
 * none if it is empty, need not be looked at. False: *error says why.
 */
bool arguments_read(const struct signature *signature, const struct decoder *d, uint32_t params, struct view known,
                    struct argument *out, struct argument_error *error);

/* The same for the map of options at node `map` alone. */
bool arguments_read_options(const struct signature *signature, const struct decoder *d, uint32_t map,
                            struct argument *out, struct argument_error *error);

/* A str or bin that was kept. */
static inline bool node_text(const struct decoder *d, uint32_t node, struct view *out)
{
    const struct node *n = &d->nodes[node];

    if ((n->type != NODE_STR && n->type != NODE_BIN) || (n->flags & NODE_SKIPPED))
        return false;
    *out = (struct view){decoder_bytes(d, n), n->count};
    return true;
}

/* An integer from 0 to `max`. */
static inline bool node_number(const struct decoder *d, uint32_t node, uint64_t max, uint64_t *out)
{
    const struct node *n = &d->nodes[node];

    if (n->type != NODE_UINT || n->value.uint > max)
        return false;
    *out = n->value.uint;
    return true;
}

/* Copies what a client has sent so that it can be shown: cut to what fits, everything but printable ASCII as '?'. */
void text_show(char *out, size_t room, struct view text);

#endif
