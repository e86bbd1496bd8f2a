/*
 * json: the third form of output. Text stays text; a str or bin that is not UTF-8 is {"base64": "..."}. Numbers that
 * JSON does not know (infinite, not a number) are null.
 */
#include "client/cli/output.h"
#include "protocol/numbers.h"
#include "protocol/utf8.h"

#include <math.h>
#include <string.h>

static void json_base64(FILE *out, struct ringmq_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *data = (const unsigned char *)bytes.data;

    fputs("{\"base64\":\"", out);
    for (size_t i = 0; i < bytes.bytes; i += 3) {
        size_t left = bytes.bytes - i;
        uint32_t bits = (uint32_t)data[i] << 16;
        bits |= left > 1 ? (uint32_t)data[i + 1] << 8 : 0;
        bits |= left > 2 ? data[i + 2] : 0;
        fputc(digits[bits >> 18], out);
        fputc(digits[bits >> 12 & 63], out);
        fputc(left > 1 ? digits[bits >> 6 & 63] : '=', out);
        fputc(left > 2 ? digits[bits & 63] : '=', out);
    }
    fputs("\"}", out);
}

static void json_text(FILE *out, struct ringmq_bytes text)
{
    size_t plain = 0;

    fputc('"', out);
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        fwrite(text.data + plain, 1, i - plain, out);
        plain = i + 1;
        const char *names = "\"\"\\\\\nn\rr\tt\bb\ff";
        for (; *names != '\0' && (unsigned char)*names != c; names += 2)
            ;
        if (*names != '\0')
            fprintf(out, "\\%c", names[1]);
        else
            fprintf(out, "\\u%04x", c);
    }
    fwrite(text.data + plain, 1, text.bytes - plain, out);
    fputc('"', out);
}

void json_bytes(FILE *out, struct ringmq_bytes bytes)
{
    if (bytes.data != NULL && !utf8_is_text(bytes.data, bytes.bytes))
        json_base64(out, bytes);
    else
        json_text(out, bytes.data == NULL ? (struct ringmq_bytes){"", 0} : bytes);
}

/* A key is text in JSON, whatever it was. */
static void json_key(FILE *out, struct ringmq_bytes key)
{
    json_text(out, key.data == NULL || !utf8_is_text(key.data, key.bytes) ? (struct ringmq_bytes){"?", 1} : key);
    fputc(':', out);
}

static void json_double(FILE *out, double value, bool exact)
{
    char text[NUMBER_PRINT_BYTES];

    real_print(value, text);
    fputs(text, out);
    if (exact && strpbrk(text, ".e") == NULL)
        fputs(".0", out);
}

static void json_container(FILE *out, enum output_shape shape, struct ringmq_value value)
{
    struct members members;
    struct ringmq_bytes key;
    struct ringmq_value item;
    bool named = members_begin(&members, value, shape);
    bool first = true;

    fputc(named ? '{' : '[', out);
    while (members_next(&members, &key, &item)) {
        if (!first)
            fputc(',', out);
        first = false;
        if (named)
            json_key(out, key);
        json_print(out, shape_of_child(shape, key, item), item);
    }
    fputc(named ? '}' : ']', out);
}

void json_print(FILE *out, enum output_shape shape, struct ringmq_value value)
{
    switch (ringmq_value_type(value)) {
    case RINGMQ_BOOL:
        fputs(ringmq_value_bool(value, false) ? "true" : "false", out);
        break;
    case RINGMQ_UINT:
        fprintf(out, "%llu", (unsigned long long)ringmq_value_uint(value, 0));
        break;
    case RINGMQ_INT:
        fprintf(out, "%lld", (long long)ringmq_value_int(value, 0));
        break;
    case RINGMQ_DOUBLE:
        if (isfinite(ringmq_value_double(value, 0)))
            json_double(out, ringmq_value_double(value, 0), shape == SHAPE_WORD_JSON);
        else
            fputs("null", out);
        break;
    case RINGMQ_STR:
    case RINGMQ_BIN:
        json_bytes(out, ringmq_value_bytes(value));
        break;
    case RINGMQ_ARRAY:
    case RINGMQ_MAP:
        json_container(out, shape, value);
        break;
    default:
        fputs("null", out);
        break;
    }
}

void output_delivery_json(FILE *out, const struct ringmq_delivery *d)
{
    fprintf(out, "{\"receipt\":%llu,\"id\":%llu,\"attempts\":%llu,\"body\":", (unsigned long long)d->receipt,
            (unsigned long long)d->id, (unsigned long long)d->attempts);
    json_bytes(out, (struct ringmq_bytes){d->body, d->body_bytes});
    if (ringmq_value_type(d->headers) == RINGMQ_MAP) {
        fputs(",\"headers\":", out);
        json_print(out, SHAPE_PLAIN, d->headers);
    }
    if (d->group.data != NULL) {
        fputs(",\"group\":", out);
        json_bytes(out, d->group);
    }
    if (d->priority > 0)
        fprintf(out, ",\"priority\":%u", d->priority);
    if (d->dedup_id.data != NULL) {
        fputs(",\"dedup_id\":", out);
        json_bytes(out, d->dedup_id);
    }
    fputs("}\n", out);
}
