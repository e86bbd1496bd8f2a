#include "benchmarks/wire.h"

#include "protocol/encoder.h"

#include <assert.h>
#include <errno.h>
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
#define MAX_READS 4

int wire_fail(const char *what)
{
    fprintf(stderr, "ringmq-bench: %s: %s\n", what, strerror(errno));
    return -1;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return wire_fail(path);
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return wire_fail(path);
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
            int error = errno;
            close(fd);
            errno = error;
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        fprintf(stderr, "ringmq-bench: %s port %s: %s\n", host, port, strerror(errno));
        return -1;
    }
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
    return w->decoder ? 0 : wire_fail("memory");
}

void wire_close(struct wire *w)
{
    if (w->fd > 0)
        close(w->fd);
    buffer_close(&w->out);
    decoder_free(w->decoder);
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
            return wire_fail("send");
        buffer_consume(&w->out, (size_t)n);
    }
    return w->out.failed ? wire_fail("memory") : 0;
}

/* Feeds the decoder until it has a value, which is handed on. */
static int decode(struct wire *w, struct piece *piece, const struct wire_reader *reader, void *user)
{
    size_t used;
    enum decoder_result result = decoder_feed(w->decoder, piece->at, (size_t)(piece->end - piece->at), &used);
    piece->at += used;
    if (result == DECODER_NEED_MORE)
        return 0;
    if (result == DECODER_REFUSED)
        return wire_complain(w->decoder, decoder_refusal_text(w->decoder->refusal));
    int code = reader->value_cb(user, w);
    decoder_next(w->decoder);
    w->decoding = false;
    return code;
}

static int read_all(struct wire *w, struct piece *piece, const struct wire_reader *reader, void *user)
{
    while (piece->at < piece->end) {
        if (w->decoding && decode(w, piece, reader, user) < 0)
            return -1;
        if (!w->decoding && reader->read_cb(user, w, piece) < 0)
            return -1;
        if (!w->decoding)
            break;
    }
    w->kept_bytes = (size_t)(piece->end - piece->at);
    assert(w->kept_bytes <= WIRE_KEPT_BYTES);
    memcpy(w->kept, piece->at, w->kept_bytes);
    return 0;
}

int wire_read(struct wire *w, struct wire_area *area, const struct wire_reader *reader, void *user)
{
    for (int reads = 0; reads < MAX_READS; reads++) {
        ssize_t n = recv(w->fd, area->in, WIRE_IN_BYTES, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0) {
            errno = n == 0 ? ECONNRESET : errno;
            return wire_fail("the server closed the connection");
        }
        struct piece piece = {area->in - w->kept_bytes, area->in + n};
        memcpy(area->in - w->kept_bytes, w->kept, w->kept_bytes);
        if (read_all(w, &piece, reader, user) < 0)
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

uint32_t wire_find(const struct decoder *d, const char *key)
{
    for (uint32_t i = 0; i + 1 < d->node_count; i++) {
        const struct node *n = &d->nodes[i];
        if (n->type == NODE_STR && n->count == strlen(key) && memcmp(decoder_bytes(d, n), key, n->count) == 0)
            return i + 1;
    }
    return 0;
}

int wire_complain(const struct decoder *d, const char *what)
{
    fprintf(stderr, "ringmq-bench: unexpected answer to %s:", what);
    for (uint32_t i = 0; i < d->node_count; i++)
        if (d->nodes[i].type == NODE_STR)
            fprintf(stderr, " %.*s", (int)d->nodes[i].count, (const char *)decoder_bytes(d, &d->nodes[i]));
    fprintf(stderr, "\n");
    return -1;
}

/* ---- calls before and after the load ----------------------------------------------------------------------------- */

void wire_begin(struct wire *w, const char *method, uint32_t params)
{
    encode_array(&w->out, 4);
    encode_uint(&w->out, 0);
    encode_uint(&w->out, 0);
    encode_text(&w->out, method);
    encode_array(&w->out, params);
}

int wire_call(struct wire *w, const char *method)
{
    size_t used;
    enum decoder_result result;
    while (buffer_pending(&w->out) > 0)
        if (wire_write(w) < 0)
            return -1;
    do {
        ssize_t n = recv(w->fd, w->answer, WIRE_ANSWER_BYTES, 0);
        errno = n == 0 ? ECONNRESET : errno;
        if (n <= 0)
            return wire_fail(method);
        result = decoder_feed(w->decoder, w->answer, (size_t)n, &used);
    } while (result == DECODER_NEED_MORE);
    if (result == DECODER_REFUSED || !wire_is_response(w->decoder) || w->decoder->nodes[3].type != NODE_NIL)
        return wire_complain(w->decoder, method);
    return 0;
}

int wire_call_name(struct wire *w, const char *method, const char *name)
{
    wire_begin(w, method, 1);
    encode_text(&w->out, name);
    int code = wire_call(w, method);
    decoder_next(w->decoder);
    return code;
}
