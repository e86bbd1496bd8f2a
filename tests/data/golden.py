"""What a server shows of a log, in a form that stays the same however long the log has lain there."""

import os
import struct
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLI = os.environ.get("RINGMQ_CLI", str(ROOT / "build" / "ringmq-cli"))

# Of queue.info: what is kept, besides the attributes.
KEPT = ("name", "delayed", "ready", "inflight", "parked", "total", "bytes", "next_id", "paused", "groups", "dedup_ids")
TIMES = ("age_ms", "due_ms", "expires_ms")
COUNTED = ("consumers", "waiters", "oldest_ms", "held_publishes", "publish_rate", "deliver_rate", "ack_rate", "published", "refused",
           "duplicates", "arrived", "delivered", "redelivered", "acked", "nacked", "timed_out", "returned", "expired",
           "dead_lettered", "dead_letter_failed", "moved", "parks", "kicks", "purged", "discarded", "dropped")

SEGMENT_START, BATCH_HEADER, RECORD_HEAD = 4096, 72, 5
RECORD_TYPES = set(range(1, 18))


def plain(value):
    """A value for JSON; bytes are told from text."""
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def message(row):
    """Of times, that there are some; of the two moments in dl_ headers, too."""
    shown = {key: True if key in TIMES else plain(value) for key, value in row.items()}
    for key in ("dl_first", "dl_last"):
        if key in shown.get("headers", {}):
            shown["headers"][key] = shown["headers"][key] > 0
    return shown


def view(server, duplicates):
    """Everything; `duplicates` are [queue, message] that must be known as duplicates, and are asked for at the end."""
    with server.connect() as wire:
        queues = {}
        for row in wire.call("queue.list", {"max": 1000})["queues"]:
            info = wire.call("queue.info", row["name"])
            page = wire.call("peek", row["name"], {"max": 1000})
            assert page["next"] is None
            queues[row["name"]] = {"info": {key: plain(value) for key, value in info.items() if key in KEPT},
                                   "attributes": {key: value for key, value in info.items() if key not in KEPT + COUNTED},
                                   "messages": [message(row) for row in page["messages"]]}
        topics = {row["name"]: plain(wire.call("topic.info", row["name"])["subscriptions"])
                  for row in wire.call("topic.list", {"max": 1000})["topics"]}
        export = subprocess.run([CLI, "-p", str(server.port), "export"], capture_output=True, text=True, check=True).stdout
        known = [plain(wire.call("publish", queue, [message], {"atomic": True})) for queue, message in duplicates]
        return {"queues": queues, "topics": topics, "export": export.splitlines(), "duplicates": known}


def record_types(folder):
    """The types of all records in a log, read as server/log/record.h describes them, checksums left aside."""
    found = set()
    for path in sorted(Path(folder).glob("*.seg")):
        data, at = path.read_bytes(), SEGMENT_START
        while data[at:at + 4] == b"RQB1":
            (length,) = struct.unpack_from("<I", data, at + 4)
            at, end = at + BATCH_HEADER, at + BATCH_HEADER + length
            while at < end:
                kind, size = struct.unpack_from("<BI", data, at)
                found.add(kind)
                at += RECORD_HEAD + size
    return found
