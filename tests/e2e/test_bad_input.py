"""Bad input of every kind: the connection gets its typed answer or its end, and nothing else changes.

Each test runs inside `unharmed`, which afterwards finds the server as it was: connections, descriptors, counted memory,
queues and messages, and the counter of protocol errors exactly as far on as there were broken connections.
"""

import contextlib
import resource
import socket
import struct
import time

import msgpack
import pytest
from wire import ServerError, pack, refusal, until

COUNTERS = ("published", "delivered", "acked", "nacked", "parks", "purged", "discarded", "expired", "refused")
SLACK_BYTES = 256 * 1024  # blocks that the server keeps for the next time; that it keeps them once is a test of its own


def picture(server, control):
    """What must be the same before and after."""
    info, stats = control.call("server.info"), control.call("server.stats")
    return {
        "descriptors": server.descriptors(),
        **{name: info["clients"][name] for name in ("connections", "consumers", "waiters")},
        **{name: info["queues"][name] for name in ("queues", "total", "inflight")},
        **{name: stats[name] for name in COUNTERS},
    }


def used_bytes(control):
    return control.call("server.info", "memory")["memory"]["used_bytes"]


@contextlib.contextmanager
def unharmed(server, protocol_errors=0, messages=False):
    """
    Gives a second connection to watch from, and checks that the server is afterwards as it was before. `messages`: the
    test uses some, rightly, so that their counters move.
    """
    with server.connect() as control:
        with server.connect() as first:  # what is kept for the next connection is kept before we look
            first.call("ping")
        until(lambda: control.call("server.info", "clients")["clients"]["connections"] == 1)
        before, memory = picture(server, control), used_bytes(control)
        errors = control.call("server.stats")["protocol_errors"]
        if messages:
            before = {key: value for key, value in before.items() if key not in COUNTERS}
        yield control
        until(lambda: before.items() <= picture(server, control).items(), f"the server as it was: {before}")
        until(lambda: used_bytes(control) <= memory + SLACK_BYTES, f"counted memory back at {memory}")
        assert control.call("server.stats")["protocol_errors"] == errors + protocol_errors


def broken(wire, code):
    """The connection must end now, with one last notification that has this code."""
    params = wire.end()
    assert params is not None, "no error notification"
    assert params[0] == code and isinstance(params[1], str) and params[1]
    wire.close()


# ---- any cut -----------------------------------------------------------------------------------------------


def test_bytes_one_at_a_time(server):
    """A conversation whose bytes arrive one by one is understood like any other."""
    with server.connect() as setup:
        setup.call("queue.create", "bytewise")
    with unharmed(server, messages=True) as control, server.connect() as wire:
        requests = [
            [0, 1, "publish", ["bytewise", ["a", ["b", {"headers": {"k": 1.5}, "group": "g"}]]]],
            [2, "publish", ["bytewise", ["c"]]],
            [0, 2, "receive", ["bytewise", {"max": 10}]],
        ]
        for byte in pack(*requests):
            wire.send_bytes(bytes([byte]))
            control.call("ping")  # by its answer the server has seen the byte
        assert wire.answer(1) == [1, 2]
        receipts = [delivery[0] for delivery in wire.answer(2)]
        for byte in pack([0, 3, "ack", [receipts]]):
            wire.send_bytes(bytes([byte]))
            control.call("ping")
        assert wire.answer(3) == 3


def test_a_connection_cut_at_every_byte_of_a_request(server):
    """Half a request is nothing: no message is stored, and nothing is kept of it."""
    with server.connect() as setup:
        setup.call("queue.create", "cut")
    whole = pack([0, 1, "publish", ["cut", ["body", ["b", {"headers": {"k": "v"}}], b"x" * 300]]])
    large = pack([0, 1, "publish", ["cut", [b"x" * 200_000]]])
    with unharmed(server) as control:
        cuts = [whole[:n] for n in range(len(whole))] + [large[:n] for n in (5, 30, 65_000, 66_000, len(large) - 1)]
        for data in cuts:
            with server.connect() as wire:
                wire.send_bytes(data)
        until(lambda: control.call("server.info", "clients")["clients"]["connections"] == 1)
        assert control.call("queue.info", "cut")["total"] == 0


def test_thousands_of_requests_in_one_write(server):
    """All are answered, in order, and others are served meanwhile."""
    with server.connect() as setup:
        setup.call("queue.create", "flood")
    with unharmed(server, messages=True) as control, server.connect() as wire:
        count = 20_000
        requests = [[0, i, "publish", ["flood", ["x"]]] if i % 10 == 0 else [0, i, "ping", []] for i in range(count)]
        wire.send_bytes(pack(*requests))
        assert control.call("ping") == "pong"
        for i in range(count):
            assert wire.answer(i) == ([i // 10 + 1, 1] if i % 10 == 0 else "pong")
        assert wire.order == list(range(count))
        assert control.call("queue.purge", "flood") == count // 10


# ---- bytes that make no sense ------------------------------------------------------------------------------


SHAPES = {
    "the byte c1": b"\xc1",
    "nil": b"\xc0",
    "a number": b"\x05",
    "text": pack("GET / HTTP/1.1"),
    "a map": pack({0: 1}),
    "an empty array": pack([]),
    "a request of one": pack([0]),
    "a request of three": pack([0, 1, "ping"]),
    "a request of five": pack([0, 1, "ping", [], []]),
    "a response of three": pack([1, 2, 3]),
    "a notification of two": pack([2, "ping"]),
    "a notification of four": pack([2, "ping", [], 1]),
    "kind 3": pack([3, 1, "ping", []]),
    "kind -1": pack([-1, 1, "ping", []]),
    "kind true": pack([True, 1, "ping", []]),
    "kind 0.0": pack([0.0, 1, "ping", []]),
    "kind as text": pack(["0", 1, "ping", []]),
    "a msgid below 0": pack([0, -1, "ping", []]),
    "a msgid of 2 to the 32": pack([0, 2**32, "ping", []]),
    "a msgid of nil": pack([0, None, "ping", []]),
    "a msgid as text": pack([0, "1", "ping", []]),
    "a msgid as float": pack([0, 1.0, "ping", []]),
    "a msgid as array": pack([0, [1], "ping", []]),
    "64 nested arrays": b"\x91" * 64,
    "64 nested arrays in a request": b"\x94\x00\x01\xa4ping" + b"\x91" * 64 + b"\xc0",
    "64 nested maps in a request": b"\x94\x00\x01\xa4ping" + b"\x81\x01" * 64 + b"\xc0",
    "c1 inside a request": b"\x94\x00\x01\xa4ping\x91\xc1",
    "a response with c1 inside": b"\x94\x01\x01\xc0\xc1",
    "an http request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_that_are_no_message_end_the_connection(server, shape):
    """What was whole before them is answered, one notification says why, what follows is not looked at."""
    with unharmed(server, protocol_errors=1), server.connect() as wire:
        wire.send_bytes(pack([0, 1, "ping", []]) + SHAPES[shape] + pack([0, 2, "ping", []]))
        assert wire.answer(1) == "pong"
        broken(wire, "BAD_REQUEST")
        assert 2 not in wire.answers


HUGE = {
    "a bin of 4 GiB": b"\xc6\xff\xff\xff\xff",
    "a str of 4 GiB": b"\xdb\xff\xff\xff\xff",
    "an ext of 4 GiB": b"\xc9\xff\xff\xff\xff\x05",
    "an array of 2^32 - 1 elements": b"\xdd\xff\xff\xff\xff",
    "a map of 2^32 - 1 pairs": b"\xdf\xff\xff\xff\xff",
    "a map of 9 million pairs": b"\xdf" + struct.pack(">I", 9_000_000),
    "a bin one byte too long": b"\xc6" + struct.pack(">I", 16 * 2**20),
}


@pytest.mark.parametrize("place", ["as the message", "as params", "as a body", "as a header's value"])
@pytest.mark.parametrize("claim", HUGE)
def test_a_header_that_claims_more_than_a_request_may_hold_ends_the_connection_at_once(server, claim, place):
    """Known from the header: no memory is taken for what is claimed, neither counted nor by the process."""
    before = {
        "as the message": b"",
        "as params": b"\x94\x00\x01\xa7publish",
        "as a body": b"\x94\x00\x01\xa7publish\x92\xa1q\x91",
        "as a header's value": b"\x94\x00\x01\xa7publish\x92\xa1q\x91\x92\xa1x\x81\xa7headers\x81\xa1k",
    }[place]
    with unharmed(server, protocol_errors=1) as control, server.connect() as wire:
        used, size = used_bytes(control), server.status("VmSize")
        wire.send_bytes(before + HUGE[claim])
        broken(wire, "LIMIT")
        assert used_bytes(control) <= used + SLACK_BYTES
        assert server.status("VmSize") <= size + 4096


def test_2_to_the_32_elements_in_6_bytes_reserve_no_memory(server):
    """A hundred connections claim as much as they can and wait; the process does not grow."""
    with unharmed(server, protocol_errors=100) as control, contextlib.ExitStack() as stack:
        size = server.status("VmSize")
        wires = [stack.enter_context(server.connect()) for _ in range(100)]
        for wire in wires:
            wire.send_bytes(b"\x94\xdd\xff\xff\xff\xff")
        for wire in wires:
            assert wire.end() is not None
        assert server.status("VmSize") <= size + 16 * 1024
        assert used_bytes(control) < 8 << 20


def test_16_levels_are_read_and_17_are_not(server):
    """The request's own array is the first level, its params the second."""
    def nested(levels):
        value = 1
        for _ in range(levels):
            value = [value]
        return value

    with unharmed(server, protocol_errors=1), server.connect() as wire:
        assert refusal(wire.call, "kick", "some-queue", nested(14))[0] == "QUEUE_NOT_FOUND"
        assert refusal(wire.call, "ping", nested(14))[0] == "BAD_REQUEST"
        wire.send_bytes(pack([0, 99, "ping", [nested(15)]]))
        broken(wire, "BAD_REQUEST")


def test_the_last_words_arrive_although_the_client_goes_on_sending(server):
    """The server reads on, so that the client's system does not throw the notification away."""
    with unharmed(server, protocol_errors=1), server.connect() as wire:
        wire.send_bytes(b"\xc1")
        with contextlib.suppress(OSError):
            for _ in range(64):
                wire.send_bytes(b"\xc1" * 65_536)
        broken(wire, "BAD_REQUEST")


def test_broken_connections_that_the_client_keeps_open_are_closed(server):
    """The server waits for the client to hang up, but not for ever."""
    with server.connect() as control, contextlib.ExitStack() as stack:
        control.call("ping")
        before = server.descriptors()
        wires = [stack.enter_context(server.connect()) for _ in range(20)]
        for wire in wires:
            wire.send_bytes(b"\xc1")
            assert wire.end()[0] == "BAD_REQUEST"
        until(lambda: server.descriptors() == before)


# ---- things that are wrong, but no reason to end -----------------------------------------------------------


def test_wrong_calls_change_nothing_and_the_connection_goes_on(server):
    """Every wrong argument is answered."""
    with unharmed(server), server.connect() as wire:
        for _ in range(50):
            for method, *params in (["publish", "no such queue", ["x"]], ["publish", 1], ["ack", ["x"] * 1001],
                                    ["nack"], ["", []], ["receive", "q", {"max": "all"}], ["client.kill", -1]):
                with pytest.raises(ServerError):
                    wire.call(method, *params)
        assert wire.call("ping") == "pong"


def test_notifications_whose_method_is_no_text_and_responses_are_ignored(server):
    """[2, 5, []] and [1, 1, nil, nil] change nothing but a counter."""
    with unharmed(server) as control, server.connect() as wire:
        before = control.call("server.stats")["ignored"]
        for value in ([2, 5, []], [2, None, []], [2, {}, []], [2, ["ping"], []], [1, 1, None, None], [1, 9, "x", {}]):
            wire.send_bytes(pack(value))
        assert wire.quiet()
        assert control.call("server.stats")["ignored"] == before + 6


def test_bodies_that_are_too_large_are_skipped_and_not_held(server):
    """Refused as an entry when they have come; meanwhile no memory is counted for them."""
    with server.connect() as setup:
        setup.call("queue.create", "large")
    body = b"x" * (12 << 20)
    with unharmed(server, messages=True) as control, server.connect() as wire:
        used = used_bytes(control)
        data = msgpack.packb([0, 1, "publish", ["large", [body]]])
        half = len(data) // 2
        wire.send_bytes(data[:half])
        for _ in range(20):
            assert used_bytes(control) <= used + (1 << 20)
        wire.send_bytes(data[half:])
        first, count, ((index, error),) = wire.answer(1)
        assert (first, count, index, error[0]) == (None, 0, 0, "TOO_LARGE")
        assert wire.call("ping") == "pong"


def test_a_request_that_is_too_large_as_a_whole_ends_the_connection(server):
    """Bodies that are good one by one, but together more than max_request_bytes: nothing is stored."""
    with server.connect() as setup:
        setup.call("queue.create", "together")
    with unharmed(server, protocol_errors=1) as control, server.connect() as wire:
        data = msgpack.packb([0, 1, "publish", ["together", [b"x" * (1 << 20)] * 17]])
        with contextlib.suppress(OSError):
            wire.send_bytes(data)
        broken(wire, "LIMIT")
        assert control.call("queue.info", "together")["total"] == 0


def test_a_text_that_is_too_large_is_answered(server):
    """Names, keys and words of a megabyte are wrong, not fatal."""
    long = "x" * (1 << 20)
    with unharmed(server), server.connect() as wire:
        assert refusal(wire.call, "queue.info", long)[:2] == ("BAD_REQUEST", {"key": "queue"})
        assert refusal(wire.call, "queue.info", "q", {long: 1})[0] == "BAD_REQUEST"
        assert refusal(wire.call, "queue.list", {long: 1})[0] == "BAD_REQUEST"
        assert refusal(wire.call, "nack", [1], {"note": long})[:2] == ("BAD_REQUEST", {"key": "note"})
        assert refusal(wire.call, long)[0] == "UNKNOWN_METHOD"
        assert wire.call("ping") == "pong"


# ---- sockets -----------------------------------------------------------------------------------------------


def test_half_closed_after_a_request_still_gets_the_answer(server):
    """The complete requests are carried out and answered, then the server closes too."""
    with unharmed(server), server.connect() as wire:
        wire.send_bytes(pack([0, 1, "ping", []], [0, 2, "ping", []]))
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.answer(1) == wire.answer(2) == "pong"
        assert wire.end() is None


def test_half_closed_with_more_answers_under_way_than_max_output(start_server):
    """A client that asks a lot, ends its side and then reads gets every answer."""
    server = start_server("--max_output", "64kb")
    with server.connect() as setup:
        setup.call("queue.create", "q")
        setup.call("publish", "q", [b"x" * 100_000])
    with unharmed(server), server.connect() as wire:
        wire.send_bytes(pack(*([0, i, "peek", ["q"]] for i in range(200))))
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.end() is None
        assert wire.order == list(range(200))


def test_half_closed_sockets_are_gone_for_the_server(server):
    """In the middle of a request, while waiting, while consuming, or without a word: nothing stays of them."""
    with server.connect() as setup:
        setup.call("queue.create", "half")
    with unharmed(server) as control, contextlib.ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(80)]
        for i, wire in enumerate(wires):
            wire.send_bytes((b"", b"\x94\x00\x01\xa4pi", pack([0, 1, "receive", ["half", {"wait": 20_000}]]),
                             pack([0, 1, "consume", ["half"]]))[i % 4])
            wire.sock.shutdown(socket.SHUT_WR)
        for i, wire in enumerate(wires):
            assert wire.end() is None
            assert bool(wire.answers) == (i % 4 == 3)
        info = control.call("queue.info", "half")
        assert (info["waiters"], info["consumers"]) == (0, 0)


def test_connections_that_are_reset_leave_nothing(server):
    """RST instead of FIN, with answers under way: no signal, no leak."""
    with unharmed(server):
        for _ in range(50):
            with server.connect() as wire:
                wire.send_bytes(pack(*([0, i, "help", []] for i in range(50))))
                wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_client_that_never_reads_is_disconnected_and_others_are_unharmed(start_server):
    """After slow_client_timeout, with a reason in the log; what is counted for it is bounded by max_output."""
    server = start_server("--slow_client_timeout", "1s", "--max_output", "1mb")
    with server.connect() as setup:
        setup.call("queue.create", "q")
        setup.call("publish", "q", [b"x" * 100_000])
    with unharmed(server) as control, server.connect(receive_bytes=4096) as stuck:
        used = used_bytes(control)
        stuck.sock.settimeout(0)
        request = pack(*([0, i, "peek", ["q"]] for i in range(2000)))
        with contextlib.suppress(BlockingIOError):
            while True:
                stuck.send_bytes(request)
        slowest = 0.0
        while control.call("server.info", "clients")["clients"]["slow_clients"] == 0:
            start = time.monotonic()
            control.call("ping")
            slowest = max(slowest, time.monotonic() - start)
            assert used_bytes(control) < used + (4 << 20)
        assert slowest < 0.8
        server.wait_log("slow|does not read|has not read")


def test_5000_connections(server):
    """All are served; each costs little; all are gone when they are gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 5200:
        pytest.skip(f"this system allows {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5200), hard))
    with unharmed(server) as control, contextlib.ExitStack() as stack:
        used = used_bytes(control)
        sockets = []
        for _ in range(5000):
            sock = stack.enter_context(socket.socket())
            sock.settimeout(20)
            sock.connect(server.address)
            sockets.append(sock)
        request, answer = pack([0, 1, "ping", []]), pack([1, 1, None, "pong"])
        for sock in sockets:
            sock.sendall(request)
        for sock in sockets:
            assert sock.recv(100) == answer
        assert control.call("server.info", "clients")["clients"]["connections"] == 5001
        assert used_bytes(control) < used + 5000 * 4096


def test_the_same_abuse_again_and_again_costs_nothing(server):
    """What is kept after the first rounds is all that is ever kept, to the byte; descriptors too."""
    with server.connect() as setup:
        setup.call("queue.create", "abuse")

    left_behind = [  # by connections that end in the midst of something
        b"\x94\x00\x01\xa4pi", b"\x94\x00\x01\xa7publish\x92\xa5abuse\x91\xc6\x00\x10\x00\x00xxx",
        pack([0, 1, "receive", ["abuse", {"wait": 20_000}]]), pack([0, 1, "consume", ["abuse"]])]

    def one_round():
        with contextlib.ExitStack() as stack:
            for data in left_behind * 8:
                stack.enter_context(server.connect()).send_bytes(data)
            wires = [stack.enter_context(server.connect()) for _ in SHAPES]
            for wire, data in zip(wires, SHAPES.values()):
                wire.send_bytes(data)
            for wire in wires:
                assert wire.end() is not None
        until(lambda: control.call("server.info", "clients")["clients"]["connections"] == 1)
        return used_bytes(control), server.descriptors()

    with server.connect() as control:
        until(lambda: control.call("server.info", "clients")["clients"]["connections"] == 1)
        for _ in range(3):
            first = one_round()
        for _ in range(10):
            last = one_round()
        assert first == last
