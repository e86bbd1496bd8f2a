/* Commands about queues and about messages by their ids. */
#include "tests/sim/story_parts.h"

static const char *const state_names[] = {"delayed", "ready", "inflight", "parked"};

void story_create(struct story *s)
{
    struct attribute_set set;
    word_attributes(s, &set);
    bool created = false;
    uint32_t differing = 0;
    enum error_code code = broker_queue_create(&s->broker, s->now_ms, s->words[1], strlen(s->words[1]), &set, &created,
                                               &differing);
    if (code != ERR_NONE)
        story_say_error(s, code);
    else if (!created)
        story_say(s, "  exists\n");
    for (unsigned a = 0; code == ERR_QUEUE_EXISTS && a < ATTRIBUTE_TOTAL; a++)
        if (differing >> a & 1)
            story_say(s, "  differs: %s\n", attribute_row((enum attribute)a)->name);
}

void story_update(struct story *s)
{
    struct attribute_set set;
    word_attributes(s, &set);
    struct queue *q = word_queue(s, 1);
    enum error_code code = q ? broker_queue_update(&s->broker, q, &set) : ERR_NONE;
    if (code != ERR_NONE)
        story_say_error(s, code);
}

void story_delete(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    uint64_t count = 0;
    if (!q)
        return;
    enum error_code code = broker_queue_delete(&s->broker, s->now_ms, q, word_flag(s, 2, "if_empty"),
                                               word_flag(s, 2, "if_unused"), &count);
    if (code != ERR_NONE)
        story_say_error(s, code);
    else
        story_say(s, "  %" PRIu64 "\n", count);
}

void story_purge(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    unsigned states = word_states(s->word_count > 2 ? s->words[2] : NULL);
    if (q)
        story_say(s, "  %" PRIu64 "\n", broker_queue_purge(&s->broker, q, states));
}

void story_pause(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    if (q)
        broker_queue_pause(&s->broker, q, strcmp(s->words[0], "pause") == 0);
}

void story_info(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    if (q)
        story_say(s,
                  "  delayed %" PRIu64 " ready %" PRIu64 " inflight %" PRIu64 " parked %" PRIu64 " bytes %" PRIu64 "\n",
                  queue_count(q, MESSAGE_DELAYED), queue_count(q, MESSAGE_READY), queue_count(q, MESSAGE_INFLIGHT),
                  queue_count(q, MESSAGE_PARKED), queue_body_bytes(q));
}

void story_counters(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    if (!q)
        return;
    story_say(s, " ");
#define X(field, help)     \
    if (q->counters.field) \
        story_say(s, " %s %" PRIu64, #field, q->counters.field);
    QUEUE_COUNTER_LIST(X)
#undef X
    story_say(s, "\n");
}

void story_list(struct story *s)
{
    story_say(s, " ");
    for (uint32_t i = 0; i < s->broker.queue_count; i++)
        story_say(s, " %s", s->broker.queues[i]->name);
    story_say(s, "\n");
}

void story_show(struct story *s)
{
    story_state(s, &s->out, false);
}

/* ---- messages by id ---------------------------------------------------------------------------------------------- */

static uint32_t ids(const struct story *s, uint64_t *out)
{
    const char *text = word_option(s, 2, "ids");
    uint32_t count = 0;
    while (text && *text) {
        char *end;
        out[count++] = strtoull(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return count;
}

void story_kick(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    uint64_t list[MAX_WORDS];
    if (!q)
        return;
    uint64_t n = word_option(s, 2, "ids") ? broker_kick_ids(&s->broker, s->now_ms, q, list, ids(s, list))
                                          : broker_kick(&s->broker, s->now_ms, q, strtoull(s->words[2], NULL, 10));
    story_say(s, "  %" PRIu64 "\n", n);
}

void story_discard(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    uint64_t list[MAX_WORDS];
    if (q)
        story_say(s, "  %" PRIu64 "\n", broker_discard(&s->broker, q, list, ids(s, list)));
}

/* A queue's type says whether a group means anything: elsewhere it is not shown. */
static void say_peeked(struct story *s, const struct queue *q, const struct peeked *p)
{
    const struct message *m = p->message;
    struct view group = message_group(m), dedup = message_dedup_id(m);
    story_say(s, " ");
    story_say_message(s, m);
    story_say(s, " %s", state_names[p->state]);
    if (m->attempts)
        story_say(s, " attempts %u", m->attempts);
    if (p->state == MESSAGE_PARKED)
        story_say(s, " %s", park_reason_text((enum park_reason)p->slot->reason));
    if (p->state == MESSAGE_PARKED && p->slot->note)
        story_say(s, " (%.*s)", (int)p->slot->note->bytes, p->slot->note->text);
    if (group.bytes > 0 && q->attributes.type == QUEUE_FIFO)
        story_say(s, " group %.*s", (int)group.bytes, (const char *)group.data);
    if (m->priority > 0)
        story_say(s, " priority %u", m->priority);
    if (dedup.bytes > 0)
        story_say(s, " dedup %.*s", (int)dedup.bytes, (const char *)dedup.data);
    story_say_headers(s, m);
    story_say(s, "\n");
}

void story_peek(struct story *s)
{
    struct queue *q = word_queue(s, 1);
    if (!q)
        return;
    const char *group = word_option(s, 2, "group");
    struct peek_options o = {
        .states = word_states(word_option(s, 2, "state")),
        .from_id = (uint64_t)word_number(s, 2, "from", 0),
        .to_id = (uint64_t)word_number(s, 2, "to", INT64_MAX),
        .group = {group, group ? strlen(group) : 0},
        .max = (uint32_t)word_number(s, 2, "max", 32),
    };
    struct peeked found[MAX_WORDS];
    uint64_t next;
    uint32_t count = broker_peek(&s->broker, q, &o, found, &next);
    for (uint32_t i = 0; i < count; i++)
        say_peeked(s, q, &found[i]);
    if (next)
        story_say(s, "  next %" PRIu64 "\n", next);
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

void story_move(struct story *s)
{
    struct queue *q = word_queue(s, 1), *to = NULL;
    const char *name = word_option(s, 2, "to");
    if (q && name && !(to = broker_queue_find(&s->broker, name, strlen(name))))
        story_say(s, "  QUEUE_NOT_FOUND\n");
    if (!q || (name && !to))
        return;
    uint64_t id = 0;
    enum error_code code = broker_move(&s->broker, s->now_ms, q, to, (uint64_t)word_number(s, 2, "rate", 0),
                                       (uint64_t)word_number(s, 2, "max", 0), &id);
    if (code != ERR_NONE)
        story_say_error(s, code);
    else
        story_say(s, "  move %" PRIu64 "\n", id);
}

void story_moves(struct story *s)
{
    for (const struct move *m = s->broker.moves; m; m = m->next)
        story_say(s, "  %" PRIu64 ": %.*s -> %.*s moved %" PRIu64 " %s\n", m->id, m->source.bytes, m->source.text,
                  m->to.bytes > 0 ? m->to.bytes : 1, m->to.bytes > 0 ? m->to.text : "*", m->moved,
                  move_state_text(m->state));
}

void story_move_cancel(struct story *s)
{
    struct move *move = broker_move_find(&s->broker, strtoull(s->words[1], NULL, 10));
    if (move)
        broker_move_cancel(&s->broker, s->now_ms, move);
    else
        story_say(s, "  NOT_FOUND\n");
}
