## a move takes dead messages back to where they came from, without their dl_ headers, as new ones
> create dead
> create a dead_letter=dead
> create b dead_letter=dead
> publish a x,h=k:v
  id 1
> publish b y,priority=3
  id 1
> A receive a
  gets 1:x
> A receive b
  gets 1:y^3
> nack a dead 1
  1
> nack b dead 1
  1
> publish dead z
  id 3
> move dead
  move 1
> moves
  1: dead -> * moved 2 done
> peek a
  2:x ready k=v
> peek b
  2:y ready priority 3
> peek dead
  3:z ready
> counters dead
  published 1 moved 2 arrived 2
> counters a
  published 1 delivered 1 nacked 1 dead_lettered 1 arrived 1

## with a target it takes ready and parked messages in the order of their ids, and leaves the others
> create q
> create r
> publish q a b c,delay=1000 d
  ids 1..4
> A receive q max=2
  gets 1:a 2:b
> park q 1
  1
> move q to=r
  move 1
> peek q
  2:b inflight attempts 1
  3:c delayed
> peek r
  1:a ready
  2:d ready

## at most max of them, and never what came after its start
> create q
> create r
> publish q a b c
  ids 1..3
> move q to=r max=2
  move 1
> moves
  1: q -> r moved 2 done
+ move q to=r
  move 2
> publish q d
  id 4
> peek q
  4:d ready

## a rate is so many messages a second
> create q
> create r
> publish q a b c d
  ids 1..4
> move q to=r rate=3
  move 1
> info r
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> at 333
> info r
  delayed 0 ready 1 inflight 0 parked 0 bytes 1
> at 334
> info r
  delayed 0 ready 2 inflight 0 parked 0 bytes 2
> at 667
> info r
  delayed 0 ready 3 inflight 0 parked 0 bytes 3
> at 1000
> moves
  1: q -> r moved 4 done

## a full target pauses it
> create q
> create r max_messages=1
> publish q a b
  ids 1..2
> move q to=r
  move 1
> moves
  1: q -> r moved 1 running
> at 150
> A receive r
  gets 1:a
> ack r 1
  1
> at 199
> moves
  1: q -> r moved 1 running
> at 200
> moves
  1: q -> r moved 2 done

## it can be cancelled, ends with its queues, and stays listed for ten minutes
> create q
> create r
> publish q a b c
  ids 1..3
> move q to=r rate=1
  move 1
> move_cancel 1
> at 5000
> moves
  1: q -> r moved 1 cancelled
> move_cancel 7
  NOT_FOUND
> move q to=r rate=1
  move 2
> delete r
  2
> moves
  1: q -> r moved 1 cancelled
  2: q -> r moved 1 cancelled
> at 599999
> moves
  1: q -> r moved 1 cancelled
  2: q -> r moved 1 cancelled
> at 600000
> moves
  2: q -> r moved 1 cancelled
> at 605000
> moves

## a target is another queue of the same type
> create q
> create f type=fifo
> move q to=q
  BAD_REQUEST to
> move q to=f
  BAD_REQUEST to
> move q to=nobody
  QUEUE_NOT_FOUND

## a moved message begins anew: attempts, ttl and retention
> create q
> create r ttl=100 retention=2000
> publish q a,ttl=500
  id 1
> A receive q
  gets 1:a
> nack q 1
  1
> at 400
> move q to=r
  move 1
> at 2399
> A receive r
  gets 1:a
> unwritten r 1
> at 2400
> info r
  delayed 0 ready 0 inflight 0 parked 0 bytes 0

## messages of a locked group can be moved; they keep their group and their order
> create f type=fifo
> create g type=fifo
> publish f a,group=x b,group=x c,group=x
  ids 1..3
> A receive f
  gets 1:a/x
> move f to=g
  move 1
> A receive g max=9
  gets 1:b/x 2:c/x
> ack f 1
  1
> info f
  delayed 0 ready 0 inflight 0 parked 0 bytes 0
