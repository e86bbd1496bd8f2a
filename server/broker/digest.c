#include "server/broker/digest.h"

#include "server/broker/dedup.h"
#include "server/broker/life.h"

#include <string.h>
#include <xxhash.h>

/* ---- what is said of a thing: numbers and texts, both to be hashed and to be read --------------------------------- */

#define FACT_NUMBERS 40
#define FACT_VIEWS   8

struct facts {
    const char *what;
    unsigned number_count, view_count;
    const char *number_names[FACT_NUMBERS];
    int64_t numbers[FACT_NUMBERS];
    const char *view_names[FACT_VIEWS];
    struct view views[FACT_VIEWS];
};

static void number(struct facts *f, const char *name, int64_t n)
{
    f->number_names[f->number_count] = name;
    f->numbers[f->number_count++] = n;
}

static void text(struct facts *f, const char *name, struct view view)
{
    f->view_names[f->view_count] = name;
    f->views[f->view_count++] = view;
}

static void real(struct facts *f, const char *name, double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    number(f, name, bits);
}

/* A time of day; `never` stands for itself. */
static void moment(struct facts *f, const struct broker *b, const char *name, int64_t ms, int64_t never)
{
    number(f, name, ms == never ? never : ms + b->wall_offset_ms);
}

static struct view name_of(const struct queue *q)
{
    return (struct view){q->name, q->name_bytes};
}

static void queue_facts(struct facts *f, const struct queue *q)
{
    *f = (struct facts){.what = "queue"};
    text(f, "name", name_of(q));
    number(f, "next_id", (int64_t)q->next_id);
    number(f, "paused", q->paused);
    for (unsigned i = 0; i < ATTRIBUTE_TOTAL; i++) {
        const struct attribute_row *row = attribute_row((enum attribute)i);
        if (attribute_is_scalar(row->kind))
            number(f, row->name, attribute_get(&q->attributes, (enum attribute)i));
    }
    text(f, "dead_letter", (struct view){q->attributes.dead_letter.text, q->attributes.dead_letter.bytes});
    const struct backoff *backoff = &q->attributes.backoff;
    number(f, "base", backoff->base_ms);
    if (backoff->base_ms != 0) {
        number(f, "cap", backoff->cap_ms);
        real(f, "factor", backoff->factor);
        real(f, "jitter", backoff->jitter);
    }
}

static void message_facts(struct facts *f, const struct broker *b, const struct queue *q, const struct message *m,
                          enum message_state state)
{
    const struct slot *slot = m->slot != MESSAGE_NO_SLOT ? slots_at(&b->slots, m->slot) : NULL;
    *f = (struct facts){.what = "message"};
    text(f, "queue", name_of(q));
    number(f, "id", (int64_t)m->id);
    number(f, "state", state == MESSAGE_INFLIGHT ? MESSAGE_READY : state);
    moment(f, b, "published", m->published_ms, -1);
    moment(f, b, "expires", m->expires_ms, 0);
    number(f, "by_ttl", (m->flags & MESSAGE_TTL) != 0);
    number(f, "attempts", m->attempts);
    moment(f, b, "first", message_first_ms(m), -1);
    moment(f, b, "last", message_last_ms(m), -1);
    number(f, "priority", m->priority);
    if (state == MESSAGE_DELAYED || state == MESSAGE_PARKED)
        moment(f, b, "at", slot->since_ms, -1);
    if (state == MESSAGE_DELAYED && q->attributes.type == QUEUE_FIFO)
        number(f, "held", (m->flags & MESSAGE_HELD) != 0);
    if (state == MESSAGE_PARKED) {
        number(f, "reason", slot->reason);
        text(f, "note", slot->note ? (struct view){slot->note->text, slot->note->bytes} : (struct view){NULL, 0});
    }
    text(f, "group", message_group(m));
    text(f, "dedup_id", message_dedup_id(m));
    text(f, "headers", message_headers(m));
    text(f, "body", message_body(m));
}

static void dedup_facts(struct facts *f, const struct broker *b, const struct queue *q, const struct dedup *entry)
{
    *f = (struct facts){.what = "id"};
    text(f, "queue", name_of(q));
    text(f, "key", (struct view){entry->key, entry->key_bytes});
    number(f, "first_id", (int64_t)entry->first_id);
    moment(f, b, "until", entry->timer.deadline_ms, -1);
}

static void topic_facts(struct facts *f, const struct topic *t, const struct subscription *s)
{
    *f = (struct facts){.what = s ? "subscription" : "topic"};
    text(f, "name", (struct view){t->name, t->name_bytes});
    if (s) {
        text(f, "queue", name_of(s->queue));
        text(f, "pattern", subscription_pattern(s));
        text(f, "filter", subscription_filter(s));
    }
}

/* ---- going through everything ------------------------------------------------------------------------------------ */

typedef void facts_fn(void *user, const struct facts *f, bool ordered);

static void each_of_queue(const struct broker *b, int64_t now_ms, struct queue *q, facts_fn *tell, void *user)
{
    struct facts f;
    queue_facts(&f, q);
    tell(user, &f, true);
    struct ring_walk walk;
    struct ring_cursor at;
    unsigned state;
    ring_walk_begin(&walk, q->messages);
    while (ring_walk_next(&walk, &at, &state)) {
        message_facts(&f, b, q, life_message(at), (enum message_state)state);
        tell(user, &f, true);
    }
    uint32_t bucket = 0;
    for (struct table_link *link = NULL; q->dedups && (link = table_walk(&q->dedups->table, link, &bucket));) {
        const struct dedup *entry = (const struct dedup *)(const void *)link;
        if (life_passed(b, entry->timer.deadline_ms, now_ms))
            continue;
        dedup_facts(&f, b, q, entry);
        tell(user, &f, false);
    }
}

static void each(const struct broker *b, int64_t now_ms, facts_fn *tell, void *user)
{
    struct facts f;
    for (uint32_t i = 0; i < b->queue_count; i++)
        if (b->queues[i]->attributes.durable)
            each_of_queue(b, now_ms, b->queues[i], tell, user);
    for (uint32_t i = 0; i < b->topic_count; i++) {
        const struct topic *t = b->topics[i];
        topic_facts(&f, t, NULL);
        tell(user, &f, true);
        for (uint32_t j = 0; j < t->subscription_count; j++) {
            if (!t->subscriptions[j]->queue->attributes.durable)
                continue;
            topic_facts(&f, t, t->subscriptions[j]);
            tell(user, &f, true);
        }
    }
}

/* ---- the number -------------------------------------------------------------------------------------------------- */

struct digest {
    uint64_t chain; /* over what has an order */
    uint64_t sum;   /* of what has none */
};

static void add(void *user, const struct facts *f, bool ordered)
{
    struct digest *d = user;
    uint64_t hash = ordered ? d->chain : 0;
    hash = XXH3_64bits_withSeed(f->what, strlen(f->what), hash);
    hash = XXH3_64bits_withSeed(f->numbers, f->number_count * sizeof *f->numbers, hash);
    for (unsigned i = 0; i < f->view_count; i++) {
        uint64_t bytes = f->views[i].bytes;
        hash = XXH3_64bits_withSeed(&bytes, sizeof bytes, hash);
        if (bytes > 0)
            hash = XXH3_64bits_withSeed(f->views[i].data, bytes, hash);
    }
    if (ordered)
        d->chain = hash;
    else
        d->sum += hash;
}

uint64_t broker_digest(const struct broker *b, int64_t now_ms)
{
    struct digest d = {0, 0};
    each(b, now_ms, add, &d);
    return XXH3_64bits(&d, sizeof d);
}

/* ---- the lines --------------------------------------------------------------------------------------------------- */

/* How much of a text a line shows; of what is longer, its hash tells whether it is the same. */
#define SHOWN_BYTES 48
#define LINE_BYTES  8192

struct lines {
    void (*line_cb)(void *user, const char *line);
    void *user;
    char line[LINE_BYTES];
    size_t bytes;
};

static void put(struct lines *out, const char *word)
{
    size_t bytes = strlen(word);
    if (bytes >= LINE_BYTES - out->bytes)
        bytes = LINE_BYTES - 1 - out->bytes;
    memcpy(out->line + out->bytes, word, bytes);
    out->bytes += bytes;
}

static void put_number(struct lines *out, uint64_t n, unsigned base)
{
    char digits[24];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do
        *--at = "0123456789abcdef"[n % base];
    while ((n /= base) > 0);
    put(out, at);
}

static void put_view(struct lines *out, struct view view)
{
    const unsigned char *bytes = view.data;
    for (size_t i = 0; i < view.bytes && i < SHOWN_BYTES; i++) {
        const char plain[] = {(char)bytes[i], '\0'};
        bool readable = bytes[i] > ' ' && bytes[i] < 0x7f && bytes[i] != '\\';
        put(out, readable ? plain : "\\");
        if (!readable) {
            put_number(out, bytes[i] >> 4, 16);
            put_number(out, bytes[i] & 15, 16);
        }
    }
    if (view.bytes > SHOWN_BYTES) {
        put(out, "..");
        put_number(out, XXH3_64bits(view.data, view.bytes), 16);
    }
}

static void put_name(struct lines *out, const char *name)
{
    put(out, " ");
    put(out, name);
    put(out, "=");
}

static void write_line(void *user, const struct facts *f, bool ordered)
{
    struct lines *out = user;
    (void)ordered;
    out->bytes = 0;
    put(out, f->what);
    for (unsigned i = 0; i < f->view_count; i++) {
        put_name(out, f->view_names[i]);
        put_view(out, f->views[i]);
    }
    for (unsigned i = 0; i < f->number_count; i++) {
        put_name(out, f->number_names[i]);
        put(out, f->numbers[i] < 0 ? "-" : "");
        put_number(out, f->numbers[i] < 0 ? 0 - (uint64_t)f->numbers[i] : (uint64_t)f->numbers[i], 10);
    }
    out->line[out->bytes] = '\0';
    out->line_cb(out->user, out->line);
}

void broker_describe(const struct broker *b, int64_t now_ms, void (*line_cb)(void *user, const char *line), void *user)
{
    struct lines lines = {.line_cb = line_cb, .user = user};
    each(b, now_ms, write_line, &lines);
}
