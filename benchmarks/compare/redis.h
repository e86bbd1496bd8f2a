/* redis: what the two clients of Redis share: pipelined commands over hiredis. */
#ifndef BENCHMARKS_COMPARE_REDIS_H
#define BENCHMARKS_COMPARE_REDIS_H

#include "benchmarks/compare/peer.h"

#include <stddef.h>

struct redisContext;
struct redisReply;

/* One connection: what has been asked is answered in that order. */
struct redis {
    struct redisContext *context;
    uint32_t owed; /* answers */
};

/* Connects; -1 with a line on stderr. */
int redis_open(struct redis *r, uint16_t port);
void redis_close(struct redis *r);

/* Adds a command to what the next flush sends. */
int redis_command(struct redis *r, int count, const char **words, const size_t *bytes);
int redis_flush(struct redis *r);

/* Sends a command, waits, and drops the answer; an error that begins with `allowed` (or NULL) is none. */
int redis_call(struct redis *r, const char *command, const char *allowed);

/* The next answer, for freeReplyObject(); NULL with *code 0 if none has come (within PEER_WAIT_MS if asked to wait), and with
 * *code -1 if the connection is lost or the answer is an error, which a line on stderr says. */
struct redisReply *redis_answer(struct redis *r, bool wait, int *code);

#endif
