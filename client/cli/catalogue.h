/*
 * catalogue: the commands that can be given, their arguments and help. It begins with the protocol's own list, to which
 * the server's is added when it is loaded: methods that a newer server has can be called, completed and looked up too.
 *
 * Some commands do more here than the method of the same name, and some live in the shell alone: see catalogue.c.
 */
#ifndef CLIENT_CLI_CATALOGUE_H
#define CLIENT_CLI_CATALOGUE_H

#include "client/ringmq.h"
#include "protocol/command_line.h"
#include "protocol/words.h"

#include <stdio.h>

struct entry {
    char *name;
    char *group;
    char *args; /* as in protocol/commands.h */
    char *help;
    const char *extra; /* options that the shell adds, as in `args` without braces; "" if there are none */
    const char *usage; /* the usage line; "": it is derived from the arguments */
    const char *notes; /* more help; "" */
};

struct catalogue {
    struct entry *list;
    size_t count;
    bool loaded;
};

void catalogue_init(struct catalogue *catalogue);
void catalogue_close(struct catalogue *catalogue);

/* Adds what the answer to the method `help` lists and is not there yet. */
void catalogue_load(struct catalogue *catalogue, struct ringmq_value help);

/*
 * The entry that the first words name: `queue.create` or `queue create`. *used: how many words. NULL if there is none. A
 * second word in quotes is never part of a name: `move 'list'` moves the queue of that name.
 */
const struct entry *catalogue_find(const struct catalogue *catalogue, const struct words *words, size_t first,
                                   size_t *used);

/* The name of the command that the first words may have meant, or NULL. There is a word. */
const char *catalogue_nearest(const struct catalogue *catalogue, const struct words *words);

/* Calls `visit` with each option of an entry, its extra ones included. */
void entry_options(const struct entry *entry, void (*visit)(void *arg, const struct command_item *item), void *arg);

/* Prints the usage of an entry, one line. */
void entry_usage(const struct entry *entry, FILE *out);

/* Prints help: for words none, a command, the beginning of some commands, or @group. False if there is none. */
bool catalogue_help(const struct catalogue *catalogue, const struct words *words, size_t first, FILE *out);

#endif
