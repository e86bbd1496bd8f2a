/*
 * queue: a named list of messages, its attributes, its counters, and who stands in line for it. The steps that change it are
 * in broker.h; this header is what the doors read.
 *
 * Invariants, at every moment:
 *     delayed + ready + inflight + parked = total                      (ring_total of its ring)
 *     published + arrived = acked + expired + purged + discarded + dropped + dead_lettered + moved + total
 */
#ifndef SERVER_BROKER_QUEUE_H
#define SERVER_BROKER_QUEUE_H

#include "protocol/attributes.h"
#include "protocol/limits.h"
#include "server/broker/group.h"
#include "server/broker/message.h"
#include "server/broker/ring.h"
#include "server/broker/timers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum attribute {
#define X(field, kind, def, min, max, choices, help) ATTRIBUTE_##field,
    ATTRIBUTE_LIST(X)
#undef X
        ATTRIBUTE_TOTAL
};

enum queue_type { QUEUE_STANDARD, QUEUE_FIFO };
enum overflow { OVERFLOW_REJECT, OVERFLOW_DROP_OLDEST, OVERFLOW_DEAD_LETTER_OLDEST };
enum dedup_scope { DEDUP_QUEUE, DEDUP_GROUP };

struct queue_name {
    uint8_t bytes; /* 0: nil */
    char text[LIMIT_NAME_BYTES];
};

/* The delay before attempt n + 1: min(cap, base * factor^(n-1)), times a random number from (1 - jitter) to 1. */
struct backoff {
    int64_t base_ms; /* 0: nil */
    int64_t cap_ms;  /* 0: none */
    double factor;   /* 1 .. BACKOFF_FACTOR_MAX */
    double jitter;   /* 0 .. 1 */
};

#define ATTRIBUTE_TYPE_MS      int64_t
#define ATTRIBUTE_TYPE_COUNT   int64_t
#define ATTRIBUTE_TYPE_BYTES   int64_t
#define ATTRIBUTE_TYPE_CHOICE  int64_t
#define ATTRIBUTE_TYPE_BOOL    int64_t
#define ATTRIBUTE_TYPE_NAME    struct queue_name
#define ATTRIBUTE_TYPE_BACKOFF struct backoff

struct attributes {
#define X(field, kind, def, min, max, choices, help) ATTRIBUTE_TYPE_##kind field;
    ATTRIBUTE_LIST(X)
#undef X
};

struct attribute_row {
    const char *name;
    enum attribute_kind kind;
    int64_t initial, min, max;
    const char *choices;
    const char *help;
};

/* Values, and which of them were named (bit n: attribute n). */
struct attribute_set {
    struct attributes values;
    uint32_t named;
};

const struct attribute_row *attribute_row(enum attribute a);
/* The attribute of that name, or ATTRIBUTE_TOTAL. */
enum attribute attribute_find(const char *name, size_t bytes);
/* A scalar's place and value; NAME and BACKOFF are read by their fields. */
int64_t *attribute_value(struct attributes *attributes, enum attribute a);
int64_t attribute_get(const struct attributes *attributes, enum attribute a);
static inline bool attribute_is_scalar(enum attribute_kind kind)
{
    return kind != ATTRIBUTE_NAME && kind != ATTRIBUTE_BACKOFF;
}
/* One attribute, of whatever kind. */
void attribute_copy(struct attributes *to, const struct attributes *from, enum attribute a);
bool attribute_equal(const struct attributes *x, const struct attributes *y, enum attribute a);
/* True if the value lies in its range. */
bool attribute_valid(const struct attributes *attributes, enum attribute a);
/* True for 1 to 255 bytes of A-Z a-z 0-9 . _ - / : */
bool queue_name_valid(const char *name, size_t bytes);
/* Byte order, a prefix before what it begins: < 0, 0 or > 0. */
int name_order(const char *x, size_t x_bytes, const char *y, size_t y_bytes);
/* The index of a word among a choice's words, or -1; and the word (not terminated) of an index. */
int64_t attribute_choice(enum attribute a, const char *word, size_t bytes);
struct view attribute_word(enum attribute a, int64_t value);
void attributes_init(struct attributes *attributes);

/* What has happened in a queue since it was created: X(field, help). Each also adds to the server's counter of that name. */
#define QUEUE_COUNTER_LIST(X)                                                                     \
    X(published, "messages stored")                                                               \
    X(refused, "messages refused at publish")                                                     \
    X(delivered, "deliveries, repeated ones included")                                            \
    X(redelivered, "deliveries of messages that had been delivered before")                       \
    X(acked, "messages acked")                                                                    \
    X(nacked, "deliveries given back by nack or extend 0")                                        \
    X(timed_out, "deliveries whose visibility ran out")                                           \
    X(returned, "deliveries that went back because their consumer ended or nothing was written")  \
    X(expired, "messages removed by ttl or retention")                                            \
    X(parks, "messages parked")                                                                   \
    X(kicks, "messages kicked")                                                                   \
    X(purged, "messages purged, or deleted with their queue")                                     \
    X(discarded, "messages discarded by id")                                                      \
    X(dropped, "messages dropped by overflow")                                                    \
    X(duplicates, "messages that were recognised as duplicates and not stored again")             \
    X(dead_lettered, "messages that left for the dead-letter queue")                              \
    X(dead_letter_failed, "dead messages parked because the dead-letter queue did not take them") \
    X(moved, "messages that a move took to another queue")                                        \
    X(arrived, "messages that came from another queue, dead or moved")

struct queue_counters {
#define X(field, help) uint64_t field;
    QUEUE_COUNTER_LIST(X)
#undef X
};

#define METER_SECONDS 8

/* Events per second, kept for the last METER_SECONDS seconds; costs nothing while nobody counts. */
struct meter {
    int64_t second;
    uint32_t events[METER_SECONDS];
};

void meter_add(struct meter *meter, int64_t now_ms, uint32_t events);
/* Events per second over the last five full seconds. */
double meter_rate(const struct meter *meter, int64_t now_ms);

/* What a call under way means to do to a queue; valid while `call` is that of the broker (plan.c). */
struct forecast {
    uint64_t call;
    uint64_t messages, bytes;  /* in the queue when everything planned so far is done */
    uint64_t next_id;          /* of the next message planned */
    struct ring_cursor oldest; /* the next message that must go if room is needed */
    uint64_t departing;        /* id of the one that this is all about and that goes anyhow; 0: none */
    unsigned oldest_state;     /* where it is looked for: MESSAGE_READY, then MESSAGE_DELAYED */
    uint64_t oldest_from;      /* and from which id on */
    uint32_t reserved;         /* keys reserved in the queue's ring from its next_id on */
    struct queue *next;        /* list of the queues of the call */
};

struct queue {
    struct attributes attributes;
    struct ring *messages; /* by id; states are enum message_state */
    struct message
        *urgent[LIMIT_PRIORITIES]; /* trees of the ready messages by priority; 0 has none: the ring knows them */
    uint32_t urgent_levels;        /* bit p: urgent[p] is not empty */
    struct groups groups;          /* of a fifo queue (group.h) */
    struct dedups *dedups;         /* ids seen within the window, or NULL (dedup.h) */
    struct ring takers;            /* consumers and waiters by priority and place; states are enum taker_state */
    uint64_t next_place;
    uint64_t turn_key[LIMIT_PRIORITIES]; /* who was served last, by consumer priority: the round goes on behind it */
    struct taker *active;                /* the only one who is served while a consumer asks for single_active */
    uint32_t single_active_count;        /* consumers that ask for it */
    bool exclusive;                      /* its one consumer wants to be alone */
    struct publishing *held, *held_tail; /* publishes that wait for room */
    uint32_t held_count;
    uint64_t tried, fed; /* the broker's room_events and fed_events when the first of them was tried */
    struct forecast forecast;
    struct table_link by_number;
    uint64_t number; /* from 1; no other queue of this broker, or of its log, ever had it */
    uint64_t next_id;
    uint32_t updates;                  /* how often its attributes have been changed */
    uint64_t state_bytes[RING_STATES]; /* bodies, by state */
    uint64_t consumer_count, waiter_count;
    uint32_t subscription_count;
    int64_t swept_ms;    /* expiry of the newest message that the sweep covers: theirs grow with their ids */
    uint64_t sweep_from; /* no ready message below this id is covered by the sweep */
    struct timer sweep;  /* armed for the expiry of the first ready message that it covers, or earlier */
    uint64_t restored;   /* messages that it brought from the run before; its counters begin with this run */
    struct queue_counters counters;
    struct meter publish_meter, deliver_meter, ack_meter;
    int64_t created_ms;
    uint16_t mark;            /* the watcher's */
    struct queue *dirty_next; /* list of queues that the next match looks at */
    struct queue *lines_next; /* list of queues in which publishes wait */
    bool dirty;
    bool roomy; /* something has left: the first of those may find room now */
    bool paused;
    uint8_t name_bytes;
    char name[LIMIT_NAME_BYTES + 1]; /* terminated */
};

static inline uint64_t queue_count(const struct queue *queue, enum message_state state)
{
    return queue->messages->count[state];
}

static inline uint64_t queue_total(const struct queue *queue)
{
    return ring_total(queue->messages);
}

/* Bytes of the bodies in all four states. */
static inline uint64_t queue_body_bytes(const struct queue *queue)
{
    return queue->state_bytes[0] + queue->state_bytes[1] + queue->state_bytes[2] + queue->state_bytes[3];
}

/* Groups with a message in whatever state; dedup ids that are remembered. */
uint64_t queue_group_count(const struct queue *queue);
uint64_t queue_dedup_count(const struct queue *queue);

/* The oldest ready message's age in ms; 0 if none is ready. */
int64_t queue_oldest_ms(const struct queue *queue, int64_t now_ms);

#endif
