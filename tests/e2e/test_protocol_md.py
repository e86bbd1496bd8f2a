"""protocol/PROTOCOL.md is right: its examples run, its bytes are the bytes, its lists are the server's lists."""

import ast
import re

import msgpack
import pytest
from process import ROOT

DOCUMENT = (ROOT / "protocol" / "PROTOCOL.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def section(title):
    """The text under a heading, up to the next heading of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    text = found.group(2)
    return re.split(rf"^#{{1,{len(found.group(1))}}} ", text, flags=re.MULTILINE)[0]


def rows(text):
    """The rows of the tables in a text, as lists of cells; headings and rulers left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rulers = [i for i, row in enumerate(table) if set("".join(row)) <= set("-: ")]
    return [row for i, row in enumerate(table) if i not in rulers and i + 1 not in rulers]


def words(text):
    """The names in `backquotes`."""
    return re.findall(r"`([a-z_]+)`", text)


# ---- examples ----------------------------------------------------------------------------------------------


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


def statements(source):
    """The statements of a block, each with the expectation in the comment beside or below it, or None."""
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        beside = re.search(r"# (->|!>) (.*)", lines[statement.end_lineno - 1])
        below = re.match(r"# (->|!>) (.*)", lines[statement.end_lineno]) if statement.end_lineno < len(lines) else None
        yield statement, beside or below


def check(statement, expectation, names):
    code = compile(ast.Expression(statement.value), "PROTOCOL.md", "eval")
    kind, text = expectation.groups()
    if kind == "->":
        expected, actual = eval(text, names), eval(code, names)
        assert matches(expected, actual), f"{ast.unparse(statement)}\n  returns  {actual!r}\n  not      {text}"
        return
    word, _, details = text.partition(" ")
    with pytest.raises(names["RingmqError"]) as raised:
        eval(code, names)
    assert raised.value.code == word
    assert matches({**ast.literal_eval(details or "{}"), ...: ...}, raised.value.details)


def test_every_python_example_returns_what_the_comment_beside_it_says(start_server):
    """The blocks run in order, in one program, against a server whose port is put in place of the usual one."""
    server, names, checked = start_server(), {}, 0
    for block in blocks("python"):
        for statement, expectation in statements(block.replace("7464", str(server.port))):
            if expectation:
                check(statement, expectation, names)
                checked += 1
            else:
                exec(compile(ast.Module([statement], []), "PROTOCOL.md", "exec"), names)
    assert checked > 30
    names["c"].sock.close()


def test_the_client_in_the_document_has_forty_lines():
    """The heading promises forty lines; a few more would still be forty, sixty would not."""
    lines = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(lines) <= 44


# ---- bytes -------------------------------------------------------------------------------------------------


RECEIPT = ["cf"] + ["rr"] * 8  # how the dump writes a receipt; its bytes are different each time


def conversation():
    """The hex dump as steps: (direction, list of bytes), where None stands for a whole receipt."""
    (dump,) = blocks("hex")
    steps = []
    for line in dump.splitlines():
        found = re.match(r"([<>])((?: (?:[0-9a-f]{2}|rr))+)(?:  |$)", line)
        assert found or not line, f"not a line of the dump: {line!r}"
        pairs = found.group(2).split() if found else []
        if not found or not steps or steps[-1][0] != found.group(1):
            steps.append((found.group(1) if found else "", []))
        while pairs:
            width = len(RECEIPT) if pairs[:len(RECEIPT)] == RECEIPT else 1
            steps[-1][1].append(None if width > 1 else int(pairs[0], 16))
            del pairs[:width]
    return [step for step in steps if step[0]]


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, "the server closed the connection"
        data += piece
    return data


def read_receipt(sock):
    """An unsigned integer in whatever length."""
    head = read_exactly(sock, 1)
    assert 0xcc <= head[0] <= 0xcf, head
    return head + read_exactly(sock, 1 << (head[0] - 0xcc))


def test_the_conversation_in_bytes_is_what_goes_over_the_wire(start_server):
    """Each byte sent by the client of the dump is answered by exactly the bytes in the dump; receipts are put in."""
    receipts, sent = [], 0
    with start_server().connect() as wire:
        for direction, content in conversation():
            if direction == ">":
                data = b""
                for byte in content:
                    data += receipts[sent] if byte is None else bytes([byte])
                    sent += byte is None
                wire.send_bytes(data)
                continue
            for place, byte in enumerate(content):
                if byte is None:
                    receipts.append(read_receipt(wire.sock))
                else:
                    got = read_exactly(wire.sock, 1)[0]
                    assert got == byte, f"byte {place} is {got:02x} instead of {byte:02x} in {content}"
        assert wire.quiet()
    assert sent == len(receipts) == 2


def test_each_direction_of_the_dump_is_whole_values():
    """The bytes of the dump, read by an independent decoder, are whole requests, responses and notifications."""
    for direction, kinds in ((">", {0, 2}), ("<", {1})):
        unpacker = msgpack.Unpacker()
        steps = [content for way, content in conversation() if way == direction]
        data = b"".join(b"\xcf" + bytes(8) if byte is None else bytes([byte]) for content in steps for byte in content)
        unpacker.feed(data)
        values = list(unpacker)
        assert {value[0] for value in values} == kinds
        assert unpacker.tell() == len(data)


# ---- lists -------------------------------------------------------------------------------------------------


def documented_methods():
    return re.findall(r"^### ([a-z.]+)$", section("Methods"), re.MULTILINE)


def options_in(args):
    found = re.search(r"\{(.*)\}", args)
    return {option.split(":")[0] for option in found.group(1).split()} if found else set()


def positional_in(args):
    return [argument.split(":")[0] for argument in args.split("{")[0].split()]


def test_every_method_of_the_server_is_in_the_document_and_no_other(wire):
    """The headings under Methods are the names that help lists."""
    assert documented_methods() == [row["name"] for row in wire.call("help")]


def test_the_overview_links_to_every_method(wire):
    """The table above the methods leaves none out, and its links lead to the headings."""
    links = dict(re.findall(r"\[([a-z.]+)\]\(#([a-z]+)\)", section("Methods").split("###")[0]))
    assert links == {row["name"]: row["name"].replace(".", "") for row in wire.call("help")}


def test_every_signature_in_the_document_has_the_arguments_that_the_server_takes(wire):
    """Positional arguments in order (a list is written as its elements), and exactly the same options."""
    for row in wire.call("help"):
        signature = re.search(rf"^    {re.escape(row['name'])} \[(.*)\]$", section(row["name"]), re.MULTILINE).group(1)
        options = re.search(r"\{([a-z_?, ]*)\}$", signature)
        named = {option.strip().rstrip("?") for option in options.group(1).split(",")} if options else set()
        assert named == options_in(row["args"]), row["name"]
        positional = re.findall(r"[a-z]+", signature[:options.start()] if options else signature)
        assert [name.rstrip("s") for name in positional] == [name.rstrip("s") for name in positional_in(row["args"])]


def test_every_method_says_its_answer_and_its_errors_are_errors():
    """Each method has an answer, and each code that its section names is in the list of codes."""
    codes = {row[0].strip("`") for row in rows(section("Errors"))}
    for method in documented_methods():
        text = section(method)
        assert re.search(r"^Answers?\b", text, re.MULTILINE), method
        assert set(re.findall(r"`([A-Z]{2,}(?:_[A-Z]+)*)`", text)) <= codes, method


def test_every_error_code_is_in_the_document_with_its_retry_and_no_other():
    """The table of errors and the list that the server is built from agree on the codes, and on whether to retry."""
    source = (ROOT / "protocol" / "errors.h").read_text()
    built = {code: retry == "true" for code, retry in re.findall(r'X\(([A-Z_]+), "[^"]*", (true|false)\)', source)}
    written = {row[0].strip("`"): "`retry`" in row[2] for row in rows(section("Errors"))}
    assert built == written


def test_every_limit_that_hello_tells_is_in_the_document_with_its_default(wire):
    """The first table of Limits is the map `limits` of a server with default options."""
    table = section("Limits").split("These are the same everywhere")[0]
    written = {row[0].strip("`"): int(row[1].replace(",", "")) for row in rows(table)}
    assert wire.call("hello")["limits"] == written


def test_hello_answers_the_keys_that_the_document_names(wire):
    """No key of hello's answer is undocumented, and none that is documented is missing."""
    assert set(wire.call("hello")) == {words(row[0])[0] for row in rows(section("hello"))}


def test_every_attribute_is_in_the_document_with_its_default(wire, queue):
    """A new queue has the defaults of the table, and queue.info shows just the documented keys."""
    defaults = {}
    for name, default, *_ in rows(section("Queue attributes")):
        text = default.split("(")[0].replace(",", "").strip().strip("`")
        defaults[name.strip("`")] = text.strip('"') if text.startswith('"') else int(text)
    info = wire.call("queue.info", queue)
    assert {name: info.get(name) for name in defaults} == defaults
    plain = {name for row in rows(section("queue.info")) for name in words(row[0])}
    counters = {name for row in rows(section("Counters").split("Of the server")[0]) for name in words(row[0])}
    assert set(info) == plain | counters | set(defaults)


def test_every_counter_is_in_the_document_and_no_other(wire):
    """The tables of counters are what server.stats answers."""
    written = {name for row in rows(section("Counters")) for name in words(row[0])}
    assert set(wire.call("server.stats")) == written


def test_every_key_of_server_info_is_in_the_document_and_no_other(wire):
    """The table of sections is what server.info answers."""
    written = {}
    for name, keys in rows(section("server.info")):
        written[name.strip("`")] = set(words(re.sub(r"\(.*?\)", "", keys.split(":")[0])))
    written["counters"] = set(wire.call("server.stats"))
    assert {name: set(keys) for name, keys in wire.call("server.info").items()} == written


def test_every_key_of_a_listed_queue_and_client_is_in_the_document(wire, queue):
    """Rows of queue.list and client.list have the documented keys."""
    (row,) = wire.call("queue.list", {"prefix": queue, "max": 1})["queues"]
    assert set(row) == set(words(section("queue.list").split("Each queue is a map of")[1].split("as in")[0]))
    row = wire.call("client.list")["clients"][0]
    assert set(row) == {name for cells in rows(section("client.list")) for name in words(cells[0])}


def test_every_link_inside_the_document_leads_to_a_heading():
    """A heading's anchor is its text in small letters, with hyphens for blanks and without punctuation."""
    prose = re.sub(r"^```.*?^```$", "", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]*)\)", DOCUMENT)) <= anchors
