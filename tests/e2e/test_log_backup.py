"""Copies of a log: of a running server with --copy-log, and with cp while nothing happens."""

import subprocess
import threading
import time

import process
from wire import DEADLINE, until

SEGMENT = "4mb"


def log_flags(log, level="os"):
    return ["--dir", str(log), "--durability", level, "--log_segment_bytes", SEGMENT]


def bodies(wire, queue):
    """All bodies of a queue, in the order of their ids."""
    found, start = [], 1
    while start is not None:
        page = wire.call("peek", queue, {"from": start, "max": 1000})
        found += [message["body"] for message in page["messages"]]
        start = page["next"]
    return found


class Load(threading.Thread):
    """Publishes numbered bodies and acks most of them. What was confirmed and what was begun can be read at any time."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.wire = server.connect()
        self.confirmed, self.ack_begun, self.acked = {}, set(), set()
        self.ending, self.failure = threading.Event(), None
        self.start()

    def run(self):
        try:
            number = 0
            while not self.ending.is_set():
                batch = [b"%d %s" % (number + i, b"x" * (i * 37 % 900)) for i in range(50)]
                number += 50
                first, count = self.wire.call("publish", "work", batch)
                assert count == 50
                self.confirmed.update({first + i: body for i, body in enumerate(batch)})
                taken = self.wire.call("receive", "work", {"max": 45})
                self.ack_begun.update(delivery[1] for delivery in taken)
                assert self.wire.call("ack", [delivery[0] for delivery in taken]) == len(taken)
                self.acked.update(delivery[1] for delivery in taken)
        except BaseException as failure:
            self.failure = failure

    def end(self):
        self.ending.set()
        self.join(DEADLINE)
        self.wire.close()
        assert self.failure is None, self.failure


def shown(wire):
    rows, start = {}, 1
    while start is not None:
        page = wire.call("peek", "work", {"from": start, "max": 1000})
        rows.update({message["id"]: message["body"] for message in page["messages"]})
        start = page["next"]
    return rows


def test_a_copy_of_a_running_server_has_what_was_confirmed_before_it_began(folder, start_server):
    """Under load, with segments that are used again all the time; three copies."""
    server = start_server(*log_flags(folder / "log"))
    with server.connect() as wire:
        wire.call("queue.create", "work", {"visibility": 600000})
    load = Load(server)
    try:
        for number in range(3):
            time.sleep(0.2)
            copy = folder / f"copy-{number}"
            confirmed, acked = dict(load.confirmed), set(load.acked)
            assert len(acked) > 100
            done = process.run("--copy-log", str(folder / "log"), "--to", str(copy))
            assert done.returncode == 0, done.stderr
            ack_begun, later = set(load.ack_begun), dict(load.confirmed)
            other = start_server(*log_flags(copy))
            with other.connect() as wire:
                rows = shown(wire)
            lost = [i for i in confirmed if i not in rows and i not in ack_begun]
            assert not lost, lost[:10]
            back = [i for i in rows if i in acked]
            assert not back, back[:10]
            assert all(rows[i] == body for i, body in later.items() if i in rows)
    finally:
        load.end()


def test_a_copy_does_not_go_over_what_is_there(folder, start_server):
    """A directory that holds a log, an earlier copy perhaps, is not written to."""
    server = start_server(*log_flags(folder / "log"))
    with server.connect() as wire:
        wire.call("queue.create", "work")
        copy = folder / "copy"
        assert process.run("--copy-log", str(folder / "log"), "--to", str(copy)).returncode == 0
        before = {path.name: path.read_bytes() for path in copy.iterdir()}
        wire.call("publish", "work", ["later"])
        done = process.run("--copy-log", str(folder / "log"), "--to", str(copy))
    assert done.returncode != 0 and done.stderr.strip()
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_a_plain_copy_of_the_directory_of_an_idle_server_is_a_log(folder, start_server):
    """cp -a while the server runs and has nothing to do; it goes on with its own afterwards."""
    server = start_server(*log_flags(folder / "log", "fsync"))
    with server.connect() as wire:
        wire.call("queue.create", "work")
        for number in range(20):
            wire.call("publish", "work", [b"%d" % (number * 100 + i) * 9 for i in range(100)])
        taken = wire.call("receive", "work", {"max": 700})
        wire.call("ack", [delivery[0] for delivery in taken])
        before = bodies(wire, "work")
        until(lambda: not wire.call("log.info")["compacting"])
        subprocess.run(["cp", "-a", str(folder / "log"), str(folder / "copy")], check=True)
        other = start_server(*log_flags(folder / "copy", "fsync"))
        with other.connect() as copied:
            assert bodies(copied, "work") == before and len(before) == 1300
            assert copied.call("publish", "work", ["new"]) == [2001, 1]
        assert wire.call("publish", "work", ["new"]) == [2001, 1]
