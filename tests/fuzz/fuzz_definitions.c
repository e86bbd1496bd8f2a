/*
 * Any bytes as a file of definitions, and as JSON: read or refused, never a crash. Beyond that
 *   - a refusal is a sentence, of a line that the file has;
 *   - what was read is MessagePack: as many whole values as there are params, or one for JSON;
 *   - refused JSON leaves the buffer as it was.
 */
#include "protocol/decoder.h"
#include "protocol/definitions.h"
#include "protocol/json.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* How many whole values a buffer holds. */
static uint32_t count_values(const struct buffer *b)
{
    struct decoder *d = b->bytes > 0 ? decoder_new(b->bytes, NULL) : NULL;
    uint32_t count = 0;

    assert(d != NULL || b->bytes == 0);
    for (size_t at = 0, used; at < b->bytes; at += used, count++) {
        const enum decoder_result result = decoder_feed(d, b->data + at, b->bytes - at, &used);
        assert(result == DECODER_READY);
        decoder_next(d);
    }
    decoder_free(d);
    return count;
}

static void read_definitions(const char *text, size_t bytes)
{
    struct definitions d;
    enum definitions_result result;
    uint32_t line = 0;

    definitions_init(&d, text, bytes);
    while ((result = definitions_next(&d)) != DEFINITIONS_END) {
        assert(d.line > line);
        line = d.line;
        if (result == DEFINITIONS_READ)
            assert(count_values(&d.params) == d.param_count);
        else
            assert(d.wrong[0] != '\0' && memchr(d.wrong, '\0', sizeof d.wrong) != NULL);
    }
    assert(d.bytes == 0);
    definitions_close(&d);
}

static void read_json(const char *text, size_t bytes)
{
    struct json_error error = {0, NULL};
    struct buffer out;

    buffer_init(&out, NULL);
    buffer_append(&out, "\xc0", 1);
    if (json_read(text, bytes, &out, &error)) {
        assert(count_values(&out) == 2);
    } else {
        assert(error.text != NULL && error.at <= bytes);
        assert(out.bytes == 1);
    }
    buffer_close(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    read_definitions((const char *)data, bytes);
    read_json((const char *)data, bytes);
    return 0;
}
