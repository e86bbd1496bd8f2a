#include "tests/support/tee.h"

/* X(call, parameters, arguments): every call of a watcher. */
#define CALLS(X)                                                                                                      \
    X(queue_cb, (void *user, struct queue *q), (q))                                                                   \
    X(queue_gone_cb, (void *user, struct queue *q), (q))                                                              \
    X(topic_cb, (void *user, struct topic *t), (t))                                                                   \
    X(topic_gone_cb, (void *user, struct topic *t), (t))                                                              \
    X(subscribed_cb, (void *user, struct topic *t, struct subscription *s), (t, s))                                   \
    X(unsubscribed_cb, (void *user, struct topic *t, struct subscription *s), (t, s))                                 \
    X(stored_cb,                                                                                                      \
      (void *user, struct queue *q, struct message *m, enum message_state state, int64_t due_ms, bool copies_follow), \
      (q, m, state, due_ms, copies_follow))                                                                           \
    X(stored_run_cb, (void *user, struct queue *q, void *const *messages, uint32_t count), (q, messages, count))      \
    X(gone_cb, (void *user, struct queue *q, uint64_t id, uint32_t count), (q, id, count))                            \
    X(delivered_cb, (void *user, struct queue *q, uint64_t id, uint32_t count, int64_t now_ms),                       \
      (q, id, count, now_ms))                                                                                         \
    X(undelivered_cb, (void *user, struct queue *q, struct message *m), (q, m))                                       \
    X(ready_cb, (void *user, struct queue *q, struct message *m), (q, m))                                             \
    X(kicked_cb, (void *user, struct queue *q, struct message *m), (q, m))                                            \
    X(delayed_cb, (void *user, struct queue *q, struct message *m, int64_t until_ms), (q, m, until_ms))               \
    X(parked_cb, (void *user, struct queue *q, struct message *m, const struct slot *slot), (q, m, slot))             \
    X(purged_cb, (void *user, struct queue *q, unsigned states), (q, states))                                         \
    X(cleared_cb, (void *user, struct message *m), (m))                                                               \
    X(dedup_cb, (void *user, struct queue *q, struct dedup *entry), (q, entry))                                       \
    X(dedup_gone_cb, (void *user, struct dedup *entry), (entry))

#define REST(...) , __VA_ARGS__
#define X(call, parameters, arguments)                       \
    static void tee_##call parameters                        \
    {                                                        \
        const struct tee *tee = user;                        \
        tee->first->call(tee->first->user REST arguments);   \
        tee->second->call(tee->second->user REST arguments); \
    }
CALLS(X)
#undef X

static void tee_event_cb(void *user)
{
    const struct tee *tee = user;
    tee->first->event_cb(tee->first->user);
    tee->second->event_cb(tee->second->user);
}

void tee_init(struct tee *tee, struct watcher *first, struct watcher *second)
{
    *tee = (struct tee){.first = first, .second = second};
    tee->watcher = (struct watcher){
        .user = tee,
#define X(call, parameters, arguments) .call = tee_##call,
        CALLS(X)
#undef X
            .event_cb = tee_event_cb,
    };
}
