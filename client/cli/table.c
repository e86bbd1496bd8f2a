/*
 * table: a list of maps with the same keys, a line each, numbers to the right.
 */
#include "client/cli/output.h"

#include <stdlib.h>

#define COLUMNS_MAX 16

/* What raw_scalar() prints, with zero at its end; NULL if there is no memory. The caller frees it. */
static char *text_of(struct ringmq_value value)
{
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);

    if (file == NULL)
        return NULL;
    raw_scalar(file, value);
    if (fclose(file) == 0)
        return text;
    free(text);
    return NULL;
}

static bool is_number(struct ringmq_value value)
{
    enum ringmq_type type = ringmq_value_type(value);

    return type == RINGMQ_UINT || type == RINGMQ_INT || type == RINGMQ_DOUBLE;
}

/* One line; without `out` it is only measured. `names`: the keys instead of what they have. */
static void visit(int widths[COLUMNS_MAX], FILE *out, struct ringmq_value map, bool names)
{
    struct ringmq_iterator items = ringmq_iterate(map);
    struct ringmq_value key, item;

    for (int column = 0; column < COLUMNS_MAX && ringmq_next(&items, &key, &item); column++) {
        char *text = text_of(names ? key : item);
        const char *shown = text != NULL ? text : "";
        const int width = widths[column];
        if (out == NULL) {
            const int bytes = snprintf(NULL, 0, "%s", shown);
            widths[column] = bytes > width ? bytes : width;
        } else {
            fprintf(out, "%s%*s", column > 0 ? "  " : "", is_number(item) ? width : -width, shown);
        }
        free(text);
    }
}

void table_print(FILE *out, struct ringmq_value list, int indent)
{
    int widths[COLUMNS_MAX] = {0};
    struct ringmq_iterator rows = ringmq_iterate(list);
    struct ringmq_value key, row;

    visit(widths, NULL, ringmq_value_item(list, 0), true);
    while (ringmq_next(&rows, &key, &row))
        visit(widths, NULL, row, false);
    visit(widths, out, ringmq_value_item(list, 0), true);
    rows = ringmq_iterate(list);
    while (ringmq_next(&rows, &key, &row)) {
        fprintf(out, "\n%*s", indent, "");
        visit(widths, out, row, false);
    }
}
