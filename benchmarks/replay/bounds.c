#include "benchmarks/replay/bounds.h"

#include <stdio.h>
#include <string.h>

static bool read_line(struct bounds *b, const char *line)
{
    double instructions;
    char scene[32];
    if (line[0] == '#' || line[0] == '\n')
        return true;
    if (sscanf(line, "compiler %63[^\n]", b->compiler) == 1)
        return true;
    if (b->count == BOUNDS_MAX || sscanf(line, "%31s %lf", scene, &instructions) != 2 || instructions <= 0)
        return false;
    strcpy(b->rows[b->count].scene, scene);
    b->rows[b->count++].instructions = instructions;
    return true;
}

bool bounds_read(struct bounds *b, const char *path)
{
    char line[256];
    bool good = true;
    FILE *f = fopen(path, "r");
    *b = (struct bounds){.count = 0};
    if (!f) {
        perror(path);
        return false;
    }
    while (good && fgets(line, sizeof line, f))
        good = read_line(b, line);
    if (!good)
        fprintf(stderr, "%s: not understood: %s", path, line);
    fclose(f);
    return good;
}

double bounds_find(const struct bounds *b, const char *scene)
{
    for (int i = 0; i < b->count; i++)
        if (strcmp(b->rows[i].scene, scene) == 0)
            return b->rows[i].instructions;
    return 0;
}

const char *bounds_compiler(void)
{
#if defined __GNUC__ && !defined __clang__ && defined __OPTIMIZE__
#define TEXT(number)  TEXT_(number)
#define TEXT_(number) #number
    return "gcc " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__) "." TEXT(__GNUC_PATCHLEVEL__);
#else
    return NULL;
#endif
}
