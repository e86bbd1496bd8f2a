#include "benchmarks/server.h"

#include "protocol/encoder.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PROGRAM "ringmq-server\n"

/* True if the other end of a connection is on this machine. */
static bool is_here(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &bytes) < 0)
        return false;
    if (address.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&address)->sin_addr.s_addr) >> 24 == 127;
    if (address.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&address)->sin6_addr);
    return address.ss_family == AF_UNIX;
}

/* True if the process of that number is a server. A tunnel or a container may show us another machine's numbers. */
static bool is_server(uint64_t pid)
{
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/comm", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool read = fgets(name, sizeof name, f) != NULL;
    fclose(f);
    return read && strcmp(name, PROGRAM) == 0;
}

int server_number(struct server *s, const char *section, const char *key, uint64_t *out)
{
    wire_begin(&s->wire, "server.info", 1);
    encode_text(&s->wire.out, section);
    if (wire_call(&s->wire, "server.info") < 0)
        return -1;
    const uint32_t node = wire_find(s->wire.decoder, key);
    if (node == 0 || s->wire.decoder->nodes[node].type != NODE_UINT)
        return wire_complain(s->wire.decoder, "server.info");
    *out = s->wire.decoder->nodes[node].value.uint;
    decoder_next(s->wire.decoder);
    return 0;
}

static int read_durability(struct server *s, struct bench_result *r)
{
    wire_begin(&s->wire, "server.info", 1);
    encode_text(&s->wire.out, "log");
    if (wire_call(&s->wire, "server.info") < 0)
        return -1;
    const struct decoder *d = s->wire.decoder;
    const uint32_t node = wire_find(d, "durability");
    if (node == 0 || d->nodes[node].count >= sizeof r->durability)
        return wire_complain(d, "server.info");
    snprintf(r->durability, sizeof r->durability, "%.*s", (int)d->nodes[node].count,
             (const char *)decoder_bytes(d, &d->nodes[node]));
    decoder_next(s->wire.decoder);
    s->has_log = strcmp(r->durability, "none") != 0;
    return 0;
}

int server_open(struct server *s, const struct bench_options *o, struct bench_result *r)
{
    memset(s, 0, sizeof *s);
    if (wire_open(&s->wire, o) < 0 || server_number(s, "server", "pid", &s->pid) < 0 || read_durability(s, r) < 0)
        return -1;
    s->local = is_here(s->wire.fd) && is_server(s->pid) && clock_getcpuclockid((pid_t)s->pid, &s->clock) == 0;
    r->cpu_from_proc = s->local;
    return 0;
}

void server_close(struct server *s)
{
    wire_close(&s->wire);
}

int server_cpu_ns(struct server *s, double *ns)
{
    struct timespec time;
    uint64_t user_ms, system_ms;
    if (s->local && clock_gettime(s->clock, &time) == 0) {
        *ns = (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
        return 0;
    }
    if (server_number(s, "server", "cpu_user_ms", &user_ms) < 0 ||
        server_number(s, "server", "cpu_system_ms", &system_ms) < 0)
        return -1;
    *ns = ((double)user_ms + (double)system_ms) * 1e6;
    return 0;
}

int server_log_bytes(struct server *s, double *bytes)
{
    *bytes = 0;
    if (!s->has_log)
        return 0;
    wire_begin(&s->wire, "log.info", 0);
    if (wire_call(&s->wire, "log.info") < 0)
        return -1;
    const uint32_t node = wire_find(s->wire.decoder, "written_bytes");
    if (node == 0)
        return wire_complain(s->wire.decoder, "log.info");
    *bytes = (double)s->wire.decoder->nodes[node].value.uint;
    decoder_next(s->wire.decoder);
    return 0;
}

uint64_t server_switches(const struct server *s)
{
    char path[64], line[128];
    uint64_t switches = 0;
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/status", s->pid);
    FILE *f = s->local ? fopen(path, "re") : NULL;
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &switches) == 1)
            break;
    fclose(f);
    return switches;
}
