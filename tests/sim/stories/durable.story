## while the log takes nothing, what is new for durable queues is refused and all else goes on
> create q
> create fleeting durable=false
> topic create t
> publish q a b c
  ids 1..3
> A receive q max=2
  gets 1:a 2:b
> refuse DISK_FULL
> publish q d
  DISK_FULL
> publish fleeting d
  id 1
> create other
  DISK_FULL
> create q
  exists
> create passing durable=false
> update q visibility=1000
  DISK_FULL
> update fleeting visibility=1000
> update fleeting durable=true
  DISK_FULL
> topic create u
  DISK_FULL
> topic subscribe t q
  DISK_FULL
> topic subscribe t fleeting
> publish_topic t key e
  copies 1
> commit publish q f
  DISK_FULL
> commit ack q 1 | publish q f
  DISK_FULL
> commit ack q 1 | publish fleeting f
  acked 1
  fleeting id 3
> nack q dead 2
  1
> pause q
> resume q
> kick q 1
  1
> peek q
  2:b ready
  3:c ready
> peek fleeting
  1:d ready
  2:e ready
  3:f ready
> counters q
  published 3 refused 1 delivered 2 acked 1 nacked 1 parks 1 kicks 1
> purge q
  2
> delete q
  0
> refuse none
> create q
> publish q g
  id 1

## a copy for a durable queue makes the whole publish to a topic fail
> create fleeting durable=false
> create lasting
> topic create t
> topic subscribe t fleeting
> topic subscribe t lasting pattern=a
> refuse LOG_FAILED
> publish_topic t a x
  LOG_FAILED
> publish_topic t b y
  copies 1
> commit topic t a x
  LOG_FAILED
> peek fleeting
  1:y ready
> topic unsubscribe t lasting
> publish_topic t a z
  copies 1
> delete lasting
  0

## dead letters and parked messages go their way, a move into a durable queue waits
> create dead
> create q dead_letter=dead
> publish q a b c
  ids 1..3
> A receive q max=2
  gets 1:a 2:b
> refuse DISK_FULL
> nack q dead 1
  1
> park q 2
  1
> peek dead
  1:a ready dl_queue=q dl_id=1 dl_reason=rejected dl_attempts=1 dl_first=1000000 dl_last=1000000
> move q to=dead
  move 1
> at 150
> moves
  1: q -> dead moved 0 running
> refuse none
> at 200
> moves
  1: q -> dead moved 2 done
> peek dead
  1:a ready dl_queue=q dl_id=1 dl_reason=rejected dl_attempts=1 dl_first=1000000 dl_last=1000000
  2:b ready
  3:c ready

## a publish that waits is kept back while the log takes nothing, and goes in when it does again
> create q max_messages=1
> publish q a
  id 1
> A publish q wait=1000 b
  p1 is held
> A publish q wait=5000 c
  p2 is held
> refuse DISK_FULL
> B receive q
  gets 1:a
> ack q 1
  1
> A publish q wait=1000 d
  DISK_FULL
> at 1000
  A.p1 DISK_FULL
> refuse none
  A.p2 id 2
> peek q
  2:c ready

## what waits for a durable queue that takes nothing holds up no other
> create fleeting durable=false max_messages=1
> create lasting
> topic create t
> topic subscribe t fleeting
> topic subscribe t lasting
> publish fleeting a
  id 1
> A publish_topic t key wait=5000 b
  p1 is held
> refuse DISK_FULL
> B receive fleeting
  gets 1:a
> ack fleeting 1
  1
> publish fleeting c
  id 2
> B receive fleeting
  gets 2:c
> ack fleeting 2
  1
> refuse none
  A.p1 copies 2
> peek fleeting
  3:b ready
> peek lasting
  1:b ready

## a queue becomes durable, or ceases to be, only without messages
> create q
> topic create t
> topic subscribe t q pattern=a
> publish q a
  id 1
> update q durable=false
  QUEUE_NOT_EMPTY
> A receive q
  gets 1:a
> update q durable=false
  QUEUE_NOT_EMPTY
> ack q 1
  1
> update q durable=false
> publish q b
  id 2
> update q durable=true
  QUEUE_NOT_EMPTY
> update q visibility=5000
> purge q
  1
> update q durable=true
> publish q c,dedup=x
  id 3
> peek q
  3:c ready dedup x

## what a copy displaces stands between it and the copy before
> create a
> create b max_messages=1 overflow=drop_oldest
> create c
> topic create t
> topic subscribe t a
> topic subscribe t b
> topic subscribe t c
> publish b old
  id 1
> publish_topic t key x
  copies 3
> peek b
  2:x ready

## copies for queues that are not durable are not told
> create a
> create b durable=false
> create c
> create d durable=false
> topic create t
> topic subscribe t a
> topic subscribe t b
> topic subscribe t c
> topic subscribe t d
> publish_topic t key x,dedup=i y
  copies 8
> publish_topic t key x,dedup=i
  copies 4
> commit topic t key z | publish a w
  t copies 4
  a id 4
