/*
 * wire: one connection of the benchmark, on the protocol's own encoder and decoder. Blocking while it is set up, afterwards
 * driven by the load's loop, which reads known shapes itself and leaves the rest to the decoder.
 */
#ifndef BENCHMARKS_WIRE_H
#define BENCHMARKS_WIRE_H

#include "benchmarks/bench.h"
#include "benchmarks/piece.h"
#include "protocol/buffer.h"
#include "protocol/decoder.h"

/* Read at once. */
#define WIRE_IN_BYTES ((size_t)1 << 18)
/* Of the answer to a call, read at once. */
#define WIRE_ANSWER_BYTES 2048
/* What the load's own reader may leave unread, because it is not whole yet. */
#define WIRE_KEPT_BYTES 512

struct wire {
    int fd;
    bool wants_out; /* the loop has been asked to say when it can be written to */
    bool decoding;  /* the next value is the decoder's, or it is in the middle of it */
    void *owner;
    struct buffer out;
    struct decoder *decoder;
    size_t kept_bytes;
    uint8_t kept[WIRE_KEPT_BYTES];
    uint8_t answer[WIRE_ANSWER_BYTES]; /* to a call; the decoder looks into it */
};

/* Whoever reads what comes. */
struct wire_reader {
    /*
     * Reads what it can, moves the piece on, and sets w->decoding if the next value has no shape that it knows.
     * What remains otherwise is not whole, and at most WIRE_KEPT_BYTES. Returns 0, or -1 after a line on stderr.
     */
    int (*read_cb)(void *user, struct wire *w, struct piece *piece);
    /* Takes one value from the decoder. Returns 0, or -1 after a line on stderr. */
    int (*value_cb)(void *user, struct wire *w);
};

/* The memory that all connections read into. */
struct wire_area {
    uint8_t kept[WIRE_KEPT_BYTES], in[WIRE_IN_BYTES];
};

/* All return 0, or -1 after a line on stderr. */
int wire_open(struct wire *w, const struct bench_options *o);
void wire_close(struct wire *w);

/* Begins a request; `params` values must follow, and then wire_call(). */
void wire_begin(struct wire *w, const char *method, uint32_t params);
/* Sends what has been encoded and waits for the one answer, which stays in the decoder until decoder_next(). */
int wire_call(struct wire *w, const char *method);
/* A call with one name, whose answer does not matter. */
int wire_call_name(struct wire *w, const char *method, const char *name);

/* A connected socket; for those who speak no protocol. */
int wire_connect(const struct bench_options *o);

/* Writes of `out` what can be written. */
int wire_write(struct wire *w);

/* Reads what is there. */
int wire_read(struct wire *w, struct wire_area *area, const struct wire_reader *reader, void *user);

/* True if the decoder holds the answer to a request. */
bool wire_is_response(const struct decoder *d);
/* The node behind a key; 0 if there is none. */
uint32_t wire_find(const struct decoder *d, const char *key);
/* Says on stderr that an answer was not as expected; returns -1. */
int wire_complain(const struct decoder *d, const char *what);
/* Says on stderr what the system has to say; returns -1. */
int wire_fail(const char *what);

#endif
