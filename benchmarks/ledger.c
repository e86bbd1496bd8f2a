#include "benchmarks/bench.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_MESSAGES ((uint64_t)1 << 20)

bool ledger_open(struct ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
    ledger->seen_cap = FIRST_MESSAGES;
    ledger->seen = calloc(1, ledger->seen_cap / 8);
    ledger->sent_at_ns = calloc(LEDGER_TIMES, sizeof *ledger->sent_at_ns);
    return ledger->seen && ledger->sent_at_ns;
}

void ledger_close(struct ledger *ledger)
{
    free(ledger->seen);
    free(ledger->sent_at_ns);
}

bool ledger_receive(struct ledger *ledger, uint64_t number)
{
    if (number >= ledger->seen_cap) {
        uint64_t cap = ledger->seen_cap * 2;
        uint8_t *seen = number < cap ? realloc(ledger->seen, cap / 8) : NULL;
        if (!seen)
            return false;
        memset(seen + ledger->seen_cap / 8, 0, (cap - ledger->seen_cap) / 8);
        ledger->seen = seen;
        ledger->seen_cap = cap;
    }
    uint8_t bit = (uint8_t)(1u << (number % 8));
    if (ledger->seen[number / 8] & bit) {
        ledger->duplicates++;
    } else {
        ledger->seen[number / 8] |= bit;
        ledger->received++;
    }
    return true;
}
