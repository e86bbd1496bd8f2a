/*
 * plain: the short way into a queue, or from a topic into several, for what nearly all publishes are. Internal to the broker.
 */
#ifndef SERVER_BROKER_PLAIN_H
#define SERVER_BROKER_PLAIN_H

#include "server/broker/broker.h"

/*
 * Stores the messages, all of them, if that is plain: *result then says which. False: it is not, or memory ran out; nothing has
 * happened, and a batch (batch.h) finds out what becomes of them. The queue takes messages at present.
 */
bool plain_publish(struct broker *b, int64_t now_ms, struct queue *q, const struct publications *messages,
                   struct publish_result *result);

/* Stores a copy of each message in every queue with a subscription that matches, likewise; *copies: how many (plain_copies.c). */
bool plain_topic_publish(struct broker *b, int64_t now_ms, struct topic *topic, struct view key,
                         const struct publications *messages, uint64_t *copies);

/* ---- steps of both ----------------------------------------------------------------------------------------------- */

/* What a list of messages comes to. */
struct plain_load {
    uint64_t largest, bytes; /* of bodies */
    uint64_t headers;
    uint64_t kept; /* bytes of everything that is stored of them */
};

/* Measures plain messages. False if one of them is not, as one without a group is if they are to be grouped. */
bool plain_measure(const struct publications *messages, bool grouped, struct plain_load *load);

/* True if the queue needs no decision about plain messages; *stamp as life_stamp() makes it. */
bool plain_takes(const struct queue *q, int64_t now_ms, struct message *stamp);

/* True if it has room for `count` of them, by every limit of its own. */
bool plain_fits(const struct broker *b, const struct queue *q, const struct plain_load *load, uint32_t count);

/* True if there is memory beyond doubt for so many copies which together come to that. */
bool plain_affords(const struct broker *b, const struct plain_load *load, uint64_t copies);

/* Puts the messages into the queue's ring, from its next id on, or none of them if memory runs out; or takes `count` out again. */
bool plain_put(struct broker *b, struct queue *q, const struct publications *messages, const struct plain_load *load,
               struct message *stamp);
void plain_take_back(struct broker *b, struct queue *q, uint32_t count);

/* They are in: all that is left to do but telling the watcher. Cannot fail. */
void plain_entered(struct broker *b, int64_t now_ms, struct queue *q, const struct plain_load *load, uint32_t count,
                   const struct message *stamp);

#endif
