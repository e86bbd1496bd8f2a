/*
 * repeat: takes a broker again where it was before, by the same steps, without a word and without looking: for searches
 * that come back to a state many times. Knows steps of one fifo queue, its first consumer and receives; every step ends
 * its turn.
 */
#ifndef TESTS_MODEL_REPEAT_H
#define TESTS_MODEL_REPEAT_H

#include "tests/model/model.h"
#include "tests/sim/story_parts.h"

/* One of: create, publish, consume, credit, receive, ack, nack and park of one delivery, kick, at. */
void step_repeat(struct story *story, const struct step *step);

/* The story knows deliveries by what it has seen; here it has not listened. Shows it all that are inflight. */
void steps_show_deliveries(struct story *story);

#endif
