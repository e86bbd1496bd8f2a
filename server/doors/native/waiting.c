#include "server/doors/native/waiting.h"

#include "protocol/encoder.h"
#include "server/doors/native/request.h"

#include <stdlib.h>

#define SMALLEST_RING 64

/* An empty line keeps no more than this. */
#define KEPT_BYTES   ((size_t)256 * 1024)
#define KEPT_ANSWERS ((size_t)8 * 1024)

/* Takes the first answer off, without its bytes. */
static struct waiting_answer take(struct waiting *w)
{
    const struct waiting_answer answer = w->answers[w->first];

    w->first = (w->first + 1) & (w->cap - 1);
    w->count--;
    answer.session->waiting_bytes -= answer.bytes;
    answer.session->waiting_count--;
    return answer;
}

void waiting_close(struct waiting *w)
{
    while (w->count > 0)
        session_forget(take(w).session);
    free(w->answers);
    buffer_close(&w->bytes);
    *w = (struct waiting){.count = 0};
}

struct buffer *waiting_begin(struct waiting *w)
{
    w->begun_at = w->bytes.bytes;
    return &w->bytes;
}

/* Takes the answer that has just been put together off again. */
static void undo(struct waiting *w)
{
    w->bytes.bytes = w->begun_at;
    w->bytes.failed = false;
}

static bool make_room(struct waiting *w)
{
    if (w->count < w->cap)
        return true;
    const size_t cap = w->cap > 0 ? w->cap * 2 : SMALLEST_RING;
    struct waiting_answer *answers = malloc(cap * sizeof *answers);
    if (answers == NULL)
        return false;
    for (size_t i = 0; i < w->count; i++)
        answers[i] = w->answers[(w->first + i) & (w->cap - 1)];
    free(w->answers);
    w->answers = answers;
    w->first = 0;
    w->cap = cap;
    return true;
}

void waiting_keep(struct waiting *w, struct session *session, uint32_t msgid, uint64_t place)
{
    if (w->bytes.failed || !make_room(w)) {
        undo(w);
        session->out->failed = true;
        return;
    }
    const uint32_t bytes = (uint32_t)(w->bytes.bytes - w->begun_at);
    w->answers[(w->first + w->count++) & (w->cap - 1)] = (struct waiting_answer){session, place, msgid, bytes};
    session->waiting_bytes += bytes;
    session->waiting_count++;
}

void waiting_pass(struct waiting *w, struct session *session)
{
    if (w->bytes.failed)
        session->out->failed = true;
    else
        buffer_append(session->out, w->bytes.data + w->begun_at, w->bytes.bytes - w->begun_at);
    undo(w);
}

/* The call has had its effect, but nobody knows whether that will be there after a restart. */
static void encode_failed(struct buffer *out, uint32_t msgid)
{
    encode_array(out, 4);
    encode_uint(out, 1);
    encode_uint(out, msgid);
    encode_error(out, ERR_LOG_FAILED, NULL, NULL, 1);
    encode_text(out, "applied");
    encode_bool(out, true);
    encode_nil(out);
}

bool waiting_release(struct waiting *w, uint64_t safe, bool failed, struct session **session)
{
    *session = NULL;
    if (w->count == 0 || (w->answers[w->first].place > safe && !failed))
        return false;
    const struct waiting_answer answer = take(w);
    struct session *to = answer.session;
    if (to->out == NULL) {
        session_forget(to);
    } else if (!session_ending(to)) {
        *session = to;
        if (answer.place <= safe) {
            buffer_append(to->out, w->bytes.data + w->bytes.sent_bytes, answer.bytes);
        } else {
            encode_failed(to->out, answer.msgid);
            to->door->counters.error_answers++;
        }
    }
    buffer_consume(&w->bytes, answer.bytes);
    return true;
}

void waiting_trim(struct waiting *w)
{
    if (w->count > 0)
        return;
    if (w->bytes.cap > KEPT_BYTES)
        buffer_close(&w->bytes);
    if (w->cap > KEPT_ANSWERS) {
        free(w->answers);
        w->answers = NULL;
        w->first = w->cap = 0;
    }
}

size_t waiting_memory(const struct waiting *w)
{
    return w->bytes.cap + w->cap * sizeof *w->answers;
}
