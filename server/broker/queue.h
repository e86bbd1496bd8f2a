/*
 * queue: a named list of messages, its attributes, its counters, and who stands in line for it. The steps that change it are
 * in broker.h; this header is what the doors read.
 *
 * Invariants, at every moment:
 *     delayed + ready + inflight + parked = total                      (ring_total of its ring)
 *     published = acked + expired + purged + discarded + dropped + total
 */
#ifndef SERVER_BROKER_QUEUE_H
#define SERVER_BROKER_QUEUE_H

#include "protocol/limits.h"
#include "server/broker/message.h"
#include "server/broker/ring.h"
#include "server/broker/timers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What kind of value an attribute has. */
enum attribute_kind { ATTRIBUTE_MS, ATTRIBUTE_COUNT, ATTRIBUTE_BYTES, ATTRIBUTE_CHOICE };

#define HOUR_MS 3600000LL

/*
 * Every attribute of a queue, once: X(field, kind, default, min, max, choices, help). Of a choice the value is its index in
 * `choices`, the words separated by |. `type` is the only one that queue.update can't change.
 */
/* clang-format off */
#define ATTRIBUTE_LIST(X)                                                                                                \
  X(type, CHOICE, 0, 0, 0, "standard", "kind of queue")                                                                  \
  X(visibility, MS, 30000, 1, LIMIT_TIME_MS, "", "time after which an unacked delivery goes back")                       \
  X(max_hold, MS, 12 * HOUR_MS, 1, LIMIT_TIME_MS, "", "longest time that a delivery can be held by extending it")        \
  X(delay, MS, 0, 0, LIMIT_TIME_MS, "", "delay of messages that name none")                                              \
  X(retention, MS, 96 * HOUR_MS, 0, LIMIT_TIME_MS, "", "messages older than this are removed; 0 = never")                \
  X(ttl, MS, 0, 0, LIMIT_TIME_MS, "", "life of messages that name none; 0 = no end")                                     \
  X(max_attempts, COUNT, 0, 0, UINT32_MAX, "", "deliveries after which a message that comes back is parked; 0 = no end") \
  X(max_messages, COUNT, 0, 0, INT64_C(1) << 52, "", "most messages in all states; 0 = no limit")                        \
  X(max_bytes, BYTES, 0, 0, INT64_C(1) << 52, "", "most bytes of bodies in all states; 0 = no limit")                    \
  X(overflow, CHOICE, 0, 0, 1, "reject|drop_oldest", "what a publish into a full queue does")                            \
  X(max_message_bytes, BYTES, 0, 0, UINT32_MAX, "", "largest body; 0 = the server's max_message_bytes")
/* clang-format on */

enum attribute {
#define X(field, kind, def, min, max, choices, help) ATTRIBUTE_##field,
    ATTRIBUTE_LIST(X)
#undef X
        ATTRIBUTE_TOTAL
};

enum overflow { OVERFLOW_REJECT, OVERFLOW_DROP_OLDEST };

struct attributes {
#define X(field, kind, def, min, max, choices, help) int64_t field;
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
int64_t *attribute_value(struct attributes *attributes, enum attribute a);
int64_t attribute_get(const struct attributes *attributes, enum attribute a);
/* The index of a word among a choice's words, or -1; and the word (not terminated) of an index. */
int64_t attribute_choice(enum attribute a, const char *word, size_t bytes);
struct view attribute_word(enum attribute a, int64_t value);
void attributes_init(struct attributes *attributes);

/* What has happened in a queue since it was created: X(field, help). Each also adds to the server's counter of that name. */
#define QUEUE_COUNTER_LIST(X)                                                                    \
    X(published, "messages stored")                                                              \
    X(refused, "messages refused at publish")                                                    \
    X(delivered, "deliveries, repeated ones included")                                           \
    X(redelivered, "deliveries of messages that had been delivered before")                      \
    X(acked, "messages acked")                                                                   \
    X(nacked, "deliveries given back by nack or extend 0")                                       \
    X(timed_out, "deliveries whose visibility ran out")                                          \
    X(returned, "deliveries that went back because their consumer ended or nothing was written") \
    X(expired, "messages removed by ttl or retention")                                           \
    X(parks, "messages parked")                                                                  \
    X(kicks, "messages kicked")                                                                  \
    X(purged, "messages purged, or deleted with their queue")                                    \
    X(discarded, "messages discarded by id")                                                     \
    X(dropped, "messages dropped by overflow")

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

struct queue {
    struct attributes attributes;
    struct ring *messages; /* by id; states are enum message_state */
    struct ring takers;    /* consumers and waiters by place; states are enum taker_state */
    uint64_t next_place;
    uint64_t turn_key; /* who was served last: the round goes on behind it */
    uint64_t next_id;
    uint64_t state_bytes[RING_STATES]; /* bodies, by state */
    uint64_t consumer_count, waiter_count;
    int64_t swept_ms;    /* expiry of the newest message that the sweep covers: theirs grow with their ids */
    uint64_t sweep_from; /* no ready message below this id is covered by the sweep */
    struct timer sweep;  /* armed for the expiry of the first ready message that it covers, or earlier */
    struct queue_counters counters;
    struct meter publish_meter, deliver_meter, ack_meter;
    int64_t created_ms;
    struct queue *dirty_next; /* list of queues that the next match looks at */
    bool dirty;
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

/* The oldest ready message's age in ms; 0 if none is ready. */
int64_t queue_oldest_ms(const struct queue *queue, int64_t now_ms);

#endif
