/*
 * One walk through both texts, a word at a time. Only `#` leaves a choice, and only the last one met has to be kept:
 * whatever an earlier one could take differently, the last can take as well, since it follows in the pattern and takes
 * any words. When the walk fails, the last `#` takes one word more and the walk goes on behind it.
 */
#include "server/broker/pattern.h"

#include "protocol/limits.h"

#include <string.h>

/* A place between the words of a text. */
struct words {
    const char *text;
    size_t bytes;
    size_t at; /* where the next word begins; above `bytes`: there is none */
};

struct word {
    const char *text;
    size_t bytes;
};

static struct words words_of(const char *text, size_t bytes)
{
    return (struct words){text, bytes, bytes == 0 ? 1 : 0};
}

/* Takes the next word. False at the end. */
static bool words_next(struct words *words, struct word *out)
{
    if (words->at > words->bytes)
        return false;
    const char *begin = words->text + words->at;
    const size_t left = words->bytes - words->at;
    const char *dot = left > 0 ? memchr(begin, '.', left) : NULL;
    *out = (struct word){begin, dot != NULL ? (size_t)(dot - begin) : left};
    words->at += out->bytes + 1;
    return true;
}

static bool word_is(const struct word *word, char wildcard)
{
    return word->bytes == 1 && word->text[0] == wildcard;
}

static bool word_matches(const struct word *pattern, const struct word *key)
{
    return word_is(pattern, '*') || (pattern->bytes == key->bytes && memcmp(pattern->text, key->text, key->bytes) == 0);
}

bool key_valid(const char *text, size_t bytes)
{
    struct words words = words_of(text, bytes);
    struct word word;
    unsigned count = 0;

    if (bytes > LIMIT_KEY_BYTES)
        return false;
    while (words_next(&words, &word))
        count++;
    return count <= LIMIT_KEY_WORDS;
}

bool pattern_valid(const char *text, size_t bytes)
{
    struct words words = words_of(text, bytes);
    struct word word;

    if (!key_valid(text, bytes))
        return false;
    while (words_next(&words, &word)) {
        if (word.bytes > 1 && (memchr(word.text, '*', word.bytes) || memchr(word.text, '#', word.bytes)))
            return false;
    }
    return true;
}

bool pattern_matches(const char *pattern, size_t pattern_bytes, const char *key, size_t key_bytes)
{
    struct words wanted = words_of(pattern, pattern_bytes), words = words_of(key, key_bytes);
    struct words behind_hash, left_by_hash; /* where the walk goes on when the last `#` has taken one word more */
    bool hash = false;
    struct word want, word;

    for (;;) {
        const bool wants = words_next(&wanted, &want);
        if (wants && word_is(&want, '#')) {
            hash = true;
            behind_hash = wanted;
            left_by_hash = words;
            continue;
        }
        const bool more = words_next(&words, &word);
        if (!wants && !more)
            return true;
        if (wants && more && word_matches(&want, &word))
            continue;
        /* Without another word of the key, no `#` can help. */
        if (!more || !hash)
            return false;
        (void)words_next(&left_by_hash, &word);
        wanted = behind_hash;
        words = left_by_hash;
    }
}
