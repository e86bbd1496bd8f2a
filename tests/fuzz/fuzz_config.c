/*
 * Any bytes as a configuration file: read or refused, never a crash. Beyond that
 *   - a refusal has a text of printable ASCII that begins with file and line, and leaves the options alone;
 *   - every value of an accepted file lies in its range, so that it can be printed and read back unchanged;
 *   - an accepted file can be read again on top of itself with the same result;
 *   - the same bytes as a pattern, and as key and value of a running server, do no harm.
 */
#include "server/ops/config.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_same(const struct options *a, const struct options *b)
{
    for (unsigned id = 0; id < OPTION_COUNT; id++)
        assert(option_equal(a, b, (enum option_id)id));
}

static void check_error(const struct option_error *error, const char *begin)
{
    assert(memchr(error->text, '\0', sizeof error->text) != NULL);
    assert(strncmp(error->text, begin, strlen(begin)) == 0);
    for (const char *at = error->text; *at != '\0'; at++)
        assert(*at >= 0x20 && *at <= 0x7e);
}

static void check_print(const struct options *o)
{
    char text[OPTION_PRINT_BYTES];
    struct option_error error;
    struct options again = *o;

    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        option_print(o, (enum option_id)id, text);
        const int result = option_set(&again, (enum option_id)id, text, strlen(text), &error);
        assert(result == OPTION_OK);
    }
    check_same(o, &again);
}

static void parse(const char *text, size_t bytes)
{
    struct options defaults, o, again;
    struct option_error error;

    options_init(&defaults);
    o = defaults;
    if (config_parse(&o, "f", text, bytes, &error) != OPTION_OK) {
        check_error(&error, "f:");
        check_same(&o, &defaults);
        return;
    }
    check_print(&o);
    if (options_check(&o, &error) != OPTION_OK)
        check_error(&error, "");
    again = o;
    const int result = config_parse(&again, "f", text, bytes, &error);
    assert(result == OPTION_OK);
    check_same(&o, &again);
}

static void ignore_value(void *user, const struct option *row, const char *text)
{
    (void)user, (void)row, (void)text;
}

/* The first blank parts key and value. */
static void set(const char *text, size_t bytes)
{
    struct options before, o;
    struct option_error error;

    const char *blank = memchr(text, ' ', bytes);
    if (blank == NULL)
        return;
    options_init(&before);
    o = before;
    const size_t key_bytes = (size_t)(blank - text);
    if (config_set(&o, text, key_bytes, blank + 1, bytes - key_bytes - 1, &error) != OPTION_OK) {
        check_error(&error, "");
        check_same(&o, &before);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *)data;

    if (bytes == 0)
        return 0;
    parse(text, bytes);
    set(text, bytes);
    struct options o;
    options_init(&o);
    config_get(&o, text, bytes < 256 ? bytes : 256, ignore_value, NULL);
    return 0;
}
