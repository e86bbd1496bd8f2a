#include "protocol/attribute_text.h"

#include "protocol/encoder.h"
#include "protocol/numbers.h"

#include <stdio.h>
#include <string.h>

static const struct attribute_facts rows[] = {
#define X(field, kind, initial, min, max, choices, help) {#field, ATTRIBUTE_##kind, initial, choices, help},
    ATTRIBUTE_LIST(X)
#undef X
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const struct attribute_facts *attribute_facts(size_t index)
{
    return index < ROW_COUNT ? &rows[index] : NULL;
}

static bool same_name(const char *name, const char *given, size_t bytes)
{
    if (strlen(name) != bytes)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] != given[i] && !(name[i] == '_' && given[i] == '-'))
            return false;
    }
    return true;
}

const struct attribute_facts *attribute_facts_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (same_name(rows[i].name, name, bytes))
            return &rows[i];
    }
    return NULL;
}

const char *attribute_facts_word(const struct attribute_facts *facts, size_t value, size_t *bytes)
{
    const char *word = facts->choices;

    while (value-- > 0) {
        word += strcspn(word, "|");
        if (*word == '\0')
            return NULL;
        word++;
    }
    *bytes = strcspn(word, "|");
    return *bytes > 0 ? word : NULL;
}

/* ---- backoff ----------------------------------------------------------------------------------------------------- */

/* Its fields in the order of the text. */
struct backoff_words {
    char words[4][NUMBER_PRINT_BYTES];
};

/* Cuts at commas. False: too many, or one too long. */
static bool backoff_cut(const char *text, struct backoff_words *out)
{
    *out = (struct backoff_words){.words = {""}};
    for (size_t i = 0; i < 4; i++) {
        const size_t bytes = strcspn(text, ",");
        if (bytes >= sizeof out->words[i])
            return false;
        memcpy(out->words[i], text, bytes);
        text += bytes;
        if (*text == '\0')
            return true;
        text++;
    }
    return false;
}

static const char *backoff_write(const char *text, struct buffer *out)
{
    static const char *const names[4] = {"base", "factor", "cap", "jitter"};
    static const char wanted[] = "a backoff: base,factor,cap,jitter such as 1s,2,1m,0.1";
    struct backoff_words w;
    uint64_t times[4];
    double reals[4];
    uint32_t pairs = 0;

    if (!backoff_cut(text, &w) || w.words[0][0] == '\0')
        return wanted;
    for (size_t i = 0; i < 4; i++) {
        const char *word = w.words[i];
        if (word[0] == '\0')
            continue;
        if (i % 2 == 0 ? !time_parse(word, 1, &times[i]) : !real_parse(word, &reals[i]))
            return wanted;
        pairs++;
    }
    encode_map(out, pairs);
    for (size_t i = 0; i < 4; i++) {
        if (w.words[i][0] == '\0')
            continue;
        encode_text(out, names[i]);
        if (i % 2 == 0)
            encode_uint(out, times[i]);
        else
            encode_double(out, reals[i]);
    }
    return NULL;
}

void backoff_print(uint64_t base_ms, double factor, uint64_t cap_ms, double jitter, char out[BACKOFF_PRINT_BYTES])
{
    char base[NUMBER_PRINT_BYTES], cap[NUMBER_PRINT_BYTES], times[NUMBER_PRINT_BYTES], part[NUMBER_PRINT_BYTES];

    time_print(base_ms, base);
    time_print(cap_ms, cap);
    real_print(factor, times);
    real_print(jitter, part);
    if (jitter != 0)
        snprintf(out, BACKOFF_PRINT_BYTES, "%s,%s,%s,%s", base, times, cap, part);
    else if (cap_ms != 0)
        snprintf(out, BACKOFF_PRINT_BYTES, "%s,%s,%s", base, times, cap);
    else
        snprintf(out, BACKOFF_PRINT_BYTES, "%s,%s", base, times);
}

/* ---- any attribute ----------------------------------------------------------------------------------------------- */

/* A number of whatever kind. Returns what it should be, or NULL. */
static const char *number_write(enum attribute_kind kind, const char *text, struct buffer *out)
{
    uint64_t number;

    if (kind == ATTRIBUTE_MS && !time_parse(text, 1, &number))
        return "a time such as 500ms, 5s or 2m";
    if (kind == ATTRIBUTE_BYTES && !number_parse(text, &number) && !size_parse(text, &number))
        return "a size such as 64kb or 2mb";
    if (kind == ATTRIBUTE_COUNT && !number_parse(text, &number))
        return "a number";
    encode_uint(out, number);
    return NULL;
}

static const char *bool_write(const char *text, struct buffer *out)
{
    const bool yes = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;

    if (!yes && strcmp(text, "false") != 0 && strcmp(text, "no") != 0)
        return "true or false";
    encode_bool(out, yes);
    return NULL;
}

static const char *choice_write(const struct attribute_facts *facts, const char *text, struct buffer *out)
{
    size_t bytes = 0;
    const char *word;

    for (size_t i = 0; (word = attribute_facts_word(facts, i, &bytes)) != NULL; i++) {
        if (bytes == strlen(text) && memcmp(word, text, bytes) == 0) {
            encode_str(out, word, bytes);
            return NULL;
        }
    }
    return facts->choices;
}

const char *attribute_text_write(const struct attribute_facts *facts, const char *text, bool quoted, struct buffer *out)
{
    const bool nil = text[0] == '\0' || (strcmp(text, "nil") == 0 && !quoted);

    switch (facts->kind) {
    case ATTRIBUTE_MS:
    case ATTRIBUTE_BYTES:
    case ATTRIBUTE_COUNT:
        return number_write(facts->kind, text, out);
    case ATTRIBUTE_CHOICE:
        return choice_write(facts, text, out);
    case ATTRIBUTE_BOOL:
        return bool_write(text, out);
    case ATTRIBUTE_NAME:
    case ATTRIBUTE_BACKOFF:
        break;
    }
    if (nil)
        encode_nil(out);
    else if (facts->kind == ATTRIBUTE_BACKOFF)
        return backoff_write(text, out);
    else
        encode_text(out, text);
    return NULL;
}
