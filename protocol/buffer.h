/*
 * buffer: bytes on their way out. One contiguous growing area, plus *splices*: large bodies that are not copied but
 * referenced at a position between the copied bytes. The socket side turns it into an iovec.
 *
 * The happy path: reserve room once for what comes, store into it, write all of it, reset. If memory runs out the
 * buffer turns `failed`, further bytes are dropped, and its owner must end the connection: half an answer is of no use.
 *
 * Ownership: the buffer owns its area; of a splice it owns one reference to `owner`, given back through `release_cb`.
 */
#ifndef PROTOCOL_BUFFER_H
#define PROTOCOL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

struct splice {
    size_t at; /* position in the copied bytes before which it stands */
    const uint8_t *data;
    size_t bytes;
    void *owner;
};

struct buffer {
    uint8_t *data;
    size_t bytes; /* copied bytes stored */
    size_t cap;
    struct splice *splices;
    uint32_t splice_count;
    uint32_t splice_cap;
    size_t spliced_bytes;  /* of all splices, not yet consumed */
    size_t sent_bytes;     /* of `data`, already consumed */
    uint32_t sent_splices; /* whole splices already consumed */
    size_t sent_in_splice; /* bytes consumed of the next splice */
    bool failed;           /* memory ran out: contents are incomplete */
    void (*release_cb)(void *owner);
};

/* An empty buffer without memory. `release_cb` may be NULL if nothing is ever spliced. */
void buffer_init(struct buffer *b, void (*release_cb)(void *owner));

/* Frees the area and releases all splices not yet consumed. */
void buffer_close(struct buffer *b);

/* Drops the contents (releasing splices), keeps the area and clears `failed`. */
void buffer_reset(struct buffer *b);

/* Room for `bytes` more. Returns where to store, or NULL and sets `failed`. Does not change `bytes`. */
uint8_t *buffer_grow(struct buffer *b, size_t bytes);

static inline uint8_t *buffer_reserve(struct buffer *b, size_t bytes)
{
    if (b->cap - b->bytes >= bytes && !b->failed)
        return b->data + b->bytes;
    return buffer_grow(b, bytes);
}

/* Copies `bytes` bytes in. */
void buffer_append(struct buffer *b, const void *data, size_t bytes);

/* References `bytes` bytes at `data` here. Takes over one reference to `owner` (released at once on failure). */
void buffer_splice(struct buffer *b, const void *data, size_t bytes, void *owner);

/* Bytes not yet consumed, splices included. */
size_t buffer_pending(const struct buffer *b);

/* Fills up to `max` entries with what is pending, in order; returns how many. */
int buffer_iovec(const struct buffer *b, struct iovec *iov, int max);

/*
 * Takes the first `bytes` pending bytes as sent; at most buffer_pending(). The buffer is empty again once all is
 * consumed; `failed` stays. Positions counted from `data` may move.
 */
void buffer_consume(struct buffer *b, size_t bytes);

#endif
