/*
 * complete: what can follow the words typed so far. Names of commands, in one word or two (queue.create, queue
 * create); after `help` also groups; options of the command that have not been given, and what they can be worth;
 * attributes of queues with their values; names of queues and topics where the command's row asks for one, and of options
 * of the server after config.get and config.set. These names are asked from the server, and waited for COMPLETE_TIMEOUT_MS
 * at most.
 */
#ifndef CLIENT_CLI_COMPLETE_H
#define CLIENT_CLI_COMPLETE_H

#include "client/cli/catalogue.h"
#include "client/ringmq.h"

#define COMPLETE_TIMEOUT_MS 500

/* What the word is, if it is nothing that is known here. */
enum completion_kind { COMPLETION_WORDS, COMPLETION_FILES, COMPLETION_COMMANDS };

struct completion {
    char **list; /* whole words, sorted, each once */
    size_t count;
    size_t typed_bytes;  /* so much of each is typed already */
    size_t common_bytes; /* so much all of them have in common */
    enum completion_kind kind;
};

/*
 * Completes the last word of a line's part before the cursor; none if that stands in quotes. `outside`: for the command
 * line of another shell. What only the prompt knows is left out then, `queue` alone is offered too, and a connection is
 * made if one is needed.
 */
void completion_init(struct completion *completion, const struct catalogue *catalogue, struct ringmq *conn,
                     const char *line, size_t bytes, bool outside);

void completion_close(struct completion *completion);

#endif
