/* Queues themselves, messages by their ids, and looking at things. */
#include "tests/model/world.h"

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static void set_attributes(struct q *q, const struct step_attributes *a)
{
#define X(name)       \
    if (a->name >= 0) \
        q->a.name = a->name;
    STEP_ATTRIBUTES(X)
#undef X
    if (a->dead_letter != -1)
        model_set_dead_letter(q, a->dead_letter);
    if (a->backoff >= 0) {
        const struct step_backoff *b = &step_backoffs[a->backoff];
        q->a.backoff = (struct backoff){b->base_ms, b->cap_ms, b->factor, 0};
    }
}

/* True if the dead letters of `from` come to `to` sooner or later. */
static bool leads_to(const struct model *w, int from, int to)
{
    for (int depth = 0; from >= 0 && depth <= MODEL_QUEUES; depth++) {
        if (from == to)
            return true;
        from = w->queues[from].exists ? model_dead_letter_of(&w->queues[from]) : -1;
    }
    return false;
}

/* What speaks against queue `n` having the attributes that it has been given, of which dead_letter may be new; or
   NULL. */
static const char *wrong_attributes(const struct model *w, int n, const struct step_attributes *named)
{
    const struct q *q = &w->queues[n];
    int to = model_dead_letter_of(q);
    if (q->a.visibility > q->a.max_hold)
        return "LIMIT max_hold";
    if (q->a.retention && q->a.delay >= q->a.retention)
        return "LIMIT retention";
    if (named->dead_letter >= 0) {
        if (to == n)
            return "BAD_REQUEST dead_letter";
        if (!w->queues[to].exists)
            return "QUEUE_NOT_FOUND dead_letter";
        if (w->queues[to].a.type != q->a.type || leads_to(w, to, n))
            return "BAD_REQUEST dead_letter";
    }
    if (to < 0 && q->a.overflow == OVERFLOW_DEAD_LETTER_OLDEST)
        return "BAD_REQUEST overflow";
    if (to < 0 && q->a.dead_letter_expired)
        return "BAD_REQUEST dead_letter_expired";
    return NULL;
}

static bool same_backoff(const struct backoff *a, const struct backoff *b)
{
    return a->base_ms == b->base_ms && a->cap_ms == b->cap_ms && a->jitter <= b->jitter && a->jitter >= b->jitter &&
           (a->base_ms == 0 || (a->factor <= b->factor && a->factor >= b->factor));
}

static bool differs(const struct attributes *a, const struct attributes *b, enum attribute which)
{
    if (which == ATTRIBUTE_dead_letter)
        return memcmp(&a->dead_letter, &b->dead_letter, sizeof a->dead_letter) != 0;
    if (which == ATTRIBUTE_backoff)
        return !same_backoff(&a->backoff, &b->backoff);
    return attribute_get(a, which) != attribute_get(b, which);
}

void model_create(struct model *w, const struct step *s)
{
    struct q *q = &w->queues[s->queue];
    if (q->exists) {
        struct attributes before = q->a, asked;
        set_attributes(q, &s->attributes);
        asked = q->a;
        q->a = before;
        bool any = false;
        for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
            any = any || differs(&before, &asked, (enum attribute)a);
        model_say(w, any ? "  QUEUE_EXISTS\n" : "  exists\n");
        for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
            if (differs(&before, &asked, (enum attribute)a))
                model_say(w, "  differs: %s\n", attribute_row((enum attribute)a)->name);
        return;
    }
    memset(q, 0, sizeof *q);
    q->next_id = 1;
    attributes_init(&q->a);
    memset(&q->a.dead_letter, 0, sizeof q->a.dead_letter);
    set_attributes(q, &s->attributes);
    const char *why = wrong_attributes(w, s->queue, &s->attributes);
    if (why)
        model_say(w, "  %s\n", why);
    q->exists = !why;
    if (q->exists)
        model_room(w, q); /* it may be a dead-letter queue that was missing */
}

void model_update(struct model *w, struct q *q, const struct step *s)
{
    struct attributes before = q->a;
    const char *why = NULL;
    if (s->attributes.type >= 0) {
        why = "BAD_REQUEST type";
    } else {
        set_attributes(q, &s->attributes);
        why = wrong_attributes(w, s->queue, &s->attributes);
    }
    if (why) {
        q->a = before;
        model_say(w, "  %s\n", why);
    } else {
        model_settle_all_groups(w, q);
        model_room(w, q);
    }
}

void model_delete(struct model *w, int queue)
{
    struct q *q = &w->queues[queue];
    model_say(w, "  %d\n", q->count);
    for (int i = 0; i < w->taker_count;) {
        struct t *t = &w->takers[i];
        if (t->queue == queue) {
            (void)model_said_for(w, t->peer, t->id, t->waiter ? 2 : 3);
            model_drop_taker(w, t);
        } else {
            i++;
        }
    }
    q->exists = false;
    q->count = q->group_count = q->dedup_count = 0;
    model_forget_subscriptions(w, queue);
    model_cancel_moves_of(w, queue);
    model_end_held_of_queue(w, queue);
    for (int i = 0; i < w->seen_count; i++)
        if (w->seen[i].queue == queue)
            w->seen[i].serial = 0; /* no delivery has that */
}

/* All at once; then the groups are looked at. */
void model_purge(struct model *w, struct q *q, int64_t state)
{
    int kept = 0, purged = 0;
    for (int i = 0; i < q->count; i++) {
        if (state < 0 || (int64_t)q->list[i].state == state)
            purged++;
        else
            q->list[kept++] = q->list[i];
    }
    q->count = kept;
    q->n.purged += (uint64_t)purged;
    model_say(w, "  %d\n", purged);
    model_settle_all_groups(w, q);
    if (purged)
        model_room(w, q);
}

/* ---- messages by id ---------------------------------------------------------------------------------------------- */

void model_kick(struct model *w, struct q *q, int64_t count)
{
    int n = 0;
    for (struct m *m; n < count && (m = model_first_in(q, MESSAGE_PARKED)); n++) {
        m->attempts = 0;
        m->reason = m->note = NULL;
        q->n.kicks++;
        model_to_ready(w, q, m);
    }
    model_say(w, "  %d\n", n);
}

void model_discard(struct model *w, struct q *q, const struct step *s)
{
    int n = 0;
    for (int i = 0; i < s->ref_count; i++) {
        struct m *m = model_find(q, s->refs[i].id);
        if (!m || m->state == MESSAGE_INFLIGHT)
            continue;
        q->n.discarded++;
        model_to_nowhere(w, q, m);
        n++;
    }
    model_say(w, "  %d\n", n);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static const char *const state_names[] = {"delayed", "ready", "inflight", "parked"};

static void say_body(struct model *w, const struct m *m)
{
    model_say(w, "%" PRIu64 ":%c%.*s", m->id, m->body, (int)(m->bytes < 8 ? m->bytes : 8) - 1, ".......");
}

static void say_headers(struct model *w, const struct m *m)
{
    const struct death *d = &m->death;
    if (m->header)
        model_say(w, " h=x%c", m->header);
    if (d->dead)
        model_say(w,
                  " dl_queue=q%d dl_id=%" PRIu64 " dl_reason=%s dl_attempts=%u dl_first=%" PRId64 " dl_last=%" PRId64,
                  d->queue, d->id, d->reason, d->attempts, d->first, d->last);
    if (d->dead && d->note)
        model_say(w, " dl_note=%s", d->note);
}

static void say_peeked(struct model *w, const struct q *q, const struct m *m)
{
    model_say(w, "  ");
    say_body(w, m);
    model_say(w, " %s", state_names[m->state]);
    if (m->attempts)
        model_say(w, " attempts %u", m->attempts);
    if (m->state == MESSAGE_PARKED)
        model_say(w, " %s", m->reason);
    if (m->state == MESSAGE_PARKED && m->note)
        model_say(w, " (%s)", m->note);
    if (m->group && model_is_fifo(q))
        model_say(w, " group %c", m->group);
    if (m->priority)
        model_say(w, " priority %u", m->priority);
    if (m->dedup)
        model_say(w, " dedup %c", m->dedup);
    say_headers(w, m);
    model_say(w, "\n");
}

void model_peek(struct model *w, struct q *q, const struct step *s)
{
    int64_t shown = 0;
    for (int i = 0; i < q->count; i++) {
        const struct m *m = &q->list[i];
        if ((int64_t)m->id < s->number)
            continue;
        if (shown == s->second) {
            model_say(w, "  next %" PRIu64 "\n", m->id);
            return;
        }
        shown++;
        say_peeked(w, q, m);
    }
}

void model_counters(struct model *w, const struct q *q)
{
    model_say(w, " ");
#define X(field, help) \
    if (q->n.field)    \
        model_say(w, " %s %" PRIu64, #field, q->n.field);
    QUEUE_COUNTER_LIST(X)
#undef X
    model_say(w, "\n");
}

static void state_of_message(struct model *w, const struct m *m)
{
    model_say(w, "    ");
    say_body(w, m);
    if (m->group)
        model_say(w, "/%c", m->group);
    if (m->priority)
        model_say(w, "^%u", m->priority);
    if (m->attempts)
        model_say(w, "#%u", m->attempts);
    model_say(w, " %s", state_names[m->state]);
    if (m->state == MESSAGE_DELAYED || m->state == MESSAGE_INFLIGHT)
        model_say(w, " due %" PRId64, m->due);
    if (m->state == MESSAGE_DELAYED && m->held)
        model_say(w, " held");
    if (m->expires)
        model_say(w, " %s %" PRId64, m->ttl ? "ttl" : "kept", m->expires);
    if (m->dedup)
        model_say(w, " dedup %c", m->dedup);
    if (m->state == MESSAGE_PARKED)
        model_say(w, " %s", m->reason);
    model_say(w, "\n");
}

static int live_dedups(const struct model *w, const struct q *q)
{
    int n = 0;
    for (int i = 0; i < q->dedup_count; i++)
        n += q->dedups[i].until > w->now;
    return n;
}

/* By priority, then in the order of their coming. */
static void state_of_takers(struct model *w, int queue)
{
    struct q *q = &w->queues[queue];
    for (int p = LIMIT_PRIORITIES - 1; p >= 0; p--)
        for (int i = 0; i < w->taker_count; i++) {
            const struct t *t = &w->takers[i];
            if (t->queue != queue || t->priority != (uint32_t)p)
                continue;
            model_say(w, "    %c%c%" PRIu64 " holds %u%s", t->peer, t->waiter ? 'r' : '/', t->id, model_held_by(w, t),
                      q->active == t->uid ? " active" : "");
            model_say_list(w, q, t->uid, " own", "");
            model_say(w, "\n");
        }
}

void model_state(struct model *w)
{
    for (int i = 0; i < MODEL_QUEUES; i++) {
        struct q *q = &w->queues[i];
        if (!q->exists)
            continue;
        model_say(w, "  q%d %s next %" PRIu64 "%s", i, model_is_fifo(q) ? "fifo" : "standard", q->next_id,
                  q->paused ? " paused" : "");
        if (live_dedups(w, q))
            model_say(w, " dedups %d", live_dedups(w, q));
        model_say(w, "%s\n", model_line_stands(w, q) ? " held" : "");
        for (int j = 0; j < q->count; j++)
            state_of_message(w, &q->list[j]);
        model_say_groups(w, q);
        state_of_takers(w, i);
    }
}
