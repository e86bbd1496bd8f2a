/*
 * filters: a subscription's filter between the wire and the broker's flat form.
 *
 * On the wire it is a map from header key to condition. A condition is a scalar, an operator, or a list of these of
 * which one must hold; an operator is a map with one key:
 *
 *     {prefix: text}   {numeric: [">=", 5, "<", 10]}   {exists: bool}   {"anything-but": scalar or list of scalars}
 *
 * What is written back is the same filter in one form: keys are text and in the order of their bytes, a list of one
 * alternative is that alternative alone, and so is a list of one value of anything-but.
 */
#ifndef SERVER_DOORS_NATIVE_FILTERS_H
#define SERVER_DOORS_NATIVE_FILTERS_H

#include "protocol/decoder.h"
#include "protocol/encoder.h"
#include "server/broker/filter.h"
#include "server/doors/native/arena.h"
#include "server/doors/native/arguments.h"

/*
 * Reads the map at `node` into a flat filter in the arena; an empty map is an empty view. ERR_NONE, BAD_REQUEST with
 * *error saying what is wrong (its key is `filter`), or MEMORY_LIMIT when out of memory. A text that is not UTF-8
 * becomes bytes.
 */
enum error_code filters_read(const struct decoder *d, uint32_t node, struct arena *arena, struct view *out,
                             struct argument_error *error);

/* The filter as a map. */
void encode_filter(struct buffer *out, struct view filter);

#endif
