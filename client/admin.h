/*
 * admin: the four steps of which the blocking calls that look at things or change them from outside are made: begin,
 * write the params, wait, read an integer, a map or nothing out of the answer.
 */
#ifndef CLIENT_ADMIN_H
#define CLIENT_ADMIN_H

#include "client/connection.h"

/* A blocking call that is being written. */
struct admin_call {
    struct request request;
    int64_t deadline_ms;
};

/* Begins a call; `params` params follow. */
int admin_begin(struct admin_call *call, struct ringmq *conn, const char *method, uint32_t params, int timeout_ms);

/* Begins a call whose first param is the name of a queue or topic; `more` params follow it. ARGUMENT if it is NULL. */
int admin_begin_named(struct admin_call *call, struct ringmq *conn, const char *method, const char *name, uint32_t more,
                      int timeout_ms);

/* Where the params are written. */
static inline struct buffer *admin_output(struct admin_call *call)
{
    return request_output(&call->request);
}

/* Ends a call, whatever it is answered with; with a map; with a count. `result` may be NULL. */
int admin_end(struct admin_call *call, struct ringmq_value *result);
int admin_end_map(struct admin_call *call, struct ringmq_value *result);
int admin_end_count(struct admin_call *call, uint64_t *result);

/* Ends a call that is answered with {created: bool}. */
int admin_end_created(struct admin_call *call, bool *created);

/* Writes the options of a list, as one map. `options` may be NULL. */
void list_options_encode(struct buffer *out, const struct ringmq_list_options *options);

/* RINGMQ_OK if a writer holds one complete map or is NULL, or what is wrong; `what` says so in words. */
int map_check(struct ringmq *conn, const struct ringmq_args *map, const char *what);

#endif
