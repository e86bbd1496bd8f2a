#include "tests/sim/mirror.h"

#include "server/broker/digest.h"
#include "server/broker/restore.h"
#include "server/broker/watcher.h"
#include "tests/sim/story_parts.h"

struct mirror {
    struct watcher watcher;
    struct broker *original;
    struct broker broker;
    const struct message *copy; /* the message before: the next change is a copy of it */
};

/* ---- definitions ------------------------------------------------------------------------------------------------- */

/* Nothing comes between two copies of one message. */
static struct broker *broker_of(void *user)
{
    struct mirror *mirror = user;
    assert_null(mirror->copy);
    return &mirror->broker;
}

static struct queue *image(struct broker *b, const struct queue *q)
{
    struct queue *found = restore_queue_find(b, q->number);
    assert_non_null(found);
    return found;
}

static void done(enum restore_result result)
{
    assert_int_equal(result, RESTORE_DONE);
}

static void mirror_queue(void *user, struct queue *q)
{
    struct queue *out;
    done(restore_queue(broker_of(user), q->number, (struct view){q->name, q->name_bytes}, &q->attributes, q->next_id,
                       q->created_ms, q->paused, &out));
    assert_int_equal(out->number, q->number);
}

static void mirror_queue_gone(void *user, struct queue *q)
{
    struct broker *b = broker_of(user);
    done(restore_queue_gone(b, image(b, q)));
}

static struct view topic_name(const struct topic *t)
{
    return (struct view){t->name, t->name_bytes};
}

static void mirror_topic(void *user, struct topic *t)
{
    struct topic *out;
    done(restore_topic(broker_of(user), topic_name(t), &out));
}

static void mirror_topic_gone(void *user, struct topic *t)
{
    done(restore_topic_gone(broker_of(user), topic_name(t)));
}

static void mirror_subscribed(void *user, struct topic *t, struct subscription *s)
{
    struct broker *b = broker_of(user);
    struct subscription *out;
    done(restore_subscription(b, topic_name(t), image(b, s->queue), subscription_pattern(s), subscription_filter(s),
                              &out));
}

static void mirror_unsubscribed(void *user, struct topic *t, struct subscription *s)
{
    struct broker *b = broker_of(user);
    done(restore_subscription_gone(b, topic_name(t), image(b, s->queue), subscription_pattern(s)));
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static bool same_view(struct view x, struct view y)
{
    return x.bytes == y.bytes && (x.bytes == 0 || memcmp(x.data, y.data, x.bytes) == 0);
}

static void check_copy(const struct message *m, const struct message *before)
{
    assert_non_null(message_shared(m));
    assert_ptr_equal(message_shared(m), message_shared(before));
    assert_true(same_view(message_headers(m), message_headers(before)));
    assert_true(same_view(message_group(m), message_group(before)));
    assert_true(same_view(message_dedup_id(m), message_dedup_id(before)));
}

static void mirror_stored(void *user, struct queue *q, struct message *m, enum message_state state, int64_t due_ms,
                          bool copies_follow)
{
    struct mirror *mirror = user;
    struct message *out;
    if (mirror->copy)
        check_copy(m, mirror->copy);
    mirror->copy = copies_follow ? m : NULL;
    const struct restored_message r = {
        .queue = image(&mirror->broker, q),
        .id = m->id,
        .state = state,
        .parts = {.body = message_body(m),
                  .group = message_group(m),
                  .dedup_id = message_dedup_id(m),
                  .headers = message_headers(m),
                  .priority = m->priority},
        .published_ms = m->published_ms,
        .expires_ms = m->expires_ms,
        .at_ms = due_ms,
        .first_ms = -1,
        .last_ms = -1,
        .by_ttl = m->flags & MESSAGE_TTL,
    };
    done(restore_message(&mirror->broker, &r, &out));
    assert_int_equal(out->mark, 0);
}

static void mirror_stored_run(void *user, struct queue *q, void *const *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        mirror_stored(user, q, messages[i], MESSAGE_READY, 0, false);
}

static void mirror_gone(void *user, struct queue *q, uint64_t id, uint32_t count)
{
    struct broker *b = broker_of(user);
    for (uint32_t i = 0; i < count; i++)
        done(restore_gone(b, image(b, q), id + i));
}

static void mirror_delivered(void *user, struct queue *q, uint64_t id, uint32_t count, int64_t now_ms)
{
    struct broker *b = broker_of(user);
    for (uint32_t i = 0; i < count; i++)
        done(restore_delivered(b, image(b, q), id + i, now_ms));
}

static void mirror_undelivered(void *user, struct queue *q, struct message *m)
{
    struct broker *b = broker_of(user);
    done(restore_undelivered(b, image(b, q), m->id));
}

static void mirror_ready(void *user, struct queue *q, struct message *m)
{
    struct broker *b = broker_of(user);
    done(restore_ready(b, image(b, q), m->id));
}

static void mirror_kicked(void *user, struct queue *q, struct message *m)
{
    struct broker *b = broker_of(user);
    done(restore_kicked(b, image(b, q), m->id));
}

static void mirror_delayed(void *user, struct queue *q, struct message *m, int64_t until_ms)
{
    struct broker *b = broker_of(user);
    done(restore_delayed(b, image(b, q), m->id, until_ms));
}

static void mirror_parked(void *user, struct queue *q, struct message *m, const struct slot *slot)
{
    struct broker *b = broker_of(user);
    struct view note = {NULL, 0};
    if (slot->note)
        note = (struct view){slot->note->text, slot->note->bytes};
    done(restore_parked(b, image(b, q), m->id, (enum park_reason)slot->reason, note, slot->since_ms, m->expires_ms));
}

static void mirror_purged(void *user, struct queue *q, unsigned states)
{
    struct broker *b = broker_of(user);
    done(restore_purged(b, image(b, q), states));
}

static void mirror_cleared(void *user, struct message *m)
{
    (void)broker_of(user);
    assert_int_equal(m->mark, 0);
}

static void mirror_dedup(void *user, struct queue *q, struct dedup *entry)
{
    struct broker *b = broker_of(user);
    struct dedup *out;
    done(restore_dedup(b, image(b, q), (struct view){entry->key, entry->key_bytes}, entry->first_id,
                       entry->timer.deadline_ms, &out));
}

static void mirror_dedup_gone(void *user, struct dedup *entry)
{
    (void)broker_of(user);
    assert_int_equal(entry->mark, 0);
}

static void mirror_event(void *user)
{
    (void)broker_of(user);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------- */

struct mirror *mirror_open(struct broker *original)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);
    assert_non_null(mirror);
    mirror->original = original;
    broker_init(&mirror->broker, &original->limits, original->timers.now_ms, 9);
    mirror->broker.wall_offset_ms = original->wall_offset_ms;
    mirror->broker.hash_seed = original->hash_seed + 1;
    mirror->watcher = (struct watcher){
        .user = mirror,
        .queue_cb = mirror_queue,
        .queue_gone_cb = mirror_queue_gone,
        .topic_cb = mirror_topic,
        .topic_gone_cb = mirror_topic_gone,
        .subscribed_cb = mirror_subscribed,
        .unsubscribed_cb = mirror_unsubscribed,
        .stored_cb = mirror_stored,
        .stored_run_cb = mirror_stored_run,
        .gone_cb = mirror_gone,
        .delivered_cb = mirror_delivered,
        .undelivered_cb = mirror_undelivered,
        .ready_cb = mirror_ready,
        .kicked_cb = mirror_kicked,
        .delayed_cb = mirror_delayed,
        .parked_cb = mirror_parked,
        .purged_cb = mirror_purged,
        .cleared_cb = mirror_cleared,
        .dedup_cb = mirror_dedup,
        .dedup_gone_cb = mirror_dedup_gone,
        .event_cb = mirror_event,
    };
    original->watcher = &mirror->watcher;
    return mirror;
}

struct page {
    char **lines;
    size_t count, cap;
};

static void write_line(void *user, const char *line)
{
    struct page *page = user;
    if (page->count == page->cap) {
        page->cap = page->cap * 2 + 64;
        page->lines = realloc(page->lines, page->cap * sizeof *page->lines);
        assert_non_null(page->lines);
    }
    page->lines[page->count] = strdup(line);
    assert_non_null(page->lines[page->count]);
    page->count++;
}

/* The lines of one that the other has not. */
static void print_others(const char *whose, const struct page *page, const struct page *other)
{
    for (size_t i = 0; i < page->count; i++) {
        bool found = false;
        for (size_t j = 0; j < other->count && !found; j++)
            found = strcmp(page->lines[i], other->lines[j]) == 0;
        if (!found)
            print_error("%s: %s\n", whose, page->lines[i]);
    }
}

static void page_free(struct page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->lines[i]);
    free(page->lines);
}

static void compare(const struct mirror *mirror, int64_t now_ms)
{
    if (broker_digest(mirror->original, now_ms) == broker_digest(&mirror->broker, now_ms))
        return;
    struct page is = {0}, restored = {0};
    broker_describe(mirror->original, now_ms, write_line, &is);
    broker_describe(&mirror->broker, now_ms, write_line, &restored);
    print_others("is      ", &is, &restored);
    print_others("restored", &restored, &is);
    page_free(&is);
    page_free(&restored);
    fail_msg("what was told is not what is");
}

void mirror_close(struct mirror *mirror, int64_t now_ms)
{
    mirror->original->watcher = NULL;
    assert_null(mirror->copy);
    done(restore_finish(&mirror->broker, now_ms));
    compare(mirror, now_ms);
    check_broker(&mirror->broker);
    for (int i = 0; broker_turn(&mirror->broker, now_ms); i++)
        assert_true(i < 10000);
    check_broker(&mirror->broker);
    broker_close(&mirror->broker);
    free(mirror);
}
