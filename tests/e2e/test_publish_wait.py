"""publish with `wait`: held until there is room, or until the wait is over."""

import signal
import time

import pytest
from picture import unchanged
from wire import refusal, until


@pytest.fixture
def full(wire, new_queue):
    """A queue for two messages, with two."""
    queue = new_queue(max_messages=2)
    wire.call("publish", queue, ["a", "b"])
    return queue


def held(wire):
    return wire.call("server.info", "clients")["clients"]["held_publishes"]


def send(one, watcher, queue, messages, **options):
    """Sends a publish that must be held; returns its msgid."""
    before = held(watcher)
    msgid = one.send("publish", queue, messages, {"wait": 20_000, **options})
    until(lambda: held(watcher) == before + 1)
    return msgid


def bodies(wire, queue):
    return [m["body"].decode() for m in wire.call("peek", queue)["messages"]]


def codes(answer):
    return [answer[:2], [[index, error[0]] for index, error in answer[2]]]


def test_with_room_it_is_an_ordinary_publish(wire, queue):
    """Answered at once."""
    assert wire.call("publish", queue, ["a"], {"wait": 20_000}) == [1, 1]
    assert wire.call("publish", queue, ["a", "b"], {"wait": 20_000, "atomic": True}) == [2, 2]


@pytest.mark.parametrize("way", ["ack", "purge", "update", "discard"])
def test_it_goes_in_as_soon_as_there_is_room(wire, other, full, way):
    """However the room comes to be; meanwhile the connection goes on."""
    msgid = send(other, wire, full, ["c"])
    assert other.call("ping") == "pong" and bodies(wire, full) == ["a", "b"]
    if way == "ack":
        wire.call("ack", [wire.call("receive", full)[0][0]])
    elif way == "purge":
        wire.call("queue.purge", full)
    elif way == "update":
        wire.call("queue.update", full, {"max_messages": 3})
    else:
        wire.call("discard", full, [1])
    assert other.answer(msgid) == [3, 1] and bodies(wire, full)[-1] == "c" and held(wire) == 0


def test_a_held_message_of_a_fifo_queue_goes_in_after_a_purge(wire, other, new_queue):
    """Whatever had become of the groups meanwhile."""
    queue = new_queue(type="fifo", max_messages=1)
    wire.call("publish", queue, [["a", {"group": "g"}]])
    wire.call("receive", queue)
    msgid = send(other, wire, queue, [["b", {"group": "g"}]])
    wire.call("queue.purge", queue)
    assert other.answer(msgid) == [2, 1] and [d[3] for d in wire.call("receive", queue)] == [b"b"]


def test_a_batch_goes_in_as_one_step(wire, other, full):
    """Not before all of it fits."""
    msgid = send(other, wire, full, ["c", "d"])
    wire.call("discard", full, [1])
    assert bodies(wire, full) == ["b"] and msgid not in other.answers
    wire.call("discard", full, [2])
    assert other.answer(msgid) == [3, 2]


def test_first_come_first_served(server, wire, full):
    """Also for who comes later and would fit; a publish without wait is refused while others stand in line."""
    with server.connect() as one, server.connect() as two:
        first = send(one, wire, full, ["c", "d"])
        second = send(two, wire, full, ["e"])
        wire.call("discard", full, [1])
        _, count, ((_, error),) = wire.call("publish", full, ["f"])
        assert count == 0 and error[0] == "QUEUE_FULL" and error[2] == {"retry": True}
        assert held(wire) == 2
        wire.call("discard", full, [2])
        assert one.answer(first) == [3, 2] and held(wire) == 1
        wire.call("discard", full, [3, 4])
        assert two.answer(second) == [5, 1]


def test_when_the_wait_is_over_what_fits_is_stored(wire, full):
    """The rest are entries; not earlier than asked."""
    wire.call("discard", full, [1])
    start = time.monotonic()
    answer = wire.call("publish", full, ["c", "d"], {"wait": 100})
    assert time.monotonic() - start >= 0.1
    assert codes(answer) == [[3, 1], [[1, "QUEUE_FULL"]]] and bodies(wire, full) == ["b", "c"]


def test_when_the_wait_of_an_atomic_one_is_over_it_is_an_error(wire, full):
    """One error, and nothing is stored."""
    wire.call("discard", full, [1])
    with unchanged(wire, [full]):
        code, _, retry = refusal(wire.call, "publish", full, ["c", "d"], {"wait": 50, "atomic": True})
        assert (code, retry) == ("QUEUE_FULL", True)


def test_what_can_never_fit_is_not_waited_for(wire, new_queue):
    """A body above max_bytes is TOO_LARGE at once, more than the queue holds when it is empty QUEUE_FULL."""
    queue = new_queue(max_messages=2, max_bytes=10)
    assert codes(wire.call("publish", queue, ["x" * 11], {"wait": 20_000})) == [[None, 0], [[0, "TOO_LARGE"]]]
    assert codes(wire.call("publish", queue, ["a", "b", "c"], {"wait": 20_000})) == [[1, 2], [[2, "QUEUE_FULL"]]]


def test_an_atomic_batch_with_a_wrong_message_is_not_waited_for(wire, full, new_queue):
    """It could never go in: the error comes at once and names the message."""
    fifo = new_queue(type="fifo", max_messages=1)
    wire.call("publish", fifo, [["a", {"group": "g"}]])
    for queue, good, wrong, code, key in (
            (full, "c", ["d", {"group": ""}], "BAD_REQUEST", "group"), (full, "c", 5, "BAD_REQUEST", None),
            (full, "c", "x" * ((1 << 20) + 1), "TOO_LARGE", None),
            (fifo, ["c", {"group": "g"}], "d", "GROUP_REQUIRED", None)):
        with unchanged(wire, [queue]):
            start = time.monotonic()
            got, details, _ = refusal(wire.call, "publish", queue, [good, wrong], {"atomic": True, "wait": 3000})
            assert (got, details.get("index"), details.get("key")) == (code, 1, key)
            assert time.monotonic() - start < 2


def test_a_duplicate_needs_no_room(wire, full):
    """It is answered at once."""
    wire.call("discard", full, [1])
    wire.call("publish", full, [["d", {"dedup_id": "x"}]])
    assert wire.call("publish", full, [["e", {"dedup_id": "x"}]], {"wait": 20_000}) == [None, 0, [[0, 3]]]


def test_what_is_held_is_no_copy_of_a_request_that_is_gone(wire, other, full):
    """Headers, groups, ids, small and large bodies are what they were."""
    wire.call("queue.update", full, {"max_messages": 4})
    wire.call("publish", full, ["x", "x"])
    large = bytes(i % 251 for i in range(300_000))
    options = {"headers": {"h": "ä" * 1000, "n": 5}, "group": "g", "dedup_id": "d", "priority": 9}
    msgid = send(other, wire, full, [["m", options], large, ["", {"ttl": 3600_000}], b"y" * 20_000])
    wire.call("queue.purge", full)
    assert other.answer(msgid) == [5, 4]
    got = wire.call("receive", full, {"max": 9})
    assert [d[3] for d in got] == [b"m", large, b"", b"y" * 20_000] and got[0][4] == options


def test_a_connection_that_ends_takes_its_publishes_with_it(server, wire, full):
    """They are never stored, and their memory is given back."""
    used = lambda: wire.call("server.info", "memory")["memory"]["used_bytes"]  # noqa: E731
    before = used()
    with server.connect() as one:
        send(one, wire, full, [b"x" * 900_000])
        assert used() > before + 900_000
    until(lambda: held(wire) == 0)
    until(lambda: used() < before + 200_000)
    wire.call("queue.purge", full)
    assert bodies(wire, full) == []


def test_a_queue_that_is_deleted_refuses_them(wire, other, full):
    """QUEUE_NOT_FOUND."""
    msgid = send(other, wire, full, ["c"])
    wire.call("queue.delete", full)
    assert refusal(other.answer, msgid)[0] == "QUEUE_NOT_FOUND"


def test_draining_refuses_them(start_server):
    """DRAINING, by config.set; and by SIGTERM."""
    server = start_server()
    with server.connect() as wire, server.connect() as other:
        wire.call("queue.create", "q", {"max_messages": 1})
        wire.call("publish", "q", ["a"])
        msgid = send(other, wire, "q", ["b"])
        wire.call("config.set", "draining", True)
        assert refusal(other.answer, msgid) == ("DRAINING", {}, True)
        assert refusal(other.call, "publish", "q", ["b"], {"wait": 1000})[0] == "DRAINING"
        wire.call("config.set", "draining", False)
        msgid = send(other, wire, "q", ["b"])
        server.signal(signal.SIGTERM)
        assert refusal(other.answer, msgid) == ("DRAINING", {}, True)
        assert server.wait() == 0


def test_a_notification_is_held_too(wire, other, full):
    """And goes in, or not, without a word."""
    other.notify("publish", full, ["c"], {"wait": 20_000})
    until(lambda: held(wire) == 1)
    wire.call("discard", full, [1])
    until(lambda: held(wire) == 0)
    assert bodies(wire, full) == ["b", "c"] and other.quiet()
    other.notify("publish", full, ["d"], {"wait": 1, "atomic": True})
    assert other.quiet()
    until(lambda: held(wire) == 0)
    assert other.quiet() and not other.answers


def test_who_waits_for_the_message_gets_it(server, wire, full):
    """A held publish that goes in serves whoever stands in line."""
    with server.connect() as one, server.connect() as two:
        consumer = two.call("consume", full, {"prefetch": 2})
        a, _ = two.deliveries(consumer, 2)
        msgid = send(one, wire, full, ["c"])
        two.call("ack", [a[0]])
        assert [d[3] for d in two.deliveries(consumer, 1)] == [b"c"] and one.answer(msgid) == [3, 1]


def test_a_wrong_message_of_a_held_batch_keeps_its_entry(wire, other, full):
    """It is told what was wrong, with the words of its own request, however much was said meanwhile."""
    messages = [["c", {"an_unknown_option": 1}], "d", ["e", {"group": ""}]]
    msgid = send(other, wire, full, messages)
    for _ in range(3):
        other.call("publish", full, [["x", {"headers": {"k": "y" * 60_000}, "another": 2}]] * 10)
    wire.call("discard", full, [1])
    first, count, entries = other.answer(msgid)
    assert [first, count] == [3, 1]
    assert [[index, error[0], error[2]] for index, error in entries] == [
        [0, "BAD_REQUEST", {"key": "an_unknown_option"}], [2, "BAD_REQUEST", {"key": "group"}]]


def test_a_delay_and_a_ttl_count_from_when_it_went_in(wire, other, full):
    """Messages are dated then."""
    msgid = send(other, wire, full, [["c", {"delay": 3600_000}]])
    time.sleep(0.2)
    wire.call("discard", full, [1])
    other.answer(msgid)
    assert wire.call("peek", full)["messages"][-1]["due_ms"] > 3600_000 - 150


def test_at_the_memory_limit_a_publish_can_wait(start_server):
    """For as long as it says, and no more is held than an eighth of the memory."""
    server = start_server("--max_memory", "32mb")
    with server.connect() as wire, server.connect() as other:
        wire.call("queue.create", "q")
        error = None
        while error is None:
            error, _ = wire.outcome(wire.send("publish", "q", [b"x" * 50_000]))
        assert error[0] == "MEMORY_LIMIT"
        assert refusal(wire.call, "publish", "q", [b"x" * 50_000], {"wait": 50})[0] == "MEMORY_LIMIT"
        msgid = send(other, wire, "q", [b"y" * 50_000])
        start = time.monotonic()
        wire.call("queue.purge", "q")
        assert other.answer(msgid)[1] == 1 and bodies(wire, "q") == ["y" * 50_000]
        assert time.monotonic() - start < 10, "it waited for something else to happen"


def test_a_topic_waits_for_all_its_queues(wire, other, full, queue):
    """Nothing goes in anywhere before all of it does."""
    topic = f"topic-of-{queue}"
    wire.call("topic.create", topic)
    for name in (full, queue):
        wire.call("topic.subscribe", topic, name)
    assert refusal(wire.call, "topic.publish", topic, "k", ["c"], {"wait": 50}) == (
        "QUEUE_FULL", {"index": 0}, True)
    msgid = other.send("topic.publish", topic, "k", ["c"], {"wait": 20_000})
    until(lambda: held(wire) == 1)
    assert bodies(wire, queue) == []
    wire.call("discard", full, [1])
    assert other.answer(msgid) == 2 and bodies(wire, queue) == ["c"]
    msgid = other.send("topic.publish", topic, "k", ["c"], {"wait": 20_000})
    until(lambda: held(wire) == 1)
    wire.call("topic.delete", topic)
    assert refusal(other.answer, msgid)[0] == "TOPIC_NOT_FOUND"


@pytest.mark.parametrize("value, code, details", [
    (20_001, "LIMIT", {"which": "max_wait"}), (-1, "BAD_REQUEST", {"key": "wait"}),
    ("1s", "BAD_REQUEST", {"key": "wait"}),
    (1.5, "BAD_REQUEST", {"key": "wait"}), (None, "BAD_REQUEST", {"key": "wait"}),
])
def test_a_wrong_wait(wire, queue, value, code, details):
    """Above max_wait is LIMIT, what is no time BAD_REQUEST; nothing is stored, although there is room."""
    with unchanged(wire, [queue]):
        assert refusal(wire.call, "publish", queue, ["m"], {"wait": value})[:2] == (code, details)


def test_mandatory_to_a_queue_has_no_effect(wire, queue):
    """The queue is there, or it is QUEUE_NOT_FOUND."""
    assert wire.call("publish", queue, ["m"], {"mandatory": True}) == [1, 1]
    assert refusal(wire.call, "publish", "nowhere", ["m"], {"mandatory": True})[0] == "QUEUE_NOT_FOUND"
    assert refusal(wire.call, "publish", queue, ["m"], {"mandatory": 1})[:2] == ("BAD_REQUEST", {"key": "mandatory"})


def test_at_most_1024_of_one_connection_wait(start_server):
    """One more is LIMIT; another connection may."""
    server = start_server()
    with server.connect() as wire, server.connect() as other:
        wire.call("queue.create", "q", {"max_messages": 1})
        wire.call("publish", "q", ["a"])
        msgids = [other.send("publish", "q", ["b"], {"wait": 20_000}) for _ in range(1024)]
        assert refusal(other.call, "publish", "q", ["b"], {"wait": 20_000})[:2] == ("LIMIT", {"which": "max_waiters"})
        send(wire, wire, "q", ["c"])
        assert not set(msgids) & set(other.answers) and held(wire) == 1025


def test_bodies_that_wait_count_where_they_lie(start_server):
    """A large body that arrives in pieces counts against the eighth of max_memory that may wait, like any other."""
    server = start_server("--max_memory", "64mb")
    with server.connect() as wire, server.connect() as other:
        wire.call("queue.create", "full", {"max_messages": 1})
        wire.call("publish", "full", ["first"])
        numbers = [other.send("publish", "full", [b"x" * 1_000_000], {"wait": 20000}) for _ in range(12)]
        until(lambda: wire.call("queue.info", "full")["held_publishes"] >= 5)
        refused = [refusal(other.answer, number)[0] for number in numbers[8:]]
        assert set(refused) == {"MEMORY_LIMIT"}
        assert wire.call("server.info", "memory")["memory"]["held_bytes"] <= 8 << 20


def test_one_body_for_many_queues_is_counted_once(start_server):
    """A topic publish needs memory for one body and many references."""
    server = start_server("--max_memory", "64mb")
    with server.connect() as wire:
        wire.call("topic.create", "t")
        for i in range(300):
            wire.call("queue.create", f"q{i}")
            wire.call("topic.subscribe", "t", f"q{i}")
        assert wire.call("topic.publish", "t", "k", [b"x" * 300_000]) == 300
        assert wire.call("topic.publish", "t", "k", [b"y" * 60_000]) == 300
