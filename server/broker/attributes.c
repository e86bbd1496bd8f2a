/* The attributes that a call names, judged: each for itself, all together, and with the other queues. */
#include "server/broker/life.h"

#include <string.h>

bool attributes_check(struct broker *b, const struct attribute_set *set)
{
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++) {
        if (set->named >> a & 1 && !attribute_valid(&set->values, (enum attribute)a)) {
            b->which = attribute_row((enum attribute)a)->name;
            return false;
        }
    }
    return true;
}

uint32_t attributes_differing(const struct attributes *has, const struct attribute_set *set)
{
    uint32_t bits = 0;
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
        if (set->named >> a & 1 && !attribute_equal(has, &set->values, (enum attribute)a))
            bits |= 1u << a;
    return bits;
}

static bool is_name(const struct queue_name *name, struct view other)
{
    return name->bytes == other.bytes && memcmp(name->text, other.data, other.bytes) == 0;
}

/* True if the links from that queue on lead to the name. They never go round among the queues that are there. */
static bool leads_to(const struct broker *b, const struct queue_name *from, struct view name)
{
    while (from->bytes > 0) {
        if (is_name(from, name))
            return true;
        const struct queue *q = broker_queue_find(b, from->text, from->bytes);
        if (!q)
            return false;
        from = &q->attributes.dead_letter;
    }
    return false;
}

/* True if a durable queue sends its dead messages to that name. */
static bool serves_durable(const struct broker *b, struct view name)
{
    for (uint32_t i = 0; i < b->queue_count; i++)
        if (b->queues[i]->attributes.durable && is_name(&b->queues[i]->attributes.dead_letter, name))
            return true;
    return false;
}

static enum error_code check_dead_letter(struct broker *b, struct view name, const struct attributes *a, uint32_t named)
{
    bool is_named = named >> ATTRIBUTE_dead_letter & 1;
    if (a->dead_letter.bytes == 0) {
        if (a->overflow == OVERFLOW_DEAD_LETTER_OLDEST)
            return broker_refuse(b, ERR_BAD_REQUEST, "overflow");
        return a->dead_letter_expired ? broker_refuse(b, ERR_BAD_REQUEST, "dead_letter_expired") : ERR_NONE;
    }
    if (is_named && leads_to(b, &a->dead_letter, name))
        return broker_refuse(b, ERR_BAD_REQUEST, "dead_letter");
    const struct queue *to = broker_queue_find(b, a->dead_letter.text, a->dead_letter.bytes);
    if (!to)
        return is_named ? broker_refuse(b, ERR_QUEUE_NOT_FOUND, "dead_letter") : ERR_NONE;
    if (is_named && to->attributes.type != a->type)
        return broker_refuse(b, ERR_BAD_REQUEST, "dead_letter");
    if (a->durable && !to->attributes.durable)
        return broker_refuse(b, ERR_BAD_REQUEST, is_named ? "dead_letter" : "durable");
    return ERR_NONE;
}

enum error_code attributes_merge(struct broker *b, struct view name, const struct attribute_set *set,
                                 struct attributes *attributes)
{
    struct attributes merged = *attributes;
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
        if (set->named >> a & 1)
            attribute_copy(&merged, &set->values, (enum attribute)a);
    if (merged.visibility > merged.max_hold)
        return broker_refuse(b, ERR_LIMIT, "max_hold");
    if (merged.retention != 0 && merged.delay >= merged.retention)
        return broker_refuse(b, ERR_LIMIT, "retention");
    if ((uint64_t)merged.max_message_bytes > b->limits.max_body_bytes)
        return broker_refuse(b, ERR_LIMIT, "max_request_bytes");
    enum error_code code = check_dead_letter(b, name, &merged, set->named);
    if (code != ERR_NONE)
        return code;
    if (!merged.durable && serves_durable(b, name))
        return broker_refuse(b, ERR_BAD_REQUEST, "durable");
    *attributes = merged;
    return ERR_NONE;
}
