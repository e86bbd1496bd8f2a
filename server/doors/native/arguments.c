#include "server/doors/native/arguments.h"

#include "protocol/limits.h"
#include "server/broker/broker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    const char *text;
} types[ARGUMENT_TYPE_COUNT] = {
#define X(id, word, text) [ARGUMENT_##id] = {word, text},
    ARGUMENT_TYPE_LIST(X)
#undef X
};

/* ---- signatures -------------------------------------------------------------------------------------------------- */

static enum argument_type type_find(const char *word, size_t bytes)
{
    unsigned type = 0;

    while (type < ARGUMENT_TYPE_COUNT &&
           (strlen(types[type].word) != bytes || memcmp(types[type].word, word, bytes) != 0))
        type++;
    assert(type < ARGUMENT_TYPE_COUNT);
    return (enum argument_type)type;
}

void signature_parse(struct signature *signature, const char *args)
{
    bool options = false;

    memset(signature, 0, sizeof *signature);
    while (*args != '\0') {
        if (*args == ' ' || *args == '}') {
            args++;
            continue;
        }
        if (*args == '{') {
            options = true;
            args++;
        }
        const size_t name_bytes = strcspn(args, ":");
        const size_t type_bytes = strcspn(args + name_bytes + 1, "? }");
        struct parameter *p = &signature->parameters[signature->parameter_count];

        assert(args[name_bytes] == ':' && signature->parameter_count < ARGUMENTS_MAX);
        p->name = args;
        p->name_bytes = (uint32_t)name_bytes;
        p->type = type_find(args + name_bytes + 1, type_bytes);
        args += name_bytes + 1 + type_bytes;
        p->optional = options || *args == '?';
        args += *args == '?';
        signature->parameter_count++;
        signature->positional_count += !options;
    }
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

bool node_text(const struct decoder *d, uint32_t node, struct view *out)
{
    const struct node *n = &d->nodes[node];

    if ((n->type != NODE_STR && n->type != NODE_BIN) || (n->flags & NODE_SKIPPED))
        return false;
    *out = (struct view){decoder_bytes(d, n), n->count};
    return true;
}

bool node_number(const struct decoder *d, uint32_t node, uint64_t max, uint64_t *out)
{
    const struct node *n = &d->nodes[node];

    if (n->type != NODE_UINT || n->value.uint > max)
        return false;
    *out = n->value.uint;
    return true;
}

static bool value_read(const struct decoder *d, enum argument_type type, uint32_t node, struct argument *out)
{
    const struct node *n = &d->nodes[node];

    out->given = true;
    out->node = node;
    switch (type) {
    case ARGUMENT_NAME:
        return node_text(d, node, &out->text) && queue_name_valid(out->text.data, out->text.bytes);
    case ARGUMENT_TEXT:
        return node_text(d, node, &out->text);
    case ARGUMENT_ID:
        return node_number(d, node, LIMIT_ID - 1, &out->number);
    case ARGUMENT_COUNT:
        return node_number(d, node, UINT32_MAX, &out->number);
    case ARGUMENT_MS:
        return node_number(d, node, LIMIT_TIME_MS, &out->number);
    case ARGUMENT_BOOL:
        out->number = n->value.uint;
        return n->type == NODE_BOOL;
    case ARGUMENT_LIST:
        return n->type == NODE_ARRAY;
    case ARGUMENT_MAP:
        return n->type == NODE_MAP;
    case ARGUMENT_ANY:
        return true;
    case ARGUMENT_TYPE_COUNT:
        break;
    }
    assert(false); /* the switch knows the whole list */
    return false;
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

void text_show(char *out, size_t room, struct view text)
{
    const char *from = text.data;
    size_t used = 0;

    for (; used + 1 < room && used < text.bytes; used++)
        out[used] = from[used] >= 0x20 && from[used] < 0x7f ? from[used] : '?';
    out[used] = '\0';
}

static bool fail(struct argument_error *error, const char *name, size_t name_bytes, const char *before,
                 const char *after)
{
    text_show(error->key, sizeof error->key, (struct view){name, name_bytes});
    snprintf(error->text, sizeof error->text, "%s%s%s", before, error->key, after);
    return false;
}

static bool fail_type(struct argument_error *error, const struct parameter *p)
{
    fail(error, p->name, p->name_bytes, "", " must be ");
    strncat(error->text, types[p->type].text, sizeof error->text - strlen(error->text) - 1);
    return false;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static const struct parameter *option_named(const struct signature *signature, struct view name)
{
    const struct parameter *end = &signature->parameters[signature->parameter_count];

    for (const struct parameter *p = &signature->parameters[signature->positional_count]; p < end; p++) {
        if (p->name_bytes == name.bytes && memcmp(p->name, name.data, name.bytes) == 0)
            return p;
    }
    return NULL;
}

bool arguments_read_options(const struct signature *signature, const struct decoder *d, uint32_t map,
                            struct argument *out, struct argument_error *error)
{
    uint32_t node = map + 1;

    for (uint32_t i = signature->positional_count; i < signature->parameter_count; i++)
        out[i].given = false;
    for (uint32_t pair = 0; pair < d->nodes[map].count; pair++) {
        struct view name;

        if (!node_text(d, node, &name))
            return fail(error, "options", 7, "a key of ", " is not text");
        const struct parameter *p = option_named(signature, name);
        if (p == NULL)
            return fail(error, name.data, name.bytes, "unknown option ", "");
        struct argument *argument = &out[p - signature->parameters];
        if (argument->given)
            return fail(error, p->name, p->name_bytes, "option ", " is given twice");
        const uint32_t value = decoder_skip(d, node);
        if (!value_read(d, p->type, value, argument))
            return fail_type(error, p);
        node = decoder_skip(d, value);
    }
    return true;
}

bool arguments_read(const struct signature *signature, const struct decoder *d, uint32_t params, struct argument *out,
                    struct argument_error *error)
{
    const uint32_t count = d->nodes[params].count;
    const bool has_options = signature->parameter_count > signature->positional_count;
    uint32_t node = params + 1;
    uint32_t i = 0;

    for (; i < signature->positional_count && i < count; i++) {
        if (!value_read(d, signature->parameters[i].type, node, &out[i]))
            return fail_type(error, &signature->parameters[i]);
        node = decoder_skip(d, node);
    }
    if (i < signature->positional_count && !signature->parameters[i].optional)
        return fail(error, signature->parameters[i].name, signature->parameters[i].name_bytes, "", " is missing");
    if (count > signature->positional_count + has_options)
        return fail(error, "params", 6, "", " has too many elements");
    for (; i < signature->parameter_count; i++)
        out[i].given = false;
    if (count <= signature->positional_count)
        return true;
    if (d->nodes[node].type != NODE_MAP)
        return fail(error, "options", 7, "", " must be a map");
    return arguments_read_options(signature, d, node, out, error);
}
