/*
 * status: numbers that the process knows about itself, once: X(section, field, help). server.info shows them by section.
 */
#ifndef SERVER_OPS_STATUS_H
#define SERVER_OPS_STATUS_H

#include <stdint.h>

#define STATUS_LIST(X)                                                                                         \
    X(server, pid, "process id")                                                                               \
    X(server, uptime_ms, "time since start")                                                                   \
    X(server, turns, "turns of the event loop")                                                                \
    X(clients, connections, "open connections")                                                                \
    X(clients, connections_total, "connections accepted since start")                                          \
    X(clients, connections_refused, "connections refused because of max_connections or a lack of descriptors") \
    X(clients, slow_clients, "connections ended because they did not read")                                    \
    X(clients, bytes_in, "bytes read from sockets")                                                            \
    X(clients, bytes_out, "bytes written to sockets")                                                          \
    X(memory, buffer_bytes, "memory of connections and their buffers")                                         \
    X(memory, rss_bytes, "resident memory as the system sees it")                                              \
    X(server, cpu_user_ms, "processor time of the process in user mode")                                       \
    X(server, cpu_system_ms, "processor time of the process in the kernel")

struct server_status {
#define X(section, field, help) uint64_t field;
    STATUS_LIST(X)
#undef X
};

#endif
