/*
 * Redis Streams with a consumer group, at least once. A stream takes one entry a command: a batch is XADDs in one write. The
 * receiver reads up to `ack` entries; one XACK takes all of them and is written together with the next read. What is acked
 * stays in the stream until it is trimmed, which is done every TRIM_BYTES, by whole nodes (the cheapest way).
 */
#include "benchmarks/compare/redis.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIM_BYTES 1048576
#define ID_BYTES   44 /* two numbers of 64 bits and a hyphen */

const char peer_name[] = "redis-streams";
const bool peer_at_least_once = true;

static struct redis publisher, receiver;
static const char **words; /* of an XACK */
static char *ids;
static uint32_t body_bytes, read_most;
static uint64_t untrimmed; /* bytes */
static bool reading, ack_owed;
static char read_count[16];

int peer_open(const struct peer_options *o)
{
    body_bytes = o->size;
    read_most = o->ack;
    words = calloc(read_most + 3, sizeof *words);
    ids = calloc(read_most, ID_BYTES);
    if (!words || !ids)
        return -1;
    (void)snprintf(read_count, sizeof read_count, "%u", read_most);
    if (redis_open(&publisher, o->port) < 0 || redis_open(&receiver, o->port) < 0 ||
        redis_call(&publisher, "DEL " PEER_QUEUE, NULL) < 0)
        return -1;
    return redis_call(&publisher, "XGROUP CREATE " PEER_QUEUE " workers 0 MKSTREAM", NULL);
}

void peer_close(void)
{
    redis_close(&publisher);
    redis_close(&receiver);
    free(words);
    free(ids);
}

int peer_publish(const uint8_t *bodies, uint32_t count)
{
    const char *command[] = {"XADD", PEER_QUEUE, "*", "b", NULL};
    size_t bytes[] = {4, strlen(PEER_QUEUE), 1, 1, body_bytes};
    for (uint32_t i = 0; i < count; i++) {
        command[4] = (const char *)bodies + (size_t)i * body_bytes;
        if (redis_command(&publisher, 5, command, bytes) < 0)
            return -1;
    }
    return 0;
}

int peer_flush(void)
{
    return redis_flush(&publisher);
}

int64_t peer_confirmed(bool wait)
{
    int64_t count = 0;
    int code = 0;
    for (redisReply *reply; (reply = redis_answer(&publisher, wait && count == 0, &code)); count++)
        freeReplyObject(reply);
    return code < 0 ? -1 : count;
}

static int ask(void)
{
    const char *command[] = {"XREADGROUP", "GROUP", "workers", "one",      "COUNT", read_count,
                             "BLOCK",      "100",   "STREAMS", PEER_QUEUE, ">"};
    if (redis_command(&receiver, sizeof command / sizeof *command, command, NULL) < 0)
        return -1;
    return redis_flush(&receiver);
}

static int ack(uint32_t count)
{
    words[0] = "XACK";
    words[1] = PEER_QUEUE;
    words[2] = "workers";
    for (uint32_t i = 0; i < count; i++)
        words[i + 3] = ids + (size_t)i * ID_BYTES;
    untrimmed += (uint64_t)count * body_bytes;
    ack_owed = true;
    if (redis_command(&receiver, (int)count + 3, words, NULL) < 0)
        return -1;
    if (untrimmed < TRIM_BYTES)
        return 0;
    untrimmed = 0;
    const char *trim[] = {"XTRIM", PEER_QUEUE, "MINID", "~", ids + (size_t)(count - 1) * ID_BYTES};
    return redis_command(&receiver, sizeof trim / sizeof *trim, trim, NULL);
}

/* [[stream, [[id, ["b", body]], ...]]] */
static int take(const redisReply *reply)
{
    const redisReply *entries = reply->element[0]->element[1];
    for (size_t i = 0; i < entries->elements; i++) {
        const redisReply *entry = entries->element[i], *body = entry->element[1]->element[1];
        if (load_message(body->str, (uint64_t)body->len) < 0)
            return -1;
        (void)snprintf(ids + i * ID_BYTES, ID_BYTES, "%s", entry->element[0]->str);
    }
    return ack((uint32_t)entries->elements);
}

/* One answer a call. They come in the order of the requests: to an XACK how many it acked, to an XTRIM, to the read. */
int peer_receive(void)
{
    int code = 0;
    if (!reading && ask() < 0)
        return -1;
    reading = true;
    redisReply *reply = redis_answer(&receiver, true, &code);
    if (!reply)
        return code;
    if (reply->type == REDIS_REPLY_INTEGER) {
        load_acked(ack_owed ? (uint64_t)reply->integer : 0);
        ack_owed = false;
    } else {
        reading = false;
        code = reply->type == REDIS_REPLY_ARRAY ? take(reply) : 0;
    }
    freeReplyObject(reply);
    return code;
}
