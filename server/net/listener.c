/*
 * listener: the sockets on which peers arrive.
 *
 * Peers are accepted in batches, so that a storm of them cannot keep the others waiting. What accepted sockets shall
 * have (TCP_NODELAY, keepalive) is set once on the listening socket: Linux hands it down.
 *
 * Out of descriptors: a listener would stay readable and the loop would spin. So all of them rest for
 * ACCEPT_PAUSE_MS; the peers wait in the system's backlog. Above max_connections a peer is told so; above
 * NET_REFUSAL_SLOTS more it is just closed.
 */
#include "server/net/reactor.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTEN_BACKLOG  1024
#define ACCEPT_BATCH    64
#define ACCEPT_PAUSE_MS 100

/* Unanswered probes before a peer counts as gone. */
#define KEEPALIVE_PROBES 4

/* Tries to find a port that is free on all addresses. */
#define FREE_PORT_TRIES 20

static bool fail(struct net_error *error, const struct address *address, const char *why)
{
    char text[ADDRESS_TEXT_BYTES];

    address_print(address, text);
    snprintf(error->text, sizeof error->text, "cannot listen on %s: %s", text, why);
    return false;
}

static bool is_tcp(const struct listener *listener)
{
    return listener->address.storage.ss_family != AF_UNIX;
}

/* ---- accepting --------------------------------------------------------------------------------------------------- */

static void pause_accepting(struct net *net, int why)
{
    log_write_limited(&net->accept_lines, LOG_LEVEL_WARN, "net", "cannot accept connections, trying again soon: %s",
                      strerror(why));
    for (uint32_t i = 0; i < net->listener_count; i++)
        ev_io_stop(net->loop, &net->listeners[i].io);
    net->accept_again_ms = net->now_ms + ACCEPT_PAUSE_MS;
}

void listeners_resume(struct net *net)
{
    for (uint32_t i = 0; i < net->listener_count; i++)
        ev_io_start(net->loop, &net->listeners[i].io);
    net->accept_again_ms = 0;
}

static void admit(struct net *net, int fd, const struct address *peer)
{
    const bool refuse = net->connection_count >= net->limits.max_connections;

    net->counters.accepted++;
    if (refuse) {
        net->counters.refused++;
        log_write_limited(&net->accept_lines, LOG_LEVEL_WARN, "net",
                          "connection refused, there are as many as max_connections allows max_connections=%" PRIu64,
                          net->limits.max_connections);
    }
    if (net->connection_count >= net->limits.max_connections + NET_REFUSAL_SLOTS)
        close(fd);
    else
        connection_open(net, fd, peer, refuse);
}

static void accept_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
    const struct listener *listener = watcher->data;
    struct net *net = listener->net;

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct address peer = {.bytes = sizeof peer.storage};
        const int fd = accept4(watcher->fd, (struct sockaddr *)&peer.storage, &peer.bytes,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(net, fd, &peer);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(net, errno);
            return;
        }
        /* Anything else concerns only the peer that was to be accepted; it has gone. */
    }
}

/* ---- sockets ----------------------------------------------------------------------------------------------------- */

static void set_option(int fd, int level, int name, int value)
{
    /* Options that make things better, not possible: whatever a system refuses is left as it is. */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void set_keepalive(int fd, int64_t silence_ms)
{
    const int64_t most_s = 32767; /* of TCP_KEEPIDLE */
    const int64_t idle_s = (silence_ms + 999) / 1000 < most_s ? (silence_ms + 999) / 1000 : most_s;

    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, idle_s > 0);
    if (idle_s == 0)
        return;
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)(idle_s / KEEPALIVE_PROBES + 1));
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

void listeners_set_keepalive(struct net *net)
{
    for (uint32_t i = 0; i < net->listener_count; i++) {
        if (is_tcp(&net->listeners[i]))
            set_keepalive(net->listeners[i].io.fd, net->limits.keepalive_ms);
    }
}

/* A bound socket, or -1 with errno. */
static int open_socket(const struct net *net, const struct address *address)
{
    const int family = address->storage.ss_family;
    const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (family != AF_UNIX) {
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_keepalive(fd, net->limits.keepalive_ms);
    }
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, (const struct sockaddr *)&address->storage, address->bytes) != 0) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* Starts listening on a bound socket, which is taken over or closed. False with errno. */
static bool start_listener(struct net *net, int fd, const struct address *address)
{
    assert(net->listener_count < NET_LISTENERS);
    struct listener *listener = &net->listeners[net->listener_count];

    *listener = (struct listener){.net = net, .address = *address};
    if (is_tcp(listener)) {
        /* With its port, if any one would do. */
        listener->address.bytes = sizeof listener->address.storage;
        (void)getsockname(fd, (struct sockaddr *)&listener->address.storage, &listener->address.bytes);
    }
    if (listen(fd, LISTEN_BACKLOG) != 0) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    ev_io_init(&listener->io, accept_cb, fd, EV_READ);
    listener->io.data = listener;
    ev_io_start(net->loop, &listener->io);
    net->listener_count++;
    return true;
}

static void close_last_listener(struct net *net)
{
    const struct listener *listener = &net->listeners[--net->listener_count];

    ev_io_stop(net->loop, &net->listeners[net->listener_count].io);
    close(listener->io.fd);
    if (!is_tcp(listener)) {
        struct sockaddr_un name;
        struct stat now;
        memcpy(&name, &listener->address.storage, sizeof name);
        if (lstat(name.sun_path, &now) == 0 && now.st_dev == listener->device && now.st_ino == listener->inode)
            unlink(name.sun_path);
    }
}

static void log_listeners(const struct net *net, uint32_t from)
{
    char text[ADDRESS_TEXT_BYTES];

    for (uint32_t i = from; i < net->listener_count; i++) {
        address_print(&net->listeners[i].address, text);
        log_info("net", "listening on %s", text);
    }
}

void net_listen_stop(struct net *net)
{
    while (net->listener_count > 0)
        close_last_listener(net);
    net->accept_again_ms = 0;
}

/* ---- TCP --------------------------------------------------------------------------------------------------------- */

bool net_address_valid(const char *address)
{
    struct address parsed;

    return strcmp(address, "*") == 0 || address_parse(&parsed, address, 0);
}

/* Listens on one address. *port: 0 becomes the one that was found. False with errno. */
static bool listen_tcp(struct net *net, const char *text, uint16_t *port, struct net_error *error)
{
    struct address address;

    if (!address_parse(&address, text, *port)) {
        snprintf(error->text, sizeof error->text, "'%.64s' is no IPv4 or IPv6 address", text);
        errno = EINVAL;
        return false;
    }
    const int fd = open_socket(net, &address);
    if (fd < 0 || !start_listener(net, fd, &address)) {
        const int saved = errno;
        fail(error, &address, strerror(saved));
        errno = saved;
        return false;
    }
    *port = address_port(&net->listeners[net->listener_count - 1].address);
    return true;
}

/* Listens on all addresses of a word. A machine without IPv6 has no address of it to listen on. */
static bool listen_word(struct net *net, const char *word, uint16_t *port, struct net_error *error)
{
    if (strcmp(word, "*") != 0)
        return listen_tcp(net, word, port, error);
    return listen_tcp(net, "0.0.0.0", port, error) &&
           (listen_tcp(net, "::", port, error) || errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

bool net_listen(struct net *net, const char *const *addresses, size_t count, uint16_t port, struct net_error *error)
{
    const uint32_t before = net->listener_count;

    for (int try = 1;; try++) {
        uint16_t chosen = port;
        size_t i = 0;
        while (i < count && listen_word(net, addresses[i], &chosen, error))
            i++;
        if (i == count)
            break;
        /* A free port of one address may be taken on another. */
        const bool again = errno == EADDRINUSE && port == 0 && try < FREE_PORT_TRIES;
        while (net->listener_count > before)
            close_last_listener(net);
        if (!again)
            return false;
    }
    log_listeners(net, before);
    return true;
}

/* ---- Unix sockets ------------------------------------------------------------------------------------------------ */

/* Makes way for a socket file: removes one on which nobody listens. False if there is something else. */
static bool clear_path(const struct address *address, const char *path, struct net_error *error)
{
    struct stat there;

    if (lstat(path, &there) != 0)
        return errno == ENOENT || fail(error, address, strerror(errno));
    if (!S_ISSOCK(there.st_mode))
        return fail(error, address, "the file is there and is no socket");
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(error, address, strerror(errno));
    const int result = connect(fd, (const struct sockaddr *)&address->storage, address->bytes) == 0 ? 0 : errno;
    close(fd);
    /* EAGAIN is a listener whose backlog is full. */
    if (result == 0 || result == EAGAIN)
        return fail(error, address, strerror(EADDRINUSE));
    if (result != ECONNREFUSED)
        return fail(error, address, strerror(result));
    return unlink(path) == 0 || errno == ENOENT || fail(error, address, strerror(errno));
}

bool net_listen_unix(struct net *net, const char *path, mode_t mode, struct net_error *error)
{
    struct address address;
    struct stat made;

    if (!address_from_path(&address, path)) {
        snprintf(error->text, sizeof error->text, "cannot listen on unix:%.64s: the path is too long", path);
        return false;
    }
    if (!clear_path(&address, path, error))
        return false;
    const int fd = open_socket(net, &address);
    if (fd < 0)
        return fail(error, &address, strerror(errno));
    /* Nobody can connect before listen(2), so nobody slips in before the permissions are what they should be. */
    if (chmod(path, mode) != 0 || lstat(path, &made) != 0) {
        fail(error, &address, strerror(errno));
        close(fd);
        unlink(path);
        return false;
    }
    if (!start_listener(net, fd, &address)) {
        fail(error, &address, strerror(errno));
        unlink(path);
        return false;
    }
    net->listeners[net->listener_count - 1].device = made.st_dev;
    net->listeners[net->listener_count - 1].inode = made.st_ino;
    log_listeners(net, net->listener_count - 1);
    return true;
}
