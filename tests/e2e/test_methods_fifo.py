"""Queues of type fifo: groups, their locks, their order; and what is wrong with a message of one."""

import pytest
from picture import unchanged
from wire import refusal, until


@pytest.fixture
def fifo(new_queue):
    return new_queue(type="fifo")


def publish(wire, queue, *bodies, **options):
    """Messages whose group is the first letter of their body."""
    return wire.call("publish", queue, [[body, {"group": body[0], **options}] for body in bodies])


def receive(wire, queue, **options):
    """Receipts by body, in the order of their deliveries."""
    return {d[3].decode(): d[0] for d in wire.call("receive", queue, options)}


def entries(answer):
    return [[index, error[0], *error[2:]] for index, error in answer[2]]


# ---- messages ----------------------------------------------------------------------------------------------


def test_a_message_without_a_group_is_an_entry(wire, fifo):
    """GROUP_REQUIRED; its neighbours are stored."""
    answer = wire.call("publish", fifo, [["a", {"group": "g"}], "b", ["c", {}], ["d", {"group": "h"}]])
    assert answer[:2] == [1, 2] and entries(answer) == [[1, "GROUP_REQUIRED"], [2, "GROUP_REQUIRED"]]


@pytest.mark.parametrize("options, entry", [
    ({}, ["GROUP_REQUIRED"]),
    ({"group": ""}, ["BAD_REQUEST", {"key": "group"}]),
    ({"group": "x" * 129}, ["BAD_REQUEST", {"key": "group"}]),
    ({"group": b"\xff"}, ["BAD_REQUEST", {"key": "group"}]),
    ({"group": 5}, ["BAD_REQUEST", {"key": "group"}]),
    ({"group": None}, ["BAD_REQUEST", {"key": "group"}]),
    ({"group": "g", "priority": 1}, ["BAD_REQUEST", {"key": "priority"}]),
    ({"group": "g", "priority": 10}, ["BAD_REQUEST", {"key": "priority"}]),
])
def test_what_is_wrong_with_a_message_is_an_entry_and_nothing_is_stored(wire, fifo, options, entry):
    """With atomic it is the error of the call."""
    publish(wire, fifo, "a1", "b1")
    receive(wire, fifo)
    with unchanged(wire, [fifo]):
        answer = wire.call("publish", fifo, [["x", options]])
        assert answer[:2] == [None, 0] and entries(answer) == [[0, *entry]]
        code, details, _ = refusal(wire.call, "publish", fifo, [["ok", {"group": "g"}], ["x", options]],
                                   {"atomic": True})
        assert code == entry[0] and details["index"] == 1


def test_the_largest_group_and_any_text_are_taken(wire, fifo):
    """1 to 128 bytes of UTF-8; it comes back as text."""
    groups = ["x", "x" * 128, "grün", "a b\n", "\0"]
    wire.call("publish", fifo, [["m", {"group": group}] for group in groups])
    assert [d[4]["group"] for d in wire.call("receive", fifo, {"max": 9})] == groups


# ---- receive -----------------------------------------------------------------------------------------------


def test_a_receive_takes_a_group_in_order_and_then_the_next(wire, fifo):
    """As many of a group as are there, up to max."""
    publish(wire, fifo, "a1", "b1", "a2", "c1", "b2", "a3")
    assert list(receive(wire, fifo, max=4)) == ["a1", "a2", "a3", "b1"]
    assert list(receive(wire, fifo, max=9)) == ["c1"]


def test_a_group_is_locked_while_one_of_it_is_inflight(wire, other, fifo):
    """For everybody, the holder's connection included; messages behind the lock count as ready."""
    publish(wire, fifo, "a1", "a2", "a3")
    first = receive(wire, fifo)
    assert list(first) == ["a1"]
    assert receive(wire, fifo, max=9) == receive(other, fifo, max=9) == {}
    assert wire.call("queue.info", fifo)["ready"] == 2
    poll = other.send("receive", fifo, {"wait": 20_000})
    wire.call("ack", [first["a1"]])
    assert [d[3] for d in other.answer(poll)] == [b"a2"]


def test_a_publish_into_a_locked_group_changes_nothing_about_the_lock(wire, fifo):
    """What comes is behind it."""
    publish(wire, fifo, "a1")
    receive(wire, fifo)
    publish(wire, fifo, "a2")
    assert receive(wire, fifo, max=9) == {}


def test_with_several_of_a_group_inflight_it_is_locked_until_the_last_has_left(wire, fifo):
    """What came back before is first again."""
    publish(wire, fifo, "a1", "a2", "a3")
    held = receive(wire, fifo, max=2)
    wire.call("nack", [held["a1"]])
    assert receive(wire, fifo, max=9) == {}
    wire.call("ack", [held["a2"]])
    assert list(receive(wire, fifo, max=9)) == ["a1", "a3"]


@pytest.mark.parametrize("way", ["ack", "park", "purge", "dead", "discard"])
def test_whatever_leaves_unlocks_its_group(wire, fifo, way):
    """Be it done with, set aside, dead, or removed."""
    publish(wire, fifo, "a1", "a2")
    receipt = receive(wire, fifo)["a1"]
    if way == "purge":
        wire.call("queue.purge", fifo, {"state": "inflight"})
    elif way == "dead":
        wire.call("nack", [receipt], {"dead": True})
    elif way == "discard":
        wire.call("nack", [receipt], {"delay": 3600_000})
        wire.call("discard", fifo, [1])
    else:
        wire.call(way, [receipt])
    assert list(receive(wire, fifo)) == ["a2"]


def test_a_message_that_comes_back_with_a_delay_holds_its_group(wire, fifo):
    """Order is kept; other groups go on."""
    publish(wire, fifo, "a1", "b1", "a2")
    wire.call("nack", [receive(wire, fifo)["a1"]], {"delay": 150})
    assert list(receive(wire, fifo, max=9)) == ["b1"]
    assert wire.call("queue.info", fifo)["delayed"] == 1
    assert list(receive(wire, fifo, max=9, wait=10_000)) == ["a1", "a2"]


def test_a_message_that_was_published_with_a_delay_holds_nobody(wire, fifo):
    """It has not taken its place yet, and takes it by its id when its delay is over."""
    wire.call("publish", fifo, [["a1", {"group": "a", "delay": 150}]])
    publish(wire, fifo, "a2", "a3")
    first = receive(wire, fifo)
    assert list(first) == ["a2"]
    until(lambda: wire.call("queue.info", fifo)["delayed"] == 0)
    wire.call("ack", list(first.values()))
    assert list(receive(wire, fifo, max=9)) == ["a1", "a3"]


def test_a_message_whose_visibility_is_over_is_first_of_its_group_again(wire, new_queue):
    """The lock ends with the delivery."""
    queue = new_queue(type="fifo", visibility=50)
    publish(wire, queue, "a1", "a2")
    (stale,) = receive(wire, queue).values()
    assert list(receive(wire, queue, max=2, wait=10_000, visibility=10_000)) == ["a1", "a2"]
    assert wire.call("ack", [stale])[0] == 0


def test_a_kicked_message_goes_back_to_its_place(wire, fifo):
    """Parked it held nobody."""
    publish(wire, fifo, "a1", "a2", "a3")
    wire.call("park", list(receive(wire, fifo).values()))
    held = receive(wire, fifo)
    assert list(held) == ["a2"]
    wire.call("kick", fifo, 1)
    wire.call("ack", list(held.values()))
    assert list(receive(wire, fifo, max=9)) == ["a1", "a3"]


def test_an_old_receipt_does_not_touch_what_uses_its_place_now(wire, fifo):
    """It is stale for ever; the lock of the newer delivery stays."""
    publish(wire, fifo, *(f"a{i}" for i in range(300)))
    old = []
    for _ in range(300):
        (receipt,) = receive(wire, fifo).values()
        wire.call("ack", [receipt])
        old.append(receipt)
    assert len(set(old)) == 300
    publish(wire, fifo, "a-last", "a-after")
    receive(wire, fifo)
    with unchanged(wire, [fifo]):
        for method, more in (("ack", []), ("nack", []), ("park", []), ("extend", [1000])):
            count, stale = wire.call(method, old, *more)
            assert count == 0 and {error[0] for _, error in stale} == {"RECEIPT_STALE"} and len(stale) == 300
        assert receive(wire, fifo, max=9) == {}


# ---- consume -----------------------------------------------------------------------------------------------


def bodies(deliveries):
    return [d[3].decode() for d in deliveries]


def test_a_consumer_gets_the_next_of_a_group_when_the_one_before_is_done(wire, fifo):
    """group_prefetch is 1 unless somebody says otherwise."""
    publish(wire, fifo, "a1", "a2", "b1", "a3")
    consumer = wire.call("consume", fifo)
    first, second = wire.deliveries(consumer, 2)
    assert bodies([first, second]) == ["a1", "b1"] and wire.quiet()
    wire.call("ack", [first[0]])
    assert bodies(wire.deliveries(consumer, 1)) == ["a2"] and wire.quiet()


@pytest.mark.parametrize("where", ["queue", "consumer"])
def test_group_prefetch_lets_a_consumer_have_more_of_a_group(wire, new_queue, where):
    """Of the queue, or of the consumer, which wins."""
    queue = new_queue(type="fifo", group_prefetch=3 if where == "queue" else 1)
    publish(wire, queue, *(f"a{i}" for i in range(6)))
    consumer = wire.call("consume", queue, {} if where == "queue" else {"group_prefetch": 3})
    held = wire.deliveries(consumer, 3)
    assert bodies(held) == ["a0", "a1", "a2"] and wire.quiet()
    wire.call("ack", [held[1][0]])
    assert bodies(wire.deliveries(consumer, 1)) == ["a3"] and wire.quiet()


def test_groups_are_shared_out_among_consumers(server, wire, fifo):
    """Each group has one holder at a time."""
    with server.connect() as one, server.connect() as two:
        first, second = one.call("consume", fifo), two.call("consume", fifo)
        publish(wire, fifo, "a1", "b1", "a2", "b2")
        assert bodies(one.deliveries(first, 1)) == ["a1"] and bodies(two.deliveries(second, 1)) == ["b1"]
        assert one.quiet() and two.quiet()


def test_a_group_goes_on_elsewhere_when_its_holder_is_gone(server, wire, fifo):
    """What it held is first."""
    publish(wire, fifo, "a1", "a2")
    with server.connect() as holder:
        holder.deliveries(holder.call("consume", fifo), 1)
        assert receive(wire, fifo) == {}
    assert list(receive(wire, fifo, max=9, wait=10_000)) == ["a1", "a2"]


def test_a_sticky_group_stays_with_the_consumer_that_has_it(server, wire, new_queue):
    """While it has something; a receive gets nothing of it."""
    queue = new_queue(type="fifo", sticky_groups=True)
    with server.connect() as one, server.connect() as two:
        first = one.call("consume", queue)
        publish(wire, queue, "a1", "a2")
        (held,) = one.deliveries(first, 1)
        second = two.call("consume", queue)
        publish(wire, queue, "b1")
        assert bodies(two.deliveries(second, 1)) == ["b1"]
        wire.call("ack", [held[0]])
        assert bodies(one.deliveries(first, 1)) == ["a2"]
        assert receive(wire, queue, max=9) == {}
        assert two.quiet()


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None, True])
def test_group_prefetch_of_a_consumer_is_a_number_from_1(wire, fifo, value):
    """Otherwise BAD_REQUEST, and there is no consumer."""
    with unchanged(wire, [fifo]):
        assert refusal(wire.call, "consume", fifo, {"group_prefetch": value})[:2] == (
            "BAD_REQUEST", {"key": "group_prefetch"})


# ---- a story -----------------------------------------------------------------------------------------------


def test_every_group_is_seen_in_order_by_many_consumers(server, wire, new_queue):
    """Forty groups of fifty, six consumers that fail now and then: each group's acks are in the order of its ids."""
    queue = new_queue(type="fifo", group_prefetch=1)
    groups, each = 40, 50
    for number in range(each):
        wire.call("publish", queue, [[f"{group} {number}", {"group": f"g{group}"}] for group in range(groups)])
    wires = [server.connect() for _ in range(6)]
    for one in wires:
        one.call("consume", queue, {"prefetch": 7})
    done, failed = {}, set()
    while sum(map(len, done.values())) < groups * each:
        for one in wires:
            one.call("ping")
            while one.pushed:
                _, (_, deliveries) = one.pushed.pop(0)
                for receipt, _, _, body, _ in deliveries:
                    group, number = map(int, body.split())
                    if (group * 7 + number) % 11 == 0 and (group, number) not in failed:
                        failed.add((group, number))
                        assert one.call("nack", [receipt]) == 1
                    else:
                        assert one.call("ack", [receipt]) == 1
                        done.setdefault(group, []).append(number)
    assert all(numbers == list(range(each)) for numbers in done.values())
    for one in wires:
        one.close()
    until(lambda: wire.call("queue.info", queue)["consumers"] == 0)
    assert wire.call("queue.info", queue)["total"] == 0
