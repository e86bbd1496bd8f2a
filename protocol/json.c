#include "protocol/json.h"

#include "protocol/encoder.h"
#include "protocol/numbers.h"
#include "protocol/utf8.h"

#include <string.h>

/* A longer number is no number that anybody needs. */
#define NUMBER_BYTES 64

struct reader {
    const char *text;
    size_t at, bytes;
    unsigned depth;
    struct buffer *out;
    const char *wrong;
};

static bool value_read(struct reader *r);

static bool refuse(struct reader *r, const char *why)
{
    if (r->wrong == NULL)
        r->wrong = why;
    return false;
}

static char next(const struct reader *r)
{
    return r->at < r->bytes ? r->text[r->at] : '\0';
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->bytes && strchr(" \t\r\n", r->text[r->at]) != NULL && r->text[r->at] != '\0')
        r->at++;
}

/* Passes over one character if it is this. */
static bool take(struct reader *r, char c)
{
    if (next(r) != c || r->at >= r->bytes)
        return false;
    r->at++;
    return true;
}

/* ---- containers -------------------------------------------------------------------------------------------------- */

/*
 * The header of a container stands before its elements, whose number is known only behind them. So it is written
 * behind them, and then the two change places.
 */
static void header_move(struct buffer *out, size_t begin, size_t end)
{
    uint8_t header[ENCODER_HEADER_BYTES];

    if (out->failed)
        return;
    const size_t bytes = out->bytes - end;
    memcpy(header, out->data + end, bytes);
    memmove(out->data + begin + bytes, out->data + begin, end - begin);
    memcpy(out->data + begin, header, bytes);
}

static bool string_read(struct reader *r);

static bool member_read(struct reader *r)
{
    skip_blanks(r);
    if (next(r) != '"')
        return refuse(r, "the name of a member in \"...\" is missing");
    if (!string_read(r))
        return false;
    skip_blanks(r);
    if (!take(r, ':'))
        return refuse(r, "a colon is missing");
    return value_read(r);
}

static bool container_read(struct reader *r, char close, bool members)
{
    const size_t begin = r->out->bytes;
    uint32_t count = 0;

    if (r->depth == JSON_DEPTH)
        return refuse(r, "nested too deep");
    r->depth++;
    r->at++;
    skip_blanks(r);
    if (!take(r, close)) {
        do {
            if (members ? !member_read(r) : !value_read(r))
                return false;
            count++;
            skip_blanks(r);
        } while (take(r, ','));
        if (!take(r, close))
            return refuse(r, members ? "a comma or } is missing" : "a comma or ] is missing");
    }
    const size_t end = r->out->bytes;
    if (members)
        encode_map(r->out, count);
    else
        encode_array(r->out, count);
    header_move(r->out, begin, end);
    r->depth--;
    return true;
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

static bool hex_read(struct reader *r, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        const char c = next(r);
        const char lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *code = *code << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return refuse(r, "\\u wants four hexadecimal digits");
    }
    return true;
}

/* What stands behind \u: one character, which may take two of them. */
static bool unicode_read(struct reader *r, char out[4], size_t *bytes)
{
    uint32_t code, low;

    if (!hex_read(r, &code))
        return false;
    if (code >= 0xdc00 && code <= 0xdfff)
        return refuse(r, "half a surrogate pair");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!take(r, '\\') || !take(r, 'u'))
            return refuse(r, "half a surrogate pair");
        if (!hex_read(r, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return refuse(r, "half a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *bytes = utf8_store(code, out);
    return true;
}

/* The character at r->at, which may be an escape, as its bytes. */
static bool character_read(struct reader *r, char out[4], size_t *bytes)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char c = r->text[r->at];

    if ((unsigned char)c < 0x20)
        return refuse(r, "a control character in text");
    if (c != '\\') {
        *bytes = utf8_character(r->text + r->at, r->bytes - r->at);
        if (*bytes == 0)
            return refuse(r, "text that is not UTF-8");
        memcpy(out, r->text + r->at, *bytes);
        r->at += *bytes;
        return true;
    }
    r->at++;
    if (take(r, 'u'))
        return unicode_read(r, out, bytes);
    const char *found = next(r) == '\0' ? NULL : strchr(names, next(r));
    if (found == NULL)
        return refuse(r, "an unknown escape");
    r->at++;
    out[0] = values[found - names];
    *bytes = 1;
    return true;
}

static bool string_read(struct reader *r)
{
    const size_t begin = r->out->bytes;
    char character[4];
    size_t bytes;

    r->at++;
    while (!take(r, '"')) {
        if (r->at >= r->bytes)
            return refuse(r, "text that does not end");
        if (!character_read(r, character, &bytes))
            return false;
        buffer_append(r->out, character, bytes);
    }
    if (r->out->failed)
        return true;
    /* As with a container: the header is known now. encode_str() writes it with the text, from behind to its place. */
    const size_t end = r->out->bytes, length = end - begin;
    if (buffer_reserve(r->out, ENCODER_HEADER_BYTES + length) == NULL)
        return true;
    encode_str(r->out, r->out->data + begin, length);
    const size_t whole = r->out->bytes - end;
    memmove(r->out->data + begin, r->out->data + end, whole);
    r->out->bytes = begin + whole;
    return true;
}

/* ---- numbers and words ------------------------------------------------------------------------------------------- */

static size_t digits_skip(struct reader *r)
{
    const size_t begin = r->at;

    while (next(r) >= '0' && next(r) <= '9')
        r->at++;
    return r->at - begin;
}

/* Passes over a number by the grammar's rules. *real: it has a fraction or an exponent. */
static bool number_skip(struct reader *r, bool *real)
{
    take(r, '-');
    const bool zero = next(r) == '0';
    const size_t whole = digits_skip(r);
    if (whole == 0 || (zero && whole > 1))
        return refuse(r, whole == 0 ? "not a value" : "a number that begins with 0");
    *real = false;
    if (take(r, '.')) {
        *real = true;
        if (digits_skip(r) == 0)
            return refuse(r, "digits are missing behind the point");
    }
    if (take(r, 'e') || take(r, 'E')) {
        *real = true;
        if (!take(r, '+'))
            take(r, '-');
        if (digits_skip(r) == 0)
            return refuse(r, "digits are missing in the exponent");
    }
    return true;
}

static bool number_read(struct reader *r)
{
    const size_t begin = r->at;
    char text[NUMBER_BYTES];
    uint64_t whole;
    double number;
    bool real;

    if (!number_skip(r, &real))
        return false;
    const size_t bytes = r->at - begin;
    if (bytes >= sizeof text)
        return refuse(r, "a number that is too long");
    memcpy(text, r->text + begin, bytes);
    text[bytes] = '\0';
    const bool negative = text[0] == '-';
    if (real && real_parse(text, &number))
        encode_double(r->out, number);
    else if (real || !number_parse(text + negative, &whole) || (negative && whole > (uint64_t)INT64_MAX + 1))
        return refuse(r, "a number that does not fit into 64 bits");
    else if (negative)
        encode_int(r->out, (int64_t)(0 - whole));
    else
        encode_uint(r->out, whole);
    return true;
}

static bool word_take(struct reader *r, const char *word)
{
    const size_t bytes = strlen(word);

    if (r->bytes - r->at < bytes || memcmp(r->text + r->at, word, bytes) != 0)
        return false;
    r->at += bytes;
    return true;
}

static bool value_read(struct reader *r)
{
    skip_blanks(r);
    switch (next(r)) {
    case '{':
        return container_read(r, '}', true);
    case '[':
        return container_read(r, ']', false);
    case '"':
        return string_read(r);
    case 't':
    case 'f':
        if (!word_take(r, "true") && !word_take(r, "false"))
            return refuse(r, "not a value");
        encode_bool(r->out, r->text[r->at - 2] == 'u');
        return true;
    case 'n':
        if (!word_take(r, "null"))
            return refuse(r, "not a value");
        encode_nil(r->out);
        return true;
    default:
        return number_read(r);
    }
}

bool json_read(const char *text, size_t bytes, struct buffer *out, struct json_error *error)
{
    struct reader r = {.text = text, .bytes = bytes, .out = out};
    const size_t begin = out->bytes;

    bool good = bytes <= JSON_BYTES ? value_read(&r) : refuse(&r, "longer than 64 KiB");
    if (good) {
        skip_blanks(&r);
        good = r.at == bytes || refuse(&r, "something stands behind the value");
    }
    if (!good) {
        *error = (struct json_error){r.at, r.wrong};
        out->bytes = begin;
    }
    return good;
}
