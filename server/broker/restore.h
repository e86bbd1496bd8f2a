/*
 * restore: a broker built anew from what a watcher (watcher.h) was told. Nothing is decided here: each call sets what the
 * change set, no clock runs, no limit is looked at, no change is told to a watcher. Then restore_finish() makes the broker
 * ready to run.
 *
 * Happy path
 *     broker_init(), then restore_*() in the order in which the changes came, then restore_finish(), then the broker runs.
 *
 * A message may be restored again with the same id: the later call replaces the earlier one wholly. What is said of a queue,
 * message, topic or subscription that is not there is passed over (the call returns NULL or does nothing): a log that is
 * being compacted says such things.
 *
 * What can fail: memory. Then the call returns RESTORE_NO_MEMORY, and the broker is only good for broker_close(), which may
 * be called at any time.
 */
#ifndef SERVER_BROKER_RESTORE_H
#define SERVER_BROKER_RESTORE_H

#include "server/broker/broker.h"
#include "server/broker/dedup.h"

enum restore_result { RESTORE_DONE, RESTORE_UNKNOWN, RESTORE_NO_MEMORY };

/* A message as it stands. Times are the restored broker's monotonic ms. Views are the caller's. */
struct restored_message {
    struct queue *queue;
    uint64_t id;
    enum message_state state;
    struct publication
        parts; /* body, shared, group, dedup_id, headers, priority; delay_ms and ttl_ms are not looked at */
    int64_t published_ms;
    int64_t expires_ms; /* 0: never */
    int64_t at_ms;      /* DELAYED: until; PARKED: since; else not looked at */
    uint32_t attempts;
    int64_t first_ms, last_ms; /* deliveries; -1: none */
    bool by_ttl;               /* MESSAGE_TTL */
    bool held;                 /* MESSAGE_HELD */
    enum park_reason reason;   /* PARKED */
    struct view note;          /* PARKED */
};

/* The queue with that number: created, or given these attributes. next_id only ever grows. *out: the queue. */
enum restore_result restore_queue(struct broker *b, uint64_t number, struct view name,
                                  const struct attributes *attributes, uint64_t next_id, int64_t created_ms,
                                  bool paused, struct queue **out);
/*
 * A queue of which something is told before it is itself: a log that is compacted says so (server/log/record.h). It is nameless,
 * with that type and default attributes, until restore_queue() comes with its number. *out: the queue.
 */
enum restore_result restore_queue_awaited(struct broker *b, uint64_t number, bool fifo, struct queue **out);
/* One that is still nameless, or NULL. */
struct queue *restore_next_awaited(struct broker *b);
/* With all it has. */
enum restore_result restore_queue_gone(struct broker *b, struct queue *q);
/* The queue with that number, or NULL. O(1). */
struct queue *restore_queue_find(struct broker *b, uint64_t number);

enum restore_result restore_topic(struct broker *b, struct view name, struct topic **out);
enum restore_result restore_topic_gone(struct broker *b, struct view name);
enum restore_result restore_subscription(struct broker *b, struct view topic, struct queue *q, struct view pattern,
                                         struct view filter, struct subscription **out);
enum restore_result restore_subscription_gone(struct broker *b, struct view topic, struct queue *q,
                                              struct view pattern);

/* *out: the message. One that has been there with this id is replaced; tell the marks goodbye first (restore_find()). */
enum restore_result restore_message(struct broker *b, const struct restored_message *r, struct message **out);
/* The message with that id, or NULL; *state: where it stands now. */
struct message *restore_find(struct queue *q, uint64_t id, enum message_state *state);

/* RESTORE_UNKNOWN if there is no such message, or it does not stand where the change begins. */
enum restore_result restore_gone(struct broker *b, struct queue *q, uint64_t id);
enum restore_result restore_delivered(struct broker *b, struct queue *q, uint64_t id, int64_t now_ms);
enum restore_result restore_undelivered(struct broker *b, struct queue *q, uint64_t id);
enum restore_result restore_ready(struct broker *b, struct queue *q, uint64_t id);
enum restore_result restore_kicked(struct broker *b, struct queue *q, uint64_t id);
enum restore_result restore_delayed(struct broker *b, struct queue *q, uint64_t id, int64_t until_ms);
enum restore_result restore_parked(struct broker *b, struct queue *q, uint64_t id, enum park_reason reason,
                                   struct view note, int64_t since_ms, int64_t expires_ms);
enum restore_result restore_purged(struct broker *b, struct queue *q, unsigned states);

/* An id that the queue has seen; key as in dedup.h. One with the same key is replaced. *out: the entry. */
enum restore_result restore_dedup(struct broker *b, struct queue *q, struct view key, uint64_t first_id,
                                  int64_t until_ms, struct dedup **out);

/* The server was started anew between the changes before and those that follow: what was inflight is ready. */
void restore_run_ended(struct broker *b);

/*
 * All has been told: what was inflight is ready (attempts kept; what has used them up is for broker_restarted()), groups,
 * priorities, timers and sweeps are set up, windows that are over are forgotten. Every queue's numbers add up afterwards.
 */
enum restore_result restore_finish(struct broker *b, int64_t now_ms);

/*
 * After restore_finish(), and once a watcher listens: messages that were inflight with their attempts used up die now, as
 * after any delivery that failed (dead-lettered or parked, max_attempts). Several events.
 */
void broker_restarted(struct broker *b, int64_t now_ms);

#endif
