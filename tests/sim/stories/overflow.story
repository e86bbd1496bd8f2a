## dead_letter_oldest makes room by sending the oldest to the dead-letter queue
> create dead
> create q max_messages=2 overflow=dead_letter_oldest dead_letter=dead
> publish q a b c
  ids 1..3
> peek q
  2:b ready
  3:c ready
> peek dead
  1:a ready dl_queue=q dl_id=1 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0
> counters q
  published 3 dead_lettered 1

## the lowest id among ready, then among delayed; never inflight or parked
> create dead
> create q max_messages=3 overflow=dead_letter_oldest dead_letter=dead
> publish q a b,delay=1000 c
  ids 1..3
> A receive q
  gets 1:a
> publish q d
  id 4
> publish q e
  id 5
> publish q f,delay=500
  id 6
> peek q
  1:a inflight attempts 1
  2:b delayed
  6:f delayed
> publish q g
  id 7
> peek q
  1:a inflight attempts 1
  6:f delayed
  7:g ready
> peek dead
  1:c ready dl_queue=q dl_id=3 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0
  2:d ready dl_queue=q dl_id=4 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0
  3:e ready dl_queue=q dl_id=5 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0
  4:b ready dl_queue=q dl_id=2 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0

## into a full dead-letter queue nothing moves
> create dead max_messages=1
> create q max_messages=1 overflow=dead_letter_oldest dead_letter=dead
> publish q a b
  ids 1..2
> publish q c
  [0] QUEUE_FULL
> peek q
  2:b ready
> peek dead
  1:a ready dl_queue=q dl_id=1 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0

## if room can't be made in full nothing is displaced
> create dead max_messages=1
> create q max_bytes=20 overflow=dead_letter_oldest dead_letter=dead
> publish q a,size=10 b,size=10
  ids 1..2
> publish q c,size=20
  [0] QUEUE_FULL
> info q
  delayed 0 ready 2 inflight 0 parked 0 bytes 20
> info dead
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## a displaced message meets the rule of the queue where it goes, and so on down the chain
> create c max_messages=1 overflow=drop_oldest
> create b max_messages=1 overflow=dead_letter_oldest dead_letter=c
> create a max_messages=1 overflow=dead_letter_oldest dead_letter=b
> publish a w
  id 1
> publish a x
  id 2
> publish a y
  id 3
> publish a z
  id 4
> peek a
  4:z ready
> peek b
  3:y ready dl_queue=a dl_id=3 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0
> peek c
  2:x ready dl_queue=b dl_id=2 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0
> counters c
  dropped 1 arrived 2

## a chain of more than sixteen queues counts as full
> create q17
> create q16 max_messages=1 overflow=dead_letter_oldest dead_letter=q17
> create q15 max_messages=1 overflow=dead_letter_oldest dead_letter=q16
> create q14 max_messages=1 overflow=dead_letter_oldest dead_letter=q15
> create q13 max_messages=1 overflow=dead_letter_oldest dead_letter=q14
> create q12 max_messages=1 overflow=dead_letter_oldest dead_letter=q13
> create q11 max_messages=1 overflow=dead_letter_oldest dead_letter=q12
> create q10 max_messages=1 overflow=dead_letter_oldest dead_letter=q11
> create q9 max_messages=1 overflow=dead_letter_oldest dead_letter=q10
> create q8 max_messages=1 overflow=dead_letter_oldest dead_letter=q9
> create q7 max_messages=1 overflow=dead_letter_oldest dead_letter=q8
> create q6 max_messages=1 overflow=dead_letter_oldest dead_letter=q7
> create q5 max_messages=1 overflow=dead_letter_oldest dead_letter=q6
> create q4 max_messages=1 overflow=dead_letter_oldest dead_letter=q5
> create q3 max_messages=1 overflow=dead_letter_oldest dead_letter=q4
> create q2 max_messages=1 overflow=dead_letter_oldest dead_letter=q3
> create q1 max_messages=1 overflow=dead_letter_oldest dead_letter=q2
> create q0 max_messages=1 overflow=dead_letter_oldest dead_letter=q1
> publish q1 a b c d e f g h i j k l m n o p
  ids 1..16
> publish q1 r
  id 17
> publish q0 y
  id 1
> publish q0 z
  [0] QUEUE_FULL
> info q17
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## an atomic batch displaces what was there before it, never itself
> create dead
> create q max_messages=2 overflow=dead_letter_oldest dead_letter=dead
> publish q a
  id 1
> publish q atomic b c d
  QUEUE_FULL
> publish q atomic b c
  ids 2..3
> info dead
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## in a batch that is not atomic each message may displace the ones before it
> create dead
> create q max_messages=1 overflow=dead_letter_oldest dead_letter=dead
> publish q a b c
  ids 1..3
> info dead
  delayed 0 ready 2 inflight 0 parked 0 bytes 2

## a fifo queue's oldest leaves its group, which goes on; messages behind a lock can be displaced
> create dead type=fifo
> create f type=fifo max_messages=2 overflow=dead_letter_oldest dead_letter=dead
> publish f a,group=g b,group=g
  ids 1..2
> A receive f
  gets 1:a/g
> publish f c,group=h
  id 3
> peek dead
  1:b ready group g dl_queue=f dl_id=2 dl_reason=overflow dl_attempts=0 dl_first=0 dl_last=0
> ack f 1
  1
> A receive f max=9
  gets 3:c/h

## a publish that waits is held until there is room, and goes in as one step
> create q max_messages=2
> publish q a b
  ids 1..2
> A publish q wait=1000 c d
  p1 is held
> B receive q max=2
  gets 1:a 2:b
> ack q 1
  1
> at 500
> ack q 2
  1
  A.p1 ids 3..4

## when the wait is over what fits is stored and the rest refused; atomic: all of it
> create q max_messages=2
> publish q a
  id 1
> A publish q wait=1000 c d
  p1 is held
> at 1000
  A.p1 id 2
    [1] QUEUE_FULL
> A publish q atomic wait=1000 e
  p2 is held
> at 2000
  A.p2 QUEUE_FULL
> counters q
  published 2 refused 2

## what can never fit is not held
> create q max_messages=1 max_bytes=10
> publish q a
  id 1
> A publish q wait=1000 b,size=11
  [0] TOO_LARGE max_bytes
> A publish q wait=1000 b c
  [0] QUEUE_FULL
  [1] QUEUE_FULL
> A publish q wait=20001 b
  LIMIT max_wait

## first come, first served: while somebody waits nobody else's messages go in, but duplicates are recognised
> create q max_messages=2
> publish q a b,dedup=x
  ids 1..2
> A publish q wait=1000 c d
  p1 is held
> B receive q
  gets 1:a
> ack q 1
  1
> publish q e f,dedup=x
  [0] QUEUE_FULL
  [1] duplicate of 2
> B publish q wait=1000 g
  p2 is held
> B receive q
  gets 2:b
> ack q 2
  1
  A.p1 ids 3..4
> B receive q
  gets 3:c
> ack q 3
  1
  B.p2 id 5

## a publish that waits is dated when it goes in
> create q max_messages=1
> publish q a,ttl=500
  id 1
> A publish q wait=1000 b,ttl=500,delay=100
  p1 is held
> at 500
  A.p1 id 2
> at 599
> info q
  delayed 1 ready 0 inflight 0 parked 0 bytes 1
> at 600
> info q
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> at 999
> info q
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> at 1000
> info q
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## a publish that waits ends with its connection or its queue; a raised limit lets it in
> create q max_messages=1
> publish q a
  id 1
> A publish q wait=1000 b
  p1 is held
> B publish q wait=1000 c
  p2 is held
> A close
> update q max_messages=2
  B.p2 id 2
> C publish q wait=1000 d
  p3 is held
> delete q
  2
  C.p3 QUEUE_NOT_FOUND

## at the memory limit a publish that waits is held until there is memory, and so is who comes after it
> create q
> publish q a,size=200000
  id 1
> limit max_memory=+1000
> publish q b,size=5000
  MEMORY_LIMIT
> A publish q wait=1000 b,size=5000
  p1 is held
> publish q c
  MEMORY_LIMIT
> B publish q wait=1000 d
  p2 is held
> A receive q
  gets 1:a.......
> ack q 1
  1
  A.p1 id 2
  B.p2 id 3

## when the wait for memory is over, all of it is refused; a raised limit lets it in before
> create q
> publish q a,size=200000
  id 1
> limit max_memory=+1000
> A publish q wait=1000 b,size=5000
  p1 is held
> at 1000
  A.p1 MEMORY_LIMIT
> A publish q wait=1000 b,size=5000
  p2 is held
> limit max_memory=+100000
  A.p2 id 2

## what waits may hold an eighth of the memory; more is refused at once
> create q
> publish q a,size=200000
  id 1
> limit max_memory=+1000
> A publish q wait=1000 b,size=20000
  p1 is held
> A publish q wait=1000 c,size=20000
  MEMORY_LIMIT
> A close
> A publish q wait=1000 c,size=20000
  p3 is held

## a server that drains or stops refuses what waits
> create q max_messages=1
> publish q a
  id 1
> A publish q wait=1000 b
  p1 is held
> drain
  A.p1 DRAINING
> A publish q wait=1000 b
  DRAINING
> commit publish q b
  DRAINING

## stopping refuses them too
> create q max_messages=1
> publish q a
  id 1
> A publish q wait=1000 b
  p1 is held
> B receive q
  gets 1:a
> stop
  A.p1 DRAINING
> ack q 1
  1
> stop_finish
