#include "server/keeping.h"

#include "server/broker/restore.h"
#include "server/ops/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A recovery that takes longer says how far it is, as often. */
#define PROGRESS_MS 1000

_Static_assert(NET_NEVER == WAL_NEVER, "both mean that nothing is due");

static int64_t system_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static enum wal_level level_of(const struct options *o)
{
    switch (options_durability(o)) {
    case DURABILITY_OS:
        return WAL_OS;
    case DURABILITY_INTERVAL:
        return WAL_INTERVAL;
    case DURABILITY_AUTO:
    case DURABILITY_NONE:
    case DURABILITY_FSYNC:
    case DURABILITY_COUNT:
        break;
    }
    return WAL_FSYNC;
}

/* ---- what the log calls ------------------------------------------------------------------------------------------ */

static void wake(void *user)
{
    const struct keeping *k = user;

    net_wake(k->net);
}

static void progress(void *user, uint64_t done_bytes, uint64_t all_bytes)
{
    struct keeping *k = user;
    const int64_t now_ms = system_ms();

    if (now_ms - k->told_ms < PROGRESS_MS)
        return;
    k->told_ms = now_ms;
    log_info("log", "reading done_bytes=%" PRIu64 " all_bytes=%" PRIu64, done_bytes, all_bytes);
}

/* ---- what the door calls ----------------------------------------------------------------------------------------- */

static uint64_t place(void *user)
{
    const struct keeping *k = user;

    return wal_place(k->wal);
}

static void event(void *user)
{
    struct keeping *k = user;

    wal_event(k->wal);
    if (k->pauses != wal_pauses(k->wal)) {
        k->pauses = wal_pauses(k->wal);
        net_clock_again(k->net);
    }
}

static void info(void *user, struct wal_info *out)
{
    const struct keeping *k = user;

    wal_info(k->wal, out);
}

static void segment(void *user, uint64_t i, struct wal_segment_info *out)
{
    const struct keeping *k = user;

    wal_segment(k->wal, i, out);
}

static void compact(void *user)
{
    const struct keeping *k = user;

    wal_compact(k->wal);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void tell_recovered(const struct keeping *k, const struct broker *broker)
{
    struct wal_info is;

    wal_info(k->wal, &is);
    log_info("log",
             "recovered messages=%" PRIu64 " queues=%" PRIu32 " bytes=%" PRIu64 " ms=%" PRIu64 " dir=%s durability=%s",
             is.recovered_messages, broker->queue_count, is.recovered_bytes, is.recovery_ms, k->options->dir.text,
             durability_name(options_durability(k->options)));
    if (is.cut_bytes > 0)
        log_warn("log", "the end of the log was torn and has been cut off bytes=%" PRIu64 " batches=%" PRIu64,
                 is.cut_bytes, is.cut_batches);
}

bool keeping_open(struct keeping *k, const struct options *options, struct net *net, struct broker *broker,
                  int64_t now_ms, char *error, size_t error_bytes)
{
    const struct wal_options wal_options = {
        .level = level_of(options),
        .interval_ms = (int64_t)options->sync_interval,
        .segment_bytes = options->log_segment_bytes,
        .threaded = true,
        .wake_cb = wake,
        .progress_cb = progress,
        .user = k,
    };
    struct wal_error wrong;

    *k = (struct keeping){.options = options,
                          .net = net,
                          .level = wal_options.level,
                          .interval_ms = wal_options.interval_ms,
                          .told_ms = system_ms()};
    if (options->dir.text[0] == '\0')
        return true;
    const int result = files_open(&k->files, options->dir.text, true);
    if (result != 0) {
        snprintf(error, error_bytes, "dir %s: %s", options->dir.text, strerror(-result));
        return false;
    }
    k->wal = wal_open(&wal_options, &k->files, broker, now_ms, &wrong);
    if (k->wal == NULL) {
        files_close(&k->files);
        snprintf(error, error_bytes, "dir %.400s: %s", options->dir.text, wrong.text);
        return false;
    }
    tell_recovered(k, broker);
    broker_restarted(broker, now_ms);
    return true;
}

void keeping_attach(struct keeping *k, struct native *door)
{
    k->door = door;
    if (k->wal == NULL)
        return;
    k->hooks = (struct native_log){k, place, event, info, segment, compact};
    native_keep(door, &k->hooks);
}

void keeping_changed(struct keeping *k)
{
    const enum wal_level level = level_of(k->options);
    const int64_t interval_ms = (int64_t)k->options->sync_interval;

    if (k->wal == NULL || (level == k->level && interval_ms == k->interval_ms))
        return;
    k->level = level;
    k->interval_ms = interval_ms;
    wal_set_level(k->wal, level, interval_ms);
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static void tell_state(struct keeping *k)
{
    const enum wal_state state = wal_state(k->wal);
    struct wal_info is;

    if (state == k->state)
        return;
    k->state = state;
    wal_info(k->wal, &is);
    if (state == WAL_GOOD)
        log_info("log", "there is room again: publishes are accepted dir=%s", k->options->dir.text);
    else if (state == WAL_FULL)
        log_warn("log", "the disk is full: publishes are refused until there is room dir=%s", k->options->dir.text);
    else
        log_error("log", "the log has failed, nothing is kept any more: %s dir=%s", is.why != NULL ? is.why : "",
                  k->options->dir.text);
}

void keeping_collect(struct keeping *k, int64_t now_ms)
{
    if (k->wal != NULL)
        wal_collect(k->wal, now_ms);
}

bool keeping_write(struct keeping *k, int64_t now_ms)
{
    if (k->wal == NULL)
        return true;
    wal_write(k->wal, now_ms);
    tell_state(k);
    k->place = wal_place(k->wal);
    return k->state != WAL_FAILED || k->options->log_failure == LOG_FAILURE_STAY;
}

void keeping_answer(struct keeping *k, void (*touched_cb)(void *user, struct session *session), void *user)
{
    if (k->wal != NULL)
        native_safe(k->door, wal_safe(k->wal), k->state == WAL_FAILED, touched_cb, user);
}

int64_t keeping_next_ms(const struct keeping *k, int64_t now_ms)
{
    if (k->wal == NULL)
        return NET_NEVER;
    return wal_place(k->wal) != k->place ? now_ms - 1 : wal_next_ms(k->wal);
}

uint64_t keeping_memory(const struct keeping *k)
{
    return k->wal != NULL ? wal_memory(k->wal) + native_memory(k->door) : 0;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

bool keeping_close(struct keeping *k)
{
    if (k->wal == NULL)
        return true;
    const bool safe = wal_close(k->wal);
    files_close(&k->files);
    k->wal = NULL;
    if (k->door != NULL)
        native_keep(k->door, NULL);
    return safe;
}

static uint64_t message_count(const struct broker *b, bool durable)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < b->queue_count; i++) {
        const struct queue *q = b->queues[i];
        count += q->attributes.durable == durable ? queue_total(q) : 0;
    }
    return count;
}

bool keeping_end(struct keeping *k, const struct broker *broker)
{
    const bool kept = k->wal != NULL;
    const uint64_t durable = message_count(broker, true), fleeting = message_count(broker, false);
    const uint64_t lost = kept ? fleeting : durable + fleeting;

    if (!keeping_close(k)) {
        log_error("server", "stopped; the log has failed, and what came after that is lost dir=%s",
                  k->options->dir.text);
        return false;
    }
    if (kept)
        log_info("server", "stopped; messages kept in %s: %" PRIu64, k->options->dir.text, durable);
    if (!kept || lost > 0)
        log_write(lost > 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "server",
                  "stopped; messages that were in memory only and are lost: %" PRIu64, lost);
    return true;
}
