/*
 * load: one run against a server. One thread and epoll(7); producers publish batches with a window of unconfirmed messages,
 * consumers are pushed messages and ack them, and every message is checked on its way.
 *
 * A turn: wait for sockets, read what has come, write the acks, send what the windows allow. A steady load warms up, is
 * measured between two looks at the server, and then waits for what is still under way, which counts for the check only.
 */
#ifndef BENCHMARKS_LOAD_H
#define BENCHMARKS_LOAD_H

#include "benchmarks/ledger.h"
#include "benchmarks/wire.h"

/*
 * The requests of a producer are encoded once, one behind the other in a *train*, and sent from there; before a request is
 * sent again, its msgid and the stamps of its messages are written anew. So a body is never copied on its way out.
 */
struct producer {
    struct wire wire;
    uint32_t index;
    uint64_t sent, confirmed;   /* messages */
    uint64_t received;          /* copies of them */
    uint64_t batches, answered; /* requests */
    uint8_t *train;
    size_t *request_at;    /* by request, and the end */
    size_t *stamp_at;      /* by message of the train */
    uint32_t requests;     /* in the train */
    uint32_t next, queued; /* the one to be sent next, and how many before it are not yet sent */
    size_t out_at;         /* where they begin */
    uint64_t *sent_at_ns;  /* by batch, the last load.times of them */
};

enum consumer_state { CONSUMER_FRAME, CONSUMER_ENTRY, CONSUMER_BODY, CONSUMER_EXTRAS };

struct consumer {
    struct wire wire;
    uint32_t queue;
    /* Where reading stands: in a value, in a delivery, in a body. */
    enum consumer_state state;
    uint32_t entries;    /* of the deliver notification, still to come */
    uint32_t body_bytes; /* of the body */
    uint32_t body_left;
    bool sound, extras; /* the body is as it was sent so far; something follows it */
    /* What is to be acked: receipts as they came, one behind the other, and behind them that of the present body. */
    uint8_t *receipts;
    uint32_t receipt_bytes, receipt_count, last_receipt_at, open_receipt_bytes;
    uint32_t acks_sent;
    uint64_t acked;     /* messages, as the server has counted them */
    uint64_t *expected; /* by producer: above the highest number seen */
    /* Messages of one batch, whose latency is the same. */
    uint64_t run_sent_ns, run_count;
};

struct load {
    const struct bench_options *o;
    struct bench_result *r;
    struct producer *producers;
    struct consumer *consumers;
    struct ledger *ledgers;   /* by queue and producer */
    uint64_t *group_expected; /* by queue, producer and group: above the highest number seen */
    uint8_t *pattern;         /* what bodies hold behind the stamp */
    uint32_t cycle;           /* messages of a train: number modulo this tells group and delay */
    uint32_t times;           /* a power of two */
    uint64_t limit;           /* messages of one producer; UINT64_MAX: until the time is over */
    uint64_t start_ns, now_ns, progress_ns;
    int epoll_fd;
    bool publishing, consuming;
    struct wire_area area;
};

static inline void load_put_u32(uint8_t *at, uint32_t v)
{
    memcpy(at, &v, sizeof v);
}

static inline void load_put_u64(uint8_t *at, uint64_t v)
{
    memcpy(at, &v, sizeof v);
}

static inline uint32_t load_get_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline uint64_t load_get_u64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* The longest name of a queue here, and its terminator. */
#define LOAD_NAME_BYTES 300

/* The name of a queue; with one queue the name that was given. */
void load_queue_name(const struct bench_options *o, uint32_t queue, char name[LOAD_NAME_BYTES]);

/* The delay of the message at a place of the train, in ms: different ones up to the longest, none 0. */
static inline uint64_t load_delay_ms(const struct load *l, uint64_t number)
{
    return 1 + number % l->cycle * 7919 % l->o->delay_ms;
}

/* ---- producers: all return 0, or -1 after a line on stderr -------------------------------------------------------- */

/* Requests in the train of a producer; the same for all. */
uint32_t producer_train_requests(const struct bench_options *o);

int producer_open(struct load *l, uint32_t index);
void producer_close(struct producer *p);

/* Sends what windows and rate allow. */
int producer_send(struct load *l, struct producer *p);
/* When the next batch is to be sent; at a fixed rate that is known beforehand, and latency counts from there. */
uint64_t producer_intended_ns(const struct load *l, const struct producer *p);

extern const struct wire_reader producer_reader;

/* ---- consumers ---------------------------------------------------------------------------------------------------- */

int consumer_open(struct load *l, uint32_t index);
void consumer_close(struct consumer *c);
/* Makes it a consumer of its queue; the answer comes while the load runs. */
int consumer_start(struct load *l, struct consumer *c);

/* Acks what is there to be acked, if it is enough, and writes what can be written. */
int consumer_send(struct load *l, struct consumer *c);

extern const struct wire_reader consumer_reader;

#endif
