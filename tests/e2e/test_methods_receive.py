"""receive: what it takes, how it waits, whom it leaves alone."""

import time

import pytest
from wire import refusal, until


def waiters(wire, queue, count):
    """Waits until so many receives wait at the queue."""
    until(lambda: wire.call("queue.info", queue)["waiters"] == count, f"{count} waiters")


def test_receive_answers_deliveries_in_the_order_of_their_ids(wire, queue):
    """One message without `max`, else up to `max`."""
    wire.call("publish", queue, ["a", "b", "c", "d"])
    first = wire.call("receive", queue)
    rest = wire.call("receive", queue, {"max": 10})
    assert [d[1:] for d in first + rest] == [[1, 1, b"a"], [2, 1, b"b"], [3, 1, b"c"], [4, 1, b"d"]]
    assert len({d[0] for d in first + rest}) == 4


def test_receive_from_an_empty_queue_answers_an_empty_list_at_once(wire, queue):
    """Without `wait` nothing is waited for."""
    assert wire.call("receive", queue) == []
    assert wire.call("receive", queue, {"max": 5, "wait": 0}) == []


def test_receive_that_waits_answers_an_empty_list_when_its_time_is_over_and_not_before(wire, queue):
    """The wait is never shorter than asked for."""
    start = time.monotonic()
    assert wire.call("receive", queue, {"wait": 60}) == []
    assert time.monotonic() - start >= 0.060


def test_receive_that_waits_is_answered_by_a_publish(wire, other, queue):
    """The message goes to the waiter at once, with what else is there."""
    poll = wire.send("receive", queue, {"max": 3, "wait": 20000})
    waiters(other, queue, 1)
    other.call("publish", queue, ["a", "b"])
    assert [d[3] for d in wire.answer(poll)] == [b"a", b"b"]
    assert other.call("queue.info", queue)["waiters"] == 0


def test_waiters_are_served_in_the_order_of_their_arrival(wire, other, queue):
    """Three polls, three messages one after the other."""
    polls = [wire.send("receive", queue, {"wait": 20000}) for _ in range(3)]
    waiters(other, queue, 3)
    for body in "abc":
        other.call("publish", queue, [body])
    assert [wire.answer(poll)[0][3] for poll in polls] == [b"a", b"b", b"c"]


def test_one_batch_is_dealt_to_all_who_wait(wire, other, queue):
    """One message each time around the ring; everybody who got something is answered."""
    polls = [wire.send("receive", queue, {"max": 2, "wait": 20000}) for _ in range(3)]
    waiters(other, queue, 3)
    other.call("publish", queue, list("abcde"))
    assert [[d[3] for d in wire.answer(poll)] for poll in polls] == [[b"a", b"d"], [b"b", b"e"], [b"c"]]


def test_a_receive_does_not_overtake_one_that_waits(wire, other, queue):
    """A newcomer gets what those before it have left."""
    poll = wire.send("receive", queue, {"wait": 20000})
    waiters(other, queue, 1)
    publish = other.send("publish", queue, ["a"])
    newcomer = other.send("receive", queue)
    assert [d[3] for d in wire.answer(poll)] == [b"a"]
    assert other.answer(publish) == [1, 1] and other.answer(newcomer) == []


def test_a_message_that_is_not_settled_comes_back_after_its_visibility(wire, queue):
    """Same id, next attempt, new receipt, and not early."""
    wire.call("publish", queue, ["a", "b"])
    start = time.monotonic()
    ((receipt, *first),) = wire.call("receive", queue, {"visibility": 80})
    assert first == [1, 1, b"a"]
    ((_, *second),) = wire.call("receive", queue)
    assert second == [2, 1, b"b"]
    ((again, *third),) = wire.call("receive", queue, {"wait": 10000})
    assert time.monotonic() - start >= 0.080
    assert third == [1, 2, b"a"] and again != receipt
    info = wire.call("queue.info", queue)
    assert (info["timed_out"], info["redelivered"], info["delivered"]) == (1, 1, 3)


def test_a_message_that_comes_back_takes_its_place_before_younger_ones(wire, queue):
    """Not the end of the queue."""
    wire.call("publish", queue, ["a", "b", "c"])
    wire.call("receive", queue, {"visibility": 20})
    until(lambda: wire.call("queue.info", queue)["ready"] == 3)
    assert [d[3] for d in wire.call("receive", queue, {"max": 3})] == [b"a", b"b", b"c"]


def test_the_queues_visibility_holds_for_receives_that_name_none(wire, new_queue):
    """It is read at the time of the delivery."""
    queue = new_queue(visibility=20)
    wire.call("publish", queue, ["a"])
    wire.call("receive", queue)
    assert wire.call("receive", queue, {"wait": 10000})[0][2] == 2


def test_max_attempts_parks_a_message_that_comes_back(wire, new_queue):
    """At the moment of the return, with reason max_attempts."""
    queue = new_queue(max_attempts=2)
    wire.call("publish", queue, ["a"])
    for attempt in (1, 2):
        assert wire.call("receive", queue, {"visibility": 20, "wait": 10000})[0][2] == attempt
    until(lambda: wire.call("queue.info", queue)["parked"] == 1)
    (message,) = wire.call("peek", queue)["messages"]
    assert message["state"] == "parked" and message["reason"] == "max_attempts" and message["attempts"] == 2
    assert wire.call("receive", queue) == []


def test_an_answer_stops_before_max_response_bytes_with_one_message_at_least(start_server):
    """Large bodies come in several answers."""
    server = start_server("--max_response_bytes", "100kb")
    with server.connect() as wire:
        wire.call("queue.create", "q")
        wire.call("publish", "q", [b"x" * 40_000] * 5 + [b"y" * 200_000, b"z"])
        sizes = []
        while deliveries := wire.call("receive", "q", {"max": 100}):
            sizes.append([len(d[3]) for d in deliveries])
        assert sizes == [[40_000, 40_000], [40_000, 40_000], [40_000], [200_000], [1]]


def test_the_connection_of_a_waiter_ends_and_no_message_is_lost(wire, server, queue):
    """A waiter that is gone gets nothing."""
    with server.connect() as gone:
        gone.send("receive", queue, {"wait": 20000})
        waiters(wire, queue, 1)
    waiters(wire, queue, 0)
    wire.call("publish", queue, ["a"])
    assert [d[1:] for d in wire.call("receive", queue)] == [[1, 1, b"a"]]


def test_what_a_receive_took_stays_inflight_when_its_connection_ends(wire, server, queue):
    """Its receipt is good on another connection."""
    wire.call("publish", queue, ["a"])
    with server.connect() as gone:
        ((receipt, *_),) = gone.call("receive", queue)
    clients = wire.call("server.info", "clients")["clients"]["connections"]
    until(lambda: wire.call("server.info", "clients")["clients"]["connections"] <= clients)
    assert wire.call("queue.info", queue)["inflight"] == 1
    assert wire.call("ack", [receipt]) == 1


def test_deleting_the_queue_answers_its_waiters_with_queue_not_found(wire, other, queue):
    """They do not wait for what can't come."""
    poll = wire.send("receive", queue, {"wait": 20000})
    waiters(other, queue, 1)
    other.call("queue.delete", queue)
    assert refusal(wire.answer, poll)[0] == "QUEUE_NOT_FOUND"


def test_a_paused_queue_lets_receives_wait_and_serves_them_when_resumed(wire, other, queue):
    """It delivers nothing, not even what is ready."""
    other.call("publish", queue, ["a"])
    other.call("queue.pause", queue)
    assert wire.call("receive", queue) == []
    poll = wire.send("receive", queue, {"wait": 20000})
    waiters(other, queue, 1)
    other.call("queue.resume", queue)
    assert wire.answer(poll)[0][3] == b"a"


@pytest.mark.parametrize("options, refused", [
    ({"max": 0}, ("BAD_REQUEST", {"key": "max"})),
    ({"max": 1001}, ("LIMIT", {"which": "max_batch"})),
    ({"wait": 20_001}, ("LIMIT", {"which": "max_wait"})),
    ({"visibility": 0}, ("BAD_REQUEST", {"key": "visibility"})),
    ({"visibility": 12 * 3600_000 + 1}, ("LIMIT", {"which": "max_hold"})),
])
def test_options_out_of_their_range_are_refused(wire, queue, options, refused):
    """What the format forbids is BAD_REQUEST, what a setting forbids is LIMIT, and no message is taken."""
    wire.call("publish", queue, ["a"])
    assert refusal(wire.call, "receive", queue, options)[:2] == refused
    assert wire.call("queue.info", queue)["ready"] == 1


def test_options_at_the_end_of_their_range_are_taken(wire, queue):
    """The limits themselves are allowed."""
    wire.call("publish", queue, ["a", "b"])
    assert len(wire.call("receive", queue, {"max": 1000, "wait": 20_000, "visibility": 12 * 3600_000})) == 2
    assert refusal(wire.call, "receive", queue, {"max": 1, "visibility": 1, "wait": 1, "more": 1})[0] == "BAD_REQUEST"


def test_a_visibility_above_the_queues_own_max_hold_is_limit(wire, new_queue):
    """max_hold is the queue's, so a queue may allow less or more."""
    queue = new_queue(max_hold=5000, visibility=1000)
    assert refusal(wire.call, "receive", queue, {"visibility": 5001})[:2] == ("LIMIT", {"which": "max_hold"})
    assert wire.call("receive", queue, {"visibility": 5000}) == []


def test_at_most_1024_receives_of_a_connection_wait(server, queue):
    """One more is refused, the others wait on, and other connections may wait too."""
    with server.connect() as many, server.connect() as another:
        polls = [many.send("receive", queue, {"wait": 20000}) for _ in range(1024)]
        assert refusal(many.call, "receive", queue, {"wait": 20000})[:2] == ("LIMIT", {"which": "max_waiters"})
        poll = another.send("receive", queue, {"wait": 20000})
        waiters(another, queue, 1025)
        for start in (0, 1000):
            another.call("publish", queue, ["x"] * min(1000, 1025 - start))
        assert sum(len(many.answer(p)) for p in polls) + len(another.answer(poll)) == 1025
