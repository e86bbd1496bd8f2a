/* Steps of a story as text. */
#include "tests/model/model.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct step_backoff step_backoffs[STEP_BACKOFFS] = {{0, 2, 0}, {50, 2, 0}, {10, 3, 100}, {500, 1, 0}};
const char *const step_keys[STEP_KEYS] = {"-", "a", "b", "a.b", "a.b.a"};
const char *const step_patterns[STEP_PATTERNS] = {NULL, "#", "a", "*", "a.#", "*.b", "#.a"};
const char *const step_filters[STEP_FILTERS] = {NULL, "h:xa", "h:prefix:xb", "h:exists:false", "h:anything-but:xa"};

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
    assert(n >= 0 && (size_t)n < t->room - t->bytes);
    t->bytes += (size_t)n;
}

static void put_attributes(struct text *t, const struct step_attributes *a)
{
    static const char *const types[] = {"standard", "fifo"}, *const scopes[] = {"queue", "group"};
    static const char *const overflows[] = {"reject", "drop_oldest", "dead_letter_oldest"};
#define X(name)                                                                         \
    if (a->name >= 0 && strcmp(#name, "type") != 0 && strcmp(#name, "overflow") != 0 && \
        strcmp(#name, "dedup_scope") != 0)                                              \
        put(t, " " #name "=%" PRId64, a->name);
    STEP_ATTRIBUTES(X)
#undef X
    if (a->type >= 0)
        put(t, " type=%s", types[a->type]);
    if (a->overflow >= 0)
        put(t, " overflow=%s", overflows[a->overflow]);
    if (a->dedup_scope >= 0)
        put(t, " dedup_scope=%s", scopes[a->dedup_scope]);
    if (a->dead_letter == -2)
        put(t, " dead_letter=nil");
    else if (a->dead_letter >= 0)
        put(t, " dead_letter=q%d", a->dead_letter);
    if (a->backoff < 0)
        return;
    const struct step_backoff *b = &step_backoffs[a->backoff];
    if (b->base_ms)
        put(t, " backoff=%" PRId64 "/%d/%" PRId64, b->base_ms, b->factor, b->cap_ms);
    else
        put(t, " backoff=nil");
}

static void put_refs(struct text *t, const struct step *s)
{
    for (int i = 0; i < s->ref_count; i++) {
        put(t, " %" PRIu64, s->refs[i].id);
        if (s->refs[i].attempt)
            put(t, "#%u", s->refs[i].attempt);
    }
}

static void put_messages(struct text *t, const struct step_message *messages, int count)
{
    for (int i = 0; i < count; i++) {
        const struct step_message *m = &messages[i];
        put(t, " %c,size=%u", m->body, m->bytes);
        if (m->delay >= 0)
            put(t, ",delay=%" PRId64, m->delay);
        if (m->ttl >= 0)
            put(t, ",ttl=%" PRId64, m->ttl);
        if (m->group)
            put(t, ",group=%c", m->group);
        if (m->dedup)
            put(t, ",dedup=%c", m->dedup);
        if (m->header)
            put(t, ",h=h:x%c", m->header);
        if (m->priority)
            put(t, ",priority=%u", m->priority);
        if (m->wrong)
            put(t, ",wrong=1");
    }
}

static void put_parts(struct text *t, const struct step *s)
{
    const char *before = "";
    const struct step_message *messages = s->messages;
    if (s->ref_count) {
        put(t, " ack q%d", s->queue);
        put_refs(t, s);
        before = " |";
    }
    for (int i = 0; i < s->part_count; i++) {
        const struct step_part *part = &s->parts[i];
        if (part->topic)
            put(t, "%s topic t%d %s", before, part->target, step_keys[part->key]);
        else
            put(t, "%s publish q%d", before, part->target);
        put_messages(t, messages, part->count);
        messages += part->count;
        before = " |";
    }
}

static void put_consume(struct text *t, const struct step *s)
{
    put(t, " prefetch=%u%s%s%s", s->max, s->flag ? " auto" : "", s->exclusive ? " exclusive" : "",
        s->single ? " single" : "");
    if (s->second >= 0)
        put(t, " visibility=%" PRId64, s->second);
    if (s->priority)
        put(t, " priority=%u", s->priority);
    if (s->group_prefetch)
        put(t, " group_prefetch=%u", s->group_prefetch);
}

static void put_publish(struct text *t, const struct step *s)
{
    if (s->op == STEP_PUBLISH_TOPIC)
        put(t, " %s", step_keys[s->key]);
    if (s->flag)
        put(t, s->op == STEP_PUBLISH ? " atomic" : " mandatory");
    if (s->peer && s->number > 0)
        put(t, " wait=%" PRId64, s->number);
    put_messages(t, s->messages, s->message_count);
}

static void put_nack(struct text *t, const struct step *s)
{
    if (s->flag)
        put(t, " dead");
    if (s->note)
        put(t, " note=n");
    if (s->number >= 0)
        put(t, " delay=%" PRId64, s->number);
    put_refs(t, s);
}

static void put_subscription(struct text *t, const struct step *s)
{
    put(t, " q%d", s->queue);
    if (step_patterns[s->pattern])
        put(t, " pattern=%s", step_patterns[s->pattern]);
    if (s->op == STEP_SUBSCRIBE && step_filters[s->filter])
        put(t, " filter=%s", step_filters[s->filter]);
}

static void put_discard(struct text *t, const struct step *s)
{
    for (int i = 0; i < s->ref_count; i++)
        put(t, "%s%" PRIu64, i ? "," : " ids=", s->refs[i].id);
}

static void put_move(struct text *t, const struct step *s)
{
    if (s->to >= 0)
        put(t, " to=q%d", s->to);
    if (s->number)
        put(t, " rate=%" PRId64, s->number);
    if (s->second)
        put(t, " max=%" PRId64, s->second);
}

/* What follows the verb and the queue. */
static void put_arguments(struct text *t, const struct step *s)
{
    static const char *const states[] = {"delayed", "ready", "inflight", "parked"};
    switch (s->op) {
    case STEP_CREATE:
    case STEP_UPDATE:
        put_attributes(t, &s->attributes);
        break;
    case STEP_PURGE:
        if (s->number >= 0)
            put(t, " %s", states[s->number]);
        break;
    case STEP_PUBLISH:
    case STEP_PUBLISH_TOPIC:
        put_publish(t, s);
        break;
    case STEP_CONSUME:
        put_consume(t, s);
        break;
    case STEP_CREDIT:
        put(t, " %" PRIu64 " %" PRId64, s->consumer, s->number);
        break;
    case STEP_CANCEL:
        put(t, " %" PRIu64, s->consumer);
        break;
    case STEP_RECEIVE:
        put(t, " max=%u wait=%" PRId64, s->max, s->second);
        break;
    case STEP_ACK:
        put(t, "%s", s->flag ? " multiple" : "");
        put_refs(t, s);
        break;
    case STEP_NACK:
        put_nack(t, s);
        break;
    case STEP_EXTEND:
        put(t, " %" PRId64, s->number);
        put_refs(t, s);
        break;
    case STEP_PARK:
    case STEP_WRITTEN:
    case STEP_UNWRITTEN:
        put_refs(t, s);
        break;
    case STEP_KICK:
    case STEP_AT:
    case STEP_MOVE_CANCEL:
        put(t, " %" PRId64, s->number);
        break;
    case STEP_DISCARD:
        put_discard(t, s);
        break;
    case STEP_PEEK:
        put(t, " from=%" PRId64 " max=%" PRId64, s->number, s->second);
        break;
    case STEP_SUBSCRIBE:
    case STEP_UNSUBSCRIBE:
        put_subscription(t, s);
        break;
    case STEP_COMMIT:
        put_parts(t, s);
        break;
    case STEP_MOVE:
        put_move(t, s);
        break;
    default:
        break;
    }
}

size_t step_print(const struct step *s, char *out, size_t room)
{
    static const struct {
        const char *verb;
        bool of_queue, of_peer;
    } rows[STEP_OPS] = {
#define X(id, verb, of_queue, of_peer) {verb, of_queue, of_peer},
        STEP_LIST(X)
#undef X
    };
    struct text t = {out, 0, room};
    put(&t, "%c ", s->together ? '+' : '>');
    if (rows[s->op].of_peer && s->peer)
        put(&t, "%c ", s->peer);
    put(&t, "%s", rows[s->op].verb);
    if (rows[s->op].of_queue)
        put(&t, " q%d", s->queue);
    if ((s->op >= STEP_TOPIC_CREATE && s->op <= STEP_UNSUBSCRIBE) || s->op == STEP_PUBLISH_TOPIC)
        put(&t, " t%d", s->topic);
    put_arguments(&t, s);
    put(&t, "\n");
    return t.bytes;
}
