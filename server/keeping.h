/*
 * keeping: the log (server/log/wal.h) as the server uses it: with the options, the loop and the door. Without the
 * option `dir` there is none, and everything here does nothing.
 *
 * In a turn of the loop (server/server.h)
 *     keeping_collect()   what the log's thread has finished
 *     ... the broker's turn ...
 *     keeping_write()     what this turn has changed goes to the log
 *     ... effects become bytes, close to the moment when they are sent, for the sake of the processor's caches ...
 *     keeping_answer()    answers whose changes are safe go to their sessions
 *     ... output is written: deliveries never leave before they are in the log ...
 *     keeping_next_ms()   at once, if writing the output has changed something (what is acked by being written)
 *
 * When the log's state changes (full, good again, failed) one line says so. What happens when it has failed is the
 * option log_failure: the server lives on in memory, or keeping_write() asks for its end.
 */
#ifndef SERVER_KEEPING_H
#define SERVER_KEEPING_H

#include "server/doors/native.h"
#include "server/log/files.h"
#include "server/log/wal.h"
#include "server/net/net.h"

#include <stdbool.h>
#include <stdint.h>

struct keeping {
    const struct options *options;
    struct net *net;
    uint64_t pauses; /* of the log, when the clock was read last */
    struct native *door;
    struct wal *wal; /* NULL: nothing is kept */
    struct files files;
    struct native_log hooks;
    enum wal_state state; /* that the log last told of */
    enum wal_level level; /* that it was told */
    int64_t interval_ms;
    uint64_t place;  /* at the end of keeping_write() */
    int64_t told_ms; /* when the recovery last said how far it is */
};

/*
 * Opens the log and builds the broker, which is empty, from it. Blocks. False with one line if there is a directory and
 * it can't be had; then nothing needs to be closed.
 */
bool keeping_open(struct keeping *k, const struct options *options, struct net *net, struct broker *broker,
                  int64_t now_ms, char *error, size_t error_bytes);

/* From now on the door's answers wait for the log. */
void keeping_attach(struct keeping *k, struct native *door);

/* The options have changed. */
void keeping_changed(struct keeping *k);

void keeping_collect(struct keeping *k, int64_t now_ms);

/* False if the server is to end because the log has failed. */
bool keeping_write(struct keeping *k, int64_t now_ms);

/* touched_cb as of native_safe(). */
void keeping_answer(struct keeping *k, void (*touched_cb)(void *user, struct session *session), void *user);

/* When the next turn must be at the latest, or NET_NEVER. */
int64_t keeping_next_ms(const struct keeping *k, int64_t now_ms);

uint64_t keeping_memory(const struct keeping *k);

/* Makes everything safe and ends the log. False if it could not be done. May be called again. */
bool keeping_close(struct keeping *k);

/* The same, and the last line of the server: how many messages of the broker are kept, or are lost with the process. */
bool keeping_end(struct keeping *k, const struct broker *broker);

#endif
