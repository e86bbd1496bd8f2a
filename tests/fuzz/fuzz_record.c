/*
 * The log's formats: the input is the records of a batch, which are folded into a broker that then begins to run; and it is a
 * segment's header, and a batch's. Refused or not, nothing outside of the bytes is read, the hooks add up, and no memory is left
 * at the end. A good header is written again and must be the same.
 */
#include "server/log/fold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int64_t messages;

static void on_message(void *user, struct queue *q, struct message *m, bool above)
{
    (void)user, (void)q, (void)above;
    assert(m->mark == 0);
    m->mark = 1;
    messages++;
}

static void on_message_gone(void *user, struct queue *q, struct message *m)
{
    (void)user, (void)q;
    assert(m->mark == 1);
    m->mark = 0;
    messages--;
}

static void check_counts(const struct broker *b)
{
    int64_t held = 0;
    for (uint32_t i = 0; i < b->queue_count; i++)
        held += (int64_t)queue_total(b->queues[i]);
    assert(held == messages);
}

static void run(struct broker *b)
{
    if (restore_finish(b, 1000) != RESTORE_DONE)
        return;
    broker_restarted(b, 1000);
    for (int64_t now_ms = 1000; now_ms < 3000; now_ms += 1000)
        for (unsigned turns = 0; turns < 100 && broker_turn(b, now_ms); turns++)
            broker_effects_done(b);
    broker_effects_done(b);
}

static void fold(struct view records)
{
    static const struct broker_limits limits = {
        .max_memory_bytes = 1 << 30,
        .max_message_bytes = 1 << 20,
        .max_body_bytes = 1 << 20,
        .max_response_bytes = 1 << 20,
        .max_batch = 1000,
        .max_queues = 1000,
    };
    struct broker b;
    struct fold f = {
        .broker = &b, .wall_offset_ms = 100000, .message_cb = on_message, .message_gone_cb = on_message_gone};
    size_t at;
    messages = 0;
    broker_init(&b, &limits, 1, 1);
    b.pool.held_limit = 1 << 28; /* ids far from each other take a page each */
    enum fold_result result = fold_batch(&f, records, &at);
    assert(at <= records.bytes);
    if (result != FOLD_NO_MEMORY) {
        check_counts(&b);
        result = fold_end(&f);
    }
    if (result == FOLD_DONE) {
        check_counts(&b);
        run(&b);
    }
    broker_close(&b);
    assert(b.pool.used_bytes == 0);
}

static void headers(const uint8_t *data, size_t bytes)
{
    uint8_t in[SEGMENT_HEADER_BYTES] = {0}, out[SEGMENT_HEADER_BYTES];
    struct segment_header segment;
    struct batch_header batch;
    memcpy(in, data, bytes < sizeof in ? bytes : sizeof in);
    if (segment_header_read(in, &segment) == SEGMENT_GOOD) {
        segment_header_put(out, &segment);
        assert(memcmp(in, out, SEGMENT_HEADER_BYTES) == 0);
    }
    if (batch_header_read(in, 0, &batch) && batch.term == 0) {
        batch_header_put(out, &batch, 0);
        assert(memcmp(in, out, BATCH_HEADER_BYTES) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct view records = {data, bytes};
    headers(data, bytes);
    fold(records);
    return 0;
}
