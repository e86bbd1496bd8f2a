#include "server/server.h"

#include <stdio.h>

enum exit_code { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int main(int argc, char *argv[])
{
    struct config config;
    struct option_error error;

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
    server_run(server);
    server_close(server);
    return EXIT_GOOD;
}
