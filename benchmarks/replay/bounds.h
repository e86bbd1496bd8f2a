/*
 * bounds: the file that says how many instructions a message may take in each scene, and which compiler that was measured with.
 *
 *     # a comment
 *     compiler gcc 12.2.0
 *     128-by-10 700.0
 */
#ifndef BENCHMARKS_REPLAY_BOUNDS_H
#define BENCHMARKS_REPLAY_BOUNDS_H

#include <stdbool.h>

#define BOUNDS_MAX 32

struct bounds {
    char compiler[64];
    int count;
    struct {
        char scene[32];
        double instructions;
    } rows[BOUNDS_MAX];
};

/* False, after a line on stderr, if the file cannot be read or has a line that says nothing. */
bool bounds_read(struct bounds *b, const char *path);

/* The bound of a scene; 0 if there is none. */
double bounds_find(const struct bounds *b, const char *scene);

/* This program's own compiler, "gcc 12.2.0"; NULL if it is one whose instructions are not comparable, or does not optimise. */
const char *bounds_compiler(void);

#endif
