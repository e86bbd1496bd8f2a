/* Topics and commits. */
#include "tests/model/world.h"

/* ---- who wants a message ----------------------------------------------------------------------------------------- */

/* True if the words of `key` are what the words of `pattern` stand for. Both end with a zero; "" has no words. */
static bool words_match(const char *pattern, const char *key, bool key_over)
{
    if (*pattern == '\0')
        return key_over;
    size_t p = strcspn(pattern, "."), k = strcspn(key, ".");
    const char *pattern_rest = pattern[p] ? pattern + p + 1 : "";
    const char *key_rest = key[k] ? key + k + 1 : "";
    bool last = key[k] == '\0';
    if (p == 1 && pattern[0] == '#')
        return words_match(pattern_rest, key, key_over) || (!key_over && words_match(pattern, key_rest, last));
    if (key_over)
        return false;
    if (p == 1 && pattern[0] == '*')
        return words_match(pattern_rest, key_rest, last);
    return p == k && memcmp(pattern, key, p) == 0 && words_match(pattern_rest, key_rest, last);
}

static bool key_matches(int pattern, int key)
{
    const char *p = step_patterns[pattern] ? step_patterns[pattern] : "#";
    const char *k = strcmp(step_keys[key], "-") == 0 ? "" : step_keys[key];
    return words_match(p, k, *k == '\0');
}

/* Messages have at most the header h, whose value is "x" and a letter. */
static bool filter_matches_header(int filter, char header)
{
    const char *f = step_filters[filter];
    if (!f)
        return true;
    f += 2; /* h: */
    if (strcmp(f, "exists:false") == 0)
        return header == 0;
    if (header == 0)
        return false;
    if (strncmp(f, "prefix:", 7) == 0)
        return strcmp(f + 7, "x") == 0 || f[8] == header;
    if (strncmp(f, "anything-but:", 13) == 0)
        return f[14] != header;
    return f[1] == header;
}

static bool wants(const struct topic_of *t, int queue, int key, char header)
{
    for (int i = 0; i < t->count; i++) {
        const struct subscription_to *sub = &t->list[i];
        if (sub->queue == queue && key_matches(sub->pattern, key) && filter_matches_header(sub->filter, header))
            return true;
    }
    return false;
}

/* ---- publishing -------------------------------------------------------------------------------------------------- */

struct route model_route(const struct model *w, int topic, int key, const struct step_message *messages, int count)
{
    struct route route = {.count = count};
    for (int i = 0; i < count; i++)
        for (int queue = 0; queue < MODEL_QUEUES && !messages[i].wrong; queue++)
            route.to[i][queue] = wants(&w->topics[topic], queue, key, messages[i].header);
    return route;
}

const char *model_fan_out(struct model *w, const bool *to, const struct step_message *p, int64_t *copies, int *where)
{
    if (p->wrong)
        return "BAD_REQUEST wrong";
    for (int queue = 0; queue < MODEL_QUEUES; queue++) {
        if (!to[queue])
            continue;
        struct fate fate = model_publish_one(w, &w->queues[queue], p, true);
        if (fate.refusal) {
            *where = queue;
            return fate.refusal;
        }
        ++*copies;
    }
    return NULL;
}

static const char *publish_round(struct model *w, const struct step *s, const struct route *route,
                                 struct topic_result *r)
{
    struct topic_of *t = &w->topics[s->topic];
    struct model *before = model_remember_world(w);
    model_begin_call(w);
    r->copies = 0;
    for (r->index = 0; r->index < s->message_count; r->index++) {
        const char *why = model_fan_out(w, route->to[r->index], &s->messages[r->index], &r->copies, &r->where);
        if (why) {
            model_restore_world(w, before);
            return why;
        }
    }
    model_forget_world(before);
    if (s->flag && r->copies == 0)
        return "UNROUTABLE";
    t->published += (uint64_t)s->message_count;
    t->routed += (uint64_t)r->copies;
    return NULL;
}

/* What is wrong with a message itself comes before all questions of room. */
const char *model_topic_publish(struct model *w, const struct step *s, const struct route *route,
                                struct topic_result *r)
{
    struct model *before = model_remember_world(w);
    w->endless_room = true;
    const char *why = publish_round(w, s, route, r);
    model_restore_world(w, before);
    return why ? why : publish_round(w, s, route, r);
}

void model_count_refused(struct model *w, const struct route *route)
{
    for (int i = 0; i < route->count; i++)
        for (int queue = 0; queue < MODEL_QUEUES; queue++)
            w->queues[queue].n.refused += route->to[i][queue];
}

/* True if each queue could take its copies, were it empty. */
static bool could_fit(struct model *w, const struct step *s, const struct route *route)
{
    struct topic_result r;
    struct model *before = model_remember_world(w);
    w->endless_room = true;
    bool fit = publish_round(w, s, route, &r) == NULL;
    for (int i = 0; i < MODEL_QUEUES; i++) {
        const struct q *q = &w->queues[i], *was = &before->queues[i];
        fit = fit && model_fits(q, q->count - was->count, model_bytes_of(q) - model_bytes_of(was));
    }
    model_restore_world(w, before);
    return fit;
}

void model_publish_topic(struct model *w, const struct step *s)
{
    struct topic_result r = {.copies = 0};
    struct route route = model_route(w, s->topic, s->key, s->messages, s->message_count);
    bool waits = s->peer && s->number > 0;
    w->next_publish += waits;
    const char *why = model_topic_publish(w, s, &route, &r);
    if (!why) {
        model_say(w, "  copies %" PRId64 "\n", r.copies);
    } else if (waits && strcmp(why, "QUEUE_FULL") == 0 && could_fit(w, s, &route)) {
        model_hold(w, s, r.where);
        w->held[w->held_count - 1].route = route;
        model_say(w, "  p%" PRIu64 " is held\n", w->next_publish);
    } else {
        model_say(w, "  %s\n", why);
        if (strcmp(why, "UNROUTABLE") != 0) {
            model_say(w, "  [%d] %s\n", r.index, why);
            model_count_refused(w, &route);
        }
    }
}

/* ---- topics themselves ------------------------------------------------------------------------------------------- */

static void subscribe(struct model *w, struct topic_of *t, const struct step *s)
{
    const char *pattern = step_patterns[s->pattern] ? step_patterns[s->pattern] : "#";
    for (int i = 0; i < t->count; i++) {
        const char *other = step_patterns[t->list[i].pattern] ? step_patterns[t->list[i].pattern] : "#";
        if (t->list[i].queue == s->queue && strcmp(pattern, other) == 0) {
            t->list[i].filter = s->filter;
            model_say(w, "  exists\n");
            return;
        }
    }
    assert(t->count < MAX_SUBSCRIPTIONS);
    t->list[t->count++] = (struct subscription_to){s->queue, s->pattern, s->filter};
}

static void unsubscribe(struct model *w, struct topic_of *t, const struct step *s)
{
    const char *pattern = step_patterns[s->pattern];
    int kept = 0;
    for (int i = 0; i < t->count; i++) {
        const char *other = step_patterns[t->list[i].pattern] ? step_patterns[t->list[i].pattern] : "#";
        if (t->list[i].queue != s->queue || (pattern && strcmp(pattern, other) != 0))
            t->list[kept++] = t->list[i];
    }
    if (kept == t->count)
        model_say(w, "  NOT_FOUND\n");
    t->count = kept;
}

void model_forget_subscriptions(struct model *w, int queue)
{
    for (int n = 0; n < MODEL_TOPICS; n++) {
        struct topic_of *t = &w->topics[n];
        int kept = 0;
        for (int i = 0; i < t->count; i++)
            if (t->list[i].queue != queue)
                t->list[kept++] = t->list[i];
        t->count = kept;
    }
}

/* By queue name, then pattern. */
static int compare_subscriptions(const void *a, const void *b)
{
    const struct subscription_to *x = a, *y = b;
    if (x->queue != y->queue)
        return x->queue - y->queue;
    const char *p = step_patterns[x->pattern] ? step_patterns[x->pattern] : "#";
    const char *q = step_patterns[y->pattern] ? step_patterns[y->pattern] : "#";
    return strcmp(p, q);
}

static void topic_info(struct model *w, struct topic_of *t)
{
    model_say(w, "  published %" PRIu64 " routed %" PRIu64 "\n", t->published, t->routed);
    qsort(t->list, (size_t)t->count, sizeof t->list[0], compare_subscriptions);
    for (int i = 0; i < t->count; i++)
        model_say(w, "  q%d %s%s\n", t->list[i].queue,
                  step_patterns[t->list[i].pattern] ? step_patterns[t->list[i].pattern] : "#",
                  t->list[i].filter ? " filtered" : "");
}

void model_topic_step(struct model *w, const struct step *s)
{
    struct topic_of *t = &w->topics[s->topic];
    if (s->op == STEP_TOPIC_CREATE) {
        if (t->exists)
            model_say(w, "  exists\n");
        else
            *t = (struct topic_of){.exists = true};
        return;
    }
    if (!t->exists) {
        model_say(w, "  TOPIC_NOT_FOUND\n");
        return;
    }
    if (s->op == STEP_TOPIC_DELETE) {
        model_end_held_of_topic(w, s->topic);
        t->exists = false;
        t->count = 0;
    } else if (s->op == STEP_TOPIC_INFO) {
        topic_info(w, t);
    } else if (s->op == STEP_PUBLISH_TOPIC) {
        model_publish_topic(w, s);
    } else if (!w->queues[s->queue].exists) {
        model_say(w, "  QUEUE_NOT_FOUND\n");
    } else if (s->op == STEP_SUBSCRIBE) {
        subscribe(w, t, s);
    } else {
        unsubscribe(w, t, s);
    }
}
