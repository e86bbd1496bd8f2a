/*
 * client_peer: the other end of a client's connection, for tests: a Unix socket that a test reads and writes by hand,
 * in the test's own thread. It has its own MessagePack, written for this, that knows nothing of the library's.
 *
 * Values are written as text, the way the protocol's documents write them:
 *
 *     nil true false 12 -3 0.5 "str" #"bin" [a, b] {"key": value}
 *
 * Blocking calls work because answers may lie in the socket before the call is made: the tokens (msgids) of calls
 * made one after the other are known beforehand, see peer_answers().
 */
#ifndef TESTS_UNIT_CLIENT_PEER_H
#define TESTS_UNIT_CLIENT_PEER_H

#include "client/ringmq.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PEER_HELLO \
    "{\"server\": \"ringmq\", \"version\": \"9.9\", \"protocol\": 1, \"limits\": {\"max_request_bytes\": 1000000}}"

struct peer {
    int listener;
    int fd; /* -1: nobody is connected */
    char directory[64];
    char path[96];
    uint32_t next_token; /* of the next call, if calls are made one after the other */
    uint8_t *heard;      /* bytes read and not yet looked at */
    size_t heard_bytes;
    size_t heard_cap;
    char *text; /* what peer_hears() returned last */
};

/* Listens in a directory of its own. */
void peer_open(struct peer *peer);
void peer_close(struct peer *peer);

/* A connection to this peer that is not connected yet. `options` may be NULL; its socket_path is set here. */
struct ringmq *peer_client(struct peer *peer, const struct ringmq_options *options);

/* A connection that is RINGMQ_READY; its hello has been looked at. */
struct ringmq *peer_ready_client(struct peer *peer, const struct ringmq_options *options);

/* Accepts, hears hello and answers it: `conn` has been started and becomes RINGMQ_READY. */
void peer_greet(struct peer *peer, struct ringmq *conn);

/* Takes the connection that a client has begun; closes an earlier one. */
void peer_accept(struct peer *peer);

/* Closes the connection; what the client has sent and nobody has heard is dropped. */
void peer_hangs_up(struct peer *peer);

/* Sends one value. */
void peer_says(struct peer *peer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends bytes as they are. */
void peer_sends(struct peer *peer, const void *bytes, size_t count);

/* Sends [1, token of the next call, nil, result], or with an error. */
void peer_answers(struct peer *peer, const char *result);
void peer_refuses(struct peer *peer, const char *error);

/* The next value that the client has sent, as text; fails the test if there is none. Valid until the next call. */
const char *peer_hears(struct peer *peer);

/* The same of a request, without its shape and msgid: `method [params]`. */
const char *peer_hears_call(struct peer *peer);

/* Whether the client has sent anything that was not looked at. */
bool peer_has_more(struct peer *peer);

/* Fails the test if it has. */
void peer_hears_nothing(struct peer *peer);

/* Encodes a value: returns its bytes, to be freed by the caller. */
uint8_t *peer_encode(const char *text, size_t *bytes);

/* Writes a value of the library as text, to be freed by the caller. */
char *peer_value_text(struct ringmq_value value);

#endif
