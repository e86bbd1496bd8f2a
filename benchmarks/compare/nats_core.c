/*
 * NATS core, at most once: a publish has no answer, a message has no ack, and the server keeps none. There are no batches
 * either: the library collects what is published in one buffer, so a batch is what it makes of it.
 */
#include "benchmarks/compare/nats.h"

#include <nats/nats.h>

const char peer_name[] = "nats-core";
const bool peer_at_least_once = false;

static natsConnection *publisher, *receiver;
static natsSubscription *subscription;
static uint32_t body_bytes;
static int64_t published;

int peer_open(const struct peer_options *o)
{
    body_bytes = o->size;
    if (nats_open(o, &publisher) < 0 || nats_open(o, &receiver) < 0)
        return -1;
    natsStatus s = natsConnection_SubscribeSync(&subscription, receiver, PEER_QUEUE);
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(subscription, -1, -1);
    if (s == NATS_OK)
        s = natsConnection_Flush(receiver); /* the server knows of it */
    return s == NATS_OK ? 0 : nats_complain("subscribe", s);
}

void peer_close(void)
{
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(publisher);
    natsConnection_Destroy(receiver);
    nats_Close();
}

int peer_publish(const uint8_t *bodies, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        natsStatus s = natsConnection_Publish(publisher, PEER_QUEUE, bodies + (size_t)i * body_bytes, (int)body_bytes);
        if (s != NATS_OK)
            return nats_complain("publish", s);
    }
    published += count;
    return 0;
}

/* The library writes when its buffer is full, and otherwise within a millisecond. */
int peer_flush(void)
{
    return 0;
}

int64_t peer_confirmed(bool wait)
{
    (void)wait;
    int64_t count = published;
    published = 0;
    return count;
}

int peer_receive(void)
{
    natsMsg *message = NULL;
    natsStatus s = natsSubscription_NextMsg(&message, subscription, PEER_WAIT_MS);
    if (s == NATS_TIMEOUT)
        return 0;
    if (s != NATS_OK)
        return nats_complain("receive", s);
    int code = load_message(natsMsg_GetData(message), (uint64_t)natsMsg_GetDataLength(message));
    natsMsg_Destroy(message);
    load_acked(1);
    return code;
}
