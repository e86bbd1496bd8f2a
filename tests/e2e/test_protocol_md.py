"""protocol/PROTOCOL.md is right: its examples run, its bytes are the bytes, its lists are the server's lists."""

import ast
import re

import msgpack
import pytest
from examples import blocks, client_source, run_python
from process import ROOT

DOCUMENT = (ROOT / "protocol" / "PROTOCOL.md").read_text()


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


def test_every_python_example_returns_what_the_comment_beside_it_says(start_server):
    """The blocks run in order, in one program, against a server whose port is put in place of the usual one."""
    server, names = start_server(), {}
    assert sum(run_python(block, server.port, names) for _, block in blocks(DOCUMENT, "python")) > 60
    names["c"].sock.close()


def test_the_client_in_the_document_has_forty_lines():
    """The heading promises forty lines; a few more would still be forty, sixty would not."""
    assert len([line for line in client_source().splitlines() if line.strip()]) <= 44


# ---- bytes -------------------------------------------------------------------------------------------------


RECEIPT = ["cf"] + ["rr"] * 8  # how the dump writes a receipt; its bytes are different each time


def conversation():
    """The hex dump as steps: (direction, list of bytes), where None stands for a whole receipt."""
    ((_, dump),) = blocks(DOCUMENT, "hex")
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


def source(path, pattern):
    """What a pattern finds in a file of the source."""
    found = re.findall(pattern, (ROOT / path).read_text())
    assert found, f"{pattern} finds nothing in {path}"
    return found


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
    found = source("protocol/errors.h", r'X\(([A-Z_]+), "[^"]*", (true|false)\)')
    built = {code: retry == "true" for code, retry in found}
    written = {row[0].strip("`"): "`retry`" in row[2] for row in rows(section("Errors"))}
    assert built == written


def test_every_limit_that_hello_tells_is_in_the_document_with_its_default(wire):
    """The first table of Limits is the map `limits` of a server with default options."""
    table = section("Limits").split("These are the same everywhere")[0]
    written = {row[0].strip("`"): int(row[1].replace(",", "")) for row in rows(table)}
    assert wire.call("hello")["limits"] == written


# How the second table of Limits calls what protocol/limits.h and filter.h fix; None: said in other words elsewhere.
FIXED = {
    "LIMIT_DEPTH": "containers inside", "LIMIT_NAME_BYTES": "name of a queue", "LIMIT_GROUP_BYTES": "group",
    "LIMIT_DEDUP_BYTES": "dedup_id", "LIMIT_KEY_BYTES": "key or pattern", "LIMIT_KEY_WORDS": "key or pattern", "LIMIT_PRIORITIES": "priorities",
    "LIMIT_HEADERS": "headers", "LIMIT_HEADER_BYTES": "headers", "LIMIT_NOTE_BYTES": "note",
    "LIMIT_CLIENT_BYTES": "client and version", "LIMIT_ID": "ids and receipts", "LIMIT_TIME_MS": "times",
    "LIMIT_FILTER_BYTES": "filter", "LIMIT_FILTER_KEYS": "filter", "LIMIT_FILTER_ALTERNATIVES": "filter",
    "LIMIT_INLINE_BYTES": None, "LIMIT_REQUEST_SLACK": None, "LIMIT_ROUTING_BYTES": None, "LIMIT_ROUTING_HASH": None,
    "LIMIT_TOPIC_FILTER_BYTES": None,
}
# And what hello tells of them.
TOLD = {
    "LIMIT_NODES": "max_elements", "LIMIT_CONSUMERS": "max_consumers", "LIMIT_WAITERS": "max_waiters",
    "LIMIT_PREFETCH": "max_prefetch", "LIMIT_SUBSCRIPTIONS": "max_subscriptions", "LIMIT_TOPICS": "max_topics",
    "LIMIT_MOVES": "max_moves", "LIMIT_COPIES": "max_copies", "LIMIT_ROUTING": "max_routing", "LIMIT_COMMIT_PARTS": "max_commit_parts",
}


def test_every_limit_of_the_source_is_in_the_document_with_its_number(wire):
    """What an operator can't change stands in the second table, or is told by hello."""
    built = {}
    for path in ("protocol/limits.h", "server/broker/filter.h"):
        built |= dict(source(path, r"#define (LIMIT_[A-Z_]+) +\(?([0-9]+)(?:\)|\n|\w| )"))
    assert built.keys() == FIXED.keys() | TOLD.keys()
    told = wire.call("hello")["limits"]
    assert {name: told[word] for name, word in TOLD.items()} == {name: int(built[name]) for name in TOLD}
    fixed = rows(section("Limits").split("These are the same everywhere")[1])
    for name, word in FIXED.items():
        number = {"LIMIT_ID": "2^53", "LIMIT_TIME_MS": "10 years"}.get(name, f"{int(built[name]):,}")
        place = " ".join(limit for what, limit in fixed if what.startswith(word)) if word else DOCUMENT
        assert re.search(rf"(?<![\d,]){re.escape(number)}(?!,?\d)", place), (name, number)


def test_every_limit_that_an_error_can_name_is_in_the_document():
    """The names after LIMIT in the source stand under Errors or Limits."""
    named = set()
    for path in (ROOT / "server").rglob("*.c"):
        named |= set(re.findall(r'(?:LIMIT|\bwhich =)[^;\n]*"(max_[a-z_]+)"', path.read_text()))
    assert len(named) > 15
    assert named <= set(words(section("Errors"))) | set(words(section("Limits")))


def test_hello_answers_the_keys_and_features_that_the_document_names(wire):
    """No key or feature of hello's answer is undocumented, and none that is documented is missing."""
    hello = wire.call("hello")
    assert set(hello) == {words(row[0])[0] for row in rows(section("hello"))}
    sentence = section("hello").split("The words in `features` are")[1].split(":")[0]
    assert hello["features"] == re.findall(r'`"([a-z_]+)"`', sentence)


def test_every_attribute_is_in_the_document_with_its_default(wire, queue):
    """In the order of the source; a new queue has the defaults, and queue.info shows just the documented keys."""
    defaults = {}
    for name, default, *_ in rows(section("Queue attributes")):
        text = default.split("(")[0].replace(",", "").strip().strip("`")
        words_of_it = {"nil": None, "true": True, "false": False, '"standard"': "standard", '"reject"': "reject",
                       '"queue"': "queue"}
        defaults[name.strip("`")] = words_of_it[text] if text in words_of_it else int(text)
    assert list(defaults) == source("protocol/attributes.h", r"\n  X\(([a-z_]+), [A-Z]+,")
    info = wire.call("queue.info", queue)
    assert {name: info.get(name, ...) for name in defaults} == defaults
    plain = {name for row in rows(section("queue.info")) for name in words(row[0])}
    counters = {name for row in rows(section("Counters").split("Of the server")[0]) for name in words(row[0])}
    assert set(info) == plain | counters | set(defaults)


def test_every_word_of_a_choice_is_in_the_document():
    """The words of type, overflow and dedup_scope are in their rows."""
    table = {row[0].strip("`"): row[2] for row in rows(section("Queue attributes"))}
    for name, choices in source("protocol/attributes.h", r'X\(([a-z_]+), CHOICE, [^"]*"([^"]*)"'):
        assert re.findall(r'`"([a-z_]+)"`', table[name]) == choices.split("|")


def test_every_reason_of_a_dead_message_and_every_dl_header_is_in_the_document():
    """The tables under Dead messages, and the reasons that peek shows."""
    dead, headers = section("Dead messages").split("these headers")
    reasons = {row[0].strip("`") for row in rows(dead)}
    built = {reason.lower() for reason in source("server/broker/slots.h", r"PARK_([A-Z_]+)(?=[, ])")} - {"none"}
    assert reasons | {"requested"} == built
    shown = next(row[1] for row in rows(section("peek")) if row[0] == "`reason`")
    assert set(re.findall(r'`"([a-z_]+)"`', shown)) == built
    assert {name for row in rows(headers) for name in words(row[0])} == set(
        source("server/broker/dead.c", r'"(dl_[a-z]+)"'))


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


def test_every_key_of_a_topic_a_move_and_a_message_is_in_the_document(wire, queue):
    """topic.list, topic.info, move.list and peek show just the documented keys."""
    wire.call("topic.create", "a-topic")
    wire.call("topic.subscribe", "a-topic", queue)
    keys = set(wire.call("topic.info", "a-topic"))
    assert keys == {words(row[0])[0] for row in rows(section("topic.info"))}
    assert keys == set(wire.call("topic.list")["topics"][0])
    wire.call("move", queue)
    (task,) = wire.call("move.list")["tasks"]
    assert set(task) == {words(row[0])[0] for row in rows(section("move.list"))}
    wire.call("publish", queue, [["m", {"headers": {"a": 1}, "group": "g", "priority": 1, "dedup_id": "d"}]] * 2 + ["d"])
    receipts = [delivery[0] for delivery in wire.call("receive", queue, {"max": 2})]
    wire.call("park", receipts[:1], {"note": "n"})
    shown = {key for message in wire.call("peek", queue)["messages"] for key in message}
    table = rows(section("peek"))
    documented = {name for row in table for name in words(row[0])} - {"state", "from", "to", "group", "max"}
    assert shown == documented | {"state", "group"}


# ---- patterns and filters ----------------------------------------------------------------------------------


def keys_in(cell):
    """The keys in a cell of the table of patterns."""
    return re.findall(r"`([^`]*)`", cell) + ([""] if "the empty key" in cell else [])


def test_the_patterns_match_what_the_document_says(wire, new_queue):
    """Each key in the second column of its row, and none in the third."""
    table, checked = rows(section("Topics").split("**Filters**")[0]), 0
    for number, (pattern, *columns) in enumerate(table):
        wire.call("topic.create", f"pattern-{number}")
        wire.call("topic.subscribe", f"pattern-{number}", new_queue(), {"pattern": pattern.strip("`")})
        for column, copies in zip(columns, (1, 0)):
            for key in keys_in(column):
                assert wire.call("topic.publish", f"pattern-{number}", key, ["m"]) == copies, (pattern, key)
                checked += 1
    assert checked > 15


def test_the_filters_match_what_the_document_says(wire, new_queue):
    """Each map of headers in the second column of its row, and none in the third; the filter is shown as it is."""
    examples, checked = rows(section("Topics").split("4,096 bytes in all")[1]), 0
    for number, (filter_, *columns) in enumerate(examples):
        topic, wanted = f"filter-{number}", ast.literal_eval(filter_.strip("`"))
        wire.call("topic.create", topic)
        wire.call("topic.subscribe", topic, new_queue(), {"filter": wanted})
        assert wire.call("topic.info", topic)["subscriptions"][0]["filter"] == wanted
        for column, copies in zip(columns, (1, 0)):
            for headers in map(ast.literal_eval, re.findall(r"`([^`]*)`", column)):
                assert wire.call("topic.publish", topic, "k", [["m", {"headers": headers}]]) == copies, headers
                checked += 1
    assert checked > 15


def test_every_operator_of_a_filter_is_in_the_document():
    """The words of the source's list."""
    built = source("server/broker/filter.h", r'    X\([A-Z_]+, "([^"]+)"\)')
    table = section("Topics").split("**Filters**")[1]
    assert len(built) == 10 and all(f"`{word}`" in table or f"{word}:" in table or f'"{word}":' in table for word in built)


def test_every_link_inside_the_document_leads_to_a_heading():
    """A heading's anchor is its text in small letters, with hyphens for blanks and without punctuation."""
    prose = re.sub(r"^```.*?^```$", "", DOCUMENT, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]*)\)", DOCUMENT)) <= anchors
