/*
 * config_live: options of a running server: what a reload takes over, config.set and config.get.
 */
#include "server/ops/config.h"

#include <string.h>

int config_apply(struct options *o, const struct options *fresh, config_change_cb change_cb, void *user,
                 struct option_error *error)
{
    const struct options before = *o;
    struct options after = *o;

    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        if (option_row((enum option_id)id)->when == OPTION_RUNTIME)
            option_copy(&after, fresh, (enum option_id)id);
    }
    /* The new values fit each other; whether they fit the old ones that stay is another question. */
    const int result = options_check(&after, error);
    if (result != OPTION_OK)
        return result;
    *o = after;
    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const struct option *row = option_row((enum option_id)id);
        if (!option_equal(&before, fresh, (enum option_id)id))
            change_cb(user, row, row->when == OPTION_RUNTIME);
    }
    return OPTION_OK;
}

int config_set(struct options *o, const char *key, size_t key_bytes, const char *text, size_t text_bytes,
               struct option_error *error)
{
    struct options after = *o;

    const enum option_id id = option_find(key, key_bytes);
    if (id == OPTION_COUNT)
        return option_fail_unknown(error, "", key, key_bytes);
    const struct option *row = option_row(id);
    if (row->when == OPTION_RESTART)
        return option_fail(error, OPTION_NEEDS_RESTART,
                           "%s cannot be set to '%s' while the server runs: set it in the file and restart", row->key,
                           option_show(text, text_bytes).text);
    int result = option_set(&after, id, text, text_bytes, error);
    if (result == OPTION_OK)
        result = options_check(&after, error);
    if (result == OPTION_OK)
        *o = after;
    return result;
}

bool config_match(const char *pattern, size_t bytes, const char *key)
{
    size_t at = 0;
    size_t star = SIZE_MAX; /* position after the last *, and the key from where it was tried last */
    const char *retry = NULL;

    while (*key != '\0') {
        if (at < bytes && pattern[at] == '*') {
            star = ++at;
            retry = key;
        } else if (at < bytes && (pattern[at] == '?' || pattern[at] == *key)) {
            at++;
            key++;
        } else if (star != SIZE_MAX) {
            at = star;
            key = ++retry;
        } else {
            return false;
        }
    }
    while (at < bytes && pattern[at] == '*')
        at++;
    return at == bytes;
}

void config_get(const struct options *o, const char *pattern, size_t bytes, config_value_cb value_cb, void *user)
{
    char text[OPTION_PRINT_BYTES];

    for (unsigned id = 0; id < OPTION_COUNT; id++) {
        const struct option *row = option_row((enum option_id)id);
        if (!config_match(pattern, bytes, row->key))
            continue;
        option_print(o, (enum option_id)id, text);
        value_cb(user, row, text);
    }
}
