/*
 * command_params: sorted words become the params of a call, each by the type that the command's list gives for its place.
 */
#include "protocol/command_line.h"

#include "protocol/attribute_text.h"
#include "protocol/encoder.h"
#include "protocol/json.h"
#include "protocol/nearest.h"
#include "protocol/numbers.h"

#include <string.h>

/* Texts that sentences repeat are cut here. */
#define SHOWN 80

bool numbers_write(const char *text, struct buffer *out, uint32_t *count)
{
    char digits[24];
    uint64_t number;

    for (;;) {
        const size_t bytes = strcspn(text, ",");
        if (bytes >= sizeof digits)
            return false;
        memcpy(digits, text, bytes);
        digits[bytes] = '\0';
        if (!number_parse(digits, &number))
            return false;
        encode_uint(out, number);
        ++*count;
        text += bytes;
        if (*text == '\0')
            return true;
        text++;
        text += strspn(text, " ");
    }
}

/* [1,2] or 1,2: an array of numbers. */
static bool list_write(const char *text, struct buffer *out)
{
    char inside[4096];
    const size_t bytes = strlen(text);
    const bool brackets = bytes >= 3 && text[0] == '[' && text[bytes - 1] == ']';
    const size_t begin = out->bytes;
    uint32_t count = 0, again = 0;

    if ((!brackets && strchr(text, ',') == NULL) || bytes >= sizeof inside)
        return false;
    memcpy(inside, text + brackets, bytes - 2 * brackets);
    inside[bytes - 2 * brackets] = '\0';
    const bool fits = numbers_write(inside, out, &count);
    out->bytes = begin;
    if (!fits)
        return false;
    encode_array(out, count);
    return numbers_write(inside, out, &again);
}

static void any_write(const char *text, struct buffer *out)
{
    uint64_t number;

    if (list_write(text, out))
        return;
    if (number_parse(text, &number))
        encode_uint(out, number);
    else
        encode_text(out, text);
}

static bool json_map_write(struct command_line *line, const struct command_item *item, const char *text, size_t bytes,
                           struct buffer *out)
{
    struct json_error error;

    if (text[strspn(text, " \t")] != '{')
        return command_line_wrong(line, "%s: %.*s must be a map such as {\"key\": \"value\"}", line->form.name,
                                  (int)item->name_bytes, item->name);
    if (json_read(text, bytes, out, &error))
        return true;
    return command_line_wrong(line, "%s: %.*s: %s, at byte %zu: %.20s", line->form.name, (int)item->name_bytes,
                              item->name, error.text, error.at + 1, text + error.at);
}

static bool value_write(struct command_line *line, const struct command_item *item, const struct word *word,
                        struct buffer *out)
{
    const char *method = line->form.name, *text = word->text;
    const int name_bytes = (int)item->name_bytes;
    uint64_t number = 0;

    if (command_item_has_type(item, "id") || command_item_has_type(item, "count")) {
        if (!number_parse(text, &number))
            return command_line_wrong(line, "%s: %.*s is not a number: %.*s", method, name_bytes, item->name, SHOWN,
                                      text);
        encode_uint(out, number);
    } else if (command_item_has_type(item, "ms")) {
        if (!time_parse(text, 1, &number))
            return command_line_wrong(line, "%s: %.*s is not a time (such as 500ms, 5s, 2m): %.*s", method, name_bytes,
                                      item->name, SHOWN, text);
        encode_uint(out, number);
    } else if (command_item_has_type(item, "bool")) {
        const bool yes = word_is(word, "true") || word_is(word, "yes");
        if (!yes && !word_is(word, "false") && !word_is(word, "no"))
            return command_line_wrong(line, "%s: %.*s is neither true nor false: %.*s", method, name_bytes, item->name,
                                      SHOWN, text);
        encode_bool(out, yes);
    } else if (command_item_has_type(item, "any")) {
        any_write(text, out);
    } else if (command_item_has_type(item, "map")) {
        return json_map_write(line, item, text, word->bytes, out);
    } else {
        encode_str(out, text, word->bytes);
    }
    return true;
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */

/* One that is not known here but may be in a newer server: whatever its value looks like. */
static bool foreign_write(struct command_line *line, const struct given *given, struct buffer *out)
{
    const char *text = given->value;
    struct nearest nearest;
    uint64_t number = 0;

    nearest_init(&nearest, given->name, given->name_bytes);
    for (size_t i = 0; attribute_facts(i) != NULL; i++)
        nearest_offer(&nearest, attribute_facts(i)->name, strlen(attribute_facts(i)->name));
    if (nearest.found != NULL)
        return command_line_wrong(line, "%s: no attribute %.*s; did you mean %.*s?", line->form.name,
                                  (int)given->name_bytes, given->name, (int)nearest.found_bytes, nearest.found);
    if (strcmp(text, "nil") == 0 && !given->quoted)
        encode_nil(out);
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        encode_bool(out, text[0] == 't');
    else if (number_parse(text, &number) || time_parse(text, 1, &number) || size_parse(text, &number))
        encode_uint(out, number);
    else
        encode_text(out, text);
    return true;
}

static bool attribute_write(struct command_line *line, const struct given *given, struct buffer *out)
{
    const struct attribute_facts *facts = attribute_facts_find(given->name, given->name_bytes);

    encode_str(out, facts != NULL ? facts->name : given->name, given->name_bytes);
    if (facts == NULL)
        return foreign_write(line, given, out);
    const char *wanted = attribute_text_write(facts, given->value, given->quoted, out);
    if (wanted == NULL)
        return true;
    return command_line_wrong(line, "%s: %s is not %s%s: %.*s", line->form.name, facts->name,
                              facts->kind == ATTRIBUTE_CHOICE ? "one of " : "", wanted, SHOWN, given->value);
}

static uint32_t attributes_count(const struct command_line *line)
{
    uint32_t count = 0;

    for (size_t i = 0; i < line->option_count; i++)
        count += line->options[i].type == NULL;
    return count;
}

static bool attributes_write(struct command_line *line, struct buffer *out)
{
    encode_map(out, attributes_count(line));
    for (size_t i = 0; i < line->option_count; i++) {
        if (line->options[i].type == NULL && !attribute_write(line, &line->options[i], out))
            return false;
    }
    return true;
}

/* ---- lists and options ------------------------------------------------------------------------------------------- */

static bool list_of_numbers(struct command_line *line, const struct word *const *words, size_t count,
                            struct buffer *out)
{
    const size_t begin = out->bytes;
    uint32_t numbers = 0;

    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            out->bytes = begin;
            encode_array(out, numbers);
        }
        for (size_t i = 0; i < count; i++) {
            if (!numbers_write(words[i]->text, out, &numbers))
                return command_line_wrong(line, "%s: not a number: %.*s", line->form.name, SHOWN, words[i]->text);
        }
    }
    return true;
}

/* The item of the method's own options that an option given is, if it is one. */
static bool option_item(const struct command_line *line, const struct given *given, struct command_item *item)
{
    const char *list = line->form.args;

    *item = (struct command_item){.name = NULL};
    while (given->type != NULL && command_item_next(&list, item)) {
        if (item->option && item->type == given->type)
            return true;
    }
    return false;
}

/* Options that stand in the method's list; the caller's own are not sent. *params counts the map. */
static bool options_write(struct command_line *line, struct buffer *out, uint32_t *params)
{
    struct command_item item;
    uint32_t count = 0;

    for (size_t i = 0; i < line->option_count; i++)
        count += option_item(line, &line->options[i], &item);
    if (count == 0)
        return true;
    encode_map(out, count);
    ++*params;
    for (size_t i = 0; i < line->option_count; i++) {
        const struct given *given = &line->options[i];
        const struct word word = {given->value, strlen(given->value), given->quoted, given->quoted ? 0 : SIZE_MAX};
        if (!option_item(line, given, &item))
            continue;
        encode_str(out, given->name, given->name_bytes);
        if (!value_write(line, &item, &word, out))
            return false;
    }
    return true;
}

/* How many positional arguments stand in what is left of a list. */
static size_t places_behind(const char *list)
{
    struct command_item item = {.option = false};
    size_t places = 0;

    while (command_item_next(&list, &item) && !item.option)
        places++;
    return places;
}

/* Where a walk through the positional arguments is. */
struct walk {
    struct command_line *line;
    const char *list; /* what is left of the form's */
    size_t next;      /* the word that comes */
    command_messages_cb *messages_cb;
    void *arg;
    struct buffer *out;
    uint32_t params;
};

static bool missing(struct walk *w, const struct command_item *item)
{
    return item->optional ||
           command_line_wrong(w->line, "%s: %.*s is missing", w->line->form.name, (int)item->name_bytes, item->name);
}

/* A list takes all words but those that arguments behind it need. */
static bool list_argument(struct walk *w, const struct command_item *item)
{
    struct command_line *line = w->line;
    const size_t behind = places_behind(w->list);
    const size_t to = line->count >= w->next + behind ? line->count - behind : w->next;
    const struct word *const *words = line->positional + w->next;
    const size_t count = to - w->next;
    const bool messages = item->name_bytes == strlen("messages") && memcmp(item->name, "messages", 8) == 0;

    if (count == 0 && !messages)
        return missing(w, item);
    w->next = to;
    w->params++;
    if (messages && w->messages_cb != NULL)
        return w->messages_cb(line, words, count, w->arg, w->out);
    return list_of_numbers(line, words, count, w->out);
}

static bool map_argument(struct walk *w, const struct command_item *item)
{
    if (attributes_count(w->line) == 0)
        return item->optional || command_line_wrong(w->line, "%s: KEY=VALUE is missing", w->line->form.name);
    w->params++;
    return attributes_write(w->line, w->out);
}

static bool plain_argument(struct walk *w, const struct command_item *item)
{
    if (w->next == w->line->count)
        return missing(w, item);
    w->params++;
    return value_write(w->line, item, w->line->positional[w->next++], w->out);
}

bool command_line_write(struct command_line *line, command_messages_cb *messages_cb, void *arg, struct buffer *out,
                        uint32_t *params)
{
    struct walk w = {line, line->form.args, 0, messages_cb, arg, out, 0};
    struct command_item item = {.option = false};

    while (command_item_next(&w.list, &item) && !item.option) {
        const bool good = command_item_has_type(&item, "map")    ? map_argument(&w, &item)
                          : command_item_has_type(&item, "list") ? list_argument(&w, &item)
                                                                 : plain_argument(&w, &item);
        if (!good)
            return false;
    }
    if (w.next < line->count)
        return command_line_wrong(line, "%s: one word too many: %.*s", line->form.name, SHOWN,
                                  line->positional[w.next]->text);
    if (!options_write(line, out, &w.params))
        return false;
    *params = w.params;
    return true;
}
