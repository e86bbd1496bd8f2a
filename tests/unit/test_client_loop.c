/*
 * The client against a real server, in other people's event loops: 100 connections from one poll(2), one from libev,
 * and plain blocking calls. The server is $RINGMQ_SERVER, or build/ringmq-server.
 */
#include "client/ringmq.h"

#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* No test waits longer than this for anything. */
enum { PATIENCE_MS = 20000 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the server ---- */

struct server {
    pid_t pid;
    int log_fd;
    uint16_t port;
    char directory[64];
    char socket_path[96];
};

/* Reads the log until its line with `ready`, and the port on the way. */
static void server_await(struct server *server)
{
    char log[8192];
    size_t used = 0;
    int64_t give_up_ms = now_ms() + PATIENCE_MS;
    log[0] = '\0';
    while (strstr(log, " ready") == NULL) {
        struct pollfd fd = {.fd = server->log_fd, .events = POLLIN};
        int left = (int)(give_up_ms - now_ms());
        ssize_t n = left > 0 && poll(&fd, 1, left) == 1 ? read(server->log_fd, log + used, sizeof(log) - 1 - used) : 0;
        if (n <= 0)
            fail_msg("the server does not get ready: %s", log);
        used += (size_t)n;
        log[used] = '\0';
    }
    const char *address = strstr(log, "127.0.0.1:");
    assert_non_null(address);
    server->port = (uint16_t)strtoul(address + strlen("127.0.0.1:"), NULL, 10);
    assert_true(server->port > 0);
}

static void server_start(struct server *server)
{
    const char *program = getenv("RINGMQ_SERVER");
    if (program == NULL)
        program = "build/ringmq-server";
    int log[2];
    assert_int_equal(pipe(log), 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        dup2(log[1], STDERR_FILENO);
        close(log[0]);
        close(log[1]);
        execl(program, program, "--port", "0", "--socket", server->socket_path, "--drain_timeout", "0", (char *)NULL);
        dprintf(STDERR_FILENO, "%s can't be started", program);
        _exit(127);
    }
    close(log[1]);
    server->log_fd = log[0];
    server_await(server);
    /* From here on nobody reads it, and the server must not have to wait for that. */
    assert_int_equal(fcntl(server->log_fd, F_SETPIPE_SZ, 1 << 20), 1 << 20);
}

static void server_stop(struct server *server)
{
    int status;
    assert_int_equal(kill(server->pid, SIGTERM), 0);
    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    close(server->log_fd);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int setup(void **state)
{
    static struct server server;
    strcpy(server.directory, "/tmp/ringmq-loop-XXXXXX");
    assert_non_null(mkdtemp(server.directory));
    snprintf(server.socket_path, sizeof(server.socket_path), "%s/socket", server.directory);
    server_start(&server);
    *state = &server;
    return 0;
}

static int teardown(void **state)
{
    struct server *server = *state;
    server_stop(server);
    unlink(server->socket_path);
    rmdir(server->directory);
    return 0;
}

/* ---- a client that publishes to a queue of its own and consumes what it has published ---- */

enum { BATCHES = 10, BATCH = 10 };

struct worker {
    struct ringmq *conn;
    char queue[32];
    uint32_t published; /* confirmed */
    uint32_t received;
    uint32_t acked;
    uint32_t repeated; /* received before, or out of order */
    bool failed;
    bool lost_allowed; /* the connection may be lost in between */
};

static bool worker_done(const struct worker *worker)
{
    /* Answers to acks can be lost with a connection; then the server's own count has to do, see worker_finish(). */
    uint32_t count = worker->lost_allowed ? worker->received : worker->acked;
    bool ready = ringmq_state(worker->conn) == RINGMQ_READY;
    return count >= BATCHES * BATCH && ready && ringmq_in_flight(worker->conn) == 0;
}

static void worker_acked_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct worker *worker = arg;
    struct ringmq_settled settled;
    (void)conn;
    if (answer->status == RINGMQ_ERR_CLOSED && worker->lost_allowed)
        return;
    if (ringmq_answer_settled(answer, &settled) == RINGMQ_OK)
        worker->acked += settled.count;
    else
        worker->failed = true;
}

static void worker_deliver_cb(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg)
{
    struct worker *worker = arg;
    struct ringmq_delivery d;
    uint64_t receipts[BATCHES * BATCH];
    uint32_t count = 0;
    (void)consumer;
    while (count < BATCHES * BATCH && ringmq_next_delivery(deliveries, &d)) {
        char body[64];
        snprintf(body, sizeof(body), "%s %llu", worker->queue, (unsigned long long)d.id);
        if (d.body_bytes != strlen(body) || memcmp(d.body, body, d.body_bytes) != 0)
            worker->failed = true;
        if (d.id == worker->received + 1)
            worker->received++;
        else
            worker->repeated++;
        receipts[count++] = d.receipt;
    }
    if (ringmq_send_ack(conn, receipts, count, 0, worker_acked_cb, worker) < 0)
        worker->failed = true;
}

static void worker_published_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct worker *worker = arg;
    struct ringmq_published published;
    (void)conn;
    if (ringmq_answer_published(answer, &published) == RINGMQ_OK && published.count == BATCH)
        worker->published += BATCH;
    else
        worker->failed = true;
}

static void worker_ok_cb(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    (void)conn;
    if (answer->status != RINGMQ_OK)
        ((struct worker *)arg)->failed = true;
}

static void worker_publish_batch(struct worker *worker, int batch)
{
    char bodies[BATCH][64];
    struct ringmq_message messages[BATCH] = {{0}};
    for (int i = 0; i < BATCH; i++) {
        int bytes = snprintf(bodies[i], sizeof(bodies[i]), "%s %d", worker->queue, batch * BATCH + i + 1);
        messages[i].body = bodies[i];
        messages[i].body_bytes = (size_t)bytes;
    }
    assert_true(ringmq_send_publish(worker->conn, worker->queue, messages, BATCH, NULL, worker_published_cb, worker) >
                0);
}

/* Everything is sent at once, before the connection is even there. */
static void worker_start(struct worker *worker, const struct ringmq_options *options, int number)
{
    snprintf(worker->queue, sizeof(worker->queue), "loop/%d", number);
    worker->conn = ringmq_new(options);
    assert_non_null(worker->conn);
    assert_int_equal(ringmq_start(worker->conn), RINGMQ_OK);
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_text(args, worker->queue);
    assert_true(ringmq_send(worker->conn, "queue.create", args, worker_ok_cb, worker) > 0);
    ringmq_args_free(args);
    struct ringmq_consume_options consume = {.prefetch = 15, .deliver_cb = worker_deliver_cb, .arg = worker};
    assert_true(ringmq_send_consume(worker->conn, worker->queue, &consume, NULL, worker_ok_cb, worker) > 0);
    for (int batch = 0; batch < BATCHES; batch++)
        worker_publish_batch(worker, batch);
}

static void worker_finish(struct worker *worker)
{
    assert_false(worker->failed);
    assert_int_equal(worker->published, BATCHES * BATCH);
    assert_int_equal(worker->received, BATCHES * BATCH);
    assert_int_equal(ringmq_state(worker->conn), RINGMQ_READY);
    struct ringmq_value info;
    uint64_t total = UINT64_MAX;
    for (int64_t give_up_ms = now_ms() + PATIENCE_MS; total > 0 && now_ms() < give_up_ms;) {
        assert_int_equal(ringmq_queue_info(worker->conn, worker->queue, &info, PATIENCE_MS), RINGMQ_OK);
        total = ringmq_value_uint(ringmq_value_get(info, "total"), UINT64_MAX);
    }
    assert_int_equal(total, 0);
    assert_int_equal(ringmq_value_uint(ringmq_value_get(info, "acked"), 0), BATCHES * BATCH);
    ringmq_free(worker->conn);
}

/* ---- poll ---- */

enum { WORKERS = 100 };

/* One turn of the loop over all connections. */
static void poll_turn(struct worker *workers)
{
    struct pollfd fds[WORKERS];
    int timeout = PATIENCE_MS;
    for (int i = 0; i < WORKERS; i++) {
        int due = ringmq_next_timeout_ms(workers[i].conn);
        timeout = due >= 0 && due < timeout ? due : timeout;
        short events = ringmq_wants_write(workers[i].conn) ? POLLIN | POLLOUT : POLLIN;
        fds[i] = (struct pollfd){.fd = ringmq_fd(workers[i].conn), .events = events};
    }
    assert_true(poll(fds, WORKERS, timeout) >= 0);
    for (int i = 0; i < WORKERS; i++) {
        bool readable = (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
        bool writable = (fds[i].revents & (POLLOUT | POLLHUP | POLLERR)) != 0;
        assert_int_equal(ringmq_process(workers[i].conn, readable, writable), RINGMQ_OK);
    }
}

static void a_hundred_connections_run_from_one_poll_loop(void **state)
{
    struct server *server = *state;
    static struct worker workers[WORKERS];
    const struct ringmq_options tcp = {.port = server->port};
    const struct ringmq_options local = {.socket_path = server->socket_path};
    for (int i = 0; i < WORKERS; i++)
        worker_start(&workers[i], i % 2 == 0 ? &tcp : &local, i);

    int64_t give_up_ms = now_ms() + PATIENCE_MS;
    int done = 0;
    while (done < WORKERS) {
        assert_true(now_ms() < give_up_ms);
        poll_turn(workers);
        done = 0;
        for (int i = 0; i < WORKERS; i++)
            done += worker_done(&workers[i]);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(workers[i].repeated, 0);
        worker_finish(&workers[i]);
    }
}

/* ---- libev ---- */

/* What it takes to run a connection from libev. */
struct ev_link {
    struct worker worker;
    struct ev_loop *loop;
    struct ev_io io;
    struct ev_timer due;
    struct ev_timer patience;
    struct ringmq *killer; /* to end the worker's connection with */
    int reconnects;
    bool killed;
};

static void link_adjust(struct ev_link *link)
{
    int events = ringmq_wants_write(link->worker.conn) ? EV_READ | EV_WRITE : EV_READ;
    if (ev_is_active(&link->io) && link->io.events != (EV__IOFDSET | events) && link->io.events != events) {
        ev_io_stop(link->loop, &link->io);
        ev_io_set(&link->io, link->io.fd, events);
        ev_io_start(link->loop, &link->io);
    }
    int due = ringmq_next_timeout_ms(link->worker.conn);
    ev_timer_stop(link->loop, &link->due);
    if (due >= 0) {
        ev_timer_set(&link->due, due / 1000.0, 0);
        ev_timer_start(link->loop, &link->due);
    }
}

static void link_socket_cb(struct ringmq *conn, int fd, void *arg)
{
    struct ev_link *link = arg;
    (void)conn;
    ev_io_stop(link->loop, &link->io);
    if (fd < 0)
        return;
    ev_io_set(&link->io, fd, EV_READ | EV_WRITE);
    ev_io_start(link->loop, &link->io);
}

static void link_state_cb(struct ringmq *conn, enum ringmq_state state, void *arg)
{
    struct ev_link *link = arg;
    (void)conn;
    if (state == RINGMQ_WAITING)
        link->reconnects++;
}

/* Ends the worker's connection from outside, by the name it gave in hello. */
static void link_kill(struct ev_link *link)
{
    struct ringmq_value clients;
    struct ringmq_value client;
    assert_int_equal(ringmq_call(link->killer, "client.list", NULL, PATIENCE_MS, &clients), RINGMQ_OK);
    struct ringmq_iterator it = ringmq_iterate(ringmq_value_get(clients, "clients"));
    uint64_t id = UINT64_MAX;
    while (ringmq_next(&it, NULL, &client)) {
        if (ringmq_value_equals(ringmq_value_get(client, "name"), "victim"))
            id = ringmq_value_uint(ringmq_value_get(client, "id"), UINT64_MAX);
    }
    assert_true(id != UINT64_MAX);
    struct ringmq_args *args = ringmq_args_new();
    ringmq_args_uint(args, id);
    assert_int_equal(ringmq_call(link->killer, "client.kill", args, PATIENCE_MS, NULL), RINGMQ_OK);
    ringmq_args_free(args);
    link->killed = true;
}

static void link_turn(struct ev_link *link, bool readable, bool writable)
{
    if (ringmq_process(link->worker.conn, readable, writable) != RINGMQ_OK)
        link->worker.failed = true;
    if (link->killer != NULL && !link->killed && link->worker.received >= BATCH &&
        link->worker.published == BATCHES * BATCH)
        link_kill(link);
    bool idle = worker_done(&link->worker) && (link->killer == NULL || link->reconnects > 0);
    if (link->worker.failed || idle)
        ev_break(link->loop, EVBREAK_ALL);
    link_adjust(link);
}

static void link_io_cb(struct ev_loop *loop, struct ev_io *io, int revents)
{
    (void)loop;
    link_turn(io->data, (revents & EV_READ) != 0, (revents & EV_WRITE) != 0);
}

static void link_due_cb(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    link_turn(timer->data, false, false);
}

static void link_patience_cb(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
    (void)revents;
    ((struct ev_link *)timer->data)->worker.failed = true;
    ev_break(loop, EVBREAK_ALL);
}

/* Runs one worker in a libev loop until all that it published has come back and is acked. */
static void link_run(struct ev_link *link, struct ringmq_options *options, int number)
{
    link->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(link->loop);
    ev_io_init(&link->io, link_io_cb, -1, EV_READ);
    ev_timer_init(&link->due, link_due_cb, 0, 0);
    ev_timer_init(&link->patience, link_patience_cb, PATIENCE_MS / 1000.0, 0);
    link->io.data = link->due.data = link->patience.data = link;
    ev_timer_start(link->loop, &link->patience);
    options->socket_cb = link_socket_cb;
    options->state_cb = link_state_cb;
    options->arg = link;
    worker_start(&link->worker, options, number);
    link_adjust(link);
    ev_run(link->loop, 0);
}

static void link_end(struct ev_link *link)
{
    worker_finish(&link->worker);
    ev_timer_stop(link->loop, &link->patience);
    ev_timer_stop(link->loop, &link->due);
    assert_false(ev_is_active(&link->io));
    ev_loop_destroy(link->loop);
}

static void a_connection_runs_from_a_libev_loop(void **state)
{
    struct server *server = *state;
    struct ev_link link = {0};
    struct ringmq_options options = {.port = server->port};
    link_run(&link, &options, 1000);
    assert_int_equal(link.worker.repeated, 0);
    link_end(&link);
}

static void a_connection_that_is_killed_goes_on_in_its_libev_loop(void **state)
{
    struct server *server = *state;
    struct ev_link link = {.worker.lost_allowed = true};
    struct ringmq_options options = {
        .port = server->port, .client_name = "victim", .reconnect = true, .reconnect_min_ms = 1};
    link.killer = ringmq_new(&(struct ringmq_options){.port = server->port});
    assert_int_equal(ringmq_connect(link.killer, PATIENCE_MS), RINGMQ_OK);
    link_run(&link, &options, 1001);
    assert_true(link.killed);
    assert_int_equal(link.reconnects, 1);
    link_end(&link);
    ringmq_free(link.killer);
}

/* ---- blocking ---- */

static void blocking_calls_do_the_whole_life_of_a_message(void **state)
{
    struct server *server = *state;
    char url[64];
    snprintf(url, sizeof(url), "ringmq://127.0.0.1:%u", (unsigned)server->port);
    struct ringmq *conn = ringmq_new(&(struct ringmq_options){.url = url});
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_OK);
    assert_true(ringmq_value_equals(ringmq_value_get(ringmq_hello(conn), "server"), "ringmq"));
    assert_int_equal(ringmq_ping(conn, 0), RINGMQ_OK);
    assert_int_equal(ringmq_publish_one(conn, "life", "x", 1, NULL, 0), RINGMQ_ERR_SERVER);
    assert_string_equal(ringmq_error_code(conn), "QUEUE_NOT_FOUND");

    bool created = false;
    assert_int_equal(ringmq_queue_create(conn, "life", NULL, &created, 0), RINGMQ_OK);
    assert_true(created);
    const struct ringmq_header header = {.name = "lang", .value.text = "de"};
    const struct ringmq_message messages[] = {
        {.body = "one", .body_bytes = 3, .headers = &header, .header_count = 1, .group = "g"},
        {.body = "two", .body_bytes = 3},
    };
    struct ringmq_published published;
    assert_int_equal(ringmq_publish(conn, "life", messages, 2, NULL, &published, 0), RINGMQ_OK);
    assert_int_equal(published.first_id, 1);
    assert_int_equal(published.count, 2);

    struct ringmq_deliveries deliveries;
    struct ringmq_delivery first;
    struct ringmq_delivery second;
    const struct ringmq_receive_options options = {.max = 10, .wait_ms = 1000};
    assert_int_equal(ringmq_receive(conn, "life", &options, &deliveries, 0), RINGMQ_OK);
    assert_int_equal(deliveries.count, 2);
    assert_true(ringmq_next_delivery(&deliveries, &first));
    assert_true(ringmq_next_delivery(&deliveries, &second));
    assert_true(ringmq_value_equals(ringmq_value_get(first.headers, "lang"), "de"));
    assert_int_equal(first.group.bytes, 1);

    struct ringmq_settled settled;
    assert_int_equal(ringmq_extend(conn, &first.receipt, 1, 60000, &settled, 0), RINGMQ_OK);
    assert_int_equal(settled.count, 1);
    assert_int_equal(ringmq_ack(conn, &first.receipt, 1, 0, &settled, 0), RINGMQ_OK);
    assert_int_equal(settled.count, 1);
    assert_int_equal(ringmq_park(conn, &second.receipt, 1, "why", &settled, 0), RINGMQ_OK);
    assert_int_equal(settled.count, 1);
    const uint64_t stale[] = {first.receipt, second.receipt};
    assert_int_equal(ringmq_nack(conn, stale, 2, NULL, &settled, 0), RINGMQ_OK);
    assert_int_equal(settled.count, 0);
    struct ringmq_refusal refusal;
    struct ringmq_iterator it = ringmq_iterate_refusals(settled.exceptions);
    assert_true(ringmq_next_refusal(&it, &refusal));
    assert_int_equal(refusal.index, 0);
    assert_true(ringmq_next_refusal(&it, &refusal));
    assert_int_equal(refusal.index, 1);

    struct ringmq_value page;
    assert_int_equal(ringmq_peek(conn, "life", &(struct ringmq_peek_options){.state = "parked"}, &page, 0), RINGMQ_OK);
    assert_true(
        ringmq_value_equals(ringmq_value_get(ringmq_value_item(ringmq_value_get(page, "messages"), 0), "note"), "why"));
    uint64_t count = 0;
    assert_int_equal(ringmq_kick(conn, "life", 10, &count, 0), RINGMQ_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ringmq_discard(conn, "life", (uint64_t[]){2}, 1, &count, 0), RINGMQ_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ringmq_queue_delete(conn, "life", RINGMQ_IF_EMPTY, &count, 0), RINGMQ_OK);
    assert_int_equal(count, 0);
    ringmq_free(conn);
}

static void ended_cb(struct ringmq *conn, uint64_t consumer, const char *reason, void *arg)
{
    (void)conn;
    (void)consumer;
    snprintf(arg, 64, "%s", reason);
}

static void ignore_cb(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg)
{
    (void)conn;
    (void)consumer;
    (void)deliveries;
    (void)arg;
}

static void a_restarted_server_is_found_again_and_what_it_forgot_is_told(void **state)
{
    struct server *server = *state;
    char reason[64] = "";
    struct ringmq_options options = {
        .socket_path = server->socket_path, .reconnect = true, .reconnect_min_ms = 1, .reconnect_max_ms = 50};
    struct ringmq *conn = ringmq_new(&options);
    assert_int_equal(ringmq_connect(conn, 0), RINGMQ_OK);
    assert_int_equal(ringmq_queue_create(conn, "gone", NULL, NULL, 0), RINGMQ_OK);
    const struct ringmq_consume_options consume = {.deliver_cb = ignore_cb, .cancelled_cb = ended_cb, .arg = reason};
    assert_int_equal(ringmq_consume(conn, "gone", &consume, NULL, 0), RINGMQ_OK);
    server_stop(server);
    server_start(server);
    int64_t give_up_ms = now_ms() + PATIENCE_MS;
    while (reason[0] == '\0') {
        assert_true(now_ms() < give_up_ms);
        int status = ringmq_poll(conn, 1000);
        assert_true(status == RINGMQ_OK || status == RINGMQ_ERR_TIMEOUT);
    }
    assert_string_equal(reason, "QUEUE_NOT_FOUND");
    assert_int_equal(ringmq_state(conn), RINGMQ_READY);
    ringmq_free(conn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hundred_connections_run_from_one_poll_loop),
        TEST(a_connection_runs_from_a_libev_loop),
        TEST(a_connection_that_is_killed_goes_on_in_its_libev_loop),
        TEST(blocking_calls_do_the_whole_life_of_a_message),
        TEST(a_restarted_server_is_found_again_and_what_it_forgot_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
