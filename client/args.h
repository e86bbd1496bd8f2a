/*
 * args: what the library itself needs to know about a writer of arguments.
 */
#ifndef CLIENT_ARGS_H
#define CLIENT_ARGS_H

#include "client/ringmq.h"
#include "protocol/buffer.h"
#include "protocol/limits.h"

struct ringmq_args {
    struct buffer bytes;
    uint32_t count;                /* top-level items */
    uint32_t depth;                /* containers around the last item; full ones are left with the next */
    uint64_t missing[LIMIT_DEPTH]; /* elements that each of them still lacks */
    int status;                    /* RINGMQ_OK, or what went wrong first */
};

/* RINGMQ_OK if the writer can be sent, or what is wrong with it. `args` may be NULL. */
int args_status(const struct ringmq_args *args);

#endif
