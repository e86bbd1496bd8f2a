"""Dead letters: when a message dies, where it goes, and what it says about itself there; backoff."""

import time

import pytest
from picture import unchanged
from wire import refusal, until

OWN = {"text": "t", "number": 5, "nothing": None}


@pytest.fixture
def pair(new_queue):
    """A queue and its dead-letter queue."""

    def create(target=None, **attributes):
        dead = new_queue(**(target or {}))
        return new_queue(dead_letter=dead, **attributes), dead

    return create


def take(wire, queue, **options):
    """The receipt of the one message that a receive gets."""
    ((receipt, *_),) = wire.call("receive", queue, options)
    return receipt


def info(wire, queue, *names):
    answer = wire.call("queue.info", queue)
    return [answer[name] for name in names]


def peek(wire, queue):
    return wire.call("peek", queue)["messages"]


# ---- how a message dies ------------------------------------------------------------------------------------


def test_a_rejected_message_goes_to_the_dead_letter_queue(wire, pair):
    """With its body, headers, group and priority, a new id, and headers that tell its story."""
    queue, dead = pair()
    wire.call("publish", dead, ["before"])
    before = int(time.time() * 1000)
    wire.call("publish", queue, ["other", ["m", {"headers": OWN, "group": "g", "priority": 7, "dedup_id": "d"}]])
    wire.call("nack", [take(wire, queue)])
    assert wire.call("nack", [take(wire, queue)], {"dead": True, "note": "ümläut"}) == 1
    after = int(time.time() * 1000)
    _, message = peek(wire, dead)
    headers = message["headers"]
    assert (message["id"], message["attempts"], message["body"], message["state"]) == (2, 0, b"m", "ready")
    assert (message["group"], message["priority"], message["dedup_id"]) == ("g", 7, "d")
    assert {key: value for key, value in headers.items() if not key.startswith("dl_")} == OWN
    assert headers["dl_queue"] == queue and headers["dl_id"] == 2 and headers["dl_reason"] == "rejected"
    assert headers["dl_attempts"] == 2 and headers["dl_note"] == "ümläut"
    assert before - 5 <= headers["dl_first"] <= headers["dl_last"] <= after + 5
    assert info(wire, queue, "total", "dead_lettered", "parks") == [1, 1, 0]
    assert info(wire, dead, "total", "arrived", "published") == [2, 1, 1]


@pytest.mark.parametrize("way", ["nack", "timeout", "extend", "cancel", "close"])
def test_at_max_attempts_it_dies_when_it_comes_back(server, wire, pair, way):
    """At that moment, not at a later receive, however it comes back."""
    queue, dead = pair(max_attempts=2)
    wire.call("publish", queue, ["m"])
    wire.call("nack", [take(wire, queue)])
    if way in ("cancel", "close"):
        with server.connect() as one:
            consumer = one.call("consume", queue)
            one.deliveries(consumer, 1)
            if way == "cancel":
                one.call("cancel", consumer)
    else:
        receipt = take(wire, queue, visibility=30 if way == "timeout" else 10_000)
        if way == "nack":
            wire.call("nack", [receipt])
        elif way == "extend":
            wire.call("extend", [receipt], 0)
    until(lambda: info(wire, dead, "ready") == [1])
    (message,) = peek(wire, dead)
    assert (message["headers"]["dl_reason"], message["headers"]["dl_attempts"]) == ("max_attempts", 2)
    assert "dl_note" not in message["headers"]
    assert info(wire, queue, "total") == [0]


def test_a_message_whose_ttl_is_over_dies_if_the_queue_says_so(wire, pair):
    """dead_letter_expired; never delivered, it has no first and no last delivery; it has no ttl any more."""
    queue, dead = pair(dead_letter_expired=True)
    wire.call("publish", queue, [["m", {"ttl": 30}], ["delayed", {"ttl": 30, "delay": 3600_000}]])
    until(lambda: info(wire, dead, "ready") == [2])
    for message in peek(wire, dead):
        headers = message["headers"]
        assert (headers["dl_reason"], headers["dl_first"], headers["dl_last"], headers["dl_attempts"]) == (
            "expired", 0, 0, 0)
        assert message["expires_ms"] > 3600_000
    assert info(wire, queue, "total", "expired", "dead_lettered") == [0, 0, 2]


def test_retention_removes_and_does_not_dead_letter(wire, pair):
    """dead_letter_expired concerns the ttl alone."""
    queue, dead = pair(dead_letter_expired=True, retention=40)
    wire.call("publish", queue, ["m"])
    until(lambda: info(wire, queue, "expired") == [1])
    assert info(wire, dead, "total") == [0]


def test_dead_letter_oldest_makes_room(wire, pair):
    """The lowest ready id goes to the dead-letter queue, reason overflow."""
    queue, dead = pair(max_messages=2, overflow="dead_letter_oldest")
    assert wire.call("publish", queue, ["a", "b"]) == [1, 2]
    assert wire.call("publish", queue, ["c"]) == [3, 1]
    assert [m["body"] for m in peek(wire, queue)] == [b"b", b"c"]
    (message,) = peek(wire, dead)
    assert message["body"] == b"a" and message["headers"]["dl_reason"] == "overflow"


def test_dead_letter_oldest_into_a_full_target_is_queue_full(wire, pair):
    """Nothing moves."""
    queue, dead = pair({"max_messages": 1}, max_messages=1, overflow="dead_letter_oldest")
    wire.call("publish", queue, ["a"])
    wire.call("publish", dead, ["full"])
    with unchanged(wire, [queue, dead]):
        _, _, ((index, error),) = wire.call("publish", queue, ["b"])
        assert (index, error[0], error[2]) == (0, "QUEUE_FULL", {"retry": True})


def test_a_second_death_overwrites_the_story_of_the_first(wire, new_queue):
    """dl_ headers tell of the last one."""
    last = new_queue()
    middle = new_queue(dead_letter=last)
    first = new_queue(dead_letter=middle)
    wire.call("publish", first, [["m", {"headers": OWN}]])
    wire.call("nack", [take(wire, first)], {"dead": True, "note": "one"})
    wire.call("nack", [take(wire, middle)], {"dead": True})
    (message,) = peek(wire, last)
    headers = message["headers"]
    assert headers["dl_queue"] == middle and headers["dl_id"] == 1 and headers["dl_attempts"] == 1
    assert "dl_note" not in headers and len([key for key in headers if key.startswith("dl_")]) == 6
    assert {key: value for key, value in headers.items() if not key.startswith("dl_")} == OWN


def test_who_waits_at_the_dead_letter_queue_is_served(wire, other, pair):
    """A dead message is like any other there."""
    queue, dead = pair()
    poll = other.send("receive", dead, {"wait": 20_000})
    until(lambda: info(wire, dead, "waiters") == [1])
    wire.call("publish", queue, ["m"])
    wire.call("nack", [take(wire, queue)], {"dead": True})
    assert [d[3] for d in other.answer(poll)] == [b"m"]


# ---- where it stays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["rejected", "max_attempts"])
def test_without_a_dead_letter_queue_it_is_parked(wire, new_queue, reason):
    """With the reason, and the note if there was one."""
    queue = new_queue(max_attempts=1)
    wire.call("publish", queue, ["m"])
    wire.call("nack", [take(wire, queue)], {"dead": True, "note": "why"} if reason == "rejected" else {})
    (message,) = peek(wire, queue)
    assert (message["state"], message["reason"]) == ("parked", reason)
    assert message.get("note") == ("why" if reason == "rejected" else None)
    assert info(wire, queue, "parks", "dead_letter_failed") == [1, 0]


@pytest.mark.parametrize("trouble", ["deleted", "full", "another type"])
def test_if_the_dead_letter_queue_does_not_take_it_it_is_parked(wire, pair, trouble):
    """Counted; a kick brings it back."""
    queue, dead = pair({"max_messages": 1})
    wire.call("publish", queue, ["m"])
    if trouble == "full":
        wire.call("publish", dead, ["x"])
    else:
        wire.call("queue.delete", dead)
        if trouble == "another type":
            wire.call("queue.create", dead, {"type": "fifo"})
    assert wire.call("nack", [take(wire, queue)], {"dead": True, "note": "why"}) == 1
    (message,) = peek(wire, queue)
    assert (message["state"], message["reason"], message["note"]) == ("parked", "rejected", "why")
    assert info(wire, queue, "parks", "dead_letter_failed", "dead_lettered") == [1, 1, 0]
    assert wire.call("kick", queue, 1) == 1 and len(wire.call("receive", queue)) == 1


def test_a_fifo_queue_dead_letters_and_goes_on(wire, new_queue):
    """The group is kept and no longer held up."""
    dead = new_queue(type="fifo")
    queue = new_queue(type="fifo", dead_letter=dead)
    wire.call("publish", queue, [["a1", {"group": "a"}], ["a2", {"group": "a"}]])
    wire.call("nack", [take(wire, queue)], {"dead": True})
    assert [d[3] for d in wire.call("receive", queue)] == [b"a2"]
    assert [(m["body"], m["group"]) for m in peek(wire, dead)] == [(b"a1", "a")]


# ---- backoff -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts, delay", [(1, 100_000), (2, 300_000), (3, 500_000), (4, 500_000)])
def test_backoff_grows_with_the_attempts_up_to_its_cap(wire, new_queue, attempts, delay):
    """base * factor ^ (attempts - 1)."""
    queue = new_queue(backoff={"base": 100_000, "factor": 3, "cap": 500_000})
    wire.call("publish", queue, ["m"])
    for _ in range(attempts - 1):
        wire.call("nack", [take(wire, queue)], {"delay": 0})
    wire.call("nack", [take(wire, queue)])
    (message,) = peek(wire, queue)
    assert message["state"] == "delayed" and delay - 5000 < message["due_ms"] <= delay + 1


def test_a_short_backoff_is_over_when_it_is_over(wire, new_queue):
    """And not earlier."""
    queue = new_queue(backoff={"base": 60})
    wire.call("publish", queue, ["m"])
    receipt = take(wire, queue)
    start = time.monotonic()
    wire.call("nack", [receipt])
    assert wire.call("receive", queue) == []
    take(wire, queue, wait=10_000)
    assert time.monotonic() - start >= 0.06


def test_a_delay_of_the_nack_wins_over_backoff(wire, new_queue):
    """Also one of 0."""
    queue = new_queue(backoff={"base": 3600_000})
    wire.call("publish", queue, ["m"])
    wire.call("nack", [take(wire, queue)], {"delay": 0})
    wire.call("nack", [take(wire, queue)], {"delay": 7200_000})
    assert 7100_000 < peek(wire, queue)[0]["due_ms"] <= 7200_001


def test_jitter_spreads_delays_downwards(wire, new_queue):
    """Between (1 - jitter) * base and base."""
    queue = new_queue(backoff={"base": 1_000_000, "jitter": 0.5})
    wire.call("publish", queue, ["m"] * 50)
    wire.call("nack", [d[0] for d in wire.call("receive", queue, {"max": 50})])
    due = sorted(m["due_ms"] for m in peek(wire, queue))
    assert 495_000 <= due[0] < due[-1] <= 1_000_001 and len(set(due)) > 40


# ---- attributes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "a b", 5, True, [], "x" * 256])
def test_dead_letter_is_a_queues_name_or_nil(wire, queue, value):
    """Otherwise BAD_REQUEST; nothing is created or changed."""
    bad = ("BAD_REQUEST", {"key": "dead_letter"})
    with unchanged(wire):
        assert refusal(wire.call, "queue.create", "new", {"dead_letter": value})[:2] == bad
        assert refusal(wire.call, "queue.update", queue, {"dead_letter": value})[:2] == bad


def test_a_dead_letter_queue_must_be_there(wire, queue):
    """Otherwise QUEUE_NOT_FOUND."""
    with unchanged(wire):
        assert refusal(wire.call, "queue.create", "new", {"dead_letter": "nowhere"})[0] == "QUEUE_NOT_FOUND"
        assert refusal(wire.call, "queue.update", queue, {"dead_letter": "nowhere"})[0] == "QUEUE_NOT_FOUND"


def test_a_queue_may_not_reach_itself(wire, new_queue):
    """Directly or through others, also through one that names a queue that is deleted."""
    bad = ("BAD_REQUEST", {"key": "dead_letter"})
    last = new_queue()
    middle = new_queue(dead_letter=last)
    first = new_queue(dead_letter=middle)
    with unchanged(wire):
        for target in (first, middle, last):
            assert refusal(wire.call, "queue.update", last, {"dead_letter": target})[:2] == bad
        assert refusal(wire.call, "queue.create", "new", {"dead_letter": "new"})[:2] in (bad, ("QUEUE_NOT_FOUND", {}))
    wire.call("queue.delete", last)
    with unchanged(wire):
        assert refusal(wire.call, "queue.create", last, {"dead_letter": first})[:2] == bad
    assert wire.call("queue.create", last) == {"created": True}


def test_source_and_target_have_the_same_type(wire, new_queue):
    """Otherwise BAD_REQUEST."""
    standard, fifo = new_queue(), new_queue(type="fifo")
    bad = ("BAD_REQUEST", {"key": "dead_letter"})
    with unchanged(wire):
        assert refusal(wire.call, "queue.create", "new", {"dead_letter": fifo})[:2] == bad
        assert refusal(wire.call, "queue.update", fifo, {"dead_letter": standard})[:2] == bad


def test_a_durable_queue_has_a_durable_dead_letter_queue(wire, new_queue):
    """In create and update, whichever of the two is changed."""
    fleeting, lasting = new_queue(durable=False), new_queue()
    queue = new_queue(durable=False, dead_letter=fleeting)
    with unchanged(wire):
        assert refusal(wire.call, "queue.create", "new", {"dead_letter": fleeting})[:2] == (
            "BAD_REQUEST", {"key": "dead_letter"})
        assert refusal(wire.call, "queue.update", queue, {"durable": True})[:2] == ("BAD_REQUEST", {"key": "durable"})
    assert wire.call("queue.update", queue, {"durable": True, "dead_letter": lasting}) is True


@pytest.mark.parametrize("attribute, value", [("overflow", "dead_letter_oldest"), ("dead_letter_expired", True)])
def test_what_needs_a_dead_letter_queue_is_refused_without_one(wire, queue, pair, attribute, value):
    """In create, in update, and when the dead-letter queue is taken away."""
    bad = ("BAD_REQUEST", {"key": attribute})
    source, _ = pair(**{attribute: value})
    with unchanged(wire):
        assert refusal(wire.call, "queue.create", "new", {attribute: value})[:2] == bad
        assert refusal(wire.call, "queue.update", queue, {attribute: value})[:2] == bad
        assert refusal(wire.call, "queue.update", source, {"dead_letter": None})[:2] == bad


def test_an_old_receipt_can_not_kill_a_message(wire, pair):
    """A receipt that is dead stays so, also when its place is used by others."""
    queue, dead = pair()
    wire.call("publish", queue, ["a", "b"])
    old = take(wire, queue)
    wire.call("nack", [old])
    new = take(wire, queue)
    with unchanged(wire, [queue, dead]):
        count, ((index, error),) = wire.call("nack", [old], {"dead": True, "note": "late"})
        assert (count, index, error[0], error[2]) == (0, 0, "RECEIPT_STALE", {"index": 0, "receipt": old})
    wire.call("nack", [new], {"dead": True})
    with unchanged(wire, [queue, dead]):
        for method, more in (("ack", []), ("nack", [{"dead": True}]), ("park", []), ("extend", [0])):
            assert wire.call(method, [new], *more)[0] == 0
