#include "server/log_tools.h"

#include "server/log/files.h"
#include "server/log/wal.h"

#include <stdio.h>
#include <string.h>

typedef bool tool_fn(const struct files *from, const struct files *to, void (*report_cb)(void *user, const char *line),
                     void *user, struct wal_error *error);

static void report(void *user, const char *line)
{
    (void)user;
    puts(line);
}

static bool open_directory(struct files *files, const char *directory, bool make)
{
    const int result = files_open(files, directory, make);

    if (result != 0)
        fprintf(stderr, "ringmq-server: %s: %s\n", directory, strerror(-result));
    return result == 0;
}

static enum log_tool_result run(tool_fn *tool, const char *from_path, const char *to_path)
{
    struct files from, to;
    struct wal_error error;

    if (!open_directory(&from, from_path, false))
        return LOG_TOOL_FAILED;
    if (!open_directory(&to, to_path, true)) {
        files_close(&from);
        return LOG_TOOL_FAILED;
    }
    const bool good = tool(&from, &to, report, NULL, &error);
    if (!good)
        fprintf(stderr, "ringmq-server: %s\n", error.text);
    files_close(&to);
    files_close(&from);
    return good ? LOG_TOOL_DONE : LOG_TOOL_FAILED;
}

enum log_tool_result log_tool_run(int argc, char *const argv[])
{
    const bool repair = argc > 1 && strcmp(argv[1], "--repair-log") == 0;
    const bool copy = argc > 1 && strcmp(argv[1], "--copy-log") == 0;

    if (!repair && !copy)
        return LOG_TOOL_NONE;
    if (argc != 5 || strcmp(argv[3], "--to") != 0) {
        fprintf(stderr, "usage: ringmq-server %s DIR --to NEWDIR\n", argv[1]);
        return LOG_TOOL_USAGE;
    }
    return run(repair ? wal_repair : wal_copy, argv[2], argv[4]);
}
