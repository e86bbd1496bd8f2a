/*
 * options_error: how a refusal is put into words.
 */
#include "server/ops/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

int option_fail(struct option_error *error, enum option_result result, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *at = error->text; *at != '\0'; at++) {
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
    }
    return result;
}

struct option_shown option_show(const char *text, size_t bytes)
{
    struct option_shown s;
    const size_t kept = bytes < OPTION_SHOWN_BYTES ? bytes : OPTION_SHOWN_BYTES;

    for (size_t i = 0; i < kept; i++)
        s.text[i] = text[i] == '\0' ? '?' : text[i];
    memcpy(s.text + kept, kept < bytes ? "..." : "\0\0\0", 4);
    return s;
}

/* Capitals are no difference, nor are dashes for underscores. */
static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == (b == '-' ? '_' : tolower((unsigned char)b));
}

/* Levenshtein's distance between a key and a text of at most OPTION_SHOWN_BYTES. */
static size_t distance(const char *key, const char *text, size_t bytes)
{
    size_t row[OPTION_SHOWN_BYTES + 1];

    for (size_t j = 0; j <= bytes; j++)
        row[j] = j;
    for (size_t i = 0; key[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= bytes; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (same_letter(key[i], text[j - 1]) ? 0 : 1);
            best = above + 1 < best ? above + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
        }
    }
    return row[bytes];
}

int option_fail_unknown(struct option_error *error, const char *dashes, const char *key, size_t bytes)
{
    const char *nearest = NULL;
    /* A third of the key may be wrong: enough for "max_mem", too little to offer "port" for anything short. */
    size_t least = bytes / 3 + 2;

    for (unsigned id = 0; id < OPTION_COUNT && bytes <= OPTION_SHOWN_BYTES; id++) {
        const char *candidate = option_row((enum option_id)id)->key;
        const size_t d = distance(candidate, key, bytes);
        if (d < least) {
            least = d;
            nearest = candidate;
        }
    }
    const struct option_shown given = option_show(key, bytes);
    if (nearest == NULL)
        return option_fail(error, OPTION_UNKNOWN_KEY, "unknown option '%s%s'", dashes, given.text);
    return option_fail(error, OPTION_UNKNOWN_KEY, "unknown option '%s%s'; did you mean '%s%s'?", dashes, given.text,
                       dashes, nearest);
}
