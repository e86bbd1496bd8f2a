/*
 * The floor: what it costs to move the same bytes through a process that understands nothing. A child copies whatever comes
 * from the producer's socket to the consumer's, and the consumer's ack bytes back, with epoll(7) and large buffers, and
 * with no more system calls than that takes. Its CPU time over the number of messages is the least that any broker of this
 * shape could need, and the time through it the least that a message can take.
 */
#include "benchmarks/bench.h"
#include "benchmarks/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define RELAY_BYTES ((size_t)256 * 1024)
#define ACK_BYTES   9 /* a receipt on the wire */
#define REST_NS     5000000000u
#define MAX_IDLE_NS 1000000u

/* ---- the relay ---------------------------------------------------------------------------------------------------- */

/* One direction. An end is believed to be ready until a call shows otherwise; epoll says when it is again. */
struct direction {
    int from, to;
    uint8_t *data;
    size_t filled, sent;
    bool readable, writable, over;
};

static void take(struct direction *d)
{
    ssize_t n = recv(d->from, d->data, RELAY_BYTES, MSG_DONTWAIT);
    d->over = n == 0 || (n < 0 && errno != EAGAIN);
    d->filled = n > 0 ? (size_t)n : 0;
    d->sent = 0;
    /* Less than there was room for is all there was. */
    d->readable = d->filled == RELAY_BYTES;
}

static void move(struct direction *d)
{
    while (!d->over && (d->filled > d->sent ? d->writable : d->readable)) {
        if (d->filled == d->sent)
            take(d);
        if (d->filled == d->sent)
            continue;
        ssize_t n = send(d->to, d->data + d->sent, d->filled - d->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        d->sent += n > 0 ? (size_t)n : 0;
        d->writable = d->sent == d->filled;
    }
}

static void note(struct direction *d, int end, uint32_t events)
{
    if (end == d->from && events & ~(uint32_t)EPOLLOUT)
        d->readable = true;
    if (end == d->to && events & EPOLLOUT)
        d->writable = true;
}

static int watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* Copies both ways; with one socket it is an echo. */
static void relay(int producer, int consumer)
{
    struct direction there = {.from = producer, .to = consumer, .data = malloc(RELAY_BYTES)};
    struct direction back = {.from = consumer, .to = producer, .data = malloc(RELAY_BYTES)};
    struct epoll_event events[2];
    const bool echo = producer == consumer;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!there.data || !back.data || watch(epoll_fd, producer) < 0 || (!echo && watch(epoll_fd, consumer) < 0))
        _exit(1);
    while (!there.over && !back.over) {
        int count = epoll_wait(epoll_fd, events, 2, -1);
        for (int i = 0; i < count; i++) {
            note(&there, events[i].data.fd, events[i].events);
            note(&back, events[i].data.fd, events[i].events);
        }
        move(&there);
        if (!echo)
            move(&back);
    }
    _exit(0);
}

/* A connected TCP pair over loopback, as a broker's clients have it. */
static int tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, bytes) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) < 0)
        return -1;
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (fds[0] < 0 || connect(fds[0], (struct sockaddr *)&address, bytes) < 0)
        return -1;
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
    (void)setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fds[1] < 0 ? -1 : 0;
}

/* ---- the load ----------------------------------------------------------------------------------------------------- */

struct drive {
    const struct bench_options *o;
    int producer, consumer;
    uint8_t *data, *in;
    size_t batch_bytes, sent_of_batch;
    uint64_t sent, got_bytes, acked_bytes, ack_sent_bytes;
    uint64_t *sent_at_ns; /* by message, the last `times` of them */
    uint64_t times;       /* a power of two */
    uint64_t start_ns, now_ns, end_ns;
    struct histogram *trips; /* from sending a message to its arrival */
};

static uint64_t intended_ns(const struct drive *d)
{
    return d->o->rate > 0 ? d->start_ns + (uint64_t)((double)d->sent / d->o->rate * 1e9) : d->now_ns;
}

static bool may_send(const struct drive *d)
{
    if (d->sent_of_batch > 0)
        return true;
    uint64_t under_way = d->sent - (d->o->consumers > 0 ? d->acked_bytes / ACK_BYTES : d->got_bytes / d->o->size);
    return d->now_ns < d->end_ns && under_way + d->o->batch <= d->o->window && intended_ns(d) <= d->now_ns;
}

static void publish(struct drive *d)
{
    while (may_send(d)) {
        uint64_t at_ns = intended_ns(d);
        for (uint32_t i = 0; i < d->o->batch && d->sent_of_batch == 0; i++)
            d->sent_at_ns[(d->sent + i) & (d->times - 1)] = at_ns;
        ssize_t n = send(d->producer, d->data + d->sent_of_batch, d->batch_bytes - d->sent_of_batch,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            break;
        d->sent_of_batch += (size_t)n;
        if (d->sent_of_batch < d->batch_bytes)
            break;
        d->sent += d->o->batch;
        d->sent_of_batch = 0;
    }
}

/* Swallows what has come, and sends ack bytes for it if there is somebody to consume. */
static void consume(struct drive *d)
{
    uint64_t number = d->got_bytes / d->o->size;
    ssize_t n = recv(d->consumer, d->in, RELAY_BYTES, MSG_DONTWAIT);
    d->now_ns = bench_now_ns();
    d->got_bytes += n > 0 ? (uint64_t)n : 0;
    for (; number < d->got_bytes / d->o->size; number++)
        histogram_add(d->trips, d->now_ns - d->sent_at_ns[number & (d->times - 1)], 1);
    uint64_t owed = d->o->consumers > 0 ? d->got_bytes / d->o->size * ACK_BYTES - d->ack_sent_bytes : 0;
    n = owed ? send(d->consumer, d->in, owed < RELAY_BYTES ? owed : RELAY_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    d->ack_sent_bytes += n > 0 ? (uint64_t)n : 0;
}

/* Waits as the load against a server does. True if something has come. */
static bool wait_for(struct drive *d, int epoll_fd)
{
    struct pollfd fd = {epoll_fd, POLLIN, 0};
    struct epoll_event events[2];
    uint64_t ns = d->sent_of_batch > 0 ? 0 : MAX_IDLE_NS, next_ns = intended_ns(d);
    if (d->o->rate > 0)
        ns = next_ns > d->now_ns ? next_ns - d->now_ns : 0;
    struct timespec t = {0, (long)(ns < MAX_IDLE_NS ? ns : MAX_IDLE_NS)};
    if (!d->o->spin)
        (void)ppoll(&fd, 1, &t, NULL);
    bool ready = epoll_wait(epoll_fd, events, 2, 0) > 0;
    d->now_ns = bench_now_ns();
    return ready;
}

static bool over(const struct drive *d)
{
    uint64_t back = d->o->consumers > 0 ? d->acked_bytes / ACK_BYTES : d->got_bytes / d->o->size;
    return d->now_ns >= d->end_ns && d->sent_of_batch == 0 && back >= d->sent;
}

static int drive(struct drive *d)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->producer, &event) < 0 ||
        (d->consumer != d->producer && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, d->consumer, &event) < 0))
        return -1;
    d->start_ns = d->now_ns = bench_now_ns();
    d->end_ns = d->start_ns + (uint64_t)(d->o->seconds * 1e9);
    while (!over(d) && d->now_ns < d->end_ns + REST_NS) {
        publish(d);
        if (!wait_for(d, epoll_fd))
            continue;
        consume(d);
        if (d->o->consumers > 0) {
            ssize_t n = recv(d->producer, d->in, RELAY_BYTES, MSG_DONTWAIT);
            d->acked_bytes += n > 0 ? (uint64_t)n : 0;
        }
    }
    close(epoll_fd);
    return 0;
}

static int drive_load(const struct bench_options *o, int producer, int consumer, struct bench_result *r)
{
    struct drive d = {.o = o, .producer = producer, .consumer = consumer, .trips = &r->floor, .times = 16};
    while (d.times < (uint64_t)o->window + o->batch)
        d.times *= 2;
    d.batch_bytes = (size_t)o->batch * o->size;
    d.data = calloc(1, d.batch_bytes);
    d.in = calloc(1, RELAY_BYTES);
    d.sent_at_ns = calloc(d.times, sizeof *d.sent_at_ns);
    int code = d.data && d.in && d.sent_at_ns ? drive(&d) : -1;
    r->messages = d.got_bytes / o->size;
    r->seconds = (double)(d.now_ns - d.start_ns) / 1e9;
    free(d.data);
    free(d.in);
    free(d.sent_at_ns);
    return code;
}

int bench_floor(const struct bench_options *o, struct bench_result *r)
{
    int producer[2], consumer[2], status;
    struct rusage usage;
    if (tcp_pair(producer) < 0 || tcp_pair(consumer) < 0)
        return wire_fail("floor");
    /* Without a consumer what comes back is like a confirm, on the same connection. */
    const bool echo = o->consumers == 0;
    pid_t child = fork();
    if (child < 0)
        return wire_fail("fork");
    if (child == 0) {
        close(producer[0]);
        close(consumer[0]);
        relay(producer[1], echo ? producer[1] : consumer[1]);
    }
    close(producer[1]);
    close(consumer[1]);
    int code = drive_load(o, producer[0], echo ? producer[0] : consumer[0], r);
    close(producer[0]);
    close(consumer[0]);
    if (wait4(child, &status, 0, &usage) < 0 || status != 0 || code < 0)
        return wire_fail("floor");
    r->cpu_from_proc = true;
    r->server_cpu_ns = ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
                       ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
    return 0;
}
