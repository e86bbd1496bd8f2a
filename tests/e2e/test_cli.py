"""ringmq-cli as a program among others: single commands, forms of output, exit codes, files of lines, consumers."""

import base64
import json
import os
import signal
import subprocess

import pytest

from process import ROOT
from wire import DEADLINE, until

CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))


@pytest.fixture
def environment(folder):
    """Nothing of the person who runs the tests."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


@pytest.fixture
def start(server, environment):
    """Starts the shell on the module's server; what still runs after the test is killed."""
    started = []

    def run(*words, **options):
        for stream in ("stdin", "stdout", "stderr"):
            options.setdefault(stream, subprocess.PIPE)
        environment.update(options.pop("env", {}))
        command = [CLI, "-p", str(server.port), *map(str, words)]
        started.append(subprocess.Popen(command, env=environment, **options))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def cli(start):
    """Runs the shell to its end: (exit code, stdout, stderr), in bytes."""

    def run(*words, stdin=b"", **options):
        process = start(*words, **options)
        out, err = process.communicate(stdin, DEADLINE)
        return process.returncode, out, err

    return run


@pytest.fixture
def said(cli):
    """Runs a command that must succeed without a complaint: its output as text."""

    def run(*words, **options):
        code, out, err = cli(*words, **options)
        assert (code, err) == (0, b"")
        return out.decode()

    return run


def bodies(wire, queue):
    """All bodies of a queue, in the order of their ids."""
    found, start = [], 0
    while start is not None:
        page = wire.call("peek", queue, {"from": start, "max": 1000})
        found += [message["body"] for message in page["messages"]]
        start = page["next"]
    return found


def total(wire, queue):
    return wire.call("queue.info", queue)["total"]


# -- single commands --


def test_both_spellings_of_a_method_are_the_same_command(said, wire):
    assert said("queue", "create", "spelled-1") == "created\ttrue\n"
    assert said("queue.create", "spelled-2") == "created\ttrue\n"
    assert {"spelled-1", "spelled-2"} <= {q["name"] for q in wire.call("queue.list", {"max": 1000})["queues"]}


@pytest.mark.parametrize("words", [["--visibility", "60s"], ["--visibility=1m"], ["visibility=60000"]])
def test_attributes_are_given_in_three_ways_with_units(said, wire, words):
    name = "attributes-" + words[0].replace("=", "-")
    said("queue", "create", name, *words, "overflow=drop_oldest", "max_bytes=2mb")
    info = wire.call("queue.info", name)
    assert (info["visibility"], info["overflow"], info["max_bytes"]) == (60000, "drop_oldest", 2 << 20)


def test_each_word_of_publish_is_a_message(said, wire, queue):
    assert said("publish", queue, "one", "two words", "key=value", "") == "1\n4\n"
    assert bodies(wire, queue) == [b"one", b"two words", b"key=value", b""]


def test_words_after_two_dashes_are_no_options(said, wire, queue):
    said("publish", queue, "--", "--group", "-x")
    assert bodies(wire, queue) == [b"--group", b"-x"]


def test_options_of_publish_go_for_all_messages_of_the_call(said, wire, queue):
    said("publish", queue, "a", "b", "--group", "berlin", "--header", "k=v", "--header", "n=x=y", "--delay", "1h",
         "--ttl", "2h")
    for message in wire.call("peek", queue, {"state": "delayed"})["messages"]:
        assert message["group"] == "berlin"
        assert message["headers"] == {"k": "v", "n": "x=y"}
        assert 3_500_000 < message["due_ms"] <= 3_600_000
        assert 7_100_000 < message["expires_ms"] <= 7_200_000


@pytest.mark.parametrize("order", [["-x", "publish", "QUEUE"], ["publish", "QUEUE", "-x"]])
def test_x_publishes_standard_input_byte_for_byte(said, wire, queue, order):
    body = bytes(range(256)) + b"\n\n"
    said(*[queue if word == "QUEUE" else word for word in order], stdin=body)
    assert bodies(wire, queue) == [body]


def test_receive_and_ack_settle_a_message(said, wire, queue):
    wire.call("publish", queue, ["a", "b"])
    got = json.loads(said("--json", "receive", queue, "--max", 10, "--wait", "5s"))
    assert [delivery["body"] for delivery in got] == ["a", "b"]
    assert said("ack", *[delivery["receipt"] for delivery in got]) == "2\n"
    assert total(wire, queue) == 0


def test_a_stale_receipt_is_told_and_fails(cli, wire, queue):
    wire.call("publish", queue, ["a"])
    receipt = wire.call("receive", queue)[0][0]
    assert cli("ack", receipt)[0] == 0
    code, out, err = cli("ack", receipt)
    assert code == 1
    assert out.startswith(b"0\n") and b"number 1: RECEIPT_STALE" in err


def test_nack_dead_peek_and_kick_take_a_message_there_and_back(said, wire, queue):
    wire.call("publish", queue, ["poison"])
    receipt = wire.call("receive", queue)[0][0]
    assert said("nack", receipt, "--dead", "--note", "bad one") == "1\n"
    page = json.loads(said("peek", queue, "--state", "parked", "--json"))
    assert [(m["id"], m["note"]) for m in page["messages"]] == [(1, "bad one")]
    assert said("kick", queue, "[1,7]") == "1\n"
    assert said("kick", queue, "5") == "0\n"


def test_extend_takes_receipts_and_then_a_time(said, wire, queue):
    wire.call("publish", queue, ["a", "b"])
    receipts = [delivery[0] for delivery in wire.call("receive", queue, {"max": 2})]
    assert said("extend", *receipts, "1h") == "2\n"
    assert all(m["due_ms"] > 3_500_000 for m in wire.call("peek", queue)["messages"])


def test_configuration_and_server_can_be_asked_and_set(said):
    assert said("config", "set", "log_level", "warn") == "true\n"
    assert said("config", "get", "log_level") == "log_level\twarn\n"
    assert "server.version\t" in said("server", "info")


# -- forms of output --


def test_json_is_one_value_per_answer_with_base64_for_what_is_not_text(said, wire, queue):
    wire.call("publish", queue, ["grün", b"\xff\x00", "\"\\\n\x01"])
    lines = said("--json", "receive", queue, "--max", "3").splitlines()
    assert len(lines) == 1
    text, binary, odd = [delivery["body"] for delivery in json.loads(lines[0])]
    assert (text, odd) == ("grün", "\"\\\n\x01")
    assert base64.b64decode(binary["base64"]) == b"\xff\x00"


def test_raw_is_one_value_per_line_with_bodies_as_they_are(cli, wire, queue):
    wire.call("publish", queue, [b"\xff\x00\t"])
    code, out, _ = cli("receive", queue)
    receipt, rest = out.split(b"\n", 1)
    assert code == 0 and int(receipt) > 0
    assert rest == b"1\n1\n\xff\x00\t\n"


def test_no_raw_shows_types(said, wire, queue):
    wire.call("publish", queue, [b"a\xff\n\""])
    lines = said("--no-raw", "receive", queue).splitlines()
    assert lines[0].startswith("1) receipt:  (integer) ")
    assert lines[1:] == ["   id:       (integer) 1", "   attempts: (integer) 1", '   body:     "a\\xff\\n\\""']
    assert said("--no-raw", "queue", "list", "--prefix", "no-such-") == "queues: (empty list)\nnext:   (nil)\n"


# -- exit codes --


def test_an_error_answer_exits_with_1_and_names_its_code(cli):
    code, out, err = cli("receive", "no-such-queue")
    assert (code, out) == (1, b"")
    assert err.startswith(b"(error) QUEUE_NOT_FOUND: ")


def test_an_error_answer_in_json_is_an_object_on_stdout(cli):
    code, out, err = cli("--json", "receive", "no-such-queue")
    assert (code, err) == (1, b"")
    assert json.loads(out)["error"]["code"] == "QUEUE_NOT_FOUND"


@pytest.mark.parametrize("words", [
    ["publish"], ["receive"], ["receive", "q", "--max", "many"], ["receive", "q", "--wait", "5x"], ["ack"],
    ["ack", "x"], ["receive", "q", "--mx", "2"], ["receive", "q", "extra"], ["nonsense"], ["queue", "nonsense"],
    ["-p", "0", "ping"],
    ["--nonsense"], ["publish", "q", "a", "--header", "novalue"], ["queue", "update", "q"], ["receive", "q", "--max"],
    ["publish", "q", "--lines", "/nonexistent/file"], ["publish", "q", "a", "--lines", "-"], ["consume"],
    ["consume", "q", "-j", "0", "--exec", "true"], ["help", "nonsense"],
])
def test_a_wrong_command_line_exits_with_2_and_says_why(cli, words):
    code, out, err = cli(*words)
    assert (code, out) == (2, b"")
    assert err


def test_no_server_exits_with_3(cli, folder):
    assert cli("-s", folder / "nobody.sock", "ping")[0] == 3


def test_help_and_version_need_no_server(cli, folder):
    nobody = ["-s", folder / "nobody.sock"]
    assert cli(*nobody, "--version")[:2] == (0, b"ringmq-cli 0.1.0\n")
    for words in (["--help"], ["help"], ["help", "publish"], ["help", "queue", "create"], ["help", "@queues"]):
        code, out, err = cli(*nobody, *words)
        assert (code, err) == (0, b"") and out


def test_ctrl_c_ends_a_wait_with_130(start, wire, queue):
    process = start("receive", queue, "--wait", "20s")
    until(lambda: wire.call("queue.info", queue)["waiters"] == 1, "a waiter")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) == 130


# -- options of the program --


def test_r_repeats_the_command_with_a_pause(said):
    assert said("-r", "3", "-i", "0.01", "ping") == "pong\n" * 3


def test_a_server_is_named_by_socket_by_url_or_by_the_environment(cli, server, environment):
    assert cli("-s", server.socket_path, "ping")[:2] == (0, b"pong\n")
    assert cli("--url", f"ringmq://me:secret@127.0.0.1:{server.port}", "ping")[:2] == (0, b"pong\n")
    environment["RINGMQ_URL"] = f"ringmq+unix://{server.socket_path}"
    done = subprocess.run([CLI, "ping"], env=environment, capture_output=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stdout) == (0, b"pong\n")


def test_commands_from_a_pipe_are_executed_line_by_line(cli, wire, queue):
    script = f'# a comment\n\nping\npublish {queue} "a b" \'c\\n\' "d\\x00\\n"\nnonsense\nqueue delete nowhere\nping'
    code, out, err = cli(stdin=script.encode())
    assert code == 1
    assert out == b"pong\n1\n3\npong\n"
    assert b"nonsense" in err and b"QUEUE_NOT_FOUND" in err
    assert bodies(wire, queue) == [b"a b", b"c\\n", b"d\0\n"]


# -- publish --lines --


@pytest.mark.parametrize("flags, text, expected", [
    ([], b"one\ntwo\n", [b"one", b"two"]),
    ([], b"one\ntwo", [b"one", b"two"]),
    ([], b"\n\na\n\n", [b"", b"", b"a", b""]),
    (["--skip-empty"], b"\n\na\n\n", [b"a"]),
    ([], b"a\r\n\r\nb\rc\r\n", [b"a", b"", b"b\rc"]),
    (["--keep-cr"], b"a\r\n", [b"a\r"]),
    ([], b"", []),
    ([], b"\xff\x00\n", [b"\xff\x00"]),
])
def test_each_line_is_a_message(cli, wire, queue, flags, text, expected):
    code, out, err = cli("publish", queue, "--lines", "-", *flags, stdin=text)
    assert (code, out) == (0, b"")
    assert err.startswith(b"%d messages published in " % len(expected))
    assert bodies(wire, queue) == expected


def test_a_file_of_many_batches_arrives_whole_and_in_order(cli, wire, queue, folder):
    lines = [b"line %d %s" % (i, b"x" * (i % 977)) for i in range(20_000)]
    (folder / "lines").write_bytes(b"\n".join(lines))
    assert cli("publish", queue, "--lines", folder / "lines")[0] == 0
    assert bodies(wire, queue) == lines


def test_lines_carry_the_options_of_the_call(cli, wire, queue):
    assert cli("publish", queue, "--lines", "-", "--group", "g", "--header", "k=v", stdin=b"a\nb")[0] == 0
    found = wire.call("peek", queue)["messages"]
    assert [(m["group"], m["headers"]) for m in found] == [("g", {"k": "v"})] * 2


LONG = b"x" * (1 << 20)


@pytest.mark.parametrize("flags, code, expected", [
    ([], 1, [b"first"]),
    (["--long", "skip"], 0, [b"first", b"last"]),
    (["--long", "truncate"], 0, [b"first", LONG, b"last"]),
])
def test_a_line_too_long_stops_or_is_left_out_or_cut(cli, wire, queue, flags, code, expected):
    got, _, err = cli("publish", queue, "--lines", "-", *flags, stdin=b"first\n" + LONG + b"yz\nlast\n")
    assert got == code
    assert b"%d messages published" % len(expected) in err
    assert code == 0 or b"line 2 " in err
    assert bodies(wire, queue) == expected


def test_the_longest_line_that_fits_is_taken_with_its_crlf(cli, wire, queue):
    assert cli("publish", queue, "--lines", "-", stdin=LONG + b"\r\n" + LONG)[0] == 0
    assert bodies(wire, queue) == [LONG, LONG]


def test_lines_that_a_full_queue_refuses_are_sent_again_until_all_are_stored(start, wire, new_queue):
    queue = new_queue(max_messages=10)
    process = start("publish", queue, "--lines", "-")
    process.stdin.write(b"".join(b"%d\n" % i for i in range(100)))
    process.stdin.close()
    process.stdin = None
    got = []
    while len(got) < 100:
        batch = wire.call("receive", queue, {"max": 10, "wait": 5000})
        assert batch, f"nothing more after {len(got)} messages"
        got += [delivery[3] for delivery in batch]
        wire.call("ack", [delivery[0] for delivery in batch])
    assert process.wait(DEADLINE) == 0
    assert got == [b"%d" % i for i in range(100)]


def test_a_line_from_a_slow_pipe_is_published_without_waiting_for_the_next(start, wire, queue):
    process = start("publish", queue, "--lines", "-")
    process.stdin.write(b"early\nhalf a li")
    process.stdin.flush()
    until(lambda: bodies(wire, queue) == [b"early"], "the first line in the queue")
    process.stdin.write(b"ne\n")
    process.stdin.close()
    process.stdin = None
    assert process.wait(DEADLINE) == 0
    assert bodies(wire, queue) == [b"early", b"half a line"]


def test_lines_into_a_queue_that_does_not_exist_exit_with_1(cli):
    code, _, err = cli("publish", "no-such-queue", "--lines", "-", stdin=b"a\n")
    assert code == 1 and b"QUEUE_NOT_FOUND" in err


def test_a_server_that_dies_under_publish_exits_with_3_and_tells_what_is_confirmed(start_server, environment):
    own = start_server()
    with own.connect() as wire:
        wire.call("queue.create", "q")
        process = subprocess.Popen([CLI, "-p", str(own.port), "publish", "q", "--lines", "-"], env=environment,
                                   stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(b"a\nb\n")
        process.stdin.flush()
        until(lambda: total(wire, "q") == 2, "two messages")
    own.signal(signal.SIGTERM)
    assert own.wait() == 0
    _, err = process.communicate(b"c\n", DEADLINE)
    assert process.returncode == 3
    assert b"2 messages published" in err


# -- consume --


def test_consume_prints_each_message_as_a_line_and_acks_it(cli, wire, queue):
    sent = [b"a", b"", b"\xff\x00", b"two\nlines"]
    wire.call("publish", queue, sent)
    code, out, err = cli("consume", queue, "--max", len(sent))
    assert (code, out, err) == (0, b"".join(body + b"\n" for body in sent), b"")
    assert total(wire, queue) == 0


def test_consume_takes_no_more_than_max(cli, wire, queue):
    wire.call("publish", queue, ["a", "b", "c"])
    assert cli("consume", queue, "--max", "2")[:2] == (0, b"a\nb\n")
    found = wire.call("peek", queue)["messages"]
    assert [(m["body"], m["state"]) for m in found] == [(b"c", "ready")]


def test_consume_ends_when_nothing_comes(cli, wire, queue):
    wire.call("publish", queue, ["a"])
    assert cli("consume", queue, "--idle", "50ms")[:2] == (0, b"a\n")


def test_consume_in_json_prints_an_object_per_line(said, wire, queue):
    wire.call("publish", queue, [["a", {"headers": {"n": 1}, "group": "g"}], b"\xff"])
    first, second = map(json.loads, said("--json", "consume", queue, "--max", "2").splitlines())
    assert first.pop("receipt") > 0
    assert first == {"id": 1, "attempts": 1, "body": "a", "headers": {"n": 1}, "group": "g"}
    assert (second["id"], second["body"]) == (2, {"base64": "/w=="})


def test_ctrl_c_ends_consume_with_130_and_everything_printed_is_acked(start, wire, queue):
    process = start("consume", queue)
    wire.call("publish", queue, ["a"])
    assert process.stdout.readline() == b"a\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE) == 130
    assert total(wire, queue) == 0


def test_what_is_acked_was_flushed_before_whenever_consume_is_killed(start, wire, queue, folder):
    """Killed in the middle, the file it wrote holds every message that the queue has no more."""
    count = 50_000
    for first in range(0, count, 1000):
        wire.call("publish", queue, [b"%d" % i for i in range(first, first + 1000)])
    with open(folder / "out", "wb") as out:
        process = start("consume", queue, "--prefetch", "500", stdout=out)
        until(lambda: total(wire, queue) < count * 9 // 10, "a tenth consumed")
        process.kill()
        process.wait(DEADLINE)
    until(lambda: wire.call("queue.info", queue)["inflight"] == 0, "everything unacked given back")
    printed = (folder / "out").read_bytes().split(b"\n")[:-1]
    left = bodies(wire, queue)
    everything = {b"%d" % i for i in range(count)}
    assert set(printed) | set(left) == everything
    assert len(set(printed) & set(left)) <= 500  # only what was not acked yet comes again


def test_a_write_error_stops_consume_without_an_ack(start, wire, queue):
    wire.call("publish", queue, ["a", "b"])
    with open("/dev/full", "wb") as full:
        process = start("consume", queue, stdout=full)
        assert process.wait(DEADLINE) == 1
    until(lambda: wire.call("queue.info", queue)["ready"] == 2, "both given back")


def test_consume_of_a_queue_that_is_deleted_exits_with_1(start, wire, queue):
    process = start("consume", queue)
    until(lambda: wire.call("queue.info", queue)["consumers"] == 1, "the consumer")
    wire.call("queue.delete", queue)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1 and b"queue_deleted" in err


# -- consume --exec --


def test_exec_gets_the_body_on_stdin_and_the_rest_in_its_environment(cli, wire, queue):
    wire.call("publish", queue, [["the body", {"headers": {"my-key": "v w"}, "group": "g"}]])
    variables = ("QUEUE", "ID", "ATTEMPTS", "GROUP", "HEADER_MY_KEY", "RECEIPT")
    show = 'cat; echo; echo "%s"' % "|".join(f"$RINGMQ_{name}" for name in variables)
    code, out, _ = cli("consume", queue, "--max", "1", "--exec", show)
    assert code == 0
    body, facts = out.decode().splitlines()
    assert body == "the body"
    assert facts.rsplit("|", 1)[0] == f"{queue}|1|1|g|v w"
    assert int(facts.rsplit("|", 1)[1]) > 0
    assert total(wire, queue) == 0


def test_exec_gives_back_what_its_command_fails_on(cli, wire, queue):
    wire.call("publish", queue, ["a"])
    code, _, _ = cli("consume", queue, "--max", "1", "--exec", "exit 3", "--nack-delay", "1h")
    found = wire.call("peek", queue)["messages"]
    assert code == 0
    assert [(m["state"], m["attempts"]) for m in found] == [("delayed", 1)]
    assert found[0]["due_ms"] > 3_500_000


def test_exec_tries_again_without_a_delay(cli, wire, queue):
    wire.call("publish", queue, ["a"])
    command = '[ "$RINGMQ_ATTEMPTS" -ge 3 ]'
    assert cli("consume", queue, "--exec", command, "--max", "3")[0] == 0
    assert total(wire, queue) == 0


def test_j_runs_so_many_commands_at_once(start, wire, queue, folder):
    """Four commands each wait until they see four: with fewer at once nobody would ever end."""
    wire.call("publish", queue, ["m"] * 4)
    command = f'touch {folder}/$RINGMQ_ID; while [ $(ls {folder} | wc -l) -lt 4 ]; do :; done'
    process = start("consume", queue, "-j", "4", "--max", "4", "--exec", command)
    assert process.wait(DEADLINE) == 0
    assert total(wire, queue) == 0


def test_a_command_that_does_not_read_its_stdin_is_no_error(cli, wire, queue):
    wire.call("publish", queue, [b"x" * 1_000_000])
    assert cli("consume", queue, "--max", "1", "--exec", "true")[0] == 0
    assert total(wire, queue) == 0


def test_a_body_larger_than_a_pipe_reaches_the_command_whole(cli, wire, queue):
    wire.call("publish", queue, [b"x" * 1_000_000])
    code, out, _ = cli("consume", queue, "--max", "1", "--exec", "wc -c")
    assert (code, out.strip()) == (0, b"1000000")


def test_a_long_command_keeps_its_message(start, wire, new_queue, folder):
    """The visibility ends several times while the command runs, yet nobody else gets the message."""
    queue = new_queue(visibility=200)
    wire.call("publish", queue, ["a"])
    process = start("consume", queue, "--max", "1", "--exec", f"until [ -e {folder}/go ]; do :; done")
    until(lambda: wire.call("queue.info", queue)["inflight"] == 1, "the delivery")
    assert wire.call("receive", queue, {"wait": 1000}) == []
    (folder / "go").touch()
    assert process.wait(DEADLINE) == 0
    info = wire.call("queue.info", queue)
    assert (info["total"], info["timed_out"]) == (0, 0)


def test_ctrl_c_waits_for_running_commands_and_gives_back_the_rest(start, wire, queue, folder):
    wire.call("publish", queue, ["a", "b", "c"])
    command = f"touch {folder}/begun; until [ -e {folder}/go ]; do :; done"
    process = start("consume", queue, "--prefetch", "3", "--exec", command)
    until(lambda: (folder / "begun").exists(), "a running command")
    process.send_signal(signal.SIGINT)
    until(lambda: wire.call("queue.info", queue)["ready"] == 2, "the waiting ones given back")
    assert process.poll() is None
    (folder / "go").touch()
    assert process.wait(DEADLINE) == 130
    assert [m["state"] for m in wire.call("peek", queue)["messages"]] == ["ready", "ready"]


# -- what is installed with it --


def test_bash_completes_commands_options_and_queues(server, environment, wire):
    wire.call("queue.create", "completed-queue")
    tell = 'source "$1"; COMP_LINE=$3; COMP_POINT=${#3}; _ringmq_cli "$2"; echo "${COMPREPLY[@]}"'

    def complete(*words):
        script = str(ROOT / "client" / "cli" / "ringmq-cli.bash")
        line = " ".join(["ringmq-cli", *words])
        done = subprocess.run(["bash", "-c", tell, "bash", script, CLI, line], env=environment,
                              capture_output=True, text=True, timeout=DEADLINE, check=True)
        return done.stdout.split()

    assert complete("publ") == ["publish"]
    assert complete("queue", "cre") == ["create"]
    assert "--header" in complete("publish", "q", "--")
    assert complete("-p", str(server.port), "publish", "completed-") == ["completed-queue"]
