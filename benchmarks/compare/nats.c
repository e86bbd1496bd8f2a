#include "benchmarks/compare/nats.h"

#include <nats/nats.h>
#include <stdio.h>

#define BUFFER_BYTES 262144

int nats_complain(const char *what, unsigned status)
{
    const char *more = nats_GetLastError(NULL);
    fprintf(stderr, "%s: %s: %s%s%s\n", peer_name, what, natsStatus_GetText((natsStatus)status), more ? ": " : "",
            more ? more : "");
    return -1;
}

int nats_open(const struct peer_options *o, natsConnection **connection)
{
    char url[64];
    natsOptions *options = NULL;
    (void)snprintf(url, sizeof url, "nats://" PEER_HOST ":%u", o->port);
    natsStatus s = natsOptions_Create(&options);
    if (s == NATS_OK)
        s = natsOptions_SetURL(options, url);
    if (s == NATS_OK)
        s = natsOptions_SetIOBufSize(options, BUFFER_BYTES);
    if (s == NATS_OK)
        s = natsOptions_SetSendAsap(options, o->rate > 0);
    if (s == NATS_OK)
        s = natsOptions_SetAllowReconnect(options, false);
    if (s == NATS_OK)
        s = natsConnection_Connect(connection, options);
    natsOptions_Destroy(options);
    return s == NATS_OK ? 0 : nats_complain("connect", s);
}
