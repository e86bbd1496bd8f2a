"""The examples of the documents are run as they are printed.

    ```python     statements; beside or below one of them, `# ->` says what it returns and `# !>` what error it raises
    ```console    lines with `$ ` are commands for the shell, the others what they print

In both, `...` stands for anything: in Python for a value, and as `...: ...` for more keys; in what a command prints for
some text within a line, and as a line for some lines.
"""

import ast
import os
import re
import socket
import subprocess
import textwrap

import pytest
from process import ROOT
from wire import until

BUILD = os.environ.get("RINGMQ_BUILD", str(ROOT / "build"))


def blocks(text, *languages):
    """(language, contents) of the fenced blocks in these languages, in their order."""
    return re.findall(rf"^```({'|'.join(languages)})\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def client_source():
    """The client in forty lines."""
    return blocks((ROOT / "protocol" / "PROTOCOL.md").read_text(), "python")[0][1]


# ---- Python ------------------------------------------------------------------------------------------------


def matches(expected, actual):
    """True if they are equal, where ... in `expected` stands for anything; in a map, `...: ...` for any other keys."""
    if expected is ...:
        return True
    if isinstance(expected, list) and isinstance(actual, (list, tuple)):
        return len(expected) == len(actual) and all(map(matches, expected, actual))
    if isinstance(expected, dict) and isinstance(actual, dict):
        more = ... in expected
        named = {key: value for key, value in expected.items() if key is not ...}
        return (more or named.keys() == actual.keys()) and all(
            key in actual and matches(value, actual[key]) for key, value in named.items())
    return type(expected) is type(actual) and expected == actual


def comment_from(lines, at):
    """The expectation that begins in that line: (arrow, text), going on over whole lines of comment; or None."""
    found = re.match(r"# (->|!>) (.*)", lines[at]) if at < len(lines) else None
    text = [found.group(2)] if found else []
    while found and at + len(text) < len(lines) and lines[at + len(text)].startswith("#  "):
        text.append(lines[at + len(text)][1:].strip())
    return found and (found.group(1), " ".join(text))


def statements(source):
    """The statements of a block, each with the expectation in the comment beside or below it, or None."""
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        beside = re.search(r"# (->|!>) (.*)", lines[statement.end_lineno - 1])
        yield statement, beside.groups() if beside else comment_from(lines, statement.end_lineno)


def check(statement, expectation, names):
    code = compile(ast.Expression(statement.value), "example", "eval")
    arrow, text = expectation
    if arrow == "->":
        expected, actual = eval(text, names), eval(code, names)
        assert matches(expected, actual), f"{ast.unparse(statement)}\n  returns  {actual!r}\n  not      {text}"
        return
    word, _, details = text.partition(" ")
    with pytest.raises(names["RingmqError"]) as raised:
        eval(code, names)
    assert raised.value.code == word
    assert matches({**eval(details or "{}", names), ...: ...}, raised.value.details), raised.value.details


def run_python(source, port, names):
    """Runs a block, with the server's port in place of the usual one; returns how many expectations were met."""
    checked = 0
    for statement, expectation in statements(source.replace("7464", str(port))):
        if expectation:
            check(statement, expectation, names)
            checked += 1
        else:
            exec(compile(ast.Module([statement], []), "example", "exec"), names)
    return checked


# ---- the shell ---------------------------------------------------------------------------------------------


def steps(block):
    """[command, expected output] of a console block; a command goes on over lines that end with a backslash."""
    found = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif found and not found[-1][1] and found[-1][0].endswith("\\\n"):
            found[-1][0] += line
        else:
            found[-1][1] += line
    return found


def prints(expected, got):
    """True if that is what was to be printed."""
    lines = []
    for line in expected.splitlines():
        lines.append("(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + "\n")
    return re.fullmatch("".join(lines), got) is not None


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run_console(block, port, folder):
    """Runs each command of a block in a folder, in which `build` is the programs' own, against the server on a port.

    A server that a command leaves in the background is waited for, and the end of one that a command kills.
    """
    env = dict(os.environ, PATH=BUILD + ":" + os.environ["PATH"], RINGMQ_URL=f"ringmq://127.0.0.1:{port}")
    if not os.path.lexists(folder / "build"):
        os.symlink(BUILD, folder / "build")
    for command, expected in steps(block):
        run = subprocess.run(["bash", "-c", command], cwd=folder, env=env, text=True, timeout=60,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if re.match(r"ringmq-server .*& ", command):
            until(lambda: listens(port), f"a server after $ {command}")
        if command.startswith("kill -9 $(cat server.pid)"):
            until(lambda: not listens(port), f"no server after $ {command}")
        assert prints(expected, run.stdout), (
            f"$ {command}\nexpected:\n{textwrap.indent(expected, '  ')}\ngot:\n{textwrap.indent(run.stdout, '  ')}")
