/*
 * replay: what a message costs in the server without its sockets, in instructions and in time: decoder, broker and encoder hear
 * a recorded conversation once more (tape.h). Instructions are counted by valgrind's callgrind, in a second run of this
 * program; time is that of the first, the best of five.
 *
 *     replay [--bounds FILE] [--scene NAME] [--count N]    a table
 *     replay check --bounds FILE                           the same; exits 1 if a bound is broken, 77 if nothing can be counted
 *     replay bounds                                        prints what FILE would be today
 *     replay profile --scene NAME [--count N]              plays one scene, for callgrind_annotate and perf (README.md)
 *
 * The second run is `replay counting ... PATH`.
 */
#include "benchmarks/broker/count.h"
#include "benchmarks/replay/bounds.h"
#include "benchmarks/replay/tape.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPPED 77
#define REPEATS 5

/* How far a scene may be above its bound: with the compiler of the bounds, and with another. */
#define SLACK       1.05
#define SLACK_OTHER 1.25

static const struct scene scenes[] = {
    /* name, bytes, batch, groups, copies, drain, count */
    {"16-by-1", 16, 1, 0, 1, false, 50000},
    {"16-by-100", 16, 100, 0, 1, false, 50000},
    {"128-by-1", 128, 1, 0, 1, false, 50000},
    {"128-by-10", 128, 10, 0, 1, false, 50000},
    {"128-by-100", 128, 100, 0, 1, false, 50000},
    {"1k-by-10", 1024, 10, 0, 1, false, 50000},
    {"fifo-1000-groups", 128, 10, 1000, 1, false, 50000},
    {"fan-out-10", 1024, 10, 0, 10, false, 50000},
    {"drain", 128, 100, 0, 1, true, 50000},
};

#define SCENES ((int)(sizeof scenes / sizeof scenes[0]))

enum mode { MODE_TABLE, MODE_CHECK, MODE_BOUNDS, MODE_PROFILE, MODE_COUNTING, MODES };

static const char *const modes[MODES] = {"table", "check", "bounds", "profile", "counting"};

struct plan {
    enum mode mode;
    struct scene scenes[SCENES];
    int count;
    const char *bounds_path, *dump_path, *scene_name;
    long messages; /* 0: as many as the scene says */
};

/* ---- playing ----------------------------------------------------------------------------------------------------- */

static struct cost play(struct counter *counter, const struct scene *scene, int repeats)
{
    struct tape tape;
    struct cost best = {0, 0};
    tape_record(&tape, scene);
    for (int i = 0; i < repeats; i++) {
        counter_begin(counter);
        tape_play(&tape, counter);
        const struct cost cost = counter_end(counter, scene->count);
        if (i == 0 || cost.ns < best.ns)
            best = cost;
    }
    tape_free(&tape);
    return best;
}

/* Leaves what callgrind has counted to the dump that it writes at the end. */
static int profile(const struct scene *scene)
{
    struct counter counter;
    struct tape tape;
    tape_record(&tape, scene);
    counter_open(&counter, "");
    counter_begin(&counter);
    tape_play(&tape, &counter);
    tape_free(&tape);
    printf("%s: %u messages, %.1f ns each\n", scene->name, scene->count, counter.sum.ns / scene->count);
    return 0;
}

static int count_here(const struct plan *plan)
{
    struct counter counter;
    counter_open(&counter, plan->dump_path);
    for (int i = 0; i < plan->count; i++)
        printf("%.17g\n", play(&counter, &plan->scenes[i], 1).instructions);
    return fflush(stdout) == 0 ? 0 : 1;
}

static bool count_there(const struct plan *plan, double instructions[SCENES])
{
    struct counter_run run;
    char arguments[256] = "counting";
    if (plan->scene_name)
        snprintf(arguments, sizeof arguments, "counting --scene %s --count %u", plan->scenes[0].name,
                 plan->scenes[0].count);
    else if (plan->messages > 0)
        snprintf(arguments, sizeof arguments, "counting --count %ld", plan->messages);
    int read = 0;
    if (!counter_run_open(&run, arguments))
        return false;
    while (read < plan->count && fscanf(run.out, "%lf", &instructions[read]) == 1)
        read++;
    return counter_run_close(&run) && read == plan->count;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* Prints a scene's row. False if it is above its bound. */
static bool print_row(const struct scene *scene, double instructions, double ns, double bound, double slack)
{
    const char *verdict = bound == 0                     ? ""
                          : instructions > bound * slack ? "BROKEN"
                          : instructions < bound / SLACK ? "kept, and could be lowered"
                                                         : "kept";
    printf("%-18s %10.1f", scene->name, instructions);
    if (bound > 0)
        printf(" %10.1f %6.3f x", bound, instructions / bound);
    else
        printf(" %10s %8s", "-", "-");
    printf(" %9.1f  %s\n", ns, verdict);
    return bound == 0 || instructions <= bound * slack;
}

static bool print_table(const struct plan *plan, const struct bounds *bounds, const double *instructions)
{
    struct counter counter;
    const char *compiler = bounds_compiler();
    const bool same = compiler && strcmp(compiler, bounds->compiler) == 0;
    const double slack = same ? SLACK : SLACK_OTHER;
    bool kept = true;
    counter_open(&counter, NULL);
    if (bounds->compiler[0])
        printf("compiler: %s; the bounds are of %s, and %.2f of them is allowed\n", compiler ? compiler : "another",
               bounds->compiler, slack);
    printf("%-18s %10s %10s %8s %9s\n", "a message", "instr.", "bound", "", "ns");
    for (int i = 0; i < plan->count; i++) {
        const struct scene *scene = &plan->scenes[i];
        const double ns = play(&counter, scene, REPEATS).ns;
        kept = print_row(scene, instructions[i], ns, bounds_find(bounds, scene->name), slack) && kept;
    }
    counter_close(&counter);
    if (!kept && !same)
        printf("above the bounds, which says little with another compiler\n");
    return kept || !same;
}

static void print_bounds(const struct plan *plan, const double *instructions)
{
    printf("# Instructions per message, and what they were measured with: see README.md.\n");
    printf("compiler %s\n", bounds_compiler());
    for (int i = 0; i < plan->count; i++)
        printf("%-18s %8.1f\n", plan->scenes[i].name, instructions[i]);
}

static int skip(const char *why)
{
    printf("instructions are not counted: %s\n", why);
    return SKIPPED;
}

static int run(const struct plan *plan)
{
    struct bounds bounds = {.count = 0};
    double instructions[SCENES];
    if (plan->bounds_path && !bounds_read(&bounds, plan->bounds_path))
        return 2;
    if (!counter_has_callgrind())
        return skip("no callgrind, or a build with sanitizers");
    if (plan->mode != MODE_TABLE && !bounds_compiler())
        return skip("the bounds are of gcc with optimisation");
    if (!count_there(plan, instructions)) {
        fprintf(stderr, "replay: counting under callgrind failed\n");
        return 1;
    }
    if (plan->mode == MODE_BOUNDS) {
        print_bounds(plan, instructions);
        return 0;
    }
    const bool kept = print_table(plan, &bounds, instructions);
    return kept || plan->mode == MODE_TABLE ? 0 : 1;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

static bool choose_scenes(struct plan *plan)
{
    for (int i = 0; i < SCENES; i++) {
        if (plan->scene_name && strcmp(plan->scene_name, scenes[i].name) != 0)
            continue;
        plan->scenes[plan->count] = scenes[i];
        if (plan->messages > 0)
            plan->scenes[plan->count].count = (uint32_t)plan->messages / scenes[i].copies * scenes[i].copies;
        if (plan->scenes[plan->count++].count == 0)
            return false;
    }
    return plan->count > 0;
}

static bool read_mode(struct plan *plan, const char *word)
{
    for (int m = 0; m < MODES; m++)
        if (strcmp(word, modes[m]) == 0) {
            plan->mode = (enum mode)m;
            return true;
        }
    return false;
}

static bool read_arguments(struct plan *plan, int argc, char **argv)
{
    static const struct option options[] = {
        {"bounds", required_argument, NULL, 'b'},
        {"scene", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'n'},
        {0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'b')
            plan->bounds_path = optarg;
        else if (c == 's')
            plan->scene_name = optarg;
        else if (c != 'n' || (plan->messages = strtol(optarg, NULL, 10)) <= 0 || plan->messages > 10000000)
            return false;
    }
    if (optind < argc && !read_mode(plan, argv[optind++]))
        return false;
    if (plan->mode == MODE_COUNTING && optind < argc)
        plan->dump_path = argv[optind++];
    return optind == argc && (plan->mode != MODE_CHECK || plan->bounds_path) &&
           (plan->mode != MODE_PROFILE || plan->scene_name) && (plan->mode != MODE_COUNTING || plan->dump_path) &&
           choose_scenes(plan);
}

int main(int argc, char **argv)
{
    struct plan plan = {.mode = MODE_TABLE};
    if (!read_arguments(&plan, argc, argv)) {
        fprintf(stderr,
                "usage: replay [table | check | bounds | profile] [--bounds FILE] [--scene NAME] [--count N]\nscenes:");
        for (int i = 0; i < SCENES; i++)
            fprintf(stderr, " %s", scenes[i].name);
        fprintf(stderr, "\n");
        return 2;
    }
    if (plan.mode == MODE_COUNTING)
        return count_here(&plan);
    return plan.mode == MODE_PROFILE ? profile(&plan.scenes[0]) : run(&plan);
}
