#include "benchmarks/replay/stage.h"

#include "server/limits.h"

#include <stdio.h>
#include <stdlib.h>

/* What a read brings while a fast client is at work. */
#define READ_BYTES ((size_t)128 * 1024)

/* Pieces of one write; as in server/net/output.c. */
#define WRITE_IOVECS 64

#define TURNS_IN_A_MS 4

#define MEMORY_BYTES UINT64_C(1073741824)

static void ignore_kill(void *user, struct session *session, const char *reason)
{
    (void)user, (void)session;
    fprintf(stderr, "replay: a connection was ended: %s\n", reason);
    exit(1);
}

static void ignore_change(void *user)
{
    (void)user;
}

static void no_status(void *user, struct server_status *out)
{
    (void)user, (void)out;
}

static void touched(void *user, struct session *session)
{
    (void)user, (void)session;
}

void stage_open(struct stage *s)
{
    const struct native_host host = {s, ignore_kill, ignore_change, no_status};
    bool opened;
    *s = (struct stage){.now_ms = 1000000};
    options_init(&s->options);
    const struct broker_limits limits = limits_of_broker(&s->options, MEMORY_BYTES);
    broker_init(&s->broker, &limits, s->now_ms, 5);
    s->broker.clock_slack_ms = 1;
    opened = native_init(&s->door, &s->broker, &s->options, &host);
    for (int p = 0; p < CLIENTS && opened; p++) {
        buffer_init(&s->clients[p].out, native_release);
        s->clients[p].session = session_open(&s->door, &s->clients[p].out, "here", &s->clients[p], s->now_ms);
        opened = s->clients[p].session != NULL;
    }
    if (!opened) {
        fprintf(stderr, "replay: out of memory\n");
        exit(1);
    }
}

void stage_close(struct stage *s)
{
    for (int p = 0; p < CLIENTS; p++) {
        session_close(s->clients[p].session, s->now_ms);
        buffer_close(&s->clients[p].out);
    }
    native_close(&s->door);
    broker_close(&s->broker);
}

/* Like a connection of net: what the budget has left of a read comes first in the next turn. */
static void feed(struct stage *s, struct client *client, const uint8_t *bytes, size_t sent)
{
    uint32_t budget = NET_TURN_REQUESTS;
    if (client->used == client->read)
        client->read = sent - client->read < READ_BYTES ? sent : client->read + READ_BYTES;
    if (client->used < client->read)
        client->used += session_input(client->session, s->now_ms, bytes + client->used, client->read - client->used,
                                      &budget);
}

static void take(struct stage *s, int p, const struct iovec *iov, int count)
{
    if (s->counter)
        counter_off(s->counter);
    s->take_cb(s->user, p, iov, count);
    if (s->counter)
        counter_on(s->counter);
}

static void write_out(struct stage *s, int p)
{
    struct client *client = &s->clients[p];
    struct iovec iov[WRITE_IOVECS];
    if (buffer_pending(&client->out) == 0)
        return;
    while (buffer_pending(&client->out) > 0) {
        const int count = buffer_iovec(&client->out, iov, WRITE_IOVECS);
        size_t bytes = 0;
        for (int i = 0; i < count; i++)
            bytes += iov[i].iov_len;
        take(s, p, iov, count);
        buffer_consume(&client->out, bytes);
        client->written_bytes += bytes;
    }
    session_written(client->session, s->now_ms, client->written_bytes);
}

void stage_turn(struct stage *s, const uint8_t *const bytes[CLIENTS], const size_t sent[CLIENTS])
{
    if (++s->turns % TURNS_IN_A_MS == 0)
        s->now_ms++;
    if (s->counter)
        counter_on(s->counter);
    for (int p = 0; p < CLIENTS; p++)
        feed(s, &s->clients[p], bytes[p], sent[p]);
    (void)broker_turn(&s->broker, s->now_ms);
    native_effects(&s->door, s->now_ms, touched, s);
    broker_effects_done(&s->broker);
    for (int p = 0; p < CLIENTS; p++)
        write_out(s, p);
    if (s->counter)
        counter_off(s->counter);
}
