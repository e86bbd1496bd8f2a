#include "server/net/reactor.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)

/* libev's own clock reading is a little older than ours; waking a tenth of a millisecond late is better than twice. */
#define WAKE_MARGIN_S 0.0001

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static void read_clock(struct net *net)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    net->now_ns = NET_CLOCK_BASE_MS * NS_PER_MS + now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    net->now_ms = (net->now_ns + NS_PER_MS - 1) / NS_PER_MS;
}

void net_clock_again(struct net *net)
{
    read_clock(net);
}

static void turn_begin_cb(struct ev_loop *loop, ev_check *watcher, int events)
{
    struct net *net = watcher->data;
    struct link runnable;

    (void)loop;
    (void)events;
    net->counters.turns++;
    read_clock(net);
    connections_expire(net);
    if (net->accept_again_ms != 0 && net->accept_again_ms < net->now_ms)
        listeners_resume(net);
    list_take(&runnable, &net->runnable);
    while (!list_empty(&runnable)) {
        struct link *first = runnable.next;
        link_remove(first);
        connection_resume(connection_of_turn(first));
    }
}

/* The timer and the idle watcher end the sleep; the turn itself does the work. */
static void wake_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct net *net = watcher->data;

    (void)loop;
    (void)events;
    net->wake_ms = NET_NEVER;
}

static void restless_cb(struct ev_loop *loop, ev_idle *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

static void nudge_cb(struct ev_loop *loop, ev_async *watcher, int events)
{
    (void)loop;
    (void)watcher;
    (void)events;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Arms what is needed so that the loop sleeps until next_ms and no longer. */
static void prepare_sleep(struct net *net, int64_t next_ms)
{
    const bool leftovers = !list_empty(&net->runnable) || !list_empty(&net->touched);

    if (leftovers || next_ms <= net->now_ns / NS_PER_MS) {
        ev_idle_start(net->loop, &net->restless);
        return;
    }
    ev_idle_stop(net->loop, &net->restless);
    if (next_ms == net->wake_ms)
        return;
    ev_timer_stop(net->loop, &net->wake);
    net->wake_ms = next_ms;
    if (next_ms == NET_NEVER)
        return;
    const double after_s = (double)(next_ms - net->now_ns / NS_PER_MS) * 1e-3 -
                           (double)(net->now_ns % NS_PER_MS) * 1e-9;
    ev_timer_set(&net->wake, after_s + WAKE_MARGIN_S, 0.);
    ev_timer_start(net->loop, &net->wake);
}

static void turn_end_cb(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct net *net = watcher->data;
    int64_t next_ms;

    (void)loop;
    (void)events;
    next_ms = net->door.turn_cb(net->door.user, net->now_ms);
    next_ms = earlier(next_ms, connections_next_ms(net));
    if (net->accept_again_ms != 0)
        next_ms = earlier(next_ms, net->accept_again_ms);
    prepare_sleep(net, next_ms);
}

void net_flush(struct net *net)
{
    struct link touched;

    list_take(&touched, &net->touched);
    while (!list_empty(&touched)) {
        struct link *first = touched.next;
        link_remove(first);
        connection_settle(connection_of_turn(first));
    }
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

static void start_watchers(struct net *net)
{
    ev_check_init(&net->turn_begin, turn_begin_cb);
    ev_prepare_init(&net->turn_end, turn_end_cb);
    ev_idle_init(&net->restless, restless_cb);
    ev_timer_init(&net->wake, wake_cb, 0., 0.);
    ev_async_init(&net->nudge, nudge_cb);
    net->turn_begin.data = net->turn_end.data = net->restless.data = net->wake.data = net;
    net->wake_ms = NET_NEVER;
    /* The clock is read before any socket is looked at, and the turn ends after all else that happens before the
       sleep. */
    ev_set_priority(&net->turn_begin, EV_MAXPRI);
    ev_set_priority(&net->turn_end, EV_MINPRI);
    ev_set_priority(&net->restless, EV_MINPRI);
    ev_check_start(net->loop, &net->turn_begin);
    ev_prepare_start(net->loop, &net->turn_end);
    ev_async_start(net->loop, &net->nudge);
}

struct net *net_open(const struct net_door *door, const struct net_limits *limits)
{
    struct net *net = calloc(1, sizeof *net);

    if (net == NULL)
        return NULL;
    net->input = malloc(NET_READ_BYTES);
    if (net->input == NULL)
        goto no_input;
    net->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (net->loop == NULL)
        goto no_loop;
    net->door = *door;
    net->limits = *limits;
    net->memory_bytes = NET_READ_BYTES;
    net->slow_lines.lines_per_second = net->accept_lines.lines_per_second = NET_LINES_PER_SECOND;
    list_init(&net->connections);
    list_init(&net->touched);
    list_init(&net->runnable);
    list_init(&net->blocked);
    list_init(&net->flushing);
    list_init(&net->lingering);
    list_init(&net->warm);
    start_watchers(net);
    read_clock(net);
    return net;

no_loop:
    free(net->input);
no_input:
    free(net);
    return NULL;
}

void net_close(struct net *net)
{
    if (net == NULL)
        return;
    net_listen_stop(net);
    net_drop(net);
    assert(net->connection_count == 0);
    assert(net->memory_bytes == NET_READ_BYTES);
    for (uint32_t i = 0; i < net->signal_count; i++)
        ev_signal_stop(net->loop, &net->signals[i]);
    ev_async_stop(net->loop, &net->nudge);
    ev_loop_destroy(net->loop);
    free(net->input);
    free(net);
}

void net_drop(struct net *net)
{
    while (!list_empty(&net->connections))
        connection_close(connection_of_all(net->connections.next));
}

void net_run(struct net *net)
{
    read_clock(net);
    ev_run(net->loop, 0);
}

void net_stop(struct net *net)
{
    ev_break(net->loop, EVBREAK_ALL);
}

void net_wake(struct net *net)
{
    ev_async_send(net->loop, &net->nudge);
}

void net_finish(struct net *net)
{
    for (struct link *at = net->connections.next; at != &net->connections; at = at->next)
        connection_kill(connection_of_all(at));
}

static void signal_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
    struct net *net = watcher->data;

    (void)loop;
    (void)events;
    net->door.signal_cb(net->door.user, watcher->signum);
}

void net_catch(struct net *net, int signal_number)
{
    assert(net->signal_count < NET_SIGNALS);
    ev_signal *watcher = &net->signals[net->signal_count++];
    ev_signal_init(watcher, signal_cb, signal_number);
    watcher->data = net;
    ev_signal_start(net->loop, watcher);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

void net_set_limits(struct net *net, const struct net_limits *limits)
{
    const bool keepalive = limits->keepalive_ms != net->limits.keepalive_ms;

    net->limits = *limits;
    if (keepalive)
        listeners_set_keepalive(net);
}

const struct net_counters *net_counters(const struct net *net)
{
    return &net->counters;
}

int64_t net_now_ms(const struct net *net)
{
    return net->now_ms;
}

uint64_t net_memory(const struct net *net)
{
    return net->memory_bytes;
}

uint64_t net_connections(const struct net *net)
{
    return net->connection_count;
}

bool net_output_pending(const struct net *net)
{
    return !list_empty(&net->blocked) || !list_empty(&net->flushing);
}
