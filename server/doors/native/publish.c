/*
 * publish: messages in. The bodies of a batch go to the broker as views of the request's bytes, in one array that all
 * requests share; a body that was streamed lies where it will stay, and only a reference to it is handed over.
 *
 * What is wrong with one message is noted at its index and goes to the broker with the others, so that the answer has
 * one order of entries. The arrays for that are filled only from the first wrong message on.
 */
#include "server/doors/native/headers.h"
#include "server/doors/native/request.h"
#include "server/doors/native/utf8.h"

#include <assert.h>
#include <string.h>

enum { QUEUE, MESSAGES, ATOMIC };
enum { HEADERS, GROUP, DELAY, TTL };

/* Bodies that are arriving may take this part of max_memory together. */
#define STREAMING_SHARE 8

struct batch {
    struct request *request;
    struct publication *items;
    uint32_t count;
    bool refusals;        /* scratch->refused and ->which say something */
    bool shared;          /* some item has taken a streamed body */
    enum error_code code; /* the whole call is refused */
};

/* ---- streaming --------------------------------------------------------------------------------------------------- */

static bool says_publish(const struct decoder *d, uint32_t method)
{
    struct view name;

    return node_text(d, method, &name) && command_find(name.data, name.bytes) == COMMAND_publish;
}

/* The node of the queue's name if what comes stands behind it in a publish, or 0. */
static uint32_t publish_queue_node(const struct decoder *d)
{
    const uint32_t method = d->node_count > 0 && d->nodes[0].count == 3 ? 2 : 3;
    const uint32_t params = method + 1, queue = method + 2, messages = method + 3;

    if (d->node_count <= messages || d->nodes[0].type != NODE_ARRAY || !says_publish(d, method))
        return 0;
    return d->nodes[params].type == NODE_ARRAY && d->nodes[messages].type == NODE_ARRAY ? queue : 0;
}

/*
 * Whatever is large and stands in the list of messages is taken for a body; if it is something else it is dropped
 * when the request has been answered. The reasons to skip one are those for which the publish would be refused.
 */
enum error_code publish_stream_begin(void *user, const struct decoder *d, uint32_t bytes, struct stream *out)
{
    struct session *session = user;
    struct broker *b = session->door->broker;
    const uint32_t queue = publish_queue_node(d);
    struct view name;

    if (queue == 0 || !node_text(d, queue, &name))
        return ERR_TOO_LARGE;
    const struct queue *q = session_queue(session, name);
    if (q == NULL)
        return ERR_QUEUE_NOT_FOUND;
    const uint64_t own = (uint64_t)q->attributes.max_message_bytes;
    if (bytes > (own != 0 ? own : b->limits.max_message_bytes))
        return ERR_TOO_LARGE;
    /* What has been announced and not sent must not keep everybody else out. */
    if (session->door->streaming_bytes + bytes > b->limits.max_memory_bytes / STREAMING_SHARE)
        return ERR_MEMORY_LIMIT;
    if (broker_memory(b) + sizeof(struct body) + bytes > b->limits.max_memory_bytes)
        return ERR_MEMORY_LIMIT;
    struct body *body = body_new(&b->pool, bytes);
    if (body == NULL)
        return ERR_MEMORY_LIMIT;
    session->door->streaming_bytes += bytes;
    out->owner = body;
    out->data = body->data;
    return ERR_NONE;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void refuse(struct batch *batch, uint32_t index, enum error_code code, const char *which)
{
    struct native_scratch *scratch = batch->request->scratch;

    if (!batch->refusals) {
        memset(scratch->refused, 0, batch->count * sizeof *scratch->refused);
        memset(scratch->which, 0, batch->count * sizeof *scratch->which);
        batch->refusals = true;
    }
    scratch->refused[index] = code;
    scratch->which[index] = which;
}

/* An argument's name from the wire, kept until the answer is written. */
static const char *keep_key(struct batch *batch, const char *key)
{
    const size_t bytes = strlen(key) + 1;
    char *kept = arena_take(&batch->request->scratch->arena, bytes);

    return kept != NULL ? memcpy(kept, key, bytes) : NULL;
}

static bool group_valid(struct view group)
{
    return group.bytes > 0 && group.bytes <= LIMIT_GROUP_BYTES && utf8_valid(group);
}

/* The options of a message that is more than a body. */
static void read_options(struct batch *batch, uint32_t index, uint32_t map)
{
    struct request *r = batch->request;
    struct publication *item = &batch->items[index];
    struct argument options[ARGUMENTS_MAX];
    struct argument_error error;

    if (!arguments_read_options(&r->scratch->message, r->decoder, map, options, &error)) {
        refuse(batch, index, ERR_BAD_REQUEST, keep_key(batch, error.key));
        return;
    }
    if (options[GROUP].given && !group_valid(options[GROUP].text)) {
        refuse(batch, index, ERR_BAD_REQUEST, "group");
        return;
    }
    if (options[HEADERS].given) {
        const enum error_code code = headers_read(r->decoder, options[HEADERS].node, &r->scratch->arena,
                                                  &item->headers);
        if (code == ERR_BAD_REQUEST)
            refuse(batch, index, code, "headers");
        else if (code != ERR_NONE)
            batch->code = code;
    }
    if (options[GROUP].given)
        item->group = options[GROUP].text;
    if (options[DELAY].given)
        item->delay_ms = (int64_t)options[DELAY].number;
    if (options[TTL].given)
        item->ttl_ms = (int64_t)options[TTL].number;
}

static void read_body(struct batch *batch, uint32_t index, const struct node *n)
{
    struct decoder *d = batch->request->decoder;
    struct publication *item = &batch->items[index];

    *item = (struct publication){.delay_ms = -1, .ttl_ms = -1};
    if (n->type != NODE_STR && n->type != NODE_BIN) {
        refuse(batch, index, ERR_BAD_REQUEST, NULL);
    } else if (n->flags & NODE_SKIPPED) {
        const enum error_code code = (enum error_code)n->value.uint;
        if (code == ERR_TOO_LARGE)
            refuse(batch, index, code, NULL);
        else
            batch->code = code;
    } else {
        item->body = (struct view){decoder_bytes(d, n), n->count};
        if (n->flags & NODE_STREAMED) {
            item->shared = decoder_take(d, n);
            batch->request->door->streaming_bytes -= item->shared->bytes;
            batch->shared = true;
        }
    }
}

static void read_message(struct batch *batch, uint32_t index, uint32_t node)
{
    const struct decoder *d = batch->request->decoder;
    const struct node *n = &d->nodes[node];

    if (n->type != NODE_ARRAY) {
        read_body(batch, index, n);
        return;
    }
    const bool shaped = n->count == 2 && (n[1].type == NODE_STR || n[1].type == NODE_BIN) && n[2].type == NODE_MAP;
    read_body(batch, index, shaped ? &n[1] : n);
    if (shaped && !(n[1].flags & NODE_SKIPPED))
        read_options(batch, index, node + 2);
}

static void read_batch(struct batch *batch, uint32_t list)
{
    const struct decoder *d = batch->request->decoder;
    uint32_t node = list + 1;

    for (uint32_t i = 0; i < batch->count; i++) {
        const struct node *n = &d->nodes[node];
        if ((n->type == NODE_BIN || n->type == NODE_STR) && n->flags == 0) {
            batch->items[i] = (struct publication){
                .body = {decoder_bytes(d, n), n->count}, .delay_ms = -1, .ttl_ms = -1};
            node++;
        } else {
            read_message(batch, i, node);
            node = decoder_skip(d, node);
        }
    }
}

static void release_batch(struct batch *batch)
{
    for (uint32_t i = 0; batch->shared && i < batch->count; i++) {
        if (batch->items[i].shared != NULL)
            body_unref(batch->items[i].shared);
    }
    arena_reset(&batch->request->scratch->arena);
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

static void answer_published(struct request *r, const struct publish_result *result)
{
    const struct broker *b = r->broker;

    answer_begin(r);
    encode_array(r->out, b->outcome_count > 0 ? 3 : 2);
    if (result->stored > 0)
        encode_uint(r->out, result->first_id);
    else
        encode_nil(r->out);
    encode_uint(r->out, result->stored);
    if (b->outcome_count > 0)
        encode_array(r->out, b->outcome_count);
    for (uint32_t i = 0; i < b->outcome_count; i++) {
        encode_array(r->out, 2);
        encode_uint(r->out, b->outcomes[i].index);
        encode_error(r->out, b->outcomes[i].code, NULL, b->outcomes[i].which, 0);
    }
}

/* An atomic publish names the message for which nothing was stored. */
static void answer_refused(struct request *r, enum error_code code)
{
    const struct broker *b = r->broker;

    if (b->outcome_count == 0) {
        answer_error(r, code, b->which);
        return;
    }
    answer_error_begin(r, code, b->which, 1);
    encode_text(r->out, "index");
    encode_uint(r->out, b->outcomes[0].index);
    answer_error_end(r);
}

void handle_publish(struct request *r)
{
    struct queue *q = request_queue(r);
    const uint32_t list = r->arguments[MESSAGES].node;
    struct native_scratch *scratch = r->scratch;
    struct publish_result result;

    if (q == NULL || !request_batch(r, "messages", r->decoder->nodes[list].count))
        return;
    struct batch batch = {.request = r, .count = r->decoder->nodes[list].count};
    if (!native_publications(scratch, batch.count)) {
        answer_error(r, ERR_MEMORY_LIMIT, NULL);
        return;
    }
    batch.items = scratch->publications;
    read_batch(&batch, list);
    if (batch.code == ERR_NONE) {
        batch.code = broker_publish(r->broker, r->now_ms, q, batch.items, batch.count, request_number(r, ATOMIC, false),
                                    batch.refusals ? scratch->refused : NULL, batch.refusals ? scratch->which : NULL,
                                    &result);
        if (batch.code == ERR_NONE)
            answer_published(r, &result);
        else
            answer_refused(r, batch.code);
    } else {
        answer_error(r, broker_refuse_batch(r->broker, q, batch.code, batch.count), NULL);
    }
    release_batch(&batch);
}
