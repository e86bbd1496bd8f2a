/* Commands of a peer. */
#include "tests/sim/story_parts.h"

static void do_consume(struct story *s, struct peer *peer)
{
    struct queue *q = word_queue(s, 2);
    if (!q)
        return;
    struct consume_options o = {
        .prefetch = (uint32_t)word_number(s, 3, "prefetch", 100),
        .auto_ack = word_flag(s, 3, "auto"),
        .exclusive = word_flag(s, 3, "exclusive"),
        .single_active = word_flag(s, 3, "single"),
        .priority = (uint32_t)word_number(s, 3, "priority", 0),
        .group_prefetch = (uint32_t)word_number(s, 3, "group_prefetch", 0),
        .visibility_ms = word_number(s, 3, "visibility", NO_NUMBER),
    };
    uint64_t id;
    enum error_code code = broker_consume(&s->broker, q, peer, &o, &id);
    if (code != ERR_NONE)
        story_say_error(s, code);
    else
        story_say(s, "  consumer %" PRIu64 "\n", id);
}

static void do_receive(struct story *s, struct peer *peer)
{
    struct queue *q = word_queue(s, 2);
    if (!q)
        return;
    struct receive_options o = {
        .max = (uint32_t)word_number(s, 3, "max", 1),
        .wait_ms = word_number(s, 3, "wait", 0),
        .visibility_ms = word_number(s, 3, "visibility", NO_NUMBER),
        .token = ++s->next_token,
    };
    bool served = false;
    enum error_code code = broker_receive(&s->broker, s->now_ms, q, peer, &o, &served);
    if (code != ERR_NONE) {
        story_say_error(s, code);
    } else if (served) {
        story_say(s, "  gets");
        story_say_deliveries(s, 0, s->broker.delivery_count);
    } else {
        story_say(s, "  r%" PRIu64 " waits\n", o.token);
    }
}

static void do_standing(struct story *s, struct peer *peer, const char *verb, uint64_t id)
{
    enum error_code code = strcmp(verb, "credit") == 0
                               ? broker_credit(&s->broker, peer, id, (uint32_t)strtoul(s->words[3], NULL, 10))
                               : broker_cancel(&s->broker, s->now_ms, peer, id);
    if (code != ERR_NONE)
        story_say_error(s, code);
}

void story_peer(struct story *s)
{
    struct peer *peer = word_peer(s, s->words[0][0]);
    const char *verb = s->words[1];
    uint64_t id = s->word_count > 2 ? strtoull(s->words[2], NULL, 10) : 0;
    if (strcmp(verb, "consume") == 0) {
        do_consume(s, peer);
    } else if (strcmp(verb, "receive") == 0) {
        do_receive(s, peer);
    } else if (strcmp(verb, "publish") == 0) {
        story_publish(s, peer);
    } else if (strcmp(verb, "publish_topic") == 0) {
        story_publish_topic(s, peer);
    } else if (strcmp(verb, "credit") == 0 || strcmp(verb, "cancel") == 0) {
        do_standing(s, peer, verb, id);
    } else if (strcmp(verb, "full") == 0) {
        broker_peer_room(&s->broker, peer, 0);
    } else if (strcmp(verb, "drained") == 0) {
        broker_peer_room(&s->broker, peer, s->word_count > 2 ? (int64_t)id : ENDLESS_ROOM);
    } else {
        assert_string_equal(verb, "close");
        broker_peer_close(&s->broker, s->now_ms, peer);
        s->open[s->words[0][0] - 'A'] = false;
    }
}
