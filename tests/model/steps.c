/* Steps of a story: random ones, and their text. */
#include "tests/model/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *out;
    size_t bytes, room;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->out + t->bytes, t->room - t->bytes, format, args);
    va_end(args);
    t->bytes += n > 0 ? (size_t)n : 0;
}

static void put_attributes(struct text *t, const struct step_attributes *a)
{
#define PUT(name)     \
    if (a->name >= 0) \
        put(t, " " #name "=%" PRId64, a->name);
    PUT(visibility)
    PUT(delay)
    PUT(retention)
    PUT(ttl)
    PUT(max_attempts)
    PUT(max_messages)
    PUT(max_bytes)
#undef PUT
    if (a->overflow >= 0)
        put(t, " overflow=%s", a->overflow ? "drop_oldest" : "reject");
}

static void put_refs(struct text *t, const struct step *s)
{
    for (int i = 0; i < s->ref_count; i++) {
        put(t, " %" PRIu64, s->refs[i].id);
        if (s->refs[i].attempt)
            put(t, "#%u", s->refs[i].attempt);
    }
}

static void put_messages(struct text *t, const struct step *s)
{
    for (int i = 0; i < s->message_count; i++) {
        put(t, " %c,size=%u", s->messages[i].body, s->messages[i].bytes);
        if (s->messages[i].delay >= 0)
            put(t, ",delay=%" PRId64, s->messages[i].delay);
        if (s->messages[i].ttl >= 0)
            put(t, ",ttl=%" PRId64, s->messages[i].ttl);
    }
}

static const char *const verbs[STEP_OPS] = {
    "create",  "update", "delete", "purge",   "pause",   "resume", "info",    "counters",  "publish",
    "consume", "credit", "cancel", "receive", "ack",     "nack",   "extend",  "park",      "kick",
    "discard", "peek",   "close",  "full",    "drained", "at",     "written", "unwritten",
};

static const char *const states[] = {"delayed", "ready", "inflight", "parked"};

static bool of_peer(enum step_op op)
{
    return op == STEP_CONSUME || op == STEP_CREDIT || op == STEP_CANCEL || op == STEP_RECEIVE || op == STEP_CLOSE ||
           op == STEP_FULL || op == STEP_DRAINED;
}

static bool of_queue(enum step_op op)
{
    return op != STEP_AT && op != STEP_CREDIT && op != STEP_CANCEL && op != STEP_CLOSE && op != STEP_FULL &&
           op != STEP_DRAINED;
}

size_t step_print(const struct step *s, char *out, size_t room)
{
    struct text t = {out, 0, room};
    put(&t, "%c ", s->together ? '+' : '>');
    if (of_peer(s->op))
        put(&t, "%c ", s->peer);
    put(&t, "%s", verbs[s->op]);
    if (of_queue(s->op))
        put(&t, " q%d", s->queue);
    if (s->op == STEP_CREATE || s->op == STEP_UPDATE)
        put_attributes(&t, &s->attributes);
    if (s->op == STEP_PURGE && s->number >= 0)
        put(&t, " %s", states[s->number]);
    if (s->op == STEP_PUBLISH)
        put(&t, "%s", s->flag ? " atomic" : "");
    if (s->op == STEP_CREDIT || s->op == STEP_CANCEL)
        put(&t, " %" PRIu64, s->consumer);
    if (s->op == STEP_CREDIT || s->op == STEP_EXTEND || s->op == STEP_AT || s->op == STEP_KICK)
        put(&t, " %" PRId64, s->number);
    if (s->op == STEP_CONSUME)
        put(&t, " prefetch=%u%s", s->max, s->flag ? " auto" : "");
    if (s->op == STEP_CONSUME && s->second >= 0)
        put(&t, " visibility=%" PRId64, s->second);
    if (s->op == STEP_RECEIVE)
        put(&t, " max=%u wait=%" PRId64, s->max, s->second);
    if (s->op == STEP_ACK)
        put(&t, "%s", s->flag ? " multiple" : "");
    if (s->op == STEP_NACK)
        put(&t, "%s", s->flag ? " dead note=n" : "");
    if (s->op == STEP_NACK && s->number >= 0)
        put(&t, " delay=%" PRId64, s->number);
    if (s->op == STEP_PEEK)
        put(&t, " from=%" PRId64 " max=%" PRId64, s->number, s->second);
    if (s->op == STEP_DISCARD) {
        for (int i = 0; i < s->ref_count; i++)
            put(&t, "%s%" PRIu64, i ? "," : " ids=", s->refs[i].id);
    } else {
        put_refs(&t, s);
    }
    put_messages(&t, s);
    put(&t, "\n");
    return t.bytes;
}

/* ---- invention --------------------------------------------------------------------------------------------------- */

struct chooser {
    uint32_t (*choose)(void *user, uint32_t n);
    void *user;
    int64_t now_ms;
    uint64_t next_id; /* a guess at the ids in use, so that many steps hit something */
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

static void invent_attributes(struct chooser *c, struct step_attributes *a)
{
    *a = (struct step_attributes){-1, -1, -1, -1, -1, -1, -1, -1};
    if (one_in(c, 2))
        a->visibility = 100 + time_or(c, 1, 0);
    a->delay = time_or(c, 6, -1);
    a->retention = time_or(c, 4, -1);
    a->ttl = time_or(c, 4, -1);
    if (one_in(c, 3))
        a->max_attempts = pick(c, 4);
    if (one_in(c, 4))
        a->max_messages = pick(c, 8);
    if (one_in(c, 6))
        a->max_bytes = pick(c, 200);
    if (one_in(c, 3))
        a->overflow = pick(c, 2);
}

static void invent_refs(struct chooser *c, struct step *s)
{
    s->ref_count = 1 + (int)pick(c, STEP_REFS);
    for (int i = 0; i < s->ref_count; i++) {
        uint64_t back = pick(c, 12);
        s->refs[i].id = c->next_id > back ? c->next_id - back : 1;
        s->refs[i].attempt = one_in(c, 4) ? pick(c, 4) : 0;
    }
}

static void invent_messages(struct chooser *c, struct step *s)
{
    s->message_count = 1 + (int)pick(c, STEP_MESSAGES);
    for (int i = 0; i < s->message_count; i++) {
        s->messages[i].body = (char)('a' + pick(c, 26));
        s->messages[i].bytes = 1 + pick(c, 60);
        s->messages[i].delay = time_or(c, 5, -1);
        s->messages[i].ttl = time_or(c, 5, -1);
    }
    c->next_id += (uint64_t)s->message_count;
}

static enum step_op invent_op(struct chooser *c)
{
    static const struct {
        enum step_op op;
        uint32_t weight;
    } weights[] = {
        {STEP_PUBLISH, 20},  {STEP_RECEIVE, 14}, {STEP_CONSUME, 5}, {STEP_ACK, 12},     {STEP_NACK, 8},
        {STEP_AT, 14},       {STEP_EXTEND, 4},   {STEP_PARK, 3},    {STEP_KICK, 3},     {STEP_DISCARD, 2},
        {STEP_PEEK, 3},      {STEP_INFO, 6},     {STEP_CREDIT, 3},  {STEP_CANCEL, 2},   {STEP_CLOSE, 2},
        {STEP_FULL, 2},      {STEP_DRAINED, 3},  {STEP_PAUSE, 1},   {STEP_RESUME, 2},   {STEP_PURGE, 1},
        {STEP_UPDATE, 2},    {STEP_CREATE, 2},   {STEP_DELETE, 1},  {STEP_COUNTERS, 1}, {STEP_WRITTEN, 3},
        {STEP_UNWRITTEN, 2},
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

static void invent(struct chooser *c, struct step *s)
{
    memset(s, 0, sizeof *s);
    s->op = invent_op(c);
    s->peer = (char)('A' + pick(c, 4));
    s->queue = (int)pick(c, 8) < 6 ? 0 : (int)pick(c, MODEL_QUEUES);
    s->together = one_in(c, 4);
    s->consumer = 1 + pick(c, 3);
    switch (s->op) {
    case STEP_CREATE:
    case STEP_UPDATE:
        invent_attributes(c, &s->attributes);
        break;
    case STEP_PURGE:
        s->number = (int64_t)pick(c, 5) - 1;
        s->together = false; /* credit for what is purged comes back with the turn */
        break;
    case STEP_PUBLISH:
        s->flag = one_in(c, 6);
        invent_messages(c, s);
        break;
    case STEP_CONSUME:
        s->max = pick(c, 5);
        s->flag = one_in(c, 5);
        s->second = one_in(c, 4) ? 100 + time_or(c, 1, 0) : -1;
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
        s->flag = one_in(c, 5);
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

void steps_invent(struct step *steps, size_t count, uint32_t (*choose)(void *user, uint32_t n), void *user)
{
    struct chooser c = {choose, user, 0, 0};
    size_t n = 0;
    for (int q = 0; q < MODEL_QUEUES && n < count; q++, n++) {
        steps[n] = (struct step){.op = STEP_CREATE, .queue = q};
        invent_attributes(&c, &steps[n].attributes);
    }
    for (; n + 2 * MODEL_QUEUES < count; n++)
        invent(&c, &steps[n]);
    for (int q = 0; q < MODEL_QUEUES && n < count; q++) {
        steps[n++] = (struct step){.op = STEP_PEEK, .queue = q, .second = 40};
        if (n < count)
            steps[n++] = (struct step){.op = STEP_COUNTERS, .queue = q};
    }
}

void steps_end_turns(struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (i + 1 == count || steps[i + 1].op == STEP_AT)
            steps[i].together = false;
}
