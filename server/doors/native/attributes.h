/*
 * attributes: a queue's attributes between the wire and the broker. Internal to the native door.
 *
 *     kind               on the wire
 *     ms, count, bytes   an integer
 *     choice             one of its words
 *     bool               true or false
 *     name               a queue's name, or nil
 *     backoff            {base, factor, cap, jitter}, or nil; only base must be given
 */
#ifndef SERVER_DOORS_NATIVE_ATTRIBUTES_H
#define SERVER_DOORS_NATIVE_ATTRIBUTES_H

#include "server/doors/native/request.h"

/* Reads the map at `map` into *set. False: BAD_REQUEST has been answered. Ranges are the broker's to check. */
bool attributes_read(struct request *r, uint32_t map, struct attribute_set *set);

/* The value of one attribute. */
void encode_attribute(struct buffer *out, enum attribute a, const struct attributes *attributes);

#endif
