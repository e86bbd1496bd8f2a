/* The two clients: what they say, and what they make of the answers. */
#include "benchmarks/replay/stage.h"

#include "protocol/decoder.h"
#include "protocol/encoder.h"

#include <stdio.h>
#include <stdlib.h>

#define PREFETCH   10000
#define ACK_BATCH  100
#define IDLE_TURNS 100

struct recorder {
    const struct scene *scene;
    struct tape *tape;
    struct stage stage;
    struct decoder *decoders[CLIENTS];
    uint64_t receipts[ACK_BATCH];
    uint32_t receipt_count;
    uint32_t asked[CLIENTS], answered[CLIENTS]; /* requests */
    uint64_t delivered, acked;
};

static void fail(const struct scene *scene, const char *what)
{
    fprintf(stderr, "replay: %s: %s\n", scene->name, what);
    exit(1);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static struct buffer *ask(struct recorder *r, int client, const char *method, uint32_t arguments)
{
    struct buffer *b = &r->tape->in[client];
    encode_array(b, 4);
    encode_uint(b, 0);
    encode_uint(b, ++r->asked[client]);
    encode_text(b, method);
    encode_array(b, arguments);
    return b;
}

static void encode_queue(struct buffer *b, uint32_t number)
{
    char name[32];
    snprintf(name, sizeof name, "bench-%u", number);
    encode_text(b, name);
}

static void ask_create(struct recorder *r)
{
    const struct scene *scene = r->scene;
    if (scene->copies > 1)
        encode_text(ask(r, PRODUCER, "topic.create", 1), "bench");
    for (uint32_t i = 0; i < scene->copies; i++) {
        struct buffer *b = ask(r, PRODUCER, "queue.create", 2);
        encode_queue(b, i);
        encode_map(b, 1);
        encode_text(b, "type");
        encode_text(b, scene->groups > 0 ? "fifo" : "standard");
        if (scene->copies > 1) {
            encode_text(ask(r, PRODUCER, "topic.subscribe", 2), "bench");
            encode_queue(b, i);
        }
    }
}

static void ask_consume(struct recorder *r)
{
    for (uint32_t i = 0; i < r->scene->copies; i++) {
        struct buffer *b = ask(r, CONSUMER, "consume", 2);
        encode_queue(b, i);
        encode_map(b, 1);
        encode_text(b, "prefetch");
        encode_uint(b, PREFETCH);
    }
}

static void encode_message(struct buffer *b, const struct scene *scene, uint32_t number, uint8_t *body)
{
    char group[32];
    memcpy(body, &number, sizeof number);
    if (scene->groups > 0)
        encode_array(b, 2);
    encode_bin(b, body, scene->body_bytes);
    if (scene->groups > 0) {
        snprintf(group, sizeof group, "group-%u", number % scene->groups);
        encode_map(b, 1);
        encode_text(b, "group");
        encode_text(b, group);
    }
}

static void ask_publish(struct recorder *r)
{
    const struct scene *scene = r->scene;
    const uint32_t count = scene->count / scene->copies;
    uint8_t *body = calloc(1, scene->body_bytes);
    if (!body)
        fail(scene, "out of memory");
    for (uint32_t i = 0; i < count; i += scene->batch) {
        const uint32_t batch = count - i < scene->batch ? count - i : scene->batch;
        struct buffer *b;
        if (scene->copies > 1) {
            b = ask(r, PRODUCER, "topic.publish", 3);
            encode_text(b, "bench");
            encode_text(b, "a.key");
        } else {
            b = ask(r, PRODUCER, "publish", 2);
            encode_queue(b, 0);
        }
        encode_array(b, batch);
        for (uint32_t j = 0; j < batch; j++)
            encode_message(b, scene, i + j, body);
    }
    free(body);
}

static void ask_ack(struct recorder *r)
{
    struct buffer *b = ask(r, CONSUMER, "ack", 1);
    encode_array(b, r->receipt_count);
    for (uint32_t i = 0; i < r->receipt_count; i++)
        encode_uint(b, r->receipts[i]);
    r->receipt_count = 0;
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/* deliver: [2, "deliver", [consumer, [[receipt, id, attempts, body], ...]]] */
static void take_delivery(struct recorder *r, const struct decoder *d)
{
    if (d->node_count < 6 || d->nodes[2].count != 7 || memcmp(decoder_bytes(d, &d->nodes[2]), "deliver", 7) != 0)
        fail(r->scene, "the server said something unexpected");
    for (uint32_t i = 0, at = 6; i < d->nodes[5].count; i++, at = decoder_skip(d, at)) {
        r->receipts[r->receipt_count++] = d->nodes[at + 1].value.uint;
        r->delivered++;
        if (r->receipt_count == ACK_BATCH)
            ask_ack(r);
    }
}

static void take_value(struct recorder *r, int client, const struct decoder *d)
{
    if (d->nodes[1].value.uint != 1) {
        take_delivery(r, d);
        return;
    }
    if (d->nodes[3].type != NODE_NIL)
        fail(r->scene, "a request was refused");
    r->answered[client]++;
    /* The answers to consume are the only others of the consumer. */
    if (client == CONSUMER && r->answered[client] > r->scene->copies)
        r->acked += d->nodes[4].value.uint;
}

static void take_bytes(struct recorder *r, int client, const uint8_t *bytes, size_t left)
{
    struct decoder *d = r->decoders[client];
    while (left > 0) {
        size_t used;
        const enum decoder_result result = decoder_feed(d, bytes, left, &used);
        if (result == DECODER_REFUSED)
            fail(r->scene, decoder_refusal_text(d->refusal));
        bytes += used;
        left -= used;
        if (result == DECODER_READY) {
            if (d->too_many_nodes)
                fail(r->scene, "an answer of too many parts");
            take_value(r, client, d);
            decoder_next(d);
        }
    }
}

static void take_output(void *user, int client, const struct iovec *iov, int count)
{
    struct recorder *r = user;
    for (int i = 0; i < count; i++) {
        buffer_append(&r->tape->out[client], iov[i].iov_base, iov[i].iov_len);
        take_bytes(r, client, iov[i].iov_base, iov[i].iov_len);
    }
}

/* ---- the conversation -------------------------------------------------------------------------------------------- */

static size_t turns_of(const struct tape *t)
{
    return t->turns.bytes / sizeof(size_t[CLIENTS]);
}

static bool all_answered(const struct recorder *r)
{
    return r->answered[PRODUCER] == r->asked[PRODUCER] && r->answered[CONSUMER] == r->asked[CONSUMER];
}

static uint64_t heard(const struct recorder *r)
{
    return r->delivered + r->answered[PRODUCER] + r->answered[CONSUMER];
}

/* Turns until every request has its answer, and everything delivered is acked. */
static void talk(struct recorder *r)
{
    struct tape *t = r->tape;
    uint32_t idle = 0;
    while (idle < IDLE_TURNS) {
        const uint64_t before = heard(r);
        const size_t sent[CLIENTS] = {t->in[PRODUCER].bytes, t->in[CONSUMER].bytes};
        /* The clients' arrays grow during the turn. */
        const uint8_t *const bytes[CLIENTS] = {t->in[PRODUCER].data, t->in[CONSUMER].data};
        buffer_append(&t->turns, sent, sizeof sent);
        stage_turn(&r->stage, bytes, sent);
        const bool quiet = heard(r) == before;
        if (quiet && r->receipt_count > 0)
            ask_ack(r);
        else if (quiet && all_answered(r))
            return;
        idle = quiet ? idle + 1 : 0;
    }
    fail(r->scene, "requests have had no answer");
}

void tape_record(struct tape *t, const struct scene *scene)
{
    struct recorder r = {.scene = scene, .tape = t};
    *t = (struct tape){.counted_from = 0};
    stage_open(&r.stage);
    r.stage.take_cb = take_output;
    r.stage.user = &r;
    for (int p = 0; p < CLIENTS; p++)
        if (!(r.decoders[p] = decoder_new(UINT32_MAX, NULL)))
            fail(scene, "out of memory");
    ask_create(&r);
    talk(&r);
    (scene->drain ? ask_publish : ask_consume)(&r);
    talk(&r);
    t->counted_from = turns_of(t);
    (scene->drain ? ask_consume : ask_publish)(&r);
    talk(&r);
    if (r.delivered != scene->count || r.acked != scene->count)
        fail(scene, "not every message was delivered and acked");
    for (int p = 0; p < CLIENTS; p++) {
        decoder_free(r.decoders[p]);
        if (t->in[p].failed || t->out[p].failed || t->turns.failed)
            fail(scene, "out of memory");
    }
    stage_close(&r.stage);
}

void tape_free(struct tape *t)
{
    for (int p = 0; p < CLIENTS; p++) {
        buffer_close(&t->in[p]);
        buffer_close(&t->out[p]);
    }
    buffer_close(&t->turns);
}

/* ---- playing it back --------------------------------------------------------------------------------------------- */

struct player {
    const struct tape *tape;
    size_t heard[CLIENTS]; /* bytes */
};

static void compare_output(void *user, int client, const struct iovec *iov, int count)
{
    struct player *p = user;
    const struct buffer *expected = &p->tape->out[client];
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > expected->bytes - p->heard[client] ||
            memcmp(expected->data + p->heard[client], iov[i].iov_base, iov[i].iov_len) != 0) {
            fprintf(stderr, "replay: the server does not say what it said before\n");
            exit(1);
        }
        p->heard[client] += iov[i].iov_len;
    }
}

void tape_play(const struct tape *t, struct counter *counter)
{
    struct player p = {.tape = t};
    struct stage stage;
    const uint8_t *const bytes[CLIENTS] = {t->in[PRODUCER].data, t->in[CONSUMER].data};
    stage_open(&stage);
    stage.take_cb = compare_output;
    stage.user = &p;
    for (size_t i = 0; i < turns_of(t); i++) {
        size_t sent[CLIENTS];
        memcpy(sent, t->turns.data + i * sizeof sent, sizeof sent);
        if (i == t->counted_from)
            stage.counter = counter;
        stage_turn(&stage, bytes, sent);
    }
    if (p.heard[PRODUCER] != t->out[PRODUCER].bytes || p.heard[CONSUMER] != t->out[CONSUMER].bytes) {
        fprintf(stderr, "replay: the server says less than it said before\n");
        exit(1);
    }
    stage_close(&stage);
}
