#include "server/ops/options.h"

#include "server/ops/units.h"

#include <assert.h>
#include <string.h>

static const struct option rows[OPTION_COUNT] = {
#define X(field, type, default_text, min, max, when, help, detail) \
    [OPTION_##field] = {#field,                                    \
                        OPTION_TYPE_##type,                        \
                        OPTION_##when,                             \
                        default_text,                              \
                        min,                                       \
                        max,                                       \
                        help,                                      \
                        detail,                                    \
                        offsetof(struct options, field)},
    OPTION_LIST(X)
#undef X
};

_Static_assert(OPTION_PRINT_BYTES >= OPTION_TEXT_BYTES, "a TEXT must fit");
_Static_assert(OPTION_PRINT_BYTES >= UNITS_PRINT_BYTES, "a number must fit");

/* The words of a choice, in the order of its enum, and what they look like together, for errors. Levels are log.h's. */
static const struct choice {
    const char *words[DURABILITY_COUNT + 1]; /* NULL behind the last one */
    const char *text;
} choices[] = {
    [OPTION_TYPE_DURABILITY] = {{"auto", "none", "os", "interval", "fsync"}, "auto, none, os, interval or fsync"},
    [OPTION_TYPE_FAILURE] = {{"stay", "exit"}, "stay or exit"},
};

/* One way to store them all. */
_Static_assert(sizeof(enum log_level) == sizeof(unsigned) && sizeof(enum durability) == sizeof(unsigned) &&
                   sizeof(enum log_failure) == sizeof(unsigned),
               "a choice is an unsigned number");

const struct option *option_row(enum option_id id)
{
    assert(id < OPTION_COUNT);
    return &rows[id];
}

enum option_id option_find(const char *key, size_t bytes)
{
    unsigned id = 0;

    while (id < OPTION_COUNT && (strlen(rows[id].key) != bytes || memcmp(rows[id].key, key, bytes) != 0))
        id++;
    return (enum option_id)id;
}

static void *field_at(struct options *o, const struct option *row)
{
    return (char *)o + row->offset;
}

static const void *field_view(const struct options *o, const struct option *row)
{
    return (const char *)o + row->offset;
}

static bool is_choice(const struct option *row)
{
    return row->type == OPTION_TYPE_LEVEL || row->type == OPTION_TYPE_DURABILITY || row->type == OPTION_TYPE_FAILURE;
}

static enum units_kind units_kind(const struct option *row)
{
    switch (row->type) {
    case OPTION_TYPE_BYTES:
        return UNITS_BYTES;
    case OPTION_TYPE_MS:
        return UNITS_MS;
    case OPTION_TYPE_MODE:
        return UNITS_OCTAL;
    case OPTION_TYPE_BOOL:
        return UNITS_BOOL;
    case OPTION_TYPE_COUNT:
    case OPTION_TYPE_LEVEL:
    case OPTION_TYPE_DURABILITY:
    case OPTION_TYPE_FAILURE:
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_LIST:
        break;
    }
    return UNITS_COUNT;
}

/* What a value of that type looks like, for errors. */
static const char *type_text(enum option_type type)
{
    switch (type) {
    case OPTION_TYPE_BYTES:
        return "a size: a number with b, kb, mb or gb";
    case OPTION_TYPE_MS:
        return "a time: a number with ms, s, m, h or d";
    case OPTION_TYPE_COUNT:
        return "a whole number";
    case OPTION_TYPE_MODE:
        return "a mode in octal digits";
    case OPTION_TYPE_BOOL:
        return "yes or no";
    case OPTION_TYPE_LEVEL:
        return "debug, info, warn or error";
    case OPTION_TYPE_DURABILITY:
    case OPTION_TYPE_FAILURE:
        return choices[type].text;
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_LIST:
        break;
    }
    return "text without control characters";
}

static int fail_value(const struct option *row, const char *text, size_t bytes, struct option_error *error)
{
    return option_fail(error, OPTION_BAD_VALUE, "%s: '%s' is not %s", row->key, option_show(text, bytes).text,
                       type_text(row->type));
}

static int fail_range(const struct option *row, const char *text, size_t bytes, struct option_error *error)
{
    char range[OPTION_RANGE_BYTES];

    option_print_range(row, range);
    return option_fail(error, OPTION_OUT_OF_RANGE, "%s: '%s' is out of range, allowed is %s", row->key,
                       option_show(text, bytes).text, range);
}

/* ---- text to field ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool has_control(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    }
    return false;
}

static void store_number(struct options *o, const struct option *row, uint64_t value)
{
    void *field = field_at(o, row);

    if (row->type == OPTION_TYPE_BOOL)
        *(bool *)field = value != 0;
    else if (is_choice(row))
        *(unsigned *)field = (unsigned)value;
    else
        *(uint64_t *)field = value;
}

static enum units_result find_word(enum option_type type, const char *text, size_t bytes, uint64_t *value)
{
    const char *const *words = choices[type].words;

    if (type == OPTION_TYPE_LEVEL) {
        *value = log_level_from_name(text, bytes);
        return *value == LOG_LEVEL_COUNT ? UNITS_MALFORMED : UNITS_OK;
    }
    for (*value = 0; words[*value] != NULL; ++*value) {
        if (strlen(words[*value]) == bytes && memcmp(words[*value], text, bytes) == 0)
            return UNITS_OK;
    }
    return UNITS_MALFORMED;
}

static int set_number(struct options *o, const struct option *row, const char *text, size_t bytes,
                      struct option_error *error)
{
    uint64_t value = 0;
    enum units_result result;

    if (is_choice(row))
        result = find_word(row->type, text, bytes, &value);
    else
        result = units_parse(units_kind(row), text, bytes, &value);
    if (result == UNITS_MALFORMED)
        return fail_value(row, text, bytes, error);
    if (result == UNITS_OVERFLOW || value < row->min || value > row->max)
        return fail_range(row, text, bytes, error);
    store_number(o, row, value);
    return OPTION_OK;
}

static int set_text(struct options *o, const struct option *row, const char *text, size_t bytes,
                    struct option_error *error)
{
    struct option_text *field = field_at(o, row);

    assert(row->max < OPTION_TEXT_BYTES);
    if (has_control(text, bytes))
        return fail_value(row, text, bytes, error);
    if (bytes < row->min || bytes > row->max)
        return fail_range(row, text, bytes, error);
    /* All of the field, so that equal texts are equal bytes. */
    memset(field, 0, sizeof *field);
    memcpy(field->text, text, bytes);
    return OPTION_OK;
}

/* Adds words to a list that starts out as `from`. */
static int set_list(struct options *o, const struct option *row, const struct option_list *from, const char *text,
                    size_t bytes, struct option_error *error)
{
    struct option_list list = *from;
    size_t at = 0;

    assert(row->max <= OPTION_LIST_WORDS);
    for (;;) {
        while (at < bytes && is_blank(text[at]))
            at++;
        const size_t start = at;
        while (at < bytes && !is_blank(text[at]))
            at++;
        if (at == start)
            break;
        if (has_control(text + start, at - start))
            return fail_value(row, text, bytes, error);
        if (at - start >= OPTION_WORD_BYTES || list.count == row->max)
            return fail_range(row, text, bytes, error);
        memcpy(list.words[list.count++], text + start, at - start);
    }
    if (list.count < row->min)
        return fail_range(row, text, bytes, error);
    *(struct option_list *)field_at(o, row) = list;
    return OPTION_OK;
}

int option_set(struct options *o, enum option_id id, const char *text, size_t bytes, struct option_error *error)
{
    static const struct option_list none;
    const struct option *row = option_row(id);

    switch (row->type) {
    case OPTION_TYPE_TEXT:
        return set_text(o, row, text, bytes, error);
    case OPTION_TYPE_LIST:
        return set_list(o, row, &none, text, bytes, error);
    case OPTION_TYPE_BYTES:
    case OPTION_TYPE_MS:
    case OPTION_TYPE_COUNT:
    case OPTION_TYPE_MODE:
    case OPTION_TYPE_BOOL:
    case OPTION_TYPE_LEVEL:
    case OPTION_TYPE_DURABILITY:
    case OPTION_TYPE_FAILURE:
        break;
    }
    return set_number(o, row, text, bytes, error);
}

int option_add(struct options *o, enum option_id id, const char *text, size_t bytes, struct option_error *error)
{
    const struct option *row = option_row(id);

    assert(row->type == OPTION_TYPE_LIST);
    return set_list(o, row, field_view(o, row), text, bytes, error);
}

void options_init(struct options *o)
{
    struct option_error error;

    memset(o, 0, sizeof *o);
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const char *text = rows[id].default_text;
        const int result = option_set(o, (enum option_id)id, text, strlen(text), &error);
        assert(result == OPTION_OK);
        (void)result;
    }
}

/* ---- field to text, comparison ---- */

static void print_list(const struct option_list *list, char out[OPTION_PRINT_BYTES])
{
    size_t used = 0;

    for (uint32_t i = 0; i < list->count; i++)
        used += (size_t)snprintf(out + used, OPTION_PRINT_BYTES - used, "%s%s", i > 0 ? " " : "", list->words[i]);
    out[used] = '\0';
}

void option_print(const struct options *o, enum option_id id, char out[OPTION_PRINT_BYTES])
{
    const struct option *row = option_row(id);
    const void *field = field_view(o, row);

    switch (row->type) {
    case OPTION_TYPE_TEXT:
        snprintf(out, OPTION_PRINT_BYTES, "%s", ((const struct option_text *)field)->text);
        return;
    case OPTION_TYPE_LIST:
        print_list(field, out);
        return;
    case OPTION_TYPE_LEVEL:
        snprintf(out, OPTION_PRINT_BYTES, "%s", log_level_name(*(const enum log_level *)field));
        return;
    case OPTION_TYPE_DURABILITY:
    case OPTION_TYPE_FAILURE:
        snprintf(out, OPTION_PRINT_BYTES, "%s", choices[row->type].words[*(const unsigned *)field]);
        return;
    case OPTION_TYPE_BOOL:
        units_print(UNITS_BOOL, *(const bool *)field, out);
        return;
    case OPTION_TYPE_BYTES:
    case OPTION_TYPE_MS:
    case OPTION_TYPE_COUNT:
    case OPTION_TYPE_MODE:
        break;
    }
    units_print(units_kind(row), *(const uint64_t *)field, out);
}

static size_t field_bytes(const struct option *row)
{
    switch (row->type) {
    case OPTION_TYPE_TEXT:
        return sizeof(struct option_text);
    case OPTION_TYPE_LIST:
        return sizeof(struct option_list);
    case OPTION_TYPE_LEVEL:
        return sizeof(enum log_level);
    case OPTION_TYPE_DURABILITY:
    case OPTION_TYPE_FAILURE:
        return sizeof(unsigned);
    case OPTION_TYPE_BOOL:
        return sizeof(bool);
    case OPTION_TYPE_BYTES:
    case OPTION_TYPE_MS:
    case OPTION_TYPE_COUNT:
    case OPTION_TYPE_MODE:
        break;
    }
    return sizeof(uint64_t);
}

bool option_equal(const struct options *a, const struct options *b, enum option_id id)
{
    const struct option *row = option_row(id);

    return memcmp(field_view(a, row), field_view(b, row), field_bytes(row)) == 0;
}

void option_copy(struct options *to, const struct options *from, enum option_id id)
{
    const struct option *row = option_row(id);

    memcpy(field_at(to, row), field_view(from, row), field_bytes(row));
}

void option_print_range(const struct option *row, char out[OPTION_RANGE_BYTES])
{
    char min[UNITS_PRINT_BYTES], max[UNITS_PRINT_BYTES];

    units_print(units_kind(row), row->min, min);
    units_print(units_kind(row), row->max, max);
    if (row->type == OPTION_TYPE_BOOL || is_choice(row))
        out[0] = '\0';
    else if (row->type == OPTION_TYPE_TEXT)
        snprintf(out, OPTION_RANGE_BYTES, "%s to %s bytes", min, max);
    else if (row->type == OPTION_TYPE_LIST)
        snprintf(out, OPTION_RANGE_BYTES, "%s to %s words of at most %d bytes", min, max, OPTION_WORD_BYTES - 1);
    else
        snprintf(out, OPTION_RANGE_BYTES, "%s to %s", min, max);
}

const char *durability_name(enum durability durability)
{
    return choices[OPTION_TYPE_DURABILITY].words[durability];
}
