/*
 * How the decoder works
 *
 * The happy path: a value begins and ends within the caller's input. The cursor (cursor.h) writes its nodes to one
 * array in one go. It is decoded where it lies; nothing is copied.
 *
 * Whatever else may happen is the parser's: msgpack-c's parsing template, instantiated below, a state machine that can
 * stop behind any item and go on later. It takes over where the cursor stopped, before the first item that is cut, an
 * ext, not allowed or one node too many. Its callbacks (recorder.h) append nodes to the same array; it keeps its open
 * containers on a stack of LIMIT_DEPTH and refuses one more. It calls back for a str, bin or ext only once all of its
 * bytes lie behind each other. The cursor refuses nothing but for want of memory, so no limit is judged twice.
 *
 * If the input ends first, the value's bytes so far are copied to `held`, and parsing continues there. Further input is
 * appended in two ways. When the parser waits for a known number of bytes (of a number, a header, a text), exactly
 * these are appended. Between items nobody knows how far the value goes on, so a step of input is appended and parsed,
 * and what the parser did not come to use is given back. Hence nothing beyond the value's end is ever taken, and
 * between two calls `held` ends where the parser stands, but for the first bytes of one item.
 *
 * A text longer than LIMIT_INLINE_BYTES that the parser waits for does not enter `held`. It becomes the *body*: its
 * bytes go from the input to where stream_begin_cb said, or nowhere. Once they are all there, the template hears that
 * it had been waiting for one byte and gets a stand-in; the callback that follows records the body in its place.
 *
 * What can fail
 *   claims    A container's elements are at least a byte each. least_bytes adds up what the headers so far make
 *             certain, and one that lifts it above max_value_bytes is refused. An item that the parser waits for and
 *             whose end lies beyond max_value_bytes is refused before its bytes are kept. The parser never sees more
 *             bytes than that. None of this depends on how the input was cut.
 *   memory    An array that can't grow refuses the value. Everything stays reachable from the decoder, so that
 *             decoder_free() leaks nothing.
 *
 * Invariants
 *   - value_bytes == held_bytes + bytes of bodies, while a value is incomplete. 0: nothing has been seen of a value.
 *   - Nodes hold offsets, counted from `base`: the input or `held`. No pointer into `held` outlives a call.
 *   - In the parser a container's node is given its end anew with each finished element, so that the last one leaves
 *     the right one. The cursor writes it once, when the container is complete.
 *   - Unless `debris` says so there is nothing to clean up behind a value.
 */
#include "protocol/decoder.h"

#include "protocol/cursor.h"
#include "protocol/limits.h"
#include "protocol/recorder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What decoder_next() keeps of each array for the next value. */
#define KEPT_BYTES 16384
#define KEPT_NODES (KEPT_BYTES / sizeof(struct node))

#define FIRST_HELD_BYTES 512
#define FIRST_STREAMS    4

/* The first step between items; doubled with each up to the last. */
#define FIRST_STEP_BYTES 1024
#define LAST_STEP_BYTES  65536

/* --- the parser: parser_init(), parser_execute(), struct parser_context ------------------------------------------- */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wunused-function"
#define MSGPACK_EMBED_STACK_SIZE LIMIT_DEPTH
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>
#define msgpack_unpack_struct(name)    struct parser##name
#define msgpack_unpack_func(ret, name) static ret parser##name
#define msgpack_unpack_callback(name)  on##name
#define msgpack_unpack_object          uint32_t
#define msgpack_unpack_user            struct recorder
#include <msgpack/unpack_template.h>
#pragma GCC diagnostic pop

/* --- the decoder -------------------------------------------------------------------------------------------------- */

/* The text that is streamed or skipped just now. */
struct body {
    bool active;
    uint8_t *data; /* NULL: skipped */
    uint32_t bytes;
    uint32_t done_bytes;
};

/* Why there is something to clean up behind a value. */
enum debris {
    DEBRIS_PARSED = 1, /* the parser has seen some of it: what stands below `debris` may be in use */
    DEBRIS_NODES = 2,  /* more of them than are kept */
};

struct decoder_impl {
    struct decoder public;
    bool ready;     /* a value waits for decoder_next() */
    uint8_t debris; /* enum debris, else 0 */
    uint8_t *held;
    size_t held_bytes;
    size_t held_cap;
    size_t parsed_bytes; /* of `held` */
    struct body body;
    struct stream *streams;
    uint32_t stream_count;
    uint32_t stream_cap;
    struct decoder_hooks hooks;
    struct parser_context parser; /* its user, the recorder, owns the nodes */
};

struct decoder *decoder_new(uint64_t max_value_bytes, const struct decoder_hooks *hooks)
{
    assert(max_value_bytes > 0 && max_value_bytes <= UINT32_MAX);
    assert(!hooks || !hooks->stream_begin_cb || hooks->stream_release_cb);
    struct decoder_impl *impl = calloc(1, sizeof *impl);
    if (!impl)
        return NULL;
    if (hooks)
        impl->hooks = *hooks;
    impl->parser.user.max_bytes = max_value_bytes;
    impl->public.impl = impl;
    return &impl->public;
}

static void release_streams(struct decoder_impl *impl)
{
    for (uint32_t i = 0; i < impl->stream_count; i++)
        if (impl->streams[i].owner)
            impl->hooks.stream_release_cb(impl->hooks.user, impl->streams[i].owner);
    impl->stream_count = 0;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    struct decoder_impl *impl = d->impl;
    release_streams(impl);
    free(impl->parser.user.nodes);
    free(impl->held);
    free(impl->streams);
    free(impl);
}

void decoder_reuse(struct decoder *d, uint64_t max_value_bytes, void *user)
{
    assert(decoder_idle(d) && !d->refusal);
    assert(max_value_bytes > 0 && max_value_bytes <= UINT32_MAX);
    d->impl->parser.user.max_bytes = max_value_bytes;
    d->impl->hooks.user = user;
}

bool decoder_idle(const struct decoder *d)
{
    return d->value_bytes == 0;
}

size_t decoder_memory(const struct decoder *d)
{
    const struct decoder_impl *impl = d->impl;
    return sizeof *impl + impl->parser.user.cap * sizeof(struct node) + impl->held_cap +
           impl->stream_cap * sizeof(struct stream);
}

const uint8_t *decoder_stream_bytes(const struct decoder *d, const struct node *node)
{
    assert(node->flags & NODE_STREAMED);
    return d->impl->streams[node->value.uint].data;
}

void *decoder_take(struct decoder *d, const struct node *node)
{
    if (!(node->flags & NODE_STREAMED))
        return NULL;
    struct stream *s = &d->impl->streams[node->value.uint];
    void *owner = s->owner;
    s->owner = NULL;
    return owner;
}

/* Gives back what is large, and forgets what the parser has seen. */
static __attribute__((cold, noinline)) void tidy_up(struct decoder_impl *impl)
{
    struct recorder *r = &impl->parser.user;
    release_streams(impl);
    if (r->cap > KEPT_NODES) {
        free(r->nodes);
        r->nodes = NULL;
        r->cap = 0;
    }
    if (impl->held_cap > KEPT_BYTES) {
        free(impl->held);
        impl->held = NULL;
        impl->held_cap = 0;
    }
    if (impl->stream_cap * sizeof *impl->streams > KEPT_BYTES) {
        free(impl->streams);
        impl->streams = NULL;
        impl->stream_cap = 0;
    }
    impl->held_bytes = 0;
    impl->public.nodes = r->nodes;
    impl->public.too_many_nodes = false;
    impl->debris = 0;
}

void decoder_next(struct decoder *d)
{
    struct decoder_impl *impl = d->impl;
    assert(impl->ready);
    if (UNLIKELY(impl->debris))
        tidy_up(impl);
    impl->ready = false;
    d->node_count = 0;
    d->value_bytes = 0;
}

/* --- feeding ------------------------------------------------------------------------------------------------------ */

static enum decoder_result end_refused(struct decoder_impl *impl, enum decoder_refusal refusal)
{
    impl->public.refusal = refusal;
    return DECODER_REFUSED;
}

static enum decoder_result end_ready(struct decoder_impl *impl)
{
    impl->ready = true;
    return DECODER_READY;
}

/* Lets the parser go on at data[*at]; *at is then where it stands. NEED_MORE: it wants bytes beyond data[bytes]. */
static enum decoder_result parse(struct decoder_impl *impl, const void *data, size_t bytes, size_t *at)
{
    struct recorder *r = &impl->parser.user;
    int result = parser_execute(&impl->parser, data, bytes, at);
    impl->public.nodes = r->nodes;
    impl->public.node_count = r->count;
    impl->public.too_many_nodes = r->too_many;
    if (result > 0)
        return end_ready(impl);
    if (result == 0)
        return DECODER_NEED_MORE;
    if (r->refusal)
        return end_refused(impl, r->refusal);
    return end_refused(impl, result == MSGPACK_UNPACK_NOMEM_ERROR ? DECODER_TOO_DEEP : DECODER_NOT_MSGPACK);
}

/* Bytes that the parser waits for behind the place where it stands; 1 between items. */
static uint32_t wanted_bytes(const struct decoder_impl *impl)
{
    return impl->parser.cs == MSGPACK_CS_HEADER ? 1 : impl->parser.trail;
}

/* Appends to `held`. False: no memory. */
static bool hold(struct decoder_impl *impl, const uint8_t *bytes, size_t count)
{
    if (count > impl->held_cap - impl->held_bytes) {
        size_t cap = impl->held_cap ? impl->held_cap : FIRST_HELD_BYTES;
        while (cap - impl->held_bytes < count)
            cap *= 2;
        uint8_t *held = realloc(impl->held, cap);
        if (!held)
            return false;
        impl->held = held;
        impl->held_cap = cap;
    }
    memcpy(impl->held + impl->held_bytes, bytes, count);
    impl->held_bytes += count;
    impl->public.base = impl->held;
    return true;
}

static bool grow_streams(struct decoder_impl *impl)
{
    uint32_t cap = impl->stream_cap ? impl->stream_cap * 2 : FIRST_STREAMS;
    struct stream *streams = realloc(impl->streams, cap * sizeof *streams);
    if (!streams)
        return false;
    impl->streams = streams;
    impl->stream_cap = cap;
    return true;
}

/* The reason to skip the text of `bytes` bytes that the parser waits for; ERR_NONE: *s says where to store it. */
static enum error_code ask_for_stream(struct decoder_impl *impl, uint32_t bytes, struct stream *s)
{
    if (impl->parser.cs == MSGPACK_ACS_EXT_VALUE)
        return ERR_BAD_REQUEST;
    if (impl->parser.user.count == LIMIT_NODES)
        return ERR_LIMIT;
    if (!impl->hooks.stream_begin_cb)
        return ERR_TOO_LARGE;
    return impl->hooks.stream_begin_cb(impl->hooks.user, &impl->public, bytes, s);
}

static enum node_type waiting_type(const struct decoder_impl *impl)
{
    switch (impl->parser.cs) {
    case MSGPACK_ACS_STR_VALUE:
        return NODE_STR;
    case MSGPACK_ACS_BIN_VALUE:
        return NODE_BIN;
    default:
        assert(impl->parser.cs == MSGPACK_ACS_EXT_VALUE);
        return NODE_EXT;
    }
}

/* The text that the parser waits for becomes the body. False: no memory. */
static bool begin_body(struct decoder_impl *impl)
{
    uint32_t bytes = wanted_bytes(impl);
    assert(impl->parsed_bytes == impl->held_bytes && !impl->body.active);
    /* The slot first: an owner must never be without one. */
    if (impl->stream_count == impl->stream_cap && !grow_streams(impl))
        return false;

    struct stream s = {.bytes = bytes};
    enum error_code reason = ask_for_stream(impl, bytes, &s);
    struct node node = {.type = (uint8_t)waiting_type(impl), .count = bytes};
    if (reason == ERR_NONE) {
        assert(s.owner && s.data && s.bytes == bytes);
        node.flags = NODE_STREAMED;
        node.value.uint = impl->stream_count;
        impl->streams[impl->stream_count++] = s;
    } else {
        node.flags = NODE_SKIPPED;
        node.value.uint = (uint64_t)reason;
    }
    impl->parser.user.stand_in = node;
    impl->body = (struct body){.active = true, .data = reason == ERR_NONE ? s.data : NULL, .bytes = bytes};
    return true;
}

/* All of the body is there: the parser gets one byte in its stead. */
static enum decoder_result end_body(struct decoder_impl *impl)
{
    size_t at = 0;
    impl->body.active = false;
    impl->parser.user.standing_in = true;
    impl->parser.trail = 1;
    return parse(impl, "", 1, &at);
}

/* Up to `left` bytes of input go to the body. Returns how many. */
static size_t fill_body(struct body *body, const uint8_t *input, size_t left)
{
    size_t part = body->bytes - body->done_bytes;
    if (part > left)
        part = left;
    if (body->data)
        memcpy(body->data + body->done_bytes, input, part);
    body->done_bytes += (uint32_t)part;
    return part;
}

/*
 * How much of `left` bytes of input to append next: what is missing of the item that the parser waits for, or between
 * items a step, but none beyond max_value_bytes.
 */
static size_t next_part(const struct decoder_impl *impl, size_t step_bytes, size_t left)
{
    uint64_t part = impl->parser.trail - (impl->held_bytes - impl->parsed_bytes);
    if (impl->parser.cs == MSGPACK_CS_HEADER) {
        uint64_t room = impl->parser.user.max_bytes - impl->public.value_bytes;
        part = step_bytes < room ? step_bytes : room;
    }
    return part < left ? (size_t)part : left;
}

/* Appends input to `held` and parses it. *used: bytes of it that now belong to the value. */
static enum decoder_result parse_held(struct decoder_impl *impl, const uint8_t *input, size_t bytes, size_t *used)
{
    if (!hold(impl, input, bytes))
        return end_refused(impl, DECODER_NO_MEMORY);
    bool between_items = impl->parser.cs == MSGPACK_CS_HEADER;
    enum decoder_result result = parse(impl, impl->held, impl->held_bytes, &impl->parsed_bytes);
    /* What came in before was wanted by the item that was waited for, so only bytes of this call can be left over. */
    size_t left_over = between_items || result == DECODER_READY ? impl->held_bytes - impl->parsed_bytes : 0;
    assert(left_over <= bytes);
    impl->held_bytes -= left_over;
    *used = bytes - left_over;
    impl->public.value_bytes += *used;
    return result;
}

/* An item that the parser waits for must end within max_value_bytes. */
static bool wants_too_much(const struct decoder_impl *impl)
{
    uint64_t at = impl->public.value_bytes - (impl->held_bytes - impl->parsed_bytes);
    return at + wanted_bytes(impl) > impl->parser.user.max_bytes;
}

/* Goes on with a value of which some bytes are held. */
static __attribute__((noinline)) enum decoder_result feed_held(struct decoder_impl *impl, const uint8_t *input,
                                                               size_t bytes, size_t *used)
{
    size_t step_bytes = FIRST_STEP_BYTES;
    for (;;) {
        if (!impl->body.active) {
            if (wants_too_much(impl))
                return end_refused(impl, DECODER_VALUE_TOO_LARGE);
            if (wanted_bytes(impl) > LIMIT_INLINE_BYTES && !begin_body(impl))
                return end_refused(impl, DECODER_NO_MEMORY);
        }
        size_t left = bytes - *used;
        if (left == 0)
            return DECODER_NEED_MORE;

        enum decoder_result result;
        size_t part = 0;
        if (impl->body.active) {
            part = fill_body(&impl->body, input + *used, left);
            impl->public.value_bytes += part;
            result = impl->body.done_bytes == impl->body.bytes ? end_body(impl) : DECODER_NEED_MORE;
        } else {
            size_t next = next_part(impl, step_bytes, left);
            if (impl->parser.cs == MSGPACK_CS_HEADER && step_bytes < LAST_STEP_BYTES)
                step_bytes *= 2;
            result = parse_held(impl, input + *used, next, &part);
        }
        *used += part;
        if (result != DECODER_NEED_MORE)
            return result;
    }
}

/* --- from the cursor to the parser -------------------------------------------------------------------------------- */

/* What the parser would have added up for these nodes. */
static uint64_t least_bytes(const struct node *nodes, uint32_t count)
{
    uint64_t bytes = 1;
    for (uint32_t i = 0; i < count; i++)
        bytes += nodes[i].type == NODE_MAP ? 2 * (uint64_t)nodes[i].count : nodes[i].count;
    return bytes;
}

/* Has the parser stand where the cursor stands: between two items that is no more than the open containers. */
static void set_parser(struct decoder_impl *impl, const struct cursor *c)
{
    struct recorder *r = &impl->parser.user;
    r->count = c->count;
    r->least_bytes = least_bytes(r->nodes, c->count);
    r->too_many = false;
    parser_init(&impl->parser);
    impl->parser.top = c->depth;
    for (uint32_t i = 0; i < c->depth; i++) {
        const struct cursor_level *level = &c->levels[i + 1];
        struct parser_stack *open = &impl->parser.stack[i];
        /* To the parser a container within this one has not been an element yet. */
        uint32_t left = level->left + (i + 1 < c->depth);
        level->node->value.end = c->count;
        open->obj = (uint32_t)(level->node - r->nodes);
        open->count = left;
        open->ct = MSGPACK_CT_ARRAY_ITEM;
        if (level->node->type == NODE_MAP) {
            open->count = (left + 1) / 2;
            open->ct = left % 2 == 0 ? MSGPACK_CT_MAP_KEY : MSGPACK_CT_MAP_VALUE;
            open->map_key = NO_NODE;
        }
    }
}

/* Begins a value that the cursor could not read to its end. */
static __attribute__((noinline)) enum decoder_result feed_parser(struct decoder_impl *impl, const struct cursor *c,
                                                                 const uint8_t *input, size_t bytes, size_t *used)
{
    uint64_t max = impl->parser.user.max_bytes;
    size_t at = c->at;
    impl->debris |= DEBRIS_PARSED;
    set_parser(impl, c);
    enum decoder_result result = parse(impl, input, bytes < max ? bytes : (size_t)max, &at);
    *used = at;
    impl->public.value_bytes = at;
    if (result != DECODER_NEED_MORE)
        return result;
    if (!hold(impl, input, at))
        return end_refused(impl, DECODER_NO_MEMORY);
    impl->parsed_bytes = at;
    return feed_held(impl, input, bytes, used);
}

/*
 * More nodes for a cursor that has stopped for want of them and is to start again; they are doubled at least, so this is
 * not done often. False: it is the parser's turn, or memory ran out.
 */
static __attribute__((noinline)) bool more_nodes(struct decoder_impl *impl, const struct cursor *c)
{
    struct recorder *r = &impl->parser.user;
    if (c->claimed <= r->cap || c->claimed > LIMIT_NODES)
        return false;
    if (!reserve_nodes(r, c->claimed)) {
        impl->public.refusal = r->refusal;
        return false;
    }
    if (r->cap > KEPT_NODES)
        impl->debris |= DEBRIS_NODES;
    return true;
}

enum decoder_result decoder_feed(struct decoder *d, const void *input, size_t bytes, size_t *used)
{
    struct decoder_impl *impl = d->impl;
    struct recorder *r = &impl->parser.user;
    assert(!impl->ready);
    *used = 0;
    if (UNLIKELY(d->refusal))
        return DECODER_REFUSED;
    if (UNLIKELY(bytes == 0))
        return DECODER_NEED_MORE;
    if (UNLIKELY(!decoder_idle(d)))
        return feed_held(impl, input, bytes, used);

    size_t most = bytes < r->max_bytes ? bytes : (size_t)r->max_bytes;
    struct cursor c;
    d->base = input;
    for (;;) {
        c.nodes = r->nodes;
        c.cap = r->cap;
        if (cursor_run(&c, input, most))
            break;
        if (more_nodes(impl, &c))
            continue;
        return d->refusal ? DECODER_REFUSED : feed_parser(impl, &c, input, bytes, used);
    }
    d->nodes = c.nodes;
    d->node_count = c.count;
    d->value_bytes = c.at;
    *used = c.at;
    return end_ready(impl);
}

uint64_t decoder_limit(const struct decoder *d)
{
    return d->impl->parser.user.max_bytes;
}

const char *decoder_refusal_text(enum decoder_refusal refusal)
{
    /* The number in a sentence comes from limits.h. */
#define TEXT(number)   #number
#define LEVELS(number) "deeper than " TEXT(number) " levels"
    switch (refusal) {
    case DECODER_REFUSAL_NONE:
        return "nothing was refused";
    case DECODER_NOT_MSGPACK:
        return "not MessagePack";
    case DECODER_TOO_DEEP:
        return LEVELS(LIMIT_DEPTH);
    case DECODER_TOO_MANY:
        return "a container claims more elements than there may be bytes";
    case DECODER_VALUE_TOO_LARGE:
        return "larger than a request may be";
    case DECODER_NO_MEMORY:
        return "out of memory";
    }
    abort();
#undef LEVELS
#undef TEXT
}
