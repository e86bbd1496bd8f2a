#include "server/broker/queue.h"

#include "server/broker/dedup.h"

#include <assert.h>
#include <string.h>

static const struct attribute_row rows[ATTRIBUTE_TOTAL] = {
#define X(field, kind, def, min, max, choices, help) {#field, ATTRIBUTE_##kind, def, min, max, choices, help},
    ATTRIBUTE_LIST(X)
#undef X
};

static const size_t offsets[ATTRIBUTE_TOTAL] = {
#define X(field, kind, def, min, max, choices, help) offsetof(struct attributes, field),
    ATTRIBUTE_LIST(X)
#undef X
};

const struct attribute_row *attribute_row(enum attribute a)
{
    assert(a < ATTRIBUTE_TOTAL);
    return &rows[a];
}

enum attribute attribute_find(const char *name, size_t bytes)
{
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
        if (strlen(rows[a].name) == bytes && memcmp(rows[a].name, name, bytes) == 0)
            return (enum attribute)a;
    return ATTRIBUTE_TOTAL;
}

static void *place(struct attributes *attributes, enum attribute a)
{
    return (char *)attributes + offsets[a];
}

static const void *view(const struct attributes *attributes, enum attribute a)
{
    return (const char *)attributes + offsets[a];
}

int64_t *attribute_value(struct attributes *attributes, enum attribute a)
{
    assert(a < ATTRIBUTE_TOTAL && attribute_is_scalar(rows[a].kind));
    return place(attributes, a);
}

int64_t attribute_get(const struct attributes *attributes, enum attribute a)
{
    assert(a < ATTRIBUTE_TOTAL && attribute_is_scalar(rows[a].kind));
    return *(const int64_t *)view(attributes, a);
}

static bool name_equal(const struct queue_name *x, const struct queue_name *y)
{
    return x->bytes == y->bytes && memcmp(x->text, y->text, x->bytes) == 0;
}

/* Numbers that were checked when they came in: none of them is NaN. */
static bool backoff_equal(const struct backoff *x, const struct backoff *y)
{
    if (x->base_ms == 0 || y->base_ms == 0)
        return x->base_ms == y->base_ms;
    return x->base_ms == y->base_ms && x->cap_ms == y->cap_ms && !(x->factor < y->factor || x->factor > y->factor) &&
           !(x->jitter < y->jitter || x->jitter > y->jitter);
}

/* Written so that NaN is out of range. */
static bool backoff_valid(const struct backoff *f)
{
    if (f->base_ms == 0)
        return true;
    return f->base_ms >= 1 && f->base_ms <= LIMIT_TIME_MS && f->cap_ms >= 0 && f->cap_ms <= LIMIT_TIME_MS &&
           f->factor >= 1 && f->factor <= BACKOFF_FACTOR_MAX && f->jitter >= 0 && f->jitter <= 1;
}

void attribute_copy(struct attributes *to, const struct attributes *from, enum attribute a)
{
    switch (rows[a].kind) {
    case ATTRIBUTE_NAME:
        *(struct queue_name *)place(to, a) = *(const struct queue_name *)view(from, a);
        return;
    case ATTRIBUTE_BACKOFF:
        *(struct backoff *)place(to, a) = *(const struct backoff *)view(from, a);
        return;
    default:
        *attribute_value(to, a) = attribute_get(from, a);
    }
}

bool attribute_equal(const struct attributes *x, const struct attributes *y, enum attribute a)
{
    switch (rows[a].kind) {
    case ATTRIBUTE_NAME:
        return name_equal(view(x, a), view(y, a));
    case ATTRIBUTE_BACKOFF:
        return backoff_equal(view(x, a), view(y, a));
    default:
        return attribute_get(x, a) == attribute_get(y, a);
    }
}

bool attribute_valid(const struct attributes *attributes, enum attribute a)
{
    const struct queue_name *name;
    switch (rows[a].kind) {
    case ATTRIBUTE_NAME:
        name = view(attributes, a);
        return name->bytes == 0 || queue_name_valid(name->text, name->bytes);
    case ATTRIBUTE_BACKOFF:
        return backoff_valid(view(attributes, a));
    default:
        return attribute_get(attributes, a) >= rows[a].min && attribute_get(attributes, a) <= rows[a].max;
    }
}

int name_order(const char *x, size_t x_bytes, const char *y, size_t y_bytes)
{
    size_t shorter = x_bytes < y_bytes ? x_bytes : y_bytes;
    int order = shorter > 0 ? memcmp(x, y, shorter) : 0;
    return order != 0 ? order : (x_bytes > y_bytes) - (x_bytes < y_bytes);
}

bool queue_name_valid(const char *name, size_t bytes)
{
    if (bytes == 0 || bytes > LIMIT_NAME_BYTES)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("._-/:", c)))
            return false;
    }
    return true;
}

/* The next of the words separated by |; NULL data at the end. */
static struct view next_word(const char **rest)
{
    if (**rest == '\0')
        return (struct view){NULL, 0};
    const char *word = *rest;
    size_t bytes = strcspn(word, "|");
    *rest = word + bytes + (word[bytes] == '|' ? 1 : 0);
    return (struct view){word, bytes};
}

int64_t attribute_choice(enum attribute a, const char *word, size_t bytes)
{
    const char *rest = attribute_row(a)->choices;
    int64_t index = 0;
    for (struct view w; (w = next_word(&rest)).data; index++)
        if (w.bytes == bytes && memcmp(w.data, word, bytes) == 0)
            return index;
    return -1;
}

struct view attribute_word(enum attribute a, int64_t value)
{
    const char *rest = attribute_row(a)->choices;
    struct view w = next_word(&rest);
    while (w.data && value-- > 0)
        w = next_word(&rest);
    assert(w.data);
    return w;
}

void attributes_init(struct attributes *attributes)
{
    memset(attributes, 0, sizeof *attributes);
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
        if (attribute_is_scalar(rows[a].kind))
            *attribute_value(attributes, (enum attribute)a) = rows[a].initial;
}

/* Seconds that nobody counted in are empty. */
static void meter_forward(struct meter *meter, int64_t second)
{
    if (second - meter->second >= METER_SECONDS) {
        memset(meter->events, 0, sizeof meter->events);
        meter->second = second;
    }
    while (meter->second < second)
        meter->events[++meter->second % METER_SECONDS] = 0;
}

void meter_add(struct meter *meter, int64_t now_ms, uint32_t events)
{
    int64_t second = now_ms / 1000;
    if (second != meter->second)
        meter_forward(meter, second);
    meter->events[(uint64_t)second % METER_SECONDS] += events;
}

double meter_rate(const struct meter *meter, int64_t now_ms)
{
    struct meter copy = *meter;
    int64_t second = now_ms / 1000;
    meter_forward(&copy, second);
    uint64_t sum = 0;
    for (int64_t back = 1; back <= 5; back++)
        sum += second >= back ? copy.events[(second - back) % METER_SECONDS] : 0;
    return (double)sum / 5;
}

int64_t queue_oldest_ms(const struct queue *queue, int64_t now_ms)
{
    struct ring_cursor at = ring_first(queue->messages, MESSAGE_READY, 0);
    return at.page ? now_ms - ((const struct message *)ring_item(at))->published_ms : 0;
}

uint64_t queue_group_count(const struct queue *queue)
{
    return queue->groups.table.count;
}

uint64_t queue_dedup_count(const struct queue *queue)
{
    return queue->dedups ? queue->dedups->table.count : 0;
}
