#include "client/cli/messages.h"

#include "client/cli/memory.h"
#include "protocol/encoder.h"
#include "protocol/numbers.h"

#include <stdlib.h>
#include <string.h>

/* nil, true, false or a number: the value of NAME:=VALUE. False if it is none of these. */
static bool scalar_read(const char *text, struct ringmq_header *header)
{
    char *end = NULL;

    if (strcmp(text, "nil") == 0) {
        header->type = RINGMQ_NIL;
    } else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        header->type = RINGMQ_BOOL;
        header->value.boolean = text[0] == 't';
    } else if (number_parse(text, &header->value.uint)) {
        header->type = RINGMQ_UINT;
    } else if (text[0] == '-' && number_parse(text + 1, &header->value.uint) && header->value.uint <= INT64_MAX) {
        header->type = RINGMQ_INT;
        header->value.sint = -(int64_t)header->value.uint;
    } else {
        header->type = RINGMQ_DOUBLE;
        header->value.real = strtod(text, &end);
        return end != text && *end == '\0' && strspn(text, "+-.0123456789eE") == strlen(text);
    }
    return true;
}

static bool header_add(struct message_options *options, struct command_line *line, const char *text)
{
    struct ringmq_message *message = &options->message;
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text)
        return command_line_wrong(line, "%s: --header wants NAME=TEXT or NAME:=NUMBER, not %.80s", line->form.name,
                                  text);
    if (message->header_count == HEADERS_MAX)
        return command_line_wrong(line, "%s: more than %d headers", line->form.name, HEADERS_MAX);
    const bool typed = equals[-1] == ':' && equals - text > 1;
    char *name = text_copy(text, (size_t)(equals - text) - typed);
    options->names[message->header_count] = name;
    struct ringmq_header *header = &options->headers[message->header_count++];
    *header = (struct ringmq_header){.name = name, .type = RINGMQ_NONE, .value.text = equals + 1};
    if (typed && !scalar_read(equals + 1, header))
        return command_line_wrong(line, "%s: --header %s:= wants a number, true, false or nil, not %.80s",
                                  line->form.name, name, equals + 1);
    return true;
}

bool message_options_read(struct message_options *options, struct command_line *line)
{
    uint64_t delay_ms = 0, ttl_ms = 0, priority = 0;

    memset(options, 0, sizeof(*options));
    struct ringmq_message *message = &options->message;
    message->headers = options->headers;
    message->group = command_line_option(line, "group");
    message->dedup_id = command_line_option(line, "dedup-id");
    message->has_delay = command_line_option(line, "delay") != NULL;
    message->has_ttl = command_line_option(line, "ttl") != NULL;
    if (!command_line_time(line, "delay", 1, &delay_ms) || !command_line_time(line, "ttl", 1, &ttl_ms) ||
        !command_line_count(line, "priority", &priority))
        return false;
    if (priority > 9)
        return command_line_wrong(line, "%s: --priority takes 0 to 9", line->form.name);
    message->priority = (uint8_t)priority;
    message->delay_ms = (int64_t)delay_ms;
    message->ttl_ms = (int64_t)ttl_ms;
    for (size_t i = 0; i < line->option_count; i++) {
        const struct given *given = &line->options[i];
        if (given->type != NULL && given_is(given, "header") && !header_add(options, line, given->value))
            return false;
    }
    return true;
}

void message_options_close(struct message_options *options)
{
    for (size_t i = 0; i < HEADERS_MAX; i++)
        free(options->names[i]);
}

static void text_write(struct buffer *out, const char *key, const char *value)
{
    if (value == NULL)
        return;
    encode_text(out, key);
    encode_text(out, value);
}

static void number_write(struct buffer *out, const char *key, bool given, int64_t value)
{
    if (!given)
        return;
    encode_text(out, key);
    encode_int(out, value);
}

static void header_write(struct buffer *out, const struct ringmq_header *header)
{
    encode_text(out, header->name);
    switch (header->type) {
    case RINGMQ_NIL:
        encode_nil(out);
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
    default:
        encode_text(out, header->value.text);
    }
}

static void message_write(struct buffer *out, const struct ringmq_message *m, const void *body, size_t bytes)
{
    const int pairs = (m->header_count > 0) + (m->group != NULL) + (m->dedup_id != NULL) + (m->priority > 0) +
                      m->has_delay + m->has_ttl;

    if (pairs > 0)
        encode_array(out, 2);
    encode_bin(out, body, bytes);
    if (pairs == 0)
        return;
    encode_map(out, (uint32_t)pairs);
    if (m->header_count > 0) {
        encode_text(out, "headers");
        encode_map(out, m->header_count);
        for (uint32_t i = 0; i < m->header_count; i++)
            header_write(out, &m->headers[i]);
    }
    text_write(out, "group", m->group);
    text_write(out, "dedup_id", m->dedup_id);
    number_write(out, "priority", m->priority > 0, m->priority);
    number_write(out, "delay", m->has_delay, m->delay_ms);
    number_write(out, "ttl", m->has_ttl, m->ttl_ms);
}

bool messages_write(struct command_line *line, const struct word *const *words, size_t count, void *arg,
                    struct buffer *out)
{
    const struct ringmq_bytes *body = arg;
    struct message_options options;

    if (count == 0 && body == NULL)
        return command_line_wrong(line, "%s: messages is missing", line->form.name);
    const bool good = message_options_read(&options, line);
    encode_array(out, (uint32_t)count + (body != NULL));
    for (size_t i = 0; good && i < count; i++)
        message_write(out, &options.message, words[i]->text, words[i]->bytes);
    if (good && body != NULL)
        message_write(out, &options.message, body->data, body->bytes);
    message_options_close(&options);
    return good;
}
