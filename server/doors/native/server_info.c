/*
 * server_info: numbers about the server, and its options.
 */
#include "server/doors/native/request.h"
#include "server/ops/config.h"
#include "server/ops/units.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- server.info, server.stats ----------------------------------------------------------------------------------- */

static const char *const sections[] = {"server", "memory", "clients", "queues", "counters"};
#define SECTION_COUNT (sizeof sections / sizeof sections[0])

enum fact_kind { FACT_NUMBER, FACT_BOOL, FACT_TEXT };

struct fact {
    const char *section, *key;
    enum fact_kind kind;
    uint64_t number;
    const char *text;
};

#define FACTS_MAX 64

struct facts {
    struct fact list[FACTS_MAX];
    uint32_t count;
};

static struct fact *add(struct facts *facts, const char *section, const char *key, uint64_t number)
{
    assert(facts->count < FACTS_MAX);
    struct fact *fact = &facts->list[facts->count++];
    *fact = (struct fact){section, key, FACT_NUMBER, number, NULL};
    return fact;
}

static void add_process(struct facts *facts, const struct request *r)
{
    struct server_status status;
    struct fact *version = add(facts, "server", "version", 0);

    memset(&status, 0, sizeof status);
    r->door->host.status_cb(r->door->host.user, &status);
    version->kind = FACT_TEXT;
    version->text = RINGMQ_VERSION;
    add(facts, "server", "draining", r->broker->draining || r->broker->stopping)->kind = FACT_BOOL;
#define X(section, field, help) add(facts, #section, #field, status.field);
    STATUS_LIST(X)
#undef X
    add(facts, "memory", "used_bytes", broker_memory(r->broker));
    add(facts, "memory", "max_bytes", r->broker->limits.max_memory_bytes);
}

static void add_queues(struct facts *facts, const struct broker *b)
{
    uint64_t counts[MESSAGE_PARKED + 1] = {0};
    uint64_t total = 0, bytes = 0, consumers = 0, waiters = 0;

    for (uint32_t i = 0; i < b->queue_count; i++) {
        const struct queue *q = b->queues[i];
        for (unsigned state = MESSAGE_DELAYED; state <= MESSAGE_PARKED; state++)
            counts[state] += queue_count(q, (enum message_state)state);
        total += queue_total(q);
        bytes += queue_body_bytes(q);
        consumers += q->consumer_count;
        waiters += q->waiter_count;
    }
    add(facts, "queues", "queues", b->queue_count);
    for (unsigned state = MESSAGE_DELAYED; state <= MESSAGE_PARKED; state++)
        add(facts, "queues", message_state_text((enum message_state)state), counts[state]);
    add(facts, "queues", "total", total);
    add(facts, "queues", "bytes", bytes);
    add(facts, "clients", "consumers", consumers);
    add(facts, "clients", "waiters", waiters);
}

static void add_counters(struct facts *facts, const struct request *r)
{
#define X(field, help) add(facts, "counters", #field, r->broker->counters.field);
    QUEUE_COUNTER_LIST(X)
#undef X
#define X(field, help) add(facts, "counters", #field, r->door->counters.field);
    NATIVE_COUNTER_LIST(X)
#undef X
}

static void encode_section(struct buffer *out, const struct facts *facts, const char *section)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < facts->count; i++)
        count += strcmp(facts->list[i].section, section) == 0;
    encode_map(out, count);
    for (uint32_t i = 0; i < facts->count; i++) {
        const struct fact *fact = &facts->list[i];
        if (strcmp(fact->section, section) != 0)
            continue;
        encode_text(out, fact->key);
        if (fact->kind == FACT_TEXT)
            encode_text(out, fact->text);
        else if (fact->kind == FACT_BOOL)
            encode_bool(out, fact->number != 0);
        else
            encode_uint(out, fact->number);
    }
}

void handle_server_info(struct request *r)
{
    enum { SECTION };
    struct facts facts = {.count = 0};
    bool wanted[SECTION_COUNT];
    uint32_t count = 0;

    for (size_t i = 0; i < SECTION_COUNT; i++) {
        wanted[i] = !request_has(r, SECTION) || request_says(r, SECTION, sections[i]);
        count += wanted[i];
    }
    if (count == 0) {
        answer_error(r, ERR_NOT_FOUND, NULL);
        return;
    }
    add_process(&facts, r);
    add_queues(&facts, r->broker);
    add_counters(&facts, r);
    answer_begin(r);
    encode_map(r->out, count);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (!wanted[i])
            continue;
        encode_text(r->out, sections[i]);
        encode_section(r->out, &facts, sections[i]);
    }
}

void handle_server_stats(struct request *r)
{
    struct facts facts = {.count = 0};

    add_counters(&facts, r);
    answer_begin(r);
    encode_section(r->out, &facts, "counters");
}

/* ---- config ------------------------------------------------------------------------------------------------------ */

static void count_option(void *user, const struct option *row, const char *text)
{
    (void)row, (void)text;
    ++*(uint32_t *)user;
}

static void encode_option(void *user, const struct option *row, const char *text)
{
    encode_text(user, row->key);
    encode_text(user, text);
}

void handle_config_get(struct request *r)
{
    enum { PATTERN };
    const struct view pattern = request_has(r, PATTERN) ? r->arguments[PATTERN].text : (struct view){"*", 1};
    uint32_t count = 0;

    config_get(r->door->options, pattern.data, pattern.bytes, count_option, &count);
    answer_begin(r);
    encode_map(r->out, count);
    config_get(r->door->options, pattern.data, pattern.bytes, encode_option, r->out);
}

/* A value as the configuration file would have it: text as it is, a number or bool printed into `room`. */
static bool value_text(const struct decoder *d, uint32_t node, char room[UNITS_PRINT_BYTES], struct view *out)
{
    const struct node *n = &d->nodes[node];

    if (n->type == NODE_UINT)
        units_print(UNITS_COUNT, n->value.uint, room);
    else if (n->type == NODE_BOOL)
        units_print(UNITS_BOOL, n->value.uint, room);
    else
        return node_text(d, node, out);
    *out = (struct view){room, strlen(room)};
    return true;
}

/* The one key that is no option. False: BAD_REQUEST has been answered. */
static bool set_draining(struct request *r, struct view value)
{
    uint64_t draining;

    if (units_parse(UNITS_BOOL, value.data, value.bytes, &draining) != UNITS_OK) {
        answer_bad_request(r, "value", "draining is true or false");
        return false;
    }
    r->broker->draining = draining != 0;
    return true;
}

static bool set_option(struct request *r, struct view key, struct view value)
{
    struct option_error error;
    const int result = config_set(r->door->options, key.data, key.bytes, value.data, value.bytes, &error);

    if (result == OPTION_UNKNOWN_KEY)
        answer_error(r, ERR_NOT_FOUND, NULL);
    else if (result == OPTION_NEEDS_RESTART)
        answer_bad_request(r, "key", error.text);
    else if (result != OPTION_OK)
        answer_bad_request(r, "value", error.text);
    return result == OPTION_OK;
}

void handle_config_set(struct request *r)
{
    enum { KEY, VALUE };
    const struct view key = r->arguments[KEY].text;
    char room[UNITS_PRINT_BYTES], shown_key[64], shown_value[64];
    struct view value;

    if (!value_text(r->decoder, r->arguments[VALUE].node, room, &value)) {
        answer_bad_request(r, "value", "a value must be text, an integer or a bool");
        return;
    }
    if (request_says(r, KEY, "draining") ? !set_draining(r, value) : !set_option(r, key, value))
        return;
    text_show(shown_key, sizeof shown_key, key);
    text_show(shown_value, sizeof shown_value, value);
    log_info("config", "option set client=%" PRIu64 " key=%s value=%s", r->session->id, shown_key, shown_value);
    r->door->host.changed_cb(r->door->host.user);
    answer_true(r);
}
