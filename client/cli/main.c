/*
 * ringmq-cli: a shell for a ringmq server.
 *
 *     ringmq-cli [OPTIONS] COMMAND WORDS...      one command
 *     ringmq-cli [OPTIONS]                       a prompt on a terminal; else commands line by line from standard input
 */
#include "client/cli/cli.h"
#include "client/cli/complete.h"
#include "client/cli/memory.h"
#include "client/cli/shell.h"
#include "client/cli/work.h"
#include "protocol/numbers.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    struct ringmq_options options;
    uint64_t repeats; /* 0: for ever */
    uint64_t pause_ms;
    bool body_from_stdin;
    const char *complete; /* a line to complete, or NULL */
};

static void usage(FILE *out)
{
    fputs("ringmq-cli [OPTIONS] COMMAND WORDS...    one command, for instance: ringmq-cli publish orders hello\n"
          "ringmq-cli [OPTIONS]                     a prompt; or commands from a pipe\n"
          "\n"
          "  -h HOST  -p PORT      where the server is (127.0.0.1, 7464)\n"
          "  -s SOCKET             a Unix socket instead\n"
          "  --url URL             ringmq://user:password@host:port; also from RINGMQ_URL\n"
          "  -r N  -i SECONDS      repeat the command N times (0: until Ctrl-C), with a pause\n"
          "  -x                    publish what comes on standard input as one message\n"
          "  -t SECONDS            how long to wait for the connection and for an answer\n"
          "  --json                one JSON value per answer\n"
          "  --raw  --no-raw       one value per line, as in a pipe; or typed, as on a terminal\n"
          "  --complete LINE       what can follow these words, one a line; for the completion of other shells\n"
          "  --help  --version\n"
          "\n"
          "ringmq-cli help lists the commands; help COMMAND tells about one.\n"
          "Exit status: 0 done, 1 an error answer, 2 wrong usage, 3 no connection, 130 interrupted.\n",
          out);
}

enum long_option {
    OPTION_URL = 256,
    OPTION_JSON,
    OPTION_RAW,
    OPTION_NO_RAW,
    OPTION_COMPLETE,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, OPTION_URL},
    {"json", no_argument, NULL, OPTION_JSON},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"no-raw", no_argument, NULL, OPTION_NO_RAW},
    {"complete", required_argument, NULL, OPTION_COMPLETE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static bool option_time(const char *text, uint64_t *ms)
{
    return time_parse(text, 1000, ms) && *ms < INT32_MAX;
}

/* Takes one option. Returns -1 to go on, or an exit code. */
static int option_take(struct cli *cli, struct settings *settings, int option, const char *value)
{
    uint64_t number;

    switch (option) {
    case 'h':
        settings->options.host = value;
        settings->options.url = NULL;
        return -1;
    case 'p':
        if (!number_parse(value, &number) || number == 0 || number > UINT16_MAX)
            break;
        settings->options.port = (uint16_t)number;
        settings->options.url = NULL;
        return -1;
    case 's':
        settings->options.socket_path = value;
        settings->options.url = NULL;
        return -1;
    case OPTION_URL:
        settings->options.url = value;
        return -1;
    case 'r':
        if (!number_parse(value, &settings->repeats))
            break;
        return -1;
    case 'i':
        if (!option_time(value, &settings->pause_ms))
            break;
        return -1;
    case 't':
        if (!option_time(value, &number) || number == 0)
            break;
        cli->timeout_ms = (int)number;
        settings->options.connect_timeout_ms = settings->options.call_timeout_ms = (int)number;
        return -1;
    case 'x':
        settings->body_from_stdin = true;
        return -1;
    case OPTION_JSON:
    case OPTION_RAW:
    case OPTION_NO_RAW:
        cli->form = option == OPTION_JSON ? OUTPUT_JSON : option == OPTION_RAW ? OUTPUT_RAW : OUTPUT_HUMAN;
        return -1;
    case OPTION_COMPLETE:
        settings->complete = value;
        return -1;
    case OPTION_HELP:
        usage(stdout);
        return EXIT_DONE;
    case OPTION_VERSION:
        printf("ringmq-cli %s\n", RINGMQ_VERSION);
        return EXIT_DONE;
    default:
        usage(stderr);
        return EXIT_USAGE;
    }
    cli_complain(cli, "ringmq-cli: not a value for -%c: %s", option, value);
    return EXIT_USAGE;
}

/* The pause between two repetitions; false if it was interrupted. */
static bool pause_between(uint64_t ms)
{
    struct pollfd fd = {.fd = signals_interrupt_fd(), .events = POLLIN};
    int64_t end = now_ms() + (int64_t)ms;

    do {
        int64_t left = end - now_ms();
        poll(&fd, 1, left > 0 ? (int)left : 0);
    } while (signals_count() == 0 && now_ms() < end);
    return signals_count() == 0;
}

static int run_words(struct cli *cli, const struct settings *settings, int count, char *const *arguments)
{
    struct words words;
    int code = EXIT_DONE;

    if (!words_copy(&words, (size_t)count, arguments))
        memory_over();
    for (uint64_t i = 0; settings->repeats == 0 || i < settings->repeats; i++) {
        if (i > 0 && !pause_between(settings->pause_ms)) {
            code = signals_exit_code();
            break;
        }
        int once = cli_run(cli, &words, settings->body_from_stdin);
        code = once != EXIT_DONE ? once : code;
        if (once != EXIT_DONE && once != EXIT_ERROR)
            break;
    }
    words_close(&words);
    return code;
}

/* Prints what completes a line; a line that begins with a blank says that it would be the name of a file or command. */
static int complete(struct cli *cli, const char *line)
{
    struct completion completion;

    completion_init(&completion, &cli->catalogue, cli->conn, line, strlen(line), true);
    for (size_t i = 0; i < completion.count; i++)
        puts(completion.list[i]);
    if (completion.kind != COMPLETION_WORDS)
        puts(completion.kind == COMPLETION_FILES ? " file" : " command");
    completion_close(&completion);
    return EXIT_DONE;
}

/* A descriptor that is closed now would be given to a socket or pipe of ours, and what is printed would go there. */
static void standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

int main(int argc, char **argv)
{
    standard_descriptors();
    struct settings settings = {.options = {.url = getenv("RINGMQ_URL"), .client_name = "ringmq-cli"}, .repeats = 1};
    struct cli cli = {.form = isatty(STDOUT_FILENO) ? OUTPUT_HUMAN : OUTPUT_RAW,
                      .color = isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL};
    int option, code = -1;

    if (settings.options.url != NULL && settings.options.url[0] == '\0')
        settings.options.url = NULL;
    while (code < 0 && (option = getopt_long(argc, argv, "+h:p:s:r:i:t:x", long_options, NULL)) != -1)
        code = option_take(&cli, &settings, option, optarg);
    if (code >= 0)
        return code;
    signals_init();
    catalogue_init(&cli.catalogue);
    cli.conn = ringmq_new(&settings.options);
    if (cli.conn == NULL) {
        cli_complain(&cli, "ringmq-cli: out of memory");
        return EXIT_ERROR;
    }
    ringmq_set_interrupt_fd(cli.conn, signals_interrupt_fd());
    if (settings.complete != NULL)
        code = complete(&cli, settings.complete);
    else if (optind < argc)
        code = run_words(&cli, &settings, argc - optind, argv + optind);
    else if (isatty(STDIN_FILENO))
        code = shell_run(&cli);
    else
        code = script_run(&cli);
    ringmq_free(cli.conn);
    catalogue_close(&cli.catalogue);
    return code;
}
