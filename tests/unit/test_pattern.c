/* pattern: a table of what matches, a matcher that tries everything, and a pattern made to be slow. */
#include "server/broker/pattern.h"

#include "protocol/limits.h"
#include "tests/support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

static bool matches(const char *pattern, const char *key)
{
    return pattern_matches(pattern, strlen(pattern), key, strlen(key));
}

/* Each pattern matches the keys that stand in its first list and none of its second. */
static void test_patterns_match_word_by_word(void **state)
{
    static const struct {
        const char *pattern;
        const char *keys[8];
        const char *others[8];
    } table[] = {
        {"", {""}, {"a", ".", "*", "#"}},
        {"a", {"a"}, {"", "b", "aa", "a.", ".a", "a.a", "A"}},
        {"a.b", {"a.b"}, {"a", "b", "a.b.", "a..b", "a.bb", "ab"}},
        {"*", {"a", "long word", "*", "#"}, {"", ".", "a.b"}},
        {"#", {"", "a", ".", "..", "a.b.c", "#"}, {NULL}},
        {".", {"."}, {"", "..", "a.", ".a"}},
        {"a.", {"a."}, {"a", "a.b", "a.."}},
        {"*.*", {".", "a.b", "a.", ".b"}, {"", "a", "a.b.c", ".."}},
        {"a.*", {"a.b", "a."}, {"a", "b.a", "a.b.c"}},
        {"*.b", {"a.b", ".b"}, {"b", "a.b.c", "a.c"}},
        {"a.*.c", {"a.b.c", "a..c"}, {"a.c", "a.b.b.c", "a.b.d"}},
        {"a.#", {"a", "a.", "a.b", "a.b.c"}, {"", "b", "b.a", "aa", "ab.c"}},
        {"#.a", {"a", ".a", "b.a", "a.a.a"}, {"", "a.b", "ba"}},
        {"a.#.c", {"a.c", "a.b.c", "a.c.c", "a.c.b.c"}, {"a", "c", "a.b", "a.c.b"}},
        {"#.b.#", {"b", "a.b", "b.c", "a.b.c", "b.b.b"}, {"", "a", "a.c", "bb"}},
        {"#.*", {"a", ".", "a.b.c"}, {""}},
        {"*.#", {"a", ".", "a.b.c"}, {""}},
        {"#.*.#.*.#", {"a.b", "a.b.c"}, {"", "a"}},
        {"#.#", {"", "a", "a.b"}, {NULL}},
        {"#.a.b", {"a.b", "a.a.b", "a.b.a.b"}, {"a.b.a", "b", "a.c.b"}},
        {"#.a.*.b", {"a.a.b", "a.a.a.b", "x.a.x.b"}, {"a.b", "a.x.x.b"}},
        {"a.#.b.#.c", {"a.b.c", "a.b.b.c.c", "a.c.b.c"}, {"a.c.b", "a.c", "a.c.c"}},
        {"#.", {".", "a.", "a.b."}, {"", "a", ".a"}},
        {"\xc3\xa4.*", {"\xc3\xa4.x"}, {"\xc3.x", "a.x"}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        assert_true(pattern_valid(table[i].pattern, strlen(table[i].pattern)));
        for (size_t k = 0; k < COUNT_OF(table[i].keys) && table[i].keys[k] != NULL; k++) {
            if (!matches(table[i].pattern, table[i].keys[k]))
                fail_msg("'%s' must match '%s'", table[i].pattern, table[i].keys[k]);
        }
        for (size_t k = 0; k < COUNT_OF(table[i].others) && table[i].others[k] != NULL; k++) {
            if (matches(table[i].pattern, table[i].others[k]))
                fail_msg("'%s' must not match '%s'", table[i].pattern, table[i].others[k]);
        }
    }
}

/* A wildcard is a word of its own; nothing else is refused but length. */
static void test_a_wildcard_is_a_whole_word(void **state)
{
    static const char *const valid[] = {"", ".", "..", "a", "*", "#", "*.#", "#.#", "a b.\xc3\xa4.-", "*.", ".#", "*."};
    static const char *const invalid[] = {"a*", "*a", "a#", "#a", "**", "##", "*#", "a.b*", "a*.b", "#.##", "x.a*b.y"};
    char text[LIMIT_KEY_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(valid); i++)
        assert_true(pattern_valid(valid[i], strlen(valid[i])));
    for (size_t i = 0; i < COUNT_OF(invalid); i++)
        assert_false(pattern_valid(invalid[i], strlen(invalid[i])));
    memset(text, 'a', sizeof text);
    assert_true(pattern_valid(text, LIMIT_KEY_BYTES));
    assert_false(pattern_valid(text, LIMIT_KEY_BYTES + 1));
    memset(text, '.', sizeof text);
    assert_true(key_valid(text, LIMIT_KEY_WORDS - 1) && pattern_valid(text, LIMIT_KEY_WORDS - 1));
    assert_false(key_valid(text, LIMIT_KEY_WORDS) || pattern_valid(text, LIMIT_KEY_WORDS));
    assert_true(key_valid("a*.#", 4));
    assert_true(pattern_valid(NULL, 0));
    assert_true(pattern_matches(NULL, 0, NULL, 0));
}

/* ---- against a matcher that tries everything --------------------------------------------------------------------- */

#define WORDS_MAX 8

struct split {
    size_t count;
    char words[WORDS_MAX][4];
};

static struct split split(const char *text)
{
    struct split s = {0};

    if (*text == '\0')
        return s;
    for (;;) {
        const size_t bytes = strcspn(text, ".");
        assert_true(s.count < WORDS_MAX && bytes < sizeof s.words[0]);
        memcpy(s.words[s.count++], text, bytes);
        if (text[bytes] == '\0')
            return s;
        text += bytes + 1;
    }
}

static bool naive_matches(const struct split *pattern, size_t p, const struct split *key, size_t k)
{
    if (p == pattern->count)
        return k == key->count;
    if (strcmp(pattern->words[p], "#") == 0)
        return naive_matches(pattern, p + 1, key, k) || (k < key->count && naive_matches(pattern, p, key, k + 1));
    return k < key->count && (strcmp(pattern->words[p], "*") == 0 || strcmp(pattern->words[p], key->words[k]) == 0) &&
           naive_matches(pattern, p + 1, key, k + 1);
}

/* Up to WORDS_MAX of the first `choices` words. */
static void random_text(struct random *r, uint64_t choices, char *out)
{
    static const char *const words[] = {"a", "b", "", "ab", "*", "#", "#"};
    const uint64_t count = random_below(r, WORDS_MAX + 1);

    *out = '\0';
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            strcat(out, ".");
        strcat(out, words[random_below(r, choices)]);
    }
}

/* On random patterns and keys the walk finds what trying everything finds. */
static void test_random_patterns_match_as_if_all_was_tried(void **state)
{
    struct random r = test_seed(__func__);
    unsigned matched = 0;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        char pattern[64], key[64];
        random_text(&r, 7, pattern);
        random_text(&r, 4, key);
        const struct split p = split(pattern), k = split(key);
        const bool expected = naive_matches(&p, 0, &k, 0);
        assert_true(pattern_valid(pattern, strlen(pattern)));
        if (matches(pattern, key) != expected)
            fail_msg("'%s' and '%s': %s", pattern, key, expected ? "must match" : "must not match");
        matched += expected;
    }
    assert_in_range(matched, 1000, 199000);
}

/* A pattern on which trying everything would not end in this test's lifetime is answered, and correctly. */
static void test_a_hostile_pattern_is_answered(void **state)
{
    char pattern[LIMIT_KEY_BYTES + 1] = "#", key[LIMIT_KEY_BYTES + 1] = "a";

    (void)state;
    for (int words = 1; words + 3 <= LIMIT_KEY_WORDS; words += 2)
        strcat(pattern, ".a.#");
    strcat(pattern, ".b");
    for (int words = 1; words < LIMIT_KEY_WORDS; words++)
        strcat(key, ".a");
    assert_true(pattern_valid(pattern, strlen(pattern)) && key_valid(key, strlen(key)));
    assert_false(matches(pattern, key));
    key[strlen(key) - 1] = 'b';
    assert_true(matches(pattern, key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_match_word_by_word),
        cmocka_unit_test(test_a_wildcard_is_a_whole_word),
        cmocka_unit_test(test_random_patterns_match_as_if_all_was_tried),
        cmocka_unit_test(test_a_hostile_pattern_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
