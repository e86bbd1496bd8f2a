/* What happens to one message. */
#include "tests/model/world.h"

void model_to_nowhere(struct model *w, struct q *q, struct m *m)
{
    char group = m->group;
    memmove(m, m + 1, (size_t)(q->list + q->count - (m + 1)) * sizeof *m);
    q->count--;
    model_settle_group(w, q, group);
    model_room(w, q);
}

void model_to_expired(struct model *w, struct q *q, struct m *m)
{
    if (m->ttl && q->a.dead_letter_expired && m->state != MESSAGE_PARKED) {
        model_to_dead(w, q, m, "expired", NULL);
        return;
    }
    q->n.expired++;
    model_to_nowhere(w, q, m);
}

void model_to_ready(struct model *w, struct q *q, struct m *m)
{
    if (model_expired(w, m)) {
        model_to_expired(w, q, m);
        return;
    }
    m->state = MESSAGE_READY;
    m->held = false;
    m->armed = model_arm(w);
    model_settle_group(w, q, m->group);
    model_room(w, q);
}

void model_to_parked(struct model *w, struct q *q, struct m *m, const char *reason, const char *note)
{
    m->state = MESSAGE_PARKED;
    m->held = false;
    m->reason = reason;
    m->note = note;
    m->ttl = false;
    m->expires = q->a.retention ? w->now + q->a.retention : 0;
    m->armed = model_arm(w);
    q->n.parks++;
    model_settle_group(w, q, m->group);
}

/* The delay before the next attempt. */
static int64_t backoff(const struct q *q, uint32_t attempts)
{
    const struct backoff *b = &q->a.backoff;
    if (b->base_ms == 0)
        return 0;
    double delay = (double)b->base_ms;
    for (uint32_t i = 1; i < attempts && delay < (double)LIMIT_TIME_MS; i++)
        delay *= b->factor;
    if (b->cap_ms != 0 && delay > (double)b->cap_ms)
        delay = (double)b->cap_ms;
    if (delay > (double)LIMIT_TIME_MS)
        delay = (double)LIMIT_TIME_MS;
    return delay < 1 ? 1 : (int64_t)delay;
}

void model_give_back(struct model *w, struct q *q, struct m *m, int64_t delay, const char *note)
{
    if (delay < 0)
        delay = backoff(q, m->attempts);
    if (q->a.max_attempts && m->attempts >= q->a.max_attempts) {
        model_to_dead(w, q, m, "max_attempts", note);
    } else if (delay > 0 && !model_expired(w, m)) {
        m->state = MESSAGE_DELAYED;
        m->held = true;
        m->due = w->now + delay;
        m->armed = model_arm(w);
        model_settle_group(w, q, m->group);
        model_room(w, q);
    } else {
        model_to_ready(w, q, m);
    }
}

struct m *model_put_in(struct model *w, struct q *q, const struct m *what, int64_t delay, int64_t ttl)
{
    assert(q->count < MAX_MESSAGES);
    struct m *m = &q->list[q->count++];
    *m = *what;
    m->id = q->next_id++;
    m->attempts = 0;
    m->first = m->last = NEVER;
    m->state = delay ? MESSAGE_DELAYED : MESSAGE_READY;
    m->held = false;
    m->due = w->now + delay;
    m->reason = m->note = NULL;
    m->ttl = ttl != 0 && (q->a.retention == 0 || ttl <= q->a.retention);
    m->expires = m->ttl ? w->now + ttl : q->a.retention ? w->now + q->a.retention : 0;
    m->armed = model_arm(w);
    model_settle_group(w, q, m->group);
    return m;
}
