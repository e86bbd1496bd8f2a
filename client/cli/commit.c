/*
 * commit: `commit --ack 7,8 --publish done a b --group g --topic events order.done a`: the words of one commit.
 *
 * --ack, --publish and --topic each begin a part, which goes on to the next of them. A part is read like the words of a
 * command of its own, so that what follows --publish is what follows publish.
 */
#include "client/cli/work.h"

#include "client/cli/memory.h"
#include "client/cli/messages.h"
#include "protocol/encoder.h"

#include <stdlib.h>
#include <string.h>

enum part { PART_ACK, PART_PUBLISH, PART_TOPIC, PARTS };

/* As the parts are called in the words, and on the wire; and what each takes. */
static const char *const words_of[PARTS] = {"--ack", "--publish", "--topic"};
static const char *const keys[PARTS] = {"ack", "publish", "topics"};
static const struct command_form forms[PARTS] = {
    {"commit --ack", "receipts:list", "", COMMON_OPTIONS},
    {"commit --publish", "queue:name messages:list", MESSAGE_OPTIONS, COMMON_OPTIONS},
    {"commit --topic", "topic:name key:text messages:list", MESSAGE_OPTIONS, COMMON_OPTIONS},
};

/* The elements of the three lists so far. */
struct lists {
    struct buffer bytes[PARTS];
    uint32_t counts[PARTS];
};

/* The part that a word begins, or PARTS. `--ack=7` and `--publish=q` carry their first word with them: *rest. */
static enum part part_begun(const struct word *word, const char **rest)
{
    for (enum part part = 0; part < PARTS; part++) {
        const size_t bytes = strlen(words_of[part]);
        if (word->quoted || strncmp(word->text, words_of[part], bytes) != 0)
            continue;
        *rest = word->text[bytes] == '=' ? word->text + bytes + 1 : NULL;
        if (*rest != NULL || word->text[bytes] == '\0')
            return part;
    }
    return PARTS;
}

static bool part_write(struct lists *lists, enum part part, struct command_line *line)
{
    struct buffer *out = &lists->bytes[part];
    uint32_t params;

    if (part != PART_ACK) {
        encode_array(out, part == PART_PUBLISH ? 2 : 3);
        lists->counts[part]++;
        return command_line_write(line, messages_write, NULL, out, &params);
    }
    for (size_t i = 0; i < line->count; i++) {
        if (!numbers_write(line->positional[i]->text, out, &lists->counts[part]))
            return command_line_wrong(line, "commit: not a receipt: %.80s", line->positional[i]->text);
    }
    return line->count > 0 || command_line_wrong(line, "commit: --ack needs a receipt");
}

/* Reads words[first, end) as one part. False with a->line.wrong. */
static bool part_read(struct arguments *a, struct lists *lists, enum part part, struct word *words, size_t count)
{
    struct command_line line;
    const bool good = command_line_read(&line, &forms[part], words, count) && part_write(lists, part, &line);

    a->form = form_asked(&line, a->form);
    if (!good)
        arguments_wrong(a, "%s", line.wrong);
    command_line_close(&line);
    return good;
}

/* What stands before the first part can only be about the output. */
static bool beginning_read(struct arguments *a, struct word *words, size_t count)
{
    static const struct command_form form = {"commit", "", "", COMMON_OPTIONS};
    struct command_line line;
    struct buffer none;
    uint32_t params;

    buffer_init(&none, NULL);
    const bool good = command_line_read(&line, &form, words, count) &&
                      command_line_write(&line, NULL, NULL, &none, &params);
    a->form = form_asked(&line, a->form);
    if (!good)
        arguments_wrong(a, "%s", line.wrong);
    command_line_close(&line);
    buffer_close(&none);
    return good;
}

static bool parts_read(struct arguments *a, struct lists *lists, struct word *words, size_t count)
{
    const char *rest = NULL;
    size_t at = 0;

    while (at < count && part_begun(&words[at], &rest) == PARTS)
        at++;
    if (!beginning_read(a, words, at))
        return false;
    if (at == count)
        return arguments_wrong(a, "commit: at least one of --ack, --publish and --topic, please");
    while (at < count) {
        const enum part part = part_begun(&words[at], &rest);
        size_t first = at + 1, end = at + 1;
        if (rest != NULL) {
            words[at] = (struct word){.text = rest, .bytes = strlen(rest), .quoted = true};
            first = at;
        }
        while (end < count && part_begun(&words[end], &rest) == PARTS)
            end++;
        if (!part_read(a, lists, part, words + first, end - first))
            return false;
        at = end;
    }
    return true;
}

bool commit_read(struct arguments *a, const struct words *words, size_t first, struct ringmq_args *args)
{
    struct lists lists = {.counts = {0}};
    struct buffer out;
    const size_t count = words->count - first;
    struct word *own = memory_new((count + 1) * sizeof *own);
    uint32_t pairs = 0;

    memcpy(own, words->list + first, count * sizeof *own);
    const bool good = parts_read(a, &lists, own, count);
    buffer_init(&out, NULL);
    for (int i = 0; i < PARTS; i++)
        pairs += lists.counts[i] > 0;
    encode_map(&out, pairs);
    for (int i = 0; i < PARTS; i++) {
        if (lists.counts[i] > 0) {
            encode_text(&out, keys[i]);
            encode_array(&out, lists.counts[i]);
            buffer_append(&out, lists.bytes[i].data, lists.bytes[i].bytes);
        }
        if (lists.bytes[i].failed)
            memory_over();
        buffer_close(&lists.bytes[i]);
    }
    if (good)
        ringmq_args_packed(args, out.data, out.bytes);
    buffer_close(&out);
    free(own);
    return good;
}
