"""The README's console blocks are run as they stand, and print what they show."""
import os
import re
import subprocess
import textwrap

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("RINGMQ_BUILD", os.path.join(ROOT, "build"))


def console_blocks():
    """(heading, text) of each block that does not start the server itself."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        text = f.read()
    heading = ""
    for match in re.finditer(r"^## ([^\n]+)$|^```console\n(.*?)^```$", text, re.M | re.S):
        if match.group(1):
            heading = match.group(1)
        elif "make run" not in match.group(2):
            yield heading, match.group(2)


def steps(block):
    """(command, expected output) of a block; a command goes on over lines that end with a backslash."""
    found = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif found and not found[-1][1] and found[-1][0].endswith("\\\n"):
            found[-1][0] += line
        else:
            found[-1][1] += line
    return found


def matches(expected, got):
    """True if they are equal; `...` in the expected text stands for anything within a line, as a line for any lines."""
    lines = []
    for line in expected.splitlines():
        lines.append("(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + "\n")
    return re.fullmatch("".join(lines), got) is not None


BLOCKS = list(console_blocks())


def test_the_readme_has_console_blocks():
    """Else the test below would hold for nothing."""
    assert len(BLOCKS) >= 2


@pytest.mark.parametrize("heading,block", BLOCKS, ids=[f"{h}-{i}" for i, (h, _) in enumerate(BLOCKS)])
def test_a_console_block_prints_what_it_shows(heading, block, start_server, tmp_path):
    """Each command of the block in order, in one folder, against one server."""
    server = start_server()
    env = dict(os.environ, PATH=BUILD + ":" + os.environ["PATH"], RINGMQ_URL=f"ringmq://127.0.0.1:{server.port}")
    os.symlink(BUILD, tmp_path / "build")
    for command, expected in steps(block):
        run = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, text=True, timeout=60,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert matches(expected, run.stdout), f"$ {command}\nexpected:\n{textwrap.indent(expected, '  ')}\ngot:\n{run.stdout}"
