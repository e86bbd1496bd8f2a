#include "protocol/buffer.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_BYTES ((size_t)4096)

void buffer_init(struct buffer *b, void (*release_cb)(void *owner))
{
    memset(b, 0, sizeof *b);
    b->release_cb = release_cb;
}

static void release_splices(struct buffer *b)
{
    for (uint32_t i = b->sent_splices; i < b->splice_count; i++)
        b->release_cb(b->splices[i].owner);
}

void buffer_reset(struct buffer *b)
{
    release_splices(b);
    b->bytes = 0;
    b->splice_count = 0;
    b->spliced_bytes = 0;
    b->sent_bytes = 0;
    b->sent_splices = 0;
    b->sent_in_splice = 0;
    b->failed = false;
}

void buffer_close(struct buffer *b)
{
    buffer_reset(b);
    free(b->data);
    free(b->splices);
    buffer_init(b, b->release_cb);
}

uint8_t *buffer_grow(struct buffer *b, size_t bytes)
{
    if (b->failed)
        return NULL;
    if (b->cap - b->bytes >= bytes)
        return b->data + b->bytes;
    size_t cap = b->cap ? b->cap : FIRST_BYTES;
    while (cap - b->bytes < bytes && cap <= SIZE_MAX / 4)
        cap *= 2;
    uint8_t *data = cap - b->bytes >= bytes ? realloc(b->data, cap) : NULL;
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
    uint8_t *to = buffer_reserve(b, bytes);
    if (!to || bytes == 0)
        return;
    memcpy(to, data, bytes);
    b->bytes += bytes;
}

static bool splices_grow(struct buffer *b)
{
    if (b->splice_count < b->splice_cap)
        return true;
    uint32_t cap = b->splice_cap ? b->splice_cap * 2 : 8;
    struct splice *splices = realloc(b->splices, cap * sizeof *splices);
    if (!splices)
        return false;
    b->splices = splices;
    b->splice_cap = cap;
    return true;
}

void buffer_splice(struct buffer *b, const void *data, size_t bytes, void *owner)
{
    if (bytes == 0 || b->failed || !splices_grow(b)) {
        b->failed = b->failed || bytes > 0;
        b->release_cb(owner);
        return;
    }
    b->splices[b->splice_count++] = (struct splice){b->bytes, data, bytes, owner};
    b->spliced_bytes += bytes;
}

size_t buffer_pending(const struct buffer *b)
{
    return b->bytes - b->sent_bytes + b->spliced_bytes - b->sent_in_splice;
}

/* Where the copied bytes are interrupted next: at a splice, or at their end. */
static size_t run_end(const struct buffer *b, uint32_t splice)
{
    return splice < b->splice_count ? b->splices[splice].at : b->bytes;
}

int buffer_iovec(const struct buffer *b, struct iovec *iov, int max)
{
    int count = 0;
    size_t at = b->sent_bytes, skip = b->sent_in_splice;
    for (uint32_t s = b->sent_splices; count < max; s++, skip = 0) {
        size_t end = run_end(b, s);
        if (end > at)
            iov[count++] = (struct iovec){b->data + at, end - at};
        at = end;
        if (s == b->splice_count || count == max)
            break;
        /* writev takes a pointer to non-const, and only reads. */
        iov[count++] = (struct iovec){(void *)(uintptr_t)(b->splices[s].data + skip), b->splices[s].bytes - skip};
    }
    return count;
}

void buffer_consume(struct buffer *b, size_t bytes)
{
    assert(bytes <= buffer_pending(b));
    while (bytes > 0) {
        size_t run = run_end(b, b->sent_splices) - b->sent_bytes;
        size_t n = bytes < run ? bytes : run;
        b->sent_bytes += n;
        bytes -= n;
        if (bytes == 0)
            break;
        struct splice *splice = &b->splices[b->sent_splices];
        n = splice->bytes - b->sent_in_splice;
        if (bytes < n) {
            b->sent_in_splice += bytes;
            break;
        }
        bytes -= n;
        b->sent_in_splice = 0;
        b->spliced_bytes -= splice->bytes;
        b->sent_splices++;
        b->release_cb(splice->owner);
    }
    if (buffer_pending(b) == 0)
        buffer_reset(b);
}
