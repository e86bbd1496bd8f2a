/*
 * utf8: whether bytes can travel as a str. What one client sends as text another will read as text, and a decoder
 * that insists on UTF-8 would stop there.
 */
#ifndef SERVER_DOORS_NATIVE_UTF8_H
#define SERVER_DOORS_NATIVE_UTF8_H

#include "server/broker/message.h"

#include <stdbool.h>

/* True if the bytes are UTF-8 (RFC 3629). */
bool utf8_valid(struct view text);

#endif
