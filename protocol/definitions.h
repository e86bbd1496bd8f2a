/*
 * definitions: a file of queues, topics and subscriptions, one shell command a line:
 *
 *     # comments and empty lines are passed over
 *     queue create failed
 *     queue create orders type=fifo dead_letter=failed max_attempts=3 backoff=1s,2,1m
 *     topic create events
 *     topic subscribe events orders --pattern 'order.*' --filter '{"kind": ["new"]}'
 *
 * Each line becomes the params of its method, by the same code that the shell uses for what is typed. Applying them again
 * changes nothing, so the same file serves an empty server and one that has all of it.
 *
 * What can fail is what the file says; ->wrong is a sentence about the line ->line. Whether the server takes it is known
 * only when it is asked.
 */
#ifndef PROTOCOL_DEFINITIONS_H
#define PROTOCOL_DEFINITIONS_H

#include "protocol/buffer.h"
#include "protocol/commands.h"

#include <stddef.h>
#include <stdint.h>

/* A larger file, and a longer line, are hardly definitions. */
#define DEFINITIONS_BYTES      (64 << 20)
#define DEFINITIONS_LINE_BYTES (128 << 10)

struct definitions {
    const char *text; /* what has not been read yet */
    size_t bytes;
    uint32_t line; /* number of the line just read, from 1 */
    enum command_id command;
    struct buffer params; /* one after the other, without an array around them */
    uint32_t param_count;
    char wrong[320];
};

enum definitions_result { DEFINITIONS_READ, DEFINITIONS_END, DEFINITIONS_WRONG };

/* Begins to read a text, which must outlive it. definitions_close() frees the params. */
void definitions_init(struct definitions *definitions, const char *text, size_t bytes);
void definitions_close(struct definitions *definitions);

/* The next definition: its command and params, valid until the next call. */
enum definitions_result definitions_next(struct definitions *definitions);

#endif
