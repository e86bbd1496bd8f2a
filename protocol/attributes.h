/*
 * attributes: every attribute of a queue, listed once. The broker's struct, the checks at queue.create and
 * queue.update, queue.info, the shell's completion and what an export leaves out are all derived from these rows.
 *
 * A row: X(field, kind, default, min, max, choices, help)
 *   field     the name on the wire and of the field in the broker's struct
 *   kind      MS       milliseconds                        COUNT    a number
 *             BYTES    a number of bytes                   CHOICE   one of the words of `choices`, separated by |; the
 *             BOOL     true or false                                default is a word's index
 *             NAME     the name of a queue, or nil         BACKOFF  {base, factor, cap, jitter}, or nil
 *   default   of what is nil it is nil
 *   min, max  the range of a number
 *
 * `type` is the only one that queue.update can't change.
 */
#ifndef PROTOCOL_ATTRIBUTES_H
#define PROTOCOL_ATTRIBUTES_H

#include "protocol/limits.h"

#include <stdint.h>

/* What kind of value an attribute has. All but NAME and BACKOFF are scalars, an int64_t each. */
enum attribute_kind {
    ATTRIBUTE_MS,
    ATTRIBUTE_COUNT,
    ATTRIBUTE_BYTES,
    ATTRIBUTE_CHOICE, /* the index of a word */
    ATTRIBUTE_BOOL,
    ATTRIBUTE_NAME,    /* of a queue, or nil */
    ATTRIBUTE_BACKOFF, /* {base, factor, cap, jitter}, or nil */
};

/* A backoff's factor where none is named, and the largest. */
#define BACKOFF_FACTOR     2.0
#define BACKOFF_FACTOR_MAX 1000.0

#define HOUR_MS 3600000LL

/* clang-format off */
#define ATTRIBUTE_LIST(X)                                                                                                \
  X(type, CHOICE, 0, 0, 1, "standard|fifo", "kind of queue")                                                             \
  X(visibility, MS, 30000, 1, LIMIT_TIME_MS, "", "time after which an unacked delivery goes back")                       \
  X(max_hold, MS, 12 * HOUR_MS, 1, LIMIT_TIME_MS, "", "longest time that a delivery can be held by extending it")        \
  X(delay, MS, 0, 0, LIMIT_TIME_MS, "", "delay of messages that name none")                                              \
  X(retention, MS, 96 * HOUR_MS, 0, LIMIT_TIME_MS, "", "messages older than this are removed; 0 = never")                \
  X(ttl, MS, 0, 0, LIMIT_TIME_MS, "", "life of messages that name none; 0 = no end")                                     \
  X(max_attempts, COUNT, 0, 0, UINT32_MAX, "", "deliveries after which a message that comes back is dead; 0 = no end")   \
  X(dead_letter, NAME, 0, 0, 0, "", "queue that takes the dead messages; nil = they are parked")                         \
  X(dead_letter_expired, BOOL, 0, 0, 1, "", "messages whose ttl is over are dead instead of removed")                    \
  X(backoff, BACKOFF, 0, 0, 0, "", "delay of what comes back, growing with its attempts; nil = none")                    \
  X(max_messages, COUNT, 0, 0, INT64_C(1) << 52, "", "most messages in all states; 0 = no limit")                        \
  X(max_bytes, BYTES, 0, 0, INT64_C(1) << 52, "", "most bytes of bodies in all states; 0 = no limit")                    \
  X(overflow, CHOICE, 0, 0, 2, "reject|drop_oldest|dead_letter_oldest", "what a publish into a full queue does")         \
  X(max_message_bytes, BYTES, 0, 0, UINT32_MAX, "", "largest body; 0 = the server's max_message_bytes")                  \
  X(dedup_window, MS, 300000, 0, LIMIT_TIME_MS, "", "time for which a dedup_id is remembered; 0 = not at all")           \
  X(content_dedup, BOOL, 0, 0, 1, "", "a message without a dedup_id is known by the SHA-256 of its body")                \
  X(dedup_scope, CHOICE, 0, 0, 1, "queue|group", "where a dedup_id is unique")                                           \
  X(sticky_groups, BOOL, 0, 0, 1, "", "a group stays with the consumer that has it")                                     \
  X(group_prefetch, COUNT, 1, 1, LIMIT_PREFETCH, "", "most unacked messages of one group at one consumer")               \
  X(durable, BOOL, 1, 0, 1, "", "its messages go to the log, where the server has one")
/* clang-format on */

#endif
