"""The bash completion of ringmq-cli, asked as bash asks it."""

import os
import subprocess
from pathlib import Path

import pytest
from process import ROOT

CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))
SCRIPT = ROOT / "client" / "cli" / "ringmq-cli.bash"


def complete(line, program=CLI):
    """What is offered when Tab is pressed behind `ringmq-cli LINE`."""
    env = {key: value for key, value in os.environ.items() if key != "RINGMQ_URL"}
    env.update(COMP_LINE=f"ringmq-cli {line}", PROGRAM=str(program), SCRIPT=str(SCRIPT))
    done = subprocess.run(
        ["bash", "--norc", "-c", 'source "$SCRIPT"; COMP_POINT=${#COMP_LINE}; _ringmq_cli "$PROGRAM"; '
         'for reply in "${COMPREPLY[@]}"; do printf "%s\\n" "$reply"; done'],
        capture_output=True, text=True, timeout=20, env=env, stdin=subprocess.DEVNULL)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


def test_options_before_the_command():
    """Those of --help."""
    assert {"-h", "-p", "--url", "--json", "--version"} <= set(complete("-"))
    assert complete("--vers") == ["--version"]


def test_commands_with_a_dot_or_as_two_words():
    """All that help lists, except those of the prompt."""
    assert complete("publ") == ["publish"]
    assert complete("-p 1 queue.cr") == ["queue.create"]
    assert complete("queue cr") == ["create"]
    assert {"queue", "queue.create"} <= set(complete("queue"))
    assert not {"clear", "exit", "quit"} & set(complete(""))


def test_options_of_a_command():
    """Those of `help COMMAND`, however it is written."""
    assert "--lines" in complete("publish orders --") and "--exec" not in complete("publish orders --")
    assert complete("queue list --pre") == ["--prefix"]
    assert complete("queue.list --pre") == ["--prefix"]


def test_names_of_queues(server, wire):
    """Of the server that the line leads to, in the place where a queue is wanted, and nowhere else."""
    for name in ("orders", "orders-eu", "a:b:c", "a:d"):
        wire.call("queue.create", name)
    for to in (f"-p {server.port}", f"-s {server.socket_path}", f"--url ringmq://127.0.0.1:{server.port}"):
        assert complete(f"{to} publish ord") == ["orders", "orders-eu"]
    to = f"-p {server.port}"
    assert complete(f"{to} queue info orders-") == ["orders-eu"]
    assert complete(f"{to} consume --max 5 orders-") == ["orders-eu"]
    assert complete(f"{to} consume --max ") == []
    assert complete(f"{to} publish orders ord") == []
    assert complete(f"{to} ack ord") == []


def test_names_of_topics(server, wire):
    """Where a topic is wanted, as an argument or as the value of an option."""
    wire.call("topic.create", "tidings")
    to = f"-p {server.port}"
    assert complete(f"{to} topic publish tid") == ["tidings"]
    assert complete(f"{to} topic.subscribe tid") == ["tidings"]
    assert complete(f"{to} commit --topic tid") == ["tidings"]
    assert complete(f"{to} queue info tid") == []


def test_attributes_and_their_values(server, wire):
    """Each attribute once, with its equals sign; then what it can be."""
    wire.call("queue.create", "dead-ones")
    assert complete("queue create q vis") == ["visibility="]
    assert complete("queue create q visibility=5s vis") == []
    assert complete("queue.update q dead_letter_e") == ["dead_letter_expired="]
    # What stands before the equals sign is on the line already.
    assert complete("queue create q overflow=d") == ["dead_letter_oldest", "drop_oldest"]
    assert complete("queue create q content_dedup=") == ["false", "true"]
    assert complete(f"-p {server.port} queue create q dead_letter=dead-") == ["dead-ones"]
    assert complete("queue create q visibility=") == []


def test_values_of_options(server, wire):
    """Words that an option can be worth, however it is written."""
    assert complete("peek q --state ") == ["delayed", "inflight", "parked", "ready"]
    assert complete("peek q --state=p") == ["parked"]
    assert complete("consume q --ack m") == ["manual"]
    wire.call("queue.create", "target-of-a-move")
    assert complete(f"-p {server.port} move q --to target-of") == ["target-of-a-move"]


def test_files_and_commands(folder):
    """Where the shell wants a file, bash's own are offered."""
    (folder / "one.defs").touch()
    assert complete(f"import {folder}/one") == [f"{folder}/one.defs"]
    assert complete(f"publish q --lines {folder}/one") == [f"{folder}/one.defs"]
    assert "printf" in complete("consume q --exec prin")


def test_a_command_that_begins_others():
    """`move` is a command, and the beginning of move list."""
    assert {"move", "move.list", "move.cancel"} <= set(complete("mov"))
    assert {"list", "cancel"} <= set(complete("move "))


def test_a_name_with_colons_is_completed_behind_the_last_one(server, wire):
    """Where bash begins to replace."""
    for name in ("x:y:z", "x:u"):
        wire.call("queue.create", name)
    assert sorted(complete(f"-p {server.port} publish x:")) == ["u", "y:z"]
    assert complete(f"-p {server.port} publish x:y:") == ["z"]


def test_nothing_is_offered_without_an_answer(folder):
    """Neither of a server that is not there, nor of a program that is not there."""
    assert complete(f"-s {folder}/none.sock publish ") == []
    assert complete("pu", program=folder / "none") == []


@pytest.mark.parametrize("said", ["$(touch MARK)", "`touch MARK`", "a;touch MARK", "a b"])
def test_what_a_server_says_is_not_executed(folder, said):
    """A name that is none is not offered, and the shell never expands it."""
    mark = folder / "mark"
    fake = folder / "fake"
    name = said.replace("MARK", str(mark))
    fake.write_text(f"#!/bin/sh\ncase $* in\n*--complete*) printf '%s\\ngood\\n' '{name}' ;;\nesac\n")
    fake.chmod(0o755)
    assert complete("publish ", program=Path(fake)) == ["good"]
    assert not mark.exists()
