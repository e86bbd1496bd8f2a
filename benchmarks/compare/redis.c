#include "benchmarks/compare/redis.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static int complain(const struct redis *r, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", peer_name, what, r->context ? r->context->errstr : "out of memory");
    return -1;
}

int redis_open(struct redis *r, uint16_t port)
{
    r->context = redisConnect(PEER_HOST, port);
    if (!r->context || r->context->err)
        return complain(r, "connect");
    r->context->reader->maxbuf = 0; /* its buffer is kept when it is empty */
    return 0;
}

void redis_close(struct redis *r)
{
    if (r->context)
        redisFree(r->context);
    r->context = NULL;
}

int redis_command(struct redis *r, int count, const char **words, const size_t *bytes)
{
    if (redisAppendCommandArgv(r->context, count, words, bytes) != REDIS_OK)
        return complain(r, "command");
    r->owed++;
    return 0;
}

int redis_flush(struct redis *r)
{
    for (int done = 0; !done;)
        if (redisBufferWrite(r->context, &done) != REDIS_OK)
            return complain(r, "send");
    return 0;
}

int redis_call(struct redis *r, const char *command, const char *allowed)
{
    redisReply *reply = redisCommand(r->context, command);
    if (!reply)
        return complain(r, command);
    bool good = reply->type != REDIS_REPLY_ERROR || (allowed && strncmp(reply->str, allowed, strlen(allowed)) == 0);
    if (!good)
        fprintf(stderr, "%s: %s: %s\n", peer_name, command, reply->str);
    freeReplyObject(reply);
    return good ? 0 : -1;
}

redisReply *redis_answer(struct redis *r, bool wait, int *code)
{
    void *reply = NULL;
    struct pollfd ready = {r->context->fd, POLLIN, 0};
    *code = -1;
    if (redisGetReplyFromReader(r->context, &reply) != REDIS_OK)
        return complain(r, "answer"), NULL;
    while (!reply && poll(&ready, 1, wait ? PEER_WAIT_MS : 0) > 0)
        if (redisBufferRead(r->context) != REDIS_OK || redisGetReplyFromReader(r->context, &reply) != REDIS_OK)
            return complain(r, "answer"), NULL;
    redisReply *answer = reply;
    if (answer && answer->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "%s: %s\n", peer_name, answer->str);
        freeReplyObject(answer);
        return NULL;
    }
    *code = 0;
    r->owed -= answer != NULL;
    return answer;
}
