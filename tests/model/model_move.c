/* Moves: messages on their way to another queue, one by one. */
#include "tests/model/world.h"

#define AGAIN_MS  100
#define LISTED_MS 600000
#define AT_ONCE   1024

enum { RUNNING, DONE, CANCELLED };

void model_move(struct model *w, struct q *q, const struct step *s)
{
    if (s->to >= 0 && !w->queues[s->to].exists) {
        model_say(w, "  QUEUE_NOT_FOUND\n");
        return;
    }
    if (s->to >= 0 && (s->to == s->queue || w->queues[s->to].a.type != q->a.type)) {
        model_say(w, "  BAD_REQUEST to\n");
        return;
    }
    assert(w->move_count < MAX_MOVES);
    w->moves[w->move_count++] = (struct move_of){
        .id = ++w->next_move,
        .source = s->queue,
        .to = s->to,
        .rate = s->number,
        .max = s->second,
        .from = 1,
        .end = q->next_id,
        .since = w->now,
        .deadline = w->now,
        .armed = model_arm(w),
    };
    model_say(w, "  move %" PRIu64 "\n", w->next_move);
}

static void finish(struct model *w, struct move_of *move, int state)
{
    move->state = state;
    move->deadline = w->now + LISTED_MS;
    move->armed = model_arm(w);
}

/* Where a message goes, or NULL: it stays. */
static struct q *way_of(struct model *w, const struct move_of *move, const struct m *m)
{
    int to = move->to >= 0 ? move->to : m->death.dead ? m->death.queue : move->source;
    struct q *q = &w->queues[to];
    if (to == move->source || !q->exists || q->a.type != w->queues[move->source].a.type)
        return NULL;
    return q;
}

/* The next message that can be moved, or NULL. What stays is passed over, and the move does not come back to before
   it. */
static struct m *next_of(struct model *w, struct move_of *move)
{
    struct q *q = &w->queues[move->source];
    for (int i = 0; i < q->count; i++) {
        struct m *m = &q->list[i];
        if (m->id < move->from || m->id >= move->end || (m->state != MESSAGE_READY && m->state != MESSAGE_PARKED))
            continue;
        if (way_of(w, move, m))
            return m;
        move->from = m->id + 1;
    }
    return NULL;
}

/* Moves one message. False: not now. */
static bool move_one(struct model *w, struct move_of *move)
{
    struct m *m = next_of(w, move);
    if (!m) {
        finish(w, move, DONE);
        return false;
    }
    uint64_t id = m->id;
    if (!model_move_over(w, &w->queues[move->source], m, way_of(w, move, m))) {
        move->since = move->deadline = w->now + AGAIN_MS;
        move->counted = move->moved;
        move->armed = model_arm(w);
        return false;
    }
    move->from = id + 1;
    move->moved++;
    if (move->moved == move->max || !next_of(w, move)) {
        finish(w, move, DONE);
        return false;
    }
    return true;
}

void model_move_due(struct model *w, int index)
{
    struct move_of *move = &w->moves[index];
    if (move->state != RUNNING) {
        memmove(move, move + 1, (size_t)(w->moves + w->move_count - (move + 1)) * sizeof *move);
        w->move_count--;
        return;
    }
    for (int n = 0; n < AT_ONCE; n++) {
        if (!move_one(w, move))
            return;
        int64_t k = move->moved - move->counted;
        if (move->rate)
            move->deadline = move->since + (k * 1000 + move->rate - 1) / move->rate;
        if (move->deadline > w->now)
            break;
    }
    move->armed = model_arm(w);
}

void model_moves(struct model *w)
{
    static const char *const words[] = {"running", "done", "cancelled"};
    for (int i = 0; i < w->move_count; i++) {
        const struct move_of *m = &w->moves[i];
        model_say(w, "  %" PRIu64 ": q%d -> ", m->id, m->source);
        if (m->to >= 0)
            model_say(w, "q%d", m->to);
        else
            model_say(w, "*");
        model_say(w, " moved %" PRId64 " %s\n", m->moved, words[m->state]);
    }
}

void model_move_cancel(struct model *w, const struct step *s)
{
    for (int i = 0; i < w->move_count; i++)
        if (w->moves[i].id == (uint64_t)s->number) {
            if (w->moves[i].state == RUNNING)
                finish(w, &w->moves[i], CANCELLED);
            return;
        }
    model_say(w, "  NOT_FOUND\n");
}

void model_cancel_moves_of(struct model *w, int queue)
{
    for (int i = 0; i < w->move_count; i++)
        if (w->moves[i].state == RUNNING && (w->moves[i].source == queue || w->moves[i].to == queue))
            finish(w, &w->moves[i], CANCELLED);
}
