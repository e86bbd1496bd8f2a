#include "server/log_tools.h"
#include "server/server.h"

#include <stdio.h>

enum exit_code { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int main(int argc, char *argv[])
{
    struct config config;
    struct option_error error;

    switch (log_tool_run(argc, argv)) {
    case LOG_TOOL_NONE:
        break;
    case LOG_TOOL_DONE:
        return EXIT_GOOD;
    case LOG_TOOL_FAILED:
        return EXIT_FAILED;
    case LOG_TOOL_USAGE:
        return EXIT_USAGE;
    }
    if (config_load(&config, argc, argv, &error) != OPTION_OK || !server_check(&config.options, &error)) {
        fprintf(stderr, "ringmq-server: %s\n", error.text);
        return EXIT_USAGE;
    }
    switch (config.action) {
    case CONFIG_HELP:
        config_print_help(stdout);
        return EXIT_GOOD;
    case CONFIG_VERSION:
        puts("ringmq-server " RINGMQ_VERSION);
        return EXIT_GOOD;
    case CONFIG_TEST:
        puts("ringmq-server: the configuration is good");
        return EXIT_GOOD;
    case CONFIG_RUN:
        break;
    }
    struct server *server = server_open(&config);
    if (server == NULL)
        return EXIT_FAILED;
    const bool good = server_run(server);
    server_close(server);
    return good ? EXIT_GOOD : EXIT_FAILED;
}
