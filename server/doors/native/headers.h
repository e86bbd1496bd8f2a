/*
 * headers: a message's headers between the wire and the broker's flat list.
 */
#ifndef SERVER_DOORS_NATIVE_HEADERS_H
#define SERVER_DOORS_NATIVE_HEADERS_H

#include "protocol/decoder.h"
#include "protocol/encoder.h"
#include "server/broker/message.h"
#include "server/doors/native/arena.h"

/* Reads a scalar, which borrows its text or bytes from the request; false if the node is none. A text that is not UTF-8
   becomes bytes. And puts one. */
bool scalar_read(const struct decoder *d, const struct node *n, struct header *out);
void encode_scalar(struct buffer *out, const struct header *h);

/*
 * Reads the map at `node` into a flat list in the arena. ERR_NONE, BAD_REQUEST (a key that is not UTF-8, a value that
 * is no scalar, too many or too long), or MEMORY_LIMIT when out of memory. A text that is not UTF-8 becomes bytes.
 */
enum error_code headers_read(const struct decoder *d, uint32_t node, struct arena *arena, struct view *out);

/* A message's headers, group, priority and dedup_id as pairs of a map whose head is the caller's, and how many. */
uint32_t extras_count(const struct message *message);
void encode_extras(struct buffer *out, const struct message *message);

#endif
