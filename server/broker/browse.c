/* Messages by id: peek, kick, discard. */
#include "server/broker/life.h"

#include <string.h>

/* How many messages one peek looks at, whatever it finds. */
#define PEEK_LOOK 10000

static const char *const reasons[] = {
    [PARK_NONE] = "",
    [PARK_REQUESTED] = "requested",
    [PARK_REJECTED] = "rejected",
    [PARK_MAX_ATTEMPTS] = "max_attempts",
    [PARK_EXPIRED] = "expired",
    [PARK_OVERFLOW] = "overflow",
};

const char *park_reason_text(enum park_reason reason)
{
    return reasons[reason];
}

uint64_t broker_kick(struct broker *b, int64_t now_ms, struct queue *q, uint64_t count)
{
    uint64_t kicked = 0;
    while (kicked < count) {
        struct ring_cursor at = ring_first(q->messages, MESSAGE_PARKED, 0);
        if (!at.page)
            break;
        life_kick(b, now_ms, q, at);
        kicked++;
    }
    return kicked;
}

uint64_t broker_kick_ids(struct broker *b, int64_t now_ms, struct queue *q, const uint64_t *ids, uint32_t count)
{
    uint64_t kicked = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct ring_cursor at = ring_find(q->messages, ids[i]);
        if (!at.page || !ring_is(at, MESSAGE_PARKED))
            continue;
        life_kick(b, now_ms, q, at);
        kicked++;
    }
    return kicked;
}

uint64_t broker_discard(struct broker *b, struct queue *q, const uint64_t *ids, uint32_t count)
{
    static const enum message_state states[] = {MESSAGE_READY, MESSAGE_DELAYED, MESSAGE_PARKED};
    uint64_t discarded = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct ring_cursor at = ring_find(q->messages, ids[i]);
        for (size_t s = 0; at.page && s < sizeof states / sizeof *states; s++) {
            if (!ring_is(at, states[s]))
                continue;
            COUNT(b, q, discarded, 1);
            life_gone(b, q, at, states[s]);
            discarded++;
            break;
        }
    }
    return discarded;
}

/* The first message from `key` on in any of the states. */
static struct ring_cursor first_of(struct queue *q, unsigned states, uint64_t key, enum message_state *state)
{
    struct ring_cursor best = {NULL, 0};
    for (unsigned s = MESSAGE_DELAYED; s <= MESSAGE_PARKED; s++) {
        if (!(states >> s & 1))
            continue;
        struct ring_cursor at = ring_first(q->messages, s, key);
        if (at.page && (!best.page || ring_key(at) < ring_key(best))) {
            best = at;
            *state = (enum message_state)s;
        }
    }
    return best;
}

static bool in_group(const struct message *m, struct view group)
{
    struct view own = message_group(m);
    return group.bytes == 0 || (own.bytes == group.bytes && memcmp(own.data, group.data, own.bytes) == 0);
}

uint32_t broker_peek(struct broker *b, struct queue *q, const struct peek_options *options, struct peeked *out,
                     uint64_t *next)
{
    uint64_t key = options->from_id, bytes = 0;
    uint32_t found = 0;
    for (uint32_t looked = 0;; looked++) {
        enum message_state state = MESSAGE_READY;
        struct ring_cursor at = first_of(q, options->states, key, &state);
        if (!at.page || ring_key(at) > options->to_id) {
            *next = 0;
            return found;
        }
        const struct message *m = life_message(at);
        key = m->id;
        bool too_much = found > 0 && bytes + m->body_bytes > b->limits.max_response_bytes;
        if (found == options->max || looked == PEEK_LOOK || too_much)
            break;
        if (in_group(m, options->group)) {
            bytes += m->body_bytes;
            const struct slot *slot = m->slot != MESSAGE_NO_SLOT ? slots_at(&b->slots, m->slot) : NULL;
            out[found++] = (struct peeked){m, state, slot};
        }
        key++;
    }
    *next = key;
    return found;
}
