/*
 * options_check: what no row of the list can know alone.
 */
#include "server/ops/options.h"

#include "server/ops/units.h"

enum durability options_durability(const struct options *o)
{
    if (o->durability != DURABILITY_AUTO)
        return o->durability;
    return o->dir.text[0] != '\0' ? DURABILITY_FSYNC : DURABILITY_NONE;
}

static int check_request_bytes(const struct options *o, struct option_error *error)
{
    const uint64_t needed = o->max_message_bytes + LIMIT_REQUEST_SLACK;
    char request[UNITS_PRINT_BYTES], message[UNITS_PRINT_BYTES], least[UNITS_PRINT_BYTES];

    if (o->max_request_bytes >= needed)
        return OPTION_OK;
    units_print(UNITS_BYTES, o->max_request_bytes, request);
    units_print(UNITS_BYTES, o->max_message_bytes, message);
    units_print(UNITS_BYTES, needed, least);
    return option_fail(error, OPTION_CONFLICT,
                       "max_request_bytes %s is too small for max_message_bytes %s: it must be at least %s (64kb more)",
                       request, message, least);
}

static int check_durability(const struct options *o, struct option_error *error)
{
    const bool kept = o->dir.text[0] != '\0';

    if (kept && o->durability == DURABILITY_NONE)
        return option_fail(error, OPTION_CONFLICT,
                           "durability none and dir exclude each other: leave out dir to keep nothing");
    if (!kept && options_durability(o) != DURABILITY_NONE)
        return option_fail(error, OPTION_CONFLICT, "durability %s needs a dir in which the log can lie",
                           durability_name(o->durability));
    return OPTION_OK;
}

int options_check(const struct options *o, struct option_error *error)
{
    const int result = check_request_bytes(o, error);

    return result != OPTION_OK ? result : check_durability(o, error);
}
