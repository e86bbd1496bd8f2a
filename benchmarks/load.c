#include "benchmarks/load.h"

#include "benchmarks/server.h"
#include "benchmarks/setup.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

/* Nothing may move for so long, beside the longest delay, before the rest is given up. */
#define REST_SECONDS 5.0

#define EVENTS      256
#define MAX_IDLE_NS 50000000u
#define PROGRESS_NS 100000000u

/* ---- a turn ------------------------------------------------------------------------------------------------------- */

/* How long the loop may sleep: until the next batch is due. */
static uint64_t sleep_ns(const struct load *l)
{
    uint64_t until = l->now_ns + MAX_IDLE_NS;
    for (uint32_t i = 0; l->o->rate > 0 && l->publishing && i < l->o->producers; i++) {
        uint64_t next = producer_intended_ns(l, &l->producers[i]);
        until = next < until ? next : until;
    }
    return until > l->now_ns ? until - l->now_ns : 0;
}

static int wait_for(struct load *l, struct epoll_event *events)
{
    if (l->o->rate > 0 && !l->o->spin) {
        /* epoll_wait() sleeps in whole milliseconds. */
        uint64_t ns = sleep_ns(l);
        struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
        struct pollfd fd = {l->epoll_fd, POLLIN, 0};
        (void)ppoll(&fd, 1, &t, NULL);
    }
    int timeout_ms = l->o->spin || l->o->rate > 0 ? 0 : (int)(MAX_IDLE_NS / 1000000);
    int count = epoll_wait(l->epoll_fd, events, EVENTS, timeout_ms);
    if (count < 0 && errno != EINTR)
        return wire_fail("epoll_wait");
    return count > 0 ? count : 0;
}

/* Asks the loop to say when a full socket has room again, or no longer. */
static int want_out(const struct load *l, struct wire *w, bool producer, bool wanted)
{
    if (w->wants_out == wanted)
        return 0;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0),
                                .data.u64 = (uint64_t)(uintptr_t)w->owner | producer};
    w->wants_out = wanted;
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &event) < 0 ? wire_fail("epoll") : 0;
}

static int flush(struct load *l, struct consumer *c)
{
    return consumer_send(l, c) < 0 ? -1 : want_out(l, &c->wire, false, buffer_pending(&c->wire.out) > 0);
}

static int handle(struct load *l, const struct epoll_event *event)
{
    const bool producer = event->data.u64 & 1;
    void *owner = (void *)(uintptr_t)(event->data.u64 & ~(uint64_t)1);
    struct wire *w = producer ? &((struct producer *)owner)->wire : &((struct consumer *)owner)->wire;
    if (event->events & ~(uint32_t)EPOLLOUT &&
        wire_read(w, &l->area, producer ? &producer_reader : &consumer_reader, l) < 0)
        return -1;
    return producer ? 0 : flush(l, owner);
}

static int turn(struct load *l)
{
    struct epoll_event events[EVENTS];
    int count = wait_for(l, events);
    if (count < 0)
        return -1;
    l->now_ns = bench_now_ns();
    for (int i = 0; i < count; i++)
        if (handle(l, &events[i]) < 0)
            return -1;
    l->now_ns = bench_now_ns();
    for (uint32_t i = 0; i < l->o->producers; i++) {
        struct producer *p = &l->producers[i];
        if (producer_send(l, p) < 0 || want_out(l, &p->wire, true, p->queued > 0) < 0)
            return -1;
    }
    return 0;
}

/* ---- sums --------------------------------------------------------------------------------------------------------- */

/* What has happened so far. */
struct sums {
    uint64_t sent, confirmed, received, acked;
    bool answered;
};

static struct sums sum_up(const struct load *l)
{
    struct sums s = {.answered = true};
    for (uint32_t i = 0; i < l->o->producers; i++) {
        const struct producer *p = &l->producers[i];
        s.sent += p->sent;
        s.confirmed += p->confirmed;
        s.received += p->received;
        s.answered = s.answered && p->answered == p->batches;
    }
    for (uint32_t i = 0; i < l->o->consumers; i++)
        s.acked += l->consumers[i].acked;
    return s;
}

/* A look at the server and at the sums, between which figures are taken. */
struct look {
    uint64_t at_ns;
    double cpu_ns, log_bytes;
    struct sums sums;
};

static int look(struct load *l, struct server *s, struct look *out)
{
    if (server_log_bytes(s, &out->log_bytes) < 0 || server_cpu_ns(s, &out->cpu_ns) < 0)
        return -1;
    out->at_ns = l->now_ns = bench_now_ns();
    out->sums = sum_up(l);
    return 0;
}

static void measure(const struct load *l, const struct look *from, const struct look *to)
{
    struct bench_result *r = l->r;
    r->seconds = (double)(to->at_ns - from->at_ns) / 1e9;
    r->server_cpu_ns = to->cpu_ns - from->cpu_ns;
    r->log_bytes = to->log_bytes - from->log_bytes;
    r->messages = l->consuming ? to->sums.received - from->sums.received
                               : (to->sums.confirmed - from->sums.confirmed) * bench_copies(l->o);
}

static void check(const struct load *l)
{
    struct bench_result *r = l->r;
    const struct sums s = sum_up(l);
    const uint64_t expected = s.confirmed * bench_copies(l->o);
    r->sent = s.sent;
    r->confirmed = s.confirmed;
    r->received = s.received;
    r->acked = s.acked;
    r->lost = l->consuming && expected > s.received ? expected - s.received : 0;
    for (size_t i = 0; i < (size_t)l->o->producers * l->o->queues; i++)
        r->duplicates += l->ledgers[i].duplicates;
}

/* ---- phases ------------------------------------------------------------------------------------------------------- */

static void progress(struct load *l, const char *phase, double share)
{
    if (l->now_ns < l->progress_ns)
        return;
    l->progress_ns = l->now_ns + PROGRESS_NS;
    bench_progress(phase, share);
}

static int run_until(struct load *l, uint64_t end_ns, const char *phase)
{
    const uint64_t start_ns = l->now_ns;
    while (l->now_ns < end_ns) {
        if (turn(l) < 0)
            return -1;
        progress(l, phase, (double)(l->now_ns - start_ns) / (double)(end_ns - start_ns));
    }
    return 0;
}

/* True if everything sent was confirmed and, where there are consumers, received and acked. */
static bool finished(const struct load *l)
{
    const struct sums s = sum_up(l);
    const uint64_t expected = s.confirmed * bench_copies(l->o);
    return s.answered && (!l->consuming || (s.received >= expected && s.acked >= s.received));
}

/* Until nothing is under way any more, or nothing has moved for too long. */
static int run_rest(struct load *l, uint64_t of, const char *phase)
{
    struct sums last = sum_up(l);
    for (uint32_t i = 0; i < l->o->consumers; i++)
        if (flush(l, &l->consumers[i]) < 0)
            return -1;
    uint64_t patience_ns = (uint64_t)(REST_SECONDS * 1e9) + l->o->delay_ms * (uint64_t)1000000, moved_ns = l->now_ns;
    while (l->now_ns < moved_ns + patience_ns) {
        if (turn(l) < 0)
            return -1;
        struct sums now = sum_up(l);
        if ((!l->publishing || now.sent >= of) && finished(l))
            return 0;
        if (now.confirmed != last.confirmed || now.received != last.received || now.acked != last.acked)
            moved_ns = l->now_ns;
        last = now;
        uint64_t done = l->consuming ? now.received / bench_copies(l->o) : now.confirmed;
        progress(l, phase, (double)done / (double)of);
    }
    return 0;
}

static int start_consumers(struct load *l)
{
    l->consuming = l->o->consumers > 0;
    for (uint32_t i = 0; i < l->o->consumers; i++)
        if (consumer_start(l, &l->consumers[i]) < 0)
            return -1;
    return 0;
}

static int run_steady(struct load *l, struct server *s)
{
    struct look from, to;
    memset(&from, 0, sizeof from);
    l->limit = UINT64_MAX;
    l->publishing = true;
    if (start_consumers(l) < 0 || run_until(l, l->start_ns + (uint64_t)(l->o->warmup * 1e9), "warm-up") < 0 ||
        look(l, s, &from) < 0)
        return -1;
    memset(&l->r->end_to_end, 0, sizeof l->r->end_to_end);
    memset(&l->r->confirm, 0, sizeof l->r->confirm);
    memset(&l->r->lateness, 0, sizeof l->r->lateness);
    if (run_until(l, from.at_ns + (uint64_t)(l->o->seconds * 1e9), "measuring") < 0 || look(l, s, &to) < 0)
        return -1;
    measure(l, &from, &to);
    struct histogram kept[3] = {l->r->end_to_end, l->r->confirm, l->r->lateness};
    l->publishing = false;
    int code = run_rest(l, sum_up(l).sent, "the rest");
    l->r->end_to_end = kept[0];
    l->r->confirm = kept[1];
    l->r->lateness = kept[2];
    return code;
}

/* Fills the queues, and drains them if that is wanted; one of the two is what is measured. */
static int run_backlog(struct load *l, struct server *s, bool drain)
{
    struct look from, filled, drained;
    uint64_t rss_before, rss_after;
    const uint64_t batches = (l->o->messages + (uint64_t)l->o->batch - 1) / l->o->batch;
    const uint64_t total = (batches + l->o->producers - 1) / l->o->producers * l->o->batch * l->o->producers;
    l->limit = total / l->o->producers;
    l->publishing = true;
    if (server_number(s, "memory", "rss_bytes", &rss_before) < 0 || look(l, s, &from) < 0 ||
        run_rest(l, total, "filling") < 0 || look(l, s, &filled) < 0 ||
        server_number(s, "memory", "rss_bytes", &rss_after) < 0)
        return -1;
    l->r->bytes_per_message = ((double)rss_after - (double)rss_before) / (double)(total * bench_copies(l->o));
    l->publishing = false;
    if (!drain) {
        measure(l, &from, &filled);
        return 0;
    }
    if (start_consumers(l) < 0 || run_rest(l, total, "draining") < 0 || look(l, s, &drained) < 0)
        return -1;
    measure(l, &filled, &drained);
    /* How long they have lain there is our doing. */
    memset(&l->r->end_to_end, 0, sizeof l->r->end_to_end);
    return 0;
}

int bench_run(const struct bench_options *options, struct bench_result *result)
{
    struct server server = {.pid = 0};
    struct load *l = calloc(1, sizeof *l);
    if (!l)
        return wire_fail("memory");
    l->o = options;
    l->r = result;
    int code = server_open(&server, options, result);
    if (code == 0)
        code = setup_queues(&server.wire, options);
    if (code == 0)
        code = setup_load(l);
    l->start_ns = l->now_ns = bench_now_ns();
    if (code == 0 && options->workload->shape == BENCH_STEADY)
        code = run_steady(l, &server);
    else if (code == 0)
        code = run_backlog(l, &server, options->workload->shape == BENCH_DRAIN);
    if (code == 0)
        check(l);
    setup_close(l);
    if (code == 0)
        code = setup_delete_queues(&server.wire, options);
    server_close(&server);
    free(l);
    return code;
}
