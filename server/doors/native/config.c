/*
 * config: the server's options, seen and changed from a connection. What a change means for the rest of the program
 * is the host's to see to.
 */
#include "server/ops/config.h"
#include "server/doors/native/request.h"
#include "server/ops/units.h"

#include <inttypes.h>
#include <string.h>

static void count_option(void *user, const struct option *row, const char *text)
{
    (void)row, (void)text;
    ++*(uint32_t *)user;
}

static void encode_option(void *user, const struct option *row, const char *text)
{
    encode_text(user, row->key);
    encode_text(user, text);
}

void handle_config_get(struct request *r)
{
    enum { PATTERN };
    const struct view pattern = request_has(r, PATTERN) ? r->arguments[PATTERN].text : (struct view){"*", 1};
    uint32_t count = 0;

    config_get(r->door->options, pattern.data, pattern.bytes, count_option, &count);
    answer_begin(r);
    encode_map(r->out, count);
    config_get(r->door->options, pattern.data, pattern.bytes, encode_option, r->out);
}

/* A value as the configuration file would have it: text as it is, a number or bool printed into `room`. */
static bool value_text(const struct decoder *d, uint32_t node, char room[UNITS_PRINT_BYTES], struct view *out)
{
    const struct node *n = &d->nodes[node];

    if (n->type == NODE_UINT)
        units_print(UNITS_COUNT, n->value.uint, room);
    else if (n->type == NODE_BOOL)
        units_print(UNITS_BOOL, n->value.uint, room);
    else
        return node_text(d, node, out);
    *out = (struct view){room, strlen(room)};
    return true;
}

/* The one key that is no option. False: BAD_REQUEST has been answered. */
static bool set_draining(struct request *r, struct view value)
{
    uint64_t draining;

    if (units_parse(UNITS_BOOL, value.data, value.bytes, &draining) != UNITS_OK) {
        answer_bad_request(r, "value", "draining is true or false");
        return false;
    }
    r->broker->draining = draining != 0;
    if (r->broker->draining)
        broker_refuse_held(r->broker, ERR_DRAINING);
    return true;
}

static bool set_option(struct request *r, struct view key, struct view value)
{
    struct option_error error;
    const int result = config_set(r->door->options, key.data, key.bytes, value.data, value.bytes, &error);

    if (result == OPTION_UNKNOWN_KEY)
        answer_error(r, ERR_NOT_FOUND, NULL);
    else if (result == OPTION_NEEDS_RESTART)
        answer_bad_request(r, "key", error.text);
    else if (result != OPTION_OK)
        answer_bad_request(r, "value", error.text);
    return result == OPTION_OK;
}

void handle_config_set(struct request *r)
{
    enum { KEY, VALUE };
    const struct view key = r->arguments[KEY].text;
    char room[UNITS_PRINT_BYTES], shown_key[64], shown_value[64];
    struct view value;

    if (!value_text(r->decoder, r->arguments[VALUE].node, room, &value)) {
        answer_bad_request(r, "value", "a value must be text, an integer or a bool");
        return;
    }
    if (request_says(r, KEY, "draining") ? !set_draining(r, value) : !set_option(r, key, value))
        return;
    text_show(shown_key, sizeof shown_key, key);
    text_show(shown_value, sizeof shown_value, value);
    log_write_limited(&r->door->set_lines, LOG_LEVEL_INFO, "config", "option set client=%" PRIu64 " key=%s value=%s",
                      r->session->id, shown_key, shown_value);
    r->door->host.changed_cb(r->door->host.user);
    answer_true(r);
}
