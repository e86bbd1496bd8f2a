#include "server/doors/native/arguments.h"

#include "server/broker/broker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What is kept out of the short way through arguments_read(), and what is not. */
#define RARE  __attribute__((cold, noinline))
#define SHORT static inline __attribute__((always_inline))

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

/* Eight bytes, or the four to eight that there are, or fewer one by one: names are too short for a call. */
SHORT bool same_text(struct view a, struct view b)
{
    const char *x = a.data, *y = b.data;
    size_t left = a.bytes;

    if (left != b.bytes)
        return false;
    for (; left >= 8; left -= 8, x += 8, y += 8) {
        if (memcmp(x, y, 8) != 0)
            return false;
    }
    if (left >= 4)
        return memcmp(x, y, 4) == 0 && memcmp(x + left - 4, y + left - 4, 4) == 0;
    for (; left > 0; left--) {
        if (*x++ != *y++)
            return false;
    }
    return true;
}

static RARE bool name_check(struct argument *out)
{
    out->known = false;
    return queue_name_valid(out->text.data, out->text.bytes);
}

SHORT bool name_read(struct view known, struct argument *out)
{
    if (known.bytes == 0 || !same_text(known, out->text))
        return name_check(out);
    out->known = true;
    return true;
}

/* Returns the node behind the value, or 0 if it is not what it must be. */
SHORT uint32_t value_read(const struct decoder *d, const struct parameter *p, uint32_t node, struct view known,
                          struct argument *out)
{
    const struct node *n = &d->nodes[node];

    if (!(p->nodes >> n->type & 1) || n->value.uint > p->max)
        return 0;
    out->given = true;
    out->node = node;
    out->number = n->value.uint;
    if (p->type != ARGUMENT_NAME && p->type != ARGUMENT_TEXT)
        return decoder_skip(d, node);
    if (n->flags & NODE_SKIPPED)
        return 0;
    out->text = (struct view){decoder_bytes(d, n), n->count};
    return p->type == ARGUMENT_TEXT || name_read(known, out) ? node + 1 : 0;
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
static __attribute__((noinline)) bool options_read(const struct signature *signature, const struct decoder *d,
                                                   uint32_t map, struct view known, struct argument *out,
                                                   struct argument_error *error)
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
        node = value_read(d, p, decoder_skip(d, node), known, argument);
        if (node == 0)
            return fail_type(error, p);
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
    struct argument *argument = out, *const last = out + (count < positional_count ? count : positional_count);
    uint32_t node = params + 1;

#pragma GCC unroll 8 /* ARGUMENTS_MAX: no loop at all */
    for (unsigned i = 0; i < ARGUMENTS_MAX; i++)
        out[i].given = false;
    for (; argument < last; argument++, p++) {
        node = value_read(d, p, node, known, argument);
        if (node == 0)
            return fail_type(error, p);
    }
    if (count < signature->required_count)
        return fail(error, p->name, p->name_bytes, "", " is missing");
    if (count <= positional_count)
        return true;
    if (count > positional_count + (signature->parameter_count > positional_count))
        return fail(error, "params", 6, "", " has too many elements");
    return options_read(signature, d, node, known, out, error);
}
