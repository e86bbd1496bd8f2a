/*
 * waiting: answers that may not leave yet, because the log does not hold what they confirm as safely as it is to.
 *
 * One line for all sessions of a door, in the order of their places in the log, so that what becomes safe is always at
 * its front. While a request is handled its answer is put together at the end of the line's bytes:
 *
 *     out = waiting_begin()    ... the handler encodes its answer into `out` ...
 *     waiting_keep()           it waits for a place in the log; or
 *     waiting_pass()           it need not wait, and goes to its session's output
 *     waiting_release()        later: those whose place has become safe go there
 *
 * What can fail is memory: the answer is lost, and its session's output turns `failed`, which ends the connection.
 *
 * A session that ends while answers of it wait leaves its struct behind (session.h); they are dropped when their turn
 * comes.
 */
#ifndef SERVER_DOORS_NATIVE_WAITING_H
#define SERVER_DOORS_NATIVE_WAITING_H

#include "protocol/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

struct waiting_answer {
    struct session *session;
    uint64_t place;
    uint32_t msgid;
    uint32_t bytes;
};

/* All zero: empty. */
struct waiting {
    struct buffer bytes; /* of the answers, one behind the other */
    size_t begun_at;     /* where the one that is put together now begins */
    struct waiting_answer *answers;
    size_t first, count, cap; /* of `answers`, a ring; cap is a power of two */
};

/* Frees it; answers that wait are dropped. */
void waiting_close(struct waiting *waiting);

/* Where the answer that may have to wait is to be put. */
struct buffer *waiting_begin(struct waiting *waiting);

/* True if something has been put there: an answer that comes later has not. */
static inline bool waiting_begun(const struct waiting *waiting)
{
    return waiting->bytes.bytes > waiting->begun_at || waiting->bytes.failed;
}

/* `place` never goes back. */
void waiting_keep(struct waiting *waiting, struct session *session, uint32_t msgid, uint64_t place);
void waiting_pass(struct waiting *waiting, struct session *session);

/* Takes the first answer if its place is at most `safe`; `failed`: whatever its place is, as LOG_FAILED if it is above. The
   session that it has gone to, NULL if there is none; false if there was no such answer. */
bool waiting_release(struct waiting *waiting, uint64_t safe, bool failed, struct session **session);

/* Gives memory that the line needs no longer back, if it is empty. */
void waiting_trim(struct waiting *waiting);

size_t waiting_memory(const struct waiting *waiting);

#endif
