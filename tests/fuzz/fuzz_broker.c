/*
 * Operation sequences: the fuzzer's bytes choose the steps of a story, which is told to the broker and to the model.
 * Another transcript, a broken invariant, or memory left at the end is a find. Shrink it with the seed corpus' names in
 * mind: the steps are printed.
 */
#include "tests/model/model.h"
#include "tests/sim/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 200

struct source {
    const uint8_t *data;
    size_t bytes;
};

/* One byte a choice; zero when they are used up. */
static uint32_t choose(void *user, uint32_t n)
{
    struct source *s = user;
    if (s->bytes == 0)
        return 0;
    s->bytes--;
    return *s->data++ % n;
}

static char *tell(const struct step *steps, size_t count)
{
    static char story[MAX_STEPS * STEP_LINE];
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += step_print(&steps[i], story + bytes, sizeof story - bytes);
    return story_run(story);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct step steps[MAX_STEPS];
    struct source source = {data, size};
    size_t count = 10 + size / 4;
    if (count > MAX_STEPS)
        count = MAX_STEPS;
    steps_invent(steps, count, choose, &source);
    steps_end_turns(steps, count);
    char *expected = model_run(steps, &count), *got = tell(steps, count);
    if (strcmp(expected, got) != 0) {
        fprintf(stderr, "The model:\n%s\nThe broker:\n%s\n", expected, got);
        abort();
    }
    free(expected);
    free(got);
    return 0;
}
