/*
 * config: where the values of the options come from: a file, the flags behind it, and config.set while the server runs.
 *
 * A start
 *     config_load(&config, argc, argv, &error)   defaults, then FILE, then flags; checked as a whole
 *     config.action                              what the command line asks for
 *     config.options                             the values in force
 * A reload reads the same file and the same flags again. If anything in them is wrong nothing changes. Otherwise
 * options that can change at run time take the value that file and flags now give (one that config.set gave is thereby
 * forgotten) and the others keep theirs and are reported.
 *
 * The file: lines of `key value`. Blanks separate words; a word may stand in "..." or '...', within which everything
 * counts as it is; # at the beginning of a word starts a comment. Lines end in \n or \r\n, the last one may lack it.
 * Only a LIST takes several words, and only a LIST may occur again: its first occurrence in the file replaces the
 * default, later ones add, and the same holds for the flags against the file. A repeated flag of another type: the last
 * one wins.
 *
 * Errors: enum option_result and a text. Errors of the file say `FILE:LINE: `, those of flags begin with the flag.
 */
#ifndef SERVER_OPS_CONFIG_H
#define SERVER_OPS_CONFIG_H

#include "server/ops/options.h"

/* A longer line is refused, and a longer file: it is hardly a configuration. */
#define CONFIG_LINE_BYTES 4096
#define CONFIG_FILE_BYTES (1024 * 1024)

enum config_action {
    CONFIG_RUN,
    CONFIG_HELP,    /* --help: the file and other flags have not been looked at */
    CONFIG_VERSION, /* --version: likewise */
    CONFIG_TEST,    /* --test-config: everything was read and is right */
};

struct config {
    struct options options;
    enum config_action action;
    const char *path; /* FILE, or NULL */
    char *const *flags;
    int flag_count;
};

/*
 * Fills *c from a command line, argv[0] being the program's name. argv must live as long as *c. Any error of the file,
 * the flags or their combination; *c stays untouched then.
 */
int config_load(struct config *c, int argc, char *const argv[], struct option_error *error);

/*
 * Sets options from the text of a file, on top of what *o holds; `name` is for errors. The values are not checked
 * against each other: that is options_check(), when flags have been set as well.
 */
int config_parse(struct options *o, const char *name, const char *text, size_t bytes, struct option_error *error);

/* One changed option: `applied` now, or else waiting for a restart. */
typedef void (*config_change_cb)(void *user, const struct option *row, bool applied);

/*
 * Reads file and flags again, applies what can be applied, and calls `change_cb` for each option that differs, in the
 * order of the list and after all have been applied. As config_load() on an error: nothing changed, no call.
 */
int config_reload(struct config *c, config_change_cb change_cb, void *user, struct option_error *error);

/*
 * The second half of a reload: takes over into *o what differs in *fresh. OPTION_CONFLICT if the mixture does not fit.
 */
int config_apply(struct options *o, const struct options *fresh, config_change_cb change_cb, void *user,
                 struct option_error *error);

/*
 * Sets one option at run time; key and text are not terminated. OPTION_UNKNOWN_KEY, OPTION_NEEDS_RESTART,
 * OPTION_BAD_VALUE, OPTION_OUT_OF_RANGE or OPTION_CONFLICT; *o stays untouched then.
 */
int config_set(struct options *o, const char *key, size_t key_bytes, const char *text, size_t text_bytes,
               struct option_error *error);

/* Calls `value_cb` with the canonical text of each option whose key matches, in the order of the list. */
typedef void (*config_value_cb)(void *user, const struct option *row, const char *text);
void config_get(const struct options *o, const char *pattern, size_t bytes, config_value_cb value_cb, void *user);

/* True if a key matches a pattern (not terminated): * stands for any text, ? for any one character. */
bool config_match(const char *pattern, size_t bytes, const char *key);

/* The text of --help. */
void config_print_help(FILE *out);

#endif
