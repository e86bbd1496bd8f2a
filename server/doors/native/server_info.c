/*
 * server_info: numbers about the server, by section.
 */
#include "server/doors/native/request.h"

#include <assert.h>
#include <string.h>

static const char *const sections[] = {"server", "memory", "clients", "queues", "log", "counters"};
#define SECTION_COUNT (sizeof sections / sizeof sections[0])

enum fact_kind { FACT_NUMBER, FACT_BOOL, FACT_TEXT };

struct fact {
    const char *section, *key;
    enum fact_kind kind;
    uint64_t number;
    const char *text;
};

#define FACTS_MAX 80

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

static void add_text(struct facts *facts, const char *section, const char *key, const char *text)
{
    struct fact *fact = add(facts, section, key, 0);

    fact->kind = FACT_TEXT;
    fact->text = text;
}

static void add_process(struct facts *facts, const struct request *r)
{
    struct server_status status;

    memset(&status, 0, sizeof status);
    r->door->host.status_cb(r->door->host.user, &status);
    add_text(facts, "server", "version", RINGMQ_VERSION);
    add(facts, "server", "draining", r->broker->draining || r->broker->stopping)->kind = FACT_BOOL;
#define X(section, field, help) add(facts, #section, #field, status.field);
    STATUS_LIST(X)
#undef X
    add(facts, "memory", "used_bytes", broker_memory(r->broker));
    add(facts, "memory", "max_bytes", r->broker->limits.max_memory_bytes);
}

static void add_queues(struct facts *facts, const struct request *r)
{
    const struct broker *b = r->broker;
    uint64_t counts[MESSAGE_PARKED + 1] = {0};
    uint64_t total = 0, bytes = 0, consumers = 0, waiters = 0;

    r->door->extra_work += b->queue_count / 64;
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

static void add_topics_and_moves(struct facts *facts, const struct request *r)
{
    const struct broker *b = r->broker;
    uint64_t subscriptions = 0, moves = 0;

    r->door->extra_work += (b->topic_count + b->move_count) / 64;
    for (uint32_t i = 0; i < b->topic_count; i++)
        subscriptions += b->topics[i]->subscription_count;
    for (const struct move *move = b->moves; move != NULL; move = move->next)
        moves += move->state == MOVE_RUNNING;
    add(facts, "queues", "topics", b->topic_count);
    add(facts, "queues", "subscriptions", subscriptions);
    add(facts, "queues", "moves", moves);
}

/* Publishes that wait for room, and what their messages take of the memory. */
static void add_held(struct facts *facts, const struct request *r)
{
    uint64_t publishes = 0, sessions = 0;

    for (const struct session *s = r->door->sessions; s != NULL; s = s->next, sessions++)
        publishes += s->peer.held_count;
    r->door->extra_work += (uint32_t)(sessions / 64);
    add(facts, "clients", "held_publishes", publishes);
    add(facts, "memory", "held_bytes", r->broker->held_bytes);
}

/* The most important of what log.info tells: X(field). */
#define LOG_FACT_LIST(X) \
    X(unsynced_bytes)    \
    X(live_bytes)        \
    X(disk_bytes)        \
    X(segments)          \
    X(syncs)             \
    X(sync_us_max)       \
    X(recovery_ms)

static void add_log(struct facts *facts, const struct request *r)
{
    const struct native_log *log = r->door->log;
    struct wal_info info;

    add_text(facts, "log", "durability", durability_name(options_durability(r->door->options)));
    if (log == NULL)
        return;
    log->info_cb(log->user, &info);
    add_text(facts, "log", "state", log_state_text(info.state));
    add(facts, "log", "waiting_answers", native_waiting(r->door));
#define X(field) add(facts, "log", #field, info.field);
    LOG_FACT_LIST(X)
#undef X
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
    add_queues(&facts, r);
    add_topics_and_moves(&facts, r);
    add_held(&facts, r);
    add_log(&facts, r);
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
