/*
 * messages: lists of messages between a request and the broker, for every method that stores some. Internal to the
 * native door.
 *
 * The bodies go to the broker as views of the request's bytes, in arrays that all requests share: of mere bodies, if a list
 * has nothing else, which is the usual case, or of publications. A body that was streamed lies where it will stay, and
 * only a reference to it is handed over. What is wrong with one message is noted at its index and goes to the broker
 * with the others, so that an answer has one order of entries.
 *
 *     messages_begin()   room for all lists of the request
 *     messages_read()    each list -> struct publications; messages.code: the whole call is refused, because of memory
 *     the broker's call
 *     messages_end()     gives back what the request still holds; the broker has references of its own
 */
#ifndef SERVER_DOORS_NATIVE_MESSAGES_H
#define SERVER_DOORS_NATIVE_MESSAGES_H

#include "server/doors/native/request.h"

struct messages {
    struct request *request;
    uint32_t room;        /* for the messages of all lists together */
    uint32_t body_count;  /* in scratch->bodies */
    uint32_t item_count;  /* in scratch->publications */
    bool refusals;        /* scratch->refused and ->which say something */
    bool shared;          /* some message has taken a streamed body */
    enum error_code code; /* the whole call is refused */
};

/* Room for `room` messages. False: MEMORY_LIMIT has been answered. */
static inline bool messages_begin(struct messages *m, struct request *r, uint32_t room)
{
    *m = (struct messages){.request = r, .room = room};
    if (native_publications(r->scratch, room))
        return true;
    answer_error(r, ERR_MEMORY_LIMIT, NULL);
    return false;
}

/* Reads the array at node `list`; *out is valid until messages_end(). */
void messages_read(struct messages *m, uint32_t list, struct publications *out);

/* What messages_end() does for more than bodies. */
void messages_release(struct messages *m);

static inline void messages_end(struct messages *m)
{
    if (m->item_count > 0)
        messages_release(m);
}

/* ---- what became of them ----------------------------------------------------------------------------------------- */

/* [first_id, count], and the exceptions by index if there are any: a duplicate's first id, or why one was refused. */
void encode_stored(struct buffer *out, uint64_t first_id, uint32_t stored, const struct outcome *outcomes,
                   uint32_t outcome_count);

/* A good answer of that alone. */
void answer_stored(struct request *r, uint64_t first_id, uint32_t stored, const struct outcome *outcomes,
                   uint32_t outcome_count);

/* An error that concerns a whole call, with the index of the message that is the reason if there is an outcome. */
void encode_unstored(struct buffer *out, enum error_code code, const char *which, const struct outcome *outcomes,
                     uint32_t outcome_count);

#endif
