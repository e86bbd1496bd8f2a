/*
 * message: one message in memory, header and contents in one allocation from the pool.
 *
 *     struct message | links, if it stands in a tree | extras (group, dedup id, headers), if any | body, or a pointer to one
 *
 * Bodies of MESSAGE_SHARE_BYTES and more lie apart, counted by reference: whoever streams one in from a socket or
 * sends it out holds a reference instead of a copy.
 *
 * Headers are the broker's own flat list of (key, typed scalar); it attaches no meaning to them.
 */
#ifndef SERVER_BROKER_MESSAGE_H
#define SERVER_BROKER_MESSAGE_H

#include "server/broker/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* From here on a body is referenced instead of copied. */
#define MESSAGE_SHARE_BYTES 8192

/* The four states of a message in its queue; also the states of the queue's ring. */
enum message_state { MESSAGE_DELAYED, MESSAGE_READY, MESSAGE_INFLIGHT, MESSAGE_PARKED };

enum message_flag {
    MESSAGE_EXTRAS = 1,  /* group, dedup id or headers follow */
    MESSAGE_SHARED = 2,  /* the body is a struct body */
    MESSAGE_TIMED = 4,   /* its expiry has a timer of its own; else the queue's sweep finds it */
    MESSAGE_LINKED = 8,  /* links follow: it has a priority, or lies in a fifo queue */
    MESSAGE_HELD = 16,   /* delayed after a delivery: in a fifo queue it keeps its place and holds its group */
    MESSAGE_TTL = 32,    /* its expiry is that of its ttl, not of retention */
    MESSAGE_ALONE = 64,  /* the watcher's: a body of its own, although others share it in memory */
    MESSAGE_SPENT = 128, /* was inflight with its attempts used up when the last run ended (restore.h) */
};

#define MESSAGE_NO_SLOT UINT32_MAX

struct message {
    uint64_t id; /* its key in the queue's ring, which also knows its state */
    int64_t published_ms : 48;
    uint64_t mark : 16; /* the watcher's (watcher.h) */
    int64_t expires_ms; /* when ttl or retention ends it; 0 = never */
    uint32_t body_bytes;
    uint32_t attempts; /* charged deliveries */
    uint32_t slot;     /* its slot (slots.h), or MESSAGE_NO_SLOT */
    uint8_t flags;     /* enum message_flag */
    uint8_t priority;
    uint8_t first_high, last_high; /* first and last delivery, ms after published_ms, 40 bits each: 34 years */
    uint32_t first_low, last_low;
};

/* Of messages that are kept in order beside their ring (tree.h), and in a group (group.h). */
struct message_links {
    struct message *left, *right; /* in a tree; of the inflight messages of a group the previous and the next */
    struct group *group;          /* NULL on standard queues, and once the message is gone for everybody */
};

static inline struct message_links *message_links(struct message *message)
{
    return (struct message_links *)(void *)(message + 1);
}

/* A body counted by reference. */
struct body {
    struct pool *pool;
    uint32_t refs;
    uint32_t bytes;
    uint32_t copies; /* the watcher's, as is mark */
    uint16_t mark;
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
    struct body *shared;  /* a body already lying in a struct body (then body views into it), or NULL; on success the
                            message takes a reference of its own */
    struct view group;    /* empty: none */
    struct view dedup_id; /* empty: none */
    struct view headers;  /* encoded by header_put(); empty: none */
    int64_t delay_ms;     /* -1: the queue's */
    int64_t ttl_ms;       /* -1: the queue's */
    uint8_t priority;     /* 0 .. 9 */
};

/* A body with one reference, not filled in; NULL when out of memory. */
struct body *body_new(struct pool *pool, uint32_t bytes);
struct body *body_ref(struct body *body);
void body_unref(struct body *body);

/* Bytes of pool that a message made of `p` will take; a body that is shared already takes no more. */
size_t message_cost(const struct publication *p, bool linked);

/*
 * A message with body, group, dedup id and headers copied or referenced, and its priority; no slot, everything else zero.
 * `linked`: with links, all NULL. NULL when out of memory.
 */
struct message *message_new(struct pool *pool, const struct publication *p, bool linked);

/* Frees a message that is not bare. For message_free() alone. */
void message_free_rich(struct pool *pool, struct message *message);

/* A message that is nothing but a body, shorter than MESSAGE_SHARE_BYTES; all else as in *stamp. NULL when out of memory. */
static inline struct message *message_new_bare(struct pool *pool, struct view body, const struct message *stamp)
{
    assert(body.bytes < MESSAGE_SHARE_BYTES);
    struct message *message = pool_take(pool, sizeof *message + body.bytes);
    if (message == NULL)
        return NULL;
    *message = *stamp;
    message->body_bytes = (uint32_t)body.bytes;
    if (body.bytes > 0)
        memcpy(message + 1, body.data, body.bytes);
    return message;
}

/* True if the message is nothing but its header and, behind that, its body. */
static inline bool message_is_bare(const struct message *message)
{
    return (message->flags & (MESSAGE_EXTRAS | MESSAGE_SHARED | MESSAGE_LINKED)) == 0;
}

static inline void message_free(struct pool *pool, struct message *message)
{
    if (message_is_bare(message))
        pool_give(pool, message, sizeof *message + message->body_bytes);
    else
        message_free_rich(pool, message);
}

/* The body of a message that is not bare. For message_body() alone. */
struct view message_body_rich(const struct message *message);

static inline struct view message_body(const struct message *message)
{
    if (message_is_bare(message))
        return (struct view){message + 1, message->body_bytes};
    return message_body_rich(message);
}

struct view message_group(const struct message *message);
struct view message_dedup_id(const struct message *message);
struct view message_headers(const struct message *message);

/* All of these at once. */
struct message_texts {
    struct view headers, group, dedup_id;
};

struct message_texts message_texts(const struct message *message);

/* The shared body, borrowed, or NULL if the body lies in the message itself. */
struct body *message_shared(const struct message *message);

/* Monotonic times of the first and the last delivery, -1 if there was none. */
int64_t message_first_ms(const struct message *message);
int64_t message_last_ms(const struct message *message);
/* Notes a delivery, which counts as an attempt; or that the last one never took place. */
void message_delivered(struct message *message, int64_t now_ms);
void message_undelivered(struct message *message);
/* Sets what they have noted: -1: none. */
void message_set_deliveries(struct message *message, uint32_t attempts, int64_t first_ms, int64_t last_ms);

/* Times are 0 .. 2^47 - 1. */
static inline void message_set_published(struct message *message, int64_t published_ms)
{
    message->published_ms = published_ms & 0x7fffffffffff;
}

/* Bytes that header_put() will store for `h`. */
size_t header_bytes(const struct header *h);

/* Stores `h` at `out`; returns the byte after it. */
uint8_t *header_put(uint8_t *out, const struct header *h);

/* Takes the first header off `rest`. False at the end. */
bool header_next(struct view *rest, struct header *out);

#endif
