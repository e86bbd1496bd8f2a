/*
 * script: commands from standard input, one a line. Empty lines and those that begin with # are passed over. All are
 * executed; the exit status tells of the first that failed. Without a connection nothing more is tried.
 */
#include "client/cli/work.h"

#include <stdlib.h>

int script_run(struct cli *cli)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    int code = EXIT_DONE;

    while ((bytes = getline(&line, &room, stdin)) >= 0) {
        struct words words = {.list = NULL};
        const char *wrong = line[0] == '#' ? NULL : words_split(&words, line, (size_t)bytes);
        bool leave = words.count > 0 && (word_is(&words.list[0], "exit") || word_is(&words.list[0], "quit"));
        int once = EXIT_DONE;
        if (wrong != NULL) {
            cli_complain(cli, "%s", wrong);
            once = EXIT_USAGE;
        } else if (!leave) {
            once = cli_run(cli, &words, false);
        }
        words_close(&words);
        if (once == EXIT_CONNECTION || signals_count() > 0) {
            code = once;
            break;
        }
        code = once != EXIT_DONE ? EXIT_ERROR : code;
        if (leave)
            break;
    }
    free(line);
    return code;
}
