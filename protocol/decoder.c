#include "protocol/decoder.h"

#include "protocol/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Areas up to this size are kept from one value to the next. */
#define KEEP_BYTES ((size_t)16384)

/* The first step in which bytes of an unfinished value are kept when it is not known how many are missing. */
#define HOLD_STEP ((size_t)4096)

/* What the callbacks return to stop the template; its own are -1 (not MessagePack) and -2 (its stack is full). */
enum { STOP_NOT_MSGPACK = -1, STOP_TOO_DEEP = -2, STOP_TOO_MANY = -10, STOP_TOO_LARGE = -11, STOP_NO_MEMORY = -12 };

#define NO_NODE UINT32_MAX

/* ---- msgpack-c's parser, with callbacks that store nodes --------------------------------------------------------- */

static int node_add(struct decoder *d, struct node node, uint32_t *index);
static int node_add_bytes(struct decoder *d, enum node_type type, size_t offset, uint32_t bytes, uint32_t *index);
static int node_add_container(struct decoder *d, enum node_type type, uint32_t count, uint32_t *index);
static void node_close(struct decoder *d, uint32_t index, uint32_t end);

/* One level of the template's stack for each container that is open. */
#define MSGPACK_EMBED_STACK_SIZE LIMIT_DEPTH
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>

#define msgpack_unpack_struct(name) struct template##name
#define msgpack_unpack_func(ret, name) static ret template##name
#define msgpack_unpack_callback(name) template_callback##name
#define msgpack_unpack_object uint32_t /* a node's index */
#define msgpack_unpack_user struct decoder *

struct template_context;

static inline uint32_t template_callback_root(struct decoder **d)
{
    (void)d;
    return NO_NODE;
}

#define UNSIGNED_CALLBACK(name, ctype)                                                                                    \
    static inline int template_callback##name(struct decoder **d, ctype v, uint32_t *index)                              \
    {                                                                                                                    \
        return node_add(*d, (struct node){.type = NODE_UINT, .value.uint = v}, index);                                   \
    }

#define SIGNED_CALLBACK(name, ctype)                                                                                      \
    static inline int template_callback##name(struct decoder **d, ctype v, uint32_t *index)                              \
    {                                                                                                                    \
        return node_add(*d, (struct node){.type = v < 0 ? NODE_INT : NODE_UINT, .value.sint = v}, index);                \
    }

UNSIGNED_CALLBACK(_uint8, uint8_t)
UNSIGNED_CALLBACK(_uint16, uint16_t)
UNSIGNED_CALLBACK(_uint32, uint32_t)
UNSIGNED_CALLBACK(_uint64, uint64_t)
SIGNED_CALLBACK(_int8, int8_t)
SIGNED_CALLBACK(_int16, int16_t)
SIGNED_CALLBACK(_int32, int32_t)
SIGNED_CALLBACK(_int64, int64_t)

static inline int template_callback_float(struct decoder **d, float v, uint32_t *index)
{
    return node_add(*d, (struct node){.type = NODE_FLOAT, .flags = NODE_FLOAT32, .value.real = (double)v}, index);
}

static inline int template_callback_double(struct decoder **d, double v, uint32_t *index)
{
    return node_add(*d, (struct node){.type = NODE_FLOAT, .value.real = v}, index);
}

static inline int template_callback_nil(struct decoder **d, uint32_t *index)
{
    return node_add(*d, (struct node){.type = NODE_NIL}, index);
}

static inline int template_callback_true(struct decoder **d, uint32_t *index)
{
    return node_add(*d, (struct node){.type = NODE_BOOL, .value.uint = 1}, index);
}

static inline int template_callback_false(struct decoder **d, uint32_t *index)
{
    return node_add(*d, (struct node){.type = NODE_BOOL}, index);
}

static inline int template_callback_array(struct decoder **d, unsigned int n, uint32_t *index)
{
    return node_add_container(*d, NODE_ARRAY, n, index);
}

static inline int template_callback_array_item(struct decoder **d, uint32_t *array, uint32_t item)
{
    (void)array;
    node_close(*d, item, (*d)->node_count);
    return 0;
}

static inline int template_callback_map(struct decoder **d, unsigned int n, uint32_t *index)
{
    return node_add_container(*d, NODE_MAP, n, index);
}

static inline int template_callback_map_item(struct decoder **d, uint32_t *map, uint32_t key, uint32_t item)
{
    (void)map;
    node_close(*d, key, item);
    node_close(*d, item, (*d)->node_count);
    return 0;
}

static inline int template_callback_str(struct decoder **d, const char *base, const char *p, unsigned int n, uint32_t *index)
{
    return node_add_bytes(*d, NODE_STR, (size_t)(p - base), n, index);
}

static inline int template_callback_bin(struct decoder **d, const char *base, const char *p, unsigned int n, uint32_t *index)
{
    return node_add_bytes(*d, NODE_BIN, (size_t)(p - base), n, index);
}

static inline int template_callback_ext(struct decoder **d, const char *base, const char *p, unsigned int n, uint32_t *index)
{
    /* The template adds the type byte to the length, in 32 bits: 0 is an overflow. */
    return n == 0 ? STOP_TOO_LARGE : node_add_bytes(*d, NODE_EXT, (size_t)(p - base), n, index);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <msgpack/unpack_template.h>
#pragma GCC diagnostic pop

/* ---- the decoder around it --------------------------------------------------------------------------------------- */

struct decoder_impl {
    struct decoder_hooks hooks;
    uint64_t max_value_bytes;
    struct template_context parser;
    const uint8_t *base;  /* the value's first retained byte: in the caller's input, or held */
    size_t parsed_bytes;  /* retained bytes that the parser has taken */
    uint64_t apart_bytes; /* bytes that were streamed or skipped: not retained */
    uint32_t node_cap;
    bool holding; /* the retained bytes are our own copy */
    uint8_t *held;
    size_t held_bytes, held_cap;
    struct stream *streams;
    uint32_t stream_count, stream_cap;
    bool streaming;        /* bytes of a long value are on their way to `sink`, or to nowhere */
    uint32_t missing_bytes;
    uint8_t *sink;         /* NULL: skipped */
    bool standing_in;      /* the parser is shown one byte in place of the long value */
    struct node stand_in;  /* what becomes of it */
};

static int node_add(struct decoder *d, struct node node, uint32_t *index)
{
    struct decoder_impl *impl = d->impl;
    if (d->node_count == impl->node_cap) {
        if (d->node_count == LIMIT_NODES || d->too_many_nodes) {
            d->too_many_nodes = true;
            *index = NO_NODE;
            return 0;
        }
        uint32_t cap = impl->node_cap ? impl->node_cap * 2 : 64;
        struct node *nodes = realloc(d->nodes, cap * sizeof *nodes);
        if (!nodes)
            return STOP_NO_MEMORY;
        d->nodes = nodes;
        impl->node_cap = cap;
    }
    *index = d->node_count;
    d->nodes[d->node_count++] = node;
    return 0;
}

static int node_add_bytes(struct decoder *d, enum node_type type, size_t offset, uint32_t bytes, uint32_t *index)
{
    if (d->impl->standing_in) {
        d->impl->standing_in = false;
        return node_add(d, d->impl->stand_in, index);
    }
    return node_add(d, (struct node){.type = (uint8_t)type, .count = bytes, .value.offset = offset}, index);
}

static int node_add_container(struct decoder *d, enum node_type type, uint32_t count, uint32_t *index)
{
    uint64_t elements = type == NODE_MAP ? (uint64_t)count * 2 : count;
    if (elements > d->impl->max_value_bytes - d->value_bytes)
        return STOP_TOO_MANY;
    return node_add(d, (struct node){.type = (uint8_t)type, .count = count, .value.end = d->node_count + 1}, index);
}

static void node_close(struct decoder *d, uint32_t index, uint32_t end)
{
    if (index == NO_NODE || end == NO_NODE)
        return;
    struct node *node = &d->nodes[index];
    if (node->type == NODE_ARRAY || node->type == NODE_MAP)
        node->value.end = end;
}

struct decoder *decoder_new(uint64_t max_value_bytes, const struct decoder_hooks *hooks)
{
    struct decoder *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->impl = calloc(1, sizeof *d->impl);
    if (!d->impl) {
        free(d);
        return NULL;
    }
    if (hooks)
        d->impl->hooks = *hooks;
    decoder_reuse(d, max_value_bytes, hooks ? hooks->user : NULL);
    d->impl->parser.user = d;
    template_init(&d->impl->parser);
    return d;
}

static void release_streams(struct decoder *d)
{
    struct decoder_impl *impl = d->impl;
    for (uint32_t i = 0; i < impl->stream_count; i++)
        if (impl->streams[i].owner)
            impl->hooks.stream_release_cb(impl->hooks.user, impl->streams[i].owner);
    impl->stream_count = 0;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    release_streams(d);
    free(d->impl->streams);
    free(d->impl->held);
    free(d->impl);
    free(d->nodes);
    free(d);
}

void decoder_reuse(struct decoder *d, uint64_t max_value_bytes, void *user)
{
    assert(decoder_idle(d) && max_value_bytes <= UINT32_MAX);
    d->impl->max_value_bytes = max_value_bytes;
    d->impl->hooks.user = user;
}

bool decoder_idle(const struct decoder *d)
{
    return d->value_bytes == 0 && !d->impl->holding && d->node_count == 0;
}

void decoder_next(struct decoder *d)
{
    struct decoder_impl *impl = d->impl;
    release_streams(d);
    d->node_count = 0;
    d->too_many_nodes = false;
    d->value_bytes = 0;
    impl->parsed_bytes = 0;
    impl->apart_bytes = 0;
    impl->held_bytes = 0;
    impl->holding = false;
    template_init(&impl->parser);
    if (impl->node_cap * sizeof *d->nodes > KEEP_BYTES) {
        free(d->nodes);
        d->nodes = NULL;
        impl->node_cap = 0;
    }
    if (impl->held_cap > KEEP_BYTES) {
        free(impl->held);
        impl->held = NULL;
        impl->held_cap = 0;
    }
}

size_t decoder_memory(const struct decoder *d)
{
    const struct decoder_impl *impl = d->impl;
    return sizeof *d + sizeof *impl + impl->node_cap * sizeof *d->nodes + impl->held_cap + impl->stream_cap * sizeof *impl->streams;
}

static enum decoder_result refuse(struct decoder *d, enum decoder_refusal refusal)
{
    d->refusal = refusal;
    return DECODER_REFUSED;
}

static enum decoder_result refuse_stop(struct decoder *d, int stop)
{
    switch (stop) {
    case STOP_TOO_DEEP:
        return refuse(d, DECODER_TOO_DEEP);
    case STOP_TOO_MANY:
        return refuse(d, DECODER_TOO_MANY);
    case STOP_TOO_LARGE:
        return refuse(d, DECODER_VALUE_TOO_LARGE);
    case STOP_NO_MEMORY:
        return refuse(d, DECODER_NO_MEMORY);
    default:
        return refuse(d, DECODER_NOT_MSGPACK);
    }
}

/* Keeps `bytes` more retained bytes. */
static bool hold(struct decoder *d, const uint8_t *data, size_t bytes)
{
    struct decoder_impl *impl = d->impl;
    size_t need = impl->held_bytes + bytes;
    if (need > impl->held_cap) {
        size_t cap = impl->held_cap * 2 > need ? impl->held_cap * 2 : need;
        uint8_t *held = realloc(impl->held, cap);
        if (!held)
            return false;
        impl->held = held;
        impl->held_cap = cap;
    }
    if (bytes > 0)
        memcpy(impl->held + impl->held_bytes, data, bytes);
    impl->held_bytes = need;
    impl->holding = true;
    impl->base = impl->held;
    return true;
}

/* Bytes that the parser waits for beyond those it has been shown; 0 if it waits for the next item. */
static size_t awaited_bytes(const struct decoder_impl *impl)
{
    return impl->parser.cs == MSGPACK_CS_HEADER ? 0 : impl->parser.trail;
}

static bool awaits_value(const struct decoder_impl *impl)
{
    unsigned int cs = impl->parser.cs;
    return cs == MSGPACK_ACS_STR_VALUE || cs == MSGPACK_ACS_BIN_VALUE || cs == MSGPACK_ACS_EXT_VALUE;
}

static bool streams_grow(struct decoder_impl *impl)
{
    if (impl->stream_count < impl->stream_cap)
        return true;
    uint32_t cap = impl->stream_cap ? impl->stream_cap * 2 : 4;
    struct stream *streams = realloc(impl->streams, cap * sizeof *streams);
    if (!streams)
        return false;
    impl->streams = streams;
    impl->stream_cap = cap;
    return true;
}

/* The parser waits for a long value that has not arrived whole: ask where its bytes are to go. */
static bool begin_stream(struct decoder *d)
{
    struct decoder_impl *impl = d->impl;
    bool ext = impl->parser.cs == MSGPACK_ACS_EXT_VALUE;
    uint32_t bytes = impl->parser.trail;
    enum node_type type = ext ? NODE_EXT : impl->parser.cs == MSGPACK_ACS_STR_VALUE ? NODE_STR : NODE_BIN;
    struct stream stream = {NULL, NULL, bytes};
    enum error_code code = ERR_TOO_LARGE;
    if (!streams_grow(impl))
        return false;
    if (!ext && !d->too_many_nodes && impl->hooks.stream_begin_cb)
        code = impl->hooks.stream_begin_cb(impl->hooks.user, d, bytes, &stream);
    impl->stand_in = (struct node){.type = (uint8_t)type, .count = bytes};
    if (code == ERR_NONE) {
        impl->stand_in.flags = NODE_STREAMED;
        impl->stand_in.value.uint = impl->stream_count;
        impl->streams[impl->stream_count++] = stream;
    } else {
        impl->stand_in.flags = NODE_SKIPPED;
        impl->stand_in.value.uint = code;
    }
    impl->sink = stream.data;
    impl->missing_bytes = bytes;
    impl->streaming = true;
    return true;
}

/* Moves input to where the long value goes; when all of it is there, shows the parser one byte in its place. Returns as the
   template does: 1 the whole value is complete, 0 go on, below 0 refused. */
static int stream_on(struct decoder *d, const uint8_t *input, size_t bytes, size_t *used)
{
    struct decoder_impl *impl = d->impl;
    size_t n = bytes < impl->missing_bytes ? bytes : impl->missing_bytes;
    if (impl->sink) {
        memcpy(impl->sink, input, n);
        impl->sink += n;
    }
    impl->missing_bytes -= (uint32_t)n;
    impl->apart_bytes += n;
    d->value_bytes += n;
    *used += n;
    if (impl->missing_bytes > 0)
        return 0;
    impl->streaming = false;
    impl->standing_in = true;
    impl->parser.trail = 1;
    size_t off = 0;
    return template_execute(&impl->parser, "", 1, &off);
}

/* The whole value has been parsed. */
static enum decoder_result ready(struct decoder *d)
{
    if (d->value_bytes > d->impl->max_value_bytes)
        return refuse(d, DECODER_VALUE_TOO_LARGE);
    if (d->node_count > 0 && !d->too_many_nodes)
        node_close(d, 0, d->node_count);
    return DECODER_READY;
}

/* Shows the parser the retained bytes from where it stopped. */
static int parse(struct decoder *d, size_t retained_bytes)
{
    struct decoder_impl *impl = d->impl;
    int result = template_execute(&impl->parser, (const char *)impl->base, retained_bytes, &impl->parsed_bytes);
    d->value_bytes = impl->parsed_bytes + impl->apart_bytes;
    return result;
}

/* Takes in more bytes of a value that is held, no more than it certainly or probably needs. */
static int hold_on(struct decoder *d, const uint8_t *input, size_t bytes, size_t *used)
{
    struct decoder_impl *impl = d->impl;
    size_t awaited = awaited_bytes(impl), unparsed = impl->held_bytes - impl->parsed_bytes;
    size_t step = awaited > unparsed ? awaited - unparsed : impl->held_bytes > HOLD_STEP ? impl->held_bytes : HOLD_STEP;
    size_t n = bytes < step ? bytes : step;
    if (!hold(d, input, n))
        return STOP_NO_MEMORY;
    *used += n;
    int result = parse(d, impl->held_bytes);
    if (result == 1) { /* what lies behind the value was taken too early */
        *used -= impl->held_bytes - impl->parsed_bytes;
        impl->held_bytes = impl->parsed_bytes;
    }
    return result;
}

/* The parser has stopped in the middle: refuse what is too long, begin to stream what is long, keep the rest. */
static int stop_over(struct decoder *d, const uint8_t *input, size_t bytes, size_t *used)
{
    struct decoder_impl *impl = d->impl;
    size_t awaited = awaited_bytes(impl);
    if (d->value_bytes + awaited > impl->max_value_bytes)
        return STOP_TOO_LARGE;
    if (awaits_value(impl) && awaited > LIMIT_INLINE_BYTES) {
        if (impl->holding) {
            *used -= impl->held_bytes - impl->parsed_bytes;
            impl->held_bytes = impl->parsed_bytes;
        } else {
            *used += impl->parsed_bytes;
            if (!hold(d, impl->base, impl->parsed_bytes))
                return STOP_NO_MEMORY;
        }
        return begin_stream(d) ? 0 : STOP_NO_MEMORY;
    }
    if (!impl->holding) {
        if (!hold(d, input, bytes))
            return STOP_NO_MEMORY;
        *used += bytes;
    }
    return 0;
}

enum decoder_result decoder_feed(struct decoder *d, const void *input, size_t bytes, size_t *used)
{
    struct decoder_impl *impl = d->impl;
    const uint8_t *in = input;
    *used = 0;
    if (d->refusal != DECODER_REFUSAL_NONE)
        return DECODER_REFUSED;
    while (*used < bytes) {
        const uint8_t *rest = in + *used;
        size_t left = bytes - *used;
        int result;
        if (impl->streaming) {
            result = stream_on(d, rest, left, used);
        } else if (impl->holding) {
            result = hold_on(d, rest, left, used);
        } else {
            impl->base = rest;
            result = parse(d, left);
            if (result == 1)
                *used += impl->parsed_bytes;
        }
        if (result == 0 && !impl->streaming)
            result = stop_over(d, rest, left, used);
        if (result < 0)
            return refuse_stop(d, result);
        if (result == 1)
            return ready(d);
    }
    return DECODER_NEED_MORE;
}

const uint8_t *decoder_bytes(const struct decoder *d, const struct node *node)
{
    assert(!(node->flags & NODE_SKIPPED));
    if (node->flags & NODE_STREAMED)
        return d->impl->streams[node->value.uint].data;
    return d->impl->base + node->value.offset;
}

void *decoder_take(struct decoder *d, const struct node *node)
{
    if (!(node->flags & NODE_STREAMED))
        return NULL;
    struct stream *stream = &d->impl->streams[node->value.uint];
    void *owner = stream->owner;
    stream->owner = NULL;
    return owner;
}

const char *decoder_refusal_text(enum decoder_refusal refusal)
{
    switch (refusal) {
    case DECODER_REFUSAL_NONE:
        return "";
    case DECODER_NOT_MSGPACK:
        return "not MessagePack";
    case DECODER_TOO_DEEP:
        return "deeper than 16 levels";
    case DECODER_TOO_MANY:
        return "a container claims more elements than the request may have bytes";
    case DECODER_VALUE_TOO_LARGE:
        return "larger than max_request_bytes";
    case DECODER_NO_MEMORY:
        return "out of memory";
    }
    return "";
}
