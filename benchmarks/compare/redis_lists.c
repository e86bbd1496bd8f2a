/*
 * Redis lists, at most once: what was popped is gone. RPUSH takes a batch; several are pipelined. BLMPOP takes up to `ack`
 * messages, and waits where there is none; TAKES of them are under way.
 */
#include "benchmarks/compare/redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAKES 2

const char peer_name[] = "redis-lists";
const bool peer_at_least_once = false;

static struct redis publisher, receiver;
static const char **words;
static size_t *word_bytes;
static uint32_t body_bytes, batch;
static char take_count[16];

int peer_open(const struct peer_options *o)
{
    body_bytes = o->size;
    batch = o->batch;
    words = calloc(batch + 2, sizeof *words);
    word_bytes = calloc(batch + 2, sizeof *word_bytes);
    if (!words || !word_bytes)
        return -1;
    (void)snprintf(take_count, sizeof take_count, "%u", o->ack);
    if (redis_open(&publisher, o->port) < 0 || redis_open(&receiver, o->port) < 0)
        return -1;
    return redis_call(&publisher, "DEL " PEER_QUEUE, NULL);
}

void peer_close(void)
{
    redis_close(&publisher);
    redis_close(&receiver);
    free(words);
    free(word_bytes);
}

int peer_publish(const uint8_t *bodies, uint32_t count)
{
    words[0] = "RPUSH";
    words[1] = PEER_QUEUE;
    word_bytes[0] = strlen(words[0]);
    word_bytes[1] = strlen(words[1]);
    for (uint32_t i = 0; i < count; i++) {
        words[i + 2] = (const char *)bodies + (size_t)i * body_bytes;
        word_bytes[i + 2] = body_bytes;
    }
    return redis_command(&publisher, (int)count + 2, words, word_bytes);
}

int peer_flush(void)
{
    return redis_flush(&publisher);
}

int64_t peer_confirmed(bool wait)
{
    int64_t count = 0;
    int code = 0;
    for (redisReply *reply; (reply = redis_answer(&publisher, wait && count == 0, &code)); count += batch)
        freeReplyObject(reply);
    return code < 0 ? -1 : count;
}

static int take(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        return 0; /* nothing came in time */
    const redisReply *list = reply->element[1];
    for (size_t i = 0; i < list->elements; i++)
        if (load_message(list->element[i]->str, (uint64_t)list->element[i]->len) < 0)
            return -1;
    load_acked(list->elements);
    return 0;
}

int peer_receive(void)
{
    const char *command[] = {"BLMPOP", "0.1", "1", PEER_QUEUE, "LEFT", "COUNT", take_count};
    const int length = sizeof command / sizeof *command;
    int code = 0;
    while (receiver.owed < TAKES)
        if (redis_command(&receiver, length, command, NULL) < 0)
            return -1;
    if (redis_flush(&receiver) < 0)
        return -1;
    redisReply *reply = redis_answer(&receiver, true, &code);
    if (reply) {
        code = take(reply);
        freeReplyObject(reply);
    }
    return code;
}
