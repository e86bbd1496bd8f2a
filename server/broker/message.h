/*
 * message: one message in memory, header and contents in one allocation from the pool.
 *
 *     struct message | extras (group, headers), if it has any | body, or a pointer to a shared body
 *
 * Bodies of MESSAGE_SHARE_BYTES and more lie apart, counted by reference: whoever streams one in from a socket or
 * sends it out holds a reference instead of a copy.
 *
 * Headers are the broker's own flat list of (key, typed scalar); it attaches no meaning to them.
 */
#ifndef SERVER_BROKER_MESSAGE_H
#define SERVER_BROKER_MESSAGE_H

#include "server/broker/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on a body is referenced instead of copied. */
#define MESSAGE_SHARE_BYTES 8192

/* The four states of a message in its queue; also the states of the queue's ring. */
enum message_state { MESSAGE_DELAYED, MESSAGE_READY, MESSAGE_INFLIGHT, MESSAGE_PARKED };

enum message_flag {
    MESSAGE_EXTRAS = 1, /* group or headers follow */
    MESSAGE_SHARED = 2, /* the body is a struct body */
    MESSAGE_TIMED = 4,  /* its expiry has a timer of its own; else the queue's sweep finds it */
};

#define MESSAGE_NO_SLOT UINT32_MAX

struct message {
    uint64_t id; /* its key in the queue's ring, which also knows its state */
    int64_t published_ms;
    int64_t expires_ms; /* when ttl or retention ends it; 0 = never */
    uint32_t body_bytes;
    uint32_t attempts; /* charged deliveries */
    uint32_t slot;     /* its slot (slots.h), or MESSAGE_NO_SLOT */
    uint32_t flags;    /* enum message_flag */
};

/* A body counted by reference. */
struct body {
    struct pool *pool;
    uint32_t refs;
    uint32_t bytes;
    uint8_t data[];
};

/* A view of bytes that somebody else owns. */
struct view {
    const void *data;
    size_t bytes;
};

enum header_kind {
    HEADER_NIL,
    HEADER_FALSE,
    HEADER_TRUE,
    HEADER_UINT,
    HEADER_INT,
    HEADER_FLOAT,
    HEADER_DOUBLE,
    HEADER_TEXT,
    HEADER_BYTES,
};

/* One header: a key and a scalar. */
struct header {
    enum header_kind kind;
    struct view key;
    uint64_t number;   /* UINT; INT as two's complement; FLOAT and DOUBLE as the bits of a double */
    struct view bytes; /* TEXT and BYTES */
};

/* What a message is made of; views stay the caller's, except `shared`. */
struct publication {
    struct view body;
    struct body *shared; /* a body already lying in a struct body (then body views into it), or NULL; on success the
                            message takes a reference of its own */
    struct view group;   /* empty: none */
    struct view headers; /* encoded by header_put(); empty: none */
    int64_t delay_ms;    /* -1: the queue's */
    int64_t ttl_ms;      /* -1: the queue's */
};

/* A body with one reference, not filled in; NULL when out of memory. */
struct body *body_new(struct pool *pool, uint32_t bytes);
struct body *body_ref(struct body *body);
void body_unref(struct body *body);

/* Bytes of pool that a message made of `p` will take; a body that is shared already takes no more. */
size_t message_cost(const struct publication *p);

/*
 * A message with body, group and headers copied or referenced; no slot, everything else zero. NULL when out of memory.
 */
struct message *message_new(struct pool *pool, const struct publication *p);
void message_free(struct pool *pool, struct message *message);

struct view message_body(const struct message *message);
struct view message_group(const struct message *message);
struct view message_headers(const struct message *message);

/* The shared body, borrowed, or NULL if the body lies in the message itself. */
struct body *message_shared(const struct message *message);

/* Bytes that header_put() will store for `h`. */
size_t header_bytes(const struct header *h);

/* Stores `h` at `out`; returns the byte after it. */
uint8_t *header_put(uint8_t *out, const struct header *h);

/* Takes the first header off `rest`. False at the end. */
bool header_next(struct view *rest, struct header *out);

#endif
