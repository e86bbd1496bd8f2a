/*
 * Memory that runs out at the n-th allocation, n = 1, 2, 3 ... until none is hit: of malloc and its like, and of objects of
 * the broker's pool. Recovery either says that it is out of memory, and the log is as good as before, or succeeds. Every command
 * gets its answer, or an error and nothing has changed; its connection lives or has ended; and the log holds in each case what the
 * broker holds. Leaks are found by the pool, which must be empty in the end, and by LeakSanitizer.
 *
 * The calls are caught by the linker (--wrap, in the Makefile), so what libraries allocate for themselves does not count: libev
 * ends the process by itself when it is out of memory, and that is not covered.
 */
#include "protocol/commands.h"
#include "protocol/encoder.h"
#include "server/broker/digest.h"
#include "server/doors/native/session.h"
#include "tests/support/native_door.h"
#include "tests/support/wal_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- allocations that fail --------------------------------------------------------------------------------------- */

static uint64_t fail_in; /* 0: none does */
static bool failed, paused;

static bool fails(void)
{
    if (paused || fail_in == 0 || --fail_in > 0)
        return false;
    failed = true;
    return true;
}

static void fail_at(uint64_t n)
{
    fail_in = n;
    failed = false;
}

#define WRAP(name, params, args)                    \
    void *__real_##name params;                     \
    void *__wrap_##name params;                     \
    void *__wrap_##name params                      \
    {                                               \
        return fails() ? NULL : __real_##name args; \
    }

WRAP(malloc, (size_t bytes), (bytes))
WRAP(calloc, (size_t count, size_t bytes), (count, bytes))
WRAP(realloc, (void *old, size_t bytes), (old, bytes))
WRAP(aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes))
WRAP(pool_take, (struct pool * pool, size_t bytes), (pool, bytes))

/* ---- a disk whose own memory never runs out ---------------------------------------------------------------------- */

static struct files disk_table;

#define QUIET(type, name, params, args)           \
    static type quiet_##name params               \
    {                                             \
        paused = true;                            \
        const type result = disk_table.name args; \
        paused = false;                           \
        return result;                            \
    }

QUIET(int, open, (void *user, const char *name, int writable), (user, name, writable))
QUIET(int, create, (void *user, const char *name), (user, name))
QUIET(int, close, (void *user, int handle), (user, handle))
QUIET(int64_t, size, (void *user, int handle), (user, handle))
QUIET(int64_t, read, (void *user, int handle, void *data, size_t bytes, uint64_t offset),
      (user, handle, data, bytes, offset))
QUIET(int, write, (void *user, int handle, const void *data, size_t bytes, uint64_t offset),
      (user, handle, data, bytes, offset))
QUIET(int, allocate, (void *user, int handle, uint64_t bytes), (user, handle, bytes))
QUIET(int, truncate, (void *user, int handle, uint64_t bytes), (user, handle, bytes))
QUIET(int, sync, (void *user, int handle), (user, handle))
QUIET(int, sync_directory, (void *user), (user))
QUIET(int, rename, (void *user, const char *from, const char *to), (user, from, to))
QUIET(int, unlink, (void *user, const char *name), (user, name))
QUIET(int, want, (void *user, int handle, uint64_t bytes), (user, handle, bytes))
QUIET(int, lock, (void *user), (user))

struct lister {
    int (*name_cb)(void *arg, const char *name);
    void *arg;
};

static int on_name(void *user, const char *name)
{
    const struct lister *lister = user;
    paused = false;
    const int result = lister->name_cb(lister->arg, name);
    paused = true;
    return result;
}

static int quiet_list(void *user, int (*name_cb)(void *arg, const char *name), void *arg)
{
    struct lister lister = {name_cb, arg};
    paused = true;
    const int result = disk_table.list(user, on_name, &lister);
    paused = false;
    return result;
}

static struct files quiet_files(struct disk *disk)
{
    disk_table = *disk_files(disk);
    return (struct files){
        .user = disk_table.user,
        .list = quiet_list,
        .open = quiet_open,
        .create = quiet_create,
        .close = quiet_close,
        .size = quiet_size,
        .read = quiet_read,
        .write = quiet_write,
        .allocate = quiet_allocate,
        .truncate = quiet_truncate,
        .sync = quiet_sync,
        .sync_directory = quiet_sync_directory,
        .rename = quiet_rename,
        .unlink = quiet_unlink,
        .want = quiet_want,
        .lock = quiet_lock,
    };
}

/* ---- recovery ---------------------------------------------------------------------------------------------------- */

/* Opens a clone of the world's disk with a failure, and again without one. False if there was no failure. */
static bool recover_failing(const struct wal_world *from, uint64_t n)
{
    struct wal_world w = *from;
    struct wal_error error;
    w.disk = disk_clone(from->disk, n);
    const struct files files = quiet_files(w.disk);
    broker_init(&w.b, &from->b.limits, w.now_ms, 1);
    w.b.wall_offset_ms = from->b.wall_offset_ms;
    w.b.random = w.b.hash_seed = n;

    fail_at(n);
    w.wal = wal_open(&w.options, &files, &w.b, w.now_ms, &error);
    fail_in = 0;
    const bool hit = failed;
    if (w.wal) {
        assert_true(world_is_as_it_was(&w));
        broker_close(&w.b);
        wal_abandon(w.wal);
    } else {
        if (strncmp(error.text, "out of memory", 13) != 0)
            fail_msg("allocation %llu: %s", (unsigned long long)n, error.text);
        assert_int_equal(disk_open_handles(w.disk), 0);
        broker_close(&w.b);
    }
    disk_crash(w.disk, DISK_LOSE);
    if (!world_open(&w))
        fail_msg("the second try after allocation %llu: %s", (unsigned long long)n, w.error.text);
    assert_true(world_is_as_it_was(&w));
    world_die(&w);
    disk_free(w.disk);
    return hit;
}

static void test_recovery_without_memory_fails_or_succeeds_and_can_be_repeated(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct wal_world w;
        uint64_t n = 1;
        world_init(&w, disk_new(seed), WAL_FSYNC, seed);
        w.large = 1;
        assert_true(world_open(&w));
        world_prepare(&w);
        world_run(&w, 40);
        assert_true(world_close(&w));
        disk_crash(w.disk, DISK_KILL);
        while (recover_failing(&w, n))
            n++;
        assert_true(n > 100);
        fprintf(stderr, "%llu allocations of a recovery\n", (unsigned long long)n - 1);
        world_free(&w);
        disk_free(w.disk);
    }
}

/* ---- a server with something of everything ----------------------------------------------------------------------- */

struct server {
    struct fixture *f;
    struct disk *disk;
    struct files files;
    struct wal *wal;
    struct native_log log;
};

static uint64_t log_place(void *user)
{
    return wal_place(((struct server *)user)->wal);
}

static void log_event(void *user)
{
    wal_event(((struct server *)user)->wal);
}

static void log_info_of(void *user, struct wal_info *out)
{
    wal_info(((struct server *)user)->wal, out);
}

static void log_segment_of(void *user, uint64_t i, struct wal_segment_info *out)
{
    wal_segment(((struct server *)user)->wal, i, out);
}

static void log_compact(void *user)
{
    wal_compact(((struct server *)user)->wal);
}

static const struct wal_options options = {.level = WAL_FSYNC, .segment_bytes = 1 << 20};

/* A turn of the log, and of its helper thread. */
static void log_turn(struct server *s)
{
    wal_write(s->wal, s->f->now_ms);
    while (wal_step(s->wal))
        wal_collect(s->wal, s->f->now_ms);
    s->f->safe = wal_safe(s->wal);
}

static const char *const preparations[][2] = {
    {"queue.create", "['dead']"},
    {"queue.create", "['q', {'dead_letter': 'dead', 'visibility': 60000}]"},
    {"queue.create", "['f', {'type': 'fifo'}]"},
    {"queue.create", "['awaited']"},
    {"queue.create", "['paused']"},
    {"queue.pause", "['paused']"},
    {"topic.create", "['t']"},
    {"topic.subscribe", "['t', 'q', {'pattern': 'a.#'}]"},
    {"topic.subscribe", "['t', 'f']"},
    {"publish",
     "['q', ['one', ['two', {'headers': {'k': 1}}], 'three', 'four', ['five', {'delay': 50000}], 'six', 'x'*300]]"},
    {"publish", "['f', [['a', {'group': 'g'}], ['b', {'group': 'g'}], ['c', {'group': 'h', 'dedup_id': 'd'}]]]"},
    {"publish", "['dead', ['lost', 'lost too', 'x'*400]]"},
    {"receive", "['q', {'max': 4}]"},
    {"park", "[[R4]]"},
    {"consume", "['f']"},
    {"move", "['dead', {'to': 'q', 'rate': 1}]"},
};

/* Every method has one. */
static const char *const requests[][2] = {
    {"hello", "[{'client': 'c', 'version': '1'}]"},
    {"ping", "[]"},
    {"help", "[]"},
    {"help", "['publish']"},
    {"publish", "['q', ['new']]"},
    {"publish", "['awaited', ['new']]"},
    {"publish", "['q', [['new', {'headers': {'a': 'b', 'c': 2}, 'dedup_id': 'x', 'delay': 5000, 'ttl': 9000}]]]"},
    {"publish", "['q', ['y'*2000, ['new', {'dedup_id': 'x'}], 'z'], {'atomic': true}]"},
    {"publish", "['q', ['y'*100000]]"},
    {"publish", "['f', [['new', {'group': 'another', 'dedup_id': 'x'}]]]"},
    {"receive", "['q', {'max': 2}]"},
    {"receive", "['awaited', {'wait': 1000}]"},
    {"consume", "['q', {'prefetch': 2}]"},
    {"consume", "['f', {'group_prefetch': 2}]"},
    {"credit", "[1, 50]"},
    {"cancel", "[1]"},
    {"ack", "[[R1]]"},
    {"ack", "[[R1, R3]]"},
    {"nack", "[[R1]]"},
    {"nack", "[[R1], {'delay': 5000}]"},
    {"nack", "[[R1], {'dead': true, 'note': 'no good'}]"},
    {"extend", "[[R1], 5000]"},
    {"park", "[[R1], {'note': 'no good'}]"},
    {"kick", "['q', 1]"},
    {"discard", "['q', [6]]"},
    {"commit", "[{'publish': [['q', ['new']], ['f', [['new', {'group': 'g'}]]]], 'topics': [['t', 'a.b', [['all', "
               "{'group': 'g'}]]]], "
               "'ack': [R1]}]"},
    {"move", "['q', {'to': 'awaited'}]"},
    {"move.list", "[]"},
    {"move.cancel", "[1]"},
    {"peek", "['q']"},
    {"queue.create", "['new', {'ttl': 5000, 'dead_letter': 'dead', 'backoff': {'base': 100}}]"},
    {"queue.update", "['q', {'visibility': 1000, 'dead_letter': 'awaited'}]"},
    {"queue.delete", "['q']"},
    {"queue.purge", "['q']"},
    {"queue.info", "['q']"},
    {"queue.list", "[]"},
    {"queue.pause", "['q']"},
    {"queue.resume", "['paused']"},
    {"topic.create", "['another']"},
    {"topic.delete", "['t']"},
    {"topic.list", "[]"},
    {"topic.info", "['t']"},
    {"topic.subscribe", "['t', 'dead', {'pattern': 'b.*', 'filter': {'k': [1, 2]}}]"},
    {"topic.unsubscribe", "['t', 'f']"},
    {"topic.publish", "['t', 'a.b', [['all', {'group': 'g'}], ['y'*1000, {'group': 'h'}]]]"},
    {"server.info", "[]"},
    {"server.stats", "[]"},
    {"log.info", "[]"},
    {"log.compact", "[]"},
    {"config.get", "[]"},
    {"config.set", "['max_batch', 500]"},
    {"client.list", "[]"},
    {"client.kill", "[3]"},
};

static void server_start(struct server *s)
{
    void *state = NULL;
    struct wal_error error;
    door_setup(&state);
    *s = (struct server){.f = state, .disk = disk_new(1)};
    s->files = quiet_files(s->disk);
    s->wal = wal_open(&options, &s->files, &s->f->broker, s->f->now_ms, &error);
    assert_non_null(s->wal);
    s->log = (struct native_log){s, log_place, log_event, log_info_of, log_segment_of, log_compact};
    native_keep(&s->f->door, &s->log);
    (void)door_ask(s->f, B, "receive", "['awaited', {'wait': 20000}]");
    for (size_t i = 0; i < sizeof preparations / sizeof *preparations; i++) {
        const uint32_t msgid = door_ask(s->f, A, preparations[i][0], preparations[i][1]);
        door_turn(s->f);
        log_turn(s);
        door_turn(s->f);
        const char *answer = door_answer(s->f, A, msgid);
        if (answer[0] == '\0' || answer[0] == '!')
            fail_msg("%s %s: %s", preparations[i][0], preparations[i][1], answer);
    }
    (void)door_pushed(s->f, A);
}

static void server_end(struct server *s)
{
    void *state = s->f;
    for (int client = 0; client < CLIENTS; client++)
        door_close(s->f, client);
    wal_abandon(s->wal);
    door_teardown(&state);
    disk_free(s->disk);
}

/* Takes from the door what earlier requests have made it get, so that the next one must get it anew. */
static void server_cool(struct server *s)
{
    struct native_scratch *scratch = s->f->door.scratch;
    while (scratch->spare_decoder_count > 0)
        decoder_free(scratch->spare_decoders[--scratch->spare_decoder_count]);
    arena_close(&scratch->arena);
    waiting_close(&scratch->waiting);
    memset(&scratch->waiting, 0, sizeof scratch->waiting);
    free(scratch->publications);
    free(scratch->refused);
    free(scratch->which);
    free(scratch->numbers);
    free(scratch->parts);
    scratch->publications = NULL;
    scratch->refused = NULL;
    scratch->which = NULL;
    scratch->numbers = NULL;
    scratch->parts = NULL;
    scratch->publication_cap = scratch->number_cap = scratch->part_cap = 0;
    for (int client = 0; client < CLIENTS; client++) {
        struct buffer *out = &s->f->clients[client].out;
        assert_int_equal(buffer_pending(out), 0);
        buffer_close(out);
        buffer_init(out, native_release);
    }
}

/* What a start after a kill would bring back is what the broker holds. */
static void check_log(struct server *s, const char *what)
{
    const struct broker *is = &s->f->broker;
    struct broker was;
    struct wal_error error;
    wal_write(s->wal, s->f->now_ms);
    struct disk *disk = disk_clone(s->disk, 1);
    broker_init(&was, &is->limits, s->f->now_ms, 1);
    was.wall_offset_ms = is->wall_offset_ms;
    was.random = was.hash_seed = 1;
    struct wal *wal = wal_open(&options, disk_files(disk), &was, s->f->now_ms, &error);
    if (!wal)
        fail_msg("%s: %s", what, error.text);
    if (broker_digest(&was, s->f->now_ms) != broker_digest(is, s->f->now_ms))
        fail_msg("%s: the log holds something else than the broker", what);
    broker_close(&was);
    wal_abandon(wal);
    disk_free(disk);
}

/* ---- one request ------------------------------------------------------------------------------------------------- */

/* So long afterwards whatever found no memory has been tried again. */
#define SETTLE_MS 200

struct result {
    bool hit, ended;
    bool error; /* the answer is one; nothing has changed then */
    bool part;  /* the answer is none, but something in it is */
    uint64_t before, after;
};

static void encode(struct fixture *f, const char *const request[2], struct buffer *out)
{
    buffer_init(out, NULL);
    encode_array(out, 4);
    encode_uint(out, 0);
    encode_uint(out, 9999);
    encode_text(out, request[0]);
    wire_encode(out, request[1], &f->names);
}

static void nobody(void *user, struct session *session)
{
    (void)user;
    (void)session;
}

/* The turn in which the memory runs out: all of it but the clients' own reading. */
static void failing_turn(struct server *s, const struct buffer *request, uint64_t n)
{
    struct fixture *f = s->f;
    fail_at(n);
    (void)door_input(f, A, request->data, request->bytes);
    (void)broker_turn(&f->broker, f->now_ms);
    native_effects(&f->door, f->now_ms, nobody, NULL);
    broker_effects_done(&f->broker);
    log_turn(s);
    native_safe(&f->door, f->safe, false, nobody, NULL);
    fail_in = 0;
}

/* What a server does with connections that are over. Returns true if A's is. */
static bool close_ended(struct server *s, const char *what)
{
    struct fixture *f = s->f;
    bool ended = false;
    for (int client = 0; client < CLIENTS; client++) {
        struct client *c = &f->clients[client];
        if (!c->out.failed && !session_ending(c->session))
            continue;
        if (!c->out.failed) {
            door_write(f, client, SIZE_MAX);
            if (!strstr(door_pushed(f, client), "MEMORY_LIMIT"))
                fail_msg("%s: a connection ends and does not say why", what);
        }
        ended = ended || client == A;
        door_close(f, client);
    }
    return ended;
}

static struct result try_request(const char *const request[2], bool cold, uint64_t n)
{
    struct server s;
    struct buffer bytes;
    struct result o = {0};
    char what[400];
    snprintf(what, sizeof what, "%s %s, %s, allocation %llu", request[0], request[1], cold ? "cold" : "warm",
             (unsigned long long)n);
    server_start(&s);
    if (cold)
        server_cool(&s);
    encode(s.f, request, &bytes);
    o.before = broker_digest(&s.f->broker, s.f->now_ms);
    failing_turn(&s, &bytes, n);
    buffer_close(&bytes);
    o.hit = failed;
    o.ended = close_ended(&s, what);
    door_turn(s.f);
    log_turn(&s);
    door_wait_ms(s.f, SETTLE_MS);
    o.after = broker_digest(&s.f->broker, s.f->now_ms);
    if (!o.ended) {
        const char *answer = door_answer(s.f, A, 9999);
        o.error = strncmp(answer, "! ", 2) == 0;
        o.part = !o.error && strstr(answer, "MEMORY_LIMIT");
        if (answer[0] == '\0' && strstr(request[1], "wait") == NULL)
            fail_msg("%s: no answer", what);
        if (o.error && strncmp(answer, "! ['MEMORY_LIMIT'", 17) != 0)
            fail_msg("%s: %s", what, answer);
        check(s.f, A, "ping", "[]", "'pong'");
    }
    check_log(&s, what);
    server_end(&s);
    return o;
}

/*
 * Settling cannot fail: without memory a dead letter is parked where it is, and a note is left out. A move goes on when there is
 * memory, and what it moves then is of that later time.
 */
static bool may_differ(const char *const request[2])
{
    return strstr(request[1], "'dead': true") || strstr(request[1], "'note'") || strcmp(request[0], "move") == 0;
}

static uint64_t sweep(const char *const request[2], bool cold)
{
    const struct result good = try_request(request, cold, 0);
    uint64_t n = 0;
    if (good.error || good.part || good.ended)
        fail_msg("%s %s does not work at all", request[0], request[1]);
    for (;;) {
        const struct result o = try_request(request, cold, ++n);
        if (!o.hit)
            return n - 1;
        if (o.error && o.after != o.before)
            fail_msg("%s %s, allocation %llu: an error, and something has changed", request[0], request[1],
                     (unsigned long long)n);
        if (!o.error && !o.part && !o.ended && o.after != good.after && !may_differ(request))
            fail_msg("%s %s, allocation %llu: answered, and not done", request[0], request[1], (unsigned long long)n);
    }
}

static void test_every_command_without_memory_is_an_error_or_done(void **state)
{
    uint64_t total = 0;
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        total += sweep(requests[i], false) + sweep(requests[i], true);
    assert_true(total > 200);
    fprintf(stderr, "%llu allocations of %zu requests\n", (unsigned long long)total,
            sizeof requests / sizeof *requests);
}

static void test_every_command_has_a_request(void **state)
{
    (void)state;
    for (unsigned id = 0; id < COMMAND_COUNT; id++) {
        bool found = false;
        for (size_t i = 0; i < sizeof requests / sizeof *requests && !found; i++)
            found = strcmp(requests[i][0], command_row((enum command_id)id)->method) == 0;
        if (!found)
            fail_msg("no request for %s", command_row((enum command_id)id)->method);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovery_without_memory_fails_or_succeeds_and_can_be_repeated),
        cmocka_unit_test(test_every_command_has_a_request),
        cmocka_unit_test(test_every_command_without_memory_is_an_error_or_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
