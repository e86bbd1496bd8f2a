/* What consumers say about deliveries. */
#include "tests/model/world.h"

struct m *model_delivery(struct model *w, const struct step *s, int i)
{
    struct q *q = &w->queues[s->queue];
    for (int n = w->seen_count - 1; n >= 0; n--) {
        if (w->seen[n].queue != s->queue || w->seen[n].id != s->refs[i].id)
            continue;
        if (s->refs[i].attempt && w->seen[n].attempt != s->refs[i].attempt)
            continue;
        struct m *m = q->exists ? model_find(q, s->refs[i].id) : NULL;
        return m && m->state == MESSAGE_INFLIGHT && m->serial == w->seen[n].serial ? m : NULL;
    }
    return NULL;
}

void model_ack_one(struct model *w, struct q *q, struct m *m)
{
    q->n.acked++;
    model_to_nowhere(w, q, m);
}

/* Everything handed over to the same taker up to this delivery, the oldest first. */
static int ack_up_to(struct model *w, struct q *q, const struct m *m)
{
    uint64_t owner = m->owner, serial = m->serial;
    int n = 0;
    for (;; n++) {
        struct m *oldest = NULL;
        for (int i = 0; i < q->count; i++) {
            struct m *x = &q->list[i];
            if (x->state == MESSAGE_INFLIGHT && x->owner == owner && x->serial <= serial &&
                (!oldest || x->serial < oldest->serial))
                oldest = x;
        }
        if (!oldest)
            return n;
        model_ack_one(w, q, oldest);
    }
}

/* One receipt that is good. Returns how many messages it touched. */
static int settle_one(struct model *w, struct q *q, const struct step *s, struct m *m)
{
    if (s->op == STEP_ACK && s->flag)
        return ack_up_to(w, q, m);
    if (s->op == STEP_ACK) {
        model_ack_one(w, q, m);
    } else if (s->op == STEP_PARK) {
        model_to_parked(w, q, m, "requested", NULL);
    } else if (s->op == STEP_EXTEND && s->number > 0) {
        m->due = w->now + s->number;
        m->armed = model_arm(w);
    } else {
        q->n.nacked++;
        if (s->flag)
            model_to_dead(w, q, m, "rejected", s->note ? "n" : NULL);
        else
            model_give_back(w, q, m, s->op == STEP_NACK ? s->number : -1, s->note ? "n" : NULL);
    }
    return 1;
}

void model_settle(struct model *w, struct q *q, const struct step *s)
{
    int applied = 0;
    char text[sizeof((struct said *)0)->text] = "";
    for (int i = 0; i < s->ref_count; i++) {
        struct m *m = model_delivery(w, s, i);
        if (!m)
            model_add(text, "  [%d] RECEIPT_STALE\n", i);
        else if (s->op == STEP_EXTEND && s->number > 0 && w->now + s->number > m->since + q->a.max_hold)
            model_add(text, "  [%d] LIMIT max_hold\n", i);
        else
            applied += settle_one(w, q, s, m);
    }
    model_say(w, "  %d\n%s", applied, text);
}

void model_written(struct model *w, struct q *q, const struct step *s)
{
    for (int i = 0; i < s->ref_count; i++) {
        struct m *m = model_delivery(w, s, i);
        if (m && s->op == STEP_WRITTEN) {
            model_ack_one(w, q, m);
        } else if (m) {
            if (--m->attempts == 0)
                m->first = m->last = NEVER;
            q->n.returned++;
            model_to_ready(w, q, m);
        }
    }
}
