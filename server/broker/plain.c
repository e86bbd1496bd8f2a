/*
 * Most publishes ask for nothing but to be stored, and are: bodies, maybe with headers, for a queue in which nobody
 * waits for room, and there is room for all of them. Such a publish needs no decision per message, so it is judged and done as a
 * whole:
 *
 *     is it plain?     by what the messages are, and what the queue is and has room for
 *     put              messages are made and put into the queue's ring, page by page, and into the groups of a fifo queue
 *     entered          the queue's figures, its sweep, the watcher: once for all of them
 *
 * All that can fail is memory, and while messages are put; then those that are in the ring leave it again, and as nobody has
 * been told of them, nothing has happened. Whatever is not plain, or may not be, is left to batch.c, which does the same message
 * by message and for every kind of message and queue: what is stored here it would have stored with the same ids, times and
 * counts. Where that takes a close look (is there memory for all of them?) this file looks from far, and leaves the close cases
 * to the other.
 */
#include "server/broker/plain.h"

#include "server/broker/batch.h"
#include "server/broker/watch.h"

#define LOOP __attribute__((noinline)) /* has the registers for itself */

/* What a message takes at most besides its body, headers and group: itself, a body apart with the pointer to it, extras, what
   the pool rounds up that is not in proportion, and its part of the ring. */
#define PLAIN_BESIDE (sizeof(struct message) + sizeof(struct body) + 80 + sizeof(struct ring_page) / RING_FANOUT + 1)

/* And its links and its group, if it is a new one, besides the name. */
#define PLAIN_GROUPED (sizeof(struct message_links) + sizeof(struct group) + 24)

/* ---- is it plain? ------------------------------------------------------------------------------------------------ */

bool plain_takes(const struct queue *q, int64_t now_ms, struct message *stamp)
{
    return !q->attributes.content_dedup && !q->held && life_stamp(q, now_ms, stamp);
}

static inline bool is_fifo(const struct queue *q)
{
    return q->attributes.type == QUEUE_FIFO;
}

static inline bool is_plain(const struct publication *p)
{
    return p->dedup_id.bytes == 0 && p->delay_ms <= 0 && p->ttl_ms < 0 && p->priority == 0;
}

static inline void load_add(struct plain_load *load, size_t body_bytes)
{
    load->bytes += body_bytes;
    if (body_bytes > load->largest)
        load->largest = body_bytes;
}

static struct plain_load load_of_bodies(const struct view *body, uint32_t count)
{
    struct plain_load load = {0};
    for (const struct view *end = body + count; body < end; body++)
        load_add(&load, body->bytes);
    load.kept = load.bytes;
    return load;
}

/* False if one of them is not plain; with `grouped` those without a group are not. */
static bool load_of_items(const struct publication *p, uint32_t count, bool grouped, struct plain_load *load)
{
    uint64_t headers = 0, names = 0;
    *load = (struct plain_load){0};
    for (const struct publication *end = p + count; p < end; p++) {
        if (!is_plain(p) || (grouped && p->group.bytes == 0))
            return false;
        load_add(load, p->body.bytes);
        headers += p->headers.bytes;
        names += p->group.bytes;
    }
    load->headers = headers;
    load->kept = load->bytes + headers + names + (grouped ? names + count * PLAIN_GROUPED : 0);
    return true;
}

bool plain_measure(const struct publications *messages, bool grouped, struct plain_load *load)
{
    if (messages->bodies) {
        *load = load_of_bodies(messages->bodies, messages->count);
        return !grouped;
    }
    return !messages->refused && load_of_items(messages->items, messages->count, grouped, load);
}

bool plain_fits(const struct broker *b, const struct queue *q, const struct plain_load *load, uint32_t count)
{
    return load->largest <= batch_body_limit(b, q) &&
           plan_fits(q, queue_total(q) + count, queue_body_bytes(q) + load->bytes);
}

/* No class of the pool adds more than an eighth. */
bool plain_affords(const struct broker *b, const struct plain_load *load, uint64_t copies)
{
    const uint64_t most = load->kept + load->kept / 8 + copies * (PLAIN_BESIDE + sizeof(struct staged));
    return broker_memory(b) + batch_size(0) + most <= b->limits.max_memory_bytes;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* Messages, made and laid one behind the other; how many, before memory ran out. The stamp's id goes on. */
LOOP static uint32_t lay_bodies(struct pool *pool, void **place, const struct view *body, uint32_t count,
                                struct message *stamp)
{
    uint32_t laid = 0;
    for (; laid < count; laid++) {
        struct message *message = message_new_bare(pool, body[laid], stamp);
        if (message == NULL)
            break;
        stamp->id++;
        place[laid] = message;
    }
    return laid;
}

/* All that such messages have in common but for what they are made of. The stamp's id goes on. */
static inline void stamp_on(struct message *message, struct message *stamp)
{
    message->id = stamp->id++;
    message->published_ms = stamp->published_ms;
    message->expires_ms = stamp->expires_ms;
    message->flags |= stamp->flags;
}

LOOP static uint32_t lay_any(struct pool *pool, void **place, const struct publications *messages, uint32_t first,
                             uint32_t count, struct message *stamp)
{
    uint32_t laid = 0;
    for (; laid < count; laid++) {
        struct publication room;
        const struct publication *p = publication_at(messages, first + laid, &room);
        struct message *message = message_new(pool, p, false);
        if (message == NULL)
            break;
        stamp_on(message, stamp);
        place[laid] = message;
    }
    return laid;
}

/* For a fifo queue: they join their groups as well. */
LOOP static uint32_t lay_grouped(struct broker *b, struct queue *q, void **place, const struct publication *p,
                                 uint32_t count, struct message *stamp)
{
    uint32_t laid = 0;
    struct message *message = NULL;
    do {
        struct group *group = group_meet(b, q, p->group);
        message = group != NULL ? message_new(&b->pool, p++, true) : NULL;
        if (message != NULL) {
            stamp_on(message, stamp);
            message_links(message)->group = group;
            order_enter(q, message, MESSAGE_READY);
            place[laid++] = message;
        }
        order_settle(b, q, group);
    } while (message != NULL && laid < count);
    return laid;
}

/* Puts the messages from `first` on into the ring, as many as its page has room for. Returns how many, or 0 if memory ran out. */
static inline uint32_t put_page(struct broker *b, struct queue *q, const struct publications *messages, uint32_t first,
                                bool bare, struct message *stamp)
{
    uint32_t count = messages->count - first, laid = 0;
    const struct ring_cursor at = ring_open(q->messages, stamp->id, &count);
    if (at.page == NULL)
        return 0;
    if (is_fifo(q))
        laid = lay_grouped(b, q, ring_lane(at), messages->items + first, count, stamp);
    else if (bare)
        laid = lay_bodies(&b->pool, ring_lane(at), messages->bodies + first, count, stamp);
    else
        laid = lay_any(&b->pool, ring_lane(at), messages, first, count, stamp);
    if (laid > 0)
        ring_put_laid(at, laid, MESSAGE_READY);
    else
        ring_prune(at.page);
    return laid;
}

void plain_take_back(struct broker *b, struct queue *q, uint32_t count)
{
    for (uint64_t id = q->next_id; id < q->next_id + count; id++) {
        struct ring_cursor at = ring_find(q->messages, id);
        struct message *message = life_message(at);
        ring_remove(at, MESSAGE_READY);
        if (message->flags & MESSAGE_LINKED) {
            order_leave(q, message, MESSAGE_READY);
            order_settle(b, q, message_links(message)->group);
        }
        message_free(&b->pool, message);
    }
}

bool plain_put(struct broker *b, struct queue *q, const struct publications *messages, const struct plain_load *load,
               struct message *stamp)
{
    const bool bare = messages->bodies && load->largest < MESSAGE_SHARE_BYTES;
    for (uint32_t done = 0, put; done < messages->count; done += put) {
        put = put_page(b, q, messages, done, bare, stamp);
        if (put == 0) {
            plain_take_back(b, q, done);
            return false;
        }
    }
    return true;
}

void plain_entered(struct broker *b, int64_t now_ms, struct queue *q, const struct plain_load *load, uint32_t count,
                   const struct message *stamp)
{
    life_entered(b, q, count, load->bytes, stamp->expires_ms);
    COUNT(b, q, published, count);
    meter_add(&q->publish_meter, now_ms, count);
    line_wake(b, q);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

bool plain_publish(struct broker *b, int64_t now_ms, struct queue *q, const struct publications *messages,
                   struct publish_result *result)
{
    const uint32_t count = messages->count;
    const uint64_t first_id = q->next_id;
    struct message stamp;
    struct plain_load load;
    if (!plain_takes(q, now_ms, &stamp) || !plain_measure(messages, is_fifo(q), &load) ||
        !plain_fits(b, q, &load, count) || !plain_affords(b, &load, count) || !plain_put(b, q, messages, &load, &stamp))
        return false;
    *result = (struct publish_result){.first_id = first_id, .stored = count};
    plain_entered(b, now_ms, q, &load, count, &stamp);
    if (watched(b, q))
        life_tell_stored(b, q, first_id, count);
    return true;
}
