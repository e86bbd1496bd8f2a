/*
 * The load: one thread publishes with a window of unconfirmed messages, another receives and acks, and checks each message.
 *
 * Each body begins with a stamp of BENCH_STAMP_BYTES: its number in the order of sending, and the time at which it was to be
 * sent. The publisher owns what counts sending and confirming, the receiver what counts receiving; they see each other's
 * progress through the atomics below.
 *
 * A run ends when all that was sent is confirmed, received and acked, or DRAIN_SECONDS after the last publish.
 */
#include "benchmarks/compare/load.h"

#include "benchmarks/bench.h"
#include "benchmarks/compare/process.h"
#include "benchmarks/ledger.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define DRAIN_SECONDS 20.0
#define FLUSH_BYTES   65536 /* at most one batch more is written at once */
#define NAP_NS        50000 /* while the backlog is full */

static struct load {
    const struct peer_options *o;
    struct load_result *r;
    struct ledger ledger;
    uint64_t start_ns, last_ns; /* nothing is waited for after the last */
    uint64_t now_ns;            /* the receiver's clock, read once a round */
    uint64_t next;              /* the number that would be in order */
    uint64_t acked;
    _Atomic uint64_t sent, confirmed, received;
    _Atomic bool failed, published;
} load;

static void sleep_until(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* ---- the receiver ------------------------------------------------------------------------------------------------ */

int load_message(const void *body, uint64_t bytes)
{
    uint64_t stamp[2];
    static_assert(sizeof stamp == BENCH_STAMP_BYTES, "number and time");
    uint64_t sent = atomic_load_explicit(&load.sent, memory_order_acquire);
    if (bytes == load.o->size)
        memcpy(stamp, body, sizeof stamp);
    if (bytes != load.o->size || stamp[0] >= sent) {
        load.r->corrupt++;
        return 0;
    }
    load.r->disordered += stamp[0] < load.next;
    load.next = stamp[0] + 1;
    if (load.now_ns == 0)
        load.now_ns = bench_now_ns();
    histogram_add(&load.r->end_to_end, load.now_ns > stamp[1] ? load.now_ns - stamp[1] : 0, 1);
    if (!ledger_receive(&load.ledger, stamp[0])) {
        fprintf(stderr, "%s: out of memory\n", peer_name);
        return -1;
    }
    return 0;
}

void load_acked(uint64_t count)
{
    load.acked += count;
}

static bool all_acked(void)
{
    return atomic_load(&load.published) && load.acked >= atomic_load(&load.sent);
}

static void *receiver(void *unused)
{
    (void)unused;
    while (!atomic_load(&load.failed) && !all_acked() && bench_now_ns() < load.last_ns) {
        load.now_ns = 0; /* the time of the first message of a round is that of all that came with it */
        if (peer_receive() < 0)
            atomic_store(&load.failed, true);
        atomic_store_explicit(&load.received, load.ledger.received, memory_order_release);
    }
    return NULL;
}

/* ---- the publisher ----------------------------------------------------------------------------------------------- */

/* When the message of this number is to be sent; at a fixed rate that is known beforehand. */
static uint64_t intended_ns(uint64_t number)
{
    return load.o->rate > 0 ? load.start_ns + (uint64_t)((double)number / load.o->rate * 1e9) : 0;
}

static bool window_full(uint64_t sent)
{
    return sent - load.confirmed + load.o->batch > load.o->window;
}

static bool backlog_full(uint64_t sent)
{
    return load.o->fill == 0 &&
           sent - atomic_load_explicit(&load.received, memory_order_acquire) + load.o->batch > load.o->backlog;
}

/* Sends what may be sent now, and flushes once. */
static int publish_some(uint8_t *bodies)
{
    const struct peer_options *o = load.o;
    uint64_t sent = load.sent, bytes = 0;
    uint64_t now_ns = bench_now_ns();
    while (bytes < FLUSH_BYTES && !window_full(sent) && !backlog_full(sent) && intended_ns(sent) <= now_ns &&
           (o->fill == 0 || sent < o->fill)) {
        uint64_t stamp[2] = {sent, o->rate > 0 ? intended_ns(sent) : now_ns};
        for (uint32_t i = 0; i < o->batch; i++, stamp[0]++)
            memcpy(bodies + (size_t)i * o->size, stamp, sizeof stamp);
        sent += o->batch;
        /* Before it is published: the receiver takes a number that was not sent for damage. */
        atomic_store_explicit(&load.sent, sent, memory_order_release);
        if (peer_publish(bodies, o->batch) < 0)
            return -1;
        bytes += (uint64_t)o->batch * o->size;
    }
    return bytes > 0 ? peer_flush() : 0;
}

static int collect_confirms(bool wait)
{
    int64_t count = peer_confirmed(wait);
    if (count < 0)
        return -1;
    load.confirmed += (uint64_t)count;
    return 0;
}

static bool publishing(uint64_t end_ns)
{
    return !load.failed &&
           (load.o->fill ? load.sent < load.o->fill && bench_now_ns() < load.last_ns : bench_now_ns() < end_ns);
}

static int publish_all(uint8_t *bodies)
{
    uint64_t end_ns = load.start_ns + (uint64_t)(load.o->seconds * 1e9);
    int code = 0;
    while (code == 0 && publishing(end_ns)) {
        code = publish_some(bodies);
        bool full = window_full(load.sent);
        if (code == 0 && (full || load.o->rate > 0))
            code = collect_confirms(full);
        if (load.o->rate > 0)
            sleep_until(intended_ns(load.sent));
        else if (!full && backlog_full(load.sent))
            sleep_until(bench_now_ns() + NAP_NS);
    }
    while (code == 0 && load.confirmed < load.sent && bench_now_ns() < load.last_ns && !load.failed)
        code = collect_confirms(true);
    return code;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int run_threads(uint8_t *bodies)
{
    pthread_t thread;
    bool receives = load.o->fill == 0;
    (void)prctl(PR_SET_TIMERSLACK, 1);
    load.start_ns = bench_now_ns();
    load.last_ns = load.start_ns + (uint64_t)((load.o->seconds + DRAIN_SECONDS) * 1e9);
    if (receives && pthread_create(&thread, NULL, receiver, NULL) != 0)
        return -1;
    if (publish_all(bodies) < 0)
        load.failed = true;
    load.published = true;
    if (receives)
        pthread_join(thread, NULL);
    load.r->seconds = (double)(bench_now_ns() - load.start_ns) / 1e9;
    return load.failed ? -1 : 0;
}

static void sum_up(void)
{
    struct load_result *r = load.r;
    r->sent = load.sent;
    r->confirmed = load.confirmed;
    r->received = load.ledger.received;
    r->acked = load.acked;
    r->duplicates = load.ledger.duplicates;
    r->lost = load.o->fill == 0 && r->sent > r->received ? r->sent - r->received : 0;
}

int load_run(const struct peer_options *options, struct load_result *result)
{
    load.o = options;
    load.r = result;
    uint8_t *bodies = calloc(options->batch, options->size);
    int code = bodies ? peer_open(options) : -1;
    if (code == 0) {
        result->server_rss_before = process_rss_bytes(options->servers);
        double before_ns = process_cpu_ns(options->servers);
        code = run_threads(bodies);
        result->server_cpu_ns = process_cpu_ns(options->servers) - before_ns;
        result->server_rss_after = process_rss_bytes(options->servers);
        sum_up();
    }
    peer_close();
    ledger_close(&load.ledger);
    free(bodies);
    return code;
}

bool load_verified(const struct peer_options *o, const struct load_result *r)
{
    bool received = o->fill > 0 || (r->received == r->sent && r->acked == r->sent);
    return received && r->sent > 0 && r->confirmed == r->sent &&
           r->lost + r->duplicates + r->disordered + r->corrupt == 0;
}
