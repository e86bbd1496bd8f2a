/*
 * refusals: the exceptions of a batch. An entry [index, [code, text]] or [index, [code, text, details]] is something that
 * was refused; in the answer to a publish [index, id] is a message that was there already. They are checked once, when
 * the answer is read, so that going through them can't fail.
 */
#include "client/connection.h"

static bool refusal_read(struct ringmq_value entry, struct ringmq_refusal *refusal)
{
    uint64_t index;
    if (ringmq_value_type(entry) != RINGMQ_ARRAY || ringmq_value_count(entry) != 2)
        return false;
    if (!value_uint(ringmq_value_item(entry, 0), &index) || index > UINT32_MAX)
        return false;
    refusal->index = (uint32_t)index;
    return error_read(ringmq_value_item(entry, 1), &refusal->error);
}

static bool duplicate_read(struct ringmq_value entry, struct ringmq_duplicate *duplicate)
{
    uint64_t index;
    if (ringmq_value_type(entry) != RINGMQ_ARRAY || ringmq_value_count(entry) != 2)
        return false;
    if (!value_uint(ringmq_value_item(entry, 0), &index) || index > UINT32_MAX)
        return false;
    duplicate->index = (uint32_t)index;
    return value_uint(ringmq_value_item(entry, 1), &duplicate->id);
}

bool exceptions_ok(struct ringmq_value exceptions, bool duplicates)
{
    struct ringmq_value entry;
    struct ringmq_refusal refusal;
    struct ringmq_duplicate duplicate;
    struct ringmq_iterator it = ringmq_iterate(exceptions);
    if (ringmq_value_type(exceptions) != RINGMQ_ARRAY)
        return false;
    while (ringmq_next(&it, NULL, &entry)) {
        if (!refusal_read(entry, &refusal) && !(duplicates && duplicate_read(entry, &duplicate)))
            return false;
    }
    return true;
}

struct ringmq_iterator ringmq_iterate_refusals(struct ringmq_value exceptions)
{
    return ringmq_iterate(exceptions);
}

bool ringmq_next_refusal(struct ringmq_iterator *iterator, struct ringmq_refusal *refusal)
{
    struct ringmq_value entry;
    while (ringmq_next(iterator, NULL, &entry)) {
        if (refusal_read(entry, refusal))
            return true;
    }
    return false;
}

struct ringmq_iterator ringmq_iterate_duplicates(struct ringmq_value exceptions)
{
    return ringmq_iterate(exceptions);
}

bool ringmq_next_duplicate(struct ringmq_iterator *iterator, struct ringmq_duplicate *duplicate)
{
    struct ringmq_value entry;
    while (ringmq_next(iterator, NULL, &entry)) {
        if (duplicate_read(entry, duplicate))
            return true;
    }
    return false;
}
