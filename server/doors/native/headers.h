/*
 * headers: a message's headers between the wire and the broker's flat list.
 */
#ifndef SERVER_DOORS_NATIVE_HEADERS_H
#define SERVER_DOORS_NATIVE_HEADERS_H

#include "protocol/decoder.h"
#include "protocol/encoder.h"
#include "server/broker/message.h"
#include "server/doors/native/arena.h"

/*
 * Reads the map at `node` into a flat list in the arena. ERR_NONE, BAD_REQUEST (a key that is not text, a value that is no
 * scalar, too many or too long), or MEMORY_LIMIT when out of memory.
 */
enum error_code headers_read(const struct decoder *d, uint32_t node, struct arena *arena, struct view *out);

/* The map of a message's headers and group, `pairs` of them counted by extras_count(), without the map's own head. */
uint32_t extras_count(const struct message *message);
void encode_extras(struct buffer *out, const struct message *message);

#endif
