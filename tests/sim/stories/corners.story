## of several subscriptions of a queue any one that matches is enough
> create q
> topic create t
> topic subscribe t q pattern=a.*
> topic subscribe t q pattern=b.*
> topic subscribe t q pattern=c.* filter=kind:x
> topic subscribe t q pattern=d.#
> publish_topic t b.1 one
  copies 1
> publish_topic t c.1 two,h=kind:y three,h=kind:x
  copies 1
> publish_topic t d four
  copies 1
> publish_topic t e five
  copies 0
> peek q
  1:one ready
  2:three ready kind=x
  3:four ready

## a message that names the very queue in which it lies stays there when dead messages are moved back
> create q
> create other
> publish q a,h=dl_queue:q b,h=dl_queue:other c,h=dl_queue:nowhere
  ids 1..3
> move q
  move 1
> moves
  1: q -> * moved 1 done
> peek q
  1:a ready dl_queue=q
  3:c ready dl_queue=nowhere
> peek other
  1:b ready
