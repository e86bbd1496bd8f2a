/*
 * cli: what all parts of the shell share: the connection, the form of the output, exit codes and signals.
 */
#ifndef CLIENT_CLI_CLI_H
#define CLIENT_CLI_CLI_H

#include "client/cli/catalogue.h"
#include "client/cli/output.h"
#include "client/ringmq.h"
#include "protocol/words.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_ERROR = 1,      /* an error answer, or a failure while reading or writing */
    EXIT_USAGE = 2,      /* the command line is wrong; nothing was sent */
    EXIT_CONNECTION = 3, /* no connection, or it was lost, or no answer came in time */
    EXIT_INTERRUPTED = 130
};

struct cli {
    struct catalogue catalogue;
    struct ringmq *conn;
    enum output_form form;
    bool color;       /* errors in red: stderr is a terminal */
    bool interactive; /* a person sits before it */
    int timeout_ms;   /* 0: the library's */
};

/* Connects unless it is connected. Returns EXIT_DONE, or says why not and returns EXIT_CONNECTION or _INTERRUPTED. */
int cli_connect(struct cli *cli);

/* Tells the last failure of the connection, which was `status`. Returns the exit code for it. */
int cli_failed(struct cli *cli, int status);

/* Prints an error that the server answered, where errors go. */
void cli_print_error(struct cli *cli, const char *code, const char *text, struct ringmq_value details);

/* Prints a message on stderr, with a newline, red on a terminal. */
__attribute__((format(printf, 2, 3))) void cli_complain(const struct cli *cli, const char *format, ...);

/* The limit of that name in the server's hello, or `otherwise`. */
uint64_t cli_limit(const struct cli *cli, const char *name, uint64_t otherwise);

/* Executes words first... as one command. Returns an exit code. `again`: the command is repeated, words stay as they are. */
int cli_run(struct cli *cli, const struct words *words, bool body_from_stdin);

/* Reads all of standard input; NULL if that fails (errno) or is interrupted. */
char *stdin_read(size_t *bytes);

/* -- signals: handlers write a byte to a pipe, everything else is done where it is read -- */

/* Installs the handlers of SIGINT, SIGTERM and SIGCHLD, and ignores SIGPIPE. */
void signals_init(void);
int signals_interrupt_fd(void); /* readable once SIGINT or SIGTERM has come */
int signals_child_fd(void);     /* readable once SIGCHLD has come */
int signals_count(void);        /* SIGINT and SIGTERM since the last clear */
int signals_exit_code(void);    /* 128 + the last of them */
void signals_clear(void);
void signals_child_clear(void);

#endif
