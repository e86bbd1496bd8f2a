"""A file of lines goes in through one process and comes out through two, of which one is killed half-way.

RINGMQ_LINES names a file of any size whose lines all differ (for instance numbered: `grep -n ''`); without it the test makes one.
"""
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from wire import until

ROOT = Path(__file__).resolve().parents[2]
CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build/ringmq-cli"))
PREFETCH = 1000


def numbered_lines(path):
    """The project's own sources, each line with its number, several times over."""
    sources = sorted(ROOT.glob("*/**/*.[ch]")) + sorted(ROOT.glob("**/*.md"))
    number = 0
    with open(path, "wb") as out:
        while number < 60000:
            for source in sources:
                for line in source.read_bytes().splitlines():
                    number += 1
                    out.write(b"%d: %s\n" % (number, line))


def whole_lines(path):
    """A process that is killed may leave the beginning of a line at the end: that one was not acked."""
    return path.read_bytes().split(b"\n")[:-1]


def test_no_line_is_lost_when_a_consumer_is_killed(start_server, tmp_path):
    """Every line comes out, none that did not go in, and twice only what the killed one held unacked."""
    source = os.environ.get("RINGMQ_LINES")
    if not source:
        source = tmp_path / "lines"
        numbered_lines(source)
    server = start_server()
    cli = [CLI, "-p", str(server.port)]
    subprocess.run(cli + ["queue.create", "lines"], check=True, stdout=subprocess.DEVNULL)
    published = subprocess.run(cli + ["publish", "lines", "--lines", str(source)], check=True, stderr=subprocess.PIPE)
    total = sum(1 for _ in open(source, "rb"))
    assert published.stderr.startswith(b"%d messages published" % total)

    outputs = [tmp_path / "victim", tmp_path / "survivor"]
    consume = cli + ["consume", "lines", "--prefetch", str(PREFETCH), "--idle", "2s"]
    victim, survivor = (subprocess.Popen(consume, stdout=open(path, "wb")) for path in outputs)
    with server.connect() as wire:
        until(lambda: wire.call("queue.info", "lines")["total"] <= total // 2)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        assert survivor.wait(timeout=300) == 0
        info = wire.call("queue.info", "lines")
    assert info["total"] == 0

    came = Counter(line for path in outputs for line in whole_lines(path))
    went = Counter(line.rstrip(b"\n") for line in open(source, "rb"))
    assert set(came) == set(went)
    twice = sum(count - went[line] for line, count in came.items())
    print(f"{total} lines, {twice} twice, {published.stderr.decode().strip()}", file=sys.stderr)
    assert twice <= PREFETCH
