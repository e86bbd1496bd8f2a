"""Definitions: what export writes, what import and the server's own file of definitions make of it."""

import json
import os
import subprocess

import pytest

from process import ROOT, SERVER, run
from wire import DEADLINE, ServerError

CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))

# As export writes it: everything by name, only that a dead-letter queue comes before the queue that needs it.
EVERYTHING = """\
queue create a:b
queue create z-last type=fifo visibility=1500ms
queue create failed type=fifo max_attempts=7 dead_letter=z-last
queue create everything type=fifo visibility=1m max_hold=1d delay=5s retention=0 ttl=2h max_attempts=3 \
dead_letter=failed dead_letter_expired=true backoff=1s,3,1m,0.1 max_messages=1000 max_bytes=2mb \
overflow=dead_letter_oldest max_message_bytes=64kb dedup_window=10m content_dedup=true dedup_scope=group \
sticky_groups=true group_prefetch=5 durable=false
queue create nil
queue create parting dead_letter='nil' backoff=100ms,2
topic create events
topic create nobody
topic subscribe events a:b --pattern '' --filter '{"n":{"numeric":[">=",1.0,"<",10]},"old":{"exists":false}}'
topic subscribe events a:b
topic subscribe events nil --pattern 'order.*' --filter '{"kind":["a",{"prefix":"b"}]}'
"""


def environment(folder):
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


@pytest.fixture
def shell(folder):
    """Runs the shell on a server to its end: (exit code, stdout, stderr)."""

    def start(server, *words, stdin=""):
        done = subprocess.run([CLI, "-p", str(server.port), *map(str, words)], input=stdin, env=environment(folder),
                              capture_output=True, text=True, timeout=DEADLINE, check=False)
        return done.returncode, done.stdout, done.stderr

    return start


# -- export and import --


def test_what_is_exported_and_imported_is_exported_as_the_same_bytes(start_server, shell, folder):
    """Through a file and through a pipe."""
    first, second = start_server(), start_server()
    assert shell(first, "import", stdin=EVERYTHING)[0] == 0
    assert shell(first, "export") == (0, EVERYTHING, "")
    (folder / "defs").write_text(EVERYTHING)
    assert shell(second, "import", folder / "defs")[0] == 0
    assert shell(second, "export") == (0, EVERYTHING, "")


def test_the_order_of_the_lines_is_not_the_order_of_creation(start_server, shell):
    server = start_server()
    queues, others = EVERYTHING.splitlines()[:6], EVERYTHING.splitlines()[6:]
    turned = [queues[i] for i in (4, 5, 1, 2, 3, 0)] + others[1::-1] + others[:1:-1]
    assert shell(server, "import", stdin="\n".join(turned))[0] == 0
    assert shell(server, "export") == (0, EVERYTHING, "")


def test_import_again_changes_nothing(start_server, shell):
    server = start_server()
    assert shell(server, "--json", "import", stdin=EVERYTHING)[1] == '{"definitions":11,"created":11}\n'
    before = shell(server, "export")[1]
    code, out, _ = shell(server, "--json", "import", "-", stdin=EVERYTHING)
    assert (code, json.loads(out)["created"]) == (0, 0)
    assert shell(server, "export")[1] == before


def test_attributes_of_a_fresh_queue_are_left_out(start_server, shell):
    """Only what differs from the defaults, in the units that people read."""
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "plain")
        wire.call("queue.create", "odd", {"visibility": 90000, "max_bytes": 1536, "backoff": {"base": 1}})
    assert shell(server, "export")[1] == "queue create odd visibility=90s backoff=1ms,2 max_bytes=1536b\n" \
                                         "queue create plain\n"


def test_words_that_need_quotes_get_them(start_server, shell):
    """A pattern or filter may hold quotes, blanks and bytes that no word can."""
    server, other = start_server(), start_server()
    with server.connect() as wire:
        wire.call("queue.create", "q")
        wire.call("topic.create", "t")
        for pattern in ("it's", 'a "b"', "tab\there", "--dashes", "", "grün", "#.*"):
            wire.call("topic.subscribe", "t", "q", {"pattern": pattern, "filter": {"k'\"\\": ["x\n", "\x7f", "ü"]}})
        expected = wire.call("topic.info", "t")["subscriptions"]
    exported = shell(server, "export")[1]
    assert shell(other, "import", stdin=exported)[0] == 0
    assert shell(other, "export")[1] == exported
    with other.connect() as wire:
        assert wire.call("topic.info", "t")["subscriptions"] == expected


def test_numbers_of_a_filter_keep_their_kind(start_server, shell):
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "q")
        wire.call("topic.create", "t")
        values = [1, 1.0, -5, 2.5, 1e100, 123456789.0, True, None]
        wire.call("topic.subscribe", "t", "q", {"filter": {"n": values}})
    exported = shell(server, "export")[1]
    assert '[1,1.0,-5,2.5,1e+100,123456789.0,true,null]' in exported


def test_a_dead_letter_queue_that_is_gone_is_told(start_server, shell):
    server = start_server()
    with server.connect() as wire:
        wire.call("queue.create", "failed")
        wire.call("queue.create", "orders", {"dead_letter": "failed"})
        wire.call("queue.delete", "failed")
    code, out, err = shell(server, "export")
    assert code == 0 and "failed" in err
    assert out.splitlines()[0].startswith("# There is no queue failed")
    assert out.splitlines()[1] == "queue create orders dead_letter=failed"


def test_more_queues_than_fit_on_a_page_are_all_exported(start_server, shell):
    server = start_server()
    text = "".join(f"queue create q{i:05}\n" for i in range(2500))
    assert shell(server, "import", stdin=text)[0] == 0
    assert shell(server, "export")[1] == text


# -- what is wrong --


def test_nothing_is_carried_out_if_any_line_is_wrong(start_server, shell, folder):
    """All wrong lines are named, and the server has not heard of the good ones."""
    server = start_server()
    (folder / "defs").write_text("queue create good\n\nqueue delete good\nqueue create b visibility=x\n"
                                 "topic subscribe t q --filter '{'\nqueue create 'c\n")
    code, out, err = shell(server, "import", folder / "defs")
    assert (code, out) == (2, "")
    assert [line.split(": ")[0] for line in err.splitlines()] == [f"{folder}/defs:{n}" for n in (3, 4, 5, 6)]
    assert shell(server, "export")[1] == ""


def test_a_line_that_the_server_refuses_ends_the_import_and_is_named(start_server, shell, folder):
    server = start_server()
    (folder / "defs").write_text("queue create a\n# a comment\nqueue create b dead_letter=nowhere\nqueue create c\n")
    code, out, err = shell(server, "import", folder / "defs")
    assert (code, out) == (1, "")
    assert err.startswith(f"{folder}/defs:3: (error) QUEUE_NOT_FOUND: ")
    assert shell(server, "export")[1] == "queue create a\n"


def test_a_queue_with_other_attributes_is_an_error_with_the_difference(start_server, shell):
    server = start_server()
    assert shell(server, "import", stdin="queue create a ttl=5s")[0] == 0
    code, _, err = shell(server, "import", stdin="queue create a ttl=6s")
    assert code == 1 and "standard input:1" in err and "QUEUE_EXISTS" in err and "[5000,6000]" in err


def test_a_file_that_can_not_be_read_is_a_usage_error(start_server, shell, folder):
    server = start_server()
    for path in (folder / "nowhere", folder):
        code, _, err = shell(server, "import", path)
        assert code == 2 and str(path) in err
    assert shell(server, "import", "a", "b")[0] == 2
    assert shell(server, "export", "a")[0] == 2


# -- the server's own file --


def test_a_server_has_what_its_file_defines_before_anybody_connects(start_server, shell, folder):
    (folder / "defs").write_text(EVERYTHING)
    server = start_server("--definitions", str(folder / "defs"))
    assert shell(server, "export") == (0, EVERYTHING, "")
    with server.connect() as wire:
        assert wire.call("config.get", "definitions") == {"definitions": str(folder / "defs")}
        with pytest.raises(ServerError, match="BAD_REQUEST"):
            wire.call("config.set", "definitions", "")


@pytest.mark.parametrize("line, said", [
    ("queue create b frobnicate", "one word too many"),
    ("queue delete a", "not a definition"),
    ("queue create 'b", "a quote is not closed"),
    ("queue create b dead_letter=nowhere", "QUEUE_NOT_FOUND"),
    ("queue create b visibility=0", "BAD_REQUEST"),
    ("queue create a type=fifo", "QUEUE_EXISTS"),
    ("queue create b of_a_later_version=1", "BAD_REQUEST"),
    ("topic subscribe t a", "TOPIC_NOT_FOUND"),
    ("queue create " + "n" * 300, "BAD_REQUEST"),
])
def test_a_server_does_not_start_with_a_wrong_definition_and_says_where(folder, line, said):
    (folder / "defs").write_text(f"# first\nqueue create a type=standard\n{line}\n")
    done = run("--port", "0", "--definitions", str(folder / "defs"))
    assert done.returncode in (1, 2)
    assert f"{folder}/defs:3: " in done.stderr and said in done.stderr


def test_a_file_that_is_not_there_or_too_large_is_an_error(folder):
    assert "No such file" in run("--port", "0", "--definitions", str(folder / "nowhere")).stderr
    with open(folder / "defs", "wb") as file:
        file.truncate((64 << 20) + 1)
    done = run("--port", "0", "--definitions", str(folder / "defs"))
    assert done.returncode == 2 and "larger than 64 MiB" in done.stderr


def test_the_test_of_a_configuration_reads_the_definitions_too(folder):
    (folder / "defs").write_text("queue creat a\n")
    done = subprocess.run([SERVER, "--definitions", str(folder / "defs"), "--test-config"], capture_output=True,
                          text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 2 and "defs:1: " in done.stderr
    (folder / "defs").write_text("queue create a\n")
    assert run("--definitions", str(folder / "defs"), "--test-config").returncode == 0


def test_names_that_look_like_options_come_back(start_server, shell):
    """A name may begin with dashes: what export writes, import reads."""
    first, second = start_server(), start_server()
    with first.connect() as wire:
        for name in ("--x", "--"):
            wire.call("queue.create", name)
            wire.call("topic.create", name)
            wire.call("topic.subscribe", name, name, {"pattern": "--a b"})
    code, written, said = shell(first, "export")
    assert (code, said) == (0, "") and written.count("'--x'") == 4
    assert shell(second, "import", stdin=written)[0] == 0
    assert shell(second, "export") == (0, written, "")


def test_a_value_in_quotes_behind_an_equals_sign_is_that_option(start_server, shell):
    """--option="a value" is no message, and a zero byte in it is an error, not its end."""
    server = start_server()
    assert shell(server, "queue", "create", "q")[0] == 0
    assert shell(server, stdin='publish q --group="g h" body\n')[0] == 0
    with server.connect() as wire:
        (message,) = wire.call("peek", "q")["messages"]
        assert (message["body"], message["group"]) == (b"body", "g h")
        code, _, said = shell(server, stdin='publish q body --group "a\\x00b"\n')
        assert code != 0 and "zero byte" in said
        assert len(wire.call("peek", "q")["messages"]) == 1


def test_a_pipe_is_refused_not_lost(folder):
    """The server reads the file twice, to check it and to carry it out: what can be read only once is an error."""
    os.mkfifo(folder / "pipe")
    holder = os.open(folder / "pipe", os.O_RDWR)
    done = subprocess.run([SERVER, "--port", "0", "--definitions", folder / "pipe"], capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    os.close(holder)
    assert done.returncode != 0 and "pipe: not a file" in done.stderr
