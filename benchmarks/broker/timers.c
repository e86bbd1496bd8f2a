#include "benchmarks/broker/scenes.h"
#include "benchmarks/broker/stage.h"

#include <math.h>
#include <stdlib.h>

/* Lengths from a second to half a day, each order of magnitude equally often: what visibilities, delays between attempts and
   delayed jobs look like together. */
#define SHORTEST_MS 1000.0
#define LONGEST_MS  (12 * 3600 * 1000)

/* At most so many may have the same time. */
#define AT_ONCE_MAX 8192

/* The length of the i-th deadline: any, but always the same (the finalizer of splitmix64, S. Vigna). */
static int64_t length_of(uint32_t i)
{
    uint64_t x = i + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    double part = (double)((x ^ x >> 31) >> 11) * 0x1p-53; /* from 0 to just below 1 */
    return (int64_t)(SHORTEST_MS * pow(LONGEST_MS / SHORTEST_MS, part));
}

/* One of the deadlines in the order of their times, and of equal ones in that of their numbers. */
struct deadline {
    uint32_t ms, number;
};

static struct deadline *in_order(uint32_t count)
{
    uint32_t *first = calloc(LONGEST_MS + 2, sizeof *first), *length = malloc(count * sizeof *length);
    struct deadline *order = malloc(count * sizeof *order);
    must(first && length && order, "there is memory for the benchmark itself");
    for (uint32_t i = 0; i < count; i++) {
        length[i] = (uint32_t)length_of(i);
        first[length[i] + 1]++;
    }
    for (uint32_t ms = 1; ms <= LONGEST_MS; ms++)
        first[ms + 1] += first[ms];
    for (uint32_t i = 0; i < count; i++)
        order[first[length[i]]++] = (struct deadline){length[i], i};
    free(length);
    free(first);
    return order;
}

/* Where those begin whose time has not come after so long. */
static uint32_t due_until(const struct deadline *order, uint32_t count, uint32_t from, int64_t passed_ms)
{
    uint32_t end = from;
    while (end < count && order[end].ms <= passed_ms)
        end++;
    must(end - from <= AT_ONCE_MAX, "few deadlines come at the same time");
    return end;
}

struct timer_costs scene_wheel(struct counter *counter, uint32_t count)
{
    static struct timers timers;
    struct timer_costs costs;
    struct timer *timer = calloc(count, sizeof *timer);
    struct deadline *order = in_order(count);
    must(timer != NULL, "there is memory for the timers");
    const int64_t begin_ms = 123456789;
    timers_init(&timers, begin_ms);

    counter_begin(counter);
    for (uint32_t i = 0; i < count; i++)
        timer[i].deadline_ms = begin_ms + length_of(i); /* not a part of arming; and its memory is there */
    counter_on(counter);
    for (uint32_t i = 0; i < count; i++)
        timer_arm(&timers, &timer[i], timer[i].deadline_ms);
    counter_off(counter);
    costs.arming = counter_end(counter, count);

    static struct timer *out[AT_ONCE_MAX + 1];
    counter_begin(counter);
    for (uint32_t from = 0, end; from < count; from = end) {
        uint32_t budget = UINT32_MAX, n = 0;
        counter_on(counter);
        int64_t now_ms = timers_next_ms(&timers);
        do
            out[n] = timers_pop(&timers, now_ms, &budget);
        while (out[n] && ++n <= AT_ONCE_MAX);
        counter_off(counter);
        end = due_until(order, count, from, now_ms - begin_ms);
        must(n == end - from, "as many timers come out as are due, none early, none late");
        for (uint32_t i = 0; i < n; i++)
            must(out[i] == &timer[order[from + i].number], "timers come out in the order of their deadlines");
    }
    costs.ending = counter_end(counter, count);
    must(timers.pending == 0, "no timer is left");
    free(order);
    free(timer);
    return costs;
}

/* The message with that number is published with its delay; or published and received for that long. */
static void set_deadline(struct stage *s, struct queue *delays, struct queue *holds, uint32_t i)
{
    struct publication p = {.body = {"01234567", 8}, .delay_ms = -1, .ttl_ms = -1};
    if (i % 2 == 0)
        p.delay_ms = length_of(i);
    stage_publish(s, i % 2 == 0 ? delays : holds, &p);
    if (i % 2 != 0)
        (void)stage_receive(s, holds, length_of(i));
}

static bool is_ready(struct queue *q, uint64_t id)
{
    struct ring_cursor at = ring_find(q->messages, id);
    return at.page && ring_is(at, MESSAGE_READY);
}

struct cost scene_deadlines(struct counter *counter, uint32_t count, double *bytes)
{
    static struct stage s;
    stage_open(&s);
    struct queue *delays = stage_queue(&s, "delays", QUEUE_STANDARD), *holds = stage_queue(&s, "holds", QUEUE_STANDARD);
    uint64_t empty_bytes = s.b.pool.used_bytes;
    for (uint32_t i = 0; i < count; i++)
        set_deadline(&s, delays, holds, i);
    *bytes = (double)(s.b.pool.used_bytes - empty_bytes) / count;

    struct deadline *order = in_order(count);
    const int64_t begin_ms = s.now_ms;
    counter_begin(counter);
    for (uint32_t from = 0, end; from < count; from = end) {
        counter_on(counter);
        int64_t next_ms = broker_next_ms(&s.b);
        s.now_ms = next_ms > s.now_ms ? next_ms : s.now_ms;
        (void)broker_turn(&s.b, s.now_ms);
        broker_effects_done(&s.b);
        counter_off(counter);
        end = due_until(order, count, from, s.now_ms - begin_ms);
        uint64_t ready = queue_count(delays, MESSAGE_READY) + queue_count(holds, MESSAGE_READY);
        must(ready <= end, "nothing is early");
        if (ready < end) {
            end = from; /* the turn was cut before it had come to all */
            continue;
        }
        /* Everyone that is due is ready, and no more are: so no other is. */
        for (uint32_t i = from; i < end; i++)
            must(is_ready(order[i].number % 2 == 0 ? delays : holds, order[i].number / 2 + 1), "what is due is ready");
    }
    struct cost cost = counter_end(counter, count);
    free(order);
    stage_close(&s);
    return cost;
}
