"""The shell's words for groups, duplicates, priorities, dead letters, topics, commits and moves."""

import json
import os
import signal
import subprocess

import pytest

from process import ROOT
from wire import DEADLINE, until

CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))


@pytest.fixture
def start(server, folder):
    """Starts the shell on the module's server; what still runs after the test is killed."""
    started = []

    def run(*words, **options):
        for stream in ("stdin", "stdout", "stderr"):
            options.setdefault(stream, subprocess.PIPE)
        command = [CLI, "-p", str(server.port), *map(str, words)]
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        started.append(subprocess.Popen(command, env=environment, text=True, **options))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def cli(start):
    """Runs the shell to its end: (exit code, stdout, stderr)."""

    def run(*words, stdin=""):
        process = start(*words)
        out, err = process.communicate(stdin, DEADLINE)
        return process.returncode, out, err

    return run


@pytest.fixture
def said(cli):
    """Runs a command that must succeed without a complaint: its output."""

    def run(*words, **options):
        code, out, err = cli(*words, **options)
        assert (code, err) == (0, "")
        return out

    return run


def messages(wire, queue, **options):
    return wire.call("peek", queue, {"max": 1000, **options})["messages"]


# -- messages --


def test_group_dedup_id_and_priority_travel_and_are_shown(said, wire, queue):
    said("publish", queue, "a", "--group", "g", "--dedup-id", "d", "--priority", "5", "--wait", "1s")
    shown = messages(wire, queue)[0]
    assert (shown["group"], shown["dedup_id"], shown["priority"]) == ("g", "d", 5)
    got = json.loads(said("--json", "receive", queue))[0]
    assert (got["group"], got["dedup_id"], got["priority"]) == ("g", "d", 5)


def test_receive_for_people_names_what_a_message_has_and_nothing_else(said, wire, queue):
    wire.call("publish", queue, [["a", {"priority": 3}], "b"])
    lines = [line.lstrip(" 0123456789)").split(":")[0] for line in
             said("--no-raw", "receive", queue, "--max", "2").splitlines()]
    assert lines == ["receipt", "id", "attempts", "body", "priority", "receipt", "id", "attempts", "body"]


def test_a_duplicate_is_told_with_the_first_id(said, queue):
    said("publish", queue, "a", "--dedup-id", "d")
    assert json.loads(said("--json", "publish", queue, "b", "--dedup-id", "d")) == {
        "first_id": None, "count": 0, "exceptions": [{"index": 0, "duplicate_of": 1}]}
    assert "duplicate_of: (integer) 1" in said("--no-raw", "publish", queue, "b", "--dedup-id", "d")


def test_a_refused_message_is_told_and_fails(cli, new_queue):
    queue = new_queue(type="fifo")
    code, _, err = cli("publish", queue, "a")
    assert code == 1 and "number 1: GROUP_REQUIRED" in err
    code, _, err = cli("publish", queue, "a", "--group", "g", "--priority", "1")
    assert code == 1 and "number 1: BAD_REQUEST" in err


def test_a_publish_with_a_wait_is_stored_once_there_is_room(start, said, wire, new_queue):
    queue = new_queue(max_messages=1)
    wire.call("publish", queue, ["first"])
    process = start("publish", queue, "second", "--wait", "10s")
    receipt = wire.call("receive", queue)[0][0]
    assert process.poll() is None
    wire.call("ack", [receipt])
    assert process.communicate(timeout=DEADLINE) == ("2\n1\n", "")


def test_the_wait_may_be_longer_than_the_time_for_an_answer(cli, wire, new_queue):
    queue = new_queue(max_messages=1)
    wire.call("publish", queue, ["first"])
    code, _, err = cli("-t", "0.1", "publish", queue, "second", "--wait", "300ms")
    assert code == 1 and "QUEUE_FULL" in err


def test_lines_carry_group_and_priority_but_no_dedup_id(cli, wire, queue):
    assert cli("publish", queue, "--lines", "-", "--priority", "7", "--group", "g", stdin="a\nb\n")[0] == 0
    assert [(m["priority"], m["group"]) for m in messages(wire, queue)] == [(7, "g")] * 2
    code, _, err = cli("publish", queue, "--lines", "-", "--dedup-id", "d", stdin="a\nb\n")
    assert code == 2 and "--dedup-id" in err


@pytest.mark.parametrize("words, said", [
    (["publish", "q", "a", "--priority", "10"], "--priority takes 0 to 9"),
    (["publish", "q", "a", "--dedupid", "x"], "did you mean --dedup-id?"),
    (["queue", "create", "q", "dead_leter=x"], "did you mean dead_letter?"),
    (["queue", "create", "q", "backoff=soon"], "backoff is not a backoff"),
    (["queue", "create", "q", "overflow=drop"], "reject|drop_oldest|dead_letter_oldest"),
    (["topic", "subscribe", "t", "q", "--filter", "[1]"], "must be a map"),
    (["topic", "subscribe", "t", "q", "--filter", '{"a": }'], "not a value, at byte 7"),
    (["qeue", "create", "q"], "did you mean queue.create?"),
    (["recieve", "q"], "did you mean receive?"),
    (["exprot"], "did you mean export?"),
    (["commit"], "at least one of"),
    (["commit", "x", "--ack", "1"], "one word too many: x"),
    (["commit", "--ack"], "--ack needs a receipt"),
    (["commit", "--ack", "x"], "not a receipt: x"),
    (["commit", "--publish", "q"], "messages is missing"),
    (["commit", "--topic", "t"], "key is missing"),
    (["commit", "--ack", "1", "--group", "g"], "no option --group"),
    (["consume", "q", "--priority", "10"], "--priority takes 0 to 9"),
    (["consume", "q", "--group_prefetch", "0"], "--group_prefetch takes 1 or more"),
])
def test_wrong_words_are_told_before_anything_is_sent(cli, words, said):
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert said in err


# -- queues --


def test_attributes_of_every_kind_are_set_shown_and_cleared(said, wire, queue):
    target = queue + "-dead"
    wire.call("queue.create", target)
    said("queue", "update", queue, f"dead_letter={target}", "dead_letter_expired=yes", "backoff=1s,,1m,0.5",
         "--content-dedup", "true", "dedup_scope=group")
    info = wire.call("queue.info", queue)
    assert info["dead_letter"] == target and info["dead_letter_expired"] is True and info["content_dedup"] is True
    assert info["backoff"] == {"base": 1000, "factor": 2, "cap": 60000, "jitter": 0.5}
    assert "\nbackoff\t1s,2,1m,0.5\n" in said("queue", "info", queue)
    assert json.loads(said("--json", "queue", "info", queue))["backoff"]["cap"] == 60000
    said("queue", "update", queue, "dead_letter_expired=no", "dead_letter=", "backoff=nil")
    info = wire.call("queue.info", queue)
    assert (info["dead_letter"], info["backoff"]) == (None, None)


def test_help_lists_the_attributes_with_their_defaults(said):
    text = said("help", "queue", "create")
    assert "dead_letter_expired" in text and "(30s)" in text and "standard|fifo (standard)" in text


# -- topics --


def test_topics_from_their_creation_to_their_end(said, wire, queue):
    topic = f"topic-of-{queue}"
    assert said("topic", "create", topic) == "created\ttrue\n"
    filter_ = '{"kind": ["a", {"prefix": "b"}], "old": {"exists": false}}'
    said("topic", "subscribe", topic, queue, "--pattern", "order.*", "--filter", filter_)
    assert said("topic", "publish", topic, "order.new", "1", "2", "--header", "kind=bx", "--group", "g") == "2\n"
    assert said("topic", "publish", topic, "order.new", "3", "--header", "kind=c") == "0\n"
    assert said("topic.publish", topic, "", "4", "--header", "kind=a") == "0\n"
    assert [(m["body"], m["group"]) for m in messages(wire, queue)] == [(b"1", "g"), (b"2", "g")]
    info = said("--no-raw", "topic", "info", topic)
    assert 'filter:  {"kind":["a",{"prefix":"b"}],"old":{"exists":false}}' in info
    assert f"name\t{topic}\n" in said("topic", "list", "--prefix", topic)
    assert said("topic", "unsubscribe", topic, queue) == "true\n"
    assert said("topic", "delete", topic) == "true\n"


def test_a_mandatory_publish_that_goes_nowhere_fails(cli, wire):
    wire.call("topic.create", "nobody-listens")
    code, _, err = cli("topic", "publish", "nobody-listens", "a", "x", "--mandatory")
    assert code == 1 and "UNROUTABLE" in err


def test_x_publishes_standard_input_to_a_topic(said, wire, queue):
    topic = f"topic-of-{queue}"
    wire.call("topic.create", topic)
    wire.call("topic.subscribe", topic, queue)
    assert said("topic", "publish", topic, "k", "-x", stdin="a\nb\n") == "1\n"
    assert messages(wire, queue)[0]["body"] == b"a\nb\n"


# -- commit --


def test_commit_acks_and_publishes_in_one_step(said, wire, queue, new_queue):
    done, topic = new_queue(), f"topic-of-{queue}"
    wire.call("topic.create", topic)
    wire.call("topic.subscribe", topic, done)
    wire.call("publish", queue, ["1", "2", "3"])
    one, two, three = [delivery[0] for delivery in wire.call("receive", queue, {"max": 3})]
    answer = json.loads(said("--json", "commit", "--ack", f"{one},{two}", "--publish", done, "a", "b", "--group", "g",
                             "--topic", topic, "k", "c", "--header", "h=1", "--publish=" + done, "d", "--ack", three))
    assert answer == {"publish": [{"first_id": 1, "count": 2}, {"first_id": 3, "count": 1}], "topics": [1], "ack": 3}
    assert [(m["body"], m.get("group"), m.get("headers")) for m in messages(wire, done)] == [
        (b"a", "g", None), (b"b", "g", None), (b"d", None, None), (b"c", None, {"h": "1"})]
    assert wire.call("queue.info", queue)["total"] == 0


def test_a_commit_that_fails_changes_nothing_and_names_the_culprit(cli, wire, queue):
    code, out, err = cli("commit", "--publish", queue, "a", "--ack", "12345")
    assert (code, out) == (1, "")
    assert "RECEIPT_STALE" in err and '"receipt":12345' in err
    assert wire.call("queue.info", queue)["total"] == 0


def test_words_in_quotes_begin_no_part_at_the_prompt(said, wire, queue):
    said(stdin=f"commit --publish {queue} '--ack' \"--topic\"\n")
    assert [m["body"] for m in messages(wire, queue)] == [b"--ack", b"--topic"]


# -- moves --


def test_dead_letters_are_moved_back_where_they_came_from(said, wire, new_queue):
    dead = new_queue()
    queue = new_queue(dead_letter=dead)
    wire.call("publish", queue, ["a", "b"])
    receipts = [delivery[0] for delivery in wire.call("receive", queue, {"max": 2})]
    assert said("nack", *receipts, "--dead", "--note", "no") == "2\n"
    assert [m["headers"]["dl_note"] for m in messages(wire, dead)] == ["no", "no"]
    number = int(said("move", dead, "--max", "1"))
    until(lambda: wire.call("queue.info", queue)["ready"] == 1, "one message back")
    tasks = json.loads(said("--json", "move", "list"))["tasks"]
    mine = [task for task in tasks if task["id"] == number]
    assert mine == [{"id": number, "source": dead, "to": None, "moved": 1, "state": "done"}]


def test_a_move_goes_at_its_rate_and_can_be_ended(said, cli, wire, new_queue):
    source, target = new_queue(), new_queue()
    wire.call("publish", source, ["x"] * 100)
    number = said("move", source, "--to", target, "--rate", "1").strip()
    assert said("move", "cancel", number) == "true\n"
    state = [t for t in wire.call("move.list")["tasks"] if t["id"] == int(number)][0]["state"]
    assert state == "cancelled"
    assert wire.call("queue.info", source)["total"] >= 98
    code, _, err = cli("move", "cancel", "123456")
    assert code == 1 and "NOT_FOUND" in err


def test_a_queue_called_list_can_be_moved(said, wire, queue):
    wire.call("queue.create", "list")
    assert int(said("move", "--to", queue, "list")) > 0
    assert int(said(stdin=f"move 'list' --to {queue}\n")) > 0


# -- consume --


def test_consume_asks_for_what_its_options_say(start, wire, new_queue):
    queue = new_queue(type="fifo")
    process = start("consume", queue, "--exclusive", "--priority", "3", "--group-prefetch", "4")
    until(lambda: wire.call("queue.info", queue)["consumers"] == 1, "the consumer")
    second = start("consume", queue)
    _, err = second.communicate(timeout=DEADLINE)
    assert second.returncode == 1 and "QUEUE_IN_USE" in err
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) == 130


def test_single_active_consumers_stand_by(start, wire, queue):
    first = start("consume", queue, "--single-active")
    until(lambda: wire.call("queue.info", queue)["consumers"] == 1, "the first consumer")
    second = start("consume", queue, "--single_active", "--max", "1")
    until(lambda: wire.call("queue.info", queue)["consumers"] == 2, "the second consumer")
    wire.call("publish", queue, ["a"])
    assert first.stdout.readline() == "a\n"
    first.send_signal(signal.SIGINT)
    assert first.wait(DEADLINE) == 130
    wire.call("publish", queue, ["b"])
    assert second.communicate(timeout=DEADLINE)[0] == "b\n"


def test_exec_and_json_tell_priority_and_dedup_id(said, wire, queue):
    wire.call("publish", queue, [["a", {"priority": 2, "dedup_id": "d"}], ["b", {"dedup_id": "e"}]])
    told = said("consume", queue, "--max", "1", "--exec", 'echo "$RINGMQ_PRIORITY|$RINGMQ_DEDUP_ID"')
    assert told == "2|d\n"
    shown = json.loads(said("--json", "consume", queue, "--max", "1"))
    assert shown["dedup_id"] == "e" and "priority" not in shown


def test_headers_are_text_or_with_a_colon_what_they_say(cli, said, wire, queue):
    """NAME=4 is the text 4, NAME:=4 the number; a filter tells them apart."""
    headers = ["n=4", "u:=4", "i:=-4", "r:=0.5", "t:=true", "f:=false", "z:=nil", "a:b=c", "e:="]
    said("publish", queue, "m", *(word for header in headers[:-1] for word in ("--header", header)))
    (message,) = wire.call("peek", queue)["messages"]
    assert message["headers"] == {
        "n": "4", "u": 4, "i": -4, "r": 0.5, "t": True, "f": False, "z": None, "a:b": "c"}
    for wrong in ("x:=", "x:=4a", "x:=--4", "x:=inf", "x:=0x10"):
        code, out, err = cli("publish", queue, "m", "--header", wrong)
        assert (code, out) == (2, "") and "--header" in err, wrong
    assert wire.call("queue.info", queue)["total"] == 1
