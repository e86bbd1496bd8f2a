/*
 * life: what happens to one message, step by step; the broker's calls are made of these. None of the steps allocates,
 * except life_deliver() and a note, and none can fail once it has begun.
 *
 *                publish                      deliver                 ack
 *     (delay) -> DELAYED -- delay over --> READY ----------> INFLIGHT ------> gone
 *                   ^                        ^                  |
 *                   |                        |   life_return()  |   the same, attempts used up, or asked for
 *                   +---- with a delay ------+------------------+----------------------------> PARKED -- kick --> READY
 *
 *     expiry: READY and DELAYED -> gone (ttl or retention), PARKED -> gone (retention, counted from the parking);
 *     INFLIGHT is judged when it comes back. max_attempts is judged before expiry.
 *
 *     A dead message (attempts used up, rejected, or its ttl over where the queue wants those) leaves for the dead-letter queue
 *     (dead.h); where there is none, or it has no room, the message is PARKED.
 *
 * Internal to the broker.
 */
#ifndef SERVER_BROKER_LIFE_H
#define SERVER_BROKER_LIFE_H

#include "server/broker/broker.h"
#include "server/broker/group.h"

/* What an answer's frame and fields cost around a body. */
#define LIFE_DELIVERY_BYTES 64

/* Counts an event in the queue and in the server. */
#define COUNT(b, q, field, n) ((void)((q)->counters.field += (n), (b)->counters.field += (n)))

enum timer_kind { TIMER_SLOT, TIMER_SWEEP, TIMER_WAITER, TIMER_DEDUP, TIMER_HELD, TIMER_MOVE };

/* True if the deadline has passed; 0 is no deadline. */
static inline bool life_passed(const struct broker *b, int64_t deadline_ms, int64_t now_ms)
{
    return deadline_ms != 0 && deadline_ms <= now_ms - (int64_t)b->clock_slack_ms;
}

static inline struct message *life_message(struct ring_cursor at)
{
    return ring_item(at);
}

/* The queue of a message, or NULL if it has been purged or deleted with its queue. */
static inline struct queue *life_queue(struct ring_cursor at)
{
    return at.page->ring->owner;
}

/* The slot of a message, or NULL. */
static inline struct slot *life_slot(const struct broker *b, const struct message *m)
{
    return m->slot == MESSAGE_NO_SLOT ? NULL : slots_at(&b->slots, m->slot);
}

/* From one state to another, with its bytes and what is kept beside the ring. */
static inline void life_move(struct queue *q, struct ring_cursor at, enum message_state from, enum message_state to)
{
    struct message *m = life_message(at);
    q->state_bytes[from] -= m->body_bytes;
    q->state_bytes[to] += m->body_bytes;
    ring_set(at, from, to);
    if (m->flags & MESSAGE_LINKED) {
        order_leave(q, m, from);
        if (from == MESSAGE_DELAYED)
            m->flags &= (uint8_t)~MESSAGE_HELD;
        order_enter(q, m, to);
    }
}

/* After a move: the message's group goes where it belongs. */
static inline void life_settle(struct broker *b, struct queue *q, struct message *m)
{
    if (m->flags & MESSAGE_LINKED)
        order_settle(b, q, message_links(m)->group);
}

/* Sets the deadline of a message's slot. */
static inline void life_arm(struct broker *b, struct slot *slot, int64_t deadline_ms)
{
    slot->timer.kind = TIMER_SLOT;
    timer_arm(&b->timers, &slot->timer, deadline_ms);
}

/* The message leaves for good. The caller counts why. */
void life_gone(struct broker *b, struct queue *q, struct ring_cursor at, enum message_state from);

/*
 * The same for an inflight message, by its slot, but for its place in the ring: those of one page leave it together, with
 * life_acked_end(), before anybody else looks at the ring.
 */
void life_acked(struct broker *b, struct queue *q, struct slot *slot);
void life_acked_end(struct broker *b, struct queue *q, struct ring_page *page, uint64_t items, uint32_t count);

/*
 * The message, which is the caller's until then, enters the queue, ready or delayed (-1: the queue's delay and ttl). Its id is
 * reserved in the ring, a slot is there if it has a ttl of its own or a delay, and in a fifo queue *spare is a record of its
 * group, which is taken if it is needed. copies_follow: as the watcher is told. Cannot fail. The caller wakes the line.
 */
void life_enter(struct broker *b, int64_t now_ms, struct queue *q, struct message *m, int64_t delay_ms, int64_t ttl_ms,
                struct group **spare, bool copies_follow);

/*
 * The same for many messages with the queue's delay and ttl, at once: *stamp is what all that enter at this time have in common,
 * and the id of the first. False if they need slots. When `count` of them, with `bytes` bytes of bodies and that expiry, have been
 * put into the ring, ready, from the queue's next id on, life_entered() does what else it takes, but for telling the watcher what
 * has been stored, which life_tell_stored() does: of `count` messages from that id on, in their order. They cannot fail.
 */
bool life_stamp(const struct queue *q, int64_t now_ms, struct message *stamp);
void life_entered(struct broker *b, struct queue *q, uint32_t count, uint64_t bytes, int64_t expires_ms);
void life_tell_stored(struct broker *b, struct queue *q, uint64_t id, uint32_t count);

/* True if the message needs a slot when it enters. */
bool life_needs_slot(const struct queue *q, int64_t now_ms, int64_t delay_ms, int64_t ttl_ms);

/* Its ttl or retention is over: gone, or dead if it is the ttl and the queue says so. */
void life_expire(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from);

/* The message is dead: to the dead-letter queue, or parked. */
void life_dead(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from,
               enum park_reason reason, struct view note);

/* To READY at its place, or expired. */
void life_ready(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from);

/* From INFLIGHT to DELAYED. */
void life_delay(struct broker *b, struct queue *q, struct ring_cursor at, int64_t until_ms);

/*
 * To PARKED. The note is copied; if there is no memory for it the message is parked without one. Only a ready message may need
 * a slot for it: if none is to be had it goes, expired (nothing but an expired one is ever parked from there).
 */
void life_park(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from,
               enum park_reason reason, struct view note);

/* From PARKED to READY, with its attempts forgotten. */
void life_kick(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at);

/* A charged delivery comes back: dead (with the note), expired, delayed or ready. delay_ms -1: as the queue's backoff says. */
void life_return(struct broker *b, int64_t now_ms, struct slot *slot, int64_t delay_ms, struct view note);

/* From READY to INFLIGHT for that taker, and onto its batch. False if memory ran out: nothing has happened. */
bool life_deliver(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, struct taker *taker);

/*
 * The same for ready messages of a page of a standard queue in their order, `most` at the most and no more than its peer has room
 * for, for a consumer: those in front that need no other care than that. Returns how many; 0: the first one needs care, since it has
 * a timer or has expired, or memory ran out. No message of the queue has a priority. The peer's room shrinks.
 */
uint32_t life_deliver_run(struct broker *b, int64_t now_ms, struct queue *q, struct ring_page *page,
                          struct taker *consumer, uint32_t most);

/* A delivery is acked: its message is gone. */
void settle_ack(struct broker *b, int64_t now_ms, struct slot *slot);

/* The deadline of a message's slot has come. */
void life_due(struct broker *b, int64_t now_ms, struct slot *slot);

/* The sweep must look at a ready message that has no timer of its own. */
void life_cover(struct broker *b, struct queue *q, const struct message *m);

/* The deadline of a queue's sweep has come: expires what it covers, within *budget. */
void life_sweep(struct broker *b, int64_t now_ms, struct queue *q, uint32_t *budget);

/* Frees a message of a detached ring, or a doomed one, whatever it was doing. */
void life_clear(struct broker *b, struct ring_cursor at, unsigned from);

/* The message gives its slot back, if it has one. */
void life_drop_slot(struct broker *b, struct message *m);

/* A copy of the text; NULL if it is empty, or memory ran out. */
struct note *life_note(struct broker *b, struct view text);

/* ---- takers (line.h) --------------------------------------------------------------------------------------------- */

/* Brings taker->able and its place in the round up to date. */
void line_update(struct broker *b, struct taker *taker);

/* The queue may have something to deal. */
void line_wake(struct broker *b, struct queue *q);

/* A slot leaves the list of its holder, who gets the credit back. */
static inline void life_release(struct broker *b, struct slot *slot)
{
    struct taker *holder = slot->holder;
    struct slot *prev = slot->prev, *next = slot->next;
    if (prev)
        prev->next = next;
    else if (holder)
        holder->oldest_held = next;
    if (next)
        next->prev = prev;
    else if (holder)
        holder->newest_held = prev;
    slot->prev = slot->next = NULL;
    slot->holder = NULL;
    if (holder) {
        assert(holder->held > 0);
        holder->held--;
        if (holder->state == TAKER_IDLE)
            line_update(b, holder);
    }
}

/* The slot of an inflight message that this receipt names, or NULL if the receipt is stale. */
static inline struct slot *life_find(const struct broker *b, uint64_t receipt)
{
    struct slot *slot = slots_find(&b->slots, receipt);
    if (!slot || !ring_is(slot->at, MESSAGE_INFLIGHT) || !life_queue(slot->at))
        return NULL;
    return slot;
}

/* ---- publishes that wait for room (held.c) ----------------------------------------------------------------------- */

/* Something has left a queue in which publishes wait, or its limits have changed. */
void held_room(struct broker *b, struct queue *q);

/* ---- attributes (attributes.c) ----------------------------------------------------------------------------------- */

/* True if every named value lies in its range; else b->which names one that does not. */
bool attributes_check(struct broker *b, const struct attribute_set *set);

/* Bits of the named attributes that are not what the queue has. */
uint32_t attributes_differing(const struct attributes *has, const struct attribute_set *set);

/* Merges the named values, which lie in their ranges, into *attributes of the queue with that name, if they go together and with
   the other queues; else nothing changes. */
enum error_code attributes_merge(struct broker *b, struct view name, const struct attribute_set *set,
                                 struct attributes *attributes);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Room for `count` outcomes; b->outcome_count becomes 0. False if memory ran out. */
bool broker_outcomes(struct broker *b, uint32_t count);

static inline void broker_outcome(struct broker *b, uint32_t index, enum error_code code, const char *which)
{
    b->outcomes[b->outcome_count++] = (struct outcome){index, code, which, 0};
}

/* Puts a ring on the list of those that are emptied in slices. */
void broker_trash(struct broker *b, struct ring *ring);
/* Frees everything that waits to be freed. */
void broker_trash_all(struct broker *b);

/* Refuses the call, naming the limit or key. */
static inline enum error_code broker_refuse(struct broker *b, enum error_code code, const char *which)
{
    b->which = which;
    return code;
}

#endif
