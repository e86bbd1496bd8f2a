"""publish: its answers, its entries, its errors."""

import math
import struct

import msgpack
import pytest
from wire import pack, refusal, until


def peek(wire, queue, **options):
    return wire.call("peek", queue, options)["messages"]


def test_publish_answers_first_id_and_count(wire, queue):
    """Ids start at 1 and go on without a gap; a batch has consecutive ones."""
    assert wire.call("publish", queue, ["a"]) == [1, 1]
    assert wire.call("publish", queue, ["b", "c", "d"]) == [2, 3]
    assert wire.call("publish", queue, [b"e"]) == [5, 1]
    assert [message["id"] for message in peek(wire, queue)] == [1, 2, 3, 4, 5]


def test_bodies_of_all_kinds_come_back_as_bytes(wire, queue):
    """str and bin, empty, binary and large: a body is bytes."""
    bodies = ["text", "ümläut", b"", bytes(range(256)), b"\xc1\xc1", b"x" * 70_000, "y" * 70_000, b"z" * (1 << 20)]
    assert wire.call("publish", queue, bodies) == [1, len(bodies)]
    got = [delivery[3] for delivery in wire.call("receive", queue, {"max": 100})]
    assert got == [body.encode() if isinstance(body, str) else body for body in bodies]


def test_headers_come_back_with_their_types(wire, queue):
    """nil, bool, integers of all sizes, floats of both sizes, text and bytes."""
    headers = {
        "nil": None, "yes": True, "no": False, "zero": 0, "small": -1, "big": 2**64 - 1, "low": -2**63, "half": 0.5,
        "inf": math.inf, "text": "grün", "empty": "", "bytes": b"\x00\xff", "": "empty key",
    }
    wire.call("publish", queue, [["x", {"headers": headers}]])
    ((_, _, _, _, more),) = wire.call("receive", queue)
    assert more == {"headers": headers}
    assert [type(value) for value in more["headers"].values()] == [type(value) for value in headers.values()]
    assert list(more["headers"]) == list(headers)


def test_a_float_32_header_comes_back_with_its_value(wire, queue):
    """A single-precision float is a float for whoever receives it."""
    body = pack("x") + b"\x81" + pack("headers") + b"\x81" + pack("f") + b"\xca" + struct.pack(">f", 1.5)
    wire.send_bytes(b"\x94\x00\x01" + pack("publish") + b"\x92" + pack(queue) + b"\x91\x92" + body)
    assert wire.answer(1) == [1, 1]
    ((_, _, _, _, more),) = wire.call("receive", queue)
    assert more == {"headers": {"f": 1.5}}


def test_a_text_header_that_is_not_utf_8_comes_back_as_bytes(wire, queue):
    """Nobody's reader is broken by what somebody else has published."""
    wire.send_bytes(b"\x94\x00\x01" + pack("publish") + b"\x92" + pack(queue) + b"\x91\x92\xa1x\x81" + pack("headers")
                    + b"\x82\xa1a\xa2\xff\xfe\xa1b\xa2ok")
    assert wire.answer(1) == [1, 1]
    assert wire.call("receive", queue)[0][4] == {"headers": {"a": b"\xff\xfe", "b": "ok"}}


def test_a_group_is_kept_and_shown(wire, queue):
    """1 to 128 bytes of text; on a standard queue without effect."""
    wire.call("publish", queue, [["a", {"group": "g"}], ["b", {"group": "x" * 128}], ["c", {"group": b"bytes"}]])
    assert [delivery[4] for delivery in wire.call("receive", queue, {"max": 3})] == [
        {"group": "g"}, {"group": "x" * 128}, {"group": "bytes"}]


def test_a_message_without_headers_or_group_is_delivered_without_a_map(wire, queue):
    """The fifth element is there only if it says something; an empty map of headers says nothing."""
    wire.call("publish", queue, ["a", ["b", {}], ["c", {"headers": {}}], ["d", {"delay": 0, "ttl": 0}]])
    assert [len(delivery) for delivery in wire.call("receive", queue, {"max": 4})] == [4, 4, 4, 4]


def test_a_delayed_message_is_not_delivered_early(wire, queue):
    """It is delayed first, ready after its delay, and never before."""
    wire.call("publish", queue, [["later", {"delay": 60}], "now"])
    assert [(m["id"], m["state"]) for m in peek(wire, queue)] == [(1, "delayed"), (2, "ready")]
    assert [d[3] for d in wire.call("receive", queue, {"max": 5})] == [b"now"]
    assert [d[3] for d in wire.call("receive", queue, {"wait": 10000})] == [b"later"]
    assert wire.call("queue.info", queue)["delayed"] == 0


def test_a_delay_of_its_own_wins_over_the_queues(wire, new_queue):
    """Also one of 0."""
    queue = new_queue(delay=3600_000)
    wire.call("publish", queue, ["queue's", ["none", {"delay": 0}], ["own", {"delay": 7200_000}]])
    messages = peek(wire, queue)
    assert [m["state"] for m in messages] == ["delayed", "ready", "delayed"]
    assert 3500_000 < messages[0]["due_ms"] <= 3600_000 < 7100_000 < messages[2]["due_ms"] <= 7200_000


def test_a_message_whose_ttl_is_over_is_gone(wire, queue):
    """It is not delivered late, and counted as expired."""
    wire.call("publish", queue, [["short", {"ttl": 20}], "long"])
    until(lambda: wire.call("queue.info", queue)["expired"] == 1)
    assert [d[3] for d in wire.call("receive", queue, {"max": 5})] == [b"long"]


def test_a_ttl_of_its_own_wins_over_the_queues(wire, new_queue):
    """Also one of 0, which is without end."""
    queue = new_queue(ttl=20, retention=0)
    wire.call("publish", queue, ["queue's", ["none", {"ttl": 0}], ["own", {"ttl": 3600_000}]])
    until(lambda: wire.call("queue.info", queue)["expired"] == 1)
    messages = peek(wire, queue)
    assert [m["body"] for m in messages] == [b"none", b"own"]
    assert "expires_ms" not in messages[0] and 3500_000 < messages[1]["expires_ms"] <= 3600_000


# ---- entries -----------------------------------------------------------------------------------------------


def entries(wire, queue, messages, **options):
    """Publishes; returns the answer without its entries, and the entries without their texts."""
    first, count, refused = wire.call("publish", queue, messages, options)
    return [first, count], [[index, error[0], *error[2:]] for index, error in refused]


@pytest.mark.parametrize("message, details", [
    (5, []), (None, []), (True, []), (1.5, []), ({}, []), ([], []), (["a", {}, 1], []), (["a", "b"], []), ([5, {}], []),
    (["a", {"dedup_id": ""}], [{"key": "dedup_id"}]),
    (["a", {"dedup_id": b"x" * 129}], [{"key": "dedup_id"}]),
    (["a", {"dedup_id": 5}], [{"key": "dedup_id"}]),
    (["a", {"priority": 10}], [{"key": "priority"}]),
    (["a", {"priority": "high"}], [{"key": "priority"}]),
    (["a", {"dealy": 5}], [{"key": "dealy"}]),
    (["a", {"delay": -1}], [{"key": "delay"}]),
    (["a", {"delay": "1s"}], [{"key": "delay"}]),
    (["a", {"delay": 10 * 365 * 86400_000 + 1}], [{"key": "delay"}]),
    (["a", {"ttl": 1.5}], [{"key": "ttl"}]),
    (["a", {"group": ""}], [{"key": "group"}]),
    (["a", {"group": "x" * 129}], [{"key": "group"}]),
    (["a", {"group": 5}], [{"key": "group"}]),
    (["a", {"group": b"\xff"}], [{"key": "group"}]),
    (["a", {"headers": {b"\xff": 1}}], [{"key": "headers"}]),
    (["a", {"headers": []}], [{"key": "headers"}]),
    (["a", {"headers": {"k": []}}], [{"key": "headers"}]),
    (["a", {"headers": {"k": {"deep": 1}}}], [{"key": "headers"}]),
    (["a", {"headers": {5: "v"}}], [{"key": "headers"}]),
    (["a", {"headers": {f"k{i}": i for i in range(65)}}], [{"key": "headers"}]),
    (["a", {"headers": {"k": "x" * 65_536}}], [{"key": "headers"}]),
])
def test_a_message_that_is_no_message_is_an_entry_at_its_index(wire, queue, message, details):
    """The others of the batch are stored, with consecutive ids."""
    answer, refused = entries(wire, queue, ["before", message, "after"])
    assert answer == [1, 2]
    assert refused == [[1, "BAD_REQUEST", *details]] or (not details and refused[0][:2] == [1, "BAD_REQUEST"])
    assert [m["body"] for m in peek(wire, queue)] == [b"before", b"after"]


def test_the_largest_headers_are_taken(wire, queue):
    """64 pairs, and 65,536 bytes of keys and values."""
    for headers in ({f"k{i}": i for i in range(64)}, {"key": "x" * (65_536 - 3)}):
        wire.call("publish", queue, [["a", {"headers": headers}]])
        assert wire.call("receive", queue)[0][4] == {"headers": headers}


def test_a_body_that_is_too_large_is_an_entry(wire, queue):
    """At most max_message_bytes; the connection and the rest of the batch go on."""
    limit = wire.call("hello")["limits"]["max_message_bytes"]
    answer, refused = entries(wire, queue, ["a", b"x" * (limit + 1), b"y" * limit, ["z" * (limit + 1), {"group": "g"}]])
    assert answer == [1, 2] and refused == [[1, "TOO_LARGE"], [3, "TOO_LARGE"]]
    assert [len(m["body"]) for m in peek(wire, queue)] == [1, limit]


def test_a_queue_may_have_its_own_largest_body(wire, new_queue):
    """Smaller or larger than the server's."""
    small, large = new_queue(max_message_bytes=3), new_queue(max_message_bytes=2 << 20)
    assert entries(wire, small, ["abc", "abcd"]) == ([1, 1], [[1, "TOO_LARGE"]])
    assert wire.call("publish", large, [b"x" * (2 << 20)]) == [1, 1]
    assert entries(wire, large, [b"x" * ((2 << 20) + 1)]) == ([None, 0], [[0, "TOO_LARGE"]])


def test_a_batch_of_one_refused_message_is_an_entry_too(wire, new_queue):
    """first_id is nil and count 0."""
    assert entries(wire, new_queue(max_message_bytes=1), ["ab"]) == ([None, 0], [[0, "TOO_LARGE"]])


def test_a_full_queue_refuses_what_does_not_fit(wire, new_queue):
    """max_messages counts all four states; QUEUE_FULL may be retried."""
    queue = new_queue(max_messages=4)
    wire.call("publish", queue, [["delayed", {"delay": 3600_000}], "a", "b"])
    receipts = [d[0] for d in wire.call("receive", queue, {"max": 2})]
    wire.call("park", receipts[:1])
    assert entries(wire, queue, ["c", "d", "e"]) == (
        [4, 1], [[1, "QUEUE_FULL", {"retry": True}], [2, "QUEUE_FULL", {"retry": True}]])
    wire.call("ack", receipts[1:])
    assert wire.call("publish", queue, ["f"]) == [5, 1]
    assert wire.call("queue.info", queue)["refused"] == 2


def test_max_bytes_counts_bodies(wire, new_queue):
    """A body that fits is stored behind one that does not; one that could never fit is TOO_LARGE."""
    queue = new_queue(max_bytes=10)
    assert wire.call("publish", queue, ["12345"]) == [1, 1]
    assert entries(wire, queue, ["123456", "1234", "12", "12345678901"]) == (
        [2, 1], [[0, "QUEUE_FULL", {"retry": True}], [2, "QUEUE_FULL", {"retry": True}], [3, "TOO_LARGE"]])
    assert wire.call("queue.info", queue)["bytes"] == 9


def test_drop_oldest_makes_room_for_the_newest(wire, new_queue):
    """The lowest ready id goes first, then the lowest delayed one; what is dropped is counted."""
    queue = new_queue(max_messages=3, overflow="drop_oldest")
    wire.call("publish", queue, [["delayed", {"delay": 3600_000}], "a", "b"])
    assert wire.call("publish", queue, ["c"]) == [4, 1]
    assert [m["id"] for m in peek(wire, queue)] == [1, 3, 4]
    wire.call("receive", queue, {"max": 2})
    assert wire.call("publish", queue, ["d"]) == [5, 1]
    assert [m["id"] for m in peek(wire, queue)] == [3, 4, 5]
    assert wire.call("queue.info", queue)["dropped"] == 2


def test_drop_oldest_never_drops_what_is_inflight_or_parked(wire, new_queue):
    """If there is nothing else, the publish is QUEUE_FULL."""
    queue = new_queue(max_messages=2, overflow="drop_oldest")
    wire.call("publish", queue, ["a", "b"])
    receipts = [d[0] for d in wire.call("receive", queue, {"max": 2})]
    wire.call("park", receipts[:1])
    assert entries(wire, queue, ["c"]) == ([None, 0], [[0, "QUEUE_FULL", {"retry": True}]])


# ---- atomic ------------------------------------------------------------------------------------------------


def test_atomic_stores_all_or_nothing(wire, new_queue):
    """The first refusal is the error of the call, with its index; no id is used up."""
    queue = new_queue(max_messages=3, max_message_bytes=5)
    atomic = {"atomic": True}
    assert refusal(wire.call, "publish", queue, ["a", "123456"], atomic)[:2] == ("TOO_LARGE", {"index": 1})
    assert refusal(wire.call, "publish", queue, ["a", 5, "b"], atomic)[0] == "BAD_REQUEST"
    unknown_key = refusal(wire.call, "publish", queue, ["a", ["b", {"x": 1}]], atomic)
    assert unknown_key == ("BAD_REQUEST", {"index": 1, "key": "x"}, False)
    assert refusal(wire.call, "publish", queue, list("abcd"), atomic) == ("QUEUE_FULL", {}, True)
    assert wire.call("queue.info", queue)["total"] == 0
    assert wire.call("publish", queue, list("abc"), atomic) == [1, 3]
    assert wire.call("queue.delete", queue) == 3


def test_atomic_false_is_the_usual_way(wire, new_queue):
    """The option may be named without being set."""
    assert entries(wire, new_queue(max_messages=1), ["a", "b"], atomic=False)[0] == [1, 1]


# ---- errors of the call ------------------------------------------------------------------------------------


def test_an_empty_batch_is_a_bad_request(wire, queue):
    """There is nothing that could be answered."""
    assert refusal(wire.call, "publish", queue, [])[:2] == ("BAD_REQUEST", {"key": "messages"})


def test_a_batch_above_max_batch_is_limit(wire, queue):
    """Nothing of it is stored."""
    assert refusal(wire.call, "publish", queue, ["x"] * 1001)[:2] == ("LIMIT", {"which": "max_batch"})
    assert wire.call("publish", queue, ["x"] * 1000) == [1, 1000]


def test_a_large_body_for_a_queue_that_does_not_exist_is_queue_not_found(wire):
    """What is wrong with the call is told also when the body was skipped on its way."""
    assert refusal(wire.call, "publish", "nowhere", [b"x" * (3 << 20)])[0] == "QUEUE_NOT_FOUND"
    assert refusal(wire.call, "publish", "nowhere", [b"x" * 100_000])[0] == "QUEUE_NOT_FOUND"


def test_publish_at_the_memory_limit_is_refused_and_acks_make_room(start_server):
    """MEMORY_LIMIT may be retried; receiving and acking go on, and then publishing does."""
    server = start_server("--max_memory", "32mb")
    with server.connect() as wire:
        wire.call("queue.create", "q")
        stored = 0
        while True:
            msgid = wire.send("publish", "q", [b"x" * 100_000] * 10)
            error, result = wire.outcome(msgid)
            if error:
                break
            stored += result[1]
        assert error[0] == "MEMORY_LIMIT" and error[2]["retry"] is True
        memory = wire.call("server.info", "memory")["memory"]
        assert memory["used_bytes"] <= memory["max_bytes"] == 32 << 20
        assert 150 < stored < 336
        a, b, c, d = [delivery[0] for delivery in wire.call("receive", "q", {"max": 4})]
        wire.call("consume", "q", {"prefetch": 0})
        assert wire.call("nack", [a]) == wire.call("extend", [b], 0) == wire.call("nack", [c], {"delay": 1}) == 1
        assert wire.call("park", [d]) == wire.call("kick", "q", 1) == 1
        assert len(wire.call("peek", "q", {"max": 5})["messages"]) == 5
        assert wire.call("queue.update", "q", {"visibility": 60_000}) is True
        with server.connect() as newcomer:
            assert newcomer.call("queue.info", "q")["total"] == stored
        until(lambda: wire.call("queue.info", "q")["ready"] == stored)
        got = 0
        while deliveries := wire.call("receive", "q", {"max": 100}):
            assert wire.call("ack", [d[0] for d in deliveries]) == len(deliveries)
            got += len(deliveries)
        assert got == stored
        assert wire.call("publish", "q", ["again"])[1] == 1


def test_large_bodies_in_many_pieces_arrive_whole(wire, queue):
    """A body above 64 KiB goes straight to its message, however it is cut on the way."""
    body = bytes(i * 7 % 251 for i in range(300_000))
    data = msgpack.packb([0, 1, "publish", [queue, ["first", body, ["last", {"group": "g"}], body[:70_000]]]])
    for start in range(0, len(data), 50_001):
        wire.send_bytes(data[start:start + 50_001])
    assert wire.answer(1) == [1, 4]
    assert [d[3] for d in wire.call("receive", queue, {"max": 9})] == [b"first", body, b"last", body[:70_000]]


def slow_publish(server, body):
    """A connection that has sent all of a publish to q but its last byte, and that byte."""
    wire = server.connect()
    data = msgpack.packb([0, 1, "publish", ["q", [body]]])
    wire.send_bytes(data[:-1])
    return wire, data[-1:]


def test_a_body_under_way_counts_and_is_given_back_when_its_queue_is_deleted(start_server):
    """It goes straight to its message; when there is no queue for it any more, the publish is QUEUE_NOT_FOUND."""
    server = start_server()
    with server.connect() as control:
        used = lambda: control.call("server.info", "memory")["memory"]["used_bytes"]  # noqa: E731
        control.call("queue.create", "q")
        empty = used()
        wire, rest = slow_publish(server, b"x" * 1_000_000)
        until(lambda: used() >= empty + 1_000_000)
        control.call("queue.delete", "q")
        wire.send_bytes(rest)
        assert refusal(wire.answer, 1)[0] == "QUEUE_NOT_FOUND"
        wire.close()
        until(lambda: used() < empty + 100_000)


def test_bodies_under_way_do_not_get_past_the_memory_limit(start_server):
    """Many connections that each have begun a large body: all together they may hold an eighth of the memory."""
    server = start_server("--max_memory", "16mb")
    with server.connect() as control:
        control.call("queue.create", "q")
        wires = [slow_publish(server, b"x" * 1_000_000) for _ in range(40)]
        for wire, rest in wires:
            memory = control.call("server.info", "memory")["memory"]
            assert memory["used_bytes"] <= memory["max_bytes"]
            wire.send_bytes(rest)
        outcomes = [wire.outcome(1) for wire, _ in wires]
        stored = sum(result[1] for error, result in outcomes if not error)
        assert {error[0] for error, _ in outcomes if error} == {"MEMORY_LIMIT"}
        assert stored == 2 and control.call("queue.info", "q")["ready"] == stored
        for wire, _ in wires:
            wire.close()


def test_a_queue_deleted_by_another_connection_is_not_found_at_once(wire, other, new_queue):
    """Whatever a connection remembers of the queue that it used last."""
    for _ in range(20):
        queue = new_queue()
        assert wire.call("publish", queue, ["a"]) == [1, 1]
        other.call("queue.delete", queue)
        assert refusal(wire.call, "publish", queue, ["b"])[0] == "QUEUE_NOT_FOUND"
        other.call("queue.create", queue)
        assert wire.call("publish", queue, ["c"]) == [1, 1]


def test_deleting_and_creating_a_queue_in_one_write(wire, queue):
    """Each request meets the queue as the one before it has left it."""
    steps = [["publish", queue, ["a"]], ["queue.delete", queue], ["publish", queue, ["b"]], ["queue.create", queue],
             ["publish", queue, ["c", "d"]], ["receive", queue, {"max": 5}]]
    wire.send_bytes(pack(*([0, i, method, params] for i, (method, *params) in enumerate(steps))))
    assert [wire.answer(0), wire.answer(1)] == [[1, 1], 1]
    assert refusal(wire.answer, 2)[0] == "QUEUE_NOT_FOUND"
    assert wire.answer(4) == [1, 2] and [d[3] for d in wire.answer(5)] == [b"c", b"d"]
