/* ringmq-bench: options and the report. */
#include "benchmarks/bench.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: ringmq-bench [options]\n"
    "Publishes, consumes and acks as fast as it can, or at a rate, and checks every message for loss, duplicates and "
    "order.\n"
    "\n"
    "  -h, --host HOST        server (127.0.0.1)             --size N       bytes of a body, at least 16 (128)\n"
    "  -p, --port PORT        its port (7464)                --batch N      messages a publish (100)\n"
    "  -s, --socket PATH      its Unix socket                --window N     unconfirmed messages a producer (10000)\n"
    "      --queue NAME       queue, made and deleted        --prefetch N   unacked messages a consumer (10000)\n"
    "      --producers N      connections that publish (1)   --ack N        receipts an ack (100)\n"
    "      --consumers N      that consume (1), or 0         --multiple     ack with one receipt and `multiple`\n"
    "      --duration SEC     how long to publish (5)        --rate N       messages a second; latency from the "
    "intended time\n"
    "      --backlog N        a producer waits while so many of its messages have not been received (20000)\n"
    "      --floor            no server: the same bytes through a bare relay, for comparison\n"
    "      --json             the report as one JSON object  --help, --version\n";

enum {
    QUEUE = 256,
    PRODUCERS,
    CONSUMERS,
    SIZE,
    BATCH,
    WINDOW,
    BACKLOG,
    PREFETCH,
    ACK,
    MULTIPLE,
    DURATION,
    RATE,
    FLOOR,
    JSON,
    HELP,
    VERSION
};

static const struct option long_options[] = {
    {"host", 1, NULL, 'h'},
    {"port", 1, NULL, 'p'},
    {"socket", 1, NULL, 's'},
    {"queue", 1, NULL, QUEUE},
    {"producers", 1, NULL, PRODUCERS},
    {"consumers", 1, NULL, CONSUMERS},
    {"size", 1, NULL, SIZE},
    {"batch", 1, NULL, BATCH},
    {"window", 1, NULL, WINDOW},
    {"backlog", 1, NULL, BACKLOG},
    {"prefetch", 1, NULL, PREFETCH},
    {"ack", 1, NULL, ACK},
    {"multiple", 0, NULL, MULTIPLE},
    {"duration", 1, NULL, DURATION},
    {"rate", 1, NULL, RATE},
    {"floor", 0, NULL, FLOOR},
    {"json", 0, NULL, JSON},
    {"help", 0, NULL, HELP},
    {"version", 0, NULL, VERSION},
    {0},
};

/* A whole number from `low` to `high`; ends the program if it is not one. */
static uint32_t count(const char *name, const char *text, uint32_t low, uint32_t high)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || n < low || n > high) {
        fprintf(stderr, "ringmq-bench: --%s takes a whole number from %u to %u, not '%s'\n", name, low, high, text);
        exit(2);
    }
    return (uint32_t)n;
}

static double positive(const char *name, const char *text)
{
    char *end;
    double n = strtod(text, &end);
    if (*end != '\0' || !(n > 0) || n > 1e12) {
        fprintf(stderr, "ringmq-bench: --%s takes a number above 0, not '%s'\n", name, text);
        exit(2);
    }
    return n;
}

static void set(struct bench_options *o, int option, const char *text)
{
    switch (option) {
    case 'h':
        o->host = text;
        break;
    case 'p':
        o->port = text;
        break;
    case 's':
        o->socket_path = text;
        break;
    case QUEUE:
        o->queue = text;
        break;
    case PRODUCERS:
        o->producers = count("producers", text, 1, 1000);
        break;
    case CONSUMERS:
        o->consumers = count("consumers", text, 0, 1000);
        break;
    case SIZE:
        o->size = count("size", text, BENCH_STAMP_BYTES, 1u << 24);
        break;
    case BATCH:
        o->batch = count("batch", text, 1, 100000);
        break;
    case WINDOW:
        o->window = count("window", text, 1, 1u << 24);
        break;
    case BACKLOG:
        o->backlog = count("backlog", text, 1, UINT32_MAX);
        break;
    case PREFETCH:
        o->prefetch = count("prefetch", text, 1, 1000000);
        break;
    case ACK:
        o->ack = count("ack", text, 1, 100000);
        break;
    case MULTIPLE:
        o->multiple = true;
        break;
    case DURATION:
        o->seconds = positive("duration", text);
        break;
    case RATE:
        o->rate = positive("rate", text);
        break;
    case FLOOR:
        o->floor = true;
        break;
    case JSON:
        o->json = true;
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    case VERSION:
        puts("ringmq-bench " RINGMQ_VERSION);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static void parse(struct bench_options *o, int argc, char **argv)
{
    for (int option; (option = getopt_long(argc, argv, "h:p:s:", long_options, NULL)) != -1;)
        set(o, option, optarg);
    if (optind < argc)
        set(o, '?', NULL);
    if (o->window < o->batch)
        o->window = o->batch;
    if (o->backlog < o->batch)
        o->backlog = o->batch;
    if (o->ack > o->prefetch)
        o->ack = o->prefetch;
}

static void print_latency(const char *name, const struct histogram *h)
{
    printf("%-12s p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n", name,
           (double)histogram_quantile(h, 0.5) / 1e3, (double)histogram_quantile(h, 0.99) / 1e3,
           (double)histogram_quantile(h, 0.999) / 1e3, (double)h->max_ns / 1e3);
}

static bool verified(const struct bench_result *r)
{
    return r->lost + r->duplicates + r->disordered + r->corrupt == 0 && r->sent == r->confirmed &&
           r->acked == r->received;
}

/* Those that made the whole way. */
static uint64_t whole(const struct bench_options *o, const struct bench_result *r)
{
    return o->consumers ? r->acked : r->confirmed;
}

static void report(const struct bench_options *o, const struct bench_result *r)
{
    uint64_t messages = whole(o, r);
    double per_message = messages ? r->server_cpu_ns / (double)messages : 0;
    printf("%-12s %u producers, %u consumers, %u bytes, batch %u, window %u, prefetch %u, ack %u%s, %.1f s\n",
           o->floor ? "floor" : "load", o->producers, o->consumers, o->size, o->batch, o->window, o->prefetch, o->ack,
           o->multiple ? " multiple" : "", r->seconds);
    printf("%-12s %" PRIu64 " messages, %.0f msgs/s, %.1f MB/s of bodies\n", "throughput", messages,
           (double)messages / r->seconds, (double)messages * o->size / r->seconds / 1e6);
    printf("%-12s %.1f ns a message, %.0f %% of one processor\n", "server CPU", per_message,
           r->server_cpu_ns / r->seconds / 1e7);
    if (o->floor)
        return;
    print_latency("end to end", &r->end_to_end);
    print_latency("confirm", &r->confirm);
    printf("%-12s lost %" PRIu64 ", duplicates %" PRIu64 ", out of order %" PRIu64 ", corrupt %" PRIu64
           ", unconfirmed %" PRIu64 ", unacked %" PRIu64 ": %s\n",
           "verified", r->lost, r->duplicates, r->disordered, r->corrupt, r->sent - r->confirmed,
           r->received - r->acked, verified(r) ? "ok" : "FAILED");
}

static void report_json(const struct bench_options *o, const struct bench_result *r)
{
    uint64_t messages = whole(o, r);
    printf("{\"kind\":\"%s\",\"producers\":%u,\"consumers\":%u,\"size\":%u,\"batch\":%u,\"window\":%u,\"prefetch\":%u,"
           "\"ack\":%u,"
           "\"seconds\":%.3f,\"messages\":%" PRIu64 ",\"msgs_per_s\":%.0f,\"server_cpu_ns\":%.1f,",
           o->floor ? "floor" : "load", o->producers, o->consumers, o->size, o->batch, o->window, o->prefetch, o->ack,
           r->seconds, messages, (double)messages / r->seconds, messages ? r->server_cpu_ns / (double)messages : 0);
    printf("\"confirm_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},",
           (double)histogram_quantile(&r->confirm, 0.5) / 1e3, (double)histogram_quantile(&r->confirm, 0.99) / 1e3,
           (double)r->confirm.max_ns / 1e3);
    printf("\"end_to_end_us\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},",
           (double)histogram_quantile(&r->end_to_end, 0.5) / 1e3,
           (double)histogram_quantile(&r->end_to_end, 0.99) / 1e3,
           (double)histogram_quantile(&r->end_to_end, 0.999) / 1e3, (double)r->end_to_end.max_ns / 1e3);
    printf("\"lost\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"disordered\":%" PRIu64 ",\"corrupt\":%" PRIu64
           ",\"verified\":%s}\n",
           r->lost, r->duplicates, r->disordered, r->corrupt, verified(r) ? "true" : "false");
}

int main(int argc, char **argv)
{
    struct bench_options options = {
        .host = "127.0.0.1",
        .port = "7464",
        .queue = "ringmq-bench",
        .producers = 1,
        .consumers = 1,
        .size = 128,
        .batch = 100,
        .window = 10000,
        .backlog = 20000,
        .prefetch = 10000,
        .ack = 100,
        .seconds = 5,
    };
    static struct bench_result result;
    parse(&options, argc, argv);
    int code = options.floor ? bench_floor(&options, &result) : bench_run(&options, &result);
    if (code < 0)
        return 3;
    if (options.json)
        report_json(&options, &result);
    else
        report(&options, &result);
    return verified(&result) ? 0 : 1;
}
