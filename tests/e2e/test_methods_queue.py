"""queue.*: creating, changing, deleting, emptying, looking at and pausing queues."""

import math

import pytest
from wire import refusal, until

NAMES = ["a", "A-b_c.d/e:f", "0", "x" * 255, ".", "/"]
YEARS = 10 * 365 * 86400_000

ATTRIBUTES = {  # a value that is not the default, and values that can't be
    "visibility": (1000, [0, -1, "1s", 1.5, None, YEARS + 1]),
    "max_hold": (YEARS, [0, -1, "1s", YEARS + 1]),
    "delay": (5, [-1, "1s", YEARS + 1]),
    "retention": (0, [-1, None, YEARS + 1]),
    "ttl": (YEARS, [-1, True, YEARS + 1]),
    "max_attempts": (2**32 - 1, [-1, 2**32, "many"]),
    "max_messages": (2**52, [-1, 2**52 + 1]),
    "max_bytes": (2**52, [-1, 2**52 + 1]),
    "overflow": ("drop_oldest", ["drop", "", 1, None]),
    "max_message_bytes": (16 * 2**20 - 65_536, [-1, "1mb"]),
    "backoff": ({"base": 5, "factor": 1.5, "cap": YEARS, "jitter": 0.25},
                [5, {}, {"base": 0}, {"base": -1}, {"factor": 2}, {"base": YEARS + 1}, {"base": 5, "max": 9},
                 {"base": 5, "factor": 0.99}, {"base": 5, "factor": 1001}, {"base": 5, "factor": "2"},
                 {"base": 5, "factor": math.nan}, {"base": 5, "cap": YEARS + 1}, {"base": 5, "cap": None},
                 {"base": 5, "jitter": -0.1}, {"base": 5, "jitter": 1.1}, {"base": 5, "jitter": math.nan}]),
    "dedup_window": (0, [-1, "5m", YEARS + 1]),
    "content_dedup": (True, [1, "true", None]),
    "dedup_scope": ("group", ["message", 0, None]),
    "sticky_groups": (True, [0, "yes", None]),
    "group_prefetch": (1_000_000, [0, -1, 1_000_001]),
    "durable": (False, [0, "no", None]),
}


# ---- queue.create ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_create_makes_a_queue_and_the_same_call_again_changes_nothing(wire, name):
    """created is true the first time, false the second."""
    assert wire.call("queue.create", name) == {"created": True}
    assert wire.call("queue.create", name) == {"created": False}
    assert wire.call("queue.delete", name) == 0


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_attribute_can_be_set_when_a_queue_is_created(wire, new_queue, attribute):
    """queue.info shows it."""
    value, _ = ATTRIBUTES[attribute]
    assert wire.call("queue.info", new_queue(**{attribute: value}))[attribute] == value


@pytest.mark.parametrize("attribute, value", [(name, bad) for name, (_, many) in ATTRIBUTES.items() for bad in many])
def test_every_attribute_has_a_type_and_a_range(wire, queue, attribute, value):
    """Otherwise BAD_REQUEST with its name, in create and update, and nothing is created or changed."""
    bad = ("BAD_REQUEST", {"key": attribute}, False)
    assert refusal(wire.call, "queue.create", "new", {attribute: value}) == bad
    assert refusal(wire.call, "queue.info", "new")[0] == "QUEUE_NOT_FOUND"
    before = wire.call("queue.info", queue)
    assert refusal(wire.call, "queue.update", queue, {"delay": 7, attribute: value}) == bad
    assert wire.call("queue.info", queue) == before


@pytest.mark.parametrize("attributes", [{"visiblity": 5}, {"deadletter": "q"}, {"": 1}])
def test_an_unknown_attribute_is_a_bad_request(wire, queue, attributes):
    """Its name is the key."""
    (key,) = attributes
    assert refusal(wire.call, "queue.create", "new", attributes)[:2] == ("BAD_REQUEST", {"key": key})
    assert refusal(wire.call, "queue.update", queue, attributes)[:2] == ("BAD_REQUEST", {"key": key})


def test_the_types_are_standard_and_fifo(wire, new_queue):
    """Another is BAD_REQUEST; a queue that names none is standard."""
    for kind in ("standard", "fifo"):
        assert wire.call("queue.info", new_queue(type=kind))["type"] == kind
    assert wire.call("queue.info", new_queue())["type"] == "standard"
    for kind in ("stream", "", 1, None):
        assert refusal(wire.call, "queue.create", "new", {"type": kind})[:2] == ("BAD_REQUEST", {"key": "type"})


def test_create_with_other_attributes_is_queue_exists_with_the_differences(wire, new_queue):
    """Attributes that are not named are not compared; nothing changes."""
    name = new_queue(visibility=1000, overflow="drop_oldest", delay=5)
    assert wire.call("queue.create", name, {"visibility": 1000, "retention": 345_600_000}) == {"created": False}
    code, details, _ = refusal(wire.call, "queue.create", name, {"visibility": 2000, "overflow": "reject", "delay": 5})
    assert code == "QUEUE_EXISTS"
    assert details == {"differences": {"visibility": [1000, 2000], "overflow": ["drop_oldest", "reject"]}}
    assert wire.call("queue.info", name)["visibility"] == 1000


def test_a_visibility_above_max_hold_is_limit(wire, queue):
    """In create and in update, whichever of the two is named."""
    limit = ("LIMIT", {"which": "max_hold"})
    assert refusal(wire.call, "queue.create", "new", {"visibility": 12 * 3600_000 + 1})[:2] == limit
    assert refusal(wire.call, "queue.create", "new", {"visibility": 11, "max_hold": 10})[:2] == limit
    assert refusal(wire.call, "queue.create", "new", {"max_hold": 10})[:2] == limit
    assert refusal(wire.call, "queue.update", queue, {"visibility": 12 * 3600_000 + 1})[:2] == limit
    assert wire.call("queue.update", queue, {"visibility": 24 * 3600_000, "max_hold": 24 * 3600_000}) is True


def test_a_queues_largest_body_must_fit_into_a_request(wire, queue):
    """max_request_bytes less 64 KiB is the most."""
    too_much = {"max_message_bytes": 16 * 2**20 - 65_536 + 1}
    assert refusal(wire.call, "queue.create", "new", too_much)[:2] == ("LIMIT", {"which": "max_request_bytes"})
    assert refusal(wire.call, "queue.update", queue, too_much)[:2] == ("LIMIT", {"which": "max_request_bytes"})


def test_at_most_max_queues_queues(start_server):
    """One more is LIMIT; creating one that exists is not; a deleted one makes room."""
    server = start_server("--max_queues", "3")
    with server.connect() as wire:
        for name in "abc":
            wire.call("queue.create", name)
        assert refusal(wire.call, "queue.create", "d")[:2] == ("LIMIT", {"which": "max_queues"})
        assert wire.call("queue.create", "c") == {"created": False}
        wire.call("queue.delete", "a")
        assert wire.call("queue.create", "d") == {"created": True}


# ---- queue.update ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_every_attribute_but_type_can_be_updated(wire, queue, attribute):
    """The answer is true, and queue.info shows it."""
    value, _ = ATTRIBUTES[attribute]
    assert wire.call("queue.update", queue, {attribute: value}) is True
    assert wire.call("queue.info", queue)[attribute] == value


def test_update_of_the_type_is_a_bad_request(wire, queue):
    """Also to the type that it has."""
    assert refusal(wire.call, "queue.update", queue, {"type": "standard"})[:2] == ("BAD_REQUEST", {"key": "type"})


def test_update_with_nothing_changes_nothing(wire, queue):
    """An empty map is fine."""
    assert wire.call("queue.update", queue, {}) is True


def test_update_acts_on_what_happens_from_then_on(wire, queue):
    """A lower limit removes nothing; the next publish meets it."""
    wire.call("publish", queue, ["a", "b", "c"])
    wire.call("queue.update", queue, {"max_messages": 1})
    assert wire.call("queue.info", queue)["total"] == 3
    _, count, ((_, error),) = wire.call("publish", queue, ["d"])
    assert count == 0 and error[0] == "QUEUE_FULL"


# ---- queue.delete ------------------------------------------------------------------------------------------


def fill(wire, queue):
    """One message in each state: delayed 1, ready 4, inflight 2, parked 3."""
    wire.call("publish", queue, [["d", {"delay": 3600_000}], "i", "p", "r"])
    _, parked = wire.call("receive", queue, {"max": 2})
    wire.call("park", [parked[0]])


def test_delete_removes_the_queue_and_answers_how_many_messages_went(wire, queue):
    """A new one of that name starts at id 1."""
    fill(wire, queue)
    assert wire.call("queue.delete", queue) == 4
    assert refusal(wire.call, "queue.delete", queue)[0] == "QUEUE_NOT_FOUND"
    wire.call("queue.create", queue)
    assert wire.call("publish", queue, ["x"]) == [1, 1]


@pytest.mark.parametrize("state", ["delayed", "ready", "inflight", "parked"])
def test_delete_if_empty_refuses_a_queue_that_holds_anything(wire, queue, state):
    """In whatever state it is."""
    fill(wire, queue)
    for other in {"delayed", "ready", "inflight", "parked"} - {state}:
        wire.call("queue.purge", queue, {"state": other})
    assert refusal(wire.call, "queue.delete", queue, {"if_empty": True})[0] == "QUEUE_NOT_EMPTY"
    wire.call("queue.purge", queue)
    assert wire.call("queue.delete", queue, {"if_empty": True}) == 0


def test_delete_if_unused_refuses_a_queue_with_consumers_or_waiters(wire, other, queue):
    """QUEUE_IN_USE may be retried."""
    consumer = other.call("consume", queue)
    assert refusal(wire.call, "queue.delete", queue, {"if_unused": True}) == ("QUEUE_IN_USE", {}, True)
    other.call("cancel", consumer)
    other.send("receive", queue, {"wait": 20000})
    until(lambda: wire.call("queue.info", queue)["waiters"] == 1)
    assert refusal(wire.call, "queue.delete", queue, {"if_unused": True}) == ("QUEUE_IN_USE", {}, True)
    other.close()
    until(lambda: wire.call("queue.info", queue)["waiters"] == 0)
    assert wire.call("queue.delete", queue, {"if_unused": True, "if_empty": True}) == 0


# ---- queue.purge -------------------------------------------------------------------------------------------


def test_purge_removes_everything(wire, queue):
    """The ids go on, the counts are 0, the answer is how many."""
    fill(wire, queue)
    assert wire.call("queue.purge", queue) == 4
    info = wire.call("queue.info", queue)
    assert (info["total"], info["bytes"], info["purged"], info["next_id"]) == (0, 0, 4, 5)
    assert wire.call("queue.purge", queue) == 0
    assert wire.call("publish", queue, ["x"]) == [5, 1]


@pytest.mark.parametrize("state", ["delayed", "ready", "inflight", "parked"])
def test_purge_of_one_state_leaves_the_others(wire, queue, state):
    """Exactly one message of the four goes."""
    fill(wire, queue)
    assert wire.call("queue.purge", queue, {"state": state}) == 1
    info = wire.call("queue.info", queue)
    assert info[state] == 0 and info["total"] == 3


def test_purge_of_what_is_inflight_gives_consumers_their_credit_back(wire, queue):
    """And its receipts are dead."""
    wire.call("publish", queue, ["a"])
    consumer = wire.call("consume", queue, {"prefetch": 1})
    (held,) = wire.deliveries(consumer, 1)
    wire.call("queue.purge", queue)
    wire.call("publish", queue, ["b"])
    assert wire.deliveries(consumer, 1)[0][3] == b"b"
    assert wire.call("ack", [held[0]])[0] == 0


def test_purge_of_a_state_that_does_not_exist_is_a_bad_request(wire, queue):
    """The key is state."""
    assert refusal(wire.call, "queue.purge", queue, {"state": "all"})[:2] == ("BAD_REQUEST", {"key": "state"})


def test_a_large_purge_is_visible_at_once_and_its_memory_comes_back(start_server):
    """The answer does not wait for the memory, and others do not wait for either."""
    server = start_server()
    with server.connect() as wire:
        used = lambda: wire.call("server.info", "memory")["memory"]["used_bytes"]  # noqa: E731
        wire.call("queue.create", "q")
        empty = used()
        for msgid in [wire.send("publish", "q", ["x" * 100] * 1000) for _ in range(200)]:
            wire.answer(msgid)
        assert used() > empty + 200_000 * 100
        assert wire.call("queue.purge", "q") == 200_000
        assert wire.call("queue.info", "q")["total"] == 0
        until(lambda: used() < empty + 1_000_000)


# ---- queue.info, queue.list --------------------------------------------------------------------------------


def test_info_counts_every_state_and_they_add_up(wire, queue):
    """delayed + ready + inflight + parked = total."""
    fill(wire, queue)
    info = wire.call("queue.info", queue)
    assert (info["name"], info["type"], info["next_id"]) == (queue, "standard", 5)
    assert [info[key] for key in ("delayed", "ready", "inflight", "parked", "total", "bytes")] == [1, 1, 1, 1, 4, 4]
    assert (info["consumers"], info["waiters"], info["paused"]) == (0, 0, False)


def test_info_counters_add_up_to_the_total(wire, new_queue):
    """published = acked + expired + purged + discarded + dropped + total."""
    queue = new_queue(max_messages=8, overflow="drop_oldest")
    fill(wire, queue)
    wire.call("publish", queue, ["a", "b", ["c", {"ttl": 1}], "d", "e", "f"])
    wire.call("ack", [wire.call("receive", queue)[0][0]])
    wire.call("discard", queue, [9])
    wire.call("queue.purge", queue, {"state": "parked"})
    until(lambda: wire.call("queue.info", queue)["expired"] == 1)
    info = wire.call("queue.info", queue)
    ends = [info[key] for key in ("acked", "expired", "purged", "discarded", "dropped")]
    assert info["published"] == sum(ends) + info["total"] and all(ends), info


def test_info_tells_consumers_waiters_and_the_age_of_the_oldest(wire, other, queue):
    """oldest_ms is 0 if nothing is ready."""
    assert wire.call("queue.info", queue)["oldest_ms"] == 0
    other.call("consume", queue, {"prefetch": 0})
    wire.call("queue.pause", queue)
    other.send("receive", queue, {"wait": 20000})
    wire.call("publish", queue, ["x"])
    until(lambda: wire.call("queue.info", queue)["oldest_ms"] >= 20)
    info = wire.call("queue.info", queue)
    assert (info["consumers"], info["waiters"], info["paused"]) == (1, 1, True)


def test_info_tells_rates(wire, queue):
    """Messages per second over the last seconds; 0 when nothing has happened."""
    rates = ("publish_rate", "deliver_rate", "ack_rate")
    assert [wire.call("queue.info", queue)[rate] for rate in rates] == [0, 0, 0]
    wire.call("publish", queue, ["x"] * 10)
    wire.call("ack", [d[0] for d in wire.call("receive", queue, {"max": 10})])
    until(lambda: all(wire.call("queue.info", queue)[rate] > 0 for rate in rates))


def test_list_shows_queues_by_name_in_pages(start_server):
    """Sorted, with a cursor; the default page has 100."""
    server = start_server()
    with server.connect() as wire:
        assert wire.call("queue.list") == {"queues": [], "next": None}
        names = sorted(f"{prefix}{i}" for prefix in ("a", "b/", "b:") for i in range(50))
        for name in reversed(names):
            wire.call("queue.create", name)

        def pages(**options):
            while True:
                answer = wire.call("queue.list", options)
                yield [queue["name"] for queue in answer["queues"]]
                if answer["next"] is None:
                    return
                options["cursor"] = answer["next"]

        assert [len(page) for page in pages()] == [100, 50]
        for size in (1, 7, 150, 1000):
            assert sum(pages(max=size), []) == names
        assert sum(pages(prefix="b/", max=20), []) == [name for name in names if name.startswith("b/")]
        assert sum(pages(prefix="c"), []) == []
        assert sum(pages(prefix="a4", cursor="a45"), []) == ["a45", "a46", "a47", "a48", "a49"]


def test_list_shows_counts(wire, queue):
    """Enough for a table of queues."""
    fill(wire, queue)
    (row,) = wire.call("queue.list", {"prefix": queue, "max": 1})["queues"]
    assert row["name"] == queue
    assert [row[key] for key in ("delayed", "ready", "inflight", "parked", "total")] == [1, 1, 1, 1, 4]


@pytest.mark.parametrize("options, refused", [
    ({"max": 0}, ("BAD_REQUEST", {"key": "max"})),
    ({"max": 1001}, ("LIMIT", {"which": "max_batch"})),
])
def test_list_max_has_a_range(wire, options, refused):
    """1 to max_batch."""
    assert refusal(wire.call, "queue.list", options)[:2] == refused


# ---- queue.pause, queue.resume -----------------------------------------------------------------------------


def test_pause_and_resume_may_be_said_twice(wire, queue):
    """Both answer true."""
    for method, paused in (("queue.pause", True), ("queue.resume", False)):
        for _ in range(2):
            assert wire.call(method, queue) is True
            assert wire.call("queue.info", queue)["paused"] is paused


def test_a_paused_queue_stores_and_its_clocks_run(wire, queue):
    """Publishes are taken, delays end, visibilities run out, acks are good."""
    wire.call("publish", queue, ["a", "b"])
    receipts = [d[0] for d in wire.call("receive", queue, {"max": 1})]
    wire.call("receive", queue, {"visibility": 20})
    wire.call("queue.pause", queue)
    assert wire.call("publish", queue, ["c", ["d", {"delay": 20}]]) == [3, 2]
    assert wire.call("ack", receipts) == 1
    until(lambda: wire.call("queue.info", queue)["ready"] == 3)
    assert wire.call("receive", queue, {"max": 10}) == []
    wire.call("queue.resume", queue)
    assert [d[3] for d in wire.call("receive", queue, {"max": 10})] == [b"b", b"c", b"d"]


def test_info_counts_groups_remembered_ids_and_publishes_that_wait(wire, other):
    """Groups count while a message of them is in the queue, ids while they are remembered, publishes while they wait."""
    wire.call("queue.create", "counted", {"type": "fifo", "max_messages": 2})
    wire.call("publish", "counted", [[b"a", {"group": "x", "dedup_id": "1"}], [b"b", {"group": "y"}]])
    other.send("publish", "counted", [[b"c", {"group": "z"}]], {"wait": 20000})
    until(lambda: wire.call("queue.info", "counted")["held_publishes"] == 1)
    info = wire.call("queue.info", "counted")
    assert (info["groups"], info["dedup_ids"]) == (2, 1)
    (receipt, *_), = wire.call("receive", "counted")
    wire.call("ack", [receipt])
    until(lambda: wire.call("queue.info", "counted")["held_publishes"] == 0)
    info = wire.call("queue.info", "counted")
    assert (info["groups"], info["dedup_ids"], info["total"]) == (2, 1, 2)
    wire.call("queue.delete", "counted")
