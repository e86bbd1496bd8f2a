#!/usr/bin/env python3
"""growth: what a log takes on the disk while the same jobs come back again and again, and while a few stay for ever.

    tests/growth/growth.py [--jobs N] [--megabytes N] [--segment BYTES] [--no-beanstalkd]

(a) N jobs are taken and given back with a delay, ten rounds long. (b) N megabytes of bodies of 1 KiB are published and acked while
100 of them, spread evenly, are parked. Meanwhile the directory is looked at every 50 ms: it may never take more than twice the live
bytes plus two segments, by the lengths of the files and by their blocks. Live is what this program has sent and not yet seen gone:
the bodies, and 64 bytes for each message.

Beside it stands what beanstalkd takes for the same work (-b DIRECTORY -f0; its delays are whole seconds, and it is given up after
a few minutes). It is fetched with apt-get if it is not there, and unpacked below $RINGMQ_BUILD without being installed or started
as a service. The exit code is 0 if the bound held for ringmq at every look.
"""

import argparse
import collections
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from process import Server  # noqa: E402
from wire import until  # noqa: E402

MESSAGE_BYTES = 64          # what a message may take beside its body
LOOK_S = 0.05
BATCH = 100
ROUNDS = 10
PARKED = 100
JOB_BYTES, CHURN_BYTES = 128, 1024
BEANSTALKD_S = 240


class Work:
    """How far the work is, and what is live."""

    def __init__(self):
        self.live = self.done = 0


class Watch(threading.Thread):
    """Looks at a directory all the time: [seconds, messages done, live bytes, bytes of the files, bytes of their blocks]."""

    def __init__(self, folder, work, look_s=LOOK_S):
        super().__init__(daemon=True)
        self.folder, self.work, self.look_s, self.looks, self.ending = folder, work, look_s, [], threading.Event()
        self.began = time.monotonic()
        self.start()

    def run(self):
        while not self.ending.wait(self.look_s):
            before = self.work.live
            sizes = blocks = 0
            for entry in os.scandir(self.folder):
                try:
                    stat = entry.stat()
                except FileNotFoundError:
                    continue
                sizes, blocks = sizes + stat.st_size, blocks + stat.st_blocks * 512
            self.looks.append((time.monotonic() - self.began, self.work.done, max(before, self.work.live), sizes, blocks))

    def end(self):
        self.ending.set()
        self.join()
        return self.looks


def allowed(look, segment):
    return 2 * look[2] + 2 * segment


def broken(looks, segment):
    """The looks at which the bound did not hold."""
    return [look for look in looks if max(look[3], look[4]) > allowed(look, segment)]


# -- ringmq --


class Sender:
    """Requests of which the answers are looked at later, in order."""

    def __init__(self, wire):
        self.wire, self.waiting = wire, collections.deque()

    def send(self, then, method, *params):
        self.waiting.append((self.wire.send(method, *params), then))

    def collect(self, most):
        """Takes answers in until at most so many are missing."""
        while len(self.waiting) > most or (self.waiting and self.waiting[0][0] in self.wire.answers):
            msgid, then = self.waiting.popleft()
            then(self.wire.answer(msgid))


def publish_all(wire, work, queue, count, body):
    sender = Sender(wire)
    for first in range(0, count, BATCH):
        batch = [body] * min(BATCH, count - first)
        work.live += len(batch) * (len(body) + MESSAGE_BYTES)
        sender.send(lambda answer: None, "publish", queue, batch)
        sender.collect(10)
    sender.collect(0)


def nack_again_and_again(wire, work, jobs, delay_ms, rounds=ROUNDS):
    """The wound (a). All jobs must be there at the end, with an attempt for each round."""
    wire.call("queue.create", "jobs", {"visibility": 600000})
    publish_all(wire, work, "jobs", jobs, b"j" * JOB_BYTES)
    sender = Sender(wire)
    for attempt in range(1, rounds + 1):
        got = 0
        while got < jobs:
            deliveries = wire.call("receive", "jobs", {"max": 1000, "wait": 5000})
            assert deliveries and all(delivery[2] == attempt for delivery in deliveries), (attempt, got, deliveries[:1])
            sender.send(lambda answer: None, "nack", [delivery[0] for delivery in deliveries], {"delay": delay_ms})
            sender.collect(4)
            got += len(deliveries)
            work.done += len(deliveries)
        sender.collect(0)
    assert wire.call("queue.info", "jobs")["total"] == jobs


def churn(wire, work, count, parked, window=2000):
    """The wound (b)."""
    every, one = count // parked, CHURN_BYTES + MESSAGE_BYTES
    wire.call("queue.create", "churn", {"visibility": 600000})
    consumer = wire.call("consume", "churn", {"prefetch": window})
    publishes, acks, sent = Sender(wire), Sender(wire), 0

    def gone(answer):
        work.live -= answer * one
        work.done += answer

    while work.done < count - parked:
        while sent < count and sent - work.done < window + parked:
            work.live += BATCH * one
            publishes.send(lambda answer: None, "publish", "churn", [b"c" * CHURN_BYTES] * BATCH)
            sent += BATCH
        publishes.collect(100)
        if not wire.pushed:
            wire.read()
        while wire.pushed:
            _, (who, deliveries) = wire.pushed.pop(0)
            assert who == consumer
            keep = [delivery[0] for delivery in deliveries if delivery[1] % every == 0]
            away = [delivery[0] for delivery in deliveries if delivery[1] % every != 0]
            if keep:
                acks.send(lambda answer: None, "park", keep)
            if away:
                acks.send(gone, "ack", away)
        acks.collect(20 if sent < count else 0)
    acks.collect(0)
    info = wire.call("queue.info", "churn")
    assert (info["parked"], info["total"]) == (parked, parked), info


def on_ringmq(folder, segment, story, *arguments, look_s=LOOK_S):
    """Runs a story against a server with a log; what was looked at. A start after it brings back as much as was there."""
    log = Path(folder) / "log"
    log.mkdir()
    flags = ["--dir", str(log), "--durability", "os", "--log_segment_bytes", str(segment)]
    server = Server(folder, *flags)
    work = Work()
    try:
        with server.connect() as wire:
            watch = Watch(log, work, look_s)
            story(wire, work, *arguments)
            time.sleep(4 * LOOK_S)
            total = wire.call("server.info", "queues")["queues"]["total"]
        server.signal(signal.SIGKILL)
        server.wait()
        server = Server(folder, *flags)
        with server.connect() as wire:
            assert wire.call("server.info", "queues")["queues"]["total"] == total
        return watch.end()
    finally:
        server.kill()


# -- beanstalkd --


class Beanstalk:
    """Its text protocol, pipelined."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def ask(self, requests, word):
        """Sends some and returns the rest of each answer."""
        self.sock.sendall(b"".join(requests))
        answers = []
        for _ in requests:
            line = self.file.readline().split()
            assert line and line[0] == word, line
            if word == b"RESERVED":
                self.file.read(int(line[2]) + 2)
            answers.append(line[1:])
        return answers

    def put(self, count, body):
        self.ask([b"put 0 0 600 %d\r\n%s\r\n" % (len(body), body)] * count, b"INSERTED")

    def reserve(self, count):
        return [int(answer[0]) for answer in self.ask([b"reserve\r\n"] * count, b"RESERVED")]


def release_again_and_again(stalk, work, jobs, end):
    for first in range(0, jobs, BATCH):
        stalk.put(min(BATCH, jobs - first), b"j" * JOB_BYTES)
        work.live += min(BATCH, jobs - first) * (JOB_BYTES + MESSAGE_BYTES)
    for _ in range(ROUNDS):
        for first in range(0, jobs, BATCH):
            ids = stalk.reserve(min(BATCH, jobs - first))
            stalk.ask([b"release %d 0 1\r\n" % number for number in ids], b"RELEASED")
            work.done += len(ids)
            if time.monotonic() > end:
                return


def bury_some(stalk, work, count, end):
    every = count // PARKED
    for _ in range(0, count, BATCH):
        stalk.put(BATCH, b"c" * CHURN_BYTES)
        ids = stalk.reserve(BATCH)
        buried = [number for number in ids if number % every == 0]
        stalk.ask([b"bury %d 0\r\n" % number for number in buried], b"BURIED")
        stalk.ask([b"delete %d\r\n" % number for number in ids if number % every != 0], b"DELETED")
        work.live += len(buried) * (CHURN_BYTES + MESSAGE_BYTES)
        work.done += BATCH
        if time.monotonic() > end:
            return


def find_beanstalkd():
    """The program, unpacked from its package if need be; None if there is no way."""
    place = Path(os.environ.get("RINGMQ_BUILD", "build")) / "beanstalkd"
    found = shutil.which("beanstalkd") or shutil.which(place / "usr" / "bin" / "beanstalkd")
    if found or not shutil.which("apt-get"):
        return found
    place.mkdir(parents=True, exist_ok=True)
    for command in (["apt-get", "download", "beanstalkd"], ["sh", "-c", "dpkg -x beanstalkd_*.deb ."]):
        if subprocess.run(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            return None
    return shutil.which(place / "usr" / "bin" / "beanstalkd")


def on_beanstalkd(program, folder, story, *arguments):
    log = Path(folder) / "beanstalkd"
    log.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([program, "-l", "127.0.0.1", "-p", str(port), "-b", str(log), "-f0"])

    def connect():
        try:
            return Beanstalk(port)
        except ConnectionRefusedError:
            return None

    try:
        stalk, work = until(connect), Work()
        watch = Watch(log, work)
        story(stalk, work, *arguments, time.monotonic() + BEANSTALKD_S)
        time.sleep(4 * LOOK_S)
        return watch.end()
    finally:
        process.kill()
        process.wait()


# -- the report --


def at_share(looks, share, total):
    """The most that was taken up to a share of the work, or None if the work did not get that far."""
    upto = [max(look[3], look[4]) for look in looks if look[1] <= share * total]
    return max(upto[-5:], default=None) if looks and looks[-1][1] >= share * total * 0.999 else None


def report(title, total, looks, other, segment):
    """Prints the curve; True if the bound held."""
    mb = "{:10.1f}".format
    print(f"\n{title}\n{'done':>9} {'live MB':>10} {'disk MB':>10} {'allowed':>10} {'beanstalkd':>10}")
    for step in range(21):
        upto = [look for look in looks if look[1] <= total * step / 20]
        look = upto[-1] if upto else looks[0]
        beside = at_share(other, step / 20, total) if other else None
        print(f"{look[1]:>9} {mb(look[2] / 1e6)} {mb(max(look[3], look[4]) / 1e6)} {mb(allowed(look, segment) / 1e6)} "
              f"{mb(beside / 1e6) if beside is not None else '         -'}")
    worst = max(looks, key=lambda look: max(look[3], look[4]) / allowed(look, segment))
    bad = broken(looks, segment)
    print(f"{len(looks)} looks in {looks[-1][0]:.1f} s, {len(bad)} above the bound; closest: {mb(max(worst[3], worst[4]) / 1e6).strip()} MB "
          f"of {mb(allowed(worst, segment) / 1e6).strip()} MB; most: {mb(max(max(look[3], look[4]) for look in looks) / 1e6).strip()} MB, "
          f"beanstalkd {mb(max(max(look[3], look[4]) for look in other) / 1e6).strip() + ' MB' if other else 'not there'}")
    return not bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--segment", type=int, default=4 << 20)
    parser.add_argument("--no-beanstalkd", action="store_true")
    options = parser.parse_args()
    count = options.megabytes * 1_000_000 // CHURN_BYTES // (BATCH * PARKED) * (BATCH * PARKED)
    program = None if options.no_beanstalkd else find_beanstalkd()
    good = True
    for title, total, ours, theirs in (
            (f"{options.jobs} jobs given back with a delay, {ROUNDS} rounds", options.jobs * ROUNDS,
             (nack_again_and_again, options.jobs, 1000), (release_again_and_again, options.jobs)),
            (f"{count} messages of {CHURN_BYTES} bytes through a queue with {PARKED} parked", count,
             (churn, count, PARKED), (bury_some, count))):
        with tempfile.TemporaryDirectory(prefix="ringmq-growth-") as folder:
            looks = on_ringmq(folder, options.segment, *ours)
            other = on_beanstalkd(program, folder, *theirs) if program else None
            good = report(title, total, looks, other, options.segment) and good
    print("the bound held" if good else "THE BOUND WAS BROKEN")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
