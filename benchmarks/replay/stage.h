/*
 * stage: a broker and a native door in virtual time, with a producer's and a consumer's connection. A turn is what a turn of
 * the server is (server/server.c), less its sockets: bytes in, broker_turn(), effects, bytes out.
 *
 * Where a program of the network would have sent and received, there are arrays: of each client's bytes a turn may take up to
 * what has been `sent`, at most a read's worth; what the server has to say is shown to take_cb and counts as written.
 */
#ifndef BENCHMARKS_REPLAY_STAGE_H
#define BENCHMARKS_REPLAY_STAGE_H

#include "benchmarks/broker/count.h"
#include "benchmarks/replay/tape.h"
#include "server/doors/native.h"

struct client {
    struct session *session;
    struct buffer out;
    uint64_t written_bytes;
    size_t used, read; /* of what the client sent: handled, and taken from its connection */
};

struct stage {
    struct options options;
    struct broker broker;
    struct native door;
    struct client clients[CLIENTS];
    int64_t now_ms;
    uint64_t turns;
    struct counter *counter; /* counts the turns, but not take_cb; or NULL */
    void (*take_cb)(void *user, int client, const struct iovec *iov, int count);
    void *user;
};

/* Exits if there is no memory. `s` must stay where it is. */
void stage_open(struct stage *s);
void stage_close(struct stage *s);

/* sent[p]: how many bytes the client has sent since it came; they begin at bytes[p]. */
void stage_turn(struct stage *s, const uint8_t *const bytes[CLIENTS], const size_t sent[CLIENTS]);

#endif
