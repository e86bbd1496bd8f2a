/*
 * export: everything that the server has been told to have, as the commands that say so.
 *
 *     queue create failed
 *     queue create orders dead_letter=failed max_attempts=3
 *     topic create events
 *     topic subscribe events orders --pattern 'order.*'
 *
 * Sorted by name, so that two files of the same definitions are the same bytes; only a dead-letter queue comes before the
 * queue that needs it. An attribute with its default value is left out. What is created or deleted by others meanwhile
 * may be in it or not.
 */
#include "client/cli/work.h"

#include "client/cli/memory.h"
#include "protocol/attribute_text.h"
#include "protocol/numbers.h"
#include "protocol/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 1000

/* ---- names ------------------------------------------------------------------------------------------------------- */

struct queue_line {
    char *name;
    char *dead_letter; /* NULL: none */
    char *line;        /* its command; NULL: it was deleted meanwhile */
    bool written;
};

struct queue_lines {
    struct queue_line *list;
    size_t count;
};

typedef int list_call(struct ringmq *conn, const struct ringmq_list_options *options, struct ringmq_value *result,
                      int timeout_ms);

static char *name_copy(struct ringmq_value value)
{
    struct ringmq_bytes bytes = ringmq_value_bytes(value);

    return bytes.data == NULL ? NULL : text_copy(bytes.data, bytes.bytes);
}

/* The names of all queues or topics, in their order. Returns a status; the list is the caller's to free. */
static int names_ask(struct cli *cli, list_call *ask, const char *key, struct queue_lines *out)
{
    struct ringmq_list_options options = {.max = (uint32_t)cli_limit(cli, "max_batch", PAGE)};
    struct ringmq_value page, row;
    char *cursor = NULL;

    *out = (struct queue_lines){NULL, 0};
    options.max = options.max < PAGE ? options.max : PAGE;
    do {
        options.cursor = cursor;
        int status = ask(cli->conn, &options, &page, cli->timeout_ms);
        free(cursor);
        if (status != RINGMQ_OK)
            return status;
        struct ringmq_iterator rows = ringmq_iterate(ringmq_value_get(page, key));
        while (ringmq_next(&rows, NULL, &row)) {
            out->list = memory_resize(out->list, (out->count + 1) * sizeof(*out->list));
            out->list[out->count++] = (struct queue_line){.name = name_copy(ringmq_value_get(row, "name"))};
        }
        cursor = name_copy(ringmq_value_get(page, "next"));
    } while (cursor != NULL);
    return RINGMQ_OK;
}

static void names_close(struct queue_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->list[i].name);
        free(lines->list[i].dead_letter);
        free(lines->list[i].line);
    }
    free(lines->list);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* Writes a word so that it is read back as it is. */
static void word_write(FILE *out, const char *text, size_t bytes)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:,=+@%-";
    bool simple = bytes > 0, literal = true;

    for (size_t i = 0; i < bytes; i++) {
        simple = simple && text[i] != '\0' && strchr(plain, text[i]) != NULL;
        literal = literal && text[i] != '\'' && (unsigned char)text[i] >= 0x20;
    }
    if (simple && strncmp(text, "--", 2) != 0) {
        fwrite(text, 1, bytes, out);
    } else if (literal) {
        fputc('\'', out);
        fwrite(text, 1, bytes, out);
        fputc('\'', out);
    } else {
        fputc('"', out);
        for (size_t i = 0; i < bytes; i++) {
            if (text[i] == '"' || text[i] == '\\')
                fputc('\\', out);
            if ((unsigned char)text[i] < 0x20)
                fprintf(out, "\\x%02x", (unsigned)(unsigned char)text[i]);
            else
                fputc(text[i], out);
        }
        fputc('"', out);
    }
}

/* True if the value is what the attribute has when nobody says anything. */
static bool is_initial(const struct attribute_facts *facts, struct ringmq_value value)
{
    size_t bytes;
    const char *word;

    switch (facts->kind) {
    case ATTRIBUTE_CHOICE:
        word = attribute_facts_word(facts, (size_t)facts->initial, &bytes);
        struct ringmq_bytes text = ringmq_value_bytes(value);
        return text.data != NULL && text.bytes == bytes && memcmp(text.data, word, bytes) == 0;
    case ATTRIBUTE_BOOL:
        return ringmq_value_bool(value, false) == (facts->initial != 0);
    case ATTRIBUTE_NAME:
    case ATTRIBUTE_BACKOFF:
        return ringmq_value_type(value) == RINGMQ_NIL;
    default:
        return ringmq_value_int(value, -1) == facts->initial;
    }
}

static void attribute_value_write(FILE *out, const struct attribute_facts *facts, struct ringmq_value value)
{
    struct ringmq_bytes text = ringmq_value_bytes(value);
    char number[NUMBER_PRINT_BYTES], backoff[BACKOFF_PRINT_BYTES];

    switch (facts->kind) {
    case ATTRIBUTE_MS:
        time_print(ringmq_value_uint(value, 0), number);
        fputs(number, out);
        break;
    case ATTRIBUTE_BYTES:
        size_print(ringmq_value_uint(value, 0), number);
        fputs(number, out);
        break;
    case ATTRIBUTE_COUNT:
        fprintf(out, "%" PRIu64, ringmq_value_uint(value, 0));
        break;
    case ATTRIBUTE_BOOL:
        fputs(ringmq_value_bool(value, false) ? "true" : "false", out);
        break;
    case ATTRIBUTE_CHOICE:
        fwrite(text.data, 1, text.bytes, out);
        break;
    case ATTRIBUTE_NAME:
        /* Without quotes that would mean none. */
        fprintf(out, ringmq_value_equals(value, "nil") ? "'%.*s'" : "%.*s", (int)text.bytes, text.data);
        break;
    case ATTRIBUTE_BACKOFF:
        backoff_text(value, backoff);
        fputs(backoff, out);
        break;
    }
}

/* ---- queues ------------------------------------------------------------------------------------------------------ */

/* Fills the line of a queue. Returns a status. */
static int queue_describe(struct cli *cli, struct queue_line *queue)
{
    struct ringmq_value info;
    size_t bytes;
    int status = ringmq_queue_info(cli->conn, queue->name, &info, cli->timeout_ms);

    if (status == RINGMQ_ERR_SERVER && strcmp(ringmq_error_code(cli->conn), "QUEUE_NOT_FOUND") == 0)
        return RINGMQ_OK;
    if (status != RINGMQ_OK)
        return status;
    FILE *out = open_memstream(&queue->line, &bytes);
    if (out == NULL)
        memory_over();
    fputs("queue create ", out);
    word_write(out, queue->name, strlen(queue->name));
    for (size_t i = 0; attribute_facts(i) != NULL; i++) {
        const struct attribute_facts *facts = attribute_facts(i);
        struct ringmq_value value = ringmq_value_get(info, facts->name);
        if (ringmq_value_type(value) == RINGMQ_NONE || is_initial(facts, value))
            continue;
        fprintf(out, " %s=", facts->name);
        attribute_value_write(out, facts, value);
    }
    if (fclose(out) != 0)
        memory_over();
    queue->dead_letter = name_copy(ringmq_value_get(info, "dead_letter"));
    return RINGMQ_OK;
}

static int name_compare(const void *name, const void *queue)
{
    return strcmp(name, ((const struct queue_line *)queue)->name);
}

/* The queue of that name, or NULL. Names are sorted by their bytes, as strcmp() does it. */
static struct queue_line *queue_find(const struct queue_lines *queues, const char *name)
{
    return bsearch(name, queues->list, queues->count, sizeof(*queues->list), name_compare);
}

/*
 * Writes a queue, and before it those that it needs: the chain of its dead-letter queues, from its end. `chain` has room
 * for all queues.
 */
static void queue_write(struct cli *cli, const struct queue_lines *queues, struct queue_line *queue,
                        struct queue_line **chain)
{
    size_t length = 0;

    while (queue != NULL && !queue->written) {
        queue->written = true;
        chain[length++] = queue;
        queue = queue->dead_letter != NULL ? queue_find(queues, queue->dead_letter) : NULL;
    }
    while (length > 0) {
        queue = chain[--length];
        if (queue->line == NULL)
            continue;
        if (queue->dead_letter != NULL && queue_find(queues, queue->dead_letter) == NULL) {
            printf("# There is no queue %s any more: create it first, or take it out of the next line.\n",
                   queue->dead_letter);
            cli_complain(cli, "export: queue %s names the dead-letter queue %s, which does not exist", queue->name,
                         queue->dead_letter);
        }
        puts(queue->line);
    }
}

static int queues_export(struct cli *cli)
{
    struct queue_lines queues;
    int status = names_ask(cli, ringmq_queue_list, "queues", &queues);

    for (size_t i = 0; i < queues.count && status == RINGMQ_OK; i++)
        status = queue_describe(cli, &queues.list[i]);
    struct queue_line **chain = memory_new(queues.count * sizeof(*chain));
    for (size_t i = 0; i < queues.count && status == RINGMQ_OK; i++)
        queue_write(cli, &queues, &queues.list[i], chain);
    free(chain);
    names_close(&queues);
    return status;
}

/* ---- topics ------------------------------------------------------------------------------------------------------ */

/* True if JSON can say it. */
static bool is_json(struct ringmq_value value)
{
    struct ringmq_iterator it = ringmq_iterate(value);
    struct ringmq_bytes bytes = ringmq_value_bytes(value);
    struct ringmq_value key, item;

    if (bytes.data != NULL)
        return utf8_is_text(bytes.data, bytes.bytes);
    if (ringmq_value_type(value) == RINGMQ_DOUBLE)
        return isfinite(ringmq_value_double(value, 0));
    while (ringmq_next(&it, &key, &item)) {
        if ((it.map && !is_json(key)) || !is_json(item))
            return false;
    }
    return true;
}

/* False: the filter can't be written. */
static bool subscription_write(const char *topic, struct ringmq_value subscription)
{
    struct ringmq_bytes queue = ringmq_value_bytes(ringmq_value_get(subscription, "queue"));
    struct ringmq_value pattern = ringmq_value_get(subscription, "pattern");
    struct ringmq_value filter = ringmq_value_get(subscription, "filter");
    struct ringmq_bytes text = ringmq_value_bytes(pattern);

    if (!is_json(filter) || (text.bytes > 0 && memchr(text.data, '\0', text.bytes) != NULL))
        return false;
    fputs("topic subscribe ", stdout);
    word_write(stdout, topic, strlen(topic));
    putchar(' ');
    word_write(stdout, queue.data, queue.bytes);
    if (text.data != NULL && !ringmq_value_equals(pattern, "#")) {
        fputs(" --pattern ", stdout);
        word_write(stdout, text.data, text.bytes);
    }
    if (ringmq_value_type(filter) == RINGMQ_MAP) {
        char *json = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&json, &bytes);
        if (out == NULL)
            memory_over();
        json_print(out, SHAPE_WORD_JSON, filter);
        if (fclose(out) != 0)
            memory_over();
        fputs(" --filter ", stdout);
        word_write(stdout, json, bytes);
        free(json);
    }
    putchar('\n');
    return true;
}

/* The first pass writes the topics, the second what is subscribed to them. */
static int topics_export(struct cli *cli, bool *whole)
{
    struct queue_lines topics;
    struct ringmq_value info, subscription;
    int status = names_ask(cli, ringmq_topic_list, "topics", &topics);

    for (size_t i = 0; i < topics.count && status == RINGMQ_OK; i++) {
        fputs("topic create ", stdout);
        word_write(stdout, topics.list[i].name, strlen(topics.list[i].name));
        putchar('\n');
    }
    for (size_t i = 0; i < topics.count && status == RINGMQ_OK; i++) {
        const char *name = topics.list[i].name;
        status = ringmq_topic_info(cli->conn, name, &info, cli->timeout_ms);
        if (status == RINGMQ_ERR_SERVER && strcmp(ringmq_error_code(cli->conn), "TOPIC_NOT_FOUND") == 0) {
            status = RINGMQ_OK;
            continue;
        }
        if (status != RINGMQ_OK)
            break;
        struct ringmq_iterator it = ringmq_iterate(ringmq_value_get(info, "subscriptions"));
        while (ringmq_next(&it, NULL, &subscription)) {
            if (!subscription_write(name, subscription)) {
                cli_complain(
                    cli,
                    "export: a subscription to topic %s has a pattern or a filter that no command can say: left out",
                    name);
                *whole = false;
            }
        }
    }
    names_close(&topics);
    return status;
}

int definitions_export(struct cli *cli)
{
    bool whole = true;
    int code = cli_connect(cli);

    if (code != EXIT_DONE)
        return code;
    int status = queues_export(cli);
    if (status == RINGMQ_OK)
        status = topics_export(cli, &whole);
    if (status != RINGMQ_OK)
        return cli_failed(cli, status);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_complain(cli, "export: cannot write");
        return EXIT_ERROR;
    }
    return whole ? EXIT_DONE : EXIT_ERROR;
}
