## a message whose attempts are used up goes to the dead-letter queue at that very moment, with a new id and the story of its death
> create dead
> create q dead_letter=dead max_attempts=2 visibility=1000
> publish dead z
  id 1
> publish q a,h=k:v
  id 1
> at 10
> A receive q
  gets 1:a
> nack q 1
  1
> at 20
> A receive q
  gets 1:a#2
> at 1020
> info q
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> peek dead
  1:z ready
  2:a ready k=v dl_queue=q dl_id=1 dl_reason=max_attempts dl_attempts=2 dl_first=1000010 dl_last=1000020
> counters q
  published 1 delivered 2 redelivered 1 nacked 1 timed_out 1 dead_lettered 1
> counters dead
  published 1 arrived 1

## without a dead-letter queue it is parked
> create q max_attempts=1
> publish q a
  id 1
> A receive q
  gets 1:a
> nack q 1
  1
> peek q
  1:a parked attempts 1 max_attempts

## a rejected message goes there with the client's own words
> create dead
> create q dead_letter=dead
> publish q a,group=g,priority=3
  id 1
> A receive q
  gets 1:a/g^3
> nack q dead note=broken 1
  1
> peek dead
  1:a ready priority 3 dl_queue=q dl_id=1 dl_reason=rejected dl_attempts=1 dl_first=1000000 dl_last=1000000 dl_note=broken
> A receive dead
  gets 1:a/g^3

## a message whose ttl is over goes there only if the queue says so; never delivered, it has no times of delivery
> create dead
> create q dead_letter=dead
> create r dead_letter=dead dead_letter_expired=1
> publish q a,ttl=500
  id 1
> publish r b,ttl=500 c,ttl=500,delay=9000
  ids 1..2
> at 500
> info q
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
> peek dead
  1:b ready dl_queue=r dl_id=1 dl_reason=expired dl_attempts=0 dl_first=0 dl_last=0
  2:c ready dl_queue=r dl_id=2 dl_reason=expired dl_attempts=0 dl_first=0 dl_last=0
> counters q
  published 1 expired 1
> counters r
  published 2 dead_lettered 2

## an inflight message whose ttl is over is judged when it comes back
> create dead
> create q dead_letter=dead dead_letter_expired=1
> publish q a,ttl=500
  id 1
> A receive q
  gets 1:a
> at 600
> info q
  delayed 0 ready 0 inflight 1 parked 0 bytes 1
> nack q delay=100 1
  1
> peek dead
  1:a ready dl_queue=q dl_id=1 dl_reason=expired dl_attempts=1 dl_first=1000000 dl_last=1000000

## retention removes, whatever dead_letter_expired says; a ttl of the same length counts as ttl
> create dead
> create q dead_letter=dead dead_letter_expired=1 retention=1000
> publish q a b,ttl=2000 c,ttl=1000
  ids 1..3
> at 1000
> peek dead
  1:c ready dl_queue=q dl_id=3 dl_reason=expired dl_attempts=0 dl_first=0 dl_last=0
> counters q
  published 3 expired 2 dead_lettered 1

## max_attempts comes before ttl
> create dead
> create q dead_letter=dead dead_letter_expired=1 max_attempts=1
> publish q a,ttl=500
  id 1
> A receive q
  gets 1:a
> at 600
> nack q 1
  1
> peek dead
  1:a ready dl_queue=q dl_id=1 dl_reason=max_attempts dl_attempts=1 dl_first=1000000 dl_last=1000000

## a dead letter has no ttl and no delay; its retention is the new queue's and counts from now; its attempts begin anew
> create dead ttl=100 delay=100 retention=5000
> create q dead_letter=dead
> publish q a,ttl=3000
  id 1
> at 1000
> A receive q
  gets 1:a
> nack q dead 1
  1
> A receive dead
  gets 1:a
> nack dead 1
  1
> at 5999
> info dead
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> at 6000
> info dead
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## a second dead-lettering replaces the headers
> create last
> create dead dead_letter=last
> create q dead_letter=dead
> publish q a,h=k:v
  id 1
> A receive q
  gets 1:a
> nack q dead note=first 1
  1
> at 50
> A receive dead
  gets 1:a
> nack dead dead 1
  1
> peek last
  1:a ready k=v dl_queue=dead dl_id=1 dl_reason=rejected dl_attempts=1 dl_first=1000050 dl_last=1000050

## if the dead-letter queue has been deleted, is full, or is of another type by now, the message is parked and counted
> create dead max_messages=1
> create q dead_letter=dead
> publish q a b c d
  ids 1..4
> A receive q max=4
  gets 1:a 2:b 3:c 4:d
> nack q dead 1 2
  2
> delete dead
  1
> nack q dead note=n 3
  1
> create dead type=fifo
> nack q dead 4
  1
> peek q
  2:b parked attempts 1 rejected
  3:c parked attempts 1 rejected (n)
  4:d parked attempts 1 rejected
> counters q
  published 4 delivered 4 nacked 4 parks 3 dead_lettered 1 dead_letter_failed 3

## the limit on bodies of the dead-letter queue does not act on what arrives, its room does
> create dead max_message_bytes=5 max_bytes=30
> create q dead_letter=dead
> publish q a,size=20 b,size=20
  ids 1..2
> A receive q max=2
  gets 1:a....... 2:b.......
> nack q dead 1 2
  2
> info dead
  delayed 0 ready 1 inflight 0 parked 0 bytes 20
> info q
  delayed 0 ready 0 inflight 0 parked 1 bytes 20

## dead-letter links: the target is there, of the same type, and no way leads back
> create q
> create f type=fifo
> update q dead_letter=nobody
  QUEUE_NOT_FOUND dead_letter
> update q dead_letter=q
  BAD_REQUEST dead_letter
> update q dead_letter=f
  BAD_REQUEST dead_letter
> create a dead_letter=q
> create b dead_letter=a
> update q dead_letter=b
  BAD_REQUEST dead_letter
> delete a
  0
> update q dead_letter=b
> create a dead_letter=q
  BAD_REQUEST dead_letter
> create a

## what needs a dead-letter queue can't be had without one, nor the last one taken away from it
> create dead
> create q overflow=dead_letter_oldest
  BAD_REQUEST overflow
> create q dead_letter_expired=1
  BAD_REQUEST dead_letter_expired
> create q dead_letter=dead dead_letter_expired=1 overflow=dead_letter_oldest
> update q dead_letter=nil overflow=reject
  BAD_REQUEST dead_letter_expired
> update q dead_letter=nil dead_letter_expired=0
  BAD_REQUEST overflow
> update q dead_letter=nil dead_letter_expired=0 overflow=reject

## a durable queue's dead-letter queue is durable
> create loose durable=0
> create q dead_letter=loose
  BAD_REQUEST dead_letter
> create q durable=0 dead_letter=loose
> update q durable=1
  BAD_REQUEST durable

## backoff: each return waits longer, up to the cap, wherever a charged delivery comes back
> create q backoff=100/2/300 visibility=1000
> publish q a
  id 1
> A consume q prefetch=1
  consumer 1
  A/1 gets 1:a
> nack q 1
  1
> at 100
  A/1 gets 1:a#2
> extend q 0 1
  1
> at 300
  A/1 gets 1:a#3
> at 1599
> at 1600
  A/1 gets 1:a#4
> A cancel 1
> info q
  delayed 1 ready 0 inflight 0 parked 0 bytes 1
> at 1899
> info q
  delayed 1 ready 0 inflight 0 parked 0 bytes 1
> at 1900
> info q
  delayed 0 ready 1 inflight 0 parked 0 bytes 1

## backoff is floored and at least a millisecond; what was never written comes back at once
> create q backoff=1/1.5
> publish q a
  id 1
> A consume q prefetch=1
  consumer 1
  A/1 gets 1:a
> nack q 1
  1
> at 1
  A/1 gets 1:a#2
> nack q 1
  1
> at 2
  A/1 gets 1:a#3
> nack q 1
  1
> at 4
  A/1 gets 1:a#4
> unwritten q 1
  A/1 gets 1:a#4

## a fifo queue's dead letters keep their group, and the next of the group goes on
> create dead type=fifo
> create q type=fifo dead_letter=dead
> publish q a,group=g b,group=g c,group=g
  ids 1..3
> A consume q prefetch=9
  consumer 1
  A/1 gets 1:a/g
> nack q dead 1
  1
  A/1 gets 2:b/g
> nack q dead 2
  1
  A/1 gets 3:c/g
> B receive dead max=9
  gets 1:a/g 2:b/g

## jitter shortens the delay by a random part of it, never to more than asked for
> create q backoff=1000/1/0/0.5
> publish q a b c d
  ids 1..4
> A receive q max=4
  gets 1:a 2:b 3:c 4:d
> nack q 1 2 3 4
  4
> at 499
> info q
  delayed 4 ready 0 inflight 0 parked 0 bytes 4
> at 1000
> info q
  delayed 0 ready 4 inflight 0 parked 0 bytes 4

## backoff ends at ten years
> create q backoff=315360000000/1000
> publish q a
  id 1
> A receive q
  gets 1:a
> nack q delay=0 1
  1
> A receive q
  gets 1:a#2
> nack q 1
  1
> state
  q standard next 2
    1:a#2 delayed due 315360000000 held kept 345600000
