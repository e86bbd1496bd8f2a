/*
 * options: everything an operator can set, listed once. The fields of struct options, their defaults, parsing,
 * printing, config.get and config.set, the text of --help and conf/ringmq.conf are all derived from the rows of
 * OPTION_LIST.
 *
 * A row: X(field, TYPE, default, min, max, when, help, detail)
 *   field    the key in files, flags and config.set, and the name of the field in struct options
 *   TYPE     BYTES  uint64_t            64mb; b kb mb gb, 1024-based
 *            MS     uint64_t            30s; ms s m h d
 *            COUNT  uint64_t            a whole number
 *            MODE   uint64_t            octal digits, as chmod(1) takes them
 *            BOOL   bool                yes or no (also true, false, on, off)
 *            LEVEL  enum log_level      debug, info, warn or error
 *            DURABILITY  enum durability   auto, none, os, interval or fsync
 *            FAILURE     enum log_failure  stay or exit
 *            TEXT   struct option_text  one line of text
 *            LIST   struct option_list  words
 *   default  as text, in the canonical form
 *   min, max the range of a number, the bytes of a TEXT, the words of a LIST
 *   when     RUNTIME: config.set and a reload change it; RESTART: only a start does
 *   help     one sentence
 *   detail   what it costs, and when to change it; for the sample file
 *
 * struct options is a plain value: it owns no memory and is copied by assignment.
 *
 * Every function that can fail returns OPTION_OK or a negative enum option_result, and then says in `error` what was
 * given, where, and what is allowed. The text is printable ASCII whatever was given. On a failure nothing else changes.
 */
#ifndef SERVER_OPS_OPTIONS_H
#define SERVER_OPS_OPTIONS_H

#include "protocol/limits.h"
#include "server/ops/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define OPTION_KB     1024ULL
#define OPTION_MB     (1024 * OPTION_KB)
#define OPTION_GB     (1024 * OPTION_MB)
#define OPTION_SECOND 1000ULL
#define OPTION_HOUR   (3600 * OPTION_SECOND)

/* Words of a LIST at most, bytes of each with the terminator, bytes of a TEXT with the terminator. */
#define OPTION_LIST_WORDS 16
#define OPTION_WORD_BYTES 128
#define OPTION_TEXT_BYTES 1024

/* clang-format off */
#define OPTION_LIST(X)                                                                                                 \
  X(bind, LIST, "127.0.0.1", 1, OPTION_LIST_WORDS, RESTART,                                                            \
    "the addresses to listen on",                                                                                      \
    "IPv4 and IPv6 addresses; * means every address of the machine. Several may stand in one line or in several"       \
    " lines. The server does not ask who is calling: whoever reaches the port can read and delete every message."      \
    " Open it beyond this machine only on a network that you trust.")                                                  \
  X(port, COUNT, "7464", 0, 65535, RESTART,                                                                            \
    "the TCP port, the same for all addresses",                                                                        \
    "0 takes any free port; the first lines of the log name it.")                                                      \
  X(socket, TEXT, "", 0, 107, RESTART,                                                                                 \
    "the path of a Unix socket to listen on as well",                                                                  \
    "Empty means none. Access is then a matter of file permissions. A socket left over from an earlier run is"         \
    " replaced, one on which somebody listens is not.")                                                                \
  X(socket_mode, MODE, "0660", 0, 0777, RESTART,                                                                       \
    "the permissions of the Unix socket",                                                                              \
    "The default lets the server's user and group in. 0666 lets in every user of the machine.")                        \
  X(max_memory, BYTES, "0", 0, 1024 * 1024 * OPTION_GB, RUNTIME,                                                       \
    "how much memory messages, indexes and connection buffers may take",                                               \
    "0 means 70 % of the machine's memory or of the control group's limit, whichever is lower, computed at the"        \
    " start. At the limit publishes are refused with MEMORY_LIMIT while receives and acks go on. Too high, and the"    \
    " kernel may kill the server with everything in it; leave room for other programs and for what the allocator"      \
    " keeps aside.")                                                                                                   \
  X(max_message_bytes, BYTES, "1mb", 1, 256 * OPTION_MB, RUNTIME,                                                      \
    "the largest body of a message",                                                                                   \
    "A larger one is refused with TOO_LARGE and never held. Large bodies keep a connection busy and make latency"      \
    " uneven for the messages behind them; a reference to a file or an object is often the better message.")           \
  X(max_request_bytes, BYTES, "16mb", 65 * OPTION_KB, 4095 * OPTION_MB, RUNTIME,                                       \
    "the largest request, with everything in it",                                                                      \
    "A connection that sends a larger one is closed. It must be at least 64kb more than max_message_bytes. This"       \
    " bounds the size of a batch, and what one connection can make the server buffer.")                                \
  X(max_response_bytes, BYTES, "16mb", OPTION_KB, 4095 * OPTION_MB, RUNTIME,                                           \
    "the size at which the answer to a receive or a peek stops taking messages",                                       \
    "There is always at least one message in it, however large. Higher saves round trips for large bodies; lower"      \
    " keeps the buffers of clients and server small.")                                                                 \
  X(max_batch, COUNT, "1000", 1, 100000, RUNTIME,                                                                      \
    "how many messages one publish or receive may carry",                                                              \
    "A batch is one step: nothing else happens while it is carried out. Above about 100 messages there is little"      \
    " speed to be won, and everybody else waits longer.")                                                              \
  X(max_wait, MS, "20s", 0, OPTION_HOUR, RUNTIME,                                                                      \
    "how long a receive may wait for a message, or a publish for room",                                                \
    "A waiting receive costs a little memory and no processor time. Firewalls and proxies on the way may cut"          \
    " connections that are silent for longer than a minute or so.")                                                    \
  X(max_connections, COUNT, "10000", 1, 1000000, RESTART,                                                              \
    "how many connections may be open at a time",                                                                      \
    "One more gets a typed error and is closed. Each takes a file descriptor; the server raises its own limit as"      \
    " far as the system lets it (ulimit -Hn, LimitNOFILE=).")                                                          \
  X(max_output, BYTES, "16mb", 64 * OPTION_KB, 4095 * OPTION_MB, RUNTIME,                                              \
    "how much unsent output a connection may have before it is held back",                                             \
    "Above it the server reads no further requests of that connection and its consumers get nothing until it has"      \
    " read. Higher evens out bursts to a slow reader; the memory for it is taken per connection.")                     \
  X(slow_client_timeout, MS, "1m", 100, 24 * OPTION_HOUR, RUNTIME,                                                     \
    "how long a client may leave its output unread before it is disconnected",                                         \
    "What was delivered to its consumers then goes to others. Lower frees messages sooner; higher bears longer"        \
    " pauses of a client.")                                                                                            \
  X(drain_timeout, MS, "10s", 0, OPTION_HOUR, RUNTIME,                                                                 \
    "how long a stop waits for acks of what is being worked on",                                                       \
    "0 stops at once. A second signal ends the wait. Keep it below the time after which the service manager"           \
    " kills.")                                                                                                         \
  X(tcp_keepalive, MS, "1m", 0, 9 * OPTION_HOUR, RUNTIME,                                                              \
    "after how much silence TCP asks whether a peer is still there",                                                   \
    "0 never asks: a peer that vanished without a word then keeps its connection, and its consumers their"             \
    " messages. Rounded up to whole seconds. A change is for new connections.")                                        \
  X(max_queues, COUNT, "100000", 1, 10000000, RUNTIME,                                                                 \
    "how many queues there may be",                                                                                    \
    "It catches programs that create queues and forget them. Queues above a limit that was lowered stay.")             \
  X(prefetch, COUNT, "100", 1, LIMIT_PREFETCH, RUNTIME,                                                                \
    "how many unacked messages a consumer may hold if it does not say",                                                \
    "Higher hides the round trip and is faster for quick work; lower spreads slow work evenly over the consumers.")    \
  X(dir, TEXT, "", 0, 1023, RESTART,                                                                                   \
    "the directory of the log in which messages are kept",                                                             \
    "Empty means none: everything is in memory only, and lost when the server ends. With a directory (made if it is"   \
    " not there, for this user only) every change of durable queues is written there before it is confirmed, and a"    \
    " start brings it all back. It belongs to one server at a time. The log takes at most about twice what it keeps,"  \
    " and two segments; put it on a local disk.")                                                                      \
  X(durability, DURABILITY, "auto", 0, DURABILITY_COUNT - 1, RUNTIME,                                                  \
    "what a confirm means: auto, os, interval or fsync",                                                               \
    "os: the change has been given to the system; it survives the death of the server (kill -9), not that of the"      \
    " machine. interval: as os, and the disk is told to keep it every sync_interval; a power failure takes the"        \
    " changes of that time at most. fsync: the disk has kept it before the answer leaves; a power failure takes"       \
    " nothing that was confirmed. os and interval cost little; with fsync an answer takes as long as the disk does,"   \
    " and all that wait share one sync, so that many in flight cost hardly more than one. auto is fsync with a"        \
    " dir, and none, in memory only, without.")                                                                        \
  X(sync_interval, MS, "1s", 1, OPTION_HOUR, RUNTIME,                                                                  \
    "how often the log is synced with durability interval",                                                            \
    "It is what a power failure may take. Shorter loses less and keeps the disk busier.")                              \
  X(log_segment_bytes, BYTES, "64mb", 64 * OPTION_KB, OPTION_GB, RESTART,                                              \
    "the size of a file of the log",                                                                                   \
    "Files are allocated whole before they are used, one ahead, and used again when nothing in them counts any more."  \
    " Larger ones are changed less often; smaller ones save room when there is little to keep.")                       \
  X(log_failure, FAILURE, "stay", 0, LOG_FAILURE_COUNT - 1, RUNTIME,                                                   \
    "what to do when the log can't be written or synced any more: stay or exit",                                       \
    "stay: publishes are refused with LOG_FAILED, what is there can still be received and acked, in memory only."      \
    " exit: the server tells those who wait and ends with an error, for whoever supervises it to start another."       \
    " A full disk is no failure: publishes get DISK_FULL until there is room again.")                                  \
  X(definitions, TEXT, "", 0, 1023, RESTART,                                                                           \
    "a file of queues, topics and subscriptions that are to be there",                                                 \
    "Empty means none. One command a line, as ringmq-cli export writes them: queue create, topic create and"           \
    " topic subscribe. They are carried out before the first connection is accepted; if one can't be, the server"      \
    " does not start and says which.")                                                                                 \
  X(log_level, LEVEL, "info", 0, LOG_LEVEL_COUNT - 1, RUNTIME,                                                         \
    "the least important lines to log: debug, info, warn or error",                                                    \
    "Lines go to stderr, bodies of messages never. debug writes a line for every connection and more: for a test,"     \
    " not for a busy server.")
/* clang-format on */

/* What a confirm means. DURABILITY_AUTO: none or fsync, as there is a directory or not. */
enum durability {
    DURABILITY_AUTO,
    DURABILITY_NONE,
    DURABILITY_OS,
    DURABILITY_INTERVAL,
    DURABILITY_FSYNC,
    DURABILITY_COUNT
};

/* What the server does when its log has failed. */
enum log_failure { LOG_FAILURE_STAY, LOG_FAILURE_EXIT, LOG_FAILURE_COUNT };

struct option_text {
    char text[OPTION_TEXT_BYTES];
};

struct option_list {
    uint32_t count;
    char words[OPTION_LIST_WORDS][OPTION_WORD_BYTES];
};

#define OPTION_C_BYTES      uint64_t
#define OPTION_C_MS         uint64_t
#define OPTION_C_COUNT      uint64_t
#define OPTION_C_MODE       uint64_t
#define OPTION_C_BOOL       bool
#define OPTION_C_LEVEL      enum log_level
#define OPTION_C_DURABILITY enum durability
#define OPTION_C_FAILURE    enum log_failure
#define OPTION_C_TEXT       struct option_text
#define OPTION_C_LIST       struct option_list

struct options {
#define X(field, type, ...) OPTION_C_##type field;
    OPTION_LIST(X)
#undef X
};

enum option_id {
#define X(field, ...) OPTION_##field,
    OPTION_LIST(X)
#undef X
        OPTION_COUNT
};

enum option_type {
    OPTION_TYPE_BYTES,
    OPTION_TYPE_MS,
    OPTION_TYPE_COUNT,
    OPTION_TYPE_MODE,
    OPTION_TYPE_BOOL,
    OPTION_TYPE_LEVEL,
    OPTION_TYPE_DURABILITY,
    OPTION_TYPE_FAILURE,
    OPTION_TYPE_TEXT,
    OPTION_TYPE_LIST,
};

enum option_when { OPTION_RUNTIME, OPTION_RESTART };

struct option {
    const char *key;
    enum option_type type;
    enum option_when when;
    const char *default_text;
    uint64_t min;
    uint64_t max;
    const char *help;
    const char *detail;
    size_t offset; /* of the field in struct options */
};

enum option_result {
    OPTION_OK = 0,
    OPTION_UNKNOWN_KEY = -1,
    OPTION_NEEDS_RESTART = -2, /* config_set on a row that says RESTART */
    OPTION_BAD_VALUE = -3,     /* no number, an unknown unit or word */
    OPTION_OUT_OF_RANGE = -4,
    OPTION_CONFLICT = -5,   /* good alone, but not together with another option */
    OPTION_BAD_SYNTAX = -6, /* a line or a flag that is no key and value */
    OPTION_UNREADABLE = -7, /* the file */
};

struct option_error {
    char text[512];
};

/* Room for the longest printed value and its terminator. */
#define OPTION_PRINT_BYTES (OPTION_LIST_WORDS * OPTION_WORD_BYTES)

/* The row of an option; `id` below OPTION_COUNT. */
const struct option *option_row(enum option_id id);

/* The option with that key (not terminated), or OPTION_COUNT. */
enum option_id option_find(const char *key, size_t bytes);

/* Sets every field to its default. */
void options_init(struct options *o);

/* Sets a field from text (not terminated). Of a LIST: its words, separated by blanks, replace what was there. */
int option_set(struct options *o, enum option_id id, const char *text, size_t bytes, struct option_error *error);

/* Adds the words of `text` to a LIST. */
int option_add(struct options *o, enum option_id id, const char *text, size_t bytes, struct option_error *error);

/* Stores a field's canonical text, terminated; option_set() with it changes nothing. */
void option_print(const struct options *o, enum option_id id, char out[OPTION_PRINT_BYTES]);

bool option_equal(const struct options *a, const struct options *b, enum option_id id);
void option_copy(struct options *to, const struct options *from, enum option_id id);

/* Checks what no row can know alone: that the values fit each other. OPTION_CONFLICT or OPTION_OK. */
int options_check(const struct options *o, struct option_error *error);

/* The durability in force: never DURABILITY_AUTO. */
enum durability options_durability(const struct options *o);

/* none, os, interval or fsync (or auto). */
const char *durability_name(enum durability durability);

/* Writes into `error` and returns `result`. Bytes that are not printable ASCII come out as '?'. */
int option_fail(struct option_error *error, enum option_result result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The part of a wrong key or value that an error repeats: the beginning, terminated, with '?' for zero bytes. */
#define OPTION_SHOWN_BYTES 60
struct option_shown {
    char text[OPTION_SHOWN_BYTES + 4];
};
struct option_shown option_show(const char *text, size_t bytes);

/*
 * OPTION_UNKNOWN_KEY; the text suggests the key that is nearest, if one is near. `dashes` ("" or "--") goes before
 * both.
 */
int option_fail_unknown(struct option_error *error, const char *dashes, const char *key, size_t bytes);

/* A row's range for people, e.g. "64kb to 4gb", or "" if the type says it all. */
#define OPTION_RANGE_BYTES 96
void option_print_range(const struct option *row, char out[OPTION_RANGE_BYTES]);

/* One line per option: flag, meaning, default. */
void options_print_help(FILE *out);

/* The sample configuration file, conf/ringmq.conf: meaning, trade-off and commented-out default of each option. */
void options_print_sample(FILE *out);

#endif
