/*
 * unconfirmed: publishes whose answer was lost with their connection. What is kept is the request's params as they
 * were encoded; they are decoded only when a publish is really handed back, so the usual case costs one copy.
 *
 * Whether the server has carried out a publish that was written to the socket can't be known here. One whose last
 * byte was not written is certain not to have been: requests take effect only when they are whole.
 */
#include "client/connection.h"

#include <stdlib.h>
#include <string.h>

struct ringmq_unconfirmed {
    const char *method;
    int64_t token;
    void *arg;
    uint64_t end_bytes; /* position of its last byte in the stream of the connection */
    bool sent;
    struct decoder *decoder; /* of the params, once handed back; NULL if memory ran out */
    struct ringmq_tree tree;
    size_t params_bytes;
    uint8_t params[];
};

struct ringmq_unconfirmed *unconfirmed_new(struct ringmq *conn, const char *method, uint32_t token, void *arg,
                                           size_t params_bytes)
{
    struct ringmq_unconfirmed *publish = malloc(sizeof(*publish) + params_bytes);
    if (publish == NULL)
        return NULL;
    *publish = (struct ringmq_unconfirmed){
        .method = method,
        .token = token,
        .arg = arg,
        .end_bytes = conn->written_bytes + buffer_pending(&conn->output),
        .params_bytes = params_bytes,
    };
    memcpy(publish->params, conn->output.data + conn->output.bytes - params_bytes, params_bytes);
    return publish;
}

/* Decodes the params; without memory for that the views are RINGMQ_NONE, and sending again still works. */
static void unconfirmed_decode(struct ringmq_unconfirmed *publish)
{
    size_t used;
    publish->decoder = decoder_new(publish->params_bytes, NULL);
    if (publish->decoder == NULL)
        return;
    enum decoder_result result = decoder_feed(publish->decoder, publish->params, publish->params_bytes, &used);
    if (result == DECODER_READY && !publish->decoder->too_many_nodes)
        publish->tree = (struct ringmq_tree){.nodes = publish->decoder->nodes, .decoder = publish->decoder};
}

void unconfirmed_hand_back(struct ringmq *conn, struct ringmq_unconfirmed *publish)
{
    publish->sent = publish->end_bytes <= conn->written_bytes;
    unconfirmed_decode(publish);
    callback_enter(conn);
    conn->settings.unconfirmed_cb(conn, publish, conn->settings.arg);
    callback_leave(conn);
}

struct ringmq_bytes unconfirmed_params(const struct ringmq_unconfirmed *publish)
{
    return (struct ringmq_bytes){(const char *)publish->params, publish->params_bytes};
}

int64_t ringmq_unconfirmed_token(const struct ringmq_unconfirmed *publish)
{
    return publish->token;
}

void *ringmq_unconfirmed_arg(const struct ringmq_unconfirmed *publish)
{
    return publish->arg;
}

bool ringmq_unconfirmed_sent(const struct ringmq_unconfirmed *publish)
{
    return publish->sent;
}

const char *ringmq_unconfirmed_method(const struct ringmq_unconfirmed *publish)
{
    return publish->method;
}

struct ringmq_value ringmq_unconfirmed_params(const struct ringmq_unconfirmed *publish)
{
    if (publish->tree.nodes == NULL)
        return (struct ringmq_value){NULL, 0};
    return (struct ringmq_value){&publish->tree, 0};
}

/* A param of a publish to a queue. */
static struct ringmq_value publish_param(const struct ringmq_unconfirmed *publish, uint32_t index)
{
    if (strcmp(publish->method, "publish") != 0)
        return (struct ringmq_value){NULL, 0};
    return ringmq_value_item(ringmq_unconfirmed_params(publish), index);
}

struct ringmq_value ringmq_unconfirmed_queue(const struct ringmq_unconfirmed *publish)
{
    return publish_param(publish, 0);
}

struct ringmq_value ringmq_unconfirmed_messages(const struct ringmq_unconfirmed *publish)
{
    return publish_param(publish, 1);
}

void ringmq_unconfirmed_free(struct ringmq_unconfirmed *publish)
{
    if (publish == NULL)
        return;
    decoder_free(publish->decoder);
    free(publish);
}
