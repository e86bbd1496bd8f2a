/*
 * import: a file of definitions, checked from its first to its last line and then carried out in that order. The first
 * line that the server refuses ends it; those before it have been carried out, and doing all of it again is safe.
 */
#include "client/cli/work.h"

#include "client/cli/memory.h"
#include "protocol/definitions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct import {
    struct cli *cli;
    const char *name; /* of the file, for sentences */
    uint64_t carried_out, created;
};

/* All of a file; NULL after a complaint. */
static char *file_read(struct cli *cli, const char *path, size_t *bytes)
{
    char *data = memory_new(DEFINITIONS_BYTES / 1024);
    size_t room = DEFINITIONS_BYTES / 1024;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;

    *bytes = 0;
    while (n > 0 && *bytes <= DEFINITIONS_BYTES) {
        if (*bytes == room)
            data = memory_resize(data, room *= 2);
        n = read(fd, data + *bytes, room - *bytes);
        *bytes += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        cli_complain(cli, "%s: %s", path, strerror(errno));
    else if (n > 0)
        cli_complain(cli, "%s: larger than %d MiB", path, DEFINITIONS_BYTES >> 20);
    if (fd >= 0)
        close(fd);
    if (n == 0)
        return data;
    free(data);
    return NULL;
}

/* Checks all lines. */
static bool check(const struct import *import, const char *text, size_t bytes)
{
    struct definitions definitions;
    enum definitions_result result;
    bool good = true;

    definitions_init(&definitions, text, bytes);
    while ((result = definitions_next(&definitions)) != DEFINITIONS_END) {
        if (result == DEFINITIONS_READ)
            continue;
        cli_complain(import->cli, "%s:%u: %s", import->name, definitions.line, definitions.wrong);
        good = false;
    }
    definitions_close(&definitions);
    return good;
}

/* Carries one definition out. Returns an exit code. */
static int define(struct import *import, const struct definitions *definitions)
{
    struct cli *cli = import->cli;
    struct ringmq_args *args = ringmq_args_new();
    struct ringmq_value answer;

    if (args == NULL)
        memory_over();
    ringmq_args_packed(args, definitions->params.data, definitions->params.bytes);
    int status = ringmq_call(cli->conn, command_row(definitions->command)->method, args, cli->timeout_ms, &answer);
    ringmq_args_free(args);
    if (status == RINGMQ_OK) {
        import->carried_out++;
        import->created += ringmq_value_bool(ringmq_value_get(answer, "created"), false);
        return EXIT_DONE;
    }
    if (status != RINGMQ_ERR_INTERRUPTED)
        fprintf(stderr, "%s:%u: %s", import->name, definitions->line, cli->form == OUTPUT_JSON ? "\n" : "");
    return cli_failed(cli, status);
}

static int carry_out(struct import *import, const char *text, size_t bytes)
{
    struct definitions definitions;
    int code = cli_connect(import->cli);

    definitions_init(&definitions, text, bytes);
    while (code == EXIT_DONE && definitions_next(&definitions) == DEFINITIONS_READ)
        code = define(import, &definitions);
    definitions_close(&definitions);
    return code;
}

static void report(const struct import *import)
{
    const unsigned long long all = import->carried_out, created = import->created;

    if (import->cli->form == OUTPUT_JSON)
        printf("{\"definitions\":%llu,\"created\":%llu}\n", all, created);
    else if (import->cli->form == OUTPUT_RAW)
        printf("definitions\t%llu\ncreated\t%llu\n", all, created);
    else
        printf("%llu definitions, %llu of them new\n", all, created);
}

int definitions_import(struct cli *cli, const char *path)
{
    const bool from_stdin = path == NULL || strcmp(path, "-") == 0;
    struct import import = {.cli = cli, .name = from_stdin ? "standard input" : path};
    size_t bytes = 0;
    char *text = from_stdin ? stdin_read(&bytes) : file_read(cli, path, &bytes);

    if (text == NULL && signals_count() > 0)
        return signals_exit_code();
    if (text == NULL && from_stdin)
        cli_complain(cli, "standard input: %s", strerror(errno));
    if (text == NULL)
        return EXIT_USAGE;
    int code = check(&import, text, bytes) ? carry_out(&import, text, bytes) : EXIT_USAGE;
    if (code == EXIT_DONE)
        report(&import);
    free(text);
    return code;
}
