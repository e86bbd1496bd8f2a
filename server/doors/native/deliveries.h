/*
 * deliveries: messages on their way to a session. Internal to the native door.
 */
#ifndef SERVER_DOORS_NATIVE_DELIVERIES_H
#define SERVER_DOORS_NATIVE_DELIVERIES_H

#include "server/doors/native/session.h"

/*
 * Stores [delivery, ...] of `count` of the broker's deliveries, from `first` on, in the session's out buffer, and
 * notes each as owed. If memory runs out the buffer is failed, and with it the session.
 */
void session_deliver(struct session *session, uint32_t first, uint32_t count, bool auto_ack);

/* A delivery's or peeked message's body, copied or referenced. */
void encode_body(struct buffer *out, const struct message *message);

#endif
