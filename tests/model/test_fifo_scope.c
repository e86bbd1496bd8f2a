/*
 * The groups of a fifo queue, exhaustively in a small scope: three groups of three messages, one consumer and one peer
 * that receives; every sequence of FIFO_SCOPE_DEPTH (7) operations that the state allows: receive one or two, credit or
 * none, ack, nack, nack with a delay, park, kick, publish, and time. After each the broker must have said what the
 * model says, and be in the same state; and what must always hold holds (story_check.c).
 *
 * States that were reached before with as many operations left are not gone through again. The broker can't be set
 * back, so its way to a state is repeated from the beginning, without checks: those were made when it was gone for the
 * first time.
 */
#include "tests/model/repeat.h"
#include "tests/model/world.h"
#include "tests/sim/story_parts.h"

#include <malloc.h>

#define QUEUE     2
#define GROUPS    3
#define PER_GROUP 3
#define MAX_DEPTH 32
#define STEP_MS   50
#define TABLE     (1u << 22)

/* How much less far to go where everything costs several times as much. */
#if defined(__SANITIZE_ADDRESS__)
#define NEARER 2
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NEARER 2
#endif
#endif
#ifndef NEARER
#define NEARER 0
#endif

/* How a search begins. */
struct scope {
    const char *name;
    int64_t group_prefetch, sticky_groups;
    int published; /* of each group at the start; the rest can be published on the way */
    int depth;     /* usually */
};

/* The model at one depth of the search, without what it has said. */
struct saved {
    struct model *w; /* only the parts that are in use are copied */
    int count;
};

struct search {
    const struct scope *scope;
    struct model *w;
    struct step path[8 + MAX_DEPTH];
    int setup, depth, limit;
    int published[GROUPS];
    struct saved saved[MAX_DEPTH];
    uint64_t *seen; /* hash, with the operations that were left in the low bits */
    uint64_t states, transitions;
};

/* ---- the model, forth and back ----------------------------------------------------------------------------------- */

static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * 0x9e3779b97f4a7c15u;
    *hash ^= *hash >> 29;
}

static bool is_timed(const struct m *m)
{
    return m->state == MESSAGE_DELAYED || m->state == MESSAGE_INFLIGHT;
}

/* What is still to come of a message: of times only what is left of them, and of orders only who is before whom. */
static void mix_message(uint64_t *hash, const struct model *w, const struct m *m)
{
    const struct q *q = &w->queues[QUEUE];
    uint64_t earlier = 0, lower = 0;
    for (int i = 0; i < q->count; i++) {
        const struct m *other = &q->list[i];
        earlier += is_timed(m) && is_timed(other) && other->due == m->due && other->armed < m->armed;
        lower += m->state == MESSAGE_PARKED && other->state == MESSAGE_PARKED && other->id < m->id;
    }
    mix(hash, (uint64_t)m->state * 2 + m->held);
    mix(hash, is_timed(m) ? (uint64_t)(m->due - w->now) : 0);
    mix(hash, earlier * 16 + lower);
    mix(hash, m->state == MESSAGE_INFLIGHT && m->owner == w->takers[0].uid);
}

static void mix_group(uint64_t *hash, const struct model *w, char name)
{
    const struct q *q = &w->queues[QUEUE];
    for (int i = 0; i < q->count; i++)
        if (q->list[i].group == name)
            mix_message(hash, w, &q->list[i]);
    for (int i = 0; i < q->group_count; i++) {
        const struct g *g = &q->groups[i];
        uint64_t before = 0;
        for (int n = 0; n < q->group_count; n++)
            before += g->where != 0 && q->groups[n].where == g->where && q->groups[n].place < g->place;
        if (g->name != name)
            continue;
        mix(hash, g->holder == w->takers[0].uid);
        mix(hash, (g->where == 0 ? 0 : g->where == w->takers[0].uid ? 1u : 2u) * 16 + before);
    }
}

/*
 * Two states with the same fingerprint go on in the same way, but for the names of groups and messages: one group is as
 * good as another. Attempts play no part.
 */
static uint64_t fingerprint(const struct search *s)
{
    uint64_t groups[GROUPS], hash = s->w->takers[0].limit;
    for (int i = 0; i < GROUPS; i++) {
        groups[i] = (uint64_t)s->published[i];
        mix_group(&groups[i], s->w, (char)('g' + i));
        for (int n = i; n > 0 && groups[n] < groups[n - 1]; n--) {
            uint64_t swap = groups[n];
            groups[n] = groups[n - 1];
            groups[n - 1] = swap;
        }
    }
    for (int i = 0; i < GROUPS; i++)
        mix(&hash, groups[i]);
    return hash;
}

/* True if the state is new, or was reached with fewer operations left before. */
static bool is_news(struct search *s, uint64_t hash, int left)
{
    for (uint64_t at = hash;; at++) {
        uint64_t *entry = &s->seen[at % TABLE];
        if (*entry == 0) {
            *entry = (hash & ~(uint64_t)31) | (uint64_t)left;
            assert_true(++s->states < TABLE / 2);
            return true;
        }
        if ((*entry & ~(uint64_t)31) != (hash & ~(uint64_t)31))
            continue;
        bool news = (int)(*entry & 31) < left;
        if (news)
            *entry = (hash & ~(uint64_t)31) | (uint64_t)left;
        return news;
    }
}

/* ---- the broker ------------------------------------------------------------------------------------------------- */

static void tell_line(struct story *story, const struct step *step)
{
    char line[STEP_LINE];
    size_t bytes = step_print(step, line, sizeof line);
    story_tell(story, line, bytes - 1);
}

/* The whole path from the beginning; only its last step is listened to. Returns what was said to it, and the state,
   malloc'ed. */
static char *tell_broker(struct search *s)
{
    struct story *story = story_open_unlogged();
    int last = s->setup + s->depth;
    for (int i = 0; i < last; i++)
        step_repeat(story, &s->path[i]);
    steps_show_deliveries(story);
    story->next_token = s->saved[s->depth].w->next_token;
    story->out.bytes = 0;
    story->out.data[0] = '\0';
    tell_line(story, &s->path[last]);
    story_state(story, &story->out, false);
    return story_close(story);
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

static void print_path(const struct search *s, const char *expected, const char *got)
{
    fprintf(stderr, "%s:\n", s->scope->name);
    for (int i = 0; i <= s->setup + s->depth; i++) {
        char line[STEP_LINE];
        (void)step_print(&s->path[i], line, sizeof line);
        fprintf(stderr, "%s", line);
    }
    fprintf(stderr, "The model:\n%s\nThe broker:\n%s\n", expected, got);
}

static void go_on(struct search *s);

/* One operation more, told to both. */
static void try_step(struct search *s, struct step step)
{
    s->path[s->setup + s->depth] = step;
    s->w->bytes = 0;
    assert_true(model_tell(s->w, &step));
    model_state(s->w);
    s->transitions++;
    char *got = tell_broker(s);
    if (strcmp(model_said(s->w), got) != 0) {
        print_path(s, model_said(s->w), got);
        fail();
    }
    free(got);
    if (s->depth + 1 < s->limit && is_news(s, fingerprint(s), s->limit - s->depth - 1)) {
        s->depth++;
        go_on(s);
        s->depth--;
    }
    model_copy(s->w, s->saved[s->depth].w);
}

static struct step publish_step(char group)
{
    struct step step = {.op = STEP_PUBLISH, .queue = QUEUE, .message_count = 1};
    step.messages[0] = (struct step_message){.body = 'm', .bytes = 1, .delay = -1, .ttl = -1, .group = group};
    return step;
}

static void try_settling(struct search *s, uint64_t id)
{
    struct step step = {.op = STEP_ACK, .queue = QUEUE, .number = -1, .ref_count = 1};
    step.refs[0].id = id;
    try_step(s, step);
    step.op = STEP_PARK;
    try_step(s, step);
    step.op = STEP_NACK;
    try_step(s, step);
    step.number = STEP_MS;
    try_step(s, step);
}

/* Everything that can be done in this state. */
static void go_on(struct search *s)
{
    const struct model *here = s->saved[s->depth].w;
    const struct q *q = &here->queues[QUEUE];
    model_copy(s->saved[s->depth].w, s->w);
    for (uint32_t max = 1; max <= 2; max++)
        try_step(s, (struct step){.op = STEP_RECEIVE, .queue = QUEUE, .peer = 'B', .max = max});
    try_step(s, (struct step){.op = STEP_CREDIT, .peer = 'A', .consumer = 1, .number = here->takers[0].limit ? 0 : 2});
    try_step(s, (struct step){.op = STEP_AT, .number = here->now + STEP_MS});
    for (int group = 0; group < GROUPS; group++)
        if (s->published[group] < PER_GROUP) {
            s->published[group]++;
            try_step(s, publish_step((char)('g' + group)));
            s->published[group]--;
        }
    bool parked = false;
    for (int i = 0; i < q->count; i++) {
        parked = parked || q->list[i].state == MESSAGE_PARKED;
        if (q->list[i].state == MESSAGE_INFLIGHT)
            try_settling(s, q->list[i].id);
    }
    if (parked)
        try_step(s, (struct step){.op = STEP_KICK, .queue = QUEUE, .number = 1});
}

static void prepare(struct search *s)
{
    struct step create = {.op = STEP_CREATE, .queue = QUEUE};
#define X(name) create.attributes.name = -1;
    STEP_ATTRIBUTES(X)
#undef X
    create.attributes.dead_letter = create.attributes.backoff = -1;
    create.attributes.type = QUEUE_FIFO;
    create.attributes.visibility = 2 * STEP_MS;
    create.attributes.retention = 0;
    create.attributes.group_prefetch = s->scope->group_prefetch;
    create.attributes.sticky_groups = s->scope->sticky_groups;
    s->path[s->setup++] = create;
    s->path[s->setup++] = (struct step){.op = STEP_CONSUME, .queue = QUEUE, .peer = 'A', .second = -1};
    for (int n = 0; n < s->scope->published; n++) {
        struct step *publish = &s->path[s->setup++];
        *publish = publish_step('g');
        for (publish->message_count = 1; publish->message_count < GROUPS; publish->message_count++) {
            publish->messages[publish->message_count] = publish->messages[0];
            publish->messages[publish->message_count].group = (char)('g' + publish->message_count);
        }
    }
    for (int i = 0; i < GROUPS; i++)
        s->published[i] = s->scope->published;
    for (int i = 0; i < s->setup; i++)
        assert_true(model_tell(s->w, &s->path[i]));
}

static void search_scope(void **state)
{
    static struct search s;
    const char *depth = getenv("FIFO_SCOPE_DEPTH");
    s = (struct search){.scope = *state, .w = model_open(), .limit = depth ? atoi(depth) : 0};
    s.limit = s.limit ? s.limit : s.scope->depth - NEARER;
    assert_true(s.limit > 0 && s.limit < MAX_DEPTH);
    s.seen = calloc(TABLE, sizeof *s.seen);
    assert_non_null(s.seen);
    for (int i = 0; i < s.limit; i++)
        s.saved[i].w = model_open();
    prepare(&s);
    go_on(&s);
    print_message("%s: %" PRIu64 " states, %" PRIu64 " steps compared\n", s.scope->name, s.states, s.transitions);
    for (int i = 0; i < s.limit; i++)
        free(model_close(s.saved[i].w));
    free(model_close(s.w));
    free(s.seen);
}

int main(void)
{
    /* Hundreds of thousands of brokers come and go: their memory stays with the process. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 16 << 20);
    static struct scope scopes[] = {
        {"full groups, one of a group at a time", 1, 0, PER_GROUP, 7},
        {"full groups, two of a group at a time", 2, 0, PER_GROUP, 7},
        {"sticky groups", 2, 1, PER_GROUP, 6},
        {"groups that begin with one message", 2, 0, 1, 6},
    };
    struct CMUnitTest tests[sizeof scopes / sizeof *scopes];
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        tests[i] = (struct CMUnitTest){scopes[i].name, search_scope, NULL, NULL, &scopes[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
