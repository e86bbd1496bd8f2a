#include "server/broker/dedup.h"

#include "server/broker/life.h"
#include "server/broker/watch.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>
#include <xxhash.h>

/* A key: what kind of id it is, the id, and with scope `group` the group (which cannot be mistaken for a part of the id: the
   length of the id stands before it). */
enum dedup_kind { DEDUP_NAMED, DEDUP_CONTENT };

static inline struct dedup *dedup_of(struct table_link *link)
{
    _Static_assert(offsetof(struct dedup, link) == 0, "a link is the beginning of its entry");
    return (struct dedup *)(void *)link;
}

bool dedup_wanted(const struct queue *q, const struct publication *p)
{
    return q->attributes.dedup_window != 0 && (p->dedup_id.bytes > 0 || q->attributes.content_dedup);
}

static size_t key_bytes(const struct queue *q, const struct publication *p)
{
    size_t id = p->dedup_id.bytes > 0 ? p->dedup_id.bytes : SHA256_DIGEST_LENGTH;
    return 2 + id + (q->attributes.dedup_scope == DEDUP_GROUP ? p->group.bytes : 0);
}

static inline size_t entry_size(size_t key)
{
    return sizeof(struct dedup) + key;
}

size_t dedup_cost(const struct queue *q, const struct publication *p)
{
    return dedup_wanted(q, p) ? pool_size(entry_size(key_bytes(q, p))) : 0;
}

static uint8_t *copy(uint8_t *out, struct view bytes)
{
    if (bytes.bytes > 0)
        memcpy(out, bytes.data, bytes.bytes);
    return out + bytes.bytes;
}

static void key_put(uint8_t *out, const struct queue *q, const struct publication *p)
{
    if (p->dedup_id.bytes > 0) {
        *out++ = DEDUP_NAMED;
        *out++ = (uint8_t)p->dedup_id.bytes;
        out = copy(out, p->dedup_id);
    } else {
        *out++ = DEDUP_CONTENT;
        *out++ = SHA256_DIGEST_LENGTH;
        SHA256(p->body.data, p->body.bytes, out);
        out += SHA256_DIGEST_LENGTH;
    }
    if (q->attributes.dedup_scope == DEDUP_GROUP)
        copy(out, p->group);
}

static bool dedups_reserve(struct broker *b, struct queue *q)
{
    if (!q->dedups) {
        q->dedups = pool_take(&b->pool, sizeof *q->dedups);
        if (!q->dedups)
            return false;
        q->dedups->next = NULL;
        table_init(&q->dedups->table, &b->pool);
    }
    return table_reserve(&q->dedups->table);
}

struct dedup *dedup_new(struct broker *b, struct queue *q, const struct publication *p)
{
    assert(dedup_wanted(q, p));
    if (!dedups_reserve(b, q))
        return NULL;
    size_t bytes = key_bytes(q, p);
    struct dedup *entry = pool_take(&b->pool, entry_size(bytes));
    if (!entry)
        return NULL;
    memset(entry, 0, sizeof *entry);
    entry->key_bytes = (uint16_t)bytes;
    key_put(entry->key, q, p);
    entry->link.hash = XXH3_64bits_withSeed(entry->key, bytes, b->hash_seed);
    return entry;
}

void dedup_free(struct broker *b, struct dedup *entry)
{
    if (!entry)
        return;
    assert(!entry->owner);
    pool_give(&b->pool, entry, entry_size(entry->key_bytes));
}

/* The first entry with that key, from `link` on. */
static struct dedup *with_key(struct table_link *link, struct view key)
{
    for (; link; link = table_next(link)) {
        struct dedup *seen = dedup_of(link);
        if (seen->key_bytes == key.bytes && memcmp(seen->key, key.data, key.bytes) == 0)
            return seen;
    }
    return NULL;
}

struct dedup *dedup_restore(struct broker *b, struct queue *q, struct view key, uint64_t first_id, int64_t until_ms)
{
    if (!dedups_reserve(b, q))
        return NULL;
    uint64_t hash = XXH3_64bits_withSeed(key.data, key.bytes, b->hash_seed);
    struct dedup *entry = with_key(table_find(&q->dedups->table, hash), key);
    if (!entry) {
        entry = pool_take(&b->pool, entry_size(key.bytes));
        if (!entry)
            return NULL;
        memset(entry, 0, sizeof *entry);
        entry->owner = q->dedups;
        entry->key_bytes = (uint16_t)key.bytes;
        copy(entry->key, key);
        table_insert(&q->dedups->table, &entry->link, hash);
    }
    entry->first_id = first_id;
    entry->timer.deadline_ms = until_ms;
    return entry;
}

struct dedup *dedup_seek(const struct broker *b, const struct queue *q, struct view key, uint64_t first_id)
{
    if (!q->dedups)
        return NULL;
    uint64_t hash = XXH3_64bits_withSeed(key.data, key.bytes, b->hash_seed);
    struct dedup *entry = with_key(table_find(&q->dedups->table, hash), key);
    while (entry && entry->first_id != first_id)
        entry = with_key(table_next(&entry->link), key);
    return entry;
}

void dedup_restored(struct broker *b, struct queue *q)
{
    uint32_t bucket = 0;
    struct table_link *link = NULL;
    while (q->dedups && (link = table_walk(&q->dedups->table, link, &bucket))) {
        struct dedup *entry = dedup_of(link);
        entry->timer.kind = TIMER_DEDUP;
        timer_arm(&b->timers, &entry->timer, entry->timer.deadline_ms);
    }
}

struct dedup *dedup_find(const struct broker *b, int64_t now_ms, const struct queue *q, const struct dedup *entry)
{
    for (struct table_link *link = table_find(&q->dedups->table, entry->link.hash); link; link = table_next(link)) {
        struct dedup *seen = dedup_of(link);
        if (seen->key_bytes == entry->key_bytes && memcmp(seen->key, entry->key, entry->key_bytes) == 0 &&
            !life_passed(b, seen->timer.deadline_ms, now_ms))
            return seen;
    }
    return NULL;
}

void dedup_put(struct broker *b, int64_t now_ms, struct queue *q, struct dedup *entry, uint64_t first_id)
{
    entry->first_id = first_id;
    entry->owner = q->dedups;
    table_insert(&q->dedups->table, &entry->link, entry->link.hash);
    entry->timer.kind = TIMER_DEDUP;
    timer_arm(&b->timers, &entry->timer, now_ms + q->attributes.dedup_window);
}

void dedup_withdraw(struct broker *b, struct dedup *entry)
{
    timer_cancel(&b->timers, &entry->timer);
    table_remove(&entry->owner->table, &entry->link);
    entry->owner = NULL;
}

void dedup_forget(struct broker *b, struct dedup *entry)
{
    if (b->watcher)
        b->watcher->dedup_gone_cb(b->watcher->user, entry);
    dedup_withdraw(b, entry);
    dedup_free(b, entry);
}

void dedup_detach(struct broker *b, struct queue *q)
{
    if (!q->dedups)
        return;
    q->dedups->next = b->dead_dedups;
    b->dead_dedups = q->dedups;
    q->dedups = NULL;
}

bool dedup_trash(struct broker *b, uint32_t *budget)
{
    while (b->dead_dedups) {
        struct dedups *dedups = b->dead_dedups;
        for (struct table_link *link; (link = table_any(&dedups->table)); --*budget) {
            if (*budget == 0)
                return false;
            dedup_forget(b, dedup_of(link));
        }
        b->dead_dedups = dedups->next;
        table_close(&dedups->table);
        pool_give(&b->pool, dedups, sizeof *dedups);
    }
    return true;
}
