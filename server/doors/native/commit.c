/*
 * commit: messages to queues and topics, and receipts to ack, all or nothing.
 *
 * The happy path: the lists are walked once to check their shapes and to count, before memory is taken for them; then
 * names become queues and topics, messages publications, receipts numbers; then one call of the broker does everything.
 *
 * What can fail is answered as the error of the call, with nothing changed. Its details name the culprit: the list
 * (`part`: publish, topics or ack), the place in it (`index`), and there the message (`message`) or the receipt
 * (`receipt`).
 */
#include "server/doors/native/messages.h"
#include "server/doors/native/topics.h"

enum { PUBLISH, TOPICS, ACK };

static const char *const part_names[] = {[PUBLISH] = "publish", [TOPICS] = "topics", [ACK] = "ack"};

/* Elements of a part: [queue, messages] or [topic, key, messages]. */
static const uint32_t part_elements[] = {[PUBLISH] = 2, [TOPICS] = 3};

struct commit {
    struct request *request;
    struct messages messages;
    uint32_t counts[ACK + 1]; /* elements of the three lists */
    uint64_t message_count;
};

static void refuse(struct request *r, enum error_code code, const char *which, unsigned list, uint32_t index,
                   uint32_t extra)
{
    answer_error_begin(r, code, which, 2 + extra);
    encode_text(r->out, "part");
    encode_text(r->out, part_names[list]);
    encode_text(r->out, "index");
    encode_uint(r->out, index);
}

static void refuse_part(struct request *r, enum error_code code, const char *which, unsigned list, uint32_t index)
{
    refuse(r, code, which, list, index, 0);
    answer_error_end(r);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

/* The messages of a part whose first element is a name; 0 if it has no such shape. */
static uint32_t part_messages(const struct decoder *d, unsigned list, uint32_t node)
{
    const struct node *n = &d->nodes[node];
    const uint32_t messages = node + part_elements[list];
    struct view text;

    if (n->type != NODE_ARRAY || n->count != part_elements[list] || !node_text(d, node + 1, &text) ||
        !queue_name_valid(text.data, text.bytes))
        return 0;
    if (list == TOPICS && !node_text(d, node + 2, &text))
        return 0;
    return d->nodes[messages].type == NODE_ARRAY ? d->nodes[messages].count : 0;
}

/* Looks at a list of parts. False: the error has been answered. */
static bool measure_parts(struct commit *c, unsigned list)
{
    struct request *r = c->request;
    const struct decoder *d = r->decoder;

    if (!request_has(r, list))
        return true;
    uint32_t node = r->arguments[list].node;
    c->counts[list] = d->nodes[node].count;
    if (c->counts[PUBLISH] + (uint64_t)c->counts[TOPICS] > LIMIT_COMMIT_PARTS) {
        answer_error(r, ERR_LIMIT, "max_commit_parts");
        return false;
    }
    node++;
    for (uint32_t i = 0; i < c->counts[list]; i++) {
        const uint32_t count = part_messages(d, list, node);
        if (count == 0) {
            refuse_part(r, ERR_BAD_REQUEST, part_names[list], list, i);
            return false;
        }
        c->message_count += count;
        node = decoder_skip(d, node);
    }
    return true;
}

static bool measure(struct commit *c)
{
    struct request *r = c->request;

    if (!measure_parts(c, PUBLISH) || !measure_parts(c, TOPICS))
        return false;
    if (request_has(r, ACK))
        c->counts[ACK] = r->decoder->nodes[r->arguments[ACK].node].count;
    if (c->message_count > r->broker->limits.max_batch || c->counts[ACK] > r->broker->limits.max_batch) {
        answer_error(r, ERR_LIMIT, "max_batch");
        return false;
    }
    if (c->message_count > 0 || c->counts[ACK] > 0)
        return true;
    answer_bad_request(r, "params", "a commit must not be empty");
    return false;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The queue or topic of a part, and the key. False: the error has been answered. */
static bool read_target(struct request *r, unsigned list, uint32_t index, uint32_t node, struct commit_part *part)
{
    struct view name = {NULL, 0};

    (void)node_text(r->decoder, node + 1, &name);
    if (list == PUBLISH) {
        part->queue = session_queue(r->session, name);
        if (part->queue == NULL)
            refuse_part(r, ERR_QUEUE_NOT_FOUND, NULL, list, index);
        return part->queue != NULL;
    }
    part->topic = broker_topic_find(r->broker, name.data, name.bytes);
    (void)node_text(r->decoder, node + 2, &part->key);
    if (part->topic == NULL)
        refuse_part(r, ERR_TOPIC_NOT_FOUND, NULL, list, index);
    else if (!topic_key_valid(part->key))
        refuse_part(r, ERR_BAD_REQUEST, "key", list, index);
    return !r->answered;
}

static bool read_parts(struct commit *c, unsigned list, struct commit_part *parts)
{
    struct request *r = c->request;
    uint32_t node = request_has(r, list) ? r->arguments[list].node + 1 : 0;

    for (uint32_t i = 0; i < c->counts[list]; i++) {
        parts[i] = (struct commit_part){.queue = NULL};
        if (!read_target(r, list, i, node, &parts[i]))
            return false;
        messages_read(&c->messages, node + part_elements[list], &parts[i].messages);
        if (c->messages.code != ERR_NONE) {
            refuse_part(r, c->messages.code, NULL, list, i);
            return false;
        }
        if (parts[i].topic != NULL)
            r->door->extra_work += topic_work(parts[i].topic, parts[i].messages.count);
        node = decoder_skip(r->decoder, node);
    }
    return true;
}

/* Into scratch->numbers. */
static bool read_receipts(struct commit *c)
{
    struct request *r = c->request;
    uint32_t node = request_has(r, ACK) ? r->arguments[ACK].node + 1 : 0;

    for (uint32_t i = 0; i < c->counts[ACK]; i++) {
        if (!node_number(r->decoder, node, LIMIT_ID - 1, &r->scratch->numbers[i])) {
            refuse_part(r, ERR_BAD_REQUEST, part_names[ACK], ACK, i);
            return false;
        }
        node++;
    }
    return true;
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

static void answer_failed(struct commit *c, enum error_code code, const struct commit_culprit *culprit)
{
    struct request *r = c->request;
    const char *which = r->broker->which;

    if (culprit->ack) {
        refuse(r, code, which, ACK, culprit->index, 1);
        encode_text(r->out, "receipt");
        encode_uint(r->out, r->scratch->numbers[culprit->index]);
        answer_error_end(r);
    } else if (culprit->part != UINT32_MAX) {
        const bool topic = culprit->part >= c->counts[PUBLISH];
        refuse(r, code, which, topic ? TOPICS : PUBLISH, culprit->part - (topic ? c->counts[PUBLISH] : 0), 1);
        encode_text(r->out, "message");
        encode_uint(r->out, culprit->index);
        answer_error_end(r);
    } else {
        answer_error(r, code, which);
    }
}

static void answer_committed(struct commit *c, const struct commit_part *parts)
{
    struct request *r = c->request;
    const struct outcome *outcomes = r->broker->outcomes;

    answer_begin(r);
    encode_map(r->out, 3);
    encode_text(r->out, part_names[PUBLISH]);
    encode_array(r->out, c->counts[PUBLISH]);
    for (uint32_t i = 0; i < c->counts[PUBLISH]; i++, parts++)
        encode_stored(r->out, parts->first_id, parts->stored,
                      parts->outcome_count > 0 ? &outcomes[parts->outcome_first] : NULL, parts->outcome_count);
    encode_text(r->out, part_names[TOPICS]);
    encode_array(r->out, c->counts[TOPICS]);
    for (uint32_t i = 0; i < c->counts[TOPICS]; i++, parts++)
        encode_uint(r->out, parts->copies);
    encode_text(r->out, part_names[ACK]);
    encode_uint(r->out, c->counts[ACK]);
}

/* Everything is there to be read into. */
static void commit(struct commit *c)
{
    struct request *r = c->request;
    struct commit_part *parts = r->scratch->parts;
    struct commit_culprit culprit = {.part = UINT32_MAX};

    if (!read_parts(c, PUBLISH, parts) || !read_parts(c, TOPICS, parts + c->counts[PUBLISH]) || !read_receipts(c))
        return;
    const enum error_code code = broker_commit(r->broker, r->now_ms, parts, c->counts[PUBLISH] + c->counts[TOPICS],
                                               r->scratch->numbers, c->counts[ACK], &culprit);
    if (code != ERR_NONE)
        answer_failed(c, code, &culprit);
    else
        answer_committed(c, parts);
}

void handle_commit(struct request *r)
{
    struct commit c = {.request = r};

    if (!measure(&c))
        return;
    if (!native_parts(r->scratch, c.counts[PUBLISH] + c.counts[TOPICS])) {
        answer_error(r, ERR_MEMORY_LIMIT, NULL);
        return;
    }
    if (!request_numbers(r, c.counts[ACK]) || !messages_begin(&c.messages, r, (uint32_t)c.message_count))
        return;
    commit(&c);
    messages_end(&c.messages);
}
