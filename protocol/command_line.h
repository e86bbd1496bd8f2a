/*
 * command_line: a command given as words, `queue create orders visibility=60s --type fifo`, sorted by the command's own
 * list of arguments (the rows of protocol/commands.h), checked, and written as the params of its method.
 *
 *     --key value, --key=value, key=value     options; --key alone is true for a bool, and a key of one letter has one
 *                                             dash; --group-prefetch is --group_prefetch. key=value without dashes only if the command knows the key, and never
 *                                             where words are messages
 *     key=value                               for a command whose row has a map: its attributes; the queue's by their
 *                                             kind, others by what they look like
 *     --                                      what follows is no option
 *
 * What an option is worth is written by its type: times and sizes with units, maps as JSON. Lists of numbers are written
 * as words of their own or with commas between them; lists of anything else are the caller's.
 *
 * What can fail is what the words say; then ->wrong is a sentence about it. Nothing is copied: the words must outlive it.
 */
#ifndef PROTOCOL_COMMAND_LINE_H
#define PROTOCOL_COMMAND_LINE_H

#include "protocol/buffer.h"
#include "protocol/words.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a command takes. Lists are written as in protocol/commands.h; of `extra` and `common` all are options. */
struct command_form {
    const char *name;   /* for sentences */
    const char *args;   /* of the method */
    const char *extra;  /* options that are not sent, "" if there are none */
    const char *common; /* the same; these are never written without dashes */
};

struct given {
    const char *name; /* not terminated */
    size_t name_bytes;
    const char *value;
    const char *type; /* not terminated; NULL: an attribute */
    bool quoted;
};

struct command_line {
    struct command_form form;
    const struct word **positional;
    size_t count;
    struct given *options;
    size_t option_count;
    char wrong[256]; /* "" if nothing is */
};

/* Sorts words. False with ->wrong. Whatever it returns: command_line_close(). */
bool command_line_read(struct command_line *line, const struct command_form *form, const struct word *words,
                       size_t count);
void command_line_close(struct command_line *line);

/* The value of an option, the last one if it is given more than once; NULL if it is not. */
const char *command_line_option(const struct command_line *line, const char *name);

/* True if the option has that name. */
bool given_is(const struct given *given, const char *name);

/* Readers of options, which leave *value as it is if there is none. False with ->wrong if it is not such a value. */
bool command_line_count(struct command_line *line, const char *name, uint64_t *value);
bool command_line_time(struct command_line *line, const char *name, uint64_t plain_ms, uint64_t *ms);
bool command_line_flag(struct command_line *line, const char *name, bool *value);

/* Sets ->wrong and returns false. */
__attribute__((format(printf, 2, 3))) bool command_line_wrong(struct command_line *line, const char *format, ...);

/* Writes a positional list of messages, that is, one array of `count` elements. False with ->wrong. */
typedef bool command_messages_cb(struct command_line *line, const struct word *const *words, size_t count, void *arg,
                                 struct buffer *out);

/*
 * Appends the params, one after the other without an array around them; *params: how many. `messages_cb` may be NULL for
 * commands without messages. False with ->wrong; that memory ran out shows in out->failed.
 */
bool command_line_write(struct command_line *line, command_messages_cb *messages_cb, void *arg, struct buffer *out,
                        uint32_t *params);

/* Appends the numbers that a text names, 3 or 3,7,9; *count counts them. False: it is no such text. */
bool numbers_write(const char *text, struct buffer *out, uint32_t *count);

/*
 * Visits the name:type items of a list of arguments, those in braces and outside ones alike. False at the end. *list
 * begins at the list and moves; `option` (may be NULL) tells whether the item stands in braces.
 */
struct command_item {
    const char *name; /* not terminated, like the type */
    size_t name_bytes;
    const char *type;
    size_t type_bytes; /* without the question mark */
    bool optional;     /* a question mark */
    bool option;       /* it stands in braces */
};
bool command_item_next(const char **list, struct command_item *item);

/* True if the item has that type. */
bool command_item_has_type(const struct command_item *item, const char *type);

#endif
