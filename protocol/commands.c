#include "protocol/commands.h"

#include <assert.h>
#include <string.h>

static const struct command rows[COMMAND_COUNT] = {
#define X(id, method, group, args, flags, help) {method, group, args, help, flags},
    COMMAND_LIST(X)
#undef X
};

static const uint8_t lengths[COMMAND_COUNT] = {
#define X(id, method, group, args, flags, help) sizeof method - 1,
    COMMAND_LIST(X)
#undef X
};

const struct command *command_row(enum command_id id)
{
    assert(id < COMMAND_COUNT);
    return &rows[id];
}

enum command_id command_find(const char *method, size_t bytes)
{
    /* Few rows, and a length and a first byte tell almost all of them apart. */
    for (unsigned id = 0; bytes > 0 && id < COMMAND_COUNT; id++)
        if (lengths[id] == bytes && rows[id].method[0] == method[0] && memcmp(rows[id].method, method, bytes) == 0)
            return (enum command_id)id;
    return COMMAND_COUNT;
}
