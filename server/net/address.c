#include "server/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(ADDRESS_TEXT_BYTES > sizeof "unix:" + sizeof((struct sockaddr_un *)0)->sun_path, "a path must fit");

bool address_parse(struct address *address, const char *text, uint16_t port)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char host[ADDRESS_TEXT_BYTES], service[8];
    size_t bytes = strlen(text);

    const bool brackets = bytes > 2 && text[0] == '[' && text[bytes - 1] == ']';
    if (brackets) {
        text++;
        bytes -= 2;
    }
    if (bytes == 0 || bytes >= sizeof host)
        return false;
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    snprintf(service, sizeof service, "%u", (unsigned)port);
    /* getaddrinfo() takes "1" for 0.0.0.1. */
    struct in_addr quad;
    if (strchr(host, ':') == NULL && inet_pton(AF_INET, host, &quad) != 1)
        return false;
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return false;
    const bool fits = found->ai_addrlen <= sizeof address->storage && (!brackets || found->ai_family == AF_INET6);
    if (fits) {
        memset(address, 0, sizeof *address);
        memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
        address->bytes = found->ai_addrlen;
    }
    freeaddrinfo(found);
    return fits;
}

bool address_from_path(struct address *address, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const size_t bytes = strlen(path);

    if (bytes == 0 || bytes >= sizeof name.sun_path)
        return false;
    memcpy(name.sun_path, path, bytes + 1);
    memset(address, 0, sizeof *address);
    memcpy(&address->storage, &name, sizeof name);
    address->bytes = sizeof name;
    return true;
}

static void print_path(const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    struct sockaddr_un name;

    memcpy(&name, &address->storage, sizeof name);
    if (address->bytes <= head || name.sun_path[0] == '\0')
        snprintf(out, ADDRESS_TEXT_BYTES, "unix");
    else
        snprintf(out, ADDRESS_TEXT_BYTES, "unix:%.*s", (int)(address->bytes - head), name.sun_path);
}

void address_print(const struct address *address, char out[ADDRESS_TEXT_BYTES])
{
    char host[ADDRESS_TEXT_BYTES - 16], port[8];

    if (address->storage.ss_family == AF_UNIX)
        print_path(address, out);
    else if (getnameinfo((const struct sockaddr *)&address->storage, address->bytes, host, sizeof host, port,
                         sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(out, ADDRESS_TEXT_BYTES, "unknown");
    else
        snprintf(out, ADDRESS_TEXT_BYTES, address->storage.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

uint16_t address_port(const struct address *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->storage.ss_family == AF_INET) {
        memcpy(&v4, &address->storage, sizeof v4);
        return ntohs(v4.sin_port);
    }
    if (address->storage.ss_family == AF_INET6) {
        memcpy(&v6, &address->storage, sizeof v6);
        return ntohs(v6.sin6_port);
    }
    return 0;
}
