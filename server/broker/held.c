#include "server/broker/held.h"

#include "server/broker/line.h"
#include "server/broker/watch.h"

#include <assert.h>
#include <string.h>

/* Messages of publishes that are tried in one turn. */
#define HELD_TURN 4096

bool held_before(const struct queue *q, const struct publishing *p)
{
    return q->held && (!p || q->held->number < p->number);
}

enum error_code held_reason(const struct queue *q)
{
    return q->held->waits_for;
}

bool held_allowed(const struct broker *b, uint64_t cost)
{
    return b->held_bytes + cost <= b->limits.max_memory_bytes / HELD_SHARE;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* Into the line of `q`, behind all who have waited longer. */
static void join(struct broker *b, struct queue *q, struct publishing *p)
{
    if (!q->held) {
        q->lines_next = b->lines;
        b->lines = q;
    }
    struct publishing *before = q->held_tail;
    while (before && before->number > p->number)
        before = before->prev;
    q->held_count++;
    p->queue = q;
    p->prev = before;
    p->next = before ? before->next : q->held;
    if (p->prev)
        p->prev->next = p;
    else
        q->held = p;
    if (p->next)
        p->next->prev = p;
    else
        q->held_tail = p;
}

static void leave(struct broker *b, struct publishing *p)
{
    struct queue *q = p->queue;
    if (p->prev)
        p->prev->next = p->next;
    else
        q->held = p->next;
    if (p->next)
        p->next->prev = p->prev;
    else
        q->held_tail = p->prev;
    p->prev = p->next = NULL;
    p->queue = NULL;
    q->held_count--;
    if (q->held) {
        held_room(b, q); /* the next one may need less, and what has gone in may make duplicates of others */
        return;
    }
    q->roomy = false;
    struct queue **link = &b->lines;
    while (*link != q)
        link = &(*link)->lines_next;
    *link = q->lines_next;
}

void held_room(struct broker *b, struct queue *q)
{
    b->room = true;
    b->room_events++;
    q->roomy = q->held != NULL;
}

static void peer_remove(struct publishing *p)
{
    if (p->peer_prev)
        p->peer_prev->peer_next = p->peer_next;
    else
        p->peer->publishing = p->peer_next;
    if (p->peer_next)
        p->peer_next->peer_prev = p->peer_prev;
    p->peer_prev = p->peer_next = NULL;
    p->peer->held_count--;
}

/* Less memory is in use than when one did not find enough, or more may be. */
static bool is_fed(const struct broker *b)
{
    return b->starving_bytes != 0 &&
           (broker_memory(b) < b->starving_bytes || b->limits.max_memory_bytes > b->starving_max);
}

/* Somebody waits for memory, of which so much was too much. */
static void starve(struct broker *b, uint64_t bytes)
{
    if (b->starving_bytes < bytes)
        b->starving_bytes = bytes;
    b->starving_max = b->limits.max_memory_bytes;
}

/* Copies the names that the batch's wrong messages point to. False if memory ran out. */
static bool names_keep(struct broker *b, struct publishing *p)
{
    for (uint32_t i = 0; i < p->batch->count; i++)
        if (p->batch->staged[i].which)
            p->name_bytes += strlen(p->batch->staged[i].which) + 1;
    if (p->name_bytes == 0)
        return true;
    p->names = pool_take(&b->pool, p->name_bytes);
    char *end = p->names;
    for (uint32_t i = 0; i < p->batch->count && end; i++) {
        struct staged *s = &p->batch->staged[i];
        if (!s->which)
            continue;
        size_t bytes = strlen(s->which) + 1;
        s->which = memcpy(end, s->which, bytes);
        end += bytes;
    }
    return p->names != NULL;
}

static void publishing_give(struct broker *b, struct publishing *p)
{
    pool_give(&b->pool, p->outcomes, p->batch->count * sizeof *p->outcomes);
    pool_give(&b->pool, p->names, p->name_bytes);
    pool_give(&b->pool, p, sizeof *p);
}

enum error_code held_wait(struct broker *b, int64_t now_ms, struct batch *batch, struct queue *q, struct topic *topic,
                          uint32_t messages, const struct publish_options *options, enum error_code waits_for)
{
    struct peer *peer = options->peer;
    assert(peer);
    if (peer->held_count >= LIMIT_WAITERS)
        return broker_refuse(b, ERR_LIMIT, "max_waiters");
    if (!held_allowed(b, batch->cost))
        return ERR_MEMORY_LIMIT;
    struct publishing *p = pool_take(&b->pool, sizeof *p);
    if (!p)
        return ERR_MEMORY_LIMIT;
    *p = (struct publishing){
        .peer = peer,
        .token = options->token,
        .number = ++b->last_held_number,
        .topic = topic,
        .messages = messages,
        .mandatory = options->mandatory,
        .waits_for = waits_for,
        .batch = batch,
    };
    p->outcomes = pool_take(&b->pool, batch->count * sizeof *p->outcomes);
    p->result = (struct held_result){.to_topic = topic != NULL, .outcomes = p->outcomes};
    if (!p->outcomes || !line_effect_reserve(b) || !names_keep(b, p)) {
        publishing_give(b, p);
        return ERR_MEMORY_LIMIT;
    }
    batch->line = p;
    p->peer_next = peer->publishing;
    if (peer->publishing)
        peer->publishing->peer_prev = p;
    peer->publishing = p;
    peer->held_count++;
    join(b, q, p);
    p->timer.kind = TIMER_HELD;
    timer_arm(&b->timers, &p->timer, now_ms + options->wait_ms);
    b->taker_count++; /* it ends in an effect, too */
    b->held_bytes += batch->cost;
    /* Its cost was estimated: now that it is there it may fit after all, and is tried in this turn. */
    if (waits_for == ERR_MEMORY_LIMIT)
        starve(b, b->limits.max_memory_bytes + 1);
    return ERR_NONE;
}

/* ---- ends -------------------------------------------------------------------------------------------------------- */

static void withdraw(struct broker *b, struct publishing *p)
{
    timer_cancel(&b->timers, &p->timer);
    if (p->queue)
        leave(b, p);
    peer_remove(p);
    b->taker_count--;
    b->held_bytes -= p->batch->cost;
}

static void publishing_free(struct broker *b, struct publishing *p)
{
    struct batch *batch = p->batch;
    publishing_give(b, p);
    batch_free(b, batch);
}

/* It is over, with `code`; the outcomes are those of the broker. */
static void finish(struct broker *b, struct publishing *p, enum error_code code)
{
    struct held_result *r = &p->result;
    r->code = code;
    r->which = code != ERR_NONE ? b->which : NULL;
    if (code == ERR_NONE)
        r->stored = batch_stored(p->batch, 0, p->batch->count, &r->first_id);
    for (uint32_t i = 0; i < p->batch->count && code == ERR_NONE; i++)
        r->copies += p->batch->staged[i].in || p->batch->staged[i].duplicate;
    r->outcome_count = b->outcome_count;
    if (b->outcome_count > 0)
        memcpy(p->outcomes, b->outcomes, b->outcome_count * sizeof *p->outcomes);
    withdraw(b, p);
    p->next = NULL;
    if (b->published_tail)
        b->published_tail->next = p;
    else
        b->published = p;
    b->published_tail = p;
    line_emit(b, (struct effect){.kind = EFFECT_PUBLISHED, .peer = p->peer, .id = p->token, .held = r});
}

/* All of it fits: in it goes. */
static void let_in(struct broker *b, int64_t now_ms, struct publishing *p)
{
    batch_apply(b, now_ms, p->batch);
    if (!p->topic)
        batch_report(b, p->batch, 0, p->batch->count);
    finish(b, p, ERR_NONE);
    if (p->topic) {
        p->topic->published += p->messages;
        p->topic->routed += p->result.copies;
    }
}

static bool waits_for(const struct broker *b, enum error_code code)
{
    return code == ERR_QUEUE_FULL || code == ERR_MEMORY_LIMIT || code == b->refusing;
}

/* It ends without being let in. The culprit among its messages is named, if there is one; that a batch as a whole does not fit
   into a queue is no single message's fault. */
static void refuse(struct broker *b, struct publishing *p, enum error_code code, uint32_t culprit)
{
    if (culprit < p->batch->count && code != b->refusing && (p->topic || !waits_for(b, code))) {
        const struct staged *s = &p->batch->staged[culprit];
        broker_outcome(b, s->index, code, s->which);
        b->which = s->which;
    }
    batch_count_refused(b, p->batch);
    finish(b, p, code);
}

/* The first message that would go into a queue that takes nothing new, or batch->count. */
static uint32_t first_kept_back(const struct broker *b, const struct batch *batch)
{
    uint32_t i = 0;
    while (i < batch->count && !(batch->staged[i].queue && refuses(b, batch->staged[i].queue)))
        i++;
    return i;
}

static enum error_code plan(struct broker *b, int64_t now_ms, struct publishing *p, uint32_t *culprit)
{
    b->which = NULL;
    b->outcome_count = 0;
    *culprit = first_kept_back(b, p->batch);
    if (*culprit < p->batch->count) {
        b->kept_back = true;
        return b->refusing;
    }
    plan_begin(b);
    if (broker_memory(b) > b->limits.max_memory_bytes || !batch_review(b, p->batch))
        return ERR_MEMORY_LIMIT;
    return batch_plan(b, now_ms, p->batch, culprit);
}

/* Tries the first of the line; false if it still has to wait. */
static bool try_first(struct broker *b, int64_t now_ms, struct publishing *p)
{
    uint32_t culprit;
    enum error_code code = plan(b, now_ms, p, &culprit);
    if (code == ERR_NONE) {
        let_in(b, now_ms, p);
        return true;
    }
    if (!waits_for(b, code)) {
        refuse(b, p, code, culprit);
        return true;
    }
    p->waits_for = code;
    if (code == ERR_MEMORY_LIMIT)
        starve(b, broker_memory(b));
    struct queue *full = culprit < p->batch->count ? p->batch->staged[culprit].queue : p->queue;
    if (full == p->queue)
        return false;
    leave(b, p);
    join(b, full, p);
    return true;
}

/* Queues take again what they have refused. */
static bool may_go_on(const struct broker *b)
{
    return b->kept_back && b->refusing == ERR_NONE;
}

bool held_ready(const struct broker *b)
{
    return b->room || is_fed(b) || may_go_on(b);
}

/* True if the first of the line may find room now. */
static bool may_fit(const struct broker *b, const struct queue *q)
{
    if (q->roomy || (held_reason(q) == ERR_MEMORY_LIMIT && q->fed != b->fed_events))
        return true;
    /* What has left another queue may be room for what this one has to displace. */
    return q->attributes.overflow == OVERFLOW_DEAD_LETTER_OLDEST && q->tried != b->room_events;
}

/* Tries the line of one queue, from its first on, until one has to go on waiting or the budget is used up. */
static void try_line(struct broker *b, int64_t now_ms, struct queue *q, uint32_t *budget)
{
    bool went = true;
    q->roomy = false;
    q->tried = b->room_events;
    q->fed = b->fed_events;
    while (q->held && went && *budget > 0) {
        uint32_t cost = q->held->batch->count + 1;
        *budget -= cost < *budget ? cost : *budget;
        went = try_first(b, now_ms, q->held);
        watch_event(b);
    }
    if (q->held && went)
        q->roomy = b->room = true;
}

/* The next turn begins with this line: none is always the last to be looked at. */
static void begin_with(struct broker *b, struct queue *first)
{
    struct queue **link = &b->lines, *all = b->lines;
    while (*link != first)
        link = &(*link)->lines_next;
    if (all == first)
        return;
    *link = NULL;
    b->lines = first;
    while (first->lines_next)
        first = first->lines_next;
    first->lines_next = all;
}

void held_turn(struct broker *b, int64_t now_ms)
{
    uint32_t budget = HELD_TURN;
    if (!held_ready(b))
        return;
    if (is_fed(b)) {
        b->fed_events++;
        b->starving_bytes = 0;
    }
    if (may_go_on(b)) {
        b->kept_back = false;
        for (struct queue *q = b->lines; q; q = q->lines_next)
            q->roomy = true;
    }
    b->room = false;
    for (struct queue *q = b->lines, *next; q; q = next) {
        next = q->lines_next;
        if (budget == 0) {
            begin_with(b, q);
            b->room = true; /* those that were not reached are in the next turn */
            return;
        }
        if (may_fit(b, q))
            try_line(b, now_ms, q, &budget);
    }
}

void held_over(struct broker *b, int64_t now_ms, struct publishing *p)
{
    uint32_t culprit;
    p->batch->over = true;
    enum error_code code = plan(b, now_ms, p, &culprit);
    if (code == ERR_NONE) {
        let_in(b, now_ms, p);
    } else if (code == ERR_QUEUE_FULL && !p->batch->atomic && batch_run(b, now_ms, p->batch) == ERR_NONE) {
        batch_report(b, p->batch, 0, p->batch->count);
        finish(b, p, ERR_NONE);
    } else {
        refuse(b, p, code, culprit);
    }
}

void broker_refuse_held(struct broker *b, enum error_code code)
{
    while (b->lines) {
        b->which = NULL;
        b->outcome_count = 0;
        refuse(b, b->lines->held, code, UINT32_MAX);
    }
}

/* ---- what goes under its feet ------------------------------------------------------------------------------------ */

/* The messages for that queue will go nowhere. */
static void forget_queue(struct broker *b, struct batch *batch, const struct queue *q)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct staged *s = &batch->staged[i];
        if (s->queue != q)
            continue;
        if (s->message)
            message_free(&b->pool, s->message);
        if (s->spare)
            group_free(&b->pool, s->spare);
        dedup_free(b, s->entry);
        *s = (struct staged){.index = s->index};
    }
}

void held_queue_gone(struct broker *b, struct queue *gone)
{
    while (gone->held) {
        struct publishing *p = gone->held;
        struct queue *other = NULL;
        forget_queue(b, p->batch, gone);
        for (uint32_t i = 0; i < p->batch->count && p->topic && !other; i++)
            other = p->batch->staged[i].queue;
        if (other) {
            leave(b, p);
            join(b, other, p);
            held_room(b, other);
            continue;
        }
        b->which = NULL;
        b->outcome_count = 0;
        if (!p->topic || p->mandatory) {
            finish(b, p, p->topic ? ERR_UNROUTABLE : ERR_QUEUE_NOT_FOUND);
        } else {
            p->topic->published += p->messages;
            finish(b, p, ERR_NONE);
        }
    }
    for (struct queue *q = b->lines; q; q = q->lines_next) {
        for (struct publishing *p = q->held; p; p = p->next)
            if (p->topic)
                forget_queue(b, p->batch, gone);
        held_room(b, q); /* what is left may fit */
    }
}

void held_topic_gone(struct broker *b, struct topic *topic)
{
    for (struct queue *q = b->lines, *next; q; q = next) {
        next = q->lines_next;
        for (struct publishing *p = q->held, *after; p; p = after) {
            after = p->next;
            if (p->topic != topic)
                continue;
            b->which = NULL;
            b->outcome_count = 0;
            finish(b, p, ERR_TOPIC_NOT_FOUND);
        }
    }
}

void held_peer_gone(struct broker *b, struct peer *peer)
{
    while (peer->publishing) {
        struct publishing *p = peer->publishing;
        withdraw(b, p);
        publishing_free(b, p);
    }
}

void held_done(struct broker *b)
{
    while (b->published) {
        struct publishing *p = b->published;
        b->published = p->next;
        publishing_free(b, p);
    }
    b->published_tail = NULL;
}
