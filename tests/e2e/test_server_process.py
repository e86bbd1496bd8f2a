"""The server as a process: flags and files, where it listens, signals."""

import os
import re
import signal
import socket
import subprocess
import time

import pytest
from process import READY, SERVER, Server, run
from wire import Wire, pack, refusal, until

# ---- flags and files ---------------------------------------------------------------------------------------


def test_version_is_printed_and_nothing_else_done():
    """Name and version on stdout, exit 0."""
    done = run("--version")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.split()[0] == "ringmq-server" and done.stdout.count("\n") == 1


def test_version_is_the_one_that_hello_tells(wire):
    """There is one version."""
    assert wire.call("hello")["version"] in run("--version").stdout


def test_help_names_every_option(wire):
    """--help and config.get know the same options."""
    done = run("--help")
    assert done.returncode == 0
    for key in wire.call("config.get"):
        assert f"--{key}" in done.stdout, key


def test_test_config_accepts_a_good_file_and_starts_nothing(folder):
    """Exit 0; the socket that the file names is not made."""
    path = folder / "good.conf"
    path.write_text(f"# a comment\nport 0\nsocket {folder}/x.sock\nmax_message_bytes 64kb\nbind 127.0.0.1 ::1\n")
    done = run(str(path), "--test-config")
    assert done.returncode == 0, done.stderr
    assert not (folder / "x.sock").exists()


@pytest.mark.parametrize("line, words", [
    ("max_mesage_bytes 64kb", ["max_mesage_bytes", "max_message_bytes"]),
    ("max_message_bytes much", ["max_message_bytes", "much"]),
    ("max_message_bytes 1tb", ["max_message_bytes"]),
    ("max_batch 0", ["max_batch"]),
    ("port 99999", ["port"]),
    ("port", ["port"]),
])
def test_a_wrong_line_in_the_file_is_refused_with_its_number(folder, line, words):
    """By --test-config and by a start alike: FILE:LINE, what is wrong, and the nearest key."""
    path = folder / "bad.conf"
    path.write_text(f"# one\n\n{line}\n")
    for arguments in ((str(path), "--test-config"), (str(path),)):
        done = run(*arguments)
        assert done.returncode != 0
        assert all(word in done.stderr for word in [f"{path}:3", *words]), done.stderr


@pytest.mark.parametrize("flags, words", [
    (["--max_mesage_bytes", "64kb"], ["--max_mesage_bytes", "max_message_bytes"]),
    (["--max_batch"], ["max_batch"]),
    (["--max_batch", "0"], ["max_batch"]),
    (["--max_message_bytes", "16mb"], ["max_request_bytes"]),
    (["--bind", "localhost.nowhere", "--port", "0"], ["localhost.nowhere"]),
    (["no-such-file.conf"], ["no-such-file.conf"]),
    (["--durability", "fsync"], ["durability"]),
])
def test_a_wrong_flag_is_refused(flags, words):
    """Exit code not 0, and a line on stderr that names it."""
    done = run(*flags)
    assert done.returncode != 0 and done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr


def test_flags_win_over_the_file(start_server):
    """The same keys in both."""
    server = start_server("--max_batch", "7", config="max_batch 5\nmax_wait 7s\n")
    with server.connect() as wire:
        assert wire.call("config.get", "max_batch") == {"max_batch": "7"}
        assert wire.call("config.get", "max_wait") == {"max_wait": "7s"}


# ---- where it listens --------------------------------------------------------------------------------------


def test_port_0_is_any_free_port_and_is_printed(start_server):
    """Two servers have two ports, and both can be reached there as soon as `ready` is printed."""
    servers = [start_server(), start_server()]
    assert servers[0].port != servers[1].port
    for server in servers:
        assert server.address[0] == "127.0.0.1" and server.port > 1023
        with server.connect() as wire:
            assert wire.call("ping") == "pong"


def test_ready_is_the_last_line_of_a_start(start_server):
    """Whoever waits for it finds everything open: TCP and the Unix socket."""
    server = start_server()
    assert READY.search(server.lines[-1])
    with server.connect(server.socket_path) as wire:
        assert wire.call("ping") == "pong"


def test_several_addresses_share_one_port(start_server):
    """Each --bind adds one."""
    server = start_server("--bind", "127.0.0.1", "--bind", "127.0.0.2")
    assert sorted(server.addresses) == [("127.0.0.1", server.port), ("127.0.0.2", server.port)]
    for address in server.addresses:
        with server.connect(address) as wire:
            assert wire.call("ping") == "pong"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")
def test_ipv6(start_server):
    """Alone, and beside IPv4 on the same port; client.list shows the address in brackets."""
    server = start_server("--bind", "::1", "--bind", "127.0.0.1")
    assert sorted(server.addresses) == [("127.0.0.1", server.port), ("::1", server.port)]
    with server.connect(("::1", server.port)) as wire, server.connect(("127.0.0.1", server.port)) as other:
        expected = {"[%s]:%d" % wire.sock.getsockname()[:2], "%s:%d" % other.sock.getsockname()}
        assert other.call("ping") == "pong"
        assert {client["addr"] for client in wire.call("client.list")["clients"]} == expected


def test_a_port_in_use_is_an_error_at_the_start(server):
    """Exit code not 0, and the address is named."""
    done = run("--port", str(server.port))
    assert done.returncode != 0 and str(server.port) in done.stderr


def test_a_stale_unix_socket_is_replaced(folder):
    """A socket file on which nobody listens is left over from an earlier run."""
    path = folder / "ringmq.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server = Server(folder)
    with server.connect(server.socket_path) as wire:
        assert wire.call("ping") == "pong"
    server.stop()
    assert not path.exists()


def test_a_unix_socket_on_which_somebody_listens_is_left_alone(server):
    """The second server does not start, the first goes on."""
    done = run("--port", "0", "--socket", server.socket_path)
    assert done.returncode != 0 and server.socket_path in done.stderr
    with server.connect(server.socket_path) as wire:
        assert wire.call("ping") == "pong"


def test_a_file_that_is_no_socket_is_never_removed(folder):
    """Even if the configuration says so."""
    path = folder / "precious"
    path.write_text("data")
    done = run("--port", "0", "--socket", str(path))
    assert done.returncode != 0 and path.read_text() == "data"


@pytest.mark.parametrize("flags, mode", [([], 0o660), (["--socket_mode", "0600"], 0o600)])
def test_the_unix_socket_has_the_permissions_of_socket_mode(start_server, flags, mode):
    """From the first moment on which somebody could connect."""
    server = start_server(*flags)
    assert os.stat(server.socket_path).st_mode & 0o777 == mode


def test_ready_is_told_to_systemd(folder):
    """READY=1 goes to the socket in NOTIFY_SOCKET when the server serves."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(20)
        server = Server(folder, env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")})
        try:
            assert b"READY=1" in manager.recv(4096).split(b"\n")
        finally:
            server.stop()


# ---- signals -----------------------------------------------------------------------------------------------


def busy_server(start_server, drain_timeout):
    """A server with one message ready and one inflight; the connection that holds it, and the receipt."""
    server = start_server("--drain_timeout", drain_timeout)
    wire = server.connect()
    wire.call("queue.create", "q")
    wire.call("publish", "q", ["a", "b"])
    ((receipt, *_),) = wire.call("receive", "q")
    return server, wire, receipt


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once_with_exit_code_0(start_server, number):
    """Long before the drain timeout; connections are closed."""
    server = start_server("--drain_timeout", "1h")
    with server.connect() as wire:
        wire.call("ping")
        server.signal(number)
        wire.end()
        assert server.wait() == 0


def test_sigterm_waits_for_the_acks_of_what_is_inflight(start_server):
    """New work is refused meanwhile; after the last ack it stops at once, and says how many messages are lost."""
    server, wire, receipt = busy_server(start_server, "1h")
    server.signal(signal.SIGTERM)
    until(lambda: wire.call("server.info", "server")["server"]["draining"])
    assert refusal(wire.call, "publish", "q", ["c"]) == ("DRAINING", {}, True)
    assert wire.call("ack", [receipt]) == 1
    assert server.wait() == 0
    assert re.search(r"lost.*\b1\b|\b1\b.*lost", server.lines[-1]), server.log
    wire.close()


def test_sigterm_waits_no_longer_than_drain_timeout(start_server):
    """Then consumers are cancelled, waiters refused, connections closed; exit 0."""
    server, wire, _ = busy_server(start_server, "200ms")
    wire.call("queue.create", "empty")
    consumer = wire.call("consume", "empty")
    poll = wire.send("receive", "empty", {"wait": 20_000})
    wire.call("ping")
    start = time.monotonic()
    server.signal(signal.SIGTERM)
    assert refusal(wire.answer, poll)[0] == "DRAINING"
    wire.end()
    assert ["cancelled", [consumer, "draining"]] in wire.pushed
    assert server.wait() == 0 and time.monotonic() - start >= 0.2
    wire.close()


def test_a_second_signal_stops_at_once(start_server):
    """Whatever is inflight."""
    server, wire, _ = busy_server(start_server, "1h")
    server.signal(signal.SIGTERM)
    until(lambda: wire.call("server.info", "server")["server"]["draining"])
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    wire.close()


def test_a_client_that_does_not_read_can_not_keep_a_server_from_stopping(start_server):
    """What is left of its answers is dropped after a moment."""
    server = start_server()
    with server.connect() as wire, server.connect(receive_bytes=4096) as stuck:
        wire.call("queue.create", "q")
        wire.call("publish", "q", [b"x" * 1_000_000])
        stuck.send_bytes(pack(*([0, i, "peek", ["q"]] for i in range(20))))
        until(lambda: any(client["output_bytes"] for client in wire.call("client.list")["clients"]))
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def test_a_draining_server_does_not_listen_any_more_when_it_is_gone(start_server):
    """The Unix socket's file is removed."""
    server = start_server()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert not os.path.exists(server.socket_path)


def test_sighup_reads_the_file_again(start_server):
    """What can change at run time does; what needs a restart is named in the log and stays."""
    server = start_server(config="max_batch 5\nmax_connections 100\n")
    with server.connect() as wire:
        server.config_path.write_text("max_batch 6\nmax_connections 200\n")
        server.signal(signal.SIGHUP)
        until(lambda: wire.call("config.get", "max_batch") == {"max_batch": "6"})
        assert wire.call("config.get", "max_connections") == {"max_connections": "100"}
        assert "max_connections" in server.wait_log("next start|restart")
        assert refusal(wire.call, "ack", [1] * 7)[:2] == ("LIMIT", {"which": "max_batch"})


def test_sighup_with_a_broken_file_changes_nothing(start_server):
    """The error is in the log, the server goes on with what it had."""
    server = start_server(config="max_batch 5\n")
    with server.connect() as wire:
        server.config_path.write_text("max_batch 6\nmax_wiat 5s\n")
        server.signal(signal.SIGHUP)
        assert "max_wait" in server.wait_log("max_wiat")
        assert wire.call("config.get", "max_batch") == {"max_batch": "5"}


def test_sighup_without_a_file_is_harmless(start_server):
    """There is nothing to read but the flags."""
    server = start_server("--max_batch", "5")
    with server.connect() as wire:
        wire.call("config.set", "max_batch", 9)
        server.signal(signal.SIGHUP)
        until(lambda: wire.call("config.get", "max_batch") == {"max_batch": "5"})


def test_a_server_whose_stderr_is_gone_goes_on(folder):
    """Log lines are lost, not the server."""
    with subprocess.Popen([SERVER, "--port", "0", "--socket", str(folder / "s"), "--log_level", "debug"],
                          stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if "ready" in line:
                    break
            process.stderr.close()
            for _ in range(20):
                with Wire(str(folder / "s")) as wire:
                    assert wire.call("ping") == "pong"
        finally:
            process.terminate()
        assert process.wait(20) == 0
