/*
 * logged: keeps a write-ahead log of a broker on a disk in memory, in the smallest segments, so that it is rotated and compacted
 * on the way. In the end the process is killed, and a broker that is recovered from the log must be the same (digest.h).
 */
#ifndef TESTS_SIM_LOGGED_H
#define TESTS_SIM_LOGGED_H

#include "server/broker/broker.h"

struct logged;

/* Begins with a broker in which nothing is yet, beside whoever watches it already. */
struct logged *logged_open(struct broker *original, int64_t now_ms);

/* The end of a turn. */
void logged_turn(struct logged *logged, int64_t now_ms);

/* Compares (with cmocka's assertions) and is gone; the other watcher is alone again. */
void logged_close(struct logged *logged, int64_t now_ms);

#endif
