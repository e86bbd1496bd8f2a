/*
 * The floor: what it costs to move the same bytes through a process that understands nothing. A child copies whatever comes
 * from the producer's socket to the consumer's, and the consumer's ack bytes back, with poll(2) and large buffers. Its CPU
 * time over the number of messages is the least that any broker of this shape could need.
 */
#include "benchmarks/bench.h"
#include "benchmarks/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define RELAY_BYTES ((size_t)256 * 1024)
#define ACK_BYTES   9 /* a receipt on the wire */

/* One direction of the relay. */
struct pipe_end {
    int from, to;
    uint8_t *data;
    size_t filled, sent;
    bool over;
};

static void move(struct pipe_end *p)
{
    if (p->filled == 0 && !p->over) {
        ssize_t n = recv(p->from, p->data, RELAY_BYTES, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            p->over = true;
        p->filled = n > 0 ? (size_t)n : 0;
    }
    if (p->sent < p->filled) {
        ssize_t n = send(p->to, p->data + p->sent, p->filled - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        p->sent += n > 0 ? (size_t)n : 0;
    }
    if (p->sent == p->filled)
        p->sent = p->filled = 0;
}

static void relay(int producer, int consumer)
{
    struct pipe_end there = {.from = producer, .to = consumer, .data = malloc(RELAY_BYTES)};
    struct pipe_end back = {.from = consumer, .to = producer, .data = malloc(RELAY_BYTES)};
    while (there.data && back.data && !there.over && !back.over) {
        struct pollfd fds[2] = {
            {producer, (short)((there.filled ? 0 : POLLIN) | (back.filled ? POLLOUT : 0)), 0},
            {consumer, (short)((back.filled ? 0 : POLLIN) | (there.filled ? POLLOUT : 0)), 0},
        };
        if (poll(fds, 2, -1) < 0)
            break;
        move(&there);
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

/* Sends batches with a window, swallows them at the other end, sends ack bytes back. */
static uint64_t drive(const struct bench_options *o, int producer, int consumer)
{
    size_t batch_bytes = (size_t)o->batch * o->size, sent_of_batch = 0;
    uint8_t *data = calloc(1, batch_bytes), *in = malloc(RELAY_BYTES);
    uint64_t sent = 0, got_bytes = 0, acked_bytes = 0, ack_sent_bytes = 0;
    uint64_t end_ns = bench_now_ns() + (uint64_t)(o->seconds * 1e9), last_ns = end_ns + 5000000000u;
    for (uint64_t now = 0; data && in && (now = bench_now_ns()) < last_ns;) {
        bool publishing = now < end_ns || sent_of_batch > 0;
        if (!publishing && acked_bytes / ACK_BYTES >= sent)
            break;
        while (publishing && sent - acked_bytes / ACK_BYTES + o->batch <= o->window) {
            ssize_t n = send(producer, data + sent_of_batch, batch_bytes - sent_of_batch, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n < 0)
                break;
            sent_of_batch += (size_t)n;
            if (sent_of_batch < batch_bytes)
                break;
            sent += o->batch;
            sent_of_batch = 0;
        }
        struct pollfd fds[2] = {{producer, POLLIN, 0}, {consumer, POLLIN, 0}};
        (void)poll(fds, 2, 1);
        ssize_t n = recv(consumer, in, RELAY_BYTES, MSG_DONTWAIT);
        got_bytes += n > 0 ? (uint64_t)n : 0;
        uint64_t owed = got_bytes / o->size * ACK_BYTES - ack_sent_bytes;
        n = owed ? send(consumer, in, owed < RELAY_BYTES ? owed : RELAY_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        ack_sent_bytes += n > 0 ? (uint64_t)n : 0;
        n = recv(producer, in, RELAY_BYTES, MSG_DONTWAIT);
        acked_bytes += n > 0 ? (uint64_t)n : 0;
    }
    free(data);
    free(in);
    return acked_bytes / ACK_BYTES;
}

int bench_floor(const struct bench_options *o, struct bench_result *r)
{
    int producer[2], consumer[2];
    if (tcp_pair(producer) < 0 || tcp_pair(consumer) < 0) {
        perror("ringmq-bench: floor");
        return -1;
    }
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child == 0) {
        close(producer[0]);
        close(consumer[0]);
        relay(producer[1], consumer[1]);
    }
    close(producer[1]);
    close(consumer[1]);
    uint64_t start_ns = bench_now_ns();
    r->sent = r->confirmed = r->received = r->acked = drive(o, producer[0], consumer[0]);
    r->seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    close(producer[0]);
    close(consumer[0]);
    struct rusage usage;
    if (wait4(child, NULL, 0, &usage) < 0)
        return -1;
    r->server_cpu_ns = ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
                       ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
    return 0;
}
