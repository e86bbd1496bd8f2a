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

/* Commands line by line from standard input. */
int script_run(struct cli *cli);

/* Milliseconds on a clock that only goes forward. */
int64_t now_ms(void);

#endif
