/*
 * net: sockets, buffers and the event loop. It moves bytes between sockets and whoever speaks the protocol (the
 * *door*), and says when a turn is over. It knows nothing of what the bytes mean.
 *
 * One turn of the loop
 *     the poll returns; the clock is read, once
 *     connections that had input left over from the turn before go on with it
 *     read(2) into one buffer that all connections share; input_cb() handles requests straight from there
 *     turn_cb(): the program ends its turn. It calls net_flush(): one write for each connection that has output,
 *         nothing is written anywhere else. What it returns is when the next turn must be at the latest.
 *     the loop sleeps until then, or until a socket has something, or not at all if there is work left over
 *
 * Bounded work: a connection is read once a turn, NET_READ_BYTES at most, and NET_TURN_REQUESTS requests of it are
 * handled. What is left is kept with the connection, and reading stops until it is used up.
 *
 * Back-pressure: while a connection holds more than max_output_bytes of output, or the door for it, its requests are not handled and its
 * socket is not read. It goes on when half of that has gone out. A peer that has taken nothing of its pending output
 * for slow_client_ms is disconnected.
 *
 * How a connection ends
 *     the peer has closed, or shut down its writing half: its session ends at once, what output is left still goes out
 *     the door says that it is ending, or connection_kill(): the output so far goes out, and then the session ends
 *         In both cases the socket is then shut down for writing, and what still arrives is thrown away until the peer
 *         closes too, for a bounded time: closing with unread input would make the system reset the connection, and
 *         the peer would lose the last answers. A peer that takes none of its last output for as long is closed too.
 *     a socket error, or a peer that does not read: closed at once
 *
 * Memory: a connection without traffic keeps its struct and its session, no buffers. The last few connections that had
 * output keep their output area for the next time. net_memory() is kept up to date with every change, not by counting.
 *
 * What can fail: out of memory costs the connection that needed it. Out of descriptors: accepting pauses for a
 * moment and the peers wait in the system's queue.
 */
#ifndef SERVER_NET_NET_H
#define SERVER_NET_NET_H

#include "protocol/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NET_READ_BYTES    ((size_t)512 * 1024)
#define NET_TURN_REQUESTS 1000

/* Descriptors beyond max_connections: for peers that are told that there are too many, listeners, the loop, the log. */
#define NET_REFUSAL_SLOTS     64
#define NET_SPARE_DESCRIPTORS (NET_REFUSAL_SLOTS + 64)

/* There is nothing to wait for but sockets. */
#define NET_NEVER INT64_MAX

/* Where the clock of the loop begins, ahead of the system's monotonic one: what was before the machine's start has a
   time above 0, too. */
#define NET_CLOCK_BASE_MS (INT64_C(1) << 40)

struct net;
struct connection;
struct session; /* what the door keeps of a connection; only passed through */

/* What the program around does. Times are milliseconds of the monotonic clock + NET_CLOCK_BASE_MS, rounded up. */
struct net_door {
    void *user;
    /* A connection has come; its answers go into `out`. NULL: no memory, it is closed. */
    struct session *(*open_cb)(void *user, struct connection *connection, struct buffer *out, const char *address,
                               int64_t now_ms);
    /* Handles requests: at most *budget of them, none while `out` is too full. Returns the bytes used. */
    size_t (*input_cb)(struct session *session, int64_t now_ms, const void *input, size_t bytes, uint32_t *budget);
    /* Bytes that the door keeps back and will put into `out`; they count like output that is there. Or NULL: none. */
    size_t (*waiting_cb)(const struct session *session);
    /* True if no more input is wanted: the connection is to end after what is in `out`. */
    bool (*ending_cb)(const struct session *session);
    /* The first total_bytes of all that was ever put into `out` have been written. */
    void (*written_cb)(struct session *session, int64_t now_ms, uint64_t total_bytes);
    /* There are too many connections; say so in `out` and be ending. */
    void (*refuse_cb)(struct session *session);
    void (*close_cb)(struct session *session, int64_t now_ms);
    size_t (*memory_cb)(const struct session *session);
    void (*release_cb)(void *owner); /* of `out`, see protocol/buffer.h */
    /* The end of a turn. Returns when the clock will have something to do: a time that has passed means go on at
       once. */
    int64_t (*turn_cb)(void *user, int64_t now_ms);
    /* A signal that net_catch() was asked for, outside of signal context. */
    void (*signal_cb)(void *user, int signal_number);
};

/* What may be changed while the loop runs. */
struct net_limits {
    uint64_t max_connections;
    uint64_t max_output_bytes;
    int64_t slow_client_ms;
    int64_t keepalive_ms; /* of silence, after which TCP asks; 0: never. For new connections */
};

struct net_counters {
    uint64_t turns;
    uint64_t accepted;
    uint64_t refused;
    uint64_t slow;
    uint64_t bytes_in;
    uint64_t bytes_out;
};

struct net_error {
    char text[1024];
};

/* A loop without listeners. `door` is copied. NULL when out of memory. */
struct net *net_open(const struct net_door *door, const struct net_limits *limits);

/* Closes listeners and connections (each session gets its close_cb) and frees everything. NULL is allowed. */
void net_close(struct net *net);

/* True if net_listen() would understand the address: IPv4 or IPv6 in digits, or "*" for every address of the
   machine. */
bool net_address_valid(const char *address);

/*
 * Listens on all the addresses, and logs a line for each. Port 0: any free one, the same for all. False and a text
 * for people if one of them can't be had; then none is listened on.
 */
bool net_listen(struct net *net, const char *const *addresses, size_t count, uint16_t port, struct net_error *error);

/* The same for a Unix socket. A socket file on which nobody listens is replaced; nothing else is ever removed. */
bool net_listen_unix(struct net *net, const char *path, mode_t mode, struct net_error *error);

/* Accepts nothing more; removes the file of the Unix socket, if it is still ours. */
void net_listen_stop(struct net *net);

/* Has signal_cb() called for that signal. */
void net_catch(struct net *net, int signal_number);

/* Runs until net_stop(). */
void net_run(struct net *net);
void net_stop(struct net *net);

/* Has the loop run a turn soon. The one call that another thread may make. */
void net_wake(struct net *net);

/* Writes what is pending, once per connection that has something. To be called from turn_cb() only. */
void net_flush(struct net *net);

/* Ends all connections as connection_kill() does; the next net_flush() begins with it. */
void net_finish(struct net *net);

/* Closes all connections at once; each session gets its close_cb. */
void net_drop(struct net *net);

void net_set_limits(struct net *net, const struct net_limits *limits);
const struct net_counters *net_counters(const struct net *net);
/* Reads the clock once more in this turn: something has held up the loop, and what is read from sockets now came later. */
void net_clock_again(struct net *net);

int64_t net_now_ms(const struct net *net);       /* the time of this turn */
uint64_t net_memory(const struct net *net);      /* of connections, sessions and buffers */
uint64_t net_connections(const struct net *net); /* open ones, those that are ending included */
bool net_output_pending(const struct net *net);  /* some peer has not taken all that was to be sent to it */

/* Output has been put into the connection's buffer outside of input_cb(). */
void connection_touch(struct connection *connection);

/* Ends the connection soon, after the output that it has. May be called from input_cb(), also for itself. */
void connection_kill(struct connection *connection);

#endif
