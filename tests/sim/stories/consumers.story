## the consumers with credit and the highest priority are served first; among equals the round goes on
> create q
> A consume q prefetch=2
  consumer 1
> B consume q prefetch=1 priority=5
  consumer 1
> C consume q prefetch=2 priority=5
  consumer 1
> publish q a b c d e f
  ids 1..6
  A/1 gets 4:d 5:e
  B/1 gets 1:a
  C/1 gets 2:b 3:c
> ack q 3 4
  2
  C/1 gets 6:f
> publish q g
  id 7
  A/1 gets 7:g

## a waiting receive counts as priority 0
> create q
> A receive q wait=1000
  r1 waits
> B consume q prefetch=1 priority=1
  consumer 1
> publish q a b
  ids 1..2
  A.r1 gets 2:b
  B/1 gets 1:a

## each priority has a round of its own
> create q
> A consume q prefetch=9
  consumer 1
> B consume q prefetch=9
  consumer 1
> C consume q prefetch=1 priority=1
  consumer 1
> publish q a b
  ids 1..2
  A/1 gets 2:b
  C/1 gets 1:a
> ack q 1
  1
> publish q c d
  ids 3..4
  B/1 gets 4:d
  C/1 gets 3:c

## a consumer's priority is 0 to 9
> create q
> A consume q prefetch=1 priority=10
  BAD_REQUEST priority
> A consume q prefetch=1 priority=9
  consumer 1

## an exclusive consumer is alone: it can't come while anybody is there, and nobody can while it is
> create q
> A consume q prefetch=1
  consumer 1
> B consume q prefetch=1 exclusive
  QUEUE_IN_USE
> A cancel 1
> A receive q wait=100
  r1 waits
> B consume q prefetch=1 exclusive
  QUEUE_IN_USE
> at 100
  A.r1 gets nothing
> B consume q prefetch=1 exclusive
  consumer 1
> A consume q prefetch=1
  QUEUE_IN_USE
> A consume q prefetch=1 exclusive
  QUEUE_IN_USE
> A receive q
  QUEUE_IN_USE
> publish q a
  id 1
  B/1 gets 1:a
> B close
> A receive q
  gets 1:a#2

## of those who ask to be the single active one the first is served, all others stand by
> create q
> A consume q prefetch=9 single
  consumer 1
> B consume q prefetch=9 single priority=1
  consumer 1
> C consume q prefetch=9 priority=9
  consumer 1
> publish q a b
  ids 1..2
  A/1 gets 1:a 2:b
> D receive q
  QUEUE_IN_USE
> A credit 1 0
> publish q c
  id 3
> A cancel 1
  B/1 gets 1:a#2 2:b#2 3:c

## at a takeover the highest priority comes first, then who came first; when the last is gone everybody is served again
> create q
> A consume q prefetch=1 single
  consumer 1
> B consume q prefetch=1 single
  consumer 1
> C consume q prefetch=1 single priority=2
  consumer 1
> D consume q prefetch=1 single priority=2
  consumer 1
> E consume q prefetch=1
  consumer 1
> A close
> publish q a
  id 1
  C/1 gets 1:a
> C close
  D/1 gets 1:a#2
> D close
  B/1 gets 1:a#3
> B close
  E/1 gets 1:a#4

## a consumer that asks for it takes a queue with waiting receives over: they are passed over, and served again afterwards
> create q
> A receive q wait=10000
  r1 waits
> B consume q prefetch=1
  consumer 1
> C consume q prefetch=1 single
  consumer 1
> publish q a b
  ids 1..2
  C/1 gets 1:a
> C close
  A.r1 gets 1:a#2
  B/1 gets 2:b

## what stands by keeps what it holds, and can settle it
> create q
> A consume q prefetch=2
  consumer 1
> publish q a b c
  ids 1..3
  A/1 gets 1:a 2:b
> B consume q prefetch=1 single
  consumer 1
  B/1 gets 3:c
> ack q 1
  1
> nack q 2
  1
> ack q 3
  1
  B/1 gets 2:b#2

## exclusive and single active go together
> create q
> A consume q prefetch=1 exclusive single
  consumer 1
> B consume q prefetch=1 single
  QUEUE_IN_USE
> publish q a
  id 1
  A/1 gets 1:a

## a single active consumer takes groups that were bound to another, but not those with something inflight there
> create f type=fifo sticky_groups=1
> A consume f prefetch=2
  consumer 1
> publish f a,group=g b,group=g c,group=h d,group=h
  ids 1..4
  A/1 gets 1:a/g 3:c/h
> A credit 1 0
> ack f 1
  1
> B consume f prefetch=9 single
  consumer 1
  B/1 gets 2:b/g
> ack f 3
  1
  B/1 gets 4:d/h
