/*
 * limits: the numbers that the protocol itself fixes. What an operator may change is an option (server/ops/options.h);
 * what stands here is the same for every server and every client.
 */
#ifndef PROTOCOL_LIMITS_H
#define PROTOCOL_LIMITS_H

#define PROTOCOL_VERSION 1
#define PROTOCOL_PORT    7464

/* Containers inside each other, the request's own array being the first. */
#define LIMIT_DEPTH 16

/* Names of queues: 1 to 255 bytes of A-Z a-z 0-9 . _ - / : */
#define LIMIT_NAME_BYTES 255

/* A message's group: 1 to 128 bytes of text. */
#define LIMIT_GROUP_BYTES 128

/* Headers of one message: pairs, and bytes of keys and values together. */
#define LIMIT_HEADERS      64
#define LIMIT_HEADER_BYTES 65536

/* The words that a client gives to a park or a dead nack. */
#define LIMIT_NOTE_BYTES 1024

/* Text in hello that names a client, shown in client.list. */
#define LIMIT_CLIENT_BYTES 128

/* Elements of one request that are kept for its handler; a longer one is parsed to its end and answered LIMIT. */
#define LIMIT_NODES 262144

/* A str or bin longer than this that has not arrived whole is streamed to its place instead of being buffered. */
#define LIMIT_INLINE_BYTES 65536

/* A request must have room for one body of the largest size and this much around it. */
#define LIMIT_REQUEST_SLACK 65536

/* Ids and receipts are below 2^53, so that a client whose numbers are doubles can hold them. */
#define LIMIT_ID (1ULL << 53)

/* The longest delay, ttl, retention and visibility: 10 years. */
#define LIMIT_TIME_MS (10LL * 365 * 24 * 3600 * 1000)

/* Standing things of one connection: consumers, and receives that wait. */
#define LIMIT_CONSUMERS 1024
#define LIMIT_WAITERS   1024

/* The largest prefetch of a consumer. */
#define LIMIT_PREFETCH 1000000

#endif
