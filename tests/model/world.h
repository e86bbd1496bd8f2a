/*
 * world: what the model knows, and how its parts call each other. Each part is a chapter of the rules:
 *
 *     model_world.c    finding and counting
 *     model_life.c     what happens to one message
 *     model_dead.c     room, dead letters, and messages that go to another queue
 *     model_fifo.c     groups
 *     model_line.c     who takes messages, and in which order
 *     model_publish.c  messages in, duplicates
 *     model_held.c     publishes that wait
 *     model_topic.c    topics
 *     model_commit.c   commits
 *     model_move.c     moves
 *     model_settle.c   what consumers say about deliveries
 *     model_admin.c    queues, and looking at things
 *     model.c          the turn, time, and the steps
 */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include "server/broker/queue.h"
#include "tests/model/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Enough for any 200 steps. */
#define MAX_MESSAGES      850
#define MAX_TAKERS        220
#define MAX_GROUPS        16
#define MAX_DEDUPS        850
#define MAX_SUBSCRIPTIONS 64
#define MAX_HELD          220
#define MAX_MOVES         220
#define NOBODY            0
#define NEVER             (-1)
#define WALL_AHEAD_MS     1000000

/* What a message carries when it has been dead-lettered. */
struct death {
    bool dead;
    int queue;
    uint64_t id;
    const char *reason, *note;
    uint32_t attempts;
    int64_t first, last;
};

struct m {
    uint64_t id;
    char body, group, dedup, header;
    uint8_t priority;
    uint32_t bytes, attempts;
    enum message_state state;
    bool held;       /* delayed after a delivery */
    bool ttl;        /* what ends it is its ttl, not retention */
    int64_t expires; /* 0: never */
    int64_t due;     /* delayed: end of the delay; inflight: end of the visibility */
    int64_t since;
    int64_t first, last; /* deliveries, or NEVER */
    uint64_t armed;      /* grows with each deadline that is set: the order within a millisecond */
    uint64_t match;      /* a delivery of a match: what `armed` was when that began; else 0 */
    uint64_t serial;     /* of the delivery, if inflight */
    uint64_t owner;      /* of the delivery: the taker's uid */
    const char *reason, *note;
    struct death death;
};

/* A group of a fifo queue. Everything but its holder and its place follows from the messages. */
struct g {
    char name;
    uint64_t holder; /* uid of the taker that may go on with it, or NOBODY */
    uint64_t bound;  /* grows: when the holder got it */
    uint64_t where;  /* whose list it stands in: nobody's, everybody's, or that of the taker with this uid */
    uint64_t place;  /* grows: when it came there */
};

struct t {
    uint64_t uid; /* grows with the order of arrival */
    bool waiter, automatic, over, leaving;
    bool exclusive, single;
    char peer;
    int queue;
    uint64_t id;
    uint32_t limit, priority, group_prefetch;
    int64_t visibility, deadline;
    uint64_t armed;
};

struct d {
    bool content, by_group;
    char id, group;
    uint32_t bytes;
    uint64_t first_id;
    int64_t until;
};

struct q {
    bool exists, paused;
    struct attributes a;
    int count;
    uint64_t next_id;
    uint64_t turn[LIMIT_PRIORITIES]; /* uid of who was served last, by consumer priority */
    struct g groups[MAX_GROUPS];     /* in the order in which they came to be */
    int group_count;
    int dedup_count;
    bool roomy;      /* something has changed for those who wait in its line */
    uint64_t line;   /* grows: when its line came to be */
    uint64_t active; /* uid of the single active consumer, or NOBODY */
    uint64_t before; /* messages below this id were there before the present call: they may make room */
    struct queue_counters n;
    struct d dedups[MAX_DEDUPS];
    struct m list[MAX_MESSAGES]; /* in the order of their ids */
};

struct subscription_to {
    int queue, pattern, filter;
};

struct topic_of {
    bool exists;
    struct subscription_to list[MAX_SUBSCRIPTIONS];
    int count;
    uint64_t published, routed;
};

struct route {
    int count;
    bool to[STEP_MESSAGES][MODEL_QUEUES];
};

struct topic_result {
    int64_t copies;
    int index, where; /* the message and the queue that stopped it */
};

/* What was wrong with a message when its publish came, and stays so: for ever, or unless it is a duplicate. */
struct verdict {
    const char *wrong, *limited;
};

/* A publish that waits for room. */
struct h {
    char peer;
    uint64_t token;
    bool to_topic;
    struct step step;
    struct verdict verdicts[STEP_MESSAGES];
    struct route route; /* to a topic */
    int full;           /* the queue that had no room when it was tried last */
    int waits_for;      /* the queue in whose line it stands */
    int64_t deadline;
    uint64_t armed;
};

struct move_of {
    uint64_t id;
    int state; /* 0 running, 1 done, 2 cancelled */
    int source, to;
    int64_t rate, max, moved;
    uint64_t from, end;
    int64_t since, counted;
    int64_t deadline; /* of the next step, or of its end in the list */
    uint64_t armed;
};

/* Something to be said at the end of the turn. */
struct said {
    char peer;
    uint64_t id;
    int kind; /* 0 gets (consumer), 1 gets (receive), 2 refused, 3 cancelled, 4 published */
    char text[1024];
};

struct seen_at {
    int queue;
    uint64_t id, serial;
    uint32_t attempt;
};

struct model {
    int64_t now;
    uint64_t next_uid, next_serial, next_token, next_publish, next_armed, next_place, next_move;
    uint64_t match;     /* see struct m; 0 outside of a match */
    bool room;          /* something has changed for those who wait anywhere */
    bool unclear;       /* the rules don't say how it goes on */
    int waiting_before; /* so many of those who wait came before what publishes now */
    bool trying;        /* what publishes now is one of those who wait */
    bool endless_room;  /* only what is wrong with the messages themselves is looked for */
    bool open[26], full[26];
    uint64_t next_consumer[26];
    struct topic_of topics[MODEL_TOPICS];
    int taker_count, held_count, move_count, said_count, seen_count;
    /* Of what follows only so many are copied. */
    struct q queues[MODEL_QUEUES];
    struct t takers[MAX_TAKERS]; /* in the order of their arrival */
    struct h held[MAX_HELD];     /* in the order of their arrival */
    struct move_of moves[MAX_MOVES];
    struct said said[MAX_TAKERS];
    /* What follows only grows, and is not part of a copy. */
    char *out;
    size_t bytes, cap;
    struct seen_at *seen;
    int seen_cap;
};

/* ---- model_world.c ----------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) void model_say(struct model *w, const char *format, ...);
/* Text for the end of the turn. */
struct said *model_said_for(struct model *w, char peer, uint64_t id, int kind);
__attribute__((format(printf, 2, 3))) void model_add(char *text, const char *format, ...);

/* What the other knows, without what it has said. */
void model_copy(struct model *to, const struct model *from);
/* A copy, to which the world goes back, or not: what has been said meanwhile stays. */
struct model *model_remember_world(const struct model *w);
void model_restore_world(struct model *w, struct model *before);
void model_forget_world(struct model *before);

struct m *model_find(struct q *q, uint64_t id);
struct m *model_first_in(struct q *q, enum message_state state);
int model_count_in(const struct q *q, enum message_state state);
int64_t model_bytes_of(const struct q *q);
bool model_expired(const struct model *w, const struct m *m);
bool model_is_fifo(const struct q *q);
int model_queue_number(const struct model *w, const struct q *q);
struct t *model_taker_with(struct model *w, uint64_t uid);
uint64_t model_arm(struct model *w);
/* The dead-letter queue's number, or -1: nil; whether there is such a queue is another question. */
int model_dead_letter_of(const struct q *q);
void model_set_dead_letter(struct q *q, int to);

/* ---- model_life.c: one message, one event; its group is settled afterwards --------------------------------------- */

void model_to_ready(struct model *w, struct q *q, struct m *m);
void model_to_parked(struct model *w, struct q *q, struct m *m, const char *reason, const char *note);
/* A charged delivery comes back; delay -1: none named. */
void model_give_back(struct model *w, struct q *q, struct m *m, int64_t delay, const char *note);
/* ttl or retention is over. */
void model_to_expired(struct model *w, struct q *q, struct m *m);
/* Leaves for good; the caller counts why. */
void model_to_nowhere(struct model *w, struct q *q, struct m *m);
/* A copy of `what` at the end of the queue, ready or delayed. */
struct m *model_put_in(struct model *w, struct q *q, const struct m *what, int64_t delay, int64_t ttl);

/* ---- model_dead.c ------------------------------------------------------------------------------------------------ */

bool model_fits(const struct q *q, int64_t count, int64_t bytes);
/* From now on room is made only from what is there now. */
void model_begin_call(struct model *w);
/* Makes room for one message as the queue's overflow rule says; false: nothing has changed. */
bool model_make_room(struct model *w, struct q *q, uint32_t bytes);
/* Dead-lettered or parked. */
void model_to_dead(struct model *w, struct q *q, struct m *m, const char *reason, const char *note);
/* A moved message's way; false: the target has no room. */
bool model_move_over(struct model *w, struct q *q, struct m *m, struct q *to);

/* ---- model_fifo.c ------------------------------------------------------------------------------------------------ */

/* Brings the group up to date after a change. Does nothing on a standard queue. */
void model_settle_group(struct model *w, struct q *q, char name);
void model_settle_all_groups(struct model *w, struct q *q);
/* The taker got a message of the group. */
void model_group_taken(struct model *w, struct q *q, char name, const struct t *t);
/* The taker goes on with no group any more. */
void model_release_groups(struct model *w, struct q *q, uint64_t uid);
/* The message that the taker would get next, or NULL; anybody: only from groups that stand open to all. */
struct m *model_next_for(struct model *w, struct q *q, const struct t *t);
bool model_anything_common(struct model *w, struct q *q);
bool model_anything_own(struct model *w, struct q *q, const struct t *t);
/* The state of the groups as text, and the groups of one list. */
void model_say_groups(struct model *w, struct q *q);
void model_say_list(struct model *w, struct q *q, uint64_t where, const char *before, const char *after);

/* ---- model_line.c ------------------------------------------------------------------------------------------------ */

uint32_t model_held_by(struct model *w, const struct t *t);
bool model_able(struct model *w, const struct t *t);
void model_match(struct model *w, int queue);
void model_answer_waiters(struct model *w);
void model_end_consumer(struct model *w, struct t *t);
void model_drop_taker(struct model *w, struct t *t);
void model_receive(struct model *w, struct q *q, const struct step *s);
void model_consume(struct model *w, struct q *q, const struct step *s);
void model_end_peer(struct model *w, char peer);
struct t *model_consumer(struct model *w, const struct step *s);

/* ---- model_publish.c --------------------------------------------------------------------------------------------- */

/* What a message in a batch comes to. */
struct fate {
    const char *refusal; /* or NULL */
    uint64_t duplicate;  /* of that id, or 0 */
    uint64_t id;
};

/* What is wrong with the message as such. */
const char *model_wrong_with(const struct q *q, const struct step_message *p, bool by_topic);
/* The first id if it is a duplicate, else 0. */
uint64_t model_duplicate_of(const struct model *w, const struct q *q, const struct step_message *p);
/* Stores it, if there is room. */
struct fate model_publish_one(struct model *w, struct q *q, const struct step_message *p, bool by_topic);
/* True if a publish waits in that queue's line. */
bool model_line_stands(const struct model *w, const struct q *q);
void model_publish(struct model *w, struct q *q, const struct step *s);

/* A call of several messages, and what has become of them. */
struct batch {
    struct verdict verdicts[STEP_MESSAGES];
    struct fate fates[STEP_MESSAGES];
    int stored;
    uint64_t first;
};

/* Each message for itself. */
void model_publish_each(struct model *w, struct q *q, const struct step *s, struct batch *b);
/* All that can be stored, or nothing is changed. With `strict` also what is wrong for ever stops it. */
const char *model_publish_all(struct model *w, struct q *q, const struct step *s, bool strict, struct batch *b);
/* The answer, after what a call's answer begins with. */
void model_add_result(char *text, const struct step *s, const struct batch *b, const char *none, const char *indent);

/* ---- model_held.c ------------------------------------------------------------------------------------------------ */

/*
 * There may be room in the queue: something has left it, can be displaced now, or its attributes are others. Those in
 * its line are looked at again; also those of other queues whose overflow goes to dead-letter queues.
 */
void model_room(struct model *w, struct q *q);
/* In the turn. */
void model_held_over(struct model *w, int index);
void model_retry_held(struct model *w);
void model_drop_held(struct model *w, int index);
void model_end_held_of_queue(struct model *w, int queue);
void model_end_held_of_topic(struct model *w, int topic);
void model_hold(struct model *w, const struct step *s, int waits_for);

/* ---- model_topic.c ----------------------------------------------------------------------------------------------- */

/* Which queues get a copy of which messages. */
struct route model_route(const struct model *w, int topic, int key, const struct step_message *messages, int count);
/* One message of a topic, into all queues that get it; NULL and *copies grows, or why not (and *where). */
const char *model_fan_out(struct model *w, const bool *to, const struct step_message *p, int64_t *copies, int *where);
void model_topic_step(struct model *w, const struct step *s);
void model_publish_topic(struct model *w, const struct step *s);
/* The whole call, without a wait: NULL, or why not. */
const char *model_topic_publish(struct model *w, const struct step *s, const struct route *route,
                                struct topic_result *r);
/* A refused call counts at every queue the copies that were meant for it. */
void model_count_refused(struct model *w, const struct route *route);
void model_forget_subscriptions(struct model *w, int queue);

/* ---- model_commit.c ---------------------------------------------------------------------------------------------- */

void model_commit(struct model *w, const struct step *s);

/* ---- model_move.c ------------------------------------------------------------------------------------------------ */

void model_move(struct model *w, struct q *q, const struct step *s);
void model_moves(struct model *w);
void model_move_cancel(struct model *w, const struct step *s);
void model_move_due(struct model *w, int index);
void model_cancel_moves_of(struct model *w, int queue);

/* ---- model_settle.c ---------------------------------------------------------------------------------------------- */

/* The inflight message that a reference names, or NULL if that delivery is over. */
struct m *model_delivery(struct model *w, const struct step *s, int i);
void model_ack_one(struct model *w, struct q *q, struct m *m);
void model_settle(struct model *w, struct q *q, const struct step *s);
void model_written(struct model *w, struct q *q, const struct step *s);

/* ---- model_admin.c ----------------------------------------------------------------------------------------------- */

void model_create(struct model *w, const struct step *s);
void model_update(struct model *w, struct q *q, const struct step *s);
void model_delete(struct model *w, int queue);
void model_purge(struct model *w, struct q *q, int64_t state);
void model_kick(struct model *w, struct q *q, int64_t count);
void model_discard(struct model *w, struct q *q, const struct step *s);
void model_peek(struct model *w, struct q *q, const struct step *s);
void model_counters(struct model *w, const struct q *q);
void model_state(struct model *w);

#endif
