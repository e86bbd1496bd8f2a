#!/usr/bin/env python3
"""crash: kills a server under load, again and again, and holds what it brings back against a ledger.

    tests/crash/crash.py [--kills N] [--seed S] [--keep DIR] [--forget]

Each round starts RINGMQ_SERVER on the same directory, with another level (os, fsync) and another size of segments than the
round before; looks at everything it has (ledger.py says what must be so); lets producers and consumers at it (load.py), and kills
it with SIGKILL at a random moment. Some kills come while it recovers, and now and then it is stopped in the orderly way instead.
At the end all messages are taken out, none may be missing, and an empty server must come back empty.

The last line sums up; the exit code is 0 if nothing was wrong. If something was, the directory stays as it was before the start
that showed it (DIR/before) and after (DIR/log), and the line before the last says how to repeat the run; what the server's
processes do at the same time can't be repeated to the microsecond.

--forget starts it without a directory: the ledger must then find a lot missing. This checks the check.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "e2e")]

from ledger import KINDS, Ledger  # noqa: E402
from lines import Lines  # noqa: E402
from load import Run  # noqa: E402
from process import Server  # noqa: E402

SEGMENTS = ("64kb", "128kb", "256kb", "1mb")
LEVELS = ("os", "fsync")
PAGE = 1000
ORDERLY = 1 / 12            # rounds that end with SIGTERM
IN_RECOVERY = 1 / 5         # kills shortly after the start
PATIENCE_S = 60


class Keys:
    """What goes on from one life of the server to the next."""

    def __init__(self):
        self.last = self.producers = 0
        self.known = []         # messages with a dedup id, of which the outcome is known
        self.again = []         # to be sent again: their outcome was not known


class NoStart(Exception):
    """The server does not start on what it has left; the fault has been noted."""


class Crash:
    def __init__(self, folder, seed, durable=True, load_s=(0.02, 1.0)):
        self.folder, self.random, self.durable, self.load_s = Path(folder), random.Random(seed), durable, load_s
        self.ledger, self.lines, self.keys = Ledger(), Lines(), Keys()
        self.ledger.homes = self.lines.homes
        self.kills = self.orderly = self.in_recovery = self.rounds = 0
        self.start_s = 0.1      # how long the last start took
        self.said = []          # the last lines of the server's own log
        self.made = False       # the queues were created, and that was confirmed

    # -- the server --

    def start(self, wait=True):
        flags = []
        if self.durable:
            self.level = LEVELS[self.rounds % 2]
            flags = ["--dir", str(self.folder / "log"), "--durability", self.level,
                     "--log_segment_bytes", self.random.choice(SEGMENTS)]
        began = time.monotonic()
        server = Server(self.folder, *flags, wait=False)
        if wait:
            try:
                server.wait_ready()
            except AssertionError:
                server.kill()
                self.said = server.lines[-20:]
                self.ledger.fault("other", "the server does not start")
                raise NoStart from None
            self.start_s = time.monotonic() - began
        return server

    def kill_in_recovery(self):
        server = self.start(wait=False)
        time.sleep(self.random.uniform(0, self.start_s))
        server.kill()
        self.kills += 1
        self.in_recovery += 1

    # -- one round --

    def look(self, server):
        """Holds what a server shows right after its start against the ledger."""
        with server.connect(server.socket_path) as wire:
            if not self.made:
                self.lines.create(wire)
                self.made = True
            for line in self.lines.missing(wire):
                self.ledger.fault("lost", line)
            if self.ledger.faults["lost"] and not self.durable:
                self.lines.create(wire)
            shown = {queue.name: self.peek(wire, queue.name) for queue in self.lines.queues}
            if self.durable and wire.call("hello", {})["durability"] != self.level:
                self.ledger.fault("other", "another level than was asked for")
        unsure = [m for m in self.lines.once.live.values() if m.state == 0]
        self.ledger.reconcile(shown)
        for message in unsure:
            gone = message.key not in self.lines.once.live
            (self.keys.again if gone else self.keys.known).append(message)

    @staticmethod
    def peek(wire, name):
        rows, start = [], 1
        while start is not None:
            page = wire.call("peek", name, {"from": start, "max": PAGE})
            rows += [{**row, "seen": time.monotonic()} for row in page["messages"]]
            start = page["next"]
        return rows

    def round(self):
        """A life of the server. It ends with a fault, or when it has been killed."""
        self.rounds += 1
        if self.durable and (self.folder / "log").exists():
            shutil.rmtree(self.folder / "before", ignore_errors=True)
            shutil.copytree(self.folder / "log", self.folder / "before")
        while self.made and self.random.random() < IN_RECOVERY:
            self.kill_in_recovery()
        server = self.start()
        try:
            self.look(server)
            if sum(self.ledger.faults.values()) == 0 or not self.durable:
                self.loaded(server)
        finally:
            server.kill()
            self.said = server.lines[-20:]

    def loaded(self, server):
        run = Run(self.ledger, self.lines, self.random, server.socket_path, self.keys, self.durable)
        orderly = self.random.random() < ORDERLY
        number = signal.SIGTERM if orderly else signal.SIGKILL
        seconds = self.random.uniform(*self.load_s)
        dying = threading.Event()

        def end():
            run.stopping = orderly
            dying.set()
            server.signal(number)

        timer = threading.Timer(seconds, end)
        try:
            run.start()
            timer.start()
            ended = run.until_dead(time.monotonic() + seconds + PATIENCE_S)
            if not ended or not dying.is_set():
                self.ledger.fault("other", f"the server {'ended by itself' if ended else 'does not end'}: {server.log[-2000:]}")
            for error in run.errors():
                if not (orderly and "DRAINING" in error):
                    self.ledger.fault("other", error)
            timer.join()
            if ended and server.wait() != (0 if orderly else -signal.SIGKILL):
                self.ledger.fault("other", f"exit code {server.process.returncode}: {server.log[-2000:]}")
        finally:
            timer.cancel()
            run.close()
        if orderly:
            self.ledger.stopped()
        self.orderly += orderly
        self.kills += not orderly

    def finish(self):
        """Everything out; then nothing may be left, not even after two more starts."""
        for last in (False, True):
            self.rounds += 1
            server = self.start()
            try:
                self.look(server)
                run = Run(self.ledger, self.lines, self.random, server.socket_path, self.keys, self.durable)
                run.start(producers=False)
                if not run.drain(time.monotonic() + PATIENCE_S):
                    left = {home.name: len(home.live) for home in self.lines.homes if home.live}
                    self.ledger.fault("lost", f"never delivered: {left}")
                run.close()
                with server.connect(server.socket_path) as wire:
                    total = wire.call("server.info", "queues")["queues"]["total"]
                if total:
                    self.ledger.fault("other", f"{total} messages are left")
                if last:
                    server.stop()
            finally:
                server.kill()

    # -- all rounds --

    def run(self, kills, progress=lambda line: None):
        """Until so many kills, or the first fault. True if there was none."""
        began = time.monotonic()
        try:
            while self.kills < kills and not self.failed():
                self.round()
                if self.rounds % 10 == 0:
                    progress(f"{self.kills} kills, {self.ledger.confirmed} confirmed, {self.ledger.acked} acked, "
                             f"{time.monotonic() - began:.0f} s")
            if not self.failed():
                self.finish()
        except NoStart:
            pass
        return not self.failed()

    def failed(self):
        return sum(self.ledger.faults.values()) > 0

    def summary(self):
        ledger = self.ledger
        faults = ", ".join(f"{ledger.faults[kind]} {name}" for kind, name in KINDS)
        return (f"{self.kills} kills ({self.in_recovery} in recovery) and {self.orderly} stops, {ledger.confirmed} confirmed messages, "
                f"{ledger.acked} confirmed acks, {ledger.duplicates} duplicates known, {ledger.unknown_happened} + "
                f"{ledger.unknown_not} requests cut off (happened, not), {faults}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="a directory to work in, that is not removed")
    parser.add_argument("--forget", action="store_true")
    options = parser.parse_args()
    folder = options.keep or tempfile.mkdtemp(prefix="ringmq-crash-")
    Path(folder).mkdir(exist_ok=True)
    crash = Crash(folder, options.seed, durable=not options.forget)
    good = crash.run(options.kills, lambda line: print(line, flush=True))
    for line in crash.ledger.lines:
        print("  " + line)
    if not good:
        print("\n".join("  server: " + line for line in crash.said))
        print(f"kept {folder}; repeat with --kills {options.kills} --seed {options.seed}")
    elif not options.keep:
        shutil.rmtree(folder)
    print(crash.summary())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
