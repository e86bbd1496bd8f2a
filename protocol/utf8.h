/*
 * utf8: which bytes are text (RFC 3629: no overlong forms, no surrogates, nothing above 10FFFF).
 */
#ifndef PROTOCOL_UTF8_H
#define PROTOCOL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at `at`, of which `left` (1 or more) can be read; 0 if there is none. */
size_t utf8_character(const void *at, size_t left);

/* True if all of it is characters. */
bool utf8_is_text(const void *data, size_t bytes);

/* Stores the character `code` (no surrogate, at most 10FFFF). Returns its bytes. */
size_t utf8_store(uint32_t code, char out[4]);

#endif
