/*
 * work: the commands that are more than one call. Each returns an exit code and has said on stderr what went wrong.
 */
#ifndef CLIENT_CLI_WORK_H
#define CLIENT_CLI_WORK_H

#include "client/cli/arguments.h"

/* publish QUEUE --lines FILE; `queue` is terminated. */
int lines_publish(struct cli *cli, struct arguments *arguments, const char *queue);

/* consume QUEUE, with or without --exec. */
int consume_run(struct cli *cli, struct arguments *arguments, const char *queue);

/*
 * Writes the words of a commit, words[first...], as its params. False with ->line.wrong; whatever it returns, there is
 * nothing to close.
 */
bool commit_read(struct arguments *arguments, const struct words *words, size_t first, struct ringmq_args *args);

/* All queues, topics and subscriptions on standard output, as the commands that make them. */
int definitions_export(struct cli *cli);

/* Carries out the definitions of a file, or of standard input if `path` is NULL or "-". */
int definitions_import(struct cli *cli, const char *path);

/* Commands line by line from standard input. */
int script_run(struct cli *cli);

/* Milliseconds on a clock that only goes forward. */
int64_t now_ms(void);

#endif
