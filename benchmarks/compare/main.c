/* The program around a peer: options and the report, one JSON object with the names of ringmq-bench's. */
#include "benchmarks/bench.h"
#include "benchmarks/compare/load.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct option long_options[] = {
    {"port", 1, NULL, 'p'},    {"size", 1, NULL, 's'},     {"batch", 1, NULL, 'b'}, {"window", 1, NULL, 'w'},
    {"backlog", 1, NULL, 'l'}, {"prefetch", 1, NULL, 'f'}, {"ack", 1, NULL, 'a'},   {"duration", 1, NULL, 'd'},
    {"rate", 1, NULL, 'r'},    {"fill", 1, NULL, 'n'},     {"pids", 1, NULL, 'i'},  {0},
};

static void usage(void)
{
    fprintf(stderr,
            "usage: compare-%s --port PORT --pids PID,PID...\n"
            "    [--size BYTES] [--batch N] [--window N] [--backlog N] [--prefetch N] [--ack N] [--duration SEC] "
            "[--rate N]\n"
            "    [--fill N]\n",
            peer_name);
    exit(2);
}

static uint64_t whole(const char *text, uint64_t low, uint64_t high)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || n < low || n > high)
        usage();
    return n;
}

static double positive(const char *text)
{
    char *end;
    double n = strtod(text, &end);
    if (*end != '\0' || !(n > 0) || n > 1e9)
        usage();
    return n;
}

static void set(struct peer_options *o, int option, const char *text)
{
    switch (option) {
    case 'p':
        o->port = (uint16_t)whole(text, 1, UINT16_MAX);
        break;
    case 's':
        o->size = (uint32_t)whole(text, BENCH_STAMP_BYTES, 1u << 24);
        break;
    case 'b':
        o->batch = (uint32_t)whole(text, 1, 10000);
        break;
    case 'w':
        o->window = (uint32_t)whole(text, 1, 1u << 24);
        break;
    case 'l':
        o->backlog = (uint32_t)whole(text, 1, 1u << 24);
        break;
    case 'f':
        o->prefetch = (uint32_t)whole(text, 1, UINT16_MAX);
        break;
    case 'a':
        o->ack = (uint32_t)whole(text, 1, 10000);
        break;
    case 'd':
        o->seconds = positive(text);
        break;
    case 'r':
        o->rate = positive(text);
        break;
    case 'n':
        o->fill = whole(text, 1, UINT32_MAX);
        break;
    case 'i':
        o->servers = text;
        break;
    default:
        usage();
    }
}

static double quantile_us(const struct load_result *r, double share)
{
    return (double)histogram_quantile(&r->end_to_end, share) / 1e3;
}

static void report(const struct peer_options *o, const struct load_result *r)
{
    uint64_t messages = o->fill ? r->confirmed : r->acked;
    double per = messages ? 1 / (double)messages : 0;
    double grown = (double)r->server_rss_after - (double)r->server_rss_before;
    printf(
        "{\"kind\":\"%s\",\"peer\":\"%s\",\"at_least_once\":%s,\"size\":%u,\"batch\":%u,\"window\":%u,\"backlog\":%u,"
        "\"prefetch\":%u,\"ack\":%u,\"rate\":%.0f,\"seconds\":%.3f,\"messages\":%" PRIu64 ",\"msgs_per_s\":%.0f,"
        "\"server_cpu_ns\":%.1f,\"bytes_per_message\":%.1f,",
        o->fill ? "fill" : "load", peer_name, peer_at_least_once ? "true" : "false", o->size, o->batch, o->window,
        o->backlog, o->prefetch, o->ack, o->rate, r->seconds, messages, (double)messages / r->seconds,
        r->server_cpu_ns * per, grown * per);
    printf("\"end_to_end_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},",
           quantile_us(r, 0.5), quantile_us(r, 0.9), quantile_us(r, 0.99), quantile_us(r, 0.999),
           (double)r->end_to_end.max_ns / 1e3);
    printf("\"sent\":%" PRIu64 ",\"confirmed\":%" PRIu64 ",\"received\":%" PRIu64 ",\"acked\":%" PRIu64
           ",\"lost\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"disordered\":%" PRIu64 ",\"corrupt\":%" PRIu64
           ",\"verified\":%s}\n",
           r->sent, r->confirmed, r->received, r->acked, r->lost, r->duplicates, r->disordered, r->corrupt,
           load_verified(o, r) ? "true" : "false");
}

int main(int argc, char **argv)
{
    struct peer_options options = {.size = 128,
                                   .batch = 100,
                                   .window = 10000,
                                   .backlog = 20000,
                                   .prefetch = 10000,
                                   .ack = 100,
                                   .seconds = 5,
                                   .servers = ""};
    static struct load_result result;
    for (int option; (option = getopt_long(argc, argv, "", long_options, NULL)) != -1;)
        set(&options, option, optarg);
    if (optind < argc || options.port == 0 || options.window < options.batch || options.backlog < options.batch ||
        options.prefetch < options.ack)
        usage();
    if (load_run(&options, &result) < 0)
        return 3;
    report(&options, &result);
    return load_verified(&options, &result) ? 0 : 1;
}
