/*
 * output: answers as text, in one of three forms.
 *
 *     human   for a terminal: typed, (integer) 3, "text", (nil), lists numbered, maps as aligned `key: value`; the segments of
 *             the log as a table
 *     raw     for a pipe: each value on a line of its own, bytes as they are; in a map `key<TAB>value`, the keys of maps
 *             in maps joined by a dot
 *     json    one JSON value on one line; bytes as text, or {"base64": "..."} if they are not UTF-8
 *
 * What the protocol answers as an array of fixed places (a delivery, a publish) gets names in human and json. In human and
 * raw, a value that a command takes as one word is shown as that word: a backoff, and a filter in JSON.
 */
#ifndef CLIENT_CLI_OUTPUT_H
#define CLIENT_CLI_OUTPUT_H

#include "client/ringmq.h"
#include "protocol/attribute_text.h"

#include <stdio.h>

enum output_form { OUTPUT_HUMAN, OUTPUT_RAW, OUTPUT_JSON };

/* How to read an answer, or a part of one; derived from the method. */
enum output_shape {
    SHAPE_PLAIN,
    SHAPE_PUBLISH,     /* [first_id, count, exceptions?] */
    SHAPE_PUBLISHES,   /* a list of them */
    SHAPE_EXCEPTIONS,  /* a list of [index, id] and [index, error] */
    SHAPE_DUPLICATE,   /* [index, id] */
    SHAPE_REFUSAL,     /* [index, error] */
    SHAPE_DELIVERIES,  /* a list of deliveries */
    SHAPE_DELIVERY,    /* [receipt, id, attempts, body, rest?] */
    SHAPE_COMMIT,      /* a map with publishes */
    SHAPE_DESCRIPTION, /* of a queue or topic: a map in which backoffs and filters are words */
    SHAPE_WORD_JSON,   /* a filter, and everything in it: 1.0 stays apart from 1 */
    SHAPE_WORD_BACKOFF,
    SHAPE_LOG,   /* a map with counters of buckets, and segments */
    SHAPE_ROW,   /* a list that is one line for people */
    SHAPE_TABLE, /* a list of maps with the same keys: for people a table */
};

enum output_shape output_shape_of(const char *method);

/* Prints an answer with a newline at its end. */
void output_value(FILE *out, enum output_form form, enum output_shape shape, struct ringmq_value value);

/* Prints one delivery in JSON, with a newline. */
void output_delivery_json(FILE *out, const struct ringmq_delivery *delivery);

/* Prints an error that the server answered. */
void output_error(FILE *out, enum output_form form, const char *code, const char *text, struct ringmq_value details);

/* -- the members of a map, or of an array whose places have names -- */

struct members {
    struct ringmq_iterator outer, inner;
    const char *const *names; /* NULL: a map, or an array */
    bool in_inner;
};

/* Begins to visit a map or array; some shapes name an array's places. True if it has names. */
bool members_begin(struct members *members, struct ringmq_value container, enum output_shape shape);

/* The next member; `key` has data NULL in a plain array. */
bool members_next(struct members *members, struct ringmq_bytes *key, struct ringmq_value *value);

/* The shape of an element of an array (`key` has data NULL), or of a member of a map. */
enum output_shape shape_of_child(enum output_shape shape, struct ringmq_bytes key, struct ringmq_value child);

/* The three forms; no newline at the end of json and human. */
void human_print(FILE *out, enum output_shape shape, struct ringmq_value value);
void raw_print(FILE *out, enum output_shape shape, struct ringmq_value value);
void json_print(FILE *out, enum output_shape shape, struct ringmq_value value);
void json_bytes(FILE *out, struct ringmq_bytes bytes);
void double_print(FILE *out, double value);
/* No container: as it is, without a newline. */
void raw_scalar(FILE *out, struct ringmq_value value);

/* A list of maps as a table: the keys of the first, then a line each. Continues at the present column, which is `indent`. */
void table_print(FILE *out, struct ringmq_value list, int indent);

/* The text of a backoff, as a command takes it. */
void backoff_text(struct ringmq_value backoff, char out[BACKOFF_PRINT_BYTES]);

#endif
