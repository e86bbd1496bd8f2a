/*
 * answers: the frames around what handlers say.
 */
#include "server/doors/native/request.h"

#include <assert.h>
#include <stdio.h>

/* Type, msgid and the error of a response, at most. */
#define RESPONSE_BYTES (3 + ENCODER_NUMBER_BYTES)

/* Reserves room for the head and `bytes` more, and stores the head. NULL if there is none. */
static inline uint8_t *response_reserve(struct request *r, size_t bytes)
{
    uint8_t *at = buffer_reserve(r->out, RESPONSE_BYTES + bytes);

    assert(!r->answered);
    r->answered = true;
    if (at == NULL)
        return NULL;
    at = store_array(at, 4);
    at = store_uint(at, 1);
    return store_uint(at, r->msgid);
}

uint8_t *answer_reserve(struct request *r, size_t bytes)
{
    uint8_t *at = response_reserve(r, bytes);

    return at != NULL ? store_nil(at) : NULL;
}

void answer_begin(struct request *r)
{
    uint8_t *at = answer_reserve(r, 0);

    if (at != NULL)
        encoder_commit(r->out, at);
}

void answer_true(struct request *r)
{
    answer_begin(r);
    encode_bool(r->out, true);
}

void answer_number(struct request *r, uint64_t number)
{
    uint8_t *at = answer_reserve(r, ENCODER_NUMBER_BYTES);

    if (at != NULL)
        encoder_commit(r->out, store_uint(at, number));
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

/* The name that an error's detail has, or NULL if errors of that code have none. */
static const char *detail_name(enum error_code code)
{
    return code == ERR_BAD_REQUEST || code == ERR_QUEUE_NOT_FOUND ? "key" : code == ERR_LIMIT ? "which" : NULL;
}

void encode_error(struct buffer *out, enum error_code code, const char *text, const char *which, uint32_t extra)
{
    const char *name = which != NULL ? detail_name(code) : NULL;
    const uint32_t pairs = (name != NULL ? 1u : 0u) + (error_retry(code) ? 1u : 0u) + extra;
    char composed[256];

    if (text == NULL && name != NULL) {
        snprintf(composed, sizeof composed, code == ERR_QUEUE_NOT_FOUND ? "%s (%s)" : "%s: %s", error_text(code),
                 which);
        text = composed;
    }
    encode_array(out, pairs > 0 ? 3 : 2);
    encode_text(out, error_name(code));
    encode_text(out, text != NULL ? text : error_text(code));
    if (pairs > 0)
        encode_map(out, pairs);
    if (name != NULL) {
        encode_text(out, name);
        encode_text(out, which);
    }
    if (error_retry(code)) {
        encode_text(out, "retry");
        encode_bool(out, true);
    }
}

void answer_failure_begin(struct request *r)
{
    if (r->notification)
        r->door->counters.notification_errors++;
    else
        r->door->counters.error_answers++;
    r->failed = true;
    uint8_t *at = response_reserve(r, 0);
    if (at != NULL)
        encoder_commit(r->out, at);
}

void answer_error_begin(struct request *r, enum error_code code, const char *which, uint32_t extra)
{
    answer_failure_begin(r);
    encode_error(r->out, code, NULL, which, extra);
}

void answer_error_end(struct request *r)
{
    encode_nil(r->out);
}

void answer_error(struct request *r, enum error_code code, const char *which)
{
    answer_error_begin(r, code, which, 0);
    answer_error_end(r);
}

void answer_bad_request(struct request *r, const char *key, const char *text)
{
    answer_failure_begin(r);
    encode_error(r->out, ERR_BAD_REQUEST, text, key, 0);
    answer_error_end(r);
}
