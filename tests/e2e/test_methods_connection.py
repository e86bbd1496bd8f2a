"""hello, ping and help; and what holds for every method: shapes, arguments, text, notifications, order."""

import re

import msgpack
import pytest
from wire import ServerError, pack, refusal, until

# ---- hello, ping, help -------------------------------------------------------------------------------------


def test_hello_tells_server_version_protocol_durability_features_and_limits(wire):
    """The answer of hello is a map with these keys, and its values have these types."""
    hello = wire.call("hello", {"client": "test", "version": "1.0"})
    assert hello["server"] == "ringmq" and hello["protocol"] == 1 and hello["durability"] == "none"
    assert re.fullmatch(r"\d+\.\d+\.\d+", hello["version"])
    assert isinstance(hello["features"], list) and all(isinstance(word, str) for word in hello["features"])
    assert hello["limits"]["max_message_bytes"] == 1 << 20


def test_hello_may_be_empty_and_may_be_said_again(wire):
    """Options of hello are voluntary, and a second hello is answered like the first."""
    assert wire.call("hello") == wire.call("hello", {}) == wire.call("hello", {"client": "again"})


def test_hello_takes_user_and_password_and_ignores_them(wire):
    """A server without users accepts whatever a client says about itself."""
    assert wire.call("hello", {"user": "nobody", "password": "wrong"})["server"] == "ringmq"


def test_hello_shows_the_present_limits(start_server):
    """A limit that config.set has changed is in the next hello."""
    server = start_server("--max_batch", "50")
    with server.connect() as wire:
        assert wire.call("hello")["limits"]["max_batch"] == 50
        assert wire.call("config.set", "max_batch", 70) is True
        assert wire.call("hello")["limits"]["max_batch"] == 70


def test_hello_with_a_client_that_can_not_be_shown_is_a_bad_request(wire):
    """The name of a client has at most 128 bytes, of UTF-8."""
    assert wire.call("hello", {"client": "x" * 128})
    assert refusal(wire.call, "hello", {"client": b"\xff"})[:2] == ("BAD_REQUEST", {"key": "client"})
    assert refusal(wire.call, "hello", {"version": b"\xff"})[:2] == ("BAD_REQUEST", {"key": "version"})
    assert refusal(wire.call, "hello", {"client": "x" * 129})[:2] == ("BAD_REQUEST", {"key": "client"})


def test_ping_answers_pong(wire):
    """ping is answered with the text pong."""
    assert wire.call("ping") == "pong"


def test_help_lists_every_method_with_arguments_text_and_group(wire):
    """Each row of help is {name, args, help, group}, and no name comes twice."""
    table = wire.call("help")
    assert len({row["name"] for row in table}) == len(table) > 25
    for row in table:
        assert set(row) == {"name", "args", "help", "group"}
        assert all(isinstance(text, str) for text in row.values()) and row["help"]


def test_help_with_a_method_shows_that_row_only(wire):
    """help [method] is an array with the one row."""
    (row,) = wire.call("help", "receive")
    assert row["name"] == "receive" and row["args"] == "queue:name {max:count wait:ms visibility:ms}"


def test_help_for_an_unknown_method_is_not_found(wire):
    """help can't explain what does not exist."""
    assert refusal(wire.call, "help", "recieve")[0] == "NOT_FOUND"


# ---- what holds for every method ---------------------------------------------------------------------------


def test_an_unknown_method_is_answered_and_the_connection_goes_on(wire):
    """UNKNOWN_METHOD is an answer like any other."""
    for method in ("publishh", "publis", "", "PING", "x" * 1000, "queue", "commits", "moved", "topic.creates", "deliver"):
        assert refusal(wire.call, method)[0] == "UNKNOWN_METHOD"
    assert wire.call("ping") == "pong"


def test_a_method_that_is_not_text_is_a_bad_request(wire):
    """There is a msgid to answer to, so the connection goes on."""
    for method in (5, None, ["ping"], {"ping": 1}, True):
        assert refusal(wire.call, method)[0] == "BAD_REQUEST"
    assert wire.call("ping") == "pong"


def test_params_that_are_not_an_array_are_a_bad_request(wire):
    """Arguments come in an array, whatever their number."""
    for params in (None, {}, "x", 7):
        wire.msgid += 1
        wire.send_bytes(pack([0, wire.msgid, "ping", params]))
        assert refusal(wire.answer, wire.msgid)[0] == "BAD_REQUEST"


WRONG = {  # a value of another type, or out of range, for each type of argument
    "name": [5, None, "", "a b", "ä", "x" * 256, ["a"], {}],
    "text": [5, None, True, ["a"]],
    "id": [-1, 2**53, 1.0, "1", None],
    "count": [-1, 2**32, 1.5, "1", None],
    "ms": [-1, 10 * 365 * 24 * 3600 * 1000 + 1, 1.5, "1s", None],
    "bool": [0, 1, "true", None],
    "list": ["x", 5, {}, None],
    "map": ["x", 5, [], None],
    "any": [],
}
RIGHT = {
    "name": "some-queue", "text": "text", "id": 1, "count": 1, "ms": 1, "bool": True, "list": [1], "map": {}, "any": 1,
}


def signature(args):
    """Positional arguments and options of an `args` text, each as (name, type, may be missing)."""
    before, _, options = args.partition("{")
    split = [[part.rstrip("?").split(":") + [part.endswith("?")] for part in text.split()]
             for text in (before, options.rstrip("}"))]
    return split[0], split[1]


def test_every_argument_of_a_wrong_type_is_a_bad_request_that_names_it(wire):
    """Whatever method, whatever argument: the detail `key` is its name."""
    checked = 0
    for row in wire.call("help"):
        positional, options = signature(row["args"])
        right = [RIGHT[kind] for _, kind, _ in positional]
        for place, (name, kind, _) in enumerate(positional):
            for wrong in WRONG[kind]:
                params = right[:place] + [wrong] + right[place + 1:]
                assert refusal(wire.call, row["name"], *params)[:2] == ("BAD_REQUEST", {"key": name}), (row, wrong)
                checked += 1
        for name, kind, _ in options:
            for wrong in WRONG[kind]:
                error = refusal(wire.call, row["name"], *right, {name: wrong})
                assert error[:2] == ("BAD_REQUEST", {"key": name}), (row, wrong)
                checked += 1
    assert checked > 150


def test_every_missing_argument_is_a_bad_request_that_names_it(wire):
    """A positional argument can be left out only if help marks it so."""
    for row in wire.call("help"):
        positional, _ = signature(row["args"])
        for place, (name, _, may_be_missing) in enumerate(positional):
            if not may_be_missing:
                params = [RIGHT[kind] for _, kind, _ in positional[:place]]
                assert refusal(wire.call, row["name"], *params)[:2] == ("BAD_REQUEST", {"key": name})


def test_one_argument_too_many_is_a_bad_request(wire):
    """Nothing that a client says is dropped in silence."""
    for row in wire.call("help"):
        positional, options = signature(row["args"])
        params = [RIGHT[kind] for _, kind, _ in positional] + ([{}] if options else []) + ["one more"]
        assert refusal(wire.call, row["name"], *params)[0] == "BAD_REQUEST", row


def test_every_unknown_option_is_a_bad_request_that_names_it(wire):
    """Options that other versions may have are not taken for granted."""
    checked = 0
    for row in wire.call("help"):
        positional, options = signature(row["args"])
        if options:
            params = [RIGHT[kind] for _, kind, _ in positional]
            for key in ("wiat", "exclusively", "group_prefetched", ""):
                assert refusal(wire.call, row["name"], *params, {key: 1})[:2] == ("BAD_REQUEST", {"key": key}), row
            assert refusal(wire.call, row["name"], *params, {7: 1})[0] == "BAD_REQUEST"
            assert refusal(wire.call, row["name"], *params, "options")[0] == "BAD_REQUEST"
            checked += 1
    assert checked > 10


QUEUE_CALLS = {
    "publish": (["x"],), "receive": (), "consume": (), "kick": (1,), "discard": ([1],), "peek": (),
    "queue.update": ({},), "queue.delete": (), "queue.purge": (), "queue.info": (), "queue.pause": (),
    "queue.resume": (),
}


def test_every_method_on_a_queue_that_does_not_exist_is_queue_not_found(wire):
    """No method but queue.create makes a queue."""
    for row in wire.call("help"):
        if row["args"].startswith("queue:name") and row["name"] != "queue.create":
            error = refusal(wire.call, row["name"], "no-such-queue", *QUEUE_CALLS[row["name"]])
            assert error[0] == "QUEUE_NOT_FOUND", row


@pytest.mark.parametrize("as_bin", [True, False])
def test_text_may_be_sent_as_str_or_as_bin(wire, queue, as_bin):
    """Methods, names, option keys and words are taken in both forms; answers are str, bodies bin."""
    def form(text):
        return text.encode() if as_bin else text

    message = [form("body"), {form("group"): form("g"), form("headers"): {form("k"): form("v")}}]
    wire.send_bytes(msgpack.packb([0, 77, form("publish"), [form(queue), [message]]]))
    assert wire.answer(77) == [1, 1]
    wire.send_bytes(msgpack.packb([0, 78, form("receive"), [form(queue), {form("max"): 1}]]))
    ((_, _, _, body, more),) = wire.answer(78)
    assert body == b"body"
    assert more == {"group": "g", "headers": {"k": form("v")}}
    assert wire.call("peek", queue, {form("state"): form("inflight")})["messages"][0]["group"] == "g"


def test_old_clients_that_know_no_bin_are_understood(wire, queue):
    """The raw type from before the split into str and bin is read as str."""
    wire.send_bytes(msgpack.packb([0, 5, b"publish", [queue.encode(), [b"x" * 40]]], use_bin_type=False))
    assert wire.answer(5) == [1, 1]


def test_an_ext_value_is_a_bad_request_and_the_connection_goes_on(wire, queue):
    """Extension types have no meaning in a request, large ones neither."""
    for data in (b"", b"x", b"x" * 16, b"x" * 100_000):
        assert refusal(wire.call, "queue.info", msgpack.ExtType(5, data))[:2] == ("BAD_REQUEST", {"key": "queue"})
        (_, _, (entry,)) = wire.call("publish", queue, [msgpack.ExtType(5, data)])
        assert entry[1][0] == "BAD_REQUEST"
    assert refusal(wire.call, "ping", msgpack.Timestamp(1, 2))[0] == "BAD_REQUEST"


def test_any_msgid_below_2_to_the_32_comes_back(wire):
    """The server takes msgids as they are, also the same one twice."""
    for msgid in (0, 1, 127, 128, 2**16, 2**31, 2**32 - 1):
        wire.send_bytes(pack([0, msgid, "ping", []]))
        assert wire.answer(msgid) == "pong"
    wire.send_bytes(pack([0, 9, "ping", []]))
    assert wire.answer(9) == "pong"
    wire.send_bytes(pack([0, 9, "ping", []]))
    assert wire.answer(9) == "pong"


def test_numbers_in_longer_forms_than_needed_are_understood(wire):
    """0 as uint 64 is 0; so is 0 as int 64."""
    wire.send_bytes(b"\x94\xcf" + bytes(8) + b"\xce\x00\x00\x00\x07\xd9\x04ping\xdd\x00\x00\x00\x00")
    assert wire.answer(7) == "pong"
    wire.send_bytes(b"\xdc\x00\x04\xd3" + bytes(8) + b"\xd1\x00\x08\xda\x00\x04ping\xdc\x00\x00")
    assert wire.answer(8) == "pong"


def test_a_request_with_more_than_262144_elements_is_limit(wire):
    """It is read to its end and answered, and the connection goes on."""
    assert refusal(wire.call, "ack", [0] * 300_000)[:2] == ("LIMIT", {"which": "max_elements"})
    assert wire.call("ping") == "pong"


# ---- order -------------------------------------------------------------------------------------------------


def test_pipelined_requests_take_effect_in_the_order_sent(wire, queue):
    """publish, receive, publish, receive in one write: each receive finds what was published just before it."""
    receive = ["receive", queue]
    steps = [["publish", queue, ["a"]], receive, ["publish", queue, ["b"]], receive, receive]
    wire.send_bytes(pack(*([0, i, method, params] for i, (method, *params) in enumerate(steps))))
    bodies = [[delivery[3] for delivery in wire.answer(i)] for i in (1, 3, 4)]
    assert bodies == [[b"a"], [b"b"], []]


def test_a_receive_that_waits_holds_up_nobody(wire, queue):
    """Requests behind a long poll are answered before it; the msgid tells them apart."""
    poll = wire.send("receive", queue, {"wait": 20000})
    later = [wire.send("ping"), wire.send("queue.info", queue), wire.send("publish", queue, ["x"])]
    assert wire.answer(poll)[0][3] == b"x"
    for msgid in later:
        wire.answer(msgid)
    assert wire.order.index(later[0]) < wire.order.index(poll)


# ---- notifications -----------------------------------------------------------------------------------------


def stats(wire, *names):
    answer = wire.call("server.stats")
    return [answer[name] for name in names]


def test_a_notification_is_carried_out_and_not_answered(wire, queue):
    """publish as a notification stores; nothing comes back."""
    wire.notify("publish", queue, ["x"])
    assert [delivery[3] for delivery in wire.call("receive", queue)] == [b"x"]
    assert wire.quiet() and not wire.answers


def test_notifications_are_carried_out_although_the_connection_is_closed_right_behind_them(server, wire, queue):
    """What has come whole counts, however much it is."""
    with server.connect() as hasty:
        hasty.send_bytes(pack([2, "publish", [queue, ["x"]]]) * 20_000)
    until(lambda: wire.call("queue.info", queue)["total"] == 20_000)


def test_every_method_that_needs_no_answer_works_as_a_notification(wire, queue):
    """The effect of each is the one that it has as a request."""
    wire.notify("queue.create", queue + "n", {"visibility": 1234})
    assert wire.call("queue.info", queue + "n")["visibility"] == 1234
    wire.notify("queue.update", queue + "n", {"visibility": 4321})
    wire.notify("queue.pause", queue + "n")
    info = wire.call("queue.info", queue + "n")
    assert info["visibility"] == 4321 and info["paused"] is True
    wire.notify("queue.delete", queue + "n")
    assert refusal(wire.call, "queue.info", queue + "n")[0] == "QUEUE_NOT_FOUND"
    wire.notify("publish", queue, ["a", "b", "c", "d"])
    receipts = [delivery[0] for delivery in wire.call("receive", queue, {"max": 3})]
    wire.notify("ack", receipts[:1])
    wire.notify("nack", receipts[1:2])
    wire.notify("park", receipts[2:])
    info = wire.call("queue.info", queue)
    assert (info["ready"], info["inflight"], info["parked"]) == (2, 0, 1)
    wire.notify("kick", queue, 1)
    wire.notify("discard", queue, [4])
    assert wire.call("queue.info", queue)["ready"] == 2
    wire.notify("queue.purge", queue)
    assert wire.call("queue.info", queue)["total"] == 0
    assert wire.quiet()


def test_errors_of_notifications_are_counted_and_not_told(wire):
    """A notification that fails says nothing, but notification_errors grows."""
    names = "notifications", "notification_errors", "error_answers"
    notifications, failed, answers = stats(wire, *names)
    wire.notify("publish", "no-such-queue", ["x"])
    wire.notify("ack", [])
    wire.notify("queue.info")
    assert wire.quiet()
    assert stats(wire, *names) == [notifications + 3, failed + 3, answers]


@pytest.mark.parametrize("method, params", [("hello", []), ("receive", ["QUEUE"]), ("consume", ["QUEUE"])])
def test_methods_that_make_no_sense_without_an_answer_are_ignored_as_notifications(wire, queue, method, params):
    """A receive or consume that nobody can hear of takes no message."""
    wire.call("publish", queue, ["x"])
    (before,) = stats(wire, "ignored")
    wire.notify(method, *[queue if param == "QUEUE" else param for param in params])
    assert wire.quiet()
    assert stats(wire, "ignored") == [before + 1]
    assert wire.call("queue.info", queue)["ready"] == 1
    assert wire.call("queue.info", queue)["consumers"] == 0


def test_unknown_notifications_and_those_whose_method_is_no_text_are_ignored(wire):
    """Some clients open with a notification of their own; it changes nothing but a counter."""
    (before,) = stats(wire, "ignored")
    wire.notify("nvim_set_client_info", "client", {}, "remote", {}, {})
    wire.notify(5)
    wire.notify(None)
    wire.notify(["ping"], {"a": 1})
    assert wire.quiet()
    assert stats(wire, "ignored") == [before + 4]


def test_responses_sent_by_a_client_are_ignored(wire):
    """The server asks nothing, so there is nothing that these could answer."""
    (before,) = stats(wire, "ignored")
    wire.send_bytes(pack([1, 5, None, "result"], [1, 6, ["CODE", "text"], None]))
    assert wire.quiet()
    assert stats(wire, "ignored") == [before + 2]


def test_requests_and_error_answers_are_counted(wire):
    """Each request adds to `requests`, each error answer to `error_answers`."""
    before = stats(wire, "requests", "error_answers")
    wire.call("ping")
    refusal(wire.call, "nonsense")
    assert stats(wire, "requests", "error_answers") == [before[0] + 3, before[1] + 1]


def test_receipts_and_ids_stay_below_2_to_the_53(wire, queue):
    """A client whose numbers are doubles holds every receipt exactly."""
    wire.call("publish", queue, ["x"] * 50)
    for receipt, message_id, _, _ in wire.call("receive", queue, {"max": 50}):
        assert 0 < receipt < 2**53 and receipt == int(float(receipt)) and 0 < message_id < 2**53


def test_queues_and_connections_are_the_servers_not_the_clients(wire, other, queue):
    """What one connection stores another receives, and a third could ack."""
    wire.call("publish", queue, ["x"])
    ((receipt, *_),) = other.call("receive", queue)
    assert wire.call("ack", [receipt]) == 1
    assert until(lambda: other.call("queue.info", queue)["total"] == 0)
    with pytest.raises(ServerError):
        other.call("queue.info", queue + "x")
