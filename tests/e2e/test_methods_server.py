"""server.*, config.*, client.* and draining."""

import contextlib

import pytest
from wire import refusal, until


# ---- server.info, server.stats -----------------------------------------------------------------------------


def test_info_has_six_sections_and_each_can_be_asked_for_alone(wire):
    """A map from sections to maps."""
    assert list(wire.call("server.info")) == ["server", "memory", "clients", "queues", "log", "counters"]
    for section in ("server", "memory", "clients", "queues", "log", "counters"):
        assert list(wire.call("server.info", section)) == [section]


def test_info_of_an_unknown_section_is_not_found(wire):
    """The sections are those of the document."""
    assert refusal(wire.call, "server.info", "cpu")[0] == "NOT_FOUND"


def test_info_tells_what_is_so(server, wire, queue):
    """The process id, the number of queues and messages, and memory that grows with them."""
    before = wire.call("server.info")
    wire.call("publish", queue, [b"x" * 100_000])
    after = wire.call("server.info")
    assert after["server"]["pid"] == server.pid and after["server"]["draining"] is False
    assert after["server"]["uptime_ms"] >= before["server"]["uptime_ms"]
    assert after["queues"]["total"] == before["queues"]["total"] + 1
    assert after["queues"]["bytes"] == before["queues"]["bytes"] + 100_000
    assert after["memory"]["used_bytes"] >= before["memory"]["used_bytes"] + 100_000
    assert 0 < after["memory"]["used_bytes"] < after["memory"]["max_bytes"]
    assert after["clients"]["connections"] >= 1
    assert after["clients"]["bytes_in"] > before["clients"]["bytes_in"] + 100_000


def test_info_counts_topics_and_subscriptions(start_server):
    """Beside queues; nothing is moved and nothing held at first."""
    server = start_server()
    with server.connect() as wire:
        for queue in "ab":
            wire.call("queue.create", queue)
        for topic in "xyz":
            wire.call("topic.create", topic)
            wire.call("topic.subscribe", topic, "a")
        wire.call("topic.subscribe", "x", "b")
        info = wire.call("server.info")
        assert [info["queues"][name] for name in ("queues", "topics", "subscriptions", "moves")] == [2, 3, 4, 0]
        assert info["clients"]["held_publishes"] == info["memory"]["held_bytes"] == 0
        wire.call("queue.delete", "a")
        assert wire.call("server.info", "queues")["queues"]["subscriptions"] == 1


def test_stats_are_the_sums_of_the_queues_counters(start_server):
    """Also of queues that are deleted."""
    server = start_server()
    with server.connect() as wire:
        for name in "ab":
            wire.call("queue.create", name)
            wire.call("publish", name, ["x"] * 5)
            wire.call("ack", [d[0] for d in wire.call("receive", name, {"max": 3})])
        wire.call("queue.delete", "a")
        stats = wire.call("server.stats")
        assert (stats["published"], stats["delivered"], stats["acked"], stats["purged"]) == (10, 6, 6, 2)
        assert all(isinstance(value, int) for value in stats.values())
        assert wire.call("server.info", "counters")["counters"].keys() == stats.keys()


# ---- config.get, config.set --------------------------------------------------------------------------------


def test_get_shows_all_options_or_those_that_match(wire):
    """* and ? match; what fits nothing is an empty map; values are text."""
    everything = wire.call("config.get")
    assert wire.call("config.get", "*") == everything
    assert everything["max_message_bytes"] == "1mb" and everything["max_wait"] == "20s"
    assert all(isinstance(value, str) for value in everything.values())
    assert wire.call("config.get", "max_batch") == {"max_batch": "1000"}
    some = ["max_message_bytes", "max_request_bytes", "max_response_bytes"]
    assert list(wire.call("config.get", "max_*bytes")) == some
    assert set(wire.call("config.get", "p?rt")) == {"port"}
    assert wire.call("config.get", "nothing*") == wire.call("config.get", "") == {}


def test_set_changes_a_running_server(start_server):
    """Text as in the file, or a number; what it limits is limited from then on."""
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "q")
        assert wire.call("config.set", "max_message_bytes", "2kb") is True
        assert wire.call("publish", "q", [b"x" * 2049])[1] == 0
        assert wire.call("config.set", "max_message_bytes", 4096) is True
        assert wire.call("config.get", "max_message_bytes") == {"max_message_bytes": "4kb"}
        assert wire.call("publish", "q", [b"x" * 2049])[1] == 1
        assert wire.call("config.set", "max_wait", "50ms") is True
        assert refusal(wire.call, "receive", "q", {"wait": 51})[:2] == ("LIMIT", {"which": "max_wait"})
        assert wire.call("config.set", "log_level", "debug") is True
        assert wire.call("config.get", "log_level") == {"log_level": "debug"}


def test_a_new_max_request_bytes_is_for_new_connections(start_server):
    """One that comes after the change and sends more than that is closed."""
    server = start_server()
    with server.connect() as old:
        old.call("queue.create", "q")
        assert old.call("config.set", "max_request_bytes", "2mb") is True
        with server.connect() as new:
            with contextlib.suppress(OSError):
                new.send("publish", "q", [b"x" * 1_000_000] * 3)
            assert new.end()[0] == "LIMIT"
        assert old.call("publish", "q", [b"x" * 1_000_000]) == [1, 1]


def test_set_of_an_unknown_option_is_not_found(wire):
    """Nothing is made up."""
    assert refusal(wire.call, "config.set", "max_mesage_bytes", "1mb")[0] == "NOT_FOUND"


@pytest.mark.parametrize("key, value", [
    ("port", 7465), ("bind", "0.0.0.0"), ("max_connections", 5), ("max_batch", "many"), ("max_batch", 0),
    ("max_batch", -1), ("max_batch", None), ("max_batch", []), ("max_batch", 1.5), ("max_wait", "20 parsecs"),
    ("max_message_bytes", "1tb"), ("max_message_bytes", "16mb"), ("log_level", "loud"), ("draining", "perhaps"),
    ("draining", 7),
])
def test_set_of_what_can_not_be_is_a_bad_request_and_changes_nothing(wire, key, value):
    """Values out of range, options that only a start can set, values that do not fit others."""
    before = wire.call("config.get")
    assert refusal(wire.call, "config.set", key, value)[0] == "BAD_REQUEST"
    assert wire.call("config.get") == before


# ---- client.list, client.kill ------------------------------------------------------------------------------


def clients(wire):
    return wire.call("client.list")["clients"]


def test_list_shows_the_connections_oldest_first(start_server):
    """With what they said of themselves and what they hold."""
    server = start_server()
    with contextlib.ExitStack() as stack:
        wire = stack.enter_context(server.connect())
        wire.call("hello", {"client": "first", "version": "1.2"})
        wire.call("queue.create", "q")
        other = stack.enter_context(server.connect())
        other.call("hello", {"client": b"second"})
        local = stack.enter_context(server.connect(server.socket_path))
        local.call("ping")
        consumer = other.call("consume", "q", {"prefetch": 2})
        wire.call("publish", "q", ["a", "b", "c"])
        other.deliveries(consumer, 2)
        first, second, third = clients(wire)
        assert (first["name"], first["version"], first["consumers"], first["inflight"]) == ("first", "1.2", 0, 0)
        assert (second["name"], second["version"], second["consumers"], second["inflight"]) == ("second", "", 1, 2)
        assert first["addr"] == "%s:%d" % wire.sock.getsockname()
        assert isinstance(third["addr"], str) and third["addr"] != first["addr"]
        assert first["id"] < second["id"] < third["id"]
        assert first["age_ms"] >= second["age_ms"] >= third["age_ms"] >= 0


def test_a_connection_that_is_gone_is_not_listed(start_server):
    """It leaves the list with its end."""
    server = start_server()
    with server.connect() as wire:
        with server.connect() as other:
            other.call("ping")
            assert len(clients(wire)) == 2
        until(lambda: len(clients(wire)) == 1)


def test_kill_ends_a_connection_as_if_it_had_been_lost(start_server):
    """What its consumers held goes back."""
    server = start_server()
    with server.connect() as wire, server.connect() as victim:
        wire.call("queue.create", "q")
        wire.call("publish", "q", ["a"])
        victim.deliveries(victim.call("consume", "q"), 1)
        (target,) = [client["id"] for client in clients(wire) if client["consumers"]]
        assert wire.call("client.kill", target) is True
        victim.end()
        assert wire.call("receive", "q", {"wait": 10000})[0][1:] == [1, 2, b"a"]
        assert refusal(wire.call, "client.kill", target)[0] == "NOT_FOUND"


def test_a_connection_may_kill_itself(start_server):
    """The server is not disturbed."""
    server = start_server()
    with server.connect() as wire, server.connect() as other:
        other.call("ping")
        own = clients(other)[-1]["id"]
        other.send("client.kill", own)
        other.end()
        until(lambda: len(clients(wire)) == 1)


def test_kill_of_an_unknown_connection_is_not_found(wire):
    """Ids are not reused."""
    assert refusal(wire.call, "client.kill", 2**40)[0] == "NOT_FOUND"


# ---- draining ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, back", [(True, False), ("yes", "no")])
def test_a_draining_server_refuses_new_work_and_lets_old_work_be_finished(start_server, value, back):
    """DRAINING may be retried; acks, peeks and administration go on; and it can be ended."""
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "q")
        wire.call("publish", "q", ["a", "b", "c"])
        a, b, c = [d[0] for d in wire.call("receive", "q", {"max": 3})]
        assert wire.call("config.set", "draining", value) is True
        assert wire.call("server.info", "server")["server"]["draining"] is True
        for method, *params in (["publish", "q", ["x"]], ["receive", "q"], ["consume", "q"]):
            assert refusal(wire.call, method, *params) == ("DRAINING", {}, True)
        assert wire.call("ack", [a]) == wire.call("nack", [b]) == wire.call("park", [c]) == 1
        assert wire.call("peek", "q", {"state": "ready"})["messages"][0]["id"] == 2
        assert wire.call("queue.info", "q")["total"] == 2
        assert wire.call("config.set", "draining", back) is True
        assert wire.call("publish", "q", ["d"]) == [4, 1]
        assert wire.call("receive", "q")[0][1:3] == [2, 2]
