#include "benchmarks/load.h"
#include "protocol/encoder.h"

#include <stdlib.h>

#define RECEIPT_BYTES 9 /* at most, on the wire */

/* A delivery is read in two parts: up to the stamp, and the body behind it, which may come in many pieces. */

int consumer_open(struct load *l, uint32_t index)
{
    struct consumer *c = &l->consumers[index];
    c->queue = index % l->o->queues;
    c->receipts = calloc((size_t)l->o->ack + 1, RECEIPT_BYTES);
    c->expected = calloc(l->o->producers, sizeof *c->expected);
    if (!c->receipts || !c->expected)
        return wire_fail("memory");
    return wire_open(&c->wire, l->o);
}

void consumer_close(struct consumer *c)
{
    wire_close(&c->wire);
    free(c->receipts);
    free(c->expected);
}

int consumer_start(struct load *l, struct consumer *c)
{
    char queue[LOAD_NAME_BYTES];
    load_queue_name(l->o, c->queue, queue);
    wire_begin(&c->wire, "consume", 2);
    encode_text(&c->wire.out, queue);
    encode_map(&c->wire.out, 1);
    encode_text(&c->wire.out, "prefetch");
    encode_uint(&c->wire.out, l->o->prefetch);
    return wire_write(&c->wire);
}

static void ack(const struct load *l, struct consumer *c)
{
    struct buffer *out = &c->wire.out;
    const uint32_t from = l->o->multiple ? c->last_receipt_at : 0;
    /* Msgid 0 was that of consume. */
    c->acks_sent = c->acks_sent == UINT32_MAX ? 1 : c->acks_sent + 1;
    encode_array(out, 4);
    encode_uint(out, 0);
    encode_uint(out, c->acks_sent);
    encode_text(out, "ack");
    encode_array(out, l->o->multiple ? 2 : 1);
    encode_array(out, l->o->multiple ? 1 : c->receipt_count);
    buffer_append(out, c->receipts + from, c->receipt_bytes - from);
    if (l->o->multiple) {
        encode_map(out, 1);
        encode_text(out, "multiple");
        encode_bool(out, true);
    }
    memmove(c->receipts, c->receipts + c->receipt_bytes, RECEIPT_BYTES);
    c->receipt_count = c->receipt_bytes = 0;
}

int consumer_send(struct load *l, struct consumer *c)
{
    /* A few receipts are kept back only while more are sure to come. */
    bool more = l->publishing && l->o->rate <= 0 && l->o->groups == 0;
    if (c->receipt_count > 0 && !more)
        ack(l, c);
    return wire_write(&c->wire);
}

/* ---- what is checked ---------------------------------------------------------------------------------------------- */

static void note_order(struct load *l, struct consumer *c, uint32_t producer, uint64_t number)
{
    uint64_t *expected = &c->expected[producer];
    if (l->o->delay_ms > 0)
        return;
    if (l->o->groups > 0)
        expected = &l->group_expected[((uint64_t)c->queue * l->o->producers + producer) * l->o->groups +
                                      number % l->cycle % l->o->groups];
    if (number < *expected)
        l->r->disordered++;
    *expected = number + 1;
}

static void flush_run(struct load *l, struct consumer *c)
{
    if (c->run_count > 0)
        histogram_add(&l->r->end_to_end, l->now_ns > c->run_sent_ns ? l->now_ns - c->run_sent_ns : 0, c->run_count);
    c->run_count = 0;
}

static void note_time(struct load *l, struct consumer *c, uint64_t sent_ns, uint64_t number)
{
    if (l->o->delay_ms > 0) {
        uint64_t due_ns = sent_ns + load_delay_ms(l, number) * 1000000;
        if (l->now_ns < due_ns)
            l->r->early++;
        histogram_add(&l->r->lateness, l->now_ns > due_ns ? l->now_ns - due_ns : 0, 1);
        return;
    }
    if (sent_ns != c->run_sent_ns) {
        flush_run(l, c);
        c->run_sent_ns = sent_ns;
    }
    c->run_count++;
}

/* A message with this stamp. Returns 0, or -1 if memory ran out. */
static int note_message(struct load *l, struct consumer *c, const uint8_t *stamp)
{
    const uint32_t index = load_get_u32(stamp), batch = load_get_u32(stamp + 4);
    const uint64_t number = load_get_u64(stamp + 8);
    if (index >= l->o->producers || number >= l->producers[index].sent) {
        c->sound = false;
        return 0;
    }
    struct producer *p = &l->producers[index];
    note_time(l, c, p->sent_at_ns[batch & (l->times - 1)], number);
    struct ledger *ledger = &l->ledgers[(size_t)c->queue * l->o->producers + index];
    uint64_t before = ledger->received;
    if (!l->o->verify) {
        ledger->received++;
    } else {
        note_order(l, c, index, number);
        if (!ledger_receive(ledger, number))
            return wire_fail("memory");
    }
    p->received += ledger->received - before;
    return 0;
}

/* ---- what comes --------------------------------------------------------------------------------------------------- */

/* deliver: [2, "deliver", [consumer, [[receipt, id, attempts, body], ...]]], up to the deliveries. */
static enum piece_result read_deliver(struct consumer *c, struct piece *piece)
{
    static const char head[] = "\x93\x02\xa7"
                               "deliver\x92";
    struct piece at = *piece;
    uint64_t consumer;
    uint32_t entries = 0;
    enum piece_result result = piece_bytes(&at, head, sizeof head - 1);
    if (result == PIECE_OK)
        result = piece_uint(&at, &consumer);
    if (result == PIECE_OK)
        result = piece_array(&at, &entries);
    if (result != PIECE_OK)
        return result;
    c->entries = entries;
    c->state = entries > 0 ? CONSUMER_ENTRY : CONSUMER_FRAME;
    *piece = at;
    return PIECE_OK;
}

/* The answer to an ack [1, msgid, nil, count], or to consume. */
static enum piece_result read_answer(struct consumer *c, struct piece *piece)
{
    struct piece at = *piece;
    uint64_t msgid, count = 0;
    enum piece_result result = piece_bytes(&at, "\x94\x01", 2);
    if (result == PIECE_OK)
        result = piece_uint(&at, &msgid);
    if (result == PIECE_OK)
        result = piece_bytes(&at, "\xc0", 1);
    if (result == PIECE_OK)
        result = piece_uint(&at, &count);
    if (result != PIECE_OK)
        return result;
    c->acked += msgid > 0 ? count : 0;
    *piece = at;
    return PIECE_OK;
}

static enum piece_result read_frame(struct consumer *c, struct piece *piece)
{
    return piece->at < piece->end && *piece->at == 0x93 ? read_deliver(c, piece) : read_answer(c, piece);
}

/* Up to and with the stamp: [receipt, id, attempts, body's head. */
static enum piece_result read_entry(struct load *l, struct consumer *c, struct piece *piece)
{
    struct piece at = *piece;
    uint64_t number;
    uint32_t bytes = 0;
    if (at.at == at.end)
        return PIECE_MORE;
    const uint8_t head = *at.at++;
    if (head != 0x94 && head != 0x95)
        return PIECE_OTHER;
    const uint8_t *receipt = at.at;
    enum piece_result result = piece_uint(&at, &number);
    const size_t receipt_bytes = (size_t)(at.at - receipt);
    for (int i = 0; i < 2 && result == PIECE_OK; i++)
        result = piece_uint(&at, &number);
    if (result == PIECE_OK)
        result = piece_bin(&at, &bytes);
    if (result != PIECE_OK)
        return result;
    if (bytes < BENCH_STAMP_BYTES)
        return PIECE_OTHER;
    if (at.end - at.at < BENCH_STAMP_BYTES)
        return PIECE_MORE;
    c->extras = head == 0x95;
    c->sound = bytes == l->o->size;
    c->body_bytes = bytes;
    c->body_left = bytes - BENCH_STAMP_BYTES;
    /* More than the receipt is copied, which is cheaper than as much as it has; a stamp follows it at least. */
    memcpy(c->receipts + c->receipt_bytes, receipt, RECEIPT_BYTES);
    c->open_receipt_bytes = (uint32_t)receipt_bytes;
    c->state = CONSUMER_BODY;
    *piece = at;
    piece->at += BENCH_STAMP_BYTES;
    return note_message(l, c, at.at) < 0 ? PIECE_FAILED : PIECE_OK;
}

static void end_message(struct load *l, struct consumer *c)
{
    c->state = --c->entries > 0 ? CONSUMER_ENTRY : CONSUMER_FRAME;
    l->r->corrupt += !c->sound;
    c->last_receipt_at = c->receipt_bytes;
    c->receipt_bytes += c->open_receipt_bytes;
    if (++c->receipt_count == l->o->ack)
        ack(l, c);
}

static enum piece_result read_body(struct load *l, struct consumer *c, struct piece *piece)
{
    const size_t there = (size_t)(piece->end - piece->at);
    const size_t bytes = there < c->body_left ? there : c->body_left;
    if (l->o->verify && c->sound)
        c->sound = memcmp(piece->at, l->pattern + (c->body_bytes - c->body_left), bytes) == 0;
    piece->at += bytes;
    c->body_left -= (uint32_t)bytes;
    if (c->body_left > 0)
        return PIECE_MORE;
    if (c->extras)
        c->state = CONSUMER_EXTRAS;
    else
        end_message(l, c);
    return PIECE_OK;
}

/* {"group": group}, of less than 32 bytes. */
static enum piece_result read_extras(struct load *l, struct consumer *c, struct piece *piece)
{
    struct piece at = *piece;
    enum piece_result result = piece_bytes(&at, "\x81\xa5group", 7);
    if (result != PIECE_OK)
        return result;
    if (at.at == at.end)
        return PIECE_MORE;
    const uint8_t bytes = *at.at & 31;
    if (*at.at >> 5 != 5)
        return PIECE_OTHER;
    if (at.end - at.at <= bytes)
        return PIECE_MORE;
    piece->at = at.at + 1 + bytes;
    end_message(l, c);
    return PIECE_OK;
}

static int read_deliveries(void *user, struct wire *w, struct piece *piece)
{
    struct load *l = user;
    struct consumer *c = w->owner;
    enum piece_result result = PIECE_OK;
    l->now_ns = bench_now_ns();
    while (result == PIECE_OK) {
        if (c->state == CONSUMER_FRAME)
            result = read_frame(c, piece);
        if (c->state == CONSUMER_ENTRY && result == PIECE_OK)
            result = read_entry(l, c, piece);
        if (c->state == CONSUMER_BODY && result == PIECE_OK)
            result = read_body(l, c, piece);
        if (c->state == CONSUMER_EXTRAS && result == PIECE_OK)
            result = read_extras(l, c, piece);
    }
    flush_run(l, c);
    w->decoding = result == PIECE_OTHER;
    return result == PIECE_FAILED ? -1 : 0;
}

/* Whatever else is sent, an error or the end of the consumer, ends the run. */
static int refuse_value(void *user, struct wire *w)
{
    (void)user;
    return wire_complain(w->decoder, "consume and ack");
}

const struct wire_reader consumer_reader = {read_deliveries, refuse_value};
