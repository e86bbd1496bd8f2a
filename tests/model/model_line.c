/* Who takes messages, and in which order. */
#include "tests/model/world.h"

uint32_t model_held_by(struct model *w, const struct t *t)
{
    uint32_t n = 0;
    struct q *q = &w->queues[t->queue];
    for (int i = 0; i < q->count; i++)
        n += q->list[i].state == MESSAGE_INFLIGHT && q->list[i].owner == t->uid;
    return n;
}

bool model_able(struct model *w, const struct t *t)
{
    const struct q *q = &w->queues[t->queue];
    return model_held_by(w, t) < t->limit && !w->full[t->peer - 'A'] && !t->leaving &&
           (q->active == NOBODY || q->active == t->uid);
}

static bool anybody_able(struct model *w, int queue)
{
    for (int i = 0; i < w->taker_count; i++)
        if (w->takers[i].queue == queue && model_able(w, &w->takers[i]))
            return true;
    return false;
}

/* Of those who are able and for whom there is something: the highest priority, and there who comes behind the last. */
static struct t *next_taker(struct model *w, int queue)
{
    struct q *q = &w->queues[queue];
    struct t *first[LIMIT_PRIORITIES] = {NULL}, *next[LIMIT_PRIORITIES] = {NULL};
    for (int i = 0; i < w->taker_count; i++) {
        struct t *t = &w->takers[i];
        if (t->queue != queue || !model_able(w, t) || !(model_anything_common(w, q) || model_anything_own(w, q, t)))
            continue;
        uint32_t p = t->priority;
        first[p] = first[p] ? first[p] : t;
        next[p] = !next[p] && t->uid > q->turn[p] ? t : next[p];
    }
    for (int p = LIMIT_PRIORITIES - 1; p >= 0; p--)
        if (first[p])
            return next[p] ? next[p] : first[p];
    return NULL;
}

void model_drop_taker(struct model *w, struct t *t)
{
    memmove(t, t + 1, (size_t)(w->takers + w->taker_count - (t + 1)) * sizeof *t);
    w->taker_count--;
}

static void hand_over(struct model *w, int queue, struct m *m, const struct t *t, char *text)
{
    struct q *q = &w->queues[queue];
    m->state = MESSAGE_INFLIGHT;
    m->attempts++;
    m->serial = ++w->next_serial;
    m->owner = t->uid;
    m->since = w->now;
    m->first = m->first != NEVER ? m->first : w->now;
    m->last = w->now;
    int64_t visibility = t->visibility >= 0 ? t->visibility : q->a.visibility;
    m->due = w->now + (visibility < q->a.max_hold ? visibility : q->a.max_hold);
    m->armed = model_arm(w);
    m->match = w->match;
    q->n.delivered++;
    q->n.redelivered += m->attempts > 1;
    model_add(text, " %" PRIu64 ":%c%.*s", m->id, m->body, (int)(m->bytes < 8 ? m->bytes : 8) - 1, ".......");
    if (m->group)
        model_add(text, "/%c", m->group);
    if (m->priority)
        model_add(text, "^%u", m->priority);
    if (m->attempts != 1)
        model_add(text, "#%u", m->attempts);
    if (w->seen_count == w->seen_cap) {
        w->seen_cap = w->seen_cap * 2 + 64;
        w->seen = realloc(w->seen, (size_t)w->seen_cap * sizeof *w->seen);
        assert(w->seen);
    }
    w->seen[w->seen_count++] = (struct seen_at){queue, m->id, m->serial, m->attempts};
    model_group_taken(w, q, m->group, t);
}

void model_match(struct model *w, int queue)
{
    struct q *q = &w->queues[queue];
    struct t *t;
    while (!q->paused && (t = next_taker(w, queue))) {
        hand_over(w, queue, model_next_for(w, q, t), t, model_said_for(w, t->peer, t->id, t->waiter)->text);
        q->turn[t->priority] = t->uid;
    }
}

static bool has_got(const struct model *w, const struct t *t)
{
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].peer == t->peer && w->said[i].id == t->id && w->said[i].kind == 1)
            return true;
    return false;
}

void model_answer_waiters(struct model *w)
{
    for (int i = 0; i < w->taker_count;) {
        struct t *t = &w->takers[i];
        if (!t->waiter || !(t->over || has_got(w, t))) {
            i++;
            continue;
        }
        (void)model_said_for(w, t->peer, t->id, 1);
        model_release_groups(w, &w->queues[t->queue], t->uid);
        model_drop_taker(w, t);
    }
}

/* ---- coming ------------------------------------------------------------------------------------------------------ */

static struct t *add_taker(struct model *w, const struct step *s, bool waiter)
{
    assert(w->taker_count < MAX_TAKERS);
    struct t *t = &w->takers[w->taker_count++];
    *t = (struct t){
        .uid = ++w->next_uid, .waiter = waiter, .peer = s->peer, .queue = s->queue, .limit = s->max, .visibility = -1};
    return t;
}

static bool anybody(const struct model *w, int queue, bool exclusive_only)
{
    for (int i = 0; i < w->taker_count; i++)
        if (w->takers[i].queue == queue && (!exclusive_only || w->takers[i].exclusive))
            return true;
    return false;
}

void model_receive(struct model *w, struct q *q, const struct step *s)
{
    uint64_t token = ++w->next_token;
    if (anybody(w, s->queue, true) || q->active != NOBODY) {
        model_say(w, "  QUEUE_IN_USE\n");
        return;
    }
    bool open = !q->paused && model_anything_common(w, q), crowd = anybody_able(w, s->queue);
    if (!open && s->second == 0) {
        model_say(w, "  gets nothing\n");
        return;
    }
    struct t *t = add_taker(w, s, true);
    t->id = token;
    t->deadline = w->now + s->second;
    t->armed = model_arm(w);
    if (!open || crowd) {
        model_say(w, "  r%" PRIu64 " waits\n", token);
        return;
    }
    char text[sizeof((struct said *)0)->text] = "";
    struct m *m;
    while (model_held_by(w, t) < t->limit && (m = model_next_for(w, q, t)))
        hand_over(w, s->queue, m, t, text);
    model_say(w, "  gets%s\n", text);
    model_release_groups(w, q, t->uid);
    model_drop_taker(w, t);
}

void model_consume(struct model *w, struct q *q, const struct step *s)
{
    if (s->second > q->a.max_hold) {
        model_say(w, "  LIMIT max_hold\n");
        return;
    }
    if (anybody(w, s->queue, !s->exclusive)) {
        model_say(w, "  QUEUE_IN_USE\n");
        return;
    }
    struct t *t = add_taker(w, s, false);
    t->id = w->next_consumer[s->peer - 'A']++;
    t->automatic = s->flag;
    t->visibility = s->second;
    t->exclusive = s->exclusive;
    t->single = s->single;
    t->priority = s->priority;
    t->group_prefetch = s->group_prefetch;
    model_say(w, "  consumer %" PRIu64 "\n", t->id);
    if (s->single && q->active == NOBODY) {
        q->active = t->uid;
        model_settle_all_groups(w, q);
    }
}

struct t *model_consumer(struct model *w, const struct step *s)
{
    for (int i = 0; i < w->taker_count; i++)
        if (!w->takers[i].waiter && w->takers[i].peer == s->peer && w->takers[i].id == s->consumer)
            return &w->takers[i];
    model_say(w, "  CONSUMER_NOT_FOUND\n");
    return NULL;
}

/* ---- going ------------------------------------------------------------------------------------------------------- */

/* Of those who asked for it: the highest priority, and there the first to come. */
static void choose_active(struct model *w, int queue)
{
    struct t *best = NULL;
    for (int i = 0; i < w->taker_count; i++) {
        struct t *t = &w->takers[i];
        if (t->queue == queue && t->single && (!best || t->priority > best->priority))
            best = t;
    }
    w->queues[queue].active = best ? best->uid : NOBODY;
}

void model_end_consumer(struct model *w, struct t *t)
{
    struct q *q = &w->queues[t->queue];
    int queue = t->queue;
    uint64_t uid = t->uid;
    t->leaving = true;
    for (;;) {
        struct m *oldest = NULL;
        for (int i = 0; i < q->count; i++) {
            struct m *m = &q->list[i];
            if (m->state == MESSAGE_INFLIGHT && m->owner == uid && (!oldest || m->serial < oldest->serial))
                oldest = m;
        }
        if (!oldest)
            break;
        q->n.returned++;
        model_give_back(w, q, oldest, -1, NULL);
    }
    model_release_groups(w, q, uid);
    model_drop_taker(w, t);
    if (q->active == uid)
        choose_active(w, queue);
}

/* The last to come goes first. */
void model_end_peer(struct model *w, char peer)
{
    w->full[peer - 'A'] = true;
    for (int i = w->taker_count - 1; i >= 0; i--) {
        struct t *t = &w->takers[i];
        if (t->peer == peer && t->waiter)
            model_drop_taker(w, t);
        else if (t->peer == peer)
            model_end_consumer(w, t);
    }
    for (int i = w->held_count - 1; i >= 0; i--)
        if (w->held[i].peer == peer)
            model_drop_held(w, i);
    int kept = 0;
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].peer != peer)
            w->said[kept++] = w->said[i];
    w->said_count = kept;
    w->open[peer - 'A'] = false;
}
