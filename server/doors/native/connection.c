/*
 * connection: hello, ping, help, and the list of those who are connected.
 */
#include "protocol/utf8.h"
#include "server/doors/native/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hello ------------------------------------------------------------------------------------------------------- */

/* What a server can refuse because it is too much: X(name, value), r being the request. */
#define HELLO_LIMIT_LIST(X)                                     \
    X(max_message_bytes, r->door->options->max_message_bytes)   \
    X(max_request_bytes, r->door->options->max_request_bytes)   \
    X(max_response_bytes, r->door->options->max_response_bytes) \
    X(max_batch, r->door->options->max_batch)                   \
    X(max_wait, r->door->options->max_wait)                     \
    X(max_prefetch, LIMIT_PREFETCH)                             \
    X(max_consumers, LIMIT_CONSUMERS)                           \
    X(max_waiters, LIMIT_WAITERS)                               \
    X(max_elements, LIMIT_NODES)                                \
    X(max_commit_parts, LIMIT_COMMIT_PARTS)                     \
    X(max_copies, LIMIT_COPIES)                                 \
    X(max_routing, LIMIT_ROUTING)                               \
    X(max_topics, LIMIT_TOPICS)                                 \
    X(max_subscriptions, LIMIT_SUBSCRIPTIONS)                   \
    X(max_moves, LIMIT_MOVES)

/* What this server can do beyond standard queues, in the order of the alphabet. */
static const char *const features[] = {"commit", "dead_letter", "dedup", "fifo", "move", "priority", "topics"};
#define FEATURES (sizeof features / sizeof features[0])

#define X(name, value) +1
enum { HELLO_LIMITS = 0 HELLO_LIMIT_LIST(X) };
#undef X

static void answer_hello(struct request *r)
{
    struct buffer *out = r->out;

    answer_begin(r);
    encode_map(out, 6);
    encode_text(out, "server");
    encode_text(out, "ringmq");
    encode_text(out, "version");
    encode_text(out, RINGMQ_VERSION);
    encode_text(out, "protocol");
    encode_uint(out, PROTOCOL_VERSION);
    encode_text(out, "durability");
    encode_text(out, durability_name(options_durability(r->door->options)));
    encode_text(out, "features");
    encode_array(out, FEATURES);
    for (size_t i = 0; i < FEATURES; i++)
        encode_text(out, features[i]);
    encode_text(out, "limits");
    encode_map(out, HELLO_LIMITS);
#define X(name, value)       \
    encode_text(out, #name); \
    encode_uint(out, value);
    HELLO_LIMIT_LIST(X)
#undef X
}

/* False: it is no text that can be kept, and the error has been answered. */
static bool check_text(struct request *r, unsigned argument, const char *key)
{
    const struct view *text = &r->arguments[argument].text;

    if (!request_has(r, argument) || (text->bytes <= LIMIT_CLIENT_BYTES && utf8_is_text(text->data, text->bytes)))
        return true;
    answer_bad_request(r, key, "the text must be UTF-8 of at most 128 bytes");
    return false;
}

/* Replaces what the session remembers of itself. False: the error has been answered. */
static bool keep_text(struct request *r, unsigned argument, char **kept)
{
    const struct view *text = &r->arguments[argument].text;

    if (!request_has(r, argument))
        return true;
    char *copy = strndup(text->data, text->bytes);
    if (copy == NULL) {
        answer_error(r, ERR_MEMORY_LIMIT, NULL);
        return false;
    }
    free(*kept);
    *kept = copy;
    return true;
}

void handle_hello(struct request *r)
{
    enum { CLIENT, VERSION };

    if (check_text(r, CLIENT, "client") && check_text(r, VERSION, "version") &&
        keep_text(r, CLIENT, &r->session->client_name) && keep_text(r, VERSION, &r->session->client_version))
        answer_hello(r);
}

/* ---- ping, help -------------------------------------------------------------------------------------------------- */

void handle_ping(struct request *r)
{
    answer_begin(r);
    encode_text(r->out, "pong");
}

static void encode_command(struct buffer *out, const struct command *row)
{
    encode_map(out, 4);
    encode_text(out, "name");
    encode_text(out, row->method);
    encode_text(out, "args");
    encode_text(out, row->args);
    encode_text(out, "help");
    encode_text(out, row->help);
    encode_text(out, "group");
    encode_text(out, row->group);
}

void handle_help(struct request *r)
{
    enum { METHOD };
    const struct view *method = &r->arguments[METHOD].text;
    unsigned first = 0, end = COMMAND_COUNT;

    if (request_has(r, METHOD)) {
        first = command_find(method->data, method->bytes);
        end = first + 1;
    }
    if (first == COMMAND_COUNT) {
        answer_error(r, ERR_NOT_FOUND, NULL);
        return;
    }
    answer_begin(r);
    encode_array(r->out, end - first);
    for (unsigned id = first; id < end; id++)
        encode_command(r->out, command_row((enum command_id)id));
}

/* ---- clients ----------------------------------------------------------------------------------------------------- */

static uint64_t inflight_count(const struct session *session)
{
    uint64_t count = 0;

    for (const struct taker *t = session->peer.takers; t != NULL; t = t->peer_next)
        count += t->kind == TAKER_CONSUMER ? t->held : 0;
    return count;
}

static void encode_client(struct request *r, const struct session *session, size_t output_bytes)
{
    struct buffer *out = r->out;
    const struct {
        const char *key;
        uint64_t number;
    } numbers[] = {
        {"age_ms", (uint64_t)(r->now_ms - session->opened_ms)},
        {"consumers", session->peer.consumer_count},
        {"waiters", session->peer.waiter_count},
        {"held_publishes", session->peer.held_count},
        {"inflight", inflight_count(session)},
        {"requests", session->request_count},
        {"output_bytes", output_bytes},
    };
    const uint32_t number_count = sizeof numbers / sizeof numbers[0];

    encode_map(out, 4 + number_count);
    encode_text(out, "id");
    encode_uint(out, session->id);
    encode_text(out, "addr");
    encode_text(out, session->address);
    encode_text(out, "name");
    encode_text(out, session->client_name != NULL ? session->client_name : "");
    encode_text(out, "version");
    encode_text(out, session->client_version != NULL ? session->client_version : "");
    for (uint32_t i = 0; i < number_count; i++) {
        encode_text(out, numbers[i].key);
        encode_uint(out, numbers[i].number);
    }
}

void handle_client_list(struct request *r)
{
    /* The client that asks has not been answered yet: this answer is not part of what it has to read. */
    const size_t own_bytes = buffer_pending(r->session->out);
    uint32_t count = 0;

    for (const struct session *s = r->door->sessions; s != NULL; s = s->next)
        count++;
    r->door->extra_work += count / 64;
    answer_begin(r);
    encode_map(r->out, 1);
    encode_text(r->out, "clients");
    encode_array(r->out, count);
    for (const struct session *s = r->door->sessions; s != NULL; s = s->next)
        encode_client(r, s, s == r->session ? own_bytes : buffer_pending(s->out));
}

void handle_client_kill(struct request *r)
{
    enum { CLIENT };
    struct session *victim = r->door->sessions;
    char reason[64];

    while (victim != NULL && victim->id != r->arguments[CLIENT].number)
        victim = victim->next;
    if (victim == NULL) {
        answer_error(r, ERR_NOT_FOUND, NULL);
        return;
    }
    answer_true(r);
    snprintf(reason, sizeof reason, "killed by client %llu", (unsigned long long)r->session->id);
    r->door->host.kill_cb(r->door->host.user, victim, reason);
}
