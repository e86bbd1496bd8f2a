/*
 * params: sorted words become the params of a call, each by the type that the command's list gives for its place.
 */
#include "client/cli/arguments.h"

#include <stdlib.h>
#include <string.h>

/* [1,2] or 1,2: a list of numbers. Writes it and returns true if the text is one. */
static bool list_write(struct ringmq_args *args, const char *text)
{
    size_t bytes = strlen(text);
    bool brackets = bytes >= 2 && text[0] == '[' && text[bytes - 1] == ']';
    char *copy = brackets ? text_copy(text + 1, bytes - 2) : text_copy(text, bytes);
    uint64_t id;
    uint32_t count = 0;
    bool fits = brackets || strchr(text, ',') != NULL;

    for (int pass = 0; pass < 2 && fits; pass++) {
        char *scratch = text_copy(copy, strlen(copy)), *rest = scratch;
        if (pass == 1)
            ringmq_args_array(args, count);
        for (char *item; fits && (item = strtok_r(rest, ", ", &rest)) != NULL;) {
            fits = number_parse(item, &id);
            count += pass == 0;
            if (pass == 1)
                ringmq_args_uint(args, id);
        }
        free(scratch);
    }
    free(copy);
    return fits;
}

static void any_write(struct ringmq_args *args, const char *text)
{
    uint64_t number;

    if (list_write(args, text))
        return;
    if (number_parse(text, &number))
        ringmq_args_uint(args, number);
    else
        ringmq_args_text(args, text);
}

/* An attribute's value: whatever it looks like. */
static void attribute_write(struct ringmq_args *args, const char *text)
{
    uint64_t number;

    if (strcmp(text, "nil") == 0)
        ringmq_args_nil(args);
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        ringmq_args_bool(args, text[0] == 't');
    else if (number_parse(text, &number) || time_parse(text, 1, &number) || size_parse(text, &number))
        ringmq_args_uint(args, number);
    else
        ringmq_args_text(args, text);
}

static bool scalar_write(struct arguments *a, struct ringmq_args *args, const char *name, const char *type,
                         const struct word *word)
{
    uint64_t number = 0;

    if (strncmp(type, "id", 2) == 0 || strncmp(type, "count", 5) == 0) {
        if (!number_parse(word->text, &number))
            return arguments_wrong(a, "%s: %s is not a number: %s", a->entry->name, name, word->text);
        ringmq_args_uint(args, number);
    } else if (strncmp(type, "ms", 2) == 0) {
        if (!time_parse(word->text, 1, &number))
            return arguments_wrong(a, "%s: %s is not a time (such as 500ms, 5s, 2m): %s", a->entry->name, name,
                                   word->text);
        ringmq_args_uint(args, number);
    } else if (strncmp(type, "bool", 4) == 0) {
        bool yes = word_is(word, "true") || word_is(word, "yes");
        if (!yes && !word_is(word, "false") && !word_is(word, "no"))
            return arguments_wrong(a, "%s: %s is neither true nor false: %s", a->entry->name, name, word->text);
        ringmq_args_bool(args, yes);
    } else if (strncmp(type, "any", 3) == 0) {
        any_write(args, word->text);
    } else {
        ringmq_args_str(args, word->text, word->bytes);
    }
    return true;
}

static void attributes_write(const struct arguments *a, struct ringmq_args *args, uint32_t count)
{
    ringmq_args_map(args, count);
    for (size_t i = 0; i < a->option_count; i++) {
        if (a->options[i].type != NULL)
            continue;
        ringmq_args_text(args, a->options[i].name);
        attribute_write(args, a->options[i].value);
    }
}

static uint32_t attributes_count(const struct arguments *a)
{
    uint32_t count = 0;

    for (size_t i = 0; i < a->option_count; i++)
        count += a->options[i].type == NULL;
    return count;
}

/* positional[from, to) as the elements of a list: messages in publish, else numbers. */
static bool elements_write(struct arguments *a, struct ringmq_args *args, const char *name, size_t from, size_t to,
                           const struct ringmq_bytes *body)
{
    struct message_options options;
    bool messages = strncmp(name, "messages", 8) == 0;
    bool ok = message_options_read(&options, a);
    uint64_t number;

    ringmq_args_array(args, (uint32_t)(to - from) + (body != NULL));
    for (size_t i = from; ok && i < to; i++) {
        const struct word *word = a->positional[i];
        if (messages)
            message_write(args, &options, word->text, word->bytes);
        else if (number_parse(word->text, &number))
            ringmq_args_uint(args, number);
        else
            ok = arguments_wrong(a, "%s: not a number: %s", a->entry->name, word->text);
    }
    if (ok && body != NULL)
        message_write(args, &options, body->data, body->bytes);
    message_options_close(&options);
    return ok;
}

/* Options that stand in the method's own list, in braces; the shell's own are not sent. */
static bool options_write(struct arguments *a, struct ringmq_args *args)
{
    const char *braces = strchr(a->entry->args, '{');
    char pattern[96];
    uint32_t count = 0;

    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && count > 0)
            ringmq_args_map(args, count);
        for (size_t i = 0; i < a->option_count; i++) {
            const struct given *given = &a->options[i];
            if (given->type == NULL || braces == NULL)
                continue;
            snprintf(pattern, sizeof(pattern), "%s:", given->name);
            const char *found = strstr(braces, pattern);
            if (found == NULL || (found[-1] != ' ' && found[-1] != '{'))
                continue;
            count += pass == 0;
            struct word word = {given->value, strlen(given->value), false};
            if (pass == 1)
                ringmq_args_text(args, given->name);
            if (pass == 1 && !scalar_write(a, args, given->name, given->type, &word))
                return false;
        }
    }
    return true;
}

/* How many positional arguments come behind a list that ends at `at`. */
static size_t places_behind(const char *at)
{
    size_t places = 0;

    for (; *at != '\0' && *at != '{'; at++)
        places += *at == ':';
    return places;
}

bool arguments_write(struct arguments *a, struct ringmq_args *args, const struct ringmq_bytes *body)
{
    const char *at = a->entry->args;
    size_t next = 0;

    while (*at != '\0' && *at != '{') {
        char name[64];
        size_t bytes = strcspn(at, " ");
        const char *type = strchr(at, ':') + 1;
        bool optional = at[bytes - 1] == '?';
        snprintf(name, sizeof(name), "%.*s", (int)(type - 1 - at), at);
        at += bytes + strspn(at + bytes, " ");
        if (strncmp(type, "map", 3) == 0) {
            if (attributes_count(a) > 0)
                attributes_write(a, args, attributes_count(a));
            else if (!optional)
                return arguments_wrong(a, "%s: KEY=VALUE is missing", a->entry->name);
            continue;
        }
        bool list = strncmp(type, "list", 4) == 0;
        size_t behind = list ? places_behind(at) : 0;
        size_t to = list && a->count >= next + behind ? a->count - behind : next + 1;
        if (to > a->count || (list && to == next && body == NULL)) {
            if (optional)
                continue;
            return arguments_wrong(a, "%s: %s is missing", a->entry->name, name);
        }
        if (list ? !elements_write(a, args, name, next, to, body)
                 : !scalar_write(a, args, name, type, a->positional[next]))
            return false;
        next = to;
    }
    if (next < a->count)
        return arguments_wrong(a, "%s: one word too many: %s", a->entry->name, a->positional[next]->text);
    return options_write(a, args);
}
