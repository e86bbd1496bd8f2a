#include "client/cli/catalogue.h"

#include "client/cli/memory.h"
#include "client/cli/messages.h"
#include "protocol/attribute_text.h"
#include "protocol/command_line.h"
#include "protocol/commands.h"
#include "protocol/nearest.h"
#include "protocol/numbers.h"

#include <stdlib.h>
#include <string.h>

/* What the shell adds: options of its own, more help, and commands of its own (those with a group). */
struct addition {
    const char *name, *group, *args, *help, *extra, *usage, *notes;
};

static const struct addition additions[] = {
    {"publish", NULL, NULL, NULL,
     MESSAGE_OPTIONS " x:bool lines:text skip-empty:bool keep-cr:bool long:text window:count", NULL,
     "Each further word is a message. --group, --dedup-id, --priority (0 to 9), --delay, --ttl and --header NAME=TEXT\n"
     "or NAME:=NUMBER (or true, false, nil; any number of them) go for all of them; -x takes one message from standard "
     "input; --lines FILE takes each line of a\n"
     "file (- is standard input), and waits while the queue is full. --atomic stores all of a batch or nothing;\n"
     "--wait 2s waits for room instead of refusing. Times are in milliseconds without a unit: --delay 5s, --ttl 1h."},
    {"topic.publish", NULL, NULL, NULL, MESSAGE_OPTIONS " x:bool", NULL,
     "Each word behind the key is a message; '' is the empty key. The options are those of publish. The answer is the\n"
     "number of copies; with --mandatory none is an error."},
    {"topic.subscribe", NULL, NULL, NULL, "", NULL,
     "Pattern: words separated by dots, * is any one word, # any number of them; without a pattern it is #.\n"
     "Filter: a map in JSON from header to condition, for instance\n"
     "    --filter '{\"kind\": [\"a\", {\"prefix\": \"b\"}], \"n\": {\"numeric\": [\">=\", 1, \"<\", 10]}, \"old\": "
     "{\"exists\": "
     "false}}'"},
    {"topic.unsubscribe", NULL, NULL, NULL, "", NULL, "Without a pattern all subscriptions of the queue end."},
    {"commit", NULL, "", NULL, "ack:id publish:name topic:name " MESSAGE_OPTIONS,
     "commit [--ack RECEIPT,...] [--publish QUEUE MESSAGE...] [--topic TOPIC KEY MESSAGE...] ...",
     "All parts together or, on any error, nothing. Each can be given any number of times; the options of publish\n"
     "for messages (--group, --dedup-id, --priority, --delay, --ttl, --header) go for the part before them:\n"
     "    commit --ack 512,513 --publish done 'a' 'b' --group g --topic events order.done 'a'"},
    {"move", NULL, NULL, NULL, "", NULL,
     "The messages that are there now, ready and parked ones, in the order of their ids; without --to each goes back "
     "to\n"
     "the queue in which it died. --rate N a second, --max N in all. The answer is the number of the move."},
    {"consume", NULL, NULL, NULL, "max:count exec:text jobs:count j:count nack-delay:ms idle:ms", NULL,
     "Prints each message as a line and then acks it. --exec CMD runs a command per message instead, -j N at once: "
     "body\n"
     "on its standard input, RINGMQ_QUEUE, _ID, _ATTEMPTS, _RECEIPT, _GROUP, _PRIORITY, _DEDUP_ID and _HEADER_<NAME> "
     "in\n"
     "its environment; exit status 0 acks, any other gives the message back. --idle TIME ends when nothing has come "
     "for\n"
     "so long. --exclusive: nobody else; --single-active: the first of those that say so, others stand by."},
    {"receive", NULL, NULL, NULL, "", NULL, "The messages stay yours until ack, nack or the end of their visibility."},
    {"ack", NULL, NULL, NULL, "", NULL, "Receipts are given as 7 8 9 or 7,8,9."},
    {"kick", NULL, NULL, NULL, "", NULL, "A number kicks so many; ids are given as [3,7] or 3,7 (one id: [3])."},
    {"queue.create", NULL, NULL, NULL, "", NULL, "Attributes: visibility=60s max_attempts=5 or --visibility 60s."},
    {"queue.update", NULL, NULL, NULL, "", NULL, "Attributes: as with queue.create, all but type."},
    {"export", "definitions", "", "write queues, topics and subscriptions as commands", "", NULL,
     "One command a line, in an order in which they can be given; only attributes that differ from their default.\n"
     "What is written can be read by import, and by the server at its start (option definitions)."},
    {"import", "definitions", "file:text?", "carry out the commands of a file of definitions", "", NULL,
     "queue create, topic create and topic subscribe, one a line; # begins a comment. Without a file, or with -,\n"
     "standard input. All lines are checked before the first is carried out; doing it again changes nothing."},
    {"clear", "shell", "", "clear the screen", "", NULL, ""},
    {"exit", "shell", "", "leave; so do quit and Ctrl-D", "", NULL, ""},
    {"quit", "shell", "", "leave", "", NULL, ""},
};

static struct entry *entry_add(struct catalogue *catalogue)
{
    catalogue->list = memory_resize(catalogue->list, (catalogue->count + 1) * sizeof(*catalogue->list));
    struct entry *entry = &catalogue->list[catalogue->count++];
    *entry = (struct entry){.extra = "", .usage = "", .notes = ""};
    return entry;
}

static char *copy(const char *text)
{
    return text_copy(text, strlen(text));
}

static struct entry *entry_named(const struct catalogue *catalogue, const char *name, size_t bytes)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        struct entry *entry = &catalogue->list[i];
        if (strlen(entry->name) == bytes && memcmp(entry->name, name, bytes) == 0)
            return entry;
    }
    return NULL;
}

static void entry_extend(struct catalogue *catalogue, const struct addition *a)
{
    struct entry *entry = entry_named(catalogue, a->name, strlen(a->name));

    if (entry == NULL) {
        entry = entry_add(catalogue);
        entry->name = copy(a->name);
        entry->group = copy(a->group);
        entry->args = copy(a->args);
        entry->help = copy(a->help);
    } else if (a->args != NULL) {
        free(entry->args);
        entry->args = copy(a->args);
    }
    entry->extra = a->extra;
    entry->usage = a->usage != NULL ? a->usage : "";
    entry->notes = a->notes;
}

void catalogue_init(struct catalogue *catalogue)
{
    *catalogue = (struct catalogue){NULL, 0, false};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *row = command_row((enum command_id)i);
        struct entry *entry = entry_add(catalogue);
        entry->name = copy(row->method);
        entry->group = copy(row->group);
        entry->args = copy(row->args);
        entry->help = copy(row->help);
    }
    for (size_t i = 0; i < sizeof(additions) / sizeof(additions[0]); i++)
        entry_extend(catalogue, &additions[i]);
}

void catalogue_close(struct catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        struct entry *entry = &catalogue->list[i];
        free(entry->name);
        free(entry->group);
        free(entry->args);
        free(entry->help);
    }
    free(catalogue->list);
}

static char *field(struct ringmq_value map, const char *key)
{
    struct ringmq_bytes bytes = ringmq_value_bytes(ringmq_value_get(map, key));
    return text_copy(bytes.data, bytes.bytes);
}

void catalogue_load(struct catalogue *catalogue, struct ringmq_value help)
{
    struct ringmq_iterator rows = ringmq_iterate(help);
    struct ringmq_value row;

    while (ringmq_next(&rows, NULL, &row)) {
        struct ringmq_bytes name = ringmq_value_bytes(ringmq_value_get(row, "name"));
        if (name.bytes == 0 || entry_named(catalogue, name.data, name.bytes) != NULL)
            continue;
        struct entry *entry = entry_add(catalogue);
        entry->name = field(row, "name");
        entry->group = field(row, "group");
        entry->args = field(row, "args");
        entry->help = field(row, "help");
    }
    catalogue->loaded = true;
}

const struct entry *catalogue_find(const struct catalogue *catalogue, const struct words *words, size_t first,
                                   size_t *used)
{
    char name[64];

    if (first + 1 < words->count && !words->list[first + 1].quoted &&
        snprintf(name, sizeof(name), "%s.%s", words->list[first].text, words->list[first + 1].text) <
            (int)sizeof(name)) {
        const struct entry *entry = entry_named(catalogue, name, strlen(name));
        *used = 2;
        if (entry != NULL)
            return entry;
    }
    *used = 1;
    return first < words->count ? entry_named(catalogue, words->list[first].text, words->list[first].bytes) : NULL;
}

const char *catalogue_nearest(const struct catalogue *catalogue, const struct words *words)
{
    char name[64] = "";
    struct nearest one, two;

    nearest_init(&one, words->list[0].text, words->list[0].bytes);
    if (words->count > 1)
        snprintf(name, sizeof(name), "%s.%s", words->list[0].text, words->list[1].text);
    nearest_init(&two, name, strlen(name));
    for (size_t i = 0; i < catalogue->count; i++) {
        const char *known = catalogue->list[i].name;
        nearest_offer(&one, known, strlen(known));
        if (name[0] != '\0' && strchr(known, '.') != NULL)
            nearest_offer(&two, known, strlen(known));
    }
    return two.found != NULL ? two.found : one.found;
}

void entry_options(const struct entry *entry, void (*visit)(void *arg, const struct command_item *item), void *arg)
{
    const char *lists[] = {entry->args, entry->extra};

    for (size_t i = 0; i < 2; i++) {
        const char *list = lists[i];
        struct command_item item = {.option = i == 1};
        while (command_item_next(&list, &item)) {
            if (item.option)
                visit(arg, &item);
        }
    }
}

/* ---- help -------------------------------------------------------------------------------------------------------- */

static const char *placeholder(const struct command_item *item)
{
    static const char *const names[][2] = {
        {"ms", "TIME"}, {"text", "TEXT"}, {"name", "NAME"}, {"map", "JSON"}, {"any", "VALUE"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (command_item_has_type(item, names[i][0]))
            return names[i][1];
    }
    return "N";
}

static void print_option(void *arg, const struct command_item *item)
{
    FILE *out = arg;
    const char *dashes = item->name_bytes == 1 ? "-" : "--";

    if (command_item_has_type(item, "bool"))
        fprintf(out, " [%s%.*s]", dashes, (int)item->name_bytes, item->name);
    else
        fprintf(out, " [%s%.*s %s]", dashes, (int)item->name_bytes, item->name, placeholder(item));
}

/* queue:name attributes:map? {max:count} as  QUEUE [KEY=VALUE ...] [--max N] */
void entry_usage(const struct entry *entry, FILE *out)
{
    const char *list = entry->args;
    struct command_item item = {.option = false};

    if (entry->usage[0] != '\0') {
        fprintf(out, "%s\n", entry->usage);
        return;
    }
    fprintf(out, "%s", entry->name);
    while (command_item_next(&list, &item) && !item.option) {
        const char *open = item.optional ? " [" : " ", *close = item.optional ? "]" : "";
        if (command_item_has_type(&item, "map"))
            fprintf(out, "%sKEY=VALUE ...%s", open, close);
        else
            fprintf(out, "%s%.*s%s%s", open, (int)item.name_bytes, item.name,
                    command_item_has_type(&item, "list") ? "..." : "", close);
    }
    entry_options(entry, print_option, out);
    fputc('\n', out);
}

static void print_attribute(const struct attribute_facts *facts, FILE *out)
{
    char text[NUMBER_PRINT_BYTES] = "";
    const char *initial = text;
    size_t bytes = 0;

    switch (facts->kind) {
    case ATTRIBUTE_MS:
        time_print((uint64_t)facts->initial, text);
        break;
    case ATTRIBUTE_COUNT:
    case ATTRIBUTE_BYTES:
        size_print((uint64_t)facts->initial, text);
        text[strcspn(text, "b")] = '\0';
        break;
    case ATTRIBUTE_BOOL:
        initial = facts->initial != 0 ? "true" : "false";
        break;
    case ATTRIBUTE_CHOICE:
        initial = attribute_facts_word(facts, (size_t)facts->initial, &bytes);
        break;
    case ATTRIBUTE_NAME:
    case ATTRIBUTE_BACKOFF:
        initial = "nil";
        break;
    }
    bytes = bytes > 0 ? bytes : strlen(initial);
    fprintf(out, "  %-19s %s", facts->name, facts->help);
    if (facts->kind == ATTRIBUTE_CHOICE)
        fprintf(out, ": %s", facts->choices);
    if (facts->kind == ATTRIBUTE_BACKOFF)
        fputs(": base,factor,cap,jitter such as 1s,2,1m,0.1", out);
    fprintf(out, " (%.*s)\n", (int)bytes, initial);
}

static void print_entry(const struct entry *entry, FILE *out)
{
    entry_usage(entry, out);
    fprintf(out, "  %s (@%s)\n", entry->help, entry->group);
    if (entry->notes[0] != '\0')
        fprintf(out, "%s\n", entry->notes);
    if (strcmp(entry->name, "queue.create") != 0 && strcmp(entry->name, "queue.update") != 0)
        return;
    for (size_t i = 0; attribute_facts(i) != NULL; i++)
        print_attribute(attribute_facts(i), out);
}

bool catalogue_help(const struct catalogue *catalogue, const struct words *words, size_t first, FILE *out)
{
    size_t used, found = 0;
    const struct entry *entry = catalogue_find(catalogue, words, first, &used);

    if (entry != NULL) {
        print_entry(entry, out);
        return true;
    }
    const char *wanted = first < words->count ? words->list[first].text : "";
    const char *group = "";
    for (size_t i = 0; i < catalogue->count; i++) {
        entry = &catalogue->list[i];
        bool fits = wanted[0] == '@' ? strcmp(wanted + 1, entry->group) == 0
                                     : strncmp(wanted, entry->name, strlen(wanted)) == 0;
        if (!fits)
            continue;
        if (strcmp(group, entry->group) != 0)
            fprintf(out, "%s@%s\n", found > 0 ? "\n" : "", entry->group);
        group = entry->group;
        fprintf(out, "  %-17s %s\n", entry->name, entry->help);
        found++;
    }
    if (found > 0 && wanted[0] == '\0')
        fputs("\nhelp COMMAND tells more; help @GROUP lists a group.\n", out);
    return found > 0;
}
