#include "server/doors/native/attributes.h"

#include <stdio.h>
#include <string.h>

/* ---- from the wire ----------------------------------------------------------------------------------------------- */

static bool read_name(const struct decoder *d, uint32_t node, struct queue_name *out)
{
    struct view name = {NULL, 0};

    if (d->nodes[node].type != NODE_NIL && (!node_text(d, node, &name) || !queue_name_valid(name.data, name.bytes)))
        return false;
    *out = (struct queue_name){.bytes = (uint8_t)name.bytes};
    if (name.bytes > 0)
        memcpy(out->text, name.data, name.bytes);
    return true;
}

static bool read_real(const struct decoder *d, uint32_t node, double *out)
{
    const struct node *n = &d->nodes[node];

    if (n->type == NODE_FLOAT)
        *out = n->value.real;
    else if (n->type == NODE_UINT)
        *out = (double)n->value.uint;
    return n->type == NODE_FLOAT || n->type == NODE_UINT;
}

static bool read_backoff(const struct request *r, uint32_t node, struct backoff *out)
{
    enum { BASE, FACTOR, CAP, JITTER };
    const struct decoder *d = r->decoder;
    struct argument parts[ARGUMENTS_MAX];
    struct argument_error error;

    *out = (struct backoff){.base_ms = 0};
    if (d->nodes[node].type == NODE_NIL)
        return true;
    if (d->nodes[node].type != NODE_MAP || !arguments_read_options(&r->scratch->backoff, d, node, parts, &error))
        return false;
    /* To the broker a base of 0 means none. */
    if (!parts[BASE].given || parts[BASE].number == 0)
        return false;
    *out = (struct backoff){.base_ms = (int64_t)parts[BASE].number, .factor = BACKOFF_FACTOR};
    if (parts[CAP].given)
        out->cap_ms = (int64_t)parts[CAP].number;
    return (!parts[FACTOR].given || read_real(d, parts[FACTOR].node, &out->factor)) &&
           (!parts[JITTER].given || read_real(d, parts[JITTER].node, &out->jitter));
}

static bool read_value(const struct request *r, enum attribute a, uint32_t node, struct attributes *out)
{
    const struct decoder *d = r->decoder;
    struct view word;
    uint64_t number;

    switch (attribute_row(a)->kind) {
    case ATTRIBUTE_NAME:
        return read_name(d, node, &out->dead_letter);
    case ATTRIBUTE_BACKOFF:
        return read_backoff(r, node, &out->backoff);
    case ATTRIBUTE_CHOICE:
        *attribute_value(out, a) = node_text(d, node, &word) ? attribute_choice(a, word.data, word.bytes) : -1;
        return *attribute_value(out, a) >= 0;
    case ATTRIBUTE_BOOL:
        *attribute_value(out, a) = d->nodes[node].type == NODE_BOOL && d->nodes[node].value.uint != 0;
        return d->nodes[node].type == NODE_BOOL;
    case ATTRIBUTE_MS:
    case ATTRIBUTE_COUNT:
    case ATTRIBUTE_BYTES:
        break;
    }
    if (!node_number(d, node, INT64_MAX, &number))
        return false;
    *attribute_value(out, a) = (int64_t)number;
    return true;
}

static void refuse(struct request *r, struct view name, const char *what)
{
    char key[64], text[160];

    text_show(key, sizeof key, name);
    snprintf(text, sizeof text, "%s%s", what, key);
    answer_bad_request(r, key, text);
}

bool attributes_read(struct request *r, uint32_t map, struct attribute_set *set)
{
    const struct decoder *d = r->decoder;
    uint32_t node = map + 1;

    for (uint32_t pair = 0; pair < d->nodes[map].count; pair++) {
        struct view name;
        if (!node_text(d, node, &name)) {
            answer_bad_request(r, "attributes", "the name of an attribute must be text");
            return false;
        }
        const enum attribute a = attribute_find(name.data, name.bytes);
        const uint32_t value = decoder_skip(d, node);
        if (a == ATTRIBUTE_TOTAL)
            refuse(r, name, "unknown attribute ");
        else if (set->named >> a & 1)
            refuse(r, name, "given twice: ");
        else if (!read_value(r, a, value, &set->values))
            refuse(r, name, "not a value of the attribute ");
        if (r->answered)
            return false;
        set->named |= 1u << a;
        node = decoder_skip(d, value);
    }
    return true;
}

/* ---- to the wire ------------------------------------------------------------------------------------------------- */

static void encode_backoff(struct buffer *out, const struct backoff *backoff)
{
    if (backoff->base_ms == 0) {
        encode_nil(out);
        return;
    }
    encode_map(out, 4);
    encode_text(out, "base");
    encode_int(out, backoff->base_ms);
    encode_text(out, "factor");
    encode_double(out, backoff->factor);
    encode_text(out, "cap");
    encode_int(out, backoff->cap_ms);
    encode_text(out, "jitter");
    encode_double(out, backoff->jitter);
}

static void encode_scalar(struct buffer *out, enum attribute a, int64_t value)
{
    if (attribute_row(a)->kind == ATTRIBUTE_CHOICE) {
        const struct view word = attribute_word(a, value);
        encode_str(out, word.data, word.bytes);
    } else if (attribute_row(a)->kind == ATTRIBUTE_BOOL) {
        encode_bool(out, value != 0);
    } else {
        encode_int(out, value);
    }
}

void encode_attribute(struct buffer *out, enum attribute a, const struct attributes *attributes)
{
    const struct queue_name *name = &attributes->dead_letter;

    if (attribute_is_scalar(attribute_row(a)->kind))
        encode_scalar(out, a, attribute_get(attributes, a));
    else if (attribute_row(a)->kind == ATTRIBUTE_BACKOFF)
        encode_backoff(out, &attributes->backoff);
    else if (name->bytes > 0)
        encode_str(out, name->text, name->bytes);
    else
        encode_nil(out);
}
