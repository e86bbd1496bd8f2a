/*
 * streaming: where the bytes of a large body go while they arrive. The decoder asks as soon as it has read the header;
 * what precedes it says what it will be.
 *
 * Whatever is large and stands where messages do is taken for a body and gets the memory that it will keep in its
 * queue; if it turns out to be something else, that is given back when the request has been answered. A body is skipped
 * for the reasons for which its publish would be refused: no such queue, too large, no memory.
 *
 * Invariant: streaming_bytes is the sum of the bodies that have been begun and not yet been taken by a request or given
 * back. So what has been announced and never sent can't keep everybody else out.
 */
#include "server/doors/native/session.h"

/* Bodies that are arriving may take this part of max_memory together. */
#define STREAMING_SHARE 8

static uint64_t queue_limit(const struct broker *b, const struct queue *q)
{
    const uint64_t own = (uint64_t)q->attributes.max_message_bytes;

    return own != 0 ? own : b->limits.max_message_bytes;
}

/* Which queues a message will go to is not known yet: the largest body that any of them would take. */
static uint64_t topic_limit(const struct broker *b, const struct topic *topic)
{
    uint64_t limit = b->limits.max_message_bytes;

    for (uint32_t i = 0; i < topic->subscription_count; i++) {
        const uint64_t one = queue_limit(b, topic->subscriptions[i]->queue);
        limit = one > limit ? one : limit;
    }
    return limit;
}

/*
 * The largest body that may come next: *bytes, or why none may. `params` is the node of the parameters, of which those
 * have come that have nodes.
 */
static enum error_code find_limit(struct session *session, const struct decoder *d, enum command_id command,
                                  uint32_t params, uint64_t *bytes)
{
    const struct broker *b = session->door->broker;
    const uint32_t list = params + (command == COMMAND_topic_publish ? 3 : 2);
    struct view name;

    if (command == COMMAND_commit) {
        *bytes = b->limits.max_body_bytes;
        return ERR_NONE;
    }
    /* The list has begun, and what precedes it are scalars, a node each. */
    if ((command != COMMAND_publish && command != COMMAND_topic_publish) || d->node_count <= list ||
        d->nodes[list].type != NODE_ARRAY || !node_text(d, params + 1, &name))
        return ERR_TOO_LARGE;
    if (command == COMMAND_publish) {
        const struct queue *q = session_queue(session, name);
        *bytes = q != NULL ? queue_limit(b, q) : 0;
        return q != NULL ? ERR_NONE : ERR_QUEUE_NOT_FOUND;
    }
    const struct topic *topic = broker_topic_find(b, name.data, name.bytes);
    *bytes = topic != NULL ? topic_limit(b, topic) : 0;
    return topic != NULL ? ERR_NONE : ERR_TOPIC_NOT_FOUND;
}

/* The same for whatever precedes it. */
static enum error_code find_body_limit(struct session *session, const struct decoder *d, uint64_t *bytes)
{
    const uint32_t method = d->node_count > 0 && d->nodes[0].count == 3 ? 2 : 3;
    struct view name;

    if (d->node_count <= method + 1 || d->nodes[0].type != NODE_ARRAY || !node_text(d, method, &name) ||
        d->nodes[method + 1].type != NODE_ARRAY)
        return ERR_TOO_LARGE;
    return find_limit(session, d, command_find(name.data, name.bytes), method + 1, bytes);
}

enum error_code body_stream_begin(void *user, const struct decoder *d, uint32_t bytes, struct stream *out)
{
    struct session *session = user;
    struct native *door = session->door;
    struct broker *b = door->broker;
    uint64_t limit;

    const enum error_code code = find_body_limit(session, d, &limit);
    if (code != ERR_NONE)
        return code;
    if (bytes > limit)
        return ERR_TOO_LARGE;
    if (door->streaming_bytes + bytes > b->limits.max_memory_bytes / STREAMING_SHARE)
        return ERR_MEMORY_LIMIT;
    if (broker_memory(b) + sizeof(struct body) + bytes > b->limits.max_memory_bytes)
        return ERR_MEMORY_LIMIT;
    struct body *body = body_new(&b->pool, bytes);
    if (body == NULL)
        return ERR_MEMORY_LIMIT;
    door->streaming_bytes += bytes;
    out->owner = body;
    out->data = body->data;
    return ERR_NONE;
}

void body_stream_release(void *user, void *owner)
{
    struct session *session = user;
    struct body *body = owner;

    session->door->streaming_bytes -= body->bytes;
    body_unref(body);
}
