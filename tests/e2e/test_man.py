"""The manual pages say what the programs' own help says: no option is missing, none is made up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from process import ROOT

BUILD = Path(os.environ.get("RINGMQ_BUILD", ROOT / "build"))
PAGES = {
    "ringmq-server": ROOT / "server" / "ringmq-server.8",
    "ringmq-bench": ROOT / "benchmarks" / "ringmq-bench.1",
    "ringmq-cli": ROOT / "client" / "cli" / "ringmq-cli.1",
}


def printed(program, *arguments):
    """What a program prints on stdout, which must be all it does."""
    done = subprocess.run([str(BUILD / program), *arguments], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and done.stderr == ""
    return done.stdout


def plain(source):
    """The text of a page, or of a part of it, with its fonts, quotes and comments taken away."""
    text = re.sub(r'^\.\\".*\n', "", source, flags=re.MULTILINE)
    text = re.sub(r"\\f[BIRP]", " ", text)
    return text.replace(r"\-", "-").replace(r"\(aq", "'").replace('"', " ")


def section(program, title):
    """The source of one section of a page."""
    found = re.search(rf"^\.SH {title}\n(.*?)(?=^\.SH |\Z)", PAGES[program].read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{program} has no section {title}"
    return found.group(1)


def long_options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z_-]*)", text))


def short_options(text):
    return set(re.findall(r"(?<![\w-])-([a-z])(?![\w-])", text))


@pytest.mark.parametrize("program", ["ringmq-server", "ringmq-bench"])
def test_the_page_and_the_help_name_the_same_options(program):
    """Each option of --help, behind its first line, stands in the page, and each one in the page stands in --help."""
    page, told = plain(PAGES[program].read_text()), printed(program, "--help").split("\n", 1)[1]
    assert long_options(page) == long_options(told) and len(long_options(told)) > 10
    assert short_options(plain(section(program, "OPTIONS"))) == short_options(told)


def test_the_page_and_the_help_of_the_shell_name_the_same_options():
    """Those before a command."""
    page, told = plain(section("ringmq-cli", "OPTIONS")), printed("ringmq-cli", "--help")
    assert long_options(page) == long_options(told)
    assert short_options(page) == short_options(told)


@pytest.mark.parametrize("command", ["publish", "consume", "topic.publish", "topic.subscribe", "commit", "move"])
def test_the_page_names_each_option_of_the_commands_that_it_explains(command):
    """`ringmq-cli help COMMAND` knows no option that the page leaves out."""
    told = long_options(printed("ringmq-cli", "help", command).splitlines()[0])
    assert told and told <= long_options(plain(section("ringmq-cli", "COMMANDS")))


def test_the_page_of_the_shell_makes_up_no_option():
    """Each option anywhere in the page is one of the program or of one of its commands."""
    known = long_options(printed("ringmq-cli", "--help"))
    commands = re.findall(r"^  ([a-z.]+) ", printed("ringmq-cli", "help"), re.MULTILINE)
    assert {"publish", "queue.create", "config.set"} <= set(commands)
    for command in commands:
        known |= long_options(printed("ringmq-cli", "help", command))
    assert long_options(plain(PAGES["ringmq-cli"].read_text())) <= known


def test_the_page_of_the_server_tells_defaults_and_ranges_as_the_sample_file_does():
    """scripts/man-options has been run since conf/ringmq.conf changed."""
    done = subprocess.run([str(ROOT / "scripts" / "man-options"), "--check"], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("program", PAGES)
def test_a_page_is_about_the_version_at_hand(program):
    """The page's footer and --version agree."""
    title = PAGES[program].read_text().splitlines()[0]
    name, section_number = PAGES[program].name.rsplit(".", 1)
    assert title.startswith(f".TH {name.upper()} {section_number} ")
    version = printed(program, "--version").split()[1]
    assert f'"ringmq {version}"' in title


@pytest.mark.parametrize("program", PAGES)
def test_a_page_is_set_without_a_warning(program):
    """groff has nothing to say about it, with all warnings on."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tascii", str(PAGES[program])], capture_output=True,
                          text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
