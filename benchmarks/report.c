#include "benchmarks/report.h"

#include "benchmarks/distribution.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- figures of several runs -------------------------------------------------------------------------------------- */

static void add(struct series *s, double value)
{
    s->values[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread {
    double median, min, max;
};

static struct spread spread_of(const struct series *s)
{
    double sorted[BENCH_RUNS_MAX];
    if (s->count == 0)
        return (struct spread){0, 0, 0};
    memcpy(sorted, s->values, s->count * sizeof sorted[0]);
    qsort(sorted, s->count, sizeof sorted[0], compare);
    double median = (sorted[(s->count - 1) / 2] + sorted[s->count / 2]) / 2;
    return (struct spread){median, sorted[0], sorted[s->count - 1]};
}

static double median(const struct series *s)
{
    return spread_of(s).median;
}

bool bench_verified(const struct bench_options *o, const struct bench_result *r)
{
    uint64_t copies = r->confirmed * bench_copies(o);
    bool all_out = o->floor || o->consumers == 0 || (r->received == copies && r->acked == copies);
    return r->lost + r->duplicates + r->disordered + r->corrupt + r->early == 0 && r->confirmed == r->sent && all_out;
}

void bench_add(struct bench_result *sum, const struct bench_result *r)
{
    sum->sent += r->sent;
    sum->confirmed += r->confirmed;
    sum->received += r->received;
    sum->acked += r->acked;
    sum->lost += r->lost;
    sum->duplicates += r->duplicates;
    sum->disordered += r->disordered;
    sum->corrupt += r->corrupt;
    sum->early += r->early;
    sum->messages += r->messages;
    sum->seconds += r->seconds;
    sum->server_cpu_ns += r->server_cpu_ns;
    sum->log_bytes += r->log_bytes;
    sum->cpu_from_proc = r->cpu_from_proc;
    memcpy(sum->durability, r->durability, sizeof sum->durability);
    histogram_merge(&sum->end_to_end, &r->end_to_end);
    histogram_merge(&sum->confirm, &r->confirm);
    histogram_merge(&sum->lateness, &r->lateness);
    histogram_merge(&sum->floor, &r->floor);
}

void report_add(struct report *report, const struct bench_result *r)
{
    const double messages = r->messages > 0 ? (double)r->messages : 1;
    add(&report->msgs_per_s, (double)r->messages / r->seconds);
    add(&report->server_cpu_ns, r->server_cpu_ns / messages);
    add(&report->log_bytes_per_s, r->log_bytes / r->seconds);
    add(&report->messages, (double)r->messages);
    add(&report->seconds, r->seconds);
    /* Later runs find memory that the server has left over. */
    if (report->bytes_per_message.count == 0)
        add(&report->bytes_per_message, r->bytes_per_message);
    bench_add(&report->sum, r);
    report->last = *r;
    report->verified = bench_verified(report->o, &report->sum);
}

/* ---- latencies ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *label;
    double share;
} percentiles[] = {{"p50", "p50", 0.5}, {"p90", "p90", 0.9}, {"p99", "p99", 0.99}, {"p999", "p99.9", 0.999}};

#define PERCENTILES (sizeof percentiles / sizeof percentiles[0])

static double quantile_us(const struct histogram *h, double share)
{
    return (double)histogram_quantile(h, share) / 1e3;
}

/* Each kind of latency: what it is called, and which there is. */
struct latency {
    const char *name, *label;
    const struct histogram *histogram;
};

#define LATENCIES 4

static void latencies_of(const struct report *report, struct latency list[LATENCIES])
{
    const struct bench_result *sum = &report->sum;
    list[0] = (struct latency){"confirm_us", "confirm", &sum->confirm};
    list[1] = (struct latency){"end_to_end_us", "end to end", &sum->end_to_end};
    list[2] = (struct latency){"lateness_us", "lateness", &sum->lateness};
    list[3] = (struct latency){report->o->floor ? "end_to_end_us" : "floor_us",
                               report->o->floor ? "end to end" : "floor", &sum->floor};
}

/* What the bare relay's time is compared with; 0 if it was not measured. */
static double over_floor(const struct report *report)
{
    const struct histogram *h = report->o->consumers > 0 ? &report->sum.end_to_end : &report->sum.confirm;
    double floor_us = quantile_us(&report->sum.floor, 0.5);
    return report->o->floor || floor_us <= 0 ? 0 : quantile_us(h, 0.5) / floor_us;
}

int report_percentiles(const struct report *report, FILE *out)
{
    struct latency list[LATENCIES];
    latencies_of(report, list);
    for (int i = 0; i < LATENCIES; i++) {
        if (list[i].histogram->count == 0)
            continue;
        fprintf(out, "#[%s, size %u, batch %u: %s]\n", report->o->workload->name, report->o->size, report->o->batch,
                list[i].name);
        distribution_print(list[i].histogram, out);
    }
    return ferror(out) ? -1 : 0;
}

/* ---- a table ------------------------------------------------------------------------------------------------------ */

static void line_spread(const char *label, const struct series *s, double unit, const char *text)
{
    struct spread v = spread_of(s);
    printf("%-12s %.*f %s", label, v.median / unit < 100 ? 2 : 1, v.median / unit, text);
    if (s->count > 1)
        printf(" (%.*f to %.*f in %u runs)", v.median / unit < 100 ? 2 : 1, v.min / unit, v.median / unit < 100 ? 2 : 1,
               v.max / unit, s->count);
    printf("\n");
}

static void table_latencies(const struct report *report)
{
    struct latency list[LATENCIES];
    latencies_of(report, list);
    for (int i = 0; i < LATENCIES; i++) {
        const struct histogram *h = list[i].histogram;
        if (h->count == 0)
            continue;
        printf("%-12s ", list[i].label);
        for (size_t p = 0; p < PERCENTILES; p++)
            printf("%s %.1f, ", percentiles[p].label, quantile_us(h, percentiles[p].share));
        printf("max %.1f us\n", (double)h->max_ns / 1e3);
    }
    if (over_floor(report) > 0)
        printf("%-12s %.2f x the bare relay's p50\n", "over floor", over_floor(report));
}

static void table_head(const struct report *report)
{
    const struct bench_options *o = report->o;
    printf("%-12s %u + %u connections, %u bytes, batch %u, window %u, prefetch %u, ack %u%s",
           o->floor ? "floor" : o->workload->name, o->producers, o->consumers, o->size, o->batch, o->window,
           o->prefetch, o->ack, o->multiple ? " multiple" : "");
    if (o->queues > 1)
        printf(", %u queues", o->queues);
    if (o->groups > 0)
        printf(", %u groups", o->groups);
    if (o->delay_ms > 0)
        printf(", delays to %u ms", o->delay_ms);
    if (o->rate > 0)
        printf(", %.0f msgs/s", o->rate);
    if (!o->floor)
        printf(", durability %s%s", report->last.durability, o->durable ? "" : ", queue not durable");
    printf("\n");
}

static void table_check(const struct report *report)
{
    const struct bench_result *sum = &report->sum;
    printf("%-12s lost %" PRIu64 ", duplicates %" PRIu64 ", out of order %" PRIu64 ", corrupt %" PRIu64
           ", early %" PRIu64 ", unconfirmed %" PRIu64 ", unacked %" PRIu64 ": %s%s\n",
           "verified", sum->lost, sum->duplicates, sum->disordered, sum->corrupt, sum->early,
           sum->sent - sum->confirmed, sum->received - sum->acked, report->verified ? "ok" : "FAILED",
           report->o->verify ? "" : " (counted only: no-verify)");
}

static void table_idle(const struct report *report)
{
    const struct idle_result *idle = &report->last.idle;
    printf("%-12s %u connections, %.1f s\n", "idle", report->o->connections, report->last.seconds);
    printf("%-12s %.0f bytes a connection by the server's count, %.0f by its resident memory\n", "memory",
           idle->bytes_per_connection, idle->rss_per_connection);
    printf("%-12s %.2f MiB resident, %" PRIu64 " turns, %" PRIu64 " voluntary switches, %.3f ms of processor time\n",
           "server", (double)idle->rss_bytes / (1 << 20), idle->turns, idle->switches,
           report->last.server_cpu_ns / 1e6);
}

static void table(const struct report *report)
{
    if (report->o->workload->shape == BENCH_IDLE) {
        table_idle(report);
        return;
    }
    table_head(report);
    printf("%-12s %.0f messages in %.2f s, %.1f MB/s of bodies\n", "load", median(&report->messages),
           median(&report->seconds), median(&report->msgs_per_s) * report->o->size / 1e6);
    line_spread("throughput", &report->msgs_per_s, 1e3, "thousand msgs/s");
    line_spread("server CPU", &report->server_cpu_ns, 1, "ns a message");
    if (report->o->workload->shape == BENCH_FILL && !report->o->floor)
        line_spread("memory", &report->bytes_per_message, 1, "bytes a queued message");
    if (median(&report->log_bytes_per_s) > 0)
        line_spread("log", &report->log_bytes_per_s, 1e6, "MB/s written");
    table_latencies(report);
    if (!report->o->floor)
        table_check(report);
}

/* ---- CSV ---------------------------------------------------------------------------------------------------------- */

static void csv(const struct report *report, bool first)
{
    const struct bench_options *o = report->o;
    const struct spread rate = spread_of(&report->msgs_per_s), cpu = spread_of(&report->server_cpu_ns);
    struct latency list[LATENCIES];
    latencies_of(report, list);
    if (first) {
        printf(
            "kind,workload,producers,consumers,queues,groups,size,batch,window,prefetch,ack,rate,runs,seconds,messages,"
            "msgs_per_s,msgs_per_s_min,msgs_per_s_max,server_cpu_ns,server_cpu_ns_min,server_cpu_ns_max,"
            "bytes_per_message,log_bytes_per_s,durability,over_floor");
        for (int i = 0; i < LATENCIES; i++)
            for (size_t p = 0; p < PERCENTILES; p++)
                printf(",%s_%s", i == 3 ? "floor_us" : list[i].name, percentiles[p].name);
        printf(",bytes_per_connection,rss_per_connection,server_rss_bytes,voluntary_switches,turns,verify,verified\n");
    }
    printf("%s,%s,%u,%u,%u,%u,%u,%u,%u,%u,%u,%.0f,%u,%.3f,%.0f,%.0f,%.0f,%.0f,%.1f,%.1f,%.1f,%.1f,%.0f,%s,%.3f",
           o->floor ? "floor" : "load", o->workload->name, o->producers, o->consumers, o->queues, o->groups, o->size,
           o->batch, o->window, o->prefetch, o->ack, o->rate, o->runs, median(&report->seconds),
           median(&report->messages), rate.median, rate.min, rate.max, cpu.median, cpu.min, cpu.max,
           median(&report->bytes_per_message), median(&report->log_bytes_per_s), report->last.durability,
           over_floor(report));
    for (int i = 0; i < LATENCIES; i++)
        for (size_t p = 0; p < PERCENTILES; p++)
            printf(",%.1f", quantile_us(list[i].histogram, percentiles[p].share));
    const struct idle_result *idle = &report->last.idle;
    printf(",%.1f,%.1f,%" PRIu64 ",%" PRIu64 ",%" PRIu64, idle->bytes_per_connection, idle->rss_per_connection,
           idle->rss_bytes, idle->switches, idle->turns);
    printf(",%s,%s\n", o->verify ? "true" : "false", report->verified ? "true" : "false");
}

/* ---- JSON --------------------------------------------------------------------------------------------------------- */

static void json_spread(const char *name, const struct series *s)
{
    const struct spread v = spread_of(s);
    printf("\"%s\":{\"median\":%.1f,\"min\":%.1f,\"max\":%.1f},", name, v.median, v.min, v.max);
}

static void json_latencies(const struct report *report)
{
    struct latency list[LATENCIES];
    latencies_of(report, list);
    for (int i = 0; i < LATENCIES; i++) {
        const struct histogram *h = list[i].histogram;
        const bool always = !report->o->floor && i < 2;
        if (h->count == 0 && !always)
            continue;
        printf("\"%s\":{", list[i].name);
        for (size_t p = 0; p < PERCENTILES; p++)
            printf("\"%s\":%.1f,", percentiles[p].name, quantile_us(h, percentiles[p].share));
        printf("\"max\":%.1f},", (double)h->max_ns / 1e3);
    }
    if (over_floor(report) > 0)
        printf("\"over_floor\":%.3f,", over_floor(report));
}

static void json_idle(const struct report *report)
{
    const struct idle_result *idle = &report->last.idle;
    if (report->o->workload->shape == BENCH_IDLE)
        printf("\"idle\":{\"connections\":%u,\"bytes_per_connection\":%.1f,\"rss_per_connection\":%.1f,"
               "\"server_rss_bytes\":%" PRIu64 ",\"voluntary_switches\":%" PRIu64 ",\"turns\":%" PRIu64
               ",\"seconds\":%.3f},",
               report->o->connections, idle->bytes_per_connection, idle->rss_per_connection, idle->rss_bytes,
               idle->switches, idle->turns, report->last.seconds);
}

static void json(const struct report *report)
{
    const struct bench_options *o = report->o;
    const struct bench_result *sum = &report->sum;
    printf("{\"kind\":\"%s\",\"workload\":\"%s\",\"producers\":%u,\"consumers\":%u,\"queues\":%u,\"groups\":%u,"
           "\"size\":%u,\"batch\":%u,\"window\":%u,\"backlog\":%u,\"prefetch\":%u,\"ack\":%u,\"multiple\":%s,"
           "\"rate\":%.0f,\"delay_ms\":%u,\"warmup\":%.3f,\"seconds\":%.3f,\"runs\":%u,\"messages\":%.0f,",
           o->floor ? "floor" : "load", o->workload->name, o->producers, o->consumers, o->queues, o->groups, o->size,
           o->batch, o->window, o->backlog, o->prefetch, o->ack, o->multiple ? "true" : "false", o->rate, o->delay_ms,
           o->warmup, median(&report->seconds), o->runs, median(&report->messages));
    json_spread("msgs_per_s", &report->msgs_per_s);
    json_spread("server_cpu_ns", &report->server_cpu_ns);
    if (o->workload->shape == BENCH_FILL)
        json_spread("bytes_per_message", &report->bytes_per_message);
    printf("\"cpu_source\":\"%s\",\"durability\":\"%s\",\"log_bytes_per_s\":%.0f,",
           report->last.cpu_from_proc ? "proc" : "server.info", o->floor ? "none" : report->last.durability,
           median(&report->log_bytes_per_s));
    json_latencies(report);
    json_idle(report);
    printf("\"lost\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"disordered\":%" PRIu64 ",\"corrupt\":%" PRIu64
           ",\"early\":%" PRIu64 ",\"verify\":%s,\"verified\":%s}\n",
           sum->lost, sum->duplicates, sum->disordered, sum->corrupt, sum->early, o->verify ? "true" : "false",
           report->verified ? "true" : "false");
}

void report_print(const struct report *report, bool first)
{
    if (report->o->format == BENCH_JSON)
        json(report);
    else if (report->o->format == BENCH_CSV)
        csv(report, first);
    else
        table(report);
    fflush(stdout);
}

void bench_progress(const char *phase, double share)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (share < 1)
        fprintf(stderr, "\r%-10s %3.0f %%", phase, share * 100);
    else
        fputs("\r\033[K", stderr);
}
