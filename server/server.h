/*
 * server: the program put together. The loop (net) moves bytes, the native door turns them into calls of the broker
 * and its effects into bytes; here the three are wired, and here is the order in which a turn ends:
 *
 *     keeping_collect()  what has become safe in the log, if there is one (server/keeping.h)
 *     broker_turn()      what is due happens, ready messages are dealt
 *     keeping_write()    what this turn has changed goes to the log
 *     native_effects()   deliveries and late answers become bytes
 *     keeping_answer()   answers that waited for the log become bytes
 *     net_flush()        one write for each connection that has output
 *     sleep until broker_next_ms(), or until a socket or the log has something
 *
 * How it stops (SIGTERM, SIGINT): nothing new is accepted or delivered; acks of what is being worked on, and answers
 * that wait for the log, are waited for, at most drain_timeout; consumers are told, connections end after their output.
 * A second signal cuts all that short. Then the log is made safe and ended. The last line says how many messages are
 * kept, or went with the process.
 *
 * How it reloads (SIGHUP): file and flags are read again; what can change at run time does, the rest is logged.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "server/ops/config.h"

#include <stdbool.h>

struct server;

/* Checks what the list of options can't: the form of addresses, and of definitions. False with a text. */
bool server_check(const struct options *options, struct option_error *error);

/*
 * A server that listens. `config` must outlive it; config.set and reloads change its options. NULL after one line in
 * the log that says what failed.
 */
struct server *server_open(struct config *config);

/* Serves until it is told to stop by a signal, or its log has failed. False if something is lost by the end that should
   have been kept. */
bool server_run(struct server *server);

void server_close(struct server *server);

#endif
