/*
 * records: a record writer whose output is collected, and things to be written: a queue, messages. What is done here must
 * succeed (asserted).
 */
#ifndef TESTS_UNIT_RECORDS_H
#define TESTS_UNIT_RECORDS_H

#include "server/log/record.h"

#define RECORDS_CAP (2 * RECORD_LONG)

struct records {
    struct record_writer w;
    struct pool pool;
    struct queue queue; /* "q", number 3 */
    uint8_t *out;       /* everything that has been drained */
    size_t bytes, room;
    unsigned drains;
    const void *last; /* what the last drain was given */
};

void records_open(struct records *r);
void records_close(struct records *r); /* asserts that no message is left */

/* All that was written, until the next call; then the output is empty. */
struct view records_take(struct records *r);

/* What was written is this, in hex (blanks do not count); the output is empty afterwards. */
void records_expect(struct records *r, const char *hex);

/* The bytes of a hex string; returns how many. */
size_t records_from_hex(const char *hex, uint8_t *out, size_t room);

/* A ready message, published at 1000 and never delivered; free it with records_free(). */
struct message *records_message(struct records *r, uint64_t id, const void *body, size_t bytes);
struct message *records_message_of(struct records *r, uint64_t id, const struct publication *p);
void records_free(struct records *r, struct message *m);

/* Takes the next record off, which must be good and there wholly. */
struct record records_next(struct view *rest);

#endif
