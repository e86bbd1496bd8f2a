#include "server/definitions.h"

#include "protocol/decoder.h"
#include "protocol/definitions.h"
#include "protocol/encoder.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An answer to a definition is small; an error's text is shown up to here. */
#define ANSWER_BYTES (64 << 10)

/* The part of a text that an error repeats. */
#define SHOWN_BYTES 200

__attribute__((format(printf, 2, 3))) static bool fail(struct definitions_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    for (char *at = error->text; *at != '\0'; at++) {
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
    }
    return false;
}

/* All of a file, to be freed by the caller; NULL with an error. */
static char *read_file(const char *path, size_t *bytes, struct definitions_error *error)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    struct stat status;

    *bytes = 0;
    errno = file == NULL ? errno : 0;
    if (file != NULL && fstat(fileno(file), &status) == 0 && !S_ISREG(status.st_mode)) {
        fclose(file);
        fail(error, "%s: not a file that can be read again", path); /* it is: once to check it, once to carry it out */
        return NULL;
    }
    while (file != NULL && errno == 0 && !feof(file) && *bytes <= DEFINITIONS_BYTES) {
        if (*bytes == room) {
            char *larger = realloc(text, room = room == 0 ? 4096 : room * 2);
            if (larger == NULL)
                break;
            text = larger;
        }
        *bytes += fread(text + *bytes, 1, room - *bytes, file);
    }
    const bool whole = file != NULL && errno == 0 && feof(file);
    if (*bytes > DEFINITIONS_BYTES)
        fail(error, "%s: larger than %d MiB", path, DEFINITIONS_BYTES >> 20);
    else if (!whole)
        fail(error, "%s: %s", path, strerror(errno != 0 ? errno : ENOMEM));
    if (file != NULL)
        fclose(file);
    if (whole && *bytes <= DEFINITIONS_BYTES)
        return text;
    free(text);
    return NULL;
}

/* ---- one definition ---------------------------------------------------------------------------------------------- */

/* Where requests go in and answers come out. */
struct client {
    struct session *session;
    struct buffer request, answer;
    uint64_t answered_bytes; /* in all */
    int64_t now_ms;
};

static void write_request(struct buffer *out, const struct definitions *d)
{
    buffer_reset(out);
    encode_array(out, 4);
    encode_uint(out, 0);
    encode_uint(out, d->line);
    encode_text(out, command_row(d->command)->method);
    encode_array(out, d->param_count);
    buffer_append(out, d->params.data, d->params.bytes);
}

/* Reads [1, msgid, error, result]. True if the error is nil; otherwise *error is [code, text, ...] put into words. */
static bool read_answer(const struct buffer *answer, const char *path, uint32_t line, struct definitions_error *error)
{
    struct decoder *decoder = decoder_new(ANSWER_BYTES, NULL);
    size_t used;
    bool good = false;

    if (decoder == NULL)
        return fail(error, "%s:%u: out of memory", path, line);
    const bool read = answer->bytes > 0 && decoder_feed(decoder, answer->data, answer->bytes, &used) == DECODER_READY &&
                      decoder->node_count > 3;
    const struct node *n = decoder->nodes;
    if (read && n[3].type == NODE_NIL)
        good = true;
    else if (read && n[3].type == NODE_ARRAY && n[3].count >= 2 && n[4].type == NODE_STR && n[5].type == NODE_STR)
        fail(error, "%s:%u: %.*s: %.*s", path, line, (int)n[4].count, (const char *)decoder_bytes(decoder, &n[4]),
             n[5].count < SHOWN_BYTES ? (int)n[5].count : SHOWN_BYTES, (const char *)decoder_bytes(decoder, &n[5]));
    else
        fail(error, "%s:%u: not carried out", path, line);
    decoder_free(decoder);
    return good;
}

static bool define(struct client *c, const struct definitions *d, const char *path, struct definitions_error *error)
{
    uint32_t budget = 1;

    write_request(&c->request, d);
    if (!c->request.failed)
        session_input(c->session, c->now_ms, c->request.data, c->request.bytes, &budget);
    const bool good = read_answer(&c->answer, path, d->line, error);
    const size_t bytes = buffer_pending(&c->answer);
    buffer_consume(&c->answer, bytes);
    c->answered_bytes += bytes;
    session_written(c->session, c->now_ms, c->answered_bytes);
    return good;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* Goes through the file; carries it out if there is a client. */
static bool walk(struct client *client, const char *path, struct definitions_error *error)
{
    struct definitions d;
    size_t bytes;
    char *text = read_file(path, &bytes, error);
    bool good = text != NULL;
    enum definitions_result result = DEFINITIONS_END;

    if (!good)
        return false;
    definitions_init(&d, text, bytes);
    while (good && (result = definitions_next(&d)) == DEFINITIONS_READ)
        good = client == NULL || define(client, &d, path, error);
    if (result == DEFINITIONS_WRONG)
        good = fail(error, "%s:%u: %s", path, d.line, d.wrong);
    definitions_close(&d);
    free(text);
    return good;
}

bool definitions_check(const char *path, struct definitions_error *error)
{
    return path[0] == '\0' || walk(NULL, path, error);
}

bool definitions_apply(struct native *door, const char *path, int64_t now_ms, struct definitions_error *error)
{
    struct client client = {.now_ms = now_ms};
    bool good = false;

    if (path[0] == '\0')
        return true;
    buffer_init(&client.request, NULL);
    buffer_init(&client.answer, native_release);
    client.session = session_open(door, &client.answer, "definitions", NULL, now_ms);
    if (client.session == NULL) {
        fail(error, "%s: out of memory", path);
    } else {
        good = walk(&client, path, error);
        session_close(client.session, now_ms);
    }
    buffer_close(&client.answer);
    buffer_close(&client.request);
    return good;
}
