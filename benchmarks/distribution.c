#include "benchmarks/distribution.h"

#include <inttypes.h>
#include <math.h>

/* Lines of the text between one halving of the rest and the next. */
#define PRINT_STEPS 5

static void print_moments(const struct histogram *h, FILE *out)
{
    double sum = 0, squares = 0, count = h->count > 0 ? (double)h->count : 1;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++)
        sum += (double)h->buckets[b] * (double)histogram_bucket_ns(h, b) / 1e3;
    double mean = sum / count;
    for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
        double away = (double)histogram_bucket_ns(h, b) / 1e3 - mean;
        squares += (double)h->buckets[b] * away * away;
    }
    fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean, sqrt(squares / count));
    fprintf(out, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n", (double)h->max_ns / 1e3, h->count);
    fprintf(out, "#[Buckets = %12d, SubBuckets     = %12d]\n", HISTOGRAM_BUCKETS / HISTOGRAM_STEPS, HISTOGRAM_STEPS);
}

void distribution_print(const struct histogram *h, FILE *out)
{
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    /* The rest halves every five lines, until it is less than one duration. */
    for (double rest = 1; h->count > 0; rest *= pow(0.5, 1.0 / PRINT_STEPS)) {
        uint64_t rank = histogram_rank(h, 1 - rest);
        if (rank >= h->count)
            break;
        fprintf(out, "%12.3f %14.12f %10" PRIu64 " %14.2f\n", (double)histogram_quantile(h, 1 - rest) / 1e3, 1 - rest,
                rank, 1 / rest);
    }
    fprintf(out, "%12.3f %14.12f %10" PRIu64 "\n", (double)h->max_ns / 1e3, 1.0, h->count);
    print_moments(h, out);
}
