/* record: what is not as the format says is refused, and whatever the bytes are, nothing outside of them is read. */
#include "tests/support/random.h"
#include "tests/unit/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* The record with these fields, in memory of exactly its size, which is the caller's. */
static struct view record_of(unsigned type, const char *hex)
{
    static uint8_t fields[RECORD_LONG];
    const size_t bytes = records_from_hex(hex, fields, sizeof fields);
    uint8_t *record = malloc(RECORD_HEAD_BYTES + bytes);
    assert_non_null(record);
    record[0] = (uint8_t)type;
    for (unsigned i = 0; i < 4; i++)
        record[1 + i] = (uint8_t)(bytes >> 8 * i);
    memcpy(record + RECORD_HEAD_BYTES, fields, bytes);
    return (struct view){record, RECORD_HEAD_BYTES + bytes};
}

/* Takes everything out of it; false if it is refused. */
static bool reads(struct view from)
{
    struct record record;
    struct view body;
    uint64_t end = 0, first, count;
    bool bad = false;
    if (!record_read(from, &record))
        return false;
    if (record.type == RECORD_RUN)
        while (record_next_body(&record.rest, &body, &bad))
            assert_true((const uint8_t *)body.data + body.bytes <= (const uint8_t *)from.data + from.bytes);
    else if (record.type >= RECORD_GONE && record.type <= RECORD_DELAYED)
        while (record_next_range(&record.rest, &end, &first, &count, &bad))
            assert_true(first >= 1 && count >= 1 && first + count - 1 <= LIMIT_ID);
    return !bad;
}

static bool reads_hex(unsigned type, const char *hex)
{
    const struct view record = record_of(type, hex);
    const bool good = reads(record);
    free((void *)record.data);
    return good;
}

struct sample {
    unsigned type;
    const char *fields;
};

/* One good record at least of each type. */
static const struct sample good[] = {
    {1, "03 01 ac02 ca9a0c 0171 0474797065 02 076261636b6f6666 14 9003 000000000000f83f 000000000000d03f"},
    {1, "03 00 01 00 0171"},
    {1, "03 00 01 00 0171 0b646561645f6c6574746572 00"},
    {2, "03"},
    {3, "03746f70"},
    {4, "03746f70"},
    {5, "03 0174 03612e23 00"},
    {5, "03 0174 00 30 03016101 03010702 03010205 060105 0000000000000840"
        "03016204 0701060178 020108 03010901 0801000179 04010007"},
    {6, "03 0174 03612e23"},
    {7, "03 01 90aa0c 00 00 03616263 00"},
    {7, "03 01 90aa0c 01 01"},
    {8, "03 01 01 90aa0c 00"},
    {8, "03 c801 ef2f 90aa0c c701 e807 02 02 ad02 09 0167 026964 0302016b 02 03776879 04626f6479"},
    {8, "03 c801 fc30 90aa0c c701 f80a 02 02 ad02 09"},
    {8, "03 01 8104 90aa0c 1d 0001 6e  010162 02 0163 03 0164 8001  04 0165 01  06 0166 0000000000000000 00"},
    {9, "03 0a02 0501 be0101"},
    {10, "03 e0b90c 0202"},
    {11, "03 0202"},
    {12, "03 0202"},
    {13, "03 0202"},
    {14, "03 bf9a0c 0201"},
    {15, "03 07 e0b90c 02 05 00"},
    {16, "03 0a"},
    {17, "03 0c b0c90c 05 0002696467"},
};

/* Each is good but for one thing. */
static const struct sample refused[] = {
    {0, "03"},
    {18, "03"},
    {255, "03"},
    {1, "00 00 01 00 0171"},                                                            /* number 0 */
    {1, "03 02 01 00 0171"},                                                            /* flags */
    {1, "03 00 00 00 0171"},                                                            /* next id 0 */
    {1, "03 00 81808080808080 10 00 0171"},                                             /* next id above 2^53 */
    {1, "03 00 01 ffffffffffffffffff01 0171"},                                          /* a time far from any clock */
    {1, "03 00 01 00 00"},                                                              /* no name */
    {1, "03 00 01 00 0120"},                                                            /* a name with a blank */
    {1, "03 00 01 00 0171 0474797065"},                                                 /* no value */
    {1, "03 00 01 00 0171 0474797065 04"},                                              /* a value out of range */
    {1, "03 00 01 00 0171 0474797064 00"},                                              /* no such attribute */
    {1, "03 00 01 00 0171 0474797065 00 0474797065 00"},                                /* twice */
    {1, "03 00 01 00 0171 076261636b6f6666 14 9003 000000000000f87f 000000000000d03f"}, /* NaN */
    {1, "03 00 01 00 0171 076261636b6f6666 14 9003 000000000000f83f"},                  /* no jitter */
    {1, "03 00 01 00 0171 0b646561645f6c6574746572 0120"},                              /* no queue's name */
    {2, ""},
    {2, "00"},
    {2, "0300"},                   /* more than there should be */
    {2, "ffffffffffffffffff7f"},   /* above 64 bits */
    {2, "8080808080808080808000"}, /* 11 bytes */
    {2, "80"},
    {3, "00"},
    {3, "04746f70"},
    {3, "02746f70"},
    {5, "03 0174 032e6123 00"},                                        /* no pattern: a# */
    {5, "03 0174 00 01 03"},                                           /* filters: cut */
    {5, "03 0174 00 03 016101"},                                       /* wrong kind */
    {5, "03 0174 00 04 03016100"},                                     /* no alternatives */
    {5, "03 0174 00 04 03016101"},                                     /* missing alternative */
    {5, "03 0174 00 07 03016101 00010a"},                              /* no such test */
    {5, "03 0174 00 07 03016101 000101"},                              /* a comparison outside of numeric */
    {5, "03 0174 00 07 03016101 000106"},                              /* prefix of nothing */
    {5, "03 0174 00 07 03016101 000108"},                              /* exists nil */
    {5, "03 0174 00 14 03016101 03010703 03010201 03010201 03010201"}, /* three comparisons */
    {5, "03 0174 00 0b 03016101 03010701 000102"},                     /* a comparison with nil */
    {5, "03 0174 00 0b 03016101 03010901 000102"},                     /* anything but less */
    {5, "03 0174 00 0e 03016201 000100 03016101 000100"},              /* keys out of order */
    {5, "03 0174 00 0e 03016101 000100 03016101 000100"},              /* twice */
    {5, "03 0174 00 08 03016101 00020000"},                            /* an operator of two bytes */
    {6, "03 0174 03612e23 00"},
    {7, "03 00 90aa0c 00 00"},
    {7, "03 01 90aa0c 00 02"},
    {7, "03 01 90aa0c 00 00 01"}, /* a body that is not there */
    {7, "03 01 90aa0c ffffffffffffffff7f 00"},
    {8, "03 00 01 90aa0c 00"},      /* id 0 */
    {8, "03 01 8140 90aa0c 00"},    /* unknown flag */
    {8, "03 01 11 90aa0c 00"},      /* ready, and holds its group */
    {8, "03 01 8108 90aa0c 00 00"}, /* ready, with a note */
    {8, "03 01 8111 90aa0c 0167"},  /* above, with a group */
    {8, "03 01 8110 90aa0c 00"},    /* above, with a body */
    {8, "03 01 01 90aa0c 01"},      /* body missing or cut */
    {8, "03 01 01 90aa0c 00 00"},
    {8, "03 01 05 90aa0c ffffffffffffffff7f 00"}, /* expiry */
    {8, "03 01 00 90aa0c ffffffffffffffff7f 00"}, /* end of delay */
    {8, "03 01 21 90aa0c 8080808010 00 00 00"},   /* attempts above 32 bits */
    {8, "03 01 21 90aa0c 01 808080808020 00 00"}, /* first delivery above 40 bits */
    {8, "03 01 41 90aa0c 0a 00"},                 /* priority 10 */
    {8, "03 01 8101 90aa0c 00 00"},               /* empty group */
    {8, "03 01 8102 90aa0c 00 00"},               /* empty dedup id */
    {8, "03 01 8104 90aa0c 00 00"},               /* empty headers */
    {8, "03 01 8104 90aa0c 03 09016b 00"},        /* no such kind of header */
    {8, "03 01 8104 90aa0c 03 02026b 00"},        /* key cut */
    {8, "03 01 8104 90aa0c 04 07016b01 00"},      /* text cut */
    {8, "03 01 8104 90aa0c 04 05016b01 00"},      /* double cut */
    {8, "03 01 03 90aa0c 00 00 00"},              /* parked for no reason */
    {8, "03 01 03 90aa0c 00 06 00"},              /* or an unknown one */
    {9, "03 00 01"},                              /* id 0 */
    {9, "03 02 00"},                              /* no ids */
    {9, "03 02 01 03 01"},                        /* goes back to 0 */
    {9, "03 02 ffffffffffffffffff01"},            /* ends above 2^53 */
    {9, "03 02"},
    {10, "03"},
    {15, "03 07 e0b90c 02 00 00"},
    {15, "03 07 e0b90c 02 05 8108"},
    {15, "03 00 e0b90c 02 05 00"},
    {16, "03 10"},
    {16, "03"},
    {17, "03 0c b0c90c 00"},        /* no key */
    {17, "03 0c b0c90c 02 0000"},   /* an empty id */
    {17, "03 0c b0c90c 03 020161"}, /* no such kind */
    {17, "03 0c b0c90c 03 000261"}, /* id cut */
    {17, "03 0c b0c90c 03 010161"}, /* a hash of one byte */
    {17, "03 00 b0c90c 03 000161"},
};

static void test_good_records_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!reads_hex(good[i].type, good[i].fields))
            fail_msg("refused: %u %s", good[i].type, good[i].fields);
}

static void test_what_is_not_as_the_format_says_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if (reads_hex(refused[i].type, refused[i].fields))
            fail_msg("read: %u %s", refused[i].type, refused[i].fields);
}

static void test_texts_are_read_up_to_their_limits(void **state)
{
    (void)state;
    static const struct {
        unsigned type;
        const char *before;
        size_t limit;
        const char *after;
    } texts[] = {
        {3, "", LIMIT_NAME_BYTES, ""},
        {5, "03 0174", LIMIT_KEY_BYTES, "00"},
        {8, "03 01 8101 90aa0c", LIMIT_GROUP_BYTES, "00"},
        {8, "03 01 8102 90aa0c", LIMIT_DEDUP_BYTES, "00"},
        {15, "03 07 e0b90c 02 05", LIMIT_NOTE_BYTES, ""},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (size_t more = 0; more < 2; more++) {
            static char hex[4096], text[2 * LIMIT_NOTE_BYTES + 3];
            const size_t bytes = texts[i].limit + more;
            for (size_t n = 0; n < bytes; n++)
                memcpy(text + 2 * n, "61", 3);
            (void)snprintf(hex, sizeof hex, "%s %02zx%02zx %s %s", texts[i].before, (bytes & 0x7f) | 0x80, bytes >> 7,
                           text, texts[i].after);
            assert_int_equal(reads_hex(texts[i].type, hex), more == 0);
        }
    }
}

static void test_only_messages_may_be_long(void **state)
{
    (void)state;
    enum record_type type;
    uint64_t bytes;
    for (unsigned t = 0; t < 256; t++) {
        const uint8_t longest[] = {(uint8_t)t, 0xfb, 0xff, 0x07, 0}, longer[] = {(uint8_t)t, 0xfc, 0xff, 0x07, 0};
        const bool known = t >= 1 && t < RECORD_TYPES;
        assert_int_equal(record_head((struct view){longest, 5}, &type, &bytes), known);
        assert_int_equal(bytes, RECORD_LONG);
        assert_int_equal(record_head((struct view){longer, 5}, &type, &bytes), t == RECORD_MESSAGE);
    }
}

/* A record that ends earlier is refused, but for a MESSAGE without its body. */
static void test_a_record_that_is_cut_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        const struct view whole = record_of(good[i].type, good[i].fields);
        for (size_t bytes = 0; bytes < whole.bytes; bytes++) {
            struct record record;
            uint8_t *cut = malloc(bytes + (bytes == 0));
            assert_non_null(cut);
            memcpy(cut, whole.data, bytes);
            if (record_read((struct view){cut, bytes}, &record)) {
                assert_int_equal(record.type, RECORD_MESSAGE);
                assert_true(record.body.bytes > 0 && record.body.data == NULL);
            }
            free(cut);
        }
        free((void *)whole.data);
    }
}

static void test_flipped_and_random_bytes_do_no_harm(void **state)
{
    struct random random = test_seed(__func__);
    (void)state;
    for (unsigned round = 0; round < 200000; round++) {
        const struct sample *sample = &good[random_below(&random, COUNT_OF(good))];
        const struct view record = record_of(sample->type, sample->fields);
        uint8_t *bytes = (uint8_t *)(uintptr_t)record.data;
        const size_t from = round % 2 ? 0 : RECORD_HEAD_BYTES;
        for (uint64_t flips = 1 + random_below(&random, 3); flips > 0 && record.bytes > from; flips--) {
            const size_t at = from + (size_t)random_below(&random, record.bytes - from);
            bytes[at] ^= (uint8_t)(round % 3 ? 1u << random_below(&random, 8) : random_next(&random));
        }
        (void)reads(record);
        free(bytes);
    }
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_records_are_read),
        TEST(test_what_is_not_as_the_format_says_is_refused),
        TEST(test_texts_are_read_up_to_their_limits),
        TEST(test_only_messages_may_be_long),
        TEST(test_a_record_that_is_cut_is_refused),
        TEST(test_flipped_and_random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
