/*
 * history: the lines of former times, in a file of plain lines that only its owner can read (mode 0600). A line is
 * appended as soon as it is given, so that a shell that is killed loses none, and several shells share one file.
 * At the beginning and at the end the file is cut to its last HISTORY_LINES lines.
 *
 * Lines with a password are kept nowhere, not even for the arrow keys. Failing to read or write the file is not an
 * error of the shell: there is then no history beyond its end.
 */
#ifndef CLIENT_CLI_HISTORY_H
#define CLIENT_CLI_HISTORY_H

#include <histedit.h>
#include <stdbool.h>

#define HISTORY_LINES 1000

struct line_history {
    History *lines; /* for EL_HIST */
    char *path;     /* NULL: there is no file */
};

/* Reads $RINGMQ_HISTORY, by default ~/.ringmq_history; set but empty: no file. False when out of memory. */
bool line_history_init(struct line_history *history);

/* Keeps a terminated line, unless it holds a secret. */
void line_history_add(struct line_history *history, const char *line);

void line_history_close(struct line_history *history);

/* True if a line names a password, or an address with one: scheme://user:password@host. */
bool line_is_secret(const char *line);

#endif
