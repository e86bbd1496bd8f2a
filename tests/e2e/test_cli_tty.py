"""The shell on a terminal: what a person sees and types, through a pseudo-terminal."""

import os
import re
import signal
import stat

import pexpect
import pytest

from process import ROOT
from wire import DEADLINE, until

CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))
NO_CONNECTION = "not connected> "


class Shell:
    """A shell on a terminal of its own, with a history file in `folder`."""

    def __init__(self, folder, port, *arguments, **variables):
        self.history = folder / "history"
        self.prompt = f"127.0.0.1:{port}> "
        environment = dict(os.environ, HOME=str(folder), TERM="dumb", NO_COLOR="1", LC_ALL="C.UTF-8",
                           RINGMQ_HISTORY=str(self.history))
        environment.pop("RINGMQ_URL", None)
        environment.update(variables)
        self.child = pexpect.spawn(CLI, ["-p", str(port), *arguments], env=environment, timeout=DEADLINE,
                                   encoding="utf-8", dimensions=(40, 200))
        self.child.delaybeforesend = None

    def expect(self, text):
        """Waits for a text; returns what stood before it."""
        self.child.expect_exact(text)
        return self.child.before

    def run(self, line, prompt=None):
        """Gives a command at the prompt; returns what it prints, without the echo."""
        self.child.send(line + "\r")
        self.expect(line)
        return self.expect(prompt or self.prompt).replace("\r\n", "\n").strip("\r\n")

    def ended(self):
        """Waits for its end; returns the exit status and what was printed last."""
        self.child.expect(pexpect.EOF)
        rest = self.child.before
        self.child.close()
        return self.child.exitstatus, rest


@pytest.fixture
def start_shell(folder):
    """Starts shells that end with the test."""
    started = []

    def start(port, *arguments, **variables):
        shell = Shell(folder, port, *arguments, **variables)
        started.append(shell)
        return shell

    yield start
    for shell in started:
        shell.child.close(force=True)


@pytest.fixture
def shell(server, start_shell):
    """A shell at its first prompt."""
    shell = start_shell(server.port)
    shell.expect(shell.prompt)
    return shell


def waiting(wire):
    """How many receives wait, on all connections."""
    return sum(client["waiters"] for client in wire.call("client.list")["clients"])


# -- commands --


def test_the_prompt_is_the_endpoint_and_answers_are_typed(shell, queue):
    """A command given at the prompt is answered in the typed form, and the prompt comes back."""
    assert shell.run("ping") == '"pong"'
    assert "(bool) true" in shell.run(f"queue.create {queue}-typed")
    assert "(integer) 1" in shell.run(f"publish {queue} 'hello world'")
    assert '"hello world"' in shell.run(f"receive {queue}")


def test_a_command_may_be_given_as_two_words(shell, queue):
    """`queue info` and `queue.info` are the same."""
    assert re.search(r"ready: +\(integer\) 0", shell.run(f"queue info {queue}"))


def test_errors_leave_the_shell_running(shell):
    """An error answer, an unknown command and an open quote are told, and the prompt comes back."""
    assert "QUEUE_NOT_FOUND" in shell.run("publish no-such-queue x")
    assert "no such command" in shell.run("frobnicate")
    assert "quote" in shell.run("publish q 'open")
    assert shell.run("ping") == '"pong"'


def test_an_empty_line_does_nothing(shell):
    """Return at an empty prompt gives the next prompt and no message."""
    shell.child.send("\r")
    assert shell.expect(shell.prompt).strip() == ""


def test_help(shell):
    """help lists all commands, `help publish` explains one, `help @queues` lists a group."""
    everything = shell.run("help")
    assert "queue.create" in everything and "publish" in everything and "exit" in everything
    assert "--delay" in shell.run("help publish")
    group = shell.run("help @queues")
    assert "queue.purge" in group and "publish" not in group
    assert "no help about" in shell.run("help nothing-like-it")


# -- completion --


def test_tab_completes_a_command(shell):
    """TAB completes a command given in one word or in two, and an ambiguous one as far as it is clear."""
    shell.child.send("pub\t")
    shell.expect("publish ")
    shell.child.send("\x03")
    shell.expect(shell.prompt)
    shell.child.send("queue cr\t")
    shell.expect("queue create ")
    shell.child.send("\x03")
    shell.expect(shell.prompt)
    shell.child.send("queue.p\t")
    shell.child.expect(r"queue\.pause +queue\.purge\r\n")
    shell.expect(shell.prompt + "queue.p")


def test_tab_completes_help(shell):
    """After help, TAB completes commands and groups."""
    shell.child.send("help @que\t")
    shell.expect("help @queues ")
    shell.child.send("\x03")
    shell.expect(shell.prompt)
    shell.child.send("help extend\t")
    shell.expect("help extend ")


def test_tab_completes_an_option_of_the_command(shell):
    """TAB after -- completes the command's options, the shell's own included."""
    shell.child.send("receive q --vis\t")
    shell.expect("--visibility ")
    shell.child.send("\x03")
    shell.expect(shell.prompt)
    shell.child.send("publish q --li\t")
    shell.expect("--lines ")


def test_tab_completes_an_attribute_and_then_its_value(shell):
    """No blank follows the equals sign; one follows the value."""
    shell.child.send("queue create q over\t")
    shell.expect("overflow=")
    shell.child.send("rej\t")
    shell.expect("overflow=reject ")
    shell.child.send("\x03")
    shell.expect(shell.prompt)


def test_tab_completes_the_name_of_a_queue(shell, wire):
    """Where a command wants a queue, TAB asks the server for names."""
    assert wire.call("queue.create", "completed/orders") == {"created": True}
    shell.child.send("publish completed\t")
    shell.expect("completed/orders ")
    shell.child.send("hello\r")
    shell.expect("first_id")


def test_tab_completes_an_option_of_the_server(shell):
    """After config.set, TAB completes names of options."""
    shell.child.send("config set max_mem\t")
    shell.expect("max_memory ")


# -- history --


def test_history_is_private_and_holds_no_passwords(server, start_shell):
    """The history file has mode 0600 and no line with a password; it is there after a restart."""
    shell = start_shell(server.port)
    shell.expect(shell.prompt)
    shell.run("ping")
    shell.run("hello --user me --password secret1")
    shell.run("publish --url ringmq://me:secret2@127.0.0.1 x")
    shell.run("publish q password=secret3")
    shell.run("queue.list --prefix nothing")
    shell.child.send("exit\r")
    assert shell.ended()[0] == 0
    assert stat.S_IMODE(shell.history.stat().st_mode) == 0o600
    assert shell.history.read_text().splitlines() == ["ping", "queue.list --prefix nothing", "exit"]

    again = start_shell(server.port)
    again.expect(again.prompt)
    again.child.send("\x10\x10\x10\r")
    again.expect('"pong"')


def test_a_history_that_others_can_read_is_made_private(server, start_shell, folder):
    """A history file with a wider mode gets mode 0600 before anything is added."""
    (folder / "history").write_text("ping\n")
    (folder / "history").chmod(0o644)
    shell = start_shell(server.port)
    shell.expect(shell.prompt)
    assert stat.S_IMODE(shell.history.stat().st_mode) == 0o600


def test_history_is_bounded(server, start_shell, folder):
    """Only the last 1,000 lines are kept."""
    (folder / "history").write_text("".join(f"ping {i}\n" for i in range(1500)))
    shell = start_shell(server.port)
    shell.expect(shell.prompt)
    shell.run("ping")
    shell.child.send("\x04")
    assert shell.ended()[0] == 0
    lines = shell.history.read_text().splitlines()
    assert len(lines) == 1000 and lines[-1] == "ping" and lines[0] == "ping 501"
    assert [path.name for path in folder.iterdir()] == ["history"]


def test_an_empty_history_variable_keeps_no_file(server, start_shell, folder):
    """RINGMQ_HISTORY set but empty: nothing is written, in the home directory neither."""
    shell = start_shell(server.port, RINGMQ_HISTORY="")
    shell.expect(shell.prompt)
    shell.run("ping")
    shell.child.send("\x04")
    assert shell.ended()[0] == 0
    assert list(folder.iterdir()) == []


# -- Ctrl-C and Ctrl-D --


def test_ctrl_c_at_the_prompt_clears_the_line(shell):
    """What was typed is gone, and is not executed by the next Return."""
    shell.child.send("queue.create never-created")
    shell.expect("never-created")
    shell.child.send("\x03")
    shell.expect("^C")
    shell.expect(shell.prompt)
    assert shell.run("ping") == '"pong"'
    assert "QUEUE_NOT_FOUND" in shell.run("queue.info never-created")


def test_ctrl_c_in_the_middle_of_a_line_clears_all_of_it(shell):
    """Also what stands behind the cursor."""
    shell.child.send("publish somewhere\x01")
    shell.expect("somewhere")
    shell.child.send("\x03")
    shell.expect("^C")
    shell.expect(shell.prompt)
    assert shell.run("ping") == '"pong"'


def test_ctrl_c_cancels_a_wait_and_not_the_shell(shell, wire, queue):
    """A receive that waits is given up, on the server too: a message that comes later is not lost in it."""
    shell.child.send(f"receive {queue} --wait 20s\r")
    until(lambda: waiting(wire) == 1, "the receive waits")
    shell.child.send("\x03")
    shell.expect("^C")
    shell.expect(shell.prompt)
    until(lambda: waiting(wire) == 0, "the receive is given up", deadline=10)
    wire.call("publish", queue, ["later"])
    assert '"later"' in shell.run(f"receive {queue}")


def test_ctrl_c_ends_a_consumer_and_not_the_shell(shell, wire, queue):
    """consume runs until Ctrl-C; then the prompt is back, and the server has no consumer left."""
    shell.child.send(f"consume {queue}\r")
    until(lambda: wire.call("queue.info", queue)["consumers"] == 1, "the consumer is there")
    shell.child.send("\x03")
    shell.expect(shell.prompt)
    until(lambda: wire.call("queue.info", queue)["consumers"] == 0, "the consumer is gone")
    assert shell.run("ping") == '"pong"'


def test_ctrl_d_leaves(shell):
    """Ctrl-D at an empty prompt ends the shell with status 0 and the cursor on a new line."""
    shell.child.send("\x04")
    status, rest = shell.ended()
    assert status == 0 and rest.endswith("\r\n")


@pytest.mark.parametrize("word", ["exit", "quit"])
def test_exit_and_quit_leave(shell, word):
    """Both words end the shell with status 0."""
    shell.child.send(word + "\r")
    assert shell.ended()[0] == 0


def test_sigterm_ends_the_shell(shell):
    """SIGTERM at the prompt ends the shell."""
    shell.child.kill(signal.SIGTERM)
    shell.child.expect(pexpect.EOF)
    shell.child.close()
    assert 128 + signal.SIGTERM in (shell.child.exitstatus, 128 + (shell.child.signalstatus or 0))


# -- connections --


def test_a_server_that_goes_and_comes_back(start_server, start_shell):
    """Without a server the prompt says so and commands fail; once it is back, the next command connects again."""
    server = start_server()
    port = server.port
    shell = start_shell(port)
    shell.expect(shell.prompt)
    assert shell.run("ping") == '"pong"'
    server.stop()
    assert "refused" in shell.run("ping", NO_CONNECTION)
    start_server(port=port)
    assert shell.run("ping") == '"pong"'


def test_starting_without_a_server(start_server, start_shell):
    """The shell starts without a server, and connects when there is one."""
    server = start_server()
    port = server.port
    server.stop()
    shell = start_shell(port)
    shell.expect("refused")
    shell.expect(NO_CONNECTION)
    assert "publish" in shell.run("help @messages", NO_CONNECTION)
    start_server(port=port)
    assert shell.run("ping") == '"pong"'
