#include "server/limits.h"

#include "server/ops/log.h"
#include "server/ops/process.h"

#include <inttypes.h>

struct broker_limits limits_of_broker(const struct options *o, uint64_t auto_memory_bytes)
{
    return (struct broker_limits){
        .max_memory_bytes = o->max_memory != 0 ? o->max_memory : auto_memory_bytes,
        .max_message_bytes = o->max_message_bytes,
        .max_body_bytes = o->max_request_bytes - LIMIT_REQUEST_SLACK,
        .max_response_bytes = o->max_response_bytes,
        .max_batch = o->max_batch,
        .max_wait_ms = o->max_wait,
        .max_queues = o->max_queues,
    };
}

struct net_limits limits_of_net(const struct options *o, uint64_t max_connections)
{
    return (struct net_limits){
        .max_connections = max_connections,
        .max_output_bytes = o->max_output,
        .slow_client_ms = (int64_t)o->slow_client_timeout,
        .keepalive_ms = (int64_t)o->tcp_keepalive,
    };
}

/* Every connection needs a descriptor, and some are needed besides. */
uint64_t limits_fit_connections(const struct options *o)
{
    const uint64_t wanted = o->max_connections;
    const uint64_t descriptors = process_raise_descriptors();
    const uint64_t possible = descriptors > NET_SPARE_DESCRIPTORS ? descriptors - NET_SPARE_DESCRIPTORS : 1;

    if (wanted <= possible)
        return wanted;
    log_warn("server",
             "max_connections is lowered, the system allows no more open files max_connections=%" PRIu64
             " wanted=%" PRIu64 " open_files=%" PRIu64,
             possible, wanted, descriptors);
    return possible;
}
