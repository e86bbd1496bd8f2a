"""Topics: their life, subscriptions, patterns, filters, and publishing to one."""

import itertools

import pytest
from picture import unchanged
from wire import ServerError, pack, refusal, until

numbers = itertools.count(1)


@pytest.fixture
def topic(wire):
    name = f"topic-{next(numbers)}"
    assert wire.call("topic.create", name) == {"created": True}
    return name


def bodies(wire, queue):
    return [m["body"].decode() for m in wire.call("peek", queue, {"max": 1000})["messages"]]


# ---- life --------------------------------------------------------------------------------------------------


def test_create_makes_a_topic_and_the_same_call_again_changes_nothing(wire):
    """created is true the first time, false the second."""
    assert wire.call("topic.create", "once") == {"created": True}
    assert wire.call("topic.create", "once") == {"created": False}
    assert wire.call("topic.delete", "once") is True
    assert refusal(wire.call, "topic.delete", "once")[0] == "TOPIC_NOT_FOUND"


def test_topics_have_names_of_their_own(wire, queue):
    """A topic may have the name of a queue, and each is found where it is looked for."""
    assert refusal(wire.call, "topic.info", queue)[0] == "TOPIC_NOT_FOUND"
    assert wire.call("topic.create", queue) == {"created": True}
    assert wire.call("topic.subscribe", queue, queue) == {"created": True}
    assert wire.call("topic.publish", queue, "k", ["m"]) == 1
    assert bodies(wire, queue) == ["m"]


@pytest.mark.parametrize("name", ["", "a b", "x" * 256, "ä", 5, None, ["t"]])
def test_a_topics_name_is_a_name(wire, queue, topic, name):
    """Of 1 to 255 characters, like a queue's; everywhere."""
    bad = ("BAD_REQUEST", {"key": "topic"})
    with unchanged(wire):
        for method, *rest in (["create"], ["delete"], ["info"], ["subscribe", queue], ["unsubscribe", queue],
                              ["publish", "key", ["m"]]):
            assert refusal(wire.call, f"topic.{method}", name, *rest)[:2] == bad


def test_methods_of_a_topic_that_is_not_there(wire, queue):
    """TOPIC_NOT_FOUND."""
    with unchanged(wire):
        for method, *rest in (["delete"], ["info"], ["subscribe", queue], ["unsubscribe", queue],
                              ["publish", "key", ["m"]]):
            assert refusal(wire.call, f"topic.{method}", "nowhere", *rest) == ("TOPIC_NOT_FOUND", {}, False)


def test_info_shows_subscriptions_in_order_and_counts(wire, topic, new_queue):
    """By queue, then by pattern; no filter is nil."""
    one, two = sorted([new_queue(), new_queue()])
    wire.call("topic.subscribe", topic, two, {"filter": {"n": 5}})
    wire.call("topic.subscribe", topic, one, {"pattern": "b"})
    wire.call("topic.subscribe", topic, one, {"pattern": "a.*"})
    wire.call("topic.publish", topic, "b", ["m", "n"])
    assert wire.call("topic.info", topic) == {
        "name": topic, "published": 2, "routed": 2, "subscriptions": [
            {"queue": one, "pattern": "a.*", "filter": None}, {"queue": one, "pattern": "b", "filter": None},
            {"queue": two, "pattern": "#", "filter": {"n": 5}}]}


def test_list_is_sorted_and_comes_in_pages(wire):
    """By prefix and cursor, like queue.list."""
    for name in ("page.b", "page.a", "page.c", "pag"):
        wire.call("topic.create", name)
    first = wire.call("topic.list", {"prefix": "page.", "max": 2})
    assert [t["name"] for t in first["topics"]] == ["page.a", "page.b"] and first["next"] == "page.c"
    rest = wire.call("topic.list", {"prefix": "page.", "cursor": first["next"]})
    assert rest == {"topics": [{"name": "page.c", "published": 0, "routed": 0, "subscriptions": 0}], "next": None}
    assert refusal(wire.call, "topic.list", {"max": 0})[:2] == ("BAD_REQUEST", {"key": "max"})
    assert refusal(wire.call, "topic.list", {"max": 1001})[:2] == ("LIMIT", {"which": "max_batch"})


def test_deleting_a_topic_ends_its_subscriptions_and_touches_no_message(wire, topic, queue):
    """A new one of that name has none."""
    wire.call("topic.subscribe", topic, queue)
    wire.call("topic.publish", topic, "k", ["m"])
    wire.call("topic.delete", topic)
    wire.call("topic.create", topic)
    assert wire.call("topic.publish", topic, "k", ["n"]) == 0
    assert bodies(wire, queue) == ["m"]


def test_deleting_a_queue_ends_its_subscriptions(wire, topic, queue):
    """A new one of that name has none."""
    wire.call("topic.subscribe", topic, queue)
    wire.call("topic.subscribe", topic, queue, {"pattern": "a"})
    wire.call("queue.delete", queue)
    assert wire.call("topic.info", topic)["subscriptions"] == []
    wire.call("queue.create", queue)
    assert wire.call("topic.publish", topic, "a", ["m"]) == 0


# ---- subscriptions -----------------------------------------------------------------------------------------


def test_a_subscription_again_gets_the_new_filter(wire, topic, queue):
    """Topic, queue and pattern name it."""
    assert wire.call("topic.subscribe", topic, queue, {"pattern": "a"}) == {"created": True}
    assert wire.call("topic.subscribe", topic, queue, {"pattern": "a", "filter": {"k": 1}}) == {"created": False}
    (subscription,) = wire.call("topic.info", topic)["subscriptions"]
    assert subscription["filter"] == {"k": 1}
    assert wire.call("topic.subscribe", topic, queue, {"pattern": "a", "filter": {}}) == {"created": False}
    assert wire.call("topic.info", topic)["subscriptions"][0]["filter"] is None


def test_unsubscribe_ends_one_or_all(wire, topic, queue):
    """With a pattern that one, without all of that queue; what is not there is NOT_FOUND."""
    for pattern in ("a", "b", ""):
        wire.call("topic.subscribe", topic, queue, {"pattern": pattern})
    assert wire.call("topic.unsubscribe", topic, queue, {"pattern": ""}) is True
    assert [s["pattern"] for s in wire.call("topic.info", topic)["subscriptions"]] == ["a", "b"]
    with unchanged(wire):
        assert refusal(wire.call, "topic.unsubscribe", topic, queue, {"pattern": ""})[0] == "NOT_FOUND"
        assert refusal(wire.call, "topic.unsubscribe", topic, queue, {"pattern": "c"})[0] == "NOT_FOUND"
    assert wire.call("topic.unsubscribe", topic, queue) is True
    assert wire.call("topic.info", topic)["subscriptions"] == []
    assert refusal(wire.call, "topic.unsubscribe", topic, queue)[0] == "NOT_FOUND"


def test_subscribing_a_queue_that_is_not_there(wire, topic):
    """QUEUE_NOT_FOUND, also when it is to be ended."""
    with unchanged(wire):
        assert refusal(wire.call, "topic.subscribe", topic, "nowhere")[0] == "QUEUE_NOT_FOUND"
        assert refusal(wire.call, "topic.unsubscribe", topic, "nowhere")[0] == "QUEUE_NOT_FOUND"


@pytest.mark.parametrize("pattern", ["a*", "#a", "a.b#", "**", "x" * 256, b"\xff", 5, None, ["a"]])
def test_a_pattern_that_is_none(wire, topic, queue, pattern):
    """BAD_REQUEST, and nothing is subscribed."""
    with unchanged(wire):
        for method in ("topic.subscribe", "topic.unsubscribe"):
            assert refusal(wire.call, method, topic, queue, {"pattern": pattern})[:2] == (
                "BAD_REQUEST", {"key": "pattern"})


@pytest.mark.parametrize("filter", [
    5, [], "k", None, {5: 1}, {b"\xff": 1}, {"k": []}, {"k": {}}, {"k": [[1]]}, {"k": {"prefix": 5}},
    {"k": {"prefix": "a", "exists": True}}, {"k": {"begins": "a"}}, {"k": {"exists": 1}}, {"k": {"numeric": []}},
    {"k": {"numeric": [">"]}}, {"k": {"numeric": [">", "5"]}}, {"k": {"numeric": ["~", 5]}},
    {"k": {"numeric": [">", 1, "<", 2, "=", 3]}}, {"k": {"anything-but": []}}, {"k": {"anything-but": {"a": 1}}},
    {f"k{i}": 1 for i in range(33)}, {"k": ["x"] * 65}, {"k": "x" * 5000},
])
def test_a_filter_that_is_none(wire, topic, queue, filter):
    """BAD_REQUEST, and nothing is subscribed or changed."""
    wire.call("topic.subscribe", topic, queue, {"pattern": "there", "filter": {"n": 1}})
    with unchanged(wire):
        for pattern in ("#", "there"):
            assert refusal(wire.call, "topic.subscribe", topic, queue, {"pattern": pattern, "filter": filter})[:2] == (
                "BAD_REQUEST", {"key": "filter"})


# ---- publishing --------------------------------------------------------------------------------------------


def test_a_message_goes_once_into_every_queue_with_a_matching_subscription(wire, topic, new_queue):
    """The answer is the number of copies; a queue with two matching subscriptions gets one."""
    everything, orders, twice, nothing = new_queue(), new_queue(), new_queue(), new_queue()
    wire.call("topic.subscribe", topic, everything)
    wire.call("topic.subscribe", topic, orders, {"pattern": "order.*"})
    wire.call("topic.subscribe", topic, twice, {"pattern": "order.#"})
    wire.call("topic.subscribe", topic, twice, {"pattern": "#.new"})
    wire.call("topic.subscribe", topic, nothing, {"pattern": "invoice"})
    assert wire.call("topic.publish", topic, "order.new", ["a", "b"]) == 6
    assert wire.call("topic.publish", topic, "order", ["c"]) == 2
    assert wire.call("topic.publish", topic, "", ["d"]) == 1
    assert [bodies(wire, q) for q in (everything, orders, twice, nothing)] == [
        ["a", "b", "c", "d"], ["a", "b"], ["a", "b", "c"], []]


@pytest.mark.parametrize("pattern, key, matches", [
    ("#", "", True), ("#", "a.b", True), ("", "", True), ("", "a", False), ("*", "a", True), ("*", "", False),
    ("a.*", "a.b", True), ("a.*", "a", False), ("a.#", "a", True), ("a.#", "a.b.c", True), ("a.#", "b", False),
    ("#.z", "x.y.z", True), ("a.#.z", "a.z", True), ("A", "a", False), ("ä.*", "ä.ö", True),
])
def test_patterns(wire, topic, queue, pattern, key, matches):
    """* is one word, # any number of them."""
    wire.call("topic.subscribe", topic, queue, {"pattern": pattern})
    assert wire.call("topic.publish", topic, key, ["m"]) == int(matches)


@pytest.mark.parametrize("filter, yes, no", [
    ({"k": "v"}, {"k": "v", "other": 1}, {"k": "w"}),
    ({"k": 1, "l": 2}, {"k": 1, "l": 2}, {"k": 1}),
    ({"k": [1, 2, None]}, {"k": None}, {}),
    ({"k": 1}, {"k": 1.0}, {"k": "1"}),
    ({"k": {"prefix": "ab"}}, {"k": "abc"}, {"k": "a"}),
    ({"k": {"numeric": [">=", 5, "<", 10]}}, {"k": 5}, {"k": 10}),
    ({"k": {"exists": False}}, {"j": 1}, {"k": None}),
    ({"k": {"exists": True}}, {"k": None}, {"j": 1}),
    ({"k": {"anything-but": ["a", 5]}}, {"k": "b"}, {"k": 5}),
    ({"k": {"anything-but": "a"}}, {"k": 5}, {}),
    ({"k": ["x", {"prefix": "y"}, {"numeric": ["=", 3]}]}, {"k": 3}, {"k": "z"}),
])
def test_filters(wire, topic, queue, filter, yes, no):
    """All keys must hold, any alternative does; topic.info shows the filter as it was."""
    wire.call("topic.subscribe", topic, queue, {"filter": filter})
    assert wire.call("topic.publish", topic, "k", [["no", {"headers": no}], ["yes", {"headers": yes}]]) == 1
    assert bodies(wire, queue) == ["yes"]
    assert wire.call("topic.info", topic)["subscriptions"][0]["filter"] == filter


def test_what_a_message_says_of_itself_is_carried_along(wire, topic, new_queue):
    """Headers, group, dedup_id, delay, ttl; a priority only where queues know it."""
    standard, fifo = new_queue(), new_queue(type="fifo")
    for queue in (standard, fifo):
        wire.call("topic.subscribe", topic, queue)
    options = {"headers": {"h": 1}, "group": "g", "dedup_id": "d", "priority": 7, "delay": 3600_000, "ttl": 7200_000}
    assert wire.call("topic.publish", topic, "k", [["m", options]]) == 2
    for queue, priority in ((standard, 7), (fifo, None)):
        (message,) = wire.call("peek", queue)["messages"]
        assert (message["state"], message["headers"], message["group"], message["dedup_id"]) == (
            "delayed", {"h": 1}, "g", "d")
        assert message.get("priority") == priority and 7100_000 < message["expires_ms"] <= 7200_001


def test_a_duplicate_counts_as_a_copy(wire, topic, new_queue):
    """It is not stored where it is known."""
    one, two = new_queue(), new_queue()
    wire.call("topic.subscribe", topic, one)
    wire.call("publish", one, [["m", {"dedup_id": "d"}]])
    wire.call("topic.subscribe", topic, two)
    assert wire.call("topic.publish", topic, "k", [["m", {"dedup_id": "d"}]]) == 2
    assert bodies(wire, one) == bodies(wire, two) == ["m"]


def test_nothing_matches(wire, topic, queue):
    """0 copies; with mandatory it is UNROUTABLE, unless at least one copy results."""
    wire.call("topic.subscribe", topic, queue, {"filter": {"k": 1}})
    assert wire.call("topic.publish", topic, "a", ["m"], {"mandatory": False}) == 0
    with unchanged(wire, [queue]):
        assert refusal(wire.call, "topic.publish", topic, "a", ["m"], {"mandatory": True}) == ("UNROUTABLE", {}, False)
    assert wire.call("topic.publish", topic, "a", ["m", ["n", {"headers": {"k": 1}}]], {"mandatory": True}) == 1


def test_all_or_none(wire, topic, new_queue):
    """One queue that is full refuses all of it, in every queue."""
    roomy, small = new_queue(), new_queue(max_messages=1)
    for queue in (roomy, small):
        wire.call("topic.subscribe", topic, queue)
    with unchanged(wire):
        code, details, retry = refusal(wire.call, "topic.publish", topic, "k", ["a", "b"])
        assert (code, details, retry) == ("QUEUE_FULL", {"index": 1}, True)
    assert wire.call("topic.publish", topic, "k", ["a"]) == 2


@pytest.mark.parametrize("message, code, key", [
    (5, "BAD_REQUEST", None), (["a", {"group": ""}], "BAD_REQUEST", "group"),
    (["a", {"dedup_id": ""}], "BAD_REQUEST", "dedup_id"), (["a", {"priority": 10}], "BAD_REQUEST", "priority"),
    (["a", {"dealy": 1}], "BAD_REQUEST", "dealy"), (["a", {"headers": {"k": []}}], "BAD_REQUEST", "headers"),
    ("x" * ((1 << 20) + 1), "TOO_LARGE", None), (["a", {}], "GROUP_REQUIRED", None),
])
def test_a_wrong_message_is_the_error_of_the_call(wire, topic, new_queue, message, code, key):
    """The details name it; nothing is stored anywhere."""
    standard, fifo = new_queue(), new_queue(type="fifo")
    for queue in (standard, fifo):
        wire.call("topic.subscribe", topic, queue)
    with unchanged(wire):
        got, details, _ = refusal(wire.call, "topic.publish", topic, "k", [["good", {"group": "g"}], message])
        assert (got, details.get("index"), details.get("key")) == (code, 1, key)


@pytest.mark.parametrize("params, code, details", [
    (["x" * 256, ["m"]], "BAD_REQUEST", {"key": "key"}), (["." * 32, ["m"]], "BAD_REQUEST", {"key": "key"}),
    ([b"\xff", ["m"]], "BAD_REQUEST", {"key": "key"}),
    ([5, ["m"]], "BAD_REQUEST", {"key": "key"}), ([None, ["m"]], "BAD_REQUEST", {"key": "key"}),
    (["k", []], "BAD_REQUEST", {"key": "messages"}), (["k", "m"], "BAD_REQUEST", {"key": "messages"}),
    (["k"], "BAD_REQUEST", {"key": "messages"}), (["k", ["m"] * 1001], "LIMIT", {"which": "max_batch"}),
    (["k", ["m"], {"atomic": True}], "BAD_REQUEST", {"key": "atomic"}),
    (["k", ["m"], {"mandatory": 1}], "BAD_REQUEST", {"key": "mandatory"}),
    (["k", ["m"], {"wait": 20_001}], "LIMIT", {"which": "max_wait"}),
])
def test_a_wrong_call_publishes_nothing(wire, topic, queue, params, code, details):
    """Each is told its argument or limit."""
    wire.call("topic.subscribe", topic, queue)
    with unchanged(wire):
        assert refusal(wire.call, "topic.publish", topic, *params)[:2] == (code, details)


def test_looking_for_queues_has_a_limit(wire, topic, queue):
    """A call that would ask a million times whether a subscription wants a message is refused before it begins."""
    for i in range(1000):
        wire.call("topic.subscribe", topic, queue, {"pattern": f"key.{i}"})
    assert wire.call("topic.publish", topic, "other", ["m"] * 999) == 0
    with unchanged(wire):
        refused = refusal(wire.call, "topic.publish", topic, "other", ["m"] * 1000)
        assert refused[:2] == ("LIMIT", {"which": "max_routing"})
        parts = [[topic, "other", ["m"] * 500], [topic, "other", ["m"] * 500]]
        assert refusal(wire.call, "commit", {"topics": parts})[:2] == ("LIMIT", {"which": "max_routing"})


def test_a_large_body_is_stored_once(start_server):
    """Ten queues hold references to it."""
    server = start_server()
    with server.connect() as wire:
        used = lambda: wire.call("server.info", "memory")["memory"]["used_bytes"]  # noqa: E731
        wire.call("topic.create", "t")
        for i in range(10):
            wire.call("queue.create", f"q{i}")
            wire.call("topic.subscribe", "t", f"q{i}")
        empty = used()
        body = bytes(range(256)) * 4000
        assert wire.call("topic.publish", "t", "k", [body, b"x" * 70_000]) == 20
        assert used() < empty + 2 * len(body)
        for i in range(10):
            assert [d[3] for d in wire.call("receive", f"q{i}", {"max": 2})] == [body, b"x" * 70_000]
            wire.call("queue.delete", f"q{i}")
        until(lambda: used() < empty + 300_000)


def test_bodies_cut_in_pieces_arrive_whole(wire, topic, queue):
    """Above 64 KiB a body goes straight to its message, whatever its queue's largest is."""
    wire.call("queue.update", queue, {"max_message_bytes": 3 << 20})
    wire.call("topic.subscribe", topic, queue)
    body = bytes(i * 7 % 251 for i in range(2_000_000))
    data = pack([0, 77, "topic.publish", [topic, "k", ["first", [body, {"group": "g"}], "last"]]])
    for start in range(0, len(data), 300_001):
        wire.send_bytes(data[start:start + 300_001])
    assert wire.answer(77) == 3
    assert [d[3] for d in wire.call("receive", queue, {"max": 9})] == [b"first", body, b"last"]


def test_publishing_to_a_topic_as_a_notification(wire, topic, queue):
    """Nothing comes back, the copy is there."""
    wire.call("topic.subscribe", topic, queue)
    wire.notify("topic.publish", topic, "k", ["m"])
    assert wire.quiet() and bodies(wire, queue) == ["m"]


def test_all_subscriptions_fit_into_one_answer(wire, topic, queue):
    """So many long filters that topic.info could not show them all are refused; those that are there are shown."""
    long = {f"k{k}": [f"{k}.{i}" for i in range(10)] for k in range(25)}
    for i in itertools.count():
        try:
            wire.call("topic.subscribe", topic, queue, {"pattern": str(i), "filter": long})
        except ServerError as error:
            assert (error.code, error.details["which"]) == ("LIMIT", "max_subscriptions")
            break
    shown = wire.call("topic.info", topic)["subscriptions"]
    assert len(shown) == i > 50 and len(shown[0]) == 3 and shown[0]["filter"] == long
