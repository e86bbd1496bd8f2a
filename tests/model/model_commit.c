/* Commits: acks and publishes, all or nothing. */
#include "tests/model/world.h"

/* What a commit has done so far, as text, and what stopped it. */
struct commit {
    const char *why;
    int part, message, ack; /* -1: not that */
    char text[sizeof((struct said *)0)->text];
};

/* The first receipt that is stale or named twice. */
static bool check_acks(struct model *w, const struct step *s, struct commit *c)
{
    for (int i = 0; i < s->ref_count; i++) {
        const struct m *m = model_delivery(w, s, i);
        bool twice = false;
        for (int j = 0; j < i; j++)
            twice = twice || model_delivery(w, s, j) == m;
        if (m && !twice)
            continue;
        c->why = "RECEIPT_STALE";
        c->ack = i;
        return false;
    }
    return true;
}

static void ack_all(struct model *w, const struct step *s, struct commit *c)
{
    for (int i = 0; i < s->ref_count; i++)
        model_ack_one(w, &w->queues[s->queue], model_delivery(w, s, i));
    if (s->ref_count)
        model_add(c->text, "  acked %d\n", s->ref_count);
}

static bool publish_part(struct model *w, const struct step_part *part, const struct step_message *messages,
                         struct commit *c)
{
    struct q *q = &w->queues[part->target];
    char duplicates[512] = "";
    size_t n = 0;
    uint64_t first = 0;
    int stored = 0;
    for (int i = 0; i < part->count; i++) {
        struct fate fate = model_publish_one(w, q, &messages[i], false);
        if (fate.refusal) {
            c->why = fate.refusal;
            c->message = i;
            return false;
        }
        if (fate.duplicate)
            n += (size_t)snprintf(duplicates + n, sizeof duplicates - n, "    [%d] duplicate of %" PRIu64 "\n", i,
                                  fate.duplicate);
        if (fate.id)
            first = stored++ ? first : fate.id;
    }
    model_add(c->text, "  q%d ", part->target);
    if (stored > 1)
        model_add(c->text, "ids %" PRIu64 "..%" PRIu64 "\n", first, first + (uint64_t)stored - 1);
    else if (stored == 1)
        model_add(c->text, "id %" PRIu64 "\n", first);
    else
        model_add(c->text, "nothing\n");
    model_add(c->text, "%s", duplicates);
    return true;
}

static bool topic_part(struct model *w, const struct step_part *part, const struct step_message *messages,
                       struct commit *c)
{
    struct topic_of *t = &w->topics[part->target];
    struct route route = model_route(w, part->target, part->key, messages, part->count);
    int64_t copies = 0;
    int where;
    for (int i = 0; i < part->count; i++) {
        c->why = model_fan_out(w, route.to[i], &messages[i], &copies, &where);
        if (c->why) {
            c->message = i;
            return false;
        }
    }
    t->published += (uint64_t)part->count;
    t->routed += (uint64_t)copies;
    model_add(c->text, "  t%d copies %" PRId64 "\n", part->target, copies);
    return true;
}

static bool publish_parts(struct model *w, const struct step *s, struct commit *c)
{
    const struct step_message *messages = s->messages;
    model_begin_call(w);
    for (int i = 0; i < s->part_count; i++) {
        const struct step_part *part = &s->parts[i];
        c->part = i;
        if (!(part->topic ? topic_part(w, part, messages, c) : publish_part(w, part, messages, c)))
            return false;
        messages += part->count;
    }
    return true;
}

/* What is wrong with a message itself comes before all questions of room. */
static bool check_messages(struct model *w, const struct step *s, struct commit *c)
{
    static struct commit tried;
    struct model *before = model_remember_world(w);
    tried = *c;
    w->endless_room = true;
    bool fine = publish_parts(w, s, &tried);
    model_restore_world(w, before);
    if (!fine)
        *c = tried;
    return fine;
}

static void count_refused(struct model *w, const struct step *s)
{
    const struct step_message *messages = s->messages;
    for (int i = 0; i < s->part_count; i++) {
        const struct step_part *part = &s->parts[i];
        if (part->topic) {
            struct route route = model_route(w, part->target, part->key, messages, part->count);
            model_count_refused(w, &route);
        } else {
            w->queues[part->target].n.refused += (uint64_t)part->count;
        }
        messages += part->count;
    }
}

void model_commit(struct model *w, const struct step *s)
{
    static struct commit c;
    c = (struct commit){.part = -1, .ack = -1};
    for (int i = 0; i < s->part_count; i++) {
        const struct step_part *part = &s->parts[i];
        if (part->topic ? w->topics[part->target].exists : w->queues[part->target].exists)
            continue;
        model_say(w, "  %s\n", part->topic ? "TOPIC_NOT_FOUND" : "QUEUE_NOT_FOUND");
        return;
    }
    struct model *before = model_remember_world(w);
    bool done = check_acks(w, s, &c) && check_messages(w, s, &c);
    if (done) {
        ack_all(w, s, &c);
        done = publish_parts(w, s, &c);
    }
    if (done) {
        model_forget_world(before);
        model_say(w, "%s", c.text);
        return;
    }
    model_restore_world(w, before);
    if (c.ack < 0)
        count_refused(w, s);
    model_say(w, "  %s\n", c.why);
    if (c.ack >= 0)
        model_say(w, "    ack %d\n", c.ack);
    else
        model_say(w, "    part %d message %d\n", c.part, c.message);
}
