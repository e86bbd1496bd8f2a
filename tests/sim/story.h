/*
 * story: tells the broker what to do in lines of text, in virtual time, and writes down what it answers. A story is a whole
 * transcript: lines beginning with "> " are commands, followed by a turn of the broker; "+ " are commands of the same turn
 * as the next one; all other lines are what the broker is expected to say. The story holds if the transcript that comes out
 * is the one that went in, byte by byte.
 *
 *     > create jobs visibility=1000
 *     > publish jobs a b
 *       ids 1..2
 *     > A consume jobs prefetch=1
 *       consumer 1
 *       A/1 gets 1:a
 *     > at 1000
 *       A/1 gets 1:a#2
 *
 * After every step the story checks what must always hold: counts add up, nothing is counted twice, and at the end of the
 * story, with everything closed, no memory is left.
 *
 * Commands (Q a queue, P a peer: one capital letter, connected when first named; m a message as id or id#attempt, of the
 * queue named before it: `ack jobs 1 2#1`):
 *     create Q k=v..  update Q k=v..  delete Q [if_empty] [if_unused]  purge Q [state]  pause Q  resume Q  info Q  list
 *     publish Q [atomic] body[,delay=n][,ttl=n][,group=g][,size=n] ..
 *     P consume Q prefetch=n [visibility=n] [auto]   P credit id n   P cancel id   P receive Q [max=n] [wait=n] [visibility=n]
 *     ack Q [multiple] m..   nack Q [delay=n] [dead] [note=w] m..   extend Q ms m..   park Q [note=w] m..
 *     kick Q n   kick Q ids=1,2   discard Q ids=1,2   peek Q [state=s] [from=n] [to=n] [max=n] [group=g]
 *     P close   P full   P drained   unwritten Q m..   written Q m..   at ms   drain   stop   stop_finish   limit name=n
 */
#ifndef TESTS_SIM_STORY_H
#define TESTS_SIM_STORY_H

/* Runs a story and returns its transcript (malloc'ed). What must always hold is asserted with cmocka. */
char *story_run(const char *story);

#endif
