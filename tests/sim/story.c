#include "tests/sim/story.h"

#include "server/broker/broker.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_WORDS    64
#define NO_NUMBER    (-1)
#define ENDLESS_ROOM ((int64_t)1 << 50)
#define LINE_ROOM    2048 /* no single thing that is said is longer */

/* A delivery that somebody has seen: the story names it by message and attempt. */
struct seen {
    uint64_t receipt, id;
    uint32_t attempt;
    char queue[LIMIT_NAME_BYTES + 1];
};

struct story {
    struct broker broker;
    int64_t now_ms;
    struct peer peers[26];
    bool open[26];
    uint64_t next_token;
    struct seen *seen;
    size_t seen_count, seen_cap;
    char *out;
    size_t out_bytes, out_cap;
    char *words[MAX_WORDS];
    int word_count;
};

__attribute__((format(printf, 2, 3))) static void say(struct story *s, const char *format, ...)
{
    va_list args;
    if (s->out_cap - s->out_bytes < LINE_ROOM) {
        s->out_cap = s->out_cap * 2 + LINE_ROOM;
        s->out = realloc(s->out, s->out_cap);
        assert_non_null(s->out);
    }
    va_start(args, format);
    int n = vsnprintf(s->out + s->out_bytes, s->out_cap - s->out_bytes, format, args);
    va_end(args);
    assert_true(n >= 0 && n < LINE_ROOM);
    s->out_bytes += (size_t)n;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void split(struct story *s, char *line)
{
    s->word_count = 0;
    for (char *w = strtok(line, " "); w; w = strtok(NULL, " ")) {
        assert_true(s->word_count < MAX_WORDS);
        s->words[s->word_count++] = w;
    }
}

/* The text after "key=" among the words from `first` on, or NULL. */
static const char *option(const struct story *s, int first, const char *key)
{
    size_t bytes = strlen(key);
    for (int i = first; i < s->word_count; i++)
        if (strncmp(s->words[i], key, bytes) == 0 && s->words[i][bytes] == '=')
            return s->words[i] + bytes + 1;
    return NULL;
}

static int64_t number(const struct story *s, int first, const char *key, int64_t otherwise)
{
    const char *text = option(s, first, key);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

static bool flag(const struct story *s, int first, const char *word)
{
    for (int i = first; i < s->word_count; i++)
        if (strcmp(s->words[i], word) == 0)
            return true;
    return false;
}

static struct queue *queue_at(struct story *s, int word)
{
    assert_true(word < s->word_count);
    struct queue *q = broker_queue_find(&s->broker, s->words[word], strlen(s->words[word]));
    if (!q)
        say(s, "  QUEUE_NOT_FOUND\n");
    return q;
}

static struct peer *peer_at(struct story *s, int letter)
{
    int i = letter - 'A';
    if (!s->open[i]) {
        broker_peer_open(&s->peers[i], (void *)(intptr_t)letter, ENDLESS_ROOM);
        s->open[i] = true;
    }
    return &s->peers[i];
}

static void say_error(struct story *s, enum error_code code)
{
    say(s, "  %s%s%s\n", error_name(code), s->broker.which ? " " : "", s->broker.which ? s->broker.which : "");
}

static void say_outcomes(struct story *s)
{
    for (uint32_t i = 0; i < s->broker.outcome_count; i++) {
        const struct outcome *o = &s->broker.outcomes[i];
        say(s, "  [%u] %s%s%s\n", o->index, error_name(o->code), o->which ? " " : "", o->which ? o->which : "");
    }
}

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

static void say_deliveries(struct story *s, uint32_t first, uint32_t count)
{
    uint32_t at = first;
    for (uint32_t i = 0; i < count; i++) {
        const struct delivery *d = &s->broker.deliveries[at];
        const struct message *m = d->message;
        struct view body = message_body(m);
        const struct slot *slot = slots_find(&s->broker.slots, d->receipt);
        assert_non_null(slot);
        const struct queue *q = slot->at.page->ring->owner;
        say(s, " %" PRIu64 ":%.*s", m->id, body.bytes > 8 ? 8 : (int)body.bytes, (const char *)body.data);
        if (m->attempts != 1)
            say(s, "#%u", m->attempts);
        if (s->seen_count == s->seen_cap) {
            s->seen_cap = s->seen_cap * 2 + 64;
            s->seen = realloc(s->seen, s->seen_cap * sizeof *s->seen);
            assert_non_null(s->seen);
        }
        struct seen *seen = &s->seen[s->seen_count++];
        *seen = (struct seen){.receipt = d->receipt, .id = m->id, .attempt = m->attempts};
        snprintf(seen->queue, sizeof seen->queue, "%s", q->name);
        at = d->next;
    }
    say(s, count ? "\n" : " nothing\n");
}

static void say_effect(struct story *s, const struct effect *e)
{
    char letter = (char)(intptr_t)e->peer->user;
    switch (e->kind) {
    case EFFECT_DELIVER:
        say(s, "  %c/%" PRIu64 " gets", letter, e->id);
        say_deliveries(s, e->first, e->count);
        break;
    case EFFECT_ANSWER:
        say(s, "  %c.r%" PRIu64 " gets", letter, e->id);
        say_deliveries(s, e->first, e->count);
        break;
    case EFFECT_REFUSE:
        say(s, "  %c.r%" PRIu64 " %s\n", letter, e->id, error_name(e->code));
        break;
    case EFFECT_CANCELLED:
        say(s, "  %c/%" PRIu64 " cancelled %s\n", letter, e->id, e->reason);
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

/* What the turn has brought, sorted by who gets it. */
static void say_effects(struct story *s)
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

/* The receipt of the last delivery of message `word` ("id" or "id#attempt") of that queue. */
static uint64_t receipt_at(struct story *s, const char *queue, const char *word)
{
    char *end;
    uint64_t id = strtoull(word, &end, 10);
    uint32_t attempt = *end == '#' ? (uint32_t)strtoul(end + 1, NULL, 10) : 0;
    for (size_t i = s->seen_count; i > 0; i--) {
        const struct seen *seen = &s->seen[i - 1];
        if (seen->id == id && strcmp(seen->queue, queue) == 0 && (attempt == 0 || seen->attempt == attempt))
            return seen->receipt;
    }
    return 0; /* never seen: as stale as can be */
}

static uint32_t receipts(struct story *s, int queue_word, int first, uint64_t *out)
{
    uint32_t count = 0;
    for (int i = first; i < s->word_count; i++)
        if (s->words[i][0] >= '0' && s->words[i][0] <= '9')
            out[count++] = receipt_at(s, s->words[queue_word], s->words[i]);
    return count;
}

/* ---- what must always hold --------------------------------------------------------------------------------------- */

static void check(struct story *s)
{
    uint64_t inflight = 0;
    for (uint32_t i = 0; i < s->broker.queue_count; i++) {
        struct queue *q = s->broker.queues[i];
        const struct queue_counters *c = &q->counters;
        uint64_t left = c->acked + c->expired + c->purged + c->discarded + c->dropped;
        assert_int_equal(c->published, left + queue_total(q));
        inflight += queue_count(q, MESSAGE_INFLIGHT);
        uint64_t bytes[RING_STATES] = {0}, count[RING_STATES] = {0};
        for (unsigned state = 0; state < RING_DOOMED; state++) {
            struct ring_cursor at = ring_first(q->messages, state, 0);
            while (at.page) {
                const struct message *m = ring_item(at);
                assert_int_equal(m->id, ring_key(at));
                assert_true(m->id < q->next_id);
                if (state == MESSAGE_INFLIGHT || state == MESSAGE_DELAYED || state == MESSAGE_PARKED)
                    assert_int_not_equal(m->slot, MESSAGE_NO_SLOT);
                bytes[state] += m->body_bytes;
                count[state]++;
                at = ring_first(q->messages, state, m->id + 1);
            }
            assert_int_equal(count[state], queue_count(q, (enum message_state)state));
            assert_int_equal(bytes[state], q->state_bytes[state]);
        }
    }
    assert_int_equal(inflight, s->broker.inflight_count);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static bool attributes(struct story *s, struct attribute_set *set)
{
    memset(set, 0, sizeof *set);
    for (int i = 2; i < s->word_count; i++) {
        char *value = strchr(s->words[i], '=');
        assert_non_null(value);
        enum attribute a = attribute_find(s->words[i], (size_t)(value - s->words[i]));
        assert_int_not_equal(a, ATTRIBUTE_TOTAL);
        value++;
        int64_t n = attribute_row(a)->kind == ATTRIBUTE_CHOICE ? attribute_choice(a, value, strlen(value))
                                                               : strtoll(value, NULL, 10);
        *attribute_value(&set->values, a) = n;
        set->named |= 1u << a;
    }
    return true;
}

static void do_create(struct story *s)
{
    struct attribute_set set;
    attributes(s, &set);
    bool created = false;
    uint32_t differing = 0;
    enum error_code code = broker_queue_create(&s->broker, s->now_ms, s->words[1], strlen(s->words[1]), &set, &created,
                                               &differing);
    if (code != ERR_NONE)
        say_error(s, code);
    else if (!created)
        say(s, "  exists\n");
    for (unsigned a = 0; code == ERR_QUEUE_EXISTS && a < ATTRIBUTE_TOTAL; a++)
        if (differing >> a & 1)
            say(s, "  differs: %s\n", attribute_row((enum attribute)a)->name);
}

static void do_update(struct story *s)
{
    struct attribute_set set;
    attributes(s, &set);
    struct queue *q = queue_at(s, 1);
    enum error_code code = q ? broker_queue_update(&s->broker, q, &set) : ERR_NONE;
    if (code != ERR_NONE)
        say_error(s, code);
}

static void do_delete(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    uint64_t count = 0;
    if (!q)
        return;
    enum error_code code = broker_queue_delete(&s->broker, s->now_ms, q, flag(s, 2, "if_empty"),
                                               flag(s, 2, "if_unused"), &count);
    if (code != ERR_NONE)
        say_error(s, code);
    else
        say(s, "  %" PRIu64 "\n", count);
}

static unsigned states(const char *word)
{
    static const char *const names[] = {"delayed", "ready", "inflight", "parked"};
    for (unsigned i = 0; word && i < 4; i++)
        if (strcmp(names[i], word) == 0)
            return 1u << i;
    return 15;
}

static void do_purge(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    if (q)
        say(s, "  %" PRIu64 "\n", broker_queue_purge(&s->broker, q, states(s->word_count > 2 ? s->words[2] : NULL)));
}

static void do_pause(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    if (q)
        broker_queue_pause(&s->broker, q, strcmp(s->words[0], "pause") == 0);
}

static void do_info(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    if (q)
        say(s, "  delayed %" PRIu64 " ready %" PRIu64 " inflight %" PRIu64 " parked %" PRIu64 " bytes %" PRIu64 "\n",
            queue_count(q, MESSAGE_DELAYED), queue_count(q, MESSAGE_READY), queue_count(q, MESSAGE_INFLIGHT),
            queue_count(q, MESSAGE_PARKED), queue_body_bytes(q));
}

static void do_counters(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    if (!q)
        return;
    say(s, " ");
#define X(field, help)     \
    if (q->counters.field) \
        say(s, " %s %" PRIu64, #field, q->counters.field);
    QUEUE_COUNTER_LIST(X)
#undef X
    say(s, "\n");
}

static void do_list(struct story *s)
{
    say(s, " ");
    for (uint32_t i = 0; i < s->broker.queue_count; i++)
        say(s, " %s", s->broker.queues[i]->name);
    say(s, "\n");
}

/* A message of a publish: body,key=value,... */
static void publication(struct story *s, char *word, struct publication *p, char **filler)
{
    (void)s;
    *p = (struct publication){.delay_ms = NO_NUMBER, .ttl_ms = NO_NUMBER};
    char *rest = strchr(word, ',');
    p->body = (struct view){word, rest ? (size_t)(rest - word) : strlen(word)};
    while (rest) {
        char *item = rest + 1;
        rest = strchr(item, ',');
        char *value = strchr(item, '=') + 1;
        size_t bytes = rest ? (size_t)(rest - value) : strlen(value);
        if (strncmp(item, "delay=", 6) == 0) {
            p->delay_ms = strtoll(value, NULL, 10);
        } else if (strncmp(item, "ttl=", 4) == 0) {
            p->ttl_ms = strtoll(value, NULL, 10);
        } else if (strncmp(item, "group=", 6) == 0) {
            p->group = (struct view){value, bytes};
        } else if (strncmp(item, "size=", 5) == 0) {
            size_t size = strtoul(value, NULL, 10);
            *filler = malloc(size);
            assert_non_null(*filler);
            memset(*filler, '.', size);
            memcpy(*filler, p->body.data, p->body.bytes);
            p->body = (struct view){*filler, size};
        } else {
            fail_msg("what is %s", item);
        }
    }
}

static void do_publish(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    if (!q)
        return;
    bool atomic = s->word_count > 2 && strcmp(s->words[2], "atomic") == 0;
    struct publication items[MAX_WORDS];
    char *fillers[MAX_WORDS] = {0};
    uint32_t count = 0;
    for (int i = atomic ? 3 : 2; i < s->word_count; i++, count++)
        publication(s, s->words[i], &items[count], &fillers[count]);
    struct publish_result result;
    enum error_code code = broker_publish(&s->broker, s->now_ms, q, items, count, atomic, NULL, NULL, &result);
    for (uint32_t i = 0; i < count; i++)
        free(fillers[i]);
    if (code != ERR_NONE) {
        say_error(s, code);
        return;
    }
    if (result.stored > 1)
        say(s, "  ids %" PRIu64 "..%" PRIu64 "\n", result.first_id, result.first_id + result.stored - 1);
    else if (result.stored == 1)
        say(s, "  id %" PRIu64 "\n", result.first_id);
    say_outcomes(s);
}

static void do_settled(struct story *s, enum error_code code, uint32_t applied)
{
    if (code != ERR_NONE) {
        say_error(s, code);
        return;
    }
    say(s, "  %u\n", applied);
    say_outcomes(s);
}

static void do_settle(struct story *s)
{
    uint64_t list[MAX_WORDS];
    uint32_t applied = 0;
    const char *verb = s->words[0], *note = option(s, 2, "note");
    struct view note_view = {note, note ? strlen(note) : 0};
    bool extend = strcmp(verb, "extend") == 0;
    uint32_t count = receipts(s, 1, extend ? 3 : 2, list);
    enum error_code code;
    if (extend) {
        code = broker_extend(&s->broker, s->now_ms, list, count, strtoll(s->words[2], NULL, 10), &applied);
    } else if (strcmp(verb, "ack") == 0) {
        code = broker_ack(&s->broker, s->now_ms, list, count, flag(s, 2, "multiple"), &applied);
    } else if (strcmp(verb, "park") == 0) {
        code = broker_park(&s->broker, s->now_ms, list, count, note_view, &applied);
    } else {
        struct nack_options o = {number(s, 2, "delay", NO_NUMBER), flag(s, 2, "dead"), note_view};
        code = broker_nack(&s->broker, s->now_ms, list, count, &o, &applied);
    }
    do_settled(s, code, applied);
}

static void do_written(struct story *s)
{
    uint64_t list[MAX_WORDS];
    uint32_t count = receipts(s, 1, 2, list);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(s->words[0], "written") == 0)
            broker_written(&s->broker, s->now_ms, list[i]);
        else
            broker_unwritten(&s->broker, s->now_ms, list[i]);
    }
}

static uint32_t ids(const struct story *s, uint64_t *out)
{
    const char *text = option(s, 2, "ids");
    uint32_t count = 0;
    while (text && *text) {
        char *end;
        out[count++] = strtoull(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return count;
}

static void do_kick(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    uint64_t list[MAX_WORDS];
    if (!q)
        return;
    uint64_t n = option(s, 2, "ids") ? broker_kick_ids(&s->broker, s->now_ms, q, list, ids(s, list))
                                     : broker_kick(&s->broker, s->now_ms, q, strtoull(s->words[2], NULL, 10));
    say(s, "  %" PRIu64 "\n", n);
}

static void do_discard(struct story *s)
{
    struct queue *q = queue_at(s, 1);
    uint64_t list[MAX_WORDS];
    if (q)
        say(s, "  %" PRIu64 "\n", broker_discard(&s->broker, q, list, ids(s, list)));
}

static void do_peek(struct story *s)
{
    static const char *const names[] = {"delayed", "ready", "inflight", "parked"};
    struct queue *q = queue_at(s, 1);
    if (!q)
        return;
    const char *group = option(s, 2, "group");
    struct peek_options o = {
        .states = states(option(s, 2, "state")),
        .from_id = (uint64_t)number(s, 2, "from", 0),
        .to_id = (uint64_t)number(s, 2, "to", INT64_MAX),
        .group = {group, group ? strlen(group) : 0},
        .max = (uint32_t)number(s, 2, "max", 32),
    };
    struct peeked found[MAX_WORDS];
    uint64_t next;
    uint32_t count = broker_peek(&s->broker, q, &o, found, &next);
    for (uint32_t i = 0; i < count; i++) {
        const struct peeked *p = &found[i];
        struct view body = message_body(p->message);
        say(s, "  %" PRIu64 ":%.*s %s", p->message->id, body.bytes > 8 ? 8 : (int)body.bytes, (const char *)body.data,
            names[p->state]);
        if (p->message->attempts)
            say(s, " attempts %u", p->message->attempts);
        if (p->state == MESSAGE_PARKED)
            say(s, " %s", park_reason_text((enum park_reason)p->slot->reason));
        if (p->state == MESSAGE_PARKED && p->slot->note)
            say(s, " (%.*s)", (int)p->slot->note->bytes, p->slot->note->text);
        say(s, "\n");
    }
    if (next)
        say(s, "  next %" PRIu64 "\n", next);
}

/* Time goes on, stopping wherever the broker has something to do. */
static void do_at(struct story *s)
{
    int64_t until = strtoll(s->words[1], NULL, 10);
    assert_true(until >= s->now_ms);
    for (;;) {
        int64_t next = broker_next_ms(&s->broker);
        if (next > until)
            break;
        s->now_ms = next > s->now_ms ? next : s->now_ms;
        broker_turn(&s->broker, s->now_ms);
        size_t before = s->out_bytes;
        say(s, "  -- %" PRId64 "\n", s->now_ms);
        size_t after = s->out_bytes;
        say_effects(s);
        if (s->out_bytes == after || s->now_ms == until)
            memmove(s->out + before, s->out + after, s->out_bytes - after), s->out_bytes -= after - before;
        s->out[s->out_bytes] = '\0';
        check(s);
    }
    s->now_ms = until;
}

static void do_limit(struct story *s)
{
    struct broker_limits *l = &s->broker.limits;
    l->max_memory_bytes = (uint64_t)number(s, 1, "max_memory", (int64_t)l->max_memory_bytes);
    l->max_response_bytes = (uint64_t)number(s, 1, "max_response_bytes", (int64_t)l->max_response_bytes);
    l->max_message_bytes = (uint64_t)number(s, 1, "max_message_bytes", (int64_t)l->max_message_bytes);
    l->max_batch = (uint64_t)number(s, 1, "max_batch", (int64_t)l->max_batch);
    l->max_queues = (uint64_t)number(s, 1, "max_queues", (int64_t)l->max_queues);
}

/* ---- commands of a peer: words[0] is its letter ------------------------------------------------------------------ */

static void do_consume(struct story *s, struct peer *peer)
{
    struct queue *q = queue_at(s, 2);
    if (!q)
        return;
    struct consume_options o = {(uint32_t)number(s, 3, "prefetch", 100), flag(s, 3, "auto"),
                                number(s, 3, "visibility", NO_NUMBER)};
    uint64_t id;
    enum error_code code = broker_consume(&s->broker, q, peer, &o, &id);
    if (code != ERR_NONE)
        say_error(s, code);
    else
        say(s, "  consumer %" PRIu64 "\n", id);
}

static void do_receive(struct story *s, struct peer *peer)
{
    struct queue *q = queue_at(s, 2);
    if (!q)
        return;
    struct receive_options o = {
        .max = (uint32_t)number(s, 3, "max", 1),
        .wait_ms = number(s, 3, "wait", 0),
        .visibility_ms = number(s, 3, "visibility", NO_NUMBER),
        .token = ++s->next_token,
    };
    bool served = false;
    enum error_code code = broker_receive(&s->broker, s->now_ms, q, peer, &o, &served);
    if (code != ERR_NONE) {
        say_error(s, code);
    } else if (served) {
        say(s, "  gets");
        say_deliveries(s, 0, s->broker.delivery_count);
    } else {
        say(s, "  r%" PRIu64 " waits\n", o.token);
    }
}

static void do_peer(struct story *s)
{
    struct peer *peer = peer_at(s, s->words[0][0]);
    const char *verb = s->words[1];
    uint64_t id = s->word_count > 2 ? strtoull(s->words[2], NULL, 10) : 0;
    enum error_code code = ERR_NONE;
    if (strcmp(verb, "consume") == 0) {
        do_consume(s, peer);
    } else if (strcmp(verb, "receive") == 0) {
        do_receive(s, peer);
    } else if (strcmp(verb, "credit") == 0) {
        code = broker_credit(&s->broker, peer, id, (uint32_t)strtoul(s->words[3], NULL, 10));
    } else if (strcmp(verb, "cancel") == 0) {
        code = broker_cancel(&s->broker, s->now_ms, peer, id);
    } else if (strcmp(verb, "full") == 0) {
        broker_peer_room(&s->broker, peer, 0);
    } else if (strcmp(verb, "drained") == 0) {
        broker_peer_room(&s->broker, peer, s->word_count > 2 ? (int64_t)id : ENDLESS_ROOM);
    } else {
        assert_string_equal(verb, "close");
        broker_peer_close(&s->broker, s->now_ms, peer);
        s->open[s->words[0][0] - 'A'] = false;
    }
    if (code != ERR_NONE)
        say_error(s, code);
}

static void do_drain(struct story *s)
{
    s->broker.draining = true;
}

static void do_stop(struct story *s)
{
    if (strcmp(s->words[0], "stop") == 0)
        broker_stop(&s->broker);
    else
        broker_stop_finish(&s->broker, s->now_ms);
}

static const struct {
    const char *verb;
    void (*run)(struct story *s);
} verbs[] = {
    {"create", do_create},
    {"update", do_update},
    {"delete", do_delete},
    {"purge", do_purge},
    {"pause", do_pause},
    {"resume", do_pause},
    {"info", do_info},
    {"list", do_list},
    {"publish", do_publish},
    {"ack", do_settle},
    {"nack", do_settle},
    {"extend", do_settle},
    {"park", do_settle},
    {"kick", do_kick},
    {"discard", do_discard},
    {"peek", do_peek},
    {"at", do_at},
    {"written", do_written},
    {"drain", do_drain},
    {"unwritten", do_written},
    {"counters", do_counters},
    {"stop", do_stop},
    {"stop_finish", do_stop},
    {"limit", do_limit},
};

static void do_line(struct story *s)
{
    const char *verb = s->words[0];
    if (verb[0] >= 'A' && verb[0] <= 'Z' && verb[1] == '\0') {
        do_peer(s);
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].verb, verb) == 0) {
            verbs[i].run(s);
            return;
        }
    fail_msg("no such command: %s", verb);
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

static void begin(struct story *s)
{
    static const struct broker_limits limits = {
        .max_memory_bytes = 1 << 28,
        .max_message_bytes = 1 << 20,
        .max_body_bytes = 16 << 20,
        .max_response_bytes = 1 << 24,
        .max_batch = 1000,
        .max_wait_ms = 20000,
        .max_queues = 1000,
    };
    memset(s, 0, sizeof *s);
    say(s, "%s", "");
    broker_init(&s->broker, &limits, 0, 7);
}

static void end(struct story *s)
{
    for (int i = 0; i < 26; i++)
        if (s->open[i])
            broker_peer_close(&s->broker, s->now_ms, &s->peers[i]);
    check(s);
    broker_close(&s->broker); /* asserts that no memory is left */
}

static void run_line(struct story *s, const char *line, size_t bytes)
{
    char copy[1024];
    assert_true(bytes < sizeof copy);
    memcpy(copy, line + 2, bytes - 2);
    copy[bytes - 2] = '\0';
    say(s, "%.*s\n", (int)bytes, line);
    split(s, copy);
    do_line(s);
    check(s);
    if (line[0] == '>') {
        for (int i = 0; broker_turn(&s->broker, s->now_ms); i++)
            assert_true(i < 10000);
        say_effects(s);
        check(s);
    }
}

char *story_run(const char *story)
{
    struct story s;
    begin(&s);
    for (const char *line = story; *line;) {
        size_t bytes = strcspn(line, "\n");
        if (bytes > 2 && (line[0] == '>' || line[0] == '+'))
            run_line(&s, line, bytes);
        line += bytes + (line[bytes] == '\n');
    }
    end(&s);
    free(s.seen);
    return s.out;
}
