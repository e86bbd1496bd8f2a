#include "server/broker/queue.h"

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

int64_t *attribute_value(struct attributes *attributes, enum attribute a)
{
    assert(a < ATTRIBUTE_TOTAL);
    return (int64_t *)(void *)((char *)attributes + offsets[a]);
}

int64_t attribute_get(const struct attributes *attributes, enum attribute a)
{
    assert(a < ATTRIBUTE_TOTAL);
    return *(const int64_t *)(const void *)((const char *)attributes + offsets[a]);
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
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
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
    meter->events[second % METER_SECONDS] += events;
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
