/*
 * timers: every deadline of the broker in one structure, a hierarchical timing wheel (G. Varghese, T. Lauck: "Hashed
 * and Hierarchical Timing Wheels", SOSP 1987) with a resolution of 1 ms.
 *
 * Each level has 64 buckets, each bucket of level n spans 64^n ms; a timer lies on the level of the highest digit (base
 * 64) in which its deadline differs from the wheel's time. When the wheel's time reaches a bucket of a higher level its
 * timers move down. Arming and cancelling cost the same however many timers are pending, and a timer moves at most once
 * per level.
 *
 * Promises: no timer comes out before its deadline. Timers come out in the order of their deadlines, and of equal
 * deadlines in the order in which they were armed (unless a bucket had to be moved down in several turns because the
 * budget ran out: then only the first half of the promise holds).
 *
 * The wheel's own time only goes forward, through timers_pop(). Times are any monotonic milliseconds from 0 to 2^48 -
 * 1.
 */
#ifndef SERVER_BROKER_TIMERS_H
#define SERVER_BROKER_TIMERS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMERS_LEVELS 8
#define TIMERS_NEVER  INT64_MAX

struct timer_link {
    struct timer_link *prev, *next;
};

/* Part of whatever has a deadline. All zero: not armed. */
struct timer {
    struct timer_link link;
    int64_t deadline_ms;
    uint16_t bucket; /* where it lies: level * 64 + index */
    uint8_t kind;    /* the owner's, see broker_turn() */
};

struct timers {
    int64_t now_ms;
    uint64_t pending; /* armed timers, due ones included */
    uint32_t moving;  /* level of a bucket that is being moved down, 0 = none */
    uint64_t occupied[TIMERS_LEVELS];
    struct timer_link bucket[TIMERS_LEVELS][64];
    struct timer_link due;
};

void timers_init(struct timers *timers, int64_t now_ms);

/* Sets or changes the deadline of a timer; one that has passed makes it due at once. */
void timer_arm(struct timers *timers, struct timer *timer, int64_t deadline_ms);

static inline bool timer_armed(const struct timer *timer)
{
    return timer->link.next != NULL;
}

/* The last timer of a bucket has left it. For timer_cancel() alone. */
void timers_emptied(struct timers *timers, unsigned bucket);

/* Takes a timer out; nothing happens if it is not armed. */
static inline void timer_cancel(struct timers *timers, struct timer *timer)
{
    struct timer_link *prev = timer->link.prev, *next = timer->link.next;
    if (!timer_armed(timer))
        return;
    assert(timers->pending > 0);
    timers->pending--;
    prev->next = next;
    next->prev = prev;
    timer->link = (struct timer_link){NULL, NULL};
    if (prev == next) /* the list's head: it was the only one */
        timers_emptied(timers, timer->bucket);
}

/* Arms a timer, which is not armed, for the moment for which another one is, and behind it: what timer_arm() would do, for less. */
static inline void timer_arm_behind(struct timers *timers, struct timer *timer, struct timer *other)
{
    struct timer_link *next = other->link.next;
    assert(!timer_armed(timer) && timer_armed(other));
    timers->pending++;
    timer->deadline_ms = other->deadline_ms;
    timer->bucket = other->bucket;
    timer->link = (struct timer_link){&other->link, next};
    next->prev = &timer->link;
    other->link.next = &timer->link;
}

/*
 * The next timer whose deadline is <= now_ms, taken out; NULL if there is none or *budget is used up. Each timer that
 * is returned or moved down costs one of *budget. now_ms below the wheel's time counts as the wheel's time.
 */
struct timer *timers_pop(struct timers *timers, int64_t now_ms, uint32_t *budget);

/*
 * When timers_pop() should be called next: never later than the earliest deadline, and not much earlier (at the start
 * of its bucket). TIMERS_NEVER if nothing is armed.
 */
int64_t timers_next_ms(const struct timers *timers);

#endif
