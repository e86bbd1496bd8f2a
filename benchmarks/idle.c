/* Connections that do nothing: what each takes, and what the server does meanwhile. */
#include "benchmarks/server.h"
#include "benchmarks/setup.h"

#include <stdlib.h>
#include <unistd.h>

/* Until it sleeps again after the last question. */
#define SETTLE_US 100000

struct memory {
    uint64_t buffers, rss;
};

static int look(struct server *s, struct memory *m)
{
    return server_number(s, "memory", "buffer_bytes", &m->buffers) < 0 ||
                   server_number(s, "memory", "rss_bytes", &m->rss) < 0
               ? -1
               : 0;
}

/* A connection counts once the server has taken it, which an answer on the last one proves for all before. */
static int open_connections(const struct bench_options *o, struct wire *wires)
{
    for (uint32_t i = 0; i < o->connections; i++) {
        if (wire_open(&wires[i], o) < 0 || wire_call_name(&wires[i], "server.info", "clients") < 0)
            return -1;
    }
    return 0;
}

static int measure(const struct bench_options *o, struct server *s, struct wire *wires, struct bench_result *r)
{
    struct idle_result *idle = &r->idle;
    struct memory before, after;
    uint64_t turns;
    double cpu_ns;
    if (look(s, &before) < 0 || open_connections(o, wires) < 0 || look(s, &after) < 0)
        return -1;
    idle->bytes_per_connection = ((double)after.buffers - (double)before.buffers) / o->connections;
    idle->rss_per_connection = ((double)after.rss - (double)before.rss) / o->connections;
    idle->rss_bytes = after.rss;
    if (server_number(s, "server", "turns", &turns) < 0)
        return -1;
    usleep(SETTLE_US);
    if (server_cpu_ns(s, &cpu_ns) < 0)
        return -1;
    const uint64_t switches = server_switches(s), start_ns = bench_now_ns();
    usleep((useconds_t)(o->seconds * 1e6));
    idle->switches = server_switches(s) - switches;
    r->seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    if (server_cpu_ns(s, &r->server_cpu_ns) < 0 || server_number(s, "server", "turns", &idle->turns) < 0)
        return -1;
    r->server_cpu_ns -= cpu_ns;
    /* The question for the number was a turn of its own. */
    idle->turns -= turns + 1;
    return 0;
}

int bench_idle(const struct bench_options *o, struct bench_result *r)
{
    struct server server = {.pid = 0};
    struct wire *wires = calloc(o->connections, sizeof *wires);
    if (!wires)
        return wire_fail("memory");
    int code = setup_descriptors(o->connections);
    if (code == 0)
        code = server_open(&server, o, r);
    if (code == 0)
        code = measure(o, &server, wires, r);
    for (uint32_t i = 0; i < o->connections; i++)
        wire_close(&wires[i]);
    server_close(&server);
    free(wires);
    return code;
}
