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

/* A message's group: 1 to 128 bytes of text. And its dedup_id: 1 to 128 bytes. */
#define LIMIT_GROUP_BYTES 128
#define LIMIT_DEDUP_BYTES 128

/* The key of a publish to a topic, and a subscription's pattern. */
#define LIMIT_KEY_BYTES 255
#define LIMIT_KEY_WORDS 32

/* Priorities of messages and of consumers: 0 to 9, 9 first. */
#define LIMIT_PRIORITIES 10

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

/* Subscriptions of one topic, topics of a server, and moves that are listed at a time. */
#define LIMIT_SUBSCRIPTIONS 10000
#define LIMIT_TOPICS        10000
#define LIMIT_MOVES         1000

/* Filters of one topic, together: topic.info shows them all in one answer, which must have no more elements than LIMIT_NODES. */
#define LIMIT_TOPIC_FILTER_BYTES 8388608

/* Copies that one call to a topic, or one commit, may make; and steps that it may take to find out where they go: one for each
   subscription of the topic (16 if words follow a # in its pattern), and for each message and subscription one, and one more
   for each 32 bytes of its filter. */
#define LIMIT_COPIES        65536
#define LIMIT_ROUTING       1000000
#define LIMIT_ROUTING_HASH  16
#define LIMIT_ROUTING_BYTES 32

/* Lists of publishes (queues and topics) in one commit. */
#define LIMIT_COMMIT_PARTS 1000

/* The largest prefetch of a consumer. */
#define LIMIT_PREFETCH 1000000

#endif
