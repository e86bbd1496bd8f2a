"""move, move.list, move.cancel: messages taken to other queues."""

import time

import pytest
from picture import unchanged
from wire import refusal, until


def info(wire, queue, *names):
    answer = wire.call("queue.info", queue)
    return [answer[name] for name in names]


def bodies(wire, queue):
    return [m["body"].decode() for m in wire.call("peek", queue)["messages"]]


def task(wire, number):
    """What move.list says about a move."""
    (found,) = [t for t in wire.call("move.list")["tasks"] if t["id"] == number]
    return found


def finished(wire, number):
    """Waits for the end of a move; returns how many messages it has moved."""
    return until(lambda: task(wire, number) if task(wire, number)["state"] != "running" else None)


def kill(wire, queue, count):
    """Publishes messages m1, m2, ... and lets them die."""
    wire.call("publish", queue, [f"m{i + 1}" for i in range(count)])
    wire.call("nack", [d[0] for d in wire.call("receive", queue, {"max": count})], {"dead": True})


@pytest.fixture
def pair(new_queue):
    """A queue and its dead-letter queue."""
    dead = new_queue()
    return new_queue(dead_letter=dead), dead


def test_dead_messages_go_back_to_where_they_came_from(wire, pair):
    """With new ids, attempts 0, and without dl_ headers."""
    queue, dead = pair
    wire.call("publish", queue, [["m", {"headers": {"own": 1}, "group": "g", "priority": 3, "dedup_id": "d"}]])
    wire.call("nack", [wire.call("receive", queue)[0][0]], {"dead": True})
    number = wire.call("move", dead)
    assert finished(wire, number) == {"id": number, "source": dead, "to": None, "moved": 1, "state": "done"}
    (message,) = wire.call("peek", queue)["messages"]
    assert (message["id"], message["attempts"], message["body"], message["headers"]) == (2, 0, b"m", {"own": 1})
    assert (message["group"], message["priority"], message["dedup_id"]) == ("g", 3, "d")
    assert info(wire, dead, "total", "moved") == [0, 1] and info(wire, queue, "arrived", "published") == [1, 1]


def test_ready_and_parked_messages_move_in_the_order_of_their_ids(wire, new_queue):
    """Delayed and inflight ones stay."""
    source, target = new_queue(), new_queue()
    wire.call("publish", source, [["delayed", {"delay": 3600_000}], "inflight", "parked", "ready"])
    _, parked = wire.call("receive", source, {"max": 2})
    wire.call("park", [parked[0]])
    number = wire.call("move", source, {"to": target})
    assert finished(wire, number) == {"id": number, "source": source, "to": target, "moved": 2, "state": "done"}
    assert bodies(wire, target) == ["parked", "ready"] and bodies(wire, source) == ["delayed", "inflight"]


def test_max_is_the_most_that_moves(wire, new_queue):
    """The lowest ids first."""
    source, target = new_queue(), new_queue()
    wire.call("publish", source, list("abcde"))
    assert finished(wire, wire.call("move", source, {"to": target, "max": 2}))["moved"] == 2
    assert bodies(wire, target) == ["a", "b"]


def test_what_has_no_known_origin_stays(wire, pair, new_queue):
    """Never dead, or of a queue that is gone."""
    queue, dead = pair
    gone = new_queue(dead_letter=dead)
    kill(wire, gone, 1)
    kill(wire, queue, 1)
    wire.call("publish", dead, ["own"])
    wire.call("queue.delete", gone)
    assert finished(wire, wire.call("move", dead))["moved"] == 1
    assert bodies(wire, dead) == ["m1", "own"] and bodies(wire, queue) == ["m1"]


def test_many_messages_move(wire, pair):
    """More than one turn of the server takes."""
    queue, dead = pair
    for _ in range(5):
        kill(wire, queue, 1000)
    assert finished(wire, wire.call("move", dead))["moved"] == 5000
    assert info(wire, queue, "ready") == [5000]


def test_rate_is_messages_per_second(wire, new_queue):
    """Never faster; progress can be read meanwhile."""
    source, target = new_queue(), new_queue()
    wire.call("publish", source, ["m"] * 20)
    start = time.monotonic()
    number = wire.call("move", source, {"to": target, "rate": 50})
    assert task(wire, number)["state"] == "running" and task(wire, number)["moved"] < 20
    while task(wire, number)["state"] == "running":
        moved = info(wire, target, "total")[0]
        assert moved <= (time.monotonic() - start) * 50 + 2
    assert time.monotonic() - start >= 0.37 and finished(wire, number)["moved"] == 20


def test_messages_that_arrive_after_the_start_are_not_taken(wire, new_queue):
    """So a queue can be moved while it is in use."""
    source, target = new_queue(), new_queue()
    wire.call("publish", source, ["a", "b", "c"])
    number = wire.call("move", source, {"to": target, "rate": 20})
    wire.call("publish", source, ["late"])
    assert finished(wire, number)["moved"] == 3
    assert bodies(wire, source) == ["late"]


def test_a_full_target_pauses_the_move(wire, new_queue):
    """It goes on when there is room."""
    source, target = new_queue(), new_queue(max_messages=2)
    wire.call("publish", source, ["a", "b", "c"])
    number = wire.call("move", source, {"to": target})
    until(lambda: task(wire, number)["moved"] == 2)
    assert task(wire, number)["state"] == "running"
    wire.call("queue.purge", target)
    assert finished(wire, number)["moved"] == 3 and bodies(wire, target) == ["c"]


def test_a_move_whose_target_dead_letters_into_its_source(wire, new_queue):
    """What makes room at the target comes into the source, where the moved message has made room."""
    source = new_queue(max_messages=1, overflow="drop_oldest")
    target = new_queue(max_messages=1, dead_letter=source, overflow="dead_letter_oldest")
    wire.call("publish", source, ["m"])
    wire.call("publish", target, ["old"])
    assert finished(wire, wire.call("move", source, {"to": target}))["moved"] == 1
    assert bodies(wire, source) == ["old"] and bodies(wire, target) == ["m"]


def test_cancel_ends_a_move(wire, new_queue):
    """What it has moved stays; it stays listed, and cancelling it again changes nothing."""
    source, target = new_queue(), new_queue(max_messages=1)
    wire.call("publish", source, ["a", "b"])
    number = wire.call("move", source, {"to": target})
    until(lambda: task(wire, number)["moved"] == 1)
    assert wire.call("move.cancel", number) is True and wire.call("move.cancel", number) is True
    assert task(wire, number) == {"id": number, "source": source, "to": target, "moved": 1, "state": "cancelled"}
    wire.call("queue.purge", target)
    assert bodies(wire, source) == ["b"]


@pytest.mark.parametrize("which", ["source", "to"])
def test_deleting_one_of_its_queues_cancels_a_move(wire, new_queue, which):
    """The other is as it was."""
    source, target = new_queue(), new_queue(max_messages=1)
    wire.call("publish", source, ["a", "b"])
    number = wire.call("move", source, {"to": target})
    until(lambda: task(wire, number)["moved"] == 1)
    wire.call("queue.delete", source if which == "source" else target)
    assert finished(wire, number)["state"] == "cancelled"


def test_a_move_out_of_a_locked_group(wire, new_queue):
    """Messages behind a lock may be moved; the inflight one stays."""
    source, target = new_queue(type="fifo"), new_queue(type="fifo")
    wire.call("publish", source, [[body, {"group": "g"}] for body in ("a", "b", "c")])
    wire.call("receive", source)
    assert finished(wire, wire.call("move", source, {"to": target}))["moved"] == 2
    assert bodies(wire, source) == ["a"] and [d[3] for d in wire.call("receive", target, {"max": 9})] == [b"b", b"c"]


def test_moves_are_listed_in_the_order_of_their_ids(wire, new_queue):
    """Ids increase."""
    source, target = new_queue(), new_queue()
    first, second = (wire.call("move", source, {"to": target}) for _ in range(2))
    assert second == first + 1
    ids = [t["id"] for t in wire.call("move.list")["tasks"]]
    assert ids == sorted(ids) and {first, second} <= set(ids)


@pytest.mark.parametrize("options, code, details", [
    ({"to": "nowhere"}, "QUEUE_NOT_FOUND", {}), ({"to": "a b"}, "BAD_REQUEST", {"key": "to"}),
    ({"to": 5}, "BAD_REQUEST", {"key": "to"}), ({"to": None}, "BAD_REQUEST", {"key": "to"}),
    ({"rate": 0}, "BAD_REQUEST", {"key": "rate"}), ({"rate": -1}, "BAD_REQUEST", {"key": "rate"}),
    ({"rate": 1.5}, "BAD_REQUEST", {"key": "rate"}), ({"rate": 2**32}, "BAD_REQUEST", {"key": "rate"}),
    ({"max": 0}, "BAD_REQUEST", {"key": "max"}), ({"max": "all"}, "BAD_REQUEST", {"key": "max"}),
    ({"max": 2**53}, "BAD_REQUEST", {"key": "max"}), ({"group": "g"}, "BAD_REQUEST", {"key": "group"}),
])
def test_a_wrong_move_moves_nothing(wire, pair, options, code, details):
    """Nor is it listed."""
    queue, dead = pair
    kill(wire, queue, 1)
    listed = wire.call("move.list")
    with unchanged(wire):
        assert refusal(wire.call, "move", dead, options)[:2] == (code, details)
    assert wire.call("move.list") == listed


def test_a_move_needs_two_queues_of_one_type(wire, pair, new_queue):
    """Not the same, not of another type, and the source must be there."""
    queue, dead = pair
    kill(wire, queue, 1)
    listed, fifo = wire.call("move.list"), new_queue(type="fifo")
    with unchanged(wire):
        for to in (dead, fifo):
            assert refusal(wire.call, "move", dead, {"to": to})[:2] == ("BAD_REQUEST", {"key": "to"})
        assert refusal(wire.call, "move", "nowhere")[0] == "QUEUE_NOT_FOUND"
    assert wire.call("move.list") == listed


@pytest.mark.parametrize("number, code", [(0, "NOT_FOUND"), (10**6, "NOT_FOUND"), (-1, "BAD_REQUEST"),
                                          ("1", "BAD_REQUEST"), (None, "BAD_REQUEST"), (2**53, "BAD_REQUEST")])
def test_cancelling_what_is_no_move(wire, number, code):
    """NOT_FOUND, or BAD_REQUEST if it could never be one."""
    assert refusal(wire.call, "move.cancel", number)[0] == code


def test_at_most_1000_moves_are_listed(start_server):
    """One more is LIMIT, and info counts those that run."""
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "source")
        wire.call("queue.create", "target", {"max_messages": 1})
        wire.call("publish", "source", ["a", "b"])
        wire.call("publish", "target", ["full"])
        for _ in range(1000):
            wire.call("move", "source", {"to": "target"})
        assert wire.call("server.info", "queues")["queues"]["moves"] == 1000
        assert wire.call("server.info", "queues")["queues"]["moves"] == 1000
        assert refusal(wire.call, "move", "source", {"to": "target"})[:2] == ("LIMIT", {"which": "max_moves"})
        wire.call("queue.delete", "source")
        until(lambda: wire.call("server.info", "queues")["queues"]["moves"] == 0)
