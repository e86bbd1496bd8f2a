#include "tests/support/wal_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS    (INT64_C(1) << 40)
#define WALL_OFFSET INT64_C(600000000000)
#define MOST_BODY   3000

static const char *const names[] = {"plain", "dead", "tries", "lines", "brief"};
#define QUEUES (sizeof names / sizeof *names)

/* ---- the history ------------------------------------------------------------------------------------------------- */

static void note(struct wal_world *w)
{
    const uint64_t last = w->history_count ? w->history[w->history_count - 1].batch : 0;
    if (w->wal->batch == last)
        return;
    const uint64_t digest = broker_digest(&w->b, w->now_ms);
    for (uint64_t batch = last + 1; batch <= w->wal->batch; batch++) {
        if (w->history_count == w->history_cap) {
            w->history_cap = w->history_cap ? w->history_cap * 2 : 1024;
            w->history = realloc(w->history, w->history_cap * sizeof *w->history);
            assert(w->history);
        }
        w->history[w->history_count++] = (struct wal_world_state){batch, digest, w->wal->written_place, w->now_ms};
    }
}

static void on_event(void *user)
{
    struct wal *wal = user;
    wal->watcher.event_cb(wal);
    note(wal->options.user);
}

/* What comes behind the history is empty: the last words of a log that was closed well. */
bool world_is_as_it_was(struct wal_world *w)
{
    const uint64_t batch = world_batch(w);
    const struct wal_world_state *s = NULL;
    for (uint32_t i = w->history_count; i-- > 0 && !s;)
        if (w->history[i].batch <= batch)
            s = &w->history[i];
    struct broker empty;
    const struct broker_limits limits = {.max_memory_bytes = UINT64_MAX, .max_batch = 1};
    broker_init(&empty, &limits, START_MS, 1);
    const uint64_t nothing = broker_digest(&empty, START_MS);
    broker_close(&empty);
    return broker_digest(&w->b, s ? s->at_ms : w->now_ms) == (s ? s->digest : nothing);
}

uint64_t world_batch(const struct wal_world *w)
{
    return w->wal->batch;
}

/* Batches without records have the place of the one before: who waits for a record does not wait for them. */
uint64_t world_confirmed(const struct wal_world *w)
{
    const uint64_t safe = wal_safe(w->wal);
    uint64_t batch = 0, place = 0;
    for (uint32_t i = 0; i < w->history_count; i++) {
        const struct wal_world_state *s = &w->history[i];
        if (s->batch < w->wal->first_of_run || s->place > safe || s->place == place)
            continue;
        batch = s->batch;
        place = s->place;
    }
    return batch;
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

void world_init(struct wal_world *w, struct disk *disk, enum wal_level level, uint64_t seed)
{
    *w = (struct wal_world){.disk = disk, .random = {seed}, .now_ms = START_MS};
    w->options = (struct wal_options){.level = level, .interval_ms = 50, .segment_bytes = WAL_SEGMENT_MIN};
}

bool world_open(struct wal_world *w)
{
    const struct broker_limits limits = {
        .max_memory_bytes = UINT64_MAX,
        .max_message_bytes = 1 << 20,
        .max_body_bytes = 1 << 24,
        .max_response_bytes = 1 << 24,
        .max_batch = 1000,
        .max_wait_ms = 20000,
        .max_queues = 1000,
    };
    broker_init(&w->b, &limits, w->now_ms, 1);
    w->b.clock_slack_ms = 1;
    w->b.wall_offset_ms = WALL_OFFSET;
    w->b.random = random_next(&w->random) | 1;
    w->b.hash_seed = random_next(&w->random);
    w->receipt_count = 0;
    w->options.user = w;
    w->wal = wal_open(&w->options, disk_files(w->disk), &w->b, w->now_ms, &w->error);
    if (!w->wal) {
        broker_close(&w->b);
        return false;
    }
    /* What was cut off is void: batches of this run begin with the same numbers. */
    while (w->history_count > 0 && w->history[w->history_count - 1].batch > w->wal->batch)
        w->history_count--;
    w->watcher = w->wal->watcher;
    w->watcher.event_cb = on_event;
    broker_peer_open(&w->peer, w, 1 << 30);
    return true;
}

/* From here on the history goes on. The recovered state itself is history already. */
static void listen(struct wal_world *w)
{
    w->b.watcher = &w->watcher;
}

void world_die(struct wal_world *w)
{
    w->b.watcher = NULL;
    broker_effects_done(&w->b);
    broker_peer_close(&w->b, w->now_ms, &w->peer);
    struct wal *wal = w->wal;
    w->wal = NULL;
    broker_close(&w->b);
    wal_abandon(wal);
}

bool world_close(struct wal_world *w)
{
    append_finish(w->wal);
    note(w);
    w->b.watcher = NULL;
    broker_peer_close(&w->b, w->now_ms, &w->peer);
    const bool safe = wal_close(w->wal);
    w->wal = NULL;
    broker_close(&w->b);
    return safe;
}

void world_free(struct wal_world *w)
{
    free(w->history);
}

/* ---- the load ---------------------------------------------------------------------------------------------------- */

static uint64_t below(struct wal_world *w, uint64_t limit)
{
    return random_below(&w->random, limit);
}

static void create(struct wal_world *w, size_t which)
{
    struct attribute_set set = {0};
    bool created;
    uint32_t differing;
    attributes_init(&set.values);
    set.values.visibility = 200 + (int64_t)below(w, 500);
    set.values.dedup_window = 400;
    set.named = 1u << ATTRIBUTE_visibility | 1u << ATTRIBUTE_dedup_window;
    if (which == 2) {
        set.values.max_attempts = 2;
        set.values.dead_letter.bytes = 4;
        memcpy(set.values.dead_letter.text, "dead", 4);
        set.named |= 1u << ATTRIBUTE_max_attempts | 1u << ATTRIBUTE_dead_letter;
    }
    if (which == 3) {
        set.values.type = QUEUE_FIFO;
        set.named |= 1u << ATTRIBUTE_type;
    }
    if (which == 4) {
        set.values.ttl = 600;
        set.values.max_messages = 20;
        set.values.overflow = OVERFLOW_DROP_OLDEST;
        set.named |= 1u << ATTRIBUTE_ttl | 1u << ATTRIBUTE_max_messages | 1u << ATTRIBUTE_overflow;
    }
    (void)broker_queue_create(&w->b, w->now_ms, names[which], strlen(names[which]), &set, &created, &differing);
}

static struct queue *any_queue(struct wal_world *w)
{
    const char *name = names[below(w, QUEUES)];
    return broker_queue_find(&w->b, name, strlen(name));
}

void world_prepare(struct wal_world *w)
{
    bool created;
    listen(w);
    create(w, 1);
    for (size_t i = 0; i < QUEUES; i++)
        create(w, i);
    (void)broker_topic_create(&w->b, "news", 4, &created);
    struct topic *t = broker_topic_find(&w->b, "news", 4);
    for (size_t i = 0; t && i < QUEUES; i++) {
        struct queue *q = broker_queue_find(&w->b, names[i], strlen(names[i]));
        if (q)
            (void)broker_subscribe(&w->b, t, q, (struct view){"a.*", 3}, (struct view){NULL, 0}, &created);
    }
}

struct parts {
    struct publication p;
    uint8_t body[MOST_BODY * 8], headers[64];
    char group[8], dedup[8];
};

static void make_up(struct wal_world *w, struct parts *x, bool grouped)
{
    const size_t most = w->large > 0 && below(w, 20) == 0 ? sizeof x->body : below(w, 8) ? 100 : MOST_BODY;
    const size_t bytes = below(w, most);
    const uint64_t stamp = random_next(&w->random);
    for (size_t i = 0; i < bytes; i++)
        x->body[i] = (uint8_t)(stamp >> (i % 8 * 8));
    x->p = (struct publication){.body = {x->body, bytes}, .delay_ms = -1, .ttl_ms = -1};
    if (grouped || below(w, 6) == 0) {
        x->group[0] = (char)('a' + below(w, 4));
        x->p.group = (struct view){x->group, 1};
    }
    if (below(w, 5) == 0) {
        x->dedup[0] = (char)('a' + below(w, 20));
        x->p.dedup_id = (struct view){x->dedup, 1};
    }
    if (below(w, 5) == 0) {
        const struct header h = {.kind = HEADER_UINT, .key = {"n", 1}, .number = below(w, 1000)};
        x->p.headers = (struct view){x->headers, (size_t)(header_put(x->headers, &h) - x->headers)};
    }
    if (below(w, 5) == 0)
        x->p.delay_ms = (int64_t)below(w, 300);
    if (below(w, 8) == 0)
        x->p.ttl_ms = 1 + (int64_t)below(w, 500);
    if (!grouped && below(w, 6) == 0)
        x->p.priority = (uint8_t)below(w, 10);
}

static void publish(struct wal_world *w)
{
    struct queue *q = any_queue(w);
    struct topic *t = below(w, 5) == 0 ? broker_topic_find(&w->b, "news", 4) : NULL;
    static struct parts parts[12];
    struct publication items[12];
    const uint32_t count = 1 + (uint32_t)below(w, below(w, 3) ? 2 : 12);
    const struct publish_options options = {.atomic = below(w, 4) == 0};
    struct publish_result result;
    uint64_t copies;
    bool held;
    if (!q)
        return;
    for (uint32_t i = 0; i < count; i++) {
        make_up(w, &parts[i], t || q->attributes.type == QUEUE_FIFO);
        items[i] = parts[i].p;
    }
    const struct publications all = {.items = items, .count = count};
    if (t)
        (void)broker_topic_publish(&w->b, w->now_ms, t, (struct view){"a.b", 3}, &all, &options, &copies, &held);
    else
        (void)broker_publish(&w->b, w->now_ms, q, &all, &options, &result);
}

static void receive(struct wal_world *w)
{
    struct queue *q = any_queue(w);
    const struct receive_options options = {.max = 1 + (uint32_t)below(w, 6), .visibility_ms = -1};
    bool served = false;
    if (!q || broker_receive(&w->b, w->now_ms, q, &w->peer, &options, &served) != ERR_NONE || !served)
        return;
    for (uint32_t i = 0; i < w->b.delivery_count; i++) {
        if (w->receipt_count == WORLD_RECEIPTS)
            w->receipts[below(w, WORLD_RECEIPTS)] = w->b.deliveries[i].receipt;
        else
            w->receipts[w->receipt_count++] = w->b.deliveries[i].receipt;
    }
}

static uint32_t some_receipts(struct wal_world *w, uint64_t out[4])
{
    uint32_t count = 0;
    while (count < 4 && w->receipt_count > 0 && (count == 0 || below(w, 2))) {
        const uint64_t i = below(w, w->receipt_count);
        out[count++] = w->receipts[i];
        w->receipts[i] = w->receipts[--w->receipt_count];
    }
    return count;
}

static void settle(struct wal_world *w)
{
    uint64_t receipts[4];
    uint32_t applied;
    const struct nack_options nack = {.delay_ms = below(w, 2) ? (int64_t)below(w, 400) : -1};
    const struct nack_options dead = {.delay_ms = -1, .dead = true, .note = {"bad", 3}};
    const uint32_t count = some_receipts(w, receipts);
    if (count == 0)
        return;
    switch (below(w, 8)) {
    case 0:
        (void)broker_nack(&w->b, w->now_ms, receipts, count, &nack, &applied);
        return;
    case 1:
        (void)broker_nack(&w->b, w->now_ms, receipts, count, &dead, &applied);
        return;
    case 2:
        (void)broker_park(&w->b, w->now_ms, receipts, count, (struct view){"why", below(w, 2) ? 3 : 0}, &applied);
        return;
    case 3:
        (void)broker_extend(&w->b, w->now_ms, receipts, count, (int64_t)below(w, 2) * 300, &applied);
        return;
    case 4:
        broker_unwritten(&w->b, w->now_ms, receipts[0]);
        return;
    default:
        (void)broker_ack(&w->b, w->now_ms, receipts, count, false, &applied);
    }
}

static void commit(struct wal_world *w)
{
    static struct parts x;
    uint64_t receipts[4];
    struct commit_part part = {.queue = any_queue(w)};
    struct commit_culprit culprit;
    const uint32_t count = some_receipts(w, receipts);
    if (!part.queue)
        return;
    make_up(w, &x, part.queue->attributes.type == QUEUE_FIFO);
    part.messages = (struct publications){.items = &x.p, .count = 1};
    (void)broker_commit(&w->b, w->now_ms, &part, 1, receipts, count, &culprit);
}

static void administer(struct wal_world *w)
{
    struct queue *q = any_queue(w);
    struct topic *t = broker_topic_find(&w->b, "news", 4);
    struct attribute_set set = {.named = 1u << ATTRIBUTE_visibility};
    uint64_t count;
    bool created;
    if (!q) {
        world_prepare(w);
        return;
    }
    switch (below(w, 12)) {
    case 0:
        (void)broker_queue_purge(&w->b, q, (unsigned)(1 + below(w, 15)));
        return;
    case 1:
        if (below(w, 4) == 0)
            (void)broker_queue_delete(&w->b, w->now_ms, q, false, false, &count);
        return;
    case 2:
        set.values.visibility = 200 + (int64_t)below(w, 300);
        (void)broker_queue_update(&w->b, q, &set);
        return;
    case 3:
        broker_queue_pause(&w->b, q, below(w, 3) == 0);
        return;
    case 4:
        if (t && below(w, 3) == 0)
            broker_topic_delete(&w->b, t);
        return;
    case 5:
        if (t)
            (void)broker_unsubscribe(&w->b, t, q, (struct view){NULL, 0});
        return;
    case 6:
        if (t)
            (void)broker_subscribe(&w->b, t, q, (struct view){"a.#", 3}, (struct view){NULL, 0}, &created);
        return;
    case 7:
        (void)broker_move(&w->b, w->now_ms, q, NULL, 0, 5, &count);
        return;
    case 8:
        world_prepare(w);
        return;
    case 9:
        count = 1 + below(w, q->next_id);
        (void)broker_discard(&w->b, q, &count, 1);
        return;
    default:
        (void)broker_kick(&w->b, w->now_ms, q, below(w, 4));
    }
}

void world_step(struct wal_world *w)
{
    const uint64_t dice = below(w, 20);
    if (dice < 8)
        publish(w);
    else if (dice < 12)
        receive(w);
    else if (dice < 17)
        settle(w);
    else if (dice < 18)
        commit(w);
    else
        administer(w);
    on_event(w->wal);
}

void world_turn(struct wal_world *w)
{
    (void)broker_turn(&w->b, w->now_ms);
    broker_effects_done(&w->b);
    w->wal->now_ms = w->now_ms;
    append_finish(w->wal);
    note(w); /* before compaction adds batches of its own: places are exact */
    wal_write(w->wal, w->now_ms);
    note(w);
}

void world_jobs(struct wal_world *w, uint32_t most)
{
    while (most-- > 0 && wal_step(w->wal))
        wal_collect(w->wal, w->now_ms);
    note(w);
    if (w->wal->state != WAL_FAILED && w->wal->synced_batch > w->safe_batch)
        w->safe_batch = w->wal->synced_batch;
}

void world_run(struct wal_world *w, uint32_t turns)
{
    listen(w);
    while (turns-- > 0) {
        for (uint64_t steps = below(w, 7); steps > 0; steps--)
            world_step(w);
        world_turn(w);
        world_jobs(w, (uint32_t)below(w, 4));
        w->now_ms += (int64_t)below(w, 30);
    }
}
