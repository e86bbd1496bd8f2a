#include "client/messages.h"

#include "client/options.h"

static bool header_ok(const struct ringmq_header *header)
{
    if (header->name == NULL)
        return false;
    switch (header->type) {
    case RINGMQ_NONE:
        return header->value.text != NULL;
    case RINGMQ_NIL:
    case RINGMQ_BOOL:
    case RINGMQ_UINT:
    case RINGMQ_INT:
    case RINGMQ_DOUBLE:
        return true;
    case RINGMQ_STR:
    case RINGMQ_BIN:
        return header->value.bytes.bytes <= UINT32_MAX &&
               (header->value.bytes.data != NULL || header->value.bytes.bytes == 0);
    case RINGMQ_ARRAY:
    case RINGMQ_MAP:
    case RINGMQ_EXT:
        break;
    }
    return false;
}

static bool message_ok(const struct ringmq_message *message)
{
    if (message->body_bytes > UINT32_MAX || (message->body == NULL && message->body_bytes > 0))
        return false;
    if (message->headers == NULL && message->header_count > 0)
        return false;
    for (uint32_t i = 0; i < message->header_count; i++) {
        if (!header_ok(&message->headers[i]))
            return false;
    }
    return true;
}

static void header_encode(struct buffer *out, const struct ringmq_header *header)
{
    struct ringmq_bytes bytes = {"", 0};
    if ((header->type == RINGMQ_STR || header->type == RINGMQ_BIN) && header->value.bytes.bytes > 0)
        bytes = header->value.bytes;
    encode_text(out, header->name);
    switch (header->type) {
    case RINGMQ_NONE:
        encode_text(out, header->value.text);
        break;
    case RINGMQ_BOOL:
        encode_bool(out, header->value.boolean);
        break;
    case RINGMQ_UINT:
        encode_uint(out, header->value.uint);
        break;
    case RINGMQ_INT:
        encode_int(out, header->value.sint);
        break;
    case RINGMQ_DOUBLE:
        encode_double(out, header->value.real);
        break;
    case RINGMQ_STR:
        encode_str(out, bytes.data, bytes.bytes);
        break;
    case RINGMQ_BIN:
        encode_bin(out, bytes.data, bytes.bytes);
        break;
    default:
        encode_nil(out);
        break;
    }
}

bool messages_ok(const struct ringmq_message *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!message_ok(&messages[i]))
            return false;
    }
    return true;
}

static void headers_encode(struct buffer *out, const struct ringmq_message *message)
{
    encode_text(out, "headers");
    encode_map(out, message->header_count);
    for (uint32_t i = 0; i < message->header_count; i++)
        header_encode(out, &message->headers[i]);
}

static void message_encode(struct buffer *out, const struct ringmq_message *message)
{
    int options = (message->header_count > 0) + (message->group != NULL) + (message->dedup_id != NULL) +
                  (message->priority != 0) + message->has_delay + message->has_ttl;
    if (options > 0)
        encode_array(out, 2);
    encode_bin(out, message->body, message->body_bytes);
    if (options == 0)
        return;
    encode_map(out, (uint32_t)options);
    if (message->header_count > 0)
        headers_encode(out, message);
    option_text(out, "group", message->group);
    option_text(out, "dedup_id", message->dedup_id);
    option_uint(out, "priority", message->priority);
    if (message->has_delay)
        option_int(out, "delay", message->delay_ms);
    if (message->has_ttl)
        option_int(out, "ttl", message->ttl_ms);
}

void messages_encode(struct buffer *out, const struct ringmq_message *messages, uint32_t count)
{
    encode_array(out, count);
    for (uint32_t i = 0; i < count; i++)
        message_encode(out, &messages[i]);
}
