/*
 * worker: two lists behind one mutex, what is to be done and what is done, and the thread between them.
 *
 * The way back and forth counts: it is added to every confirmed publish. Waking a thread that sleeps takes the kernel tens of
 * microseconds, so the thread looks out for the next job for a moment after each one before it goes to sleep. It does so only
 * if the job before came that quickly, too: a server with little to do lets it sleep, and an idle one costs nothing.
 *
 * Nothing here fails but the beginning. Invariants: a job is in one list at most, and while the thread runs it in none;
 * `count` is how many are to be done or being done; wake_cb is called after its job can be collected.
 */
#include "server/log/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define LOOKOUT_NS 50000

struct list {
    struct job *first;
    struct job **end; /* where the next one goes */
};

struct worker {
    void (*wake_cb)(void *user);
    void *user;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t mutex;   /* of what follows */
    pthread_cond_t called;   /* something is to be done */
    pthread_cond_t finished; /* something was done */
    struct list todo, done;
    atomic_uint count;
    bool ending;
    int64_t rest_ns;    /* when the last job was finished */
    bool quick;         /* the next one came soon after it */
    atomic_bool wanted; /* todo or ending, for a look without the mutex */
};

static void list_add(struct list *list, struct job *job)
{
    job->next = NULL;
    *list->end = job;
    list->end = &job->next;
}

static struct job *list_take(struct list *list)
{
    struct job *job = list->first;
    if (job != NULL) {
        list->first = job->next;
        if (job->next == NULL)
            list->end = &list->first;
        job->next = NULL;
    }
    return job;
}

/* False if it is not in the list. */
static bool list_remove(struct list *list, struct job *job)
{
    struct job **at = &list->first;
    while (*at != NULL && *at != job)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = job->next;
    if (job->next == NULL)
        list->end = at;
    job->next = NULL;
    return true;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void look_out(const struct worker *worker, int64_t until_ns)
{
    while (!atomic_load_explicit(&worker->wanted, memory_order_relaxed) && now_ns() < until_ns)
        pause_cpu();
}

/* With the mutex, which is free while the job runs. */
static void run(struct worker *worker, struct job *job)
{
    pthread_mutex_unlock(&worker->mutex);
    int64_t start_ns = now_ns();
    job->run_cb(job);
    int64_t end_ns = now_ns();
    job->took_ns = end_ns - start_ns;
    pthread_mutex_lock(&worker->mutex);
    list_add(&worker->done, job);
    worker->count--;
    worker->rest_ns = end_ns;
    pthread_cond_signal(&worker->finished);
    pthread_mutex_unlock(&worker->mutex);
    worker->wake_cb(worker->user);
    pthread_mutex_lock(&worker->mutex);
}

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
    pthread_mutex_lock(&worker->mutex);
    for (;;) {
        struct job *job = list_take(&worker->todo);
        if (job != NULL) {
            run(worker, job);
            continue;
        }
        if (worker->ending)
            break;
        atomic_store_explicit(&worker->wanted, false, memory_order_relaxed);
        if (worker->quick) {
            int64_t until_ns = worker->rest_ns + LOOKOUT_NS;
            pthread_mutex_unlock(&worker->mutex);
            look_out(worker, until_ns);
            pthread_mutex_lock(&worker->mutex);
        }
        while (!atomic_load_explicit(&worker->wanted, memory_order_relaxed))
            pthread_cond_wait(&worker->called, &worker->mutex);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* Signals belong to the loop: the thread is born with all of them blocked. */
static bool start_thread(struct worker *worker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

struct worker *worker_open(bool threaded, void (*wake_cb)(void *user), void *user)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->wake_cb = wake_cb;
    worker->user = user;
    worker->threaded = threaded;
    worker->todo.end = &worker->todo.first;
    worker->done.end = &worker->done.first;
    atomic_init(&worker->wanted, false);
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->called, NULL);
    pthread_cond_init(&worker->finished, NULL);
    if (threaded && !start_thread(worker)) {
        worker->threaded = false;
        worker_close(worker);
        return NULL;
    }
    return worker;
}

void worker_close(struct worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->threaded) {
        pthread_mutex_lock(&worker->mutex);
        worker->ending = true;
        atomic_store_explicit(&worker->wanted, true, memory_order_relaxed);
        pthread_cond_signal(&worker->called);
        pthread_mutex_unlock(&worker->mutex);
        pthread_join(worker->thread, NULL);
    }
    while (worker_step(worker))
        continue;
    pthread_cond_destroy(&worker->finished);
    pthread_cond_destroy(&worker->called);
    pthread_mutex_destroy(&worker->mutex);
    free(worker);
}

void worker_submit(struct worker *worker, struct job *job)
{
    pthread_mutex_lock(&worker->mutex);
    assert(!worker->ending);
    if (worker->count++ == 0)
        worker->quick = now_ns() - worker->rest_ns < LOOKOUT_NS;
    list_add(&worker->todo, job);
    atomic_store_explicit(&worker->wanted, true, memory_order_relaxed);
    pthread_cond_signal(&worker->called);
    pthread_mutex_unlock(&worker->mutex);
}

bool worker_is_idle(const struct worker *worker)
{
    return atomic_load_explicit(&worker->count, memory_order_relaxed) == 0;
}

bool worker_recall(struct worker *worker, struct job *job)
{
    pthread_mutex_lock(&worker->mutex);
    const bool recalled = list_remove(&worker->todo, job);
    worker->count -= recalled;
    pthread_mutex_unlock(&worker->mutex);
    return recalled;
}

struct job *worker_collect(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    struct job *job = list_take(&worker->done);
    pthread_mutex_unlock(&worker->mutex);
    return job;
}

bool worker_wait(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    if (!worker->threaded && worker->done.first == NULL && worker->count > 0)
        run(worker, list_take(&worker->todo));
    while (worker->done.first == NULL && worker->count > 0)
        pthread_cond_wait(&worker->finished, &worker->mutex);
    bool any = worker->done.first != NULL;
    pthread_mutex_unlock(&worker->mutex);
    return any;
}

bool worker_step(struct worker *worker)
{
    pthread_mutex_lock(&worker->mutex);
    struct job *job = worker->threaded ? NULL : list_take(&worker->todo);
    if (job != NULL)
        run(worker, job);
    pthread_mutex_unlock(&worker->mutex);
    return job != NULL;
}
