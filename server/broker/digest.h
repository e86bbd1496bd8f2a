/*
 * digest: a number over everything that a log must bring back, so that two brokers can be compared: durable queues with
 * attributes, paused and next id; each message with id, state, place in time (published, expiry, end of delay, parked since;
 * as wall-clock ms), attempts, first and last delivery, body, headers, group, dedup id, priority, reason and note; dedup
 * ids that are not over; topics; subscriptions of durable queues. Inflight counts as ready. Not in it: who consumes, moves
 * under way, counters, whose turn it is among groups and consumers.
 */
#ifndef SERVER_BROKER_DIGEST_H
#define SERVER_BROKER_DIGEST_H

#include "server/broker/broker.h"

uint64_t broker_digest(const struct broker *b, int64_t now_ms);

/* The same as readable lines, one a thing, into `out` (a callback a line), to find what differs. */
void broker_describe(const struct broker *b, int64_t now_ms, void (*line_cb)(void *user, const char *line), void *user);

#endif
