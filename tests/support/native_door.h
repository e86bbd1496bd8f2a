/*
 * native_door: a native door with a real broker behind it and clients in front of it, in virtual time, for tests that
 * read as `request -> expected text`. See wire_text.h for the text.
 *
 *     check(f, A, "publish", "['q', ['a', 'b']]", "[1, 2]");
 *     check(f, A, "receive", "['nowhere']", "! ['QUEUE_NOT_FOUND', ...]");
 *
 * After each request comes a turn of the broker; then everything that a client was sent is written and read, unless
 * it is stuck. What was pushed is kept until it is asked for.
 */
#ifndef TESTS_SUPPORT_NATIVE_DOOR_H
#define TESTS_SUPPORT_NATIVE_DOOR_H

#include "server/broker/watcher.h"
#include "server/doors/native.h"
#include "tests/support/wire_text.h"

#include <stdbool.h>
#include <stdint.h>

enum { A, B, C, CLIENTS };

/* The wall clock's distance from the fixture's own. */
#define WALL_OFFSET_MS INT64_C(1700000000000)

struct client {
    struct session *session; /* NULL: not connected */
    struct buffer out;
    struct decoder *reader;
    uint64_t written_bytes;
    bool stuck; /* takes nothing */
    uint32_t touched_count;
    struct buffer pushed;  /* text of notifications, a line each */
    struct buffer answers; /* text of answers not asked for yet: "msgid answer", a line each */
};

struct fixture {
    struct broker broker;
    struct options options;
    struct native door;
    int64_t now_ms;
    uint32_t last_msgid;
    struct client clients[CLIENTS];
    struct wire_names names;
    char killed[128]; /* "session reason" of the last kill */
    uint32_t changed_count;
    struct native_log log; /* attached by door_keep() */
    struct watcher watcher;
    uint64_t place, safe; /* how often it has been told something; and what of it is safe */
    bool log_failed;
    uint32_t event_count; /* requests that it was told of */
    char text[65536];     /* what the last call returned */
};

/*
 * cmocka's setup and teardown: *state is the fixture. All clients are connected. Teardown checks that no memory is
 * left.
 */
int door_setup(void **state);
int door_teardown(void **state);

/* From now on answers wait for a log, of which nothing is safe but what f->safe says at the end of a turn. */
void door_keep(struct fixture *f);

/* The clients (re)connect or go. */
void door_connect(struct fixture *f, int client);
void door_close(struct fixture *f, int client);

/* Offers bytes to a client's session, with a budget of 1000 requests. Returns how many were taken. */
size_t door_input(struct fixture *f, int client, const void *bytes, size_t count);

/* Writes up to `bytes` pending bytes of the client's output; the client reads them. */
void door_write(struct fixture *f, int client, size_t bytes);

/* A turn of the broker, the door's effects, and the writes. */
void door_turn(struct fixture *f);

/* The same after `ms` have gone by. */
void door_wait_ms(struct fixture *f, int64_t ms);

/* Sends a request, [0, msgid, method, params]; returns its msgid. No turn. */
uint32_t door_ask(struct fixture *f, int client, const char *method, const char *params);

/* Sends a notification. No turn. */
void door_notify(struct fixture *f, int client, const char *method, const char *params);

/* The text of the answer to a request: a result, or "! " and an error, or "" if there is none yet. */
const char *door_answer(struct fixture *f, int client, uint32_t msgid);

/* door_ask(), door_turn(), door_answer(). */
const char *door_call(struct fixture *f, int client, const char *method, const char *params);

/* What has been pushed since the last time: "deliver [1, [[R1, 1, 1, b'a']]]\n". */
const char *door_pushed(struct fixture *f, int client);

/* Asserts what door_call() returns. */
#define check(f, client, method, params, expected) assert_string_equal(door_call(f, client, method, params), expected)

#endif
