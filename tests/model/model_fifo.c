/* The groups of a fifo queue. */
#include "tests/model/world.h"

/* Where a group can stand. */
#define NOWHERE 0
#define COMMON  UINT64_MAX

static struct g *group_with(struct q *q, char name)
{
    for (int i = 0; i < q->group_count; i++)
        if (q->groups[i].name == name)
            return &q->groups[i];
    return NULL;
}

static int count_of(const struct q *q, char name, enum message_state state)
{
    int n = 0;
    for (int i = 0; i < q->count; i++)
        n += q->list[i].group == name && q->list[i].state == state;
    return n;
}

static int held_count(const struct q *q, char name)
{
    int n = 0;
    for (int i = 0; i < q->count; i++)
        n += q->list[i].group == name && q->list[i].state == MESSAGE_DELAYED && q->list[i].held;
    return n;
}

static struct m *first_ready(struct q *q, char name)
{
    for (int i = 0; i < q->count; i++)
        if (q->list[i].group == name && q->list[i].state == MESSAGE_READY)
            return &q->list[i];
    return NULL;
}

/* True if the holder may get the group's message m although others of it are inflight. */
static bool may_go_on(struct model *w, struct q *q, const struct g *g, const struct m *m)
{
    const struct t *holder = model_taker_with(w, g->holder);
    for (int i = 0; i < q->count; i++)
        if (q->list[i].group == g->name && q->list[i].state == MESSAGE_INFLIGHT && q->list[i].id > m->id)
            return false;
    if (holder->waiter)
        return true;
    int64_t share = holder->group_prefetch ? (int64_t)holder->group_prefetch : q->a.group_prefetch;
    return count_of(q, g->name, MESSAGE_INFLIGHT) < share;
}

/* NOWHERE, COMMON, or the uid of the only taker that may have the group's next message. */
static uint64_t stands_open_to(struct model *w, struct q *q, const struct g *g)
{
    const struct m *m = first_ready(q, g->name);
    if (!m)
        return NOWHERE;
    for (int i = 0; i < q->count; i++)
        if (q->list[i].group == g->name && q->list[i].state == MESSAGE_DELAYED && q->list[i].held &&
            q->list[i].id < m->id)
            return NOWHERE;
    if (count_of(q, g->name, MESSAGE_INFLIGHT) == 0)
        return g->holder == NOBODY ? COMMON : g->holder;
    if (g->holder == NOBODY || !may_go_on(w, q, g, m))
        return NOWHERE;
    return g->holder;
}

static bool keeps_holder(struct model *w, struct q *q, const struct g *g)
{
    if (count_of(q, g->name, MESSAGE_INFLIGHT) > 0)
        return true;
    const struct t *holder = model_taker_with(w, g->holder);
    return q->a.sticky_groups && !holder->waiter && (first_ready(q, g->name) || held_count(q, g->name) > 0) &&
           (q->active == NOBODY || q->active == g->holder);
}

static void put_where_it_belongs(struct model *w, struct q *q, struct g *g)
{
    uint64_t where = stands_open_to(w, q, g);
    if (where == g->where)
        return;
    g->where = where;
    g->place = ++w->next_place;
}

void model_settle_group(struct model *w, struct q *q, char name)
{
    if (!model_is_fifo(q))
        return;
    struct g *g = group_with(q, name);
    int total = 0;
    for (int i = 0; i < q->count; i++)
        total += q->list[i].group == name;
    if (total == 0 && g) {
        memmove(g, g + 1, (size_t)(q->groups + q->group_count - (g + 1)) * sizeof *g);
        q->group_count--;
    }
    if (total == 0)
        return;
    if (!g) {
        assert(q->group_count < MAX_GROUPS);
        g = &q->groups[q->group_count++];
        *g = (struct g){.name = name};
    }
    if (g->holder != NOBODY && !keeps_holder(w, q, g))
        g->holder = NOBODY;
    put_where_it_belongs(w, q, g);
}

void model_settle_all_groups(struct model *w, struct q *q)
{
    char names[MAX_GROUPS];
    int count = q->group_count;
    for (int i = 0; i < count; i++)
        names[i] = q->groups[i].name;
    for (int i = 0; i < count; i++)
        model_settle_group(w, q, names[i]);
}

void model_group_taken(struct model *w, struct q *q, char name, const struct t *t)
{
    if (!model_is_fifo(q))
        return;
    struct g *g = group_with(q, name);
    if (g->holder != t->uid) {
        assert(g->holder == NOBODY);
        g->holder = t->uid;
        g->bound = ++w->next_place;
    }
    g->where = NOWHERE; /* it has had its turn */
    model_settle_group(w, q, name);
}

void model_release_groups(struct model *w, struct q *q, uint64_t uid)
{
    for (;;) {
        struct g *next = NULL;
        for (int i = 0; i < q->group_count; i++)
            if (q->groups[i].holder == uid && (!next || q->groups[i].bound < next->bound))
                next = &q->groups[i];
        if (!next)
            return;
        next->holder = NOBODY;
        next->where = NOWHERE;
        model_settle_group(w, q, next->name);
    }
}

/* ---- the next message -------------------------------------------------------------------------------------------- */

static struct g *first_at(struct q *q, uint64_t where)
{
    struct g *first = NULL;
    for (int i = 0; i < q->group_count; i++)
        if (q->groups[i].where == where && (!first || q->groups[i].place < first->place))
            first = &q->groups[i];
    return first;
}

bool model_anything_common(struct model *w, struct q *q)
{
    (void)w;
    return model_is_fifo(q) ? first_at(q, COMMON) != NULL : model_first_in(q, MESSAGE_READY) != NULL;
}

bool model_anything_own(struct model *w, struct q *q, const struct t *t)
{
    (void)w;
    return model_is_fifo(q) && first_at(q, t->uid) != NULL;
}

struct m *model_next_for(struct model *w, struct q *q, const struct t *t)
{
    (void)w;
    if (!model_is_fifo(q)) {
        struct m *best = NULL;
        for (int i = 0; i < q->count; i++)
            if (q->list[i].state == MESSAGE_READY && (!best || q->list[i].priority > best->priority))
                best = &q->list[i];
        return best;
    }
    struct g *common = first_at(q, COMMON), *own = first_at(q, t->uid);
    struct g *g = t->waiter ? (own ? own : common) : (common ? common : own);
    return g ? first_ready(q, g->name) : NULL;
}

void model_say_groups(struct model *w, struct q *q)
{
    for (int i = 0; i < q->group_count; i++) {
        const struct g *g = &q->groups[i];
        const struct t *holder = model_taker_with(w, g->holder);
        model_say(w, "    group %c", g->name);
        if (holder)
            model_say(w, " %c%c%" PRIu64, holder->peer, holder->waiter ? 'r' : '/', holder->id);
        model_say(w, "%s\n", g->where == COMMON ? " common" : g->where != NOWHERE ? " own" : "");
    }
    model_say_list(w, q, COMMON, "    ring", "\n");
}

void model_say_list(struct model *w, struct q *q, uint64_t where, const char *before, const char *after)
{
    uint64_t place = 0;
    for (bool any = false;; any = true) {
        const struct g *next = NULL;
        for (int i = 0; i < q->group_count; i++) {
            const struct g *g = &q->groups[i];
            if (g->where == where && g->place > place && (!next || g->place < next->place))
                next = g;
        }
        if (!next) {
            model_say(w, "%s", any ? after : "");
            return;
        }
        model_say(w, "%s %c", any ? "" : before, next->name);
        place = next->place;
    }
}
