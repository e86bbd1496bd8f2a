## ready messages go out by id, one at a time to each consumer in turn, and the round goes on where it stopped
> create jobs
> A consume jobs prefetch=10
  consumer 1
> B consume jobs prefetch=10
  consumer 1
> publish jobs a b c d e
  ids 1..5
  A/1 gets 1:a 3:c 5:e
  B/1 gets 2:b 4:d
> publish jobs f
  id 6
  B/1 gets 6:f

## a consumer gets no more than its prefetch, and each ack lets one more through
> create jobs
> publish jobs a b c d
  ids 1..4
> A consume jobs prefetch=2
  consumer 1
  A/1 gets 1:a 2:b
> ack jobs 2
  1
  A/1 gets 3:c
> ack jobs 1 3
  2
  A/1 gets 4:d

## prefetch 0 pauses a consumer; credit starts it
> create jobs
> publish jobs a b
  ids 1..2
> A consume jobs prefetch=0
  consumer 1
> A credit 1 1
  A/1 gets 1:a
> A credit 1 0
> ack jobs 1
  1
> A credit 1 5
  A/1 gets 2:b

## lowering the credit below what is held stops deliveries until enough is acked
> create jobs
> publish jobs a b c d
  ids 1..4
> A consume jobs prefetch=3
  consumer 1
  A/1 gets 1:a 2:b 3:c
> A credit 1 1
> ack jobs 1 2
  2
> ack jobs 3
  1
  A/1 gets 4:d

## an ack from another connection gives the credit back to the consumer that held the message
> create jobs
> publish jobs a b
  ids 1..2
> A consume jobs prefetch=1
  consumer 1
  A/1 gets 1:a
> B receive jobs
  gets 2:b
> ack jobs 1
  1

## a consumer without credit keeps its place in the round
> create jobs
> A consume jobs prefetch=1
  consumer 1
> B consume jobs prefetch=1
  consumer 1
> C consume jobs prefetch=9
  consumer 1
> publish jobs a b c
  ids 1..3
  A/1 gets 1:a
  B/1 gets 2:b
  C/1 gets 3:c
> publish jobs d e
  ids 4..5
  C/1 gets 4:d 5:e
> ack jobs 1 2
  2
> publish jobs f g h
  ids 6..8
  A/1 gets 6:f
  B/1 gets 7:g
  C/1 gets 8:h

## a slow consumer does not hold up the others
> create jobs
> A consume jobs prefetch=1
  consumer 1
> B consume jobs prefetch=100
  consumer 1
> publish jobs a b c d e f
  ids 1..6
  A/1 gets 1:a
  B/1 gets 2:b 3:c 4:d 5:e 6:f

## waiting receives stand in the same line as consumers, in the order of their arrival
> create jobs
> A receive jobs wait=1000
  r1 waits
> B consume jobs prefetch=1
  consumer 1
> C receive jobs wait=1000
  r2 waits
> publish jobs a b c d
  ids 1..4
  A.r1 gets 1:a
  B/1 gets 2:b
  C.r2 gets 3:c

## one match deals one message at a time around the line; a receive stays until its max, and is answered at the end of the match
> create jobs
> A receive jobs max=3 wait=1000
  r1 waits
> B receive jobs max=1 wait=1000
  r2 waits
> C receive jobs max=3 wait=1000
  r3 waits
> publish jobs a b c d e f
  ids 1..6
  A.r1 gets 1:a 4:d 6:f
  B.r2 gets 2:b
  C.r3 gets 3:c 5:e

## a receive answers with what is there, up to max
> create jobs
> publish jobs a b c
  ids 1..3
> A receive jobs max=2
  gets 1:a 2:b
> A receive jobs max=2
  gets 3:c

## a receive without wait on an empty queue answers at once with nothing
> create jobs
> A receive jobs
  gets nothing

## a receive that waits gets the first message that comes, at once
> create jobs
> A receive jobs wait=5000
  r1 waits
> at 100
> publish jobs a
  id 1
  A.r1 gets 1:a

## a receive that waits in vain is answered with nothing when its wait is over, not earlier
> create jobs
> A receive jobs wait=5000
  r1 waits
> at 4999
> at 5000
  A.r1 gets nothing
> publish jobs a
  id 1

## a publish followed in the same turn by a receive without wait finds its message
> create jobs
+ publish jobs a
  id 1
> A receive jobs
  gets 1:a

## a receive does not overtake a consumer that could take the message
> create jobs
> A consume jobs prefetch=1
  consumer 1
+ publish jobs a b
  ids 1..2
> B receive jobs
  r1 waits
  A/1 gets 1:a
  B.r1 gets 2:b

## a receive without wait is answered in the same turn, with nothing if those before it took everything
> create jobs
> A consume jobs prefetch=5
  consumer 1
+ publish jobs a
  id 1
> B receive jobs
  r1 waits
  A/1 gets 1:a
  B.r1 gets nothing

## consumers that have no credit do not stand before a receive
> create jobs
> A consume jobs prefetch=1
  consumer 1
> publish jobs a b
  ids 1..2
  A/1 gets 1:a
> B receive jobs
  gets 2:b

## a message that comes when a wait ends is given, not withheld
> create jobs
> publish jobs a,delay=1000
  id 1
> A receive jobs wait=1000
  r1 waits
> at 1000
  A.r1 gets 1:a

## an answer stops before it would pass the largest response, but holds at least one message
> create jobs
> limit max_response_bytes=100
> publish jobs a,size=60 b,size=60 c,size=300 d,size=10
  ids 1..4
> A receive jobs max=10
  gets 1:a.......
> A receive jobs max=10
  gets 2:b.......
> A receive jobs max=10
  gets 3:c.......
> A receive jobs max=10
  gets 4:d.......

## the same holds for a receive that waits
> create jobs
> limit max_response_bytes=100
> A receive jobs max=10 wait=1000
  r1 waits
> publish jobs a,size=60 b,size=60
  ids 1..2
  A.r1 gets 1:a.......

## a waiter whose connection is gone gets nothing and loses nothing
> create jobs
> A receive jobs wait=5000
  r1 waits
> A close
> publish jobs a
  id 1
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> B receive jobs
  gets 1:a

## a consumer whose socket is full is passed over and comes back when it has drained
> create jobs
> A consume jobs prefetch=10
  consumer 1
> B consume jobs prefetch=10
  consumer 1
> A full
> publish jobs a b
  ids 1..2
  B/1 gets 1:a 2:b
> A drained
> publish jobs c d
  ids 3..4
  A/1 gets 3:c
  B/1 gets 4:d

## what is handed to a connection counts against its room, and its other consumers are passed over too
> create jobs
> A drained 150
> A consume jobs prefetch=10
  consumer 1
> A consume jobs prefetch=10
  consumer 2
> publish jobs a,size=50 b,size=50 c,size=50
  ids 1..3
  A/1 gets 1:a.......
  A/2 gets 2:b.......
> A drained 1000
  A/1 gets 3:c.......

## ack: auto counts as inflight until written, then the message is gone
> create jobs
> A consume jobs prefetch=1 auto
  consumer 1
> publish jobs a b
  ids 1..2
  A/1 gets 1:a
> info jobs
  delayed 0 ready 1 inflight 1 parked 0 bytes 2
> written jobs 1
  A/1 gets 2:b
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1

## ack: auto gives a message back uncharged if its connection dies before it was written
> create jobs
> A consume jobs prefetch=1 auto
  consumer 1
> publish jobs a
  id 1
  A/1 gets 1:a
+ unwritten jobs 1
> A close
> B receive jobs
  gets 1:a
> counters jobs
  published 1 delivered 2 returned 1

## a paused queue accepts and delivers nothing; its timers run; waiters are served when it resumes
> create jobs visibility=1000
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> pause jobs
> publish jobs b
  id 2
> B receive jobs
  gets nothing
> B receive jobs max=5 wait=10000
  r3 waits
> at 1000
> info jobs
  delayed 0 ready 2 inflight 0 parked 0 bytes 2
> resume jobs
  B.r3 gets 1:a#2 2:b

## a visibility of the consumer's or the receive's own wins over the queue's
> create jobs visibility=1000
> publish jobs a b c
  ids 1..3
> A receive jobs visibility=200
  gets 1:a
> B consume jobs prefetch=1 visibility=300
  consumer 1
  B/1 gets 2:b
> C receive jobs
  gets 3:c
> at 200
> info jobs
  delayed 0 ready 1 inflight 2 parked 0 bytes 3
> at 300
  B/1 gets 1:a#2
> info jobs
  delayed 0 ready 1 inflight 2 parked 0 bytes 3
> ack jobs 1 3
  2
  B/1 gets 2:b#2
> at 1000
  -- 600
  B/1 gets 2:b#3
  -- 900
  B/1 gets 2:b#4
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1

## peek shows messages in id order and changes nothing, not even a counter
> create jobs
> publish jobs a b,delay=1000 c d
  ids 1..4
> A receive jobs
  gets 1:a
> peek jobs
  1:a inflight attempts 1
  2:b delayed
  3:c ready
  4:d ready
> peek jobs state=ready
  3:c ready
  4:d ready
> peek jobs state=inflight
  1:a inflight attempts 1
> peek jobs from=2 max=2
  2:b delayed
  3:c ready
  next 4
> peek jobs from=2 to=3
  2:b delayed
  3:c ready
> counters jobs
  published 4 delivered 1

## peek can look for one group
> create jobs
> publish jobs a,group=x b,group=y c,group=x d
  ids 1..4
> peek jobs group=x
  1:a ready
  3:c ready

## nothing is delivered to a cancelled consumer
> create jobs
> A consume jobs prefetch=1
  consumer 1
+ publish jobs a
  id 1
+ A cancel 1
> publish jobs b
  id 2
> info jobs
  delayed 0 ready 2 inflight 0 parked 0 bytes 2

## a server that stops refuses waiters, delivers nothing more, lets deliveries be settled, and cancels consumers at the end
> create jobs
> create idle
> publish jobs a b
  ids 1..2
> A consume jobs prefetch=1
  consumer 1
  A/1 gets 1:a
> B receive idle wait=5000
  r1 waits
> stop
  B.r1 DRAINING
> ack jobs 1
  1
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> stop_finish
  A/1 cancelled draining

## draining refuses new messages, receives and consumers; what is inflight can be settled and consumers go on
> create jobs
> publish jobs a b c
  ids 1..3
> A consume jobs prefetch=1
  consumer 1
  A/1 gets 1:a
> drain
> publish jobs d
  DRAINING
> B receive jobs
  DRAINING
> B consume jobs prefetch=1
  DRAINING
> ack jobs 1
  1
  A/1 gets 2:b
> ack jobs 2
  1
  A/1 gets 3:c

## a queue that is paused in the turn of a publish delivers nothing
> create jobs
> A consume jobs prefetch=2
  consumer 1
+ publish jobs a
  id 1
> pause jobs
> resume jobs
  A/1 gets 1:a

