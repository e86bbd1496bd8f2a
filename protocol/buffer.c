#include "protocol/buffer.h"

#include <assert.h>
#include <stdlib.h>

#define SMALLEST_AREA    512
#define SMALLEST_SPLICES 8

void buffer_init(struct buffer *b, void (*release_cb)(void *owner))
{
    *b = (struct buffer){.release_cb = release_cb};
}

/* Drops the contents; `failed` stays as it is. */
static void drop(struct buffer *b)
{
    for (uint32_t i = b->sent_splices; i < b->splice_count; i++)
        b->release_cb(b->splices[i].owner);
    b->bytes = 0;
    b->splice_count = 0;
    b->spliced_bytes = 0;
    b->sent_bytes = 0;
    b->sent_splices = 0;
    b->sent_in_splice = 0;
}

void buffer_close(struct buffer *b)
{
    drop(b);
    free(b->data);
    free(b->splices);
    buffer_init(b, b->release_cb);
}

void buffer_reset(struct buffer *b)
{
    drop(b);
    b->failed = false;
}

uint8_t *buffer_grow(struct buffer *b, size_t bytes)
{
    if (b->failed)
        return NULL;
    if (bytes <= b->cap - b->bytes && b->data)
        return b->data + b->bytes;

    size_t cap = b->cap < SMALLEST_AREA ? SMALLEST_AREA : b->cap;
    while (cap - b->bytes < bytes && cap <= SIZE_MAX / 4)
        cap *= 2;
    uint8_t *data = cap - b->bytes < bytes ? NULL : realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return data + b->bytes;
}

void buffer_append(struct buffer *b, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    uint8_t *at = buffer_reserve(b, bytes);
    if (!at)
        return;
    memcpy(at, data, bytes);
    b->bytes += bytes;
}

static bool grow_splices(struct buffer *b)
{
    uint32_t cap = b->splice_cap ? b->splice_cap * 2 : SMALLEST_SPLICES;
    struct splice *splices = cap > b->splice_cap ? realloc(b->splices, cap * sizeof *splices) : NULL;
    if (!splices) {
        b->failed = true;
        return false;
    }
    b->splices = splices;
    b->splice_cap = cap;
    return true;
}

void buffer_splice(struct buffer *b, const void *data, size_t bytes, void *owner)
{
    assert(b->release_cb);
    if (bytes == 0 || b->failed || (b->splice_count == b->splice_cap && !grow_splices(b))) {
        b->release_cb(owner);
        return;
    }
    b->splices[b->splice_count++] = (struct splice){b->bytes, data, bytes, owner};
    b->spliced_bytes += bytes;
}

size_t buffer_pending(const struct buffer *b)
{
    return b->bytes - b->sent_bytes + b->spliced_bytes;
}

int buffer_iovec(const struct buffer *b, struct iovec *iov, int max)
{
    size_t at = b->sent_bytes;
    size_t in_splice = b->sent_in_splice;
    uint32_t next = b->sent_splices;
    int count = 0;

    while (count < max && (at < b->bytes || next < b->splice_count)) {
        size_t copied_end = next < b->splice_count ? b->splices[next].at : b->bytes;
        if (at < copied_end) {
            iov[count++] = (struct iovec){b->data + at, copied_end - at};
            at = copied_end;
        } else {
            const struct splice *s = &b->splices[next++];
            /* writev() does not write through its iov_base, which is not const all the same */
            iov[count++] = (struct iovec){(void *)(uintptr_t)(s->data + in_splice), s->bytes - in_splice};
            in_splice = 0;
        }
    }
    return count;
}

/*
 * A connection that always has something pending never drains its buffer, which must not grow for ever. So the sent
 * part is cut off once it is no smaller than the rest: a byte is moved at most once for each byte sent.
 */
static void cut_sent(struct buffer *b)
{
    size_t bytes = b->bytes - b->sent_bytes;
    uint32_t splices = b->splice_count - b->sent_splices;
    if (b->sent_bytes < bytes || b->sent_splices < splices)
        return;

    if (bytes > 0)
        memmove(b->data, b->data + b->sent_bytes, bytes);
    if (splices > 0)
        memmove(b->splices, b->splices + b->sent_splices, splices * sizeof *b->splices);
    for (uint32_t i = 0; i < splices; i++)
        b->splices[i].at -= b->sent_bytes;
    b->bytes = bytes;
    b->splice_count = splices;
    b->sent_bytes = 0;
    b->sent_splices = 0;
}

void buffer_consume(struct buffer *b, size_t bytes)
{
    assert(bytes <= buffer_pending(b));
    while (bytes > 0) {
        struct splice *s = b->sent_splices < b->splice_count ? &b->splices[b->sent_splices] : NULL;
        size_t copied = (s ? s->at : b->bytes) - b->sent_bytes;
        size_t part = copied ? copied : s->bytes - b->sent_in_splice;
        if (part > bytes)
            part = bytes;
        bytes -= part;
        if (copied) {
            b->sent_bytes += part;
            continue;
        }
        b->spliced_bytes -= part;
        b->sent_in_splice += part;
        if (b->sent_in_splice == s->bytes) {
            b->sent_in_splice = 0;
            b->sent_splices++;
            b->release_cb(s->owner);
        }
    }
    if (buffer_pending(b) == 0)
        drop(b);
    else
        cut_sent(b);
}
