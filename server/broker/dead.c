#include "server/broker/dead.h"

#include <assert.h>
#include <string.h>

/* ---- headers ----------------------------------------------------------------------------------------------------- */

#define TEXT(literal) ((struct view){literal, sizeof literal - 1})

enum { DL_QUEUE, DL_ID, DL_REASON, DL_ATTEMPTS, DL_FIRST, DL_LAST, DL_NOTE, DL_TOTAL };

static const struct view dl_keys[DL_TOTAL] = {
    [DL_QUEUE] = {"dl_queue", 8},        [DL_ID] = {"dl_id", 5},       [DL_REASON] = {"dl_reason", 9},
    [DL_ATTEMPTS] = {"dl_attempts", 11}, [DL_FIRST] = {"dl_first", 8}, [DL_LAST] = {"dl_last", 7},
    [DL_NOTE] = {"dl_note", 7},
};

static bool same(struct view x, struct view y)
{
    return x.bytes == y.bytes && (x.bytes == 0 || memcmp(x.data, y.data, x.bytes) == 0);
}

static bool is_dl(const struct header *h)
{
    for (unsigned i = 0; i < DL_TOTAL; i++)
        if (same(h->key, dl_keys[i]))
            return true;
    return false;
}

struct view dead_source(const struct message *m)
{
    struct view rest = message_headers(m);
    for (struct header h; header_next(&rest, &h);)
        if (same(h.key, dl_keys[DL_QUEUE]) && h.kind == HEADER_TEXT)
            return h.bytes;
    return (struct view){NULL, 0};
}

static int64_t wall_ms(const struct broker *b, int64_t ms)
{
    return ms >= 0 ? ms + b->wall_offset_ms : 0;
}

/* What a dead letter says; returns how many headers. */
static unsigned dl_headers(const struct broker *b, const struct queue *from, const struct message *m,
                           enum park_reason reason, struct view note, struct header out[DL_TOTAL])
{
    const char *why = park_reason_text(reason);
    out[DL_QUEUE] = (struct header){.kind = HEADER_TEXT, .bytes = {from->name, from->name_bytes}};
    out[DL_ID] = (struct header){.kind = HEADER_UINT, .number = m->id};
    out[DL_REASON] = (struct header){.kind = HEADER_TEXT, .bytes = {why, strlen(why)}};
    out[DL_ATTEMPTS] = (struct header){.kind = HEADER_UINT, .number = m->attempts};
    out[DL_FIRST] = (struct header){.kind = HEADER_UINT, .number = (uint64_t)wall_ms(b, message_first_ms(m))};
    out[DL_LAST] = (struct header){.kind = HEADER_UINT, .number = (uint64_t)wall_ms(b, message_last_ms(m))};
    out[DL_NOTE] = (struct header){.kind = HEADER_TEXT, .bytes = note};
    unsigned count = note.bytes > 0 ? DL_TOTAL : DL_TOTAL - 1;
    for (unsigned i = 0; i < count; i++)
        out[i].key = dl_keys[i];
    return count;
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

/* A copy of the message with its own headers and `count` more; NULL when out of memory. */
static struct message *copy_with(struct broker *b, const struct message *m, const struct queue *to,
                                 const struct header *more, unsigned count)
{
    struct publication p = {
        .body = message_body(m),
        .shared = message_shared(m),
        .group = message_group(m),
        .dedup_id = message_dedup_id(m),
        .priority = m->priority,
    };
    size_t room = message_headers(m).bytes;
    for (unsigned i = 0; i < count; i++)
        room += header_bytes(&more[i]);
    uint8_t *headers = NULL, *end = NULL;
    if (room > 0) {
        headers = end = pool_take(&b->pool, room);
        if (!headers)
            return NULL;
    }
    struct view rest = message_headers(m);
    for (struct header h; header_next(&rest, &h);)
        if (!is_dl(&h))
            end = header_put(end, &h);
    for (unsigned i = 0; i < count; i++)
        end = header_put(end, &more[i]);
    p.headers = (struct view){headers, (size_t)(end - headers)};
    bool linked = to->attributes.type == QUEUE_FIFO || m->priority > 0;
    struct message *copy = message_new(&b->pool, &p, linked);
    if (room > 0)
        pool_give(&b->pool, headers, room);
    return copy;
}

struct message *dead_copy(struct broker *b, const struct queue *from, const struct message *m, const struct queue *to,
                          enum park_reason reason, struct view note)
{
    struct header more[DL_TOTAL];
    unsigned count = dl_headers(b, from, m, reason, note, more);
    return copy_with(b, m, to, more, count);
}

/* ---- from one queue to the other --------------------------------------------------------------------------------- */

struct queue *dead_target(const struct broker *b, const struct queue *q)
{
    const struct queue_name *name = &q->attributes.dead_letter;
    if (name->bytes == 0)
        return NULL;
    struct queue *to = broker_queue_find(b, name->text, name->bytes);
    return to && to->attributes.type == q->attributes.type ? to : NULL;
}

/* The copy, which this call takes, enters `to`, and the message leaves `q`. The caller counts why. */
static enum error_code transfer(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at,
                                enum message_state from, struct queue *to, struct message *copy)
{
    struct displaced *displaced = NULL;
    struct group *spare = NULL;
    enum error_code code = copy ? ERR_NONE : ERR_MEMORY_LIMIT;
    plan_begin(b);
    plan_leave(b, at);
    if (copy && to->attributes.type == QUEUE_FIFO) {
        spare = group_new(b, to, message_group(copy));
        code = spare ? ERR_NONE : ERR_MEMORY_LIMIT;
    }
    if (code == ERR_NONE && broker_memory(b) > b->limits.max_memory_bytes)
        code = ERR_MEMORY_LIMIT;
    if (code == ERR_NONE)
        code = plan_room(b, now_ms, to, copy->body_bytes, &displaced);
    if (code == ERR_NONE && !plan_slots(b, 1))
        code = ERR_MEMORY_LIMIT;
    if (code == ERR_NONE) {
        displaced_apply(b, now_ms, &displaced);
        life_gone(b, q, at, from);
        COUNT(b, to, arrived, 1);
        life_enter(b, now_ms, to, copy, 0, 0, &spare, false);
        line_wake(b, to);
    } else {
        plan_drop(b);
        displaced_free(b, &displaced);
        if (copy)
            message_free(&b->pool, copy);
    }
    if (spare)
        group_free(&b->pool, spare);
    return code;
}

bool dead_letter(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at, enum message_state from,
                 enum park_reason reason, struct view note)
{
    struct queue *to = dead_target(b, q);
    if (!to)
        return false;
    struct message *copy = dead_copy(b, q, life_message(at), to, reason, note);
    if (transfer(b, now_ms, q, at, from, to, copy) != ERR_NONE)
        return false;
    COUNT(b, q, dead_lettered, 1);
    return true;
}

enum error_code dead_move(struct broker *b, int64_t now_ms, struct queue *q, struct ring_cursor at,
                          enum message_state from, struct queue *to)
{
    struct message *copy = copy_with(b, life_message(at), to, NULL, 0);
    enum error_code code = transfer(b, now_ms, q, at, from, to, copy);
    if (code == ERR_NONE)
        COUNT(b, q, moved, 1);
    return code;
}
