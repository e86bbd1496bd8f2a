"""What reviews of the shell have found, each as the behaviour that must hold."""

import os
import subprocess

import pytest

from test_cli import CLI, cli, environment, start  # noqa: F401  (fixtures)
from wire import ServerError


def counts(wire, queue):
    info = wire.call("queue.info", queue)
    return {state: info[state] for state in ("ready", "inflight", "parked")}


def fill(wire, queue, number, **attributes):
    wire.call("queue.create", queue, attributes)
    wire.call("publish", queue, [b"%d" % i for i in range(number)])


@pytest.mark.parametrize("words", [[], ["--exec", "cat >/dev/null", "-j", "5"]], ids=["print", "exec"])
def test_max_touches_no_message_beyond_it(cli, wire, words):  # noqa: F811
    """What is not printed and not run is not charged: with max_attempts 1 it would be parked."""
    queue = f"max-{len(words)}"
    fill(wire, queue, 5, max_attempts=1)
    assert cli("consume", queue, "--max", 1, *words)[0] == 0
    assert counts(wire, queue) == {"ready": 4, "inflight": 0, "parked": 0}


def test_max_does_not_go_with_auto_ack(cli, wire):  # noqa: F811
    """What is on its way would be gone."""
    fill(wire, "auto-max", 5)
    assert cli("consume", "auto-max", "--ack", "auto", "--max", 1)[0] == 2
    assert counts(wire, "auto-max")["ready"] == 5


def test_work_is_not_idleness(cli, wire):  # noqa: F811
    """--idle counts from the end of the last command."""
    fill(wire, "busy", 3)
    assert cli("consume", "busy", "--exec", "cat >/dev/null; sleep 0.4", "--idle", "200ms")[0] == 0
    assert counts(wire, "busy") == {"ready": 0, "inflight": 0, "parked": 0}


def test_messages_are_not_printed_into_a_socket_of_its_own(environment, server, wire):  # noqa: F811
    """With standard output and input closed, nothing is acked."""
    fill(wire, "closed", 1)
    script = f'exec "{CLI}" -p {server.port} consume closed --max 1 <&- >&-'
    assert subprocess.run(["bash", "-c", script], env=environment, stderr=subprocess.DEVNULL, timeout=20).returncode == 1
    info = wire.call("queue.info", "closed")
    assert (info["acked"], info["total"]) == (0, 1)


def test_unreadable_standard_input_publishes_nothing(environment, server, wire):  # noqa: F811
    """A body that could not be read is no empty body."""
    wire.call("queue.create", "unread")
    run = subprocess.run([CLI, "-p", str(server.port), "publish", "unread", "-x"], env=environment, stdin=os.open("/", os.O_RDONLY),
                         capture_output=True, timeout=20)
    assert run.returncode == 1 and b"Is a directory" in run.stderr
    assert counts(wire, "unread")["ready"] == 0


def test_large_headers_make_smaller_batches(cli, wire, folder):  # noqa: F811
    """A batch stays below max_request_bytes whatever each line carries."""
    wire.call("queue.create", "heavy")
    (folder / "lines").write_text("".join(f"{i}\n" for i in range(2000)))
    code, _, err = cli("publish", "heavy", "--lines", folder / "lines", "--header", "a=" + "x" * 20000)
    assert (code, err[:4]) == (0, b"2000")
    assert counts(wire, "heavy")["ready"] == 2000


@pytest.mark.parametrize("words", [["--ack", "foo"], ["--max", "0"]], ids=["ack", "max"])
def test_wrong_options_of_consume_touch_nothing(cli, wire, words):  # noqa: F811
    """A value that means nothing is a usage error, not a default."""
    fill(wire, f"wrong{words[0]}", 2)
    assert cli("consume", f"wrong{words[0]}", "--idle", "200ms", *words)[0] == 2
    assert counts(wire, f"wrong{words[0]}")["ready"] == 2


def test_help_names_every_attribute(cli, wire):  # noqa: F811
    """Whatever queue.create takes is in its help."""
    wire.call("queue.create", "attributes")
    text = cli("help", "queue.create")[1].decode()
    found = 0
    for name, value in wire.call("queue.info", "attributes").items():
        try:
            wire.call("queue.create", "attributes", {name: value})
        except ServerError:
            continue
        found += 1
        assert name in text
    assert found >= 10
