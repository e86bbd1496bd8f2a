/*
 * net_fixture: a loop with a door that is easy to predict, for the tests of server/net. Each byte of input is a
 * request:
 *
 *     .  no answer           a  one byte, 'a'            K  1024 bytes that number themselves
 *     S  a spliced block     E  "bye", and it is over    F  the out buffer fails, as if memory had run out
 */
#ifndef TESTS_UNIT_NET_FIXTURE_H
#define TESTS_UNIT_NET_FIXTURE_H

#include "server/net/reactor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIXTURE_SPLICE_BYTES 10000
/* What net counts when there is no connection. */
#define FIXTURE_EMPTY_BYTES NET_READ_BYTES

#define FIXTURE_MAX_OUTPUT 65536

struct session {
    struct fixture *fixture;
    struct connection *connection;
    struct buffer *out;
    uint64_t request_count;
    uint64_t block_count;
    uint64_t written_bytes;
    bool ending;
};

struct fixture {
    struct net *net;
    struct session *session; /* the last one that was opened, NULL once it is closed */
    uint64_t opened_count;
    uint64_t closed_count;
    int64_t next_ms;        /* what turn_cb returns */
    uint64_t most_requests; /* of one call of input_cb */
    int fd;                 /* the peer's end of fixture_connect() */
};

extern int fixture_splices; /* blocks that somebody holds */

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);

/* A connection over a socket pair; f->fd is the peer's end. */
void fixture_connect(struct fixture *f);

/* Takes so many turns of the loop, without sleeping. */
void fixture_turns(struct fixture *f, int count);

void fixture_send(const struct fixture *f, const void *data, size_t bytes);

/* Sends so many requests of one kind. */
void fixture_request(const struct fixture *f, char kind, size_t count);

/* Reads what has arrived, `max` bytes at most. Returns how much; sets *eof if the connection has ended. */
size_t fixture_read(const struct fixture *f, uint8_t *to, size_t max, bool *eof);

/* The bytes are those that the K requests of a connection were answered with, from byte first_byte on. */
void fixture_check_blocks(const uint8_t *data, size_t bytes, uint64_t first_byte);

/* True if the loop would sleep now, and for ever. */
bool fixture_at_rest(const struct fixture *f);

#endif
