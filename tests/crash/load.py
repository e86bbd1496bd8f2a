"""The load of the crash test: connections that never wait, producers and consumers that keep the server busy.

Everything runs in one loop in one thread. Each request says what is to be done with its answer; what has no answer when the
connection ends stays open in the ledger.
"""

import selectors
import socket
import time

import msgpack
from ledger import PARKED, Message, Request

GROUPS = 20
MAX_LIVE = 4000             # messages in a home at which its producers pause
MAX_PARKED = 40


class Connection:
    def __init__(self, address, selector):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(address)
        self.sock.setblocking(False)
        self.selector = selector
        selector.register(self.sock, selectors.EVENT_READ, self)
        self.unpacker = msgpack.Unpacker(max_buffer_size=2**31 - 1, strict_map_key=False)
        self.packer = msgpack.Packer()
        self.out = bytearray()
        self.msgid = 0
        self.waiting = {}       # msgid: what to do with the answer
        self.push_cb = None
        self.over = False
        self.error = None       # an answer that nobody expected

    def send(self, method, *params, then=lambda result: None):
        self.msgid += 1
        self.waiting[self.msgid] = then
        self.out += self.packer.pack([0, self.msgid, method, params])

    def write(self):
        while self.out and not self.over:
            try:
                sent = self.sock.send(self.out)
            except BlockingIOError:
                return
            except OSError:
                self.out.clear()    # what it has said before its end can still be read
                return
            del self.out[:sent]

    def read(self):
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.over = True
            self.selector.unregister(self.sock)
            self.sock.close()
        self.unpacker.feed(data)
        for value in self.unpacker:
            if value[0] == 2:
                self.push_cb(value[1], value[2])
            elif value[2] is not None:
                self.error = self.error or f"an answer with an error: {value[2]}"
                del self.waiting[value[1]]
            else:
                self.waiting.pop(value[1])(value[3])


class Client:
    """One connection and what it does."""

    def __init__(self, run):
        self.run, self.ledger, self.lines, self.random = run, run.ledger, run.lines, run.random
        self.connection = Connection(run.address, run.selector)
        self.connection.push_cb = self.pushed

    def pushed(self, method, params):
        if method == "cancelled" and self.run.stopping:
            return
        self.ledger.fault("other", f"a notification nobody expected: {method} {params}")

    def step(self):
        pass


class Producer(Client):
    """Publishes in batches of its own sizes; `name` says to which queue and how."""

    def __init__(self, run, name, window):
        super().__init__(run)
        self.name, self.window = name, window
        self.number = run.next_producer()   # its groups are nobody else's

    def size(self):
        pick = self.random.random()
        if pick < 0.1:
            return self.random.randint(1, 8)
        if pick < 0.9:
            return self.random.randint(8, 600)
        return self.random.randint(600, 6000) if pick < 0.995 else self.random.randint(6000, 100 * 1024)

    def step(self):
        while len(self.connection.waiting) < self.window and not self.run.draining and self.run.room(self.name):
            getattr(self, self.name)(self.random.choice((1, 1, 2, 5, 20, 60)))

    def _messages(self, queue, count, **parts):
        return [Message(self.run.next_key(), self.size(), queue, **parts) for _ in range(count)]

    def _publish(self, queue, messages, delays=None):
        new, now = Request("publish", messages), time.monotonic()
        packed = []
        for index, message in enumerate(messages):
            delay = delays[index] if delays else 0
            message.not_before = now + delay / 1000 if delay else 0.0
            message.ordered = queue.fifo and not delay
            packed.append(message.packed(delay))
        self.ledger.send(new)

        def then(answer):
            self.ledger.answered(new)
            self.ledger.published(messages, answer)

        self.connection.send("publish", queue.name, packed, then=then)

    def work(self, count):
        messages = self._messages(self.lines.work, count)
        for message in messages:
            message.priority = self.random.choice((0, 0, 0, 5, 9))
        slow = self.random.random() < 0.3
        self._publish(self.lines.work, messages, [self.random.choice((0, 5, 100, 1000)) for _ in messages] if slow else None)

    def fifo(self, count):
        messages = self._messages(self.lines.fifo, count)
        for message in messages:
            message.group = f"g{self.number}-{self.random.randrange(GROUPS)}"
        slow = self.random.random() < 0.1
        self._publish(self.lines.fifo, messages, [self.random.choice((0, 50)) for _ in messages] if slow else None)

    def once(self, count):
        """New ones; and some that have been sent before, long ago or in the last life of the server."""
        new = self._messages(self.lines.once, count)
        for message in new:
            message.dedup_id = f"d{message.key}"
        while self.run.again and len(new) < 60:
            new.append(self.run.again.pop())
        known = self.run.known
        old = {id(m): m for m in (known[self.random.randrange(len(known))] for _ in range(min(len(known), count // 2)))}
        batch = new + list(old.values())
        self.random.shuffle(batch)
        request = Request("publish", new)
        self.ledger.send(request)

        def then(answer):
            self.ledger.answered(request)
            self.ledger.published(batch, answer)
            known.extend(new)
            if len(known) > 2000:
                del known[self.random.randrange(1000)::2]

        self.connection.send("publish", "once", [message.packed() for message in batch], then=then)

    def news(self, count):
        count = min(count, 20)
        copies = []
        packed = []
        for _ in range(count):
            key, size, group = self.run.next_key(), self.size(), f"n{self.number}-{self.random.randrange(GROUPS)}"
            copies += [Message(key, size, queue, group=group) for queue in self.lines.fans]
            copies[-1].ordered = True
            packed.append(copies[-1].packed())
        request = Request("topic.publish", copies)
        self.ledger.send(request)

        def then(answer):
            self.ledger.answered(request)
            self.ledger.copied(copies, answer)

        self.connection.send("topic.publish", "news", "a.b", packed, then=then)


class Consumer(Client):
    """Takes messages of a queue, pushed or asked for, and does this and that with them."""

    FATES = (("ack", 0.80), ("nack", 0.06), ("delay", 0.05), ("dead", 0.03), ("park", 0.03), ("hold", 0.03))

    def __init__(self, run, queue, push, commit=False):
        super().__init__(run)
        self.queue, self.push, self.commit = queue, push, commit
        self.asked = False
        self.held = []
        if push:
            self.connection.send("consume", queue.name, {"prefetch": run.random.choice((1, 10, 200))})

    def pushed(self, method, params):
        if method != "deliver":
            return super().pushed(method, params)
        for delivery in params[1]:
            self.take([delivery])

    def step(self):
        connection = self.connection
        if not self.push and not self.asked:
            self.asked = True
            connection.send("receive", self.queue.name, {"max": self.random.choice((1, 10, 100)), "wait": 20}, then=self.received)
        while len(self.held) > 20:
            self.settle("ack", [self.held.pop(self.random.randrange(len(self.held)))])

    def received(self, deliveries):
        self.asked = False
        self.take(deliveries)

    def take(self, deliveries):
        now, token, by_fate = time.monotonic(), object(), {}
        for delivery in deliveries:
            message = self.ledger.delivered(self.queue, delivery, token, now)
            if message is not None:
                by_fate.setdefault(self.fate(message), []).append(message)
        for fate, messages in by_fate.items():
            if fate == "hold":
                self.held += messages
            elif fate == "ack" and self.commit and self.run.room("made"):
                self.make(messages)
            else:
                self.settle(fate, messages)

    def fate(self, message):
        pick = self.random.random()
        if self.queue is not self.queue.home or self.run.draining:
            return "ack"            # dead ones are not given back
        for fate, share in self.FATES:
            pick -= share
            if pick < 0:
                break
        if fate == "dead" and self.queue.dead is None:
            fate = "park"           # a queue without a place for them
        if fate in ("nack", "delay") and message.attempts >= self.queue.max_attempts > 0:
            return "given up"
        return fate

    def settle(self, fate, messages):
        kind = "dead" if fate == "given up" else fate
        request, receipts = Request(kind, (), messages), [message.receipt for message in messages]

        def then(answer):
            count, entries = answer if isinstance(answer, list) else (answer, ())
            self.ledger.settled(request, count, entries)

        self.ledger.settle(request)
        if kind == "delay":
            delay = self.random.choice((1, 20, 300))
            for message in messages:
                message.not_before = time.monotonic() + delay / 1000
            self.connection.send("nack", receipts, {"delay": delay}, then=then)
        elif kind == "dead":
            self.connection.send("nack", receipts, {"dead": True, "note": "x"} if fate == "dead" else {}, then=then)
        else:
            self.connection.send(kind, receipts, *([{"note": "y"}] if kind == "park" else []), then=then)

    def make(self, messages):
        """Acks these and publishes what was made of them, in one step."""
        made = [Message(self.run.next_key(), 20, self.lines.made) for _ in messages[:3]]
        request = Request("commit", made, messages)
        self.ledger.send(request)
        self.ledger.settle(request)

        def then(answer):
            self.ledger.published(made, answer["publish"][0])
            self.ledger.settled(request, answer["ack"])

        parts = {"publish": [["made", [message.packed() for message in made]]],
                 "ack": [message.receipt for message in messages]}
        self.connection.send("commit", parts, then=then)


class Keeper(Client):
    """Kicks what is parked, moves dead messages back, and has the log compacted now and then."""

    def step(self):
        if self.connection.waiting or self.random.random() > 0.02:
            return
        for home in self.lines.homes:
            for queue in filter(None, (home, home.dead)):
                self.kick(queue)
        dead = self.lines.work_dead
        if self.random.random() < 0.2 and not self.run.draining:
            dead.moving = True
            self.connection.send("move", dead.name)
        if self.run.durable and self.random.random() < 0.2:
            self.connection.send("log.compact")

    def kick(self, queue):
        parked = [m for m in queue.home.live.values() if m.state == PARKED and m.queue is queue and m.pending is None]
        if len(parked) > MAX_PARKED or self.run.draining:
            messages = parked[:500] if self.run.draining else parked[::2]
            if messages:
                request = Request("kick", (), messages)
                self.ledger.settle(request)
                self.connection.send("kick", queue.name, [message.id for message in messages],
                                     then=lambda count: self.ledger.settled(request, count))


class Run:
    """The clients of one life of the server."""

    def __init__(self, ledger, lines, random, address, keys, durable):
        self.ledger, self.lines, self.random, self.address, self.keys = ledger, lines, random, address, keys
        self.durable, self.draining, self.stopping = durable, False, False
        self.selector = selectors.DefaultSelector()
        self.again, self.known = keys.again, keys.known
        self.clients = []

    def next_key(self):
        self.keys.last += 1
        return self.keys.last

    def next_producer(self):
        self.keys.producers += 1
        return self.keys.producers

    def room(self, name):
        homes = self.lines.fans if name == "news" else [getattr(self.lines, name)]
        return all(len(home.live) < MAX_LIVE for home in homes)

    def start(self, producers=True):
        lines = self.lines
        if producers:
            self.clients += [Producer(self, name, self.random.choice((1, 4, 20))) for name in ("work", "fifo", "fifo", "once", "news")]
        for queue in (lines.work, lines.fifo, lines.once, lines.made, *lines.fans):
            self.clients += [Consumer(self, queue, self.random.random() < 0.5) for _ in range(self.random.choice((1, 2)))]
        self.clients += [Consumer(self, lines.work, False, commit=True), Consumer(self, lines.once, True, commit=True),
                         Consumer(self, lines.work_dead, True), Consumer(self, lines.fifo_dead, False), Keeper(self)]

    def turn(self):
        for client in self.clients:
            if not client.connection.over:
                client.step()
                client.connection.write()
        for key, _ in self.selector.select(0.002):
            key.data.read()

    def until_dead(self, deadline):
        """Goes on until the server has ended all connections; False if it does not."""
        while not all(client.connection.over for client in self.clients):
            self.turn()
            if time.monotonic() > deadline:
                return False
        return True

    def errors(self):
        return [client.connection.error for client in self.clients if client.connection.error]

    def close(self):
        for client in self.clients:
            if not client.connection.over:
                client.connection.sock.close()
        self.selector.close()

    def drain(self, deadline):
        """Takes everything that is there, without publishing; True when nothing is left."""
        self.draining = True
        while time.monotonic() < deadline:
            self.turn()
            for client in self.clients:
                if isinstance(client, Consumer) and client.held:
                    held, client.held = client.held, []
                    client.settle("ack", held)
            if not any(home.live for home in self.lines.homes):
                return True
        return False
