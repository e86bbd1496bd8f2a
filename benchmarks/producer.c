#include "benchmarks/load.h"
#include "protocol/encoder.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A train is about as long as the server reads at once, and all of them together fit into a cache. */
#define TRAIN_BYTES  ((size_t)1 << 18)
#define TRAINS_BYTES ((size_t)1 << 22)

/* Different delays in a train. */
#define DELAY_MESSAGES 1000

#define MSGID_AT 3 /* behind the head, the 0 of a request and the head of a number of 4 bytes */

static uint32_t at_least(uint32_t messages, uint32_t batch)
{
    return (messages + batch - 1) / batch;
}

uint32_t producer_train_requests(const struct bench_options *o)
{
    size_t bytes = TRAINS_BYTES / o->producers < TRAIN_BYTES ? TRAINS_BYTES / o->producers : TRAIN_BYTES;
    size_t requests = bytes / ((size_t)o->batch * (o->size + 8));
    size_t needed = at_least(o->groups > 0 ? o->groups : 1, o->batch);
    if (o->delay_ms > 0 && needed < at_least(DELAY_MESSAGES, o->batch))
        needed = at_least(DELAY_MESSAGES, o->batch);
    if (requests > o->window / o->batch)
        requests = o->window / o->batch;
    return (uint32_t)(requests > needed ? requests : needed);
}

/* One message: its body, and what it has beyond it. Returns where the body begins. */
static size_t encode_message(struct buffer *b, const struct load *l, uint32_t place)
{
    const struct bench_options *o = l->o;
    char group[16];
    bool extras = o->groups > 0 || o->delay_ms > 0;
    if (extras)
        encode_array(b, 2);
    encode_bin(b, l->pattern, o->size);
    size_t at = b->bytes - o->size;
    if (extras)
        encode_map(b, (o->groups > 0 ? 1u : 0u) + (o->delay_ms > 0 ? 1u : 0u));
    if (o->groups > 0) {
        snprintf(group, sizeof group, "g%u", place % o->groups);
        encode_text(b, "group");
        encode_text(b, group);
    }
    if (o->delay_ms > 0) {
        encode_text(b, "delay");
        encode_uint(b, load_delay_ms(l, place));
    }
    return at;
}

static void encode_request(struct buffer *b, const struct load *l, uint32_t request, size_t *stamp_at)
{
    const struct bench_options *o = l->o;
    encode_array(b, 4);
    encode_uint(b, 0);
    encode_uint(b, UINT32_MAX); /* room for any msgid */
    encode_text(b, o->queues > 1 ? "topic.publish" : "publish");
    encode_array(b, o->queues > 1 ? 3 : 2);
    encode_text(b, o->queue);
    if (o->queues > 1)
        encode_text(b, "key");
    encode_array(b, o->batch);
    for (uint32_t i = 0; i < o->batch; i++)
        stamp_at[i] = encode_message(b, l, request * o->batch + i);
}

int producer_open(struct load *l, uint32_t index)
{
    struct producer *p = &l->producers[index];
    struct buffer b;
    buffer_init(&b, NULL);
    p->index = index;
    p->requests = producer_train_requests(l->o);
    p->request_at = calloc((size_t)p->requests + 1, sizeof *p->request_at);
    p->stamp_at = calloc(l->cycle, sizeof *p->stamp_at);
    p->sent_at_ns = calloc(l->times, sizeof *p->sent_at_ns);
    if (!p->request_at || !p->stamp_at || !p->sent_at_ns)
        return wire_fail("memory");
    for (uint32_t i = 0; i < p->requests; i++) {
        encode_request(&b, l, i, p->stamp_at + (size_t)i * l->o->batch);
        p->request_at[i + 1] = b.bytes;
    }
    p->train = b.data;
    if (b.failed)
        return wire_fail("memory");
    return wire_open(&p->wire, l->o);
}

void producer_close(struct producer *p)
{
    wire_close(&p->wire);
    free(p->train);
    free(p->request_at);
    free(p->stamp_at);
    free(p->sent_at_ns);
}

uint64_t producer_intended_ns(const struct load *l, const struct producer *p)
{
    if (l->o->rate <= 0)
        return l->now_ns;
    /* The producers take turns. */
    double place = (double)p->batches * l->o->producers + p->index;
    return l->start_ns + (uint64_t)(place * l->o->batch / l->o->rate * 1e9);
}

static bool may_send(const struct load *l, const struct producer *p)
{
    const uint32_t batch = l->o->batch, copies = bench_copies(l->o);
    return l->publishing && p->queued < p->requests && p->sent + batch <= l->limit &&
           p->sent - p->confirmed + batch <= l->o->window &&
           (!l->consuming || (p->sent + batch) * copies - p->received <= (uint64_t)l->o->backlog * copies) &&
           producer_intended_ns(l, p) <= l->now_ns;
}

/* The next request of the train with a new msgid and new stamps. */
static void queue_request(struct load *l, struct producer *p)
{
    uint8_t *msgid = p->train + p->request_at[p->next] + MSGID_AT;
    const size_t *stamp_at = p->stamp_at + (size_t)p->next * l->o->batch;
    uint32_t batch = (uint32_t)p->batches;
    for (int i = 0; i < 4; i++)
        msgid[i] = (uint8_t)(batch >> (24 - 8 * i));
    for (uint32_t i = 0; i < l->o->batch; i++) {
        uint8_t *stamp = p->train + stamp_at[i];
        load_put_u32(stamp, p->index);
        load_put_u32(stamp + 4, batch);
        load_put_u64(stamp + 8, p->sent++);
    }
    /* Whether a message comes early is judged from when it was really sent. */
    p->sent_at_ns[batch & (l->times - 1)] = l->o->delay_ms > 0 ? l->now_ns : producer_intended_ns(l, p);
    p->batches++;
    p->queued++;
    p->next = p->next + 1 == p->requests ? 0 : p->next + 1;
}

/* Writes one stretch of the train. Returns 1 if all of it went, 0 if the socket is full, or -1. */
static int write_stretch(struct producer *p)
{
    uint32_t first = (p->next + p->requests - p->queued) % p->requests;
    uint32_t last = first + p->queued < p->requests ? first + p->queued : p->requests;
    size_t bytes = p->request_at[last] - p->out_at;
    ssize_t n = send(p->wire.fd, p->train + p->out_at, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : wire_fail("send");
    p->out_at += (size_t)n;
    for (; p->queued > 0 && first < last && p->request_at[first + 1] <= p->out_at; first++)
        p->queued--;
    if (p->out_at == p->request_at[p->requests])
        p->out_at = 0;
    return (size_t)n == bytes;
}

int producer_send(struct load *l, struct producer *p)
{
    int went = 1;
    while (went == 1) {
        while (may_send(l, p))
            queue_request(l, p);
        if (p->queued == 0)
            return 0;
        went = write_stretch(p);
    }
    return went;
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static void note_answer(struct load *l, struct producer *p, uint64_t msgid, uint64_t copies)
{
    uint64_t messages = copies / bench_copies(l->o), sent_ns = p->sent_at_ns[msgid & (l->times - 1)];
    histogram_add(&l->r->confirm, l->now_ns > sent_ns ? l->now_ns - sent_ns : 0, messages);
    p->confirmed += messages;
    p->answered++;
}

/* To publish [1, msgid, nil, [first_id, count]], to topic.publish [1, msgid, nil, count]. */
static enum piece_result read_answer(struct load *l, struct producer *p, struct piece *piece)
{
    struct piece c = *piece;
    uint64_t msgid, first, count = 0;
    enum piece_result result = piece_bytes(&c, "\x94\x01", 2);
    if (result == PIECE_OK)
        result = piece_uint(&c, &msgid);
    if (result == PIECE_OK && l->o->queues == 1) {
        result = piece_bytes(&c, "\xc0\x92", 2);
        if (result == PIECE_OK)
            result = piece_uint(&c, &first);
    } else if (result == PIECE_OK) {
        result = piece_bytes(&c, "\xc0", 1);
    }
    if (result == PIECE_OK)
        result = piece_uint(&c, &count);
    if (result != PIECE_OK)
        return result;
    note_answer(l, p, msgid, count);
    *piece = c;
    return PIECE_OK;
}

static int read_answers(void *user, struct wire *w, struct piece *piece)
{
    struct load *l = user;
    enum piece_result result;
    l->now_ns = bench_now_ns();
    do
        result = read_answer(l, w->owner, piece);
    while (result == PIECE_OK);
    w->decoding = result == PIECE_OTHER;
    return 0;
}

static int refuse_value(void *user, struct wire *w)
{
    (void)user;
    return wire_complain(w->decoder, "publish");
}

const struct wire_reader producer_reader = {read_answers, refuse_value};
