/*
 * floor-relay: what a request and its answer over loopback TCP cost if nobody does anything with them: no round trip through a
 * server is faster. A child echoes requests of one fixed size with epoll(7), as a server would read them; the parent sends one,
 * waits for it to come back, and measures.
 *
 *     floor-relay BYTES SECONDS yes|no
 *
 * With "yes" the client spins on its socket instead of sleeping in recv(2). Prints one line of key=value.
 */
#include "benchmarks/histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "floor-relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A connected TCP pair over loopback, as a server's clients have it. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, bytes) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) < 0)
        fail("listen");
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (fds[0] < 0 || connect(fds[0], (struct sockaddr *)&address, bytes) < 0)
        fail("connect");
    fds[1] = accept(listener, NULL, NULL);
    if (fds[1] < 0)
        fail("accept");
    close(listener);
    for (int i = 0; i < 2; i++)
        if (setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
            fail("TCP_NODELAY");
}

static void send_all(int fd, const char *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = send(fd, data + done, bytes - done, MSG_NOSIGNAL);
        if (n < 0)
            fail("send");
        done += (size_t)n;
    }
}

/* The child: until the client goes. */
static void echo(int fd, char *data, size_t bytes)
{
    struct epoll_event event = {.events = EPOLLIN};
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    size_t filled = 0;
    if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll");
    for (;;) {
        if (epoll_wait(poll_fd, &event, 1, -1) < 0)
            fail("epoll_wait");
        ssize_t n = recv(fd, data + filled, bytes - filled, MSG_DONTWAIT);
        if (n == 0)
            _exit(0);
        if (n < 0)
            continue;
        filled += (size_t)n;
        if (filled == bytes) {
            send_all(fd, data, bytes);
            filled = 0;
        }
    }
}

static void measure(int fd, char *data, size_t bytes, double seconds, bool spinning)
{
    static struct histogram trips;
    uint64_t start_ns = now_ns(), end_ns = start_ns + (uint64_t)(seconds * 1e9), sent_ns;
    do {
        sent_ns = now_ns();
        send_all(fd, data, bytes);
        for (size_t got = 0; got < bytes;) {
            ssize_t n = recv(fd, data + got, bytes - got, spinning ? MSG_DONTWAIT : 0);
            if (n == 0 || (n < 0 && errno != EAGAIN))
                fail("recv");
            got += n > 0 ? (size_t)n : 0;
        }
        histogram_add(&trips, now_ns() - sent_ns, 1);
    } while (now_ns() < end_ns);
    printf("bytes=%zu spinning=%s seconds=%.2f trips=%" PRIu64 " trip_p50_us=%.1f trip_p99_us=%.1f\n", bytes,
           spinning ? "yes" : "no", (double)(now_ns() - start_ns) / 1e9, trips.count,
           (double)histogram_quantile(&trips, 0.5) / 1e3, (double)histogram_quantile(&trips, 0.99) / 1e3);
}

int main(int argc, char **argv)
{
    size_t bytes = argc == 4 ? strtoull(argv[1], NULL, 10) : 0;
    double seconds = argc == 4 ? strtod(argv[2], NULL) : 0;
    bool spinning = argc == 4 && strcmp(argv[3], "yes") == 0;
    int fds[2], status;
    if (bytes == 0 || seconds <= 0 || (!spinning && strcmp(argv[3], "no") != 0)) {
        fprintf(stderr, "usage: floor-relay BYTES SECONDS yes|no\n");
        return 2;
    }
    char *data = calloc(1, bytes);
    if (data == NULL)
        fail("calloc");
    tcp_pair(fds);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    close(fds[child == 0 ? 0 : 1]);
    if (child == 0)
        echo(fds[1], data, bytes);
    measure(fds[0], data, bytes, seconds, spinning);
    close(fds[0]);
    free(data);
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
