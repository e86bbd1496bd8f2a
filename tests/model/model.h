/*
 * model: what the broker should do, written a second time, as plainly as possible and without a thought for speed:
 * arrays, and a look at everything each time. Stories of random steps are told to both; the transcripts must be the
 * same.
 *
 * Where several things happen in the same millisecond, the order is that in which their deadlines were set.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_QUEUES  4 /* q0 .. q3 */
#define MODEL_TOPICS  2 /* t0, t1 */
#define STEP_REFS     4
#define STEP_MESSAGES 4
#define STEP_PARTS    3

/* Every kind of step and its word: X(id, verb, of a queue, of a peer). */
#define STEP_LIST(X)                                  \
    X(CREATE, "create", true, false)                  \
    X(UPDATE, "update", true, false)                  \
    X(DELETE, "delete", true, false)                  \
    X(PURGE, "purge", true, false)                    \
    X(PAUSE, "pause", true, false)                    \
    X(RESUME, "resume", true, false)                  \
    X(INFO, "info", true, false)                      \
    X(COUNTERS, "counters", true, false)              \
    X(PUBLISH, "publish", true, true)                 \
    X(CONSUME, "consume", true, true)                 \
    X(CREDIT, "credit", false, true)                  \
    X(CANCEL, "cancel", false, true)                  \
    X(RECEIVE, "receive", true, true)                 \
    X(ACK, "ack", true, false)                        \
    X(NACK, "nack", true, false)                      \
    X(EXTEND, "extend", true, false)                  \
    X(PARK, "park", true, false)                      \
    X(KICK, "kick", true, false)                      \
    X(DISCARD, "discard", true, false)                \
    X(PEEK, "peek", true, false)                      \
    X(CLOSE, "close", false, true)                    \
    X(FULL, "full", false, true)                      \
    X(DRAINED, "drained", false, true)                \
    X(AT, "at", false, false)                         \
    X(WRITTEN, "written", true, false)                \
    X(UNWRITTEN, "unwritten", true, false)            \
    X(STATE, "state", false, false)                   \
    X(TOPIC_CREATE, "topic create", false, false)     \
    X(TOPIC_DELETE, "topic delete", false, false)     \
    X(TOPIC_INFO, "topic info", false, false)         \
    X(SUBSCRIBE, "topic subscribe", false, false)     \
    X(UNSUBSCRIBE, "topic unsubscribe", false, false) \
    X(PUBLISH_TOPIC, "publish_topic", false, true)    \
    X(COMMIT, "commit", false, false)                 \
    X(MOVE, "move", true, false)                      \
    X(MOVES, "moves", false, false)                   \
    X(MOVE_CANCEL, "move_cancel", false, false)

enum step_op {
#define X(id, verb, of_queue, of_peer) STEP_##id,
    STEP_LIST(X)
#undef X
        STEP_OPS
};

/* The attributes that a story sets, all numbers: X(name). -1: not named. */
#define STEP_ATTRIBUTES(X) \
    X(type)                \
    X(visibility)          \
    X(max_hold)            \
    X(delay)               \
    X(retention)           \
    X(ttl)                 \
    X(max_attempts)        \
    X(dead_letter_expired) \
    X(max_messages)        \
    X(max_bytes)           \
    X(overflow)            \
    X(dedup_window)        \
    X(content_dedup)       \
    X(dedup_scope)         \
    X(sticky_groups)       \
    X(group_prefetch)

struct step_attributes {
#define X(name) int64_t name;
    STEP_ATTRIBUTES(X)
#undef X
    int dead_letter; /* -1: not named; -2: nil; else a queue */
    int backoff;     /* -1: not named; else one of step_backoffs */
};

struct step_backoff {
    int64_t base_ms; /* 0: nil */
    int factor;
    int64_t cap_ms;
};

#define STEP_BACKOFFS 4
extern const struct step_backoff step_backoffs[STEP_BACKOFFS];

/* Keys of topics, patterns and filters, by number. */
#define STEP_KEYS     5
#define STEP_PATTERNS 7
#define STEP_FILTERS  5
extern const char *const step_keys[STEP_KEYS];
extern const char *const step_patterns[STEP_PATTERNS]; /* NULL: none named */
extern const char *const step_filters[STEP_FILTERS];   /* NULL: none */

struct step_message {
    char body;
    uint32_t bytes;
    int64_t delay, ttl; /* -1: none named */
    char group, dedup;  /* 0: none */
    char header;        /* of h=h:x?; 0: none */
    uint8_t priority;
    bool wrong;
};

/* One list of messages in a commit: the next `count` of the step's. */
struct step_part {
    bool topic;
    int target, key;
    int count;
};

struct step {
    enum step_op op;
    bool together; /* the next step is of the same turn */
    char peer;     /* publish: 0: nobody's, it does not wait */
    int queue;
    int topic, key, pattern, filter; /* of topic steps */
    int to;                          /* move: a queue or -1 */
    int64_t number; /* credit: prefetch; extend, at: ms; kick: count; purge: state or -1; nack: delay or -1; peek: from;
                   publish: wait; move: rate; move_cancel: id */
    int64_t second; /* consume: visibility or -1; receive: wait; peek: max; move: max */
    uint64_t consumer; /* credit, cancel */
    uint32_t max;      /* consume: prefetch; receive: max */
    bool flag;         /* publish: atomic, to a topic: mandatory; consume: auto; ack: multiple; nack: dead */
    bool exclusive, single;
    bool note;                         /* nack */
    uint32_t priority, group_prefetch; /* consume; 0: none named */
    struct step_attributes attributes;
    int ref_count; /* deliveries, or ids to discard */
    struct {
        uint64_t id;
        uint32_t attempt; /* 0: the last delivery */
    } refs[STEP_REFS];
    int message_count;
    struct step_message messages[STEP_MESSAGES];
    int part_count;
    struct step_part parts[STEP_PARTS];
};

/* The longest line of a step. */
#define STEP_LINE 1024

/* The step as a line of a story, with its newline. Returns its length. */
size_t step_print(const struct step *step, char *out, size_t room);

/*
 * What the broker should say: the whole transcript, malloc'ed. *count becomes smaller if the rules don't say what comes
 * of the step there: the story ends before it.
 */
char *model_run(const struct step *steps, size_t *count);

/* The same step by step. What has been said so far stays the model's; model_close() returns it (malloc'ed).
   model_tell(): false if the rules don't say what comes of the step; the model is of no use then. */
struct model *model_open(void);
bool model_tell(struct model *w, const struct step *step);
const char *model_said(const struct model *w);
char *model_close(struct model *w);

/* `count` random steps. `choose(user, n)` gives 0 .. n-1. */
void steps_invent(struct step *steps, size_t count, uint32_t (*choose)(void *user, uint32_t n), void *user);

/* Time does not go on in the middle of a turn, and no story ends there. */
void steps_end_turns(struct step *steps, size_t count);

#endif
