/*
 * The wheel's time is the moment up to which everything has been taken out or lies in `due`. For a timer above it the
 * level is the highest digit in which the two differ, and the bucket is the timer's digit there, which is then larger
 * than the wheel's. Two things follow: the earliest bucket is the lowest one of the lowest occupied level; and while
 * the wheel's time stays below that bucket's start, moving it forward puts no timer in the wrong place. So
 * timers_pop() goes from occupied bucket to occupied bucket, however long the pause between them.
 *
 * At a bucket of level 0 all timers have that very deadline, and the bucket becomes the tail of `due` as a whole. At a
 * higher bucket the wheel's time is set to its start and its timers are placed anew, in their order, below that level
 * or in `due`. If the budget ends in the middle, `moving` names the level; the bucket is the one with the wheel's own
 * digit, in which no timer can be placed anew. Until the move is over the wheel's time stands still, so what is armed
 * meanwhile is placed as always. Everything due by then is at or before the bucket's start and may come out first.
 *
 * Invariants: bit n of occupied[level] is set if and only if bucket[level][n] is not empty; no bucket's digit is the
 * wheel's digit on that level, but for the one being moved; `due` is in order of deadlines, where a deadline that had
 * passed when it was armed counts as the wheel's time of that moment.
 */
#include "server/broker/timers.h"

#include <assert.h>
#include <stddef.h>

#define DIGIT_BITS 6
#define DIGIT_MASK 63u
#define TIME_END   (INT64_C(1) << (TIMERS_LEVELS * DIGIT_BITS))

static inline unsigned digit(int64_t time_ms, unsigned level)
{
    return (unsigned)(time_ms >> (level * DIGIT_BITS)) & DIGIT_MASK;
}

static inline void list_init(struct timer_link *list)
{
    list->prev = list;
    list->next = list;
}

static inline bool list_empty(const struct timer_link *list)
{
    return list->next == list;
}

static inline void list_append(struct timer_link *list, struct timer_link *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

static inline void list_remove(struct timer_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = NULL;
    link->next = NULL;
}

/* Puts all of `from`, which is not empty, behind `list`. */
static void list_splice(struct timer_link *list, struct timer_link *from)
{
    from->next->prev = list->prev;
    list->prev->next = from->next;
    from->prev->next = list;
    list->prev = from->prev;
    list_init(from);
}

static inline struct timer *timer_of(struct timer_link *link)
{
    static_assert(offsetof(struct timer, link) == 0, "a link is the beginning of its timer");
    return (struct timer *)(void *)link;
}

void timers_init(struct timers *timers, int64_t now_ms)
{
    assert(now_ms >= 0 && now_ms < TIME_END);
    *timers = (struct timers){.now_ms = now_ms};
    for (unsigned level = 0; level < TIMERS_LEVELS; level++)
        for (unsigned index = 0; index <= DIGIT_MASK; index++)
            list_init(&timers->bucket[level][index]);
    list_init(&timers->due);
}

/* Puts a timer that lies nowhere where it belongs. */
static void place(struct timers *timers, struct timer *timer)
{
    if (timer->deadline_ms <= timers->now_ms) {
        timer->bucket = 0;
        list_append(&timers->due, &timer->link);
        return;
    }
    uint64_t differing = (uint64_t)timer->deadline_ms ^ (uint64_t)timers->now_ms;
    unsigned level = (63 - (unsigned)__builtin_clzll(differing)) / DIGIT_BITS;
    unsigned index = digit(timer->deadline_ms, level);
    timer->bucket = (uint16_t)(level * 64 + index);
    list_append(&timers->bucket[level][index], &timer->link);
    timers->occupied[level] |= UINT64_C(1) << index;
}

/* Notes that a bucket is empty, if it is. */
static void bucket_check(struct timers *timers, unsigned level, unsigned index)
{
    if (!list_empty(&timers->bucket[level][index]))
        return;
    timers->occupied[level] &= ~(UINT64_C(1) << index);
    if (level == timers->moving && index == digit(timers->now_ms, level))
        timers->moving = 0;
}

void timer_arm(struct timers *timers, struct timer *timer, int64_t deadline_ms)
{
    assert(deadline_ms < TIME_END);
    timer_cancel(timers, timer);
    timer->deadline_ms = deadline_ms;
    timers->pending++;
    place(timers, timer);
}

void timers_emptied(struct timers *timers, unsigned bucket)
{
    /* Of a due timer it is one in which it may have been, which is as well: that one is checked in vain. */
    bucket_check(timers, bucket / 64u, bucket % 64u);
}

/* The level of the earliest bucket, or TIMERS_LEVELS if all are empty. */
static unsigned earliest_level(const struct timers *timers)
{
    unsigned level = 0;
    while (level < TIMERS_LEVELS && timers->occupied[level] == 0)
        level++;
    return level;
}

/* When the earliest bucket of a level that has one starts. */
static int64_t earliest_start_ms(const struct timers *timers, unsigned level)
{
    uint64_t index = (uint64_t)__builtin_ctzll(timers->occupied[level]);
    unsigned above = (level + 1) * DIGIT_BITS;
    return (int64_t)(((uint64_t)timers->now_ms >> above << above) | index << (level * DIGIT_BITS));
}

/* Moves timers of the bucket that the wheel's time has reached down until it is empty or the budget is used up. */
static void move_down(struct timers *timers, uint32_t *budget)
{
    unsigned level = timers->moving;
    unsigned index = digit(timers->now_ms, level);
    struct timer_link *bucket = &timers->bucket[level][index];
    while (!list_empty(bucket) && *budget > 0) {
        struct timer *timer = timer_of(bucket->next);
        list_remove(&timer->link);
        place(timers, timer);
        (*budget)--;
    }
    bucket_check(timers, level, index);
}

/* Brings the wheel's time to the earliest bucket that starts by now_ms, or to now_ms and returns false. */
static bool advance(struct timers *timers, int64_t now_ms)
{
    unsigned level = earliest_level(timers);
    int64_t start_ms = level < TIMERS_LEVELS ? earliest_start_ms(timers, level) : TIMERS_NEVER;
    if (start_ms > now_ms) {
        timers->now_ms = now_ms;
        return false;
    }
    timers->now_ms = start_ms;
    timers->moving = level;
    if (level == 0) {
        unsigned index = digit(start_ms, 0);
        list_splice(&timers->due, &timers->bucket[0][index]);
        bucket_check(timers, 0, index);
    }
    return true;
}

struct timer *timers_pop(struct timers *timers, int64_t now_ms, uint32_t *budget)
{
    assert(now_ms < TIME_END);
    if (now_ms < timers->now_ms)
        now_ms = timers->now_ms;
    while (*budget > 0) {
        if (!list_empty(&timers->due)) {
            struct timer *timer = timer_of(timers->due.next);
            list_remove(&timer->link);
            timers->pending--;
            (*budget)--;
            return timer;
        }
        if (timers->moving != 0)
            move_down(timers, budget);
        else if (!advance(timers, now_ms))
            return NULL;
    }
    return NULL;
}

int64_t timers_next_ms(const struct timers *timers)
{
    if (!list_empty(&timers->due) || timers->moving != 0)
        return timers->now_ms;
    unsigned level = earliest_level(timers);
    return level < TIMERS_LEVELS ? earliest_start_ms(timers, level) : TIMERS_NEVER;
}
