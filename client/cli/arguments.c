#include "client/cli/arguments.h"

#include "client/cli/memory.h"
#include "client/cli/messages.h"

#include <string.h>

enum output_form form_asked(const struct command_line *line, enum output_form otherwise)
{
    enum output_form form = otherwise;

    for (size_t i = 0; i < line->option_count; i++) {
        const struct given *given = &line->options[i];
        if (given->type == NULL)
            continue;
        if (given_is(given, "json"))
            form = OUTPUT_JSON;
        else if (given_is(given, "raw"))
            form = OUTPUT_RAW;
        else if (given_is(given, "no-raw"))
            form = OUTPUT_HUMAN;
    }
    return form;
}

bool arguments_read(struct arguments *a, const struct entry *entry, const struct words *words, size_t first,
                    enum output_form form)
{
    const struct command_form command = {entry->name, entry->args, entry->extra, COMMON_OPTIONS};

    *a = (struct arguments){.entry = entry, .form = form};
    if (!command_line_read(&a->line, &command, words->list + first, words->count - first))
        return false;
    a->form = form_asked(&a->line, form);
    return command_line_flag(&a->line, "x", &a->body_from_stdin);
}

void arguments_close(struct arguments *a)
{
    command_line_close(&a->line);
}

bool arguments_write(struct arguments *a, struct ringmq_args *args, const struct ringmq_bytes *body)
{
    struct buffer out;
    uint32_t params;

    buffer_init(&out, NULL);
    const bool good = command_line_write(&a->line, messages_write, (void *)body, &out, &params);
    if (out.failed)
        memory_over();
    if (good)
        ringmq_args_packed(args, out.data, out.bytes);
    buffer_close(&out);
    return good;
}
