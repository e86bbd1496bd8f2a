#include "server/server.h"

#include "server/broker/broker.h"
#include "server/definitions.h"
#include "server/doors/native.h"
#include "server/keeping.h"
#include "server/limits.h"
#include "server/net/net.h"
#include "server/ops/log.h"
#include "server/ops/memory.h"
#include "server/ops/notify.h"
#include "server/ops/process.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* At the end: how long peers may take for their last output, and how long those that have it may take to hang up. */
#define CLOSING_OUTPUT_MS 1000
#define CLOSING_HANGUP_MS 100

_Static_assert(NET_NEVER == TIMERS_NEVER, "both mean that nothing is due");

enum server_phase { PHASE_SERVING, PHASE_DRAINING, PHASE_CLOSING };

struct server {
    struct config *config;
    struct broker broker;
    struct keeping keeping;
    struct native door;
    struct net *net;
    uint64_t auto_memory_bytes; /* what max_memory 0 means */
    uint64_t max_connections;   /* no more than there are descriptors for */
    int64_t started_ms;
    enum server_phase phase;
    int64_t phase_ms; /* when the phase began */
    bool draining;    /* what the log last said */
    bool failed;      /* it ends because its log has failed */
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What the wall clock is ahead of the clock of the loop. */
static int64_t wall_offset_ms(void)
{
    return process_wall_offset_ms() - NET_CLOCK_BASE_MS;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */

bool server_check(const struct options *options, struct option_error *error)
{
    for (uint32_t i = 0; i < options->bind.count; i++) {
        if (!net_address_valid(options->bind.words[i])) {
            option_fail(error, OPTION_BAD_VALUE, "bind: '%s' is no IPv4 or IPv6 address and not *",
                        options->bind.words[i]);
            return false;
        }
    }
    struct definitions_error wrong;
    if (definitions_check(options->definitions.text, &wrong))
        return true;
    option_fail(error, OPTION_UNREADABLE, "definitions: %s", wrong.text);
    return false;
}

static void options_changed(void *user)
{
    struct server *s = user;
    const struct options *o = &s->config->options;
    const struct net_limits limits = limits_of_net(o, s->max_connections);

    s->broker.limits = limits_of_broker(o, s->auto_memory_bytes);
    net_set_limits(s->net, &limits);
    keeping_changed(&s->keeping);
    log_set_level(o->log_level);
    if (s->draining != s->broker.draining) {
        s->draining = s->broker.draining;
        log_info("server", s->draining ? "draining: nothing new is accepted" : "no longer draining");
    }
}

/* ---- between net and door ---------------------------------------------------------------------------------------- */

static struct session *open_session(void *user, struct connection *connection, struct buffer *out, const char *address,
                                    int64_t now_ms)
{
    struct server *s = user;
    struct session *session = session_open(&s->door, out, address, connection, now_ms);

    if (session != NULL)
        log_debug("server", "connection opened id=%" PRIu64 " address=%s", session_id(session), address);
    return session;
}

static void close_session(struct session *session, int64_t now_ms)
{
    log_debug("server", "connection closed id=%" PRIu64, session_id(session));
    session_close(session, now_ms);
}

static void refuse_session(struct session *session)
{
    session_refuse_limit(session, "max_connections");
}

static void kill_session(void *user, struct session *session, const char *reason)
{
    (void)user;
    log_info("server", "connection ended id=%" PRIu64 " reason=%s", session_id(session), reason);
    connection_kill(session_user(session));
}

static void session_touched(void *user, struct session *session)
{
    (void)user;
    connection_touch(session_user(session));
}

static void fill_status(void *user, struct server_status *out)
{
    const struct server *s = user;
    const struct net_counters *n = net_counters(s->net);

    *out = (struct server_status){
        .pid = (uint64_t)getpid(),
        .uptime_ms = (uint64_t)(net_now_ms(s->net) - s->started_ms),
        .turns = n->turns,
        .connections = net_connections(s->net),
        .connections_total = n->accepted,
        .connections_refused = n->refused,
        .slow_clients = n->slow,
        .bytes_in = n->bytes_in,
        .bytes_out = n->bytes_out,
        .buffer_bytes = net_memory(s->net),
        .rss_bytes = process_rss_bytes(),
    };
    process_cpu_ms(&out->cpu_user_ms, &out->cpu_system_ms);
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

static void enter_phase(struct server *s, enum server_phase phase)
{
    s->phase = phase;
    s->phase_ms = net_now_ms(s->net);
}

static void stop_accepting(struct server *s)
{
    notify_send("STOPPING=1");
    net_listen_stop(s->net);
    broker_stop(&s->broker);
    enter_phase(s, PHASE_DRAINING);
}

static void give_up(struct server *s)
{
    if (s->failed)
        return;
    s->failed = true;
    log_error("server", "stopping because the log has failed log_failure=exit");
    if (s->phase == PHASE_SERVING)
        stop_accepting(s);
}

static void begin_stop(struct server *s, int signal_number)
{
    if (s->phase != PHASE_SERVING) {
        log_info("server", "stopping at once, signal %d came again", signal_number);
        net_stop(s->net);
        return;
    }
    log_info("server", "stopping because of signal %d, waiting for acks inflight=%" PRIu64 " drain_timeout_ms=%" PRIu64,
             signal_number, s->broker.inflight_count, s->config->options.drain_timeout);
    stop_accepting(s);
}

/* Takes the stop one step further at the end of a turn. Returns when there is something to do for it. */
static int64_t continue_stop(struct server *s, int64_t now_ms)
{
    if (s->phase == PHASE_SERVING)
        return NET_NEVER;
    if (s->phase == PHASE_DRAINING) {
        const int64_t until_ms = s->phase_ms + (int64_t)s->config->options.drain_timeout;
        const bool busy = s->broker.inflight_count > 0 || native_waiting(&s->door) > 0;
        if (busy && !s->failed && now_ms <= until_ms)
            return until_ms;
        /* In this order: what consumers are told still goes out, in the next turn, before their connections end. */
        broker_stop_finish(&s->broker, now_ms);
        net_finish(s->net);
        enter_phase(s, PHASE_CLOSING);
        return now_ms - 1;
    }
    const int64_t patience_ms = net_output_pending(s->net) ? CLOSING_OUTPUT_MS : CLOSING_HANGUP_MS;
    if (net_connections(s->net) == 0 || now_ms > s->phase_ms + patience_ms)
        net_stop(s->net);
    return s->phase_ms + patience_ms;
}

/* ---- the loop's calls -------------------------------------------------------------------------------------------- */

static int64_t end_turn(void *user, int64_t now_ms)
{
    struct server *s = user;

    s->broker.wall_offset_ms = wall_offset_ms();
    keeping_collect(&s->keeping, now_ms);
    const bool more = broker_turn(&s->broker, now_ms);
    if (!keeping_write(&s->keeping, now_ms))
        give_up(s);
    native_effects(&s->door, now_ms, session_touched, s);
    broker_effects_done(&s->broker);
    keeping_answer(&s->keeping, session_touched, s);
    net_flush(s->net);
    s->broker.outside_bytes = net_memory(s->net) + keeping_memory(&s->keeping);

    /* Asked for after the writes: they settle deliveries, and end connections whose messages go back. */
    const int64_t stop_ms = continue_stop(s, now_ms);
    const int64_t next_ms = earlier(stop_ms, keeping_next_ms(&s->keeping, now_ms));
    return earlier(next_ms, more ? now_ms - 1 : broker_next_ms(&s->broker));
}

static void report_change(void *user, const struct option *row, bool applied)
{
    const struct server *s = user;
    char text[OPTION_PRINT_BYTES];

    const enum option_id id = option_find(row->key, strlen(row->key));
    option_print(&s->config->options, id, text);
    if (applied)
        log_info("config", "%s is now '%s'", row->key, text);
    else
        log_warn("config", "%s has changed, which takes effect at the next start; until then it is '%s'", row->key,
                 text);
}

static void reload(struct server *s)
{
    struct option_error error;

    if (config_reload(s->config, report_change, s, &error) != OPTION_OK) {
        log_error("config", "not reloaded, nothing has changed: %s", error.text);
        return;
    }
    options_changed(s);
    log_info("config", "reloaded");
}

static void signal_arrived(void *user, int signal_number)
{
    struct server *s = user;

    if (signal_number != SIGHUP)
        begin_stop(s, signal_number);
    else if (s->phase == PHASE_SERVING)
        reload(s);
}

/* ---- opening and closing ----------------------------------------------------------------------------------------- */

static struct net *open_net(struct server *s)
{
    const struct net_door door = {
        .user = s,
        .open_cb = open_session,
        .input_cb = session_input,
        .waiting_cb = session_waiting_bytes,
        .ending_cb = session_ending,
        .written_cb = session_written,
        .refuse_cb = refuse_session,
        .close_cb = close_session,
        .memory_cb = session_memory,
        .release_cb = native_release,
        .turn_cb = end_turn,
        .signal_cb = signal_arrived,
    };
    const struct net_limits limits = limits_of_net(&s->config->options, s->max_connections);

    return net_open(&door, &limits);
}

static bool define_all(struct server *s, struct net_error *error)
{
    struct definitions_error wrong;

    if (definitions_apply(&s->door, s->config->options.definitions.text, s->started_ms, &wrong))
        return true;
    snprintf(error->text, sizeof error->text, "definitions: %.240s", wrong.text);
    return false;
}

static bool listen_all(struct server *s, struct net_error *error)
{
    const struct options *o = &s->config->options;
    const char *addresses[OPTION_LIST_WORDS];

    for (uint32_t i = 0; i < o->bind.count; i++)
        addresses[i] = o->bind.words[i];
    return net_listen(s->net, addresses, o->bind.count, (uint16_t)o->port, error) &&
           (o->socket.text[0] == '\0' || net_listen_unix(s->net, o->socket.text, (mode_t)o->socket_mode, error));
}

static void catch_signals(struct server *s)
{
    net_catch(s->net, SIGTERM);
    net_catch(s->net, SIGINT);
    net_catch(s->net, SIGHUP);
}

struct server *server_open(struct config *config)
{
    struct net_error error = {"out of memory"};
    struct server *s = calloc(1, sizeof *s);
    const struct native_host host = {s, kill_session, options_changed, fill_status};

    process_init();
    if (s == NULL)
        goto no_server;
    s->config = config;
    s->auto_memory_bytes = memory_limit_auto(NULL);
    /* The lines of the start are always written; debug adds to them, a higher level counts from then on. */
    if (config->options.log_level < LOG_LEVEL_INFO)
        log_set_level(config->options.log_level);
    s->max_connections = limits_fit_connections(&config->options);
    s->net = open_net(s);
    if (s->net == NULL)
        goto no_net;
    s->started_ms = net_now_ms(s->net);
    const struct broker_limits limits = limits_of_broker(&config->options, s->auto_memory_bytes);
    broker_init(&s->broker, &limits, s->started_ms, process_run_number());
    s->broker.clock_slack_ms = 1;
    s->broker.wall_offset_ms = wall_offset_ms();
    s->broker.random = process_random_number();
    s->broker.hash_seed = process_random_number();
    if (!keeping_open(&s->keeping, &config->options, s->net, &s->broker, s->started_ms, error.text, sizeof error.text))
        goto no_log;
    if (!native_init(&s->door, &s->broker, &config->options, &host))
        goto no_door;
    if (!define_all(s, &error) || !listen_all(s, &error))
        goto no_listener;
    keeping_attach(&s->keeping, &s->door);
    catch_signals(s);
    return s;

no_listener:
    native_close(&s->door);
no_door:
    keeping_close(&s->keeping);
no_log:
    broker_close(&s->broker);
    net_close(s->net);
no_net:
    free(s);
no_server:
    log_error("server", "%s", error.text);
    return NULL;
}

bool server_run(struct server *s)
{
    log_info("server", "ringmq-server " RINGMQ_VERSION " ready pid=%d", (int)getpid());
    notify_send("READY=1");
    log_set_level(s->config->options.log_level);
    net_run(s->net);
    /* What was never written to them goes back uncharged, and that is to be kept. */
    net_drop(s->net);
    return keeping_end(&s->keeping, &s->broker) && !s->failed;
}

void server_close(struct server *s)
{
    net_close(s->net);
    native_close(&s->door);
    broker_close(&s->broker);
    free(s);
}
