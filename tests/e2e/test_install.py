"""`make install` into a folder of its own: what is there, whether one can build with it, and `make uninstall`."""

import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from process import DEADLINE, ROOT

BUILD = Path(os.environ.get("RINGMQ_BUILD", ROOT / "build"))
SAN = os.environ.get("RINGMQ_SAN", "")
PREFIX = "/usr/local"

PROGRAMS = ["bin/ringmq-server", "bin/ringmq-cli", "bin/ringmq-bench"]
DATA = [
    "include/ringmq.h",
    "lib/libringmq.a",
    "lib/libringmq.so.0",
    "lib/pkgconfig/ringmq.pc",
    "lib/systemd/system/ringmq-server.service",
    "share/bash-completion/completions/ringmq-cli",
    "share/man/man1/ringmq-bench.1",
    "share/man/man1/ringmq-cli.1",
    "share/man/man8/ringmq-server.8",
]


def built_with():
    """The compiler of the build, and its folder as the Makefile was told it: another spelling would link all anew."""
    compiler = (BUILD / "flags").read_text().split(" -std=")[0]
    out = (BUILD / "files").read_text().split("/obj/")[0]
    assert (ROOT / out).resolve() == BUILD.resolve()
    return compiler, out


def make(target, tree, *variables):
    """Runs make with the build at hand, everybody else's permissions taken away by the umask."""
    compiler, out = built_with()
    done = subprocess.run(
        ["make", target, f"DESTDIR={tree}", f"PREFIX={PREFIX}", f"CC={compiler}", f"OUT={out}", f"SAN={SAN}", "DEPS=no",
         *variables],
        cwd=ROOT, capture_output=True, text=True, timeout=30 * DEADLINE, stdin=subprocess.DEVNULL, umask=0o077)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_below(tree):
    """Everything that is no folder, relative to the tree."""
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_symlink() or not path.is_dir()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """An installed tree."""
    path = tmp_path_factory.mktemp("install")
    make("install", path)
    return path


@pytest.fixture
def root(tree):
    return tree / PREFIX.lstrip("/")


# ---- what is there -------------------------------------------------------------------------------------------------


def test_exactly_the_files_that_belong_there(tree, root):
    """All of them, and no other."""
    expected = {str((root / name).relative_to(tree)) for name in [*PROGRAMS, *DATA, "lib/libringmq.so"]}
    assert files_below(tree) == expected | {"etc/ringmq/ringmq.conf"}


@pytest.mark.parametrize("name, mode", [*((name, 0o755) for name in PROGRAMS), *((name, 0o644) for name in DATA)])
def test_everybody_may_read_it_and_only_the_owner_change_it(root, name, mode):
    """Whatever the umask was."""
    assert oct(stat.S_IMODE((root / name).lstat().st_mode)) == oct(mode)


def test_everybody_may_enter_the_folders(tree, root):
    """Whatever the umask was."""
    for folder in [tree / "etc" / "ringmq", *(path for path in root.rglob("*") if path.is_dir())]:
        assert oct(stat.S_IMODE(folder.stat().st_mode)) == oct(0o755), folder


def test_the_library_is_found_by_its_short_name(root):
    """The link that -lringmq follows leads to the file beside it."""
    assert os.readlink(root / "lib" / "libringmq.so") == "libringmq.so.0"


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_installed_program_starts(root, name):
    """It needs nothing from the build folder."""
    done = subprocess.run([str(root / name), "--version"], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0 and done.stdout.startswith(Path(name).name + " ")


@pytest.mark.parametrize("name", ["lib/pkgconfig/ringmq.pc", "lib/systemd/system/ringmq-server.service"])
def test_templates_are_filled(tree, root, name):
    """The prefix stands in them, and neither a placeholder nor the temporary folder."""
    text = (root / name).read_text()
    assert PREFIX in text and str(tree) not in text and not re.search(r"@[A-Z]+@", text)


def test_the_installed_configuration_is_the_sample_and_is_good(tree, root):
    """The server takes it as it is."""
    conf = tree / "etc" / "ringmq" / "ringmq.conf"
    assert conf.read_bytes() == (ROOT / "conf" / "ringmq.conf").read_bytes()
    done = subprocess.run([str(root / "bin" / "ringmq-server"), str(conf), "--test-config"], capture_output=True,
                          text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr


# ---- building with it ----------------------------------------------------------------------------------------------


def first_program(port):
    """The example in the header's opening comment, as a whole program that leads to this port."""
    header = (ROOT / "client" / "ringmq.h").read_text()
    body = re.search(r"^ \* A first program\n((?: \*     .*\n)+)", header, re.MULTILINE).group(1)
    body = re.sub(r"^ \*", "", body, flags=re.MULTILINE)
    assert body.count('"ringmq://127.0.0.1"') == 1
    body = body.replace('"ringmq://127.0.0.1"', f'"ringmq://127.0.0.1:{port}"')
    return f"#include <ringmq.h>\n#include <stdio.h>\n\nint main(void)\n{{\n{body}    return 0;\n}}\n"


def pkg_config(tree, root, *arguments):
    env = dict(os.environ, PKG_CONFIG_PATH=str(root / "lib" / "pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(tree))
    done = subprocess.run(["pkg-config", *arguments, "ringmq"], capture_output=True, text=True, timeout=DEADLINE,
                          env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("static", [False, True], ids=["dynamically", "statically"])
def test_the_first_program_of_the_header_builds_links_and_publishes(tree, root, server, wire, folder, static):
    """With nothing but what pkg-config says, without a warning; its message arrives."""
    wire.call("queue.create", "orders", {})
    source, program = folder / "first.c", folder / "first"
    source.write_text(first_program(server.port))
    flags = pkg_config(tree, root, "--cflags", "--libs", *(["--static"] if static else []))
    if static:
        flags = ["-l:libringmq.a" if flag == "-lringmq" else flag for flag in flags]
    sanitize = [f"-fsanitize={SAN}"] if SAN else []
    command = [*shlex.split(built_with()[0]), "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *sanitize,
               str(source), "-o", str(program), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=6 * DEADLINE)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"

    needed = subprocess.run(["readelf", "-d", str(program)], capture_output=True, text=True, timeout=DEADLINE).stdout
    assert ("libringmq.so.0" in needed) is not static
    env = dict(os.environ, LD_LIBRARY_PATH=str(root / "lib"))
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=DEADLINE, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert wire.call("queue.info", "orders")["ready"] == 1
    assert [delivery[3] for delivery in wire.call("receive", "orders")] == [b"hello"]
    wire.call("queue.delete", "orders")


# ---- again, and away -----------------------------------------------------------------------------------------------


def test_installing_builds_nothing_anew(tmp_path):
    """What was built by one user can be installed by another."""
    before = {path: path.stat().st_mtime_ns for path in BUILD.glob("*ringmq*")}
    make("install", tmp_path)
    assert before and before == {path: path.stat().st_mtime_ns for path in BUILD.glob("*ringmq*")}


def test_a_second_installation_keeps_the_configuration(tmp_path):
    """Whatever was changed in it."""
    conf = tmp_path / "etc" / "ringmq" / "ringmq.conf"
    make("install", tmp_path)
    conf.write_text("port 7000\n")
    make("install", tmp_path)
    assert conf.read_text() == "port 7000\n"


def test_uninstall_leaves_nothing_behind_but_the_configuration(tmp_path):
    """No file, no link; what others have put there stays."""
    foreign = tmp_path / PREFIX.lstrip("/") / "bin" / "foreign"
    make("install", tmp_path)
    foreign.write_text("not ours")
    make("uninstall", tmp_path)
    assert files_below(tmp_path) == {"etc/ringmq/ringmq.conf", str(foreign.relative_to(tmp_path))}
