"""The README's console blocks are run as they stand, and print what they show."""

import re

import pytest
from examples import blocks, run_console
from process import ROOT

TEXT = (ROOT / "README.md").read_text()


def console_blocks():
    """(heading, block) of each block that does not start the server itself."""
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE):
        for _, block in blocks(part, "console"):
            if "make run" not in block:
                yield part.splitlines()[0], block


BLOCKS = list(console_blocks())


def test_the_readme_has_console_blocks():
    """Else the test below would hold for nothing."""
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("heading,block", BLOCKS, ids=[f"{h}-{i}" for i, (h, _) in enumerate(BLOCKS)])
def test_a_console_block_prints_what_it_shows(heading, block, start_server, tmp_path):
    """Each command of the block in order, in one folder, against one server."""
    run_console(block, start_server().port, tmp_path)


def test_every_link_to_a_file_leads_to_one():
    """Paths are relative to the README's folder."""
    targets = [target for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT) if "://" not in target]
    assert len(targets) > 20
    assert [target for target in targets if not (ROOT / target).exists()] == []
