#include "protocol/nearest.h"

#include <ctype.h>
#include <stdbool.h>

static char plain(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

void nearest_init(struct nearest *nearest, const char *given, size_t bytes)
{
    *nearest = (struct nearest){.given = given, .given_bytes = bytes, .least = bytes / 3 + 2};
}

void nearest_offer(struct nearest *nearest, const char *word, size_t bytes)
{
    const size_t columns = nearest->given_bytes;
    size_t row[NEAREST_BYTES + 1];

    if (columns > NEAREST_BYTES || bytes > NEAREST_BYTES)
        return;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 0; i < bytes; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= columns; j++) {
            const size_t above = row[j];
            const size_t changed = diagonal + (plain(word[i]) != plain(nearest->given[j - 1]));
            row[j] = least_of(changed, least_of(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    /* A word that is all wrong is not meant. */
    if (row[columns] < nearest->least && row[columns] < bytes) {
        nearest->least = row[columns];
        nearest->found = word;
        nearest->found_bytes = bytes;
    }
}
