"""A small client of the ringmq protocol on Debian's python3-msgpack, written from protocol/PROTOCOL.md alone.

It shares no code with the server, so that a mistake in the server's own encoder or decoder can't hide. It gives tests
what a polite client has no need of: raw bytes, cut where one likes, and a look at everything that comes back.

Nothing here waits without a deadline.
"""

import os
import select
import socket
import time

import msgpack

# Seconds until a test gives up: generous, for sanitizers and busy machines.
DEADLINE = float(os.environ.get("RINGMQ_TEST_DEADLINE", 20))


class ServerError(Exception):
    """An error answer."""

    def __init__(self, code, text, details=None):
        super().__init__(f"{code}: {text} {details or ''}")
        self.code, self.text, self.details = code, text, details or {}


def until(condition, what="the condition", deadline=DEADLINE):
    """Asks again and again until the condition is true; returns what it returned."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"still not true after {deadline} s: {what}")
        time.sleep(0.005)


def pack(*values):
    """The bytes of some values, one after the other."""
    return b"".join(msgpack.packb(value) for value in values)


def connect(address, receive_bytes=None):
    """A connected socket; `address` is a path or (host, port). `receive_bytes`: room for what the peer sends."""
    if isinstance(address, str):
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(DEADLINE)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.connect(address)
    return sock


class Wire:
    """One connection."""

    def __init__(self, address, receive_bytes=None):
        self.sock = connect(address, receive_bytes)
        self.unpacker = msgpack.Unpacker(max_buffer_size=2**31 - 1, strict_map_key=False)
        self.msgid = 0
        self.answers = {}  # msgid: [error, result]
        self.order = []    # msgids in the order of their answers
        self.pushed = []   # [method, params]
        self.heard = []    # msgids of answers and methods of notifications, in the order in which they came
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # -- sending --

    def send_bytes(self, data):
        self.sock.sendall(data)

    def send(self, method, *params):
        """Sends a request and returns its msgid."""
        self.msgid += 1
        self.send_bytes(pack([0, self.msgid, method, params]))
        return self.msgid

    def notify(self, method, *params):
        self.send_bytes(pack([2, method, params]))

    # -- receiving --

    def _take(self):
        """Sorts in the next value that has come whole. False if there is none."""
        try:
            value = self.unpacker.unpack()
        except msgpack.OutOfData:
            return False
        assert isinstance(value, list) and value[0] in (1, 2), f"neither a response nor a notification: {value!r}"
        if value[0] == 1:
            _, msgid, error, result = value
            assert msgid not in self.answers, f"two answers to {msgid}"
            assert error is None or result is None, f"an error and a result: {value!r}"
            self.answers[msgid] = [error, result]
            self.order.append(msgid)
            self.heard.append(msgid)
        else:
            _, method, params = value
            self.pushed.append([method, params])
            self.heard.append(method)
        return True

    def read(self, timeout=None):
        """Takes in one value. False at the end of the stream."""
        end = time.monotonic() + (DEADLINE if timeout is None else timeout)
        while not self._take():
            if self.ended:
                return False
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise AssertionError("the server does not answer")
            try:
                data = self.sock.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            self.ended = not data
            self.unpacker.feed(data)
        return True

    def outcome(self, msgid):
        """Waits for an answer: [error, result]."""
        while msgid not in self.answers:
            if not self.read():
                raise ConnectionError(f"the connection ended without an answer to {msgid}; pushed: {self.pushed!r}")
        return self.answers.pop(msgid)

    def answer(self, msgid):
        error, result = self.outcome(msgid)
        if error is not None:
            raise ServerError(*error)
        return result

    def call(self, method, *params):
        return self.answer(self.send(method, *params))

    def push(self, timeout=None):
        """Waits for a notification: [method, params]."""
        while not self.pushed:
            if not self.read(timeout):
                raise ConnectionError("the connection ended without a notification")
        return self.pushed.pop(0)

    def deliveries(self, consumer, count):
        """Waits for so many deliveries of a consumer."""
        got = []
        while len(got) < count:
            method, (who, batch) = self.push()
            assert (method, who) == ("deliver", consumer)
            got += batch
        assert len(got) == count
        return got

    def quiet(self):
        """True if everything that the server has to say was said: its answer to a ping comes next."""
        before = len(self.pushed)
        assert self.call("ping") == "pong"
        return len(self.pushed) == before

    def end(self):
        """Reads to the end of the stream; returns the params of its `error` notification, or None."""
        while self.read():
            pass
        last = [params for method, params in self.pushed if method == "error"]
        assert len(last) <= 1
        return last[0] if last else None


def refusal(call, *args):
    """Calls, and returns the error that must come: (code, details without `retry`, retry)."""
    try:
        result = call(*args)
    except ServerError as error:
        assert isinstance(error.text, str) and error.text and not error.text.endswith(".")
        details = dict(error.details)
        return error.code, details, details.pop("retry", False)
    raise AssertionError(f"no error, but {result!r}")
