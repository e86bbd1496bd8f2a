"""Options of consume: priority, exclusive, single_active; and priorities of messages."""

import pytest
from picture import unchanged
from wire import refusal, until


def info(wire, queue, *names):
    answer = wire.call("queue.info", queue)
    return [answer[name] for name in names]


def bodies(deliveries):
    return [d[3].decode() for d in deliveries]


# ---- priorities of messages --------------------------------------------------------------------------------


def test_the_highest_priority_goes_first_and_then_the_lowest_id(wire, queue):
    """0 is the default; it is shown where it is not 0."""
    wire.call("publish", queue, [[f"{p}{i}", {"priority": p}] for i, p in enumerate([0, 5, 9, 5, 0, 1, 9])])
    got = wire.call("receive", queue, {"max": 9})
    assert bodies(got) == ["92", "96", "51", "53", "15", "00", "04"]
    assert [d[4]["priority"] if len(d) > 4 else 0 for d in got] == [9, 9, 5, 5, 1, 0, 0]


def test_a_message_that_comes_back_is_at_its_place_within_its_priority(wire, queue):
    """By nack, and at the end of a delay."""
    wire.call("publish", queue, [["a", {"priority": 3}], ["b", {"priority": 3}], ["c", {"priority": 4, "delay": 50}]])
    ((receipt, *_),) = wire.call("receive", queue)
    wire.call("nack", [receipt])
    until(lambda: info(wire, queue, "delayed") == [0])
    assert bodies(wire.call("receive", queue, {"max": 9})) == ["c", "a", "b"]


# ---- priorities of consumers -------------------------------------------------------------------------------


def test_the_consumer_with_the_highest_priority_is_served_first(server, wire, queue):
    """As long as it has credit; then the next."""
    with server.connect() as low, server.connect() as high:
        second = low.call("consume", queue, {"prefetch": 5})
        first = high.call("consume", queue, {"prefetch": 2, "priority": 9})
        wire.call("publish", queue, list("abcd"))
        held = high.deliveries(first, 2)
        assert bodies(held) == ["a", "b"] and bodies(low.deliveries(second, 2)) == ["c", "d"]
        high.call("ack", [held[0][0]])
        wire.call("publish", queue, ["e"])
        assert bodies(high.deliveries(first, 1)) == ["e"] and low.quiet()


def test_a_waiter_counts_as_priority_0(server, wire, queue):
    """It is served when no consumer of a higher priority can be."""
    with server.connect() as high:
        poll = wire.send("receive", queue, {"wait": 20_000})
        until(lambda: info(high, queue, "waiters") == [1])
        first = high.call("consume", queue, {"prefetch": 1, "priority": 1})
        high.call("publish", queue, ["a", "b"])
        assert bodies(high.deliveries(first, 1)) == ["a"]
        assert bodies(wire.answer(poll)) == ["b"]


@pytest.mark.parametrize("value", [10, 256, -1, 1.5, "9", None, True])
def test_a_priority_is_a_number_from_0_to_9(wire, queue, value):
    """Otherwise BAD_REQUEST, and there is no consumer."""
    with unchanged(wire, [queue]):
        assert refusal(wire.call, "consume", queue, {"priority": value})[:2] == ("BAD_REQUEST", {"key": "priority"})


@pytest.mark.parametrize("option", ["exclusive", "single_active"])
@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_the_flags_are_true_or_false(wire, queue, option, value):
    """Otherwise BAD_REQUEST, and there is no consumer."""
    with unchanged(wire, [queue]):
        assert refusal(wire.call, "consume", queue, {option: value})[:2] == ("BAD_REQUEST", {"key": option})


# ---- exclusive ---------------------------------------------------------------------------------------------


def test_an_exclusive_consumer_is_alone(wire, other, queue):
    """While it is there nobody else consumes or receives, its own connection neither."""
    consumer = wire.call("consume", queue, {"exclusive": True})
    with unchanged(wire, [queue]):
        for one in (wire, other):
            for method, options in (("consume", {}), ("consume", {"exclusive": True}), ("receive", {}),
                                    ("receive", {"wait": 1000})):
                assert refusal(one.call, method, queue, options) == ("QUEUE_IN_USE", {}, True)
    other.call("publish", queue, ["m"])
    assert bodies(wire.deliveries(consumer, 1)) == ["m"]
    wire.call("cancel", consumer)
    assert bodies(other.call("receive", queue)) == ["m"]


@pytest.mark.parametrize("who", ["consumer", "waiter"])
def test_exclusive_where_somebody_is_already(wire, other, queue, who):
    """QUEUE_IN_USE, and it may be tried again."""
    if who == "consumer":
        other.call("consume", queue)
    else:
        other.send("receive", queue, {"wait": 20_000})
        until(lambda: info(wire, queue, "waiters") == [1])
    with unchanged(wire, [queue]):
        assert refusal(wire.call, "consume", queue, {"exclusive": True}) == ("QUEUE_IN_USE", {}, True)


def test_the_end_of_its_connection_ends_the_exclusiveness(server, wire, queue):
    """Others may come."""
    with server.connect() as one:
        one.call("consume", queue, {"exclusive": True})
    until(lambda: info(wire, queue, "consumers") == [0])
    assert wire.call("consume", queue) > 0


# ---- single active -----------------------------------------------------------------------------------------


def test_one_is_active_and_the_others_take_over_at_once(server, wire, queue):
    """By priority, then in the order in which they came; what the active one held goes first."""
    with server.connect() as a, server.connect() as b, server.connect() as c:
        ids = {}
        for one, priority in ((a, 0), (b, 0), (c, 5)):
            ids[one] = one.call("consume", queue, {"single_active": True, "priority": priority, "prefetch": 2})
        wire.call("publish", queue, ["1", "2", "3"])
        assert bodies(a.deliveries(ids[a], 2)) == ["1", "2"] and b.quiet() and c.quiet()
        assert info(wire, queue, "consumers", "ready") == [3, 1]
        a.call("cancel", ids[a])
        assert bodies(c.deliveries(ids[c], 2)) == ["1", "2"] and b.quiet()
        c.close()
        assert bodies(b.deliveries(ids[b], 2)) == ["1", "2"] and a.quiet()


def test_while_one_is_active_nobody_receives(wire, other, queue):
    """QUEUE_IN_USE; who waited already is passed over until the mode ends."""
    poll = other.send("receive", queue, {"wait": 20_000})
    until(lambda: info(wire, queue, "waiters") == [1])
    plain = wire.call("consume", queue)
    consumer = wire.call("consume", queue, {"single_active": True, "prefetch": 1})
    with unchanged(wire, [queue]):
        assert refusal(wire.call, "receive", queue) == ("QUEUE_IN_USE", {}, True)
        assert refusal(wire.call, "receive", queue, {"wait": 5000}) == ("QUEUE_IN_USE", {}, True)
    wire.call("publish", queue, ["1", "2"])
    assert bodies(wire.deliveries(consumer, 1)) == ["1"] and wire.quiet()
    wire.call("cancel", plain)
    wire.call("cancel", consumer)
    assert len(other.answer(poll)) == 1


def test_exclusive_and_single_active_together(wire, other, queue):
    """Exclusive is the stronger one."""
    wire.call("consume", queue, {"exclusive": True, "single_active": True})
    assert refusal(other.call, "consume", queue, {"single_active": True})[0] == "QUEUE_IN_USE"
