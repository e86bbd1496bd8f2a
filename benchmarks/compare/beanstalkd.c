/*
 * beanstalkd, in its own words over raw sockets: there is no faster client. Puts are pipelined. The receiver works in rounds,
 * each one write: delete what the last one brought, wait for one job, and take without waiting about twice as many as last
 * time, at most `ack`. (A delete behind a reserve that waits would wait with it.)
 */
#include "benchmarks/compare/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 262144
#define LINE_BYTES 64 /* more than any line of a request or an answer */

const char peer_name[] = "beanstalkd";
const bool peer_at_least_once = true;

struct wire {
    int fd;
    char *in, *out;
    size_t in_at, in_bytes, in_cap, out_bytes, out_cap;
};

static struct wire publisher = {.fd = -1}, receiver = {.fd = -1};
static uint32_t body_bytes, jobs_a_round;
static uint32_t answers_owed, jobs_come; /* of the round that is under way */

static int complain(const char *what)
{
    fprintf(stderr, "beanstalkd: %s: %s\n", what, strerror(errno));
    return -1;
}

static int wire_open(struct wire *w, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    w->in_cap = READ_BYTES + body_bytes + LINE_BYTES;
    w->in = malloc(w->in_cap);
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!w->in || w->fd < 0 || inet_pton(AF_INET, PEER_HOST, &address.sin_addr) != 1 ||
        connect(w->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return complain("connect");
    return 0;
}

static void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    free(w->in);
    free(w->out);
}

/* Room for so many bytes more to be sent, or NULL. */
static char *wire_reserve(struct wire *w, size_t bytes)
{
    if (w->out_bytes + bytes > w->out_cap) {
        size_t cap = (w->out_bytes + bytes) * 2;
        char *out = realloc(w->out, cap);
        if (!out)
            return NULL;
        w->out = out;
        w->out_cap = cap;
    }
    return w->out + w->out_bytes;
}

static int wire_flush(struct wire *w)
{
    for (size_t done = 0; done < w->out_bytes;) {
        ssize_t n = send(w->fd, w->out + done, w->out_bytes - done, MSG_NOSIGNAL);
        if (n < 0)
            return complain("send");
        done += (size_t)n;
    }
    w->out_bytes = 0;
    return 0;
}

/* Reads what is there, behind what has not been used yet. */
static int wire_read(struct wire *w, bool wait)
{
    struct pollfd ready = {w->fd, POLLIN, 0};
    if (poll(&ready, 1, wait ? PEER_WAIT_MS : 0) <= 0)
        return 0;
    memmove(w->in, w->in + w->in_at, w->in_bytes - w->in_at);
    w->in_bytes -= w->in_at;
    w->in_at = 0;
    ssize_t n = recv(w->fd, w->in + w->in_bytes, w->in_cap - w->in_bytes - 1, 0);
    if (n <= 0)
        return complain("connection lost");
    w->in_bytes += (size_t)n;
    w->in[w->in_bytes] = '\0';
    return 0;
}

/* The next whole line, which ends the string; NULL if it has not come yet. */
static char *wire_line(struct wire *w)
{
    char *line = w->in + w->in_at, *end = memchr(line, '\n', w->in_bytes - w->in_at);
    if (!end)
        return NULL;
    *end = '\0';
    w->in_at = (size_t)(end + 1 - w->in);
    return line;
}

static int refused(const char *line)
{
    fprintf(stderr, "beanstalkd: unexpected answer: %s\n", line);
    return -1;
}

int peer_open(const struct peer_options *o)
{
    body_bytes = o->size;
    jobs_a_round = o->ack;
    return wire_open(&publisher, o->port) < 0 ? -1 : wire_open(&receiver, o->port);
}

void peer_close(void)
{
    wire_close(&publisher);
    wire_close(&receiver);
}

int peer_publish(const uint8_t *bodies, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char *at = wire_reserve(&publisher, LINE_BYTES + body_bytes);
        if (!at)
            return complain("memory");
        size_t head = (size_t)snprintf(at, LINE_BYTES, "put 0 0 3600 %u\r\n", body_bytes);
        memcpy(at + head, bodies + (size_t)i * body_bytes, body_bytes);
        memcpy(at + head + body_bytes, "\r\n", 2);
        publisher.out_bytes += head + body_bytes + 2;
    }
    return 0;
}

int peer_flush(void)
{
    return wire_flush(&publisher);
}

int64_t peer_confirmed(bool wait)
{
    int64_t count = 0;
    if (wire_read(&publisher, wait) < 0)
        return -1;
    for (char *line; (line = wire_line(&publisher)); count++)
        if (strncmp(line, "INSERTED ", 9) != 0)
            return refused(line);
    return count;
}

static int send_text(const char *text)
{
    size_t bytes = strlen(text);
    char *at = wire_reserve(&receiver, bytes);
    if (!at)
        return complain("memory");
    memcpy(at, text, bytes);
    receiver.out_bytes += bytes;
    return 0;
}

/* The deletes are in the buffer already. */
static int begin_round(void)
{
    uint32_t more = jobs_come * 2 < jobs_a_round ? jobs_come * 2 : jobs_a_round - 1;
    answers_owed = jobs_come + 1 + more;
    jobs_come = 0;
    int code = send_text("reserve-with-timeout 1\r\n");
    for (uint32_t i = 0; i < more && code == 0; i++)
        code = send_text("reserve-with-timeout 0\r\n");
    return code < 0 ? -1 : wire_flush(&receiver);
}

/* One answer; 0 if it has not come whole yet. */
static int take_answer(void)
{
    struct wire *w = &receiver;
    size_t before = w->in_at;
    uint64_t id;
    uint32_t bytes;
    char request[LINE_BYTES], *line = wire_line(w);
    if (!line)
        return 0;
    if (strncmp(line, "DELETED", 7) == 0) {
        load_acked(1);
    } else if (sscanf(line, "RESERVED %" SCNu64 " %u", &id, &bytes) == 2) {
        if (bytes > body_bytes)
            return refused(line);
        if (w->in_bytes - w->in_at < bytes + 2) {
            w->in[w->in_at - 1] = '\n';
            w->in_at = before;
            return 0;
        }
        if (load_message(w->in + w->in_at, bytes) < 0)
            return -1;
        w->in_at += bytes + 2;
        jobs_come++;
        (void)snprintf(request, sizeof request, "delete %" PRIu64 "\r\n", id);
        if (send_text(request) < 0)
            return -1;
    } else if (strncmp(line, "TIMED_OUT", 9) != 0) {
        return refused(line);
    }
    return 1;
}

int peer_receive(void)
{
    if (answers_owed == 0 && begin_round() < 0)
        return -1;
    if (wire_read(&receiver, true) < 0)
        return -1;
    int code;
    while (answers_owed > 0 && (code = take_answer()) != 0) {
        if (code < 0)
            return -1;
        answers_owed--;
    }
    return 0;
}
