#include "tests/model/model.h"

#include "server/broker/queue.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGES 2048
#define MAX_TAKERS   256
#define LINE_ROOM    1024

struct m {
    uint64_t id;
    char body;
    uint32_t bytes, attempts;
    enum message_state state;
    int64_t expires; /* 0: never */
    int64_t due;     /* delayed: end of the delay; inflight: end of the visibility */
    int64_t since;
    uint64_t serial; /* of the delivery, if inflight */
    uint64_t owner;  /* of the delivery: the taker's uid */
    const char *reason, *note;
};

struct t {
    uint64_t uid; /* grows with the order of arrival */
    bool waiter, automatic, over;
    char peer;
    int queue;
    uint64_t id;
    uint32_t limit;
    int64_t visibility, deadline;
};

/* Something to be said at the end of the turn. */
struct said {
    char peer;
    uint64_t id;
    int kind; /* 0 gets (consumer), 1 gets (receive), 2 refused, 3 cancelled */
    char text[512];
};

struct q {
    bool exists, paused;
    struct attributes a;
    struct m list[MAX_MESSAGES];
    int count;
    uint64_t next_id, turn;
    struct queue_counters n;
};

struct model {
    int64_t now;
    struct q queues[MODEL_QUEUES];
    struct t takers[MAX_TAKERS];
    int taker_count;
    uint64_t next_uid, next_serial, next_token;
    bool open[26], full[26];
    uint64_t next_consumer[26];
    struct {
        int queue;
        uint64_t id, serial;
        uint32_t attempt;
    } * seen;
    int seen_count, seen_cap;
    struct said said[MAX_TAKERS];
    int said_count;
    char *out;
    size_t bytes, cap;
};

__attribute__((format(printf, 2, 3))) static void say(struct model *w, const char *format, ...)
{
    va_list args;
    if (w->cap - w->bytes < LINE_ROOM) {
        w->cap = w->cap * 2 + LINE_ROOM;
        w->out = realloc(w->out, w->cap);
        assert(w->out);
    }
    va_start(args, format);
    int n = vsnprintf(w->out + w->bytes, w->cap - w->bytes, format, args);
    va_end(args);
    assert(n >= 0 && n < LINE_ROOM);
    w->bytes += (size_t)n;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void erase(struct q *q, struct m *m)
{
    memmove(m, m + 1, (size_t)(q->list + q->count - (m + 1)) * sizeof *m);
    q->count--;
}

static int count_in(const struct q *q, enum message_state state)
{
    int n = 0;
    for (int i = 0; i < q->count; i++)
        n += q->list[i].state == state;
    return n;
}

static int64_t bytes_of(const struct q *q)
{
    int64_t n = 0;
    for (int i = 0; i < q->count; i++)
        n += q->list[i].bytes;
    return n;
}

static bool expired(const struct model *w, const struct m *m)
{
    return m->expires != 0 && m->expires <= w->now;
}

static struct m *find(struct q *q, uint64_t id)
{
    for (int i = 0; i < q->count; i++)
        if (q->list[i].id == id)
            return &q->list[i];
    return NULL;
}

static struct m *first_in(struct q *q, enum message_state state)
{
    for (int i = 0; i < q->count; i++)
        if (q->list[i].state == state)
            return &q->list[i];
    return NULL;
}

static void to_ready(struct model *w, struct q *q, struct m *m)
{
    if (expired(w, m)) {
        q->n.expired++;
        erase(q, m);
        return;
    }
    m->state = MESSAGE_READY;
}

static void to_parked(struct model *w, struct q *q, struct m *m, const char *reason, const char *note)
{
    m->state = MESSAGE_PARKED;
    m->reason = reason;
    m->note = note;
    m->expires = q->a.retention ? w->now + q->a.retention : 0;
    q->n.parks++;
}

static void give_back(struct model *w, struct q *q, struct m *m, int64_t delay, const char *note)
{
    if (q->a.max_attempts && m->attempts >= q->a.max_attempts) {
        to_parked(w, q, m, "max_attempts", note);
    } else if (delay > 0 && !expired(w, m)) {
        m->state = MESSAGE_DELAYED;
        m->due = w->now + delay;
    } else {
        to_ready(w, q, m);
    }
}

/* ---- takers ------------------------------------------------------------------------------------------------------ */

static uint32_t held(struct model *w, const struct t *t)
{
    uint32_t n = 0;
    struct q *q = &w->queues[t->queue];
    for (int i = 0; i < q->count; i++)
        n += q->list[i].state == MESSAGE_INFLIGHT && q->list[i].owner == t->uid;
    return n;
}

static bool able(struct model *w, const struct t *t)
{
    return held(w, t) < t->limit && !w->full[t->peer - 'A'];
}

static bool anybody_able(struct model *w, int queue)
{
    for (int i = 0; i < w->taker_count; i++)
        if (w->takers[i].queue == queue && able(w, &w->takers[i]))
            return true;
    return false;
}

/* The able one behind `turn`, or the first of all. */
static struct t *next_taker(struct model *w, int queue)
{
    struct t *first = NULL, *next = NULL;
    for (int i = 0; i < w->taker_count; i++) {
        struct t *t = &w->takers[i];
        if (t->queue != queue || !able(w, t))
            continue;
        first = first ? first : t;
        next = !next && t->uid > w->queues[queue].turn ? t : next;
    }
    return next ? next : first;
}

static struct said *said_for(struct model *w, const struct t *t, int kind)
{
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].peer == t->peer && w->said[i].id == t->id && w->said[i].kind == kind)
            return &w->said[i];
    struct said *s = &w->said[w->said_count++];
    *s = (struct said){.peer = t->peer, .id = t->id, .kind = kind};
    return s;
}

static void drop_taker(struct model *w, struct t *t)
{
    memmove(t, t + 1, (size_t)(w->takers + w->taker_count - (t + 1)) * sizeof *t);
    w->taker_count--;
}

static void hand_over(struct model *w, int queue, struct m *m, const struct t *t, char *text)
{
    struct q *q = &w->queues[queue];
    m->state = MESSAGE_INFLIGHT;
    m->attempts++;
    m->serial = ++w->next_serial;
    m->owner = t->uid;
    m->since = w->now;
    m->due = w->now + (t->visibility >= 0 ? t->visibility : q->a.visibility);
    q->n.delivered++;
    q->n.redelivered += m->attempts > 1;
    size_t n = strlen(text);
    n += (size_t)snprintf(text + n, 512 - n, " %" PRIu64 ":%c%.*s", m->id, m->body,
                          (int)(m->bytes < 8 ? m->bytes : 8) - 1, ".......");
    if (m->attempts != 1)
        snprintf(text + n, 512 - n, "#%u", m->attempts);
    if (w->seen_count == w->seen_cap) {
        w->seen_cap = w->seen_cap * 2 + 64;
        w->seen = realloc(w->seen, (size_t)w->seen_cap * sizeof *w->seen);
        assert(w->seen);
    }
    w->seen[w->seen_count].queue = queue;
    w->seen[w->seen_count].id = m->id;
    w->seen[w->seen_count].serial = m->serial;
    w->seen[w->seen_count++].attempt = m->attempts;
}

static void end_consumer(struct model *w, struct t *t)
{
    struct q *q = &w->queues[t->queue];
    for (;;) {
        struct m *oldest = NULL;
        for (int i = 0; i < q->count; i++) {
            struct m *m = &q->list[i];
            if (m->state == MESSAGE_INFLIGHT && m->owner == t->uid && (!oldest || m->serial < oldest->serial))
                oldest = m;
        }
        if (!oldest)
            break;
        q->n.returned++;
        give_back(w, q, oldest, -1, NULL);
    }
    drop_taker(w, t);
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static void due_messages(struct model *w, struct q *q)
{
    for (int i = 0; i < q->count;) {
        struct m *m = &q->list[i];
        int before = q->count;
        if (m->state == MESSAGE_INFLIGHT && m->due <= w->now) {
            q->n.timed_out++;
            give_back(w, q, m, -1, NULL);
        } else if (m->state == MESSAGE_DELAYED && (m->due <= w->now || expired(w, m))) {
            to_ready(w, q, m);
        } else if (m->state != MESSAGE_INFLIGHT && expired(w, m)) {
            q->n.expired++;
            erase(q, m);
        }
        i += q->count == before;
    }
}

static void match(struct model *w, int queue)
{
    struct q *q = &w->queues[queue];
    struct t *t;
    struct m *m;
    while (!q->paused && (m = first_in(q, MESSAGE_READY)) && (t = next_taker(w, queue))) {
        hand_over(w, queue, m, t, said_for(w, t, t->waiter)->text);
        q->turn = t->uid;
    }
}

static bool has_got(struct model *w, const struct t *t)
{
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].peer == t->peer && w->said[i].id == t->id && w->said[i].kind == 1)
            return true;
    return false;
}

static int compare_said(const void *a, const void *b)
{
    const struct said *x = a, *y = b;
    if (x->peer != y->peer)
        return x->peer - y->peer;
    return x->id != y->id ? (x->id < y->id ? -1 : 1) : x->kind - y->kind;
}

static void turn(struct model *w)
{
    for (int q = 0; q < MODEL_QUEUES; q++)
        if (w->queues[q].exists)
            due_messages(w, &w->queues[q]);
    for (int i = 0; i < w->taker_count; i++)
        if (w->takers[i].waiter && w->takers[i].deadline <= w->now)
            w->takers[i].over = true;
    for (int q = 0; q < MODEL_QUEUES; q++)
        if (w->queues[q].exists)
            match(w, q);
    for (int i = 0; i < w->taker_count;) {
        struct t *t = &w->takers[i];
        if (t->waiter && (t->over || has_got(w, t))) {
            (void)said_for(w, t, 1);
            drop_taker(w, t);
        } else {
            i++;
        }
    }
    qsort(w->said, (size_t)w->said_count, sizeof *w->said, compare_said);
    for (int i = 0; i < w->said_count; i++) {
        const struct said *s = &w->said[i];
        say(w, "  %c%s%" PRIu64 " ", s->peer, s->kind == 1 || s->kind == 2 ? ".r" : "/", s->id);
        if (s->kind < 2)
            say(w, "gets%s\n", s->text[0] ? s->text : " nothing");
        else
            say(w, "%s\n", s->kind == 2 ? "QUEUE_NOT_FOUND" : "cancelled queue_deleted");
    }
    w->said_count = 0;
}

static int64_t next_event(const struct model *w)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < MODEL_QUEUES; i++) {
        const struct q *q = &w->queues[i];
        for (int j = 0; q->exists && j < q->count; j++) {
            const struct m *m = &q->list[j];
            if ((m->state == MESSAGE_INFLIGHT || m->state == MESSAGE_DELAYED) && m->due < next)
                next = m->due;
            if (m->state != MESSAGE_INFLIGHT && m->expires && m->expires < next)
                next = m->expires;
        }
    }
    for (int i = 0; i < w->taker_count; i++)
        if (w->takers[i].waiter && w->takers[i].deadline < next)
            next = w->takers[i].deadline;
    return next;
}

static void do_at(struct model *w, int64_t until)
{
    for (int64_t next; (next = next_event(w)) <= until;) {
        w->now = next > w->now ? next : w->now;
        size_t before = w->bytes;
        say(w, "  -- %" PRId64 "\n", w->now);
        size_t after = w->bytes;
        turn(w);
        if (w->bytes == after || w->now == until) {
            memmove(w->out + before, w->out + after, w->bytes - after);
            w->bytes -= after - before;
        }
        w->out[w->bytes] = '\0';
    }
    w->now = until;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static void set_attributes(struct q *q, const struct step_attributes *a)
{
#define SET(name)     \
    if (a->name >= 0) \
        q->a.name = a->name;
    SET(visibility)
    SET(delay)
    SET(retention)
    SET(ttl)
    SET(max_attempts)
    SET(max_messages)
    SET(max_bytes)
    SET(overflow)
#undef SET
}

static bool named_differ(const struct attributes *has, const struct attributes *asked)
{
    return memcmp(has, asked, sizeof *has) != 0;
}

static void do_create(struct model *w, const struct step *s)
{
    struct q *q = &w->queues[s->queue];
    struct attributes before = q->a;
    if (!q->exists) {
        memset(q, 0, sizeof *q);
        q->exists = true;
        q->next_id = 1;
        attributes_init(&q->a);
        set_attributes(q, &s->attributes);
        return;
    }
    set_attributes(q, &s->attributes);
    struct attributes asked = q->a;
    q->a = before;
    say(w, named_differ(&before, &asked) ? "  QUEUE_EXISTS\n" : "  exists\n");
    for (unsigned a = 0; a < ATTRIBUTE_TOTAL; a++)
        if (attribute_get(&before, (enum attribute)a) != attribute_get(&asked, (enum attribute)a))
            say(w, "  differs: %s\n", attribute_row((enum attribute)a)->name);
}

static void do_delete(struct model *w, int queue)
{
    say(w, "  %d\n", w->queues[queue].count);
    for (int i = 0; i < w->taker_count;) {
        struct t *t = &w->takers[i];
        if (t->queue == queue) {
            (void)said_for(w, t, t->waiter ? 2 : 3);
            drop_taker(w, t);
        } else {
            i++;
        }
    }
    w->queues[queue].exists = false;
    w->queues[queue].count = 0;
    for (int i = 0; i < w->seen_count; i++)
        if (w->seen[i].queue == queue)
            w->seen[i].serial = 0; /* no delivery has that */
}

static void do_purge(struct model *w, struct q *q, int64_t state)
{
    int n = 0;
    for (int i = 0; i < q->count;) {
        if (state >= 0 && (int64_t)q->list[i].state != state) {
            i++;
            continue;
        }
        erase(q, &q->list[i]);
        n++;
    }
    q->n.purged += (uint64_t)n;
    say(w, "  %d\n", n);
}

static bool fits(const struct q *q, int64_t count, int64_t bytes)
{
    return (!q->a.max_messages || count <= q->a.max_messages) && (!q->a.max_bytes || bytes <= q->a.max_bytes);
}

static bool make_room(struct q *q, uint32_t bytes)
{
    while (!fits(q, q->count + 1, bytes_of(q) + bytes)) {
        struct m *m = first_in(q, MESSAGE_READY);
        m = m ? m : first_in(q, MESSAGE_DELAYED);
        if (!q->a.overflow || !m)
            return false;
        q->n.dropped++;
        erase(q, m);
    }
    return true;
}

/* Why an atomic batch is refused, or NULL. */
static const char *refuse_atomic(const struct q *q, const struct step *s)
{
    int64_t count = s->message_count, bytes = 0;
    for (int i = 0; i < s->message_count; i++) {
        if (q->a.max_bytes && s->messages[i].bytes > q->a.max_bytes)
            return "TOO_LARGE max_bytes";
        bytes += s->messages[i].bytes;
    }
    for (int i = 0; i < q->count; i++)
        if (!q->a.overflow || q->list[i].state == MESSAGE_INFLIGHT || q->list[i].state == MESSAGE_PARKED) {
            count++;
            bytes += q->list[i].bytes;
        }
    return fits(q, count, bytes) ? NULL : "QUEUE_FULL";
}

static void publish_one(struct model *w, struct q *q, const struct step *s, int i)
{
    int64_t delay = s->messages[i].delay >= 0 ? s->messages[i].delay : q->a.delay;
    int64_t ttl = s->messages[i].ttl >= 0 ? s->messages[i].ttl : q->a.ttl;
    struct m *m = &q->list[q->count++];
    assert(q->count < MAX_MESSAGES);
    *m = (struct m){.id = q->next_id++, .body = s->messages[i].body, .bytes = s->messages[i].bytes};
    m->state = delay ? MESSAGE_DELAYED : MESSAGE_READY;
    m->due = w->now + delay;
    if (q->a.retention)
        m->expires = w->now + q->a.retention;
    if (ttl && (!m->expires || w->now + ttl < m->expires))
        m->expires = w->now + ttl;
    q->n.published++;
}

static void do_publish(struct model *w, struct q *q, const struct step *s)
{
    const char *refusals[STEP_MESSAGES] = {NULL};
    uint64_t first = 0;
    int stored = 0;
    const char *why = s->flag ? refuse_atomic(q, s) : NULL;
    if (why) {
        q->n.refused += (uint64_t)s->message_count;
        say(w, "  %s\n", why);
        return;
    }
    for (int i = 0; i < s->message_count; i++) {
        if (q->a.max_bytes && s->messages[i].bytes > q->a.max_bytes)
            refusals[i] = "TOO_LARGE max_bytes";
        else if (!make_room(q, s->messages[i].bytes))
            refusals[i] = "QUEUE_FULL";
        if (refusals[i]) {
            q->n.refused++;
            continue;
        }
        first = stored++ ? first : q->next_id;
        publish_one(w, q, s, i);
    }
    if (stored > 1)
        say(w, "  ids %" PRIu64 "..%" PRIu64 "\n", first, first + (uint64_t)stored - 1);
    else if (stored == 1)
        say(w, "  id %" PRIu64 "\n", first);
    for (int i = 0; i < s->message_count; i++)
        if (refusals[i])
            say(w, "  [%d] %s\n", i, refusals[i]);
}

static void open_peer(struct model *w, char peer)
{
    int i = peer - 'A';
    if (!w->open[i]) {
        w->open[i] = true;
        w->full[i] = false;
        w->next_consumer[i] = 1;
    }
}

static struct t *add_taker(struct model *w, const struct step *s, bool waiter)
{
    assert(w->taker_count < MAX_TAKERS);
    struct t *t = &w->takers[w->taker_count++];
    *t = (struct t){
        .uid = ++w->next_uid, .waiter = waiter, .peer = s->peer, .queue = s->queue, .limit = s->max, .visibility = -1};
    return t;
}

static void do_receive(struct model *w, struct q *q, const struct step *s)
{
    uint64_t token = ++w->next_token;
    bool ready = !q->paused && first_in(q, MESSAGE_READY);
    char text[512] = "";
    if (ready && !anybody_able(w, s->queue)) {
        struct t t = {.uid = ++w->next_uid, .visibility = -1};
        struct m *m;
        for (uint32_t got = 0; got < s->max && (m = first_in(q, MESSAGE_READY));) {
            if (expired(w, m)) {
                q->n.expired++;
                erase(q, m);
                continue;
            }
            hand_over(w, s->queue, m, &t, text);
            got++;
        }
        if (text[0] || s->second == 0) {
            say(w, "  gets%s\n", text[0] ? text : " nothing");
            return;
        }
    } else if (!ready && s->second == 0) {
        say(w, "  gets nothing\n");
        return;
    }
    struct t *t = add_taker(w, s, true);
    t->id = token;
    t->deadline = w->now + s->second;
    say(w, "  r%" PRIu64 " waits\n", token);
}

static struct t *consumer(struct model *w, const struct step *s)
{
    for (int i = 0; i < w->taker_count; i++)
        if (!w->takers[i].waiter && w->takers[i].peer == s->peer && w->takers[i].id == s->consumer)
            return &w->takers[i];
    say(w, "  CONSUMER_NOT_FOUND\n");
    return NULL;
}

static void do_close(struct model *w, char peer)
{
    w->full[peer - 'A'] = true;
    for (int i = 0; i < w->taker_count;) {
        struct t *t = &w->takers[i];
        if (t->peer != peer)
            i++;
        else if (t->waiter)
            drop_taker(w, t);
        else
            end_consumer(w, t);
    }
    int kept = 0;
    for (int i = 0; i < w->said_count; i++)
        if (w->said[i].peer != peer)
            w->said[kept++] = w->said[i];
    w->said_count = kept;
    w->open[peer - 'A'] = false;
}

/* The inflight message that a reference names, or NULL if that delivery is over. */
static struct m *delivery(struct model *w, const struct step *s, int i)
{
    struct q *q = &w->queues[s->queue];
    for (int n = w->seen_count - 1; n >= 0; n--) {
        if (w->seen[n].queue != s->queue || w->seen[n].id != s->refs[i].id)
            continue;
        if (s->refs[i].attempt && w->seen[n].attempt != s->refs[i].attempt)
            continue;
        struct m *m = q->exists ? find(q, s->refs[i].id) : NULL;
        return m && m->state == MESSAGE_INFLIGHT && m->serial == w->seen[n].serial ? m : NULL;
    }
    return NULL;
}

static int ack(struct q *q, struct m *m, bool multiple)
{
    uint64_t owner = m->owner, serial = m->serial;
    int n = 0;
    for (int i = 0; i < q->count;) {
        struct m *x = &q->list[i];
        bool covered = x->state == MESSAGE_INFLIGHT && x->owner == owner &&
                       (multiple ? x->serial <= serial : x->serial == serial);
        if (!covered) {
            i++;
            continue;
        }
        q->n.acked++;
        erase(q, x);
        n++;
    }
    return n;
}

static void do_settle(struct model *w, struct q *q, const struct step *s)
{
    int applied = 0;
    char text[512] = "";
    size_t n = 0;
    for (int i = 0; i < s->ref_count; i++) {
        struct m *m = delivery(w, s, i);
        if (!m) {
            n += (size_t)snprintf(text + n, sizeof text - n, "  [%d] RECEIPT_STALE\n", i);
            continue;
        }
        if (s->op == STEP_EXTEND && w->now + s->number > m->since + q->a.max_hold) {
            n += (size_t)snprintf(text + n, sizeof text - n, "  [%d] LIMIT max_hold\n", i);
            continue;
        }
        if (s->op == STEP_ACK) {
            applied += ack(q, m, s->flag);
            continue;
        }
        applied++;
        if (s->op == STEP_PARK) {
            to_parked(w, q, m, "requested", NULL);
        } else if (s->op == STEP_EXTEND && s->number > 0) {
            m->due = w->now + s->number;
        } else {
            q->n.nacked++;
            if (s->flag)
                to_parked(w, q, m, "rejected", "n");
            else
                give_back(w, q, m, s->op == STEP_NACK ? s->number : -1, NULL);
        }
    }
    say(w, "  %d\n%s", applied, text);
}

static void do_written(struct model *w, struct q *q, const struct step *s)
{
    for (int i = 0; i < s->ref_count; i++) {
        struct m *m = delivery(w, s, i);
        if (m && s->op == STEP_WRITTEN) {
            ack(q, m, false);
        } else if (m) {
            m->attempts--;
            q->n.returned++;
            to_ready(w, q, m);
        }
    }
}

static void do_kick(struct model *w, struct q *q, int64_t count)
{
    int n = 0;
    for (struct m *m; n < count && (m = first_in(q, MESSAGE_PARKED)); n++) {
        m->attempts = 0;
        q->n.kicks++;
        to_ready(w, q, m);
    }
    say(w, "  %d\n", n);
}

static void do_discard(struct model *w, struct q *q, const struct step *s)
{
    int n = 0;
    for (int i = 0; i < s->ref_count; i++) {
        struct m *m = find(q, s->refs[i].id);
        if (!m || m->state == MESSAGE_INFLIGHT)
            continue;
        q->n.discarded++;
        erase(q, m);
        n++;
    }
    say(w, "  %d\n", n);
}

static void do_peek(struct model *w, const struct q *q, const struct step *s)
{
    static const char *const names[] = {"delayed", "ready", "inflight", "parked"};
    int64_t shown = 0;
    for (int i = 0; i < q->count; i++) {
        const struct m *m = &q->list[i];
        if ((int64_t)m->id < s->number)
            continue;
        if (shown == s->second) {
            say(w, "  next %" PRIu64 "\n", m->id);
            return;
        }
        shown++;
        say(w, "  %" PRIu64 ":%c%.*s %s", m->id, m->body, (int)(m->bytes < 8 ? m->bytes : 8) - 1, ".......",
            names[m->state]);
        if (m->attempts)
            say(w, " attempts %u", m->attempts);
        if (m->state == MESSAGE_PARKED)
            say(w, " %s", m->reason);
        if (m->state == MESSAGE_PARKED && m->note)
            say(w, " (%s)", m->note);
        say(w, "\n");
    }
}

static void do_counters(struct model *w, const struct q *q)
{
    say(w, " ");
#define X(field, help) \
    if (q->n.field)    \
        say(w, " %s %" PRIu64, #field, q->n.field);
    QUEUE_COUNTER_LIST(X)
#undef X
    say(w, "\n");
}

static void do_queue_step(struct model *w, const struct step *s)
{
    struct q *q = &w->queues[s->queue];
    if (!q->exists) {
        say(w, "  QUEUE_NOT_FOUND\n");
        return;
    }
    switch (s->op) {
    case STEP_UPDATE:
        set_attributes(q, &s->attributes);
        break;
    case STEP_DELETE:
        do_delete(w, s->queue);
        break;
    case STEP_PURGE:
        do_purge(w, q, s->number);
        break;
    case STEP_PAUSE:
    case STEP_RESUME:
        q->paused = s->op == STEP_PAUSE;
        break;
    case STEP_INFO:
        say(w, "  delayed %d ready %d inflight %d parked %d bytes %" PRId64 "\n", count_in(q, MESSAGE_DELAYED),
            count_in(q, MESSAGE_READY), count_in(q, MESSAGE_INFLIGHT), count_in(q, MESSAGE_PARKED), bytes_of(q));
        break;
    case STEP_PUBLISH:
        do_publish(w, q, s);
        break;
    case STEP_CONSUME: {
        struct t *t = add_taker(w, s, false);
        t->id = w->next_consumer[s->peer - 'A']++;
        t->automatic = s->flag;
        t->visibility = s->second;
        say(w, "  consumer %" PRIu64 "\n", t->id);
        break;
    }
    case STEP_RECEIVE:
        do_receive(w, q, s);
        break;
    case STEP_KICK:
        do_kick(w, q, s->number);
        break;
    case STEP_DISCARD:
        do_discard(w, q, s);
        break;
    case STEP_PEEK:
        do_peek(w, q, s);
        break;
    case STEP_COUNTERS:
        do_counters(w, q);
        break;
    default:
        assert(false);
    }
}

static void do_step(struct model *w, const struct step *s)
{
    struct t *t;
    if (s->op >= STEP_CONSUME && s->op <= STEP_RECEIVE)
        open_peer(w, s->peer);
    switch (s->op) {
    case STEP_CREATE:
        do_create(w, s);
        break;
    case STEP_ACK:
    case STEP_NACK:
    case STEP_EXTEND:
    case STEP_PARK:
        do_settle(w, &w->queues[s->queue], s);
        break;
    case STEP_WRITTEN:
    case STEP_UNWRITTEN:
        do_written(w, &w->queues[s->queue], s);
        break;
    case STEP_CREDIT:
        if ((t = consumer(w, s)))
            t->limit = (uint32_t)s->number;
        break;
    case STEP_CANCEL:
        if ((t = consumer(w, s)))
            end_consumer(w, t);
        break;
    case STEP_CLOSE:
        open_peer(w, s->peer);
        do_close(w, s->peer);
        break;
    case STEP_FULL:
    case STEP_DRAINED:
        open_peer(w, s->peer);
        w->full[s->peer - 'A'] = s->op == STEP_FULL;
        break;
    case STEP_AT:
        do_at(w, s->number);
        break;
    default:
        do_queue_step(w, s);
    }
}

char *model_run(const struct step *steps, size_t count)
{
    struct model *w = calloc(1, sizeof *w);
    assert(w);
    for (size_t i = 0; i < count; i++) {
        char line[LINE_ROOM];
        (void)step_print(&steps[i], line, sizeof line);
        say(w, "%s", line);
        do_step(w, &steps[i]);
        if (!steps[i].together)
            turn(w);
    }
    char *out = w->out;
    free(w->seen);
    free(w);
    return out;
}
