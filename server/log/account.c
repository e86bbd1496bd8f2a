/*
 * account: how many bytes of each segment still count. A message counts with what it would take if it were written anew; a body
 * that several messages share, and that lies once in the log, counts once, until the last of them is gone. What is purged
 * counts until it is freed, a little later.
 */
#include "server/log/inside.h"

#include <assert.h>

static struct segment *add(struct wal *wal, uint16_t mark, uint64_t bytes)
{
    struct segment *s = wal->by_mark[mark];
    assert(mark != 0 && s);
    s->live_bytes += bytes;
    wal->live_bytes += bytes;
    return s;
}

static struct segment *sub(struct wal *wal, uint16_t mark, uint64_t bytes)
{
    struct segment *s = wal->by_mark[mark];
    assert(s && s->live_bytes >= bytes);
    s->live_bytes -= bytes;
    wal->live_bytes -= bytes;
    return s;
}

/* The body of a message that lies apart: true if this record has it for this message alone, or for the first of several. */
static bool takes_body(struct message *m, struct body *shared, bool above, uint16_t mark)
{
    if (shared->copies > 0 && above && shared->mark == mark) {
        shared->copies++;
        return false;
    }
    if (shared->copies > 0 && shared->mark != 0) {
        m->flags |= MESSAGE_ALONE;
        return true;
    }
    shared->copies++;
    shared->mark = mark;
    return true;
}

void account_message(struct wal *wal, struct message *m, bool above, uint16_t mark)
{
    uint64_t bytes = record_message_overhead(m);
    m->mark = mark;
    m->flags &= (uint8_t)~MESSAGE_ALONE;
    if (!(m->flags & MESSAGE_SHARED) || takes_body(m, message_shared(m), above, mark))
        bytes += m->body_bytes;
    add(wal, mark, bytes)->items++;
}

void account_run(struct wal *wal, void *const *messages, uint32_t count, uint16_t mark)
{
    uint64_t bytes = 0, bare = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct message *m = messages[i];
        if (!message_is_bare(m)) {
            account_message(wal, m, false, mark);
            continue;
        }
        m->mark = mark;
        bytes += record_message_overhead(m) + m->body_bytes;
        bare++;
    }
    add(wal, mark, bytes)->items += bare;
}

void account_message_gone(struct wal *wal, struct message *m)
{
    /* After a failure nobody asks, and a shared body may have been on its way to another segment when it came. */
    if (m->mark == 0 || wal->state == WAL_FAILED)
        return;
    uint64_t bytes = record_message_overhead(m) + m->body_bytes;
    if ((m->flags & (MESSAGE_SHARED | MESSAGE_ALONE)) == MESSAGE_SHARED) {
        struct body *shared = message_shared(m);
        bytes -= m->body_bytes;
        if (--shared->copies == 0)
            sub(wal, shared->mark, m->body_bytes);
    }
    sub(wal, m->mark, bytes)->items--;
    m->mark = 0;
    m->flags &= (uint8_t)~MESSAGE_ALONE;
}

void account_body_moves(struct wal *wal, struct body *shared)
{
    if (shared->copies == 0)
        return;
    sub(wal, shared->mark, shared->bytes);
    shared->mark = 0;
}

void account_queue(struct wal *wal, struct queue *q, uint16_t mark)
{
    account_queue_gone(wal, q);
    add(wal, mark, record_queue_bytes(q))->definitions++;
    q->mark = mark;
}

void account_queue_gone(struct wal *wal, struct queue *q)
{
    if (q->mark != 0)
        sub(wal, q->mark, record_queue_bytes(q))->definitions--;
    q->mark = 0;
}

void account_topic(struct wal *wal, struct topic *t, uint16_t mark)
{
    account_topic_gone(wal, t);
    add(wal, mark, record_topic_bytes(t))->definitions++;
    t->mark = mark;
}

void account_topic_gone(struct wal *wal, struct topic *t)
{
    if (t->mark != 0)
        sub(wal, t->mark, record_topic_bytes(t))->definitions--;
    t->mark = 0;
}

void account_subscription(struct wal *wal, struct topic *t, struct subscription *s, uint16_t mark)
{
    account_subscription_gone(wal, t, s);
    add(wal, mark, record_subscription_bytes(t, s))->definitions++;
    s->mark = mark;
}

void account_subscription_gone(struct wal *wal, struct topic *t, struct subscription *s)
{
    if (s->mark != 0)
        sub(wal, s->mark, record_subscription_bytes(t, s))->definitions--;
    s->mark = 0;
}

void account_dedup(struct wal *wal, struct dedup *entry, uint16_t mark)
{
    account_dedup_gone(wal, entry);
    add(wal, mark, record_dedup_bytes(entry))->items++;
    entry->mark = mark;
}

void account_dedup_gone(struct wal *wal, struct dedup *entry)
{
    if (entry->mark != 0)
        sub(wal, entry->mark, record_dedup_bytes(entry))->items--;
    entry->mark = 0;
}
