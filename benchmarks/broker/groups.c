#include "benchmarks/broker/scenes.h"
#include "benchmarks/broker/stage.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS     1000
#define HOLD_MS    3600000
#define BODY_BYTES 8

static struct publication in_group(const char *group)
{
    return (struct publication){
        .body = {"01234567", BODY_BYTES},
        .group = {group, strlen(group)},
        .delay_ms = -1,
        .ttl_ms = -1,
    };
}

static bool is_in(const struct message *m, const char *group)
{
    struct view name = message_group(m);
    return name.bytes == strlen(group) && memcmp(name.data, group, name.bytes) == 0;
}

/* One message of a fresh group: in, out, gone. With a free backlog a message of that is received before it, for nothing. */
static void round_of(struct stage *s, struct counter *counter, struct queue *q, unsigned number, bool locked)
{
    char group[32];
    struct taken other;
    snprintf(group, sizeof group, "fresh-%u", number);
    const struct publication p = in_group(group);
    counter_on(counter);
    stage_publish(s, q, &p);
    counter_off(counter);
    if (!locked) {
        other = stage_receive(s, q, HOLD_MS);
        must(is_in(other.message, "backlog"), "groups take turns");
    }
    counter_on(counter);
    struct taken fresh = stage_receive(s, q, HOLD_MS);
    counter_off(counter);
    must(is_in(fresh.message, group), "a fresh group is next, whatever is behind a locked one");
    counter_on(counter);
    stage_ack(s, fresh.receipt);
    counter_off(counter);
    if (!locked)
        stage_nack(s, other.receipt);
}

struct cost scene_fresh_group(struct counter *counter, uint32_t backlog, bool locked)
{
    static struct stage s;
    stage_open(&s);
    struct queue *q = stage_queue(&s, "orders", QUEUE_FIFO);
    const struct publication p = in_group("backlog");
    for (uint32_t i = 0; i < backlog; i++)
        stage_publish(&s, q, &p);
    if (locked)
        (void)stage_receive(&s, q, HOLD_MS);
    counter_begin(counter);
    for (unsigned i = 0; i < ROUNDS; i++)
        round_of(&s, counter, q, i, locked);
    struct cost cost = counter_end(counter, ROUNDS);
    must(queue_total(q) == backlog, "the backlog is all there");
    stage_close(&s);
    return cost;
}
