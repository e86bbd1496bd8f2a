/*
 * tape: a conversation of two clients with the server, recorded once and played back as often as one likes.
 *
 *     tape_record()   real clients, in this process: one publishes, the other acks the receipts that it is given
 *     tape_play()     a fresh server hears the same bytes in the same turns, and must say the same bytes; this is counted
 *
 * Receipts and ids depend on nothing but the order of what happens, so the acks of the first run are right in the second.
 * The clients check on the way that every request succeeds and every message arrives and is acked.
 */
#ifndef BENCHMARKS_REPLAY_TAPE_H
#define BENCHMARKS_REPLAY_TAPE_H

#include "protocol/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct counter;

enum { PRODUCER, CONSUMER, CLIENTS };

struct scene {
    const char *name;
    uint32_t body_bytes;
    uint32_t batch;  /* messages in a publish */
    uint32_t groups; /* above 0: a fifo queue, its messages in these groups in turn */
    uint32_t copies; /* above 1: a topic, and so many queues that get each message */
    bool drain;      /* everything is published before there is a consumer; only what comes then counts */
    uint32_t count;  /* messages; copies of them if there are several */
};

struct tape {
    struct buffer in[CLIENTS];  /* what the clients say */
    struct buffer out[CLIENTS]; /* what the server says */
    struct buffer turns;        /* size_t[CLIENTS] for each turn: how much of `in` had been sent by then */
    size_t counted_from;        /* the turn that counting begins with */
};

/* Both exit with a line on stderr if something goes wrong. */
void tape_record(struct tape *t, const struct scene *scene);
void tape_play(const struct tape *t, struct counter *counter);

void tape_free(struct tape *t);

#endif
