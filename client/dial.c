#include "client/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int resolve_path(const struct endpoint *endpoint, struct dial_list *list)
{
    struct dial_address *one = calloc(1, sizeof(*one));
    if (one == NULL)
        return RINGMQ_ERR_NO_MEMORY;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, endpoint->path,
           strlen(endpoint->path) + 1); /* its length was checked by endpoint_init() */
    one->family = AF_UNIX;
    one->bytes = sizeof(address);
    memcpy(&one->address, &address, sizeof(address));
    *list = (struct dial_list){one, 1};
    return RINGMQ_OK;
}

int dial_resolve(const struct endpoint *endpoint, struct dial_list *list, const char **reason)
{
    if (endpoint->path != NULL)
        return resolve_path(endpoint, list);

    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)endpoint->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(endpoint->host, port, &hints, &found);
    if (error != 0) {
        *reason = error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
        return error == EAI_MEMORY ? RINGMQ_ERR_NO_MEMORY : RINGMQ_ERR_CONNECT;
    }
    size_t count = 0;
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next)
        count++;
    struct dial_address *addresses = calloc(count, sizeof(*addresses));
    if (addresses != NULL) {
        size_t i = 0;
        for (const struct addrinfo *a = found; a != NULL; a = a->ai_next, i++) {
            addresses[i].family = a->ai_family;
            addresses[i].bytes = a->ai_addrlen;
            memcpy(&addresses[i].address, a->ai_addr, a->ai_addrlen);
        }
        *list = (struct dial_list){addresses, count};
    }
    freeaddrinfo(found);
    return addresses == NULL ? RINGMQ_ERR_NO_MEMORY : RINGMQ_OK;
}

void dial_list_close(struct dial_list *list)
{
    free(list->addresses);
    *list = (struct dial_list){NULL, 0};
}

int dial_open(const struct dial_address *address)
{
    int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (address->family != AF_UNIX) {
        /* Both only make things better: requests leave at once, and a peer that has vanished is noticed some day. */
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    if (connect(fd, (const struct sockaddr *)&address->address, address->bytes) == 0 || errno == EINPROGRESS)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int dial_check(int fd)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        return errno;
    return error;
}
