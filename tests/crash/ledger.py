"""The ledger of the crash test: what was asked of a server, what it confirmed, and whether what it shows fits that.

The ledger lives outside of the server and never dies. Each message has a key of its own, in its body or in a header, by which it
is known wherever it turns up. An answer makes an outcome certain. A request without an answer, because the server was killed,
may have happened or not, but wholly: reconcile() looks at everything that a restarted server has and decides which.

What is held against the server is counted in `faults`, by kind; the first of them are kept as lines.

A *home* is a queue and the queue for its dead messages, if it has one: a message is in one of the two and never in both.
"""

import collections
import struct

# States of a message as far as the ledger knows.
SENT, REST, INFLIGHT, PARKED = range(4)
REMOVING = ("ack", "commit")
KINDS = (
    ("lost", "lost"), ("back", "acked came back"), ("reused", "ids reused"), ("disorder", "out of order"),
    ("attempts", "attempts went back"), ("duplicate", "duplicates stored"), ("parted", "parted"), ("early", "early"),
    ("place", "misplaced"), ("content", "corrupt"), ("other", "other"))
EARLY_S = 0.002  # two clocks, of which one is read in whole milliseconds
PATTERN = bytes(range(256)) * 420


def make_headers(key, size):
    if key % 5 == 0:
        return {"k": key, "n": None, "t": key % 2 == 0, "i": -key, "f": key / 4, "s": "grüße %d" % (key % 9), "b": b"\0\xff"}
    return {"k": key} if size < 8 else {}


def make_body(key, size):
    return PATTERN[:size] if size < 8 else struct.pack(">Q", key) + PATTERN[key % 251:key % 251 + size - 8]


class Request:
    """Something that a crash may cut off: it happens wholly or not at all."""

    __slots__ = ("kind", "new", "messages", "votes")

    def __init__(self, kind, new=(), messages=()):
        self.kind, self.new, self.messages = kind, new, messages  # what it publishes, and what it settles
        self.votes = set()  # what the parts say of whether it has happened


class Message:
    __slots__ = ("key", "size", "home", "queue", "id", "first_id", "group", "ordered", "headers", "priority", "dedup_id", "request",
                 "state", "attempts", "receipt", "token", "pending", "not_before")

    def __init__(self, key, size, queue, **parts):
        self.key, self.size, self.queue, self.home = key, size, queue, queue.home
        self.headers = make_headers(key, size)
        self.group, self.priority, self.dedup_id = parts.get("group"), parts.get("priority", 0), parts.get("dedup_id")
        self.ordered = False    # its place in the group is known
        self.state, self.attempts, self.not_before = SENT, 0, 0.0
        self.id = self.first_id = self.request = self.receipt = self.token = self.pending = None

    def what(self):
        """What was known of it last."""
        state = ("sent", "at rest", "inflight", "parked")[self.state]
        return state + (f" and {self.pending.kind} asked for" if self.pending else "")

    def packed(self, delay=0):
        """As publish takes it."""
        parts = {}
        for name in ("headers", "group", "priority", "dedup_id"):
            if getattr(self, name):
                parts[name] = getattr(self, name)
        if delay:
            parts["delay"] = delay
        body = make_body(self.key, self.size)
        return [body, parts] if parts else body


class Queue:
    def __init__(self, name, attributes=None, source=None):
        self.name, self.attributes = name, attributes or {}
        self.home = source or self  # the queue whose dead messages it gets
        self.dead = None
        if source:
            source.dead = self
        self.max_attempts = self.attributes.get("max_attempts", 0)
        self.fifo = self.attributes.get("type") == "fifo"
        self.keys = [0]         # by id, as far as they were seen
        self.floor = 0          # the highest id that was seen before the server's last start
        self.live = {}          # of a home: key -> message
        self.groups = collections.defaultdict(dict)  # of a fifo home: group -> key -> message, in their order
        self.highest = collections.defaultdict(int)  # of a fifo home: group -> highest id delivered
        self.moving = False     # a move from here to the source may be under way

    def key_of(self, number):
        return self.keys[number] if number < len(self.keys) else 0

    def note(self, number, key):
        if number >= len(self.keys):
            self.keys.extend([0] * (number + 1 - len(self.keys)))
        self.keys[number] = key


class Ledger:
    def __init__(self):
        self.faults, self.lines = collections.Counter(), []
        self.confirmed = self.acked = self.deliveries = self.duplicates = 0
        self.unknown_happened = self.unknown_not = 0
        self.homes = []
        self.open = {}          # requests without an answer

    def fault(self, kind, text):
        self.faults[kind] += 1
        if len(self.lines) < 40:
            self.lines.append(f"{kind}: {text}")

    # -- publishing --

    def send(self, request):
        """New messages are on their way."""
        self.open[id(request)] = request
        for message in request.new:
            message.request = request
            message.home.live[message.key] = message
            if message.ordered:
                message.home.groups[message.group][message.key] = message

    def answered(self, request):
        self.open.pop(id(request), None)

    def published(self, messages, answer):
        """The answer to a publish of these, in this order; entries for those that the queue knew already, all else is stored."""
        first, count, *more = answer
        entries = dict(more[0]) if more else {}
        number = first
        for index, message in enumerate(messages):
            entry = entries.get(index)
            if isinstance(entry, int):
                self._duplicate(message, entry)
            elif entry is not None:
                self.fault("other", f"a publish was refused: {entry}")
            else:
                self._stored(message, number)
                number += 1
        if number is not None and first is not None and number - first != count:
            self.fault("other", f"{count} confirmed of {number - first}")

    def copied(self, messages, copies):
        """The answer to a publish to a topic."""
        if copies != len(messages):
            self.fault("parted", f"{copies} copies of {len(messages)}")
        for message in messages:
            self._confirm(message)

    def _confirm(self, message):
        self.confirmed += 1
        if message.state == SENT:
            message.state = REST

    def _stored(self, message, number):
        """Confirmed under an id. It may have been delivered before that, died, and been moved back under another one."""
        if message.first_id not in (None, number):
            self.fault("duplicate", f"{message.home.name} {message.first_id} stored again as {number}")
        elif message.first_id is None and message.queue is message.home:
            self._place(message, message.queue, number)
        self._confirm(message)

    def _duplicate(self, message, number):
        self.duplicates += 1
        if message.first_id is None and message.state == SENT:
            self.fault("lost", f"{message.home.name}: {message.dedup_id} is called a duplicate and is not there")
        if message.first_id not in (None, number):
            self.fault("duplicate", f"{message.home.name} {message.first_id} is remembered as {number}")

    def _place(self, message, queue, number):
        """A message is seen in a queue under an id."""
        if queue.key_of(number) not in (0, message.key):
            self.fault("reused", f"{queue.name} {number} was another message")
        if message.queue is queue and message.id is not None:
            if message.id != number:
                self.fault("reused", f"{queue.name}: message {message.id} is {number} now")
        elif number <= queue.floor:
            self.fault("reused", f"{queue.name} {number} is not above {queue.floor}")
        queue.note(number, message.key)
        message.queue, message.id = queue, number
        if queue is message.home and message.first_id is None:
            message.first_id = number

    # -- delivering --

    def _moved(self, message, queue):
        """It has gone from its queue to the one for the dead, or back."""
        self._unorder(message)
        message.queue, message.id, message.attempts, message.not_before = queue, None, 0, 0.0

    @staticmethod
    def _was_moved(message, number):
        """It died, and a move brought it back as a new one, both unseen."""
        dead = message.home.dead
        return message.queue is message.home and dead is not None and dead.moving and message.id not in (None, number)

    def _unorder(self, message):
        if message.ordered:
            del message.home.groups[message.group][message.key]
            message.ordered = False

    def forget(self, message):
        self._unorder(message)
        del message.home.live[message.key]

    def delivered(self, queue, delivery, token, now):
        """A delivery has come. Its message, or None if there is no such message (any more)."""
        receipt, number, attempts, body, *more = delivery
        parts = more[0] if more else {}
        self.deliveries += 1
        message = self._look_up(queue, number, body, parts.get("headers") or {})
        if message is None:
            return None
        self._check_content(message, body, parts)
        pending = message.pending
        if message.state == INFLIGHT and (pending is None or pending.kind in REMOVING):
            self.fault("place", f"{queue.name} {number} was delivered to a second holder")
        if message.queue is not queue:
            dying = pending is not None and pending.kind == "dead" and queue is message.home.dead
            if not dying and not message.queue.moving:
                self.fault("place", f"{message.queue.name} {message.id} turns up in {queue.name}")
            self._moved(message, queue)
        elif self._was_moved(message, number):
            self._moved(message, queue)
        self._place(message, queue, number)
        if message.state == PARKED and pending is None:
            self.fault("place", f"{queue.name} {number} is parked and was delivered")
        if now < message.not_before - EARLY_S:
            self.fault("early", f"{queue.name} {number} by {message.not_before - now:.4f} s")
        least = 0 if pending is not None and pending.kind == "kick" else message.attempts
        if attempts <= least:
            self.fault("attempts", f"{queue.name} {number}: {attempts} after {least}")
        if message.ordered:
            self._check_order(message, token)
        if message.state == SENT:
            message.request.votes.add(True)
        message.state, message.receipt, message.attempts = INFLIGHT, receipt, attempts
        message.token, message.pending, message.not_before = token, None, 0.0
        return message

    def _look_up(self, queue, number, body, headers):
        key = headers.get("k")
        if key is None:
            key = struct.unpack_from(">Q", body)[0] if len(body) >= 8 else 0
        message = queue.home.live.get(key)
        if message is None:
            if queue.key_of(number) == key or any(key in q.keys for q in (queue.home, queue.home.dead) if q):
                self.fault("back", f"{queue.name} {number}")
            else:
                self.fault("other", f"{queue.name} {number} came from nowhere")
        return message

    def _check_content(self, message, body, parts):
        headers = {k: v for k, v in (parts.get("headers") or {}).items() if not k.startswith("dl_")}
        dedup_id = parts.get("dedup_id")
        if (body != make_body(message.key, message.size) or headers != message.headers or parts.get("group") != message.group
                or parts.get("priority", 0) != message.priority or dedup_id != message.dedup_id):
            self.fault("content", f"{message.queue.name} {message.id}: {len(body)} bytes, {parts}")

    def _check_order(self, message, token):
        """What stands before it in its group is under way, with the same holder or to somewhere else."""
        highest = message.home.highest
        if message.attempts == 0 and message.id < highest[message.group]:
            self.fault("disorder", f"{message.queue.name} {message.id} after {highest[message.group]}, group {message.group}")
        highest[message.group] = max(highest[message.group], message.id)
        for key, other in message.home.groups[message.group].items():
            if key == message.key:
                return
            if other.pending is not None or other.state == SENT:
                continue
            if other.state == REST or (other.state == INFLIGHT and other.token != token):
                self.fault("disorder", f"{message.queue.name} {message.id} before {other.id}, group {message.group}")

    # -- settling --

    def settle(self, request):
        """Something is asked for messages that the server has."""
        self.open[id(request)] = request
        for message in request.messages:
            message.pending = request
            if request.kind in ("park", "kick", "dead"):
                self._unorder(message)  # its place among the others depends on when that happens

    def settled(self, request, count, entries=()):
        self.answered(request)
        if entries or count != len(request.messages):
            self.fault("other", f"{request.kind} of {len(request.messages)}: {count} {list(entries)[:2]}")
        refused = {index for index, _ in entries}
        for index, message in enumerate(request.messages):
            if index in refused:
                continue
            if request.kind in REMOVING:
                self.acked += 1
                self.forget(message)
            elif message.pending is request:
                message.pending = None
                self._apply(request.kind, message)

    def _apply(self, kind, message):
        if kind == "park" or (kind == "dead" and message.queue.dead is None):
            message.state = PARKED
            return
        message.state = REST
        if kind == "dead":
            self._moved(message, message.queue.dead)
        elif kind == "kick":
            message.attempts = 0

    # -- after a stop or a crash --

    def stopped(self):
        """A server that ends in the orderly way takes back what it has not written to the socket yet; some of it still arrives."""
        for home in self.homes:
            for message in home.live.values():
                if message.state == INFLIGHT:
                    message.attempts -= 1

    def reconcile(self, shown):
        """`shown`: for each queue all that peek shows, and when that came. Nobody has been given a message since the start."""
        for home in self.homes:
            places = {}
            for queue in filter(None, (home, home.dead)):
                for row in shown[queue.name]:
                    message = self._look_up(queue, row["id"], row["body"], row.get("headers") or {})
                    if message is not None and message.key in places:
                        self.fault("duplicate", f"{queue.name} {row['id']} is there twice")
                    elif message is not None:
                        places[message.key] = (queue, row)
            for message in list(home.live.values()):
                if message.key in places:
                    self._present(message, *places[message.key])
                else:
                    self._absent(message)
            for queue in filter(None, (home, home.dead)):
                queue.floor, queue.moving = len(queue.keys) - 1, False
        for request in self.open.values():
            if len(request.votes) == 2:
                self.fault("parted", f"{request.kind} of {len(request.new)} and {len(request.messages)}")
            self.unknown_happened += True in request.votes
            self.unknown_not += True not in request.votes
        self.open.clear()

    def _absent(self, message):
        pending = message.pending
        if message.state == SENT:
            message.request.votes.add(False)
        elif pending is not None and pending.kind in REMOVING:
            pending.votes.add(True)
        else:
            self.fault("lost", f"{message.queue.name} {message.id}, {message.what()}")
        self.forget(message)

    def _present(self, message, queue, row):
        pending, kind = message.pending, message.pending.kind if message.pending else None
        if message.state == SENT:
            message.request.votes.add(True)
        if kind in REMOVING:
            pending.votes.add(False)
        headers = row.get("headers") or {}
        if message.queue is not queue:
            died = headers.get("dl_reason") == "max_attempts" and headers["dl_attempts"] >= message.home.max_attempts > 0
            if not (queue is message.home.dead and (kind == "dead" or died)) and not message.queue.moving:
                self.fault("place", f"{message.queue.name} {message.id} is in {queue.name} after the start")
            self._moved(message, queue)
        elif self._was_moved(message, row["id"]):
            self._moved(message, queue)
        self._place(message, queue, row["id"])
        self._check_content(message, row["body"], row)
        self._check_state(message, kind, row)
        least = 0 if kind == "kick" else message.attempts
        if row["attempts"] < least:
            self.fault("attempts", f"{queue.name} {message.id}: {row['attempts']} after {least}, {message.what()}, now {row['state']}")
        message.state = PARKED if row["state"] == "parked" else REST
        if row["state"] != "delayed":
            message.not_before = 0.0
        message.attempts, message.pending, message.receipt = row["attempts"], None, None
        if message.state == PARKED:
            self._unorder(message)

    def _check_state(self, message, kind, row):
        state, where = row["state"], f"{message.queue.name} {message.id}"
        given_up = row.get("reason") == "max_attempts" and message.queue.max_attempts > 0
        if state == "inflight":
            self.fault("place", f"{where} is inflight after a start")
        elif state == "parked" and not (message.state == PARKED or kind in ("park", "dead") or given_up):
            self.fault("place", f"{where} is parked ({row.get('reason')}) and nobody asked for it")
        elif state != "parked" and message.state == PARKED and kind != "kick":
            self.fault("place", f"{where} is {state} and was parked")
        elif state == "delayed" and not message.not_before:
            self.fault("place", f"{where} is delayed and nobody asked for it")
        elif state == "ready" and kind != "delay" and row["seen"] < message.not_before - EARLY_S:
            self.fault("early", f"{where} by {message.not_before - row['seen']:.4f} s after a start")
