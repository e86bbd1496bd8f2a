/*
 * log_tools: what can be done with a log without a server:
 *
 *     ringmq-server --repair-log DIR --to NEWDIR    what can be read of a damaged log, as a new one
 *     ringmq-server --copy-log DIR --to NEWDIR      a copy, also while a server is using DIR
 *
 * DIR is only read. NEWDIR must be empty or not be there.
 */
#ifndef SERVER_LOG_TOOLS_H
#define SERVER_LOG_TOOLS_H

#include <stdbool.h>

enum log_tool_result {
    LOG_TOOL_NONE, /* the command line asks for something else */
    LOG_TOOL_DONE,
    LOG_TOOL_FAILED,
    LOG_TOOL_USAGE
};

/* Does what the command line asks for. Reports go to stdout, errors to stderr. */
enum log_tool_result log_tool_run(int argc, char *const argv[]);

#endif
