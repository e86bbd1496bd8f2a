/*
 * shell: the interactive loop. It reads a line with libedit, cuts it into words and has them run by cli_run();
 * clear, exit and quit are its own.
 *
 *     127.0.0.1:7464> publish orders hello
 *
 * A connection that is lost is made anew before the next command, never in the middle of one: whether that was
 * carried out is unknown. The prompt says `not connected>` until then.
 *
 * Ctrl-C. At the prompt it is a key that clears the line. While a command runs it is SIGINT, which ends every wait
 * (see cli.h). The server would go on waiting for the abandoned call, and a receive could still take messages that
 * nobody looks at; so the connection is closed then, at which the server gives the call up, and made anew. SIGTERM
 * ends the shell.
 */
#ifndef CLIENT_CLI_SHELL_H
#define CLIENT_CLI_SHELL_H

#include "client/cli/cli.h"

/* Runs until exit, quit, SIGTERM or the end of input. Returns the program's exit code. */
int shell_run(struct cli *cli);

#endif
