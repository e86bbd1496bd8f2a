/* What the broker says, as text. */
#include "tests/sim/story_parts.h"

void story_say(struct story *s, const char *format, ...)
{
    char line[LINE_ROOM];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert_true(n >= 0 && n < LINE_ROOM);
    story_put(&s->out, line, (size_t)n);
}

void story_say_error(struct story *s, enum error_code code)
{
    s->refused = true;
    story_say(s, "  %s%s%s\n", error_name(code), s->broker.which ? " " : "", s->broker.which ? s->broker.which : "");
}

void story_say_outcomes(struct story *s, const char *indent, const struct outcome *outcomes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct outcome *o = &outcomes[i];
        if (o->code == ERR_NONE)
            story_say(s, "%s[%u] duplicate of %" PRIu64 "\n", indent, o->index, o->id);
        else
            story_say(s, "%s[%u] %s%s%s\n", indent, o->index, error_name(o->code), o->which ? " " : "",
                      o->which ? o->which : "");
    }
}

void story_say_ids(struct story *s, uint64_t first_id, uint32_t stored)
{
    if (stored > 1)
        story_say(s, "ids %" PRIu64 "..%" PRIu64 "\n", first_id, first_id + stored - 1);
    else if (stored == 1)
        story_say(s, "id %" PRIu64 "\n", first_id);
    else
        story_say(s, "nothing\n");
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

void story_say_message(struct story *s, const struct message *m)
{
    struct view body = message_body(m);
    story_say(s, " %" PRIu64 ":%.*s", m->id, body.bytes > 8 ? 8 : (int)body.bytes, (const char *)body.data);
}

static void say_header(struct story *s, const struct header *h)
{
    story_say(s, " %.*s=", (int)h->key.bytes, (const char *)h->key.data);
    if (h->kind == HEADER_UINT)
        story_say(s, "%" PRIu64, h->number);
    else
        story_say(s, "%.*s", (int)h->bytes.bytes, (const char *)h->bytes.data);
}

static bool is_key(const struct header *h, const char *key)
{
    return h->key.bytes == strlen(key) && memcmp(h->key.data, key, h->key.bytes) == 0;
}

/* The message's own headers as they lie there, then those that dead-lettering adds, in the order of the list. */
void story_say_headers(struct story *s, const struct message *m)
{
    static const char *const dead[] = {"dl_queue", "dl_id",   "dl_reason", "dl_attempts",
                                       "dl_first", "dl_last", "dl_note"};
    struct view rest = message_headers(m);
    for (struct header h; header_next(&rest, &h);)
        if (h.key.bytes < 3 || memcmp(h.key.data, "dl_", 3) != 0)
            say_header(s, &h);
    for (size_t i = 0; i < sizeof dead / sizeof *dead; i++) {
        unsigned found = 0;
        rest = message_headers(m);
        for (struct header h; header_next(&rest, &h);)
            if (is_key(&h, dead[i])) {
                say_header(s, &h);
                found++;
            }
        assert_true(found <= 1);
    }
}

static void remember_delivery(struct story *s, const struct delivery *d)
{
    if (s->seen_count == s->seen_cap) {
        s->seen_cap = s->seen_cap * 2 + 64;
        s->seen = realloc(s->seen, s->seen_cap * sizeof *s->seen);
        assert_non_null(s->seen);
    }
    const struct slot *slot = slots_find(&s->broker.slots, d->receipt);
    assert_non_null(slot);
    const struct queue *q = slot->at.page->ring->owner;
    struct seen *seen = &s->seen[s->seen_count++];
    *seen = (struct seen){.receipt = d->receipt, .id = d->message->id, .attempt = d->message->attempts};
    snprintf(seen->queue, sizeof seen->queue, "%s", q->name);
}

/* id:body/group^priority#attempt, the last three where they are not the usual ones. */
void story_say_deliveries(struct story *s, uint32_t first, uint32_t count)
{
    uint32_t at = first;
    for (uint32_t i = 0; i < count; i++) {
        const struct delivery *d = &s->broker.deliveries[at];
        const struct message *m = d->message;
        struct view group = message_group(m);
        story_say_message(s, m);
        if (group.bytes > 0)
            story_say(s, "/%.*s", (int)group.bytes, (const char *)group.data);
        if (m->priority > 0)
            story_say(s, "^%u", m->priority);
        if (m->attempts != 1)
            story_say(s, "#%u", m->attempts);
        remember_delivery(s, d);
        at = d->next;
    }
    story_say(s, count ? "\n" : " nothing\n");
}

/* ---- effects ----------------------------------------------------------------------------------------------------- */

static void say_published(struct story *s, char letter, const struct effect *e)
{
    const struct held_result *held = e->held;
    story_say(s, "  %c.p%" PRIu64 " ", letter, e->id);
    if (held->code != ERR_NONE)
        story_say(s, "%s%s%s\n", error_name(held->code), held->which ? " " : "", held->which ? held->which : "");
    else if (held->to_topic)
        story_say(s, "copies %" PRIu64 "\n", held->copies);
    else
        story_say_ids(s, held->first_id, held->stored);
    if (held->code == ERR_NONE)
        story_say_outcomes(s, "    ", held->outcomes, held->outcome_count);
}

static void say_effect(struct story *s, const struct effect *e)
{
    char letter = (char)(intptr_t)e->peer->user;
    switch (e->kind) {
    case EFFECT_DELIVER:
        story_say(s, "  %c/%" PRIu64 " gets", letter, e->id);
        story_say_deliveries(s, e->first, e->count);
        break;
    case EFFECT_ANSWER:
        story_say(s, "  %c.r%" PRIu64 " gets", letter, e->id);
        story_say_deliveries(s, e->first, e->count);
        break;
    case EFFECT_REFUSE:
        story_say(s, "  %c.r%" PRIu64 " %s\n", letter, e->id, error_name(e->code));
        break;
    case EFFECT_CANCELLED:
        story_say(s, "  %c/%" PRIu64 " cancelled %s\n", letter, e->id, e->reason);
        break;
    case EFFECT_PUBLISHED:
        say_published(s, letter, e);
        break;
    }
}

static int compare_effects(const void *a, const void *b)
{
    const struct effect *x = a, *y = b;
    intptr_t peers = (intptr_t)x->peer->user - (intptr_t)y->peer->user;
    if (peers != 0)
        return peers < 0 ? -1 : 1;
    return x->id != y->id ? (x->id < y->id ? -1 : 1) : (int)x->kind - (int)y->kind;
}

void story_say_effects(struct story *s)
{
    struct effect *effects = s->broker.effects;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->broker.effect_count; i++)
        if (effects[i].peer)
            effects[count++] = effects[i];
    if (count > 1)
        qsort(effects, count, sizeof *effects, compare_effects);
    for (uint32_t i = 0; i < count; i++)
        say_effect(s, &effects[i]);
    broker_effects_done(&s->broker);
}
