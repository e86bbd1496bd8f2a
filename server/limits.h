/*
 * limits: what the options mean for the broker and for net.
 */
#ifndef SERVER_LIMITS_H
#define SERVER_LIMITS_H

#include "server/broker/broker.h"
#include "server/net/net.h"
#include "server/ops/options.h"

/* `auto_memory_bytes`: what max_memory 0 means. */
struct broker_limits limits_of_broker(const struct options *o, uint64_t auto_memory_bytes);

struct net_limits limits_of_net(const struct options *o, uint64_t max_connections);

/* Raises the process's limit of descriptors. max_connections, or as many as there are descriptors for; then a line says
   so. */
uint64_t limits_fit_connections(const struct options *o);

#endif
