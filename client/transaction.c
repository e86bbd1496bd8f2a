/*
 * transaction: the parts of a commit, collected in any order. Each part is encoded as it is added, into the list that it
 * belongs to, so that nothing of the caller's is needed later and a commit is three copies of bytes.
 *
 * What goes wrong on the way is remembered in `status`; later parts are dropped until ringmq_transaction_reset().
 */
#include "client/connection.h"
#include "client/messages.h"
#include "client/options.h"

#include <stdlib.h>

/* A list of parts: the elements of an array without its header. */
struct parts {
    struct buffer bytes;
    uint32_t count;
};

struct ringmq_transaction {
    struct parts publishes, topics, receipts;
    int status; /* RINGMQ_OK, or what went wrong first */
};

struct ringmq_transaction *ringmq_transaction_new(void)
{
    struct ringmq_transaction *transaction = calloc(1, sizeof(*transaction));
    if (transaction == NULL)
        return NULL;
    buffer_init(&transaction->publishes.bytes, NULL);
    buffer_init(&transaction->topics.bytes, NULL);
    buffer_init(&transaction->receipts.bytes, NULL);
    return transaction;
}

void ringmq_transaction_free(struct ringmq_transaction *transaction)
{
    if (transaction == NULL)
        return;
    buffer_close(&transaction->publishes.bytes);
    buffer_close(&transaction->topics.bytes);
    buffer_close(&transaction->receipts.bytes);
    free(transaction);
}

static void parts_reset(struct parts *parts)
{
    buffer_reset(&parts->bytes);
    parts->count = 0;
}

void ringmq_transaction_reset(struct ringmq_transaction *transaction)
{
    parts_reset(&transaction->publishes);
    parts_reset(&transaction->topics);
    parts_reset(&transaction->receipts);
    transaction->status = RINGMQ_OK;
}

/* ---- parts ---- */

/* True if the parts so far are good and this one is; otherwise it is remembered. */
static bool part_ok(struct ringmq_transaction *transaction, bool ok)
{
    if (!ok && transaction->status == RINGMQ_OK)
        transaction->status = RINGMQ_ERR_ARGUMENT;
    return transaction->status == RINGMQ_OK;
}

void ringmq_transaction_publish(struct ringmq_transaction *transaction, const char *queue,
                                const struct ringmq_message *messages, uint32_t count)
{
    struct parts *parts = &transaction->publishes;
    if (!part_ok(transaction, queue != NULL && (messages != NULL || count == 0) && messages_ok(messages, count)))
        return;
    encode_array(&parts->bytes, 2);
    encode_text(&parts->bytes, queue);
    messages_encode(&parts->bytes, messages, count);
    parts->count++;
}

void ringmq_transaction_topic(struct ringmq_transaction *transaction, const char *topic, const char *key,
                              const struct ringmq_message *messages, uint32_t count)
{
    struct parts *parts = &transaction->topics;
    bool named = topic != NULL && key != NULL && (messages != NULL || count == 0);
    if (!part_ok(transaction, named && messages_ok(messages, count)))
        return;
    encode_array(&parts->bytes, 3);
    encode_text(&parts->bytes, topic);
    encode_text(&parts->bytes, key);
    messages_encode(&parts->bytes, messages, count);
    parts->count++;
}

void ringmq_transaction_ack(struct ringmq_transaction *transaction, const uint64_t *receipts, uint32_t count)
{
    struct parts *parts = &transaction->receipts;
    if (!part_ok(transaction, receipts != NULL || count == 0))
        return;
    for (uint32_t i = 0; i < count; i++)
        encode_uint(&parts->bytes, receipts[i]);
    parts->count += count;
}

/* ---- sending ---- */

static int transaction_status(const struct ringmq_transaction *transaction)
{
    bool failed = transaction->publishes.bytes.failed || transaction->topics.bytes.failed ||
                  transaction->receipts.bytes.failed;
    return transaction->status == RINGMQ_OK && failed ? RINGMQ_ERR_NO_MEMORY : transaction->status;
}

static void parts_write(struct buffer *out, const char *name, const struct parts *parts)
{
    if (parts->count == 0)
        return;
    encode_text(out, name);
    encode_array(out, parts->count);
    buffer_append(out, parts->bytes.data, parts->bytes.bytes);
}

static int64_t commit_send(struct ringmq *conn, const struct ringmq_transaction *transaction, bool keep,
                           ringmq_answer_cb *answer_cb, void *arg)
{
    int status = transaction == NULL ? RINGMQ_ERR_ARGUMENT : transaction_status(transaction);
    if (status == RINGMQ_ERR_ARGUMENT)
        return call_argument(conn, "no transaction, or a part without its name, key, messages or receipts");
    if (status != RINGMQ_OK)
        return call_failed(conn, status);
    struct request request;
    status = request_begin(&request, conn, CALL_PUBLISH, "commit", answer_cb, arg);
    if (status != RINGMQ_OK)
        return status;
    struct buffer *out = request_output(&request);
    size_t params_at = buffer_pending(out);
    int pairs = (transaction->publishes.count > 0) + (transaction->topics.count > 0) +
                (transaction->receipts.count > 0);
    encode_array(out, 1);
    encode_map(out, (uint32_t)pairs);
    parts_write(out, "publish", &transaction->publishes);
    parts_write(out, "topics", &transaction->topics);
    parts_write(out, "ack", &transaction->receipts);
    return publish_end(&request, "commit", params_at, keep);
}

int64_t ringmq_send_commit(struct ringmq *conn, const struct ringmq_transaction *transaction,
                           ringmq_answer_cb *answer_cb, void *arg)
{
    return commit_send(conn, transaction, conn->settings.unconfirmed_cb != NULL, answer_cb, arg);
}

int ringmq_commit(struct ringmq *conn, const struct ringmq_transaction *transaction, struct ringmq_committed *result,
                  int timeout_ms)
{
    struct ringmq_committed committed;
    struct ringmq_answer answer;
    int64_t deadline_ms;
    int status = call_begin(conn, timeout_ms, &deadline_ms);
    if (status != RINGMQ_OK)
        return status;
    status = call_end(conn, commit_send(conn, transaction, false, NULL, NULL), deadline_ms, &answer);
    if (status != RINGMQ_OK)
        return status;
    if (ringmq_answer_committed(&answer, &committed) != RINGMQ_OK)
        return call_odd_answer(conn);
    if (result != NULL)
        *result = committed;
    return RINGMQ_OK;
}

/* ---- the answer ---- */

static bool is_list(struct ringmq_value value)
{
    enum ringmq_type type = ringmq_value_type(value);
    return type == RINGMQ_ARRAY || type == RINGMQ_NONE;
}

static bool committed_ok(const struct ringmq_committed *committed)
{
    struct ringmq_iterator publishes = ringmq_iterate(committed->publishes);
    struct ringmq_iterator topics = ringmq_iterate(committed->topics);
    struct ringmq_value value;
    struct ringmq_published published;
    uint64_t copies;
    while (ringmq_next(&publishes, NULL, &value)) {
        if (!published_read(value, &published))
            return false;
    }
    while (ringmq_next(&topics, NULL, &value)) {
        if (!value_uint(value, &copies))
            return false;
    }
    return is_list(committed->publishes) && is_list(committed->topics);
}

int ringmq_answer_committed(const struct ringmq_answer *answer, struct ringmq_committed *result)
{
    if (answer->status != RINGMQ_OK)
        return answer->status;
    struct ringmq_value acked = ringmq_value_get(answer->result, "ack");
    struct ringmq_committed committed = {
        .publishes = ringmq_value_get(answer->result, "publish"),
        .topics = ringmq_value_get(answer->result, "topics"),
    };
    if (ringmq_value_type(answer->result) != RINGMQ_MAP || !committed_ok(&committed))
        return RINGMQ_ERR_PROTOCOL;
    if (!value_uint(acked, &committed.acked) && ringmq_value_type(acked) != RINGMQ_NONE)
        return RINGMQ_ERR_PROTOCOL;
    *result = committed;
    return RINGMQ_OK;
}

bool ringmq_committed_publish(const struct ringmq_committed *committed, uint32_t part, struct ringmq_published *result)
{
    return published_read(ringmq_value_item(committed->publishes, part), result);
}

uint64_t ringmq_committed_copies(const struct ringmq_committed *committed, uint32_t part)
{
    return ringmq_value_uint(ringmq_value_item(committed->topics, part), 0);
}

bool ringmq_error_culprit(struct ringmq_value details, struct ringmq_culprit *culprit)
{
    struct ringmq_value part = ringmq_value_get(details, "part");
    struct ringmq_value message = ringmq_value_get(details, "message");
    struct ringmq_culprit read = {.part = RINGMQ_PART_PUBLISH};
    uint64_t index, at = 0;
    if (!value_uint(ringmq_value_get(details, "index"), &index) || index > UINT32_MAX)
        return false;
    if (ringmq_value_equals(part, "topics"))
        read.part = RINGMQ_PART_TOPIC;
    else if (ringmq_value_equals(part, "ack"))
        read.part = RINGMQ_PART_ACK;
    else if (!ringmq_value_equals(part, "publish"))
        return false;
    read.index = (uint32_t)index;
    read.has_message = value_uint(message, &at) && at <= UINT32_MAX;
    read.message = read.has_message ? (uint32_t)at : 0;
    read.receipt = ringmq_value_uint(ringmq_value_get(details, "receipt"), 0);
    *culprit = read;
    return true;
}
