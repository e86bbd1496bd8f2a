/*
 * worker: the one helper thread. It does what may block, one job after the other in the order in which they came, and touches
 * nothing but the job and the files. Whoever submits a job leaves it alone until it comes back.
 *
 *     worker_submit() ... the thread runs job->run_cb ... wake_cb (from the thread) ... worker_collect() in the loop
 *
 * Without a thread (tests) a job waits until worker_step() runs it.
 */
#ifndef SERVER_LOG_WORKER_H
#define SERVER_LOG_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job {
    struct job *next;
    void (*run_cb)(struct job *job); /* in the thread */
    int result;                      /* what run_cb leaves there: 0 or -errno */
    int64_t took_ns;                 /* filled in by the worker */
};

struct worker;

/* wake_cb may be called from the thread at any time while there are jobs; it must be cheap and safe there. NULL: no memory. */
struct worker *worker_open(bool threaded, void (*wake_cb)(void *user), void *user);
/* Lets what was submitted finish (wake_cb is called), and frees; results not collected are dropped. NULL is allowed. */
void worker_close(struct worker *worker);

void worker_submit(struct worker *worker, struct job *job);
/* Nothing is to be done or being done: the thread waits. A glance without a lock, from the loop. */
bool worker_is_idle(const struct worker *worker);
/* Takes a job back that nobody has begun yet: true, and it is the caller's again. False: it is being done, or done. */
bool worker_recall(struct worker *worker, struct job *job);
/* The finished job that finished first, or NULL. */
struct job *worker_collect(struct worker *worker);
/* Waits until a job can be collected (without a thread: runs one); false if none is under way. */
bool worker_wait(struct worker *worker);
/* Without a thread: runs the next job; false if there is none. */
bool worker_step(struct worker *worker);

#endif
