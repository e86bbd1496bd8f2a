/*
 * signals: SIGINT and SIGTERM end a wait, not the program. Each writes a byte to a pipe that every wait watches. Whoever
 * sends a third one while nothing reacts wants out at once.
 */
#include "client/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE = 3 };

static volatile sig_atomic_t interrupts;
static volatile sig_atomic_t last_signal = SIGINT;
static int interrupt_pipe[2] = {-1, -1};
static int child_pipe[2] = {-1, -1};

static void on_signal(int number)
{
    int saved = errno;
    ssize_t written;

    if (number == SIGCHLD) {
        written = write(child_pipe[1], "", 1);
    } else {
        last_signal = number;
        interrupts = interrupts + 1;
        written = write(interrupt_pipe[1], "", 1);
        if (interrupts >= PATIENCE)
            _exit(128 + number);
    }
    (void)written; /* a full pipe is readable as well */
    errno = saved;
}

void signals_init(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGCHLD};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    if (pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK) != 0 || pipe2(child_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        exit(EXIT_ERROR);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int signals_interrupt_fd(void)
{
    return interrupt_pipe[0];
}

int signals_child_fd(void)
{
    return child_pipe[0];
}

int signals_count(void)
{
    return interrupts;
}

int signals_exit_code(void)
{
    return 128 + last_signal;
}

static void drain(int fd)
{
    char bytes[64];

    while (read(fd, bytes, sizeof(bytes)) > 0)
        ;
}

void signals_clear(void)
{
    drain(interrupt_pipe[0]);
    interrupts = 0;
}

void signals_child_clear(void)
{
    drain(child_pipe[0]);
}
