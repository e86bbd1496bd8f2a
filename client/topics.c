/*
 * topics: making topics, and what queues get of what is published to them. The publishing itself is in publish.c.
 */
#include "client/admin.h"
#include "client/args.h"
#include "client/options.h"

int ringmq_topic_create(struct ringmq *conn, const char *topic, bool *created, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "topic.create", topic, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end_created(&call, created) : status;
}

int ringmq_topic_delete(struct ringmq *conn, const char *topic, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "topic.delete", topic, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end(&call, NULL) : status;
}

int ringmq_topic_info(struct ringmq *conn, const char *topic, struct ringmq_value *result, int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin_named(&call, conn, "topic.info", topic, 0, timeout_ms);
    return status == RINGMQ_OK ? admin_end_map(&call, result) : status;
}

int ringmq_topic_list(struct ringmq *conn, const struct ringmq_list_options *options, struct ringmq_value *result,
                      int timeout_ms)
{
    struct admin_call call;
    int status = admin_begin(&call, conn, "topic.list", 1, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    list_options_encode(admin_output(&call), options);
    return admin_end_map(&call, result);
}

/* Begins subscribe and unsubscribe; a map of `pairs` options follows. */
static int subscription_begin(struct admin_call *call, struct ringmq *conn, const char *method, const char *topic,
                              const char *queue, uint32_t pairs, int timeout_ms)
{
    if (queue == NULL)
        return call_argument(conn, "no queue");
    int status = admin_begin_named(call, conn, method, topic, 2, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    encode_text(admin_output(call), queue);
    encode_map(admin_output(call), pairs);
    return RINGMQ_OK;
}

int ringmq_topic_subscribe(struct ringmq *conn, const char *topic, const char *queue, const char *pattern,
                           const struct ringmq_args *filter, int timeout_ms)
{
    struct admin_call call;
    uint32_t pairs = (uint32_t)(pattern != NULL) + (filter != NULL);
    int status = map_check(conn, filter, "the filter is not one complete map");
    if (status == RINGMQ_OK)
        status = subscription_begin(&call, conn, "topic.subscribe", topic, queue, pairs, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    option_text(admin_output(&call), "pattern", pattern);
    if (filter != NULL) {
        encode_text(admin_output(&call), "filter");
        buffer_append(admin_output(&call), filter->bytes.data, filter->bytes.bytes);
    }
    return admin_end(&call, NULL);
}

int ringmq_topic_unsubscribe(struct ringmq *conn, const char *topic, const char *queue, const char *pattern,
                             int timeout_ms)
{
    struct admin_call call;
    int status = subscription_begin(&call, conn, "topic.unsubscribe", topic, queue, pattern != NULL, timeout_ms);
    if (status != RINGMQ_OK)
        return status;
    option_text(admin_output(&call), "pattern", pattern);
    return admin_end(&call, NULL);
}
