/* fold_inside: what fold.c and fold_gone.c share. */
#ifndef SERVER_LOG_FOLD_INSIDE_H
#define SERVER_LOG_FOLD_INSIDE_H

#include "server/log/fold.h"

static inline enum fold_result fold_told(struct fold *f, enum restore_result result)
{
    if (result == RESTORE_UNKNOWN)
        f->unknown++;
    return result == RESTORE_NO_MEMORY ? FOLD_NO_MEMORY : FOLD_DONE;
}

/* A queue goes with all it has. */
enum fold_result fold_queue_goes(struct fold *f, struct queue *q);

/* The records of that type. */
enum fold_result fold_queue_gone(struct fold *f, const struct record *r);
enum fold_result fold_topic_gone(struct fold *f, const struct record *r);
enum fold_result fold_subscription_gone(struct fold *f, const struct record *r);
enum fold_result fold_purged(struct fold *f, const struct record *r);

#endif
