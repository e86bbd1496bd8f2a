/*
 * args: MessagePack items written one after the other into a buffer of their own, counted on the way so that the
 * array around them can be written when they are sent and a container that is not full is noticed.
 *
 * What can fail is remembered in `status`; later items are dropped until ringmq_args_reset().
 */
#include "client/args.h"

#include "client/tree.h"
#include "protocol/encoder.h"

#include <stdlib.h>
#include <string.h>

struct ringmq_args *ringmq_args_new(void)
{
    struct ringmq_args *args = calloc(1, sizeof(*args));
    if (args != NULL)
        buffer_init(&args->bytes, NULL);
    return args;
}

void ringmq_args_free(struct ringmq_args *args)
{
    if (args == NULL)
        return;
    buffer_close(&args->bytes);
    free(args);
}

void ringmq_args_reset(struct ringmq_args *args)
{
    buffer_reset(&args->bytes);
    args->bytes.failed = false;
    args->count = 0;
    args->depth = 0;
    args->status = RINGMQ_OK;
}

/* How many containers are still to be filled. */
static uint32_t args_depth(const struct ringmq_args *args)
{
    uint32_t depth = args->depth;
    while (depth > 0 && args->missing[depth - 1] == 0)
        depth--;
    return depth;
}

int args_status(const struct ringmq_args *args)
{
    if (args == NULL)
        return RINGMQ_OK;
    if (args->status != RINGMQ_OK)
        return args->status;
    if (args->bytes.failed)
        return RINGMQ_ERR_NO_MEMORY;
    return args_depth(args) == 0 ? RINGMQ_OK : RINGMQ_ERR_ARGUMENT;
}

/* One item is about to be written: it takes a place in the innermost container that is not full. */
static bool args_item(struct ringmq_args *args)
{
    if (args->status != RINGMQ_OK)
        return false;
    args->depth = args_depth(args);
    if (args->depth == 0)
        args->count++;
    else
        args->missing[args->depth - 1]--;
    return true;
}

/* The container just written wants `elements` more. It stays counted as a level until the next item. */
static void args_open(struct ringmq_args *args, uint64_t elements)
{
    /* The request and its params are two levels around everything written here. */
    if (args->depth + 2 >= LIMIT_DEPTH) {
        args->status = RINGMQ_ERR_ARGUMENT;
        return;
    }
    args->missing[args->depth++] = elements;
}

void ringmq_args_nil(struct ringmq_args *args)
{
    if (args_item(args))
        encode_nil(&args->bytes);
}

void ringmq_args_bool(struct ringmq_args *args, bool value)
{
    if (args_item(args))
        encode_bool(&args->bytes, value);
}

void ringmq_args_uint(struct ringmq_args *args, uint64_t value)
{
    if (args_item(args))
        encode_uint(&args->bytes, value);
}

void ringmq_args_int(struct ringmq_args *args, int64_t value)
{
    if (args_item(args))
        encode_int(&args->bytes, value);
}

void ringmq_args_double(struct ringmq_args *args, double value)
{
    if (args_item(args))
        encode_double(&args->bytes, value);
}

static bool args_bytes_item(struct ringmq_args *args, const void *data, size_t bytes)
{
    if (bytes > UINT32_MAX || (data == NULL && bytes > 0)) {
        if (args->status == RINGMQ_OK)
            args->status = RINGMQ_ERR_ARGUMENT;
        return false;
    }
    return args_item(args);
}

void ringmq_args_str(struct ringmq_args *args, const void *text, size_t bytes)
{
    if (args_bytes_item(args, text, bytes))
        encode_str(&args->bytes, bytes == 0 ? "" : text, bytes);
}

void ringmq_args_bin(struct ringmq_args *args, const void *data, size_t bytes)
{
    if (args_bytes_item(args, data, bytes))
        encode_bin(&args->bytes, bytes == 0 ? "" : data, bytes);
}

void ringmq_args_text(struct ringmq_args *args, const char *text)
{
    if (args_bytes_item(args, text, text == NULL ? 1 : strlen(text)))
        encode_text(&args->bytes, text);
}

void ringmq_args_array(struct ringmq_args *args, uint32_t elements)
{
    if (!args_item(args))
        return;
    encode_array(&args->bytes, elements);
    args_open(args, elements);
}

void ringmq_args_map(struct ringmq_args *args, uint32_t pairs)
{
    if (!args_item(args))
        return;
    encode_map(&args->bytes, pairs);
    args_open(args, (uint64_t)pairs * 2);
}

void ringmq_args_value(struct ringmq_args *args, struct ringmq_value value)
{
    uint32_t end = value.tree == NULL ? 0 : tree_skip(value.tree, value.index);
    if (end == 0 && args->status == RINGMQ_OK)
        args->status = RINGMQ_ERR_ARGUMENT;
    for (struct ringmq_value at = value; at.index < end; at.index++) {
        struct ringmq_bytes bytes = ringmq_value_bytes(at);
        switch (ringmq_value_type(at)) {
        case RINGMQ_NIL:
            ringmq_args_nil(args);
            break;
        case RINGMQ_BOOL:
            ringmq_args_bool(args, ringmq_value_bool(at, false));
            break;
        case RINGMQ_UINT:
            ringmq_args_uint(args, ringmq_value_uint(at, 0));
            break;
        case RINGMQ_INT:
            ringmq_args_int(args, ringmq_value_int(at, 0));
            break;
        case RINGMQ_DOUBLE:
            ringmq_args_double(args, ringmq_value_double(at, 0));
            break;
        case RINGMQ_STR:
            ringmq_args_str(args, bytes.data, bytes.bytes);
            break;
        case RINGMQ_BIN:
            ringmq_args_bin(args, bytes.data, bytes.bytes);
            break;
        case RINGMQ_ARRAY:
            ringmq_args_array(args, ringmq_value_count(at));
            break;
        case RINGMQ_MAP:
            ringmq_args_map(args, ringmq_value_count(at));
            break;
        case RINGMQ_NONE:
        case RINGMQ_EXT:
            args->status = RINGMQ_ERR_ARGUMENT;
            return;
        }
    }
}

void ringmq_args_packed(struct ringmq_args *args, const void *msgpack, size_t bytes)
{
    if (bytes == 0 || args->status != RINGMQ_OK)
        return;
    struct decoder *decoder = bytes > UINT32_MAX ? NULL : decoder_new(bytes, NULL);
    if (decoder == NULL)
        args->status = bytes > UINT32_MAX ? RINGMQ_ERR_ARGUMENT : RINGMQ_ERR_NO_MEMORY;
    for (size_t at = 0, used; at < bytes && args->status == RINGMQ_OK; at += used) {
        if (decoder_feed(decoder, (const uint8_t *)msgpack + at, bytes - at, &used) != DECODER_READY ||
            decoder->too_many_nodes) {
            bool starved = decoder->refusal == DECODER_NO_MEMORY;
            args->status = starved ? RINGMQ_ERR_NO_MEMORY : RINGMQ_ERR_ARGUMENT;
            break;
        }
        struct ringmq_tree tree = {.nodes = decoder->nodes, .decoder = decoder};
        ringmq_args_value(args, (struct ringmq_value){&tree, 0});
        decoder_next(decoder);
    }
    decoder_free(decoder);
}

void ringmq_args_backoff(struct ringmq_args *args, const struct ringmq_backoff *backoff)
{
    if (backoff == NULL) {
        ringmq_args_nil(args);
        return;
    }
    int pairs = 2 + (backoff->factor != 0) + (backoff->cap_ms != 0);
    ringmq_args_map(args, (uint32_t)pairs);
    ringmq_args_text(args, "base");
    ringmq_args_int(args, backoff->base_ms);
    if (backoff->factor != 0) {
        ringmq_args_text(args, "factor");
        ringmq_args_double(args, backoff->factor);
    }
    if (backoff->cap_ms != 0) {
        ringmq_args_text(args, "cap");
        ringmq_args_int(args, backoff->cap_ms);
    }
    ringmq_args_text(args, "jitter");
    ringmq_args_double(args, backoff->jitter);
}
