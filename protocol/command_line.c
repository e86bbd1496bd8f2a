#include "protocol/command_line.h"

#include "protocol/nearest.h"
#include "protocol/numbers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool command_line_wrong(struct command_line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(line->wrong, sizeof line->wrong, format, args);
    va_end(args);
    return false;
}

/* ---- what a command takes ---------------------------------------------------------------------------------------- */

bool command_item_next(const char **list, struct command_item *item)
{
    const char *at = *list;
    const size_t blanks = strspn(at, " {}");

    /* A brace is met once, on the way to the first option; the flag stays from item to item. */
    item->option = item->option || memchr(at, '{', blanks) != NULL;
    at += blanks;
    if (*at == '\0')
        return false;
    item->name = at;
    item->name_bytes = strcspn(at, ":");
    item->type = at + item->name_bytes + (at[item->name_bytes] == ':');
    item->type_bytes = strcspn(item->type, " ?}");
    item->optional = item->type[item->type_bytes] == '?';
    *list = item->type + item->type_bytes + item->optional;
    return true;
}

bool command_item_has_type(const struct command_item *item, const char *type)
{
    return strlen(type) == item->type_bytes && memcmp(item->type, type, item->type_bytes) == 0;
}

/* A dash is as good as an underscore: --group-prefetch is group_prefetch. */
static bool item_is(const struct command_item *item, const char *name, size_t bytes)
{
    for (size_t i = 0; item->name_bytes == bytes && i < bytes; i++) {
        if (item->name[i] != name[i] && !(strchr("-_", item->name[i]) != NULL && strchr("-_", name[i]) != NULL))
            return false;
    }
    return item->name_bytes == bytes;
}

/* The option of that name in a list; all items of it are options if `all`. */
static bool list_finds(const char *list, bool all, const char *name, size_t bytes, struct command_item *item)
{
    *item = (struct command_item){.name = NULL};
    while (command_item_next(&list, item)) {
        if ((all || item->option) && item_is(item, name, bytes))
            return true;
    }
    return false;
}

static bool option_find(const struct command_form *form, const char *name, size_t bytes, struct command_item *item)
{
    return list_finds(form->args, false, name, bytes, item) || list_finds(form->extra, true, name, bytes, item);
}

/* The first positional argument of that type. */
static bool form_has(const struct command_form *form, const char *type)
{
    const char *list = form->args;
    struct command_item item = {.option = false};

    while (command_item_next(&list, &item) && !item.option) {
        if (command_item_has_type(&item, type))
            return true;
    }
    return false;
}

static bool takes_messages(const struct command_form *form)
{
    return strstr(form->args, "messages:list") != NULL;
}

static void offer_options(struct nearest *nearest, const char *list, bool all)
{
    struct command_item item = {.name = NULL};

    while (command_item_next(&list, &item)) {
        if (all || item.option)
            nearest_offer(nearest, item.name, item.name_bytes);
    }
}

static bool unknown_option(struct command_line *line, const char *name, size_t bytes)
{
    const int shown = bytes < 64 ? (int)bytes : 64;
    struct nearest nearest;

    nearest_init(&nearest, name, bytes);
    offer_options(&nearest, line->form.args, false);
    offer_options(&nearest, line->form.extra, true);
    offer_options(&nearest, line->form.common, true);
    if (nearest.found == NULL)
        return command_line_wrong(line, "%s: no option --%.*s", line->form.name, shown, name);
    return command_line_wrong(line, "%s: no option --%.*s; did you mean --%.*s?", line->form.name, shown, name,
                              (int)nearest.found_bytes, nearest.found);
}

/* ---- sorting ----------------------------------------------------------------------------------------------------- */

struct sorter {
    struct command_line *line;
    const struct word *words;
    size_t at, count;
};

static void option_add(struct command_line *line, const struct given *given)
{
    line->options[line->option_count++] = *given;
}

/* The value, which is the end of that word. False if it holds a zero byte: no option can. */
static bool value_is(struct command_line *line, struct given *given, const struct word *word, const char *value)
{
    given->value = value;
    given->quoted = word->quoted_from == (size_t)(value - word->text);
    if (strlen(value) == word->bytes - (size_t)(value - word->text))
        return true;
    return command_line_wrong(line, "%s: a value must not hold a zero byte", line->form.name);
}

/* The word at s->at begins with `dashes` dashes and is an option; its value may be the next word. */
static bool dashed_read(struct sorter *s, size_t dashes)
{
    struct command_line *line = s->line;
    const struct word *word = &s->words[s->at];
    const char *name = word->text + dashes;
    const char *equals = dashes == 2 ? strchr(name, '=') : NULL;
    const size_t bytes = equals != NULL ? (size_t)(equals - name) : strlen(name);
    struct command_item item;

    const bool known = option_find(&line->form, name, bytes, &item) ||
                       list_finds(line->form.common, true, name, bytes, &item);
    if (!known && !form_has(&line->form, "map"))
        return unknown_option(line, name, bytes);
    struct given given = {.name = known ? item.name : name, .name_bytes = bytes, .type = known ? item.type : NULL};
    if (equals != NULL && !value_is(line, &given, word, equals + 1))
        return false;
    if (given.value == NULL && known && command_item_has_type(&item, "bool"))
        given.value = "true";
    if (given.value == NULL && s->at + 1 >= s->count)
        return command_line_wrong(line, "%s: %.*s%s needs a value", line->form.name, (int)dashes, "--", name);
    if (given.value == NULL) {
        word = &s->words[++s->at];
        if (!value_is(line, &given, word, word->text))
            return false;
    }
    option_add(line, &given);
    return true;
}

/* key=value without dashes. False if the word is a positional argument, or the value is wrong (then ->wrong says so). */
static bool pair_read(struct command_line *line, const struct word *word)
{
    const char *equals = strchr(word->text, '=');
    struct command_item item;

    if (equals == NULL || equals == word->text || takes_messages(&line->form))
        return false;
    const size_t bytes = (size_t)(equals - word->text);
    const bool known = bytes > 1 && option_find(&line->form, word->text, bytes, &item);
    if (!known && (!form_has(&line->form, "map") || line->count == 0))
        return false;
    struct given given = {
        .name = known ? item.name : word->text, .name_bytes = bytes, .type = known ? item.type : NULL};
    if (!value_is(line, &given, word, equals + 1))
        return false;
    option_add(line, &given);
    return true;
}

/* How many dashes make the word an option: 2, 1, or 0. */
static size_t dashes_of(const struct command_line *line, const struct word *word)
{
    struct command_item item;

    if (word->quoted || word->bytes < 2 || word->text[0] != '-')
        return 0;
    if (word->text[1] == '-')
        return 2;
    /* A number below zero is no option, and a single dash is standard input. */
    return word->bytes == 2 && option_find(&line->form, word->text + 1, 1, &item) ? 1 : 0;
}

bool command_line_read(struct command_line *line, const struct command_form *form, const struct word *words,
                       size_t count)
{
    struct sorter s = {.line = line, .words = words, .count = count};
    bool options = true;

    *line = (struct command_line){.form = *form};
    line->positional = calloc(count + 1, sizeof(const struct word *));
    line->options = calloc(count + 1, sizeof *line->options);
    if (line->positional == NULL || line->options == NULL)
        return command_line_wrong(line, "%s: out of memory", form->name);
    for (; s.at < count; s.at++) {
        const struct word *word = &words[s.at];
        const size_t dashes = options ? dashes_of(line, word) : 0;
        if (dashes == 2 && word->bytes == 2)
            options = false;
        else if (dashes > 0 && !dashed_read(&s, dashes))
            return false;
        else if (dashes == 0 && !(options && pair_read(line, word)))
            line->positional[line->count++] = word;
        if (line->wrong[0] != '\0')
            return false;
    }
    return true;
}

void command_line_close(struct command_line *line)
{
    free(line->positional);
    free(line->options);
    line->positional = NULL;
    line->options = NULL;
}

/* ---- reading options --------------------------------------------------------------------------------------------- */

bool given_is(const struct given *given, const char *name)
{
    return strlen(name) == given->name_bytes && memcmp(given->name, name, given->name_bytes) == 0;
}

const char *command_line_option(const struct command_line *line, const char *name)
{
    for (size_t i = line->option_count; i > 0; i--) {
        const struct given *given = &line->options[i - 1];
        if (given->type != NULL && given_is(given, name))
            return given->value;
    }
    return NULL;
}

bool command_line_count(struct command_line *line, const char *name, uint64_t *value)
{
    const char *text = command_line_option(line, name);

    if (text != NULL && (!number_parse(text, value) || *value > UINT32_MAX))
        return command_line_wrong(line, "%s: %s is not a number: %s", line->form.name, name, text);
    return true;
}

bool command_line_time(struct command_line *line, const char *name, uint64_t plain_ms, uint64_t *ms)
{
    const char *text = command_line_option(line, name);

    if (text != NULL && !time_parse(text, plain_ms, ms))
        return command_line_wrong(line, "%s: %s is not a time (such as 500ms, 5s, 2m): %s", line->form.name, name,
                                  text);
    return true;
}

bool command_line_flag(struct command_line *line, const char *name, bool *value)
{
    const char *text = command_line_option(line, name);

    if (text == NULL)
        return true;
    *value = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
    if (!*value && strcmp(text, "false") != 0 && strcmp(text, "no") != 0)
        return command_line_wrong(line, "%s: %s is neither true nor false: %s", line->form.name, name, text);
    return true;
}
