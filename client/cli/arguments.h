/*
 * arguments: the words of a command with what the shell adds to them: options of its own, and
 *
 *     --json --raw --no-raw     the form of the output of this command
 *     -x                        of a command with messages: one more, from standard input
 *
 * How words are sorted and written as params is in protocol/command_line.h.
 */
#ifndef CLIENT_CLI_ARGUMENTS_H
#define CLIENT_CLI_ARGUMENTS_H

#include "client/cli/cli.h"
#include "protocol/command_line.h"

/* The options of every command. */
#define COMMON_OPTIONS "json:bool raw:bool no-raw:bool"

struct arguments {
    struct command_line line;
    const struct entry *entry;
    bool body_from_stdin; /* -x */
    enum output_form form;
};

/* Sorts words[first...]. False with ->line.wrong. Whatever it returns, arguments_close() frees it. */
bool arguments_read(struct arguments *arguments, const struct entry *entry, const struct words *words, size_t first,
                    enum output_form form);
void arguments_close(struct arguments *arguments);

/* The form of the output that the options of a command ask for, or `otherwise`. */
enum output_form form_asked(const struct command_line *line, enum output_form otherwise);

/* Writes everything as the method's params. `body`, if it is not NULL, is one more message. False with ->line.wrong. */
bool arguments_write(struct arguments *arguments, struct ringmq_args *args, const struct ringmq_bytes *body);

/* Sets ->line.wrong and returns false. */
#define arguments_wrong(arguments, ...) command_line_wrong(&(arguments)->line, __VA_ARGS__)

#endif
