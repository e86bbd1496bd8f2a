#include "server/doors/native/arguments.h"

#include "server/broker/broker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RARE __attribute__((cold, noinline)) /* kept out of the short way through arguments_read() */

static const struct {
    const char *word;
    const char *text;
    uint32_t nodes;
    uint64_t max;
} types[ARGUMENT_TYPE_COUNT] = {
#define X(id, word, nodes, max, text) [ARGUMENT_##id] = {word, text, nodes, max},
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
        p->nodes = types[p->type].nodes;
        p->max = types[p->type].max;
        p->optional = options || *args == '?';
        args += *args == '?';
        signature->parameter_count++;
        signature->positional_count += !options;
        signature->required_count += !p->optional;
    }
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static inline bool name_read(struct view known, struct argument *out)
{
    out->known = known.bytes > 0 && known.bytes == out->text.bytes &&
                 memcmp(known.data, out->text.data, known.bytes) == 0;
    return out->known || queue_name_valid(out->text.data, out->text.bytes);
}

static inline bool value_read(const struct decoder *d, const struct parameter *p, uint32_t node, struct view known,
                              struct argument *out)
{
    const struct node *n = &d->nodes[node];

    if (!(p->nodes >> n->type & 1) || n->value.uint > p->max)
        return false;
    out->given = true;
    out->node = node;
    out->number = n->value.uint;
    if (p->type != ARGUMENT_NAME && p->type != ARGUMENT_TEXT)
        return true;
    return node_text(d, node, &out->text) && (p->type == ARGUMENT_TEXT || name_read(known, out));
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

static RARE bool fail(struct argument_error *error, const char *name, size_t name_bytes, const char *before,
                      const char *after)
{
    text_show(error->key, sizeof error->key, (struct view){name, name_bytes});
    snprintf(error->text, sizeof error->text, "%s%s%s", before, error->key, after);
    return false;
}

static RARE bool fail_type(struct argument_error *error, const struct parameter *p)
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

/* None of them is given yet. */
static bool options_read(const struct signature *signature, const struct decoder *d, uint32_t map, struct view known,
                         struct argument *out, struct argument_error *error)
{
    uint32_t node = map + 1;

    if (d->nodes[map].type != NODE_MAP)
        return fail(error, "options", 7, "", " must be a map");
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
        if (!value_read(d, p, value, known, argument))
            return fail_type(error, p);
        node = decoder_skip(d, value);
    }
    return true;
}

bool arguments_read_options(const struct signature *signature, const struct decoder *d, uint32_t map,
                            struct argument *out, struct argument_error *error)
{
    for (uint32_t i = signature->positional_count; i < signature->parameter_count; i++)
        out[i].given = false;
    return options_read(signature, d, map, (struct view){NULL, 0}, out, error);
}

bool arguments_read(const struct signature *signature, const struct decoder *d, uint32_t params, struct view known,
                    struct argument *out, struct argument_error *error)
{
    const uint32_t count = d->nodes[params].count, positional_count = signature->positional_count;
    const struct parameter *p = signature->parameters;
    struct argument *const first = out, *const end = out + signature->parameter_count;
    uint32_t node = params + 1;

    for (uint32_t left = count < positional_count ? count : positional_count; left > 0; left--) {
        if (!value_read(d, p, node, known, out))
            return fail_type(error, p);
        node = decoder_skip(d, node);
        p++;
        out++;
    }
    if (count < signature->required_count)
        return fail(error, p->name, p->name_bytes, "", " is missing");
    if (count > positional_count + (signature->parameter_count > positional_count))
        return fail(error, "params", 6, "", " has too many elements");
    for (; out < end; out++)
        out->given = false;
    return count <= positional_count || options_read(signature, d, node, known, first, error);
}
