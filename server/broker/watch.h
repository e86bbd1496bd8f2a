/*
 * watch: how the broker speaks to its watcher (watcher.h), and what a log that takes nothing more forbids. Whatever changes a
 * durable queue says so at the place where it changes it:
 *
 *     if (watched(b, q))
 *         b->watcher->ready_cb(b->watcher->user, q, m);
 *
 * Without a watcher that is one branch. Internal to the broker.
 */
#ifndef SERVER_BROKER_WATCH_H
#define SERVER_BROKER_WATCH_H

#include "server/broker/broker.h"
#include "server/broker/watcher.h"

/* True if somebody wants to know what happens in that queue. */
static inline bool watched(const struct broker *b, const struct queue *q)
{
    return __builtin_expect(b->watcher != NULL, 0) && q->attributes.durable;
}

/* What has been told so far is complete. */
static inline void watch_event(const struct broker *b)
{
    if (b->watcher)
        b->watcher->event_cb(b->watcher->user);
}

/* True if nothing new may go into that queue, and nothing about it may be defined: b->refusing says why. */
static inline bool refuses(const struct broker *b, const struct queue *q)
{
    return b->refusing != ERR_NONE && q->attributes.durable;
}

#endif
