## a message goes into every queue with a subscription that matches its key, once
> create a
> create b
> create c
> topic create t
> topic subscribe t a pattern=news.*
> topic subscribe t a pattern=news.#
> topic subscribe t b pattern=#.sport
> topic subscribe t c pattern=weather
> publish_topic t news.sport x y
  copies 4
> publish_topic t news z
  copies 1
> publish_topic t - empty
  copies 0
> peek a
  1:x ready
  2:y ready
  3:z ready
> peek b
  1:x ready
  2:y ready
> peek c
> topic info t
  published 4 routed 5
  a news.#
  a news.*
  b #.sport
  c weather

## a subscription without a pattern gets everything, the empty key too; nothing from before it
> create a
> topic create t
> publish_topic t k x
  copies 0
> topic subscribe t a
> publish_topic t - y
  copies 1
> peek a
  1:y ready

## a filter looks at headers; a missing one satisfies only exists:false
> create exact
> create prefix
> create absent
> create not
> topic create t
> topic subscribe t exact filter=kind:blue
> topic subscribe t prefix filter=kind:prefix:bl
> topic subscribe t absent filter=kind:exists:false
> topic subscribe t not filter=kind:anything-but:blue
> publish_topic t k a,h=kind:blue b,h=kind:black c d,h=kind:1
  copies 6
> peek exact
  1:a ready kind=blue
> peek prefix
  1:a ready kind=blue
  2:b ready kind=black
> peek absent
  1:c ready
> peek not
  1:b ready kind=black
  2:d ready kind=1

## subscribing again with the same pattern changes the filter; unsubscribing ends one pattern or all
> create a
> topic create t
> topic subscribe t a pattern=x
> topic subscribe t a pattern=x filter=h:1
  exists
> topic subscribe t a pattern=y
> publish_topic t x m n,h=h:1
  copies 1
> topic unsubscribe t a pattern=x
> topic unsubscribe t a pattern=x
  NOT_FOUND
> topic unsubscribe t a
> topic unsubscribe t a
  NOT_FOUND
> topic info t
  published 2 routed 1

## a queue that is deleted takes its subscriptions with it, and a topic that is deleted all of its own
> create a
> topic create t
> topic create t
  exists
> topic subscribe t a
> delete a
  0
> create a
> publish_topic t k x
  copies 0
> topic subscribe t a
> topic delete t
> publish_topic t k x
  TOPIC_NOT_FOUND
> topic create t
> publish_topic t k x
  copies 0

## mandatory refuses a call of which no message goes anywhere
> create a
> topic create t
> topic subscribe t a filter=h:1
> publish_topic t k mandatory x y
  UNROUTABLE
> publish_topic t k mandatory x y,h=h:1
  copies 1

## all or nothing: one queue that is full stops the whole call
> create a
> create b max_messages=1
> topic create t
> topic subscribe t a
> topic subscribe t b
> publish_topic t k x
  copies 2
> publish_topic t k y
  QUEUE_FULL
  [0] QUEUE_FULL
> info a
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## everything is carried along; a priority means nothing to a fifo queue, and a group is needed there
> create s
> create f type=fifo
> topic create t
> topic subscribe t s
> topic subscribe t f
> publish_topic t k x,group=g,priority=5,dedup=d,h=k:v y,group=g,delay=100 z,group=g,ttl=100
  copies 6
> publish_topic t k w
  GROUP_REQUIRED
  [0] GROUP_REQUIRED
> peek f
  1:x ready group g dedup d k=v
  2:y delayed group g
  3:z ready group g
> A receive s max=3
  gets 1:x/g^5 3:z/g
> at 100
> A receive s
  gets 2:y/g
> A receive f max=3
  gets 1:x/g 2:y/g

## each queue recognises duplicates by itself; they count as copies
> create a
> create b dedup_window=0
> topic create t
> topic subscribe t a
> topic subscribe t b
> publish_topic t k x,dedup=d
  copies 2
> publish_topic t k y,dedup=d
  copies 2
> peek a
  1:x ready dedup d
> peek b
  1:x ready dedup d
  2:y ready dedup d

## with a wait it is held in the line of the queue that has no room, and goes in as one step
> create a
> create b max_messages=1
> topic create t
> topic subscribe t a
> topic subscribe t b
> publish b z
  id 1
> A publish_topic t k wait=1000 x
  p1 is held
> info a
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> B receive b
  gets 1:z
> ack b 1
  1
  A.p1 copies 2
> A publish_topic t k wait=1000 y
  p2 is held
> at 1000
  A.p2 QUEUE_FULL
> A publish_topic t k wait=1000 y
  p3 is held
> topic delete t
  A.p3 TOPIC_NOT_FOUND

## it stands in the line of the queue that has no room now, not of one that had none before
> create a max_messages=1
> create b max_messages=1
> topic create t
> topic subscribe t a
> topic subscribe t b
> publish a x
  id 1
> publish b y
  id 1
> A publish_topic t k wait=5000 m
  p1 is held
> B receive a
  gets 1:x
> ack a 1
  1
> publish b z
  [0] QUEUE_FULL
> publish a z
  id 2
> B receive b
  gets 1:y
> ack b 1
  1
> publish b z
  id 2
> B receive a
  gets 2:z
> ack a 2
  1
> B receive b
  gets 2:z
> ack b 2
  1
  A.p1 copies 2

## which queues get it is decided when it comes: not those that subscribe later, and also those that no longer do
> create a max_messages=1
> create b
> create c
> topic create t
> topic subscribe t a
> topic subscribe t b
> publish a x
  id 1
> A publish_topic t k wait=5000 m
  p1 is held
> topic unsubscribe t b
> topic subscribe t c
> purge a
  1
  A.p1 copies 2
> info b
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> info c
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## a queue that is deleted meanwhile is left out; if none is left a mandatory one is unroutable
> create a max_messages=1
> create b
> topic create t
> topic subscribe t a
> topic subscribe t b
> publish a x
  id 1
> A publish_topic t k wait=5000 m
  p1 is held
> delete a
  1
  A.p1 copies 1
> create c max_messages=1
> topic subscribe t c
> publish c x
  id 1
> topic unsubscribe t b
> A publish_topic t k wait=5000 m
  p2 is held
> A publish_topic t k mandatory wait=5000 n
  p3 is held
> delete c
  1
  A.p2 copies 0
  A.p3 UNROUTABLE
