/*
 * publish: what the calls that store messages have in common. Each stages its messages in a batch (batch.h): first everything
 * that can fail, then everything that can't. Internal to the broker.
 */
#ifndef SERVER_BROKER_PUBLISH_H
#define SERVER_BROKER_PUBLISH_H

#include "server/broker/held.h"

/* What can be said about a call without looking at its messages. */
enum error_code publish_check(struct broker *b, uint32_t count, const struct publish_options *options);

/* True if so much more would be too much. */
bool publish_is_starved(const struct broker *b, uint64_t cost);

/* Bytes of bodies that lie in memory already and will be kept: no message's cost counts them. */
uint64_t publish_shared_bytes(const struct publications *messages);

/* Whether messages of that cost may be staged: they fit, or they may wait until they do. */
enum error_code publish_check_memory(const struct broker *b, uint64_t cost, const struct publish_options *options);

/*
 * Lets the batch in as a whole, or has it wait for room (*held: the batch is no longer the caller's). Else nothing has happened,
 * and *culprit is the staged message that was the reason, or batch->count.
 */
enum error_code publish_or_wait(struct broker *b, int64_t now_ms, struct batch *batch, struct topic *topic,
                                uint32_t messages, bool starved, const struct publish_options *options,
                                uint32_t *culprit, bool *held);

/* Refuses the whole batch because of that message, if there is one. */
enum error_code publish_refuse_whole(struct broker *b, const struct batch *batch, enum error_code code,
                                     uint32_t culprit);

#endif
