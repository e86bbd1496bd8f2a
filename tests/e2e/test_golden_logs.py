"""Logs that earlier versions have written load for ever. tests/data/make-golden-log has made them."""

import json
import shutil
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
sys.path.append(str(DATA))

from golden import view  # noqa: E402

LOGS = sorted(path.parent for path in DATA.glob("log/*/expected.json"))


def given(value):
    """What JSON made of bytes is bytes again."""
    if isinstance(value, dict):
        return value["bytes"].encode("latin-1") if list(value) == ["bytes"] else {key: given(item) for key, item in value.items()}
    return [given(item) for item in value] if isinstance(value, list) else value


def seen(server, expected):
    """What the server shows, without attributes that are younger than the log."""
    found = view(server, given(expected["duplicates"]))
    for name, queue in found["queues"].items():
        known = expected["view"]["queues"][name]["attributes"]
        queue["attributes"] = {key: value for key, value in queue["attributes"].items() if key in known}
    return found


def test_there_are_golden_logs():
    """Else the test below would hold for nothing."""
    assert LOGS


@pytest.mark.parametrize("golden", LOGS, ids=[path.name for path in LOGS])
def test_a_log_of_an_earlier_version_loads(golden, folder, start_server):
    """Definitions, messages and what is remembered of duplicates are what they were; twice, since a start writes to a log."""
    expected = json.loads((golden / "expected.json").read_text())
    shutil.copytree(golden / "log", folder / "log")
    for _ in range(2):
        server = start_server("--dir", str(folder / "log"), "--log_segment_bytes", "64kb")
        assert seen(server, expected) == expected["view"]
        server.stop()
