## a message of a fifo queue needs a group and can't have a priority; on a standard queue a group is kept and has no effect
> create f type=fifo
> publish f a b,group=g c,group=g,priority=1 d,group=h,priority=0
  ids 1..2
  [0] GROUP_REQUIRED
  [2] BAD_REQUEST priority
> create s
> publish s a,group=g b,group=g
  ids 1..2
> A receive s
  gets 1:a/g
> A receive s
  gets 2:b/g

## one receive takes as many of a group as are there, in order, and then goes on with the next group
> create f type=fifo
> publish f a,group=g b,group=h c,group=g d,group=h e,group=g
  ids 1..5
> A receive f max=4
  gets 1:a/g 3:c/g 5:e/g 2:b/h
> A receive f max=4
  gets nothing
> info f
  delayed 0 ready 1 inflight 4 parked 0 bytes 5

## a group is locked while one of its messages is inflight: nobody gets another of it, its holder neither
> create f type=fifo
> publish f a,group=g b,group=g c,group=h
  ids 1..3
> A receive f
  gets 1:a/g
> A receive f
  gets 3:c/h
> A receive f
  gets nothing
> B receive f
  gets nothing
> info f
  delayed 0 ready 1 inflight 2 parked 0 bytes 3
> ack f 1
  1
> B receive f
  gets 2:b/g

## a waiting receive gets the group at the moment it is unlocked
> create f type=fifo
> publish f a,group=g b,group=g
  ids 1..2
> A receive f
  gets 1:a/g
> B receive f wait=5000
  r2 waits
> ack f 1
  1
  B.r2 gets 2:b/g

## a message that comes back goes first, before the later ones of its group
> create f type=fifo
> publish f a,group=g b,group=g
  ids 1..2
> A receive f
  gets 1:a/g
> nack f 1
  1
> B receive f max=2
  gets 1:a/g#2 2:b/g

## with several inflight the group stays locked until the last has left, and then goes on in the order of ids
> create f type=fifo
> publish f a,group=g b,group=g c,group=g d,group=g
  ids 1..4
> A receive f max=3
  gets 1:a/g 2:b/g 3:c/g
> nack f 2
  1
> B receive f
  gets nothing
> ack f 1
  1
> B receive f
  gets nothing
> ack f 3
  1
> B receive f max=2
  gets 2:b/g#2 4:d/g

## a nack with a delay holds the group until the delay is over; the other groups go on
> create f type=fifo
> publish f a,group=g b,group=g c,group=h
  ids 1..3
> A receive f
  gets 1:a/g
> nack f delay=1000 1
  1
> B receive f max=5 wait=5000
  gets 3:c/h
> B receive f max=5 wait=5000
  r3 waits
> at 999
> at 1000
  B.r3 gets 1:a/g#2 2:b/g

## a message that came back with a delay holds only what is behind it
> create f type=fifo
> publish f a,group=g b,group=g c,group=g
  ids 1..3
> A receive f max=2
  gets 1:a/g 2:b/g
> nack f delay=1000 2
  1
> nack f delay=0 1
  1
> A receive f max=5
  gets 1:a/g#2
> ack f 1
  1
> A receive f max=5
  gets nothing
> at 1000
> A receive f max=5
  gets 2:b/g#2 3:c/g

## backoff holds the group like a delay that was asked for; nack with delay 0 goes at once
> create f type=fifo backoff=100/2
> publish f a,group=g b,group=g
  ids 1..2
> A consume f prefetch=5
  consumer 1
  A/1 gets 1:a/g
> nack f 1
  1
> at 100
  A/1 gets 1:a/g#2
> nack f 1
  1
> at 299
> at 300
  A/1 gets 1:a/g#3
> nack f delay=0 1
  1
  A/1 gets 1:a/g#4
> ack f 1
  1
  A/1 gets 2:b/g

## a message published with a delay has not taken its place: it holds up nobody, and takes it when the delay is over
> create f type=fifo
> publish f a,group=g,delay=1000 b,group=g c,group=g
  ids 1..3
> A receive f
  gets 2:b/g
> at 1000
> A receive f
  gets nothing
> ack f 2
  1
> A receive f max=5
  gets 1:a/g 3:c/g

## parking the head unlocks its group; kicked, it is back at its place
> create f type=fifo
> publish f a,group=g b,group=g c,group=g
  ids 1..3
> A receive f
  gets 1:a/g
> park f 1
  1
> A receive f
  gets 2:b/g
> kick f 1
  1
> A receive f
  gets nothing
> ack f 2
  1
> A receive f max=2
  gets 1:a/g 3:c/g

## a held message that is discarded, or whose ttl is over, lets its group go on
> create f type=fifo
> publish f a,group=g b,group=g c,group=h,ttl=500 d,group=h
  ids 1..4
> A receive f
  gets 1:a/g
> A receive f
  gets 3:c/h
> nack f delay=5000 1 3
  2
> discard f ids=1
  1
> A receive f max=9
  gets 2:b/g
> at 500
> A receive f max=9
  gets 4:d/h

## groups take turns: one that has had its turn stands behind those that wait
> create f type=fifo
> A consume f prefetch=1
  consumer 1
> publish f a,group=g b,group=g c,group=g d,group=h e,group=h f,group=k
  ids 1..6
  A/1 gets 1:a/g
> ack f 1
  1
  A/1 gets 4:d/h
> ack f 4
  1
  A/1 gets 6:f/k
> ack f 6
  1
  A/1 gets 2:b/g
> ack f 2
  1
  A/1 gets 5:e/h
> ack f 5
  1
  A/1 gets 3:c/g

## a consumer has one of a group at a time, and as many groups as its prefetch allows; so have others
> create f type=fifo
> publish f a,group=g b,group=g c,group=h d,group=h e,group=k
  ids 1..5
> A consume f prefetch=2
  consumer 1
  A/1 gets 1:a/g 3:c/h
> B consume f prefetch=9
  consumer 1
  B/1 gets 5:e/k
> ack f 5
  1
> A credit 1 1
> ack f 1
  1
  B/1 gets 2:b/g

## group_prefetch lets a consumer have more of a group, in a window that slides with the acks
> create f type=fifo group_prefetch=2
> publish f a,group=g b,group=g c,group=g d,group=g
  ids 1..4
> A consume f prefetch=9
  consumer 1
  A/1 gets 1:a/g 2:b/g
> B receive f
  gets nothing
> ack f 2
  1
  A/1 gets 3:c/g
> ack f 1
  1
  A/1 gets 4:d/g

## a consumer's own group_prefetch wins over the queue's
> create f type=fifo group_prefetch=3
> A consume f prefetch=9 group_prefetch=1
  consumer 1
> publish f a,group=g b,group=g
  ids 1..2
  A/1 gets 1:a/g
> ack f 1
  1
  A/1 gets 2:b/g

## within a window a message that came back waits until all that is inflight behind it has left
> create f type=fifo group_prefetch=3
> publish f a,group=g b,group=g c,group=g d,group=g
  ids 1..4
> A consume f prefetch=9
  consumer 1
  A/1 gets 1:a/g 2:b/g 3:c/g
> nack f 2
  1
> ack f 1
  1
> ack f 3
  1
  A/1 gets 2:b/g#2 4:d/g

## a timeout gives the message back to its place and unlocks the group for anybody
> create f type=fifo visibility=1000
> publish f a,group=g b,group=g
  ids 1..2
> A receive f
  gets 1:a/g
> B receive f wait=5000 max=2
  r2 waits
> at 1000
  B.r2 gets 1:a/g#2 2:b/g
> ack f 1#1
  0
  [0] RECEIPT_STALE

## a consumer begins with new groups before it goes on with those that it has
> create f type=fifo group_prefetch=2
> publish f a,group=g b,group=g c,group=g d,group=h
  ids 1..4
> A consume f prefetch=4
  consumer 1
  A/1 gets 1:a/g 4:d/h 2:b/g

## the messages of a consumer that leaves go back to their places, and its groups to whoever is there
> create f type=fifo group_prefetch=2
> publish f a,group=g b,group=g c,group=g d,group=h
  ids 1..4
> A consume f prefetch=3
  consumer 1
  A/1 gets 1:a/g 4:d/h 2:b/g
> B consume f prefetch=3
  consumer 1
> A close
  B/1 gets 4:d/h#2 1:a/g#2 2:b/g#2

## the messages of a receive whose connection ends stay inflight, and its group locked, until their deadline
> create f type=fifo visibility=1000
> publish f a,group=g b,group=g
  ids 1..2
> A receive f
  gets 1:a/g
> A close
> B receive f
  gets nothing
> at 1000
> B receive f max=2
  gets 1:a/g#2 2:b/g

## purging the inflight messages of a group unlocks it, and purging everything forgets all groups
> create f type=fifo
> publish f a,group=g b,group=g
  ids 1..2
> A receive f
  gets 1:a/g
> purge f inflight
  1
> A receive f
  gets 2:b/g
> publish f c,group=g
  id 3
> purge f
  2
> publish f d,group=g
  id 4
> A receive f max=5
  gets 4:d/g

## nack multiple of a group in one call: all go back to their places before anybody gets one
> create f type=fifo
> publish f a,group=g b,group=g c,group=g
  ids 1..3
> A receive f max=2
  gets 1:a/g 2:b/g
> B receive f max=3 wait=5000
  r2 waits
> nack f 2 1
  2
  B.r2 gets 1:a/g#2 2:b/g#2 3:c/g

## with sticky groups a group stays with the consumer that has it, even when others are idle
> create f type=fifo sticky_groups=1
> A consume f prefetch=1
  consumer 1
> B consume f prefetch=9
  consumer 1
> publish f a,group=g b,group=h
  ids 1..2
  A/1 gets 1:a/g
  B/1 gets 2:b/h
> publish f c,group=g d,group=h
  ids 3..4
> ack f 1
  1
  A/1 gets 3:c/g
> ack f 2
  1
  B/1 gets 4:d/h

## a sticky group ends when the group is empty, and with its consumer
> create f type=fifo sticky_groups=1
> A consume f prefetch=1
  consumer 1
> B consume f prefetch=9 priority=1
  consumer 1
> publish f a,group=g
  id 1
  B/1 gets 1:a/g
> B credit 1 0
> ack f 1
  1
> publish f b,group=g
  id 2
  A/1 gets 2:b/g
> publish f c,group=g
  id 3
> B credit 1 9
> ack f 2
  1
  A/1 gets 3:c/g
> publish f d,group=g
  id 4
> A cancel 1
  B/1 gets 3:c/g#2

## a receive gets no group that is bound to a consumer, and is never bound to one itself
> create f type=fifo sticky_groups=1
> publish f a,group=g b,group=g
  ids 1..2
> C receive f
  gets 1:a/g
> A consume f prefetch=1
  consumer 1
> ack f 1
  1
  A/1 gets 2:b/g
> publish f c,group=g
  id 3
> A credit 1 0
> ack f 2
  1
> C receive f
  gets nothing
> update f sticky_groups=0
> C receive f
  gets 3:c/g

## auto-acked deliveries keep the order of hand-over
> create f type=fifo
> A consume f prefetch=1 auto
  consumer 1
> publish f a,group=g b,group=g
  ids 1..2
  A/1 gets 1:a/g
> written f 1
  A/1 gets 2:b/g

## the waiters of one match get different groups, and a receive goes on with its own
> create f type=fifo
> A receive f max=3 wait=1000
  r1 waits
> B receive f max=3 wait=1000
  r2 waits
> publish f a,group=g b,group=g c,group=h d,group=h
  ids 1..4
  A.r1 gets 1:a/g 2:b/g
  B.r2 gets 3:c/h 4:d/h

## what never reached its connection goes back uncharged and unlocks its group
> create f type=fifo
> A consume f prefetch=9
  consumer 1
> publish f a,group=g b,group=g
  ids 1..2
  A/1 gets 1:a/g
+ unwritten f 1
> A close
> B receive f max=2
  gets 1:a/g 2:b/g

## an answer stops before it would pass the largest response, and what it has locks its group
> create f type=fifo
> limit max_response_bytes=100
> A receive f max=10 wait=1000
  r1 waits
> B receive f max=10 wait=1000
  r2 waits
> publish f a,size=60,group=g b,size=60,group=g c,size=60,group=h
  ids 1..3
  A.r1 gets 1:a......./g
  B.r2 gets 3:c......./h
> C receive f max=10
  gets nothing
> ack f 1
  1
> C receive f max=10
  gets 2:b......./g

## a wait of 0 that ends with its connection takes nothing along
> create f type=fifo
> A consume f prefetch=1
  consumer 1
+ publish f a,group=g b,group=h
  ids 1..2
+ B receive f
  r1 waits
> B close
  A/1 gets 1:a/g
> info f
  delayed 0 ready 1 inflight 1 parked 0 bytes 2
