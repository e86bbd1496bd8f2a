"""The brokers that are compared: what each promises, how its server is started, and how its client works."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

START_S, STOP_S = 60, 20


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    name = title = client = ""
    kept = True                 # at least once
    packages = ()               # Debian's, with their client library; the first is that of the server
    batches = (100, 1)
    queues = True               # it keeps messages that nobody receives

    def prepare(self, folder, port):
        """What must be there before the server starts; processes of its own that end after it."""
        return []

    def command(self, folder, port):
        raise NotImplementedError

    def environment(self, folder, port):
        return {}

    def described(self):
        """The command, its environment and its files, as a reader can repeat them."""
        words = [f"{key}={shlex.quote(value)}" for key, value in self.environment("DIR", "PORT").items()]
        return " ".join(words + [shlex.quote(word) for word in self.command("DIR", "PORT")])


class Ringmq(Peer):
    name, title = "ringmq", "ringmq"
    client = "ringmq-bench: pushed deliveries with prefetch 10,000, 100 receipts an ack, confirms with a window"

    def __init__(self, build):
        self.build = Path(build)

    def command(self, folder, port):
        return [str(self.build / "ringmq-server"), "--port", str(port)]

    def described(self):
        return "ringmq-server --port PORT"


class Redis(Peer):
    packages = ("redis-server", "libhiredis-dev")

    def command(self, folder, port):
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "",
                "--appendonly", "no"]


class RedisLists(Redis):
    name, title, kept = "redis-lists", "Redis lists", False
    client = "RPUSH of a batch, pipelined; BLMPOP COUNT 100, two under way; what was popped is gone"


class RedisStreams(Redis):
    name, title = "redis-streams", "Redis Streams"
    client = ("XADD, pipelined, a batch in one write; XREADGROUP COUNT 100, its XACK of 100 written together with the next; "
              "XTRIM MINID ~ every MiB")


class Nats(Peer):
    packages = ("nats-server", "libnats-dev")

    def command(self, folder, port):
        return ["nats-server", "--addr", "127.0.0.1", "--port", str(port)]


class NatsCore(Nats):
    name, title, kept, batches, queues = "nats-core", "NATS core", False, (100,), False
    client = "publishes through a buffer of 256 KiB, a synchronous subscription; no confirms, no acks, no batches"


class JetStream(Nats):
    name, title = "jetstream", "NATS JetStream, memory"
    client = ("js_PublishAsync with a window; a push consumer with MaxAckPending as prefetch, AckAll every 100 messages; "
              "memory storage, interest retention")

    def command(self, folder, port):
        return super().command(folder, port) + ["--jetstream", "--store_dir", str(folder)]


class Beanstalkd(Peer):
    name, title, packages = "beanstalkd", "beanstalkd", ("beanstalkd",)
    client = "raw sockets: pipelined puts; rounds of up to 100 pipelined reserves and as many deletes in one write"

    def command(self, folder, port):
        return ["beanstalkd", "-l", "127.0.0.1", "-p", str(port)]


class RabbitMQ(Peer):
    name, title, packages = "rabbitmq", "RabbitMQ, classic, transient", ("rabbitmq-server", "librabbitmq-dev")
    client = ("transient messages to a transient classic queue, confirms with a window, TCP_CORK between flushes; prefetch "
              "10,000, a multiple ack every 100 messages")

    def __init__(self):
        self.mapper, self.distribution = "PORT", "PORT"

    def prepare(self, folder, port):
        """Erlang's port mapper would be started in the background and stay: so it is ours, on a port of its own."""
        (folder / "enabled_plugins").write_text("[].\n")
        self.mapper, self.distribution = str(free_port()), str(free_port())
        return [subprocess.Popen(["epmd", "-port", self.mapper, "-address", "127.0.0.1"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]

    def command(self, folder, port):
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def environment(self, folder, port):
        return {"HOME": str(folder), "RABBITMQ_NODENAME": "compare@localhost", "RABBITMQ_NODE_PORT": str(port),
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_DIST_PORT": self.distribution,
                "RABBITMQ_MNESIA_BASE": f"{folder}/data", "RABBITMQ_LOG_BASE": f"{folder}/log",
                "RABBITMQ_CONFIG_FILE": f"{folder}/none", "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
                "ERL_EPMD_PORT": self.mapper, "ERL_EPMD_ADDRESS": "127.0.0.1",
                # Its schedulers would otherwise spin for work, which counts as processor time.
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none"}


def all_peers(build):
    return [Ringmq(build), RedisLists(), NatsCore(), RedisStreams(), JetStream(), RabbitMQ(), Beanstalkd()]


def family(pid):
    """A process and all that come from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


class Server:
    """A server of a peer in a folder of its own, ready. `with` ends it, whatever happens."""

    def __init__(self, peer):
        self.peer, self.port = peer, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"compare-{peer.name}-"))
        self.helpers, self.process = [], None
        try:
            self.helpers = peer.prepare(self.folder, self.port)
            with open(self.folder / "output", "wb") as output:
                # In a session of its own: Ctrl-C ends the run, and the run ends the server.
                self.process = subprocess.Popen(
                    peer.command(self.folder, self.port), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                    stderr=subprocess.STDOUT, env=os.environ | peer.environment(self.folder, self.port),
                    start_new_session=True)
            self.wait()
        except BaseException:
            self.stop()
            raise

    def wait(self):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        output = (self.folder / "output").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the server of {self.peer.name} did not start:\n{output}")

    def pids(self):
        return ",".join(map(str, family(self.process.pid)))

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(self.process.pid, signal.SIGKILL)     # what it may have left behind
            except ProcessLookupError:
                pass
            self.process.wait()
        for helper in self.helpers:
            helper.terminate()
            helper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()
