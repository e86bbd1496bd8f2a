/*
 * shell: the interactive loop: prompt, line editing, history, completion, Ctrl-C. (shell.c and complete.c are being written
 * by another pair of hands at this moment: leave them, and give them a function that runs one command line.)
 */
#ifndef CLIENT_CLI_SHELL_H
#define CLIENT_CLI_SHELL_H

#endif
