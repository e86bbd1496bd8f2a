/*
 * story: tells the broker what to do in lines of text, in virtual time, and writes down what it answers. A story is a
 * whole transcript: lines beginning with "> " are commands, followed by a turn of the broker; "+ " are commands of the
 * same turn as the next one; all other lines are what the broker is expected to say. The story holds if the transcript
 * that comes out is the one that went in, byte by byte.
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
 * A delivery is written id:body/group^priority#attempt, the last three where they are not the usual ones. The wall
 * clock is 1,000,000 ms ahead of the story's time.
 *
 * After every step the story checks what must always hold (story_check.c): counts add up, nothing is counted twice,
 * every group of a fifo queue is as its messages say; a command that was refused has left everything as it was
 * (story_state.c). At the end of the story a second broker that was told nothing but the changes is the same (mirror.h), so is one
 * that is recovered from a log on disk (logged.h), and
 * with everything closed no memory is left.
 *
 * Commands (Q, R queues, T a topic, P a peer: one capital letter, connected when first named; m a message as id or
 * id#attempt, of the queue named before it: `ack jobs 1 2#1`; message = body[,key=value]..):
 *     create Q k=v..  update Q k=v..  delete Q [if_empty] [if_unused]  purge Q [state]  pause Q  resume Q  info Q  list
 *         attributes by their names; dead_letter=R or nil; backoff=base/factor/cap/jitter or nil
 *     publish Q [atomic] message..   P publish Q [wait=n] [atomic] message..
 *         keys of a message: delay ttl group dedup priority size=bytes h=header:value (more than once), wrong=1
 *         (not well formed, as the door would say); a publish that waits for room is p1, p2, ...
 *     topic create T   topic delete T   topic info T   topic subscribe T Q [pattern=p] [filter=f]
 *     topic unsubscribe T Q [pattern=p]
 *         f = header:value, header:prefix:text, header:exists:bool, header:anything-but:value
 *     [P] publish_topic T key [mandatory] [wait=n] message..      the key "-" is the empty one
 *     commit part | part ..     part = ack Q m..,  publish Q message..,  topic T key message..
 *     P consume Q prefetch=n [visibility=n] [auto] [exclusive] [single] [priority=n] [group_prefetch=n]
 *     P credit id n   P cancel id   P receive Q [max=n] [wait=n] [visibility=n]
 *     ack Q [multiple] m..   nack Q [delay=n] [dead] [note=w] m..   extend Q ms m..   park Q [note=w] m..
 *     kick Q n   kick Q ids=1,2   discard Q ids=1,2   peek Q [state=s] [from=n] [to=n] [max=n] [group=g]
 *     move Q [to=R] [rate=n] [max=n]   moves   move_cancel id
 *     P close   P full   P drained   unwritten Q m..   written Q m..   at ms   drain   stop   stop_finish
 *     refuse code   durable queues take nothing new; "none": they do
 *     limit name=n (max_memory=+n: so much more than is in use now)
 *     counters Q   state (everything that lies and stands in queues)
 */
#ifndef TESTS_SIM_STORY_H
#define TESTS_SIM_STORY_H

#include <stddef.h>

struct story;

/* Runs a story and returns its transcript (malloc'ed). What must always hold is asserted with cmocka. */
char *story_run(const char *story);

/* The same line by line: what has been said so far stays the story's; story_close() returns it (malloc'ed). */
struct story *story_open(void);
/* The same without a log, for tests that tell hundreds of thousands of stories. */
struct story *story_open_unlogged(void);
void story_tell(struct story *s, const char *line, size_t bytes);
const char *story_said(const struct story *s);
char *story_close(struct story *s);

#endif
