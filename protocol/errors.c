#include "protocol/errors.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    size_t name_bytes;
    const char *text;
    bool retry;
} rows[ERR_COUNT] = {
#define X(code, text, retry) [ERR_##code] = {#code, sizeof #code - 1, text, retry},
    ERROR_LIST(X)
#undef X
};

const char *error_name(enum error_code code)
{
    assert(code > ERR_NONE && code < ERR_COUNT);
    return rows[code].name;
}

const char *error_text(enum error_code code)
{
    assert(code > ERR_NONE && code < ERR_COUNT);
    return rows[code].text;
}

bool error_retry(enum error_code code)
{
    assert(code > ERR_NONE && code < ERR_COUNT);
    return rows[code].retry;
}

enum error_code error_from_name(const char *name, size_t bytes)
{
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++)
        if (rows[code].name_bytes == bytes && memcmp(rows[code].name, name, bytes) == 0)
            return (enum error_code)code;
    return ERR_NONE;
}
