/*
 * Writing records. A record stands in the buffer from its head on, and the head is written last, when the length is known;
 * a drain never parts a record that is still being put, except the body of a MESSAGE, whose length is known before.
 *
 * A run and ranges stay open, so that what comes next can join: a body is one memcpy() more, and an id that follows the one
 * before only counts (the count of the last range is written when the record is closed; room for it is kept). So what the
 * head and the count say is right whenever the buffer is drained, and nowhere is anything moved or written twice.
 *
 * Invariants: used <= cap; while ranges are open, a varint more fits into the buffer and into RECORD_LONG.
 */
#include "server/log/parts.h"
#include "server/log/record.h"

#include <assert.h>

/* From here on a body that does not fit is handed over from where it lies. */
#define HAND_OVER_BYTES (64 * 1024)

/* More than the numbers of any record take. */
#define NUMBERS_BYTES 256

void record_writer_init(struct record_writer *w, uint8_t *data, size_t cap,
                        void (*drain_cb)(void *user, const void *data, size_t bytes), void *user)
{
    assert(cap >= 2 * RECORD_LONG);
    *w = (struct record_writer){.data = data, .cap = cap, .drain_cb = drain_cb, .user = user};
}

static void head_put(struct record_writer *w, size_t at, enum record_type type, size_t bytes)
{
    assert(bytes <= UINT32_MAX);
    w->data[at] = (uint8_t)type;
    put_32(w->data + at + 1, (uint32_t)bytes);
}

void record_close(struct record_writer *w)
{
    if (w->open_type == 0)
        return;
    if (w->open_type != RECORD_RUN)
        w->used = (size_t)(put_varint(w->data + w->used, w->open_count) - w->data);
    const size_t bytes = w->used - w->open_at;
    assert(w->used <= w->cap && bytes <= RECORD_LONG);
    head_put(w, w->open_at, (enum record_type)w->open_type, bytes - RECORD_HEAD_BYTES);
    w->open_type = 0;
}

static void drain(struct record_writer *w)
{
    record_close(w);
    if (w->used > 0)
        w->drain_cb(w->user, w->data, w->used);
    w->used = 0;
}

/* Where the fields of the next record go: at most so many bytes of them. */
static uint8_t *begin(struct record_writer *w, size_t bytes)
{
    assert(RECORD_HEAD_BYTES + bytes <= RECORD_LONG);
    record_close(w);
    if (w->cap - w->used < RECORD_HEAD_BYTES + bytes)
        drain(w);
    return w->data + w->used + RECORD_HEAD_BYTES;
}

/* The fields end at `end`. */
static void finish(struct record_writer *w, enum record_type type, const uint8_t *end)
{
    const size_t used = (size_t)(end - w->data);
    assert(used <= w->cap);
    head_put(w, w->used, type, used - w->used - RECORD_HEAD_BYTES);
    w->used = used;
}

static inline int64_t wall(const struct record_writer *w, int64_t monotonic_ms)
{
    return monotonic_ms + w->wall_offset_ms;
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static uint8_t *put_double(uint8_t *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_64(out, bits);
    return out + sizeof bits;
}

static uint8_t *put_backoff(uint8_t *out, const struct backoff *f)
{
    out = put_zigzag(put_zigzag(out, f->base_ms), f->cap_ms);
    return put_double(put_double(out, f->factor), f->jitter);
}

#define PUT_SCALAR(value)        put_zigzag(out, value)
#define PUT_ATTRIBUTE_MS         PUT_SCALAR
#define PUT_ATTRIBUTE_COUNT      PUT_SCALAR
#define PUT_ATTRIBUTE_BYTES      PUT_SCALAR
#define PUT_ATTRIBUTE_CHOICE     PUT_SCALAR
#define PUT_ATTRIBUTE_BOOL       PUT_SCALAR
#define PUT_ATTRIBUTE_NAME(x)    put_bytes(out, (x).text, (x).bytes)
#define PUT_ATTRIBUTE_BACKOFF(x) put_backoff(out, &(x))

void record_queue(struct record_writer *w, const struct queue *q)
{
    uint8_t *out = begin(w, NUMBERS_BYTES + LIMIT_NAME_BYTES + ATTRIBUTE_TOTAL * (NUMBERS_BYTES + LIMIT_NAME_BYTES));
    out = put_varint(out, q->number);
    out = put_varint(out, q->paused ? 1 : 0);
    out = put_varint(out, q->next_id);
    out = put_zigzag(out, wall(w, q->created_ms));
    out = put_bytes(out, q->name, q->name_bytes);
#define X(field, kind, def, min, max, choices, help) \
    out = put_bytes(out, #field, sizeof #field - 1); \
    out = PUT_ATTRIBUTE_##kind(q->attributes.field);
    ATTRIBUTE_LIST(X)
#undef X
    finish(w, RECORD_QUEUE, out);
}

void record_queue_gone(struct record_writer *w, const struct queue *q)
{
    finish(w, RECORD_QUEUE_GONE, put_varint(begin(w, NUMBERS_BYTES), q->number));
}

void record_topic(struct record_writer *w, const struct topic *t)
{
    uint8_t *out = begin(w, NUMBERS_BYTES + LIMIT_NAME_BYTES);
    finish(w, RECORD_TOPIC, put_bytes(out, t->name, t->name_bytes));
}

void record_topic_gone(struct record_writer *w, const struct topic *t)
{
    uint8_t *out = begin(w, NUMBERS_BYTES + LIMIT_NAME_BYTES);
    finish(w, RECORD_TOPIC_GONE, put_bytes(out, t->name, t->name_bytes));
}

/* The fields that name a subscription. */
static uint8_t *put_subscription(struct record_writer *w, const struct topic *t, const struct subscription *s)
{
    uint8_t *out = begin(w, NUMBERS_BYTES + LIMIT_NAME_BYTES + LIMIT_KEY_BYTES + s->filter_bytes);
    out = put_varint(out, s->queue->number);
    out = put_bytes(out, t->name, t->name_bytes);
    return put_view(out, subscription_pattern(s));
}

void record_subscription(struct record_writer *w, const struct topic *t, const struct subscription *s)
{
    uint8_t *out = put_subscription(w, t, s);
    finish(w, RECORD_SUBSCRIPTION, put_view(out, subscription_filter(s)));
}

void record_subscription_gone(struct record_writer *w, const struct topic *t, const struct subscription *s)
{
    finish(w, RECORD_SUBSCRIPTION_GONE, put_subscription(w, t, s));
}

/* ---- ranges of ids ----------------------------------------------------------------------------------------------- */

/* `bytes`: of what must fit behind its first numbers. */
static void open_record(struct record_writer *w, enum record_type type, const struct queue *q, int64_t at_ms,
                        size_t bytes)
{
    uint8_t *out = begin(w, NUMBERS_BYTES + bytes);
    w->open_type = (uint8_t)type;
    w->open_at = w->used;
    w->open_queue = q->number;
    w->open_ms = at_ms;
    w->used = (size_t)(put_varint(out, q->number) - w->data);
}

/* Room in the buffer and in the record that is open. */
static inline bool has_room(const struct record_writer *w, size_t bytes)
{
    return bytes <= w->cap - w->used && bytes <= RECORD_LONG - (w->used - w->open_at);
}

static inline bool is_timed(enum record_type type)
{
    return type == RECORD_DELIVERED || type == RECORD_DELAYED;
}

/* An id that does not follow the one before: another range, or another record. Not inlined, to keep the usual case short. */
static __attribute__((noinline)) void begin_range(struct record_writer *w, enum record_type type, const struct queue *q,
                                                  uint64_t id, uint32_t count, int64_t at_ms, bool joins)
{
    if (joins && has_room(w, 3 * VARINT_BYTES)) {
        w->used = (size_t)(put_varint(w->data + w->used, w->open_count) - w->data);
    } else {
        open_record(w, type, q, at_ms, 0);
        if (is_timed(type))
            w->used = (size_t)(put_zigzag(w->data + w->used, at_ms) - w->data);
        w->open_end = 0;
    }
    w->used = (size_t)(put_zigzag(w->data + w->used, (int64_t)(id - w->open_end)) - w->data);
    w->open_end = id + count;
    w->open_count = count;
}

void record_ids(struct record_writer *w, enum record_type type, const struct queue *q, uint64_t id, uint32_t count,
                int64_t ms)
{
    assert(type >= RECORD_GONE && type <= RECORD_DELAYED);
    const int64_t at_ms = is_timed(type) ? wall(w, ms) : 0;
    const bool joins = w->open_type == type && w->open_queue == q->number && w->open_ms == at_ms;
    if (joins && id == w->open_end) {
        w->open_end += count;
        w->open_count += count;
    } else {
        begin_range(w, type, q, id, count, at_ms, joins);
    }
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static inline bool is_fifo(const struct queue *q)
{
    return q->attributes.type == QUEUE_FIFO;
}

/* True if a RUN says all that there is to say. */
static inline bool is_plain(const struct queue *q, const struct message *m)
{
    const bool delivered = (m->attempts | m->first_low | m->last_low | m->first_high | m->last_high) != 0;
    return !is_fifo(q) && (m->flags & (MESSAGE_EXTRAS | MESSAGE_SHARED)) == 0 && m->priority == 0 && !delivered &&
           (m->expires_ms == 0 || m->expires_ms >= m->published_ms);
}

static __attribute__((noinline)) void open_run(struct record_writer *w, const struct queue *q, const struct message *m,
                                               bool by_ttl)
{
    open_record(w, RECORD_RUN, q, wall(w, m->published_ms), m->body_bytes);
    uint8_t *out = w->data + w->used;
    out = put_varint(out, m->id);
    out = put_zigzag(out, w->open_ms);
    out = put_varint(out, m->expires_ms == 0 ? 0 : (uint64_t)(m->expires_ms - m->published_ms) + 1);
    *out++ = by_ttl;
    w->used = (size_t)(out - w->data);
    w->open_expires_ms = m->expires_ms;
    w->open_by_ttl = by_ttl;
}

static inline void put_run(struct record_writer *w, const struct queue *q, const struct message *m)
{
    const struct view body = message_body(m);
    const bool by_ttl = (m->flags & MESSAGE_TTL) != 0;
    const bool joins = w->open_type == RECORD_RUN && w->open_queue == q->number && w->open_end == m->id &&
                       w->open_ms == wall(w, m->published_ms) && w->open_expires_ms == m->expires_ms &&
                       w->open_by_ttl == by_ttl;
    assert(body.bytes < MESSAGE_SHARE_BYTES);
    if (!joins || !has_room(w, VARINT_BYTES + body.bytes))
        open_run(w, q, m, by_ttl);
    w->used = (size_t)(put_view(w->data + w->used, body) - w->data);
    w->open_end = m->id + 1;
}

/* As many as there are of bare messages that join the run that is open, as far as there is room for them. */
static uint32_t extend_run(struct record_writer *w, void *const *messages, uint32_t count)
{
    uint8_t *out = w->data + w->used;
    uint32_t n = 0;
    for (; n < count; n++) {
        const struct message *m = messages[n];
        if (!message_is_bare(m) || !has_room(w, VARINT_BYTES + m->body_bytes))
            break;
        out = put_bytes(out, m + 1, m->body_bytes);
        w->used = (size_t)(out - w->data);
    }
    w->open_end += n;
    return n;
}

static uint32_t flags_of(const struct message *m, enum message_state state, const struct slot *slot, bool above)
{
    uint32_t flags = (uint32_t)state;
    if (m->expires_ms != 0)
        flags |= RECORD_EXPIRES;
    if (m->flags & MESSAGE_TTL)
        flags |= RECORD_BY_TTL;
    if (m->flags & MESSAGE_HELD && state == MESSAGE_DELAYED)
        flags |= RECORD_HELD;
    if (m->attempts > 0 || message_last_ms(m) >= 0)
        flags |= RECORD_DELIVERIES;
    if (m->priority > 0)
        flags |= RECORD_PRIORITY;
    if (state == MESSAGE_PARKED && slot->note)
        flags |= RECORD_NOTE;
    if (above)
        return flags | RECORD_ABOVE;
    if (message_group(m).bytes > 0)
        flags |= RECORD_GROUP;
    if (message_dedup_id(m).bytes > 0)
        flags |= RECORD_DEDUP_ID;
    if (message_headers(m).bytes > 0)
        flags |= RECORD_HEADERS;
    return flags;
}

/* 0, or 1 + ms since it was published; moment_ms -1: none. */
static uint8_t *put_moment(uint8_t *out, const struct message *m, int64_t moment_ms)
{
    return put_varint(out, moment_ms < 0 ? 0 : (uint64_t)(moment_ms - m->published_ms) + 1);
}

static uint8_t *put_note(uint8_t *out, const struct note *note)
{
    return note ? put_bytes(out, note->text, note->bytes) : put_bytes(out, NULL, 0);
}

/* All fields but the body's bytes. */
static uint8_t *put_fields(uint8_t *out, const struct message *m, uint32_t flags, int64_t at_ms,
                           const struct slot *slot)
{
    const uint32_t state = flags & RECORD_STATE;
    if (flags & RECORD_EXPIRES)
        out = put_zigzag(out, m->expires_ms - m->published_ms);
    if (state == MESSAGE_DELAYED || state == MESSAGE_PARKED)
        out = put_zigzag(out, at_ms - m->published_ms);
    if (flags & RECORD_DELIVERIES) {
        out = put_varint(out, m->attempts);
        out = put_moment(out, m, message_first_ms(m));
        out = put_moment(out, m, message_last_ms(m));
    }
    if (flags & RECORD_PRIORITY)
        *out++ = m->priority;
    if (flags & RECORD_GROUP)
        out = put_view(out, message_group(m));
    if (flags & RECORD_DEDUP_ID)
        out = put_view(out, message_dedup_id(m));
    if (flags & RECORD_HEADERS)
        out = put_view(out, message_headers(m));
    if (state == MESSAGE_PARKED)
        *out++ = slot->reason;
    if (flags & RECORD_NOTE)
        out = put_note(out, slot->note);
    return flags & RECORD_ABOVE ? out : put_varint(out, m->body_bytes);
}

/* Behind the fields, which end with its length. */
static void put_body(struct record_writer *w, struct view body)
{
    if (body.bytes > w->cap - w->used) {
        drain(w);
        if (body.bytes > HAND_OVER_BYTES) {
            w->drain_cb(w->user, body.data, body.bytes);
            return;
        }
    }
    if (body.bytes > 0)
        memcpy(w->data + w->used, body.data, body.bytes);
    w->used += body.bytes;
}

static __attribute__((noinline)) void put_message(struct record_writer *w, const struct queue *q,
                                                  const struct message *m, enum message_state state, int64_t at_ms,
                                                  const struct slot *slot, bool above)
{
    const uint32_t flags = flags_of(m, state, slot, above) | (is_fifo(q) ? RECORD_FIFO : 0);
    const size_t texts = above ? 0 : LIMIT_GROUP_BYTES + LIMIT_DEDUP_BYTES + message_headers(m).bytes;
    const size_t note = flags & RECORD_NOTE ? slot->note->bytes : 0;
    uint8_t *out = begin(w, NUMBERS_BYTES + texts + note);
    out = put_varint(out, q->number);
    out = put_varint(out, m->id);
    out = put_varint(out, flags);
    out = put_zigzag(out, wall(w, m->published_ms));
    out = put_fields(out, m, flags, at_ms, slot);
    const struct view body = above ? (struct view){NULL, 0} : message_body(m);
    const size_t at = w->used;
    finish(w, RECORD_MESSAGE, out);
    head_put(w, at, RECORD_MESSAGE, w->used - at - RECORD_HEAD_BYTES + body.bytes);
    put_body(w, body);
}

void record_message(struct record_writer *w, const struct queue *q, const struct message *m, enum message_state state,
                    int64_t at_ms, const struct slot *slot, bool above, bool alone)
{
    assert(state != MESSAGE_PARKED || slot);
    if (state == MESSAGE_READY && !above && !alone && is_plain(q, m)) {
        put_run(w, q, m);
    } else {
        put_message(w, q, m, state, at_ms, slot, above);
    }
}

void record_run(struct record_writer *w, const struct queue *q, void *const *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        record_message(w, q, messages[i], MESSAGE_READY, 0, NULL, false, false);
        if (w->open_type == RECORD_RUN)
            i += extend_run(w, messages + i + 1, count - i - 1);
    }
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

void record_parked(struct record_writer *w, const struct queue *q, const struct message *m, const struct slot *slot)
{
    uint8_t *out = begin(w, NUMBERS_BYTES + (slot->note ? slot->note->bytes : 0));
    out = put_varint(out, q->number);
    out = put_varint(out, m->id);
    out = put_zigzag(out, wall(w, slot->since_ms));
    const int64_t left_ms = m->expires_ms > slot->since_ms ? m->expires_ms - slot->since_ms : 0;
    out = put_varint(out, m->expires_ms == 0 ? 0 : (uint64_t)left_ms + 1);
    *out++ = slot->reason;
    finish(w, RECORD_PARKED, put_note(out, slot->note));
}

void record_purged(struct record_writer *w, const struct queue *q, unsigned states)
{
    uint8_t *out = put_varint(begin(w, NUMBERS_BYTES), q->number);
    *out++ = (uint8_t)states;
    finish(w, RECORD_PURGED, out);
}

void record_dedup(struct record_writer *w, const struct queue *q, const struct dedup *entry)
{
    uint8_t *out = begin(w, NUMBERS_BYTES + entry->key_bytes);
    out = put_varint(out, q->number);
    out = put_varint(out, entry->first_id);
    out = put_zigzag(out, wall(w, entry->timer.deadline_ms));
    finish(w, RECORD_DEDUP, put_bytes(out, entry->key, entry->key_bytes));
}
