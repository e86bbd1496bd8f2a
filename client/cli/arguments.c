#include "client/cli/arguments.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool arguments_wrong(struct arguments *arguments, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(arguments->wrong, sizeof(arguments->wrong), format, list);
    va_end(list);
    return false;
}

/* ---- sorting ----------------------------------------------------------------------------------------------------- */

struct search {
    const char *name;
    size_t bytes;
    char type[16]; /* "": not found */
};

static void search_visit(void *arg, const char *name, const char *type)
{
    struct search *search = arg;

    if (strlen(name) == search->bytes && memcmp(name, search->name, search->bytes) == 0)
        snprintf(search->type, sizeof(search->type), "%s", type);
}

static bool option_known(const struct entry *entry, const char *name, size_t bytes, struct search *search)
{
    *search = (struct search){.name = name, .bytes = bytes};
    entry_options(entry, search_visit, search);
    return search->type[0] != '\0';
}

static void option_add(struct arguments *a, const char *name, size_t name_bytes, const char *value, const char *type)
{
    a->options = memory_resize(a->options, (a->option_count + 1) * sizeof(*a->options));
    a->options[a->option_count++] = (struct given){text_copy(name, name_bytes), text_copy(value, strlen(value)),
                                                   type == NULL ? NULL : text_copy(type, strlen(type))};
}

static bool takes_map(const struct entry *entry)
{
    return strstr(entry->args, ":map") != NULL;
}

static bool is_publish(const struct entry *entry)
{
    return strcmp(entry->name, "publish") == 0;
}

static bool form_read(struct arguments *a, const struct word *word)
{
    if (word_is(word, "--json"))
        a->form = OUTPUT_JSON;
    else if (word_is(word, "--raw"))
        a->form = OUTPUT_RAW;
    else if (word_is(word, "--no-raw"))
        a->form = OUTPUT_HUMAN;
    else
        return false;
    return true;
}

/* A word that begins with `--`, at *at, and its value. */
static bool long_read(struct arguments *a, const struct words *words, size_t *at)
{
    const struct word *word = &words->list[*at];
    struct search search;

    if (form_read(a, word))
        return true;
    const char *name = word->text + 2;
    const char *equals = strchr(name, '=');
    size_t bytes = equals != NULL ? (size_t)(equals - name) : strlen(name);
    bool known = option_known(a->entry, name, bytes, &search);
    if (!known && !takes_map(a->entry))
        return arguments_wrong(a, "%s: no option --%.*s", a->entry->name, (int)bytes, name);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && known && strcmp(search.type, "bool") == 0)
        value = "true";
    if (value == NULL && *at + 1 >= words->count)
        return arguments_wrong(a, "%s: --%s needs a value", a->entry->name, name);
    option_add(a, name, bytes, value != NULL ? value : words->list[++*at].text, known ? search.type : NULL);
    return true;
}

/* key=value without dashes. False if the word is a positional argument. */
static bool pair_read(struct arguments *a, const struct word *word)
{
    const char *equals = word->quoted && word->text[0] == '"' ? NULL : strchr(word->text, '=');
    struct search search;

    if (equals == NULL || equals == word->text || is_publish(a->entry))
        return false;
    size_t bytes = (size_t)(equals - word->text);
    bool known = option_known(a->entry, word->text, bytes, &search);
    if (!known && (!takes_map(a->entry) || a->count == 0))
        return false;
    option_add(a, word->text, bytes, equals + 1, known ? search.type : NULL);
    return true;
}

bool arguments_read(struct arguments *a, const struct entry *entry, const struct words *words, size_t first,
                    enum output_form form)
{
    bool options = true;

    *a = (struct arguments){.entry = entry, .form = form};
    a->positional = memory_new((words->count + 1) * sizeof(const struct word *));
    for (size_t i = first; i < words->count; i++) {
        const struct word *word = &words->list[i];
        bool dashes = options && !word->quoted && strncmp(word->text, "--", 2) == 0;
        if (dashes && word->bytes == 2) {
            options = false;
        } else if (dashes) {
            if (!long_read(a, words, &i))
                return false;
        } else if (options && is_publish(entry) && word_is(word, "-x") && !word->quoted) {
            a->body_from_stdin = true;
        } else if (options && strcmp(entry->name, "consume") == 0 && word_is(word, "-j")) {
            if (++i >= words->count)
                return arguments_wrong(a, "consume: -j needs a number");
            option_add(a, "jobs", 4, words->list[i].text, "count");
        } else if (!options || !pair_read(a, word)) {
            a->positional[a->count++] = word;
        }
    }
    return true;
}

void arguments_close(struct arguments *a)
{
    for (size_t i = 0; i < a->option_count; i++) {
        free(a->options[i].name);
        free(a->options[i].value);
        free(a->options[i].type);
    }
    free(a->options);
    free(a->positional);
}

/* ---- reading options --------------------------------------------------------------------------------------------- */

const char *arguments_option(const struct arguments *a, const char *name)
{
    for (size_t i = a->option_count; i > 0; i--) {
        if (a->options[i - 1].type != NULL && strcmp(a->options[i - 1].name, name) == 0)
            return a->options[i - 1].value;
    }
    return NULL;
}

bool arguments_count(struct arguments *a, const char *name, uint64_t *value)
{
    const char *text = arguments_option(a, name);

    if (text != NULL && (!number_parse(text, value) || *value > UINT32_MAX))
        return arguments_wrong(a, "%s: %s is not a number: %s", a->entry->name, name, text);
    return true;
}

bool arguments_time(struct arguments *a, const char *name, uint64_t plain_ms, uint64_t *ms)
{
    const char *text = arguments_option(a, name);

    if (text != NULL && !time_parse(text, plain_ms, ms))
        return arguments_wrong(a, "%s: %s is not a time (such as 500ms, 5s, 2m): %s", a->entry->name, name, text);
    return true;
}

bool arguments_flag(struct arguments *a, const char *name, bool *value)
{
    const char *text = arguments_option(a, name);

    if (text == NULL)
        return true;
    *value = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
    if (!*value && strcmp(text, "false") != 0 && strcmp(text, "no") != 0)
        return arguments_wrong(a, "%s: %s is neither true nor false: %s", a->entry->name, name, text);
    return true;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

bool message_options_read(struct message_options *options, struct arguments *a)
{
    uint64_t delay_ms = 0, ttl_ms = 0;

    memset(options, 0, sizeof(*options));
    struct ringmq_message *message = &options->message;
    message->group = arguments_option(a, "group");
    message->has_delay = arguments_option(a, "delay") != NULL;
    message->has_ttl = arguments_option(a, "ttl") != NULL;
    if (!arguments_time(a, "delay", 1, &delay_ms) || !arguments_time(a, "ttl", 1, &ttl_ms))
        return false;
    message->delay_ms = (int64_t)delay_ms;
    message->ttl_ms = (int64_t)ttl_ms;
    message->headers = options->headers;
    for (size_t i = 0; i < a->option_count; i++) {
        const struct given *given = &a->options[i];
        const char *equals = strchr(given->value, '=');
        if (strcmp(given->name, "header") != 0)
            continue;
        if (equals == NULL || equals == given->value)
            return arguments_wrong(a, "publish: --header wants NAME=VALUE, not %s", given->value);
        if (message->header_count == HEADERS_MAX)
            return arguments_wrong(a, "publish: more than %d headers", HEADERS_MAX);
        char *name = text_copy(given->value, (size_t)(equals - given->value));
        options->names[message->header_count] = name;
        options->headers[message->header_count++] = (struct ringmq_header){
            .name = name, .type = RINGMQ_NONE, .value.text = equals + 1};
    }
    return true;
}

void message_options_close(struct message_options *options)
{
    for (size_t i = 0; i < HEADERS_MAX; i++)
        free(options->names[i]);
}

void message_write(struct ringmq_args *args, const struct message_options *options, const void *body, size_t bytes)
{
    const struct ringmq_message *m = &options->message;
    unsigned headers = m->header_count > 0, group = m->group != NULL;
    uint32_t pairs = headers + group + (unsigned)m->has_delay + (unsigned)m->has_ttl;

    if (pairs > 0)
        ringmq_args_array(args, 2);
    ringmq_args_bin(args, body, bytes);
    if (pairs > 0)
        ringmq_args_map(args, pairs);
    if (m->header_count > 0) {
        ringmq_args_text(args, "headers");
        ringmq_args_map(args, m->header_count);
        for (uint32_t i = 0; i < m->header_count; i++) {
            ringmq_args_text(args, m->headers[i].name);
            ringmq_args_text(args, m->headers[i].value.text);
        }
    }
    if (m->group != NULL) {
        ringmq_args_text(args, "group");
        ringmq_args_text(args, m->group);
    }
    if (m->has_delay) {
        ringmq_args_text(args, "delay");
        ringmq_args_int(args, m->delay_ms);
    }
    if (m->has_ttl) {
        ringmq_args_text(args, "ttl");
        ringmq_args_int(args, m->ttl_ms);
    }
}
