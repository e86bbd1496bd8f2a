/*
 * dial: from an endpoint to a connected, non-blocking socket, in steps that never wait (the look-up of a host name
 * apart).
 *
 *     dial_resolve()                                  once
 *     fd = dial_open(first address)                   connects, or begins to
 *     ... fd is writable ...  dial_check(fd)          0: connected; an errno: on to the next address
 */
#ifndef CLIENT_DIAL_H
#define CLIENT_DIAL_H

#include "client/endpoint.h"

#include <sys/socket.h>
#include <sys/un.h>

struct dial_address {
    int family;
    socklen_t bytes;
    struct sockaddr_storage address;
};

struct dial_list {
    struct dial_address *addresses;
    size_t count;
};

/*
 * Looks up all addresses of an endpoint. Returns RINGMQ_OK, RINGMQ_ERR_NO_MEMORY, or RINGMQ_ERR_CONNECT with *reason.
 * May block for a host name; never for a numeric address or a path.
 */
int dial_resolve(const struct endpoint *endpoint, struct dial_list *list, const char **reason);

void dial_list_close(struct dial_list *list);

/* A socket that is connected or connecting to that address; -1 with errno. The caller closes it. */
int dial_open(const struct dial_address *address);

/* How a connecting socket that turned readable or writable has ended up: 0, or an errno. */
int dial_check(int fd);

#endif
