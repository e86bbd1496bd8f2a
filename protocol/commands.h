/*
 * commands: every method of the protocol, listed once. Dispatch, argument checks, `help`, completion in the shell and the
 * documentation check are derived from these rows.
 *
 * A row: X(id, method, group, arguments, flags, help)
 *   id         names the handler of the native door: handle_<id>
 *   arguments  positional ones in order, then the options in braces; each `name:type`. The same string is the method's help
 *              text and what its arguments are checked against. `?` after a positional type: it may be left out.
 *   types      name    text of 1 to 255 bytes from A-Z a-z 0-9 . _ - / :
 *              text    str or bin
 *              id      integer 0 .. 2^53 - 1
 *              count   integer 0 .. 2^32 - 1
 *              ms      integer 0 .. 10 years in milliseconds
 *              bool    true or false
 *              list    array
 *              map     map
 *              any     anything; the handler decides
 *   flags      COMMAND_ANSWERS  makes no sense as a notification (ignored and counted there)
 *              COMMAND_CHANGES  changes what is kept: a good answer waits until the log holds it as safely as it is to
 */
#ifndef PROTOCOL_COMMANDS_H
#define PROTOCOL_COMMANDS_H

#include <stddef.h>
#include <stdint.h>

enum command_flag { COMMAND_PLAIN = 0, COMMAND_ANSWERS = 1, COMMAND_CHANGES = 2 };

/* clang-format off */
#define COMMAND_LIST(X)                                                                                                  \
  X(hello, "hello", "connection", "{client:text version:text user:text password:text}", COMMAND_ANSWERS,                 \
    "introduce the client and learn the server's version, features and limits")                                          \
  X(ping, "ping", "connection", "", COMMAND_PLAIN, "answer \"pong\"")                                                    \
  X(help, "help", "connection", "method:text?", COMMAND_PLAIN, "list the methods, or the one named")                     \
  X(publish, "publish", "messages", "queue:name messages:list {atomic:bool wait:ms mandatory:bool}", COMMAND_CHANGES,    \
    "store messages in a queue")                                                                                         \
  X(receive, "receive", "messages", "queue:name {max:count wait:ms visibility:ms}", COMMAND_ANSWERS,                     \
    "take up to max messages, waiting for the first")                                                                    \
  X(consume, "consume", "messages",                                                                                      \
    "queue:name {prefetch:count ack:text visibility:ms exclusive:bool single_active:bool priority:count "                \
    "group_prefetch:count}", COMMAND_ANSWERS,                                                                            \
    "have messages pushed, at most prefetch unacked")                                                                    \
  X(credit, "credit", "messages", "consumer:id prefetch:count", COMMAND_PLAIN, "change a consumer's prefetch; 0 pauses it") \
  X(cancel, "cancel", "messages", "consumer:id", COMMAND_PLAIN, "end a consumer; what it holds goes back")               \
  X(ack, "ack", "messages", "receipts:list {multiple:bool}", COMMAND_CHANGES, "settle deliveries: the messages are gone") \
  X(nack, "nack", "messages", "receipts:list {delay:ms dead:bool note:text}", COMMAND_CHANGES,                           \
    "give deliveries back, at once, after a delay, or as dead")                                                          \
  X(extend, "extend", "messages", "receipts:list visibility:ms", COMMAND_CHANGES,                                        \
    "let deliveries run on for visibility from now; 0 gives them back")                                                  \
  X(park, "park", "messages", "receipts:list {note:text}", COMMAND_CHANGES, "set deliveries aside until they are kicked") \
  X(kick, "kick", "messages", "queue:name what:any", COMMAND_CHANGES,                                                    \
    "make parked messages ready again: a count (lowest ids first) or a list of ids")                                     \
  X(discard, "discard", "messages", "queue:name ids:list", COMMAND_CHANGES,                                              \
    "remove single ready, delayed or parked messages by id")                                                             \
  X(commit, "commit", "messages", "{publish:list topics:list ack:list}", COMMAND_CHANGES,                                \
    "publish and ack, all or nothing")                                                                                   \
  X(move, "move", "messages", "source:name {to:name rate:count max:id}", COMMAND_PLAIN,                                  \
    "move ready and parked messages back to where they came from, or to another queue")                                  \
  X(move_list, "move.list", "messages", "", COMMAND_PLAIN, "list the moves and how far they are")                        \
  X(move_cancel, "move.cancel", "messages", "move:id", COMMAND_PLAIN, "end a move; what it has moved stays")             \
  X(peek, "peek", "messages", "queue:name {state:text from:id to:id group:text max:count}", COMMAND_PLAIN,               \
    "look at messages without changing anything")                                                                        \
  X(queue_create, "queue.create", "queues", "queue:name attributes:map?", COMMAND_CHANGES,                               \
    "create a queue; the same call again changes nothing")                                                               \
  X(queue_update, "queue.update", "queues", "queue:name attributes:map", COMMAND_CHANGES, "change attributes of a queue") \
  X(queue_delete, "queue.delete", "queues", "queue:name {if_empty:bool if_unused:bool}", COMMAND_CHANGES,                \
    "delete a queue and its messages")                                                                                   \
  X(queue_purge, "queue.purge", "queues", "queue:name {state:text}", COMMAND_CHANGES, "remove the messages of a queue")  \
  X(queue_info, "queue.info", "queues", "queue:name", COMMAND_PLAIN, "show a queue's counts, rates and attributes")      \
  X(queue_list, "queue.list", "queues", "{prefix:text cursor:text max:count}", COMMAND_PLAIN, "list queues by name")     \
  X(queue_pause, "queue.pause", "queues", "queue:name", COMMAND_CHANGES, "stop deliveries from a queue")                 \
  X(queue_resume, "queue.resume", "queues", "queue:name", COMMAND_CHANGES, "take up deliveries again")                   \
  X(topic_create, "topic.create", "topics", "topic:name", COMMAND_CHANGES,                                               \
    "create a topic; the same call again changes nothing")                                                               \
  X(topic_delete, "topic.delete", "topics", "topic:name", COMMAND_CHANGES, "delete a topic and its subscriptions")       \
  X(topic_list, "topic.list", "topics", "{prefix:text cursor:text max:count}", COMMAND_PLAIN, "list topics by name")     \
  X(topic_info, "topic.info", "topics", "topic:name", COMMAND_PLAIN, "show a topic's subscriptions")                     \
  X(topic_subscribe, "topic.subscribe", "topics", "topic:name queue:name {pattern:text filter:map}", COMMAND_CHANGES,    \
    "have a queue get what is published to a topic")                                                                     \
  X(topic_unsubscribe, "topic.unsubscribe", "topics", "topic:name queue:name {pattern:text}", COMMAND_CHANGES,           \
    "end one subscription, or all of a queue to a topic")                                                                \
  X(topic_publish, "topic.publish", "topics", "topic:name key:text messages:list {mandatory:bool wait:ms}",              \
    COMMAND_CHANGES, "put a copy of messages into every queue whose subscription matches")                               \
  X(server_info, "server.info", "server", "section:text?", COMMAND_PLAIN, "show the server's state by section")          \
  X(server_stats, "server.stats", "server", "", COMMAND_PLAIN, "show the server's counters")                             \
  X(log_info, "log.info", "server", "", COMMAND_PLAIN, "show the log: its level, files, sizes and times")                \
  X(log_compact, "log.compact", "server", "", COMMAND_PLAIN, "give back the room of what no longer counts in the log")   \
  X(config_get, "config.get", "server", "pattern:text?", COMMAND_PLAIN, "show options whose name matches; * and ? match") \
  X(config_set, "config.set", "server", "key:text value:any", COMMAND_PLAIN, "change an option of the running server")   \
  X(client_list, "client.list", "server", "", COMMAND_PLAIN, "list the connections")                                     \
  X(client_kill, "client.kill", "server", "client:id", COMMAND_PLAIN, "end a connection")
/* clang-format on */

enum command_id {
#define X(id, method, group, args, flags, help) COMMAND_##id,
    COMMAND_LIST(X)
#undef X
        COMMAND_COUNT
};

struct command {
    const char *method;
    const char *group;
    const char *args;
    const char *help;
    unsigned flags; /* enum command_flag */
};

/* The row of a command; `id` below COMMAND_COUNT. */
const struct command *command_row(enum command_id id);

/* The command with that method name (not terminated), or COMMAND_COUNT. */
enum command_id command_find(const char *method, size_t bytes);

#endif
