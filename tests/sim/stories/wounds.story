## wound: two consumers receive from one group at once
> create f type=fifo
> publish f a,group=g b,group=g c,group=g
  ids 1..3
+ A consume f prefetch=9
  consumer 1
+ B consume f prefetch=9
  consumer 1
> C receive f max=9 wait=1000
  r1 waits
  A/1 gets 1:a/g
> nack f 1
  1
  B/1 gets 1:a/g#2
> ack f 1
  1
  C.r1 gets 2:b/g 3:c/g
> B receive f
  gets nothing

## wound: a send resets the lock of its group
> create f type=fifo
> publish f a,group=g
  id 1
> A receive f
  gets 1:a/g
> publish f b,group=g
  id 2
> B receive f max=9
  gets nothing
> publish f c,group=g,delay=10
  id 3
> at 10
> B receive f max=9
  gets nothing
> commit publish f d,group=g
  f id 4
> B receive f max=9
  gets nothing
> ack f 1
  1
> B receive f max=9
  gets 2:b/g 3:c/g 4:d/g

## wound: a group is stuck after its head was dead-lettered
> create dead type=fifo
> create f type=fifo max_attempts=1 visibility=1000 dead_letter=dead
> publish f a,group=g b,group=g c,group=g d,group=g
  ids 1..4
> A consume f prefetch=1
  consumer 1
  A/1 gets 1:a/g
> nack f 1
  1
  A/1 gets 2:b/g
> nack f dead 2
  1
  A/1 gets 3:c/g
> at 1000
  A/1 gets 4:d/g
> ack f 4
  1
> info dead
  delayed 0 ready 3 inflight 0 parked 0 bytes 3

## wound: an emptied group is added twice and its next message delivered to two
> create f type=fifo
> publish f a,group=g b,group=h
  ids 1..2
> A receive f max=2
  gets 1:a/g 2:b/h
> ack f 1 2
  2
> publish f c,group=g
  id 3
> discard f ids=3
  1
> publish f d,group=g e,group=g
  ids 4..5
> state
  f fifo next 6
    4:d/g ready kept 345600000
    5:e/g ready kept 345600000
    group g common
    ring g
> A receive f
  gets 4:d/g
> B receive f
  gets nothing
> ack f 4
  1
> B receive f
  gets 5:e/g
> A receive f
  gets nothing

## wound: extending a message in the middle of a group disturbs the others
> create f type=fifo visibility=1000
> publish f a,group=g b,group=g c,group=g d,group=g
  ids 1..4
> A receive f max=3
  gets 1:a/g 2:b/g 3:c/g
> extend f 5000 2
  1
> at 1000
> info f
  delayed 0 ready 3 inflight 1 parked 0 bytes 4
> B receive f max=9
  gets nothing
> ack f 2
  1
> B receive f max=9
  gets 1:a/g#2 3:c/g#2 4:d/g

## wound: a message published with a delay blocks its group
> create f type=fifo
> publish f a,group=g,delay=5000 b,group=g
  ids 1..2
> A receive f
  gets 2:b/g
> ack f 2
  1
> publish f c,group=g
  id 3
> A receive f
  gets 3:c/g

## wound: extending a delivery that is already over brings it back to life
> create f type=fifo visibility=1000
> publish f a,group=g b,group=g
  ids 1..2
> A receive f
  gets 1:a/g
> park f 1
  1
> extend f 5000 1
  0
  [0] RECEIPT_STALE
> B receive f
  gets 2:b/g
> at 1000
> extend f 5000 2
  0
  [0] RECEIPT_STALE
> B receive f
  gets 2:b/g#2
> ack f 2#1
  0
  [0] RECEIPT_STALE
> ack f 2
  1

## wound: a message is lost by being looked at
> create f type=fifo
> publish f a,group=g b,group=g,delay=100 c,group=h
  ids 1..3
> A receive f
  gets 1:a/g
> peek f
  1:a inflight attempts 1 group g
  2:b delayed group g
  3:c ready group h
> peek f group=g
  1:a inflight attempts 1 group g
  2:b delayed group g
> peek f state=ready
  3:c ready group h
> B receive f
  gets 3:c/h
> nack f 1
  1
> at 100
> B receive f max=9
  gets 1:a/g#2 2:b/g
> counters f
  published 3 delivered 4 redelivered 1 nacked 1

## wound: a count does not add up after a timeout
> create dead
> create q visibility=1000 max_attempts=2 dead_letter=dead
> publish q a b c
  ids 1..3
> A receive q max=2
  gets 1:a 2:b
> at 1000
> info q
  delayed 0 ready 3 inflight 0 parked 0 bytes 3
> A receive q max=3
  gets 1:a#2 2:b#2 3:c
> ack q 1#1 3
  1
  [0] RECEIPT_STALE
> at 2000
> info q
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> info dead
  delayed 0 ready 2 inflight 0 parked 0 bytes 2
> counters q
  published 3 delivered 5 redelivered 2 acked 1 timed_out 4 dead_lettered 2

## wound: a waiter that is gone gets the message
> create f type=fifo
> A receive f wait=5000
  r1 waits
> B receive f wait=1000
  r2 waits
> A close
> at 1000
  B.r2 gets nothing
> C receive f wait=5000
  r3 waits
> publish f a,group=g
  id 1
  C.r3 gets 1:a/g
> info f
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
