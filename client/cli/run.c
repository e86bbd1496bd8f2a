/*
 * run: one command, from words to an exit code.
 *
 * help, clear and exit are done here, publish --lines and consume have files of their own; everything else is a call:
 * its arguments are checked by the command's row, sent, and the answer printed in the form that is asked for.
 */
#include "client/cli/cli.h"
#include "client/cli/memory.h"
#include "client/cli/work.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cli_complain(const struct cli *cli, const char *format, ...)
{
    va_list list;

    fputs(cli->color ? "\033[31m" : "", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputs(cli->color ? "\033[0m\n" : "\n", stderr);
}

void cli_print_error(struct cli *cli, const char *code, const char *text, struct ringmq_value details)
{
    FILE *out = cli->form == OUTPUT_JSON ? stdout : stderr;
    bool color = cli->color && out == stderr;

    fputs(color ? "\033[31m" : "", out);
    output_error(out, cli->form, code, text, details);
    fputs(color ? "\033[0m\n" : "\n", out);
}

int cli_failed(struct cli *cli, int status)
{
    switch (status) {
    case RINGMQ_ERR_INTERRUPTED:
        return signals_exit_code();
    case RINGMQ_ERR_SERVER:
        cli_print_error(cli, ringmq_error_code(cli->conn), ringmq_error_text(cli->conn),
                        ringmq_error_details(cli->conn));
        return EXIT_ERROR;
    case RINGMQ_ERR_ARGUMENT:
        cli_complain(cli, "ringmq-cli: %s", ringmq_error_text(cli->conn));
        return EXIT_USAGE;
    case RINGMQ_ERR_LIMIT:
        cli_complain(cli, "ringmq-cli: %s", ringmq_error_text(cli->conn));
        return EXIT_ERROR;
    default:
        cli_complain(cli, "ringmq-cli: %s", ringmq_error_text(cli->conn));
        return EXIT_CONNECTION;
    }
}

/* The server may know methods that this program does not. Without an answer there are those it knows itself. */
static void commands_load(struct cli *cli)
{
    struct ringmq_value help;

    if (!cli->catalogue.loaded && ringmq_call(cli->conn, "help", NULL, cli->timeout_ms, &help) == RINGMQ_OK)
        catalogue_load(&cli->catalogue, help);
}

int cli_connect(struct cli *cli)
{
    if (ringmq_state(cli->conn) == RINGMQ_READY)
        ringmq_process(cli->conn, true, false); /* it may have ended since the last command */
    if (ringmq_state(cli->conn) == RINGMQ_READY)
        return EXIT_DONE;
    int status = ringmq_connect(cli->conn, 0);
    if (status != RINGMQ_OK)
        return cli_failed(cli, status);
    if (cli->interactive)
        commands_load(cli);
    return EXIT_DONE;
}

uint64_t cli_limit(const struct cli *cli, const char *name, uint64_t otherwise)
{
    return ringmq_value_uint(ringmq_value_get(ringmq_value_get(ringmq_hello(cli->conn), "limits"), name), otherwise);
}

char *stdin_read(size_t *bytes)
{
    size_t room = 65536;
    char *data = memory_new(room);

    *bytes = 0;
    for (;;) {
        struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {signals_interrupt_fd(), POLLIN, 0}};
        (void)poll(fds, 2, -1);
        ssize_t n = signals_count() == 0 ? read(STDIN_FILENO, data + *bytes, room - *bytes) : -1;
        if (n == 0)
            return data;
        if (n < 0 && (errno != EINTR || signals_count() > 0)) {
            free(data);
            return NULL;
        }
        *bytes += n > 0 ? (size_t)n : 0;
        if (*bytes == room)
            data = memory_resize(data, room *= 2);
    }
}

/* The refusals behind the counts of publish, ack, nack, extend and park. Returns how many. */
static unsigned refusals_print(struct cli *cli, const char *method, struct ringmq_value answer)
{
    static const char *const counted[] = {"ack", "nack", "extend", "park"};
    uint32_t place = strcmp(method, "publish") == 0 ? 2 : 0;
    struct ringmq_refusal refusal;
    unsigned count = 0;

    for (size_t i = 0; i < 4; i++)
        place = strcmp(method, counted[i]) == 0 ? 1 : place;
    if (place == 0)
        return 0;
    struct ringmq_iterator refusals = ringmq_iterate_refusals(ringmq_value_item(answer, place));
    while (ringmq_next_refusal(&refusals, &refusal)) {
        if (cli->form != OUTPUT_JSON)
            cli_complain(cli, "(error) number %u: %.*s: %.*s", refusal.index + 1, (int)refusal.error.code.bytes,
                         refusal.error.code.data, (int)refusal.error.text.bytes, refusal.error.text.data);
        count++;
    }
    return count;
}

static int call(struct cli *cli, struct arguments *a, struct ringmq_args *args)
{
    struct ringmq_value answer;
    uint64_t wait_ms = 0;
    int timeout_ms = cli->timeout_ms;

    /* A call that is to wait in the server gets that much more time here. */
    if (command_line_option(&a->line, "wait") != NULL && command_line_time(&a->line, "wait", 1, &wait_ms) &&
        wait_ms < INT32_MAX / 2)
        timeout_ms = (timeout_ms > 0 ? timeout_ms : 30000) + (int)wait_ms;
    int status = ringmq_call(cli->conn, a->entry->name, args, timeout_ms, &answer);
    if (status != RINGMQ_OK)
        return cli_failed(cli, status);
    output_value(stdout, cli->form, output_shape_of(a->entry->name), answer);
    return refusals_print(cli, a->entry->name, answer) > 0 ? EXIT_ERROR : EXIT_DONE;
}

static int usage(struct cli *cli, const struct arguments *a)
{
    cli_complain(cli, "%s", a->line.wrong);
    entry_usage(a->entry, stderr);
    fprintf(stderr, "help %s tells more\n", a->entry->name);
    return EXIT_USAGE;
}

/* The commands that are more than a call. Returns an exit code. */
static int run_work(struct cli *cli, struct arguments *a, const char *name)
{
    const char *argument = a->line.count > 0 ? a->line.positional[0]->text : NULL;
    const bool definitions = strcmp(a->entry->group, "definitions") == 0;
    int code;

    if (definitions && a->line.count > (strcmp(name, "import") == 0))
        arguments_wrong(a, "%s: one word too many: %s", name, a->line.positional[a->line.count - 1]->text);
    else if (!definitions && (a->line.count != 1 || a->body_from_stdin))
        arguments_wrong(a, "%s: exactly one queue, and no messages, please", name);
    if (a->line.wrong[0] != '\0')
        return usage(cli, a);
    if (definitions)
        code = strcmp(name, "import") == 0 ? definitions_import(cli, argument) : definitions_export(cli);
    else
        code = strcmp(name, "publish") == 0 ? lines_publish(cli, a, argument) : consume_run(cli, a, argument);
    return a->line.wrong[0] != '\0' ? usage(cli, a) : code;
}

/* Sends what has been written. */
static int run_call(struct cli *cli, struct arguments *a, struct ringmq_args *args)
{
    int code = cli_connect(cli);

    return code == EXIT_DONE ? call(cli, a, args) : code;
}

/* A command whose entry has been found and whose words are sorted. */
static int run_entry(struct cli *cli, struct arguments *a)
{
    const char *name = a->entry->name;
    struct ringmq_bytes body = {NULL, 0};
    int code;

    if ((strcmp(name, "publish") == 0 && command_line_option(&a->line, "lines") != NULL) ||
        strcmp(name, "consume") == 0 || strcmp(a->entry->group, "definitions") == 0)
        return run_work(cli, a, name);
    char *data = a->body_from_stdin ? stdin_read(&body.bytes) : NULL;
    body.data = data;
    if (a->body_from_stdin && data == NULL) {
        if (signals_count() > 0)
            return signals_exit_code();
        cli_complain(cli, "ringmq-cli: standard input: %s", strerror(errno));
        return EXIT_ERROR;
    }
    struct ringmq_args *args = ringmq_args_new();
    if (args == NULL)
        memory_over();
    if (arguments_write(a, args, data != NULL ? &body : NULL))
        code = run_call(cli, a, args);
    else
        code = usage(cli, a);
    ringmq_args_free(args);
    free(data);
    return code;
}

/* commit, whose words have an order of their own. */
static int run_commit(struct cli *cli, const struct entry *entry, const struct words *words, size_t first)
{
    struct arguments a = {.entry = entry, .form = cli->form};
    struct ringmq_args *args = ringmq_args_new();
    int code;

    if (args == NULL)
        memory_over();
    const bool good = commit_read(&a, words, first, args);
    cli->form = a.form;
    code = good ? run_call(cli, &a, args) : usage(cli, &a);
    ringmq_args_free(args);
    return code;
}

static int run_help(struct cli *cli, const struct words *words)
{
    if (catalogue_help(&cli->catalogue, words, 1, stdout))
        return EXIT_DONE;
    cli_complain(cli, "no help about %s; help lists all commands", words->list[1].text);
    return EXIT_USAGE;
}

static int run_unknown(struct cli *cli, const struct words *words, const struct entry *entry)
{
    const char *nearest = catalogue_nearest(&cli->catalogue, words);

    if (entry != NULL)
        cli_complain(cli, "%s is for the prompt only", entry->name);
    else if (nearest != NULL)
        cli_complain(cli, "no such command: %s; did you mean %s?", words->list[0].text, nearest);
    else
        cli_complain(cli, "no such command: %s; help lists all commands", words->list[0].text);
    if (entry == NULL)
        catalogue_help(&cli->catalogue, words, 0, stderr);
    return EXIT_USAGE;
}

static int run_arguments(struct cli *cli, const struct entry *entry, const struct words *words, size_t first,
                         bool body_from_stdin)
{
    struct arguments a;
    bool sorted = arguments_read(&a, entry, words, first, cli->form);

    a.body_from_stdin = a.body_from_stdin || (body_from_stdin && strcmp(entry->name, "publish") == 0);
    cli->form = a.form;
    int code = sorted ? run_entry(cli, &a) : usage(cli, &a);
    arguments_close(&a);
    return code;
}

int cli_run(struct cli *cli, const struct words *words, bool body_from_stdin)
{
    enum output_form form = cli->form;
    size_t used;
    int code;

    if (words->count == 0)
        return EXIT_DONE;
    if (word_is(&words->list[0], "help"))
        return run_help(cli, words);
    const struct entry *entry = catalogue_find(&cli->catalogue, words, 0, &used);
    if (entry == NULL && !cli->catalogue.loaded && cli_connect(cli) == EXIT_DONE) {
        commands_load(cli);
        entry = catalogue_find(&cli->catalogue, words, 0, &used);
    }
    if (entry == NULL || strcmp(entry->group, "shell") == 0)
        return run_unknown(cli, words, entry);
    if (strcmp(entry->name, "commit") == 0)
        code = run_commit(cli, entry, words, used);
    else
        code = run_arguments(cli, entry, words, used, body_from_stdin);
    if (fflush(stdout) != 0 && code == EXIT_DONE)
        code = EXIT_ERROR;
    cli->form = form;
    return code;
}
