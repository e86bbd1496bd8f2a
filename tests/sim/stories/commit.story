## acks and publishes take effect together
> create in
> create out
> topic create t
> topic subscribe t out
> publish in a b
  ids 1..2
> A receive in max=2
  gets 1:a 2:b
> commit ack in 1 2 | publish out c d | topic t k e
  acked 2
  out ids 1..2
  t copies 1
> info in
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> peek out
  1:c ready
  2:d ready
  3:e ready

## a stale receipt stops it all, also one that is named twice
> create in
> create out
> publish in a b
  ids 1..2
> A receive in max=2
  gets 1:a 2:b
> ack in 2
  1
> commit ack in 1 2 | publish out c
  RECEIPT_STALE
    ack 1
> commit ack in 1 1 | publish out c
  RECEIPT_STALE
    ack 1
> info in
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> info out
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## what can't be stored stops it all, and is named
> create in
> create out max_messages=2
> publish in a
  id 1
> A receive in
  gets 1:a
> commit ack in 1 | publish out b c | publish out d
  QUEUE_FULL
    part 1 message 0
> commit ack in 1 | publish out b c,wrong=1
  BAD_REQUEST wrong
    part 0 message 1
> info in
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> info out
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## the room that the acks make is there for the messages
> create q max_messages=1
> publish q a
  id 1
> A receive q
  gets 1:a
> commit publish q b
  QUEUE_FULL
    part 0 message 0
> commit ack q 1 | publish q b
  acked 1
  q id 2

## a duplicate is not a refusal, and the parts of one commit know each other's ids
> create q
> publish q a,dedup=x
  id 1
> commit publish q b,dedup=x c,dedup=y | publish q d,dedup=y
  q id 2
    [0] duplicate of 1
  q nothing
    [0] duplicate of 2

## one with nothing in it is not well formed
> commit
  BAD_REQUEST commit
> create q
> publish q a
  id 1
> A receive q
  gets 1:a
> commit ack q 1
  acked 1

## an ack in a commit unlocks its group, and what is published behind it goes on
> create f type=fifo
> A consume f prefetch=9
  consumer 1
> publish f a,group=g
  id 1
  A/1 gets 1:a/g
> commit ack f 1 | publish f b,group=g c,group=g
  acked 1
  f ids 2..3
  A/1 gets 2:b/g

## consume, process, produce: the message moves on from queue to queue and is never in two or in none
> create one type=fifo
> create two type=fifo
> A consume one prefetch=1
  consumer 1
> B consume two prefetch=1
  consumer 1
> publish one a,group=g b,group=g
  ids 1..2
  A/1 gets 1:a/g
> commit ack one 1 | publish two A,group=g
  acked 1
  two id 1
  A/1 gets 2:b/g
  B/1 gets 1:A/g
