/* The run of a story: its lines, its time, and the commands that settle deliveries. */
#include "tests/sim/logged.h"
#include "tests/sim/mirror.h"
#include "tests/sim/story_parts.h"

/* ---- settling ---------------------------------------------------------------------------------------------------- */

static void do_settle(struct story *s)
{
    uint64_t list[MAX_WORDS];
    uint32_t applied = 0;
    const char *verb = s->words[0], *note = word_option(s, 2, "note");
    struct view note_view = {note, note ? strlen(note) : 0};
    bool extend = strcmp(verb, "extend") == 0;
    uint32_t count = word_receipts(s, s->words[1], extend ? 3 : 2, s->word_count, list);
    enum error_code code;
    if (extend) {
        code = broker_extend(&s->broker, s->now_ms, list, count, strtoll(s->words[2], NULL, 10), &applied);
    } else if (strcmp(verb, "ack") == 0) {
        code = broker_ack(&s->broker, s->now_ms, list, count, word_flag(s, 2, "multiple"), &applied);
    } else if (strcmp(verb, "park") == 0) {
        code = broker_park(&s->broker, s->now_ms, list, count, note_view, &applied);
    } else {
        struct nack_options o = {word_number(s, 2, "delay", NO_NUMBER), word_flag(s, 2, "dead"), note_view};
        code = broker_nack(&s->broker, s->now_ms, list, count, &o, &applied);
    }
    if (code != ERR_NONE) {
        story_say_error(s, code);
        return;
    }
    story_say(s, "  %u\n", applied);
    story_say_outcomes(s, "  ", s->broker.outcomes, s->broker.outcome_count);
}

static void do_written(struct story *s)
{
    uint64_t list[MAX_WORDS];
    uint32_t count = word_receipts(s, s->words[1], 2, s->word_count, list);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(s->words[0], "written") == 0)
            broker_written(&s->broker, s->now_ms, list[i]);
        else
            broker_unwritten(&s->broker, s->now_ms, list[i]);
    }
}

/* ---- time and the server ----------------------------------------------------------------------------------------- */

/* Turns until nothing is left to do at this moment; what each brings is told before the next. */
static void run_turns(struct story *s)
{
    bool more = true;
    for (int i = 0; more; i++) {
        assert_true(i < 10000);
        more = broker_turn(&s->broker, s->now_ms);
        story_say_effects(s);
        if (s->logged)
            logged_turn(s->logged, s->now_ms);
        story_check(s);
    }
}

/* Time goes on, stopping wherever the broker has something to do. */
static void do_at(struct story *s)
{
    int64_t until = strtoll(s->words[1], NULL, 10);
    assert_true(until >= s->now_ms);
    for (;;) {
        int64_t next = broker_next_ms(&s->broker);
        if (next > until)
            break;
        s->now_ms = next > s->now_ms ? next : s->now_ms;
        size_t before = s->out.bytes;
        story_say(s, "  -- %" PRId64 "\n", s->now_ms);
        size_t after = s->out.bytes;
        run_turns(s);
        if (s->out.bytes == after || s->now_ms == until) {
            memmove(s->out.data + before, s->out.data + after, s->out.bytes - after);
            s->out.bytes -= after - before;
        }
        s->out.data[s->out.bytes] = '\0';
    }
    s->now_ms = until;
}

static void do_limit(struct story *s)
{
    struct broker_limits *l = &s->broker.limits;
    const char *more = word_option(s, 1, "max_memory");
    l->max_memory_bytes = (uint64_t)word_number(s, 1, "max_memory", (int64_t)l->max_memory_bytes);
    if (more && *more == '+')
        l->max_memory_bytes += broker_memory(&s->broker);
    l->max_response_bytes = (uint64_t)word_number(s, 1, "max_response_bytes", (int64_t)l->max_response_bytes);
    l->max_message_bytes = (uint64_t)word_number(s, 1, "max_message_bytes", (int64_t)l->max_message_bytes);
    l->max_batch = (uint64_t)word_number(s, 1, "max_batch", (int64_t)l->max_batch);
    l->max_wait_ms = (uint64_t)word_number(s, 1, "max_wait", (int64_t)l->max_wait_ms);
    l->max_queues = (uint64_t)word_number(s, 1, "max_queues", (int64_t)l->max_queues);
}

static void do_drain(struct story *s)
{
    s->broker.draining = true;
    broker_refuse_held(&s->broker, ERR_DRAINING);
}

static void do_refuse(struct story *s)
{
    s->broker.refusing = error_from_name(s->words[1], strlen(s->words[1]));
}

static void do_stop(struct story *s)
{
    if (strcmp(s->words[0], "stop") == 0)
        broker_stop(&s->broker);
    else
        broker_stop_finish(&s->broker, s->now_ms);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void publish_alone(struct story *s)
{
    story_publish(s, NULL);
}

static void publish_topic_alone(struct story *s)
{
    story_publish_topic(s, NULL);
}

static const struct {
    const char *verb;
    void (*run)(struct story *s);
} verbs[] = {
    {"create", story_create},
    {"update", story_update},
    {"delete", story_delete},
    {"purge", story_purge},
    {"pause", story_pause},
    {"resume", story_pause},
    {"info", story_info},
    {"list", story_list},
    {"state", story_show},
    {"publish", publish_alone},
    {"publish_topic", publish_topic_alone},
    {"topic", story_topic},
    {"commit", story_commit},
    {"ack", do_settle},
    {"nack", do_settle},
    {"extend", do_settle},
    {"park", do_settle},
    {"kick", story_kick},
    {"discard", story_discard},
    {"peek", story_peek},
    {"move", story_move},
    {"moves", story_moves},
    {"move_cancel", story_move_cancel},
    {"at", do_at},
    {"written", do_written},
    {"drain", do_drain},
    {"refuse", do_refuse},
    {"unwritten", do_written},
    {"counters", story_counters},
    {"stop", do_stop},
    {"stop_finish", do_stop},
    {"limit", do_limit},
};

static void do_line(struct story *s)
{
    const char *verb = s->words[0];
    if (verb[0] >= 'A' && verb[0] <= 'Z' && verb[1] == '\0') {
        story_peer(s);
        return;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].verb, verb) == 0) {
            verbs[i].run(s);
            return;
        }
    fail_msg("no such command: %s", verb);
}

static void split(struct story *s, char *line)
{
    s->word_count = 0;
    for (char *w = strtok(line, " "); w; w = strtok(NULL, " ")) {
        assert_true(s->word_count < MAX_WORDS);
        s->words[s->word_count++] = w;
    }
}

static void snapshot(const struct story *s, struct text *out)
{
    out->bytes = 0;
    story_state(s, out, true);
}

/* A call that is refused changes nothing. */
static void check_refused(struct story *s, const char *line, size_t bytes)
{
    snapshot(s, &s->after);
    if (s->before.bytes != s->after.bytes || memcmp(s->before.data, s->after.data, s->before.bytes) != 0)
        fail_msg("%.*s: was refused and has changed something.\nbefore:\n%s\nafter:\n%s\n", (int)bytes, line,
                 s->before.data, s->after.data);
}

void story_tell(struct story *s, const char *line, size_t bytes)
{
    char copy[4096];
    assert_true(bytes > 2 && bytes < sizeof copy);
    memcpy(copy, line + 2, bytes - 2);
    copy[bytes - 2] = '\0';
    story_say(s, "%.*s\n", (int)bytes, line);
    split(s, copy);
    snapshot(s, &s->before);
    s->refused = false;
    do_line(s);
    if (s->refused)
        check_refused(s, line, bytes);
    story_check(s);
    if (line[0] == '>')
        run_turns(s);
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

struct story *story_open_unlogged(void)
{
    static const struct broker_limits limits = {
        .max_memory_bytes = 1 << 28,
        .max_message_bytes = 1 << 20,
        .max_body_bytes = 16 << 20,
        .max_response_bytes = 1 << 24,
        .max_batch = 1000,
        .max_wait_ms = 20000,
        .max_queues = 1000,
    };
    struct story *s = calloc(1, sizeof *s);
    assert_non_null(s);
    story_put(&s->out, "", 0);
    story_put(&s->before, "", 0);
    story_put(&s->after, "", 0);
    broker_init(&s->broker, &limits, 0, 7);
    s->broker.wall_offset_ms = WALL_OFFSET;
    s->broker.random = 1;
    s->broker.hash_seed = 1;
    s->mirror = mirror_open(&s->broker);
    return s;
}

struct story *story_open(void)
{
    struct story *s = story_open_unlogged();
    s->logged = logged_open(&s->broker, 0);
    return s;
}

const char *story_said(const struct story *s)
{
    return s->out.data;
}

char *story_close(struct story *s)
{
    if (s->logged)
        logged_close(s->logged, s->now_ms);
    mirror_close(s->mirror, s->now_ms);
    for (int i = 0; i < 26; i++)
        if (s->open[i])
            broker_peer_close(&s->broker, s->now_ms, &s->peers[i]);
    story_check(s);
    broker_close(&s->broker); /* asserts that no memory is left */
    char *out = s->out.data;
    free(s->before.data);
    free(s->after.data);
    free(s->seen);
    free(s);
    return out;
}

char *story_run(const char *story)
{
    struct story *s = story_open();
    for (const char *line = story; *line;) {
        size_t bytes = strcspn(line, "\n");
        if (bytes > 2 && (line[0] == '>' || line[0] == '+'))
            story_tell(s, line, bytes);
        line += bytes + (line[bytes] == '\n');
    }
    return story_close(s);
}
