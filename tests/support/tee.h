/* tee: two watchers of one broker. */
#ifndef TESTS_SUPPORT_TEE_H
#define TESTS_SUPPORT_TEE_H

#include "server/broker/watcher.h"

struct tee {
    struct watcher watcher; /* tells both, the first first */
    struct watcher *first, *second;
};

void tee_init(struct tee *tee, struct watcher *first, struct watcher *second);

#endif
