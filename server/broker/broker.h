/*
 * broker: the queues and everything that can happen to a message. Pure: time comes in as an argument, what is to be told to
 * the outside comes out as effects; no clock, no descriptor, no thread, no global. The same calls with the same arguments
 * give the same result, in a server, in a test in virtual time, and later from a log.
 *
 * The happy path of a server's turn
 *     any number of steps: broker_publish(), broker_receive(), broker_ack(), ... each with the turn's time
 *     broker_turn(): what is due happens (delays end, visibilities run out, messages expire), then ready messages are
 *     dealt to whoever stands in line; b->effects says who gets what
 *     the shell turns effects into bytes before it calls the broker again
 *
 * What can fail: a step returns ERR_NONE or an error code, and then has changed nothing. What is wrong with one message or
 * one receipt of a batch is an entry in b->outcomes and the rest is applied. `refusal` fields name the culprit: which limit,
 * which key. Steps obtain all memory first and then change state in steps that cannot fail. Giving back, acking, extending
 * and parking never allocate.
 *
 * Borrowed pointers: effects, deliveries and outcomes are valid until the next call of a broker function. Queues live until
 * they are deleted (names_version changes), peers and consumers until they are closed.
 *
 * Times are monotonic milliseconds; `now_ms` never goes back. A real clock is rounded up to the millisecond and
 * clock_slack_ms is set to 1: so nothing that was asked for at now_ms is early by even a part of a millisecond.
 */
#ifndef SERVER_BROKER_BROKER_H
#define SERVER_BROKER_BROKER_H

#include "protocol/errors.h"
#include "server/broker/message.h"
#include "server/broker/pool.h"
#include "server/broker/queue.h"
#include "server/broker/slots.h"
#include "server/broker/timers.h"
#include "server/broker/topic.h"

#include <stdbool.h>
#include <stdint.h>

struct watcher;

/* Ceilings that the operator sets; may be changed between calls. */
struct broker_limits {
    uint64_t max_memory_bytes;   /* pool and outside_bytes together */
    uint64_t max_message_bytes;  /* of queues that name none */
    uint64_t max_body_bytes;     /* what a queue's own max_message_bytes may be at most */
    uint64_t max_response_bytes; /* bodies in one answer of receive or peek */
    uint64_t max_batch;          /* messages or receipts in one call; max of receive */
    uint64_t max_wait_ms;
    uint64_t max_queues;
};

/* One connection, as the broker sees it. Storage is the caller's; use broker_peer_open() and broker_peer_close(). */
struct peer {
    struct taker *takers; /* its consumers and waiters */
    int64_t room_bytes;   /* how much may still be handed to it; below 1 its takers are passed over */
    uint64_t next_consumer_id;
    uint32_t consumer_count, waiter_count;
    uint32_t held_count;           /* publishes that wait for room */
    struct publishing *publishing; /* list of them */
    bool blocked;
    void *user; /* the shell's */
};

enum taker_kind { TAKER_CONSUMER, TAKER_WAITER };

/* The states of a queue's ring of takers. Keen: able, and a group that only it may go on with has something for it. */
enum taker_state { TAKER_IDLE, TAKER_ABLE, TAKER_KEEN };

/* Somebody who stands in line at a queue: a consumer, or a receive that waits. */
struct taker {
    struct timer timer; /* a waiter's end of wait */
    enum taker_kind kind;
    uint8_t state;    /* enum taker_state */
    uint8_t priority; /* consumer: 0 .. 9 */
    bool auto_ack;
    bool single_active; /* consumer: asks to be served alone, others stand by */
    bool full;          /* waiter: its answer can hold no more */
    bool over;          /* waiter: its wait is over, it is answered after this match */
    struct peer *peer;
    struct taker *peer_prev, *peer_next;
    struct queue *queue;
    struct ring_cursor at;                  /* its place */
    uint64_t id;                            /* consumer: its id; waiter: the caller's token */
    int64_t visibility_ms;                  /* -1: the queue's at the time of delivery */
    uint32_t limit;                         /* consumer: prefetch; waiter: max */
    uint32_t group_prefetch;                /* consumer: of its own; 0: the queue's */
    struct group *groups, *newest_group;    /* those that it alone may go on with, in the order of their coming */
    struct group_list own;                  /* those of them that have something for it now */
    uint32_t held;                          /* unacked deliveries; of a waiter, what it has got so far */
    uint64_t held_bytes;                    /* waiter: bodies got so far */
    struct slot *oldest_held, *newest_held; /* of its deliveries, in order */
    uint32_t batch_first, batch_last, batch_count; /* what this turn dealt to it */
    struct taker *batch_next;                      /* list of those who got something this turn */
    struct taker *over_next;
};

/* A message handed to somebody. */
struct delivery {
    struct message *message; /* borrowed */
    uint64_t receipt;
    uint32_t next; /* index of the taker's next delivery of this turn, or SLOT_NONE */
};

enum effect_kind {
    EFFECT_DELIVER,   /* consumer `id` of `peer` gets `count` deliveries from `first` on */
    EFFECT_ANSWER,    /* the receive with token `id` of `peer` is answered with `count` deliveries (maybe none) */
    EFFECT_REFUSE,    /* the receive with token `id` is answered with `code` */
    EFFECT_CANCELLED, /* consumer `id` has ended, for `reason` */
    EFFECT_PUBLISHED, /* the publish with token `id` that was held is over: `held` says how */
};

struct effect {
    enum effect_kind kind;
    struct peer *peer; /* NULL: it has gone meanwhile */
    uint64_t id;
    uint32_t first, count;
    bool auto_ack;
    enum error_code code;
    const char *reason;
    const struct held_result *held;
};

/* What became of one message or receipt of a batch, where that is not the usual thing. */
struct outcome {
    uint32_t index;
    enum error_code code; /* ERR_NONE: a duplicate */
    const char *which;    /* of LIMIT: which one; of BAD_REQUEST: which key; else NULL */
    uint64_t id;          /* of a duplicate: the first one's id */
};

/* Server-wide sums: X(field, help). The queue counters come on top. */
struct broker {
    struct pool pool;
    struct timers timers;
    struct slots slots;
    struct broker_limits limits;
    uint64_t outside_bytes; /* counted by the shell: connection buffers and the like */
    struct queue **queues;  /* sorted by name */
    uint32_t queue_count, queue_cap;
    struct table numbers; /* the same by number (queue->by_number) */
    uint64_t last_queue_number;
    uint64_t names_version;  /* changes when a queue is deleted: remembered pointers are dead */
    uint32_t clock_slack_ms; /* 1 if now_ms is a clock rounded up: a deadline has passed when it is <= now_ms - 1 */
    struct topic **topics;   /* sorted by name */
    uint32_t topic_count, topic_cap;
    struct move *moves; /* in the order of their ids */
    uint32_t move_count;
    uint64_t last_move_id;
    int64_t wall_offset_ms;    /* wall-clock ms = now_ms + this; set by the shell, for dl_first and dl_last */
    uint64_t random;           /* state of the generator that jitters; seeded by the shell, never 0 */
    uint64_t hash_seed;        /* of the tables; set by the shell before the first queue */
    uint64_t call;             /* number of the latest plan (plan.h) */
    struct queue *planned;     /* the queues that it is about */
    uint32_t planned_copies;   /* messages in it that come from another queue */
    uint64_t held_bytes;       /* messages of publishes that wait for room */
    uint64_t last_held_number; /* of the latest of those publishes */
    struct publishing *published, *published_tail; /* those that are over, until broker_effects_done() */
    struct queue *lines;                           /* queues in which publishes wait */
    bool room;                                     /* one of them is worth a look */
    uint64_t room_events;                          /* how often that came about */
    uint64_t fed_events;                           /* how often there was more memory for those that wait for it */
    uint64_t starving_bytes;          /* what was counted when one found too little memory; 0: none waits for memory */
    uint64_t starving_max;            /* and what max_memory_bytes was */
    struct group *dead_groups;        /* of purged queues, freed in slices */
    struct dedups *dead_dedups;       /* of deleted queues, likewise */
    struct queue *dirty, *dirty_tail; /* queues with something ready and somebody able to take it */
    struct taker *batch, *batch_tail; /* who got something this turn */
    struct taker *over;               /* waiters to be answered after the match */
    struct ring *trash;               /* rings with items that are freed in slices */
    uint64_t taker_count;
    uint64_t inflight_count; /* deliveries of all queues */
    uint64_t spent_count;    /* messages with MESSAGE_SPENT, until broker_restarted() */
    struct queue_counters counters;
    struct watcher *watcher;  /* is told every change (watcher.h), or NULL */
    enum error_code refusing; /* why durable queues take nothing new, or ERR_NONE; set by the shell */
    bool kept_back;           /* a publish that waits was not let in because of that */
    bool draining;            /* accepts nothing new */
    bool withholding;         /* durable queues deliver nothing; broker_withhold() */
    bool starved;             /* the last match ended for want of memory or of slots */
    bool stopping;            /* delivers nothing more */

    struct effect *effects;
    uint32_t effect_count, effect_cap;
    struct delivery *deliveries;
    uint32_t delivery_count, delivery_cap;
    struct outcome *outcomes;
    uint32_t outcome_count, outcome_cap;
    const char *which; /* of the last refused call: the limit or key, or NULL */
};

/* A broker without queues. `run` goes into receipts (slots.h). */
void broker_init(struct broker *b, const struct broker_limits *limits, int64_t now_ms, uint32_t run);

/* Frees everything. All peers must be closed. */
void broker_close(struct broker *b);

/* Bytes counted against max_memory_bytes. */
static inline uint64_t broker_memory(const struct broker *b)
{
    return b->pool.used_bytes + b->outside_bytes;
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

/*
 * Lets happen what is due and deals what is ready. Fills b->effects (and adds to those that steps of this turn have left).
 * Returns true if the work of this turn was cut: call again soon. The caller clears with broker_effects_done().
 */
bool broker_turn(struct broker *b, int64_t now_ms);
void broker_effects_done(struct broker *b);

/* When broker_turn() has something to do at the latest, or TIMERS_NEVER. */
int64_t broker_next_ms(const struct broker *b);

/* ---- queues ------------------------------------------------------------------------------------------------------ */

/* The queue of that name, or NULL. */
struct queue *broker_queue_find(const struct broker *b, const char *name, size_t bytes);

/* Index in b->queues of the first queue whose name is >= `name`. */
uint32_t broker_queue_lower(const struct broker *b, const char *name, size_t bytes);

/*
 * Creates a queue, or finds it as it should be: *created says which. BAD_REQUEST (which: attribute), LIMIT (which:
 * max_hold, max_queues, max_request_bytes, retention), QUEUE_EXISTS (named attributes differ: b->differing has their bits), MEMORY_LIMIT.
 */
enum error_code broker_queue_create(struct broker *b, int64_t now_ms, const char *name, size_t bytes,
                                    const struct attribute_set *set, bool *created, uint32_t *differing);

/* Changes the named attributes. BAD_REQUEST (type, range), LIMIT. */
enum error_code broker_queue_update(struct broker *b, struct queue *q, const struct attribute_set *set);

/* QUEUE_NOT_EMPTY (if_empty), QUEUE_IN_USE (if_unused: consumers or waiters). *count: messages that went with it. */
enum error_code broker_queue_delete(struct broker *b, int64_t now_ms, struct queue *q, bool if_empty, bool if_unused,
                                    uint64_t *count);

/* Removes all messages in the states of the mask (bit n: enum message_state n). Returns how many. */
uint64_t broker_queue_purge(struct broker *b, struct queue *q, unsigned states);

void broker_queue_pause(struct broker *b, struct queue *q, bool paused);

/* Durable queues deliver nothing from now on, as if they were paused, or do again. Set by the shell. */
void broker_withhold(struct broker *b, bool withhold);

/* ---- messages in ------------------------------------------------------------------------------------------------- */

struct publish_result {
    uint64_t first_id; /* of the stored ones; 0 if none */
    uint32_t stored;
    bool held; /* there is no room: it waits, and an EFFECT_PUBLISHED follows */
};

/* How a call that stores messages behaves; all zero: at once, each message for itself. */
struct publish_options {
    bool atomic;       /* all or none */
    bool mandatory;    /* to a topic: UNROUTABLE if no subscription matches any of the messages */
    int64_t wait_ms;   /* 0 .. max_wait_ms: how long it may be held when there is no room */
    struct peer *peer; /* with a wait: whose it is */
    uint64_t token;    /* comes back in the effect */
};

/*
 * Publications and what the door already knows about them: a code of its own for a message that was wrong on the wire,
 * `refused[i]` != ERR_NONE with which[i]. Both arrays may be NULL. If all messages are nothing but a body, `bodies` is enough,
 * and the others are NULL.
 */
struct publications {
    const struct publication *items;
    uint32_t count;
    const enum error_code *refused;
    const char *const *which;
    const struct view *bodies;
};

/* The i-th of them; of a bare body it is made in *room. */
static inline const struct publication *publication_at(const struct publications *list, uint32_t i,
                                                       struct publication *room)
{
    if (!list->bodies)
        return &list->items[i];
    *room = (struct publication){.body = list->bodies[i], .delay_ms = -1, .ttl_ms = -1};
    return room;
}

/*
 * Stores messages in a queue; those that are duplicates or refused are in b->outcomes: TOO_LARGE, QUEUE_FULL, LIMIT,
 * GROUP_REQUIRED, BAD_REQUEST. With `atomic` the first refusal is the call's (b->outcomes then holds it alone) and nothing is
 * stored. MEMORY_LIMIT and DRAINING are always the call's.
 *
 * With a wait, a batch that does not fit as a whole, but could, is held in the queue's line of such (result->held) and goes in as
 * one step as soon as it fits; when the wait is over what fits is stored. While a line stands, a publish without a wait is
 * refused with what the line waits for.
 */
enum error_code broker_publish(struct broker *b, int64_t now_ms, struct queue *q, const struct publications *messages,
                               const struct publish_options *options, struct publish_result *result);

/* All publishes that are held end, refused with `code`: e.g. because the server begins to drain. */
void broker_refuse_held(struct broker *b, enum error_code code);

/* How a held publish ended: its own copy of what a call would have answered. */
struct held_result {
    enum error_code code; /* of the call as a whole */
    const char *which;
    bool to_topic; /* `copies` counts, else first_id and stored */
    uint64_t first_id, copies;
    uint32_t stored;
    uint32_t outcome_count;
    const struct outcome *outcomes;
};

/*
 * Puts a copy of each message into every queue with a subscription that matches it, all or none: the first refusal is the
 * call's, b->outcomes names the message. *copies counts, duplicates included. Besides what broker_publish() says: UNROUTABLE, LIMIT (max_copies, max_routing).
 */
enum error_code broker_topic_publish(struct broker *b, int64_t now_ms, struct topic *topic, struct view key,
                                     const struct publications *messages, const struct publish_options *options,
                                     uint64_t *copies, bool *held);

/* One list of messages of a commit: to a queue, or with a key to a topic. */
struct commit_part {
    struct queue *queue;
    struct topic *topic;
    struct view key;
    struct publications messages;
    /* the answer */
    uint64_t first_id, copies;
    uint32_t stored;
    uint32_t outcome_first, outcome_count; /* its duplicates, in b->outcomes */
};

/* What made a commit fail. */
struct commit_culprit {
    bool ack;      /* receipts[index]; else message `index` of parts[part] */
    uint32_t part; /* UINT32_MAX: the commit as a whole */
    uint32_t index;
};

/*
 * Acks receipts and stores messages, all or nothing; room that the acks free is there for the messages. RECEIPT_STALE (also
 * for a receipt named twice), whatever broker_publish() and broker_topic_publish() say. *culprit says which.
 */
enum error_code broker_commit(struct broker *b, int64_t now_ms, struct commit_part *parts, uint32_t part_count,
                              const uint64_t *receipts, uint32_t receipt_count, struct commit_culprit *culprit);

/* A whole batch is refused with `code`, which is returned: by broker_publish(), or by the shell before it. Counted. */
enum error_code broker_refuse_batch(struct broker *b, struct queue *q, enum error_code code, uint32_t count);

/* ---- messages out ------------------------------------------------------------------------------------------------ */

void broker_peer_open(struct peer *peer, void *user, int64_t room_bytes);

/* Sets how much may be handed to the peer from now on. */
void broker_peer_room(struct broker *b, struct peer *peer, int64_t room_bytes);

/*
 * The connection has ended: waiters are gone, consumers' deliveries go back to their places (charged). First call
 * broker_unwritten() for what never reached it. Pending effects for it are dropped.
 */
void broker_peer_close(struct broker *b, int64_t now_ms, struct peer *peer);

/* The delivery was never written to its connection: back at once, the attempt is not charged. Stale receipts are ignored. */
void broker_unwritten(struct broker *b, int64_t now_ms, uint64_t receipt);

/* A delivery to an auto-acking consumer has been written. Stale receipts are ignored. */
void broker_written(struct broker *b, int64_t now_ms, uint64_t receipt);

struct receive_options {
    uint32_t max;          /* 1 .. max_batch */
    int64_t wait_ms;       /* 0 .. max_wait_ms */
    int64_t visibility_ms; /* -1: the queue's */
    uint64_t token;        /* comes back in the effect */
};

/*
 * Takes messages: answered on the spot (*served, deliveries in b->deliveries from 0 on, maybe none), or it stands in line and
 * an EFFECT_ANSWER or EFFECT_REFUSE follows. BAD_REQUEST (max, visibility), LIMIT (max_batch, max_wait, max_hold,
 * max_waiters), QUEUE_IN_USE (a consumer is exclusive or single_active), DRAINING, MEMORY_LIMIT.
 */
enum error_code broker_receive(struct broker *b, int64_t now_ms, struct queue *q, struct peer *peer,
                               const struct receive_options *options, bool *served);

struct consume_options {
    uint32_t prefetch; /* 0 .. LIMIT_PREFETCH */
    bool auto_ack;
    bool exclusive;          /* nobody else consumes or receives from the queue */
    bool single_active;      /* only one consumer of the queue is served at a time, the others stand by */
    uint32_t priority;       /* 0 .. 9: those with credit and the highest are served first */
    uint32_t group_prefetch; /* 0: the queue's */
    int64_t visibility_ms;
};

/*
 * A new consumer; *id is the peer's own count from 1. BAD_REQUEST (visibility, priority, group_prefetch), LIMIT (max_prefetch, max_hold,
 * max_consumers), QUEUE_IN_USE (exclusive, one way or the other), DRAINING, MEMORY_LIMIT.
 */
enum error_code broker_consume(struct broker *b, struct queue *q, struct peer *peer,
                               const struct consume_options *options, uint64_t *id);

/* CONSUMER_NOT_FOUND, LIMIT (max_prefetch). */
enum error_code broker_credit(struct broker *b, struct peer *peer, uint64_t consumer_id, uint32_t prefetch);

/* Ends a consumer; its deliveries go back, charged. CONSUMER_NOT_FOUND. */
enum error_code broker_cancel(struct broker *b, int64_t now_ms, struct peer *peer, uint64_t consumer_id);

/*
 * The server is about to end: nothing is accepted or delivered any more; waiters are refused with DRAINING, consumers stay
 * so that what they hold can be settled. broker_stop_finish() cancels them, reason `draining`.
 */
void broker_stop(struct broker *b);
void broker_stop_finish(struct broker *b, int64_t now_ms);

/* ---- settling: `count` receipts each; stale ones are in b->outcomes; *applied is how many messages it touched -------- */

enum error_code broker_ack(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count, bool multiple,
                           uint32_t *applied);

struct nack_options {
    int64_t delay_ms; /* -1: none named */
    bool dead;
    struct view note;
};

enum error_code broker_nack(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count,
                            const struct nack_options *options, uint32_t *applied);

/* visibility 0 gives back. Beyond the queue's max_hold: an outcome LIMIT (max_hold). */
enum error_code broker_extend(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count,
                              int64_t visibility_ms, uint32_t *applied);
enum error_code broker_park(struct broker *b, int64_t now_ms, const uint64_t *receipts, uint32_t count,
                            struct view note, uint32_t *applied);

/* ---- by id ------------------------------------------------------------------------------------------------------- */

/* Parked messages back to ready, lowest ids first. Returns how many. */
uint64_t broker_kick(struct broker *b, int64_t now_ms, struct queue *q, uint64_t count);
/* The same for named ids; those that are not parked are passed over. */
uint64_t broker_kick_ids(struct broker *b, int64_t now_ms, struct queue *q, const uint64_t *ids, uint32_t count);
/* Removes ready, delayed and parked messages by id; others are passed over. Returns how many. */
uint64_t broker_discard(struct broker *b, struct queue *q, const uint64_t *ids, uint32_t count);

struct peek_options {
    unsigned states;         /* mask */
    uint64_t from_id, to_id; /* inclusive */
    struct view group;       /* empty: any */
    uint32_t max;
};

/* What peek shows beyond the message itself. */
struct peeked {
    const struct message *message;
    enum message_state state;
    const struct slot *slot; /* or NULL; of a parked one: reason and note */
};

/*
 * Fills `out` (room for options->max) in id order; *next is the id to go on from, 0 at the end. Looks at a bounded number of
 * messages, so it may find fewer than max with a next. Returns how many.
 */
uint32_t broker_peek(struct broker *b, struct queue *q, const struct peek_options *options, struct peeked *out,
                     uint64_t *next);

/* ---- topics (topic.h) -------------------------------------------------------------------------------------------- */

/* The topic of that name, or NULL; and the index in b->topics of the first whose name is >= `name`. */
struct topic *broker_topic_find(const struct broker *b, const char *name, size_t bytes);
uint32_t broker_topic_lower(const struct broker *b, const char *name, size_t bytes);

/* Creates a topic, or finds it: *created says which. LIMIT (max_topics), MEMORY_LIMIT. */
enum error_code broker_topic_create(struct broker *b, const char *name, size_t bytes, bool *created);

/* Deletes a topic and its subscriptions. */
void broker_topic_delete(struct broker *b, struct topic *topic);

/*
 * Subscribes the queue with that pattern (pattern_valid()) and filter (filter.h; empty: none); one that is there with the same
 * pattern gets the new filter. *created: it was not there. LIMIT (max_subscriptions), MEMORY_LIMIT.
 */
enum error_code broker_subscribe(struct broker *b, struct topic *topic, struct queue *q, struct view pattern,
                                 struct view filter, bool *created);

/* Ends the subscription with that pattern, or all of the queue if pattern.data is NULL. NOT_FOUND if there is none. */
enum error_code broker_unsubscribe(struct broker *b, struct topic *topic, struct queue *q, struct view pattern);

/* ---- moves ------------------------------------------------------------------------------------------------------- */

enum move_state { MOVE_RUNNING, MOVE_DONE, MOVE_CANCELLED };

/* How long a move that is over stays listed. */
#define MOVE_LISTED_MS 600000

/* Messages on their way from one queue to others, one by one. */
struct move {
    struct move *next; /* in the order of their ids */
    struct timer timer;
    uint64_t id;
    enum move_state state;
    struct queue_name source, to; /* to: empty = each back to the queue named in its dl_queue */
    uint64_t rate;                /* messages per second; 0: as fast as it goes */
    uint64_t max;                 /* at most so many; 0: no limit */
    uint64_t moved;
    uint64_t from_id, end_id; /* what is left lies in from_id .. end_id - 1 */
    int64_t since_ms;         /* rate counts from here, where `counted` had been moved */
    uint64_t counted;
};

/*
 * Begins to move ready and parked messages of `source`, those that are there now, in the order of their ids; `to` NULL: back to
 * where they came from. BAD_REQUEST (to: the same queue, or of another type), LIMIT (max_moves), MEMORY_LIMIT.
 */
enum error_code broker_move(struct broker *b, int64_t now_ms, struct queue *source, struct queue *to, uint64_t rate,
                            uint64_t max, uint64_t *id);

/* The move with that id, or NULL. */
struct move *broker_move_find(const struct broker *b, uint64_t id);

/* Ends a move that runs; what it has moved stays. One that is over stays as it is. */
void broker_move_cancel(struct broker *b, int64_t now_ms, struct move *move);

/* "running", "done", "cancelled". */
const char *move_state_text(enum move_state state);

/* "requested", "rejected", "max_attempts", "expired", "overflow". */
const char *park_reason_text(enum park_reason reason);

#endif
