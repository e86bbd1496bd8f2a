/*
 * endpoint: where a server is and who one says one is, out of options or a URL.
 *
 *     ringmq://[user[:password]@]host[:port][/]          host: a name, an IPv4 address, or an IPv6 address in [ ]
 *     ringmq+unix://[user[:password]@]/path/of/socket
 *
 * Everything but the port may contain %XX. A host and a port, or a path: never both.
 */
#ifndef CLIENT_ENDPOINT_H
#define CLIENT_ENDPOINT_H

#include "client/ringmq.h"

struct endpoint {
    char *host; /* NULL: a Unix socket */
    char *path; /* NULL: TCP */
    uint16_t port;
    char *user;     /* NULL: none */
    char *password; /* NULL: none */
    char *text;     /* for people: host:port or the path */
};

/*
 * Fills `endpoint` from the options, defaults included. Returns RINGMQ_OK, RINGMQ_ERR_NO_MEMORY, or
 * RINGMQ_ERR_ARGUMENT with *reason. Whatever it returns, endpoint_close() frees it.
 */
int endpoint_init(struct endpoint *endpoint, const struct ringmq_options *options, const char **reason);

void endpoint_close(struct endpoint *endpoint);

#endif
