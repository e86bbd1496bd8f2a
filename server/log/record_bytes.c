/* What things take in the log, about: the same at every moment of their lives, whatever of them changes. */
#include "server/log/record.h"

size_t record_texts_bytes(const struct message *m)
{
    const struct message_texts texts = message_texts(m);
    return texts.group.bytes + texts.dedup_id.bytes + texts.headers.bytes;
}

size_t record_queue_bytes(const struct queue *q)
{
    return 512 + q->name_bytes;
}

size_t record_topic_bytes(const struct topic *t)
{
    return 8 + (size_t)t->name_bytes;
}

size_t record_subscription_bytes(const struct topic *t, const struct subscription *s)
{
    return 16 + (size_t)t->name_bytes + s->pattern_bytes;
}

size_t record_dedup_bytes(const struct dedup *entry)
{
    return 24 + (size_t)entry->key_bytes;
}
