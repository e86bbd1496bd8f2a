/*
 * folds: what records.h writes is folded into a broker. The hooks count what lives (what is told again has its mark and is not
 * counted again); after every fold that counts must be what the broker holds. What is done here must succeed (asserted).
 */
#ifndef TESTS_UNIT_FOLDS_H
#define TESTS_UNIT_FOLDS_H

#include "server/log/fold.h"
#include "tests/unit/bare_broker.h"
#include "tests/unit/records.h"

#define FOLDS_OFFSET 100000 /* wall = monotonic + this, where the records are written and where they are folded */

struct folds {
    struct records r;
    struct bare to;
    struct fold fold;
    int64_t messages, queues, topics, subscriptions, dedups; /* that live, as the hooks say */
    unsigned aboves;
};

void folds_open(struct folds *f);
void folds_close(struct folds *f);

/* A broker without anything instead of the one that there was. */
void folds_again(struct folds *f);

/* Folds what has been written. */
enum fold_result folds_written(struct folds *f, size_t *at);
void folds_all(struct folds *f);
void folds_check(const struct folds *f);

/* Records of the queue, and of the message "body" with that id in that state. */
void folds_put_queue(struct folds *f);
void folds_put(struct folds *f, uint64_t id, enum message_state state, int64_t at_ms);
/* Of topic "t", the queue's subscription to it, and a dedup id. */
void folds_put_rest(struct folds *f);

struct queue *folds_find(struct folds *f, uint64_t number);

#endif
