/*
 * group: the groups of a fifo queue. Within a group messages go out strictly in the order of their ids; a group is locked while
 * any of its messages is inflight; between groups there is no order, they take turns.
 *
 * A group exists while a message of it is in the queue, in whatever state, and keeps
 *     ready      a tree of its ready messages
 *     held       a tree of those that came back with a delay: they keep their place, and nothing behind the first of them goes out
 *     inflight   a list of what is out, in the order of ids
 *     holder     the taker that may go on with it: a consumer up to its group_prefetch, a receive until it is answered
 * A group from which a message can go out now stands in one list: the queue's ring of deliverable groups, if anybody may have
 * it; its holder's own, if only that one may. It joins at the end when it becomes deliverable and leaves when it is not any more.
 * So the next message is found in a constant number of steps behind any backlog.
 *
 *     deliverable = there is a first ready message m, and
 *                   no held message is before m, and
 *                   nothing is inflight, or the holder has less than its share and m is behind all that is inflight
 *
 * Every change of a message's state goes through order_enter() and order_leave(), followed by order_settle(), which puts the
 * group where it belongs. None of them allocates: the record of a group that may be needed is made before (group_new()).
 *
 * Messages with a priority on standard queues are kept in order by the same calls: the queue has a tree of ready ones for
 * each priority above 0.
 */
#ifndef SERVER_BROKER_GROUP_H
#define SERVER_BROKER_GROUP_H

#include "server/broker/message.h"
#include "server/broker/table.h"

struct broker;
struct queue;
struct taker;
struct group;

struct group_list {
    struct group *first, *last;
};

struct group {
    struct table_link link;
    struct group *older, *newer;             /* the queue's groups, in the order in which they came to be */
    struct message *ready, *held;            /* trees */
    struct message *newest_inflight;         /* the last of a list */
    uint32_t count[4];                       /* messages by state */
    struct taker *holder;                    /* or NULL */
    struct group *holder_prev, *holder_next; /* the holder's groups */
    struct group_list *list;                 /* where it stands, NULL: it is not deliverable */
    struct group *list_prev, *list_next;
    uint8_t name_bytes;
    char name[];
};

struct groups {
    struct table table;
    struct group *oldest, *newest;
    struct group_list deliverable; /* to anybody */
};

/* A group of that name without messages, which the queue has room to take, but does not know yet; NULL when out of memory. */
struct group *group_new(struct broker *b, struct queue *q, struct view name);
void group_free(struct pool *pool, struct group *group);

/* The group of that name, or NULL. */
struct group *group_find(const struct broker *b, const struct queue *q, struct view name);

/* The same, or a new one that the queue knows from now on; order_settle() ends it if no message enters it. NULL when out of memory. */
struct group *group_meet(struct broker *b, struct queue *q, struct view name);

/* The message joins its group: the queue's, or else *spare, which is taken then (*spare becomes NULL). */
void group_join(struct broker *b, struct queue *q, struct message *m, struct group **spare);

/* The message, with links, is in this state from now on; or no longer. */
void order_enter(struct queue *q, struct message *m, enum message_state state);
void order_leave(struct queue *q, struct message *m, enum message_state state);

/* Puts the group, if it is one, where it belongs after a change; one without messages ends. */
void order_settle(struct broker *b, struct queue *q, struct group *g);

/* All messages in that state are gone for everybody. */
void order_doom(struct broker *b, struct queue *q, enum message_state state);

/* All messages are gone for everybody: the groups are handed over to be freed in slices. */
void order_detach(struct broker *b, struct queue *q);

/* Frees up to *budget of the groups handed over; true if none is left. */
bool group_trash(struct broker *b, uint32_t *budget);

/* Something that all groups depend on has changed. */
void order_review(struct broker *b, struct queue *q);

/* The taker gets messages of the group from now on. */
void group_hold(struct group *g, struct taker *taker);

/* The taker goes on with no group any more. */
void group_release_all(struct broker *b, struct queue *q, struct taker *taker);

#endif
