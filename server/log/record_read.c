/*
 * Reading records: bytes to meaning. Whatever the bytes are, nothing outside of them is read, and what comes out is within the
 * limits that the broker relies on: a record is as the format says, or it is refused as a whole.
 *
 * Ranges and the bodies of a run are read one by one, record_next_*(), and may turn out to be wrong only then.
 */
#include "server/broker/pattern.h"
#include "server/log/parts.h"
#include "server/log/record.h"

/* No moment of a clock lies farther from 1970. */
#define TIME_MAX (INT64_C(1) << 46)

/* A message keeps its deliveries in 40 bits. */
#define MOMENT_MAX ((UINT64_C(1) << 40) - 1)

bool record_head(struct view from, enum record_type *type, uint64_t *bytes)
{
    const uint8_t *head = from.data;
    *bytes = RECORD_HEAD_BYTES + (uint64_t)get_32(head + 1);
    if (head[0] == 0 || head[0] >= RECORD_TYPES)
        return false;
    *type = (enum record_type)head[0];
    return *type == RECORD_MESSAGE || *bytes <= RECORD_LONG;
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* Ids of messages and numbers of queues. */
static bool take_id(struct view *rest, uint64_t *out)
{
    return take_varint(rest, out) && *out >= 1 && *out <= LIMIT_ID;
}

static bool is_time(int64_t ms)
{
    return ms >= -TIME_MAX && ms <= TIME_MAX;
}

static bool take_time(struct view *rest, int64_t *out)
{
    return take_zigzag(rest, out) && is_time(*out);
}

/* A time as ms from another one. */
static bool take_time_from(struct view *rest, int64_t from_ms, int64_t *out)
{
    int64_t ms;
    if (!take_zigzag(rest, &ms) || !is_time(ms))
        return false;
    *out = from_ms + ms;
    return is_time(*out);
}

/* 0: none, or 1 + ms from another time. */
static bool take_expiry(struct view *rest, int64_t from_ms, struct record *out)
{
    uint64_t ms;
    if (!take_varint(rest, &ms) || ms > (uint64_t)TIME_MAX)
        return false;
    out->expires = ms > 0;
    out->expires_ms = out->expires ? from_ms + (int64_t)ms - 1 : 0;
    return is_time(out->expires_ms);
}

static bool take_moment(struct view *rest, int64_t published_ms, int64_t *out)
{
    uint64_t ms;
    if (!take_varint(rest, &ms) || ms > MOMENT_MAX)
        return false;
    *out = ms > 0 ? published_ms + (int64_t)ms - 1 : INT64_MIN;
    return true;
}

static bool take_bool(struct view *rest, bool *out)
{
    uint8_t byte;
    if (!take_8(rest, &byte) || byte > 1)
        return false;
    *out = byte == 1;
    return true;
}

static bool take_name(struct view *rest, struct view *out)
{
    return take_view(rest, 1, LIMIT_NAME_BYTES, out) && queue_name_valid(out->data, out->bytes);
}

static bool take_reason(struct view *rest, enum park_reason *out)
{
    uint8_t byte;
    if (!take_8(rest, &byte) || byte <= PARK_NONE || byte > PARK_OVERFLOW)
        return false;
    *out = (enum park_reason)byte;
    return true;
}

static bool take_note(struct view *rest, struct view *out)
{
    return take_view(rest, 0, LIMIT_NOTE_BYTES, out);
}

/* ---- definitions ------------------------------------------------------------------------------------------------- */

static bool take_double(struct view *rest, double *out)
{
    const void *data;
    if (!take_raw(rest, sizeof *out, &data))
        return false;
    const uint64_t bits = get_64(data);
    memcpy(out, &bits, sizeof bits);
    return true;
}

static bool take_backoff(struct view *rest, struct backoff *out)
{
    return take_zigzag(rest, &out->base_ms) && take_zigzag(rest, &out->cap_ms) && take_double(rest, &out->factor) &&
           take_double(rest, &out->jitter);
}

static bool take_queue_name(struct view *rest, struct queue_name *out)
{
    struct view name;
    if (!take_view(rest, 0, LIMIT_NAME_BYTES, &name))
        return false;
    out->bytes = (uint8_t)name.bytes;
    memcpy(out->text, name.data, name.bytes);
    return true;
}

#define TAKE_ATTRIBUTE_MS      take_zigzag
#define TAKE_ATTRIBUTE_COUNT   take_zigzag
#define TAKE_ATTRIBUTE_BYTES   take_zigzag
#define TAKE_ATTRIBUTE_CHOICE  take_zigzag
#define TAKE_ATTRIBUTE_BOOL    take_zigzag
#define TAKE_ATTRIBUTE_NAME    take_queue_name
#define TAKE_ATTRIBUTE_BACKOFF take_backoff

static bool take_value(struct view *rest, enum attribute a, struct attributes *out)
{
    switch (a) {
#define X(field, kind, def, min, max, choices, help) \
    case ATTRIBUTE_##field:                          \
        return TAKE_ATTRIBUTE_##kind(rest, &out->field);
        ATTRIBUTE_LIST(X)
#undef X
    default:
        return false;
    }
}

static bool read_queue(struct view *rest, struct record *out)
{
    uint64_t flags;
    uint32_t seen = 0;
    if (!take_id(rest, &out->queue) || !take_varint(rest, &flags) || flags > 1 || !take_id(rest, &out->next_id) ||
        !take_time(rest, &out->published_ms) || !take_name(rest, &out->name))
        return false;
    out->paused = flags == 1;
    attributes_init(&out->attributes);
    while (rest->bytes > 0) {
        struct view name;
        if (!take_view(rest, 1, LIMIT_NAME_BYTES, &name))
            return false;
        const enum attribute a = attribute_find(name.data, name.bytes);
        if (a == ATTRIBUTE_TOTAL || seen >> a & 1 || !take_value(rest, a, &out->attributes) ||
            !attribute_valid(&out->attributes, a))
            return false;
        seen |= 1u << a;
    }
    return true;
}

static bool read_subscription(struct view *rest, struct record *out)
{
    return take_id(rest, &out->queue) && take_name(rest, &out->name) &&
           take_view(rest, 0, LIMIT_KEY_BYTES, &out->pattern) && pattern_valid(out->pattern.data, out->pattern.bytes) &&
           (out->type == RECORD_SUBSCRIPTION_GONE ||
            (take_view(rest, 0, RECORD_LONG, &out->filter) && check_filter(out->filter)));
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static bool read_run(struct view *rest, struct record *out)
{
    if (!take_id(rest, &out->queue) || !take_id(rest, &out->id) || !take_time(rest, &out->published_ms) ||
        !take_expiry(rest, out->published_ms, out) || !take_bool(rest, &out->by_ttl))
        return false;
    out->state = MESSAGE_READY;
    out->rest = *rest;
    *rest = (struct view){NULL, 0};
    return true;
}

static bool flags_valid(uint64_t flags)
{
    const unsigned state = flags & RECORD_STATE;
    const uint64_t texts = RECORD_GROUP | RECORD_DEDUP_ID | RECORD_HEADERS;
    return flags <= RECORD_FLAGS && !(flags & RECORD_HELD && state != MESSAGE_DELAYED) &&
           !(flags & RECORD_NOTE && state != MESSAGE_PARKED) && !(flags & RECORD_ABOVE && flags & texts);
}

static bool take_deliveries(struct view *rest, struct record *out)
{
    uint64_t attempts;
    if (!take_varint(rest, &attempts) || attempts > UINT32_MAX ||
        !take_moment(rest, out->published_ms, &out->first_ms) || !take_moment(rest, out->published_ms, &out->last_ms))
        return false;
    out->attempts = (uint32_t)attempts;
    return true;
}

static bool take_times(struct view *rest, uint64_t flags, struct record *out)
{
    if (flags & RECORD_EXPIRES && !take_time_from(rest, out->published_ms, &out->expires_ms))
        return false;
    const bool stays = out->state == MESSAGE_DELAYED || out->state == MESSAGE_PARKED;
    if (stays && !take_time_from(rest, out->published_ms, &out->at_ms))
        return false;
    return !(flags & RECORD_DELIVERIES) || take_deliveries(rest, out);
}

static bool take_texts(struct view *rest, uint64_t flags, struct record *out)
{
    if (flags & RECORD_PRIORITY && (!take_8(rest, &out->priority) || out->priority >= LIMIT_PRIORITIES))
        return false;
    if (flags & RECORD_GROUP && !take_view(rest, 1, LIMIT_GROUP_BYTES, &out->group))
        return false;
    if (flags & RECORD_DEDUP_ID && !take_view(rest, 1, LIMIT_DEDUP_BYTES, &out->dedup_id))
        return false;
    if (flags & RECORD_HEADERS && (!take_view(rest, 1, RECORD_LONG, &out->headers) || !check_headers(out->headers)))
        return false;
    if (out->state == MESSAGE_PARKED && !take_reason(rest, &out->reason))
        return false;
    return !(flags & RECORD_NOTE) || take_note(rest, &out->note);
}

/* `missing`: how many of its bytes do not lie in `rest`. */
static bool take_body(struct view *rest, uint64_t missing, struct view *out)
{
    uint64_t bytes;
    if (!take_varint(rest, &bytes) || bytes > UINT32_MAX || bytes != rest->bytes + missing)
        return false;
    *out = (struct view){missing > 0 ? NULL : rest->data, (size_t)bytes};
    *rest = (struct view){NULL, 0};
    return true;
}

static bool read_message(struct view *rest, uint64_t missing, struct record *out)
{
    uint64_t flags;
    if (!take_id(rest, &out->queue) || !take_id(rest, &out->id) || !take_varint(rest, &flags) || !flags_valid(flags) ||
        !take_time(rest, &out->published_ms))
        return false;
    out->state = (enum message_state)(flags & RECORD_STATE);
    out->expires = (flags & RECORD_EXPIRES) != 0;
    out->by_ttl = (flags & RECORD_BY_TTL) != 0;
    out->held = (flags & RECORD_HELD) != 0;
    out->above = (flags & RECORD_ABOVE) != 0;
    out->fifo = (flags & RECORD_FIFO) != 0;
    if (!take_times(rest, flags, out) || !take_texts(rest, flags, out))
        return false;
    return out->above ? missing == 0 : take_body(rest, missing, &out->body);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static bool read_ids(struct view *rest, struct record *out)
{
    const bool timed = out->type == RECORD_DELIVERED || out->type == RECORD_DELAYED;
    if (!take_id(rest, &out->queue) || (timed && !take_time(rest, &out->at_ms)))
        return false;
    out->rest = *rest;
    *rest = (struct view){NULL, 0};
    return true;
}

static bool read_parked(struct view *rest, struct record *out)
{
    return take_id(rest, &out->queue) && take_id(rest, &out->id) && take_time(rest, &out->at_ms) &&
           take_expiry(rest, out->at_ms, out) && take_reason(rest, &out->reason) && take_note(rest, &out->note);
}

static bool read_purged(struct view *rest, struct record *out)
{
    uint8_t states;
    if (!take_id(rest, &out->queue) || !take_8(rest, &states) || states > 0xf)
        return false;
    out->states = states;
    return true;
}

static bool read_dedup(struct view *rest, struct record *out)
{
    return take_id(rest, &out->queue) && take_id(rest, &out->id) && take_time(rest, &out->at_ms) &&
           take_view(rest, 0, RECORD_LONG, &out->key) && check_dedup_key(out->key);
}

static bool read_fields(struct view *rest, uint64_t missing, struct record *out)
{
    switch (out->type) {
    case RECORD_QUEUE:
        return read_queue(rest, out);
    case RECORD_QUEUE_GONE:
        return take_id(rest, &out->queue);
    case RECORD_TOPIC:
    case RECORD_TOPIC_GONE:
        return take_name(rest, &out->name);
    case RECORD_SUBSCRIPTION:
    case RECORD_SUBSCRIPTION_GONE:
        return read_subscription(rest, out);
    case RECORD_RUN:
        return read_run(rest, out);
    case RECORD_MESSAGE:
        return read_message(rest, missing, out);
    case RECORD_GONE:
    case RECORD_DELIVERED:
    case RECORD_UNDELIVERED:
    case RECORD_READY:
    case RECORD_KICKED:
    case RECORD_DELAYED:
        return read_ids(rest, out);
    case RECORD_PARKED:
        return read_parked(rest, out);
    case RECORD_PURGED:
        return read_purged(rest, out);
    case RECORD_DEDUP:
        return read_dedup(rest, out);
    case RECORD_TYPES:
        break;
    }
    return false;
}

bool record_read(struct view from, struct record *out)
{
    enum record_type type;
    uint64_t bytes;
    if (from.bytes < RECORD_HEAD_BYTES || !record_head(from, &type, &bytes))
        return false;
    const uint64_t missing = bytes > from.bytes ? bytes - from.bytes : 0;
    if (missing > 0 && type != RECORD_MESSAGE)
        return false;
    memset(out, 0, sizeof *out);
    out->type = type;
    out->first_ms = out->last_ms = INT64_MIN;
    struct view rest = {(const uint8_t *)from.data + RECORD_HEAD_BYTES, (size_t)(bytes - missing) - RECORD_HEAD_BYTES};
    return read_fields(&rest, missing, out) && rest.bytes == 0;
}

bool record_next_body(struct view *rest, struct view *body, bool *bad)
{
    *bad = false;
    if (rest->bytes == 0)
        return false;
    *bad = !take_view(rest, 0, UINT32_MAX, body);
    return !*bad;
}

bool record_next_range(struct view *rest, uint64_t *end, uint64_t *first, uint64_t *count, bool *bad)
{
    int64_t from_end;
    *bad = false;
    if (rest->bytes == 0)
        return false;
    *bad = true;
    if (!take_zigzag(rest, &from_end) || !take_varint(rest, count))
        return false;
    /* Below 1 it is a very high number. */
    *first = *end + (uint64_t)from_end;
    if (*first < 1 || *first > LIMIT_ID || *count < 1 || *count > LIMIT_ID - *first + 1)
        return false;
    *end = *first + *count;
    *bad = false;
    return true;
}
