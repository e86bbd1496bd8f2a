#include "client/calls.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAP = 16 };

void calls_init(struct calls *calls)
{
    *calls = (struct calls){0};
}

void calls_close(struct calls *calls)
{
    free(calls->slots);
    *calls = (struct calls){0};
}

static int calls_grow(struct calls *calls)
{
    if (calls->cap == CALL_SLOTS_MAX)
        return RINGMQ_ERR_LIMIT;
    uint32_t cap = calls->cap == 0 ? FIRST_CAP : calls->cap * 2;
    struct call *slots = realloc(calls->slots, cap * sizeof(*slots));
    if (slots == NULL)
        return RINGMQ_ERR_NO_MEMORY;
    if (calls->cap == 0) {
        slots[0] = (struct call){0};
        calls->used = 1;
    }
    calls->slots = slots;
    calls->cap = cap;
    return RINGMQ_OK;
}

static uint32_t call_index(const struct call *call)
{
    return call->token >> CALL_GENERATION_BITS;
}

struct call *calls_add(struct calls *calls, int *status)
{
    uint32_t index = calls->free;
    uint32_t generation = 0;
    if (index != 0) {
        calls->free = calls->slots[index].next;
        generation = (calls->slots[index].token + 1) & ((1U << CALL_GENERATION_BITS) - 1);
    } else {
        if (calls->used == calls->cap) {
            *status = calls_grow(calls);
            if (*status != RINGMQ_OK)
                return NULL;
        }
        index = calls->used++;
    }
    struct call *head = &calls->slots[0];
    struct call *call = &calls->slots[index];
    *call = (struct call){
        .token = index << CALL_GENERATION_BITS | generation,
        .next = 0,
        .previous = head->previous,
        .stage = CALL_SENT,
    };
    calls->slots[head->previous].next = index;
    head->previous = index;
    calls->unanswered++;
    return call;
}

struct call *calls_find(const struct calls *calls, uint64_t token)
{
    uint64_t index = token >> CALL_GENERATION_BITS;
    if (index == 0 || index >= calls->used)
        return NULL;
    struct call *call = &calls->slots[index];
    return call->stage != CALL_FREE && call->token == token ? call : NULL;
}

struct call *calls_oldest(const struct calls *calls)
{
    return calls->unanswered == 0 ? NULL : &calls->slots[calls->slots[0].next];
}

void calls_keep(struct calls *calls, struct call *call)
{
    assert(call->stage == CALL_SENT || call->stage == CALL_FORGOTTEN);
    calls->slots[call->previous].next = call->next;
    calls->slots[call->next].previous = call->previous;
    calls->unanswered--;
    call->stage = CALL_KEPT;
}

void calls_remove(struct calls *calls, struct call *call)
{
    assert(call->stage != CALL_FREE);
    if (call->stage != CALL_KEPT)
        calls_keep(calls, call);
    call->stage = CALL_FREE;
    call->next = calls->free;
    calls->free = call_index(call);
}
