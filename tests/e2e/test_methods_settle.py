"""ack, nack, extend and park: what happens to a delivery, and to a receipt that is dead."""

import time

import pytest
from wire import refusal, until

SETTLE = {"ack": (), "nack": (), "extend": (1000,), "park": ()}
each_method = pytest.mark.parametrize("method", SETTLE)


def take(wire, queue, count, **options):
    """Publishes some messages and receives them; returns their receipts."""
    wire.call("publish", queue, [f"body {i}" for i in range(count)])
    return [d[0] for d in wire.call("receive", queue, {"max": count, **options})]


def counts(wire, queue):
    info = wire.call("queue.info", queue)
    return [info[state] for state in ("delayed", "ready", "inflight", "parked")]


def stale(index, receipt):
    return [index, "RECEIPT_STALE", {"index": index, "receipt": receipt}]


def entries(answer):
    """The count, and the entries without their texts."""
    count, refused = answer
    return count, [[index, error[0], *error[2:]] for index, error in refused]


# ---- what the four have in common --------------------------------------------------------------------------


@each_method
def test_the_answer_is_how_many_were_settled(wire, queue, method):
    """A number alone, if all receipts were good."""
    receipts = take(wire, queue, 4)
    assert wire.call(method, receipts[:1], *SETTLE[method]) == 1
    assert wire.call(method, receipts[1:], *SETTLE[method]) == 3


@each_method
def test_a_stale_receipt_is_an_entry_and_the_rest_is_applied(wire, queue, method):
    """In a batch of one too; the details name index and receipt."""
    dead, good, never = *take(wire, queue, 2), 2**53 - 1
    wire.call("ack", [dead])
    assert entries(wire.call(method, [dead], *SETTLE[method])) == (0, [stale(0, dead)])
    answer = wire.call(method, [dead, never, good, 0], *SETTLE[method])
    assert entries(answer) == (1, [stale(0, dead), stale(1, never), stale(3, 0)])


@each_method
def test_a_receipt_that_is_no_integer_is_an_entry(wire, queue, method):
    """BAD_REQUEST for that element, and the rest is applied."""
    (good,) = take(wire, queue, 1)
    wrong = ["1", None, -1, 1.5, 2**53, [good], True]
    count, refused = entries(wire.call(method, wrong + [good], *SETTLE[method]))
    assert count == 1
    assert [entry[:2] for entry in refused] == [[index, "BAD_REQUEST"] for index in range(len(wrong))]


@each_method
def test_an_empty_batch_is_a_bad_request(wire, method):
    """There is nothing to settle."""
    assert refusal(wire.call, method, [], *SETTLE[method])[:2] == ("BAD_REQUEST", {"key": "receipts"})


@each_method
def test_a_batch_above_max_batch_is_limit(wire, queue, method):
    """Nothing of it is settled."""
    (receipt,) = take(wire, queue, 1)
    assert refusal(wire.call, method, [receipt] + [1] * 1000, *SETTLE[method])[:2] == ("LIMIT", {"which": "max_batch"})
    assert counts(wire, queue) == [0, 0, 1, 0]


@each_method
def test_a_receipt_works_from_any_connection(wire, other, queue, method):
    """Whoever knows it may settle."""
    receipts = take(wire, queue, 2)
    assert other.call(method, receipts, *SETTLE[method]) == 2


@pytest.mark.parametrize("method", ["ack", "nack", "park"])
def test_the_same_receipt_twice_in_a_call_is_stale_the_second_time(wire, queue, method):
    """The first has settled it."""
    (receipt,) = take(wire, queue, 1)
    assert entries(wire.call(method, [receipt, receipt], *SETTLE[method])) == (1, [stale(1, receipt)])


@each_method
def test_a_receipt_is_dead_after_a_timeout_and_the_second_holder_is_not_disturbed(wire, other, queue, method):
    """Whoever was too slow changes nothing about the next delivery of the message."""
    (slow,) = take(wire, queue, 1, visibility=20)
    ((second, _, attempts, _),) = other.call("receive", queue, {"wait": 10000})
    assert attempts == 2
    assert entries(wire.call(method, [slow], *SETTLE[method])) == (0, [stale(0, slow)])
    assert counts(wire, queue) == [0, 0, 1, 0]
    assert other.call("ack", [second]) == 1


@pytest.mark.parametrize("end", ["ack", "nack", "park", "purge", "delete", "extend 0"])
def test_a_receipt_is_dead_after_everything_that_ends_its_delivery(wire, queue, end):
    """ack, nack, park, purge, deletion of the queue."""
    (receipt,) = take(wire, queue, 1)
    call = {"purge": ("queue.purge", queue), "delete": ("queue.delete", queue), "extend 0": ("extend", [receipt], 0)}
    assert wire.call(*call.get(end, (end, [receipt]))) == 1
    if end == "delete":
        wire.call("queue.create", queue)
        assert take(wire, queue, 1) != [receipt]
    for method, more in SETTLE.items():
        assert entries(wire.call(method, [receipt], *more)) == (0, [stale(0, receipt)])


# ---- ack ---------------------------------------------------------------------------------------------------


def test_ack_removes_the_message(wire, queue):
    """It is counted, and its room is free."""
    receipts = take(wire, queue, 3)
    assert wire.call("ack", receipts[1:2]) == 1
    info = wire.call("queue.info", queue)
    assert (info["total"], info["acked"], info["bytes"]) == (2, 1, 2 * len("body 0"))


def test_ack_multiple_settles_what_the_same_receive_had_before_it(wire, queue):
    """Deliveries of other receives stay."""
    earlier = take(wire, queue, 2)
    receipts = take(wire, queue, 4)
    assert wire.call("ack", [receipts[2]], {"multiple": True}) == 3
    assert counts(wire, queue) == [0, 0, 3, 0]
    assert wire.call("ack", earlier + receipts[3:]) == 3


def test_ack_multiple_settles_what_the_same_consumer_had_before_it(wire, queue):
    """Deliveries of another consumer stay, and the credit comes back."""
    one, two = wire.call("consume", queue, {"prefetch": 3}), wire.call("consume", queue, {"prefetch": 3})
    wire.call("publish", queue, list("abcdef"))
    got = {one: [], two: []}
    while sum(map(len, got.values())) < 6:
        _, (consumer, deliveries) = wire.push()
        got[consumer] += deliveries
    assert wire.call("ack", [got[one][1][0]], {"multiple": True}) == 2
    assert counts(wire, queue) == [0, 0, 4, 0]
    wire.call("publish", queue, list("gh"))
    assert [d[3] for d in wire.deliveries(one, 2)] == [b"g", b"h"]


def test_ack_multiple_with_receipts_that_cover_each_other(wire, queue):
    """The one that is covered already is a stale entry."""
    receipts = take(wire, queue, 3)
    answer = wire.call("ack", [receipts[2], receipts[0]], {"multiple": True})
    assert entries(answer) == (3, [stale(1, receipts[0])])


def test_ack_multiple_false_settles_the_named_ones_only(wire, queue):
    """The option may be named without being set."""
    receipts = take(wire, queue, 3)
    assert wire.call("ack", [receipts[2]], {"multiple": False}) == 1


# ---- nack --------------------------------------------------------------------------------------------------


def test_nack_gives_messages_back_to_their_places_at_once(wire, queue):
    """Before younger ones, with the next attempt."""
    receipts = take(wire, queue, 2)
    wire.call("publish", queue, ["younger"])
    assert wire.call("nack", receipts[::-1]) == 2
    assert [d[1:3] for d in wire.call("receive", queue, {"max": 3})] == [[1, 2], [2, 2], [3, 1]]
    assert wire.call("queue.info", queue)["nacked"] == 2


def test_nack_with_a_delay_lets_the_message_wait(wire, queue):
    """Delayed, not ready before the delay is over; a delay of 0 is none."""
    receipts = take(wire, queue, 2)
    start = time.monotonic()
    wire.call("nack", receipts[:1], {"delay": 60})
    wire.call("nack", receipts[1:], {"delay": 0})
    assert counts(wire, queue) == [1, 1, 0, 0]
    assert [d[1] for d in wire.call("receive", queue, {"max": 2})] == [2]
    assert [d[1] for d in wire.call("receive", queue, {"wait": 10000})] == [1]
    assert time.monotonic() - start >= 0.060


def test_nack_dead_parks_with_the_clients_note(wire, queue):
    """Reason rejected; without a note there is none."""
    receipts = take(wire, queue, 2)
    assert wire.call("nack", receipts[:1], {"dead": True, "note": "broken beyond repair"}) == 1
    assert wire.call("nack", receipts[1:], {"dead": True}) == 1
    first, second = wire.call("peek", queue, {"state": "parked"})["messages"]
    assert (first["reason"], first["note"]) == ("rejected", "broken beyond repair")
    assert second["reason"] == "rejected" and "note" not in second


def test_nack_dead_and_delay_together_are_a_bad_request(wire, queue):
    """Nothing happens to the messages; dead: false says nothing."""
    (receipt,) = take(wire, queue, 1)
    assert refusal(wire.call, "nack", [receipt], {"dead": True, "delay": 5})[0] == "BAD_REQUEST"
    assert refusal(wire.call, "nack", [receipt], {"dead": True, "delay": 0})[0] == "BAD_REQUEST"
    assert counts(wire, queue) == [0, 0, 1, 0]
    assert wire.call("nack", [receipt], {"dead": False, "delay": 3600_000}) == 1
    assert counts(wire, queue) == [1, 0, 0, 0]


@pytest.mark.parametrize("method, options", [("nack", {"dead": True}), ("park", {})])
def test_a_note_has_at_most_1024_bytes(wire, queue, method, options):
    """One more is BAD_REQUEST, and so is one that is not UTF-8."""
    receipts = take(wire, queue, 1)
    assert refusal(wire.call, method, receipts, {**options, "note": b"\xc3"})[:2] == ("BAD_REQUEST", {"key": "note"})
    assert refusal(wire.call, method, receipts, {**options, "note": "x" * 1025})[:2] == ("BAD_REQUEST", {"key": "note"})
    assert wire.call(method, receipts, {**options, "note": "x" * 1024}) == 1
    assert wire.call("peek", queue)["messages"][0]["note"] == "x" * 1024


def test_nack_at_max_attempts_parks(wire, new_queue):
    """With the note, if the client gives one; the delay does not matter any more."""
    queue = new_queue(max_attempts=1)
    receipts = take(wire, queue, 2)
    wire.call("nack", receipts[:1], {"delay": 5})
    wire.call("nack", receipts[1:])
    assert counts(wire, queue) == [0, 0, 0, 2]
    assert {m["reason"] for m in wire.call("peek", queue)["messages"]} == {"max_attempts"}


def test_an_inflight_message_whose_ttl_is_over_is_gone_when_it_comes_back(wire, queue):
    """Not before: an ack in time would have counted."""
    wire.call("publish", queue, [["a", {"ttl": 30}], ["b", {"ttl": 30}]])
    a, b = [d[0] for d in wire.call("receive", queue, {"max": 2})]
    wire.call("receive", queue, {"wait": 50})
    assert counts(wire, queue) == [0, 0, 2, 0]
    assert wire.call("ack", [a]) == 1
    assert wire.call("nack", [b]) == 1
    assert wire.call("queue.info", queue)["expired"] == 1 and counts(wire, queue) == [0, 0, 0, 0]


# ---- extend ------------------------------------------------------------------------------------------------


def test_extend_keeps_a_delivery_from_running_out(wire, queue):
    """The new end is `visibility` from now; the receipt stays the same."""
    start = time.monotonic()
    (receipt,) = take(wire, queue, 1, visibility=40)
    assert wire.call("extend", [receipt], 200) == 1
    ((again, _, attempts, _),) = wire.call("receive", queue, {"wait": 10000})
    assert time.monotonic() - start >= 0.200 and attempts == 2 and again != receipt


def test_extend_can_also_shorten(wire, queue):
    """It sets an end, it does not add."""
    (receipt,) = take(wire, queue, 1, visibility=3600_000)
    wire.call("extend", [receipt], 20)
    assert wire.call("receive", queue, {"wait": 10000})[0][2] == 2


def test_extend_0_gives_back(wire, queue):
    """As nack does."""
    receipts = take(wire, queue, 2)
    assert wire.call("extend", receipts, 0) == 2
    assert counts(wire, queue) == [0, 2, 0, 0]
    assert wire.call("queue.info", queue)["nacked"] == 2


def test_extend_beyond_max_hold_is_a_limit_entry(wire, new_queue):
    """Counted from the hand-over; the delivery keeps the end it had, and the rest is applied."""
    tight, loose = new_queue(max_hold=5000, visibility=5000), new_queue()
    (a,), (b,) = take(wire, tight, 1), take(wire, loose, 1)
    count, refused = entries(wire.call("extend", [a, b], 5001))
    assert count == 1 and refused[0][:2] == [0, "LIMIT"] and refused[0][2]["which"] == "max_hold"
    assert wire.call("extend", [a], 1000) == 1


# ---- park --------------------------------------------------------------------------------------------------


def test_park_sets_messages_aside(wire, queue):
    """Nobody gets them; peek shows reason and note."""
    receipts = take(wire, queue, 2)
    assert wire.call("park", receipts, {"note": "wait for the new release"}) == 2
    assert wire.call("receive", queue) == [] and counts(wire, queue) == [0, 0, 0, 2]
    for message in wire.call("peek", queue)["messages"]:
        assert (message["reason"], message["note"]) == ("requested", "wait for the new release")
    assert wire.call("queue.info", queue)["parks"] == 2


def test_parking_ends_the_ttl(wire, queue):
    """A parked message stays although its ttl is over, also after a kick."""
    wire.call("publish", queue, [["kept", {"ttl": 60}], ["not kept", {"ttl": 60}]])
    wire.call("park", [wire.call("receive", queue)[0][0]])
    until(lambda: wire.call("queue.info", queue)["expired"] == 1)
    assert counts(wire, queue) == [0, 0, 0, 1]
    wire.call("kick", queue, 1)
    assert wire.call("receive", queue)[0][3] == b"kept"
