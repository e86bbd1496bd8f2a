## a published message is ready
> create jobs
> publish jobs a
  id 1
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## a message published with a delay is delayed until the delay is over, never earlier
> create jobs
> publish jobs a,delay=1000
  id 1
> info jobs
  delayed 1 ready 0 inflight 0 parked 0 bytes 1
> A receive jobs wait=5000
  r1 waits
> at 999
> at 1000
  A.r1 gets 1:a

## the queue's delay holds for messages that name none; a message's own wins, 0 included
> create jobs delay=500
> publish jobs a b,delay=0 c,delay=900
  ids 1..3
> info jobs
  delayed 2 ready 1 inflight 0 parked 0 bytes 3
> at 500
> peek jobs
  1:a ready
  2:b ready
  3:c delayed

## a message whose delay is over takes its place by id
> create jobs
> publish jobs a,delay=1000 b c
  ids 1..3
> at 1000
> A receive jobs max=3
  gets 1:a 2:b 3:c

## each delivery adds an attempt and has a receipt of its own
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> nack jobs 1
  1
> A receive jobs
  gets 1:a#2
> ack jobs 1#1
  0
  [0] RECEIPT_STALE
> ack jobs 1#2
  1

## a delivery that is not acked in time goes back to its place; its receipt is dead
> create jobs visibility=1000
> publish jobs a b
  ids 1..2
> A receive jobs
  gets 1:a
> at 999
> info jobs
  delayed 0 ready 1 inflight 1 parked 0 bytes 2
> at 1000
> info jobs
  delayed 0 ready 2 inflight 0 parked 0 bytes 2
> B receive jobs max=2
  gets 1:a#2 2:b
> ack jobs 1#1
  0
  [0] RECEIPT_STALE
> ack jobs 1 2
  2
> counters jobs
  published 2 delivered 3 redelivered 1 acked 2 timed_out 1

## an acked message is gone and its memory free; a second ack is stale
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> ack jobs 1
  1
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> ack jobs 1
  0
  [0] RECEIPT_STALE

## within one call the rest of the batch is applied when a receipt is stale
> create jobs
> publish jobs a b c
  ids 1..3
> A receive jobs max=3
  gets 1:a 2:b 3:c
> ack jobs 2
  1
> ack jobs 1 2 3
  2
  [1] RECEIPT_STALE

## a receipt named twice in one call is applied once
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> ack jobs 1 1
  1
  [1] RECEIPT_STALE

## ack multiple on a receive settles what came before it in the same receive, and nothing of another
> create jobs
> publish jobs a b c d
  ids 1..4
> A receive jobs max=2
  gets 1:a 2:b
> A receive jobs max=2
  gets 3:c 4:d
> ack jobs multiple 4
  2
> info jobs
  delayed 0 ready 0 inflight 2 parked 0 bytes 2

## of two receipts that cover each other in ack multiple the covered one is stale
> create jobs
> publish jobs a b
  ids 1..2
> A receive jobs max=2
  gets 1:a 2:b
> ack jobs multiple 2 1
  2
  [1] RECEIPT_STALE

## a nacked message goes back to its place by id, not to the tail
> create jobs
> publish jobs a b c
  ids 1..3
> A receive jobs max=2
  gets 1:a 2:b
> nack jobs 2
  1
> nack jobs 1
  1
> A receive jobs max=3
  gets 1:a#2 2:b#2 3:c

## nack with a delay makes it delayed; the message takes its place when the delay is over
> create jobs
> publish jobs a b
  ids 1..2
> A receive jobs
  gets 1:a
> nack jobs delay=500 1
  1
> info jobs
  delayed 1 ready 1 inflight 0 parked 0 bytes 2
> at 499
> info jobs
  delayed 1 ready 1 inflight 0 parked 0 bytes 2
> at 500
> A receive jobs max=2
  gets 1:a#2 2:b

## nack with delay 0 gives back at once
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> nack jobs delay=0 1
  1
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## the receipt of a delivery that was nacked is dead, also while the message is delayed and in its next life
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> nack jobs delay=500 1
  1
> ack jobs 1#1
  0
  [0] RECEIPT_STALE
> at 500
> B receive jobs
  gets 1:a#2
> ack jobs 1#1
  0
  [0] RECEIPT_STALE
> extend jobs 1000 1#1
  0
  [0] RECEIPT_STALE
> ack jobs 1#2
  1

## nack dead parks with reason rejected and the client's note
> create jobs
> publish jobs a b
  ids 1..2
> A receive jobs
  gets 1:a
> nack jobs dead note=broken 1
  1
> peek jobs state=parked
  1:a parked attempts 1 rejected (broken)
> info jobs
  delayed 0 ready 1 inflight 0 parked 1 bytes 2

## delay and dead together are refused
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> nack jobs dead delay=5 1
  BAD_REQUEST dead
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1

## a message whose attempts have reached max_attempts is parked at the moment it comes back, not at a later receive
> create jobs max_attempts=2 visibility=1000
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> nack jobs 1
  1
> A receive jobs
  gets 1:a#2
> at 1000
> peek jobs
  1:a parked attempts 2 max_attempts
> counters jobs
  published 1 delivered 2 redelivered 1 nacked 1 timed_out 1 parks 1

## max_attempts holds for a nack with a delay too, and the note is kept
> create jobs max_attempts=1
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> nack jobs delay=1000 note=why 1
  1
> peek jobs
  1:a parked attempts 1 max_attempts (why)

## max_attempts holds when a consumer is cancelled or its connection ends
> create jobs max_attempts=1
> publish jobs a b
  ids 1..2
> A consume jobs prefetch=1
  consumer 1
  A/1 gets 1:a
> B consume jobs prefetch=1
  consumer 1
  B/1 gets 2:b
> A cancel 1
> B close
> peek jobs
  1:a parked attempts 1 max_attempts
  2:b parked attempts 1 max_attempts

## extend sets the deadline to now plus the visibility; the receipt stays
> create jobs visibility=1000
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> at 900
> extend jobs 1000 1
  1
> at 1899
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> ack jobs 1
  1

## an extended delivery still runs out
> create jobs visibility=1000
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> extend jobs 3000 1
  1
> at 2999
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> at 3000
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## extend 0 gives the message back
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> extend jobs 0 1
  1
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> ack jobs 1
  0
  [0] RECEIPT_STALE

## a delivery can't be held longer than max_hold
> create jobs visibility=1000 max_hold=5000
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> at 900
> extend jobs 4100 1
  1
> extend jobs 4101 1
  0
  [0] LIMIT max_hold
> at 4999
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> at 5000
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## a cancelled consumer's deliveries go back to their places at once, charged
> create jobs
> publish jobs a b c
  ids 1..3
> A consume jobs prefetch=2
  consumer 1
  A/1 gets 1:a 2:b
> A cancel 1
> ack jobs 1
  0
  [0] RECEIPT_STALE
> B receive jobs max=3
  gets 1:a#2 2:b#2 3:c

## the deliveries of a consumer whose connection ends go back at once; unwritten ones are not charged
> create jobs
> publish jobs a b c
  ids 1..3
> A consume jobs prefetch=2
  consumer 1
  A/1 gets 1:a 2:b
+ unwritten jobs 2
> A close
> B receive jobs max=3
  gets 1:a#2 2:b 3:c

## what a receive got waits for its deadline when the connection ends
> create jobs visibility=1000
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> A close
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> at 1000
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## what a receive got and was never written goes back at once, uncharged
> create jobs visibility=1000
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
+ unwritten jobs 1
> A close
> B receive jobs
  gets 1:a

## a receipt is valid from any connection, also after the one that received it has gone
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> A close
> ack jobs 1
  1

## a ttl removes a ready message, counted, and never early
> create jobs
> publish jobs a,ttl=1000 b
  ids 1..2
> at 999
> info jobs
  delayed 0 ready 2 inflight 0 parked 0 bytes 2
> at 1000
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> counters jobs
  published 2 expired 1

## the queue's ttl holds for messages that name none; a message's own wins, 0 included
> create jobs ttl=1000
> publish jobs a b,ttl=2000 c,ttl=0
  ids 1..3
> at 1000
> peek jobs
  2:b ready
  3:c ready
> at 2000
> peek jobs
  3:c ready

## a ttl ends a delayed message before its delay does
> create jobs
> publish jobs a,delay=2000,ttl=1000
  id 1
> at 1000
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> at 2000
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## an inflight message is judged by its ttl when it comes back, and not delivered late
> create jobs visibility=5000
> publish jobs a,ttl=1000
  id 1
> A receive jobs
  gets 1:a
> at 2000
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> nack jobs 1
  1
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> counters jobs
  published 1 delivered 1 nacked 1 expired 1

## an inflight message past its ttl can still be acked
> create jobs visibility=5000
> publish jobs a,ttl=1000
  id 1
> A receive jobs
  gets 1:a
> at 2000
> ack jobs 1
  1

## max_attempts comes before ttl when both apply
> create jobs visibility=5000 max_attempts=1
> publish jobs a,ttl=1000
  id 1
> A receive jobs
  gets 1:a
> at 5000
> peek jobs
  1:a parked attempts 1 max_attempts

## parking ends the ttl
> create jobs
> publish jobs a,ttl=1000
  id 1
> A receive jobs
  gets 1:a
> park jobs note=later 1
  1
> at 100000
> peek jobs
  1:a parked attempts 1 requested (later)
> kick jobs 1
  1
> peek jobs
  1:a ready

## retention removes ready, delayed and parked messages, counted
> create jobs retention=1000 visibility=100000 max_hold=200000
> publish jobs a b b2 c
  ids 1..4
> A receive jobs max=2
  gets 1:a 2:b
> park jobs 1
  1
> nack jobs delay=5000 2
  1
> at 500
> publish jobs d
  id 5
> info jobs
  delayed 1 ready 3 inflight 0 parked 1 bytes 6
> at 1000
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> at 1500
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> counters jobs
  published 5 delivered 2 nacked 1 expired 5 parks 1

## a message that retention would remove before it is ready is refused
> create jobs retention=1000
> publish jobs a b,delay=1000 c,delay=999
  ids 1..2
  [1] LIMIT retention
> update jobs delay=1000
  LIMIT retention
> update jobs delay=500
> update jobs retention=500
  LIMIT retention
> update jobs retention=0
> publish jobs d,delay=5000
  id 3
> create later retention=10 delay=10
  LIMIT retention

## retention is counted anew from parking, and a kicked message's goes on from there
> create jobs retention=1000
> publish jobs a
  id 1
> at 600
> A receive jobs
  gets 1:a
> park jobs 1
  1
> at 1599
> info jobs
  delayed 0 ready 0 inflight 0 parked 1 bytes 1
> kick jobs 1
  1
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> at 1600
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## retention 0 keeps for ever
> create jobs retention=0
> publish jobs a
  id 1
> at 1000000000
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## a changed retention or ttl holds for what is published from then on
> create jobs retention=10000
> publish jobs a
  id 1
> update jobs retention=1000
> publish jobs b
  id 2
> update jobs retention=0 ttl=500
> publish jobs c d,ttl=0
  ids 3..4
> at 500
> peek jobs
  1:a ready
  2:b ready
  4:d ready
> at 1000
> peek jobs
  1:a ready
  4:d ready
> at 10000
> peek jobs
  4:d ready

## park sets a delivery aside; kick makes it ready at its place with attempts back at 0
> create jobs
> publish jobs a b
  ids 1..2
> A receive jobs
  gets 1:a
> park jobs note=look 1
  1
> peek jobs
  1:a parked attempts 1 requested (look)
  2:b ready
> A receive jobs
  gets 2:b
> kick jobs 5
  1
> A receive jobs
  gets 1:a

## kick takes the lowest ids first, or named ones
> create jobs
> publish jobs a b c d
  ids 1..4
> A receive jobs max=4
  gets 1:a 2:b 3:c 4:d
> park jobs 4 2 3 1
  4
> kick jobs 1
  1
> kick jobs ids=4,9,1
  1
> peek jobs
  1:a ready
  2:b parked attempts 1 requested
  3:c parked attempts 1 requested
  4:d ready

## purge of one state leaves the others alone
> create jobs
> publish jobs a b c,delay=1000 d
  ids 1..4
> A receive jobs max=2
  gets 1:a 2:b
> park jobs 1
  1
> purge jobs ready
  1
> info jobs
  delayed 1 ready 0 inflight 1 parked 1 bytes 3
> purge jobs delayed
  1
> info jobs
  delayed 0 ready 0 inflight 1 parked 1 bytes 2
> purge jobs parked
  1
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> ack jobs 2
  1
> counters jobs
  published 4 delivered 2 acked 1 parks 1 purged 3

## purge of everything is visible at once; receipts die; consumers get their credit back
> create jobs
> publish jobs a b c d,delay=1000
  ids 1..4
> A consume jobs prefetch=2
  consumer 1
  A/1 gets 1:a 2:b
> purge jobs
  4
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> ack jobs 1
  0
  [0] RECEIPT_STALE
> publish jobs e
  id 5
  A/1 gets 5:e
> at 100000
  -- 30000
  A/1 gets 5:e#2
  -- 60000
  A/1 gets 5:e#3
  -- 90000
  A/1 gets 5:e#4
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1

## purge of what is inflight kills the receipts and gives the credit back
> create jobs
> publish jobs a b c
  ids 1..3
> A consume jobs prefetch=2
  consumer 1
  A/1 gets 1:a 2:b
> purge jobs inflight
  2
  A/1 gets 3:c
> ack jobs 1 2
  0
  [0] RECEIPT_STALE
  [1] RECEIPT_STALE
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> ack jobs multiple 3
  1

## discard removes single messages by id, but not inflight ones
> create jobs
> publish jobs a b c,delay=1000 d
  ids 1..4
> A receive jobs max=2
  gets 1:a 2:b
> park jobs 2
  1
> discard jobs ids=1,2,3,4,5
  3
> info jobs
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> counters jobs
  published 4 delivered 2 parks 1 discarded 3

## after the delay of a nack the attempts go on counting
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> nack jobs delay=100 1
  1
> at 100
> A receive jobs
  gets 1:a#2
> nack jobs delay=100 1
  1
> at 200
> A receive jobs
  gets 1:a#3

## ack multiple settles everything handed over before to the same consumer, and nothing of another
> create jobs
> publish jobs a b c d e
  ids 1..5
> A consume jobs prefetch=3
  consumer 1
  A/1 gets 1:a 2:b 3:c
> B receive jobs
  gets 4:d
> ack jobs multiple 2
  2
  A/1 gets 5:e
> ack jobs multiple 4
  1
> info jobs
  delayed 0 ready 0 inflight 2 parked 0 bytes 2
> ack jobs multiple 5
  2

## purge of one state kills its receipts while the others of the same consumer live on
> create jobs
> publish jobs a b
  ids 1..2
> A consume jobs prefetch=2
  consumer 1
  A/1 gets 1:a 2:b
> nack jobs delay=500 1
  1
> purge jobs inflight
  1
> at 500
  A/1 gets 1:a#2
> ack jobs 1#2
  1
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

