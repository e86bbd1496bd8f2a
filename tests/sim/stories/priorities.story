## ready messages go out by priority, 9 first, and within one by id
> create q
> publish q a b,priority=1 c,priority=9 d,priority=1 e
  ids 1..5
> A receive q max=9
  gets 3:c^9 2:b^1 4:d^1 1:a 5:e

## what comes back goes to its place by id within its priority
> create q
> publish q a,priority=5 b,priority=5 c
  ids 1..3
> A receive q
  gets 1:a^5
> nack q 1
  1
> A receive q max=3
  gets 1:a^5#2 2:b^5 3:c

## a message whose delay is over, or that is kicked, takes its place by priority and id
> create q
> publish q a,priority=3,delay=100 b,priority=3 c,priority=3 d
  ids 1..4
> A receive q
  gets 2:b^3
> park q 2
  1
> at 100
> kick q 1
  1
> A receive q max=9
  gets 1:a^3 2:b^3 3:c^3 4:d

## a later message with a higher priority overtakes those that are ready, not those that are inflight
> create q
> A consume q prefetch=1
  consumer 1
> publish q a b c,priority=1
  ids 1..3
  A/1 gets 3:c^1
> publish q d,priority=2
  id 4
> ack q 3
  1
  A/1 gets 4:d^2
> ack q 4
  1
  A/1 gets 1:a

## overflow looks at ids, not at priorities
> create q max_messages=2 overflow=drop_oldest
> publish q a,priority=9 b c
  ids 1..3
> peek q
  2:b ready
  3:c ready

## a dead letter and a moved message keep their priority
> create dead
> create q dead_letter=dead
> publish dead z
  id 1
> publish q a,priority=4
  id 1
> A receive q
  gets 1:a^4
> nack q dead 1
  1
> A receive dead
  gets 2:a^4
> nack dead 2
  1
> move dead
  move 1
> A receive q
  gets 2:a^4

## messages with a priority expire, are purged and discarded like others
> create q
> publish q a,priority=1,ttl=100 b,priority=1 c,priority=1 d,priority=2
  ids 1..4
> at 100
> discard q ids=2
  1
> A receive q
  gets 4:d^2
> purge q ready
  1
> publish q e f,priority=1
  ids 5..6
> A receive q max=9
  gets 6:f^1 5:e
