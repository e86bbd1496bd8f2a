/* What a run needs before it begins: queues, connections, and memory for what is checked. */
#include "benchmarks/setup.h"

#include "protocol/encoder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors of ours beside those of connections. */
#define OWN_DESCRIPTORS 32

void load_queue_name(const struct bench_options *o, uint32_t queue, char name[LOAD_NAME_BYTES])
{
    if (o->queues == 1)
        snprintf(name, LOAD_NAME_BYTES, "%s", o->queue);
    else
        snprintf(name, LOAD_NAME_BYTES, "%s-%u", o->queue, queue);
}

int setup_descriptors(uint64_t connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wire_fail("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= connections + OWN_DESCRIPTORS)
        return 0;
    fprintf(stderr, "ringmq-bench: %" PRIu64 " connections are more than the %llu descriptors (ulimit -Hn)\n",
            connections, (unsigned long long)limit.rlim_cur);
    return -1;
}

static int create_queue(struct wire *w, const struct bench_options *o, const char *name)
{
    wire_begin(w, "queue.create", 2);
    encode_text(&w->out, name);
    encode_map(&w->out, 2);
    encode_text(&w->out, "type");
    encode_text(&w->out, o->groups > 0 ? "fifo" : "standard");
    encode_text(&w->out, "durable");
    encode_bool(&w->out, o->durable);
    int code = wire_call(w, "queue.create");
    decoder_next(w->decoder);
    return code;
}

static int subscribe(struct wire *w, const char *topic, const char *queue)
{
    wire_begin(w, "topic.subscribe", 2);
    encode_text(&w->out, topic);
    encode_text(&w->out, queue);
    int code = wire_call(w, "topic.subscribe");
    decoder_next(w->decoder);
    return code;
}

int setup_queues(struct wire *w, const struct bench_options *o)
{
    char name[LOAD_NAME_BYTES];
    int code = o->queues > 1 ? wire_call_name(w, "topic.create", o->queue) : 0;
    for (uint32_t i = 0; i < o->queues && code == 0; i++) {
        load_queue_name(o, i, name);
        code = create_queue(w, o, name);
        if (code == 0 && o->queues > 1)
            code = subscribe(w, o->queue, name);
    }
    return code;
}

int setup_delete_queues(struct wire *w, const struct bench_options *o)
{
    char name[LOAD_NAME_BYTES];
    int code = o->queues > 1 ? wire_call_name(w, "topic.delete", o->queue) : 0;
    for (uint32_t i = 0; i < o->queues && code == 0; i++) {
        load_queue_name(o, i, name);
        code = wire_call_name(w, "queue.delete", name);
    }
    return code;
}

/* Bodies differ from place to place, so that one that has slipped is noticed. */
static uint8_t *make_pattern(uint32_t bytes)
{
    uint8_t *pattern = malloc(bytes);
    for (uint32_t i = 0; pattern && i < bytes; i++)
        pattern[i] = (uint8_t)(i * 131 + (i >> 8));
    return pattern;
}

/* Batches whose times are remembered: all that can be under way. */
static uint32_t times_for(const struct bench_options *o)
{
    uint64_t most = o->window > o->backlog ? o->window : o->backlog;
    uint32_t times = 16;
    while (times < most / o->batch + 2 && times < 1u << 24)
        times *= 2;
    return times;
}

static int watch(const struct load *l, struct wire *w, void *owner, bool producer)
{
    /* The lowest bit of the pointer tells who it is. */
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(uintptr_t)owner | producer};
    w->owner = owner;
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) < 0 ? wire_fail("epoll") : 0;
}

static int open_connections(struct load *l)
{
    for (uint32_t i = 0; i < l->o->consumers; i++)
        if (consumer_open(l, i) < 0 || watch(l, &l->consumers[i].wire, &l->consumers[i], false) < 0)
            return -1;
    for (uint32_t i = 0; i < l->o->producers; i++)
        if (producer_open(l, i) < 0 || watch(l, &l->producers[i].wire, &l->producers[i], true) < 0)
            return -1;
    return 0;
}

int setup_load(struct load *l)
{
    const struct bench_options *o = l->o;
    const size_t pairs = (size_t)o->producers * o->queues;
    l->cycle = producer_train_requests(o) * o->batch;
    l->times = times_for(o);
    l->pattern = make_pattern(o->size);
    l->producers = calloc(o->producers, sizeof *l->producers);
    l->consumers = calloc(o->consumers, sizeof *l->consumers);
    l->ledgers = calloc(pairs, sizeof *l->ledgers);
    l->group_expected = calloc(pairs, o->groups * sizeof *l->group_expected);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!l->pattern || !l->producers || !l->consumers || !l->ledgers || !l->group_expected || l->epoll_fd < 0)
        return wire_fail("memory");
    return setup_descriptors((uint64_t)o->producers + o->consumers) < 0 ? -1 : open_connections(l);
}

void setup_close(struct load *l)
{
    for (uint32_t i = 0; l->consumers && i < l->o->consumers; i++)
        consumer_close(&l->consumers[i]);
    for (uint32_t i = 0; l->producers && i < l->o->producers; i++)
        producer_close(&l->producers[i]);
    for (size_t i = 0; l->ledgers && i < (size_t)l->o->producers * l->o->queues; i++)
        ledger_close(&l->ledgers[i]);
    if (l->epoll_fd > 0)
        close(l->epoll_fd);
    free(l->pattern);
    free(l->producers);
    free(l->consumers);
    free(l->ledgers);
    free(l->group_expected);
}
