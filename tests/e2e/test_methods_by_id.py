"""kick, discard and peek: messages by their ids."""

import time

import pytest
from wire import refusal


def park(wire, queue, count):
    """Publishes some messages and parks them."""
    wire.call("publish", queue, [f"body {i}" for i in range(count)])
    wire.call("park", [d[0] for d in wire.call("receive", queue, {"max": count})])


def one_of_each(wire, queue):
    """Ids 1 to 4: delayed, inflight, parked, ready."""
    wire.call("publish", queue, [["delayed", {"delay": 3600_000}], "inflight", "parked", "ready"])
    _, parked = wire.call("receive", queue, {"max": 2})
    wire.call("park", [parked[0]], {"note": "why"})


def states(wire, queue):
    return {m["id"]: m["state"] for m in wire.call("peek", queue)["messages"]}


# ---- kick --------------------------------------------------------------------------------------------------


def test_kick_makes_so_many_ready_lowest_ids_first(wire, queue):
    """With attempts 0, at their places; the answer is how many."""
    park(wire, queue, 4)
    wire.call("publish", queue, ["younger"])
    assert wire.call("kick", queue, 3) == 3
    assert [d[1:3] for d in wire.call("receive", queue, {"max": 9})] == [[1, 1], [2, 1], [3, 1], [5, 1]]
    assert wire.call("kick", queue, 100) == 1
    assert wire.call("kick", queue, 100) == 0
    assert wire.call("queue.info", queue)["kicks"] == 4


def test_kick_by_ids(wire, queue):
    """Ids that are not parked are passed over."""
    park(wire, queue, 4)
    assert wire.call("kick", queue, [4, 2, 2, 99]) == 2
    assert states(wire, queue) == {1: "parked", 2: "ready", 3: "parked", 4: "ready"}


def test_kick_serves_who_waits(wire, other, queue):
    """A kicked message is like any ready one."""
    park(wire, queue, 1)
    poll = wire.send("receive", queue, {"wait": 20000})
    assert other.call("kick", queue, 1) == 1
    ((_, *rest),) = wire.answer(poll)
    assert rest == [1, 1, b"body 0"]


@pytest.mark.parametrize("what", [0, -1, [], "all", None, 1.5, {}, True, ["1"], [-1], [None]])
def test_kick_what_is_a_number_from_1_or_an_array_of_ids(wire, queue, what):
    """Everything else is BAD_REQUEST, and kicks nothing."""
    park(wire, queue, 1)
    assert refusal(wire.call, "kick", queue, what)[:2] == ("BAD_REQUEST", {"key": "what"})
    assert states(wire, queue) == {1: "parked"}


def test_kick_of_more_than_max_batch_ids_is_limit(wire, queue):
    """A number may be larger."""
    assert refusal(wire.call, "kick", queue, list(range(1001)))[:2] == ("LIMIT", {"which": "max_batch"})
    assert wire.call("kick", queue, 1_000_000) == 0


# ---- discard -----------------------------------------------------------------------------------------------


def test_discard_removes_delayed_ready_and_parked_messages(wire, queue):
    """Inflight ones and ids that do not exist are passed over."""
    one_of_each(wire, queue)
    assert wire.call("discard", queue, [1, 2, 3, 4, 4, 99]) == 3
    assert states(wire, queue) == {2: "inflight"}
    assert wire.call("queue.info", queue)["discarded"] == 3


def test_a_discarded_message_is_not_delivered(wire, queue):
    """Those around it are."""
    wire.call("publish", queue, ["a", "b", "c"])
    assert wire.call("discard", queue, [2]) == 1
    assert [d[3] for d in wire.call("receive", queue, {"max": 3})] == [b"a", b"c"]


@pytest.mark.parametrize("ids", [[], ["1"], [-1], [None], [2**53]])
def test_discard_takes_ids(wire, queue, ids):
    """Anything else in the array, or nothing in it, is BAD_REQUEST."""
    assert refusal(wire.call, "discard", queue, ids)[:2] == ("BAD_REQUEST", {"key": "ids"})


def test_discard_of_more_than_max_batch_ids_is_limit(wire, queue):
    """As for every batch."""
    assert refusal(wire.call, "discard", queue, list(range(1001)))[:2] == ("LIMIT", {"which": "max_batch"})


# ---- peek --------------------------------------------------------------------------------------------------


def test_peek_shows_messages_of_all_states_in_the_order_of_their_ids(wire, queue):
    """With what there is to say about each, and next nil at the end."""
    one_of_each(wire, queue)
    answer = wire.call("peek", queue)
    assert answer["next"] is None
    delayed, inflight, parked, ready = answer["messages"]
    assert (delayed["id"], delayed["state"], delayed["attempts"], delayed["body"]) == (1, "delayed", 0, b"delayed")
    assert 3500_000 < delayed["due_ms"] <= 3600_000
    assert (inflight["state"], inflight["attempts"]) == ("inflight", 1) and 0 < inflight["due_ms"] <= 30_000
    assert (parked["state"], parked["reason"], parked["note"]) == ("parked", "requested", "why")
    assert (ready["id"], ready["state"], ready["attempts"], ready["body"]) == (4, "ready", 0, b"ready")
    for message in answer["messages"]:
        assert 0 <= message["age_ms"] < 20_000 and 0 < message["expires_ms"] <= 96 * 3600_000
        assert not {"headers", "group"} & set(message)


def test_peek_shows_headers_and_group(wire, queue):
    """As they were published."""
    wire.call("publish", queue, [["a", {"headers": {"n": 1, "b": b"\xff"}, "group": "g"}]])
    (message,) = wire.call("peek", queue)["messages"]
    assert message["headers"] == {"n": 1, "b": b"\xff"} and message["group"] == "g"


def test_peek_changes_nothing(wire, queue):
    """Not a state, not an attempt, not a counter of the queue."""
    one_of_each(wire, queue)
    moving = {"oldest_ms", "publish_rate", "deliver_rate", "ack_rate"}
    before = {key: value for key, value in wire.call("queue.info", queue).items() if key not in moving}
    for state in (None, "delayed", "ready", "inflight", "parked"):
        wire.call("peek", queue, {"state": state} if state else {})
    after = {key: value for key, value in wire.call("queue.info", queue).items() if key not in moving}
    assert before == after


@pytest.mark.parametrize("state, ids", [("delayed", [1]), ("inflight", [2]), ("parked", [3]), ("ready", [4])])
def test_peek_by_state(wire, queue, state, ids):
    """Only messages in that state."""
    one_of_each(wire, queue)
    assert [m["id"] for m in wire.call("peek", queue, {"state": state})["messages"]] == ids


def test_peek_by_ids(wire, queue):
    """From and to are included, and either may be missing."""
    wire.call("publish", queue, list("abcdef"))
    ids = lambda **options: [m["id"] for m in wire.call("peek", queue, options)["messages"]]  # noqa: E731
    assert ids(**{"from": 2, "to": 4}) == [2, 3, 4]
    assert ids(**{"from": 5}) == [5, 6] and ids(to=2) == [1, 2]
    assert ids(**{"from": 7}) == [] and ids(**{"from": 4, "to": 3}) == []


def test_peek_by_group(wire, queue):
    """Only messages of that group."""
    wire.call("publish", queue, [["a", {"group": "x"}], ["b", {"group": "y"}], "c", ["d", {"group": "x"}]])
    assert [m["body"] for m in wire.call("peek", queue, {"group": "x"})["messages"]] == [b"a", b"d"]
    assert wire.call("peek", queue, {"group": "z"})["messages"] == []


def pages(wire, queue, **options):
    """All pages, as lists of ids."""
    found, start = [], {}
    while True:
        answer = wire.call("peek", queue, {**options, **start})
        found.append([m["id"] for m in answer["messages"]])
        if answer["next"] is None:
            return found
        start = {"from": answer["next"]}


def test_peek_in_pages(wire, queue):
    """`next` is where to go on; every message is on one page; the default page has 100."""
    wire.call("publish", queue, ["x"] * 250)
    assert [len(page) for page in pages(wire, queue)] == [100, 100, 50]
    for size in (7, 100, 250, 1000):
        found = pages(wire, queue, max=size)
        assert sum(found, []) == list(range(1, 251)) and all(len(page) <= size for page in found)


def test_peek_looks_at_a_bounded_number_of_messages(start_server):
    """A page may be shorter than `max`; going on finds everything, and no call takes long."""
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "q")
        for msgid in [wire.send("publish", "q", ["x"] * 1000) for _ in range(200)]:
            wire.answer(msgid)
        wire.call("publish", "q", [["needle", {"delay": 3600_000}]])
        start = time.monotonic()
        found = pages(wire, "q", state="delayed")
        assert sum(found, []) == [200_001] and time.monotonic() - start < 5


def test_peek_stops_at_max_response_bytes(start_server):
    """With one message at least, and a next."""
    server = start_server("--max_response_bytes", "100kb")
    with server.connect() as wire:
        wire.call("queue.create", "q")
        wire.call("publish", "q", [b"x" * 40_000] * 3 + [b"y" * 200_000])
        assert pages(wire, "q") == [[1, 2], [3], [4]]


@pytest.mark.parametrize("options, refused", [
    ({"max": 0}, ("BAD_REQUEST", {"key": "max"})),
    ({"max": 1001}, ("LIMIT", {"which": "max_batch"})),
    ({"state": "gone"}, ("BAD_REQUEST", {"key": "state"})),
    ({"state": ""}, ("BAD_REQUEST", {"key": "state"})),
    ({"group": ""}, ("BAD_REQUEST", {"key": "group"})),
    ({"group": "x" * 129}, ("BAD_REQUEST", {"key": "group"})),
])
def test_peek_options_out_of_their_range_are_refused(wire, queue, options, refused):
    """Nothing is silently changed to something else."""
    assert refusal(wire.call, "peek", queue, options)[:2] == refused
