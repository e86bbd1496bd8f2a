/*
 * Random steps. Few queues, few groups, few dedup ids and small limits, so that things get into each other's way: q0
 * and q1 are standard queues and q2 and q3 fifo queues at first, each with the other of its kind as a likely
 * dead-letter queue.
 */
#include "tests/model/model.h"

#include <string.h>

struct chooser {
    uint32_t (*choose)(void *user, uint32_t n);
    void *user;
    int64_t now_ms;
    uint64_t next_id[MODEL_QUEUES]; /* a guess at the ids in use, so that many steps hit something */
    uint64_t next_move;
    uint32_t profile; /* what the story is mostly about */
    int focus;        /* and in which queue */
};

static uint32_t pick(struct chooser *c, uint32_t n)
{
    return c->choose(c->user, n);
}

static bool one_in(struct chooser *c, uint32_t n)
{
    return pick(c, n) == 0;
}

static int64_t time_or(struct chooser *c, uint32_t often, int64_t otherwise)
{
    static const int64_t times[] = {0, 1, 7, 64, 100, 500, 1000, 4096, 5000, 20000};
    return one_in(c, often) ? times[pick(c, sizeof times / sizeof *times)] : otherwise;
}

/* Ends of lives fall on other milliseconds than everything else: what comes first within one is not their subject. */
static int64_t life_or(struct chooser *c, uint32_t often, int64_t otherwise)
{
    static const int64_t times[] = {0, 103, 513, 1023, 5003, 20033};
    return one_in(c, often) ? times[pick(c, sizeof times / sizeof *times)] : otherwise;
}

static int64_t keep_or(struct chooser *c, uint32_t often, int64_t otherwise)
{
    static const int64_t times[] = {0, 219, 1039, 5029, 20069};
    return one_in(c, often) ? times[pick(c, sizeof times / sizeof *times)] : otherwise;
}

static void no_attributes(struct step_attributes *a)
{
#define X(name) a->name = -1;
    STEP_ATTRIBUTES(X)
#undef X
    a->dead_letter = a->backoff = -1;
}

static void invent_attributes(struct chooser *c, struct step_attributes *a, int queue)
{
    no_attributes(a);
    if (one_in(c, 2))
        a->visibility = 100 + time_or(c, 1, 0);
    if (one_in(c, 8))
        a->max_hold = 400 + time_or(c, 1, 0);
    a->delay = one_in(c, 8) ? time_or(c, 1, 0) / 8 : -1;
    a->retention = keep_or(c, 4, -1);
    a->ttl = life_or(c, 5, -1);
    a->ttl += a->ttl > 0 ? 4 : 0;
    if (one_in(c, 2))
        a->max_attempts = pick(c, 4);
    if (one_in(c, 3))
        a->max_messages = pick(c, 8);
    if (one_in(c, 6))
        a->max_bytes = pick(c, 200);
    if (one_in(c, 2))
        a->overflow = pick(c, 3);
    if (one_in(c, 2))
        a->dead_letter = one_in(c, 6) ? -2 : one_in(c, 4) ? (int)pick(c, MODEL_QUEUES) : queue ^ 1;
    if (one_in(c, 4))
        a->dead_letter_expired = pick(c, 2);
    if (one_in(c, 3))
        a->backoff = (int)pick(c, STEP_BACKOFFS);
    if (one_in(c, 3))
        a->dedup_window = time_or(c, 1, 0);
    if (one_in(c, 8))
        a->content_dedup = pick(c, 2);
    if (one_in(c, 3))
        a->sticky_groups = pick(c, 2);
    if (one_in(c, 3))
        a->group_prefetch = 1 + pick(c, 3);
}

static void invent_refs(struct chooser *c, struct step *s)
{
    s->ref_count = 1 + (int)pick(c, STEP_REFS);
    for (int i = 0; i < s->ref_count; i++) {
        uint64_t back = pick(c, 12);
        s->refs[i].id = c->next_id[s->queue] > back ? c->next_id[s->queue] - back : 1;
        s->refs[i].attempt = one_in(c, 4) ? pick(c, 4) : 0;
    }
}

static void invent_message(struct chooser *c, struct step_message *m, bool fifo)
{
    *m = (struct step_message){.body = (char)('a' + pick(c, 26)), .bytes = 1 + pick(c, 60)};
    m->delay = time_or(c, 6, -1);
    m->ttl = life_or(c, 6, -1);
    if (fifo ? !one_in(c, 20) : one_in(c, 5))
        m->group = (char)('g' + pick(c, 3));
    if (one_in(c, 3))
        m->dedup = (char)('1' + pick(c, 4));
    if (one_in(c, 4))
        m->header = (char)('a' + pick(c, 3));
    if (one_in(c, fifo ? 30 : 3))
        m->priority = (uint8_t)pick(c, 10);
    m->wrong = one_in(c, 40);
}

static void invent_messages(struct chooser *c, struct step *s, bool fifo)
{
    s->message_count = 1 + (int)pick(c, STEP_MESSAGES);
    for (int i = 0; i < s->message_count; i++)
        invent_message(c, &s->messages[i], fifo);
}

static void invent_commit(struct chooser *c, struct step *s)
{
    int left = STEP_MESSAGES, topics = (int)pick(c, 2);
    if (!one_in(c, 3))
        invent_refs(c, s);
    s->part_count = (int)pick(c, STEP_PARTS + 1);
    if (s->part_count == 0 && s->ref_count == 0)
        s->part_count = 1;
    for (int i = 0; i < s->part_count; i++) {
        struct step_part *part = &s->parts[i];
        part->topic = i >= s->part_count - topics;
        part->target = (int)pick(c, part->topic ? MODEL_TOPICS : MODEL_QUEUES);
        part->key = (int)pick(c, STEP_KEYS);
        part->count = 1 + (int)pick(c, 2);
        if (part->count > left - (s->part_count - i - 1))
            part->count = 1;
        for (int n = 0; n < part->count; n++)
            invent_message(c, &s->messages[s->message_count++], part->topic || part->target >= 2);
        left -= part->count;
        if (!part->topic)
            c->next_id[part->target] += (uint64_t)part->count;
    }
}

static enum step_op invent_op(struct chooser *c)
{
    static const struct {
        enum step_op op;
        uint32_t weight;
    } weights[] = {
        {STEP_PUBLISH, 22},     {STEP_RECEIVE, 14},  {STEP_CONSUME, 6},     {STEP_ACK, 12},
        {STEP_NACK, 9},         {STEP_AT, 14},       {STEP_EXTEND, 3},      {STEP_PARK, 3},
        {STEP_KICK, 3},         {STEP_DISCARD, 2},   {STEP_PEEK, 3},        {STEP_INFO, 2},
        {STEP_CREDIT, 3},       {STEP_CANCEL, 3},    {STEP_CLOSE, 3},       {STEP_FULL, 2},
        {STEP_DRAINED, 3},      {STEP_PAUSE, 1},     {STEP_RESUME, 2},      {STEP_PURGE, 1},
        {STEP_UPDATE, 3},       {STEP_CREATE, 4},    {STEP_DELETE, 1},      {STEP_COUNTERS, 1},
        {STEP_WRITTEN, 3},      {STEP_UNWRITTEN, 2}, {STEP_STATE, 8},       {STEP_TOPIC_CREATE, 1},
        {STEP_TOPIC_DELETE, 1}, {STEP_SUBSCRIBE, 4}, {STEP_UNSUBSCRIBE, 1}, {STEP_PUBLISH_TOPIC, 5},
        {STEP_COMMIT, 8},       {STEP_MOVE, 3},      {STEP_MOVES, 1},       {STEP_MOVE_CANCEL, 1},
        {STEP_TOPIC_INFO, 1},
    };
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        sum += weights[i].weight;
    uint32_t n = pick(c, sum);
    size_t i = 0;
    for (; n >= weights[i].weight; i++)
        n -= weights[i].weight;
    return weights[i].op;
}

/* Every third step of a story about something has to do with it. */
static enum step_op invent_op_of_story(struct chooser *c)
{
    static const enum step_op favourites[][5] = {
        {STEP_PUBLISH_TOPIC, STEP_PUBLISH_TOPIC, STEP_SUBSCRIBE, STEP_COMMIT, STEP_ACK},
        {STEP_CONSUME, STEP_CANCEL, STEP_CLOSE, STEP_CREDIT, STEP_NACK},
        {STEP_MOVE, STEP_MOVE, STEP_NACK, STEP_UPDATE, STEP_AT},
        {STEP_PUBLISH, STEP_PUBLISH, STEP_ACK, STEP_RECEIVE, STEP_AT},
    };
    if (c->profile < sizeof favourites / sizeof *favourites && one_in(c, 3))
        return favourites[c->profile][pick(c, 5)];
    return invent_op(c);
}

static void invent_consume(struct chooser *c, struct step *s)
{
    s->max = pick(c, 5);
    s->flag = one_in(c, 6);
    s->second = one_in(c, 4) ? 100 + time_or(c, 1, 0) : -1;
    s->exclusive = one_in(c, 15);
    s->single = one_in(c, 8);
    if (one_in(c, 3))
        s->priority = pick(c, 3);
    if (one_in(c, 3))
        s->group_prefetch = 1 + pick(c, 3);
}

/* Steps of topics and moves, and those that store messages. */
static bool invent_new(struct chooser *c, struct step *s)
{
    switch (s->op) {
    case STEP_PUBLISH:
        s->flag = one_in(c, 5);
        s->number = s->peer ? time_or(c, 1, 0) : 0;
        invent_messages(c, s, s->queue >= 2);
        c->next_id[s->queue] += (uint64_t)s->message_count;
        return true;
    case STEP_PUBLISH_TOPIC:
        s->flag = one_in(c, 4);
        s->number = s->peer ? time_or(c, 1, 0) : 0;
        invent_messages(c, s, !one_in(c, 3));
        return true;
    case STEP_COMMIT:
        invent_commit(c, s);
        return true;
    case STEP_MOVE:
        s->to = one_in(c, 3) ? -1 : one_in(c, 4) ? (int)pick(c, MODEL_QUEUES) : s->queue ^ 1;
        s->number = one_in(c, 2) ? 1 + pick(c, 20) : 0;
        s->second = one_in(c, 3) ? 1 + pick(c, 3) : 0;
        c->next_move++;
        return true;
    case STEP_MOVE_CANCEL:
        s->number = 1 + (int64_t)pick(c, (uint32_t)c->next_move + 1);
        return true;
    default:
        return false;
    }
}

static void invent_arguments(struct chooser *c, struct step *s)
{
    switch (s->op) {
    case STEP_CREATE:
    case STEP_UPDATE:
        invent_attributes(c, &s->attributes, s->queue);
        if (s->op == STEP_CREATE && !one_in(c, 3))
            s->attributes.type = one_in(c, 8) ? pick(c, 2) : s->queue >= 2;
        break;
    case STEP_PURGE:
        s->number = (int64_t)pick(c, 5) - 1;
        s->together = false; /* credit for what is purged comes back with the turn */
        break;
    case STEP_CONSUME:
        invent_consume(c, s);
        break;
    case STEP_CREDIT:
        s->number = pick(c, 6);
        break;
    case STEP_RECEIVE:
        s->max = 1 + pick(c, 4);
        s->second = time_or(c, 2, 0);
        break;
    case STEP_ACK:
        s->flag = one_in(c, 4);
        invent_refs(c, s);
        break;
    case STEP_NACK:
        s->flag = one_in(c, 4);
        s->note = s->flag || one_in(c, 4);
        s->number = s->flag ? -1 : time_or(c, 2, -1);
        invent_refs(c, s);
        break;
    case STEP_EXTEND:
        s->number = time_or(c, 1, 0);
        invent_refs(c, s);
        break;
    case STEP_PARK:
    case STEP_DISCARD:
    case STEP_WRITTEN:
    case STEP_UNWRITTEN:
        invent_refs(c, s);
        break;
    case STEP_KICK:
        s->number = 1 + pick(c, 4);
        break;
    case STEP_PEEK:
        s->number = pick(c, 20);
        s->second = 1 + pick(c, 10);
        break;
    case STEP_AT:
        c->now_ms += 1 + time_or(c, 1, 0);
        s->number = c->now_ms;
        break;
    default:
        break;
    }
}

static bool of_peer(enum step_op op)
{
    return op == STEP_CONSUME || op == STEP_CREDIT || op == STEP_CANCEL || op == STEP_RECEIVE || op == STEP_CLOSE ||
           op == STEP_FULL || op == STEP_DRAINED;
}

static void invent(struct chooser *c, struct step *s)
{
    memset(s, 0, sizeof *s);
    s->op = invent_op_of_story(c);
    if (of_peer(s->op) || ((s->op == STEP_PUBLISH || s->op == STEP_PUBLISH_TOPIC) && one_in(c, 3)))
        s->peer = (char)('A' + pick(c, 4));
    s->queue = one_in(c, 3) ? (int)pick(c, MODEL_QUEUES) : c->focus;
    s->topic = (int)pick(c, MODEL_TOPICS);
    s->key = (int)pick(c, STEP_KEYS);
    s->pattern = (int)pick(c, STEP_PATTERNS);
    s->filter = (int)pick(c, STEP_FILTERS);
    s->together = one_in(c, 4);
    s->consumer = 1 + pick(c, 3);
    if (!invent_new(c, s))
        invent_arguments(c, s);
}

void steps_invent(struct step *steps, size_t count, uint32_t (*choose)(void *user, uint32_t n), void *user)
{
    struct chooser c = {.choose = choose, .user = user};
    size_t n = 0;
    c.profile = pick(&c, 6);
    c.focus = one_in(&c, 3) ? (int)pick(&c, MODEL_QUEUES) : 2;
    for (int q = 0; q < MODEL_QUEUES && n < count; q++, n++) {
        steps[n] = (struct step){.op = STEP_CREATE, .queue = q};
        no_attributes(&steps[n].attributes);
        steps[n].attributes.type = q >= 2;
        steps[n].attributes.dedup_scope = pick(&c, 2);
    }
    for (int q = 0; q < MODEL_QUEUES && n < count; q++, n++) {
        steps[n] = (struct step){.op = STEP_UPDATE, .queue = q};
        invent_attributes(&c, &steps[n].attributes, q);
        if (c.profile == 0)
            steps[n].attributes.max_messages = 1 + pick(&c, 4);
    }
    for (int t = 0; t < MODEL_TOPICS && n < count; t++)
        steps[n++] = (struct step){.op = STEP_TOPIC_CREATE, .topic = t};
    for (int q = 0; q < MODEL_QUEUES && n < count && c.profile == 0; q++, n++)
        steps[n] = (struct step){.op = STEP_SUBSCRIBE, .queue = q};
    for (; n + 2 * MODEL_QUEUES + 2 < count; n++)
        invent(&c, &steps[n]);
    for (int q = 0; q < MODEL_QUEUES && n < count; q++) {
        steps[n++] = (struct step){.op = STEP_PEEK, .queue = q, .second = 40};
        if (n < count)
            steps[n++] = (struct step){.op = STEP_COUNTERS, .queue = q};
    }
    if (n < count)
        steps[n++] = (struct step){.op = STEP_STATE};
    if (n < count)
        steps[n] = (struct step){.op = STEP_MOVES};
}

void steps_end_turns(struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (i + 1 == count || steps[i + 1].op == STEP_AT)
            steps[i].together = false;
}
