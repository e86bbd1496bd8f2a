/*
 * Random stories, told to the broker and to the model: the transcripts must be the same. A story that goes another way
 * is shrunk to a short one and printed with its seed.
 *
 *     MODEL_STORIES=n   how many stories (2,000)      MODEL_STEPS=n   steps in each (200)
 *     MODEL_SEED=n      the first seed (1)
 */
#include "tests/model/model.h"
#include "tests/sim/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* splitmix64 (Steele, Lea, Flood 2014): any seed is a good one. */
static uint32_t choose(void *user, uint32_t n)
{
    uint64_t *state = user;
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32) % n;
}

static char *tell(const struct step *steps, size_t count)
{
    size_t room = count * STEP_LINE + 1, bytes = 0;
    char *story = malloc(room);
    assert_non_null(story);
    story[0] = '\0';
    for (size_t i = 0; i < count; i++)
        bytes += step_print(&steps[i], story + bytes, room - bytes);
    char *transcript = story_run(story);
    free(story);
    return transcript;
}

static uint64_t steps_told;

static bool same(struct step *steps, size_t count)
{
    steps_end_turns(steps, count);
    char *expected = model_run(steps, &count), *got = tell(steps, count);
    bool equal = strcmp(expected, got) == 0;
    steps_told += count;
    free(expected);
    free(got);
    return equal;
}

/* Leaves out whatever can be left out while the transcripts still differ. */
static size_t shrink(struct step *steps, size_t count)
{
    for (size_t size = count / 2; size > 0; size /= 2)
        for (size_t at = 0; at + size <= count;) {
            struct step *shorter = malloc(count * sizeof *steps);
            assert_non_null(shorter);
            memcpy(shorter, steps, at * sizeof *steps);
            memcpy(shorter + at, steps + at + size, (count - at - size) * sizeof *steps);
            if (!same(shorter, count - size)) {
                count -= size;
                memcpy(steps, shorter, count * sizeof *steps);
            } else {
                at += size;
            }
            free(shorter);
        }
    return count;
}

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : otherwise;
}

/* The broker does what the model does, in every random story. */
static void broker_and_model_tell_the_same_stories(void **state)
{
    (void)state;
    long stories = setting("MODEL_STORIES", 2000), first = setting("MODEL_SEED", 1);
    size_t count = (size_t)setting("MODEL_STEPS", 200);
    struct step *steps = calloc(count, sizeof *steps);
    assert_non_null(steps);
    for (long seed = first; seed < first + stories; seed++) {
        uint64_t random = (uint64_t)seed;
        steps_invent(steps, count, choose, &random);
        if (same(steps, count))
            continue;
        size_t left = shrink(steps, count);
        char *expected = model_run(steps, &left), *got = tell(steps, left);
        fprintf(stderr, "seed %ld, shrunk to %zu steps. The model:\n%s\nThe broker:\n%s\n", seed, left, expected, got);
        free(expected);
        free(got);
        free(steps);
        fail();
    }
    print_message("%ld stories of %zu steps; %.0f %% of them told\n", stories, count,
                  100.0 * (double)steps_told / ((double)stories * (double)count));
    free(steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broker_and_model_tell_the_same_stories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
