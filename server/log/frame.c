/* What stands around the records: the headers of segments and of batches. */
#include "server/log/checksum.h"
#include "server/log/parts.h"
#include "server/log/record.h"

#define SEGMENT_SUMMED 88 /* bytes of the header before its checksum */
#define BATCH_SUMMED   64
#define MAGIC_BYTES    (sizeof BATCH_MAGIC - 1)

static const uint8_t segment_magic[8] = {'r', 'i', 'n', 'g', 'm', 'q', 0, 1};

void segment_header_put(uint8_t out[SEGMENT_HEADER_BYTES], const struct segment_header *h)
{
    memcpy(out, segment_magic, sizeof segment_magic);
    put_32(out + 8, h->version);
    put_32(out + 12, SEGMENT_HEADER_BYTES);
    put_64(out + 16, h->log);
    put_64(out + 24, h->number);
    put_64(out + 32, h->run);
    put_64(out + 40, h->first_of_run);
    put_64(out + 48, h->oldest);
    put_64(out + 56, (uint64_t)h->made_at_ms);
    put_64(out + 64, h->receipts);
    put_64(out + 72, h->before_segment);
    put_32(out + 80, h->before_offset);
    put_32(out + 84, 0);
    put_64(out + SEGMENT_SUMMED, XXH3_64bits_withSeed(out, SEGMENT_SUMMED, 0));
}

static bool is_blank(const uint8_t in[SEGMENT_HEADER_BYTES])
{
    for (size_t i = 0; i < SEGMENT_HEADER_BYTES; i++)
        if (in[i] != 0)
            return false;
    return true;
}

enum segment_result segment_header_read(const uint8_t in[SEGMENT_HEADER_BYTES], struct segment_header *out)
{
    *out = (struct segment_header){.version = get_32(in + 8)};
    if (is_blank(in))
        return SEGMENT_BLANK;
    if (memcmp(in, segment_magic, sizeof segment_magic) != 0)
        return SEGMENT_BAD;
    /* Of a later version nothing else is known, not even where its checksum lies. */
    if (out->version > SEGMENT_VERSION)
        return SEGMENT_NEWER;
    out->log = get_64(in + 16);
    out->number = get_64(in + 24);
    out->run = get_64(in + 32);
    out->first_of_run = get_64(in + 40);
    out->oldest = get_64(in + 48);
    out->made_at_ms = (int64_t)get_64(in + 56);
    out->receipts = get_64(in + 64);
    out->before_segment = get_64(in + 72);
    out->before_offset = get_32(in + 80);
    const bool good = get_64(in + SEGMENT_SUMMED) == XXH3_64bits_withSeed(in, SEGMENT_SUMMED, 0) &&
                      out->version == SEGMENT_VERSION && get_32(in + 12) == SEGMENT_HEADER_BYTES &&
                      get_32(in + 84) == 0 && out->number >= 1 && out->run >= 1 && out->first_of_run >= 1;
    return good ? SEGMENT_GOOD : SEGMENT_BAD;
}

uint64_t segment_salt(uint64_t log, uint64_t number)
{
    return log + number * 0x9e3779b97f4a7c15u;
}

void batch_header_put(uint8_t out[BATCH_HEADER_BYTES], const struct batch_header *h, uint64_t salt)
{
    memcpy(out, BATCH_MAGIC, MAGIC_BYTES);
    put_32(out + 4, h->bytes);
    put_64(out + 8, h->number);
    put_64(out + 16, h->term);
    put_64(out + 24, (uint64_t)h->at_ms);
    put_64(out + 32, h->synced_segment);
    put_32(out + 40, h->synced_offset);
    put_32(out + 44, h->receipts);
    put_64(out + 48, h->oldest);
    put_64(out + 56, h->checksum);
    put_64(out + BATCH_SUMMED, XXH3_64bits_withSeed(out, BATCH_SUMMED, salt));
}

bool batch_header_read(const uint8_t in[BATCH_HEADER_BYTES], uint64_t salt, struct batch_header *out)
{
    if (memcmp(in, BATCH_MAGIC, MAGIC_BYTES) != 0 ||
        get_64(in + BATCH_SUMMED) != XXH3_64bits_withSeed(in, BATCH_SUMMED, salt))
        return false;
    *out = (struct batch_header){
        .bytes = get_32(in + 4),
        .number = get_64(in + 8),
        .term = get_64(in + 16),
        .at_ms = (int64_t)get_64(in + 24),
        .synced_segment = get_64(in + 32),
        .synced_offset = get_32(in + 40),
        .receipts = get_32(in + 44),
        .oldest = get_64(in + 48),
        .checksum = get_64(in + 56),
    };
    return out->number >= 1;
}
