"""Deduplication: dedup_id, content_dedup, the window and the scope."""

import hashlib

import pytest
from picture import unchanged
from wire import refusal, until


def publish(wire, queue, *messages, **options):
    """Bodies, or (body, dedup_id)."""
    return wire.call("publish", queue, [m if isinstance(m, str) else [m[0], {"dedup_id": m[1]}] for m in messages],
                     options)


def counters(wire, queue, *names):
    info = wire.call("queue.info", queue)
    return [info[name] for name in names]


@pytest.mark.parametrize("kind", ["standard", "fifo"])
def test_a_duplicate_is_accepted_and_not_stored(wire, new_queue, kind):
    """The answer names the first message's id."""
    queue = new_queue(type=kind)
    message = lambda body: [body, {"dedup_id": "x", "group": "g"}]  # noqa: E731
    assert wire.call("publish", queue, [message("first")]) == [1, 1]
    assert wire.call("publish", queue, [message("second")]) == [None, 0, [[0, 1]]]
    assert counters(wire, queue, "total", "published", "duplicates", "refused") == [1, 1, 1, 0]
    assert [d[3] for d in wire.call("receive", queue, {"max": 9})] == [b"first"]


def test_duplicates_inside_a_batch(wire, new_queue):
    """The others have consecutive ids."""
    queue = new_queue()
    assert publish(wire, queue, ("a", "x"), "b", ("c", "x"), ("d", "y"), ("e", "y"), "f") == [1, 4, [[2, 1], [4, 3]]]
    assert [m["id"] for m in wire.call("peek", queue)["messages"]] == [1, 2, 3, 4]


@pytest.mark.parametrize("way", ["ack", "purge", "discard", "park"])
def test_a_duplicate_of_a_message_that_is_gone(wire, new_queue, way):
    """Its id is remembered, whatever becomes of it."""
    queue = new_queue()
    publish(wire, queue, ("a", "x"))
    if way == "purge":
        wire.call("queue.purge", queue)
    elif way == "discard":
        wire.call("discard", queue, [1])
    else:
        wire.call(way, [wire.call("receive", queue)[0][0]])
    assert publish(wire, queue, ("a", "x")) == [None, 0, [[0, 1]]]


def test_after_the_window_the_same_id_is_stored_again(wire, new_queue):
    """And a duplicate has not prolonged the window."""
    queue = new_queue(dedup_window=150)
    publish(wire, queue, ("a", "x"))
    answers = []
    until(lambda: answers.append(publish(wire, queue, ("a", "x"))) or answers[-1][1] == 1, deadline=5)
    assert answers[-1] == [2, 1]
    assert all(answer == [None, 0, [[0, 1]]] for answer in answers[:-1]) and len(answers) > 1


def test_a_window_of_0_is_off(wire, new_queue):
    """Nothing is tested and nothing is remembered, until there is a window again."""
    queue = new_queue(dedup_window=0)
    assert publish(wire, queue, ("a", "x"), ("b", "x")) == [1, 2]
    wire.call("queue.update", queue, {"dedup_window": 60_000})
    assert publish(wire, queue, ("c", "x"), ("d", "x")) == [3, 1, [[1, 3]]]


def test_the_duplicate_test_comes_before_the_limits(wire, new_queue):
    """A full queue accepts a duplicate; a body that is too large by now is one too."""
    queue = new_queue(max_messages=1)
    publish(wire, queue, ("a" * 10, "x"))
    assert publish(wire, queue, ("a" * 10, "x")) == [None, 0, [[0, 1]]]
    wire.call("queue.update", queue, {"max_message_bytes": 5, "max_bytes": 3})
    assert publish(wire, queue, ("a" * 10, "x")) == [None, 0, [[0, 1]]]


def test_a_refused_message_leaves_no_trace(wire, new_queue):
    """Its id is not a duplicate when there is room."""
    queue = new_queue(max_messages=1)
    publish(wire, queue, "full")
    with unchanged(wire, [queue]):
        _, _, ((_, error),) = publish(wire, queue, ("a", "x"))
        assert error[0] == "QUEUE_FULL"
    wire.call("queue.purge", queue)
    assert publish(wire, queue, ("a", "x")) == [2, 1]


def test_an_atomic_batch_that_is_refused_leaves_no_trace(wire, new_queue):
    """Neither do its messages that were good; a duplicate in it is no refusal."""
    queue = new_queue(max_messages=2)
    publish(wire, queue, ("a", "x"))
    with unchanged(wire, [queue]):
        code, _, retry = refusal(wire.call, "publish", queue, [["b", {"dedup_id": "y"}], "c"], {"atomic": True})
        assert (code, retry) == ("QUEUE_FULL", True)
    assert publish(wire, queue, ("a", "x"), ("b", "y"), atomic=True) == [2, 1, [[0, 1]]]


def test_content_dedup_knows_a_body_again(wire, new_queue):
    """A message that names an id is known by that alone; the two kinds are never equal."""
    queue = new_queue(content_dedup=True)
    assert publish(wire, queue, "a", "b", "a", "") == [1, 3, [[2, 1]]]
    assert publish(wire, queue, "", ("a", "own"), ("other", "own")) == [4, 1, [[0, 3], [2, 4]]]
    large = "x" * 200_000
    assert publish(wire, queue, large) == [5, 1] and publish(wire, queue, large) == [None, 0, [[0, 5]]]


def test_the_id_is_not_the_hash_that_the_server_computes(wire, new_queue):
    """Whoever names the SHA-256 of a body has named an id, and not that body."""
    queue = new_queue(content_dedup=True)
    digest = hashlib.sha256(b"a").digest()
    assert wire.call("publish", queue, ["a", ["b", {"dedup_id": digest}], ["c", {"dedup_id": digest.hex()}]]) == [1, 3]


@pytest.mark.parametrize("scope, expected", [("queue", [1, 1, [[1, 1]]]), ("group", [1, 2])])
def test_the_scope_is_the_queue_or_the_group(wire, new_queue, scope, expected):
    """With group, equal ids of different groups are different; no group is one of its own."""
    queue = new_queue(dedup_scope=scope)
    messages = [["a", {"dedup_id": "x", "group": "g"}], ["b", {"dedup_id": "x"}]]
    assert wire.call("publish", queue, messages) == expected
    again = wire.call("publish", queue, messages)
    assert again[:2] == [None, 0] and [index for index, _ in again[2]] == [0, 1]


def test_ids_of_other_queues_do_not_matter(wire, new_queue):
    """A deleted queue's ids are gone with it."""
    one, two = new_queue(), new_queue()
    publish(wire, one, ("a", "x"))
    assert publish(wire, two, ("a", "x")) == [1, 1]
    wire.call("queue.delete", one)
    wire.call("queue.create", one)
    assert publish(wire, one, ("a", "x")) == [1, 1]


def test_the_id_comes_back_with_the_message(wire, queue):
    """As text if it is text, else as bytes; so do deliveries and peek show it."""
    ids = ["x", "x" * 128, "grün", b"\xff\x00"]
    publish(wire, queue, *(("m", name) for name in ids))
    assert [m["dedup_id"] for m in wire.call("peek", queue)["messages"]] == ids
    assert [d[4] for d in wire.call("receive", queue, {"max": 9})] == [{"dedup_id": name} for name in ids]


def test_text_and_bytes_are_the_same_id(wire, queue):
    """Text of a protocol may be sent as either."""
    assert publish(wire, queue, ("a", "x"), ("b", b"x")) == [1, 1, [[1, 1]]]


@pytest.mark.parametrize("value", ["", b"", "x" * 129, 5, None, True, ["x"], {}])
def test_a_dedup_id_is_1_to_128_bytes(wire, queue, value):
    """Otherwise an entry, and nothing is stored or remembered."""
    publish(wire, queue, ("a", "x"))
    with unchanged(wire, [queue]):
        _, count, ((index, error),) = publish(wire, queue, ("m", value))
        assert (count, index, error[0], error[2]) == (0, 0, "BAD_REQUEST", {"key": "dedup_id"})


def test_entries_are_counted_memory_and_are_given_back(start_server):
    """Ids cost memory while their window lasts, and no longer."""
    server = start_server()
    with server.connect() as wire:
        used = lambda: wire.call("server.info", "memory")["memory"]["used_bytes"]  # noqa: E731
        wire.call("queue.create", "q", {"dedup_window": 1500})
        empty = used()
        for start in range(0, 20_000, 1000):
            wire.call("publish", "q", [["", {"dedup_id": f"{start + i:0128}"}] for i in range(1000)])
        wire.call("queue.purge", "q")
        assert used() > empty + 20_000 * 128
        until(lambda: used() < empty + 1_000_000)
