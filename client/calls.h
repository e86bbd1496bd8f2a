/*
 * calls: the requests that have been sent and what is to become of their answers. A slab of slots: a call's token is
 * its msgid on the wire and names its slot, so an answer finds its call with one array access, and any number may be
 * in flight in any order of answering.
 *
 *     free -> SENT -> (answered) -> free                  a callback, or the one that is being waited for
 *             SENT -> KEPT -> (fetched or forgotten) -> free      nobody has waited yet: the answer is copied
 *             SENT -> FORGOTTEN -> (answered) -> free     the caller has given up
 *
 * Calls that are not answered stand in a list in the order of sending: that is the order in which a lost connection
 * completes them. A slot is reused only after its answer, so an answer can never be taken for that of another call.
 */
#ifndef CLIENT_CALLS_H
#define CLIENT_CALLS_H

#include "client/ringmq.h"

/* A token is slot index << CALL_GENERATION_BITS | generation; index 0 is never used, so no token is 0. */
#define CALL_GENERATION_BITS 8
#define CALL_SLOTS_MAX       (1U << 24)

enum call_kind {
    CALL_PLAIN,
    CALL_HELLO,
    CALL_PUBLISH, /* payload.publish */
    CALL_RECEIVE,
    CALL_CONSUME,     /* payload.consumer */
    CALL_RESUBSCRIBE, /* payload.consumer */
    CALL_CANCEL,      /* payload.consumer */
};

enum call_stage { CALL_FREE, CALL_SENT, CALL_FORGOTTEN, CALL_KEPT };

struct call {
    uint32_t token;
    uint32_t next; /* indexes; in the list of unanswered calls, or of free slots */
    uint32_t previous;
    uint8_t kind;  /* enum call_kind */
    uint8_t stage; /* enum call_stage */
    ringmq_answer_cb *answer_cb;
    void *arg;
    union {
        struct ringmq_unconfirmed *publish; /* NULL: no copy is kept */
        uint64_t consumer;
        struct ringmq_copy *answer; /* CALL_KEPT: [1, msgid, error, result]; NULL: the connection was lost */
    } payload;
};

struct calls {
    struct call *slots;
    uint32_t cap;
    uint32_t used; /* slots ever used; index 0 is the head of the list of unanswered calls */
    uint32_t free; /* first free slot, or 0 */
    uint32_t unanswered;
};

/* An empty slab without memory. */
void calls_init(struct calls *calls);

/* Frees the slab; all calls must have been removed by their owner or be of no payload. */
void calls_close(struct calls *calls);

/* A new call, SENT, at the end of the list, payload zero. NULL with RINGMQ_ERR_NO_MEMORY or _LIMIT in *status. */
struct call *calls_add(struct calls *calls, int *status);

/* The call of a token, in any stage but free, or NULL. Valid until the next calls_add(). */
struct call *calls_find(const struct calls *calls, uint64_t token);

/* The oldest unanswered call, or NULL. */
struct call *calls_oldest(const struct calls *calls);

/* Takes an unanswered call out of the list: it is KEPT from now on. */
void calls_keep(struct calls *calls, struct call *call);

/* Gives the slot of a call back, whatever its stage. */
void calls_remove(struct calls *calls, struct call *call);

#endif
