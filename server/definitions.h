/*
 * definitions: queues, topics and subscriptions that are to be there when a server begins to serve, from a file of
 * commands (protocol/definitions.h).
 *
 * Each line becomes the request that a client would send, and goes through the native door to the broker: what holds for
 * a client holds for a file. Nothing listens yet, so nobody sees a server that has only half of it.
 *
 * What can fail: the file can't be read, a line says nothing that is known, or the server refuses what it says. Then the
 * server does not start, and the sentence names the file and the line.
 */
#ifndef SERVER_DEFINITIONS_H
#define SERVER_DEFINITIONS_H

#include "server/doors/native.h"

#include <stdbool.h>
#include <stdint.h>

struct definitions_error {
    char text[512];
};

/* Only reads the file: true if every line can be understood. An empty path is no file. */
bool definitions_check(const char *path, struct definitions_error *error);

/* Carries the file out, line by line. False at the first line that can't be; those before it have been. */
bool definitions_apply(struct native *door, const char *path, int64_t now_ms, struct definitions_error *error);

#endif
