/* The load: connections, the loop, and what is checked of each message. */
#include "benchmarks/bench.h"

#include "benchmarks/wire.h"
#include "protocol/encoder.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* After the last publish the rest may take this long to arrive. */
#define DRAIN_SECONDS 20.0

struct producer {
    struct wire wire;
    struct ledger ledger;
    uint32_t index;
    uint32_t next_msgid, answered;
    uint64_t batches; /* sent */
    uint8_t *request; /* a publish, encoded once; each time only the msgid and the stamps are written anew */
    size_t request_bytes, msgid_at, *stamp_at;
};

struct consumer {
    struct wire wire;
    uint64_t *receipts;
    uint32_t receipt_count;
    uint32_t acks_sent;
    uint64_t *highest; /* by producer: the highest number seen, plus one */
};

struct load {
    const struct bench_options *o;
    struct bench_result *r;
    struct producer *producers;
    struct consumer *consumers;
    uint64_t start_ns, now_ns;
    bool publishing;
};

uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static void put_u64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* ---- producers --------------------------------------------------------------------------------------------------- */

static bool producer_prepare(struct producer *p, const struct bench_options *o)
{
    struct buffer b;
    buffer_init(&b, NULL);
    uint8_t *body = calloc(1, o->size);
    p->stamp_at = calloc(o->batch, sizeof *p->stamp_at);
    if (!body || !p->stamp_at)
        return false;
    encode_array(&b, 4);
    encode_uint(&b, 0);
    p->msgid_at = b.bytes + 1;
    encode_uint(&b, UINT32_MAX); /* room for any msgid */
    encode_text(&b, "publish");
    encode_array(&b, 2);
    encode_text(&b, o->queue);
    encode_array(&b, o->batch);
    for (uint32_t i = 0; i < o->batch; i++) {
        encode_bin(&b, body, o->size);
        p->stamp_at[i] = b.bytes - o->size;
    }
    free(body);
    p->request = b.data;
    p->request_bytes = b.bytes;
    return !b.failed && ledger_open(&p->ledger);
}

/* When the next batch is to be sent; at a fixed rate that is known beforehand, and latency counts from there. */
static uint64_t intended_ns(const struct load *l, const struct producer *p)
{
    if (l->o->rate <= 0)
        return l->now_ns;
    double batches_a_second = l->o->rate / l->o->batch / l->o->producers;
    return l->start_ns + (uint64_t)((double)p->batches / batches_a_second * 1e9);
}

static bool producer_may_send(const struct load *l, const struct producer *p)
{
    bool room = p->ledger.sent - p->ledger.confirmed + l->o->batch <= l->o->window &&
                (l->o->consumers == 0 || p->ledger.sent - p->ledger.received + l->o->batch <= l->o->backlog);
    return l->publishing && room && intended_ns(l, p) <= l->now_ns && buffer_pending(&p->wire.out) < WIRE_OUT_BYTES;
}

static void producer_send(struct load *l, struct producer *p)
{
    while (producer_may_send(l, p)) {
        uint64_t at_ns = intended_ns(l, p);
        put_u32(p->request + p->msgid_at, p->next_msgid++);
        for (uint32_t i = 0; i < l->o->batch; i++) {
            put_u64(p->request + p->stamp_at[i], p->index);
            put_u64(p->request + p->stamp_at[i] + 8, p->ledger.sent++);
        }
        p->ledger.sent_at_ns[p->batches++ % LEDGER_TIMES] = at_ns;
        buffer_append(&p->wire.out, p->request, p->request_bytes);
    }
}

static int producer_answer(void *user, struct wire *wire)
{
    struct load *l = user;
    struct producer *p = (struct producer *)wire;
    const struct decoder *d = wire->decoder;
    uint64_t count;
    if (!wire_is_response(d) || d->nodes[3].type != NODE_NIL || !wire_uint(d, 6, &count))
        return wire_complain(d, "publish");
    uint64_t batch = d->nodes[2].value.uint;
    histogram_add(&l->r->confirm, l->now_ns - p->ledger.sent_at_ns[batch % LEDGER_TIMES], count);
    p->ledger.confirmed += count;
    p->answered++;
    return 0;
}

/* ---- consumers --------------------------------------------------------------------------------------------------- */

static void consumer_ack(struct load *l, struct consumer *c)
{
    struct buffer *out = &c->wire.out;
    uint32_t count = c->receipt_count;
    if (count == 0)
        return;
    encode_array(out, 4);
    encode_uint(out, 0);
    encode_uint(out, ++c->acks_sent);
    encode_text(out, "ack");
    encode_array(out, l->o->multiple ? 2 : 1);
    encode_array(out, l->o->multiple ? 1 : count);
    for (uint32_t i = l->o->multiple ? count - 1 : 0; i < count; i++)
        encode_uint(out, c->receipts[i]);
    if (l->o->multiple) {
        encode_map(out, 1);
        encode_text(out, "multiple");
        encode_bool(out, true);
    }
    c->receipt_count = 0;
}

static int consumer_message(struct load *l, struct consumer *c, const uint8_t *body, uint32_t bytes)
{
    uint64_t producer = bytes == l->o->size ? get_u64(body) : UINT64_MAX;
    if (producer >= l->o->producers) {
        l->r->corrupt++;
        return 0;
    }
    uint64_t number = get_u64(body + 8);
    struct ledger *ledger = &l->producers[producer].ledger;
    if (number >= ledger->sent) {
        l->r->corrupt++;
        return 0;
    }
    if (number < c->highest[producer])
        l->r->disordered++;
    c->highest[producer] = number + 1;
    histogram_add(&l->r->end_to_end, l->now_ns - ledger->sent_at_ns[number / l->o->batch % LEDGER_TIMES], 1);
    return ledger_receive(ledger, number) ? 0 : -1;
}

/* deliver: [2, "deliver", [consumer, [[receipt, id, attempts, body], ...]]] */
static int consumer_deliver(struct load *l, struct consumer *c)
{
    const struct decoder *d = c->wire.decoder;
    uint32_t count = d->nodes[5].count, at = 6;
    for (uint32_t i = 0; i < count; i++) {
        const struct node *body = &d->nodes[at + 4];
        if (consumer_message(l, c, decoder_bytes(d, body), body->count) < 0)
            return -1;
        c->receipts[c->receipt_count++] = d->nodes[at + 1].value.uint;
        if (c->receipt_count == l->o->ack)
            consumer_ack(l, c);
        at = decoder_skip(d, at);
    }
    return 0;
}

static int consumer_input(void *user, struct wire *wire)
{
    struct load *l = user;
    struct consumer *c = (struct consumer *)wire;
    const struct decoder *d = wire->decoder;
    uint64_t count;
    if (d->nodes[0].count == 3 && d->nodes[2].count == 7 && memcmp(decoder_bytes(d, &d->nodes[2]), "deliver", 7) == 0)
        return consumer_deliver(l, c);
    if (!wire_is_response(d) || d->nodes[3].type != NODE_NIL)
        return wire_complain(d, "ack");
    if (wire_uint(d, 4, &count)) /* the answer to consume comes before this loop */
        l->r->acked += count;
    return 0;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static uint64_t sum_received(const struct load *l)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->o->producers; i++)
        n += l->producers[i].ledger.received;
    return n;
}

static uint64_t sum_confirmed(const struct load *l)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->o->producers; i++)
        n += l->producers[i].ledger.confirmed;
    return n;
}

static bool all_answered(const struct load *l)
{
    for (uint32_t i = 0; i < l->o->producers; i++)
        if (l->producers[i].answered < l->producers[i].batches)
            return false;
    return true;
}

static bool finished(const struct load *l)
{
    bool taken = sum_received(l) == sum_confirmed(l) && l->r->acked >= sum_received(l);
    return !l->publishing && all_answered(l) && (taken || l->o->consumers == 0);
}

/* How long the loop may sleep: until the next batch is due. */
static void sleep_time(const struct load *l, struct timespec *t)
{
    uint64_t until = l->now_ns + 50000000;
    for (uint32_t i = 0; l->o->rate > 0 && l->publishing && i < l->o->producers; i++) {
        uint64_t next = intended_ns(l, &l->producers[i]);
        until = next < until ? next : until;
    }
    uint64_t ns = until > l->now_ns ? until - l->now_ns : 0;
    *t = (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

static int exchange(struct load *l, struct wire *wire, short revents, int (*handle)(void *, struct wire *))
{
    if (revents & (POLLIN | POLLHUP | POLLERR) && wire_read(wire, handle, l) < 0)
        return -1;
    return 0;
}

static int turn(struct load *l, struct pollfd *fds)
{
    uint32_t n = 0;
    struct timespec t;
    for (uint32_t i = 0; i < l->o->producers; i++)
        fds[n++] = wire_poll(&l->producers[i].wire);
    for (uint32_t i = 0; i < l->o->consumers; i++)
        fds[n++] = wire_poll(&l->consumers[i].wire);
    sleep_time(l, &t);
    if (ppoll(fds, n, &t, NULL) < 0 && errno != EINTR)
        return -1;
    l->now_ns = bench_now_ns();
    n = 0;
    for (uint32_t i = 0; i < l->o->producers; i++)
        if (exchange(l, &l->producers[i].wire, fds[n++].revents, producer_answer) < 0)
            return -1;
    for (uint32_t i = 0; i < l->o->consumers; i++)
        if (exchange(l, &l->consumers[i].wire, fds[n++].revents, consumer_input) < 0)
            return -1;
    for (uint32_t i = 0; i < l->o->consumers; i++) {
        if (!l->publishing || l->o->rate > 0)
            consumer_ack(l, &l->consumers[i]);
        if (wire_write(&l->consumers[i].wire) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < l->o->producers; i++) {
        producer_send(l, &l->producers[i]);
        if (wire_write(&l->producers[i].wire) < 0)
            return -1;
    }
    return 0;
}

static int run_loop(struct load *l)
{
    struct pollfd *fds = calloc(l->o->producers + l->o->consumers, sizeof *fds);
    if (!fds)
        return -1;
    uint64_t end_ns = l->start_ns + (uint64_t)(l->o->seconds * 1e9);
    uint64_t last_ns = end_ns + (uint64_t)(DRAIN_SECONDS * 1e9);
    int code = 0;
    while (code == 0 && !finished(l) && l->now_ns < last_ns) {
        l->publishing = l->now_ns < end_ns;
        code = turn(l, fds);
    }
    free(fds);
    return code;
}

/* ---- before and after -------------------------------------------------------------------------------------------- */

static int open_all(struct load *l, struct wire *admin)
{
    const struct bench_options *o = l->o;
    l->producers = calloc(o->producers, sizeof *l->producers);
    l->consumers = calloc(o->consumers, sizeof *l->consumers);
    if (!l->producers || !l->consumers || wire_open(admin, o) < 0 || wire_create_queue(admin, o->queue) < 0)
        return -1;
    for (uint32_t i = 0; i < o->consumers; i++) {
        struct consumer *c = &l->consumers[i];
        c->receipts = calloc(o->ack, sizeof *c->receipts);
        c->highest = calloc(o->producers, sizeof *c->highest);
        if (!c->receipts || !c->highest || wire_open(&c->wire, o) < 0 ||
            wire_consume(&c->wire, o->queue, o->prefetch) < 0)
            return -1;
    }
    for (uint32_t i = 0; i < o->producers; i++) {
        l->producers[i].index = i;
        if (!producer_prepare(&l->producers[i], o) || wire_open(&l->producers[i].wire, o) < 0)
            return -1;
    }
    return 0;
}

static void close_all(struct load *l, struct wire *admin)
{
    for (uint32_t i = 0; l->consumers && i < l->o->consumers; i++) {
        wire_close(&l->consumers[i].wire);
        free(l->consumers[i].receipts);
        free(l->consumers[i].highest);
    }
    for (uint32_t i = 0; l->producers && i < l->o->producers; i++) {
        wire_close(&l->producers[i].wire);
        ledger_close(&l->producers[i].ledger);
        free(l->producers[i].request);
        free(l->producers[i].stamp_at);
    }
    wire_close(admin);
    free(l->consumers);
    free(l->producers);
}

static void sum_up(struct load *l)
{
    struct bench_result *r = l->r;
    for (uint32_t i = 0; i < l->o->producers; i++) {
        const struct ledger *ledger = &l->producers[i].ledger;
        r->sent += ledger->sent;
        r->confirmed += ledger->confirmed;
        r->received += ledger->received;
        r->duplicates += ledger->duplicates;
        r->lost += l->o->consumers > 0 && ledger->confirmed > ledger->received ? ledger->confirmed - ledger->received
                                                                               : 0;
    }
    r->seconds = (double)(l->now_ns - l->start_ns) / 1e9;
}

int bench_run(const struct bench_options *options, struct bench_result *result)
{
    struct load l = {.o = options, .r = result, .publishing = true};
    struct wire admin = {.fd = -1};
    double before_ns = 0, after_ns = 0;
    int code = open_all(&l, &admin);
    if (code == 0)
        code = wire_server_cpu(&admin, &before_ns);
    l.start_ns = l.now_ns = bench_now_ns();
    if (code == 0)
        code = run_loop(&l);
    if (code == 0)
        code = wire_server_cpu(&admin, &after_ns);
    if (code == 0) {
        sum_up(&l);
        result->server_cpu_ns = after_ns - before_ns;
        code = wire_delete_queue(&admin, options->queue);
    }
    close_all(&l, &admin);
    return code;
}
