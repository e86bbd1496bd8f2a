#include "server/doors/native/messages.h"
#include "protocol/utf8.h"

#include "server/doors/native/headers.h"

#include <assert.h>
#include <string.h>

enum { HEADERS, GROUP, DEDUP_ID, PRIORITY, DELAY, TTL };

/* ---- one message ------------------------------------------------------------------------------------------------- */

static void refuse(struct messages *m, uint32_t index, enum error_code code, const char *which)
{
    struct native_scratch *scratch = m->request->scratch;

    if (!m->refusals) {
        memset(scratch->refused, 0, m->room * sizeof *scratch->refused);
        memset(scratch->which, 0, m->room * sizeof *scratch->which);
        m->refusals = true;
    }
    scratch->refused[index] = code;
    scratch->which[index] = which;
}

/* An argument's name from the wire, kept until the answer is written. */
static const char *keep_key(struct messages *m, const char *key)
{
    const size_t bytes = strlen(key) + 1;
    char *kept = arena_take(&m->request->scratch->arena, bytes);

    return kept != NULL ? memcpy(kept, key, bytes) : NULL;
}

static inline bool is_group(struct view text)
{
    return text.bytes > 0 && text.bytes <= LIMIT_GROUP_BYTES && utf8_is_text(text.data, text.bytes);
}

/* The option for which a message is refused whatever its queue, or NULL. */
static const char *wrong_option(const struct argument *options)
{
    const struct view *dedup_id = &options[DEDUP_ID].text;

    if (options[GROUP].given && !is_group(options[GROUP].text))
        return "group";
    if (options[DEDUP_ID].given && (dedup_id->bytes == 0 || dedup_id->bytes > LIMIT_DEDUP_BYTES))
        return "dedup_id";
    return options[PRIORITY].given && options[PRIORITY].number >= LIMIT_PRIORITIES ? "priority" : NULL;
}

static void read_headers(struct messages *m, uint32_t index, uint32_t map)
{
    struct native_scratch *scratch = m->request->scratch;
    const enum error_code code = headers_read(m->request->decoder, map, &scratch->arena,
                                              &scratch->publications[index].headers);

    if (code == ERR_BAD_REQUEST)
        refuse(m, index, code, "headers");
    else if (code != ERR_NONE)
        m->code = code;
}

/* Reads a group and nothing else, which is what messages for a fifo queue have. False: it is another map. */
static inline bool read_group(const struct decoder *d, uint32_t map, struct view *out)
{
    struct view key, group;

    if (d->nodes[map].count != 1 || !node_text(d, map + 1, &key) || key.bytes != 5 ||
        memcmp(key.data, "group", 5) != 0 || !node_text(d, map + 2, &group) || !is_group(group))
        return false;
    *out = group;
    return true;
}

/* The options of a message that is more than a body. */
static void read_options(struct messages *m, uint32_t index, uint32_t map)
{
    const struct native_scratch *scratch = m->request->scratch;
    struct publication *item = &scratch->publications[index];
    struct argument options[ARGUMENTS_MAX];
    struct argument_error error;

    if (read_group(m->request->decoder, map, &item->group))
        return;
    if (!arguments_read_options(&scratch->message, m->request->decoder, map, options, &error)) {
        refuse(m, index, ERR_BAD_REQUEST, keep_key(m, error.key));
        return;
    }
    const char *wrong = wrong_option(options);
    if (wrong != NULL) {
        refuse(m, index, ERR_BAD_REQUEST, wrong);
        return;
    }
    if (options[HEADERS].given)
        read_headers(m, index, options[HEADERS].node);
    if (options[GROUP].given)
        item->group = options[GROUP].text;
    if (options[DEDUP_ID].given)
        item->dedup_id = options[DEDUP_ID].text;
    if (options[PRIORITY].given)
        item->priority = (uint8_t)options[PRIORITY].number;
    if (options[DELAY].given)
        item->delay_ms = (int64_t)options[DELAY].number;
    if (options[TTL].given)
        item->ttl_ms = (int64_t)options[TTL].number;
}

static void read_body(struct messages *m, uint32_t index, const struct node *n)
{
    struct decoder *d = m->request->decoder;
    struct publication *item = &m->request->scratch->publications[index];

    *item = (struct publication){.delay_ms = -1, .ttl_ms = -1};
    if (n->type != NODE_STR && n->type != NODE_BIN) {
        refuse(m, index, ERR_BAD_REQUEST, NULL);
    } else if (n->flags & NODE_SKIPPED) {
        const enum error_code code = (enum error_code)n->value.uint;
        if (code == ERR_TOO_LARGE)
            refuse(m, index, code, NULL);
        else
            m->code = code;
    } else {
        item->body = (struct view){decoder_bytes(d, n), n->count};
        if (n->flags & NODE_STREAMED) {
            item->shared = decoder_take(d, n);
            m->shared = true;
            m->request->door->streaming_bytes -= item->shared->bytes;
        }
    }
}

static void read_message(struct messages *m, uint32_t index, uint32_t node)
{
    const struct node *n = &m->request->decoder->nodes[node];

    if (n->type != NODE_ARRAY) {
        read_body(m, index, n);
        return;
    }
    const bool shaped = n->count == 2 && (n[1].type == NODE_STR || n[1].type == NODE_BIN) && n[2].type == NODE_MAP;
    read_body(m, index, shaped ? &n[1] : n);
    if (shaped)
        read_options(m, index, node + 2); /* of a body that was skipped, too: what is wrong with them comes first */
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* Messages that are no more than bodies of the request's bytes. False: there is another one among them. */
static bool read_bodies(const struct decoder *d, uint32_t list, struct view *bodies)
{
    const struct node *n = &d->nodes[list + 1];

    for (const struct view *end = bodies + d->nodes[list].count; bodies < end; bodies++, n++) {
        if ((n->type != NODE_BIN && n->type != NODE_STR) || n->flags != 0)
            return false;
        *bodies = (struct view){decoder_bytes(d, n), n->count};
    }
    return true;
}

/* Messages of every kind. */
static __attribute__((noinline)) void read_items(struct messages *m, uint32_t list, struct publications *out)
{
    const struct native_scratch *scratch = m->request->scratch;
    const struct decoder *d = m->request->decoder;
    const uint32_t first = m->item_count, count = d->nodes[list].count;
    uint32_t node = list + 1;

    for (uint32_t i = first; i < first + count; i++) {
        read_message(m, i, node);
        node = decoder_skip(d, node);
    }
    m->item_count += count;
    *out = (struct publications){.items = &scratch->publications[first], .count = count};
    if (m->refusals) {
        out->refused = &scratch->refused[first];
        out->which = &scratch->which[first];
    }
}

void messages_read(struct messages *m, uint32_t list, struct publications *out)
{
    const struct decoder *d = m->request->decoder;
    const uint32_t count = d->nodes[list].count;
    struct view *bodies = &m->request->scratch->bodies[m->body_count];

    assert(count <= m->room - m->item_count - m->body_count);
    if (read_bodies(d, list, bodies)) {
        m->body_count += count;
        *out = (struct publications){.bodies = bodies, .count = count};
    } else {
        read_items(m, list, out);
    }
}

void messages_release(struct messages *m)
{
    const struct publication *items = m->request->scratch->publications;

    for (uint32_t i = 0; m->shared && i < m->item_count; i++) {
        if (items[i].shared != NULL)
            body_unref(items[i].shared);
    }
    arena_reset(&m->request->scratch->arena);
}

/* ---- what became of them ----------------------------------------------------------------------------------------- */

/* At most: heads and numbers of what has been stored, and of the exceptions. */
#define STORED_BYTES (1 + 2 * ENCODER_NUMBER_BYTES + ENCODER_HEADER_BYTES)

static inline uint8_t *store_stored(uint8_t *at, uint64_t first_id, uint32_t stored, uint32_t outcome_count)
{
    at = store_array(at, outcome_count > 0 ? 3 : 2);
    at = stored > 0 ? store_uint(at, first_id) : store_nil(at);
    at = store_uint(at, stored);
    return outcome_count > 0 ? store_array(at, outcome_count) : at;
}

static void encode_outcomes(struct buffer *out, const struct outcome *outcomes, uint32_t outcome_count)
{
    for (uint32_t i = 0; i < outcome_count; i++) {
        encode_array(out, 2);
        encode_uint(out, outcomes[i].index);
        if (outcomes[i].code == ERR_NONE)
            encode_uint(out, outcomes[i].id);
        else
            encode_error(out, outcomes[i].code, NULL, outcomes[i].which, 0);
    }
}

void answer_stored(struct request *r, uint64_t first_id, uint32_t stored, const struct outcome *outcomes,
                   uint32_t outcome_count)
{
    uint8_t *at = answer_reserve(r, STORED_BYTES);

    if (at != NULL)
        encoder_commit(r->out, store_stored(at, first_id, stored, outcome_count));
    encode_outcomes(r->out, outcomes, outcome_count);
}

void encode_stored(struct buffer *out, uint64_t first_id, uint32_t stored, const struct outcome *outcomes,
                   uint32_t outcome_count)
{
    uint8_t *at = buffer_reserve(out, STORED_BYTES);

    if (at != NULL)
        encoder_commit(out, store_stored(at, first_id, stored, outcome_count));
    encode_outcomes(out, outcomes, outcome_count);
}

void encode_unstored(struct buffer *out, enum error_code code, const char *which, const struct outcome *outcomes,
                     uint32_t outcome_count)
{
    encode_error(out, code, NULL, which, outcome_count > 0 ? 1 : 0);
    if (outcome_count > 0) {
        encode_text(out, "index");
        encode_uint(out, outcomes[0].index);
    }
}
