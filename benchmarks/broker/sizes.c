#include "benchmarks/broker/scenes.h"
#include "benchmarks/broker/stage.h"

#include <stdio.h>

/* A body that ends where the pool rounds up to anyway: what is said of a message is what comes on top of its body. */
#define BODY_BYTES 96
#define HOUR       3600000

/* One kind of message. */
struct kind {
    enum queue_type type;
    uint8_t priority;
    bool group_each; /* each in a group of its own; else, in a fifo queue, all in one */
    bool dedup_id;
    int64_t delay_ms;
    int64_t hold_ms; /* received for so long */
};

/* What each of `count` such messages takes, without its body. */
static double bytes_of(uint32_t count, const struct kind *kind)
{
    static const char body[BODY_BYTES];
    static struct stage s;
    stage_open(&s);
    struct queue *q = stage_queue(&s, "things", kind->type);
    uint64_t empty_bytes = s.b.pool.used_bytes;
    for (uint32_t i = 0; i < count; i++) {
        char group[16], id[17];
        int group_bytes = snprintf(group, sizeof group, "g%07u", kind->group_each ? i : 0);
        int id_bytes = snprintf(id, sizeof id, "dedup-id%08u", i);
        struct publication p = {
            .body = {body, sizeof body}, .priority = kind->priority, .delay_ms = kind->delay_ms, .ttl_ms = -1};
        if (kind->type == QUEUE_FIFO)
            p.group = (struct view){group, (size_t)group_bytes};
        if (kind->dedup_id)
            p.dedup_id = (struct view){id, (size_t)id_bytes};
        stage_publish(&s, q, &p);
        if (kind->hold_ms > 0)
            (void)stage_receive(&s, q, kind->hold_ms);
    }
    double bytes = (double)(s.b.pool.used_bytes - empty_bytes) / count - BODY_BYTES;
    stage_close(&s);
    return bytes;
}

void scene_sizes(uint32_t count, struct size out[SIZES])
{
    double plain = bytes_of(count, &(struct kind){.type = QUEUE_STANDARD, .delay_ms = -1});
    double linked = bytes_of(count, &(struct kind){.type = QUEUE_STANDARD, .priority = 5, .delay_ms = -1});
    double fifo = bytes_of(count, &(struct kind){.type = QUEUE_FIFO, .delay_ms = -1});
    double grouped = bytes_of(count, &(struct kind){.type = QUEUE_FIFO, .group_each = true, .delay_ms = -1});
    double known = bytes_of(count, &(struct kind){.type = QUEUE_STANDARD, .dedup_id = true, .delay_ms = -1});
    double delayed = bytes_of(count, &(struct kind){.type = QUEUE_STANDARD, .delay_ms = HOUR});
    double held = bytes_of(count, &(struct kind){.type = QUEUE_STANDARD, .delay_ms = -1, .hold_ms = HOUR});
    out[0] = (struct size){"a ready message, its body apart", plain};
    out[1] = (struct size){"  with a priority: the links", linked - plain};
    out[2] = (struct size){"  in a fifo queue: the links and the group's name (8 bytes)", fifo - plain};
    out[3] = (struct size){"  with a dedup id (16 bytes): its copy and the entry", known - plain};
    out[4] = (struct size){"  delayed: the slot with its timer", delayed - plain};
    out[5] = (struct size){"  inflight: the same", held - plain};
    out[6] = (struct size){"a group (name of 8 bytes) while a message of it is there", grouped - fifo};
    out[7] = (struct size){"the timer alone", sizeof(struct timer)};
}
