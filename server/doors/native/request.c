/*
 * request: from a value to its handler. The shape is looked at first, then the method, then the arguments; only then
 * does a handler see it.
 */
#include "server/doors/native/request.h"

#include <assert.h>
#include <string.h>

/* Above this the sink's area is given back after a notification. */
#define SINK_BYTES ((size_t)64 * 1024)

static void (*const handlers[COMMAND_COUNT])(struct request *) = {
#define X(id, method, group, args, flags, help) [COMMAND_##id] = handle_##id,
    COMMAND_LIST(X)
#undef X
};

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

static enum command_id find_command(const struct decoder *d, uint32_t method)
{
    struct view name;

    return node_text(d, method, &name) ? command_find(name.data, name.bytes) : COMMAND_COUNT;
}

/* Checks the arguments and runs the handler. The method is known to be text. */
static void run_command(struct request *r, enum command_id command, uint32_t params)
{
    const struct decoder *d = r->decoder;
    const struct signature *signature = &r->scratch->commands[command];
    struct argument arguments[ARGUMENTS_MAX];
    struct argument_error error;

    r->arguments = arguments;
    if (d->too_many_nodes)
        answer_error(r, ERR_LIMIT, "max_elements");
    else if (d->nodes[params].type != NODE_ARRAY)
        answer_bad_request(r, "params", "params must be an array");
    else if (!arguments_read(signature, d, params, session_last_name(r->session), arguments, &error))
        answer_bad_request(r, error.key, error.text);
    else
        handlers[command](r);
    assert(r->answered);
}

/*
 * The answer waits for all that the log has been told up to now, not only of what this request has changed: that a
 * queue is there, or a message a duplicate, is as good as the call that made it so. An error confirms nothing; nor does
 * what is fleeting, unless the log has heard of it.
 */
static void run_waiting(struct request *r, enum command_id command, uint32_t params)
{
    const struct native_log *log = r->door->log;
    struct waiting *waiting = &r->scratch->waiting;

    const uint64_t before = log->place_cb(log->user);
    r->out = waiting_begin(waiting);
    if (r->twin.count > 0)
        publish_twin(r);
    else
        run_command(r, command, params);
    const uint64_t place = log->place_cb(log->user);
    if (r->failed || (r->fleeting && place == before))
        waiting_pass(waiting, r->session);
    else if (waiting_begun(waiting))
        waiting_keep(waiting, r->session, r->msgid, place);
}

static inline void request_begin(struct request *r, struct buffer *out, uint32_t msgid, bool notification)
{
    r->out = out;
    r->msgid = msgid;
    r->notification = notification;
    r->answered = false;
    r->failed = false;
    r->fleeting = false;
    r->door->counters.requests++;
    r->session->request_count++;
}

static void handle_request(struct request *r, uint32_t msgid)
{
    const uint32_t method = 3;
    const struct node *name = &r->decoder->nodes[method];

    request_begin(r, r->session->out, msgid, false);
    const enum command_id command = find_command(r->decoder, method);
    if (command != COMMAND_COUNT && r->door->log != NULL && command_row(command)->flags & COMMAND_CHANGES)
        run_waiting(r, command, method + 1);
    else if (command != COMMAND_COUNT)
        run_command(r, command, method + 1);
    else if (name->type == NODE_STR || name->type == NODE_BIN)
        answer_error(r, ERR_UNKNOWN_METHOD, NULL);
    else
        answer_bad_request(r, "method", "the method must be text");
}

static void handle_notification(struct request *r)
{
    const uint32_t method = 2;
    struct buffer *sink = &r->scratch->sink;

    const enum command_id command = find_command(r->decoder, method);
    if (command == COMMAND_COUNT || command_row(command)->flags & COMMAND_ANSWERS) {
        r->door->counters.ignored++;
        return;
    }
    request_begin(r, sink, 0, true);
    r->door->counters.notifications++;
    run_command(r, command, method + 1);
    if (sink->cap > SINK_BYTES || sink->failed) {
        buffer_close(sink);
        buffer_init(sink, native_release);
    } else {
        buffer_reset(sink);
    }
}

void request_handle(struct request *r, const uint8_t *input)
{
    const struct decoder *d = r->decoder;
    uint64_t kind, msgid;
    const uint32_t count = d->nodes[0].type == NODE_ARRAY ? d->nodes[0].count : 0;

    r->input = input;
    r->twin.count = 0;
    if (count < 3 || !node_number(d, 1, 2, &kind) || count != (kind == 2 ? 3 : 4)) {
        session_break(r->session, "the value is no request, response or notification");
        return;
    }
    if (kind == 2) {
        handle_notification(r);
    } else if (kind == 1) {
        r->door->counters.ignored++;
    } else if (node_number(d, 2, UINT32_MAX, &msgid)) {
        handle_request(r, (uint32_t)msgid);
    } else {
        session_break(r->session, "the msgid is no integer from 0 to 2^32 - 1");
    }
}

bool request_repeat(struct request *r, const uint8_t *input, size_t bytes, size_t *used)
{
    const uint64_t most = decoder_limit(r->decoder);
    uint32_t msgid;

    if (!twin_read(&r->twin, input, bytes < most ? bytes : (size_t)most, r->scratch->bodies, &msgid, used))
        return false;
    request_begin(r, r->session->out, msgid, false);
    if (r->door->log != NULL)
        run_waiting(r, COMMAND_publish, 0);
    else
        publish_twin(r);
    assert(r->answered);
    return true;
}

/* ---- arguments --------------------------------------------------------------------------------------------------- */

bool request_says(const struct request *r, unsigned argument, const char *word)
{
    const struct view *text = &r->arguments[argument].text;

    return text->bytes == strlen(word) && memcmp(text->data, word, text->bytes) == 0;
}

struct queue *request_queue(struct request *r)
{
    const struct argument *name = &r->arguments[0];
    struct queue *q = name->known ? r->session->queue : session_queue(r->session, name->text);

    if (q == NULL)
        answer_error(r, ERR_QUEUE_NOT_FOUND, NULL);
    else
        r->fleeting = !q->attributes.durable;
    return q;
}

bool request_batch(struct request *r, const char *key, uint64_t count)
{
    if (count == 0)
        answer_bad_request(r, key, "a batch must not be empty");
    else if (count > r->broker->limits.max_batch)
        answer_error(r, ERR_LIMIT, "max_batch");
    else
        return true;
    return false;
}

bool request_numbers(struct request *r, uint32_t count)
{
    if (native_numbers(r->scratch, count))
        return true;
    answer_error(r, ERR_MEMORY_LIMIT, NULL);
    return false;
}

bool request_ids(struct request *r, const char *key, uint32_t node, uint32_t *count)
{
    const struct decoder *d = r->decoder;

    *count = d->nodes[node].count;
    if (!request_batch(r, key, *count) || !request_numbers(r, *count))
        return false;
    node++;
    for (uint32_t i = 0; i < *count; i++) {
        if (!node_number(d, node, LIMIT_ID - 1, &r->scratch->numbers[i])) {
            answer_bad_request(r, key, "an id must be an integer from 0 to 2^53 - 1");
            return false;
        }
        node++;
    }
    return true;
}

bool request_max(struct request *r, unsigned argument, uint32_t *max)
{
    const uint64_t usual = r->broker->limits.max_batch < 100 ? r->broker->limits.max_batch : 100;
    const uint64_t asked = request_number(r, argument, usual);

    if (asked == 0)
        answer_bad_request(r, "max", "max must be at least 1");
    else if (asked > r->broker->limits.max_batch)
        answer_error(r, ERR_LIMIT, "max_batch");
    else
        *max = (uint32_t)asked;
    return asked != 0 && asked <= r->broker->limits.max_batch;
}

/* Names are sorted by their bytes: those with a prefix stand together, from the prefix itself on. */
bool request_page(struct request *r, struct page *page)
{
    enum { PREFIX, CURSOR, MAX };
    const struct view none = {"", 0};
    const struct view cursor = request_has(r, CURSOR) ? r->arguments[CURSOR].text : none;

    page->prefix = request_has(r, PREFIX) ? r->arguments[PREFIX].text : none;
    const size_t common = cursor.bytes < page->prefix.bytes ? cursor.bytes : page->prefix.bytes;
    const int order = memcmp(cursor.data, page->prefix.data, common);
    page->from = order > 0 || (order == 0 && cursor.bytes > page->prefix.bytes) ? cursor : page->prefix;
    return request_max(r, MAX, &page->max);
}

bool page_has(const struct page *page, const char *name, size_t bytes)
{
    return bytes >= page->prefix.bytes && memcmp(name, page->prefix.data, page->prefix.bytes) == 0;
}

const char *message_state_text(enum message_state state)
{
    static const char *const texts[] = {
        [MESSAGE_DELAYED] = "delayed",
        [MESSAGE_READY] = "ready",
        [MESSAGE_INFLIGHT] = "inflight",
        [MESSAGE_PARKED] = "parked",
    };

    return texts[state];
}

bool request_states(struct request *r, unsigned argument, unsigned *states)
{
    *states = 0;
    for (unsigned state = MESSAGE_DELAYED; state <= MESSAGE_PARKED; state++) {
        if (!request_has(r, argument) || request_says(r, argument, message_state_text((enum message_state)state)))
            *states |= 1u << state;
    }
    if (*states != 0)
        return true;
    answer_bad_request(r, "state", "state must be delayed, ready, inflight or parked");
    return false;
}
