/*
 * settle: what becomes of deliveries. All four methods take an array of receipts and answer alike.
 */
#include "protocol/utf8.h"
#include "server/doors/native/request.h"

/* Stands for an element that is no receipt; no receipt is this large, so the broker finds it stale. */
#define NO_RECEIPT UINT64_MAX

/* Reads argument 0 into scratch->numbers. False: the error has been answered. */
static bool read_receipts(struct request *r, uint32_t *count)
{
    const struct decoder *d = r->decoder;
    const uint32_t list = r->arguments[0].node;
    const struct node *n = &d->nodes[list + 1];

    *count = d->nodes[list].count;
    r->fleeting = true; /* stale receipts confirm nothing */
    if (!request_batch(r, "receipts", *count) || !request_numbers(r, *count))
        return false;
    uint64_t *receipts = r->scratch->numbers;
    for (const uint64_t *end = receipts + *count; receipts < end; receipts++) {
        if (n->type == NODE_UINT && n->value.uint < LIMIT_ID) {
            *receipts = n->value.uint;
            n++;
        } else {
            *receipts = NO_RECEIPT;
            n = &d->nodes[decoder_skip(d, (uint32_t)(n - d->nodes))];
        }
    }
    return true;
}

static void encode_entry(struct request *r, const struct outcome *outcome)
{
    const uint64_t receipt = r->scratch->numbers[outcome->index];
    const bool stale = outcome->code == ERR_RECEIPT_STALE;

    encode_array(r->out, 2);
    encode_uint(r->out, outcome->index);
    if (receipt == NO_RECEIPT) {
        encode_error(r->out, ERR_BAD_REQUEST, "a receipt must be an integer from 0 to 2^53 - 1", "receipts", 0);
        return;
    }
    encode_error(r->out, outcome->code, NULL, outcome->which, stale ? 2 : 0);
    if (stale) {
        encode_text(r->out, "index");
        encode_uint(r->out, outcome->index);
        encode_text(r->out, "receipt");
        encode_uint(r->out, receipt);
    }
}

static void answer_settled(struct request *r, enum error_code code, uint32_t applied)
{
    const struct broker *b = r->broker;

    if (code != ERR_NONE) {
        answer_error(r, code, b->which);
        return;
    }
    answer_begin(r);
    if (b->outcome_count > 0)
        encode_array(r->out, 2);
    encode_uint(r->out, applied);
    if (b->outcome_count > 0)
        encode_array(r->out, b->outcome_count);
    for (uint32_t i = 0; i < b->outcome_count; i++)
        encode_entry(r, &b->outcomes[i]);
}

/* The client's own words; false: BAD_REQUEST has been answered. */
static bool read_note(struct request *r, unsigned argument, struct view *note)
{
    *note = request_has(r, argument) ? r->arguments[argument].text : (struct view){NULL, 0};
    if (note->bytes <= LIMIT_NOTE_BYTES && utf8_is_text(note->data, note->bytes))
        return true;
    answer_bad_request(r, "note", "a note must be UTF-8 of at most 1024 bytes");
    return false;
}

void handle_ack(struct request *r)
{
    enum { RECEIPTS, MULTIPLE };
    uint32_t count, applied = 0;

    if (!read_receipts(r, &count))
        return;
    const enum error_code code = broker_ack(r->broker, r->now_ms, r->scratch->numbers, count,
                                            request_number(r, MULTIPLE, false), &applied);
    answer_settled(r, code, applied);
}

void handle_nack(struct request *r)
{
    enum { RECEIPTS, DELAY, DEAD, NOTE };
    struct nack_options options = {.delay_ms = request_ms(r, DELAY), .dead = request_number(r, DEAD, false)};
    uint32_t count, applied = 0;

    if (options.dead && options.delay_ms >= 0) {
        answer_bad_request(r, "delay", "delay and dead exclude each other");
        return;
    }
    if (!read_note(r, NOTE, &options.note) || !read_receipts(r, &count))
        return;
    const enum error_code code = broker_nack(r->broker, r->now_ms, r->scratch->numbers, count, &options, &applied);
    answer_settled(r, code, applied);
}

void handle_extend(struct request *r)
{
    enum { RECEIPTS, VISIBILITY };
    uint32_t count, applied = 0;

    if (!read_receipts(r, &count))
        return;
    const enum error_code code = broker_extend(r->broker, r->now_ms, r->scratch->numbers, count,
                                               (int64_t)r->arguments[VISIBILITY].number, &applied);
    answer_settled(r, code, applied);
}

void handle_park(struct request *r)
{
    enum { RECEIPTS, NOTE };
    struct view note;
    uint32_t count, applied = 0;

    if (!read_note(r, NOTE, &note) || !read_receipts(r, &count))
        return;
    const enum error_code code = broker_park(r->broker, r->now_ms, r->scratch->numbers, count, note, &applied);
    answer_settled(r, code, applied);
}
