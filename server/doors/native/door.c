/*
 * door: what the sessions share.
 */
#include "server/doors/native/session.h"

#include <assert.h>
#include <stdlib.h>

/* Elements that an array of the scratch begins with. */
#define SCRATCH_ELEMENTS 1024

void native_release(void *owner)
{
    body_unref(owner);
}

bool native_init(struct native *door, struct broker *broker, struct options *options, const struct native_host *host)
{
    struct native_scratch *scratch = calloc(1, sizeof *scratch);

    *door = (struct native){.broker = broker,
                            .options = options,
                            .host = *host,
                            .next_session_id = 1,
                            .set_lines = {.lines_per_second = 20}};
    if (scratch == NULL)
        return false;
    for (unsigned id = 0; id < COMMAND_COUNT; id++)
        signature_parse(&scratch->commands[id], command_row((enum command_id)id)->args);
    signature_parse(&scratch->message, MESSAGE_OPTIONS);
    signature_parse(&scratch->backoff, BACKOFF_PARTS);
    buffer_init(&scratch->sink, native_release);
    door->scratch = scratch;
    return true;
}

void native_close(struct native *door)
{
    struct native_scratch *scratch = door->scratch;

    assert(door->sessions == NULL);
    if (scratch == NULL)
        return;
    while (scratch->spare_decoder_count > 0)
        decoder_free(scratch->spare_decoders[--scratch->spare_decoder_count]);
    waiting_close(&scratch->waiting);
    owed_store_close(&scratch->owed);
    buffer_close(&scratch->sink);
    arena_close(&scratch->arena);
    free(scratch->publications);
    free(scratch->refused);
    free(scratch->which);
    free(scratch->bodies);
    free(scratch->numbers);
    free(scratch->parts);
    free(scratch);
    door->scratch = NULL;
}

void native_keep(struct native *door, const struct native_log *log)
{
    door->log = log;
}

void native_safe(struct native *door, uint64_t safe, bool failed,
                 void (*touched_cb)(void *user, struct session *session), void *user)
{
    struct waiting *waiting = &door->scratch->waiting;
    struct session *session;

    if (waiting->count == 0)
        return;
    while (waiting_release(waiting, safe, failed, &session)) {
        if (session != NULL)
            touched_cb(user, session);
    }
    waiting_trim(waiting);
}

uint64_t native_waiting(const struct native *door)
{
    return door->scratch->waiting.count;
}

size_t native_memory(const struct native *door)
{
    return waiting_memory(&door->scratch->waiting);
}

/* ---- decoders ---------------------------------------------------------------------------------------------------- */

struct decoder *native_lend_decoder(struct native *door, struct session *session)
{
    static const struct decoder_hooks hooks = {body_stream_begin, body_stream_release, NULL};
    struct native_scratch *scratch = door->scratch;
    struct decoder *d = session->decoder;

    if (d == NULL && scratch->spare_decoder_count > 0)
        d = scratch->spare_decoders[--scratch->spare_decoder_count];
    else if (d == NULL)
        d = decoder_new(door->options->max_request_bytes, &hooks);
    if (d != NULL && session->decoder == NULL)
        decoder_reuse(d, door->options->max_request_bytes, session);
    session->decoder = NULL;
    return d;
}

void native_return_decoder(struct native *door, struct session *session, struct decoder *d)
{
    struct native_scratch *scratch = door->scratch;

    if (d->refusal == DECODER_REFUSAL_NONE && !decoder_idle(d) && !session->ending)
        session->decoder = d;
    else if (d->refusal == DECODER_REFUSAL_NONE && decoder_idle(d) && scratch->spare_decoder_count < SPARE_DECODERS)
        scratch->spare_decoders[scratch->spare_decoder_count++] = d;
    else
        decoder_free(d);
}

/* ---- arrays ------------------------------------------------------------------------------------------------------ */

/* Room for what comes, so that a batch of the usual size needs one allocation in the life of a server. */
static uint32_t grown(uint32_t count)
{
    return count > SCRATCH_ELEMENTS ? count : SCRATCH_ELEMENTS;
}

bool native_numbers(struct native_scratch *scratch, uint32_t count)
{
    if (count <= scratch->number_cap)
        return true;
    uint64_t *numbers = realloc(scratch->numbers, grown(count) * sizeof *numbers);
    if (numbers == NULL)
        return false;
    scratch->numbers = numbers;
    scratch->number_cap = grown(count);
    return true;
}

bool native_parts(struct native_scratch *scratch, uint32_t count)
{
    if (scratch->parts != NULL && count <= scratch->part_cap)
        return true;
    const uint32_t cap = count > 16 ? count : 16;
    struct commit_part *parts = realloc(scratch->parts, cap * sizeof *parts);
    if (parts == NULL)
        return false;
    scratch->parts = parts;
    scratch->part_cap = cap;
    return true;
}

bool native_publications_grow(struct native_scratch *scratch, uint32_t count)
{
    const uint32_t cap = grown(count);
    struct publication *publications = realloc(scratch->publications, cap * sizeof *publications);
    if (publications != NULL)
        scratch->publications = publications;
    enum error_code *refused = realloc(scratch->refused, cap * sizeof *refused);
    if (refused != NULL)
        scratch->refused = refused;
    const char **which = realloc(scratch->which, cap * sizeof *which);
    if (which != NULL)
        scratch->which = which;
    struct view *bodies = realloc(scratch->bodies, cap * sizeof *bodies);
    if (bodies != NULL)
        scratch->bodies = bodies;
    if (publications == NULL || refused == NULL || which == NULL || bodies == NULL)
        return false;
    scratch->publication_cap = cap;
    return true;
}
