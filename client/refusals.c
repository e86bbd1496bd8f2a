/*
 * refusals: the entries [index, [code, text]] or [index, [code, text, details]] for what was refused of a batch. They
 * are checked once, when the answer is read, so that going through them can't fail.
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

bool refusals_ok(struct ringmq_value exceptions)
{
    struct ringmq_value entry;
    struct ringmq_refusal refusal;
    struct ringmq_iterator it = ringmq_iterate(exceptions);
    if (ringmq_value_type(exceptions) != RINGMQ_ARRAY)
        return false;
    while (ringmq_next(&it, NULL, &entry)) {
        if (!refusal_read(entry, &refusal))
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
    return ringmq_next(iterator, NULL, &entry) && refusal_read(entry, refusal);
}
