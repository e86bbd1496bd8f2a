/*
 * The helper thread: jobs run one after the other in their order, and come back; with a thread and without.
 */
#include "server/log/worker.h"
#include "tests/support/random.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define MANY 20000

struct task {
    struct job job;
    pthread_t thread; /* that ran it */
    int order;        /* the how manieth it was */
    pthread_mutex_t *gate;
};

static atomic_int begun, ran, woken;

static void wake(void *user)
{
    assert_ptr_equal(user, &woken);
    woken++;
}

static void run_task(struct job *job)
{
    struct task *task = (struct task *)job;
    begun++;
    if (task->gate != NULL) {
        pthread_mutex_lock(task->gate);
        pthread_mutex_unlock(task->gate);
    }
    task->thread = pthread_self();
    task->order = ran++;
    job->result = -7;
}

static struct worker *worker_new(bool threaded)
{
    begun = ran = woken = 0;
    struct worker *worker = worker_open(threaded, wake, &woken);
    assert_non_null(worker);
    return worker;
}

static void submit(struct worker *worker, struct task *task)
{
    *task = (struct task){.job = {.run_cb = run_task, .took_ns = -1}, .order = -1, .gate = task->gate};
    worker_submit(worker, &task->job);
}

static void test_without_a_thread_a_job_waits_for_a_step(void **state)
{
    (void)state;
    struct worker *worker = worker_new(false);
    struct task tasks[2] = {0};
    assert_false(worker_step(worker));
    submit(worker, &tasks[0]);
    submit(worker, &tasks[1]);
    assert_null(worker_collect(worker));
    assert_int_equal(ran, 0);
    assert_true(worker_step(worker));
    assert_int_equal(ran, 1);
    assert_int_equal(woken, 1);
    assert_ptr_equal(worker_collect(worker), &tasks[0].job);
    assert_null(worker_collect(worker));
    assert_int_equal(tasks[0].job.result, -7);
    assert_true(worker_step(worker));
    assert_false(worker_step(worker));
    assert_ptr_equal(worker_collect(worker), &tasks[1].job);
    worker_close(worker);
}

static void test_without_a_thread_waiting_runs_the_job(void **state)
{
    (void)state;
    struct worker *worker = worker_new(false);
    struct task tasks[2] = {0};
    assert_false(worker_wait(worker));
    submit(worker, &tasks[0]);
    submit(worker, &tasks[1]);
    assert_true(worker_wait(worker));
    assert_int_equal(ran, 1);
    assert_true(worker_wait(worker)); /* the first is still to be collected */
    assert_int_equal(ran, 1);
    assert_non_null(worker_collect(worker));
    assert_true(worker_wait(worker));
    assert_int_equal(ran, 2);
    worker_close(worker);
}

static void test_closing_finishes_what_was_submitted(void **state)
{
    (void)state;
    for (int threaded = 0; threaded < 2; threaded++) {
        static struct task tasks[100];
        struct worker *worker = worker_new(threaded);
        for (int i = 0; i < 100; i++)
            submit(worker, &tasks[i]);
        worker_close(worker);
        for (int i = 0; i < 100; i++)
            assert_int_equal(tasks[i].order, i);
        assert_int_equal(woken, 100);
    }
    worker_close(NULL);
}

static void test_jobs_run_in_the_thread_in_their_order(void **state)
{
    (void)state;
    static struct task tasks[MANY];
    struct worker *worker = worker_new(true);
    int collected = 0;
    for (int i = 0; i < MANY; i++) {
        submit(worker, &tasks[i]);
        for (struct job *job; (job = worker_collect(worker)) != NULL; collected++)
            assert_ptr_equal(job, &tasks[collected].job);
    }
    while (worker_wait(worker))
        assert_ptr_equal(worker_collect(worker), &tasks[collected++].job);
    assert_int_equal(collected, MANY);
    worker_close(worker);
    assert_int_equal(woken, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(tasks[i].order, i);
        assert_false(pthread_equal(tasks[i].thread, pthread_self()));
        assert_true(pthread_equal(tasks[i].thread, tasks[0].thread));
        assert_int_equal(tasks[i].job.result, -7);
        assert_true(tasks[i].job.took_ns >= 0);
    }
}

static void test_one_job_at_a_time_back_and_forth(void **state)
{
    (void)state;
    struct worker *worker = worker_new(true);
    struct task task = {0};
    for (int i = 0; i < MANY; i++) {
        submit(worker, &task);
        assert_true(worker_wait(worker));
        assert_ptr_equal(worker_collect(worker), &task.job);
        assert_int_equal(task.order, i);
    }
    assert_false(worker_wait(worker));
    worker_close(worker);
}

static void test_submitting_does_not_wait_for_a_job_that_blocks(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct worker *worker = worker_new(true);
    struct task blocked = {.gate = &gate}, other = {0};
    pthread_mutex_lock(&gate);
    submit(worker, &blocked);
    submit(worker, &other);
    assert_null(worker_collect(worker));
    assert_false(worker_step(worker));
    assert_int_equal(ran, 0);
    pthread_mutex_unlock(&gate);
    assert_true(worker_wait(worker));
    assert_ptr_equal(worker_collect(worker), &blocked.job);
    assert_true(worker_wait(worker));
    assert_ptr_equal(worker_collect(worker), &other.job);
    worker_close(worker);
}

static void collect_in_order(struct worker *worker, struct task *const *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(worker_wait(worker));
        assert_ptr_equal(worker_collect(worker), &tasks[i]->job);
        assert_int_equal(tasks[i]->order, i);
    }
    assert_false(worker_wait(worker));
    assert_null(worker_collect(worker));
}

static void test_a_job_that_waits_can_be_recalled_and_the_others_keep_their_order(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        struct worker *worker = worker_new(false);
        struct task tasks[4] = {0};
        struct task *left[3];
        for (unsigned i = 0; i < 3; i++)
            submit(worker, &tasks[i]);
        assert_true(worker_recall(worker, &tasks[which].job));
        assert_false(worker_recall(worker, &tasks[which].job));
        submit(worker, &tasks[3]); /* behind those that remain */
        for (unsigned i = 0, n = 0; i < 4; i++)
            if (i != which)
                left[n++] = &tasks[i];
        collect_in_order(worker, left, 3);
        assert_int_equal(tasks[which].order, -1);
        worker_close(worker);
    }
}

static void test_a_job_that_was_recalled_can_be_submitted_again_and_is_the_last_then(void **state)
{
    (void)state;
    struct worker *worker = worker_new(false);
    struct task tasks[2] = {0};
    submit(worker, &tasks[0]);
    assert_true(worker_recall(worker, &tasks[0].job)); /* the only one */
    submit(worker, &tasks[0]);
    submit(worker, &tasks[1]);
    assert_true(worker_recall(worker, &tasks[0].job));
    submit(worker, &tasks[0]);
    collect_in_order(worker, (struct task *[]){&tasks[1], &tasks[0]}, 2);
    worker_close(worker);
    assert_int_equal(woken, 2);
}

static void test_a_job_that_is_done_is_not_recalled(void **state)
{
    (void)state;
    for (int threaded = 0; threaded < 2; threaded++) {
        struct worker *worker = worker_new(threaded);
        struct task task = {0};
        submit(worker, &task);
        assert_true(worker_wait(worker));
        assert_false(worker_recall(worker, &task.job));
        assert_ptr_equal(worker_collect(worker), &task.job);
        assert_false(worker_recall(worker, &task.job));
        worker_close(worker);
        assert_int_equal(ran, 1);
    }
}

static void test_a_job_that_is_being_done_is_not_recalled_and_one_behind_it_is(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct worker *worker = worker_new(true);
    struct task blocked = {.gate = &gate}, tasks[3] = {0};
    pthread_mutex_lock(&gate);
    submit(worker, &blocked);
    for (unsigned i = 0; i < 3; i++)
        submit(worker, &tasks[i]);
    while (begun == 0)
        sched_yield();
    assert_false(worker_recall(worker, &blocked.job));
    assert_true(worker_recall(worker, &tasks[1].job));
    assert_true(worker_recall(worker, &tasks[0].job));
    submit(worker, &tasks[0]);
    pthread_mutex_unlock(&gate);
    collect_in_order(worker, (struct task *[]){&blocked, &tasks[2], &tasks[0]}, 3);
    worker_close(worker);
    assert_int_equal(tasks[1].order, -1);
}

static void test_the_thread_is_idle_when_nothing_is_to_be_done_or_being_done(void **state)
{
    (void)state;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    for (int threaded = 0; threaded < 2; threaded++) {
        struct worker *worker = worker_new(threaded);
        struct task tasks[2] = {{.gate = threaded ? &gate : NULL}};
        pthread_mutex_lock(&gate);
        assert_true(worker_is_idle(worker));
        submit(worker, &tasks[0]);
        while (threaded && begun == 0)
            sched_yield();
        assert_false(worker_is_idle(worker));
        submit(worker, &tasks[1]);
        assert_true(worker_recall(worker, &tasks[1].job));
        assert_false(worker_is_idle(worker));
        pthread_mutex_unlock(&gate);
        assert_true(worker_wait(worker));
        assert_true(worker_is_idle(worker)); /* though one is still to be collected */
        worker_close(worker);
    }
}

/* Submitted, recalled and collected at any moment, a job runs as often as it was submitted and not taken back. */
static void test_every_job_runs_as_often_as_it_was_submitted_and_not_recalled(void **state)
{
    (void)state;
    enum { JOBS = 5 };
    struct worker *worker = worker_new(true);
    struct task tasks[JOBS] = {0};
    bool under_way[JOBS] = {false};
    int submitted = 0, recalled = 0, collected = 0;
    struct random random = {1};
    for (int i = 0; i < 10 * MANY; i++) {
        const size_t n = (size_t)random_below(&random, JOBS);
        if (!under_way[n]) {
            submit(worker, &tasks[n]);
            under_way[n] = true;
            submitted++;
        } else if (worker_recall(worker, &tasks[n].job)) {
            assert_int_equal(tasks[n].order, -1);
            under_way[n] = false;
            recalled++;
        }
        for (struct job *job; (job = worker_collect(worker)) != NULL; collected++) {
            struct task *done = (struct task *)job;
            assert_int_equal(done->order, collected); /* none twice, none left out */
            assert_true(under_way[done - tasks]);
            under_way[done - tasks] = false;
        }
    }
    while (worker_wait(worker))
        assert_int_equal(((struct task *)worker_collect(worker))->order, collected++);
    worker_close(worker);
    assert_int_equal(ran, submitted - recalled);
    assert_int_equal(collected, ran);
    assert_int_equal(woken, ran);
}

static sigset_t thread_mask;

static void read_mask(struct job *job)
{
    job->result = pthread_sigmask(SIG_BLOCK, NULL, &thread_mask);
}

static void test_signals_are_left_to_the_loop(void **state)
{
    (void)state;
    struct worker *worker = worker_new(true);
    struct job job = {.run_cb = read_mask};
    sigset_t own;
    worker_submit(worker, &job);
    assert_true(worker_wait(worker));
    const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM};
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &own), 0);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_true(sigismember(&thread_mask, signals[i]));
        assert_false(sigismember(&own, signals[i]));
    }
    worker_close(worker);
}

static int64_t thread_cpu_ns;

static void read_cpu(struct job *job)
{
    struct timespec used;
    job->result = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    thread_cpu_ns = (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* What a thread has used of the CPU does not grow while it has nothing to do, also after it has been busy. */
static void test_an_idle_thread_uses_no_cpu(void **state)
{
    (void)state;
    struct worker *worker = worker_new(true);
    struct task task = {0};
    struct job job = {.run_cb = read_cpu};
    for (int i = 0; i < 100; i++) {
        submit(worker, &task);
        assert_true(worker_wait(worker));
        (void)worker_collect(worker);
    }
    worker_submit(worker, &job);
    assert_true(worker_wait(worker));
    (void)worker_collect(worker);
    int64_t before_ns = thread_cpu_ns;
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    worker_submit(worker, &job);
    assert_true(worker_wait(worker));
    assert_in_range(thread_cpu_ns - before_ns, 0, 10000000);
    worker_close(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_thread_a_job_waits_for_a_step),
        cmocka_unit_test(test_without_a_thread_waiting_runs_the_job),
        cmocka_unit_test(test_closing_finishes_what_was_submitted),
        cmocka_unit_test(test_jobs_run_in_the_thread_in_their_order),
        cmocka_unit_test(test_one_job_at_a_time_back_and_forth),
        cmocka_unit_test(test_submitting_does_not_wait_for_a_job_that_blocks),
        cmocka_unit_test(test_a_job_that_waits_can_be_recalled_and_the_others_keep_their_order),
        cmocka_unit_test(test_a_job_that_was_recalled_can_be_submitted_again_and_is_the_last_then),
        cmocka_unit_test(test_a_job_that_is_done_is_not_recalled),
        cmocka_unit_test(test_a_job_that_is_being_done_is_not_recalled_and_one_behind_it_is),
        cmocka_unit_test(test_the_thread_is_idle_when_nothing_is_to_be_done_or_being_done),
        cmocka_unit_test(test_every_job_runs_as_often_as_it_was_submitted_and_not_recalled),
        cmocka_unit_test(test_signals_are_left_to_the_loop),
        cmocka_unit_test(test_an_idle_thread_uses_no_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
