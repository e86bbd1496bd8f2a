#include "benchmarks/wire.h"

#include "protocol/encoder.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_VALUE_BYTES ((uint64_t)1 << 30)

/* Reads of one connection before the others have their go. */
#define MAX_READS 16

static int fail(const char *what)
{
    fprintf(stderr, "ringmq-bench: %s: %s\n", what, strerror(errno));
    return -1;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return fail(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return fail(path);
    return fd;
}

static int connect_tcp(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int code = getaddrinfo(host, port, &hints, &list), fd = -1;
    if (code != 0) {
        fprintf(stderr, "ringmq-bench: %s: %s\n", host, gai_strerror(code));
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        return fail(host);
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int wire_connect(const struct bench_options *o)
{
    return o->socket_path ? connect_unix(o->socket_path) : connect_tcp(o->host, o->port);
}

int wire_open(struct wire *w, const struct bench_options *o)
{
    memset(w, 0, sizeof *w);
    buffer_init(&w->out, NULL);
    w->fd = wire_connect(o);
    if (w->fd < 0)
        return -1;
    w->decoder = decoder_new(MAX_VALUE_BYTES, NULL);
    w->in = malloc(WIRE_IN_BYTES);
    if (!w->decoder || !w->in)
        return fail("memory");
    return 0;
}

void wire_close(struct wire *w)
{
    if (w->fd > 0)
        close(w->fd);
    buffer_close(&w->out);
    decoder_free(w->decoder);
    free(w->in);
}

struct pollfd wire_poll(const struct wire *w)
{
    return (struct pollfd){w->fd, (short)(POLLIN | (buffer_pending(&w->out) ? POLLOUT : 0)), 0};
}

int wire_write(struct wire *w)
{
    while (buffer_pending(&w->out) > 0) {
        struct iovec iov;
        (void)buffer_iovec(&w->out, &iov, 1);
        ssize_t n = send(w->fd, iov.iov_base, iov.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0)
            return fail("send");
        buffer_consume(&w->out, (size_t)n);
    }
    return w->out.failed ? fail("memory") : 0;
}

static int decode(struct wire *w, size_t bytes, int (*handle)(void *user, struct wire *w), void *user)
{
    size_t at = 0, used;
    while (at < bytes) {
        enum decoder_result result = decoder_feed(w->decoder, w->in + at, bytes - at, &used);
        at += used;
        if (result == DECODER_NEED_MORE)
            break;
        if (result == DECODER_REFUSED)
            return wire_complain(w->decoder, decoder_refusal_text(w->decoder->refusal));
        if (handle(user, w) < 0)
            return -1;
        decoder_next(w->decoder);
    }
    return 0;
}

int wire_read(struct wire *w, int (*handle)(void *user, struct wire *w), void *user)
{
    for (int reads = 0; reads < MAX_READS; reads++) {
        ssize_t n = recv(w->fd, w->in, WIRE_IN_BYTES, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0) {
            errno = n == 0 ? ECONNRESET : errno;
            return fail("the server closed the connection");
        }
        if (decode(w, (size_t)n, handle, user) < 0)
            return -1;
        if ((size_t)n < WIRE_IN_BYTES)
            return 0;
    }
    return 0;
}

bool wire_is_response(const struct decoder *d)
{
    return d->node_count >= 5 && d->nodes[0].type == NODE_ARRAY && d->nodes[0].count == 4 &&
           d->nodes[1].value.uint == 1;
}

bool wire_uint(const struct decoder *d, uint32_t node, uint64_t *out)
{
    if (node >= d->node_count || d->nodes[node].type != NODE_UINT)
        return false;
    *out = d->nodes[node].value.uint;
    return true;
}

int wire_complain(const struct decoder *d, const char *what)
{
    fprintf(stderr, "ringmq-bench: unexpected answer to %s", what);
    for (uint32_t i = 0; i < d->node_count; i++)
        if (d->nodes[i].type == NODE_STR)
            fprintf(stderr, " %.*s", (int)d->nodes[i].count, (const char *)decoder_bytes(d, &d->nodes[i]));
    fprintf(stderr, "\n");
    return -1;
}

/* ---- calls before and after the load ----------------------------------------------------------------------------- */

static void begin(struct wire *w, const char *method, uint32_t params)
{
    encode_array(&w->out, 4);
    encode_uint(&w->out, 0);
    encode_uint(&w->out, 0);
    encode_text(&w->out, method);
    encode_array(&w->out, params);
}

/* Sends what has been encoded and waits for the one answer, which stays in the decoder until decoder_next(). */
static int call(struct wire *w, const char *method)
{
    while (buffer_pending(&w->out) > 0)
        if (wire_write(w) < 0)
            return -1;
    for (;;) {
        ssize_t n = recv(w->fd, w->in, WIRE_IN_BYTES, 0);
        size_t used;
        if (n <= 0)
            return fail(method);
        enum decoder_result result = decoder_feed(w->decoder, w->in, (size_t)n, &used);
        if (result == DECODER_NEED_MORE)
            continue;
        if (result == DECODER_REFUSED || !wire_is_response(w->decoder) || w->decoder->nodes[3].type != NODE_NIL)
            return wire_complain(w->decoder, method);
        return 0;
    }
}

static int call_with_queue(struct wire *w, const char *method, const char *queue)
{
    begin(w, method, 1);
    encode_text(&w->out, queue);
    int code = call(w, method);
    decoder_next(w->decoder);
    return code;
}

int wire_create_queue(struct wire *w, const char *queue)
{
    return call_with_queue(w, "queue.create", queue);
}

int wire_delete_queue(struct wire *w, const char *queue)
{
    return call_with_queue(w, "queue.delete", queue);
}

int wire_consume(struct wire *w, const char *queue, uint32_t prefetch)
{
    begin(w, "consume", 2);
    encode_text(&w->out, queue);
    encode_map(&w->out, 1);
    encode_text(&w->out, "prefetch");
    encode_uint(&w->out, prefetch);
    int code = call(w, "consume");
    decoder_next(w->decoder);
    return code;
}

static bool is_key(const struct decoder *d, uint32_t node, const char *key)
{
    const struct node *n = &d->nodes[node];
    return n->type == NODE_STR && n->count == strlen(key) && memcmp(decoder_bytes(d, n), key, n->count) == 0;
}

int wire_server_cpu(struct wire *w, double *ns)
{
    begin(w, "server.info", 1);
    encode_text(&w->out, "server");
    if (call(w, "server.info") < 0)
        return -1;
    *ns = 0;
    for (uint32_t i = 0; i + 1 < w->decoder->node_count; i++)
        if (is_key(w->decoder, i, "cpu_user_ms") || is_key(w->decoder, i, "cpu_system_ms"))
            *ns += (double)w->decoder->nodes[i + 1].value.uint * 1e6;
    decoder_next(w->decoder);
    return 0;
}
