#include "client/cli/output.h"

#include "protocol/numbers.h"

#include <stdlib.h>
#include <string.h>

static const char *const publish_names[] = {"first_id", "count", "exceptions", NULL};
static const char *const delivery_names[] = {"receipt", "id", "attempts", "body", NULL};
static const char *const duplicate_names[] = {"index", "duplicate_of", NULL};
static const char *const refusal_names[] = {"index", "error", NULL};

enum output_shape output_shape_of(const char *method)
{
    static const struct {
        const char *method;
        enum output_shape shape;
    } shapes[] = {
        {"publish", SHAPE_PUBLISH},        {"receive", SHAPE_DELIVERIES},     {"commit", SHAPE_COMMIT},
        {"queue.info", SHAPE_DESCRIPTION}, {"topic.info", SHAPE_DESCRIPTION}, {"log.info", SHAPE_LOG},
    };

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (strcmp(method, shapes[i].method) == 0)
            return shapes[i].shape;
    }
    return SHAPE_PLAIN;
}

static bool key_is(struct ringmq_bytes key, const char *text)
{
    return key.data != NULL && key.bytes == strlen(text) && memcmp(key.data, text, key.bytes) == 0;
}

enum output_shape shape_of_child(enum output_shape shape, struct ringmq_bytes key, struct ringmq_value child)
{
    bool map = ringmq_value_type(child) == RINGMQ_MAP;

    switch (shape) {
    case SHAPE_PUBLISH:
        return key_is(key, "exceptions") ? SHAPE_EXCEPTIONS : SHAPE_PLAIN;
    case SHAPE_EXCEPTIONS:
        return ringmq_value_type(ringmq_value_item(child, 1)) == RINGMQ_ARRAY ? SHAPE_REFUSAL : SHAPE_DUPLICATE;
    case SHAPE_DELIVERIES:
        return SHAPE_DELIVERY;
    case SHAPE_PUBLISHES:
        return SHAPE_PUBLISH;
    case SHAPE_COMMIT:
        return key_is(key, "publish") ? SHAPE_PUBLISHES : SHAPE_PLAIN;
    case SHAPE_DESCRIPTION:
        if (map && key_is(key, "backoff"))
            return SHAPE_WORD_BACKOFF;
        return map && key_is(key, "filter") ? SHAPE_WORD_JSON : SHAPE_DESCRIPTION;
    case SHAPE_WORD_JSON:
        return SHAPE_WORD_JSON;
    case SHAPE_LOG:
        return key_is(key, "segments") ? SHAPE_TABLE : SHAPE_ROW;
    default:
        return SHAPE_PLAIN;
    }
}

bool members_begin(struct members *members, struct ringmq_value container, enum output_shape shape)
{
    *members = (struct members){.outer = ringmq_iterate(container)};
    if (ringmq_value_type(container) == RINGMQ_MAP)
        return true;
    members->names = shape == SHAPE_PUBLISH     ? publish_names
                     : shape == SHAPE_DELIVERY  ? delivery_names
                     : shape == SHAPE_DUPLICATE ? duplicate_names
                     : shape == SHAPE_REFUSAL   ? refusal_names
                                                : NULL;
    return members->names != NULL;
}

/* The map behind a delivery's fixed places is part of it: headers and group stand beside the rest. */
bool members_next(struct members *members, struct ringmq_bytes *key, struct ringmq_value *value)
{
    struct ringmq_value name;

    if (members->in_inner) {
        if (!ringmq_next(&members->inner, &name, value))
            return false;
        *key = ringmq_value_bytes(name);
        return true;
    }
    if (!ringmq_next(&members->outer, &name, value))
        return false;
    *key = ringmq_value_bytes(name);
    if (members->names == NULL)
        return true;
    if (*members->names == NULL) {
        members->inner = ringmq_iterate(*value);
        members->in_inner = true;
        return members_next(members, key, value);
    }
    const char *text = *members->names++;
    *key = (struct ringmq_bytes){text, strlen(text)};
    return true;
}

void double_print(FILE *out, double value)
{
    char text[NUMBER_PRINT_BYTES];

    real_print(value, text);
    fputs(text, out);
}

void backoff_text(struct ringmq_value backoff, char out[BACKOFF_PRINT_BYTES])
{
    backoff_print(ringmq_value_uint(ringmq_value_get(backoff, "base"), 0),
                  ringmq_value_double(ringmq_value_get(backoff, "factor"), BACKOFF_FACTOR),
                  ringmq_value_uint(ringmq_value_get(backoff, "cap"), 0),
                  ringmq_value_double(ringmq_value_get(backoff, "jitter"), 0), out);
}

/* Prints what is shown as one word. False: it is not. */
static bool word_print(FILE *out, enum output_shape shape, struct ringmq_value value)
{
    char text[BACKOFF_PRINT_BYTES];

    if (shape == SHAPE_WORD_JSON) {
        json_print(out, shape, value);
    } else if (shape == SHAPE_WORD_BACKOFF) {
        backoff_text(value, text);
        fputs(text, out);
    } else {
        return false;
    }
    return true;
}

void output_value(FILE *out, enum output_form form, enum output_shape shape, struct ringmq_value value)
{
    if (form == OUTPUT_RAW) {
        raw_print(out, shape, value);
        return;
    }
    if (form == OUTPUT_HUMAN)
        human_print(out, shape, value);
    else
        json_print(out, shape, value);
    fputc('\n', out);
}

void output_error(FILE *out, enum output_form form, const char *code, const char *text, struct ringmq_value details)
{
    bool has_details = ringmq_value_count(details) > 0;

    if (form == OUTPUT_JSON) {
        fputs("{\"error\":{\"code\":", out);
        json_bytes(out, (struct ringmq_bytes){code, strlen(code)});
        fputs(",\"text\":", out);
        json_bytes(out, (struct ringmq_bytes){text, strlen(text)});
        if (has_details) {
            fputs(",\"details\":", out);
            json_print(out, SHAPE_PLAIN, details);
        }
        fputs("}}", out);
    } else {
        fprintf(out, "(error) %s: %s", code, text);
        if (has_details) {
            fputc(' ', out);
            json_print(out, SHAPE_PLAIN, details);
        }
    }
}

/* ---- raw --------------------------------------------------------------------------------------------------------- */

#define RAW_PREFIX_BYTES 256

void raw_scalar(FILE *out, struct ringmq_value value)
{
    struct ringmq_bytes bytes = ringmq_value_bytes(value);

    switch (ringmq_value_type(value)) {
    case RINGMQ_BOOL:
        fputs(ringmq_value_bool(value, false) ? "true" : "false", out);
        break;
    case RINGMQ_UINT:
        fprintf(out, "%llu", (unsigned long long)ringmq_value_uint(value, 0));
        break;
    case RINGMQ_INT:
        fprintf(out, "%lld", (long long)ringmq_value_int(value, 0));
        break;
    case RINGMQ_DOUBLE:
        double_print(out, ringmq_value_double(value, 0));
        break;
    case RINGMQ_STR:
    case RINGMQ_BIN:
        fwrite(bytes.data, 1, bytes.bytes, out);
        break;
    default:
        break;
    }
}

static void raw_walk(FILE *out, const char *prefix, enum output_shape shape, struct ringmq_value value)
{
    struct ringmq_iterator items = ringmq_iterate(value);
    struct ringmq_value key, item;
    enum ringmq_type type = ringmq_value_type(value);
    bool word = shape == SHAPE_WORD_JSON || shape == SHAPE_WORD_BACKOFF;

    if ((type != RINGMQ_ARRAY && type != RINGMQ_MAP) || word) {
        if (prefix[0] != '\0')
            fprintf(out, "%s\t", prefix);
        if (!word_print(out, shape, value))
            raw_scalar(out, value);
        fputc('\n', out);
        return;
    }
    while (ringmq_next(&items, &key, &item)) {
        char longer[RAW_PREFIX_BYTES] = "";
        struct ringmq_bytes name = ringmq_value_bytes(key);
        if (name.data != NULL)
            snprintf(longer, sizeof(longer), "%s%s%.*s", prefix, prefix[0] != '\0' ? "." : "", (int)name.bytes,
                     name.data);
        bool row = type == RINGMQ_ARRAY && ringmq_value_type(item) == RINGMQ_MAP;
        raw_walk(out, name.data != NULL ? longer : row ? "" : prefix, shape_of_child(shape, name, item), item);
    }
}

void raw_print(FILE *out, enum output_shape shape, struct ringmq_value value)
{
    raw_walk(out, "", shape, value);
}

/* ---- human ------------------------------------------------------------------------------------------------------- */

static void human_bytes(FILE *out, struct ringmq_bytes bytes)
{
    fputc('"', out);
    for (size_t i = 0; i < bytes.bytes; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c == '\r')
            fputs("\\r", out);
        else if (c == '\t')
            fputs("\\t", out);
        else if (c < 0x20 || c > 0x7e)
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void human_scalar(FILE *out, struct ringmq_value value)
{
    enum ringmq_type type = ringmq_value_type(value);

    if (type == RINGMQ_STR || type == RINGMQ_BIN) {
        human_bytes(out, ringmq_value_bytes(value));
        return;
    }
    if (type == RINGMQ_NONE || type == RINGMQ_NIL) {
        fputs("(nil)", out);
        return;
    }
    fputs(type == RINGMQ_BOOL ? "(bool) " : type == RINGMQ_DOUBLE ? "(double) " : "(integer) ", out);
    raw_scalar(out, value);
}

/* The widest key (names) or number (places) of a container. */
static int human_width(struct ringmq_value value, enum output_shape shape, bool named)
{
    struct members members;
    struct ringmq_bytes key;
    struct ringmq_value item;
    int width = 0;

    if (!named)
        return snprintf(NULL, 0, "%u", ringmq_value_count(value));
    members_begin(&members, value, shape);
    while (members_next(&members, &key, &item))
        width = (int)key.bytes > width ? (int)key.bytes : width;
    return width;
}

/* Continues at the present column, which is `indent`. */
static void human_walk(FILE *out, enum output_shape shape, struct ringmq_value value, int indent);

/* One member of a map: its key, and behind or below it its value. */
static void human_member(FILE *out, enum output_shape shape, struct ringmq_bytes key, struct ringmq_value item,
                         int indent, int width)
{
    enum ringmq_type type = ringmq_value_type(item);
    bool word = shape == SHAPE_WORD_JSON || shape == SHAPE_WORD_BACKOFF || shape == SHAPE_ROW;

    if ((type == RINGMQ_MAP || type == RINGMQ_ARRAY) && ringmq_value_count(item) > 0 && !word) {
        fprintf(out, "%.*s:\n%*s", (int)key.bytes, key.data, indent + 2, "");
        human_walk(out, shape, item, indent + 2);
    } else {
        fprintf(out, "%.*s:%*s", (int)key.bytes, key.data, width - (int)key.bytes + 1, "");
        human_walk(out, shape, item, 0);
    }
}

static void human_walk(FILE *out, enum output_shape shape, struct ringmq_value value, int indent)
{
    enum ringmq_type type = ringmq_value_type(value);
    struct members members;
    struct ringmq_bytes key;
    struct ringmq_value item;
    unsigned number = 0;

    if (word_print(out, shape, value))
        return;
    if (type != RINGMQ_ARRAY && type != RINGMQ_MAP) {
        human_scalar(out, value);
        return;
    }
    if (ringmq_value_count(value) == 0) {
        fputs(type == RINGMQ_MAP ? "(empty map)" : "(empty list)", out);
        return;
    }
    if (shape == SHAPE_TABLE) {
        table_print(out, value, indent);
        return;
    }
    if (shape == SHAPE_ROW) {
        json_print(out, SHAPE_PLAIN, value);
        return;
    }
    bool named = members_begin(&members, value, shape);
    int width = human_width(value, shape, named);
    while (members_next(&members, &key, &item)) {
        enum output_shape child = shape_of_child(shape, key, item);
        if (number++ > 0)
            fprintf(out, "\n%*s", indent, "");
        if (named) {
            human_member(out, child, key, item, indent, width);
        } else {
            fprintf(out, "%*u) ", width, number);
            human_walk(out, child, item, indent + width + 2);
        }
    }
}

void human_print(FILE *out, enum output_shape shape, struct ringmq_value value)
{
    human_walk(out, shape, value, 0);
}
