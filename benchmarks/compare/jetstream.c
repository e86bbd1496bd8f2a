/*
 * NATS JetStream, a stream in memory, at least once: publishes whose acks come later, a push consumer that takes one ack for
 * all messages up to it (AckAll), given every `ack` messages. The stream drops what is acked (Interest); a fill has no
 * consumer, so that stream keeps everything (Limits).
 */
#include "benchmarks/compare/nats.h"

#include <nats/nats.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define STREAM      "COMPARE"
#define ACK_LATE_MS 5 /* if nothing more comes, what has come is acked after this time */
#define NAP_NS      20000

const char peer_name[] = "jetstream";
const bool peer_at_least_once = true;

static natsConnection *publisher, *receiver;
static jsCtx *publishing, *receiving;
static natsSubscription *subscription;
static natsMsg *last; /* received, not acked */
static uint32_t body_bytes, ack_every, unacked;
static int64_t confirms_told;
static _Atomic int64_t confirms;
static _Atomic bool refused;

static void on_confirm(jsCtx *js, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *unused)
{
    (void)js;
    (void)unused;
    if (ack)
        atomic_fetch_add(&confirms, 1);
    else if (!atomic_exchange(&refused, true))
        fprintf(stderr, "%s: publish: %s\n", peer_name, error->ErrText);
    natsMsg_Destroy(message);
}

static int make_stream(bool fill)
{
    const char *subjects[] = {PEER_QUEUE};
    jsStreamConfig stream;
    jsErrCode code;
    jsStreamConfig_Init(&stream);
    stream.Name = STREAM;
    stream.Subjects = subjects;
    stream.SubjectsLen = 1;
    stream.Retention = fill ? js_LimitsPolicy : js_InterestPolicy;
    stream.Storage = js_MemoryStorage;
    (void)js_DeleteStream(publishing, STREAM, NULL, &code); /* there may be none */
    natsStatus s = js_AddStream(NULL, publishing, &stream, NULL, &code);
    return s == NATS_OK ? 0 : nats_complain("stream", s);
}

static int subscribe(const struct peer_options *o)
{
    jsSubOptions options;
    jsErrCode code;
    jsSubOptions_Init(&options);
    options.Stream = STREAM;
    options.ManualAck = true;
    options.Config.AckPolicy = js_AckAll;
    options.Config.MaxAckPending = o->prefetch;
    natsStatus s = js_SubscribeSync(&subscription, receiving, PEER_QUEUE, NULL, &options, &code);
    if (s == NATS_OK)
        s = natsSubscription_SetPendingLimits(subscription, -1, -1);
    return s == NATS_OK ? 0 : nats_complain("subscribe", s);
}

int peer_open(const struct peer_options *o)
{
    jsOptions options;
    body_bytes = o->size;
    ack_every = o->ack;
    if (nats_open(o, &publisher) < 0 || nats_open(o, &receiver) < 0)
        return -1;
    jsOptions_Init(&options);
    options.PublishAsync.AckHandler = on_confirm;
    natsStatus s = natsConnection_JetStream(&publishing, publisher, &options);
    if (s == NATS_OK)
        s = natsConnection_JetStream(&receiving, receiver, NULL);
    if (s != NATS_OK)
        return nats_complain("JetStream", s);
    if (make_stream(o->fill > 0) < 0)
        return -1;
    return o->fill > 0 ? 0 : subscribe(o);
}

void peer_close(void)
{
    natsMsg_Destroy(last);
    natsSubscription_Destroy(subscription);
    jsCtx_Destroy(publishing);
    jsCtx_Destroy(receiving);
    natsConnection_Destroy(publisher);
    natsConnection_Destroy(receiver);
    nats_Close();
}

int peer_publish(const uint8_t *bodies, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        natsStatus s = js_PublishAsync(publishing, PEER_QUEUE, bodies + (size_t)i * body_bytes, (int)body_bytes, NULL);
        if (s != NATS_OK)
            return nats_complain("publish", s);
    }
    return 0;
}

/* The library writes when its buffer is full, and otherwise within a millisecond. */
int peer_flush(void)
{
    return 0;
}

/* The library's own thread counts them. */
int64_t peer_confirmed(bool wait)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    for (int64_t waited_ns = 0; wait && confirms == confirms_told && waited_ns < PEER_WAIT_MS * INT64_C(1000000);
         waited_ns += NAP_NS)
        (void)nanosleep(&nap, NULL);
    int64_t now = confirms, count = now - confirms_told;
    confirms_told = now;
    return refused ? -1 : count;
}

static int ack(void)
{
    natsStatus s = natsMsg_Ack(last, NULL);
    if (s != NATS_OK)
        return nats_complain("ack", s);
    load_acked(unacked); /* the server does not answer an ack */
    unacked = 0;
    return 0;
}

int peer_receive(void)
{
    natsMsg *message = NULL;
    natsStatus s = natsSubscription_NextMsg(&message, subscription, unacked > 0 ? ACK_LATE_MS : PEER_WAIT_MS);
    if (s == NATS_TIMEOUT)
        return unacked > 0 ? ack() : 0;
    if (s != NATS_OK)
        return nats_complain("receive", s);
    natsMsg_Destroy(last);
    last = message;
    int code = load_message(natsMsg_GetData(message), (uint64_t)natsMsg_GetDataLength(message));
    return code == 0 && ++unacked >= ack_every ? ack() : code;
}
