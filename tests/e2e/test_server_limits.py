"""The server at the limits of connections, descriptors and memory; and doing nothing when there is nothing to do."""

import resource
import time

from process import SANITIZED
from wire import until

def test_connections_above_max_connections_get_a_typed_error(start_server):
    """LIMIT with its name; those that are there go on; when one leaves, the next is welcome."""
    server = start_server("--max_connections", "3")
    wires = [server.connect() for _ in range(3)]
    assert [wire.call("ping") for wire in wires] == ["pong"] * 3
    for _ in range(5):
        with server.connect() as refused:
            code, _, details = refused.end()
            assert code == "LIMIT" and details["which"] == "max_connections"
    assert [wire.call("ping") for wire in wires] == ["pong"] * 3
    wires.pop().close()

    def welcome():
        with server.connect() as wire:
            try:
                return wire.call("ping") == "pong"
            except ConnectionError:
                return False

    until(welcome)
    assert wires[0].call("server.info", "clients")["clients"]["connections_refused"] >= 5
    for wire in wires:
        wire.close()


def test_a_server_without_descriptors_keeps_serving_and_recovers(start_server):
    """EMFILE on accept: no busy loop, the others are served, and who waits comes in when there is room."""
    server = start_server()
    with server.connect() as wire:
        wire.call("ping")
        soft, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.descriptors(), hard))
        waiting = [server.connect() for _ in range(20)]
        msgids = [other.send("ping") for other in waiting]
        start, switches, turns = time.monotonic(), 0, wire.call("server.info", "server")["server"]["turns"]
        while time.monotonic() - start < 0.5:
            assert wire.call("ping") == "pong"
            switches += 1
        spent = wire.call("server.info", "server")["server"]["turns"] - turns
        assert spent < 3 * switches + 200
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (soft, hard))
        for other, msgid in zip(waiting, msgids):
            assert other.answer(msgid) == "pong"
            other.close()
        assert wire.call("ping") == "pong"


def test_the_descriptor_limit_is_raised_at_the_start(start_server):
    """A soft limit of 256 does not keep it from having max_connections."""
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    server = start_server("--max_connections", "500", preexec_fn=lower)
    soft, _ = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    assert soft > 500


def test_memory_is_refused_at_its_limit_and_comes_back_after_the_drain(start_server):
    """MEMORY_LIMIT for publishes only; afterwards counted and resident memory are back."""
    server = start_server("--max_memory", "96mb")
    with server.connect() as wire, server.connect() as consumer:
        memory = lambda: wire.call("server.info", "memory")["memory"]  # noqa: E731
        wire.call("queue.create", "q")
        empty, resident = memory()["used_bytes"], server.status("VmRSS")
        stored = 0
        while True:
            msgids = [wire.send("publish", "q", [b"x" * 1000] * 1000) for _ in range(10)]
            outcomes = [wire.outcome(msgid) for msgid in msgids]
            stored += sum(result[1] for error, result in outcomes if not error)
            if any(error for error, _ in outcomes):
                break
        assert {error[0] for error, _ in outcomes if error} == {"MEMORY_LIMIT"}
        assert memory()["used_bytes"] <= 96 << 20 and stored > 60_000
        wire.call("queue.info", "q")
        got = 0
        consumer_id = consumer.call("consume", "q", {"prefetch": 2000})
        while got < stored:
            _, (who, deliveries) = consumer.push()
            assert who == consumer_id
            got += len(deliveries)
            consumer.notify("ack", [deliveries[-1][0]], {"multiple": True})
        until(lambda: memory()["used_bytes"] < empty + (2 << 20))
        if not SANITIZED:  # their allocators keep what is freed
            until(lambda: server.status("VmRSS") < resident + 24 * 1024)
        assert wire.call("publish", "q", ["again"]) == [stored + 1, 1]


# ---- doing nothing -----------------------------------------------------------------------------------------


def test_an_idle_server_does_not_wake_up(start_server):
    """With connections, a consumer, a waiter and a far deadline: over three seconds the process sleeps."""
    server = start_server()
    with server.connect() as wire, server.connect() as other:
        wire.call("queue.create", "q")
        wire.call("publish", "q", [["later", {"delay": 3600_000}]])
        wire.call("consume", "q")
        other.send("receive", "q", {"wait": 20_000})
        other.call("ping")
        last = -1

        def settled():  # what was begun before is over
            nonlocal last
            before, last = last, server.status("voluntary_ctxt_switches")
            return before == last

        until(settled)
        time.sleep(3)  # the length of the measurement
        assert server.status("voluntary_ctxt_switches") - last <= 1
