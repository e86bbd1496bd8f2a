#include "benchmarks/ledger.h"

#include <stdlib.h>

#define FIRST_BITS 4096

static uint64_t *word_of(uint64_t *seen, uint64_t cap, uint64_t number)
{
    return &seen[(number & (cap - 1)) / 64];
}

static uint64_t bit_of(uint64_t number)
{
    return (uint64_t)1 << (number % 64);
}

static bool reach(struct ledger *ledger, uint64_t number)
{
    uint64_t cap = ledger->cap ? ledger->cap : FIRST_BITS;
    while (number - ledger->next >= cap)
        cap *= 2;
    if (cap == ledger->cap)
        return true;
    uint64_t *seen = calloc(cap / 64, sizeof *seen);
    if (!seen)
        return false;
    for (uint64_t n = ledger->next; n < ledger->next + ledger->cap; n++)
        if (*word_of(ledger->seen, ledger->cap, n) & bit_of(n))
            *word_of(seen, cap, n) |= bit_of(n);
    free(ledger->seen);
    ledger->seen = seen;
    ledger->cap = cap;
    return true;
}

static void close_gap(struct ledger *ledger)
{
    while (ledger->early > 0) {
        uint64_t *word = word_of(ledger->seen, ledger->cap, ledger->next);
        if (!(*word & bit_of(ledger->next)))
            break;
        *word &= ~bit_of(ledger->next++);
        ledger->early--;
    }
}

bool ledger_receive_slow(struct ledger *ledger, uint64_t number)
{
    if (number < ledger->next) {
        ledger->duplicates++;
        return true;
    }
    if (!reach(ledger, number))
        return false;
    uint64_t *word = word_of(ledger->seen, ledger->cap, number);
    if (*word & bit_of(number)) {
        ledger->duplicates++;
        return true;
    }
    *word |= bit_of(number);
    ledger->early++;
    ledger->received++;
    close_gap(ledger);
    return true;
}

void ledger_close(struct ledger *ledger)
{
    free(ledger->seen);
}
