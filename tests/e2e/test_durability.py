"""The log, seen from outside: what is there again after a kill or a stop, what is not, and when a server does not start."""

import ctypes
import json
import os
import re
import resource
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest
from process import ROOT, SERVER, Server, run
from test_protocol_md import rows, section, words
from wire import refusal, until

CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))
LEVELS = ["os", "interval", "fsync"]


class Keeper:
    """Servers one after the other on the same directory."""

    def __init__(self, folder):
        self.folder = folder
        self.dir = folder / "log"
        self.server = None
        self.wires = []

    def start(self, *flags, **options):
        self.server = Server(self.folder, "--dir", str(self.dir), *flags, **options)
        return self.connect()

    def connect(self):
        self.wires.append(self.server.connect())
        return self.wires[-1]

    def again(self, *flags, **options):
        """kill -9, and a new server."""
        self.end()
        return self.start(*flags, **options)

    def end(self):
        for wire in self.wires:
            wire.close()
        self.wires = []
        if self.server is not None:
            self.server.kill()
        self.server = None


@pytest.fixture
def keeper(folder):
    keeper = Keeper(folder)
    yield keeper
    keeper.end()


def refused_start(*flags):
    """The one line of a server that does not start."""
    done = run("--port", "0", *flags)
    assert done.returncode == 1, done
    lines = [line for line in done.stderr.splitlines() if " error " in line]
    assert len(lines) == 1, done.stderr
    assert "listening" not in done.stderr
    return lines[0]


def peek(wire, queue, **options):
    return wire.call("peek", queue, options)["messages"]


# ---- what comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_a_killed_server_brings_back_what_was_confirmed(keeper, level):
    wire = keeper.start("--durability", level)
    assert wire.call("hello")["durability"] == level
    wire.call("queue.create", "jobs", {"visibility": 60000, "max_attempts": 5})
    assert wire.call("publish", "jobs", ["a", ["b", {"headers": {"k": 1}, "priority": 3}], b"c" * 100000]) == [1, 3]
    (held,) = wire.call("receive", "jobs")
    wire.call("queue.create", "idle")
    wire.call("queue.pause", "idle")

    wire = keeper.again("--durability", level)
    assert wire.call("queue.list")["queues"][0]["name"] == "idle"
    assert wire.call("queue.info", "idle")["paused"] is True
    info = wire.call("queue.info", "jobs")
    assert (info["ready"], info["inflight"], info["visibility"], info["max_attempts"]) == (3, 0, 60000, 5)
    assert wire.call("ack", [held[0]])[0] == 0, "a receipt of the earlier run"
    got = wire.call("receive", "jobs", {"max": 9})
    by_id = {delivery[1]: delivery[2:] for delivery in got}
    attempts = 2 if held[1] == 1 else 1
    assert by_id[1] == [attempts, b"a"]
    assert by_id[2] == [3 - attempts, b"b", {"headers": {"k": 1}, "priority": 3}]
    assert by_id[3] == [1, b"c" * 100000]
    assert wire.call("publish", "jobs", ["d"]) == [4, 1]


def test_a_confirmed_ack_stays_one(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "jobs")
    wire.call("publish", "jobs", ["a", "b", "c"])
    receipts = [delivery[0] for delivery in wire.call("receive", "jobs", {"max": 2})]
    assert wire.call("ack", receipts) == 2
    wire = keeper.again()
    assert [delivery[1:] for delivery in wire.call("receive", "jobs", {"max": 9})] == [[3, 1, b"c"]]
    assert wire.call("queue.info", "jobs")["total"] == 1


def test_groups_delays_parked_messages_and_windows_come_back(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "fifo", {"type": "fifo", "dedup_window": 60000})
    wire.call("publish", "fifo", [[f"{group}{n}", {"group": group, "dedup_id": f"{group}{n}"}]
                                  for n in range(3) for group in "xy"])
    wire.call("queue.create", "q")
    wire.call("publish", "q", ["parked", "back", ["late", {"delay": 60000}], ["old", {"ttl": 3600000}], "gone"])
    got = wire.call("receive", "q", {"max": 2})
    wire.call("park", [got[0][0]], {"note": "look at me"})
    wire.call("nack", [got[1][0]], {"delay": 50000})
    assert wire.call("discard", "q", [5]) == 1

    wire = keeper.again()
    assert wire.call("publish", "fifo", [["x0", {"group": "x", "dedup_id": "x0"}]]) == [None, 0, [[0, 1]]]
    batch = wire.call("receive", "fifo", {"max": 9})
    for group in b"xy":
        bodies = [delivery[3] for delivery in batch if delivery[3][0] == group]
        assert bodies == [bytes([group]) + str(n).encode() for n in range(len(bodies))]
    (parked,) = peek(wire, "q", state="parked")
    assert (parked["id"], parked["note"], parked["attempts"]) == (1, "look at me", 1)
    assert [message["id"] for message in peek(wire, "q", state="delayed")] == [2, 3]
    assert [message["id"] for message in peek(wire, "q", state="ready")] == [4]
    assert wire.call("kick", "q", 1) == 1
    assert wire.call("receive", "q")[0][1:4] == [1, 1, b"parked"]


def test_time_goes_on_while_the_server_is_down(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "q")
    wire.call("publish", "q", [["late", {"delay": 700}], ["brief", {"ttl": 700}], ["far", {"delay": 60000}]])
    begun = time.monotonic()
    keeper.end()
    time.sleep(max(0, begun + 0.8 - time.monotonic()))
    wire = keeper.start()
    assert wire.call("receive", "q", {"wait": 5000, "max": 9})[0][1:4] == [1, 1, b"late"]
    info = wire.call("queue.info", "q")
    assert (info["delayed"], info["total"]) == (1, 2)


def test_topics_and_subscriptions_come_back(keeper):
    wire = keeper.start("--durability", "os")
    for queue in ["all", "some", "former"]:
        wire.call("queue.create", queue)
    wire.call("topic.create", "t")
    wire.call("topic.create", "empty")
    wire.call("topic.subscribe", "t", "all")
    wire.call("topic.subscribe", "t", "some", {"pattern": "a.*", "filter": {"k": [1]}})
    wire.call("topic.subscribe", "t", "former")
    wire.call("topic.unsubscribe", "t", "former")
    assert wire.call("topic.publish", "t", "a.b", [["m", {"headers": {"k": 1}}]]) == 2

    wire = keeper.again()
    assert [topic["name"] for topic in wire.call("topic.list")["topics"]] == ["empty", "t"]
    assert wire.call("topic.publish", "t", "a.b", [["n", {"headers": {"k": 1}}]]) == 2
    assert wire.call("topic.publish", "t", "a.b", ["o"]) == 1
    assert [delivery[3] for delivery in wire.call("receive", "some", {"max": 9})] == [b"m", b"n"]
    assert wire.call("queue.info", "former")["total"] == 0


def test_what_was_deleted_or_purged_stays_so(keeper):
    wire = keeper.start("--durability", "os")
    for queue in ["purged", "deleted", "anew"]:
        wire.call("queue.create", queue)
        wire.call("publish", queue, ["a", "b"])
    assert wire.call("queue.purge", "purged") == 2
    wire.call("queue.delete", "deleted")
    wire.call("queue.delete", "anew")
    wire.call("queue.create", "anew")
    wire = keeper.again()
    assert [queue["name"] for queue in wire.call("queue.list")["queues"]] == ["anew", "purged"]
    assert wire.call("queue.info", "purged")["total"] == 0
    assert wire.call("publish", "purged", ["c"]) == [3, 1]
    assert wire.call("publish", "anew", ["c"]) == [1, 1]


def test_a_message_that_was_inflight_for_the_last_time_dies_at_the_start(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "dead")
    wire.call("queue.create", "q", {"max_attempts": 1, "dead_letter": "dead"})
    wire.call("publish", "q", ["a"])
    wire.call("receive", "q")
    wire = keeper.again()
    assert wire.call("queue.info", "q")["total"] == 0
    (dead,) = wire.call("receive", "dead")
    assert dead[3] == b"a" and dead[4]["headers"]["dl_reason"] == "max_attempts"


def test_a_queue_that_is_not_durable_leaves_no_trace(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "memory", {"durable": False})
    wire.call("queue.create", "kept")
    wire.call("publish", "memory", ["secret of memory"])
    assert refusal(wire.call, "queue.update", "memory", {"durable": True})[0] == "QUEUE_NOT_EMPTY"
    assert refusal(wire.call, "queue.delete", "nothing")[0] == "QUEUE_NOT_FOUND"
    keeper.end()
    assert not any(b"secret of memory" in path.read_bytes() for path in keeper.dir.iterdir())
    wire = keeper.start()
    assert [queue["name"] for queue in wire.call("queue.list")["queues"]] == ["kept"]


def test_a_queue_that_becomes_durable_is_kept_from_then_on(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "q", {"durable": False})
    assert wire.call("queue.update", "q", {"durable": True}) is True
    wire.call("publish", "q", ["a"])
    wire = keeper.again()
    assert wire.call("receive", "q")[0][3] == b"a"


def test_definitions_find_what_is_there(keeper, folder):
    (folder / "definitions").write_text("queue create q visibility=5s\ntopic create t\ntopic subscribe t q\n")
    flags = ["--durability", "os", "--definitions", str(folder / "definitions")]
    wire = keeper.start(*flags)
    wire.call("publish", "q", ["a"])
    wire = keeper.again(*flags)
    assert wire.call("receive", "q")[0][1:4] == [1, 1, b"a"]
    assert wire.call("topic.publish", "t", "k", ["b"]) == 1


def test_moves_and_counters_start_anew(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "a")
    wire.call("queue.create", "b")
    wire.call("publish", "a", ["x"] * 50)
    wire.call("move", "a", {"to": "b", "rate": 1})
    wire = keeper.again()
    assert wire.call("move.list") == {"tasks": []}
    assert wire.call("queue.info", "a")["total"] + wire.call("queue.info", "b")["total"] == 50
    assert wire.call("server.stats")["published"] == 0


# ---- answers -----------------------------------------------------------------------------------------------


def test_answers_come_with_the_sync_and_nothing_else_waits(keeper):
    """Many requests at once are all answered, and a delivery does not wait for the confirm of its publish."""
    wire = keeper.start("--durability", "fsync")
    wire.call("queue.create", "q")
    asked = [wire.send("publish", "q", [str(n)]) for n in range(2000)]
    taken = wire.send("receive", "q", {"max": 1})
    assert len(wire.answer(taken)) == 1
    assert [wire.answer(msgid) for msgid in asked] == [[n + 1, 1] for n in range(2000)]
    log = wire.call("log.info")
    assert log["state"] == "good" and 1 <= log["syncs"] < 1000, "they share syncs"
    assert wire.call("server.info", "log")["log"]["waiting_answers"] == 0


def test_the_level_can_be_changed_while_the_server_runs(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "q")
    for level in ["fsync", "interval", "os", "auto"]:
        assert wire.call("config.set", "durability", level) is True
        assert wire.call("hello")["durability"] == ("fsync" if level == "auto" else level)
        assert wire.call("publish", "q", ["a"])[1] == 1
    assert refusal(wire.call, "config.set", "durability", "none")[:2] == ("BAD_REQUEST", {"key": "value"})
    wire = keeper.again()
    assert wire.call("queue.info", "q")["ready"] == 4


def test_the_level_is_none_without_a_directory(start_server):
    with start_server().connect() as wire:
        assert wire.call("hello")["durability"] == "none"
        assert wire.call("log.info") == {"durability": "none"}
        assert wire.call("server.info", "log") == {"log": {"durability": "none"}}
        assert refusal(wire.call, "log.compact")[0] == "NOT_FOUND"
        assert refusal(wire.call, "config.set", "durability", "os")[:2] == ("BAD_REQUEST", {"key": "value"})


# ---- what an operator sees ---------------------------------------------------------------------------------


def test_log_info_and_log_compact(keeper):
    wire = keeper.start("--durability", "os", "--log_segment_bytes", "64kb")
    wire.call("queue.create", "q")
    until(lambda: [wire.call("publish", "q", ["x" * 10000]) for _ in range(10)]
          and wire.call("log.info")["segment_count"] >= 4, "there are files enough")
    info = wire.call("log.info")
    assert (info["durability"], info["dir"], info["state"], info["why"]) == ("os", str(keeper.dir), "good", "")
    assert info["segment_bytes"] == 65536 and info["segment_count"] == len(info["segments"]) >= 4
    bodies = 10000 * wire.call("queue.info", "q")["total"]
    assert info["written_bytes"] >= bodies and info["live_bytes"] >= bodies
    assert info["disk_bytes"] >= sum(segment["file_bytes"] for segment in info["segments"])
    assert [s["use"] for s in info["segments"]].count("tail") == 1
    assert all(s["dead_bytes"] == max(0, s["used_bytes"] - s["live_bytes"]) for s in info["segments"])
    wire.call("queue.purge", "q")
    assert wire.call("log.compact") is True
    until(lambda: wire.call("log.info")["segment_count"] <= 4, "the room is given back")
    assert wire.call("log.info")["live_bytes"] < 10000


def test_log_info_is_a_table_for_people_and_as_it_was_for_programs(keeper):
    wire = keeper.start("--durability", "os", "--log_segment_bytes", "64kb")
    wire.call("queue.create", "q")
    until(lambda: [wire.call("publish", "q", ["x" * 10000]) for _ in range(10)]
          and wire.call("log.info")["segment_count"] >= 4, "there are files enough")

    until(lambda: wire.call("log.info")["segments"][-1]["use"] == "prepared", "nothing changes any more")

    def shell(*words):
        command = [CLI, "-s", keeper.server.socket_path, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout

    info = wire.call("log.info")
    head, _, table = shell("--no-raw", "log", "info").partition("\nsegments:\n")
    shown = dict(line.split(":", 1) for line in head.splitlines())
    assert shown["live_bytes"].split() == ["(integer)", str(info["live_bytes"])]
    assert shown["state"].strip() == '"good"'
    assert json.loads(shown["sync_us"].replace("(empty list)", "[]")) == info["sync_us"], "a line for all buckets"
    names, *lines = [line.split() for line in table.splitlines()]
    assert names == list(info["segments"][0])
    assert lines == [[str(value) for value in segment.values()] for segment in info["segments"]]
    assert len({len(line.rstrip()) for line in table.splitlines()}) == 1, "numbers stand below each other"
    assert json.loads(shell("--json", "log", "info"))["segments"] == info["segments"]
    assert "live_bytes\t%d\n" % info["live_bytes"] in shell("--raw", "log", "info")


def test_every_key_of_log_info_and_of_the_log_in_server_info_is_in_the_document(keeper):
    """The tables are what the server answers."""
    wire = keeper.start()
    info = wire.call("log.info")
    table = rows(section("log.info"))
    assert set(info) == {name for row in table for name in words(row[0])}
    keys = next(row[1] for row in table if row[0] == "`segments`").split("maps", 1)[1]
    assert set(info["segments"][0]) == set(words(keys))
    (row,) = [row for row in rows(section("server.info")) if row[0] == "`log`"]
    assert set(wire.call("server.info", "log")["log"]) == set(words(row[1].split(": see")[0]))


def test_a_stop_keeps_everything_and_says_how_much(keeper):
    wire = keeper.start("--durability", "interval", "--sync_interval", "1h")
    wire.call("queue.create", "q")
    wire.call("queue.create", "memory", {"durable": False})
    wire.call("publish", "q", ["a", "b"])
    wire.call("publish", "memory", ["c"])
    server = keeper.server
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert re.search(rf"stopped; messages kept in {re.escape(str(keeper.dir))}: 2$", server.log, re.MULTILINE)
    assert re.search(r"in memory only and are lost: 1$", server.log, re.MULTILINE)
    wire = keeper.again()
    assert keeper.server.wait_log(r"recovered messages=2 queues=1 ")
    assert not any("torn" in line for line in keeper.server.lines)
    assert wire.call("queue.info", "q")["ready"] == 2


def test_a_torn_end_is_cut_off_and_told(keeper):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "q")
    wire.call("publish", "q", ["a"])
    keeper.end()
    (segment,) = [path for path in keeper.dir.glob("*.seg") if b"RQB1" in path.read_bytes()[4096:]]
    data = segment.read_bytes()
    at = data.rfind(b"RQB1")
    used = at + 72 + struct.unpack_from("<I", data, at + 4)[0]
    with segment.open("r+b") as file:
        file.seek(used - 1)
        file.write(bytes([data[used - 1] ^ 1]))
    wire = keeper.start()
    assert keeper.server.wait_log(r"cut off bytes=[1-9]")
    assert wire.call("queue.info", "q")["total"] == 0


# ---- when there is no start --------------------------------------------------------------------------------


def test_a_directory_belongs_to_one_server(keeper):
    keeper.start()
    assert str(keeper.dir) in refused_start("--dir", str(keeper.dir))
    assert keeper.connect().call("ping") == "pong"


@pytest.mark.skipif(os.getuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may do everything")
def test_a_directory_without_permission_is_one_line(folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    folder.chmod(0o755)
    prefix = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.getuid() == 0 else []
    done = subprocess.run([*prefix, SERVER, "--port", "0", "--dir", str(closed / "log")],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "Permission denied" in done.stderr
    assert sum(" error " in line for line in done.stderr.splitlines()) == 1


def test_a_file_in_the_place_of_the_directory_is_one_line(folder):
    (folder / "file").write_text("")
    assert "Not a directory" in refused_start("--dir", str(folder / "file"))


def checksum(data):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    return library.XXH3_64bits(bytes(data), ctypes.c_size_t(len(data)))


def test_a_newer_format_is_refused_and_nothing_is_touched(keeper):
    keeper.start().call("queue.create", "q")
    keeper.end()
    for segment in keeper.dir.glob("*.seg"):
        data = bytearray(segment.read_bytes())
        end = struct.unpack_from("<I", data, 12)[0] - 8
        assert struct.unpack_from("<Q", data, end)[0] == checksum(data[:end]), "the format is not as it is written down"
        struct.pack_into("<I", data, 8, 2)
        struct.pack_into("<Q", data, end, checksum(data[:end]))
        segment.write_bytes(data)
    before = {path.name: path.read_bytes() for path in keeper.dir.iterdir()}
    line = refused_start("--dir", str(keeper.dir))
    assert "2" in line and "version" in line or "newer" in line, line
    assert before == {path.name: path.read_bytes() for path in keeper.dir.iterdir()}


def test_damage_below_what_was_synced_is_refused_and_can_be_repaired(keeper, folder):
    wire = keeper.start("--durability", "fsync")
    wire.call("queue.create", "q")
    for n in range(20):
        wire.call("publish", "q", [f"body {n}"])
    keeper.end()
    (segment,) = [path for path in keeper.dir.glob("*.seg") if b"body 3" in path.read_bytes()]
    data = bytearray(segment.read_bytes())
    data[data.find(b"body 3")] ^= 1
    segment.write_bytes(data)
    line = refused_start("--dir", str(keeper.dir))
    assert segment.name in line and "--repair-log" in line
    assert run("--repair-log", str(keeper.dir)).returncode == 2
    assert run("--repair-log", str(folder / "nowhere"), "--to", str(folder / "new")).returncode == 1
    done = run("--repair-log", str(keeper.dir), "--to", str(folder / "new"))
    assert done.returncode == 0 and done.stdout, done
    keeper.dir = folder / "new"
    wire = keeper.start()
    bodies = [message["body"] for message in peek(wire, "q", max=100)]
    assert [b"body %d" % n for n in range(20) if n != 3] == bodies


def test_a_copy_of_a_log_in_use_is_a_log(keeper, folder):
    wire = keeper.start("--durability", "os")
    wire.call("queue.create", "q")
    wire.call("publish", "q", ["a", "b"])
    done = run("--copy-log", str(keeper.dir), "--to", str(folder / "copy"))
    assert done.returncode == 0, done
    wire.call("publish", "q", ["c"])
    keeper.end()
    keeper.dir = folder / "copy"
    wire = keeper.start()
    assert wire.call("queue.info", "q")["ready"] == 2
    done = run("--copy-log", str(folder / "log"), "--to", str(folder / "copy"))
    assert done.returncode == 1 and done.stderr.startswith("ringmq-server: ")


# ---- a full disk -------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(folder):
    path = folder / "small"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("a small file system can't be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_refuses_publishes_and_heals(keeper, small_disk):
    keeper.dir = small_disk / "log"
    wire = keeper.start("--durability", "os", "--log_segment_bytes", "64kb")
    wire.call("queue.create", "q", {"visibility": 60000})
    stored, codes = 0, set()
    for _ in range(200):
        error, _ = wire.outcome(wire.send("publish", "q", ["x" * 10000]))
        stored += error is None
        codes.add(None if error is None else error[0])
    assert codes == {None, "DISK_FULL"} and stored > 10
    assert wire.call("log.info")["state"] == "full"
    assert keeper.server.wait_log("the disk is full")
    receipts = [delivery[0] for delivery in wire.call("receive", "q", {"max": 200})]
    assert len(receipts) == stored
    assert wire.call("ack", receipts[:-3]) == stored - 3, "acks go on"
    until(lambda: wire.outcome(wire.send("publish", "q", ["y"]))[0] is None, "it heals by itself")
    assert keeper.server.wait_log("there is room again")
    wire = keeper.again("--log_segment_bytes", "64kb")
    assert wire.call("queue.info", "q")["ready"] >= 4


# ---- a log that fails --------------------------------------------------------------------------------------


def break_log(keeper):
    """No file of the server can be written any more: not even where there is room."""
    resource.prlimit(keeper.server.pid, resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_log_that_has_failed_says_what_it_has_not_kept(keeper):
    wire = keeper.start("--durability", "os", preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    wire.call("queue.create", "q")
    wire.call("queue.create", "memory", {"durable": False})
    wire.call("publish", "q", ["a", "b"])
    break_log(keeper)
    assert refusal(wire.call, "publish", "q", ["c"]) == ("LOG_FAILED", {"applied": True}, False)
    assert refusal(wire.call, "publish", "q", ["d"]) == ("LOG_FAILED", {}, False)
    assert wire.call("publish", "memory", ["e"]) == [1, 1]
    (got,) = wire.call("receive", "memory")
    assert wire.call("ack", [got[0]]) == 1, "nothing of it was to be kept"
    assert wire.call("log.info")["state"] == "failed" and "File too large" in wire.call("log.info")["why"]
    (got,) = wire.call("receive", "q")
    assert refusal(wire.call, "ack", [got[0]]) == ("LOG_FAILED", {"applied": True}, False)
    assert wire.call("queue.info", "q")["total"] == 2
    assert sum("the log has failed" in line for line in keeper.server.lines) == 1
    wire = keeper.again()
    assert [delivery[3] for delivery in wire.call("receive", "q", {"max": 9})] == [b"a", b"b"]


def test_a_server_ends_with_its_log_if_it_is_told_to(keeper):
    wire = keeper.start("--durability", "os", "--log_failure", "exit",
                        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    wire.call("queue.create", "q")
    break_log(keeper)
    assert refusal(wire.call, "publish", "q", ["c"]) == ("LOG_FAILED", {"applied": True}, False)
    assert keeper.server.wait() == 1
    assert keeper.server.wait_log("stopping because the log has failed")
