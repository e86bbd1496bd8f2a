/*
 * server: what is known of the server under load: what it says of itself, and, if it runs on this machine, what the system
 * says of its process.
 */
#ifndef BENCHMARKS_SERVER_H
#define BENCHMARKS_SERVER_H

#include "benchmarks/wire.h"

#include <time.h>

struct server {
    struct wire wire; /* its own connection, apart from the load */
    uint64_t pid;
    bool local;
    clockid_t clock; /* of its process, if it is local */
    bool has_log;
};

/* All return 0, or -1 after a line on stderr. */

/* Connects and finds out who that is; the level of its log goes into the result. */
int server_open(struct server *s, const struct bench_options *o, struct bench_result *r);
void server_close(struct server *s);

/* User and system time so far: from the system's clock of its process, else as it says itself, in whole milliseconds. */
int server_cpu_ns(struct server *s, double *ns);

/* What it has written to its log, 0 without one. */
int server_log_bytes(struct server *s, double *bytes);

/* One number of server.info. */
int server_number(struct server *s, const char *section, const char *key, uint64_t *out);

/* How often it has gone to sleep; 0 if it is not local. */
uint64_t server_switches(const struct server *s);

#endif
