#include "client/cli/complete.h"

#include "client/cli/arguments.h"
#include "client/cli/memory.h"
#include "protocol/attribute_text.h"
#include "protocol/words.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_ASKED 200

/* What is known while one word is completed. */
struct search {
    struct completion *found;
    const struct catalogue *catalogue;
    struct ringmq *conn;
    const struct words *before; /* the words before it */
    const char *typed;          /* its beginning, terminated */
    size_t stem;                /* bytes of it that stay, such as `visibility=`; what is offered comes behind them */
    bool outside;
};

/* Keeps a candidate if it begins with what is typed behind the stem. */
static void offer(const struct search *search, const char *text, size_t bytes)
{
    struct completion *found = search->found;
    const char *typed = search->typed + search->stem;
    const size_t typed_bytes = found->typed_bytes - search->stem;

    if (bytes < typed_bytes || memcmp(text, typed, typed_bytes) != 0)
        return;
    char *whole = memory_new(search->stem + bytes + 1);
    memcpy(whole, search->typed, search->stem);
    memcpy(whole + search->stem, text, bytes);
    found->list = memory_resize(found->list, (found->count + 1) * sizeof(*found->list));
    found->list[found->count++] = whole;
}

static void offer_text(const struct search *search, const char *text)
{
    offer(search, text, strlen(text));
}

/* Words with | between them. */
static void offer_choices(const struct search *search, const char *choices)
{
    while (*choices != '\0') {
        const size_t bytes = strcspn(choices, "|");
        offer(search, choices, bytes);
        choices += bytes + (choices[bytes] == '|');
    }
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* Names of commands; with a word before, such as `queue`, what can follow it. */
static void commands_offer(const struct search *search, size_t first)
{
    const struct words *before = search->before;

    for (size_t i = 0; i < search->catalogue->count; i++) {
        const struct entry *entry = &search->catalogue->list[i];
        const char *name = entry->name, *dot = strchr(name, '.');
        if (search->outside && strcmp(entry->group, "shell") == 0)
            continue;
        if (before->count == first) {
            offer_text(search, name);
            if (search->outside && dot != NULL)
                offer(search, name, (size_t)(dot - name));
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

static bool server_ready(const struct search *search)
{
    if (search->outside && ringmq_state(search->conn) == RINGMQ_CLOSED)
        (void)ringmq_connect(search->conn, COMPLETE_TIMEOUT_MS);
    return ringmq_state(search->conn) == RINGMQ_READY;
}

static void names_offer(const struct search *search, bool topics)
{
    struct ringmq_list_options options = {.prefix = search->typed + search->stem, .max = NAMES_ASKED};
    struct ringmq_value result, row;

    if (!server_ready(search))
        return;
    int status = (topics ? ringmq_topic_list : ringmq_queue_list)(search->conn, &options, &result, COMPLETE_TIMEOUT_MS);
    if (status != RINGMQ_OK)
        return;
    struct ringmq_iterator rows = ringmq_iterate(ringmq_value_get(result, topics ? "topics" : "queues"));
    while (ringmq_next(&rows, NULL, &row)) {
        struct ringmq_bytes name = ringmq_value_bytes(ringmq_value_get(row, "name"));
        if (name.data != NULL)
            offer(search, name.data, name.bytes);
    }
}

static void settings_offer(const struct search *search)
{
    struct ringmq_value result, key, value;

    if (!server_ready(search) ||
        ringmq_call(search->conn, "config.get", NULL, COMPLETE_TIMEOUT_MS, &result) != RINGMQ_OK)
        return;
    struct ringmq_iterator settings = ringmq_iterate(result);
    while (ringmq_next(&settings, &key, &value)) {
        struct ringmq_bytes name = ringmq_value_bytes(key);
        if (name.data != NULL)
            offer(search, name.data, name.bytes);
    }
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static bool item_is(const struct command_item *item, const char *name)
{
    return strlen(name) == item->name_bytes && memcmp(name, item->name, item->name_bytes) == 0;
}

/* Words that an option or argument can be worth, whatever command it is of. */
static const char *choices_of(const struct command_item *item)
{
    static const char *const known[][2] = {
        {"state", "delayed|ready|inflight|parked"}, {"ack", "manual|auto"}, {"long", "stop|skip|truncate"}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (item_is(item, known[i][0]) && command_item_has_type(item, "text"))
            return known[i][1];
    }
    return command_item_has_type(item, "bool") ? "true|false" : "";
}

/* What an option or argument can be worth. */
static void values_offer(const struct search *search, const struct command_item *item)
{
    if (command_item_has_type(item, "name"))
        names_offer(search, item_is(item, "topic"));
    else if (item_is(item, "lines") || item_is(item, "file"))
        search->found->kind = COMPLETION_FILES;
    else if (item_is(item, "exec"))
        search->found->kind = COMPLETION_COMMANDS;
    else
        offer_choices(search, choices_of(item));
}

static void attribute_values_offer(const struct search *search, const struct attribute_facts *facts)
{
    if (facts->kind == ATTRIBUTE_CHOICE)
        offer_choices(search, facts->choices);
    else if (facts->kind == ATTRIBUTE_BOOL)
        offer_choices(search, "true|false");
    else if (facts->kind == ATTRIBUTE_NAME)
        names_offer(search, false);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

static bool is_option(const struct word *word)
{
    return !word->quoted && word->bytes > 1 && word->text[0] == '-' && strcmp(word->text, "--") != 0;
}

/* The name behind the dashes. */
static const char *option_name(const char *word)
{
    return word + strspn(word, "-");
}

static void option_offer(void *arg, const struct command_item *item)
{
    const struct search *search = arg;
    const bool again = item_is(item, "header");
    char option[64];

    snprintf(option, sizeof(option), "%s%.*s", item->name_bytes == 1 ? "-" : "--", (int)item->name_bytes, item->name);
    for (size_t i = 0; i < search->before->count; i++) {
        if (word_is(&search->before->list[i], option) && !again)
            return;
    }
    offer_text(search, option);
}

/* A search for an option by its name. */
struct wanted {
    const char *name;
    size_t bytes;
    struct command_item item;
    bool found;
};

static void option_match(void *arg, const struct command_item *item)
{
    struct wanted *wanted = arg;

    if (item->name_bytes != wanted->bytes || memcmp(item->name, wanted->name, wanted->bytes) != 0)
        return;
    wanted->item = *item;
    wanted->found = true;
}

static bool option_find(const struct entry *entry, const char *name, size_t bytes, struct command_item *item)
{
    struct wanted wanted = {.name = name, .bytes = bytes};

    entry_options(entry, option_match, &wanted);
    *item = wanted.item;
    return wanted.found;
}

/* True if the word is an option whose value is the next word. */
static bool takes_value(const struct entry *entry, const struct word *word, struct command_item *item)
{
    const char *name = option_name(word->text);

    return is_option(word) && option_find(entry, name, strlen(name), item) && !command_item_has_type(item, "bool");
}

/* --key=value or key=value: what stands behind the equals sign. */
static void pair_offer(struct search *search, const struct entry *entry)
{
    const char *name = option_name(search->typed);
    const char *equals = strchr(name, '=');
    struct command_item item;

    search->stem = (size_t)(equals + 1 - search->typed);
    const size_t bytes = (size_t)(equals - name);
    const struct attribute_facts *facts = attribute_facts_find(name, bytes);
    if (option_find(entry, name, bytes, &item))
        values_offer(search, &item);
    else if (strstr(entry->args, "attributes:map") != NULL && facts != NULL)
        attribute_values_offer(search, facts);
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

/* The positional argument at `index`, the last one for a list. False if there is none. */
static bool argument_at(const struct entry *entry, size_t index, struct command_item *item)
{
    const char *list = entry->args;

    *item = (struct command_item){.option = false};
    do {
        if (!command_item_next(&list, item) || item->option)
            return false;
    } while (index-- > 0);
    return true;
}

/* Attributes that have not been given yet, each with its equals sign. */
static void attributes_offer(const struct search *search)
{
    char text[64];

    for (size_t i = 0; attribute_facts(i) != NULL; i++) {
        const int bytes = snprintf(text, sizeof(text), "%s=", attribute_facts(i)->name);
        bool given = false;
        for (size_t j = 0; j < search->before->count; j++)
            given = given || strncmp(search->before->list[j].text, text, (size_t)bytes) == 0;
        if (!given)
            offer(search, text, (size_t)bytes);
    }
}

/* How many positional arguments stand before the word. */
static size_t places_before(const struct search *search, const struct entry *entry, size_t used)
{
    const struct words *before = search->before;
    struct command_item item;
    size_t places = 0;

    for (size_t i = used; i < before->count; i++) {
        if (takes_value(entry, &before->list[i], &item))
            i++;
        else
            places += !is_option(&before->list[i]) &&
                      (strstr(entry->args, ":map") == NULL || strchr(before->list[i].text, '=') == NULL);
    }
    return places;
}

static void common_offer(struct search *search)
{
    const char *list = COMMON_OPTIONS;
    struct command_item item = {.option = true};

    while (command_item_next(&list, &item))
        option_offer(search, &item);
}

static void arguments_offer(struct search *search, const struct entry *entry, size_t used)
{
    const struct words *before = search->before;
    struct command_item item;

    if (before->count > used && takes_value(entry, &before->list[before->count - 1], &item)) {
        values_offer(search, &item);
        return;
    }
    const bool messages = strstr(entry->args, "messages:list") != NULL;
    if (strchr(search->typed, '=') != NULL && (search->typed[0] == '-' || !messages)) {
        pair_offer(search, entry);
        return;
    }
    if (search->typed[0] == '-') {
        entry_options(entry, option_offer, search);
        common_offer(search);
        return;
    }
    const size_t index = places_before(search, entry, used);
    if (!argument_at(entry, index, &item))
        return;
    if (command_item_has_type(&item, "map"))
        attributes_offer(search);
    else if (strncmp(entry->name, "config.", 7) == 0 && index == 0)
        settings_offer(search);
    else if (!command_item_has_type(&item, "list"))
        values_offer(search, &item);
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
    /* `move` is a command, and the beginning of `move list`. */
    if (entry == NULL || (before->count == 1 && used == 1 && search->typed[0] != '-'))
        commands_offer(search, 0);
    if (before->count == 0)
        offer_text(search, "help");
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
                     const char *line, size_t bytes, bool outside)
{
    size_t start = bytes;
    struct words before;

    *completion = (struct completion){.list = NULL};
    while (start > 0 && line[start - 1] != ' ' && line[start - 1] != '\t')
        start--;
    char *typed = text_copy(line + start, bytes - start);
    completion->typed_bytes = bytes - start;
    const char *wrong = words_split(&before, line, start);
    if (wrong == NULL && strpbrk(typed, "'\"") == NULL) {
        struct search search = {.found = completion,
                                .catalogue = catalogue,
                                .conn = conn,
                                .before = &before,
                                .typed = typed,
                                .outside = outside};
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
    *completion = (struct completion){.list = NULL};
}
