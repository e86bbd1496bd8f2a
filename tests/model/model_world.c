/* Finding, counting and saying. */
#include "tests/model/world.h"

#include <stdarg.h>

#define SAY_ROOM 8192

void model_say(struct model *w, const char *format, ...)
{
    va_list args;
    if (w->cap - w->bytes < SAY_ROOM) {
        w->cap = w->cap * 2 + SAY_ROOM;
        w->out = realloc(w->out, w->cap);
        assert(w->out);
    }
    va_start(args, format);
    int n = vsnprintf(w->out + w->bytes, w->cap - w->bytes, format, args);
    va_end(args);
    assert(n >= 0 && n < SAY_ROOM);
    w->bytes += (size_t)n;
}

void model_add(char *text, const char *format, ...)
{
    size_t n = strlen(text), room = sizeof((struct said *)0)->text;
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + n, room - n, format, args);
    va_end(args);
    assert(more >= 0 && (size_t)more < room - n);
}

struct said *model_said_for(struct model *w, char peer, uint64_t id, int kind)
{
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].peer == peer && w->said[i].id == id && w->said[i].kind == kind)
            return &w->said[i];
    assert(w->said_count < MAX_TAKERS);
    struct said *s = &w->said[w->said_count++];
    s->peer = peer;
    s->id = id;
    s->kind = kind;
    s->text[0] = '\0';
    return s;
}

/* ---- back to what was -------------------------------------------------------------------------------------------- */

void model_copy(struct model *to, const struct model *from)
{
    memcpy(to, from, offsetof(struct model, queues));
    for (int i = 0; i < MODEL_QUEUES; i++) {
        struct q *q = &to->queues[i];
        const struct q *other = &from->queues[i];
        memcpy(q, other, offsetof(struct q, dedups));
        memcpy(q->dedups, other->dedups, (size_t)other->dedup_count * sizeof other->dedups[0]);
        memcpy(q->list, other->list, (size_t)other->count * sizeof other->list[0]);
    }
    memcpy(to->takers, from->takers, (size_t)from->taker_count * sizeof from->takers[0]);
    memcpy(to->held, from->held, (size_t)from->held_count * sizeof from->held[0]);
    memcpy(to->moves, from->moves, (size_t)from->move_count * sizeof from->moves[0]);
    memcpy(to->said, from->said, (size_t)from->said_count * sizeof from->said[0]);
}

/* Copies that nobody needs now: a call remembers the world several times. */
static struct model *spare[8];
static int spare_count;

struct model *model_remember_world(const struct model *w)
{
    struct model *before = spare_count > 0 ? spare[--spare_count] : malloc(sizeof *before);
    assert(before);
    model_copy(before, w);
    return before;
}

void model_forget_world(struct model *before)
{
    if (spare_count < (int)(sizeof spare / sizeof *spare))
        spare[spare_count++] = before;
    else
        free(before);
}

void model_restore_world(struct model *w, struct model *before)
{
    model_copy(w, before);
    model_forget_world(before);
}

/* ---- finding and counting ---------------------------------------------------------------------------------------- */

uint64_t model_arm(struct model *w)
{
    return ++w->next_armed;
}

struct m *model_find(struct q *q, uint64_t id)
{
    for (int i = 0; i < q->count; i++)
        if (q->list[i].id == id)
            return &q->list[i];
    return NULL;
}

struct m *model_first_in(struct q *q, enum message_state state)
{
    for (int i = 0; i < q->count; i++)
        if (q->list[i].state == state)
            return &q->list[i];
    return NULL;
}

int model_count_in(const struct q *q, enum message_state state)
{
    int n = 0;
    for (int i = 0; i < q->count; i++)
        n += q->list[i].state == state;
    return n;
}

int64_t model_bytes_of(const struct q *q)
{
    int64_t n = 0;
    for (int i = 0; i < q->count; i++)
        n += q->list[i].bytes;
    return n;
}

bool model_expired(const struct model *w, const struct m *m)
{
    return m->expires != 0 && m->expires <= w->now;
}

bool model_is_fifo(const struct q *q)
{
    return q->a.type == QUEUE_FIFO;
}

int model_queue_number(const struct model *w, const struct q *q)
{
    return (int)(q - w->queues);
}

struct t *model_taker_with(struct model *w, uint64_t uid)
{
    for (int i = 0; i < w->taker_count; i++)
        if (w->takers[i].uid == uid)
            return &w->takers[i];
    return NULL;
}

/* Queues are named q0, q1, ... */
int model_dead_letter_of(const struct q *q)
{
    return q->a.dead_letter.bytes == 0 ? -1 : q->a.dead_letter.text[1] - '0';
}

void model_set_dead_letter(struct q *q, int to)
{
    memset(&q->a.dead_letter, 0, sizeof q->a.dead_letter);
    if (to < 0)
        return;
    q->a.dead_letter.bytes = 2;
    q->a.dead_letter.text[0] = 'q';
    q->a.dead_letter.text[1] = (char)('0' + to);
}
