#include "client/cli/catalogue.h"

#include "protocol/commands.h"

#include <stdlib.h>
#include <string.h>

/* What the shell adds: options of its own, and commands of its own (those with a group). */
struct addition {
    const char *name, *group, *args, *help, *extra, *notes;
};

static const struct addition additions[] = {
    {"publish", NULL, NULL, NULL,
     "group:text delay:ms ttl:ms header:text lines:text skip-empty:bool keep-cr:bool long:text window:count",
     "Each further word is a message. --group, --delay, --ttl and --header NAME=VALUE (any number) go for all of "
     "them;\n"
     "-x takes one message from standard input; --lines FILE takes each line of a file (- is standard input), and "
     "waits\n"
     "while the queue is full. --atomic stores all of a batch or nothing. --delay 5s, --ttl 1h: milliseconds without a "
     "unit."},
    {"consume", NULL, NULL, NULL, "max:count exec:text jobs:count nack-delay:ms idle:ms",
     "Prints each message as a line and then acks it. --exec CMD runs a command per message instead, -j N at once: "
     "body\n"
     "on its standard input, RINGMQ_QUEUE, _ID, _ATTEMPTS, _RECEIPT, _GROUP and _HEADER_<NAME> in its environment; "
     "exit\n"
     "status 0 acks, any other gives the message back. --idle TIME ends when nothing has come for so long."},
    {"receive", NULL, NULL, NULL, "", "The messages stay yours until ack, nack or the end of their visibility."},
    {"kick", NULL, NULL, NULL, "", "A number kicks so many; ids are given as [3,7] or 3,7 (one id: [3])."},
    {"queue.create", NULL, NULL, NULL, "",
     "Attributes: visibility=60s max_attempts=5 or --visibility 60s. They are visibility, max_hold, delay, retention, "
     "ttl,\n"
     "max_attempts, max_messages, max_bytes, overflow (reject or drop_oldest), max_message_bytes and type (standard)."},
    {"queue.update", NULL, NULL, NULL, "", "Attributes: as with queue.create, all but type."},
    {"clear", "shell", "", "clear the screen", "", ""},
    {"exit", "shell", "", "leave; so do quit and Ctrl-D", "", ""},
    {"quit", "shell", "", "leave", "", ""},
};

static struct entry *entry_add(struct catalogue *catalogue)
{
    catalogue->list = memory_resize(catalogue->list, (catalogue->count + 1) * sizeof(*catalogue->list));
    return &catalogue->list[catalogue->count++];
}

static char *copy(const char *text)
{
    return text_copy(text, strlen(text));
}

static const struct entry *entry_named(const struct catalogue *catalogue, const char *name, size_t bytes)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        const struct entry *entry = &catalogue->list[i];
        if (strlen(entry->name) == bytes && memcmp(entry->name, name, bytes) == 0)
            return entry;
    }
    return NULL;
}

void catalogue_init(struct catalogue *catalogue)
{
    *catalogue = (struct catalogue){NULL, 0, false};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *row = command_row((enum command_id)i);
        *entry_add(catalogue) = (struct entry){
            copy(row->method), copy(row->group), copy(row->args), copy(row->help), "", ""};
    }
    for (size_t i = 0; i < sizeof(additions) / sizeof(additions[0]); i++) {
        const struct addition *a = &additions[i];
        struct entry *entry = (struct entry *)entry_named(catalogue, a->name, strlen(a->name));
        if (entry == NULL) {
            entry = entry_add(catalogue);
            *entry = (struct entry){copy(a->name), copy(a->group), copy(a->args), copy(a->help), "", ""};
        }
        entry->extra = a->extra;
        entry->notes = a->notes;
    }
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
        *entry_add(catalogue) = (struct entry){
            field(row, "name"), field(row, "group"), field(row, "args"), field(row, "help"), "", ""};
    }
    catalogue->loaded = true;
}

const struct entry *catalogue_find(const struct catalogue *catalogue, const struct words *words, size_t first,
                                   size_t *used)
{
    char name[64];

    if (first + 1 < words->count && snprintf(name, sizeof(name), "%s.%s", words->list[first].text,
                                             words->list[first + 1].text) < (int)sizeof(name)) {
        const struct entry *entry = entry_named(catalogue, name, strlen(name));
        *used = 2;
        if (entry != NULL)
            return entry;
    }
    *used = 1;
    return first < words->count ? entry_named(catalogue, words->list[first].text, words->list[first].bytes) : NULL;
}

/* The name:type items of a list, braces passed over; only those inside braces if `options`. */
static void items_visit(const char *list, bool options, void (*visit)(void *, const char *, const char *), void *arg)
{
    char item[96];
    bool inside = !options;

    while (*list != '\0') {
        size_t bytes = strcspn(list, " {}:");
        const char *type = list + bytes;
        if (bytes > 0 && *type == ':' && inside) {
            size_t type_bytes = strcspn(++type, " }");
            if (bytes + type_bytes + 2 <= sizeof(item)) {
                snprintf(item, sizeof(item), "%.*s%c%.*s", (int)bytes, list, 0, (int)type_bytes, type);
                visit(arg, item, item + bytes + 1);
            }
        }
        list += strcspn(list, " {}");
        inside = inside || *list == '{';
        list += *list != '\0';
    }
}

void entry_options(const struct entry *entry, void (*visit)(void *arg, const char *name, const char *type), void *arg)
{
    items_visit(entry->args, true, visit, arg);
    items_visit(entry->extra, false, visit, arg);
}

/* ---- help -------------------------------------------------------------------------------------------------------- */

static void print_option(void *arg, const char *name, const char *type)
{
    FILE *out = arg;

    if (strcmp(type, "bool") == 0)
        fprintf(out, " [--%s]", name);
    else
        fprintf(out, " [--%s %s]", name, strcmp(type, "ms") == 0 ? "TIME" : strcmp(type, "text") == 0 ? "TEXT" : "N");
}

/* queue:name attributes:map? {max:count} as  QUEUE [KEY=VALUE ...] [--max N] */
static void print_usage(const struct entry *entry, FILE *out)
{
    const char *at = entry->args;

    fprintf(out, "%s", entry->name);
    while (*at != '\0' && *at != '{') {
        size_t name = strcspn(at, ":"), word = strcspn(at, " ");
        const char *type = at + name + 1;
        bool optional = word > 0 && at[word - 1] == '?';
        if (strncmp(type, "map", 3) == 0)
            fprintf(out, optional ? " [KEY=VALUE ...]" : " KEY=VALUE ...");
        else
            fprintf(out, strncmp(type, "list", 4) == 0 ? " %.*s..." : optional ? " [%.*s]" : " %.*s", (int)name, at);
        at += word;
        at += strspn(at, " ");
    }
    entry_options(entry, print_option, out);
    fputc('\n', out);
}

bool catalogue_help(const struct catalogue *catalogue, const struct words *words, size_t first, FILE *out)
{
    size_t used, found = 0;
    const struct entry *entry = catalogue_find(catalogue, words, first, &used);

    if (entry != NULL) {
        print_usage(entry, out);
        fprintf(out, "  %s (@%s)\n", entry->help, entry->group);
        if (entry->notes[0] != '\0')
            fprintf(out, "%s\n", entry->notes);
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
        fprintf(out, "  %-13s %s\n", entry->name, entry->help);
        found++;
    }
    if (found > 0 && wanted[0] == '\0')
        fputs("\nhelp COMMAND tells more; help @GROUP lists a group.\n", out);
    return found > 0;
}
