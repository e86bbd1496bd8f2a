/*
 * connection: the struct, for the two files that are about it: connection.c, its states and its input, and output.c.
 */
#ifndef SERVER_NET_CONNECTION_H
#define SERVER_NET_CONNECTION_H

#include "server/net/reactor.h"

enum connection_state { CONNECTION_SERVING, CONNECTION_FLUSHING, CONNECTION_LINGERING };
enum connection_place { PLACE_NONE, PLACE_BLOCKED, PLACE_FLUSHING, PLACE_LINGERING, PLACE_WARM };

struct connection {
    ev_io io; /* active with those events that are wanted now */
    struct net *net;
    struct session *session; /* only while SERVING */
    struct buffer out;
    uint8_t *rest; /* input not handled yet, or NULL */
    size_t rest_bytes;
    size_t rest_used;
    uint64_t written_bytes;   /* of output, since it was opened */
    uint64_t discarded_bytes; /* of input */
    int64_t since_ms;         /* when it entered its place or last made progress there */
    size_t counted_bytes;     /* its part of net->memory_bytes */
    size_t warm_bytes;        /* its part of net->warm_bytes */
    struct link all;          /* in net->connections */
    struct link turn;         /* in net->touched or net->runnable */
    struct link place_link;   /* in the list that `place` says */
    uint8_t state;            /* enum connection_state */
    uint8_t place;            /* enum connection_place */
    bool eof;                 /* the peer sends nothing more */
    bool doomed;              /* to be ended */
    bool full;                /* has had more than max_output_bytes of output, and still more than half */
    bool writable;            /* as far as is known */
};

static inline struct connection *connection_of_place(struct link *place)
{
    return LINK_OF(place, struct connection, place_link);
}

/* Writes as much as the socket takes. Returns how much that was, or -1 on a socket error. */
ssize_t connection_flush(struct connection *c);

/* Puts the connection where its deadline, or its unused output area, is seen to. `written`: in this turn. */
void connection_find_place(struct connection *c, size_t written);
void connection_leave_place(struct connection *c);

/* Brings net->memory_bytes up to date with what the connection holds now. */
void connection_count_memory(struct connection *c);

#endif
