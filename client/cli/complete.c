#include "client/cli/complete.h"

#include "client/cli/words.h"

#include <stdlib.h>
#include <string.h>

#define QUEUES_ASKED 200

/* What is known while one word is completed. */
struct search {
    struct completion *found;
    const struct catalogue *catalogue;
    struct ringmq *conn;
    const struct words *before; /* the words before it */
    const char *typed;          /* its beginning, terminated */
};

/* Keeps a candidate if it begins with what is typed. */
static void offer(const struct search *search, const char *text, size_t bytes)
{
    struct completion *found = search->found;

    if (bytes < found->typed_bytes || memcmp(text, search->typed, found->typed_bytes) != 0)
        return;
    found->list = memory_resize(found->list, (found->count + 1) * sizeof(*found->list));
    found->list[found->count++] = text_copy(text, bytes);
}

static void offer_text(const struct search *search, const char *text)
{
    offer(search, text, strlen(text));
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* Names of commands; with a word before, such as `queue`, what can follow it. */
static void commands_offer(const struct search *search, size_t first)
{
    const struct words *before = search->before;

    for (size_t i = 0; i < search->catalogue->count; i++) {
        const char *name = search->catalogue->list[i].name;
        if (before->count == first) {
            offer_text(search, name);
        } else if (before->count == first + 1) {
            const struct word *word = &before->list[first];
            if (strncmp(name, word->text, word->bytes) == 0 && name[word->bytes] == '.')
                offer_text(search, name + word->bytes + 1);
        }
    }
}

static void groups_offer(const struct search *search)
{
    char name[64];

    for (size_t i = 0; i < search->catalogue->count; i++) {
        snprintf(name, sizeof(name), "@%s", search->catalogue->list[i].group);
        offer_text(search, name);
    }
}

/* ---- what the server knows --------------------------------------------------------------------------------------- */

static void queues_offer(const struct search *search)
{
    struct ringmq_list_options options = {.prefix = search->typed, .max = QUEUES_ASKED};
    struct ringmq_value result, queue;

    if (ringmq_state(search->conn) != RINGMQ_READY ||
        ringmq_queue_list(search->conn, &options, &result, COMPLETE_TIMEOUT_MS) != RINGMQ_OK)
        return;
    struct ringmq_iterator queues = ringmq_iterate(ringmq_value_get(result, "queues"));
    while (ringmq_next(&queues, NULL, &queue)) {
        struct ringmq_bytes name = ringmq_value_bytes(ringmq_value_get(queue, "name"));
        if (name.data != NULL)
            offer(search, name.data, name.bytes);
    }
}

static void settings_offer(const struct search *search)
{
    struct ringmq_value result, key, value;

    if (ringmq_state(search->conn) != RINGMQ_READY ||
        ringmq_call(search->conn, "config.get", NULL, COMPLETE_TIMEOUT_MS, &result) != RINGMQ_OK)
        return;
    struct ringmq_iterator settings = ringmq_iterate(result);
    while (ringmq_next(&settings, &key, &value)) {
        struct ringmq_bytes name = ringmq_value_bytes(key);
        if (name.data != NULL)
            offer(search, name.data, name.bytes);
    }
}

/* ---- options and arguments --------------------------------------------------------------------------------------- */

static bool is_option(const struct word *word)
{
    return !word->quoted && word->bytes > 2 && strncmp(word->text, "--", 2) == 0;
}

static void option_offer(void *arg, const char *name, const char *type)
{
    const struct search *search = arg;
    char option[64];

    (void)type;
    snprintf(option, sizeof(option), "--%s", name);
    for (size_t i = 0; i < search->before->count; i++) {
        if (word_is(&search->before->list[i], option) && strcmp(name, "header") != 0)
            return;
    }
    offer_text(search, option);
}

/* A search for the type of an option; "" if it is not found. */
struct wanted {
    const struct word *word;
    bool takes_value;
};

static void option_match(void *arg, const char *name, const char *type)
{
    struct wanted *wanted = arg;

    if (strcmp(wanted->word->text + 2, name) == 0)
        wanted->takes_value = strcmp(type, "bool") != 0;
}

/* True if the word is an option whose value is the next word. */
static bool takes_value(const struct entry *entry, const struct word *word)
{
    struct wanted wanted = {word, false};

    if (is_option(word))
        entry_options(entry, option_match, &wanted);
    return wanted.takes_value;
}

/* The row's positional argument at `index`, name and type: "queue:name"; NULL if there is none. */
static const char *argument_at(const struct entry *entry, size_t index)
{
    const char *at = entry->args;

    while (index-- > 0 && *at != '\0' && *at != '{') {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    return *at == '\0' || *at == '{' ? NULL : at;
}

static bool argument_is(const char *argument, const char *text)
{
    size_t bytes = strlen(text);
    return strncmp(argument, text, bytes) == 0 && strchr(" ?", argument[bytes]) != NULL;
}

static void arguments_offer(struct search *search, const struct entry *entry, size_t used)
{
    const struct words *before = search->before;
    size_t index = 0;

    if (before->count > used && takes_value(entry, &before->list[before->count - 1]))
        return;
    if (search->typed[0] == '-') {
        entry_options(entry, option_offer, search);
        return;
    }
    for (size_t i = used; i < before->count; i++) {
        if (takes_value(entry, &before->list[i]))
            i++;
        else
            index += !is_option(&before->list[i]);
    }
    const char *argument = argument_at(entry, index);
    if (argument == NULL)
        return;
    const char *type = strchr(argument, ':');
    if (type != NULL && argument_is(type, ":name"))
        queues_offer(search);
    else if (strncmp(entry->name, "config.", 7) == 0 && index == 0)
        settings_offer(search);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void search_run(struct search *search)
{
    const struct words *before = search->before;
    size_t used;

    if (before->count > 0 && word_is(&before->list[0], "help")) {
        commands_offer(search, 1);
        if (before->count == 1)
            groups_offer(search);
        return;
    }
    const struct entry *entry = catalogue_find(search->catalogue, before, 0, &used);
    if (entry != NULL)
        arguments_offer(search, entry, used);
    else
        commands_offer(search, 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts, leaves each once, and finds what they have in common. */
static void completion_finish(struct completion *found)
{
    size_t kept = 0;

    if (found->count == 0)
        return;
    qsort(found->list, found->count, sizeof(*found->list), compare);
    for (size_t i = 0; i < found->count; i++) {
        if (kept > 0 && strcmp(found->list[kept - 1], found->list[i]) == 0)
            free(found->list[i]);
        else
            found->list[kept++] = found->list[i];
    }
    found->count = kept;
    const char *first = found->list[0], *last = found->list[kept - 1];
    while (first[found->common_bytes] != '\0' && first[found->common_bytes] == last[found->common_bytes])
        found->common_bytes++;
}

void completion_init(struct completion *completion, const struct catalogue *catalogue, struct ringmq *conn,
                     const char *line, size_t bytes)
{
    size_t start = bytes;
    struct words before;

    *completion = (struct completion){NULL, 0, 0, 0};
    while (start > 0 && line[start - 1] != ' ' && line[start - 1] != '\t')
        start--;
    char *typed = text_copy(line + start, bytes - start);
    completion->typed_bytes = bytes - start;
    const char *wrong = words_split(&before, line, start);
    if (wrong == NULL && strpbrk(typed, "'\"") == NULL) {
        struct search search = {completion, catalogue, conn, &before, typed};
        search_run(&search);
        completion_finish(completion);
    }
    words_close(&before);
    free(typed);
}

void completion_close(struct completion *completion)
{
    for (size_t i = 0; i < completion->count; i++)
        free(completion->list[i]);
    free(completion->list);
    *completion = (struct completion){NULL, 0, 0, 0};
}
