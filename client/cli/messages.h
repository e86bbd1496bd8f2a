/*
 * messages: what the options of a command say about each of its messages, and messages as they are sent.
 */
#ifndef CLIENT_CLI_MESSAGES_H
#define CLIENT_CLI_MESSAGES_H

#include "client/ringmq.h"
#include "protocol/command_line.h"

#define HEADERS_MAX 64

/* The options, for the catalogue. */
#define MESSAGE_OPTIONS "group:text dedup-id:text priority:count delay:ms ttl:ms header:text"

struct message_options {
    struct ringmq_header headers[HEADERS_MAX];
    char *names[HEADERS_MAX];
    struct ringmq_message message; /* everything but the body */
};

/* From --group, --dedup-id, --priority, --delay, --ttl and --header. False with ->wrong; message_options_close() anyway. */
bool message_options_read(struct message_options *options, struct command_line *line);
void message_options_close(struct message_options *options);

/* A command_messages_cb: words as messages with the command's options. `arg`: one more body, or NULL. */
bool messages_write(struct command_line *line, const struct word *const *words, size_t count, void *arg,
                    struct buffer *out);

#endif
