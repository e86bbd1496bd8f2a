#include "client/cli/consume.h"

#include "client/cli/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MS 5000

/* Lines are written in pieces of about this size, each a whole number of lines. */
#define PIECE_BYTES 65536

/* What printing keeps between deliveries. */
struct printer {
    struct cli *cli;
    const struct consume_plan *plan;
    enum output_form form;
    FILE *text; /* lines that are not written yet, in `data` */
    char *data;
    size_t bytes;
    uint64_t *receipts; /* of what has been printed and is not acked yet */
    uint32_t receipt_count, receipt_cap;
    uint64_t printed, stale;
    int64_t last_ms;    /* when something came */
    int code;           /* of the exit, once it is decided */
    bool over;          /* nothing more is printed: what still comes is given back */
    const char *reason; /* why the server ended the consumer */
    char reason_text[64];
};

static bool plan_read(struct consume_plan *plan, struct arguments *arguments)
{
    struct command_line *line = &arguments->line;
    const char *ack = command_line_option(line, "ack");

    plan->command = command_line_option(line, "exec");
    plan->delay_named = command_line_option(line, "nack-delay") != NULL;
    plan->automatic = ack != NULL && strcmp(ack, "auto") == 0;
    if (!command_line_count(line, "prefetch", &plan->prefetch) || !command_line_count(line, "max", &plan->max) ||
        !command_line_count(line, "jobs", &plan->jobs) || !command_line_count(line, "j", &plan->jobs) ||
        !command_line_time(line, "idle", 1000, &plan->idle_ms) ||
        !command_line_time(line, "visibility", 1, &plan->visibility_ms) ||
        !command_line_time(line, "nack-delay", 1, &plan->nack_delay_ms) ||
        !command_line_flag(line, "exclusive", &plan->exclusive) ||
        !command_line_flag(line, "single_active", &plan->single_active) ||
        !command_line_count(line, "priority", &plan->priority) ||
        !command_line_count(line, "group_prefetch", &plan->group_prefetch))
        return false;
    if (plan->priority > 9)
        return arguments_wrong(arguments, "--priority takes 0 to 9");
    if (plan->group_prefetch == 0 && command_line_option(line, "group_prefetch") != NULL)
        return arguments_wrong(arguments, "--group_prefetch takes 1 or more");
    if (ack != NULL && strcmp(ack, "auto") != 0 && strcmp(ack, "manual") != 0)
        return arguments_wrong(arguments, "--ack takes manual or auto");
    if (plan->max == 0 && command_line_option(line, "max") != NULL)
        return arguments_wrong(arguments, "--max takes 1 or more");
    if (plan->jobs == 0 || plan->jobs > 1000)
        return arguments_wrong(arguments, "--jobs takes 1 to 1000");
    if (plan->automatic && plan->max > 0)
        return arguments_wrong(arguments, "--max does not go with --ack auto: what is on its way is gone already");
    if (plan->automatic && plan->command != NULL)
        return arguments_wrong(arguments, "--exec acks when its command has ended: --ack auto does not go with it");
    return true;
}

int consume_run(struct cli *cli, struct arguments *arguments, const char *queue)
{
    struct consume_plan plan = {.queue = queue, .jobs = 1};
    int code = plan_read(&plan, arguments) ? cli_connect(cli) : EXIT_USAGE;

    if (code != EXIT_DONE)
        return code;
    return plan.command != NULL ? consume_exec(cli, &plan) : consume_print(cli, &plan, arguments->form);
}

void consume_plan_options(const struct consume_plan *plan, struct ringmq_consume_options *options)
{
    options->auto_ack = plan->automatic;
    options->visibility_ms = (int64_t)plan->visibility_ms;
    options->exclusive = plan->exclusive;
    options->single_active = plan->single_active;
    options->priority = (uint8_t)plan->priority;
    options->group_prefetch = (uint32_t)plan->group_prefetch;
}

static void on_acked(struct ringmq *conn, const struct ringmq_answer *answer, void *arg)
{
    struct ringmq_settled settled;
    struct ringmq_refusal refusal;

    (void)conn;
    if (ringmq_answer_settled(answer, &settled) != RINGMQ_OK)
        return;
    struct ringmq_iterator refusals = ringmq_iterate_refusals(settled.exceptions);
    while (ringmq_next_refusal(&refusals, &refusal))
        ++*(uint64_t *)arg;
}

int consume_ack(struct cli *cli, const uint64_t *receipts, uint32_t count, uint64_t *stale)
{
    const uint32_t most = (uint32_t)cli_limit(cli, "max_batch", 1000);

    for (uint32_t done = 0; done < count;) {
        uint32_t part = count - done < most ? count - done : most;
        int64_t token = ringmq_send_ack(cli->conn, receipts + done, part, 0, on_acked, stale);
        if (token < 0)
            return (int)token;
        done += part;
    }
    return RINGMQ_OK;
}

int consume_settle(struct cli *cli)
{
    const int64_t end_ms = now_ms() + SETTLE_MS;

    signals_clear();
    while (ringmq_in_flight(cli->conn) > 0 && now_ms() < end_ms) {
        int status = ringmq_poll(cli->conn, 100);
        if (status != RINGMQ_OK && status != RINGMQ_ERR_TIMEOUT)
            return status;
    }
    return ringmq_in_flight(cli->conn) > 0 ? RINGMQ_ERR_TIMEOUT : RINGMQ_OK;
}

/* ---- printing ---------------------------------------------------------------------------------------------------- */

static void print_message(const struct printer *p, const struct ringmq_delivery *delivery)
{
    if (p->form == OUTPUT_JSON) {
        output_delivery_json(p->text, delivery);
        return;
    }
    fwrite(delivery->body, 1, delivery->body_bytes, p->text);
    putc('\n', p->text);
}

/* Writes the lines so far, whole ones only: even if this program is killed, none of a file's lines is half of one. */
static bool write_lines(struct printer *p)
{
    bool good = fflush(p->text) == 0 && !ferror(p->text);

    for (size_t at = 0; good && at < p->bytes;) {
        ssize_t n = write(STDOUT_FILENO, p->data + at, p->bytes - at);
        good = n >= 0 || errno == EINTR;
        at += n > 0 ? (size_t)n : 0;
    }
    rewind(p->text);
    return good;
}

static void remember(struct printer *p, uint64_t receipt)
{
    if (p->receipt_count == p->receipt_cap) {
        p->receipt_cap = p->receipt_cap > 0 ? p->receipt_cap * 2 : 256;
        p->receipts = memory_resize(p->receipts, p->receipt_cap * sizeof *p->receipts);
    }
    p->receipts[p->receipt_count++] = receipt;
}

/* Prints all that came, writes it out, and only then acks. */
static void on_deliver(struct ringmq *conn, uint64_t consumer, struct ringmq_deliveries *deliveries, void *arg)
{
    struct printer *p = arg;
    struct ringmq_delivery delivery;

    p->receipt_count = 0;
    p->last_ms = now_ms();
    bool written = true;
    while (written && !p->over && ringmq_next_delivery(deliveries, &delivery)) {
        print_message(p, &delivery);
        remember(p, delivery.receipt);
        p->printed++;
        p->over = p->printed == p->plan->max;
        if (ftell(p->text) >= PIECE_BYTES)
            written = write_lines(p);
    }
    if (!written || !write_lines(p)) {
        p->code = EXIT_ERROR;
        p->over = true;
        return; /* not acked: whoever reads the queue next gets them */
    }
    p->last_ms = now_ms();
    if (p->over) { /* the credit that the acks give back must not fetch more */
        int64_t token = ringmq_send_credit(conn, consumer, 0, NULL, NULL);
        if (token > 0)
            ringmq_forget(conn, token);
    }
    if (!p->plan->automatic && p->receipt_count > 0 &&
        consume_ack(p->cli, p->receipts, p->receipt_count, &p->stale) != RINGMQ_OK)
        p->over = true;
}

static void on_cancelled(struct ringmq *conn, uint64_t consumer, const char *reason, void *arg)
{
    struct printer *p = arg;

    (void)conn;
    (void)consumer;
    snprintf(p->reason_text, sizeof p->reason_text, "%s", reason);
    p->reason = p->reason_text;
    p->over = true;
}

static int loop(struct printer *p)
{
    while (!p->over) {
        int64_t wait_ms = 1000;
        if (p->plan->idle_ms > 0)
            wait_ms = p->last_ms + (int64_t)p->plan->idle_ms - now_ms();
        if (wait_ms <= 0)
            break;
        int status = ringmq_poll(p->cli->conn, (int)(wait_ms < 1000 ? wait_ms : 1000));
        if (status == RINGMQ_ERR_INTERRUPTED)
            return signals_exit_code();
        if (status != RINGMQ_OK && status != RINGMQ_ERR_TIMEOUT)
            return cli_failed(p->cli, status);
    }
    return p->code;
}

static uint32_t print_prefetch(const struct consume_plan *plan)
{
    uint64_t prefetch = plan->prefetch > 0 ? plan->prefetch : 1000;

    return (uint32_t)(plan->max > 0 && plan->max < prefetch ? plan->max : prefetch);
}

static void printer_close(struct printer *p)
{
    fclose(p->text);
    free(p->data);
    free(p->receipts);
}

int consume_print(struct cli *cli, const struct consume_plan *plan, enum output_form form)
{
    struct printer p = {.cli = cli, .plan = plan, .form = form, .last_ms = now_ms()};
    struct ringmq_consume_options options = {
        .prefetch = print_prefetch(plan),
        .deliver_cb = on_deliver,
        .cancelled_cb = on_cancelled,
        .arg = &p,
    };
    uint64_t consumer;
    consume_plan_options(plan, &options);
    fflush(stdout); /* from here on lines go past it */
    p.text = open_memstream(&p.data, &p.bytes);
    if (p.text == NULL) {
        cli_complain(cli, "ringmq-cli: out of memory");
        return EXIT_ERROR;
    }
    int status = ringmq_consume(cli->conn, plan->queue, &options, &consumer, cli->timeout_ms);

    if (status != RINGMQ_OK) {
        printer_close(&p);
        return cli_failed(cli, status);
    }
    int code = loop(&p);
    p.over = true;
    if (p.reason == NULL && ringmq_state(cli->conn) == RINGMQ_READY) {
        signals_clear();
        status = consume_settle(cli); /* the acks first: what is acked is not given back */
        if (status == RINGMQ_OK)
            status = ringmq_cancel(cli->conn, consumer, cli->timeout_ms);
        if (status != RINGMQ_OK && code == EXIT_DONE)
            code = cli_failed(cli, status);
        if (status != RINGMQ_OK)
            ringmq_close(cli->conn); /* it may be subscribed still, to what ends with this function */
    }
    printer_close(&p);
    if (p.code == EXIT_ERROR)
        cli_complain(cli, "cannot write: the last messages are not acked and will be delivered again");
    if (p.stale > 0)
        cli_complain(cli,
                     "%" PRIu64 " messages had been given back before they were acked; they will be delivered again",
                     p.stale);
    if (p.reason != NULL) {
        cli_complain(cli, "the server has ended the consumer: %s", p.reason);
        code = EXIT_ERROR;
    }
    return code;
}
