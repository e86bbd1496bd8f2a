/*
 * arguments: the words of a command, sorted into positional arguments and options by the command's own list, and checked
 * and written as the protocol wants them.
 *
 *     --key value, --key=value, key=value     options; --key alone is true for a bool. key=value only if the command knows
 *                                             the key, and never in publish, whose words are messages
 *     --                                      what follows is no option
 *     --json --raw --no-raw                   the form of the output of this command
 */
#ifndef CLIENT_CLI_ARGUMENTS_H
#define CLIENT_CLI_ARGUMENTS_H

#include "client/cli/cli.h"

struct given {
    char *name;
    char *value;
    char *type; /* NULL: an attribute for the command's map */
};

struct arguments {
    const struct entry *entry;
    const struct word **positional; /* borrowed from the words */
    size_t count;
    struct given *options;
    size_t option_count;
    bool body_from_stdin; /* -x */
    enum output_form form;
    char wrong[256]; /* what is wrong, "" if nothing */
};

/* Sorts words[first...]. False with ->wrong. Whatever it returns, arguments_close() frees it. */
bool arguments_read(struct arguments *arguments, const struct entry *entry, const struct words *words, size_t first,
                    enum output_form form);
void arguments_close(struct arguments *arguments);

/* The value of an option, or NULL. */
const char *arguments_option(const struct arguments *arguments, const char *name);

/* Readers of checked options, with a value to use otherwise. False with ->wrong if one is no number or time. */
bool arguments_count(struct arguments *arguments, const char *name, uint64_t *value);
bool arguments_time(struct arguments *arguments, const char *name, uint64_t plain_ms, uint64_t *ms);
bool arguments_flag(struct arguments *arguments, const char *name, bool *value);

/* Sets ->wrong and returns false. */
__attribute__((format(printf, 2, 3))) bool arguments_wrong(struct arguments *arguments, const char *format, ...);

/* Writes everything as the method's params. `body`, if it is not NULL, is one more message. False with ->wrong. */
bool arguments_write(struct arguments *arguments, struct ringmq_args *args, const struct ringmq_bytes *body);

/* -- what publish says about each message -- */

#define HEADERS_MAX 64

struct message_options {
    struct ringmq_header headers[HEADERS_MAX];
    char *names[HEADERS_MAX];
    struct ringmq_message message; /* everything but the body */
};

/* From --group, --delay, --ttl and --header. False with ->wrong. */
bool message_options_read(struct message_options *options, struct arguments *arguments);
void message_options_close(struct message_options *options);
void message_write(struct ringmq_args *args, const struct message_options *options, const void *body, size_t bytes);

#endif
