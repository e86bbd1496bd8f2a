/*
 * reactor: the insides of net that its files share. net.c has the turn, listener.c the way in, connection.c what
 * happens to a connection.
 */
#ifndef SERVER_NET_REACTOR_H
#define SERVER_NET_REACTOR_H

#include "server/net/address.h"
#include "server/net/list.h"
#include "server/net/net.h"
#include "server/ops/log.h"

#include <ev.h>

#define NET_LISTENERS 36
#define NET_SIGNALS   4

/* Of log lines that peers can cause. */
#define NET_LINES_PER_SECOND 5

struct listener {
    ev_io io;
    struct net *net;
    struct address address;
    dev_t device; /* of the socket file, so that it is known again */
    ino_t inode;
};

struct net {
    struct ev_loop *loop;
    ev_check turn_begin;
    ev_prepare turn_end;
    ev_idle restless; /* active while the loop is not to sleep */
    ev_timer wake;
    ev_async nudge;  /* net_wake() */
    int64_t wake_ms; /* what `wake` is set to; NET_NEVER: not active */
    ev_signal signals[NET_SIGNALS];
    uint32_t signal_count;

    struct net_door door;
    struct net_limits limits;
    struct net_counters counters;
    int64_t now_ns; /* the turn's time as it was read */
    int64_t now_ms; /* the same, rounded up */
    uint8_t *input; /* NET_READ_BYTES, for all connections */
    uint64_t memory_bytes;
    struct log_limit slow_lines;
    struct log_limit accept_lines;

    struct listener listeners[NET_LISTENERS];
    uint32_t listener_count;
    int64_t accept_again_ms; /* accepting pauses until then; 0: it does not */

    uint64_t connection_count;
    struct link connections;
    struct link touched;   /* something happened to them in this turn */
    struct link runnable;  /* have input left over that can be handled in the next turn */
    struct link blocked;   /* have output that their peer does not take, longest first */
    struct link flushing;  /* the same, and their session has ended */
    struct link lingering; /* wait for the peer to close, longest first */
    struct link warm;      /* have nothing to write and an output area, longest first */
    uint64_t warm_count;
    uint64_t warm_bytes;
};

/* ---- listener.c ---- */

/* Takes up accepting again after a pause. */
void listeners_resume(struct net *net);

/* Applies limits.keepalive_ms to the listeners; accepted sockets inherit it. */
void listeners_set_keepalive(struct net *net);

/* ---- connection.c ---- */

/* Takes an accepted socket over. `refuse`: only to say that there are too many. */
void connection_open(struct net *net, int fd, const struct address *peer, bool refuse);

/* Closes it now, whatever its state. */
void connection_close(struct connection *connection);

/* Handles input that was left over. */
void connection_resume(struct connection *connection);

/* The end of the connection's turn: output, state, memory. May free it. */
void connection_settle(struct connection *connection);

/* Closes those whose time is up. */
void connections_expire(struct net *net);

/* When the first of them is up, or NET_NEVER. */
int64_t connections_next_ms(const struct net *net);

/* The connections that hold these links. */
struct connection *connection_of_turn(struct link *turn);
struct connection *connection_of_all(struct link *all);

#endif
