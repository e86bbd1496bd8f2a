"""The README's console blocks are run as they stand, and print what they show."""

import os
import re
import signal
import socket

import pytest
from examples import blocks, run_console
from process import ROOT

TEXT = (ROOT / "README.md").read_text()


def console_blocks():
    """(heading, block) of each block, except the one that installs packages; those of Durability go on from each other."""
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE):
        heading, found = part.splitlines()[0], [block for _, block in blocks(part, "console") if "make run" not in block]
        if any("ringmq-server" in block for block in found):
            found = ["".join(found)]
        for block in found:
            yield heading, block


BLOCKS = list(console_blocks())


def test_the_readme_has_console_blocks():
    """Else the test below would hold for nothing."""
    assert len(BLOCKS) >= 2


@pytest.fixture
def free_port(tmp_path):
    """For a server that a block starts: named in the configuration that the block goes on with. What still runs then is ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "ringmq.conf").write_text(f"port {port}\nlog_segment_bytes 64kb\n")
    yield port
    try:
        os.kill(int((tmp_path / "server.pid").read_text()), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):
        pass


@pytest.mark.parametrize("heading,block", BLOCKS, ids=[f"{h}-{i}" for i, (h, _) in enumerate(BLOCKS)])
def test_a_console_block_prints_what_it_shows(heading, block, start_server, free_port, tmp_path):
    """Each command of the block in order, in one folder, against one server; its own, if it starts one."""
    run_console(block, free_port if "ringmq-server" in block else start_server().port, tmp_path)


def test_every_link_to_a_file_leads_to_one():
    """Paths are relative to the README's folder."""
    targets = [target for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT) if "://" not in target]
    assert len(targets) > 20
    assert [target for target in targets if not (ROOT / target).exists()] == []
