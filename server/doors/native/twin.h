/*
 * twin: a publish that repeats the one before. A publisher says the same again and again, but for the msgid and the bodies:
 *
 *     0x94 0x00 | msgid | "publish" [queue, [n | header and body, n times | options ]
 *                         `---- head -----'                         `tail'
 *
 * So what stood before its bodies and behind them is noted of a publish that has been handled, where it lies in the input. If
 * the next request in the same input has the same head, as many bodies and the same tail, then its method, its queue and its
 * options are known without decoding it, and nothing that they depend on can have changed: nothing came in between. In every
 * other case the decoder takes its turn, and sees the same bytes.
 *
 * A note is good for the input that it was taken from, until another request is handled. Internal to the native door.
 */
#ifndef SERVER_DOORS_NATIVE_TWIN_H
#define SERVER_DOORS_NATIVE_TWIN_H

#include "server/broker/broker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

struct twin {
    const uint8_t *head, *tail; /* in the input */
    uint32_t head_bytes, tail_bytes;
    uint32_t count; /* of bodies; 0: nothing is noted */
    struct queue *queue;
    struct publish_options options;
};

/* Notes the request that has been handled, if it is one that can be repeated. Its messages are the bodies of the array at `list`. */
void twin_note(struct request *r, struct queue *q, const struct publish_options *options, uint32_t list);

/*
 * Reads a twin of what is noted off `input`. True: its bodies, twin->count of them, its msgid, and how many bytes it has.
 * False: there is none, or not all of it.
 */
bool twin_read(const struct twin *twin, const uint8_t *input, size_t bytes, struct view *bodies, uint32_t *msgid,
               size_t *used);

#endif
