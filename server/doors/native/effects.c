/*
 * effects: what the broker has decided becomes bytes for those whom it concerns.
 */
#include "protocol/encoder.h"
#include "server/doors/native/deliveries.h"
#include "server/doors/native/messages.h"

#include <assert.h>

static void notify(struct buffer *out, const char *method)
{
    encode_array(out, 3);
    encode_uint(out, 2);
    encode_text(out, method);
    encode_array(out, 2);
}

/* What is dealt to a session that has said its last words is never written: it goes back when the session is closed. */
static void owe_only(struct session *session, const struct effect *effect)
{
    const struct broker *b = session->door->broker;

    for (uint32_t left = effect->count, i = effect->first; left > 0; left--) {
        if (!owed_push(&session->owed, &session->door->scratch->owed, OWED_NEVER, b->deliveries[i].receipt, false))
            session->out->failed = true;
        i = b->deliveries[i].next;
    }
}

static void response(struct buffer *out, uint64_t msgid)
{
    encode_array(out, 4);
    encode_uint(out, 1);
    encode_uint(out, msgid);
}

static void encode_published(struct buffer *out, const struct effect *effect)
{
    const struct held_result *held = effect->held;

    response(out, effect->id);
    encode_nil(out);
    if (held->to_topic)
        encode_uint(out, held->copies);
    else
        encode_stored(out, held->first_id, held->stored, held->outcomes, held->outcome_count);
}

/* A publish that had to wait is over, with what it would have been answered at once. */
static void tell_published(struct session *session, const struct effect *effect)
{
    const struct held_result *held = effect->held;
    const struct native_log *log = session->door->log;
    struct waiting *waiting = &session->door->scratch->waiting;
    struct native_counters *counters = &session->door->counters;

    if (effect->id == NO_ANSWER) {
        counters->notification_errors += held->code != ERR_NONE;
    } else if (held->code != ERR_NONE) {
        response(session->out, effect->id);
        encode_unstored(session->out, held->code, held->which, held->outcomes, held->outcome_count);
        encode_nil(session->out);
        counters->error_answers++;
    } else if (log == NULL) {
        encode_published(session->out, effect);
    } else {
        encode_published(waiting_begin(waiting), effect);
        waiting_keep(waiting, session, (uint32_t)effect->id, log->place_cb(log->user));
    }
}

static void tell(struct session *session, const struct effect *effect)
{
    struct buffer *out = session->out;

    switch (effect->kind) {
    case EFFECT_DELIVER:
        notify(out, "deliver");
        encode_uint(out, effect->id);
        session_deliver(session, effect->first, effect->count, effect->auto_ack);
        return;
    case EFFECT_ANSWER:
        response(out, effect->id);
        encode_nil(out);
        session_deliver(session, effect->first, effect->count, false);
        return;
    case EFFECT_REFUSE:
        response(out, effect->id);
        encode_error(out, effect->code, NULL, NULL, 0);
        encode_nil(out);
        session->door->counters.error_answers++;
        return;
    case EFFECT_CANCELLED:
        notify(out, "cancelled");
        encode_uint(out, effect->id);
        encode_text(out, effect->reason);
        return;
    case EFFECT_PUBLISHED:
        tell_published(session, effect);
        return;
    }
    assert(false); /* the switch knows the whole list */
}

void native_effects(struct native *door, int64_t now_ms, void (*touched_cb)(void *user, struct session *session),
                    void *user)
{
    const struct broker *b = door->broker;

    (void)now_ms;
    for (uint32_t i = 0; i < b->effect_count; i++) {
        const struct effect *effect = &b->effects[i];
        if (effect->peer == NULL)
            continue;
        struct session *session = effect->peer->user;
        if (session_ending(session))
            owe_only(session, effect);
        else
            tell(session, effect);
        touched_cb(user, session);
    }
}
