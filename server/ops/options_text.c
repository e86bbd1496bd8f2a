/*
 * options_text: the texts for people that are derived from the list of options.
 */
#include "server/ops/options.h"

#include <ctype.h>
#include <string.h>

/* Columns of the sample file. */
#define SAMPLE_COLUMNS 100

/* A default as it is written in a file: what a bare word could not say is quoted. */
static void print_default(FILE *out, const struct option *row)
{
    if (row->default_text[0] == '\0')
        fputs("\"\"", out);
    else
        fputs(row->default_text, out);
}

/* Writes text as lines of comment, broken between words. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        const size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > SAMPLE_COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0)
            column = (size_t)fprintf(out, "## %.*s", (int)word, text);
        else
            column += (size_t)fprintf(out, " %.*s", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* The help as a sentence of its own. */
static void print_sentence(FILE *out, const char *help)
{
    char text[256];

    snprintf(text, sizeof text, "%c%s.", toupper((unsigned char)help[0]), help + 1);
    print_wrapped(out, text);
}

void options_print_help(FILE *out)
{
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const struct option *row = option_row((enum option_id)id);
        fprintf(out, "  --%-20s %s (", row->key, row->help);
        print_default(out, row);
        fputs(")\n", out);
    }
}

static void print_sample_option(FILE *out, const struct option *row)
{
    char range[OPTION_RANGE_BYTES];

    fprintf(out, "\n## %s\n", row->key);
    print_sentence(out, row->help);
    print_wrapped(out, row->detail);
    option_print_range(row, range);
    if (range[0] != '\0')
        fprintf(out, "## Allowed: %s. ", range);
    else
        fputs("## ", out);
    fputs(row->when == OPTION_RUNTIME ? "Can be changed at run time.\n" : "Takes effect at the next start.\n", out);
    fprintf(out, "# %s ", row->key);
    print_default(out, row);
    fputc('\n', out);
}

void options_print_sample(FILE *out)
{
    fputs(
        "## ringmq.conf: the options of ringmq-server, each with its default\n"
        "##\n"
        "## A line is an option and its value. To change an option, take away the \"# \" before it. What stands on a\n"
        "## command line (--port 7000) wins over what stands here.\n"
        "##\n"
        "## Sizes are numbers with b, kb, mb or gb (1024-based), times with ms, s, m, h or d; without a unit they are\n"
        "## bytes and milliseconds. A value with blanks, or none at all, stands in quotes. A # at the beginning of a\n"
        "## word starts a comment. An option may be set once; only lists may go over several lines.\n"
        "##\n"
        "## What can be changed at run time is changed with config.set until the next start or reload, or here,\n"
        "## followed by a SIGHUP, which reads this file again. `ringmq-server FILE --test-config` checks a file.\n",
        out);
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        print_sample_option(out, option_row((enum option_id)id));
}
