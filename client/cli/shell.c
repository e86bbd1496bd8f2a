#include "client/cli/shell.h"

#include "client/cli/complete.h"
#include "client/cli/history.h"
#include "client/cli/memory.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define PROMPT_BYTES 128

struct shell {
    struct cli *cli;
    EditLine *editor;
    struct line_history history;
    char prompt[PROMPT_BYTES];
};

static struct shell *shell_of(EditLine *editor)
{
    void *shell = NULL;

    el_get(editor, EL_CLIENTDATA, &shell);
    return shell;
}

static char *prompt_show(EditLine *editor)
{
    struct shell *shell = shell_of(editor);
    bool ready = ringmq_state(shell->cli->conn) == RINGMQ_READY;

    snprintf(shell->prompt, sizeof(shell->prompt), "%s> ", ready ? ringmq_endpoint(shell->cli->conn) : "not connected");
    return shell->prompt;
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static bool terminated(void)
{
    return signals_count() > 0 && signals_exit_code() == 128 + SIGTERM;
}

/* Waits for a byte. Returns 1, 0 at the end of input, or -1: SIGINT. */
static int byte_read(EditLine *editor, char *byte)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = signals_interrupt_fd(), .events = POLLIN}};

    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            if (errno != EINTR)
                return 0;
            el_set(editor, EL_REFRESH, NULL); /* the window has another size, or the program was stopped */
            continue;
        }
        if (fds[1].revents != 0)
            return terminated() ? 0 : -1;
        ssize_t n = read(STDIN_FILENO, byte, 1);
        if (n >= 0)
            return (int)n;
        if (errno != EINTR && errno != EAGAIN)
            return 0;
    }
}

#define KEY_INTERRUPT L'\003'

/* Reads a character for libedit, in the locale's encoding; what is none stands for itself, byte by byte. */
static int key_read(EditLine *editor, wchar_t *key)
{
    mbstate_t state = {0};
    char byte;

    for (size_t i = 0; i < MB_CUR_MAX; i++) {
        int n = byte_read(editor, &byte);
        if (n == 0)
            return 0;
        if (n < 0) {
            signals_clear();
            *key = KEY_INTERRUPT;
            return 1;
        }
        size_t used = mbrtowc(key, &byte, 1, &state);
        if (used == 0 || used == 1)
            return 1;
        if (used == (size_t)-1)
            break;
    }
    *key = (unsigned char)byte;
    return 1;
}

static unsigned char key_interrupt(EditLine *editor, int key)
{
    const LineInfo *line = el_line(editor);

    (void)key;
    fputs("^C\n", stdout);
    fflush(stdout);
    el_cursor(editor, (int)(line->lastchar - line->cursor));
    line = el_line(editor);
    el_deletestr(editor, (int)(line->lastchar - line->buffer));
    return CC_REDISPLAY;
}

static void candidates_print(const struct completion *completion)
{
    struct winsize size = {.ws_col = 80};
    size_t widest = 0, in_row = 0;

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    for (size_t i = 0; i < completion->count; i++) {
        size_t bytes = strlen(completion->list[i]);
        widest = bytes > widest ? bytes : widest;
    }
    size_t columns = size.ws_col / (widest + 2);
    putchar('\n');
    for (size_t i = 0; i < completion->count; i++) {
        bool last = ++in_row >= columns || i + 1 == completion->count;
        printf("%-*s%s", last ? 0 : (int)widest + 2, completion->list[i], last ? "\n" : "");
        in_row = last ? 0 : in_row;
    }
    fflush(stdout);
}

static unsigned char key_complete(EditLine *editor, int key)
{
    struct shell *shell = shell_of(editor);
    const LineInfo *line = el_line(editor);
    struct completion completion;
    unsigned char effect = CC_REFRESH;

    (void)key;
    completion_init(&completion, &shell->cli->catalogue, shell->cli->conn, line->buffer,
                    (size_t)(line->cursor - line->buffer), false);
    if (completion.count == 0) {
        effect = CC_REFRESH_BEEP;
    } else if (completion.count > 1 && completion.common_bytes == completion.typed_bytes) {
        candidates_print(&completion);
        effect = CC_REDISPLAY;
    } else {
        const char *word = completion.list[0];
        char *rest = text_copy(word + completion.typed_bytes, completion.common_bytes - completion.typed_bytes + 1);
        /* Behind an equals sign comes a value. */
        bool whole = completion.count == 1 && word[completion.common_bytes - 1] != '=';
        rest[completion.common_bytes - completion.typed_bytes] = whole ? ' ' : '\0';
        if (el_insertstr(editor, rest) != 0)
            effect = CC_REFRESH_BEEP;
        free(rest);
    }
    completion_close(&completion);
    return effect;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static bool editor_init(struct shell *shell)
{
    EditLine *editor = el_init("ringmq-cli", stdin, stdout, stderr);

    if (editor == NULL)
        return false;
    shell->editor = editor;
    el_set(editor, EL_CLIENTDATA, shell);
    el_set(editor, EL_PROMPT, prompt_show);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, shell->history.lines);
    el_set(editor, EL_SIGNAL, 1);
    el_set(editor, EL_GETCFN, key_read);
    /* The wide form keeps the texts as they are; el_set() makes copies of them that nobody frees. */
    el_wset(editor, EL_ADDFN, L"ringmq-complete", L"complete a word", key_complete);
    el_wset(editor, EL_ADDFN, L"ringmq-interrupt", L"clear the line", key_interrupt);
    el_set(editor, EL_BIND, "^I", "ringmq-complete", NULL);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(editor, NULL);
    /* At the prompt Ctrl-C is a key like others; while a command runs the terminal is as it was, and it is a signal. */
    el_set(editor, EL_SETTY, "-d", "intr=", NULL);
    el_set(editor, EL_BIND, "^C", "ringmq-interrupt", NULL);
    return true;
}

/* After Ctrl-C: see above in shell.h. */
static void connection_renew(struct cli *cli)
{
    putchar('\n');
    signals_clear();
    ringmq_close(cli->conn);
    cli_connect(cli);
}

/* False: it was the last line. */
static bool line_run(struct shell *shell, const char *line, size_t bytes)
{
    struct cli *cli = shell->cli;
    struct words words;
    bool more = true;
    const char *wrong = words_split(&words, line, bytes);

    line_history_add(&shell->history, line);
    signals_clear();
    if (wrong != NULL) {
        cli_complain(cli, "%s", wrong);
    } else if (words.count == 1 && (word_is(&words.list[0], "exit") || word_is(&words.list[0], "quit"))) {
        more = false;
    } else if (words.count == 1 && word_is(&words.list[0], "clear")) {
        fputs("\033[H\033[2J", stdout);
    } else if (words.count > 0) {
        cli_run(cli, &words, false);
        if (terminated())
            more = false;
        else if (signals_count() > 0)
            connection_renew(cli);
    }
    words_close(&words);
    fflush(stdout);
    return more;
}

static void lines_run(struct shell *shell)
{
    const char *line;
    int bytes;

    do {
        if (ringmq_state(shell->cli->conn) == RINGMQ_READY)
            ringmq_process(shell->cli->conn, true, false); /* the prompt shows whether it is still there */
        line = el_gets(shell->editor, &bytes);
        if (line == NULL || bytes <= 0) {
            putchar('\n');
            return;
        }
    } while (line_run(shell, line, (size_t)bytes));
}

int shell_run(struct cli *cli)
{
    struct shell shell = {.cli = cli};
    int code = EXIT_ERROR;

    setlocale(LC_CTYPE, "");
    cli->interactive = true;
    if (line_history_init(&shell.history) && editor_init(&shell)) {
        cli_connect(cli);
        lines_run(&shell);
        el_end(shell.editor);
        code = terminated() ? signals_exit_code() : EXIT_DONE;
    } else {
        cli_complain(cli, "ringmq-cli: the terminal cannot be used");
    }
    line_history_close(&shell.history);
    return code;
}
