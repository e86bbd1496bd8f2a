/*
 * memory: memory that is there. If there is none, the shell ends with a message: it has nothing to lose.
 */
#ifndef CLIENT_CLI_MEMORY_H
#define CLIENT_CLI_MEMORY_H

#include <stddef.h>

/* Zeroed memory; larger memory; a terminated copy. To be freed by the caller. */
void *memory_new(size_t bytes);
void *memory_resize(void *memory, size_t bytes);
char *text_copy(const char *text, size_t bytes);

/* Ends the program. */
_Noreturn void memory_over(void);

#endif
