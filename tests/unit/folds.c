#include "tests/unit/folds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void on_message(void *user, struct queue *q, struct message *m, bool above)
{
    struct folds *f = user;
    (void)q;
    assert_int_equal(m->mark, 0);
    m->mark = 1;
    f->messages++;
    f->aboves += above;
}

static void on_message_gone(void *user, struct queue *q, struct message *m)
{
    struct folds *f = user;
    (void)q;
    assert_int_equal(m->mark, 1);
    m->mark = 0;
    f->messages--;
}

static void add(int64_t *count, uint16_t *mark)
{
    *count += *mark == 0;
    *mark = 1;
}

static void sub(int64_t *count, uint16_t *mark)
{
    *count -= *mark;
    *mark = 0;
}

static void on_queue(void *user, struct queue *x)
{
    struct folds *f = user;
    add(&f->queues, &x->mark);
}

static void on_queue_gone(void *user, struct queue *x)
{
    struct folds *f = user;
    sub(&f->queues, &x->mark);
}

static void on_topic(void *user, struct topic *x)
{
    struct folds *f = user;
    add(&f->topics, &x->mark);
}

static void on_topic_gone(void *user, struct topic *x)
{
    struct folds *f = user;
    sub(&f->topics, &x->mark);
}

static void on_subscription(void *user, struct topic *t, struct subscription *x)
{
    struct folds *f = user;
    (void)t;
    add(&f->subscriptions, &x->mark);
}

static void on_subscription_gone(void *user, struct topic *t, struct subscription *x)
{
    struct folds *f = user;
    (void)t;
    sub(&f->subscriptions, &x->mark);
}

static void on_dedup(void *user, struct queue *q, struct dedup *x)
{
    struct folds *f = user;
    (void)q;
    add(&f->dedups, &x->mark);
}

static void on_dedup_gone(void *user, struct dedup *x)
{
    struct folds *f = user;
    sub(&f->dedups, &x->mark);
}

void folds_again(struct folds *f)
{
    bare_close(&f->to);
    bare_open(&f->to, 1);
    f->messages = f->queues = f->topics = f->subscriptions = f->dedups = 0;
}

void folds_open(struct folds *f)
{
    memset(f, 0, sizeof *f);
    records_open(&f->r);
    f->r.w.wall_offset_ms = FOLDS_OFFSET;
    bare_open(&f->to, 1);
    f->fold = (struct fold){
        .broker = &f->to.b,
        .wall_offset_ms = FOLDS_OFFSET,
        .user = f,
        .message_cb = on_message,
        .message_gone_cb = on_message_gone,
        .queue_cb = on_queue,
        .queue_gone_cb = on_queue_gone,
        .topic_cb = on_topic,
        .topic_gone_cb = on_topic_gone,
        .subscription_cb = on_subscription,
        .subscription_gone_cb = on_subscription_gone,
        .dedup_cb = on_dedup,
        .dedup_gone_cb = on_dedup_gone,
    };
}

void folds_close(struct folds *f)
{
    records_close(&f->r);
    bare_close(&f->to);
}

void folds_check(const struct folds *f)
{
    int64_t held = 0, ids = 0, subscribed = 0;
    for (uint32_t i = 0; i < f->to.b.queue_count; i++) {
        held += (int64_t)queue_total(f->to.b.queues[i]);
        ids += (int64_t)queue_dedup_count(f->to.b.queues[i]);
    }
    for (uint32_t i = 0; i < f->to.b.topic_count; i++)
        subscribed += f->to.b.topics[i]->subscription_count;
    assert_int_equal(f->messages, held);
    assert_int_equal(f->dedups, ids);
    assert_int_equal(f->subscriptions, subscribed);
}

enum fold_result folds_written(struct folds *f, size_t *at)
{
    return fold_batch(&f->fold, records_take(&f->r), at);
}

void folds_all(struct folds *f)
{
    size_t at;
    assert_int_equal(folds_written(f, &at), FOLD_DONE);
    folds_check(f);
}

void folds_put_queue(struct folds *f)
{
    record_queue(&f->r.w, &f->r.queue);
}

void folds_put(struct folds *f, uint64_t id, enum message_state state, int64_t at_ms)
{
    struct message *m = records_message(&f->r, id, "body", 4);
    const struct slot slot = {.reason = PARK_REQUESTED};
    record_message(&f->r.w, &f->r.queue, m, state, at_ms, &slot, false, false);
    records_free(&f->r, m);
}

void folds_put_rest(struct folds *f)
{
    const struct topic t = {.name_bytes = 1, .name = "t"};
    struct subscription *s = malloc(sizeof *s + 1);
    struct dedup *entry = calloc(1, sizeof *entry + 3);
    assert_true(s && entry);
    *s = (struct subscription){.queue = &f->r.queue, .pattern_bytes = 1};
    s->text[0] = '#';
    memcpy(entry->key, "\0\1a", 3);
    entry->key_bytes = 3;
    entry->first_id = 1;
    entry->timer.deadline_ms = 9000;
    record_topic(&f->r.w, &t);
    record_subscription(&f->r.w, &t, s);
    record_dedup(&f->r.w, &f->r.queue, entry);
    free(s);
    free(entry);
}

struct queue *folds_find(struct folds *f, uint64_t number)
{
    return restore_queue_find(&f->to.b, number);
}
