## creating a queue again changes nothing; named attributes that differ are refused and named
> create jobs visibility=5000
> create jobs
  exists
> create jobs visibility=5000
  exists
> create jobs visibility=6000 max_attempts=3
  QUEUE_EXISTS
  differs: visibility
  differs: max_attempts
> list
  jobs

## queues are listed by name
> create b
> create a/1
> create a
> create a-1
> list
  a a-1 a/1 b

## a queue can't have a visibility above its max_hold
> create jobs visibility=5000 max_hold=4000
  LIMIT max_hold
> create jobs max_hold=40000
> update jobs visibility=50000
  LIMIT max_hold
> update jobs type=0
  BAD_REQUEST type

## ids are consecutive within a batch and never reused
> create jobs
> publish jobs a b
  ids 1..2
> A receive jobs max=2
  gets 1:a 2:b
> ack jobs 1 2
  2
> publish jobs c
  id 3
> purge jobs
  1
> publish jobs d
  id 4

## a deleted queue takes its messages with it: waiters are refused, consumers cancelled, receipts stale
> create jobs
> publish jobs a b
  ids 1..2
> A consume jobs prefetch=1
  consumer 1
  A/1 gets 1:a
> B receive jobs
  gets 2:b
> C consume jobs prefetch=5
  consumer 1
> D receive jobs wait=5000
  r2 waits
> delete jobs
  2
  A/1 cancelled queue_deleted
  C/1 cancelled queue_deleted
  D.r2 QUEUE_NOT_FOUND
> ack jobs 1 2
  0
  [0] RECEIPT_STALE
  [1] RECEIPT_STALE
> at 10000

## a new queue of the same name starts at id 1, and no old receipt matches it
> create jobs
> publish jobs a
  id 1
> A receive jobs
  gets 1:a
> delete jobs
  1
> create jobs
> publish jobs b
  id 1
> B receive jobs
  gets 1:b
> ack jobs 1
  1
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> ack jobs 1
  0
  [0] RECEIPT_STALE

## delete if_empty and if_unused
> create jobs
> publish jobs a
  id 1
> delete jobs if_empty
  QUEUE_NOT_EMPTY
> A consume jobs prefetch=1
  consumer 1
  A/1 gets 1:a
> delete jobs if_unused
  QUEUE_IN_USE
> A cancel 1
> delete jobs if_unused
  1

## max_messages counts all four states; reject refuses what does not fit, message by message
> create jobs max_messages=4
> publish jobs a b,delay=1000 c
  ids 1..3
> A receive jobs
  gets 1:a
> park jobs 1
  1
> publish jobs d e f
  id 4
  [1] QUEUE_FULL
  [2] QUEUE_FULL
> info jobs
  delayed 1 ready 2 inflight 0 parked 1 bytes 4
> counters jobs
  published 4 refused 2 delivered 1 parks 1

## max_bytes counts bodies; a body that can never fit is too large
> create jobs max_bytes=100
> publish jobs a,size=60 b,size=60 c,size=30 d,size=101
  ids 1..2
  [1] QUEUE_FULL
  [3] TOO_LARGE max_bytes

## drop_oldest drops the lowest id among ready, then delayed, never inflight or parked
> create jobs max_messages=3 overflow=1
  BAD_REQUEST overflow
> create ring max_messages=3 overflow=drop_oldest
> publish ring a b c
  ids 1..3
> A receive ring
  gets 1:a
> publish ring d
  id 4
> peek ring
  1:a inflight attempts 1
  3:c ready
  4:d ready
> publish ring e,delay=1000 f,delay=1000
  ids 5..6
> peek ring
  1:a inflight attempts 1
  5:e delayed
  6:f delayed
> publish ring g
  id 7
> peek ring
  1:a inflight attempts 1
  6:f delayed
  7:g ready
> counters ring
  published 7 delivered 1 dropped 4

## drop_oldest refuses when nothing can be dropped
> create ring max_messages=2 overflow=drop_oldest
> publish ring a b
  ids 1..2
> A receive ring max=2
  gets 1:a 2:b
> publish ring c
  [0] QUEUE_FULL

## drop_oldest drops as many as a large body needs
> create ring max_bytes=100 overflow=drop_oldest
> publish ring a,size=30 b,size=30 c,size=30
  ids 1..3
> publish ring d,size=65
  id 4
> peek ring
  3:c....... ready
  4:d....... ready

## an atomic batch is stored whole or not at all
> create jobs max_messages=3 max_message_bytes=100
> publish jobs atomic a b c d
  QUEUE_FULL
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> publish jobs atomic a b,size=101
  TOO_LARGE max_message_bytes
> info jobs
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> publish jobs atomic a b c
  ids 1..3
> publish jobs atomic d
  QUEUE_FULL

## an atomic batch may drop older messages, but not itself
> create ring max_messages=3 overflow=drop_oldest
> publish ring a b c
  ids 1..3
> publish ring atomic d e f g
  QUEUE_FULL
> publish ring atomic d e
  ids 4..5
> peek ring
  3:c ready
  4:d ready
  5:e ready

## bodies above the queue's limit are refused one by one
> create jobs max_message_bytes=10
> publish jobs a b,size=11 c
  ids 1..2
  [1] TOO_LARGE max_message_bytes
> counters jobs
  published 2 refused 1

## limits are enforced at the next publish, never by deleting
> create jobs
> publish jobs a b c
  ids 1..3
> update jobs max_messages=2
> info jobs
  delayed 0 ready 3 inflight 0 parked 0 bytes 3
> publish jobs d
  [0] QUEUE_FULL
> A receive jobs max=2
  gets 1:a 2:b
> ack jobs 1 2
  2
> publish jobs d
  id 4

## a publish over the memory limit is refused whole; acks and receives go on
> create jobs
> publish jobs a,size=5000 b
  ids 1..2
> limit max_memory=1
> publish jobs c
  MEMORY_LIMIT
> A receive jobs max=2
  gets 1:a....... 2:b
> ack jobs 1
  1
> nack jobs 2
  1
> A receive jobs
  gets 2:b#2
> park jobs 2
  1
> kick jobs 1
  1
> info jobs
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## an empty or too large batch is refused
> create jobs
> publish jobs
  BAD_REQUEST messages
> limit max_batch=2
> publish jobs a b c
  LIMIT max_batch
> A receive jobs max=3
  LIMIT max_batch
> A receive jobs max=0
  BAD_REQUEST max
> A receive jobs visibility=0
  BAD_REQUEST visibility
> A receive jobs visibility=999999999999
  LIMIT max_hold
> A receive jobs wait=20001
  LIMIT max_wait


## a delay that is not shorter than the retention is refused: the message would be removed before it is ever ready
> create q retention=1000
> publish q a,delay=999 b,delay=1000 c,delay=2000,ttl=50 d
  ids 1..2
  [1] LIMIT retention
  [2] LIMIT retention
> update q delay=1000
  LIMIT retention
> update q delay=500
> update q retention=500
  LIMIT retention
> update q retention=0
> publish q e,delay=5000
  id 3
> create r delay=1000 retention=1000
  LIMIT retention
