#include "protocol/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What stands after a backslash at *at. Returns the byte, or -1. */
static int escape_read(const char **at, const char *end)
{
    static const char names[] = "nrtabfv0\\\"'";
    static const char bytes[] = "\n\r\t\a\b\f\v\0\\\"'";

    if (*at == end)
        return -1;
    const char c = *(*at)++;
    if (c == 'x') {
        const int high = *at < end ? hex_digit((*at)[0]) : -1;
        const int low = high >= 0 && end - *at >= 2 ? hex_digit((*at)[1]) : -1;
        *at += low >= 0 ? 2 : 0;
        return low < 0 ? -1 : high * 16 + low;
    }
    const char *found = c == '\0' ? NULL : strchr(names, c);
    return found == NULL ? -1 : (unsigned char)bytes[found - names];
}

/* One word from *at on, written to `out`; word->text is set by the caller. Returns what is wrong, or NULL. */
static const char *word_read(const char **at, const char *end, char *out, struct word *word)
{
    char quote = '\0';

    while (*at < end) {
        const char c = *(*at)++;
        if (quote == '\0' && is_blank(c))
            return NULL;
        if (quote == '\0' ? c == '\'' || c == '"' : c == quote) {
            quote = c == quote ? '\0' : c;
            if (word->quoted_from > word->bytes)
                word->quoted_from = word->bytes;
            word->quoted = word->quoted_from == 0;
            continue;
        }
        int byte = (unsigned char)c;
        if (quote == '"' && c == '\\') {
            byte = escape_read(at, end);
            if (byte < 0)
                return "an unknown escape after \\ (known: \\n \\r \\t \\\\ \\\" \\xHH)";
        }
        out[word->bytes++] = (char)byte;
    }
    return quote == '\0' ? NULL : "a quote is not closed";
}

/* A word begins wherever something else than a blank follows a blank: there are no more words than that. */
static size_t most_words(const char *line, size_t bytes)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes; i++)
        count += !is_blank(line[i]) && (i == 0 || is_blank(line[i - 1]));
    return count;
}

static bool words_room(struct words *words, size_t count, size_t text_bytes)
{
    *words = (struct words){.list = calloc(count + 1, sizeof *words->list), .text = malloc(text_bytes + count + 1)};
    return words->list != NULL && words->text != NULL;
}

const char *words_split(struct words *words, const char *line, size_t bytes)
{
    const char *at = line, *end = line + bytes;

    if (!words_room(words, most_words(line, bytes), bytes))
        return "out of memory";
    char *text = words->text;
    for (;;) {
        while (at < end && is_blank(*at))
            at++;
        if (at == end)
            return NULL;
        struct word *word = &words->list[words->count];
        *word = (struct word){.text = text, .quoted_from = SIZE_MAX};
        const char *wrong = word_read(&at, end, text, word);
        if (wrong != NULL)
            return wrong;
        text[word->bytes] = '\0';
        text += word->bytes + 1;
        words->count++;
    }
}

bool words_copy(struct words *words, size_t count, char *const *texts)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += strlen(texts[i]);
    if (!words_room(words, count, bytes))
        return false;
    char *text = words->text;
    for (; words->count < count; words->count++) {
        const size_t length = strlen(texts[words->count]);
        words->list[words->count] = (struct word){text, length, false, SIZE_MAX};
        memcpy(text, texts[words->count], length + 1);
        text += length + 1;
    }
    return true;
}

void words_close(struct words *words)
{
    free(words->list);
    free(words->text);
    *words = (struct words){NULL, 0, NULL};
}

bool word_is(const struct word *word, const char *text)
{
    return strlen(text) == word->bytes && memcmp(word->text, text, word->bytes) == 0;
}
