#include "benchmarks/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, COUNT, POSITIVE, ANY_TIME, YES, NO, LIST, WORKLOAD, FORMAT, HELP, VERSION };

/* An option: its letter or 0, what it takes, where that goes, and its range. */
struct row {
    const char *name;
    char letter;
    enum kind kind;
    const char *takes, *help;
    size_t at;
    uint32_t low, high;
};

#define AT(field) offsetof(struct bench_options, field)

static const struct row rows[] = {
    {"workload", 'w', WORKLOAD, "NAME", "one of the workloads above (throughput)", AT(workload), 0, 0},
    {"host", 'h', TEXT, "HOST", "server (127.0.0.1)", AT(host), 0, 0},
    {"port", 'p', TEXT, "PORT", "its port (7464)", AT(port), 0, 0},
    {"socket", 's', TEXT, "PATH", "its Unix socket, instead of host and port", AT(socket_path), 0, 0},
    {"queue", 0, TEXT, "NAME", "queue or topic, made and deleted (ringmq-bench)", AT(queue), 0, 0},
    {"producers", 0, COUNT, "N", "connections that publish (1)", AT(producers), 1, 1000000},
    {"consumers", 0, COUNT, "N", "connections that consume (1)", AT(consumers), 0, 1000000},
    {"size", 0, LIST, "N", "bytes of a body, 16 at least; k and m are known (128)", AT(sizes), BENCH_STAMP_BYTES,
     1u << 24},
    {"sizes", 0, LIST, "N,N,...", "each of these sizes with each batch", AT(sizes), BENCH_STAMP_BYTES, 1u << 24},
    {"batch", 0, LIST, "N", "messages a publish (100)", AT(batches), 1, 100000},
    {"batches", 0, LIST, "N,N,...", "each of these batches with each size", AT(batches), 1, 100000},
    {"window", 0, COUNT, "N", "unconfirmed messages of a producer (10000)", AT(window), 1, 1u << 24},
    {"backlog", 0, COUNT, "N", "its messages not yet received, before it waits (20000)", AT(backlog), 1, 1u << 30},
    {"prefetch", 0, COUNT, "N", "unacked messages of a consumer (10000)", AT(prefetch), 1, 1000000},
    {"ack", 0, COUNT, "N", "receipts an ack (100)", AT(ack), 1, 100000},
    {"multiple", 0, YES, NULL, "ack with one receipt and multiple", AT(multiple), 0, 0},
    {"rate", 0, POSITIVE, "N", "messages a second; latency from the intended time", AT(rate), 0, 0},
    {"spin", 0, YES, NULL, "ask the sockets again and again instead of sleeping", AT(spin), 0, 0},
    {"no-spin", 0, NO, NULL, "sleep until something comes", AT(spin), 0, 0},
    {"queues", 0, COUNT, "N", "above 1: a topic in front of so many queues (1)", AT(queues), 1, 10000},
    {"groups", 0, COUNT, "N", "above 0: a fifo queue with so many groups (0)", AT(groups), 0, 10000000},
    {"delay", 0, COUNT, "MS", "delays from 1 ms to this one (0: none)", AT(delay_ms), 0, 3600000},
    {"messages", 0, COUNT, "N", "of a fill or drain (1000000)", AT(messages), 1, 1u << 30},
    {"connections", 0, COUNT, "N", "of the workload idle (1000)", AT(connections), 1, 1000000},
    {"durable", 0, YES, NULL, "the queue is in the server's log, if it has one", AT(durable), 0, 0},
    {"no-durable", 0, NO, NULL, "it is not", AT(durable), 0, 0},
    {"duration", 0, POSITIVE, "SEC", "the time that counts (5)", AT(seconds), 0, 0},
    {"warmup", 0, ANY_TIME, "SEC", "and the time before it (1)", AT(warmup), 0, 0},
    {"runs", 0, COUNT, "N", "repeat; medians, and the lowest and highest (1)", AT(runs), 1, BENCH_RUNS_MAX},
    {"verify", 0, YES, NULL, "check loss, duplicates, order and contents; so it is", AT(verify), 0, 0},
    {"no-verify", 0, NO, NULL, "count only", AT(verify), 0, 0},
    {"floor", 0, YES, NULL, "no server: the same bytes through a bare relay", AT(floor), 0, 0},
    {"json", 0, FORMAT, NULL, "one JSON object a line", BENCH_JSON, 0, 0},
    {"csv", 0, FORMAT, NULL, "comma-separated, with a line of names", BENCH_CSV, 0, 0},
    {"percentiles", 0, TEXT, "FILE", "write the latencies as HdrHistogram's text", AT(percentiles), 0, 0},
    {"help", 0, HELP, NULL, "print this", 0, 0, 0},
    {"version", 0, VERSION, NULL, "print the version", 0, 0, 0},
};

#define ROWS (sizeof rows / sizeof rows[0])

static void help(FILE *out)
{
    fputs("usage: ringmq-bench [options]\n"
          "Publishes, consumes and acks, and checks every message for loss, duplicates, order and contents.\n\n"
          "workloads, and what they stand for:\n",
          out);
    for (const struct workload *w = workloads; w->name; w++)
        fprintf(out, "  %-12s %s%s%s\n", w->name, w->help, *w->options ? "\n               " : "", w->options);
    fputs("\noptions:\n", out);
    for (size_t i = 0; i < ROWS; i++) {
        char name[64], letter[8] = "   ";
        if (rows[i].letter)
            snprintf(letter, sizeof letter, "-%c,", rows[i].letter);
        snprintf(name, sizeof name, "--%s %s", rows[i].name, rows[i].takes ? rows[i].takes : "");
        fprintf(out, "  %s %-19s %s\n", letter, name, rows[i].help);
    }
}

/* A whole number of the row's range; `end` is where it ends. Ends the program if it is not one. */
static uint32_t number(const struct row *row, const char *text, const char **end)
{
    char *after;
    unsigned long n = strtoul(text, &after, 10);
    uint32_t unit = *after == 'k' ? 1024 : *after == 'm' ? 1u << 20 : 1;
    if (row->kind == LIST && unit > 1)
        after++;
    else
        unit = 1;
    bool list = row->kind == LIST && *after == ',';
    if (*text < '0' || *text > '9' || (*after != '\0' && !list) || n > UINT32_MAX / unit || n * unit < row->low ||
        n * unit > row->high) {
        fprintf(stderr, "ringmq-bench: --%s takes a whole number from %u to %u, not '%s'\n", row->name, row->low,
                row->high, text);
        exit(2);
    }
    *end = after;
    return (uint32_t)n * unit;
}

static double real(const struct row *row, const char *text)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || *end != '\0' || !(row->kind == ANY_TIME ? n >= 0 : n > 0) || n > 1e9) {
        fprintf(stderr, "ringmq-bench: --%s takes a number %s, not '%s'\n", row->name,
                row->kind == ANY_TIME ? "from 0 on" : "above 0", text);
        exit(2);
    }
    return n;
}

static void set_list(struct bench_options *o, const struct row *row, const char *text)
{
    uint32_t *list = row->at == AT(sizes) ? o->sizes : o->batches;
    uint32_t *count = row->at == AT(sizes) ? &o->size_count : &o->batch_count;
    for (*count = 0; *count < BENCH_LIST_MAX; text++) {
        list[(*count)++] = number(row, text, &text);
        if (*text == '\0')
            return;
    }
    fprintf(stderr, "ringmq-bench: --%s takes at most %d numbers\n", row->name, BENCH_LIST_MAX);
    exit(2);
}

static void set_workload(struct bench_options *o, const char *name)
{
    for (o->workload = workloads; o->workload->name; o->workload++)
        if (strcmp(o->workload->name, name) == 0)
            return;
    fprintf(stderr, "ringmq-bench: there is no workload '%s'; --help lists them\n", name);
    exit(2);
}

static void set(struct bench_options *o, const struct row *row, const char *text)
{
    char *at = (char *)o + row->at;
    const char *end;
    switch (row->kind) {
    case TEXT:
        memcpy(at, &text, sizeof text);
        break;
    case COUNT:
        *(uint32_t *)(void *)at = number(row, text, &end);
        break;
    case POSITIVE:
    case ANY_TIME:
        *(double *)(void *)at = real(row, text);
        break;
    case YES:
    case NO:
        *(bool *)at = row->kind == YES;
        break;
    case LIST:
        set_list(o, row, text);
        break;
    case WORKLOAD:
        set_workload(o, text);
        break;
    case FORMAT:
        o->format = (enum bench_format)row->at;
        break;
    case HELP:
        help(stdout);
        exit(0);
    case VERSION:
        puts("ringmq-bench " RINGMQ_VERSION);
        exit(0);
    }
}

/* One pass over arguments. */
static void parse(struct bench_options *o, int argc, char **argv)
{
    struct option list[ROWS + 1] = {0};
    char letters[2 * ROWS + 1] = "";
    for (size_t i = 0; i < ROWS; i++) {
        list[i] = (struct option){rows[i].name, rows[i].takes ? 1 : 0, NULL, 256 + (int)i};
        if (rows[i].letter) {
            size_t end = strlen(letters);
            snprintf(letters + end, sizeof letters - end, "%c:", rows[i].letter);
        }
    }
    optind = 0; /* from the beginning, also a second time */
    for (int option; (option = getopt_long(argc, argv, letters, list, NULL)) != -1;) {
        size_t i = option >= 256 ? (size_t)option - 256 : 0;
        while (option < 256 && i < ROWS && rows[i].letter != option)
            i++;
        if (i == ROWS) {
            fputs("Try 'ringmq-bench --help'.\n", stderr);
            exit(2);
        }
        set(o, &rows[i], optarg);
    }
    if (optind < argc) {
        fprintf(stderr, "ringmq-bench: '%s' is no option\nTry 'ringmq-bench --help'.\n", argv[optind]);
        exit(2);
    }
}

/* The options that a workload stands for. */
static void apply(struct bench_options *o, const struct workload *workload)
{
    char *words[32] = {"ringmq-bench"}, *text = strdup(workload->options);
    int count = 1;
    for (char *word = text ? strtok(text, " ") : NULL; word && count < 31; word = strtok(NULL, " "))
        words[count++] = word;
    parse(o, count, words);
    free(text);
}

void options_parse(struct bench_options *o, int argc, char **argv)
{
    const struct bench_options defaults = {
        .host = "127.0.0.1",
        .port = "7464",
        .queue = "ringmq-bench",
        .workload = workloads,
        .producers = 1,
        .consumers = 1,
        .connections = 1000,
        .queues = 1,
        .sizes = {128},
        .size_count = 1,
        .batches = {100},
        .batch_count = 1,
        .window = 10000,
        .backlog = 20000,
        .messages = 1000000,
        .prefetch = 10000,
        .ack = 100,
        .verify = true,
        .durable = true,
        .seconds = 5,
        .warmup = 1,
        .runs = 1,
    };
    /* Once to learn the workload, and again because what the user says comes after what that stands for. */
    *o = defaults;
    parse(o, argc, argv);
    const struct workload *workload = o->workload;
    *o = defaults;
    apply(o, workload);
    parse(o, argc, argv);
}

void options_agree(struct bench_options *o)
{
    if (o->workload->shape == BENCH_FILL)
        o->consumers = 0;
    if (o->workload->shape == BENCH_DRAIN && o->consumers == 0)
        o->consumers = 1;
    if (o->consumers > 0 && o->consumers < o->queues)
        o->consumers = o->queues;
    if (o->window < o->batch)
        o->window = o->batch;
    if (o->backlog < o->batch)
        o->backlog = o->batch;
    /* What a delay holds back is no backlog that has grown. */
    double held = o->rate * (o->delay_ms / 1e3 + 10);
    if (o->delay_ms > 0 && held > o->backlog)
        o->backlog = held < 1u << 30 ? (uint32_t)held : 1u << 30;
    if (o->ack > o->prefetch)
        o->ack = o->prefetch;
}
