"""ringmq-cli as a person sees it: the prompt, completion, history, help and Ctrl-C, through a pseudo-terminal."""

import os
import re
import stat

import pexpect
import pytest

from process import ROOT
from wire import DEADLINE, until

CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, home, *words):
        self.history = home / ".ringmq_history"
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        self.child = pexpect.spawn(CLI, [str(word) for word in words], env=environment, encoding="utf-8",
                                   timeout=DEADLINE, dimensions=(50, 160))
        self.child.delaybeforesend = None

    def prompt(self, text=r"127\.0\.0\.1:\d+"):
        """Waits for the prompt; returns what was shown before it."""
        self.child.expect(rf"(?:\r|\n|\x1b\[[0-9;]*[A-Za-z])*{text}> ")
        return self.child.before

    def tell(self, line):
        """Enters a line; returns what is shown until the next prompt."""
        self.child.send(line + "\r")
        return self.prompt()

    def expect(self, pattern):
        self.child.expect(pattern)
        return self.child.match

    def end(self):
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def spawn(folder):
    started = []

    def run(*words):
        started.append(Terminal(folder, *words))
        return started[-1]

    yield run
    for terminal in started:
        terminal.child.close(force=True)


@pytest.fixture
def shell(spawn, server):
    """A shell at its prompt."""
    terminal = spawn("-p", server.port)
    terminal.prompt(rf"127\.0\.0\.1:{server.port}")
    return terminal


def test_the_prompt_names_the_server_and_answers_show_their_types(shell, queue):
    shown = shell.tell(f"publish {queue} hello 'a \"b\"' \"tab\\t\\xff\"")
    assert "first_id: (integer) 1" in shown and "count:    (integer) 3" in shown
    shown = shell.tell(f"receive {queue} --max 3")
    assert '"hello"' in shown and '"a \\"b\\""' in shown and '"tab\\t\\xff"' in shown
    assert '"pong"' in shell.tell("ping")


def test_an_error_answer_is_red_and_the_shell_goes_on(shell):
    assert "\x1b[31m(error) QUEUE_NOT_FOUND: " in shell.tell("receive no-such-queue")
    assert '"pong"' in shell.tell("ping")


def test_a_wrong_line_is_explained_and_the_shell_goes_on(shell):
    assert "quote" in shell.tell("publish 'open")
    assert "no such command" in shell.tell("nonsense")
    assert '"pong"' in shell.tell("ping")


def test_one_command_on_a_terminal_shows_types(spawn, server, queue):
    terminal = spawn("-p", server.port, "publish", queue, "a")
    terminal.expect(r"count: +\(integer\) 1")
    assert terminal.end() == 0


# -- completion: the editor writes only what it adds --


def test_tab_completes_a_command(shell):
    shell.child.send("pi\t")
    shell.expect("ng ")
    assert '"pong"' in shell.tell("")


def test_tab_completes_the_second_word_of_a_command(shell):
    shell.child.send("server st\t")
    shell.expect("ats ")
    assert "(integer)" in shell.tell("")


def test_tab_completes_the_name_of_a_queue(shell, wire):
    wire.call("queue.create", "unmistakable-name")
    shell.child.send("queue info unmis\t")
    shell.expect("takable-name ")
    assert '"unmistakable-name"' in shell.tell("")


def test_tab_completes_an_option(shell, queue):
    shell.child.send(f"receive {queue} --vis\t")
    shell.expect("ibility ")
    assert "(empty list)" in shell.tell("5s")


def test_tab_lists_what_is_possible(shell):
    shell.child.send("queue.p\t")
    shell.expect(r"queue\.pause +queue\.purge")
    shell.child.send("\x03")
    shell.prompt()


# -- help --


def test_help_tells_about_all_commands_a_group_and_one_command(shell):
    shown = shell.tell("help")
    assert "@messages" in shown and "queue.create" in shown and "exit" in shown
    shown = shell.tell("help @queues")
    assert "queue.purge" in shown and "receive" not in shown
    shown = shell.tell("help publish")
    assert "--lines" in shown and "--header" in shown


# -- history --


def test_lines_come_back_with_the_arrow_and_in_the_next_shell(shell, spawn, server):
    shell.tell("ping")
    shell.child.send("\x1b[A")
    shell.expect("ping")
    assert '"pong"' in shell.tell("")
    shell.child.send("exit\r")
    assert shell.end() == 0
    again = spawn("-p", server.port)
    again.prompt()
    again.child.send("\x1b[A\x1b[A")
    again.expect("ping")
    assert '"pong"' in again.tell("")


def test_the_history_is_private_and_holds_no_password(shell, queue):
    shell.tell("hello password=secret-1")
    shell.tell(f"publish {queue} ringmq://me:secret-2@host")
    shell.tell(f"publish {queue} harmless")
    assert stat.S_IMODE(shell.history.stat().st_mode) == 0o600
    text = shell.history.read_text()
    assert "harmless" in text and "secret" not in text


# -- keys --


def test_ctrl_c_ends_consume_but_not_the_shell(shell, wire, queue):
    shell.child.send(f"consume {queue}\r")
    wire.call("publish", queue, ["a body"])
    shell.expect("a body\r\n")
    until(lambda: wire.call("queue.info", queue)["total"] == 0, "the ack")
    shell.child.send("\x03")
    shell.prompt()
    assert '"pong"' in shell.tell("ping")
    assert wire.call("queue.info", queue)["consumers"] == 0


@pytest.mark.parametrize("keys", ["\x04", "exit\r", "quit\r"])
def test_ctrl_d_exit_and_quit_leave(shell, keys):
    shell.child.send(keys)
    assert shell.end() == 0


def test_clear_clears_the_screen(shell):
    shell.child.send("clear\r")
    shell.expect(r"\x1b\[2J")
    shell.prompt()


# -- the connection --


def test_a_shell_without_a_server_says_so_and_tries_again_with_the_next_command(spawn, start_server):
    own = start_server()
    terminal = spawn("-p", own.port)
    terminal.prompt(rf"127\.0\.0\.1:{own.port}")
    own.stop()
    terminal.child.send("ping\r")
    terminal.prompt("not connected")
    start_server(port=own.port)
    assert '"pong"' in terminal.tell("ping")


def test_a_progress_line_is_shown_while_a_file_is_published(spawn, server, wire, queue, folder):
    """The reader waits in the middle of a pipe, so that the line must appear while there is more to come."""
    os.mkfifo(folder / "pipe")
    terminal = spawn("-p", server.port, "publish", queue, "--lines", folder / "pipe")
    with open(folder / "pipe", "wb", buffering=0) as pipe:
        pipe.write(b"a\nb\n")
        terminal.expect(r"2 messages, \d+ a second")
    shown = terminal.expect(r"(\d+) messages published in ")
    assert shown.group(1) == "2"
    assert terminal.end() == 0
    assert re.search(rb"b", wire.call("peek", queue)["messages"][1]["body"])
