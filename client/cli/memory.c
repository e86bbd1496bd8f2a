#include "client/cli/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void memory_over(void)
{
    fputs("ringmq-cli: out of memory\n", stderr);
    exit(1);
}

void *memory_resize(void *memory, size_t bytes)
{
    void *larger = realloc(memory, bytes > 0 ? bytes : 1);

    if (larger == NULL)
        memory_over();
    return larger;
}

void *memory_new(size_t bytes)
{
    void *memory = calloc(bytes > 0 ? bytes : 1, 1);

    if (memory == NULL)
        memory_over();
    return memory;
}

char *text_copy(const char *text, size_t bytes)
{
    char *copy = memory_new(bytes + 1);

    if (bytes > 0)
        memcpy(copy, text, bytes);
    return copy;
}
