## within the window a publish with an id already seen is accepted, answers the first one's id, and stores nothing
> create q dedup_window=1000
> publish q a,dedup=x b,dedup=y c
  ids 1..3
> publish q d,dedup=x e f,dedup=y
  id 4
  [0] duplicate of 1
  [2] duplicate of 2
> counters q
  published 4 duplicates 2

## a duplicate does not prolong the window
> create q dedup_window=1000
> publish q a,dedup=x
  id 1
> at 999
> publish q b,dedup=x
  [0] duplicate of 1
> at 1000
> publish q c,dedup=x
  id 2

## the id is remembered when the first message has been acked, purged or discarded meanwhile
> create q dedup_window=1000
> publish q a,dedup=x b,dedup=y c,dedup=z
  ids 1..3
> A receive q
  gets 1:a
> ack q 1
  1
> discard q ids=2
  1
> purge q
  1
> publish q a,dedup=x b,dedup=y c,dedup=z
  [0] duplicate of 1
  [1] duplicate of 2
  [2] duplicate of 3

## a batch knows its own ids
> create q
> publish q a,dedup=x b,dedup=x c,dedup=y
  ids 1..2
  [1] duplicate of 1

## the test comes before every limit, and a refused message leaves no trace
> create q max_messages=1 max_bytes=10
> publish q a,dedup=x
  id 1
> publish q b,dedup=x c,dedup=y d,dedup=x,size=20
  [0] duplicate of 1
  [1] QUEUE_FULL
  [2] duplicate of 1
> purge q
  1
> publish q c,dedup=y
  id 2

## with atomic a duplicate is not a refusal
> create q max_messages=2
> publish q a,dedup=x
  id 1
> publish q atomic b,dedup=x c
  id 2
  [0] duplicate of 1
> publish q atomic b,dedup=x d
  QUEUE_FULL

## a window of 0 neither tests nor remembers; what was remembered before lives on
> create q dedup_window=5000
> publish q a,dedup=x
  id 1
> update q dedup_window=0
> publish q b,dedup=x c,dedup=y
  ids 2..3
> update q dedup_window=5000
> publish q d,dedup=x e,dedup=y
  id 4
  [0] duplicate of 1

## the window that was in force when the message was stored is the one that counts
> create q dedup_window=1000
> publish q a,dedup=x
  id 1
> update q dedup_window=5000
> publish q b,dedup=y
  id 2
> at 1000
> publish q c,dedup=x d,dedup=y
  id 3
  [1] duplicate of 2

## content_dedup knows a message by its body, unless it names an id; the two kinds are never the same
> create q content_dedup=1
> publish q a a,dedup=x b
  ids 1..3
> publish q a b c,dedup=x d
  id 4
  [0] duplicate of 1
  [1] duplicate of 3
  [2] duplicate of 2

## with the scope group the same id in two groups is two ids
> create q dedup_scope=group
> publish q a,dedup=x,group=g b,dedup=x,group=h c,dedup=x d,dedup=x,group=g
  ids 1..3
  [3] duplicate of 1

## it is the same on fifo queues, and a message's format is judged first
> create f type=fifo
> publish f a,dedup=x,group=g
  id 1
> publish f b,dedup=x,group=h c,dedup=x d,dedup=x,group=g,priority=1
  [0] duplicate of 1
  [1] GROUP_REQUIRED
  [2] BAD_REQUEST priority

## a new queue of the same name has seen nothing
> create q
> publish q a,dedup=x
  id 1
> delete q
  1
> create q
> publish q a,dedup=x
  id 1

## a dead-lettered message keeps its id for show: it is not tested, and does not count as seen
> create dead
> create q dead_letter=dead
> publish dead z,dedup=x
  id 1
> publish q a,dedup=x b,dedup=y
  ids 1..2
> A receive q max=2
  gets 1:a 2:b
> nack q dead 1 2
  2
> publish dead c,dedup=y
  id 4
> peek dead
  1:z ready dedup x
  2:a ready dedup x dl_queue=q dl_id=1 dl_reason=rejected dl_attempts=1 dl_first=1000000 dl_last=1000000
  3:b ready dedup y dl_queue=q dl_id=2 dl_reason=rejected dl_attempts=1 dl_first=1000000 dl_last=1000000
  4:c ready dedup y

## a duplicate is recognised before its delay is judged
> create q retention=1000
> publish q a,dedup=x
  id 1
> publish q b,dedup=x,delay=5000 c,dedup=y,delay=5000,size=9
  [0] duplicate of 1
  [1] LIMIT retention
