/*
 * move: messages on their way back from a dead-letter queue, or to any other queue. A move is a task with a timer: each time
 * that comes it takes as many messages as its rate allows and the turn's budget leaves. It only ever looks at messages that
 * were in the source when it began. Where the next message has no room the move waits and tries again.
 */
#include "server/broker/dead.h"
#include "server/broker/watch.h"

#include <string.h>

/* Messages that one move looks at in a turn, and how long it waits at a full queue. */
#define MOVE_TURN     1024
#define MOVE_RETRY_MS 100

static void arm(struct broker *b, struct move *move, int64_t at_ms)
{
    move->timer.kind = TIMER_MOVE;
    timer_arm(&b->timers, &move->timer, at_ms);
}

static void finish(struct broker *b, int64_t now_ms, struct move *move, enum move_state state)
{
    move->state = state;
    arm(b, move, now_ms + MOVE_LISTED_MS);
}

static struct queue *find(const struct broker *b, const struct queue_name *name)
{
    return broker_queue_find(b, name->text, name->bytes);
}

static struct queue_name name_of(const struct queue *q)
{
    struct queue_name name = {.bytes = q->name_bytes};
    memcpy(name.text, q->name, q->name_bytes);
    return name;
}

enum error_code broker_move(struct broker *b, int64_t now_ms, struct queue *source, struct queue *to, uint64_t rate,
                            uint64_t max, uint64_t *id)
{
    b->which = NULL;
    if (to && (to == source || to->attributes.type != source->attributes.type))
        return broker_refuse(b, ERR_BAD_REQUEST, "to");
    if (b->move_count >= LIMIT_MOVES)
        return broker_refuse(b, ERR_LIMIT, "max_moves");
    struct move *move = pool_take(&b->pool, sizeof *move);
    if (!move)
        return ERR_MEMORY_LIMIT;
    *move = (struct move){
        .id = ++b->last_move_id,
        .source = name_of(source),
        .rate = rate,
        .max = max,
        .end_id = source->next_id,
        .since_ms = now_ms,
    };
    if (to)
        move->to = name_of(to);
    struct move **end = &b->moves;
    while (*end)
        end = &(*end)->next;
    *end = move;
    b->move_count++;
    *id = move->id;
    arm(b, move, now_ms - (int64_t)b->clock_slack_ms);
    return ERR_NONE;
}

struct move *broker_move_find(const struct broker *b, uint64_t id)
{
    struct move *move = b->moves;
    while (move && move->id != id)
        move = move->next;
    return move;
}

void broker_move_cancel(struct broker *b, int64_t now_ms, struct move *move)
{
    if (move->state == MOVE_RUNNING)
        finish(b, now_ms, move, MOVE_CANCELLED);
}

const char *move_state_text(enum move_state state)
{
    static const char *const texts[] = {"running", "done", "cancelled"};
    return texts[state];
}

static bool is_named(const struct queue *q, const struct queue_name *name)
{
    return q->name_bytes == name->bytes && memcmp(q->name, name->text, name->bytes) == 0;
}

void moves_queue_gone(struct broker *b, int64_t now_ms, const struct queue *q)
{
    for (struct move *move = b->moves; move; move = move->next)
        if (is_named(q, &move->source) || is_named(q, &move->to))
            broker_move_cancel(b, now_ms, move);
}

void move_forget(struct broker *b, struct move *move)
{
    struct move **link = &b->moves;
    while (*link != move)
        link = &(*link)->next;
    *link = move->next;
    b->move_count--;
    timer_cancel(&b->timers, &move->timer);
    pool_give(&b->pool, move, sizeof *move);
}

/* Where this message goes; NULL: it stays. */
static struct queue *destination(const struct broker *b, const struct move *move, const struct queue *source,
                                 const struct message *m)
{
    if (move->to.bytes > 0)
        return find(b, &move->to);
    struct view name = dead_source(m);
    struct queue *to = name.bytes > 0 ? broker_queue_find(b, name.data, name.bytes) : NULL;
    return to && to != source && to->attributes.type == source->attributes.type ? to : NULL;
}

/* The next ready or parked message of what the move is about; page NULL at the end. */
static struct ring_cursor next_of(struct queue *q, const struct move *move, enum message_state *state)
{
    struct ring_cursor ready = ring_first(q->messages, MESSAGE_READY, move->from_id);
    struct ring_cursor parked = ring_first(q->messages, MESSAGE_PARKED, move->from_id);
    bool is_parked = parked.page && (!ready.page || ring_key(parked) < ring_key(ready));
    struct ring_cursor at = is_parked ? parked : ready;
    *state = is_parked ? MESSAGE_PARKED : MESSAGE_READY;
    if (at.page && ring_key(at) >= move->end_id)
        at.page = NULL;
    return at;
}

/* When the next message may go. */
static int64_t next_ms(const struct move *move)
{
    uint64_t since = move->moved - move->counted;
    return move->rate == 0 ? 0 : move->since_ms + (int64_t)((since * 1000 + move->rate - 1) / move->rate);
}

/* One message; false if the move has to wait or is over, and then its timer is armed. */
static bool step(struct broker *b, int64_t now_ms, struct move *move)
{
    struct queue *q = find(b, &move->source);
    enum message_state state;
    struct ring_cursor at = next_of(q, move, &state);
    if (!at.page || (move->max != 0 && move->moved >= move->max)) {
        finish(b, now_ms, move, MOVE_DONE);
        return false;
    }
    uint64_t id = ring_key(at);
    const struct message *m = life_message(at);
    bool expired = life_passed(b, m->expires_ms, now_ms); /* its end is a matter of this turn */
    struct queue *to = expired ? NULL : destination(b, move, q, m);
    int64_t at_ms = next_ms(move);
    if (to && at_ms > now_ms) {
        arm(b, move, at_ms);
        return false;
    }
    if (to && (refuses(b, to) || dead_move(b, now_ms, q, at, state, to) != ERR_NONE)) {
        move->since_ms = now_ms + MOVE_RETRY_MS;
        move->counted = move->moved;
        arm(b, move, move->since_ms);
        return false;
    }
    move->moved += to != NULL;
    move->from_id = id + 1;
    watch_event(b);
    return true;
}

void move_due(struct broker *b, int64_t now_ms, struct move *move, uint32_t *budget)
{
    if (move->state != MOVE_RUNNING) {
        move_forget(b, move);
        return;
    }
    for (uint32_t looked = 0; looked<MOVE_TURN && * budget> 0; looked++, --*budget)
        if (!step(b, now_ms, move))
            return;
    arm(b, move, now_ms + 1 - (int64_t)b->clock_slack_ms);
}
