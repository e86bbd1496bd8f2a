"""consume, credit, cancel, and what the server pushes: deliver, cancelled."""

import time

import pytest
from wire import pack, refusal, until


def info(wire, queue, *names):
    answer = wire.call("queue.info", queue)
    return [answer[name] for name in names]


def test_consume_answers_an_id_of_this_connection_and_then_delivers(server, wire, queue):
    """The answer comes before the first deliver; ids of one connection differ."""
    wire.call("publish", queue, ["a", "b"])
    with server.connect() as consumer:
        msgid = consumer.send("consume", queue)
        while msgid not in consumer.answers:
            assert not consumer.pushed
            consumer.read()
        first = consumer.answer(msgid)
        assert [d[1:] for d in consumer.deliveries(first, 2)] == [[1, 1, b"a"], [2, 1, b"b"]]
        assert consumer.call("consume", queue) != first


def test_deliveries_carry_headers_and_group(wire, queue):
    """A delivery is the same as in the answer of receive."""
    consumer = wire.call("consume", queue)
    wire.call("publish", queue, [["a", {"headers": {"n": 5}, "group": "g"}], "b"])
    assert [d[3:] for d in wire.deliveries(consumer, 2)] == [[b"a", {"headers": {"n": 5}, "group": "g"}], [b"b"]]


def test_a_consumer_holds_at_most_prefetch_unacked_messages(wire, queue):
    """Each ack, nack or park makes room for the next one."""
    wire.call("publish", queue, [str(i) for i in range(6)])
    consumer = wire.call("consume", queue, {"prefetch": 2})
    a, b = wire.deliveries(consumer, 2)
    assert wire.quiet() and info(wire, queue, "inflight", "ready") == [2, 4]
    wire.call("ack", [a[0]])
    (c,) = wire.deliveries(consumer, 1)
    wire.call("park", [b[0]])
    (d,) = wire.deliveries(consumer, 1)
    assert [c[3], d[3]] == [b"2", b"3"]
    wire.call("nack", [c[0]], {"delay": 3600_000})
    assert wire.deliveries(consumer, 1)[0][3] == b"4"
    assert wire.quiet()


def test_the_prefetch_of_a_consumer_that_names_none_is_the_servers(start_server):
    """Option `prefetch`."""
    server = start_server("--prefetch", "3")
    with server.connect() as wire:
        wire.call("queue.create", "q")
        wire.call("publish", "q", ["x"] * 10)
        consumer = wire.call("consume", "q")
        wire.deliveries(consumer, 3)
        assert wire.quiet()


def test_an_ack_from_another_connection_gives_the_credit_back(wire, other, queue):
    """The receipt knows its holder."""
    wire.call("publish", queue, ["a", "b"])
    consumer = wire.call("consume", queue, {"prefetch": 1})
    (first,) = wire.deliveries(consumer, 1)
    assert other.call("ack", [first[0]]) == 1
    assert wire.deliveries(consumer, 1)[0][3] == b"b"


def test_consumers_are_served_in_turn(server, wire, queue):
    """One message each time around."""
    with server.connect() as one, server.connect() as two:
        first, second = one.call("consume", queue), two.call("consume", queue)
        wire.call("publish", queue, list("abcdef"))
        assert [d[3] for d in one.deliveries(first, 3)] == [b"a", b"c", b"e"]
        assert [d[3] for d in two.deliveries(second, 3)] == [b"b", b"d", b"f"]


def test_a_consumer_without_credit_is_passed_over(wire, queue):
    """The others do not wait for it."""
    stuck, going = wire.call("consume", queue, {"prefetch": 1}), wire.call("consume", queue, {"prefetch": 10})
    wire.call("publish", queue, list("abcde"))
    got = {stuck: [], going: []}
    while sum(map(len, got.values())) < 5:
        _, (consumer, deliveries) = wire.push()
        got[consumer] += [d[3] for d in deliveries]
    assert got == {stuck: [b"a"], going: [b"b", b"c", b"d", b"e"]}


def test_visibility_of_a_consumer_runs_out(wire, queue):
    """The message is delivered again, to the same consumer if it is the only one."""
    wire.call("publish", queue, ["a"])
    start = time.monotonic()
    consumer = wire.call("consume", queue, {"visibility": 60, "prefetch": 1})
    first, second = wire.deliveries(consumer, 1) + wire.deliveries(consumer, 1)
    assert time.monotonic() - start >= 0.060
    assert (first[1:3], second[1:3]) == ([1, 1], [1, 2])
    assert wire.call("ack", [first[0]])[0] == 0


@pytest.mark.parametrize("options, refused", [
    ({"prefetch": 1_000_001}, ("LIMIT", {"which": "max_prefetch"})),
    ({"visibility": 0}, ("BAD_REQUEST", {"key": "visibility"})),
    ({"visibility": 12 * 3600_000 + 1}, ("LIMIT", {"which": "max_hold"})),
    ({"ack": "never"}, ("BAD_REQUEST", {"key": "ack"})),
    ({"ack": ""}, ("BAD_REQUEST", {"key": "ack"})),
    ({"priority": 10}, ("BAD_REQUEST", {"key": "priority"})),
    ({"single_active": 1}, ("BAD_REQUEST", {"key": "single_active"})),
])
def test_options_out_of_their_range_are_refused(wire, queue, options, refused):
    """And there is no consumer then."""
    assert refusal(wire.call, "consume", queue, options)[:2] == refused
    assert info(wire, queue, "consumers") == [0]


def test_at_most_1024_consumers_of_a_connection(server, queue):
    """One more is refused; after a cancel there is room again."""
    with server.connect() as many:
        ids = [many.answer(msgid) for msgid in [many.send("consume", queue) for _ in range(1024)]]
        assert len(set(ids)) == 1024
        assert refusal(many.call, "consume", queue)[:2] == ("LIMIT", {"which": "max_consumers"})
        assert many.call("cancel", ids[0]) is True
        assert many.call("consume", queue) not in ids


# ---- credit ------------------------------------------------------------------------------------------------


def test_credit_changes_the_prefetch(wire, queue):
    """More at once, or fewer as those in hand are settled."""
    wire.call("publish", queue, list("abcdef"))
    consumer = wire.call("consume", queue, {"prefetch": 1})
    held = wire.deliveries(consumer, 1)
    assert wire.call("credit", consumer, 3) is True
    held += wire.deliveries(consumer, 2)
    assert wire.call("credit", consumer, 1) is True
    wire.call("ack", [held[0][0], held[1][0]])
    assert wire.quiet()
    wire.call("ack", [held[2][0]])
    assert wire.deliveries(consumer, 1)[0][3] == b"d"


def test_credit_0_pauses_a_consumer(wire, queue):
    """As does a consume with prefetch 0; it may hold and settle what it has."""
    consumer = wire.call("consume", queue, {"prefetch": 0})
    wire.call("publish", queue, ["a", "b"])
    assert wire.quiet()
    wire.call("credit", consumer, 1)
    (held,) = wire.deliveries(consumer, 1)
    wire.call("credit", consumer, 0)
    assert wire.call("ack", [held[0]]) == 1
    assert wire.quiet() and info(wire, queue, "ready") == [1]


def test_credit_of_an_unknown_consumer_is_consumer_not_found(wire, other, queue):
    """Also that of another connection's."""
    consumer = other.call("consume", queue)
    assert refusal(wire.call, "credit", 99, 1)[0] == "CONSUMER_NOT_FOUND"
    assert refusal(wire.call, "credit", consumer, 1)[0] == "CONSUMER_NOT_FOUND"


def test_credit_above_max_prefetch_is_limit(wire, queue):
    """1,000,000 is allowed."""
    consumer = wire.call("consume", queue)
    assert wire.call("credit", consumer, 1_000_000) is True
    assert refusal(wire.call, "credit", consumer, 1_000_001)[:2] == ("LIMIT", {"which": "max_prefetch"})


# ---- cancel ------------------------------------------------------------------------------------------------


def test_cancel_gives_back_what_the_consumer_holds(wire, queue):
    """At its places, the attempt counted, the receipts dead; after the answer nothing is delivered."""
    wire.call("publish", queue, ["a", "b", "c"])
    consumer = wire.call("consume", queue, {"prefetch": 2})
    held = wire.deliveries(consumer, 2)
    assert wire.call("cancel", consumer) is True
    assert [d[1:] for d in wire.call("receive", queue, {"max": 3})] == [[1, 2, b"a"], [2, 2, b"b"], [3, 1, b"c"]]
    assert wire.call("ack", [held[0][0]])[0] == 0
    wire.call("publish", queue, ["d"])
    assert wire.quiet() and info(wire, queue, "consumers", "returned") == [0, 2]


def test_cancel_counts_as_a_failure_for_max_attempts(wire, new_queue):
    """A message that had its last attempt is parked."""
    queue = new_queue(max_attempts=1)
    wire.call("publish", queue, ["a"])
    consumer = wire.call("consume", queue)
    wire.deliveries(consumer, 1)
    wire.call("cancel", consumer)
    assert wire.call("peek", queue)["messages"][0]["reason"] == "max_attempts"


def test_cancel_of_an_unknown_consumer_is_consumer_not_found(wire, other, queue):
    """Also the second cancel of the same, and that of another connection's."""
    consumer = other.call("consume", queue)
    assert refusal(wire.call, "cancel", consumer)[0] == "CONSUMER_NOT_FOUND"
    assert other.call("cancel", consumer) is True
    assert refusal(other.call, "cancel", consumer)[0] == "CONSUMER_NOT_FOUND"


def test_nothing_is_delivered_before_the_answer_to_consume_or_after_the_answer_to_cancel(wire, queue):
    """Also if everything is in one write: messages are there, a consumer comes and goes, more messages come."""
    requests = []
    for i in range(0, 200, 4):
        requests += [[0, i, "publish", [queue, ["a", "b"]]], [0, i + 1, "consume", [queue]],
                     [0, i + 2, "cancel", [i // 4 + 1]], [0, i + 3, "publish", [queue, ["c"]]]]
    wire.send_bytes(pack(*requests))
    wire.msgid = 200
    assert wire.answer(199) == [150, 1] and wire.call("ping") == "pong"
    for i in range(0, 200, 4):
        assert wire.answer(i + 1) == i // 4 + 1 and wire.answer(i + 2) is True
    held = set()
    for heard in wire.heard:
        if heard in range(1, 200, 4):
            held.add(heard // 4 + 1)
        elif heard in range(2, 200, 4):
            held.remove(heard // 4 + 1)
        elif heard == "deliver":
            assert wire.pushed.pop(0)[1][0] in held
    assert info(wire, queue, "ready", "inflight", "consumers") == [150, 0, 0]


def test_deliveries_stop_with_the_answer_to_cancel(wire, other, queue):
    """While another connection publishes without a pause."""
    for round_number in range(20):
        publishes = [other.send("publish", queue, ["x"] * 10) for _ in range(20)]
        consumer = wire.call("consume", queue, {"prefetch": 1000})
        wire.push()
        cancel = wire.send("cancel", consumer)
        assert wire.answer(cancel) is True
        assert wire.quiet()
        place = wire.heard.index(cancel)
        assert "deliver" not in wire.heard[place:], round_number
        wire.pushed.clear()
        for msgid in publishes:
            other.answer(msgid)
    assert info(wire, queue, "ready", "inflight") == [4000, 0]


# ---- the end of a connection, a queue ----------------------------------------------------------------------


def test_a_consumers_connection_ends_and_its_messages_go_back_at_once(wire, server, queue):
    """In order, the attempt counted, without waiting for the visibility."""
    wire.call("publish", queue, ["a", "b", "c"])
    with server.connect() as gone:
        gone.deliveries(gone.call("consume", queue, {"prefetch": 2}), 2)
    got = wire.call("receive", queue, {"max": 3, "wait": 10000})
    got += wire.call("receive", queue, {"max": 3, "wait": 10000}) if len(got) < 3 else []
    assert sorted(d[1:] for d in got) == [[1, 2, b"a"], [2, 2, b"b"], [3, 1, b"c"]]
    assert info(wire, queue, "consumers") == [0]


def test_deleting_a_queue_cancels_its_consumers(wire, other, queue):
    """`cancelled` with reason queue_deleted; the receipts are dead."""
    other.call("publish", queue, ["a"])
    consumer = wire.call("consume", queue)
    (held,) = wire.deliveries(consumer, 1)
    assert other.call("queue.delete", queue) == 1
    assert wire.push() == ["cancelled", [consumer, "queue_deleted"]]
    assert wire.call("ack", [held[0]])[0] == 0
    assert refusal(wire.call, "cancel", consumer)[0] == "CONSUMER_NOT_FOUND"


def test_a_paused_queue_delivers_nothing_to_its_consumers(wire, queue):
    """Until it is resumed."""
    consumer = wire.call("consume", queue)
    wire.call("queue.pause", queue)
    wire.call("publish", queue, ["a"])
    assert wire.quiet()
    wire.call("queue.resume", queue)
    assert wire.deliveries(consumer, 1)[0][3] == b"a"


# ---- ack: auto ---------------------------------------------------------------------------------------------


def test_ack_auto_settles_what_has_been_written(wire, queue):
    """The messages are gone without an ack, and there is no bound but the flow itself."""
    consumer = wire.call("consume", queue, {"ack": "auto", "prefetch": 2})
    wire.call("publish", queue, [str(i) for i in range(500)])
    got = wire.deliveries(consumer, 500)
    assert [d[3] for d in got] == [str(i).encode() for i in range(500)]
    until(lambda: info(wire, queue, "total", "acked") == [0, 500])
    assert wire.call("ack", [got[0][0]])[0] == 0


def test_ack_manual_is_the_default_and_can_be_named(wire, queue):
    """Both leave the message inflight."""
    wire.call("publish", queue, ["a", "b"])
    first = wire.call("consume", queue, {"prefetch": 1})
    wire.deliveries(first, 1)
    second = wire.call("consume", queue, {"ack": "manual"})
    wire.deliveries(second, 1)
    assert info(wire, queue, "inflight") == [2]


def slow_consumer(server, queue, options):
    """A connection with a small buffer that consumes and reads nothing but the answer of consume."""
    connection = server.connect(receive_bytes=4096)
    connection.call("consume", queue, options)
    return connection


@pytest.mark.parametrize("ack", ["manual", "auto"])
def test_what_was_never_written_goes_back_without_a_counted_attempt(start_server, ack):
    """A consumer takes more than the sockets hold and leaves: attempts stay 0 where nothing was written."""
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "q")
        slow = slow_consumer(server, "q", {"prefetch": 1000, "ack": ack})
        for _ in range(12):
            wire.call("publish", "q", [b"x" * 1_000_000])
        until(lambda: info(wire, "q", "inflight")[0] >= 2)
        slow.close()
        until(lambda: info(wire, "q", "inflight", "consumers") == [0, 0])
        messages = wire.call("peek", "q")["messages"]
        attempts = [message["attempts"] for message in messages]
        assert 0 in attempts, attempts
        assert attempts == sorted(attempts, reverse=True) and max(attempts) <= (1 if ack == "manual" else 0)
        assert messages[-1]["id"] == 12


def test_bodies_larger_than_max_output_are_delivered(start_server):
    """One at a time, as the connection drains; answers of receive too."""
    server = start_server("--max_output", "64kb")
    with server.connect() as wire, server.connect() as publisher:
        publisher.call("queue.create", "q")
        publisher.call("publish", "q", [b"x" * 300_000] * 6)
        consumer = wire.call("consume", "q", {"prefetch": 3})
        assert [len(d[3]) for d in wire.deliveries(consumer, 3)] == [300_000] * 3
        assert [len(d[3]) for d in wire.call("receive", "q", {"max": 3})] == [300_000] * 3
        assert wire.call("ping") == "pong"


def test_a_consumer_that_does_not_read_is_passed_over(start_server):
    """Others get far more than their turn: all but what fits into the slow one's buffers."""
    server = start_server("--max_output", "256kb")
    with server.connect() as wire, server.connect() as quick:
        wire.call("queue.create", "q")
        slow = slow_consumer(server, "q", {"prefetch": 100_000})
        consumer = quick.call("consume", "q", {"prefetch": 100_000})
        publishes = [wire.send("publish", "q", [b"x" * 100_000] * 10) for _ in range(60)]
        got = 0
        while got < 400:
            method, (who, deliveries) = quick.push()
            assert (method, who) == ("deliver", consumer)
            got += len(deliveries)
        assert sum(wire.answer(msgid)[1] for msgid in publishes) == 600
        slow.close()
