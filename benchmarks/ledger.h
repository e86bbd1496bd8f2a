/*
 * ledger: which messages of one producer have come out of one queue, so that none is lost and none comes twice. Messages
 * that come in order cost a counter; of those that come early a bit is kept until the gap before them has closed.
 */
#ifndef BENCHMARKS_LEDGER_H
#define BENCHMARKS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger {
    uint64_t received;   /* different messages */
    uint64_t duplicates; /* and those that had come before */
    uint64_t next;       /* all below it have come */
    uint64_t early;      /* how many from there on */
    uint64_t *seen;      /* a ring of `cap` bits, a power of two, for the messages from `next` on */
    uint64_t cap;
};

/* Notes an early message or a repeated one. For ledger_receive(). */
bool ledger_receive_slow(struct ledger *ledger, uint64_t number);

/* Notes that a message has come; false if memory ran out. An empty ledger is all zero. */
static inline bool ledger_receive(struct ledger *ledger, uint64_t number)
{
    if (number != ledger->next || ledger->early > 0)
        return ledger_receive_slow(ledger, number);
    ledger->next++;
    ledger->received++;
    return true;
}

void ledger_close(struct ledger *ledger);

#endif
