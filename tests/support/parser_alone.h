/*
 * parser_alone: the decoder without its cursor, to hold the one against the other. It uses the decoder's insides, so it
 * is compiled here, with the limits that stand before the #include.
 */
#ifndef TESTS_SUPPORT_PARSER_ALONE_H
#define TESTS_SUPPORT_PARSER_ALONE_H

#include "protocol/decoder.c"

/* As decoder_feed(), with values begun by the parser instead of the cursor. */
static inline enum decoder_result parser_alone_feed(struct decoder *d, const void *input, size_t bytes, size_t *used)
{
    const struct cursor at_the_start = {0};

    if (!decoder_idle(d) || d->refusal || bytes == 0)
        return decoder_feed(d, input, bytes, used);
    d->base = input;
    return feed_parser(d->impl, &at_the_start, input, bytes, used);
}

/* True if the container at `index` is open: its end is not known yet. */
static inline bool parser_alone_open(const struct decoder *d, uint32_t index)
{
    const struct parser_context *p = &d->impl->parser;

    for (uint32_t i = 0; !d->impl->ready && i < p->top; i++)
        if (p->stack[i].obj == index)
            return true;
    return false;
}

/* True if both stand at the same place between two items or within one. */
static inline bool parser_alone_same_place(const struct decoder *d, const struct decoder *e)
{
    const struct parser_context *p = &d->impl->parser;
    const struct parser_context *q = &e->impl->parser;

    if (p->cs != q->cs || p->top != q->top || p->user.least_bytes != q->user.least_bytes)
        return false;
    if (p->cs != MSGPACK_CS_HEADER && p->trail != q->trail)
        return false;
    for (uint32_t i = 0; i < p->top; i++)
        if (p->stack[i].obj != q->stack[i].obj || p->stack[i].count != q->stack[i].count ||
            p->stack[i].ct != q->stack[i].ct)
            return false;
    return true;
}

/* True if two decoders that were fed the same bytes hold the same, and would go on with the value in the same way. */
static inline bool parser_alone_same(const struct decoder *d, const struct decoder *e)
{
    if (d->node_count != e->node_count || d->too_many_nodes != e->too_many_nodes || d->refusal != e->refusal ||
        d->value_bytes != e->value_bytes || d->impl->ready != e->impl->ready)
        return false;
    for (uint32_t i = 0; i < d->node_count; i++) {
        const struct node *m = &d->nodes[i];
        const struct node *n = &e->nodes[i];
        const bool text = m->type == NODE_STR || m->type == NODE_BIN || m->type == NODE_EXT;
        if (m->type != n->type || m->flags != n->flags || m->count != n->count)
            return false;
        /* An empty text has no place. The sign and the bits of a double are in its uint. */
        if (m->value.uint != n->value.uint && !(text && m->count == 0) && !parser_alone_open(d, i))
            return false;
    }
    return d->impl->ready || d->refusal || decoder_idle(d) || parser_alone_same_place(d, e);
}

#endif
