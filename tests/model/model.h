/*
 * model: what the broker should do, written a second time, as plainly as possible and without a thought for speed: arrays,
 * and a look at everything each time. Stories of random steps are told to both; the transcripts must be the same.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_QUEUES  3
#define STEP_REFS     4
#define STEP_MESSAGES 4

enum step_op {
    STEP_CREATE,
    STEP_UPDATE,
    STEP_DELETE,
    STEP_PURGE,
    STEP_PAUSE,
    STEP_RESUME,
    STEP_INFO,
    STEP_COUNTERS,
    STEP_PUBLISH,
    STEP_CONSUME,
    STEP_CREDIT,
    STEP_CANCEL,
    STEP_RECEIVE,
    STEP_ACK,
    STEP_NACK,
    STEP_EXTEND,
    STEP_PARK,
    STEP_KICK,
    STEP_DISCARD,
    STEP_PEEK,
    STEP_CLOSE,
    STEP_FULL,
    STEP_DRAINED,
    STEP_AT,
    STEP_WRITTEN,
    STEP_UNWRITTEN,
    STEP_OPS
};

/* The attributes that a story sets. -1: not named. */
struct step_attributes {
    int64_t visibility, delay, retention, ttl, max_attempts, max_messages, max_bytes, overflow;
};

struct step {
    enum step_op op;
    bool together; /* the next step is of the same turn */
    char peer;
    int queue;
    int64_t
        number; /* credit: prefetch; extend, at: ms; kick: count; purge: state or -1; nack: delay or -1; peek: from */
    int64_t second;    /* consume: visibility or -1; receive: wait; peek: max */
    uint64_t consumer; /* credit, cancel */
    uint32_t max;      /* consume: prefetch; receive: max */
    bool flag;         /* publish: atomic; consume: auto; ack: multiple; nack: dead */
    struct step_attributes attributes;
    int ref_count; /* deliveries, or ids to discard */
    struct {
        uint64_t id;
        uint32_t attempt; /* 0: the last delivery */
    } refs[STEP_REFS];
    int message_count;
    struct {
        char body;
        uint32_t bytes;
        int64_t delay, ttl; /* -1: none named */
    } messages[STEP_MESSAGES];
};

/* The step as a line of a story, with its newline. Returns its length. */
size_t step_print(const struct step *step, char *out, size_t room);

/* What the broker should say: the whole transcript, malloc'ed. */
char *model_run(const struct step *steps, size_t count);

/* `count` random steps. `choose(user, n)` gives 0 .. n-1. */
void steps_invent(struct step *steps, size_t count, uint32_t (*choose)(void *user, uint32_t n), void *user);

/* Time does not go on in the middle of a turn, and no story ends there. */
void steps_end_turns(struct step *steps, size_t count);

#endif
