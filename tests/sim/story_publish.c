/* Messages in: publishes to queues and topics, commits; and topics themselves. */
#include "tests/sim/story_parts.h"

/* Options of a call that stores messages; held ones are known by their peer and a number. */
static struct publish_options publish_options(struct story *s, int first, struct peer *peer)
{
    struct publish_options o = {
        .atomic = word_flag(s, first, "atomic"),
        .mandatory = word_flag(s, first, "mandatory"),
        .wait_ms = word_number(s, first, "wait", 0),
        .peer = peer,
    };
    if (o.wait_ms > 0) {
        assert_non_null(peer); /* a publish that waits is somebody's: "A publish ..." */
        o.token = ++s->next_publish;
    }
    return o;
}

void story_publish(struct story *s, struct peer *peer)
{
    int at = peer ? 2 : 1;
    struct queue *q = word_queue(s, at);
    if (!q)
        return;
    struct told told;
    told_read(s, at + 1, s->word_count, &told);
    struct publications messages = told_view(&told);
    struct publish_options options = publish_options(s, at + 1, peer);
    struct publish_result result = {0};
    enum error_code code = broker_publish(&s->broker, s->now_ms, q, &messages, &options, &result);
    told_free(&told);
    if (code != ERR_NONE) {
        story_say_error(s, code);
        return;
    }
    if (result.held) {
        assert_int_equal(result.stored, 0);
        story_say(s, "  p%" PRIu64 " is held\n", options.token);
        return;
    }
    if (result.stored > 0) {
        story_say(s, "  ");
        story_say_ids(s, result.first_id, result.stored);
    }
    story_say_outcomes(s, "  ", s->broker.outcomes, s->broker.outcome_count);
}

/* The empty key is written "-". */
static struct view key_at(const struct story *s, int word)
{
    const char *key = s->words[word];
    return strcmp(key, "-") == 0 ? (struct view){"", 0} : (struct view){key, strlen(key)};
}

void story_publish_topic(struct story *s, struct peer *peer)
{
    int at = peer ? 2 : 1;
    struct topic *topic = word_topic(s, at);
    if (!topic)
        return;
    struct told told;
    told_read(s, at + 2, s->word_count, &told);
    struct publications messages = told_view(&told);
    struct publish_options options = publish_options(s, at + 2, peer);
    uint64_t copies = 0;
    bool held = false;
    enum error_code code = broker_topic_publish(&s->broker, s->now_ms, topic, key_at(s, at + 1), &messages, &options,
                                                &copies, &held);
    told_free(&told);
    if (code != ERR_NONE) {
        story_say_error(s, code);
        story_say_outcomes(s, "  ", s->broker.outcomes, s->broker.outcome_count);
    } else if (held) {
        story_say(s, "  p%" PRIu64 " is held\n", options.token);
    } else {
        story_say(s, "  copies %" PRIu64 "\n", copies);
    }
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

#define MAX_PARTS 8

struct commit {
    struct commit_part parts[MAX_PARTS];
    struct told told[MAX_PARTS];
    uint32_t part_count;
    uint64_t receipts[MAX_WORDS];
    uint32_t receipt_count;
};

/* Reads "ack Q m..", "publish Q message.." or "topic T key message.." from `first` to before `last`. */
static bool read_part(struct story *s, int first, int last, struct commit *c)
{
    const char *verb = s->words[first];
    assert_true(last - first >= 2);
    if (strcmp(verb, "ack") == 0) {
        c->receipt_count += word_receipts(s, s->words[first + 1], first + 2, last, c->receipts + c->receipt_count);
        return true;
    }
    assert_true(c->part_count < MAX_PARTS);
    struct commit_part *part = &c->parts[c->part_count];
    struct told *told = &c->told[c->part_count++];
    *part = (struct commit_part){.queue = NULL};
    told->memory_count = 0;
    if (strcmp(verb, "publish") == 0) {
        part->queue = word_queue(s, first + 1);
        told_read(s, first + 2, last, told);
    } else {
        assert_string_equal(verb, "topic");
        part->topic = word_topic(s, first + 1);
        part->key = key_at(s, first + 2);
        told_read(s, first + 3, last, told);
    }
    part->messages = told_view(told);
    return part->queue || part->topic;
}

static void say_commit(struct story *s, const struct commit *c)
{
    if (c->receipt_count > 0)
        story_say(s, "  acked %u\n", c->receipt_count);
    for (uint32_t i = 0; i < c->part_count; i++) {
        const struct commit_part *part = &c->parts[i];
        story_say(s, "  %s ", part->queue ? part->queue->name : part->topic->name);
        if (part->topic)
            story_say(s, "copies %" PRIu64 "\n", part->copies);
        else
            story_say_ids(s, part->first_id, part->stored);
        story_say_outcomes(s, "    ", s->broker.outcomes + part->outcome_first, part->outcome_count);
    }
}

/* commit part | part | ... : the parts of queues stand before those of topics. */
void story_commit(struct story *s)
{
    static struct commit c;
    c.part_count = c.receipt_count = 0;
    bool known = true;
    for (int first = 1, last; known && first < s->word_count; first = last + 1) {
        for (last = first; last < s->word_count && strcmp(s->words[last], "|") != 0; last++) {
        }
        known = read_part(s, first, last, &c);
    }
    struct commit_culprit culprit = {.part = UINT32_MAX};
    enum error_code code = known ? broker_commit(&s->broker, s->now_ms, c.parts, c.part_count, c.receipts,
                                                 c.receipt_count, &culprit)
                                 : ERR_NONE;
    if (code != ERR_NONE) {
        story_say_error(s, code);
        if (culprit.ack)
            story_say(s, "    ack %u\n", culprit.index);
        else if (culprit.part != UINT32_MAX)
            story_say(s, "    part %u message %u\n", culprit.part, culprit.index);
    } else if (known) {
        say_commit(s, &c);
    }
    for (uint32_t i = 0; i < c.part_count; i++)
        told_free(&c.told[i]);
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

static void subscribe(struct story *s, struct topic *topic)
{
    struct queue *q = word_queue(s, 3);
    const char *pattern = word_option(s, 4, "pattern"), *filter = word_option(s, 4, "filter");
    uint8_t bytes[512];
    struct view filter_view = {bytes, filter ? word_filter(filter, bytes, sizeof bytes) : 0};
    struct view pattern_view = {pattern ? pattern : "#", strlen(pattern ? pattern : "#")};
    bool created = false;
    if (!q)
        return;
    enum error_code code = broker_subscribe(&s->broker, topic, q, pattern_view, filter_view, &created);
    if (code != ERR_NONE)
        story_say_error(s, code);
    else if (!created)
        story_say(s, "  exists\n");
}

static void unsubscribe(struct story *s, struct topic *topic)
{
    struct queue *q = word_queue(s, 3);
    const char *pattern = word_option(s, 4, "pattern");
    if (!q)
        return;
    enum error_code code = broker_unsubscribe(&s->broker, topic, q,
                                              (struct view){pattern, pattern ? strlen(pattern) : 0});
    if (code != ERR_NONE)
        story_say_error(s, code);
}

static void topic_info(struct story *s, const struct topic *topic)
{
    story_say(s, "  published %" PRIu64 " routed %" PRIu64 "\n", topic->published, topic->routed);
    for (uint32_t i = 0; i < topic->subscription_count; i++) {
        const struct subscription *sub = topic->subscriptions[i];
        struct view pattern = subscription_pattern(sub);
        story_say(s, "  %s %.*s%s\n", sub->queue->name, (int)pattern.bytes, (const char *)pattern.data,
                  sub->filter_bytes > 0 ? " filtered" : "");
    }
}

static void topic_create(struct story *s)
{
    bool created = false;
    enum error_code code = broker_topic_create(&s->broker, s->words[2], strlen(s->words[2]), &created);
    if (code != ERR_NONE)
        story_say_error(s, code);
    else if (!created)
        story_say(s, "  exists\n");
}

void story_topic(struct story *s)
{
    const char *verb = s->words[1];
    if (strcmp(verb, "create") == 0) {
        topic_create(s);
        return;
    }
    struct topic *topic = word_topic(s, 2);
    if (!topic)
        return;
    if (strcmp(verb, "delete") == 0) {
        broker_topic_delete(&s->broker, topic);
    } else if (strcmp(verb, "info") == 0) {
        topic_info(s, topic);
    } else if (strcmp(verb, "subscribe") == 0) {
        subscribe(s, topic);
    } else {
        assert_string_equal(verb, "unsubscribe");
        unsubscribe(s, topic);
    }
}
