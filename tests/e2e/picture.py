"""What a server holds, as far as it can be asked: so that a test can tell that a refused call has changed nothing."""

import contextlib

MOVING = {"oldest_ms", "publish_rate", "deliver_rate", "ack_rate"}  # change by themselves, with the time
REFUSED = {"refused"}  # counts what did not happen
AGES = {"age_ms", "due_ms", "expires_ms"}


def pages(wire, method, key):
    """All of a list, page by page."""
    cursor = ""
    while cursor is not None:
        answer = wire.call(method, {"cursor": cursor, "max": 1000})
        yield from answer[key]
        cursor = answer["next"]


def messages(wire, queue):
    """Every message of a queue, as peek shows it, without its ages."""
    start, found = 0, []
    while start is not None:
        answer = wire.call("peek", queue, {"from": start, "max": 1000})
        found += [{key: value for key, value in m.items() if key not in AGES} for m in answer["messages"]]
        start = answer["next"]
    return found


def picture(wire, queues=None):
    """Queues with their messages, and topics with their subscriptions."""
    names = [q["name"] for q in pages(wire, "queue.list", "queues") if queues is None or q["name"] in queues]
    return {
        "queues": {name: {key: value for key, value in wire.call("queue.info", name).items()
                          if key not in MOVING | REFUSED} for name in names},
        "messages": {name: messages(wire, name) for name in names},
        "topics": {t["name"]: wire.call("topic.info", t["name"]) for t in pages(wire, "topic.list", "topics")},
    }


@contextlib.contextmanager
def unchanged(wire, queues=None):
    """Whatever is called inside changes nothing that can be seen from outside."""
    before = picture(wire, queues)
    yield
    assert picture(wire, queues) == before
