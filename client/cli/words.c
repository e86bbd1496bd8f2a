#include "client/cli/words.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *memory_resize(void *memory, size_t bytes)
{
    void *larger = realloc(memory, bytes > 0 ? bytes : 1);
    if (larger == NULL) {
        fputs("ringmq-cli: out of memory\n", stderr);
        exit(1);
    }
    return larger;
}

void *memory_new(size_t bytes)
{
    void *memory = calloc(bytes > 0 ? bytes : 1, 1);
    return memory != NULL ? memory : memory_resize(NULL, bytes);
}

char *text_copy(const char *text, size_t bytes)
{
    char *copy = memory_new(bytes + 1);
    if (bytes > 0)
        memcpy(copy, text, bytes);
    return copy;
}

static void words_add(struct words *words, char *text, size_t bytes, bool quoted)
{
    words->list = memory_resize(words->list, (words->count + 1) * sizeof(*words->list));
    words->list[words->count++] = (struct word){text, bytes, quoted};
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
    char c = *(*at)++;
    if (c == 'x') {
        int high = *at < end ? hex_digit((*at)[0]) : -1;
        int low = high >= 0 && end - *at >= 2 ? hex_digit((*at)[1]) : -1;
        *at += 2;
        return low < 0 ? -1 : high * 16 + low;
    }
    const char *found = c == '\0' ? NULL : strchr(names, c);
    return found == NULL ? -1 : (unsigned char)bytes[found - names];
}

/* One word from *at on, written to `out`, which has room for all of the line. */
static const char *word_read(const char **at, const char *end, char *out, size_t *bytes, bool *quoted)
{
    char quote = '\0';

    *bytes = 0;
    while (*at < end) {
        char c = *(*at)++;
        if (quote == '\0' && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            return NULL;
        if (quote == '\0' ? c == '\'' || c == '"' : c == quote) {
            quote = c == quote ? '\0' : c;
            *quoted = true;
            continue;
        }
        int byte = (unsigned char)c;
        if (quote == '"' && c == '\\') {
            byte = escape_read(at, end);
            if (byte < 0)
                return "an unknown escape after \\ (known: \\n \\r \\t \\\\ \\\" \\xHH)";
        }
        out[(*bytes)++] = (char)byte;
    }
    return quote == '\0' ? NULL : "a quote is not closed";
}

const char *words_split(struct words *words, const char *line, size_t bytes)
{
    const char *at = line, *end = line + bytes;

    *words = (struct words){NULL, 0};
    for (;;) {
        while (at < end && strchr(" \t\r\n", *at) != NULL && *at != '\0')
            at++;
        if (at == end)
            return NULL;
        char *text = memory_new((size_t)(end - at) + 1);
        size_t n = 0;
        bool quoted = false;
        const char *wrong = word_read(&at, end, text, &n, &quoted);
        if (wrong != NULL) {
            free(text);
            return wrong;
        }
        text[n] = '\0';
        words_add(words, text, n, quoted);
    }
}

void words_copy(struct words *words, int count, char *const *arguments)
{
    *words = (struct words){NULL, 0};
    for (int i = 0; i < count; i++)
        words_add(words, text_copy(arguments[i], strlen(arguments[i])), strlen(arguments[i]), false);
}

void words_close(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->list[i].text);
    free(words->list);
    *words = (struct words){NULL, 0};
}

bool word_is(const struct word *word, const char *text)
{
    return strlen(text) == word->bytes && memcmp(word->text, text, word->bytes) == 0;
}

bool number_parse(const char *text, uint64_t *value)
{
    uint64_t n = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (*text < '0' || *text > '9' || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *value = n;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static bool unit_find(const struct unit *units, const char *name, uint64_t *factor)
{
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, name) == 0) {
            *factor = units->factor;
            return true;
        }
    }
    return false;
}

bool time_parse(const char *text, uint64_t plain_ms, uint64_t *ms)
{
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
    uint64_t factor = plain_ms;
    char *end;

    if (number_parse(text, ms) && plain_ms == 1)
        return true;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || (text[digits] != '\0' && !unit_find(units, text + digits, &factor)))
        return false;
    double value = strtod(text, &end) * (double)factor;
    if (end != text + digits || !(value < 9e15))
        return false;
    *ms = (uint64_t)ceil(value);
    return true;
}

bool size_parse(const char *text, uint64_t *bytes)
{
    static const struct unit units[] = {{"b", 1}, {"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {NULL, 0}};
    size_t digits = strspn(text, "0123456789");
    char number[24];
    uint64_t factor;

    if (digits == 0 || digits >= sizeof(number) || !unit_find(units, text + digits, &factor))
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    if (!number_parse(number, bytes) || *bytes > UINT64_MAX / factor)
        return false;
    *bytes *= factor;
    return true;
}
