/*
 * complete: what can follow the words typed so far. Names of commands, in one word or two (queue.create, queue
 * create); after `help` also groups; options of the command that have not been given; names of queues where the
 * command's row asks for one, and of options of the server after config.get and config.set. The last two are asked
 * from the server, if there is a connection, and waited for COMPLETE_TIMEOUT_MS at most.
 */
#ifndef CLIENT_CLI_COMPLETE_H
#define CLIENT_CLI_COMPLETE_H

#include "client/cli/catalogue.h"
#include "client/ringmq.h"

#define COMPLETE_TIMEOUT_MS 500

struct completion {
    char **list; /* whole words, sorted, each once */
    size_t count;
    size_t typed_bytes;  /* so much of each is typed already */
    size_t common_bytes; /* so much all of them have in common */
};

/* Completes the last word of a line's part before the cursor; none if that stands in quotes. */
void completion_init(struct completion *completion, const struct catalogue *catalogue, struct ringmq *conn,
                     const char *line, size_t bytes);

void completion_close(struct completion *completion);

#endif
