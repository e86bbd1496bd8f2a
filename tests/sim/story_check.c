/*
 * What must hold after every step, whatever the step was. Of each queue every message is looked at, and of a fifo queue
 * every group is counted again from its messages.
 */
#include "server/broker/tree.h"
#include "tests/sim/story_parts.h"

/* What a group's messages say about it. */
struct tally {
    const struct group *group;
    uint32_t count[4];
    uint64_t ready, held;     /* the lowest of them; 0: none */
    uint64_t newest_inflight; /* the highest */
    const struct slot *inflight;
};

/* True if two deliveries have gone to the same consumer or the same receive. */
static bool same_taker(const struct slot *x, const struct slot *y)
{
    if (x->holder || y->holder)
        return x->holder == y->holder;
    const struct slot *before = x, *behind = x;
    while (before && before != y)
        before = before->prev;
    while (behind && behind != y)
        behind = behind->next;
    return before || behind;
}

static struct tally *tally_of(struct tally *tallies, size_t *count, const struct group *g)
{
    for (size_t i = 0; i < *count; i++)
        if (tallies[i].group == g)
            return &tallies[i];
    assert_true(*count < 256);
    tallies[*count] = (struct tally){.group = g};
    return &tallies[(*count)++];
}

static void tally_message(const struct broker *b, struct tally *t, const struct message *m, enum message_state state)
{
    t->count[state]++;
    if (state == MESSAGE_READY && (t->ready == 0 || m->id < t->ready))
        t->ready = m->id;
    if (state == MESSAGE_DELAYED && m->flags & MESSAGE_HELD && (t->held == 0 || m->id < t->held))
        t->held = m->id;
    if (state != MESSAGE_INFLIGHT)
        return;
    const struct slot *slot = slots_at(&b->slots, m->slot);
    if (t->inflight)
        assert_true(same_taker(t->inflight, slot)); /* never two holders of one group */
    t->inflight = slot;
    if (m->id > t->newest_inflight)
        t->newest_inflight = m->id;
}

/* The group's record says what its messages say, and it stands where it belongs. */
static void check_group(const struct queue *q, const struct tally *t)
{
    const struct group *g = t->group;
    for (unsigned state = 0; state < 4; state++)
        assert_int_equal(g->count[state], t->count[state]);
    const struct message *ready = tree_first(g->ready), *held = tree_first(g->held);
    assert_int_equal(ready ? ready->id : 0, t->ready);
    assert_int_equal(held ? held->id : 0, t->held);
    assert_int_equal(g->newest_inflight ? g->newest_inflight->id : 0, t->newest_inflight);

    bool open = t->ready != 0 && (t->held == 0 || t->held > t->ready);
    bool locked = t->count[MESSAGE_INFLIGHT] > 0;
    if (g->holder && g->holder->kind == TAKER_CONSUMER && locked) {
        uint32_t own = g->holder->group_prefetch;
        uint64_t share = own != 0 ? own : (uint64_t)q->attributes.group_prefetch;
        open = open && t->count[MESSAGE_INFLIGHT] < share;
    }
    if (locked)
        open = open && g->holder && t->ready > t->newest_inflight;
    const struct group_list *place = !open ? NULL : g->holder ? &g->holder->own : &q->groups.deliverable;
    assert_ptr_equal(g->list, place);
    if (g->holder) {
        assert_ptr_equal(g->holder->queue, q);
        if (locked && t->inflight->holder)
            assert_ptr_equal(t->inflight->holder, g->holder);
        if (!locked)
            assert_true(q->attributes.sticky_groups && (t->ready || t->held));
    }
}

static size_t check_list(const struct group_list *list)
{
    size_t count = 0;
    const struct group *before = NULL;
    for (const struct group *g = list->first; g; before = g, g = g->list_next, count++) {
        assert_ptr_equal(g->list, list);
        assert_ptr_equal(g->list_prev, before);
    }
    assert_ptr_equal(list->last, before);
    return count;
}

static void check_groups(const struct broker *b, struct queue *q)
{
    static struct tally tallies[256];
    size_t count = 0, groups = 0, listed = check_list(&q->groups.deliverable), expected = 0;
    for (unsigned state = 0; state <= MESSAGE_PARKED; state++)
        for (struct ring_cursor at = ring_first(q->messages, state, 0); at.page;
             at = ring_first(q->messages, state, ring_key(at) + 1)) {
            const struct message *m = ring_item(at);
            assert_true(m->flags & MESSAGE_LINKED);
            const struct group *g = message_links((struct message *)ring_item(at))->group;
            struct view name = message_group(m);
            assert_non_null(g);
            assert_int_equal(g->name_bytes, name.bytes);
            assert_memory_equal(g->name, name.data, name.bytes);
            assert_ptr_equal(group_find(b, q, name), g);
            tally_message(b, tally_of(tallies, &count, g), m, (enum message_state)state);
        }
    for (size_t i = 0; i < count; i++) {
        check_group(q, &tallies[i]);
        expected += tallies[i].group->list == &q->groups.deliverable;
    }
    for (const struct group *g = q->groups.oldest; g; g = g->newer)
        groups++;
    assert_int_equal(groups, count); /* no group outlives its messages */
    assert_int_equal(groups, q->groups.table.count);
    assert_int_equal(listed, expected);
}

/* Messages with a priority stand in the tree of that priority while they are ready, and nothing else does. */
static void check_urgent(struct queue *q)
{
    for (unsigned p = 0; p < LIMIT_PRIORITIES; p++) {
        uint64_t lowest = 0;
        for (struct ring_cursor at = ring_first(q->messages, MESSAGE_READY, 0); at.page && p > 0 && lowest == 0;
             at = ring_first(q->messages, MESSAGE_READY, ring_key(at) + 1)) {
            const struct message *m = ring_item(at);
            lowest = m->priority == p ? m->id : 0;
        }
        const struct message *first = tree_first(q->urgent[p]);
        assert_int_equal(first ? first->id : 0, lowest);
        assert_int_equal(q->urgent_levels >> p & 1, lowest != 0);
    }
}

static void check_takers(struct queue *q)
{
    uint64_t takers = 0, consumers = 0;
    for (unsigned state = TAKER_IDLE; state <= TAKER_KEEN; state++)
        for (struct ring_cursor at = ring_first(&q->takers, state, 0); at.page;
             at = ring_first(&q->takers, state, ring_key(at) + 1)) {
            const struct taker *t = ring_item(at);
            assert_ptr_equal(t->queue, q);
            assert_int_equal(t->state, state);
            size_t own = check_list(&t->own);
            if (state == TAKER_KEEN)
                assert_true(own > 0);
            if (state == TAKER_ABLE)
                assert_int_equal(own, 0);
            if (state != TAKER_IDLE && t->kind == TAKER_CONSUMER)
                assert_true(t->held < t->limit && (!q->active || q->active == t));
            uint32_t held = 0;
            for (const struct slot *slot = t->oldest_held; slot; slot = slot->next)
                held++;
            assert_int_equal(held, t->held);
            takers++;
            consumers += t->kind == TAKER_CONSUMER;
        }
    assert_int_equal(consumers, q->consumer_count);
    assert_int_equal(takers, q->consumer_count + q->waiter_count);
    assert_int_equal(q->active != NULL, q->single_active_count > 0);
    if (q->exclusive)
        assert_int_equal(takers, 1);
}

static void check_messages(struct queue *q)
{
    uint64_t bytes[RING_STATES] = {0}, count[RING_STATES] = {0};
    for (unsigned state = 0; state < RING_DOOMED; state++) {
        struct ring_cursor at = ring_first(q->messages, state, 0);
        while (at.page) {
            const struct message *m = ring_item(at);
            assert_int_equal(m->id, ring_key(at));
            assert_true(m->id < q->next_id);
            if (state == MESSAGE_INFLIGHT || state == MESSAGE_DELAYED || state == MESSAGE_PARKED)
                assert_int_not_equal(m->slot, MESSAGE_NO_SLOT);
            bytes[state] += m->body_bytes;
            count[state]++;
            at = ring_first(q->messages, state, m->id + 1);
        }
        assert_int_equal(count[state], queue_count(q, (enum message_state)state));
        assert_int_equal(bytes[state], q->state_bytes[state]);
    }
}

void check_broker(struct broker *b)
{
    uint64_t inflight = 0;
    for (uint32_t i = 0; i < b->queue_count; i++) {
        struct queue *q = b->queues[i];
        const struct queue_counters *c = &q->counters;
        uint64_t left = c->acked + c->expired + c->purged + c->discarded + c->dropped + c->dead_lettered + c->moved;
        assert_int_equal(q->restored + c->published + c->arrived, left + queue_total(q));
        inflight += queue_count(q, MESSAGE_INFLIGHT);
        check_messages(q);
        check_takers(q);
        check_urgent(q);
        if (q->attributes.type == QUEUE_FIFO)
            check_groups(b, q);
        else
            assert_null(q->groups.oldest);
    }
    assert_int_equal(inflight, b->inflight_count);
}

void story_check(struct story *s)
{
    check_broker(&s->broker);
}
