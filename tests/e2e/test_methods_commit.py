"""commit: publishes to queues and topics and acks, all or nothing."""

import pytest
from picture import unchanged
from wire import pack, refusal


@pytest.fixture
def held(wire, queue):
    """A queue with ids 1 to 3 inflight, and their receipts."""
    wire.call("publish", queue, ["a", "b", "c"])
    return queue, [d[0] for d in wire.call("receive", queue, {"max": 3})]


@pytest.fixture
def topic(wire, new_queue):
    """A topic with two queues: (name, queues)."""
    queues = [new_queue(), new_queue()]
    name = "topic-of-" + queues[0]
    wire.call("topic.create", name)
    for queue in queues:
        wire.call("topic.subscribe", name, queue, {"pattern": "k.*"})
    return name, queues


def bodies(wire, queue):
    return [m["body"].decode() for m in wire.call("peek", queue)["messages"]]


# ---- what it does ------------------------------------------------------------------------------------------


def test_consume_process_produce_in_one_step(wire, held, topic, new_queue):
    """The answer has what publish, topic.publish and ack would have answered, in their order."""
    queue, receipts = held
    name, queues = topic
    one, two = new_queue(), new_queue()
    assert wire.call("commit", {
        "publish": [[one, ["x", ["y", {"headers": {"h": 1}}]]], [two, ["z"]], [one, ["w"]]],
        "topics": [[name, "k.1", ["t", "u"]], [name, "nobody", ["v"]]],
        "ack": receipts[:2],
    }) == {"publish": [[1, 2], [1, 1], [3, 1]], "topics": [4, 0], "ack": 2}
    assert [bodies(wire, q) for q in (queue, one, two, *queues)] == [
        ["c"], ["x", "y", "w"], ["z"], ["t", "u"], ["t", "u"]]


@pytest.mark.parametrize("part", ["publish", "topics", "ack"])
def test_each_part_may_come_alone(wire, held, topic, part):
    """What is not there is answered with nothing."""
    queue, receipts = held
    parts = {"publish": [[queue, ["m"]]], "topics": [[topic[0], "k.k", ["m"]]], "ack": receipts}
    answers = {"publish": [[4, 1]], "topics": [2], "ack": 3}
    assert wire.call("commit", {part: parts[part]}) == {"publish": [], "topics": [], "ack": 0, part: answers[part]}


def test_an_empty_list_is_as_good_as_none(wire, queue):
    """As long as there is something in another."""
    assert wire.call("commit", {"publish": [[queue, ["m"]]], "topics": [], "ack": []}) == {
        "publish": [[1, 1]], "topics": [], "ack": 0}


def test_acks_free_their_room_first(wire, new_queue):
    """A full queue takes as many as leave it."""
    queue = new_queue(max_messages=2)
    wire.call("publish", queue, ["a", "b"])
    receipts = [d[0] for d in wire.call("receive", queue, {"max": 2})]
    with unchanged(wire):
        code, details, retry = refusal(wire.call, "commit", {"publish": [[queue, ["c", "d"]]], "ack": receipts[:1]})
        assert (code, details, retry) == ("QUEUE_FULL", {"part": "publish", "index": 0, "message": 1}, True)
    assert wire.call("commit", {"publish": [[queue, ["c", "d"]]], "ack": receipts}) == {
        "publish": [[3, 2]], "topics": [], "ack": 2}


def test_a_duplicate_is_no_refusal(wire, new_queue):
    """It is an exception in the answer of its part."""
    queue = new_queue()
    message = ["m", {"dedup_id": "d"}]
    assert wire.call("commit", {"publish": [[queue, [message, "n"]], [queue, ["o", message]]]}) == {
        "publish": [[1, 2], [3, 1, [[1, 1]]]], "topics": [], "ack": 0}
    assert wire.call("commit", {"publish": [[queue, [message]]]})["publish"] == [[None, 0, [[0, 1]]]]


def test_who_waits_is_served_by_a_commit(wire, other, queue):
    """Like by any publish."""
    poll = other.send("receive", queue, {"wait": 20_000})
    wire.call("commit", {"publish": [[queue, ["m"]]]})
    assert [d[3] for d in other.answer(poll)] == [b"m"]


def test_fifo_goes_on_with_the_ack_of_a_commit(wire, new_queue):
    """The group is unlocked by it, and what it publishes is behind."""
    queue = new_queue(type="fifo")
    wire.call("publish", queue, [["a1", {"group": "a"}]])
    ((receipt, *_),) = wire.call("receive", queue)
    wire.call("commit", {"publish": [[queue, [["a2", {"group": "a"}]]]], "ack": [receipt]})
    assert [d[3] for d in wire.call("receive", queue)] == [b"a2"]


def test_large_bodies_in_pieces(wire, topic, queue):
    """Bodies above 64 KiB go straight to their messages in a commit too."""
    one, two = b"1" * 300_000, b"2" * 200_000
    data = pack([0, 99, "commit", [{"publish": [[queue, [one, [two, {"group": "g"}]]]],
                                    "topics": [[topic[0], "k.l", [two]]]}]])
    for start in range(0, len(data), 100_003):
        wire.send_bytes(data[start:start + 100_003])
    assert wire.answer(99) == {"publish": [[1, 2]], "topics": [2], "ack": 0}
    assert [d[3] for d in wire.call("receive", queue, {"max": 9})] == [one, two]


def test_a_commit_as_a_notification(wire, held, new_queue):
    """It is done, or not, without a word."""
    queue, receipts = held
    target = new_queue()
    wire.notify("commit", {"publish": [[target, ["m"]]], "ack": receipts[:1]})
    wire.notify("commit", {"publish": [[target, ["n"]]], "ack": receipts[:1]})
    assert wire.quiet()
    assert bodies(wire, target) == ["m"] and wire.call("queue.info", queue)["total"] == 2


# ---- all or nothing ----------------------------------------------------------------------------------------


@pytest.fixture
def good(held, topic, new_queue):
    """A commit that would do something everywhere."""
    queue, receipts = held
    return lambda: {"publish": [[new_queue(), ["m"]]], "topics": [[topic[0], "k.k", ["m"]]], "ack": list(receipts)}


def test_a_stale_receipt_refuses_all(wire, held, good):
    """The details name it; so does one that is named twice, and one from before its place was used again."""
    queue, receipts = held
    commit = good()
    for bad, index in ((receipts[:1] + [2**52], 1), (receipts[:1] * 2, 1), ([0] + receipts, 0)):
        with unchanged(wire):
            code, details, _ = refusal(wire.call, "commit", {**commit, "ack": bad})
            assert (code, details) == ("RECEIPT_STALE", {"part": "ack", "index": index, "receipt": bad[index]})
    wire.call("nack", receipts)
    again = [d[0] for d in wire.call("receive", queue, {"max": 3})]
    with unchanged(wire):
        for old in receipts:
            code, details, _ = refusal(wire.call, "commit", {**commit, "ack": [*again, old]})
            assert (code, details) == ("RECEIPT_STALE", {"part": "ack", "index": 3, "receipt": old})
    assert wire.call("commit", {**commit, "ack": again})["ack"] == 3
    with unchanged(wire):
        assert refusal(wire.call, "commit", {**commit, "ack": again})[0] == "RECEIPT_STALE"


@pytest.mark.parametrize("message, code, more", [
    (5, "BAD_REQUEST", {}), (["a", {"group": ""}], "BAD_REQUEST", {"key": "group"}),
    (["a", {"priority": 11}], "BAD_REQUEST", {"key": "priority"}), (["a", {"x": 1}], "BAD_REQUEST", {"key": "x"}),
    (["a", {"dedup_id": "x" * 129}], "BAD_REQUEST", {"key": "dedup_id"}),
    ("x" * ((1 << 20) + 1), "TOO_LARGE", {}),
])
@pytest.mark.parametrize("part", ["publish", "topics"])
def test_a_wrong_message_refuses_all(wire, good, part, message, code, more):
    """The details name part, place and message."""
    commit = good()
    commit[part].append([*commit[part][0][:-1], ["fine", message]])
    with unchanged(wire):
        assert refusal(wire.call, "commit", commit)[:2] == (code, {**more, "part": part, "index": 1, "message": 1})


def test_what_a_fifo_queue_does_not_take_refuses_all(wire, good, new_queue):
    """A message without a group, or with a priority."""
    fifo = new_queue(type="fifo")
    for message, code, more in (("m", "GROUP_REQUIRED", {}),
                                (["m", {"group": "g", "priority": 3}], "BAD_REQUEST", {"key": "priority"})):
        commit = good()
        commit["publish"].append([fifo, [["fine", {"group": "g"}], message]])
        with unchanged(wire):
            assert refusal(wire.call, "commit", commit)[:2] == (
                code, {**more, "part": "publish", "index": 1, "message": 1})


def test_names_that_are_not_there(wire, good):
    """QUEUE_NOT_FOUND and TOPIC_NOT_FOUND name their part and place."""
    commit = good()
    with unchanged(wire):
        for part, addition, code in (("publish", ["nowhere", ["m"]], "QUEUE_NOT_FOUND"),
                                     ("topics", ["nowhere", "k", ["m"]], "TOPIC_NOT_FOUND")):
            assert refusal(wire.call, "commit", {**commit, part: [*commit[part], addition]})[:2] == (
                code, {"part": part, "index": 1})


@pytest.mark.parametrize("part, addition", [
    ("publish", 5), ("publish", "q"), ("publish", []), ("publish", ["q"]), ("publish", ["q", "m"]),
    ("publish", ["q", []]), ("publish", ["a b", ["m"]]), ("publish", [5, ["m"]]), ("publish", ["q", ["m"], {}]),
    ("publish", [["q"], ["m"]]), ("publish", {}),
    ("topics", ["t", ["m"]]), ("topics", ["t", "k", []]), ("topics", ["t", 5, ["m"]]), ("topics", ["", "k", ["m"]]),
    ("topics", ["t", "k", ["m"], {}]), ("topics", [["t"], "k", ["m"]]), ("topics", ["t", ["k"], ["m"]]),
    ("ack", "1"), ("ack", -1), ("ack", None), ("ack", 2**53), ("ack", [1]), ("ack", {}),
])
def test_a_part_of_the_wrong_shape(wire, held, good, part, addition):
    """BAD_REQUEST with its place, and nothing happens."""
    commit = good()
    commit[part].append(addition)
    with unchanged(wire):
        assert refusal(wire.call, "commit", commit)[:2] == (
            "BAD_REQUEST", {"key": part, "part": part, "index": len(commit[part]) - 1})


@pytest.mark.parametrize("key", ["x" * 256, b"\xff"])
def test_a_key_that_is_none(wire, good, topic, key):
    """BAD_REQUEST with its place."""
    commit = good()
    commit["topics"].append([topic[0], key, ["m"]])
    with unchanged(wire):
        assert refusal(wire.call, "commit", commit)[:2] == ("BAD_REQUEST", {"key": "key", "part": "topics", "index": 1})


@pytest.mark.parametrize("params, key", [
    ([], "params"), ([{}], "params"), ([{"publish": []}], "params"), ([{"ack": [], "topics": []}], "params"),
    ([5], "options"), ([{"publish": {}}], "publish"), ([{"topics": "t"}], "topics"), ([{"ack": 5}], "ack"),
    ([{"publishes": []}], "publishes"), ([{}, 5], "params"),
])
def test_a_commit_of_nothing_or_of_something_else(wire, params, key):
    """BAD_REQUEST."""
    assert refusal(wire.call, "commit", *params)[:2] == ("BAD_REQUEST", {"key": key})


def test_a_commit_has_limits(wire, queue, held):
    """max_batch messages over all parts together, as many receipts, and max_commit_parts lists."""
    with unchanged(wire):
        for commit, which in (({"publish": [[queue, ["m"] * 600], [queue, ["m"] * 401]]}, "max_batch"),
                              ({"ack": list(range(1001))}, "max_batch"),
                              ({"publish": [[queue, ["m"]]] * 1001}, "max_commit_parts")):
            assert refusal(wire.call, "commit", commit)[:2] == ("LIMIT", {"which": which})
    assert wire.call("commit", {"publish": [[queue, ["m"]]] * 1000})["publish"][-1] == [1003, 1]


def test_draining_refuses_a_commit_that_publishes(start_server):
    """DRAINING; acks alone go through."""
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "q")
        wire.call("publish", "q", ["a"])
        ((receipt, *_),) = wire.call("receive", "q")
        wire.call("config.set", "draining", True)
        with unchanged(wire):
            assert refusal(wire.call, "commit", {"publish": [["q", ["m"]]], "ack": [receipt]}) == (
                "DRAINING", {}, True)
        assert wire.call("commit", {"ack": [receipt]})["ack"] == 1
