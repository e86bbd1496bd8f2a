/* ringmq-bench: all combinations of sizes and batches, each as often as asked for. */
#include "benchmarks/options.h"
#include "benchmarks/report.h"
#include "benchmarks/wire.h"

#include <stdlib.h>

/* The server and the relay take turns so often in a run, so that both meet the same machine. */
#define TURNS 4

static int take_turns(const struct bench_options *o, struct bench_result *r, struct bench_result parts[2])
{
    struct bench_options part = *o;
    part.seconds /= TURNS;
    part.warmup /= TURNS;
    for (int i = 0; i < TURNS; i++) {
        parts[0] = parts[1] = (struct bench_result){0};
        if (bench_run(&part, &parts[0]) < 0 || bench_floor(&part, &parts[1]) < 0)
            return -1;
        bench_add(r, &parts[0]);
        histogram_merge(&r->floor, &parts[1].floor);
    }
    return 0;
}

/* One run. Returns 0, or -1 after a line on stderr. */
static int run_once(const struct bench_options *o, struct bench_result *r)
{
    if (o->floor)
        return bench_floor(o, r);
    if (o->workload->shape == BENCH_IDLE)
        return bench_idle(o, r);
    if (!o->workload->beside_floor)
        return bench_run(o, r);
    struct bench_result *parts = calloc(2, sizeof *parts);
    int code = parts ? take_turns(o, r, parts) : wire_fail("memory");
    free(parts);
    return code;
}

/* The runs of one combination. Returns 0, 1 if a check has failed, or 3. */
static int run_all(const struct bench_options *o, bool first, FILE *percentiles)
{
    struct report *report = calloc(1, sizeof *report);
    struct bench_result *result = malloc(sizeof *result);
    int code = report && result ? 0 : wire_fail("memory");
    for (uint32_t i = 0; i < o->runs && code == 0; i++) {
        *result = (struct bench_result){0};
        report->o = o;
        code = run_once(o, result);
        if (code == 0)
            report_add(report, result);
        bench_progress("", 1);
    }
    if (code == 0) {
        report_print(report, first);
        if (percentiles && report_percentiles(report, percentiles) < 0)
            code = wire_fail(o->percentiles);
    }
    bool verified = code == 0 && report->verified;
    free(report);
    free(result);
    return code < 0 ? 3 : verified ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    int worst = 0;
    options_parse(&options, argc, argv);
    FILE *percentiles = options.percentiles ? fopen(options.percentiles, "we") : NULL;
    if (options.percentiles && !percentiles) {
        (void)wire_fail(options.percentiles);
        return 2;
    }
    for (uint32_t s = 0; s < options.size_count && worst < 3; s++)
        for (uint32_t b = 0; b < options.batch_count && worst < 3; b++) {
            struct bench_options one = options;
            one.size = options.sizes[s];
            one.batch = options.batches[b];
            options_agree(&one);
            int code = run_all(&one, s + b == 0, percentiles);
            worst = code > worst ? code : worst;
        }
    if (percentiles && fclose(percentiles) != 0) {
        (void)wire_fail(options.percentiles);
        return 3;
    }
    return worst;
}
