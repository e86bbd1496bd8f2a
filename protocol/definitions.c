#include "protocol/definitions.h"

#include "protocol/command_line.h"

#include <stdio.h>
#include <string.h>

void definitions_init(struct definitions *d, const char *text, size_t bytes)
{
    *d = (struct definitions){.text = text, .bytes = bytes};
    buffer_init(&d->params, NULL);
}

void definitions_close(struct definitions *d)
{
    buffer_close(&d->params);
}

static enum definitions_result wrong(struct definitions *d, const char *what)
{
    snprintf(d->wrong, sizeof d->wrong, "%s", what);
    return DEFINITIONS_WRONG;
}

/* Takes the next line off the text. */
static const char *line_take(struct definitions *d, size_t *bytes)
{
    const char *line = d->text;
    const char *newline = memchr(line, '\n', d->bytes);

    *bytes = newline != NULL ? (size_t)(newline - line) : d->bytes;
    const size_t taken = *bytes + (newline != NULL);
    d->text += taken;
    d->bytes -= taken;
    d->line++;
    return line;
}

static bool is_comment(const char *line, size_t bytes)
{
    size_t at = 0;

    while (at < bytes && (line[at] == ' ' || line[at] == '\t'))
        at++;
    return at < bytes && line[at] == '#';
}

/* The command that the first words name, `queue create` or `queue.create`; *used: how many words. */
static enum command_id command_of(const struct words *words, size_t *used)
{
    const struct word *first = &words->list[0];
    char name[64];

    *used = 2;
    if (words->count > 1 && first->bytes + words->list[1].bytes + 2 <= sizeof name) {
        const int bytes = snprintf(name, sizeof name, "%s.%s", first->text, words->list[1].text);
        const enum command_id id = command_find(name, (size_t)bytes);
        if (id != COMMAND_COUNT)
            return id;
    }
    *used = 1;
    return command_find(first->text, first->bytes);
}

static enum definitions_result command_read(struct definitions *d, const struct words *words)
{
    struct command_line line;
    size_t used;

    d->command = command_of(words, &used);
    if (d->command != COMMAND_queue_create && d->command != COMMAND_topic_create &&
        d->command != COMMAND_topic_subscribe)
        return wrong(d, "not a definition: these are queue create, topic create and topic subscribe");
    const struct command *row = command_row(d->command);
    const struct command_form form = {row->method, row->args, "", ""};
    buffer_reset(&d->params);
    const bool good = command_line_read(&line, &form, words->list + used, words->count - used) &&
                      command_line_write(&line, NULL, NULL, &d->params, &d->param_count);
    const enum definitions_result result = good ? DEFINITIONS_READ : wrong(d, line.wrong);
    command_line_close(&line);
    return good && d->params.failed ? wrong(d, "out of memory") : result;
}

enum definitions_result definitions_next(struct definitions *d)
{
    while (d->bytes > 0) {
        size_t bytes;
        const char *text = line_take(d, &bytes);
        struct words words;
        if (bytes > DEFINITIONS_LINE_BYTES)
            return wrong(d, "the line is too long");
        if (is_comment(text, bytes))
            continue;
        const char *why = words_split(&words, text, bytes);
        enum definitions_result result = DEFINITIONS_END;
        if (why != NULL)
            result = wrong(d, why);
        else if (words.count > 0)
            result = command_read(d, &words);
        words_close(&words);
        if (result != DEFINITIONS_END)
            return result;
    }
    return DEFINITIONS_END;
}
