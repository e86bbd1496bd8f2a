#include "protocol/commands.h"

#include <assert.h>
#include <string.h>

static const struct command rows[COMMAND_COUNT] = {
#define X(id, method, group, args, flags, help) [COMMAND_##id] = {method, group, args, help, flags},
    COMMAND_LIST(X)
#undef X
};

/* command_find() has a case for each of these lengths. */
#define SHORTEST_METHOD 3
#define LONGEST_METHOD  17
#define X(id, method, group, args, flags, help) \
    _Static_assert(sizeof method - 1 >= SHORTEST_METHOD && sizeof method - 1 <= LONGEST_METHOD, "length of " method);
COMMAND_LIST(X)
#undef X

const struct command *command_row(enum command_id id)
{
    assert(id < COMMAND_COUNT);
    return &rows[id];
}

/*
 * Each case holds the whole list, of which the compiler keeps the methods of that length: a jump and at most a handful
 * of comparisons of constant length, without a second list to keep in order.
 */
enum command_id command_find(const char *name, size_t bytes)
{
#define X(id, method, group, args, flags, help)                                      \
    if (sizeof method - 1 == length && memcmp(name, method, sizeof method - 1) == 0) \
        return COMMAND_##id;
#define METHODS_OF_LENGTH(n) \
    case n: {                \
        enum { length = n }; \
        COMMAND_LIST(X)      \
    } break;

    switch (bytes) {
        METHODS_OF_LENGTH(3)
        METHODS_OF_LENGTH(4)
        METHODS_OF_LENGTH(5)
        METHODS_OF_LENGTH(6)
        METHODS_OF_LENGTH(7)
        METHODS_OF_LENGTH(8)
        METHODS_OF_LENGTH(9)
        METHODS_OF_LENGTH(10)
        METHODS_OF_LENGTH(11)
        METHODS_OF_LENGTH(12)
        METHODS_OF_LENGTH(13)
        METHODS_OF_LENGTH(14)
        METHODS_OF_LENGTH(15)
        METHODS_OF_LENGTH(16)
        METHODS_OF_LENGTH(17)
    }
    return COMMAND_COUNT;
#undef METHODS_OF_LENGTH
#undef X
}
