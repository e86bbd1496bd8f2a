"""ringmq-bench: what it reports, in all its forms, and that it notices what goes wrong."""

import csv
import io
import json
import os
import re
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from process import ROOT
from wire import until

BENCH = os.environ.get("RINGMQ_BENCH", str(Path(os.environ.get("RINGMQ_BUILD", ROOT / "build")) / "ringmq-bench"))
QUICK = ["--duration", "0.3", "--warmup", "0.1"]
LATENCY = ["p50", "p90", "p99", "p999", "max"]


def bench(server, *arguments, code=0):
    """Runs it against a server to its end; what it printed."""
    done = subprocess.run([BENCH, "-p", str(server.port), *map(str, arguments)], capture_output=True, text=True,
                          timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stdout + done.stderr
    assert code == 3 or done.stderr == ""
    return done.stdout if code < 2 else done.stderr


def report(server, *arguments, code=0):
    """The one object that it prints."""
    return json.loads(bench(server, "--json", *QUICK, *arguments, code=code))


def begin(server, *arguments):
    return subprocess.Popen([BENCH, "-p", str(server.port), "--json", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)


def end(process, code):
    out, err = process.communicate(timeout=100)
    assert process.returncode == code, out + err
    return json.loads(out)


WORKLOADS = [
    ("throughput",),
    ("throughput", "--producers", 3, "--consumers", 3, "--batch", 7, "--window", 100, "--ack", 10),
    ("throughput", "--multiple", "--size", 16),
    ("throughput", "--size", "256k", "--batch", 2, "--window", 4, "--backlog", 8, "--ack", 1),
    ("throughput", "--no-durable", "--consumers", 0),
    ("latency", "--rate", 1000),
    ("latency", "--rate", 1000, "--no-spin"),
    ("confirm",),
    ("fill", "--messages", 20000),
    ("drain", "--messages", 20000),
    ("connections", "--producers", 150, "--consumers", 100),
    ("fanout", "--size", 1024),
    ("fifo", "--groups", 50),
    ("fifo", "--groups", 3, "--consumers", 4),
    ("delays", "--delay", 100, "--rate", 2000),
]


@pytest.mark.parametrize("arguments", WORKLOADS, ids=lambda a: "-".join(map(str, a)))
def test_each_workload_counts_and_verifies_its_messages(server, wire, arguments):
    """The report is whole, every message was accounted for, and the queues are gone."""
    got = report(server, "-w", *arguments)
    assert got["kind"] == "load" and got["workload"] == arguments[0]
    assert got["verified"] is True and got["verify"] is True
    assert got["lost"] == got["duplicates"] == got["disordered"] == got["corrupt"] == got["early"] == 0
    assert got["messages"] > 0 and got["cpu_source"] == "proc" and got["durability"] == "none"
    for name in ("msgs_per_s", "server_cpu_ns"):
        assert 0 < got[name]["min"] <= got[name]["median"] <= got[name]["max"]
    for name in ("confirm_us", "end_to_end_us"):
        values = [got[name][key] for key in LATENCY]
        assert values == sorted(values) and list(got[name]) == LATENCY
    assert wire.call("queue.list")["queues"] == [] and wire.call("topic.list")["topics"] == []


def test_figures_that_only_some_workloads_have(start_server):
    """Memory of a fill, lateness of delays, the relay beside latencies, idle connections."""
    server = start_server()
    filled = report(server, "-w", "fill", "--messages", 50000)
    assert filled["messages"] == 50000 and 128 < filled["bytes_per_message"]["median"] < 1000
    assert report(server, "-w", "drain", "--messages", 50000)["messages"] == 50000
    delayed = report(server, "-w", "delays", "--delay", 50, "--rate", 1000)
    assert delayed["lateness_us"]["max"] > 0
    for name, key in (("latency", "end_to_end_us"), ("confirm", "confirm_us")):
        got = report(server, "-w", name)
        assert got["over_floor"] == pytest.approx(got[key]["p50"] / got["floor_us"]["p50"], rel=0.05)
    idle = report(server, "-w", "idle", "--connections", 50)["idle"]
    assert idle["connections"] == 50 and 0 < idle["bytes_per_connection"] < 100000
    assert idle["server_rss_bytes"] > 0


def test_a_fixed_rate_is_kept(server):
    """As many messages as were asked for in the time that counts."""
    got = report(server, "--rate", 2000, "--batch", 10, "--duration", 1)
    assert 1900 < got["msgs_per_s"]["median"] < 2100


def test_the_floor_needs_no_server():
    """The same bytes through a bare relay."""
    done = subprocess.run([BENCH, "--floor", "--json", "--duration", "0.3"], capture_output=True, text=True, timeout=60)
    got = json.loads(done.stdout)
    assert done.returncode == 0 and got["kind"] == "floor"
    assert got["messages"] > 0 and got["server_cpu_ns"]["median"] > 0


def test_each_size_runs_with_each_batch(server):
    """One line each, in JSON and in CSV."""
    grid = ["--sizes", "16,1k", "--batches", "1,10", "--window", 100]
    lines = [json.loads(line) for line in bench(server, "--json", *QUICK, *grid).splitlines()]
    assert [(r["size"], r["batch"]) for r in lines] == [(16, 1), (16, 10), (1024, 1), (1024, 10)]
    rows = list(csv.DictReader(io.StringIO(bench(server, "--csv", *QUICK, *grid))))
    assert [(r["size"], r["batch"]) for r in rows] == [("16", "1"), ("16", "10"), ("1024", "1"), ("1024", "10")]
    assert all(r["verified"] == "true" and float(r["server_cpu_ns"]) > 0 and None not in r.values() for r in rows)


def test_runs_are_repeated_and_give_a_spread(server):
    """Three runs; the figure is the middle one."""
    got = report(server, "--runs", 3)
    assert got["runs"] == 3
    assert got["msgs_per_s"]["min"] < got["msgs_per_s"]["median"] < got["msgs_per_s"]["max"]
    assert re.search(r"\(\S+ to \S+ in 2 runs\)", bench(server, *QUICK, "--runs", 2))


def test_percentiles_are_written_as_hdrhistogram_does(server, folder):
    """A distribution of each latency."""
    bench(server, *QUICK, "--percentiles", folder / "p.txt")
    text = (folder / "p.txt").read_text()
    assert text.count("       Value     Percentile TotalCount 1/(1-Percentile)\n") == 2
    assert re.search(r"^ +\d+\.\d{3} 1\.0{12} +\d+$", text, re.MULTILINE)


def test_the_level_of_the_log_is_told_and_what_it_writes(start_server, folder):
    """At level os each body goes to the log; a queue that is not durable writes nothing."""
    server = start_server("--dir", str(folder / "log"), "--durability", "os")
    durable = report(server, "--batch", 10)
    assert durable["durability"] == "os"
    assert durable["log_bytes_per_s"] > 100 * durable["msgs_per_s"]["median"]
    assert report(server, "--no-durable")["log_bytes_per_s"] < 10000


# -- what must be noticed --


def stamped(number, size=128):
    """A body as producer 0 would have sent it."""
    pattern = bytes((i * 131 + (i >> 8)) & 255 for i in range(size))
    return struct.pack("=IIQ", 0, 0, number) + pattern[16:]


def wait_for_queue(wire, consumers=1):
    until(lambda: any(q["name"] == "ringmq-bench" for q in wire.call("queue.list")["queues"])
          and wire.call("queue.info", "ringmq-bench")["consumers"] >= consumers, "the bench consumes")


@pytest.mark.parametrize("body, error", [
    (stamped(0), "duplicates"),
    (stamped(0)[:-1] + b"?", "corrupt"),
    (stamped(1 << 40), "corrupt"),
    (stamped(0) + b"?", "corrupt"),
    (bytes([255]) * 128, "corrupt"),
], ids=["again", "changed", "unsent", "longer", "foreign"])
def test_a_strange_message_is_noticed(server, wire, body, error):
    """One that came before, one that has been changed, one that nobody sent: exit 1."""
    process = begin(server, "--rate", 1000, "--batch", 1, "--warmup", 0, "--duration", 1)
    wait_for_queue(wire)
    until(lambda: wire.call("queue.info", "ringmq-bench")["acked"] > 0, "messages pass")
    wire.call("publish", "ringmq-bench", [body])
    got = end(process, 1)
    assert got[error] == 1 and got["verified"] is False


def test_a_message_that_another_one_takes_is_lost(server, wire):
    """Exit 1, after waiting for it for a while."""
    process = begin(server, "--rate", 1000, "--batch", 1, "--warmup", 0, "--duration", 1)
    wait_for_queue(wire)
    [taken] = until(lambda: wire.call("receive", "ringmq-bench", {"wait": 100}), "a message for us")
    wire.call("ack", [taken[0]])
    got = end(process, 1)
    assert got["lost"] == 1 and got["verified"] is False


def test_messages_out_of_order_are_noticed(server, wire):
    """One that is given back comes after younger ones."""
    process = begin(server, "--rate", 1000, "--batch", 1, "--warmup", 0, "--duration", 1)
    wait_for_queue(wire)
    [taken] = until(lambda: wire.call("receive", "ringmq-bench", {"wait": 100}), "a message for us")
    time.sleep(0.1)
    wire.call("nack", [taken[0]])
    got = end(process, 1)
    assert got["disordered"] == 1 and got["lost"] == 0


def test_a_server_that_does_not_answer_is_one_line_and_exit_3():
    """No server, and one that goes away."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        done = subprocess.run([BENCH, "-p", str(nobody.getsockname()[1])], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"ringmq-bench: 127\.0\.0\.1 port \d+: Connection refused\n", done.stderr)


def test_a_refused_publish_ends_the_run(server, wire):
    """With the server's own words."""
    process = begin(server, "--rate", 1000, "--batch", 1)
    wait_for_queue(wire)
    wire.call("queue.delete", "ringmq-bench")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3 and out == ""
    assert err.count("\n") == 1 and re.search("QUEUE_NOT_FOUND|queue_deleted", err)


@pytest.mark.parametrize("arguments", [
    ["--size", "15"], ["--size", "1,2"], ["--sizes", "16,"], ["--batch", "x"], ["--producers", "0"], ["--rate", "0"],
    ["--warmup", "-1"], ["-w", "nothing"], ["--nothing"], ["nothing"], ["--messages", "99999999999"],
])
def test_a_wrong_option_is_exit_2(arguments):
    """And a line that says what is wrong."""
    done = subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr
