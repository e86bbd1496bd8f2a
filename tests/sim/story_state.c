/*
 * The state of the broker as text: every queue with its messages, groups and takers. Stories compare it before and
 * after a call that was refused, and show it.
 */
#include "server/broker/dedup.h"
#include "tests/sim/story_parts.h"

#include <inttypes.h>

void story_put(struct text *out, const char *data, size_t bytes)
{
    if (out->cap - out->bytes <= bytes) {
        out->cap = (out->cap + bytes) * 2 + 256;
        out->data = realloc(out->data, out->cap);
        assert_non_null(out->data);
    }
    if (bytes > 0)
        memcpy(out->data + out->bytes, data, bytes);
    out->bytes += bytes;
    out->data[out->bytes] = '\0';
}

static void put(struct text *out, const char *word)
{
    story_put(out, word, strlen(word));
}

/* " word number", without the cost of printf: every command of a story looks at everything twice. */
static void put_number(struct text *out, const char *word, uint64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    put(out, word);
    story_put(out, digits + at, sizeof digits - at);
}

static void put_view(struct text *out, const char *word, struct view view)
{
    if (view.bytes == 0)
        return;
    put(out, word);
    story_put(out, view.data, view.bytes);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static const char *const state_names[] = {" delayed", " ready", " inflight", " parked"};

static int64_t due_ms(const struct story *s, const struct message *m, enum message_state state)
{
    if (state == MESSAGE_DELAYED)
        return slots_at(&s->broker.slots, m->slot)->since_ms;
    return slots_at(&s->broker.slots, m->slot)->timer.deadline_ms;
}

static void put_message(const struct story *s, struct text *out, const struct message *m, enum message_state state,
                        bool wholly)
{
    struct view body = message_body(m);
    put_number(out, "    ", m->id);
    put(out, ":");
    story_put(out, body.data, body.bytes > 8 ? 8 : body.bytes);
    put_view(out, "/", message_group(m));
    if (m->priority > 0)
        put_number(out, "^", m->priority);
    if (m->attempts > 0)
        put_number(out, "#", m->attempts);
    put(out, state_names[state]);
    if (state == MESSAGE_DELAYED || state == MESSAGE_INFLIGHT)
        put_number(out, " due ", (uint64_t)due_ms(s, m, state));
    if (state == MESSAGE_DELAYED && m->flags & MESSAGE_HELD)
        put(out, " held");
    if (m->expires_ms != 0)
        put_number(out, m->flags & MESSAGE_TTL ? " ttl " : " kept ", (uint64_t)m->expires_ms);
    put_view(out, " dedup ", message_dedup_id(m));
    if (state == MESSAGE_PARKED) {
        put(out, " ");
        put(out, park_reason_text((enum park_reason)slots_at(&s->broker.slots, m->slot)->reason));
    }
    if (wholly) {
        put_number(out, " flags ", m->flags);
        put_number(out, " published ", (uint64_t)m->published_ms);
        put_number(out, " first ", (uint64_t)message_first_ms(m));
        put_number(out, " last ", (uint64_t)message_last_ms(m));
        put_view(out, " headers ", message_headers(m));
        if (m->slot != MESSAGE_NO_SLOT)
            put_number(out, " receipt ", slots_at(&s->broker.slots, m->slot)->receipt);
    }
    put(out, "\n");
}

static void put_messages(const struct story *s, struct text *out, struct queue *q, bool wholly)
{
    struct ring_cursor at[MESSAGE_PARKED + 1];
    for (unsigned state = 0; state <= MESSAGE_PARKED; state++)
        at[state] = ring_first(q->messages, state, 0);
    for (;;) {
        unsigned next = RING_STATES;
        for (unsigned state = 0; state <= MESSAGE_PARKED; state++)
            if (at[state].page && (next == RING_STATES || ring_key(at[state]) < ring_key(at[next])))
                next = state;
        if (next == RING_STATES)
            return;
        put_message(s, out, ring_item(at[next]), (enum message_state)next, wholly);
        at[next] = ring_first(q->messages, next, ring_key(at[next]) + 1);
    }
}

/* ---- takers and groups ------------------------------------------------------------------------------------------- */

static void put_taker(struct text *out, const struct taker *t)
{
    char name[3] = {(char)(intptr_t)t->peer->user, t->kind == TAKER_CONSUMER ? '/' : 'r', '\0'};
    put(out, " ");
    put(out, name);
    put_number(out, "", t->id);
}

static void put_groups(struct text *out, const struct queue *q)
{
    for (const struct group *g = q->groups.oldest; g; g = g->newer) {
        put(out, "    group ");
        story_put(out, g->name, g->name_bytes);
        if (g->holder)
            put_taker(out, g->holder);
        if (g->list)
            put(out, g->list == &q->groups.deliverable ? " common" : " own");
        put(out, "\n");
    }
    if (q->groups.deliverable.first)
        put(out, "    ring");
    for (const struct group *g = q->groups.deliverable.first; g; g = g->list_next) {
        put(out, " ");
        story_put(out, g->name, g->name_bytes);
    }
    if (q->groups.deliverable.first)
        put(out, "\n");
}

/* In the order of their places. */
static void put_takers(struct text *out, struct queue *q)
{
    static const unsigned states[] = {TAKER_IDLE, TAKER_ABLE, TAKER_KEEN};
    for (uint64_t key = 0;;) {
        struct ring_cursor next = {NULL, 0};
        for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
            struct ring_cursor at = ring_first(&q->takers, states[i], key);
            if (at.page && (!next.page || ring_key(at) < ring_key(next)))
                next = at;
        }
        if (!next.page)
            return;
        const struct taker *t = ring_item(next);
        key = ring_key(next) + 1;
        put(out, "   ");
        put_taker(out, t);
        put_number(out, " holds ", t->held);
        if (t == q->active)
            put(out, " active");
        for (const struct group *g = t->own.first; g; g = g->list_next) {
            put(out, g == t->own.first ? " own " : " ");
            story_put(out, g->name, g->name_bytes);
        }
        put(out, "\n");
    }
}

/* ---- queues and the rest ----------------------------------------------------------------------------------------- */

static void put_attributes(struct text *out, const struct attributes *a)
{
    put(out, "    attributes");
    for (unsigned i = 0; i < ATTRIBUTE_TOTAL; i++)
        if (attribute_is_scalar(attribute_row((enum attribute)i)->kind))
            put_number(out, " ", (uint64_t)attribute_get(a, (enum attribute)i));
    put_view(out, " dead_letter ", (struct view){a->dead_letter.text, a->dead_letter.bytes});
    put_number(out, " backoff ", (uint64_t)a->backoff.base_ms);
    put_number(out, " ", (uint64_t)a->backoff.cap_ms);
    put_number(out, " ", (uint64_t)(a->backoff.factor * 1000));
    put_number(out, " ", (uint64_t)(a->backoff.jitter * 1000));
    put(out, "\n");
}

/* All but `refused`, which a refused call may raise. */
static void put_counters(struct text *out, const struct queue_counters *c)
{
    put(out, "    counters");
#define X(field, help)                  \
    if (strcmp(#field, "refused") != 0) \
        put_number(out, " ", c->field);
    QUEUE_COUNTER_LIST(X)
#undef X
    put(out, "\n");
}

static void put_queue(const struct story *s, struct text *out, struct queue *q, bool wholly)
{
    put(out, "  ");
    put(out, q->name);
    put_number(out, q->attributes.type == QUEUE_FIFO ? " fifo next " : " standard next ", q->next_id);
    if (q->paused)
        put(out, " paused");
    if (q->dedups && q->dedups->table.count > 0)
        put_number(out, " dedups ", q->dedups->table.count);
    if (q->held)
        put(out, " held");
    put(out, "\n");
    put_messages(s, out, q, wholly);
    put_groups(out, q);
    put_takers(out, q);
    if (wholly) {
        put_attributes(out, &q->attributes);
        put_counters(out, &q->counters);
        for (unsigned p = 0; p < LIMIT_PRIORITIES; p++)
            put_number(out, " ", q->turn_key[p]);
    }
}

static void put_topic(struct text *out, const struct topic *t)
{
    put(out, "  ");
    put(out, t->name);
    put_number(out, " published ", t->published);
    put_number(out, " routed ", t->routed);
    put(out, "\n");
    for (uint32_t i = 0; i < t->subscription_count; i++) {
        put(out, "    ");
        put(out, t->subscriptions[i]->queue->name);
        put_view(out, " ", subscription_pattern(t->subscriptions[i]));
        put(out, t->subscriptions[i]->filter_bytes > 0 ? " filtered\n" : "\n");
    }
}

static void put_move(struct text *out, const struct move *m)
{
    put_number(out, "  move ", m->id);
    put_view(out, " ", (struct view){m->source.text, m->source.bytes});
    put_view(out, " -> ", (struct view){m->to.text, m->to.bytes});
    put_number(out, " moved ", m->moved);
    put(out, " ");
    put(out, move_state_text(m->state));
    put(out, "\n");
}

void story_state(const struct story *s, struct text *out, bool wholly)
{
    const struct broker *b = &s->broker;
    for (uint32_t i = 0; i < b->queue_count; i++)
        put_queue(s, out, b->queues[i], wholly);
    if (!wholly)
        return;
    for (uint32_t i = 0; i < b->topic_count; i++)
        put_topic(out, b->topics[i]);
    for (const struct move *m = b->moves; m; m = m->next)
        put_move(out, m);
    put_number(out, "  inflight ", b->inflight_count);
    put_number(out, " takers ", b->taker_count);
    put_number(out, " held ", b->held_bytes);
    put_counters(out, &b->counters);
}
