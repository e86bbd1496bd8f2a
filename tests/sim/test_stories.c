/*
 * Runs every story of tests/sim/stories/: files of stories, each under a line "## sentence" that says what must hold.
 * STORY_UPDATE=1 writes what the broker really says into the files, for a look at the difference.
 */
#include "tests/sim/story.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER      "tests/sim/stories"
#define MAX_STORIES 512

struct told {
    char *name;
    char *text;
    char *file;
};

static struct told told[MAX_STORIES];
static size_t told_count;

static void holds(void **state)
{
    const struct told *t = *state;
    char *transcript = story_run(t->text);
    if (getenv("STORY_UPDATE")) {
        FILE *f = fopen(t->file, "a");
        assert_non_null(f);
        fprintf(f, "## %s\n%s\n", t->name, transcript);
        fclose(f);
    } else if (strcmp(t->text, transcript) != 0) {
        fprintf(stderr, "%s: the story went another way.\nexpected:\n%s\ngot:\n%s\n", t->file, t->text, transcript);
        free(transcript);
        fail();
    }
    free(transcript);
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 20);
    size_t n = text ? fread(text, 1, (1 << 20) - 1, f) : 0;
    fclose(f);
    return n > 0 ? text : NULL;
}

/* Cuts a file into stories; the blank line before the next heading belongs to none. */
static void cut(char *text, const char *path)
{
    for (char *at = strstr(text, "## "); at && told_count < MAX_STORIES;) {
        char *end = strchr(at, '\n');
        char *next = strstr(end, "\n## ");
        struct told *t = &told[told_count++];
        t->name = strndup(at + 3, (size_t)(end - at - 3));
        t->file = strdup(path);
        size_t bytes = next ? (size_t)(next - end) : strlen(end + 1);
        t->text = strndup(end + 1, bytes);
        for (size_t n = strlen(t->text); n > 1 && t->text[n - 1] == '\n' && t->text[n - 2] == '\n'; n--)
            t->text[n - 1] = '\0';
        at = next ? next + 1 : NULL;
    }
    if (getenv("STORY_UPDATE"))
        remove(path);
}

int main(void)
{
    struct dirent **files = NULL;
    int count = scandir(FOLDER, &files, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", FOLDER, files[i]->d_name);
        char *text = strstr(path, ".story") ? read_file(path) : NULL;
        if (text)
            cut(text, path);
        free(text);
        free(files[i]);
    }
    free(files);
    static struct CMUnitTest tests[MAX_STORIES];
    for (size_t i = 0; i < told_count; i++)
        tests[i] = (struct CMUnitTest){told[i].name, holds, NULL, NULL, &told[i]};
    if (told_count == 0) {
        fprintf(stderr, "no stories found: run from the project's root\n");
        return 1;
    }
    int failed = _cmocka_run_group_tests("stories", tests, told_count, NULL, NULL);
    for (size_t i = 0; i < told_count; i++) {
        free(told[i].name);
        free(told[i].text);
        free(told[i].file);
    }
    return failed;
}
